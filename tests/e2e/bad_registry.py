#!/usr/bin/env python3
"""bad_registry.py PORT LOG [closed] - a registry whose repositories misbehave, each in the way its name tells. closed: nothing without a token.

Each request is a line in LOG: METHOD PATH RANGE|- AUTHORIZATION|-. Everything is made in memory."""
import collections, contextlib, gzip, hashlib, http.server, io, json, socket, socketserver, subprocess, sys, tarfile, threading, time

PORT, LOG = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
tokens, blobs, uploads, cut_once = {}, {}, {}, set()
active, most = collections.Counter(), collections.Counter()  # transfers at once, of blobs GET and PUT


def digest(b):
    return "sha256:" + hashlib.sha256(b).hexdigest()


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in files.items():
            i = tarfile.TarInfo(name)
            i.size, i.mtime, i.mode = len(data), 1700000000, 0o755
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def add(b):
    blobs[digest(b)] = b
    return b


DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
images = {}  # repo -> {reference: (content type, bytes)}


def manifest(config, layers, sizes=None, types=None):
    return json.dumps({
        "schemaVersion": 2, "mediaType": DOCKER,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest(config)},
        "layers": [{"mediaType": (types or [GZIP] * 99)[i], "size": (sizes or {}).get(i, len(l)), "digest": digest(l)} for i, l in enumerate(layers)]}).encode()


def config(diffs, arch="amd64"):
    return add(json.dumps({"architecture": arch, "os": "linux", "created": "2024-01-01T00:00:00Z",
                           "config": {"Cmd": ["/x"]}, "rootfs": {"type": "layers", "diff_ids": diffs}}).encode())


def put(repo, text, tag="latest", kind=DOCKER):
    images.setdefault(repo, {})[tag] = (kind, text)
    images[repo][digest(text)] = (kind, text)
    return text


noise = b"".join(hashlib.sha512(str(i).encode()).digest() for i in range(65536))  # 4 MiB that do not compress
plain = tar({"x": b"#!/bin/x\n", "noise": noise})
layer = add(gzip.compress(plain, 1, mtime=0))
good = config([digest(plain)])
for r in ("good", "cut", "norange", "slow", "bearer/x", "bearer/id", "basic/redirect", "wrong", "flip", "endlessblob", "basic/x"):
    put(r, manifest(good, [layer]))
put("short", manifest(good, [layer], {0: len(layer) - 1}))
put("baddiff", manifest(config([digest(b"another")]), [layer]))
put("count", manifest(good, [layer, layer]))
put("plain", manifest(good, [add(plain)], types=["application/vnd.oci.image.layer.v1.tar"]))
zstd = add(subprocess.run(["zstd", "-1", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout)
put("zstd", manifest(good, [zstd], types=["application/vnd.oci.image.layer.v1.tar+zstd"]))
tars = [tar({"f%d" % i: b"%d" % i}) for i in range(8)]
put("many", manifest(config([digest(t) for t in tars]), [add(gzip.compress(t, mtime=0)) for t in tars]))
tars = [tar({"g%d" % i: b"%d" % i}) for i in range(6)]
put("many2", manifest(config([digest(t) for t in tars]), [add(gzip.compress(t, mtime=0)) for t in tars]))
for r in ("nohead", "alwayscut"):
    put(r, manifest(good, [layer]))
for r in ("hugemanifest", "loop", "loris", "headers"):
    put(r, manifest(good, [layer]))
put("deep", b"[" * 200000)
put("model", manifest(good, [layer]).replace(b"application/vnd.docker.container.image.v1+json", b"application/vnd.docker.ai.model.config.v0.1+json"))
put("plugin", manifest(good, [layer]).replace(b"container.image.v1", b"plugin.v1"))
put("artifact", manifest(good, [layer], types=["application/x-whatever"]))
for n, t in (("one", DOCKER), ("two", DOCKER)):
    put("tags", manifest(good, [layer]), n)
arch = {}
for a, v in (("amd64", ""), ("arm64", "v8"), ("arm", "v7")):
    m = put("index", manifest(config([digest(plain)], a), [layer]), a + v)
    arch[a] = {"mediaType": DOCKER, "size": len(m), "digest": digest(m), "platform": {"os": "linux", "architecture": a, "variant": v}}
put("index", json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": list(arch.values())}).encode(),
    kind="application/vnd.oci.image.index.v1+json")


def bomb():
    """two GiB of zeros in 70 KB, by zstd"""
    p = subprocess.Popen(["zstd", "-1", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out = []
    t = threading.Thread(target=lambda: out.append(p.stdout.read()))
    t.start()
    i = tarfile.TarInfo("zeros")
    i.size = 2 << 30
    h = hashlib.sha256()
    for part in [i.tobuf()] + [bytes(1 << 20)] * 2048 + [bytes(1024)]:
        h.update(part)
        p.stdin.write(part)
    p.stdin.close()
    t.join()
    b = add(out[0])
    put("bomb", manifest(config(["sha256:" + h.hexdigest()]), [b]))


@contextlib.contextmanager
def counted(what):
    """for a quarter of a second, so that those beside it are seen"""
    with lock:
        active[what] += 1
        most[what] = max(most[what], active[what])
    time.sleep(0.25)
    yield
    with lock:
        active[what] -= 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def answer(self, status, body=b"", headers=(), kind="application/json"):
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message, headers=()):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(bytes(65536))

    def dribble(self, headers):
        """headers without an end, or a byte now and then"""
        self.send_response(200)
        while headers:
            self.send_header("X-More", "x" * 1000)
            self.flush_headers()
        self.send_header("Content-Length", "1000")
        self.end_headers()
        while True:
            self.wfile.write(b" ")
            time.sleep(0.2)

    def allowed(self, repo):
        auth = self.headers.get("Authorization", "")
        if repo.startswith("bearer/"):
            with lock:
                left = tokens.get(auth, 0)
                tokens[auth] = left - 1
            if left > 0:
                return True
            self.refuse(401, "UNAUTHORIZED", "authentication required", [("WWW-Authenticate",
                        'Bearer realm="http://127.0.0.1:%d/token",service="a, \\"b\\"",scope="repository:%s:pull"' % (PORT, repo))])
            return False
        if repo.startswith("basic/") and auth != "Basic dTpw":
            self.refuse(401, "UNAUTHORIZED", "authentication required", [("WWW-Authenticate", 'Basic realm="r"')])
            return False
        return True

    def blob(self, repo, dg):
        body = blobs.get(dg)
        if body is None:
            return self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        is_layer = len(body) > 600 or repo.startswith("many")
        start, rng = 0, self.headers.get("Range")
        if rng and repo != "norange":
            start = int(rng[6:].split("-")[0])
        if not is_layer:
            return self.answer(200, body)
        if repo == "basic/redirect":
            return self.answer(307, b"", [("Location", "http://127.0.0.2:%d/elsewhere/%s" % (PORT, dg))])
        if repo == "endlessblob":
            return self.endless()
        if repo == "flip":
            body = body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]
        if repo == "wrong":
            body = gzip.compress(tar({"evil": b"1"}))
        if repo.startswith("many") and body[:2] == b"\x1f\x8b":
            with counted("GET"):
                pass
        part = body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(body) - 1, len(body)))
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if repo == "alwayscut":
            self.close_connection = True
            return self.wfile.write(part[:1000])
        if repo in ("cut", "norange") and repo not in cut_once:
            cut_once.add(repo)
            self.wfile.write(part[:len(part) // 2])
            self.close_connection = True
            return None
        if repo == "slow":
            for i in range(0, len(part), 1024):
                self.wfile.write(part[i:i + 1024])
                self.wfile.flush()
                time.sleep(0.05)
            return None
        self.wfile.write(part)
        return None

    def do_GET(self):
        with lock, open(LOG, "a") as f:
            f.write("%s %s %s %s\n" % (self.command, self.path, self.headers.get("Range", "-"), self.headers.get("Authorization", "-")))
        path = self.path.split("?")[0]
        if "closed" in sys.argv and path != "/token" and self.headers.get("Authorization") != "Bearer i":
            return self.refuse(401, "UNAUTHORIZED", "authentication required", [("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:%d/token",service="s"' % PORT)])
        if path == "/v2/":
            return self.answer(200, b"{}")
        if path == "/most":
            was = "%d %d" % (most["GET"], most["PUT"])
            most.clear()
            return self.answer(200, was.encode())
        if path == "/forget":
            for d in [d for d, b in blobs.items() if len(b) > 8 << 20]:
                del blobs[d]
            return self.answer(200)
        if path == "/bomb":
            bomb()
            return self.answer(200)
        if path == "/token":
            t = "t%d" % len(tokens)
            tokens["Bearer " + t] = 2  # good for two requests
            return self.answer(200, json.dumps({"access_token": t}).encode())
        if path.startswith("/elsewhere/"):
            return self.answer(200, blobs[path[11:]])
        if path == "/v1/search":
            return self.answer(200, json.dumps({"results": [
                {"name": "busybox", "description": "B", "star_count": 9, "is_official": True},
                {"name": "me/busybox", "description": "M", "star_count": 1, "is_official": False}]}).encode())
        parts = path.split("/")
        if parts[1] != "v2" or len(parts) < 5:
            return self.answer(404, b"what?")
        repo, what, ref = "/".join(parts[2:-2]), parts[-2], parts[-1]
        if repo == "denied":
            return self.refuse(403, "DENIED", "requested access to the resource is denied")
        if repo == "broken":
            return self.answer(500, b"oops")
        if not self.allowed(repo):
            return None
        if path.startswith("/v2/up/"):
            if "/blobs/uploads/" in path:
                have = uploads.get("/".join(parts[2:-3]))
                return self.taken(204, "/".join(parts[2:-3]), len(have)) if have else self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "gone")
            if what == "blobs" and ref not in blobs:
                return self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        elif repo not in images:
            return self.refuse(404, "NAME_UNKNOWN", "repository name not known to registry")
        if what == "tags":
            more = "last=one" in self.path
            return self.answer(200, json.dumps({"name": repo, "tags": ["two"] if more else ["one"]}).encode(),
                               [] if more else [("Link", "</v2/%s/tags/list?last=one>; rel=\"next\"" % repo)])
        if what == "blobs":
            return self.blob(repo, ref)
        if repo == "hugemanifest":
            return self.endless()
        if repo == "loop":
            return self.answer(307, b"", [("Location", path)])
        if repo in ("loris", "headers"):
            return self.dribble(repo == "headers")
        if ref not in images[repo]:
            return self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if repo == "nohead" and self.command == "HEAD":
            return self.answer(405)
        kind, text = images[repo][ref]
        return self.answer(200, text, [] if repo in ("plain", "zstd") else [("Docker-Content-Digest", digest(text))], kind)

    do_HEAD = do_GET

    def log(self, what):
        with lock, open(LOG, "a") as f:
            f.write("%s %s %s\n" % (self.command, self.path, what))

    def taken(self, status, repo, n, headers=()):
        self.answer(status, b"", [("Location", "/v2/%s/blobs/uploads/u" % repo), ("Range", "0-%d" % max(n - 1, 0))] + list(headers))

    def do_PUT(self):
        """up/cut breaks the first upload off in its middle; up/forget does too, and knows nothing of it; up/limit takes 8 MiB at once"""
        parts = self.path.split("?")[0].split("/")
        size = int(self.headers.get("Content-Length", 0))
        if parts[-2] == "manifests":
            self.log("manifest")
            repo = "/".join(parts[2:-2])
            put(repo, self.rfile.read(size), parts[-1])
            return self.answer(201)
        repo = "/".join(parts[2:-3])
        rng = self.headers.get("Content-Range")
        self.log("%d %s" % (size, rng or "-"))
        have = bytearray() if repo in ("up/many", "up/few") else uploads.setdefault(repo, bytearray())  # several at once
        if repo == "up/limit" and size > 8 << 20:
            return self.answer(413, b"too much")
        if rng and int(rng.split("-")[0]) != len(have):
            return self.answer(416)
        if repo in ("up/cut", "up/forget") and size > 1 << 20 and repo not in cut_once:
            cut_once.add(repo)
            have += self.rfile.read(size // 2)
            if repo == "up/forget":
                have.clear()
            self.close_connection = True
            return None
        if repo == "up/slow" and "blobs/uploads" in self.path and size > 1 << 20:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            try:
                while size > 0:
                    part = len(self.rfile.read1(65536))
                    size -= part or sys.maxsize
                    time.sleep(0.05)
            finally:
                self.log("broken off" if size else "whole")
            return None
        with counted("PUT"):
            have += self.rfile.read(size)
        if self.command == "PATCH":
            return self.taken(202, repo, len(have))
        if digest(bytes(have)) != self.path.split("digest=")[1]:
            return self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        add(bytes(have))
        return self.answer(201)

    do_PATCH = do_PUT

    def do_POST(self):
        if "/blobs/uploads/" in self.path:
            repo = "/".join(self.path.split("?")[0].split("/")[2:-3])
            uploads[repo] = bytearray()
            self.log("begin")
            return self.taken(202, repo, 0)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with lock, open(LOG, "a") as f:
            f.write("%s %s %s %s\n" % (self.command, self.path, body, self.headers.get("Authorization", "-")))
        if self.path != "/token" or "refresh_token=identity" not in body:
            return self.answer(401, json.dumps({"details": "no such identity"}).encode())
        tokens["Bearer i"] = 100
        return self.answer(200, json.dumps({"access_token": "i"}).encode())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


Server(("0.0.0.0", PORT), Handler).serve_forever()
