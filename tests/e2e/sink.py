#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""sink.py - a receiver of forwarded logs that can misbehave.

    sink.py KIND PORT FILE [ADDR [FAULT]]

KIND: tcp (lines), udp, gelf (udp), gelftcp, fluentd (answers acks). FILE gets a line per message, written before it is
acknowledged; fluentd's are JSON, with the chunk and its connection, and then a line {"acked": chunk}.
FAULT: slow (udp: a usual buffer, and half a millisecond for each datagram; fluentd: half a second for each chunk), stall (takes connections and never reads), reset (some
connections, in the middle of a batch), badack and noack (some chunks).
"""
import itertools, json, os, random, socket, struct, sys, threading, time, zlib

kind, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
addr = sys.argv[4] if len(sys.argv) > 4 else '127.0.0.1'
fault = sys.argv[5] if len(sys.argv) > 5 else ''
out = open(path, 'ab', buffering=0)
def unpack(b, i):
    t = b[i]; i += 1
    def s(n, j): 
        if len(b) < j + n: raise IndexError
        return b[j:j + n], j + n
    if t < 0x80: return t, i
    if t < 0x90: return pmap(b, i, t & 15)
    if t < 0xa0: return parr(b, i, t & 15)
    if t < 0xc0: return s(t & 31, i)
    if t == 0xc4: return s(b[i], i + 1)
    if t == 0xc5: return s(struct.unpack_from('>H', b, i)[0], i + 2)
    if t == 0xc6: return s(struct.unpack_from('>I', b, i)[0], i + 4)
    if t == 0xd7: return s(9, i)
    if t == 0xd9: return s(b[i], i + 1)
    if t == 0xda: return s(struct.unpack_from('>H', b, i)[0], i + 2)
    if t == 0xdb: return s(struct.unpack_from('>I', b, i)[0], i + 4)
    if t in (0xcc, 0xd0): return b[i], i + 1
    if t in (0xcd, 0xd1): return struct.unpack_from('>H', b, i)[0], i + 2
    if t in (0xce, 0xd2): return struct.unpack_from('>I', b, i)[0], i + 4
    if t in (0xcf, 0xd3): return struct.unpack_from('>Q', b, i)[0], i + 8
    if t == 0xdc: return parr(b, i + 2, struct.unpack_from('>H', b, i)[0])
    if t == 0xde: return pmap(b, i + 2, struct.unpack_from('>H', b, i)[0])
    raise ValueError(hex(t))
def parr(b, i, n):
    r = []
    for _ in range(n):
        v, i = unpack(b, i); r.append(v)
    return r, i
def pmap(b, i, n):
    r = {}
    for _ in range(n):
        k, i = unpack(b, i); v, i = unpack(b, i); r[k] = v
    return r, i
def d(v): return v.decode('utf8', 'replace') if isinstance(v, bytes) else v
ends = {} # when a connection is reset
def recv(conn):
    if fault != 'reset': return conn.recv(1 << 20)
    end = ends.setdefault(conn, time.monotonic() + random.choice((random.random() * 0.3, 1000)))
    conn.settimeout(0.05)
    while time.monotonic() < end:
        try: return conn.recv(1 << 15)
        except TimeoutError: pass
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    raise ConnectionError
conns = itertools.count()
def fluent(conn):
    b, who = b'', '%d.%d' % (os.getpid(), next(conns))
    while True:
        try:
            m, i = unpack(b, 0)
        except (IndexError, struct.error):
            x = recv(conn)
            if not x: return
            b += x
            continue
        b = b[i:]
        tag, entries, opt = m; j = 0
        chunk = opt.get(b'chunk')
        text = ''
        while j < len(entries):
            (t, rec), j = unpack(entries, j)
            text += json.dumps({'tag': d(tag), **{d(k): d(v) for k, v in rec.items()}, **({'chunk': d(chunk), 'conn': who} if chunk else {})}) + '\n'
        out.write(text.encode())
        if not chunk or (fault == 'noack' and random.random() < 0.3): continue
        if fault == 'slow': time.sleep(0.5)
        bad = fault == 'badack' and random.random() < 0.3
        conn.sendall(b'\x81\xa3ack' + b'\xb8' + (b'AAAAAAAAAAAAAAAAAAAAAA==' if bad else chunk))
        if not bad: out.write((json.dumps({'acked': d(chunk)}) + '\n').encode())
def stream(conn):
    rest, end = b'', b'\0' if kind == 'gelftcp' else b'\n'
    while True:
        x = recv(conn)
        if not x:
            if kind == 'tcp' and rest: out.write(rest)
            return
        *whole, rest = (rest + x).split(end)
        out.write(b''.join(w + b'\n' for w in whole))
def serve(conn):
    if fault == 'stall': time.sleep(1000)
    try: fluent(conn) if kind == 'fluentd' else stream(conn)
    except OSError: pass
    finally: conn.close()
if kind in ('udp', 'gelf'):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((addr, port))
    if fault != 'slow': s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
    parts = {}
    while True:
        x = s.recv(65536)
        if fault == 'slow': time.sleep(0.0005)
        if kind == 'gelf':
            if x[:2] == b'\x1e\x0f':
                p = parts.setdefault(x[2:10], {}); p[x[10]] = x[12:]
                if len(p) < x[11]: continue
                x = b''.join(p[k] for k in sorted(p))
            if x[:2] == b'\x1f\x8b' or x[:1] == b'\x78': x = zlib.decompress(x, 47)
            x += b'\n'
        out.write(x)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((addr, port)); s.listen(16)
while True:
    c, _ = s.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()
