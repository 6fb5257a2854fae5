# storm.py SOCKET SECONDS THREADS: random operations on a few containers from many clients at once.
# Every answer must be one that Docker could give; at the end all containers can be removed. Prints the counts.
import collections, http.client, json, random, socket, sys, threading, time

sock, seconds, threads = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
counts, bad = collections.Counter(), []


class Conn(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(sock)


def ask(method, path, body=None):
    c = Conn('d')
    try:
        c.request(method, '/v1.51' + path, json.dumps(body) if body is not None else None,
                  {'Content-Type': 'application/json'} if body is not None else {})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def one(rnd, name):
    op = rnd.choice(['create', 'create', 'start', 'start', 'stop', 'kill', 'restart', 'pause', 'unpause', 'rm', 'rmf', 'exec',
                     'wait', 'inspect', 'list', 'logs', 'rename', 'update', 'attach_gone'])
    p = '/containers/' + name
    if op == 'create':
        net = rnd.choice(['none', 'bridge', 'host'])
        cmd = rnd.choice([['true'], ['sleep', '30'], ['sh', '-c', 'echo x; exit 3'], ['nosuch']])
        r = ask('POST', '/containers/create?name=' + name,
                {'Image': 'busybox', 'Cmd': cmd, 'HostConfig': {'NetworkMode': net, 'AutoRemove': rnd.random() < 0.2}})
    elif op == 'rm':
        r = ask('DELETE', p)
    elif op == 'rmf':
        r = ask('DELETE', p + '?force=1&v=1')
    elif op == 'exec':
        r = ask('POST', p + '/exec', {'AttachStdout': True, 'Cmd': ['echo', 'hi']})
        if r[0] == 201:
            r = ask('POST', '/exec/' + json.loads(r[1])['Id'] + '/start', {'Detach': rnd.random() < 0.5})
    elif op == 'wait':
        c = Conn('d')
        c.request('POST', '/v1.51' + p + '/wait?condition=next-exit')
        time.sleep(rnd.random() * 0.05)
        c.close()
        r = 200, b''
    elif op == 'attach_gone':
        c = Conn('d')
        c.request('POST', '/v1.51' + p + '/attach?stream=1&stdout=1&stderr=1', headers={'Upgrade': 'tcp', 'Connection': 'Upgrade'})
        time.sleep(rnd.random() * 0.05)
        c.close()
        r = 200, b''
    elif op == 'inspect':
        r = ask('GET', p + '/json')
    elif op == 'list':
        r = ask('GET', '/containers/json?all=1')
    elif op == 'logs':
        r = ask('GET', p + '/logs?stdout=1&tail=5')
    elif op == 'rename':
        r = ask('POST', p + '/rename?name=' + rnd.choice(names))
    elif op == 'update':
        r = ask('POST', p + '/update', {'PidsLimit': rnd.randint(20, 100)})
    elif op in ('stop', 'restart'):
        r = ask('POST', p + '/' + op + '?t=0')
    else:
        r = ask('POST', p + '/' + op)
    counts[op, r[0]] += 1
    if r[0] >= 500 and b'is not paused' not in r[1]:
        bad.append((op, r[0], r[1][:300]))


def worker(seed):
    rnd = random.Random(seed)
    while time.time() < end:
        try:
            one(rnd, rnd.choice(names))
        except Exception as e:
            bad.append(('exception', 0, repr(e).encode()))
            return


names = ['storm%d' % i for i in range(max(4, threads // 2))]
end = time.time() + seconds
ts = [threading.Thread(target=worker, args=(i,)) for i in range(threads)]
[t.start() for t in ts]
[t.join() for t in ts]
for c in json.loads(ask('GET', '/containers/json?all=1')[1]):
    s, b = ask('DELETE', '/containers/' + c['Id'] + '?force=1&v=1')
    if s not in (204, 404, 409):
        bad.append(('last rm', s, b[:300]))
for _ in range(200):
    left = json.loads(ask('GET', '/containers/json?all=1')[1])
    if not left:
        break
    time.sleep(0.05)
if left:
    bad.append(('left', len(left), json.dumps([(c['Names'], c['State']) for c in left]).encode()))
print(sum(counts.values()), 'operations', len(bad), 'bad')
for k in sorted(counts):
    print(*k, counts[k])
for b in collections.Counter(bad).most_common(20):
    print('BAD', b)
sys.exit(1 if bad else 0)
