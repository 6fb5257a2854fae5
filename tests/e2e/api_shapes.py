#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""api_shapes.py SOCKET SHAPES - asks an engine with an image busybox for every kind of answer, and compares their keys
and types with the file of shapes (its notation is explained there). Prints what differs; 1 if anything does."""
import http.client
import json
import re
import socket
import sys

TOKEN = re.compile(r"\s*([\w*.-]+\??(?=\s*:)|str|int|num|bool|null|any|[\[\]{}|:,])")
TYPES = {"str": str, "bool": bool, "null": type(None)}


class Shapes:
    def __init__(self, path):
        self.of, self.seen, self.bad = {}, set(), []
        text = "".join(line for line in open(path) if not line.startswith("#"))
        for block in re.split(r"\n(?=[A-Z])", text.strip()):
            name, body = block.split("\n", 1)
            self.tokens, self.at = TOKEN.findall(body), 0
            self.of[name] = self.parse()
            assert self.at == len(self.tokens), (name, self.tokens[self.at :][:5])

    def take(self, want=None):
        token = self.tokens[self.at]
        assert want in (None, token), (want, self.tokens[self.at - 5 : self.at + 5])
        self.at += 1
        return token

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def parse(self):
        options = [self.parse_one()]
        while self.peek() == "|":
            self.take()
            options.append(self.parse_one())
        return options

    def parse_one(self):
        token = self.take()
        if token == "[":
            item = self.parse() if self.peek() != "]" else ["any"]
            self.take("]")
            return ("list", item)
        if token != "{":
            return token
        members = {}
        while self.peek() != "}":
            key = self.take()
            self.take(":")
            members[key] = self.parse()
            if self.peek() == ",":
                self.take()
        self.take("}")
        return ("object", members)

    def check(self, name, value):
        self.seen.add(name)
        self.compare(name, value, self.of[name])

    def compare(self, path, value, options):
        for one in options:
            if one == "any" or self.is_plain(one, value):
                return
            if one[0] == "list" and isinstance(value, list):
                for item in value:
                    self.compare(path + "[]", item, one[1])
                return
            if one[0] == "object" and isinstance(value, dict):
                self.compare_object(path, value, one[1])
                return
        self.bad.append("%s is %s" % (path, json.dumps(value)[:80]))

    @staticmethod
    def is_plain(one, value):
        if one in ("int", "num"):
            return isinstance(value, (int, float) if one == "num" else int) and not isinstance(value, bool)
        return isinstance(one, str) and one in TYPES and isinstance(value, TYPES[one])

    def compare_object(self, path, value, members):
        for key, item in value.items():
            of = members.get(key) or members.get(key + "?") or members.get("*")
            if of is None:
                self.bad.append("%s.%s should not be there" % (path, key))
            else:
                self.compare("%s.%s" % (path, key), item, of)
        for key in members:
            if key != "*" and not key.endswith("?") and key not in value:
                self.bad.append("%s.%s is missing" % (path, key))


class Engine:
    def __init__(self, path, shapes):
        self.path, self.shapes = path, shapes

    def ask(self, method, path, body=None, shape=None, want=2):
        conn = http.client.HTTPConnection("d")
        conn.sock = socket.socket(socket.AF_UNIX)
        conn.sock.settimeout(30)
        conn.sock.connect(self.path)
        conn.request(method, "/v1.51" + path, json.dumps(body) if body is not None else None,
                     {"Content-Type": "application/json"} if body is not None else {})
        answer = conn.getresponse()
        text = answer.read().decode()
        conn.close()
        got = json.loads(text) if text.strip().startswith(("{", "[", "null")) else None
        if answer.status // 100 != want:
            self.shapes.bad.append("%s %s: status %d %s" % (method, path, answer.status, text[:100]))
        elif want >= 4:
            self.shapes.compare("%s %s: error" % (method, path), got, [("object", {"message": ["str"]})])
        elif shape:
            self.shapes.check(shape, got)
        return got


CONTAINER = {
    "Image": "busybox", "Cmd": ["sleep", "1000"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000},
    "HostConfig": {
        "Binds": ["shv:/v", "/tmp:/t:ro"], "Mounts": [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1000000}}],
        "NetworkMode": "shn", "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}], "Memory": 67108864,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "ExtraHosts": ["h:1.2.3.4"], "Dns": ["1.1.1.1"],
        "PortBindings": {"80/tcp": [{"HostPort": "8099"}]},
    },
    "NetworkingConfig": {"EndpointsConfig": {"shn": {"Aliases": ["al"], "DriverOpts": {"x": "y"}}}},
}


def make(e):
    e.ask("POST", "/networks/create", {"Name": "shn", "Labels": {"k": "v"}, "IPAM": {"Config": [
        {"Subnet": "10.79.0.0/24", "Gateway": "10.79.0.1", "IPRange": "10.79.0.128/25",
         "AuxiliaryAddresses": {"x": "10.79.0.5"}}]}}, "POST /networks/create")
    e.ask("POST", "/volumes/create", {"Name": "shv", "Labels": {"k": "v"}}, "POST /volumes/create")
    e.ask("POST", "/volumes/create", {"Name": "sho", "DriverOpts": {"type": "tmpfs", "device": "tmpfs"}}, "POST /volumes/create")
    e.ask("POST", "/containers/create?name=sh1", CONTAINER, "POST /containers/create")
    e.ask("POST", "/containers/create?name=sh2", {"Image": "busybox"}, "POST /containers/create")
    e.ask("POST", "/containers/create?name=sh3", {"Image": "busybox", "Cmd": ["sh", "-c", "echo x; touch /y"]})
    e.ask("GET", "/containers/sh1/json", None, "GET /containers/{id}/json")
    e.ask("POST", "/containers/sh1/start")
    e.ask("POST", "/containers/sh3/start")
    e.ask("POST", "/containers/sh3/wait", None, "POST /containers/{id}/wait")


def look(e):
    for name in ("sh1", "sh2", "sh3"):
        e.ask("GET", "/containers/%s/json?size=1" % name, None, "GET /containers/{id}/json")
        e.ask("GET", "/containers/%s/stats?stream=false" % name, None, "GET /containers/{id}/stats")
        e.ask("GET", "/containers/%s/changes" % name, None, "GET /containers/{id}/changes")
    e.ask("GET", "/containers/sh1/top", None, "GET /containers/{id}/top")
    ex = e.ask("POST", "/containers/sh1/exec", {"Cmd": ["true", "1"], "DetachKeys": "ctrl-a,b"}, "POST /containers/{id}/exec")
    e.ask("GET", "/exec/%s/json" % ex["Id"], None, "GET /exec/{id}/json")
    e.ask("POST", "/exec/%s/start" % ex["Id"], {"Detach": True})
    if e.ask("GET", "/exec/%s/json" % ex["Id"], None, "GET /exec/{id}/json")["DetachKeys"] != "AWI=":
        e.shapes.bad.append("exec's DetachKeys are not its bytes")
    e.ask("POST", "/containers/sh1/update", {"Memory": 134217728, "MemorySwap": -1}, "POST /containers/{id}/update")
    for query in ("", "?all=1", "?all=1&size=1"):
        e.ask("GET", "/containers/json" + query, None, "GET /containers/json")
    for name in ("shn", "bridge", "host", "none"):
        e.ask("GET", "/networks/" + name, None, "GET /networks/{id}")
    for name in ("shv", "sho"):
        e.ask("GET", "/volumes/" + name, None, "GET /volumes/{name}")
    e.ask("POST", "/commit?container=sh3&repo=shc", {}, "POST /commit")
    for name in ("busybox", "shc"):
        e.ask("GET", "/images/%s/json" % name, None, "GET /images/{name}/json")
        e.ask("GET", "/images/%s/history" % name, None, "GET /images/{name}/history")
    for path in ("/images/json", "/networks", "/volumes", "/version", "/info", "/system/df"):
        e.ask("GET", path, None, "GET " + path)


def fail(e):
    for path in ("/containers/nosuch/json", "/images/nosuch/json", "/networks/nosuch", "/volumes/nosuch", "/exec/nosuch/json",
                 "/nosuch", "/plugins/nosuch/json", "/containers/json?filters=x", "/events?filters=x"):
        e.ask("GET", path, want=4)
    for path in ("containers", "images", "networks", "volumes", "build"):
        e.ask("POST", "/%s/prune?filters=x" % path, want=4)
    for path in ("/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs"):
        e.ask("GET", path, want=5)


def drop(e):
    for name in ("sh1", "sh2"):
        e.ask("DELETE", "/containers/%s?force=1" % name)
    e.ask("POST", "/containers/prune", None, "POST /containers/prune")
    e.ask("DELETE", "/images/shc", None, "DELETE /images/{name}")
    for _ in range(2):
        e.ask("POST", "/networks/prune", None, "POST /networks/prune")
        e.ask("POST", "/volumes/prune?filters=%7B%22all%22:%5B%221%22%5D%7D", None, "POST /volumes/prune")
        e.ask("POST", "/images/prune", None, "POST /images/prune")
        e.ask("POST", "/build/prune", None, "POST /build/prune")
        e.ask("POST", "/containers/prune", None, "POST /containers/prune")


def main():
    shapes = Shapes(sys.argv[2])
    engine = Engine(sys.argv[1], shapes)
    for part in (make, look, fail, drop):
        part(engine)
    for name in sorted(set(shapes.of) - shapes.seen):
        shapes.bad.append("%s was not asked for" % name)
    print("\n".join(sorted(set(shapes.bad))))
    return 1 if shapes.bad else 0


sys.exit(main())
