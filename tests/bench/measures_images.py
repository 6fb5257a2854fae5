# SPDX-License-Identifier: MPL-2.0
"""measures_images.py - loading, pulling and building images."""
import hashlib, io, json, os, statistics, subprocess, tarfile, time

from measures_engine import ms, row
from measures_logs import Peak

TOOLS = None
SERVERS = []
MB = 220


def clean_up():
    for p in SERVERS:
        p.kill()


# ---- images to load

def add_programs(t):
    """About the mix of a distribution's base image: programs, libraries, many small files."""
    for top, share in (('/usr/bin', .15), ('/usr/lib/x86_64-linux-gnu', .45), ('/usr/share', .40)):
        size = 0
        for root, dirs, files in os.walk(top):
            dirs.sort()
            for f in sorted(files):
                p = os.path.join(root, f)
                if size > share * MB * 1e6 or os.path.islink(p) or not os.path.isfile(p) or os.path.getsize(p) > 8e6:
                    continue
                t.add(p, p[1:])
                size += os.path.getsize(p)


class Noise:
    """A file of n bytes that are not all the same."""

    def __init__(self, n):
        self.left, self.block = n, os.urandom(1 << 20)

    def read(self, n):
        n = min(n, self.left, 1 << 20)
        self.left -= n
        return self.block[:n]


def add_noise(t):
    i = tarfile.TarInfo('noise')
    i.size = 1000000000
    t.addfile(i, Noise(i.size))


def digest_of(path):
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        while True:
            b = f.read(1 << 20)
            if not b:
                return h.hexdigest()
            h.update(b)


def archive_of(name, fill):
    """A docker-archive of one layer that fill makes, unlike any other: an engine loads each once. To remove and load one
    and the same would measure how a file system avoids what has just been deleted."""
    out = '%s/%s.tar' % (TOOLS, name)
    if os.path.exists(out):
        return out
    layer = out + '.layer'
    with tarfile.open(layer, 'w') as t:
        i = tarfile.TarInfo('name')
        i.size = len(name)
        t.addfile(i, io.BytesIO(name.encode()))
        fill(t)
    config = json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {}, 'history': [{'created_by': 'bench'}],
                         'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + digest_of(layer)]}}).encode()
    files = {hashlib.sha256(config).hexdigest() + '.json': config}
    files['manifest.json'] = json.dumps([{'Config': list(files)[0], 'RepoTags': [name + ':latest'], 'Layers': ['layer.tar']}]).encode()
    with tarfile.open(out, 'w') as t:
        for n, data in files.items():
            i = tarfile.TarInfo(n)
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
        t.add(layer, 'layer.tar')
    os.unlink(layer)
    return out


def next_name(e, kind):
    """A name that this engine has not had yet."""
    e.kept[kind] = e.kept.get(kind, 0) + 1
    return '%s%d' % (kind, e.kept[kind])


LOAD = 'load of a %d MB image' % MB


def load_image(e):
    name = next_name(e, 'load')
    tar = archive_of(name, add_programs)
    os.sync()
    cpu = e.cpu()
    took = ms(lambda: e.upload('/v1.41/images/load?quiet=1', tar))
    cpu = e.cpu() - cpu
    assert e.get('/v1.41/images/%s:latest/json' % name)[0] == 200
    return [(LOAD, 'ms', took, False), (LOAD + ': engine CPU', 's', cpu, False)]


def peak_of(e, fn):
    """The highest memory of the engine's processes while fn runs, MiB."""
    peak = Peak(e.pss, 0.01)
    fn()
    return peak.end() / 1024


def load_memory(e):
    out = []
    for kind, fill, size in (('mem', add_programs, MB), ('noise', add_noise, 1000)):
        tar = archive_of(next_name(e, kind), fill)
        out.append(('load of %d MB: peak memory' % size, 'MiB PSS', peak_of(e, lambda: e.upload('/v1.41/images/load?quiet=1', tar)), False))
    return out


# ---- pulling

def registry(e):
    """docker-registry in the engine's network, on what all share."""
    if 'registry' in e.kept:
        return
    store = TOOLS + '/registry'
    conf = store + '.yml'
    open(conf, 'w').write('version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\n'
                          'http: {addr: "127.0.0.1:5000"}\n' % store)
    e.kept['registry'] = subprocess.Popen(['nsenter', '--net=/run/netns/' + e.ns, 'docker-registry', 'serve', conf],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    SERVERS.append(e.kept['registry'])
    time.sleep(1)


def pushed(e, kind):
    """The name of an image in the registry, gzip as everybody's, that this engine has not had yet."""
    name = next_name(e, kind)
    registry(e)
    if not os.path.exists(TOOLS + '/registry/docker/registry/v2/repositories/' + name):
        subprocess.run(['nsenter', '--net=/run/netns/' + e.ns, 'skopeo', 'copy', '-q', '--insecure-policy', '--dest-tls-verify=false',
                        'docker-archive:' + archive_of(name, add_programs), 'docker://127.0.0.1:5000/%s:latest' % name], check=True)
    os.sync()
    return '127.0.0.1:5000/' + name


PULL = 'pull of a %d MB image' % MB


def pull(e, name):
    s, b = e.req('POST', '/v1.41/images/create?fromImage=%s&tag=latest' % name)
    assert s == 200 and b'errorDetail' not in b, (s, b[-500:])
    assert e.get('/v1.41/images/%s:latest/json' % name)[0] == 200


def pull_image(e):
    name = pushed(e, 'pull')
    cpu = e.cpu()
    took = ms(lambda: pull(e, name))
    return [(PULL, 'ms', took, False), (PULL + ': engine CPU', 's', e.cpu() - cpu, False)]


def pull_memory(e):
    name = pushed(e, 'pull')
    return peak_of(e, lambda: pull(e, name))


# ---- building

def build_tar(dockerfile, files=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as t:
        for name, data in [('Dockerfile', dockerfile.encode())] + list(files):
            i = tarfile.TarInfo(name)
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def build_once(e, tar, query=''):
    s, b = e.req('POST', '/v1.41/build?t=benchbuild&' + query, tar, {'Content-Type': 'application/x-tar'})
    assert s == 200 and b'Successfully built' in b, (s, b[-500:])


TEN_RUNS = 'FROM bench\n' + 'RUN ["/loggen", "0", "20", "line"]\n' * 10
BUILD = 'build, 10 RUN'
CACHED = 'build, 10 RUN, all cached'


def build_runs(e):
    tar = build_tar(TEN_RUNS)
    cpu = e.cpu()
    took = ms(lambda: build_once(e, tar, 'nocache=1'))
    return [(BUILD, 'ms', took, False), (BUILD + ': engine CPU', 's', e.cpu() - cpu, False)]


def build_cached(e):
    tar = build_tar(TEN_RUNS)
    build_once(e, tar)
    return statistics.median(ms(lambda: build_once(e, tar)) for _ in range(11))


def build_context(e):
    """100 files of 1 MB, new ones each time: upload, hash, copy, layer."""
    tar = build_tar('FROM bench\nCOPY d /d\n', [('d/%d' % i, os.urandom(1000000)) for i in range(100)])
    return ms(lambda: build_once(e, tar))


MEASURES = [
    row(LOAD, 'ms', load_image, False, promise={LOAD: dict(times=2)}),
    row('load, memory', 'MiB PSS', load_memory, False, rounds=1,
        promise={'load of %d MB: peak memory' % n: dict(most=40) for n in (MB, 1000)}),
    row(PULL, 'ms', pull_image, False, promise={PULL: dict(times=2)}),
    row(PULL + ': peak memory', 'MiB PSS', pull_memory, False, rounds=1, promise={PULL + ': peak memory': dict(most=40)}),
    row(BUILD, 'ms', build_runs, False, rounds=5, promise={BUILD: dict(times=5)}),
    row(CACHED, 'ms', build_cached, False, promise={CACHED: dict(most=20)}),
    row('build, COPY of 100 MB', 'ms', build_context, False),
]
