#!/usr/bin/env python3
"""store.py s3|manta PORT DIR [PUBLIC_KEY]: an object store that checks what it is sent.

s3: AWS Signature Version 4 (access key AK, secret SK, region eu-test-1), with every x-amz- header and Content-MD5 among what is signed; the
body must hash to what the headers say. manta: HTTP signatures over Date by PUBLIC_KEY (PEM), directories that must exist.
Whatever is wrong is answered 403 or 400 and written to DIR/complaints. Each request is a line of DIR/requests.

DIR/answers: words, each taken by one request for an object (in order): a status (500, 503@2 with Retry-After, 301),
cut (no answer), endless (an answer that does not end), lie (what is stored has another byte), short (less of it is stored).
"""
import base64, hashlib, hmac, json, os, sys, threading, time
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND, PORT, DIR = sys.argv[1], int(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
if KIND == 'manta':
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    KEY = serialization.load_pem_public_key(open(sys.argv[4], 'rb').read())


def note(name, text):
    with lock, open(os.path.join(DIR, name), 'a') as f:
        f.write(text + '\n')


def next_answer():
    p = os.path.join(DIR, 'answers')
    with lock:
        words = open(p).read().split() if os.path.exists(p) else []
        if not words:
            return ''
        open(p, 'w').write(' '.join(words[1:]))
        return words[0]


class Wrong(Exception):
    pass


def check_s3(h, method, path, body):
    auth = h.get('Authorization', '')
    if not auth.startswith('AWS4-HMAC-SHA256 '):
        raise Wrong('no SigV4: ' + auth[:40])
    f = dict(p.strip().split('=', 1) for p in auth[17:].split(','))
    key, date, region, service, last = f['Credential'].split('/')
    if (key, region, service, last) != ('AK', 'eu-test-1', 's3', 'aws4_request'):
        raise Wrong('credential ' + f['Credential'])
    signed = f['SignedHeaders'].split(';')
    for n in [k.lower() for k in h.keys()]:
        if (n.startswith('x-amz-') or n in ('host', 'content-md5')) and n not in signed:
            raise Wrong(n + ' is not signed')
    stamp = h['X-Amz-Date']
    if abs(time.mktime(time.strptime(stamp, '%Y%m%dT%H%M%SZ')) - time.timezone - time.time()) > 300:
        raise Wrong('RequestTimeTooSkewed')
    sha = h['X-Amz-Content-Sha256']
    if sha != hashlib.sha256(body).hexdigest():
        raise Wrong('XAmzContentSHA256Mismatch')
    req = '\n'.join([method, path, '', *['%s:%s' % (n, ' '.join(h[n].split())) for n in signed], '', ';'.join(signed), sha])
    text = '\n'.join(['AWS4-HMAC-SHA256', stamp, '/'.join((date, region, service, last)), hashlib.sha256(req.encode()).hexdigest()])
    k = b'AWS4SK'
    for part in (date, region, service, last):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    if hmac.new(k, text.encode(), hashlib.sha256).hexdigest() != f['Signature']:
        raise Wrong('SignatureDoesNotMatch')
    if method == 'PUT' and h.get('X-Amz-Checksum-Sha256') != base64.b64encode(hashlib.sha256(body).digest()).decode():
        raise Wrong('x-amz-checksum-sha256')


def check_manta(h, method, path, body):
    auth = h.get('Authorization', '')
    f = dict((k, v.strip('"')) for k, v in (p.split('=', 1) for p in auth.removeprefix('Signature ').split(',')))
    if f.get('keyId') != '/op/keys/aa:bb':
        raise Wrong('keyId ' + auth[:60])
    if abs(parsedate_to_datetime(h['Date']).timestamp() - time.time()) > 300:
        raise Wrong('date ' + h['Date'])
    text, sig = ('date: ' + h['Date']).encode(), base64.b64decode(f['signature'])
    if isinstance(KEY, rsa.RSAPublicKey) and f['algorithm'] == 'rsa-sha256':
        KEY.verify(sig, text, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(KEY, ec.EllipticCurvePublicKey) and f['algorithm'] == 'ecdsa-sha256':
        KEY.verify(sig, text, ec.ECDSA(hashes.SHA256()))
    else:
        raise Wrong('algorithm ' + f['algorithm'])


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *a):
        pass

    def file(self):
        return os.path.join(DIR, 'objects', self.path.lstrip('/'))

    def answer(self, status, body=b'', **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace('_', '-'), v)
        if 'Content_Length' not in headers:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def error(self, status, code, **headers):
        text = '<Error><Code>%s</Code></Error>' % code if KIND == 's3' else json.dumps({'code': code, 'message': ''}, separators=(',', ':'))
        self.answer(status, text.encode(), **headers)

    def scripted(self, word):
        if word == 'cut':
            self.close_connection = True
        elif word == 'endless':
            self.send_response(200)
            self.send_header('Connection', 'close')
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b'x' * 65536)
            except OSError:
                note('requests', 'endless answer ended')
        else:
            status, _, after = word.partition('@')
            self.error(int(status), 'SlowDown', **({'Retry_After': after} if after else {}))

    def serve(self):
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # who sent it was killed: nothing is stored of it
            self.close_connection = True
            note('requests', 'cut short')
            return None
        directory = 'type=directory' in self.headers.get('Content-Type', '')
        word = '' if directory else next_answer()
        note('requests', json.dumps({'method': self.command, 'path': self.path, 'host': self.headers['Host'], 'at': time.time(), 'word': word}))
        try:
            (check_s3 if KIND == 's3' else check_manta)(self.headers, self.command, self.path, body)
            if body and self.headers.get('Content-MD5') != base64.b64encode(hashlib.md5(body).digest()).decode():
                raise Wrong('BadDigest')
        except Exception as e:
            note('complaints', '%s %s: %r' % (self.command, self.path, e))
            return self.error(403, 'AccessDenied')
        if word and word not in ('lie', 'short'):
            return self.scripted(word)
        if self.command == 'PUT':
            return self.put(body, directory, word)
        return self.get()

    def put(self, body, directory, word):
        p = self.file()
        if KIND == 'manta' and self.path.count('/') > 3 and not os.path.isdir(os.path.dirname(p)):
            return self.error(404, 'DirectoryDoesNotExist')
        if directory:
            os.makedirs(p, exist_ok=True)
            return self.answer(204)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        if word == 'lie':
            body = body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]
        if word == 'short':
            body = body[:-1]
        if os.path.exists(p) and open(p, 'rb').read() != body:
            note('requests', 'other content for ' + self.path)
        with open(p + '.new', 'wb') as f:
            f.write(body)
        os.rename(p + '.new', p)
        self.answer(200 if KIND == 's3' else 204)

    def get(self):
        try:
            body = open(self.file(), 'rb').read()
        except OSError:
            return self.error(404, 'NoSuchKey')
        md5 = hashlib.md5(body)
        h = {'ETag': '"%s"' % md5.hexdigest()} if KIND == 's3' else {'Content_MD5': base64.b64encode(md5.digest()).decode()}
        self.answer(200, body, Content_Length=str(len(body)), **h)

    do_PUT = do_GET = do_HEAD = serve


os.makedirs(os.path.join(DIR, 'objects'), exist_ok=True)
ThreadingHTTPServer.allow_reuse_address = True
ThreadingHTTPServer(('127.0.0.1', PORT), Handler).serve_forever()
