#!/usr/bin/env python3
"""token_server.py PORT KEY CERT LOG [TTL [ALG]] - a token server for Debian's docker-registry.

KEY and CERT (PEM, RSA or EC P-256) sign the tokens, as the registry's rootcertbundle wants it. TTL: seconds for which a token
is good; the registry itself grants 60 more, which are taken off. Every other token for ended/ has ended already. Each request is a line in LOG: METHOD PATH FORM|- BASIC|-.

Users: u with pass may all; r with only may pull; nobody may pull from public/. With offline_token=true there is a refresh token,
"refresh-USER", which POST takes (OAuth2), as it does a password."""
import base64, http.server, json, socketserver, sys, threading, time, urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

PORT, LOG = int(sys.argv[1]), sys.argv[4]
TTL = int(sys.argv[5]) if len(sys.argv) > 5 else 300
KEY = serialization.load_pem_private_key(open(sys.argv[2], "rb").read(), None)
CERT = x509.load_pem_x509_certificate(open(sys.argv[3], "rb").read())
USERS = {"u": "pass", "r": "only"}
lock = threading.Lock()
ended = []


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def sign(data):
    if isinstance(KEY, ec.EllipticCurvePrivateKey):
        r, s = utils.decode_dss_signature(KEY.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return KEY.sign(data, padding.PKCS1v15(), hashes.SHA256())


def token(user, service, scopes):
    access, good = [], TTL
    if any(":ended/" in s for s in scopes):
        ended.append(1)
        good = TTL if len(ended) % 2 == 0 else -60
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        allowed = {"u": {"pull", "push", "delete"}, "r": {"pull"}}.get(user, {"pull"} if name.startswith("public/") else set())
        access.append({"type": kind, "name": name, "actions": sorted(set(actions.split(",")) & allowed)})
    now = int(time.time())
    head = {"typ": "JWT", "alg": "ES256" if isinstance(KEY, ec.EllipticCurvePrivateKey) else "RS256",
            "x5c": [base64.b64encode(CERT.public_bytes(serialization.Encoding.DER)).decode()]}
    claims = {"iss": "tests", "sub": user, "aud": service, "iat": now - 90, "nbf": now - 90, "exp": now + good - 60,
              "jti": str(now), "access": access}
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
    return text + "." + b64(sign(text.encode()))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def answer(self, status, o):
        body = json.dumps(o).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tell(self, form):
        auth = self.headers.get("Authorization", "")
        basic = base64.b64decode(auth[6:]).decode() if auth.startswith("Basic ") else "-"
        with lock, open(LOG, "a") as f:
            f.write("%s %s %s %s\n" % (self.command, self.path, form or "-", basic))
        return basic.partition(":")

    def give(self, user, q, key):
        o = {key: token(user, q.get("service", [""])[0], [s for v in q.get("scope", []) for s in v.split(" ") if s])}
        o["expires_in"] = TTL
        if q.get("offline_token") == ["true"] or q.get("access_type") == ["offline"]:
            o["refresh_token"] = "refresh-" + user
        self.answer(200, o)

    def do_GET(self):
        user, _, password = self.tell("")
        if user == "-":
            user = ""
        elif USERS.get(user) != password:
            return self.answer(401, {"details": "incorrect username or password"})
        return self.give(user, urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query), "token")

    def do_POST(self):
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.tell(form)
        q = urllib.parse.parse_qs(form)
        user = ""
        if q.get("grant_type") == ["password"] and USERS.get(q["username"][0]) == q["password"][0]:
            user = q["username"][0]
        if q.get("grant_type") == ["refresh_token"] and q["refresh_token"][0][8:] in USERS:
            user = q["refresh_token"][0][8:]
        if not user:
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no such grant"}]})
        return self.give(user, q, "access_token")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("0.0.0.0", PORT), Handler).serve_forever()
