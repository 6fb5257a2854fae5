#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""forward.py - containers log numbered lines through misbehaving sinks while everything else is killed.

    forward.py ROOT BIN DIR SECONDS SEED

The sinks are tests/e2e/sink.py and otlp.js; the engine runs below ROOT. Kills sinks, loggers, logsvc and apiserver at random
for SECONDS, mends all, waits for as long as lines still arrive, and then checks: every line is at its sink at least once and in
order per stream; a duplicate is only of what the logger had not yet seen acknowledged (it had when it sent more over the same
connection); it is in the host log exactly once; no start or end took longer than without a forwarder.
With udp, lines may be missing where a sink was killed with datagrams in its queue, and nowhere else. With otlp, a line that
the sink refused for good is counted as dropped.
"""
import collections, json, os, random, re, signal, subprocess, sys, time

ROOT, BIN, DIR, SECONDS, SEED = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SINK, COLLECTOR = TESTS + '/e2e/sink.py', TESTS + '/e2e/otlp.js'
random.seed(SEED)
BEGUN = time.monotonic()
TCP = ['syslog', 'syslog-address=tcp://127.0.0.1:7101', 'tag=c']
ACK = ['fluentd', 'fluentd-address=127.0.0.1:7102', 'fluentd-request-ack=true', 'fluentd-read-timeout=2s']
GELF = ['gelf', 'gelf-address=tcp://127.0.0.1:7103']
OTLP = ['otlp', 'otlp-endpoint=http://127.0.0.1:7104', 'otlp-timeout=2s']
UDP = ['syslog', 'syslog-address=udp://127.0.0.1:7105', 'tag=c']
FORMS = [TCP, ACK, GELF, OTLP, TCP, ACK, GELF, UDP, OTLP, ACK]
KINDS = {'tcp': 7101, 'fluentd': 7102, 'gelftcp': 7103, 'otlp': 7104, 'udp': 7105}
MIXED = 'drop cut partial 200 200'
FAULTS = {'tcp': ['', '', 'reset'], 'gelftcp': ['', '', 'reset'], 'fluentd': ['', '', 'stall', 'reset', 'badack', 'noack'],
          'otlp': ['', MIXED, 'partial 429@1 503 200 200', 'partial 307 hang 502@1 200 200'], 'udp': ['']}
MARK = re.compile(rb'\[c(\d+)([oe])(\d{7})\]')
counts = collections.Counter()


def note(what):
    counts[what] += 1


def phase(what):
    print('# %.0f s: %s' % (time.monotonic() - BEGUN, what), flush=True)


def docker(*args, limit=40):
    """Patient with an apiserver that is being restarted."""
    end = time.monotonic() + limit
    while True:
        r = subprocess.run(['docker', *args], capture_output=True, text=True, timeout=limit)
        if r.returncode == 0 or time.monotonic() > end or 'onnect' not in r.stderr + r.stdout:
            return r
        time.sleep(0.1)


# ---- sinks ----------------------------------------------------------------------------------------
sinks = {}
stalled = {}  # when it began: without acknowledgements a sink may be slow to read for SETTLE_NS, and then die with its logger


def sink_start(kind, fault):
    file = DIR + '/out.' + kind
    if kind == 'otlp':
        argv, env = ['node', COLLECTOR, str(KINDS[kind]), file], {**os.environ, 'FAULTS': fault.replace('stall', 'hang') or '200'}
    else:
        argv, env = ['python3', SINK, kind, str(KINDS[kind]), file, '127.0.0.1', fault], None
    if kind == 'udp': # what was in the last one's queue is lost here
        open(file, 'ab').write(b'[sink]\n')
    sinks[kind] = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=open(DIR + '/sink.log', 'ab'), stderr=subprocess.STDOUT)
    if fault == 'stall' and kind != 'fluentd':
        stalled[kind] = time.monotonic()
    note('sink ' + (fault or 'good'))


def sink_kill(kind):
    p = sinks.pop(kind, None)
    stalled.pop(kind, None)
    if p:
        p.send_signal(signal.SIGSTOP if random.random() < 0.2 else 0)
        if random.random() < 0.2:
            time.sleep(random.random())
        p.kill()
        p.wait()
        note('sink killed')


# ---- the engine -------------------------------------------------------------------------------------
def pids(name):
    out = []
    for d in os.listdir('/proc'):
        if d.isdigit():
            try:
                c = open('/proc/%s/cmdline' % d, 'rb').read().decode('latin1').split('\0')
            except OSError:
                continue
            if c[0].split('/')[-1] == name and any(ROOT in a for a in c[1:]):
                out.append(int(d))
    return out


def kill(name, one):
    ps = pids(name)
    for p in random.sample(ps, 1) if one and ps else ps:
        try:
            os.kill(p, signal.SIGKILL)
            note(name + ' killed')
        except ProcessLookupError:
            pass


def engine_start():
    log = open(ROOT + '.t/apiserver.log', 'ab')
    p = subprocess.Popen([BIN + '/apiserver', '--root', ROOT], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    open(ROOT + '.t/apiserver.pid', 'w').write(str(p.pid))


# ---- containers ---------------------------------------------------------------------------------------
# $1 the number, $2 how many pairs of lines, $3 a pause after so many
SCRIPT = 'i=0; while [ $i -lt $2 ]; do i=$((i+1)); n=000000$i; n=${n#${n%???????}}; echo "[c$1o$n] some text"; ' \
         'echo "[c$1e$n] some text" >&2; [ $((i % $3)) = 0 ] && sleep 0.05; done; [ $4 = 0 ] || sleep 1000'
started, slow = {}, []


def run(k, pairs, stays, rm):
    form = FORMS[k % len(FORMS)]
    opts = ['--log-driver', form[0]] + [x for o in form[1:] for x in ('--log-opt', o)]
    opts += ['--log-opt', 'cache-max-size=' + random.choice(['30k', '200k', '50m']), '--log-opt', 'cache-max-file=100000']
    t = time.monotonic()
    r = docker('run', '-d', '--network', 'host', '--name', 'f%d' % k, *(['--rm'] if rm else []), *opts, 'busybox', 'sh', '-c', SCRIPT, 'sh',
               str(k), str(pairs), str(random.choice([10, 30])), str(int(stays)))
    took = time.monotonic() - t
    if r.returncode and 'already in use' not in r.stderr:
        sys.exit('run f%d: %s' % (k, r.stderr))
    started[k] = (pairs, form, rm)
    return took


def host_log(k):
    r = subprocess.run(['docker', 'logs', 'f%d' % k], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    seen = collections.defaultdict(list)
    for m in MARK.finditer(r.stdout):
        seen[m.group(2)].append(int(m.group(3)))
    for s in (b'o', b'e'):
        if seen[s] != list(range(1, started[k][0] + 1)):
            missing = sorted(set(range(1, started[k][0] + 1)) - set(seen[s]))
            yield 'host log of f%d, %s: %d lines of %d, missing %s' % (k, s.decode(), len(seen[s]), started[k][0], missing[:5])


def whole_log(k):
    """Nobody waits for what a container with udp has printed at its sink: it may print still."""
    end = time.monotonic() + (60 if started[k][1] is UDP else 0)
    while True:
        bad = list(host_log(k))
        if not bad or time.monotonic() > end:
            return bad
        time.sleep(0.5)


# ---- what the sinks have ----------------------------------------------------------------------------
class Sunk:
    """What one sink has, as far as its file was read."""

    def __init__(self, kind):
        self.path, self.at, self.ups, self.up_of = DIR + '/out.' + kind, 0, 0, {}
        self.last, self.bad, self.dups, self.lost = collections.Counter(), [], 0, 0
        self.acked, self.seen_acked, self.last_of, self.chunk_of = set(), set(), {}, {}

    def read(self):
        if not os.path.exists(self.path):
            return
        with open(self.path, 'rb') as f:
            f.seek(self.at)
            for line in f:
                if not line.endswith(b'\n'):
                    break
                self.at += len(line)
                self.take(line)

    def take(self, line):
        self.ups += line == b'[sink]\n'
        if line.startswith(b'{"acked"'):
            self.acked.add(json.loads(line)['acked'])
        m = MARK.search(line)
        if m:
            sent = re.search(rb'"chunk": "([^"]+)", "conn": "([^"]+)"', line)
            chunk, conn = (x.decode() for x in sent.groups()) if sent else (None, None)
            before = self.last_of.get(conn)
            if before != chunk and before in self.acked:
                self.seen_acked.add(before)
            self.last_of[conn] = chunk
            self.take_mark((int(m.group(1)), m.group(2)), int(m.group(3)), chunk)

    def take_mark(self, key, n, chunk):
        was_up, self.up_of[key] = self.up_of.get(key, 0), self.ups
        last, before = self.last[key], self.chunk_of.get((key, n))
        if n > last + 1 and was_up != self.ups:
            self.lost += n - last - 1
        elif n > last + 1:
            self.bad.append('f%d %s: %d follows %d' % (key[0], key[1].decode(), n, last))
        elif n <= last:
            self.dups += 1
            if before in self.seen_acked and chunk != before:
                self.bad.append('f%d %s: %d again, its acknowledgement was seen' % (key[0], key[1].decode(), n))
        self.last[key] = max(n, last)
        if chunk:
            self.chunk_of[(key, n)] = chunk


sunk = {kind: Sunk(kind) for kind in KINDS}


def at_sinks():
    """By container and stream: the highest number."""
    for s in sunk.values():
        s.read()
    return sum((s.last for s in sunk.values()), collections.Counter())


def missing():
    last = at_sinks()
    return {(k, s): last[(k, s)] for k in started for s in (b'o', b'e') if last[(k, s)] != started[k][0] and started[k][1] is not UDP}


def wait_for_all():
    """Until nothing has come for 60 s, which no pause is as long as: containers and sinks may be slow. How long it took."""
    begun = moved = time.monotonic()
    before = missing()
    while before and time.monotonic() - moved < 60:
        time.sleep(0.5)
        now = missing()
        if now != before:
            before, moved = now, time.monotonic()
    return moved - begun


def refusals():
    """Each line that the collector has refused, and never taken, is counted as dropped, and no more than it refused."""
    taken, refused = set(), collections.defaultdict(list)
    for line in open(DIR + '/out.otlp', 'rb'):
        key = MARK.search(line).groups()
        if line.startswith(b'{"refused"'):
            refused[int(key[0])].append(key)
        else:
            taken.add(key)
    zones = json.loads(subprocess.run([BIN + '/sdc-dockeradm', '--root', ROOT, 'logs', '--json'], capture_output=True, timeout=30).stdout)
    for z in zones:
        k = int(z['name'][1:] or 10)  # no name: it has been removed
        if k < 10 and started[k][1] is OTLP:
            never = len({r for r in refused[k] if r not in taken})
            counts['records refused'] += len(refused[k])
            if not never <= z['dropped'] <= len(refused[k]):
                yield 'f%d: dropped %d, refused %d of which never taken %d' % (k, z['dropped'], len(refused[k]), never)


def storm():
    end = time.monotonic() + SECONDS
    k, due = 10, time.monotonic() + 1
    while time.monotonic() < end:
        for kind in [k for k, t in stalled.items() if time.monotonic() - t > 1]:
            sink_kill(kind)
            sink_start(kind, '')
        what = random.choices(['sink', 'logger', 'loggers', 'logsvc', 'apiserver', 'wait'], [8, 8, 2, 3, 1, 4])[0]
        if what == 'sink':
            kind = random.choice(list(KINDS))
            sink_kill(kind)
            if random.random() < 0.8:
                sink_start(kind, random.choice(FAULTS[kind]))
        elif what == 'logger':
            kill('logger', True)
        elif what == 'loggers':
            kill('logger', False)
        elif what == 'logsvc':
            kill('logsvc', False)
        elif what == 'apiserver':
            kill('apiserver', False)
            engine_start()
        time.sleep(random.random() * 0.2)
        if time.monotonic() > due: # a short one, half of them with --rm
            run(k, random.randrange(1, 3000), False, k % 2 == 0)
            k += 1
            due = time.monotonic() + 1.5


def times(form):
    """Of a run --rm, and of the end of one that has printed much."""
    opts = ['--log-driver', form[0]] + [x for o in form[1:] for x in ('--log-opt', o)]
    t = time.monotonic()
    docker('run', '--rm', '--network', 'host', *opts, 'busybox', 'echo', 'hello')
    run = time.monotonic() - t
    c = docker('run', '-d', '--network', 'host', *opts, 'busybox', 'sh', '-c', 'yes $(head -c 99 /dev/zero | tr "\\0" x) | head -10000; exec sleep 1000').stdout.strip()
    time.sleep(0.5)
    t = time.monotonic()
    docker('kill', c)
    docker('wait', c)
    end = time.monotonic() - t
    docker('rm', c)
    return run, end


def bounds():
    """With good daemons and sinks that are away or do not read: starts, runs and ends take no longer than without a forwarder."""
    for kind in KINDS:
        sink_kill(kind)
    for fault in ('', 'stall'):
        if fault:
            for kind in KINDS:
                sink_start(kind, fault)
        plain = times(['json-file'])
        for form in (TCP, ACK, GELF, OTLP, UDP):
            for what, t, p in zip(('run --rm', 'kill'), times(form), plain):
                slow.append((t, '%s with %s and a sink that %s (%.1f s without)' % (what, form[0], 'never reads' if fault else 'is away', p),
                             t > 3 + 2 * p))
    for kind in KINDS:
        sink_kill(kind)


def main():
    docker('ps')
    for kind in KINDS:
        sink_start(kind, MIXED if kind == 'otlp' else '')
    pairs = int(SECONDS * 200)
    for k in range(10):
        run(k, random.randrange(pairs // 2, pairs), True, False)
    phase('ten containers run')
    storm()
    phase('the storm is over')
    for kind in KINDS:
        sink_kill(kind)
        sink_start(kind, '')
    late = wait_for_all()
    phase('nothing more comes')
    last, bad = at_sinks(), []
    for s in sunk.values():
        bad += s.bad
    for k, s in missing():
        bad.append('f%d %s (%s%s): the sink has %d of %d' % (k, s.decode(), started[k][1][0], ' --rm' if started[k][2] else '', last[(k, s)], started[k][0]))
    for k in started:
        if not started[k][2]:
            bad += whole_log(k)
    bad += refusals()
    phase('the host logs are read')
    bounds()
    phase('starts and ends are timed')
    for kind in KINDS: # what was removed with a backlog
        sink_start(kind, '')
    docker('rm', '-f', *docker('ps', '-aq').stdout.split())
    end = time.monotonic() + 200 # their pauses have grown to 30 s, and a slow sink makes them pause again
    while pids('logger') and time.monotonic() < end:
        time.sleep(0.5)
    bad += ['%s took %.1f s' % (what, t) for t, what, is_bad in slow if is_bad]
    counts['udp lines lost with their sink'] = sum(s.lost for s in sunk.values())
    print(dict(counts), 'lines', sum(last.values()), 'duplicates', {k: s.dups for k, s in sunk.items()}, 'delivered after %.1f s' % late,
          'slowest %.1f s' % max(slow)[0])
    print('\n'.join(bad[:40]), len(bad) if bad else '')
    sys.exit(1 if bad else 0)


try:
    main()
finally:
    for p in sinks.values():
        p.kill()
