#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""image_tars.py KIND DIR - makes the archives that images.test.sh feeds to the engine.

exact	DIR/exact/*.tar: odd but honest layers; each must come out of save byte for byte
hostile	DIR/hostile/*.tar: layers that must be refused, or must not do what they try
forms	DIR/forms/*: one image in every form that load takes
"""
import bz2, gzip, hashlib, io, json, lzma, os, struct, subprocess, sys, tarfile

KIND, DIR = sys.argv[1], sys.argv[2]


def info(name, data=b'', **kw):
    i = tarfile.TarInfo(name)
    i.size, i.mode, i.mtime = len(data), 0o644, 1700000000
    for k, v in kw.items():
        setattr(i, k, v)
    return i, io.BytesIO(data)


def make(path, entries, fmt=tarfile.PAX_FORMAT, tail=b''):
    with tarfile.open(path, 'w', format=fmt) as t:
        for e in entries:
            t.addfile(*info(*e[:2], **(e[2] if len(e) > 2 else {})))
    if tail:
        open(path, 'ab').write(tail)


DIRT = {'type': tarfile.DIRTYPE, 'mode': 0o755}


def link(target):
    return {'type': tarfile.SYMTYPE, 'linkname': target}


def hard(target):
    return {'type': tarfile.LNKTYPE, 'linkname': target}


def exact(d):
    long = 'l' * 90 + '/' + 'm' * 120 + '/' + 'n' * 100
    for name, fmt in ('ustar', tarfile.USTAR_FORMAT), ('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT):
        make(f'{d}/{name}.tar', [('d', b'', DIRT), ('d/f', b'hello'), ('d/empty', b''), ('d/512', b'x' * 512),
                                 ('d/s', b'', link('f')), ('d/h', b'', hard('d/f')), ('d/suid', b's', {'mode': 0o4755, 'uid': 7, 'gid': 8}),
                                 ('d/p', b'', {'type': tarfile.FIFOTYPE}), ('d/null', b'', {'type': tarfile.CHRTYPE, 'devmajor': 1, 'devminor': 3})], fmt)
    for name, fmt in ('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT):
        make(f'{d}/long-{name}.tar', [(long, b'long'), ('s', b'', link(long)), ('\u00fcml\u00e4ut', b'u')], fmt)
    make(f'{d}/pax-records.tar', [('f', b'x', {'pax_headers': {'SCHILY.xattr.user.a': 'b', 'comment': 'c', 'mtime': '1700000000.123456789', 'uid': '4000000', 'LIBARCHIVE.creationtime': '1'}})])
    make(f'{d}/same-twice.tar', [('f', b'first' * 1000), ('f', b'second'), ('d', b'', DIRT), ('d/x', b'in d'), ('d', b'now a file'), ('g', b'3' * 600), ('g', b'', link('f')), ('g', b'4')])
    make(f'{d}/through-link.tar', [('real', b'', DIRT), ('alias', b'', link('real')), ('alias/f', b'through'), ('real/f', b'replaced'), ('alias/g', b'g')])
    make(f'{d}/dots.tar', [('./', b'', DIRT), ('./a/../b', b'b'), ('.//c', b'c'), ('/abs', b'abs'), ('e/f/g', b'no parents')])
    make(f'{d}/trailing.tar', [('f', b'x')], tail=b'\0' * 5120 + b'garbage behind the end' * 10)
    make(f'{d}/whiteouts.tar', [('d', b'', DIRT), ('.wh.gone', b''), ('d/.wh..wh..opq', b''), ('d/kept', b'k'), ('.wh..wh.plnk', b'', DIRT), ('.wh..wh.aufs', b'x')])
    make(f'{d}/newline.tar', [('a\nb\\c', b'1'), ('a\nb\\c', b'2')])
    open(f'{d}/nothing.tar', 'wb').write(b'\0' * 1024)
    open(f'{d}/no-end.tar', 'wb').write(pad(open(f'{d}/ustar.tar', 'rb').read().rstrip(b'\0')))
    # payloads of every length around a block, and one of 3 MiB
    make(f'{d}/lengths.tar', [(f'f{n}', bytes([n % 251]) * n) for n in (1, 511, 512, 513, 1023, 1024, 1025, 262143, 262144, 262145, 3 << 20)])
    w = f'{d}/../work'
    os.makedirs(w, exist_ok=True)
    with open(f'{w}/sparse', 'wb') as f:
        f.seek(5 << 20); f.write(b'middle'); f.truncate(9 << 20)
    open(f'{w}/plain', 'w').write('plain')
    for fmt, version in ('gnu', None), ('posix', '0.0'), ('posix', '0.1'), ('posix', '1.0'):
        cmd = ['tar', '-C', w, f'--format={fmt}', '--sparse', '-cf', f'{d}/sparse-{fmt}-{version}.tar']
        subprocess.run(cmd + ([f'--sparse-version={version}'] if version else []) + ['sparse', 'plain'], check=True)
    subprocess.run(['tar', '-C', '/etc', '--format=gnu', '-cf', f'{d}/etc.tar', 'passwd', 'group', 'default', 'apt'], check=True)
    subprocess.run(['tar', '-C', '/etc', '--format=posix', '--xattrs', '-cf', f'{d}/etc-posix.tar', 'default', 'apt', 'ld.so.conf.d'], check=True)


def pad(x):
    return x + b'\0' * (-len(x) % 512)


def block(name, typeflag=b'0', size=0, linkname=b'', magic=b'ustar\x0000', size_field=None):
    b = bytearray(512)
    b[0:len(name)] = name
    b[100:108] = b'0000644\0'; b[108:116] = b'0000000\0'; b[116:124] = b'0000000\0'
    b[124:136] = size_field or (b'%011o\0' % size)
    b[136:148] = b'00000000000\0'; b[148:156] = b' ' * 8; b[156:157] = typeflag
    b[157:157 + len(linkname)] = linkname; b[257:265] = magic
    b[148:156] = b'%06o\0 ' % sum(b)
    return bytes(b)


def pax(records):
    body = b''
    for k, v in records:
        n = len(k) + len(v) + 3
        total = n + len(str(n))
        total = n + len(str(total))
        body += b'%d %s=%s\n' % (total, k, v)
    return block(b'PaxHeaders/x', b'x', len(body)) + pad(body)


END = b'\0' * 1024


def hostile(d):
    canary = b'escaped'
    # refused
    make(f'{d}/no-dotdot.tar', [('../../../../../../../../tmp/sdc-escape', canary)])
    make(f'{d}/no-dotdot-mid.tar', [('a/../../b', canary)])
    make(f'{d}/no-hardlink-out.tar', [('h', b'', hard('../../../../../../etc/passwd'))])
    make(f'{d}/no-hardlink-self.tar', [('h', b'x'), ('h', b'', hard('h'))])
    make(f'{d}/no-hardlink-missing.tar', [('h', b'', hard('nothing/there'))])
    make(f'{d}/no-device-00.tar', [('gone', b'', {'type': tarfile.CHRTYPE})])
    make(f'{d}/no-whiteout-dotdot.tar', [('d', b'', DIRT), ('d/.wh...', b'')])
    make(f'{d}/no-whiteout-nothing.tar', [('.wh.', b'')])
    make(f'{d}/no-file-below-file.tar', [('f', b'x'), ('f/g', b'y')])
    make(f'{d}/no-root-file.tar', [('.', b'x')])
    make(f'{d}/no-root-link.tar', [('./', b'', link('/tmp'))])
    open(f'{d}/no-truncated.tar', 'wb').write(block(b'f', size=100000) + b'x' * 1000)
    open(f'{d}/no-negative.tar', 'wb').write(block(b'f', size_field=b'\xff' * 12) + END)
    open(f'{d}/no-huge.tar', 'wb').write(block(b'f', size_field=b'\x80' + b'\0' * 3 + struct.pack('>Q', 1 << 62)) + b'x' * 2000)
    open(f'{d}/no-pax-huge.tar', 'wb').write(block(b'x', b'x', size=1 << 33) + b'1' * 4096)
    open(f'{d}/no-pax-size.tar', 'wb').write(pax([(b'size', b'99999999999999999999')]) + block(b'f', size=1) + pad(b'x') + END)
    open(f'{d}/no-garbage.tar', 'wb').write(os.urandom(4096))
    open(f'{d}/no-gzip-garbage.tar', 'wb').write(b'\x1f\x8b\x08' + b'junk' * 500)
    open(f'{d}/no-gzip-cut.tar', 'wb').write(gzip.compress(open(f'{d}/no-hardlink-missing.tar', 'rb').read() * 20)[:-40])
    open(f'{d}/no-gzip-twice.tar', 'wb').write(gzip.compress(gzip.compress(open(f'{d}/no-hardlink-missing.tar', 'rb').read())))
    # a window of 2 GiB is asked for
    open(f'{d}/no-zstd-window.tar', 'wb').write(bytes.fromhex('28b52ffd00a8010000'))
    open(f'{d}/no-owner.tar', 'wb').write(pax([(b'uid', b'99999999999')]) + block(b'f') + END)
    open(f'{d}/no-long-name.tar', 'wb').write(pax([(b'path', b'a/' * 5000)]) + block(b'f') + END)
    for name, m in ('negative', b'-1,5'), ('huge', b'0,99999999999999999999'), ('junk', b'a,b,c'):
        open(f'{d}/no-sparse-{name}.tar', 'wb').write(pax([(b'GNU.sparse.major', b'0'), (b'GNU.sparse.minor', b'1'), (b'GNU.sparse.map', m), (b'GNU.sparse.size', b'1000000')]) + block(b'f', size=512) + b'x' * 512 + END)
    # taken, but tamed
    make(f'{d}/ok-absolute.tar', [('/tmp/sdc-escape', canary)])
    make(f'{d}/ok-symlink-abs.tar', [('l', b'', link('/tmp')), ('tmp', b'', DIRT), ('l/sdc-escape', canary)])
    make(f'{d}/ok-symlink-up.tar', [('a', b'', DIRT), ('a/l', b'', link('../../../../../../tmp')), ('tmp', b'', DIRT), ('a/l/sdc-escape', canary)])
    make(f'{d}/ok-symlink-replaced.tar', [('x', b'', link('/etc')), ('x', b'', DIRT), ('x/sdc-escape', canary)])
    make(f'{d}/ok-link-then-file.tar', [('l', b'', link('/tmp/sdc-escape')), ('l', canary)])
    make(f'{d}/ok-overlay-xattrs.tar', [('d', b'', dict(DIRT, pax_headers={'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.user.overlay.opaque': 'y', 'SCHILY.xattr.trusted.overlay.metacopy': '', 'SCHILY.xattr.user.fine': 'yes'}))])
    make(f'{d}/ok-hardlink-symlink.tar', [('l', b'', link('/etc/shadow')), ('h', b'', hard('l'))])
    make(f'{d}/ok-nss.tar', [('etc/nsswitch.conf', b'passwd: evil\n', {'uname': 'evil', 'gname': 'evil'}), ('lib/x86_64-linux-gnu/libnss_evil.so.2', b'\x7fELF')])
    open(f'{d}/ok-charset.tar', 'wb').write(pax([(b'hdrcharset', b'BINARY'), (b'path', b'\xff\xfe\x80')]) + block(b'f', size=1) + pad(b'x') + END)


def sha(b):
    return hashlib.sha256(b).hexdigest()


def tar_bytes(entries):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode='w') as t:
        for e in entries:
            t.addfile(*info(*e))
    return b.getvalue()


def forms(d):
    layers = [tar_bytes([('one', b'1')]), tar_bytes([]), tar_bytes([('two', b'2')]), tar_bytes([])]
    config = json.dumps({'architecture': 'amd64', 'os': 'linux', 'created': '2024-01-01T00:00:00Z', 'config': {'Labels': {'a': 'b'}},
                         'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha(l) for l in layers]},
                         'history': [{'created_by': str(i)} for i in range(4)]}).encode()
    cid = sha(config)
    open(f'{d}/id', 'w').write('sha256:' + cid)

    def save(name, files):
        make(f'{d}/{name}', files, tarfile.USTAR_FORMAT)

    def manifest(tag, paths, **kw):
        return json.dumps([dict({'Config': cid + '.json', 'RepoTags': [tag] if tag else None, 'Layers': paths}, **kw)]).encode()

    save('docker.tar', [(f'{i}/layer.tar', l) for i, l in enumerate(layers)] + [(cid + '.json', config), ('manifest.json', manifest('form:docker', [f'{i}/layer.tar' for i in range(4)]))])
    save('manifest-first.tar', [('manifest.json', manifest('form:first', [f'{i}.tar' for i in range(4)])), (cid + '.json', config)] + [(f'{i}.tar', l) for i, l in enumerate(layers)])
    save('no-tag.tar', [('manifest.json', manifest(None, [f'{i}.tar' for i in range(4)])), (cid + '.json', config)] + [(f'{i}.tar', l) for i, l in enumerate(layers)])
    # a duplicate layer as a link, as docker save before 25 wrote it
    save('linked.tar', [(f'{i}/layer.tar', l) for i, l in enumerate(layers[:3])] + [('3/layer.tar', b'', link('../1/layer.tar')), (cid + '.json', config), ('manifest.json', manifest('form:linked', [f'{i}/layer.tar' for i in range(4)]))])
    save('gz-layers.tar', [(f'{i}.tgz', gzip.compress(l)) for i, l in enumerate(layers)] + [(cid + '.json', config), ('manifest.json', manifest('form:gz', [f'{i}.tgz' for i in range(4)]))])
    plain = open(f'{d}/docker.tar', 'rb').read()
    open(f'{d}/docker.tar.gz', 'wb').write(gzip.compress(plain))
    open(f'{d}/docker.tar.bz2', 'wb').write(bz2.compress(plain))
    open(f'{d}/docker.tar.xz', 'wb').write(lzma.compress(plain))
    subprocess.run(['zstd', '-q', '-f', f'{d}/docker.tar', '-o', f'{d}/docker.tar.zst'], check=True)

    def zstd(b):
        return subprocess.run(['zstd', '-q', '-c'], input=b, stdout=subprocess.PIPE, check=True).stdout

    for name, pack in ('oci-gzip', gzip.compress), ('oci-zstd', zstd), ('oci-plain', lambda b: b):
        packed = [pack(l) for l in layers]
        m = json.dumps({'schemaVersion': 2, 'config': {'digest': 'sha256:' + cid, 'size': len(config)},
                        'layers': [{'digest': 'sha256:' + sha(p), 'size': len(p)} for p in packed]}).encode()
        other = json.dumps({'schemaVersion': 2, 'config': {'digest': 'sha256:' + '0' * 64}, 'layers': []}).encode()
        index = json.dumps({'schemaVersion': 2, 'manifests': [
            {'digest': 'sha256:' + sha(other), 'platform': {'os': 'linux', 'architecture': 'nothing'}},
            {'digest': 'sha256:' + sha(m), 'platform': {'os': 'linux', 'architecture': 'amd64'}}]}).encode()
        top = json.dumps({'schemaVersion': 2, 'manifests': [{'digest': 'sha256:' + sha(index), 'annotations': {'io.containerd.image.name': f'docker.io/library/form:{name}'}}]}).encode()
        blobs = {sha(b): b for b in packed + [m, other, index, config]}
        save(f'{name}.tar', [('oci-layout', b'{"imageLayoutVersion":"1.0.0"}'), ('index.json', top)] + [('blobs/sha256/' + h, b) for h, b in blobs.items()])
    v1 = [{'id': f'{i}' * 64, 'created': '2013-01-01T00:00:00Z', 'container_config': {'Cmd': ['cmd', str(i)]}} for i in range(2)]
    v1[1].update(parent=v1[0]['id'], architecture='amd64', os='linux', config={'Cmd': ['old']})
    files = []
    for i, c in enumerate(v1):
        files += [(c['id'] + '/VERSION', b'1.0'), (c['id'] + '/json', json.dumps(c).encode()), (c['id'] + '/layer.tar', layers[i * 2])]
    save('v1.tar', files + [('repositories', json.dumps({'form': {'v1': v1[1]['id']}}).encode())])
    # broken in various ways
    bad = f'{d}/bad'
    os.makedirs(bad, exist_ok=True)
    one = [('l.tar', layers[0])]
    def bad_save(name, m, cfg=config, files=one):
        make(f'{bad}/{name}.tar', files + [(cid + '.json', cfg), ('manifest.json', m)], tarfile.USTAR_FORMAT)
    bad_save('few-layers', manifest('bad:1', ['l.tar']))
    bad_save('missing-layer', manifest('bad:2', ['l.tar', 'nope', 'l.tar', 'l.tar']))
    bad_save('wrong-layer', manifest('bad:3', ['l.tar'] * 4))
    bad_save('no-config', json.dumps([{'Config': 'nope.json', 'Layers': []}]).encode())
    bad_save('config-json', manifest('bad:4', ['l.tar']), cfg=b'{"rootfs":')
    bad_save('bad-tag', manifest('Bad Tag', ['l.tar']), cfg=json.dumps({'rootfs': {'diff_ids': ['sha256:' + sha(layers[0])]}}).encode())
    bad_save('manifest-json', b'[{"Config": ')
    bad_save('manifest-deep', b'[' * 100000)
    bad_save('manifest-type', b'{"Config": 1}')
    bad_save('diff-id', manifest('bad:5', ['l.tar']), cfg=json.dumps({'rootfs': {'diff_ids': ['../../../etc']}}).encode())
    ids = [f'{i:064x}' for i in range(600)]
    make(f'{bad}/v1-long.tar', [(i + '/json', json.dumps({'id': i, 'parent': ids[n - 1] if n else ''}).encode()) for n, i in enumerate(ids)] +
         [(ids[0] + '/layer.tar', b'no layer'), ('repositories', json.dumps({'form': {'bad': ids[-1]}}).encode())])
    for n, repos in enumerate([None, 1, [], {'form': 'bad'}]):
        make(f'{bad}/v1-repositories-{n}.tar', files + [('repositories', json.dumps(repos).encode())])
    bad_save('manifest-5000', manifest('bad:7', ['l.tar'] * 5000), cfg=json.dumps({'rootfs': {'diff_ids': ['sha256:' + sha(layers[0])] * 5000}}).encode())
    bad_save('windows', manifest('bad:6', ['l.tar']), cfg=json.dumps({'os': 'windows', 'rootfs': {'diff_ids': ['sha256:' + sha(layers[0])]}}).encode())
    make(f'{bad}/loop.tar', [('a', b'', link('b')), ('b', b'', link('a')), ('manifest.json', json.dumps([{'Config': 'a', 'Layers': ['b']}]).encode())])
    make(f'{bad}/nothing.tar', [('hello', b'x')])
    open(f'{bad}/cut.tar', 'wb').write(plain[:len(plain) // 2])
    open(f'{bad}/empty.tar', 'wb').write(b'')
    m = json.dumps({'schemaVersion': 2, 'config': {'digest': 'sha256:' + cid}, 'layers': []}).encode()
    make(f'{bad}/oci-digest.tar', [('index.json', json.dumps({'manifests': [{'digest': 'sha256:' + sha(m)}]}).encode()), ('blobs/sha256/' + sha(m), m + b' '), ('blobs/sha256/' + cid, config)])


os.makedirs(f'{DIR}/{KIND}', exist_ok=True)
globals()[KIND](f'{DIR}/{KIND}')
