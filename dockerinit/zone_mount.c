/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_mount.c - see zone_mount.h.
 *
 * Nothing is mounted in the host's namespace: there is nothing to leak. Propagation stays as it
 * was, but for the mounts that hold the target and /sys/fs/cgroup: they become private, in our
 * namespace only, so that what we mount there is not seen outside. (A bind with propagation
 * "shared" of a source on the very file system that holds the zones therefore does not propagate
 * back.)
 *
 * The helper, `zoneadmd --rootfs <zones>/UUID/config/zone.json`, serves docker cp, export and
 * volume copy-up of a zone that does not run. Descriptor 0 is one end of a SEQPACKET or STREAM
 * socketpair. It mounts the root file system and the binds of config.json beneath it, sends one
 * message "OK\n" with an O_PATH descriptor of the root, or "ERR <text>\n", and stays until
 * descriptor 0 is closed at the other end. Paths are then used relative to the descriptor (openat2,
 * RESOLVE_IN_ROOT).
 */
#include "zone_mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "str.h"
#include "zone_shm.h"

#define LOWERS_MAX   500  /* the kernel's */
#define OPTIONS_ROOM 3900 /* mount(2) silently cuts its data at a page */
#define NO_FEATURES                                                                                \
	",index=off,metacopy=off,redirect_dir=off" /* diff and commit read plain layers */

/* The mount that path is on, which need not be a mount point itself. */
static int make_private(const char *path, struct err *err)
{
	char p[PATH_MAX];

	if (str_fmt(p, sizeof(p), "%s", path) < 0)
		return err_sysnum(err, ENAMETOOLONG, "mount point %s", path);
	for (;;) {
		char *slash;

		if (mount(NULL, p, NULL, MS_PRIVATE, NULL) == 0)
			return 0;
		if (errno != EINVAL || strcmp(p, "/") == 0)
			return err_sys(err, "make %s private", p);
		slash = strrchr(p, '/');
		slash[slash == p] = '\0';
	}
}

/* ---- overlay ------------------------------------------------------------------------------- */

static int overlay_options(const struct zone_conf *c, bool links, struct buf *o)
{
	size_t i;

	buf_addstr(o, "lowerdir=");
	for (i = 0; i < c->n_lowers; i++) {
		if (!links && strpbrk(c->lowers[i], ":,\\\""))
			return -1;
		if (links)
			buf_printf(o, "%s%zx", i ? ":" : "", i);
		else
			buf_printf(o, "%s%s", i ? ":" : "", c->lowers[i]);
	}
	if (c->upper)
		buf_printf(o, ",upperdir=%s,workdir=%s", c->upper, c->work);
	buf_addstr(o, NO_FEATURES);
	return 0;
}

/* Many or odd paths: symlinks with short names in a tmpfs that only our working directory holds. */
static int make_links(const struct zone_conf *c, struct err *err)
{
	char name[20];
	size_t i;

	if (mount("tmpfs", c->target, "tmpfs", 0, "size=4m,mode=700") < 0)
		return err_sys(err, "mount a tmpfs on %s", c->target);
	if (chdir(c->target) < 0 || umount2(c->target, MNT_DETACH) < 0)
		return err_sys(err, "enter the directory of layers");
	for (i = 0; i < c->n_lowers; i++) {
		snprintf(name, sizeof(name), "%zx", i);
		if (symlink(c->lowers[i], name) < 0)
			return err_sys(err, "link layer %s", c->lowers[i]);
	}
	return 0;
}

static int mount_overlay(const struct zone_conf *c, struct err *err)
{
	cleanup_buf struct buf o = BUF_INIT;
	bool links = c->n_lowers > 200 || overlay_options(c, false, &o) < 0 || o.len > OPTIONS_ROOM;
	int rc;

	if (c->n_lowers > LOWERS_MAX)
		return err_kind(err, ERR_SYSTEM, "max depth exceeded"); /* Docker's words */
	if (c->upper && (strpbrk(c->upper, ",\\") || strpbrk(c->work, ",\\")))
		return err_kind(err, ERR_SYSTEM, "%s: unusual path for an overlay", c->upper);
	if (links) {
		if ((rc = make_links(c, err)) < 0)
			return rc;
		buf_reset(&o);
		overlay_options(c, true, &o);
	}
	if (!c->upper && c->n_lowers == 1)
		rc = mount(c->lowers[0], c->target, NULL, MS_BIND, NULL);
	else
		rc = mount("overlay", c->target, "overlay", c->upper ? 0 : MS_RDONLY, o.p);
	if (rc < 0)
		rc = err_sys(err, "mount the root file system on %s", c->target);
	if (links && chdir("/") < 0 && rc == 0)
		rc = err_sys(err, "leave the directory of layers");
	return rc;
}

/* /native of the zone, read-only also for its root: see zone_run.c. */
static int bind_native(const struct zone_conf *c, struct err *err)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (str_fmt(from, sizeof(from), "%s/native", c->lowers[0]) < 0 ||
	    str_fmt(to, sizeof(to), "%s/native", c->target) < 0)
		return err_sysnum(err, ENAMETOOLONG, "bind /native");
	if (mount(from, to, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "bind %s", from);
	if (mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
	    0)
		return err_sys(err, "make %s read-only", to);
	return 0;
}

static int open_in_root(int root_fd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_IN_ROOT };

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/* A path in the root, what is missing of it made. -1: it cannot be. */
static int open_target(int root_fd, const char *dest, bool is_dir)
{
	char path[PATH_MAX];
	int fd;

	if (dest[0] != '/' || str_fmt(path, sizeof(path), "%s", dest) < 0)
		return -1;
	for (char *p = path; p;) {
		char *start = p + 1, *slash = strchr(start, '/');
		cleanup_fd int parent = -1;

		if (slash)
			*slash = '\0';
		fd = open_in_root(root_fd, path, O_PATH);
		if (fd < 0 && errno == ENOENT && *start) {
			*p = '\0';
			parent = open_in_root(root_fd, *path ? path : "/", O_PATH | O_DIRECTORY);
			*p = '/';
			if (slash || is_dir)
				mkdirat(parent, start, 0755);
			else
				close(openat(parent, start,
					     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
					     0644));
			fd = open_in_root(root_fd, path, O_PATH);
		}
		if (!slash || fd < 0)
			return fd;
		close(fd);
		*slash = '/';
		p = slash;
	}
	return -1;
}

/* The working directory, and where something is mounted: the runtime would make these with other
 * modes. What cannot be made shows when the zone starts. */
static void make_places(const struct zone_conf *c)
{
	cleanup_fd int root_fd = open(c->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct json_val *e;
	mode_t old;
	int fd;

	if (root_fd < 0)
		return;
	old = umask(0);
	if ((fd = open_target(root_fd, c->workdir, true)) >= 0)
		close(fd);
	for (e = json_first(&c->j, c->mountpoints); e; e = json_next(&c->j, c->mountpoints, e))
		if (e->type == JSON_STR && (fd = open_target(root_fd, e->s, true)) >= 0)
			close(fd);
	umask(old);
}

/* ---- /sys/fs/cgroup as crun wants it ------------------------------------------------------- */

static bool unified_has_controllers(void)
{
	char text[64];
	struct statfs sfs;
	cleanup_fd int fd = -1;

	if (statfs("/sys/fs/cgroup", &sfs) < 0 || sfs.f_type == CGROUP2_SUPER_MAGIC)
		return false;
	if (statfs("/sys/fs/cgroup/unified", &sfs) < 0 || sfs.f_type != CGROUP2_SUPER_MAGIC)
		return false;
	fd = open("/sys/fs/cgroup/unified/cgroup.controllers", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof(text)) > 1;
}

static int copy_entry(const char *name, const char *target, struct err *err)
{
	char from[PATH_MAX], to[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	if (str_fmt(from, sizeof(from), "/sys/fs/cgroup/%s", name) < 0 ||
	    str_fmt(to, sizeof(to), "%s/%s", target, name) < 0)
		return err_sysnum(err, ENAMETOOLONG, "cgroup %s", name);
	n = readlink(from, link, sizeof(link) - 1);
	if (n > 0) { /* cpu -> cpu,cpuacct */
		link[n] = '\0';
		return symlink(link, to) < 0 ? err_sys(err, "symlink %s", to) : 0;
	}
	if (mkdir(to, 0755) < 0)
		return err_sys(err, "mkdir %s", to);
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0 && errno != ENOTDIR)
		return err_sys(err, "bind %s", from);
	return 0;
}

/* A tmpfs with the v1 hierarchies only, built at target and moved over /sys/fs/cgroup. */
static int hide_unified(const char *target, struct err *err)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int rc;

	if ((rc = make_private("/sys/fs/cgroup", err)) < 0)
		return rc;
	if (mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755") <
	    0)
		return err_sys(err, "mount a tmpfs on %s", target);
	if (!(d = opendir("/sys/fs/cgroup")))
		return err_sys(err, "open /sys/fs/cgroup");
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "unified") == 0 ||
		    (e->d_type != DT_DIR && e->d_type != DT_LNK))
			continue;
		if ((rc = copy_entry(e->d_name, target, err)) < 0)
			return rc;
	}
	if (mount(target, "/sys/fs/cgroup", NULL, MS_MOVE, NULL) < 0)
		return err_sys(err, "move the view of /sys/fs/cgroup");
	return 0;
}

/* Runtimes bind what is mounted below a source, too (crun 1.8). What is to be bound without it they get from a
 * place beside zone.json, where there is nothing below. The zones' file system is private by now. */
static int bind_flat(const struct zone_conf *c, struct err *err)
{
	const struct json_val *b;

	for (b = json_first(&c->j, c->binds); b; b = json_next(&c->j, c->binds, b)) {
		const char *source = json_str(&c->j, b, "source", ""), *at = json_str(&c->j, b, "at", "");

		if (mkdir(at, 0700) < 0 && errno != EEXIST)
			return err_sys(err, "mkdir %s", at);
		if (mount(source, at, NULL, MS_BIND, NULL) < 0)
			return err_sys(err, "bind %s", source);
		if (mount(NULL, at, NULL, MS_PRIVATE, NULL) < 0)
			return err_sys(err, "make %s private", at);
	}
	return 0;
}

static int mount_root(const struct zone_conf *c, bool cgroup_view, struct err *err)
{
	int rc;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "unshare the mount namespace");
	if ((rc = make_private(c->target, err)) < 0 || (rc = bind_flat(c, err)) < 0)
		return rc;
	if (cgroup_view && unified_has_controllers() && (rc = hide_unified(c->target, err)) < 0)
		return rc;
	if (c->shm_pid > 0 && (rc = zone_shm_join(c->shm_pid, c->shm_at, err)) < 0)
		return rc;
	return mount_overlay(c, err);
}

int zone_mount(const struct zone_conf *c, bool cgroup_view, struct err *err)
{
	int rc;

	if ((rc = mount_root(c, cgroup_view, err)) < 0 || (rc = bind_native(c, err)) < 0)
		return rc;
	if (c->upper)
		make_places(c);
	return 0;
}

/* ---- the helper ---------------------------------------------------------------------------- */

static bool has_option(const struct json *j, const struct json_val *m, const char *name)
{
	const struct json_val *o = json_get(j, m, "options"), *e;

	for (e = json_first(j, o); e; e = json_next(j, o, e))
		if (e->type == JSON_STR && strcmp(e->s, name) == 0)
			return true;
	return false;
}

static bool is_bind(const struct json *j, const struct json_val *m)
{
	return strcmp(json_str(j, m, "type", ""), "bind") == 0 || has_option(j, m, "bind") ||
	       has_option(j, m, "rbind");
}

/* One bind of config.json; what cannot be mounted is left out. */
static void bind_one(int root_fd, const char *source, const char *dest, bool read_only)
{
	cleanup_fd int fd = -1, mounted = -1;
	char proc[64];
	struct stat st;

	if (stat(source, &st) < 0)
		return;
	fd = open_target(root_fd, dest, S_ISDIR(st.st_mode));
	if (fd < 0 || str_fmt(proc, sizeof(proc), "/proc/self/fd/%d", fd) < 0 ||
	    mount(source, proc, NULL, MS_BIND | MS_REC, NULL) < 0 || !read_only)
		return;
	mounted = open_in_root(root_fd, dest, O_PATH);
	if (mounted >= 0 && str_fmt(proc, sizeof(proc), "/proc/self/fd/%d", mounted) > 0)
		mount(NULL, proc, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static int bind_volumes(const char *zone_json, int root_fd, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	const struct json_val *mounts, *m;
	char path[PATH_MAX], *slash;
	struct json j;
	int rc;

	if (str_fmt(path, sizeof(path) - 16, "%s", zone_json) < 0)
		return err_sysnum(err, ENAMETOOLONG, "%s", zone_json);
	slash = strrchr(path, '/');
	snprintf(slash ? slash + 1 : path, 16, "config.json");
	if ((rc = fs_read_file(path, 4 * 1024 * 1024, &text, err)) < 0)
		return rc == -ENOENT ? 0 : rc; /* a zone that was never started */
	if (json_parse(&j, text.p, text.len, 65536) < 0)
		return err_kind(err, ERR_SYSTEM, "%s is not valid JSON", path);
	mounts = json_get(&j, j.v, "mounts");
	for (m = json_first(&j, mounts); m; m = json_next(&j, mounts, m)) {
		const char *dest = json_str(&j, m, "destination", "");

		if (is_bind(&j, m) && strncmp(dest, "/native/", 8) != 0)
			bind_one(root_fd, json_str(&j, m, "source", ""), dest,
				 has_option(&j, m, "ro") || has_option(&j, m, "rro"));
	}
	json_fini(&j);
	return 0;
}

static bool has_native(const struct zone_conf *c)
{
	char path[PATH_MAX];

	return str_fmt(path, sizeof(path), "%s/native", c->lowers[0]) > 0 && fs_exists(path);
}

static int helper_mount(const char *zone_json, int *root_fd, struct err *err)
{
	cleanup_zone_conf struct zone_conf c = { 0 };
	cleanup_fd int fd = -1;
	int rc;

	if ((rc = zone_conf_read(&c, zone_json, err)) < 0)
		return rc;
	c.shm_pid = 0;
	if ((rc = mount_root(&c, false, err)) < 0)
		return rc;
	/* an image that is being built has no native layer; nothing is executed here */
	if (has_native(&c) && (rc = bind_native(&c, err)) < 0)
		return rc;
	fd = open(c.target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", c.target);
	if ((rc = bind_volumes(zone_json, fd, err)) < 0)
		return rc;
	*root_fd = take_fd(&fd);
	return 0;
}

static int send_root(int root_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { { 0 } };
	struct iovec iov = { .iov_base = (char[]){ "OK\n" }, .iov_len = 3 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &root_fd, sizeof(int));
	return sendmsg(STDIN_FILENO, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int zone_mount_helper(const char *zone_json)
{
	struct err err = { 0 };
	char text[1100];
	int root_fd = -1, n;

	if (helper_mount(zone_json, &root_fd, &err) < 0) {
		n = snprintf(text, sizeof(text), "ERR %s\n", err.msg);
		if (send(STDIN_FILENO, text, (size_t)n, MSG_NOSIGNAL) < 0)
			return 2;
		return 1;
	}
	if (send_root(root_fd) < 0)
		return 2;
	while ((n = (int)read(STDIN_FILENO, text, sizeof(text))) > 0 || (n < 0 && errno == EINTR))
		;
	return 0;
}
