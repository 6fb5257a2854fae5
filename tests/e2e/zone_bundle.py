#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""zone_bundle.py ROOT BIN [key=json ...] - makes the directories and files of one zone, as apiserver does;
prints its UUID. For tests of zoneadmd alone. Needs busybox-static."""
import json
import os
import shutil
import sys
import uuid as uuidlib

DEFAULT_CAPS = ("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
                "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE").split()


def layer_native(root, bindir):
    d = f"{root}/lib/native"
    if os.path.exists(d):
        return d
    os.makedirs(d + ".tmp/native/usr/sbin")
    os.makedirs(d + ".tmp/native/.zonecontrol")
    shutil.copy(f"{bindir}/dockerinit", d + ".tmp/native/usr/sbin/dockerinit")
    for n in ("get", "put", "list", "delete"):
        os.symlink("dockerinit", d + f".tmp/native/usr/sbin/mdata-{n}")
    os.setxattr(d + ".tmp/native", "trusted.overlay.opaque", b"y")
    os.rename(d + ".tmp", d)
    return d


def layer_base(root):
    d = f"{root}/lib/base"
    for sub in ("dev/pts", "dev/shm", "proc", "sys", "etc", "native/.zonecontrol", "var/log"):
        os.makedirs(f"{d}/{sub}", exist_ok=True)
    for f in ("etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv", "dev/console",
              "var/log/sdc-dockerinit.log"):
        open(f"{d}/{f}", "a").close()
    return d


def layer_busybox(root):
    d = f"{root}/lib/busybox"
    if os.path.exists(d):
        return d
    os.makedirs(d + "/bin")
    os.makedirs(d + "/etc")
    os.makedirs(d + "/tmp")
    os.chmod(d + "/tmp", 0o1777)
    os.makedirs(d + "/root")
    os.makedirs(d + "/home/bob")
    shutil.copy("/bin/busybox", d + "/bin/busybox")
    for a in os.popen("/bin/busybox --list").read().split():
        if a != "busybox":
            os.symlink("busybox", f"{d}/bin/{a}")
    with open(d + "/etc/passwd", "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n")
    with open(d + "/etc/group", "w") as f:
        f.write("root:x:0:\nwheel:x:10:root,bob\nbob:x:1000:\nadm:x:4:\n")
    with open(d + "/bin/noexec", "w") as f:
        f.write("echo hi\n")
    with open(d + "/bin/badformat", "w") as f:
        f.write("\x01\x02garbage\n")
    os.chmod(d + "/bin/badformat", 0o755)
    return d


def mounts(o, run, zdir):
    m = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["ro", "nosuid", "noexec", "nodev"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]},
        {"destination": "/native/.zonecontrol", "type": "bind", "source": f"{run}/zonecontrol",
         "options": ["rbind", "ro", "rprivate"]},
        {"destination": "/var/log/sdc-dockerinit.log", "type": "bind", "source": f"{zdir}/logs/dockerinit.log",
         "options": ["rbind", "rw", "rprivate"]},
    ]
    return m + o.get("mounts", [])


def main():
    root, bindir = sys.argv[1], sys.argv[2]
    o = {}
    for a in sys.argv[3:]:
        k, v = a.split("=", 1)
        o[k] = json.loads(v)
    ident = os.urandom(32).hex()
    uuid = str(uuidlib.UUID(ident[:32]))
    zdir, run = f"{root}/zones/{uuid}", f"{root}/run/zones/{uuid}"
    for d in ("config", "root", "diff", "work", "logs"):
        os.makedirs(f"{zdir}/{d}")
    open(f"{zdir}/logs/dockerinit.log", "w").close()
    tag = os.environ.get("ZONE_TAG", "")
    tty = o.get("tty", False)
    caps = ["CAP_" + c for c in o.get("caps", DEFAULT_CAPS)]
    proc = {"caps": caps, "no_new_privs": o.get("nnp", False), "group_add": o.get("group_add", []),
            "umask": o.get("umask", 18), "init": o.get("init", False)}
    extra = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
    if o.get("seccomp"):
        proc["seccomp"] = o["seccomp"]
        extra.append("CAP_SYS_ADMIN")
    all_caps = sorted(set(caps) | set(extra))
    lowers = [layer_native(root, bindir)]
    if not o.get("scratch"):
        lowers.append(layer_busybox(root))
    lowers += o.get("lowers", [])
    lowers.append(layer_base(root))
    ns = [{"type": t} for t in ("mount", "uts", "ipc", "pid")]
    if o.get("private_netns", True):
        ns.append({"type": "network", "path": f"{run}/netns"})
    res = {} if os.environ.get("ZONE_NO_DEVICES") else {"devices": [{"allow": False, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 136, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
                       {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"}]}
    if o.get("memory"):
        res["memory"] = {"limit": o["memory"], "swap": o["memory"]}
    if o.get("pids"):
        res["pids"] = {"limit": o["pids"]}
    config = {
        "ociVersion": "1.0.2", "hostname": o.get("hostname", ident[:12]),
        "process": {"terminal": tty, "user": {"uid": 0, "gid": 0}, "args": ["/native/usr/sbin/dockerinit"],
                    "env": [], "cwd": "/", "noNewPrivileges": False,
                    "capabilities": {k: all_caps for k in ("bounding", "effective", "permitted")},
                    "rlimits": o.get("rlimits", [])},
        "root": {"path": f"{zdir}/root", "readonly": o.get("readonly", False)},
        "mounts": mounts(o, run, zdir),
        "linux": {"cgroupsPath": f"/sdczt{os.environ.get('ZONE_TAG', '')}-{ident[:32]}", "namespaces": ns, "resources": res,
                  "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list"],
                  "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]},
    }
    if tty:
        config["process"]["consoleSize"] = {"height": 33, "width": 99}
    zone = {"id": ident, "uuid": uuid, "name": "t", "hostname": config["hostname"],
            "runtime": o.get("runtime", "/usr/bin/crun"), "runtime_root": f"{root}/run/runtime",
            "tty": tty, "open_stdin": o.get("open_stdin", False), "stdin_once": False,
            "private_netns": o.get("private_netns", True), "cgroup": f"/sdczt{os.environ.get('ZONE_TAG', '')}-{ident[:32]}",
            "workdir": o.get("workdir", ""), "oom_score_adj": 0,
            "rootfs": {"lowers": lowers, "upper": f"{zdir}/diff", "work": f"{zdir}/work", "target": f"{zdir}/root"},
            "restart": o.get("restart", {"name": "no", "max": 0}), "restart_count": 0}
    meta = {"sdc:uuid": uuid, "sdc:hostname": config["hostname"], "docker:id": ident,
            "docker:cmd": json.dumps(o.get("cmd", ["true"])), "docker:entrypoint": json.dumps(o.get("entrypoint", [])),
            "docker:env": json.dumps(o.get("env", [])), "docker:user": o.get("user", ""),
            "docker:workdir": o.get("workdir", ""), "docker:tty": json.dumps(tty),
            "docker:process": json.dumps(proc)}
    for name, what in (("config", config), ("zone", zone), ("metadata", meta)):
        with open(f"{zdir}/config/{name}.json", "w") as f:
            json.dump(what, f)
    print(uuid)


main()
