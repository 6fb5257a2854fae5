/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_files.c - a zone's files from outside.
 *
 * Reading is safe from here: openat2 with RESOLVE_IN_ROOT never leaves the zone's root, and what it
 * yields is only read. Writing, and what needs the zone's mount namespace, is done by a child that
 * can see nothing else (zone_files_child.c).
 *
 * A running zone's root is /proc/PID/root. The pid could have been another process's by now: it is
 * asked for its cgroup, which names the zone, while a pidfd keeps it from being reused.
 */
#include "zone_files.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "engine.h"
#include "frame.h"
#include "fs.h"
#include "image_store.h"
#include "jget.h"
#include "oci_spec.h"
#include "str.h"
#include "unpack_server.h"
#include "zone_files_priv.h"

#define PUMP_SIZE (128 * 1024)
#define REPLY_MS  (10 * 60 * 1000)
#define END_MS	  2000
#define ASK_MS	  200

/* ---- views ---- */

/* Of the zone, by its cgroups, and alive. */
static bool is_zones(const struct ct_spec *spec, int pid_fd)
{
	struct pollfd p = {.fd = pid_fd, .events = POLLIN};
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = {0};
	char path[64], key[33];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", spec->st.pid);
	str_copy(key, sizeof(key), spec->id);
	return fs_read_file(path, 65536, &b, &ignored) >= 0 && strstr(buf_str(&b), key) &&
	       poll(&p, 1, 0) == 0;
}

static int open_proc(const struct ct_spec *spec, struct zone_view *out, struct err *err)
{
	cleanup_fd int pid_fd = (int)syscall(SYS_pidfd_open, spec->st.pid, 0);
	cleanup_fd int root = -1, mnt = -1;
	char path[64];

	if (pid_fd < 0)
		return err_kind(err, ERR_CONFLICT, "container %s has just ended", spec->name);
	snprintf(path, sizeof(path), "/proc/%d/root", spec->st.pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", spec->st.pid);
	mnt = open(path, O_RDONLY | O_CLOEXEC);
	if (root < 0 || mnt < 0 || !is_zones(spec, pid_fd))
		return err_kind(err, ERR_CONFLICT, "container %s has just ended", spec->name);
	out->root_fd = take_fd(&root);
	out->mntns_fd = take_fd(&mnt);
	return 0;
}

/* zone.json and config.json say what to mount; a container that has never been started may have
 * none, or one without its volumes. */
static int write_config(const struct ct_spec *spec, struct err *err)
{
	struct oci_env env = {0};
	struct image *img = NULL;
	char path[1024];
	int rc;

	if (spec->st.started_once &&
	    fs_exists(paths_zone(&engine->paths, spec->uuid, "config/zone.json", path)))
		return 0;
	if ((rc = image_get(spec->image_id, &img, err)) < 0)
		return rc;
	env.image = img;
	rc = oci_write(spec, &env, err);
	image_unref(img);
	return rc;
}

int zone_view_open(const struct ct_spec *spec, struct zone_view *out, struct err *err)
{
	char path[64];
	int rc;

	*out = (struct zone_view)ZONE_VIEW_INIT;
	if (spec->st.pid > 0)
		return open_proc(spec, out, err);
	if ((rc = write_config(spec, err)) < 0 ||
	    (rc = zone_rootfs_open(spec->uuid, &out->rootfs, err)) < 0)
		return rc;
	out->root_fd = fcntl(out->rootfs.root_fd, F_DUPFD_CLOEXEC, 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", out->rootfs.pid);
	out->mntns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (out->root_fd < 0 || out->mntns_fd < 0) {
		rc = err_sys(err, "open the helper's mount namespace");
		zone_view_close(out);
		return rc;
	}
	return 0;
}

void zone_view_close(struct zone_view *v)
{
	if (v->root_fd >= 0)
		close(v->root_fd);
	if (v->mntns_fd >= 0)
		close(v->mntns_fd);
	v->root_fd = v->mntns_fd = -1;
	if (v->rootfs.pid > 0)
		zone_rootfs_close(&v->rootfs);
}

/* ---- the child ---- */

/* Has a child of the unpacking server take the request; *out_sock is where its reply comes. */
static int helper_start(const struct zone_view *v, const struct zone_files_request *req, int tar_fd, int *out_sock,
			struct err *err)
{
	const struct unpack_request rq = {.kind = UNPACK_ZONE};
	cleanup_fd int ours = -1, theirs = -1;
	int fds[2] = {v->root_fd, v->mntns_fd}, sv[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, "socketpair");
	ours = sv[0];
	theirs = sv[1];
	rc = unpack_server_ask(&rq, (const int[]){theirs, tar_fd}, tar_fd < 0 ? 1 : 2, err);
	if (rc < 0)
		return rc;
	if ((rc = frame_send(ours, req, sizeof(*req), fds, 2, 10000)) < 0)
		return err_sysnum(err, rc, "talk to the process that enters the container");
	*out_sock = take_fd(&ours);
	return 0;
}

/* Until the process is no more: it holds the zone's mounts up to its end. */
static void await_end(int pid_fd)
{
	struct pollfd p = {.fd = pid_fd, .events = POLLIN};

	if (poll(&p, 1, END_MS) == 0)
		(void)syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0);
}

/* Waits for its reply and its end. out_fd may be NULL. */
static int helper_end(int sock, int *out_fd, struct err *err)
{
	cleanup_frame struct frame f = FRAME_INIT;
	const struct zone_files_reply *reply;
	int rc = frame_recv(sock, &f, REPLY_MS);

	close(sock);
	if (rc != 1 || f.data.len != sizeof(*reply) || !f.n_fds)
		return err_kind(err, ERR_SYSTEM, "the process that entered the container died");
	await_end(f.fds[0]);
	reply = (const void *)f.data.p;
	if (reply->rc < 0) {
		err_kind(err, reply->kind, "%.1000s", reply->msg);
		return err->code = reply->rc;
	}
	if (out_fd)
		*out_fd = frame_take_fd(&f, 1);
	return 0;
}

int zone_view_clone_root(const struct zone_view *v, struct err *err)
{
	struct zone_files_request *req = xcalloc(1, sizeof(*req));
	int rc, fd = -1, sock;

	req->op = ZONE_FILES_CLONE_ROOT;
	rc = helper_start(v, req, -1, &sock, err);
	free(req);
	if (rc < 0 || (rc = helper_end(sock, &fd, err)) < 0)
		return rc;
	return fd < 0 ? err_kind(err, ERR_SYSTEM, "no copy of the container's root") : fd;
}

static bool is_cancelled(const struct zone_extract *x)
{
	return x->cancelled && x->cancelled(x->cancelled_arg);
}

/* False: cancelled, or the event does not come within REPLY_MS. */
static bool await(const struct zone_extract *x, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t deadline = mono_ns() + REPLY_MS * 1000000LL;
	int n;

	do {
		if (is_cancelled(x) || mono_ns() > deadline)
			return false;
		n = poll(&p, 1, ASK_MS);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n > 0;
}

/* To the pipe, which does not block. -EPIPE: the child reads no more. */
static int push(const struct zone_extract *x, int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN && !await(x, fd, POLLOUT))
			return is_cancelled(x) ? -ECANCELED : -ETIMEDOUT;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		p += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/* From fn to the pipe, until either ends. What fn failed with, or 0: a child that stopped reading
 * tells why itself. */
static int pump(const struct zone_extract *x, zone_read_fn *fn, void *arg, int fd)
{
	cleanup_free char *block = xmalloc(PUMP_SIZE);
	ssize_t n = 0;
	int rc;

	while (!is_cancelled(x) && (n = fn(arg, block, PUMP_SIZE)) > 0)
		if ((rc = push(x, fd, block, (size_t)n)) < 0)
			return rc == -EPIPE ? 0 : rc;
	return is_cancelled(x) ? -ECANCELED : (int)n;
}

/* The stream has ended: the child's word. It looks at its socket while it writes, and gives up when we have. */
static int extract_end(const struct zone_extract *x, int sock, int read_rc, struct err *err)
{
	int rc;

	if (read_rc >= 0 && !await(x, sock, POLLIN))
		read_rc = is_cancelled(x) ? -ECANCELED : -ETIMEDOUT;
	if (read_rc < 0)
		shutdown(sock, SHUT_WR);
	rc = helper_end(sock, NULL, err);
	return read_rc < 0 ? err_sysnum(err, read_rc, "read the archive from the client") : rc;
}

int zone_extract(const struct zone_view *v, const struct zone_extract *x, zone_read_fn *fn,
		 void *arg, struct err *err)
{
	struct zone_files_request *req = xcalloc(1, sizeof(*req));
	int p[2], rc, sock;

	req->op = ZONE_FILES_EXTRACT;
	req->no_overwrite_dir_non_dir = x->no_overwrite_dir_non_dir;
	req->chown = x->chown;
	req->uid = x->uid;
	req->gid = x->gid;
	rc = str_fmt(req->ct_dir, sizeof(req->ct_dir), "%s", x->ct_dir);
	if (rc < 0)
		rc = err_kind(err, ERR_BAD_PARAM, "path is too long");
	else if (pipe2(p, O_CLOEXEC) < 0)
		rc = err_sys(err, "pipe");
	if (rc >= 0) {
		(void)fcntl(p[1], F_SETPIPE_SZ, 1 << 20); /* fewer turns; less is fine */
		(void)fcntl(p[1], F_SETFL, O_NONBLOCK);
		rc = helper_start(v, req, p[0], &sock, err);
		close(p[0]);
		if (rc < 0)
			close(p[1]);
	}
	free(req);
	if (rc < 0)
		return rc;
	rc = pump(x, fn, arg, p[1]);
	close(p[1]);
	return extract_end(x, sock, rc, err);
}

/* ---- users ---- */

/* Field i of a line of passwd or group; false when there are fewer. */
static bool field(const char *line, size_t len, unsigned i, const char **out, size_t *out_len)
{
	const char *end = line + len, *p = line;

	for (;; i--) {
		const char *colon = memchr(p, ':', (size_t)(end - p));

		*out = p;
		*out_len = (size_t)((colon ? colon : end) - p);
		if (!i)
			return true;
		if (!colon)
			return false;
		p = colon + 1;
	}
}

static bool field_id(const char *line, size_t len, unsigned i, uint32_t *out)
{
	const char *p;
	size_t n;
	uint64_t v;
	char num[12];

	if (!field(line, len, i, &p, &n) || n >= sizeof(num))
		return false;
	str_copy(num, n + 1, p);
	if (parse_u64(num, UINT32_MAX - 1, &v) < 0)
		return false;
	*out = (uint32_t)v;
	return true;
}

static void read_db(int root_fd, const char *path, struct buf *out)
{
	cleanup_fd int fd =
		fs_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	struct stat st;
	char block[4096];
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	while (out->len < 1 << 20 && (n = read(fd, block, sizeof(block))) > 0)
		buf_add(out, block, (size_t)n);
}

/* The line whose field 0 is name, or whose field 2 is the number that name is. NULL: none. */
static const char *find_line(const struct buf *db, const char *name, size_t *line_len)
{
	const char *line = buf_str(db), *f;
	uint64_t number = UINT64_MAX;
	uint32_t id;
	size_t n;

	if (parse_u64(name, UINT32_MAX - 1, &number) < 0)
		number = UINT64_MAX;
	for (; *line; line += *line_len + (line[*line_len] == '\n')) {
		*line_len = strcspn(line, "\n");
		if (field(line, *line_len, 0, &f, &n) && n == strlen(name) && !memcmp(f, name, n))
			return line;
		if (number != UINT64_MAX && field_id(line, *line_len, 2, &id) && id == number)
			return line;
	}
	return NULL;
}

int zone_user_ids(int root_fd, const char *user, uid_t *uid, gid_t *gid, struct err *err)
{
	cleanup_buf struct buf passwd = BUF_INIT, group = BUF_INIT;
	cleanup_free char *name = xstrndup(user, strcspn(user, ":"));
	const char *group_name = strchr(user, ':'), *line;
	uint64_t number;
	uint32_t id = 0, id2 = 0;
	size_t len;

	read_db(root_fd, "/etc/passwd", &passwd);
	line = find_line(&passwd, *name ? name : "0", &len);
	if (line && field_id(line, len, 2, &id))
		field_id(line, len, 3, &id2);
	else if (parse_u64(name, UINT32_MAX - 1, &number) == 0)
		id = (uint32_t)number;
	else if (*name)
		return err_kind(err, ERR_SYSTEM,
				"unable to find user %s: no matching entries in passwd file", name);
	if (group_name && *++group_name) {
		read_db(root_fd, "/etc/group", &group);
		line = find_line(&group, group_name, &len);
		if (line && field_id(line, len, 2, &id2))
			;
		else if (parse_u64(group_name, UINT32_MAX - 1, &number) == 0)
			id2 = (uint32_t)number;
		else
			return err_kind(
				err, ERR_SYSTEM,
				"unable to find group %s: no matching entries in group file",
				group_name);
	}
	*uid = id;
	*gid = id2;
	return 0;
}
