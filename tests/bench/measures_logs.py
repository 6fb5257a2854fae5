# SPDX-License-Identifier: MPL-2.0
"""measures_logs.py - capture, reading back, forwarding, and what waiting costs.

The rate of capture is told by the writer itself (loggen's last line): what is measured is how fast lines are taken off
its hands. The rate of forwarding is the sink's: from the first line to the last, each of which it has checked.
"""
import calendar, os, re, statistics, subprocess, threading, time

from engines import UnixHTTP, cpu_ns_of, frames_of, pss_of
from measures_engine import ms, row

TOOLS = None
SINKS = []


def clean_up():
    while SINKS:
        p = SINKS.pop()
        p.kill()
        p.wait()


# ---- capture

def seconds_of(e, c):
    """How long the writing took. (Podman's last line may be two, where its monitor's buffer ended.)"""
    for _ in range(100):
        s, b = e.get('/v1.41/containers/%s/logs?stdout=1&tail=2' % c)
        m = re.search(rb'000000000000 ([0-9]+\.[0-9]+)', b''.join(d for _, d in frames_of(b)).replace(b'\n', b''))
        if m:
            return float(m.group(1))
        time.sleep(0.1)
    raise AssertionError(b[-200:])


LOGGERS = r'(^|/)logger .*'


def logger_cpu(e):
    """Seconds of the loggers that run: the engine's group lacks them, since they are charged to their zones."""
    return sum(cpu_ns_of(p)[0] for p in e.pids(LOGGERS + re.escape(e.base))) / 1e9


def capture(e, lines, length, mode, net='none', config=None):
    cpu = e.cpu()
    c = e.run_once(['/loggen', str(lines), str(length), mode], net, LogConfig=config or {'Type': e.driver, 'Config': {}})
    assert e.wait(c) == 0
    cpu = e.cpu() - cpu + logger_cpu(e)
    rate = lines / seconds_of(e, c)
    e.rm(c)
    return rate, cpu / (lines * length / 1e9)


def capture_rate(length, mode, lines):
    name = 'capture %d B %s' % (length, mode)

    def f(e):
        r, s = capture(e, lines if e.name == 'sdc' else lines // 8, length, mode)
        return [(name, 'lines/s', r, True), (name + ': engine CPU', 's/GB', s, False)]
    return row(name, 'lines/s', f, True)


DOWN = 'capture 100 B bulk, sink down'
DOWN_PLAIN, DOWN_KEPT = DOWN + ': of the rate of json-file', DOWN + ': of that with as many files kept'


down_first = False


def capture_down(e):
    """With a forwarder that cannot forward; without one, by default, where files go while the log grows; and without one but with
    as many files kept, not compressed, as a forwarder's are that waits. The first and the last by turns come first: what the one
    leaves (memory to be cleaned, pages to be written) the next one meets."""
    global down_first
    lines = 4000000
    kept = {'max-size': '50m', 'max-file': '1000', 'compress': 'false'}

    def with_a_forwarder():
        r = capture(e, lines, 100, 'bulk', 'host', {'Type': 'syslog', 'Config': {'syslog-address': 'tcp://127.0.0.1:7999'}})
        s = Sink(e, ['tcp', '7999', 'nl'], lines)  # it is back, and has what waited
        try:
            assert s.result()[1] == lines
            no_logger(e)
        finally:
            s.end()
        return r

    plain, cpu_plain = capture(e, lines, 100, 'bulk')
    down_first = not down_first
    if down_first:
        down, cpu_down = with_a_forwarder()
    alike, cpu_alike = capture(e, lines, 100, 'bulk', config={'Type': 'json-file', 'Config': kept})
    if not down_first:
        down, cpu_down = with_a_forwarder()
    return [(DOWN, 'lines/s', down, True), (DOWN_PLAIN, '%', 100 * down / plain, True), (DOWN_KEPT, '%', 100 * down / alike, True),
            (DOWN + ': engine CPU', 's/GB', cpu_down, False), (DOWN + ': engine CPU of json-file', 's/GB', cpu_plain, False),
            (DOWN + ': engine CPU of that with files kept', 's/GB', cpu_alike, False)]


def many_writers(e):
    cs = [e.run_once(['/loggen', '30000', '100', 'line', '2000']) for _ in range(50)]
    time.sleep(1)
    cpu, t = e.cpu(), time.perf_counter()
    time.sleep(3)
    v = (e.cpu() - cpu) / (time.perf_counter() - t)
    for c in cs:
        e.rm(c)
    return v


# ---- reading

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
    if 'big' not in e.kept:
        opts = {'max-size': '2g'} if e.name == 'sdc' else {}
        e.kept['big'] = c = e.run_once(['/loggen', '3000000', '100', 'bulk'], LogConfig={'Type': e.driver, 'Config': opts})
        assert e.wait(c) == 0
    return e.kept['big']


def read_tail(e):
    p = '/v1.41/containers/%s/logs?stdout=1&tail=10' % big_log(e)
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
    return ms(lambda: read_body(e, p))


# ---- forwarding

FORWARD = {  # driver and transport: options, logsink's arguments, lines for us and for the others
    'syslog tcp': ('syslog', {'syslog-address': 'tcp://127.0.0.1:7001'}, ['tcp', '7001', 'nl'], 3000000, 200000),
    'fluentd': ('fluentd', {'fluentd-address': '127.0.0.1:7003'}, ['tcp', '7003', 'fluentd'], 3000000, 200000),
    'gelf tcp': ('gelf', {'gelf-address': 'tcp://127.0.0.1:7004'}, ['tcp', '7004', 'nul'], 3000000, 200000),
    'syslog udp': ('syslog', {'syslog-address': 'udp://127.0.0.1:7002'}, ['udp', '7002', 'nl'], 1000000, 200000),
    'gelf udp, not compressed': ('gelf', {'gelf-address': 'udp://127.0.0.1:7005', 'gelf-compression-type': 'none'}, ['udp', '7005', 'nul'],
                                 1000000, 200000),
    'gelf udp, gzip': ('gelf', {'gelf-address': 'udp://127.0.0.1:7006'}, ['udp', '7006', 'count'], 300000, 30000),
}


class Sink:
    """logsink in an engine's network."""

    def __init__(self, e, args, lines):
        self.p = subprocess.Popen(['nsenter', '--net=/run/netns/' + e.ns, TOOLS + '/logsink'] + args + [str(lines)], stdout=subprocess.PIPE,
                                  text=True)
        SINKS.append(self.p)
        time.sleep(0.2)
        assert self.p.poll() is None, 'the sink has not started'

    def result(self):
        """messages, different lines, repeated, disordered, seconds"""
        got = []
        t = threading.Thread(target=lambda: got.append(self.p.stdout.readline()), daemon=True)
        t.start()
        t.join(120)
        assert got, 'nothing has come'
        v = got[0].split()
        return [int(x) for x in v[:4]] + [float(v[4])]

    def end(self):
        self.p.kill()
        self.p.wait()
        if self.p in SINKS:
            SINKS.remove(self.p)


def no_logger(e):
    """It outlives the container until it knows that the sink has all: the next one would be sent the rest."""
    for _ in range(400):
        if not e.pids(LOGGERS + re.escape(e.base)):
            return
        time.sleep(0.1)
    raise AssertionError('a logger is left')


def forward_rate(name):
    driver, opts, sink, ours, theirs = FORWARD[name]
    name = 'forward 100 B, ' + name

    def f(e):
        lines = ours if e.name == 'sdc' else theirs
        s = Sink(e, sink, lines)
        cpu = e.cpu()
        try:
            c = e.run_once(['/loggen', str(lines), '100', 'bulk'], 'host', LogConfig={'Type': driver, 'Config': opts})
            messages, different, repeated, disordered, sec = s.result()
            cpu = e.cpu() - cpu + logger_cpu(e)
            e.wait(c)
            e.rm(c)
            no_logger(e)
        finally:
            s.end()
        if sink[0] == 'tcp':
            assert (different, repeated, disordered) == (lines, 0, 0), (messages, different, repeated, disordered)
        out = [(name, 'lines/s', different / sec, True), (name + ': engine CPU', 's/M lines', cpu / (different / 1e6), False)]
        if sink[0] == 'udp':
            out.append((name + ': arrived', '%', 100 * different / lines, True))
        return out
    return row(name, 'lines/s', f, True, engines='sdc dockerd',
               promise={name: dict(least=500000, times=5)} if sink[0] == 'tcp' else {})


# ---- the logger's memory (there is none elsewhere)

LOGGER = 'a logger, '


def logger_memory(driver, opts):
    """Connected and idle; then with its sink gone and a gigabyte waiting; then while it sends that."""
    def f(e):
        own = LOGGERS + re.escape(e.base)
        sink = dict(syslog=['tcp', '7001', 'nl'], fluentd=['tcp', '7001', 'fluentd'], gelf=['tcp', '7001', 'nul'])[driver]
        clean_up()
        s = Sink(e, sink, 1)
        c = e.run_once(['/loggen', '100000', '100', 'line', '20'], 'host', LogConfig={'Type': driver, 'Config': opts})
        s.result()
        time.sleep(1)
        idle = e.pss(own)
        e.rm(c)
        no_logger(e)
        s.end()
        c = e.run_once(['/loggen', '6000000', '100', 'bulk'], 'host', LogConfig={'Type': driver, 'Config': opts})
        seconds_of(e, c)
        time.sleep(1)
        behind = e.pss(own)
        s = Sink(e, sink, 6000000)
        peak = Peak(lambda: e.pss(own), 0.05)
        s.result()
        sending = peak.end()
        e.rm(c)
        no_logger(e)
        s.end()
        return [(LOGGER + driver + ': idle', 'KiB PSS', idle, False), (LOGGER + driver + ': 1 GB waits', 'KiB PSS', behind, False),
                (LOGGER + driver + ': sends it', 'KiB PSS', sending, False)]
    return row(LOGGER + driver, 'KiB PSS', f, False, engines='sdc', rounds=1,
               promise={LOGGER + driver + x: dict(most=3072) for x in (': idle', ': 1 GB waits', ': sends it')})


class Peak:
    """The highest of what fn says until end()."""

    def __init__(self, fn, every):
        self.fn, self.every, self.highest, self.over = fn, every, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            self.highest = max(self.highest, self.fn())
            time.sleep(self.every)

    def end(self):
        self.over = True
        self.thread.join()
        return self.highest


# ---- waiting

IDLE = 'idle zones: '


def idle_zones(e):
    """Containers that print nothing: what the log's side of each costs. Of the others as few as tell."""
    n = 1000 if e.name == 'sdc' else 30
    own = r'(^|/)logsvc .*' + re.escape(e.base) if e.name == 'sdc' else e.own
    before = e.pss(own)
    cs = e.run_many(n, ['/loggen', '100000', '20', 'line', '0.001'])
    time.sleep(3)
    grown = e.pss(own) - before
    pids = e.pids(own)
    a, t = [cpu_ns_of(p) for p in pids], time.perf_counter()
    time.sleep(10)
    sec = time.perf_counter() - t
    b = [cpu_ns_of(p) for p in pids]
    ns = sum(y[0] - x[0] for x, y in zip(a, b))
    sleeps = sum(y[1] - x[1] for x, y in zip(a, b))
    e.rm_many(cs)
    return [(IDLE + 'memory of logsvc (or the engine) for each', 'KiB PSS', grown / n, False),
            (IDLE + '1000 cost', 'ms/s CPU', ns / 1e6 / sec * 1000 / n, False),
            (IDLE + '1000 wake up', '/s', sleeps / sec * 1000 / n, False)]


MEASURES = [
    capture_rate(100, 'bulk', 8000000),
    capture_rate(100, 'line', 4000000),
    capture_rate(20, 'bulk', 16000000),
    capture_rate(1000, 'bulk', 1000000),
    row(DOWN, 'lines/s', capture_down, True, engines='sdc', rounds=5, promise={DOWN_PLAIN: dict(least=95), DOWN_KEPT: dict(least=95)}),
    *[forward_rate(k) for k in FORWARD],
    logger_memory('syslog', {'syslog-address': 'tcp://127.0.0.1:7001'}),
    logger_memory('fluentd', {'fluentd-address': 'tcp://127.0.0.1:7001'}),
    logger_memory('gelf', {'gelf-address': 'tcp://127.0.0.1:7001'}),
    row('50 containers at 2000 lines/s: engine CPU', 'cores', many_writers, False, rounds=1),
    row('idle zones', '', idle_zones, False, rounds=1,
        promise={IDLE + 'memory of logsvc (or the engine) for each': dict(most=10), IDLE + '1000 cost': dict(most=1)}),
    row('logs --tail 10 of 3 M lines', 'ms', read_tail, False),
    row('logs --since the last 15,000 lines', 'ms', read_since, False),
    row('logs, whole', 'MB/s', read_whole, True),
]
