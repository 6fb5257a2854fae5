#!/usr/bin/env python3
"""v1_registry.py PORT LOG - a registry of protocol v1 (before 2015), read-only, made in memory; also an index to search.

Repositories: plain/x (tags one, two: a chain of three), tok/x (a token is wanted), pw/x (u:pass), other/x (its endpoint is
127.0.0.1:PORT under another name), cut/x (the first answer breaks off), badid/x, notar/x, endless/x, nolayer/x.
Each request is a line in LOG: METHOD PATH RANGE|- AUTHORIZATION|-."""
import gzip, hashlib, http.server, io, json, socketserver, sys, tarfile, threading, urllib.parse

PORT, LOG = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
images, cut_once = {}, set()
noise = b"".join(hashlib.sha512(b"v1-%d" % i).digest() for i in range(16384))  # 1 MiB that does not compress


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in files.items():
            i = tarfile.TarInfo(name)
            i.size, i.mtime, i.mode = len(data), 1400000000, 0o755
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def v1(name, parent, layer, **more):
    vid = hashlib.sha256(name.encode()).hexdigest()
    o = {"id": vid, "created": "2014-05-05T05:05:05.123Z", "container_config": {"Cmd": ["/bin/sh", "-c", "step " + name]},
         "architecture": "amd64", "os": "linux", "docker_version": "1.9.1", "Size": len(layer)}
    if parent:
        o["parent"] = parent
    o.update(more)
    images[vid] = (o, layer)
    return vid


base = v1("base", "", gzip.compress(tar({"base": b"b", "noise": noise}), 1, mtime=0))
middle = v1("middle", base, tar({"middle": b"m"}), author="me", comment="<c>")
top = v1("top", middle, gzip.compress(tar({"top": b"t", "hello": b"#!/bin/x\n"}), mtime=0),
         config={"Cmd": ["/hello"], "Env": ["A=<b>"], "Labels": None})
notar = v1("notar", "", b"this is no archive, whatever its name says" * 100)
endless = v1("endless", "", b"")
nolayer = v1("nolayer", "", tar({"x": b"x"}))
repos = {"plain/x": {"one": top, "two": middle}, "tok/x": {"latest": top}, "pw/x": {"latest": middle}, "other/x": {"latest": middle},
         "cut/x": {"latest": v1("cut", "", gzip.compress(tar({"cut": noise[::-1]}), 1, mtime=0))}, "badid/x": {"latest": "../../etc/passwd"},
         "notar/x": {"latest": notar}, "endless/x": {"latest": endless}, "nolayer/x": {"latest": nolayer}}
cutid = repos["cut/x"]["latest"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def answer(self, status, body, headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def layer(self, vid):
        body = images[vid][1]
        if vid == nolayer:
            return self.answer(404, {"error": "Image not found"})
        if vid == endless:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            self.wfile.write(gzip.compress(tar({"x": b"x"})))
            while True:
                self.wfile.write(bytes(65536))
        rng, start = self.headers.get("Range"), 0
        if rng:
            start = int(rng[6:].split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if vid == cutid and vid not in cut_once:
            cut_once.add(vid)
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
            return None
        return self.wfile.write(body[start:])

    def repository(self, repo, rest, auth):
        if repo not in repos:
            return self.answer(404, {"error": "Repository not found"})
        if rest == ["images"]:
            if repo in ("tok/x", "pw/x") and auth != "Basic dTpwYXNz":
                return self.answer(401, {"error": "Requires authorization"})
            more = []
            if repo in ("tok/x", "other/x"):
                more = [("X-Docker-Token", "signature=abc,repository=\"%s\",access=read" % repo)]
            if repo == "other/x":
                more.append(("X-Docker-Endpoints", "127.0.0.2:%d" % PORT))
            return self.answer(200, [{"id": t} for t in repos[repo].values()], more)
        if repo == "tok/x" and not auth.startswith("Token signature=abc"):
            return self.answer(401, {})
        if rest == ["tags"]:
            return self.answer(200, repos[repo])
        tag = rest[1] if len(rest) == 2 else ""
        if tag not in repos[repo]:
            return self.answer(404, {"error": "Tag not found"})
        return self.answer(200, repos[repo][tag])

    def do_GET(self):
        auth = self.headers.get("Authorization", "-")
        with lock, open(LOG, "a") as f:
            f.write("%s %s%s %s %s\n" % (self.command, self.headers.get("Host"), self.path, self.headers.get("Range", "-"), auth))
        url = urllib.parse.urlparse(self.path)
        p = url.path.strip("/").split("/")
        if p == ["v1", "_ping"]:
            return self.answer(200, True, [("X-Docker-Registry-Standalone", "True"), ("X-Docker-Registry-Version", "0.9.1")])
        if p == ["v1", "search"]:
            q = urllib.parse.parse_qs(url.query)
            found = [{"name": n, "description": "d " + n, "star_count": i * 10, "is_official": i == 3} for i, n in enumerate(sorted(repos))
                     if q["q"][0] in n]
            return self.answer(200, {"query": q["q"][0], "num_results": len(found), "results": found[:int(q["n"][0])]})
        if p[0] == "v1" and p[1:2] == ["repositories"] and len(p) > 4:
            return self.repository("/".join(p[2:4]), p[4:], auth)
        if p[:2] == ["v1", "images"] and len(p) == 4 and p[2] in images:
            vid, what = p[2:]
            if what == "layer":
                return self.layer(vid)
            if what == "json":
                return self.answer(200, images[vid][0], [("X-Docker-Size", str(len(images[vid][1])))])
            chain = []
            while vid:
                chain.append(vid)
                vid = images[vid][0].get("parent", "")
            return self.answer(200, chain)
        return self.answer(404, b"<html>not here</html>")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


Server(("0.0.0.0", PORT), Handler).serve_forever()
