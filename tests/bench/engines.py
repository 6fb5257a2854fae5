# SPDX-License-Identifier: MPL-2.0
"""engines.py - one container engine under measurement: start, stop, its API, its processes.

Each lives in a network namespace, a cgroup for its CPU time (where there is a controller for it) and below a folder
of its own; only what was started here is ended.
"""
import copy, glob, http.client, json, os, re, signal, socket, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(TOP, 'build/release/bin')


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('d', timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self.path)


class CpuGroup:
    """Counts the CPU time of an engine, its short-lived children included; its containers are in groups of their own."""

    def __init__(self, name):
        v1 = '/sys/fs/cgroup/cpuacct'
        v2 = '/sys/fs/cgroup'
        self.path = self.usage = None
        if os.path.isdir(v1):
            self.path, self.usage = os.path.join(v1, name), self.v1
        elif os.path.exists(v2 + '/cgroup.controllers'):
            self.path, self.usage = os.path.join(v2, name), self.v2
        if self.path:
            try:
                os.makedirs(self.path, exist_ok=True)
            except OSError:
                self.path = None

    def v1(self):
        return int(open(self.path + '/cpuacct.usage').read()) / 1e9

    def v2(self):
        return int(re.search(r'^usage_usec (\d+)', open(self.path + '/cpu.stat').read(), re.M).group(1)) / 1e6

    def enter(self):
        if self.path:
            open(self.path + '/cgroup.procs', 'w').write(str(os.getpid()))

    def remove(self):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


class Engine:
    def __init__(self, name, base):
        self.name, self.base = name, os.path.join(base, name)
        os.makedirs(self.base)
        self.sock = os.path.join(self.base, 'docker.sock')
        self.ns = 'sdcb%d%s' % (os.getpid() % 10000, name[0])
        self.group = CpuGroup(self.ns)
        self.monitors = CpuGroup(self.ns + 'c/conmon') if name == 'podman' else None  # podman moves what captures its logs there
        self.proc = self.conn = None
        self.kept = {}  # what a measure keeps for its next sample

    def spawn(self, argv, **kw):
        log = open(os.path.join(self.base, 'log'), 'ab')
        return subprocess.Popen(['nsenter', '--net=/run/netns/' + self.ns] + argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                start_new_session=True, **kw)

    def start(self):
        subprocess.run(['ip', 'netns', 'add', self.ns], check=True)
        subprocess.run(['ip', '-n', self.ns, 'link', 'set', 'lo', 'up'], check=True)
        b = self.base
        self.driver = 'json-file'
        kw = {'preexec_fn': self.group.enter}
        if self.name == 'sdc':
            self.proc = self.spawn([BIN + '/apiserver', '--root', b], **kw)
            self.own = r'(^|/)(apiserver|logsvc|zoneadmd|logger) .*' + re.escape(b)
        elif self.name == 'dockerd':
            self.proc = self.spawn(['dockerd', '--data-root', b + '/data', '--exec-root', b + '/x', '-H', 'unix://' + self.sock, '-p', b + '/pid',
                                    '--bip', '172.30.0.1/16'], **kw)
            self.own = r'(dockerd|containerd|docker-proxy|runc).*' + re.escape(b)
        else:
            self.driver = 'k8s-file'
            conf = os.path.join(b, 'containers.conf')
            open(conf, 'w').write('[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1000:1000"]\nlog_driver="k8s-file"\n'
                                  '[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\n')
            cmd = ('umount /sys/fs/cgroup/unified 2>/dev/null; exec podman --root %s/r --runroot %s/rr --tmpdir %s/t system service -t 0 unix://%s'
                   % (b, b, b, self.sock))
            self.proc = self.spawn(['unshare', '-m', 'sh', '-c', cmd], env=dict(os.environ, CONTAINERS_CONF=conf), **kw)
            self.own = r'(podman|conmon).*' + re.escape(b)
        end = time.time() + 30
        while time.time() < end:
            try:
                if self.get('/_ping')[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(self.name + ' did not start: ' + open(os.path.join(b, 'log')).read()[-500:])

    def stop(self):
        try:
            for c in json.loads(self.get('/v1.41/containers/json?all=1')[1]):
                self.req('DELETE', '/v1.41/containers/%s?force=1' % c['Id'])
        except Exception as e:
            print('cleaning up %s: %s' % (self.name, e), file=sys.stderr)
        if self.proc:
            self.kill(signal.SIGTERM)
            for _ in range(100):
                if not self.pids():
                    break
                time.sleep(0.1)
            self.kill(signal.SIGKILL)
        subprocess.run(['ip', 'netns', 'del', self.ns])
        self.group.remove()
        if self.monitors:
            for d in sorted(glob.glob('/sys/fs/cgroup/*/%sc/*/' % self.ns) + glob.glob('/sys/fs/cgroup/*/%sc/' % self.ns), reverse=True):
                os.rmdir(d)

    def kill(self, signo):
        for p in self.pids():
            try:
                os.kill(p, signo)
            except ProcessLookupError:
                pass

    # ---- its processes

    def pids(self, own=None):
        """All whose command line says so, and the children that apiserver has made of itself."""
        out, parents, ours = [], {}, set()
        for d in glob.glob('/proc/[0-9]*'):
            try:
                c = open(d + '/cmdline', 'rb').read().replace(b'\0', b' ').decode('latin1')
                if own is None and re.search(r'/apiserver --', c):
                    parents[int(d[6:])] = int(open(d + '/stat').read().rsplit(')', 1)[1].split()[1])
            except OSError:
                continue
            if re.search(own or self.own, c) and not c.startswith(('ip ', 'python', 'unshare ', 'sh ')):
                out.append(int(d[6:]))
        ours.update(out)
        while self.name == 'sdc':
            more = {p for p in parents if parents[p] in ours and p not in ours}
            if not more:
                break
            ours |= more
        return sorted(ours)

    def cpu(self):
        """Seconds so far."""
        if self.group.path:
            return self.group.usage() + (self.monitors.usage() if self.monitors and self.monitors.path else 0)
        t = 0
        for p in self.pids():
            try:
                f = open('/proc/%d/stat' % p).read().rsplit(')', 1)[1].split()
                t += int(f[11]) + int(f[12]) + int(f[13]) + int(f[14])
            except OSError:
                pass
        return t / os.sysconf('SC_CLK_TCK')

    def pss(self, own=None):
        return sum(pss_of(p) for p in self.pids(own))

    # ---- its API

    def req(self, method, path, body=None, headers=None):
        if not self.conn:
            self.conn = UnixHTTP(self.sock)
        h = {'Content-Type': 'application/json'} if isinstance(body, (dict, list)) else {}
        h.update(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            self.conn.request(method, path, body, h)
            r = self.conn.getresponse()
            return r.status, r.read()
        except Exception:
            self.conn.close()
            self.conn = None
            raise

    def get(self, path):
        return self.req('GET', path)

    def upload(self, path, file):
        """POSTs a file with as little work of ours as there can be."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.sock)
        with open(file, 'rb') as f:
            s.sendall(('POST %s HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: %d\r\nConnection: close\r\n\r\n'
                       % (path, os.path.getsize(file))).encode())
            s.sendfile(f)
        r = http.client.HTTPResponse(s)
        r.begin()
        text = r.read()
        s.close()
        assert r.status == 200 and b'errorDetail' not in text, (r.status, text[-500:])

    def image(self, tar):
        self.upload('/v1.41/images/create?fromSrc=-&repo=bench&tag=latest', tar)

    def create(self, cmd, net='none', **host):
        hc = {'NetworkMode': net}
        if self.monitors:
            hc['CgroupParent'] = '/' + self.ns + 'c'
        hc.update(host)
        s, b = self.req('POST', '/v1.41/containers/create', {'Image': 'bench', 'Cmd': cmd, 'HostConfig': hc})
        assert s == 201, (s, b)
        return json.loads(b)['Id']

    def run_once(self, cmd, net='none', **host):
        c = self.create(cmd, net, **host)
        s, b = self.req('POST', '/v1.41/containers/%s/start' % c)
        assert s == 204, (s, b)
        return c

    def wait(self, c):
        return json.loads(self.req('POST', '/v1.41/containers/%s/wait' % c)[1])['StatusCode']

    def rm(self, c):
        for _ in range(50):
            s, b = self.req('DELETE', '/v1.41/containers/%s?force=1' % c)
            if b'container state improper' not in b:  # podman, of one that ends just now
                break
            time.sleep(0.1)
        assert s in (200, 204), (s, b)

    def twin(self):
        """The same engine by another connection."""
        e = copy.copy(self)
        e.conn = None
        return e

    def run_many(self, n, cmd):
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.twin().run_once(cmd), range(n)))

    def rm_many(self, cs):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda c: self.twin().rm(c), cs))


def frames_of(body):
    """What is in the frames of a stream: [(1 or 2, bytes)]."""
    out = []
    while len(body) >= 8:
        n = int.from_bytes(body[4:8], 'big')
        out.append((body[0], body[8:8 + n]))
        body = body[8 + n:]
    return out


def pss_of(pid):
    """KiB; 0: it has gone."""
    try:
        return int(re.search(r'^Pss:\s+(\d+)', open('/proc/%d/smaps_rollup' % pid).read(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


def cpu_ns_of(pid):
    """Nanoseconds that the threads of a process have run, and how often they went to sleep."""
    ns = sleeps = 0
    for t in glob.glob('/proc/%d/task/*' % pid):
        try:
            ns += int(open(t + '/schedstat').read().split()[0])
            sleeps += int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)', open(t + '/status').read(), re.M).group(1))
        except OSError:  # it has gone
            pass
    return ns, sleeps
