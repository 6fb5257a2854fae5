#!/usr/bin/env python3
"""proxy.py PORT LOG - an HTTP proxy: GET http://host/..., CONNECT host:port. Each request is a line in LOG: METHOD TARGET."""
import http.server, select, socket, socketserver, sys, urllib.parse

LOG = sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rbufsize = 0  # what follows the head is spliced

    def log_message(self, *a):
        pass

    def splice(self, up):
        pair = [self.connection, up]
        while True:
            for s in select.select(pair, [], [], 60)[0]:
                data = s.recv(65536)
                if not data:
                    return
                pair[1 - pair.index(s)].sendall(data)

    def go(self):
        with open(LOG, "a") as f:
            f.write("%s %s\n" % (self.command, self.path))
        self.close_connection = True
        if self.command == "CONNECT":
            host, _, port = self.path.rpartition(":")
            up = socket.create_connection((host, int(port)))
            self.send_response(200)
            self.end_headers()
        else:
            u = urllib.parse.urlparse(self.path)
            up = socket.create_connection((u.hostname, u.port or 80))
            head = "%s %s HTTP/1.1\r\n" % (self.command, u._replace(scheme="", netloc="").geturl())
            up.sendall((head + "".join("%s: %s\r\n" % h for h in self.headers.items()) + "Connection: close\r\n\r\n").encode())
        self.splice(up)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_CONNECT = go


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
