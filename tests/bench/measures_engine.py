# SPDX-License-Identifier: MPL-2.0
"""measures_engine.py - the API's speed, the life of a container, memory."""
import json, statistics, subprocess, time

from engines import UnixHTTP

TOOLS = None


def ms(fn):
    t = time.perf_counter()
    fn()
    return (time.perf_counter() - t) * 1000


def load(path, conns):
    def f(e):
        return float(subprocess.run([TOOLS + '/httpload', e.sock, path, str(conns), '1'], capture_output=True, text=True, check=True).stdout)
    return f


def cycle(net):
    """The median of five in a row."""
    def one(e):
        c = e.run_once(['/loggen', '0', '20', 'line'], net)
        e.wait(c)
        e.rm(c)
    return lambda e: statistics.median(ms(lambda: one(e)) for _ in range(5))


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
    v = statistics.median(ms(one) for _ in range(9))
    e.rm(c)
    return v


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


def row(name, unit, fn, higher, **more):
    return dict(name=name, unit=unit, fn=fn, higher=higher, **more)


MEASURES = [
    row('daemons idle, memory', 'MiB PSS', daemons_memory, False, rounds=1),
    row('GET /_ping, 1 connection', 'req/s', load('/_ping', 1), True),
    row('GET /_ping, 8 connections', 'req/s', load('/_ping', 8), True),
    row('GET /version', 'req/s', load('/version', 1), True),
    row('create+start+wait+remove, no network', 'ms', cycle('none'), False),
    row('create+start+wait+remove, bridge', 'ms', cycle('bridge'), False),
    row('exec', 'ms', exec_latency, False),
    row('memory per idle container', 'KiB PSS', idle_memory, False, rounds=1),
]
