/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_cgroup.c - see zone_cgroup.h.
 *
 * Joining on v1 writes "0" to tasks, not to cgroup.procs: moving one thread that is the writer
 * itself skips the kernel's cgroup_threadgroup_rwsem, whose first taking waits for an RCU grace
 * period, some 8 ms (cgroup_procs_write_start, since 5.4).
 */
#include "zone_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define HIERARCHIES_MAX 24
#define DEPTH_MAX	32

struct hierarchy {
	char *mount;	   /* /sys/fs/cgroup/memory */
	char *controllers; /* ",memory," ; of v2: "" */
	bool v2;
};

static struct hierarchy hiers[HIERARCHIES_MAX];
static size_t n_hiers;

/* "36 35 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory" */
static void add_hierarchy(char *line)
{
	char *dash = strstr(line, " - cgroup"), *mount, *opts, *p;
	struct hierarchy *h = &hiers[n_hiers];
	size_t n;
	int i;

	if (!dash || n_hiers == HIERARCHIES_MAX)
		return;
	*dash = '\0';
	dash += 9;
	h->v2 = *dash == '2';
	for (i = 0, mount = line; mount && i < 4; i++)
		mount = (mount = strchr(mount, ' ')) ? mount + 1 : NULL;
	if (!mount || strncmp(mount, "/sys/fs/cgroup", 14) != 0)
		return;
	opts = strrchr(dash, ' ');
	h->mount = xstrndup(mount, strcspn(mount, " "));
	if (h->v2 || !opts) {
		h->controllers = xstrdup("");
	} else {
		cleanup_buf struct buf b = BUF_INIT;

		buf_addch(&b, ',');
		for (p = opts + 1; *p; p += n + (p[n] == ',')) {
			n = strcspn(p, ",");
			if (strncmp(p, "rw", n) != 0 && strncmp(p, "ro", n) != 0)
				buf_printf(&b, "%.*s,", (int)n, p);
		}
		h->controllers = xstrdup(buf_str(&b));
	}
	n_hiers++;
}

int zone_cgroup_init(struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	char *line, *next;
	int rc;

	if ((rc = fs_read_file("/proc/self/mountinfo", 4 * 1024 * 1024, &text, err)) < 0)
		return rc;
	for (line = text.p; line && *line; line = next) {
		char *nl = strchr(line, '\n');

		next = nl ? nl + 1 : NULL;
		if (nl)
			*nl = '\0';
		add_hierarchy(line);
	}
	return 0;
}

/* Reads a small kernel file; NUL-terminated. */
static int read_small(const char *path, char *out, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static int write_small(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static const struct hierarchy *with_controller(const char *name)
{
	char want[32];
	size_t i;

	snprintf(want, sizeof(want), ",%s,", name);
	for (i = 0; i < n_hiers; i++)
		if (strstr(hiers[i].controllers, want))
			return &hiers[i];
	for (i = 0; i < n_hiers; i++)
		if (hiers[i].v2 && strcmp(hiers[i].mount, "/sys/fs/cgroup") == 0)
			return &hiers[i];
	return NULL;
}

/* ---- joining ------------------------------------------------------------------------------- */

/* The hierarchy of a line of /proc/PID/cgroup, "4:memory:/path"; *path is its third field. */
static const struct hierarchy *of_line(char *line, char **path)
{
	char *ctl = strchr(line, ':'), *p = ctl ? strchr(ctl + 1, ':') : NULL;
	char want[128];
	size_t i;

	if (!p)
		return NULL;
	*p = '\0';
	*path = p + 1;
	snprintf(want, sizeof(want), ",%s,", ctl + 1);
	for (i = 0; i < n_hiers; i++)
		if (ctl[1] ? strstr(hiers[i].controllers, want) != NULL : hiers[i].v2)
			return &hiers[i];
	return NULL;
}

int zone_cgroup_join(pid_t pid, bool v2_too, struct err *err)
{
	char proc[64], text[4096], file[PATH_MAX], *line, *next, *path;
	int rc;

	snprintf(proc, sizeof(proc), "/proc/%d/cgroup", pid);
	if ((rc = read_small(proc, text, sizeof(text))) < 0)
		return err_sysnum(err, rc, "read %s", proc);
	for (line = text; line && *line; line = next) {
		const struct hierarchy *h;
		char *nl = strchr(line, '\n');

		next = nl ? nl + 1 : NULL;
		if (nl)
			*nl = '\0';
		h = of_line(line, &path);
		if (!h || (h->v2 && !v2_too))
			continue;
		if (str_fmt(file, sizeof(file), "%s%s/%s", h->mount, path,
			    h->v2 ? "cgroup.procs" : "tasks") < 0)
			return err_sysnum(err, ENAMETOOLONG, "join %s", path);
		if ((rc = write_small(file, "0")) < 0)
			return err_sysnum(err, rc, "join %s", file);
	}
	return 0;
}

int zone_cgroup_v2_fd(pid_t pid)
{
	char proc[64], theirs[4096], ours[4096], path[PATH_MAX], *p, *q;
	size_t i;

	snprintf(proc, sizeof(proc), "/proc/%d/cgroup", pid);
	if (read_small(proc, theirs, sizeof(theirs)) < 0 ||
	    read_small("/proc/self/cgroup", ours, sizeof(ours)) < 0)
		return -1;
	/* the unified hierarchy's line, "0::/path", is the last one */
	p = strstr(theirs, "0::");
	q = strstr(ours, "0::");
	if (!p || (q && strcmp(p, q) == 0))
		return -1;
	p[strcspn(p, "\n")] = '\0';
	for (i = 0; i < n_hiers; i++)
		if (hiers[i].v2)
			break;
	if (i == n_hiers || str_fmt(path, sizeof(path), "%s%s", hiers[i].mount, p + 3) < 0)
		return -1;
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* ---- out of memory ------------------------------------------------------------------------- */

static int memory_file(const char *path, const char *v1_name, const char *v2_name,
		       char out[PATH_MAX])
{
	const struct hierarchy *h = with_controller("memory");

	if (!h)
		return -ENOENT;
	return str_fmt(out, PATH_MAX, "%s%s/%s", h->mount, path, h->v2 ? v2_name : v1_name);
}

int64_t zone_cgroup_oom_kills(const char *path)
{
	char file[PATH_MAX], text[1024], *p;

	if (memory_file(path, "memory.oom_control", "memory.events", file) < 0 ||
	    read_small(file, text, sizeof(text)) < 0)
		return 0;
	p = strstr(text, "oom_kill ");
	return p ? strtoll(p + 9, NULL, 10) : 0;
}

bool zone_cgroup_oom_waits(const char *path)
{
	const struct hierarchy *h = with_controller("memory");
	char file[PATH_MAX], text[1024];

	return h && !h->v2 && memory_file(path, "memory.oom_control", "", file) >= 0 &&
	       read_small(file, text, sizeof(text)) >= 0 && strstr(text, "oom_kill_disable 1");
}

static int watch_v1(const char *path)
{
	cleanup_fd int oom_fd = -1, efd = -1;
	char file[PATH_MAX], text[32];

	if (memory_file(path, "memory.oom_control", "", file) < 0)
		return -1;
	oom_fd = open(file, O_RDONLY | O_CLOEXEC);
	efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (oom_fd < 0 || efd < 0 || memory_file(path, "cgroup.event_control", "", file) < 0)
		return -1;
	snprintf(text, sizeof(text), "%d %d", efd, oom_fd);
	return write_small(file, text) < 0 ? -1 : take_fd(&efd);
}

int zone_cgroup_oom_watch(const char *path)
{
	const struct hierarchy *h = with_controller("memory");
	cleanup_fd int fd = -1;
	char file[PATH_MAX];

	if (!h)
		return -1;
	if (!h->v2)
		return watch_v1(path);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || memory_file(path, "", "memory.events", file) < 0 ||
	    inotify_add_watch(fd, file, IN_MODIFY) < 0)
		return -1;
	return take_fd(&fd);
}

/* ---- the end ------------------------------------------------------------------------------- */

static int kill_in(const char *dir)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct err ignored;
	char file[PATH_MAX], *p;
	int n = 0;

	if (str_fmt(file, sizeof(file), "%s/cgroup.procs", dir) < 0 ||
	    fs_read_file(file, 1024 * 1024, &text, &ignored) < 0)
		return 0;
	for (p = text.p; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		long pid = strtol(p, NULL, 10);

		if (pid > 1 && kill((pid_t)pid, SIGKILL) == 0)
			n++;
	}
	return n;
}

/* Applies fn to dir and all beneath it, children first. */
static int walk(const char *dir, int depth, int (*fn)(const char *dir))
{
	cleanup_dir DIR *d = depth < DEPTH_MAX ? opendir(dir) : NULL;
	struct dirent *e;
	char child[PATH_MAX];
	int sum = 0;

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
		    str_fmt(child, sizeof(child), "%s/%s", dir, e->d_name) >= 0)
			sum += walk(child, depth + 1, fn);
	return sum + fn(dir);
}

static void thaw(const struct hierarchy *h, const char *path)
{
	char file[PATH_MAX];

	if (str_fmt(file, sizeof(file), "%s%s/%s", h->mount, path,
		    h->v2 ? "cgroup.freeze" : "freezer.state") >= 0)
		write_small(file, h->v2 ? "0" : "THAWED");
}

bool zone_cgroup_is_frozen(const char *path)
{
	const struct hierarchy *h = with_controller("freezer");
	char file[PATH_MAX], text[32];

	if (!h || str_fmt(file, sizeof(file), "%s%s/%s", h->mount, path,
			  h->v2 ? "cgroup.freeze" : "freezer.state") < 0)
		return false;
	return read_small(file, text, sizeof(text)) == 0 &&
	       (h->v2 ? text[0] == '1' : text[0] == 'F');
}

int zone_cgroup_kill(const char *path)
{
	const struct hierarchy *h = with_controller("pids"), *freezer = with_controller("freezer");
	char dir[PATH_MAX];
	int n;

	if (!h)
		h = freezer ? freezer : n_hiers ? &hiers[0] : NULL;
	if (!h || str_fmt(dir, sizeof(dir), "%s%s", h->mount, path) < 0)
		return 0;
	n = walk(dir, 0, kill_in);
	if (n && freezer)
		thaw(freezer, path);
	return n;
}

static int remove_dir(const char *dir)
{
	return rmdir(dir) < 0 && errno != ENOENT;
}

/* The zone's own processes are in all hierarchies. Once they are gone from one, who is left in another is the zone's
 * logger (logger_cgroup.c), which outlives the zone: it moves to the top. */
static void evict(const struct hierarchy *h, const char *dir)
{
	cleanup_buf struct buf text = BUF_INIT;
	char file[PATH_MAX], top[PATH_MAX], pid[24];
	struct err ignored;
	char *p;

	if (str_fmt(file, sizeof(file), "%s/cgroup.procs", dir) < 0 || str_fmt(top, sizeof(top), "%s/cgroup.procs", h->mount) < 0 ||
	    fs_read_file(file, 64 * 1024, &text, &ignored) < 0)
		return;
	for (p = text.p; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		snprintf(pid, sizeof(pid), "%ld", strtol(p, NULL, 10));
		(void)write_small(top, pid);
	}
}

static int remove_in(const struct hierarchy *h, const char *path, bool zone_is_gone)
{
	char dir[PATH_MAX];

	/* a logger's group beside the zone's (logger_cgroup.c), which its logger has not removed and is not in */
	if (h->v2 && str_fmt(dir, sizeof(dir), "%s%s.logger", h->mount, path) >= 0)
		(void)rmdir(dir);
	if (str_fmt(dir, sizeof(dir), "%s%s", h->mount, path) < 0 || rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	if (zone_is_gone && !h->v2)
		evict(h, dir);
	return walk(dir, 0, remove_dir);
}

int zone_cgroup_remove(const char *path)
{
	const struct hierarchy *pids = with_controller("pids");
	int left = pids ? remove_in(pids, path, false) : 0;
	bool gone = pids && !left;
	size_t i;

	for (i = 0; i < n_hiers; i++)
		if (&hiers[i] != pids)
			left += remove_in(&hiers[i], path, gone);
	return left ? -EBUSY : 0;
}
