#!/bin/bash
# BuildKit as docker buildx runs it: its docker-container driver's calls, in their order, and the driver itself where it is installed.
. "$(dirname "$0")/lib.sh"
need docker curl busybox python3
engine_start; busybox_image
[ -n "${BUILDX:-}" ] && mkdir -p "$DOCKER_CONFIG/cli-plugins" && ln -s "$BUILDX" "$DOCKER_CONFIG/cli-plugins/docker-buildx" # a plugin that is not installed

mkdir -p "$T/bk"
cat >"$T/bk/buildctl" <<'E'
#!/bin/sh
case "$1" in
dial-stdio) exec cat ;;
debug) [ -e /run/ready ] || { echo "not yet" >&2; exit 1; }; echo "ID PLATFORMS" ;;
esac
E
cat >"$T/bk/buildkitd" <<'E'
#!/bin/sh
[ "$1" = --version ] && { echo "buildkitd github.com/moby/buildkit v0.0.0 fake"; exit; }
cat /etc/buildkit/buildkitd.toml
mkdir -p /m /mnt /run && mount -t tmpfs none /m && mkdir -p /var/lib/buildkit/l /var/lib/buildkit/u /var/lib/buildkit/w && mount -t overlay -o lowerdir=/var/lib/buildkit/l,upperdir=/var/lib/buildkit/u,workdir=/var/lib/buildkit/w none /mnt && echo "mounts work"
echo "start $(cat /var/lib/buildkit/count 2>/dev/null)"; echo x >>/var/lib/buildkit/count
touch /run/ready; trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done
E
chmod 755 "$T"/bk/*; printf 'FROM busybox\nCOPY buildctl buildkitd /usr/bin/\nENTRYPOINT ["buildkitd"]\n' >"$T/bk/Dockerfile"
docker build -q -t fakebuildkit "$T/bk" >/dev/null 2>&1 || { echo "no image"; exit 1; }
CG=/sdcbx$$
cgroups_gone() { find /sys/fs/cgroup -depth -maxdepth 4 -path "*$CG*" -type d -exec rmdir {} + 2>/dev/null; [ -z "$(find /sys/fs/cgroup -maxdepth 3 -path "*$CG*" -type d)" ]; }

t_driver_calls() {
	python3 - "$SOCK" "$CG" <<'P' || fail "see above"
import http.client, io, json, os, socket, struct, sys, tarfile, threading, time
sock, cg = sys.argv[1:3]
name = 'buildx_buildkit_sim0'

class C(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(30); self.sock.connect(sock)

def req(method, path, body=None, headers={}):
    c = C('d')
    h = dict(headers)
    if isinstance(body, dict):
        body, h['Content-Type'] = json.dumps(body), 'application/json'
    c.request(method, '/v1.51' + path, body, h)
    r = c.getresponse(); b = r.read(); c.close()
    return r.status, b

def want(got, *ok):
    assert got[0] in ok, got
    return json.loads(got[1]) if got[1][:1] in (b'{', b'[') else got[1]

def hijack(exec_id):
    s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sock)
    b = b'{"Detach":false,"Tty":false}'
    s.sendall(b'POST /v1.51/exec/%s/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s' % (exec_id.encode(), len(b), b))
    head = b''
    while b'\r\n\r\n' not in head:
        head += s.recv(1)
    assert head.startswith(b'HTTP/1.1 101'), head
    return s

def frames(s):
    f = s.makefile('rb'); out = {1: b'', 2: b''}
    while True:
        h = f.read(8)
        if len(h) < 8:
            return out
        kind, n = h[0], struct.unpack('>I', h[4:])[0]
        out[kind] += f.read(n)

def run(*cmd):
    i = want(req('POST', '/containers/%s/exec' % name, {'Cmd': cmd, 'AttachStdin': True, 'AttachStdout': True, 'AttachStderr': True}), 201)['Id']
    s = hijack(i)
    out = frames(s); s.close()
    return want(req('GET', '/exec/%s/json' % i), 200)['ExitCode'], out

def bootstrap():
    for t in range(1, 16):
        code, out = run('buildctl', 'debug', 'workers')
        if code == 0:
            return
        time.sleep(t * 0.12)
    raise SystemExit('not ready: %r %s' % (out, req('GET', '/containers/%s/logs?stdout=1&stderr=1' % name)))

want(req('GET', '/containers/%s/json' % name), 404)
req('POST', '/images/create?fromImage=fakebuildkit&tag=latest')  # fails; the local one is taken
want(req('GET', '/images/fakebuildkit/json'), 200)
assert want(req('GET', '/info'), 200)['CgroupDriver'] in ('cgroupfs', 'systemd', 'none')
want(req('POST', '/containers/create?name=' + name, {'Image': 'fakebuildkit', 'Env': ['A=1'], 'Cmd': ['--allow-insecure-entitlement=network.host'],
    'HostConfig': {'Privileged': True, 'Init': True, 'RestartPolicy': {'Name': 'unless-stopped'}, 'CgroupParent': cg, 'NetworkMode': 'host', 'Memory': 1 << 28,
                   'Mounts': [{'Type': 'volume', 'Source': name + '_state', 'Target': '/var/lib/buildkit'}]}}), 201)
t = io.BytesIO(); tf = tarfile.open(fileobj=t, mode='w')
d = tarfile.TarInfo('buildkit'); d.type = tarfile.DIRTYPE; d.mode = 0o700; tf.addfile(d)
conf = b'[worker.oci]\n'; i = tarfile.TarInfo('buildkit/buildkitd.toml'); i.size = len(conf); tf.addfile(i, io.BytesIO(conf)); tf.close()
want(req('PUT', '/containers/%s/archive?path=/etc&noOverwriteDirNonDir=true' % name, t.getvalue(), {'Content-Type': 'application/x-tar'}), 200)
want(req('POST', '/containers/%s/start' % name), 204)
bootstrap()
st = want(req('GET', '/containers/%s/json' % name), 200)
assert st['State']['Running'] and st['Mounts'][0]['Name'] == name + '_state', st
assert run('buildkitd', '--version')[1][1].split()[2] == b'v0.0.0'
# gRPC runs over this: both ways at once, then each end closes
i = want(req('POST', '/containers/%s/exec' % name, {'Cmd': ['buildctl', 'dial-stdio'], 'AttachStdin': True, 'AttachStdout': True, 'AttachStderr': True}), 201)['Id']
s = hijack(i); data = os.urandom(4 << 20); got = {}
th = threading.Thread(target=lambda: got.update(frames(s))); th.start()
s.sendall(data); s.shutdown(socket.SHUT_WR); th.join(30)
assert got.get(1) == data and not got.get(2), (len(got.get(1, b'')), got.get(2))
assert want(req('GET', '/exec/%s/json' % i), 200)['ExitCode'] == 0
# a client that goes away in the middle takes its exec with it
i = want(req('POST', '/containers/%s/exec' % name, {'Cmd': ['buildctl', 'dial-stdio'], 'AttachStdin': True, 'AttachStdout': True, 'AttachStderr': True}), 201)['Id']
s = hijack(i); s.sendall(b'x' * 100); s.close()
for _ in range(100):
    if not want(req('GET', '/exec/%s/json' % i), 200)['Running']:
        break
    time.sleep(0.05)
else:
    raise SystemExit('the exec goes on')
logs = req('GET', '/containers/%s/logs?stdout=1&stderr=1' % name)[1]
assert b'[worker.oci]' in logs and b'mounts work' in logs, logs
want(req('GET', '/containers/%s/stats?stream=false' % name), 200)
want(req('POST', '/containers/%s/stop' % name), 204)
st = want(req('GET', '/containers/%s/json' % name), 200)['State']; assert st['ExitCode'] == 0 and not st['Running'], st
want(req('POST', '/containers/%s/start' % name), 204); bootstrap()
for _ in range(100):  # its state is still there
    if b'start x' in req('GET', '/containers/%s/logs?stdout=1' % name)[1]:
        break
    time.sleep(0.05)
else:
    raise SystemExit('the volume is not the same')
want(req('DELETE', '/containers/%s?v=1&force=1' % name), 204)
want(req('GET', '/volumes/%s_state' % name), 200)  # a named volume stays
want(req('DELETE', '/volumes/%s_state' % name), 204)
P
	until_ok cgroups_gone || fail "cgroups left"
}
t_refusals() {
	local p; for p in session grpc; do api POST /$p -H 'Connection: Upgrade' -H 'Upgrade: h2c' >"$T/o"; eq "$(status)" 501; has "$(cat "$T/o")" "BuildKit is not part of this engine"; done
	api POST "/build?version=2" -H 'Content-Type: application/x-tar' >"$T/o"; eq "$(status)" 400; has "$(cat "$T/o")" "--driver docker-container"; eq "$(curl -sI --unix-socket "$SOCK" http://d/_ping | tr -d '\r' | grep -i builder-version)" "Builder-Version: 1"
	# a client without buildx builds as ever when nothing is said
	printf 'FROM busybox\nENV A=1\n' >"$T/Dockerfile"; OUT=$(env -u DOCKER_BUILDKIT DOCKER_CONFIG="$T/none" docker build -t "$C" "$T" 2>&1) || fail "$OUT"; has "$OUT" "Successfully built"
}
t_buildx() {
	docker buildx version >/dev/null 2>&1 || { echo "    (no docker buildx here)"; return 0; }
	printf '[worker.oci]\nmax-parallelism = 4\n' >"$T/bk.toml"
	out docker buildx create --name "$C" --driver docker-container --driver-opt "image=fakebuildkit,network=host,cgroup-parent=$CG" --config "$T/bk.toml"
	OUT=$(timeout 60 docker buildx inspect --bootstrap "$C" 2>&1); has "$OUT" "booting buildkit"; has "$OUT" "creating container buildx_buildkit_${C}0"; eq "$(i "buildx_buildkit_${C}0" '{{.State.Running}}')" true
	has "$(docker logs "buildx_buildkit_${C}0")" "max-parallelism = 4"; out docker buildx stop "$C"; eq "$(i "buildx_buildkit_${C}0" '{{.State.Status}} {{.State.ExitCode}}')" "exited 0"; out docker buildx rm "$C"; eq "$(docker ps -aq | wc -l)" 0; eq "$(docker volume ls -q | wc -l)" 0; until_ok cgroups_gone || fail "cgroups left"
}
for f in $(declare -F | awk '{print $3}' | grep '^t_'); do check "${f#t_}" "$f"; done
