#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""bench.py - the engine beside dockerd and podman, where they are installed: medians and ratios of one run.

    bench.py [--only REGEX] [--engines sdc,dockerd,podman]

A ratio above 1 means that we are better: more per second, or less time, CPU or memory.

Each engine lives in a network namespace and below a folder of its own; only what this started is ended.
"""
import argparse, calendar, glob, http.client, io, json, os, re, shutil, signal, socket, statistics, struct, subprocess, sys, tarfile, tempfile, time

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


class Engine:
    """One engine: start, stop, its socket, and which processes are its own (by a regex on their command lines)."""

    def __init__(self, name, base):
        self.name, self.base = name, os.path.join(base, name)
        os.makedirs(self.base)
        self.sock = os.path.join(self.base, 'docker.sock')
        self.ns = 'sdcb%d%s' % (os.getpid() % 10000, name[0])
        self.proc = None
        self.skip = None

    def spawn(self, argv, **kw):
        log = open(os.path.join(self.base, 'log'), 'ab')
        return subprocess.Popen(['nsenter', '--net=/run/netns/' + self.ns] + argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                start_new_session=True, **kw)

    def start(self):
        subprocess.run(['ip', 'netns', 'add', self.ns], check=True)
        subprocess.run(['ip', '-n', self.ns, 'link', 'set', 'lo', 'up'], check=True)
        b = self.base
        if self.name == 'sdc':
            self.proc = self.spawn([BIN + '/apiserver', '--root', b])
            self.own = r'(^|/)(apiserver|logsvc|zoneadmd|logger) .*' + re.escape(b)
            self.driver = 'json-file'
        elif self.name == 'dockerd':
            self.proc = self.spawn(['dockerd', '--data-root', b + '/data', '--exec-root', b + '/x', '-H', 'unix://' + self.sock, '-p', b + '/pid',
                                    '--bip', '172.30.0.1/16'])
            self.own = r'(dockerd|containerd|docker-proxy|runc).*' + re.escape(b)
            self.driver = 'json-file'
        else:
            conf = os.path.join(b, 'containers.conf')
            open(conf, 'w').write('[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1000:1000"]\nlog_driver="k8s-file"\n'
                                  '[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\n')
            cmd = ('umount /sys/fs/cgroup/unified 2>/dev/null; exec podman --root %s/r --runroot %s/rr --tmpdir %s/t system service -t 0 unix://%s'
                   % (b, b, b, self.sock))
            self.proc = self.spawn(['unshare', '-m', 'sh', '-c', cmd], env=dict(os.environ, CONTAINERS_CONF=conf))
            self.own = r'(podman|conmon).*' + re.escape(b)
            self.driver = 'k8s-file'
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
            for p in self.pids():
                if p != os.getpid():
                    try:
                        os.kill(p, signal.SIGTERM)
                    except ProcessLookupError:
                        pass
            for _ in range(100):
                if not self.pids():
                    break
                time.sleep(0.1)
            for p in self.pids():
                os.kill(p, signal.SIGKILL)
        subprocess.run(['ip', 'netns', 'del', self.ns])

    def pids(self):
        out = []
        for d in glob.glob('/proc/[0-9]*'):
            try:
                c = open(d + '/cmdline', 'rb').read().replace(b'\0', b' ').decode('latin1')
            except OSError:
                continue
            if re.search(self.own, c) and not c.startswith(('ip ', 'python', 'unshare ', 'sh ')):
                out.append(int(d[6:]))
        return out

    def cpu(self):
        t = 0
        for p in self.pids():
            try:
                f = open('/proc/%d/stat' % p).read().rsplit(')', 1)[1].split()
                t += int(f[11]) + int(f[12]) + int(f[13]) + int(f[14])
            except OSError:
                pass
        return t / os.sysconf('SC_CLK_TCK')

    def pss(self):
        t = 0
        for p in self.pids():
            try:
                t += int(re.search(r'^Pss:\s+(\d+)', open('/proc/%d/smaps_rollup' % p).read(), re.M).group(1))
            except (OSError, AttributeError):
                pass
        return t

    def req(self, method, path, body=None, headers=None):
        if not getattr(self, 'conn', None):
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

    def image(self, tar):
        with open(tar, 'rb') as f:
            s, b = self.req('POST', '/v1.41/images/create?fromSrc=-&repo=bench&tag=latest', f.read(), {'Content-Type': 'application/x-tar'})
        assert s == 200, (s, b)

    def create(self, cmd, net='none', **host):
        hc = {'NetworkMode': net}
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
        s, b = self.req('DELETE', '/v1.41/containers/%s?force=1' % c)
        assert s == 204, (s, b)


def ms(fn):
    t = time.perf_counter()
    fn()
    return (time.perf_counter() - t) * 1000


def cycle(e, net):
    def one():
        c = e.run_once(['/loggen', '0', '20', 'line'], net)
        e.wait(c)
        e.rm(c)
    one()
    return statistics.median(ms(one) for _ in range(7))


def exec_latency(e):
    c = e.run_once(['/loggen', '100000', '20', 'line', '0.1'])

    def one():
        s, b = e.req('POST', '/v1.41/containers/%s/exec' % c, {'AttachStdout': True, 'Cmd': ['/loggen', '0', '20', 'line']})
        i = json.loads(b)['Id']
        h = UnixHTTP(e.sock)
        h.request('POST', '/v1.41/exec/%s/start' % i, '{"Detach":false}', {'Content-Type': 'application/json', 'Connection': 'close'})
        h.getresponse().read()
        h.close()
    one()
    v = statistics.median(ms(one) for _ in range(15))
    e.rm(c)
    return v


def capture(e, lines, length, mode):
    cpu = e.cpu()
    t = time.perf_counter()
    c = e.run_once(['/loggen', str(lines), str(length), mode], LogConfig={'Type': e.driver, 'Config': {}})
    assert e.wait(c) == 0
    dt = time.perf_counter() - t
    cpu = e.cpu() - cpu
    return c, lines / dt, cpu / (lines * length / 1e9)


def capture_rate(length, mode, lines):
    def f(e):
        n = lines if e.name != 'dockerd' else max(lines // 8, 1)
        rates, cpus = [], []
        for _ in range(3):
            c, r, s = capture(e, n, length, mode)
            rates.append(r)
            cpus.append(s)
            e.rm(c)
        e.results.append(('capture %d B %s: engine CPU' % (length, mode), 's/GB', statistics.median(cpus), False))
        return statistics.median(rates)
    return f


FORWARD = {  # driver and transport: options, logsink's arguments, lines for us and for the others
    'syslog tcp': ('syslog', {'syslog-address': 'tcp://127.0.0.1:7001'}, ['tcp', '7001', 'nl'], 3000000),
    'syslog udp': ('syslog', {'syslog-address': 'udp://127.0.0.1:7002'}, ['udp', '7002', 'nl'], 2000000),
    'fluentd': ('fluentd', {'fluentd-address': '127.0.0.1:7003'}, ['tcp', '7003', 'fluentd'], 3000000),
    'gelf tcp': ('gelf', {'gelf-address': 'tcp://127.0.0.1:7004'}, ['tcp', '7004', 'nul'], 2000000),
    'gelf udp, not compressed': ('gelf', {'gelf-address': 'udp://127.0.0.1:7005', 'gelf-compression-type': 'none'}, ['udp', '7005', 'nl'], 2000000),
    'gelf udp, gzip': ('gelf', {'gelf-address': 'udp://127.0.0.1:7006'}, ['udp', '7006', 'nl'], 500000),
}


def forward_once(e, name, lines):
    driver, opts, sink, _ = FORWARD[name]
    p = subprocess.Popen(['nsenter', '--net=/run/netns/' + e.ns, TOOLS + '/logsink'] + sink + [str(lines)], stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    cpu = e.cpu()
    c = e.run_once(['/loggen', str(lines), '100', 'bulk'], 'host', LogConfig={'Type': driver, 'Config': opts})
    out, _ = p.communicate(timeout=120)
    cpu = e.cpu() - cpu
    e.wait(c)
    n, sec = out.split()
    e.rm(c)
    if sink[0] == 'tcp':
        assert int(n) == lines, (n, lines)
    return int(n) / float(sec), cpu / (lines / 1e6)


def forward_rate(name):
    def f(e):
        n = FORWARD[name][3] if e.name == 'sdc' else FORWARD[name][3] // 15
        runs = [forward_once(e, name, n) for _ in range(3)]
        e.results.append(('forward %s: engine CPU' % name, 's/M lines', statistics.median(r[1] for r in runs), False))
        return statistics.median(r[0] for r in runs)
    return f


def read_body(e, path):
    h = UnixHTTP(e.sock)
    h.request('GET', path)
    r = h.getresponse()
    n = 0
    while True:
        b = r.read(1 << 20)
        if not b:
            break
        n += len(b)
    h.close()
    return n


def big_log(e):
    if not getattr(e, 'big', None):
        opts = {'max-size': '2g'} if e.name == 'sdc' else {}
        e.big = e.run_once(['/loggen', '3000000', '100', 'bulk'], LogConfig={'Type': e.driver, 'Config': opts})
        assert e.wait(e.big) == 0
    return e.big


def read_tail(e):
    c = big_log(e)
    p = '/v1.41/containers/%s/logs?stdout=1&tail=10' % c
    read_body(e, p)
    return statistics.median(ms(lambda: read_body(e, p)) for _ in range(9))


def read_whole(e):
    c = big_log(e)
    t = time.perf_counter()
    n = read_body(e, '/v1.41/containers/%s/logs?stdout=1' % c)
    assert n > 300e6, n
    return n / 1e6 / (time.perf_counter() - t)


def read_since(e):
    """--since the time of the 15,000th line from the end: seeking, not output, is measured."""
    c = big_log(e)
    h = UnixHTTP(e.sock)
    h.request('GET', '/v1.41/containers/%s/logs?stdout=1&tail=15000&timestamps=1' % c)
    first = h.getresponse().read()[8:].split(b' ')[0].decode()
    h.close()
    sec = calendar.timegm(time.strptime(first[:19], '%Y-%m-%dT%H:%M:%S'))
    frac = re.sub(r'[^0-9].*', '', first[20:]).ljust(9, '0')[:9]
    p = '/v1.41/containers/%s/logs?stdout=1&since=%d.%s' % (c, sec, frac)
    return statistics.median(ms(lambda: read_body(e, p)) for _ in range(3))


def load(path, conns):
    def f(e):
        return float(subprocess.run([TOOLS + '/httpload', e.sock, path, str(conns), '2'], capture_output=True, text=True, check=True).stdout)
    return f


def idle_memory(e):
    base = e.pss()
    cs = [e.run_once(['/loggen', '100000', '20', 'line', '0.01']) for _ in range(20)]
    time.sleep(1)
    v = (e.pss() - base) / len(cs)
    for c in cs:
        e.rm(c)
    return v


def daemons_memory(e):
    return e.pss() / 1024


def many_writers(e):
    cs = [e.run_once(['/loggen', '30000', '100', 'line', '2000']) for _ in range(50)]
    time.sleep(1)
    cpu, t = e.cpu(), time.perf_counter()
    time.sleep(3)
    v = (e.cpu() - cpu) / (time.perf_counter() - t)
    for c in cs:
        e.rm(c)
    return v


def build_tar(dockerfile, files=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as t:
        for name, data in [('Dockerfile', dockerfile.encode())] + list(files):
            i = tarfile.TarInfo(name)
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def build_once(e, tar, query=''):
    s, b = e.req('POST', '/v1.41/build?t=benchbuild&' + query, tar, {'Content-Type': 'application/x-tar'})
    assert s == 200 and b'Successfully built' in b, (s, b[-500:])


TEN_RUNS = 'FROM bench\n' + 'RUN ["/loggen", "0", "20", "line"]\n' * 10


def build_runs(e):
    tar = build_tar(TEN_RUNS)
    build_once(e, tar, 'nocache=1')
    return statistics.median(ms(lambda: build_once(e, tar, 'nocache=1')) for _ in range(5))


def build_cached(e):
    tar = build_tar(TEN_RUNS)
    build_once(e, tar)
    return statistics.median(ms(lambda: build_once(e, tar)) for _ in range(11))


def build_context(e):
    """100 files of 1 MB, new ones each time: upload, hash, copy, layer."""
    times = []
    for k in range(3):
        tar = build_tar('FROM bench\nCOPY d /d\n', [('d/%d' % i, os.urandom(1000000)) for i in range(100)])
        times.append(ms(lambda: build_once(e, tar)))
    return statistics.median(times)


MEASURES = [  # name, unit, function, higher is better
    ('GET /_ping, 1 connection', 'req/s', load('/_ping', 1), True),
    ('GET /_ping, 8 connections', 'req/s', load('/_ping', 8), True),
    ('GET /version', 'req/s', load('/version', 1), True),
    ('daemons idle, memory', 'MiB PSS', daemons_memory, False),
    ('create+start+wait+remove, no network', 'ms', lambda e: cycle(e, 'none'), False),
    ('create+start+wait+remove, bridge', 'ms', lambda e: cycle(e, 'bridge'), False),
    ('exec', 'ms', exec_latency, False),
    ('memory per idle container', 'KiB PSS', idle_memory, False),
    ('capture 100 B bulk', 'lines/s', capture_rate(100, 'bulk', 8000000), True),
    ('capture 100 B line', 'lines/s', capture_rate(100, 'line', 4000000), True),
    ('capture 20 B bulk', 'lines/s', capture_rate(20, 'bulk', 16000000), True),
    ('capture 1000 B bulk', 'lines/s', capture_rate(1000, 'bulk', 1000000), True),
    *[('forward 100 B, %s' % k, 'lines/s', forward_rate(k), True) for k in FORWARD],
    ('50 containers at 2000 lines/s: engine CPU', 'cores', many_writers, False),
    ('logs --tail 10 of 3 M lines', 'ms', read_tail, False),
    ('logs --since the last 15,000 lines', 'ms', read_since, False),
    ('logs, whole', 'MB/s', read_whole, True),
    ('build, 10 RUN', 'ms', build_runs, False),
    ('build, 10 RUN, all cached', 'ms', build_cached, False),
    ('build, COPY of 100 MB', 'ms', build_context, False),
]


def main():
    global TOOLS
    ap = argparse.ArgumentParser()
    ap.add_argument('--only', default='')
    ap.add_argument('--engines', default='sdc,dockerd,podman')
    a = ap.parse_args()
    base = tempfile.mkdtemp(prefix='sdcb')
    TOOLS = base + '/tools'
    os.makedirs(TOOLS + '/root')
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(['gcc', '-O2', '-static', '-o', TOOLS + '/root/loggen', here + '/loggen.c'], check=True)
    subprocess.run(['gcc', '-D_GNU_SOURCE', '-O2', '-o', TOOLS + '/httpload', here + '/httpload.c'], check=True)
    subprocess.run(['gcc', '-O3', '-o', TOOLS + '/logsink', here + '/logsink.c'], check=True)
    subprocess.run(['tar', '-C', TOOLS + '/root', '-cf', TOOLS + '/image.tar', '.'], check=True)
    engines = []
    for n in a.engines.split(','):
        if n == 'sdc' or shutil.which(n):
            engines.append(Engine(n, base))
        else:
            print('%s is not installed: left out' % n)
    try:
        for e in list(engines):
            try:
                e.results = []
                e.start()
                e.image(TOOLS + '/image.tar')
            except Exception as x:
                print('%s: %s' % (e.name, x))
                e.stop()
                engines.remove(e)
        names = [e.name for e in engines]
        print('%-46s %-9s' % ('', '') + ''.join('%16s' % n for n in names) + ''.join('%14s' % ('vs ' + n) for n in names[1:]))
        for name, unit, fn, higher in MEASURES:
            if a.only and not re.search(a.only, name):
                continue
            vals, extra = [], []
            for e in engines:
                e.results = []
                try:
                    vals.append(fn(e))
                except Exception as x:
                    print('  %s, %s: %r' % (name, e.name, x))
                    vals.append(None)
                    e.conn = None
                extra.append(e.results)
            row(name, unit, vals, higher)
            if all(extra):
                for k, (n2, u2, _, h2) in enumerate(extra[0]):
                    row(n2, u2, [x[k][2] for x in extra], h2)
            sys.stdout.flush()
    finally:
        for e in engines:
            e.stop()
        shutil.rmtree(base, ignore_errors=True)


def row(name, unit, vals, higher):
    def f(v):
        return 'n/a' if v is None else '%.3g' % v if v < 1000 else '%d' % v
    ratios = ''
    for v in vals[1:]:
        ok = v and vals[0]
        ratios += '%14s' % ('%.2fx' % ((vals[0] / v) if higher else (v / vals[0])) if ok else 'n/a')
    print('%-46s %-9s' % (name, unit) + ''.join('%16s' % f(v) for v in vals) + ratios)


main()
