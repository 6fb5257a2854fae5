/* SPDX-License-Identifier: MPL-2.0
 *
 * cgroup.c - see cgroup.h: which hierarchies this machine has, the files of a zone's cgroup,
 * freezing, the processes in it, and the early wake of the kernel's grace period.
 *
 * Design. The OCI runtime makes the cgroups; what needs no isolation work is done here by file,
 * which costs microseconds where a call of the runtime costs milliseconds.
 *
 * Prewarm. The first write to any cgroup.procs after some idle milliseconds waits for an RCU grace
 * period. A helper thread makes one such write (its own pid into the cgroup it is in: nothing
 * changes) when a request arrives that will soon start a process, so that the wait is over when the
 * runtime gets there. It sleeps on a condition variable, and makes at most one write per 5 ms.
 */
#define LOG_MODULE "cgroup"
#include "cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup_priv.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "oci_priv.h"
#include "str.h"
#include "thread.h"

#define FILE_MAX	 (1 << 20)
#define PREWARM_PAUSE_NS 5000000
#define WALK_DEPTH	 16
#define PIDS_MAX	 100000

static struct {
	const char *name;
	char at[256];
} controllers[] = {
	{ "memory", "" },  { "cpu", "" },     { "cpuacct", "" }, { "cpuset", "" },
	{ "pids", "" },	   { "blkio", "" },   { "freezer", "" }, { "devices", "" },
	{ "systemd", "" }, { "hugetlb", "" },
};
static pthread_once_t mounts_once = PTHREAD_ONCE_INIT;

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *p = list;

	while ((p = strstr(p, word))) {
		if ((p == list || p[-1] == ',' || p[-1] == '=') &&
		    (p[len] == ',' || p[len] == '\0' || p[len] == '\n'))
			return true;
		p += len;
	}
	return false;
}

/* "... /sys/fs/cgroup/memory rw,.. shared:9 - cgroup cgroup rw,memory" */
static void note_mount(char *line)
{
	char *sep = strstr(line, " - cgroup "), *at = line, *opts;
	size_t i;
	int k;

	if (!sep)
		return;
	opts = strrchr(sep, ' ') + 1;
	for (k = 0; k < 4 && at; k++)
		if ((at = strchr(at, ' ')))
			at++;
	if (!at)
		return;
	at[strcspn(at, " ")] = '\0';
	for (i = 0; i < ARRAY_SIZE(controllers); i++)
		if (!controllers[i].at[0] && has_word(opts, controllers[i].name))
			str_copy(controllers[i].at, sizeof(controllers[i].at), at);
}

static void find_mounts(void)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0)
		note_mount(line);
}

int cgroup_detect(void)
{
	struct statfs sf;

	if (statfs("/sys/fs/cgroup", &sf) == 0 && sf.f_type == CGROUP2_SUPER_MAGIC)
		return CGROUP_V2;
	if (statfs("/sys/fs/cgroup/unified", &sf) == 0 && sf.f_type == CGROUP2_SUPER_MAGIC)
		return CGROUP_HYBRID;
	return CGROUP_V1;
}

const char *cg_mount(const char *controller)
{
	size_t i;

	if (engine->cgroup_mode == CGROUP_V2)
		return "/sys/fs/cgroup";
	pthread_once(&mounts_once, find_mounts);
	for (i = 0; i < ARRAY_SIZE(controllers); i++)
		if (strcmp(controllers[i].name, controller) == 0)
			return controllers[i].at[0] ? controllers[i].at : NULL;
	return NULL;
}

static int file_path(const char *controller, const char *cgpath, const char *file, char *out,
		     size_t size)
{
	const char *at = cg_mount(controller);
	int rc;

	if (!at)
		return -ENOENT;
	rc = str_fmt(out, size, "%s%s/%s", at, cgpath, file);
	return rc < 0 ? rc : 0;
}

int cg_read(const char *controller, const char *cgpath, const char *file, struct buf *out)
{
	struct err ignored = { 0 };
	char path[2048];
	int rc;

	buf_reset(out);
	if ((rc = file_path(controller, cgpath, file, path, sizeof(path))) < 0)
		return rc;
	return fs_read_file(path, FILE_MAX, out, &ignored);
}

int cg_read_u64(const char *controller, const char *cgpath, const char *file, uint64_t *out)
{
	cleanup_buf struct buf b = BUF_INIT;
	int rc = cg_read(controller, cgpath, file, &b);

	if (rc < 0)
		return rc;
	while (b.len && (b.p[b.len - 1] == '\n' || b.p[b.len - 1] == ' '))
		b.p[--b.len] = '\0';
	if (str_eq(buf_str(&b), "max") || str_eq(buf_str(&b), "-1")) {
		*out = UINT64_MAX;
		return 0;
	}
	return parse_u64(buf_str(&b), UINT64_MAX, out);
}

int cg_write(const char *controller, const char *cgpath, const char *file, const char *text,
	     struct err *err)
{
	cleanup_fd int fd = -1;
	char path[2048];
	int rc;

	if ((rc = file_path(controller, cgpath, file, path, sizeof(path))) < 0)
		return err_sysnum(err, rc, "cgroup controller %s", controller);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(err, "write %s to %s", text, path);
	return 0;
}

int cg_write_int(const char *controller, const char *cgpath, const char *file, int64_t v,
		 struct err *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	return cg_write(controller, cgpath, file, text, err);
}

int cg_update_cpuset(const char *controller, const char *cgpath, const json_t *hc, struct err *err)
{
	const char *cpus = jget_str(hc, "CpusetCpus", ""), *mems = jget_str(hc, "CpusetMems", "");
	int rc;

	if (*cpus && (rc = cg_write(controller, cgpath, "cpuset.cpus", cpus, err)) < 0)
		return rc;
	return *mems ? cg_write(controller, cgpath, "cpuset.mems", mems, err) : 0;
}

int cg_update_pids(const char *controller, const char *cgpath, const json_t *hc, struct err *err)
{
	int64_t n = jget_int(hc, "PidsLimit", 0);

	if (!json_is_integer(json_object_get(hc, "PidsLimit")))
		return 0;
	return n > 0 ? cg_write_int(controller, cgpath, "pids.max", n, err)
		     : cg_write(controller, cgpath, "pids.max", "max", err);
}

void cg_each_pair(const char *text, void (*fn)(const char *key, uint64_t value, void *arg),
		  void *arg)
{
	const char *p = text, *sp, *end;
	char key[96], num[32];
	uint64_t v;

	while (p && *p) {
		end = strchr(p, '\n');
		if (!end)
			end = p + strlen(p);
		sp = memchr(p, ' ', (size_t)(end - p));
		if (sp && str_fmt(key, sizeof(key), "%.*s", (int)(sp - p), p) >= 0 &&
		    str_fmt(num, sizeof(num), "%.*s", (int)(end - sp - 1), sp + 1) >= 0 &&
		    parse_u64(num, UINT64_MAX, &v) == 0)
			fn(key, v, arg);
		p = *end ? end + 1 : end;
	}
}

struct pair_find {
	const char *key;
	uint64_t value;
};

static void on_pair(const char *key, uint64_t value, void *arg)
{
	struct pair_find *f = arg;

	if (strcmp(key, f->key) == 0)
		f->value = value;
}

uint64_t cg_pair(const char *text, const char *key)
{
	struct pair_find f = { key, 0 };

	cg_each_pair(text, on_pair, &f);
	return f.value;
}

int cgroup_freeze(const struct ct_spec *spec, bool frozen, struct err *err)
{
	char cgpath[1024];

	oci_cgroup_path(spec, cgpath, sizeof(cgpath));
	return engine->cgroup_mode == CGROUP_V2 ? cg2_freeze(cgpath, frozen, err)
						: cg1_freeze(cgpath, frozen, err);
}

int cgroup_update(const struct ct_spec *spec, struct err *err)
{
	char cgpath[1024];

	oci_cgroup_path(spec, cgpath, sizeof(cgpath));
	return engine->cgroup_mode == CGROUP_V2 ? cg2_update(cgpath, spec->host_config, err)
						: cg1_update(cgpath, spec->host_config, err);
}

/* ---- processes ---- */

struct pid_list {
	int *v;
	size_t n, cap;
};

static int read_procs(int dir_fd, struct pid_list *l)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	char *p, *end;
	long pid;
	int rc;

	rc = fs_read_fileat(dir_fd, "cgroup.procs", FILE_MAX, &b, &ignored);
	if (rc < 0)
		return rc;
	for (p = b.p; p && *p; p = *end ? end + 1 : end) {
		pid = strtol(p, &end, 10);
		if (end == p)
			break;
		if (pid <= 0 || l->n >= PIDS_MAX)
			continue;
		if (l->n == l->cap) {
			l->cap = l->cap ? l->cap * 2 : 64;
			l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
		}
		l->v[l->n++] = (int)pid;
	}
	return 0;
}

/* The zone may have made cgroups below its own. */
static int walk_procs(int dir_fd, struct pid_list *l, int depth)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int rc, fd;

	if (depth > WALK_DEPTH || (rc = read_procs(dir_fd, l)) < 0)
		return depth > WALK_DEPTH ? 0 : rc;
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d))) {
		cleanup_fd int sub = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub >= 0)
			(void)walk_procs(sub, l, depth + 1);
	}
	return 0;
}

int cgroup_pids(const struct ct_spec *spec, int **out, size_t *n, struct err *err)
{
	static const char *const order[] = { "pids", "freezer", "memory", "devices", "systemd" };
	struct pid_list l = { 0 };
	cleanup_fd int fd = -1;
	char cgpath[1024], path[2048];
	size_t i;
	int rc = -ENOENT;

	oci_cgroup_path(spec, cgpath, sizeof(cgpath));
	for (i = 0; i < ARRAY_SIZE(order) && fd < 0; i++) {
		if (file_path(order[i], cgpath, "", path, sizeof(path)) < 0)
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd >= 0)
		rc = walk_procs(fd, &l, 0);
	if (rc < 0) {
		free(l.v);
		return err_sysnum(err, rc, "list the processes of %s", cgpath);
	}
	*out = l.v;
	*n = l.n;
	return 0;
}

/* ---- prewarm ---- */

static pthread_mutex_t warm_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t warm_cond = PTHREAD_COND_INITIALIZER;
static pthread_once_t warm_once = PTHREAD_ONCE_INIT;
static bool warm_wanted;
static _Atomic int64_t warm_last_ns;

/* cgroup.procs of the cgroup that this process is in: a write changes nothing. */
static int open_own_procs(void)
{
	cleanup_file FILE *f = fopen("/proc/self/cgroup", "re");
	cleanup_free char *line = NULL;
	const char *at = cg_mount("pids");
	char path[2048];
	size_t cap = 0;
	char *p;
	int fd = -1;

	while (f && at && fd < 0 && getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		p = strstr(line, engine->cgroup_mode == CGROUP_V2 ? "::" : ":pids:");
		if (!p)
			continue;
		p = strrchr(p, ':') + 1;
		if (str_fmt(path, sizeof(path), "%s%s/cgroup.procs", at,
			    strcmp(p, "/") == 0 ? "" : p) >= 0)
			fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	return fd;
}

static void *warm_thread(void *arg)
{
	int fd = open_own_procs();
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", (int)getpid());

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&warm_lock);
		while (!warm_wanted)
			pthread_cond_wait(&warm_cond, &warm_lock);
		warm_wanted = false;
		pthread_mutex_unlock(&warm_lock);
		if (fd >= 0 && write(fd, text, (size_t)len) < 0)
			log_debug("prewarm", "error=%s", strerror(errno));
	}
	return NULL;
}

static void warm_start(void)
{
	thread_start(NULL, 0, warm_thread, NULL);
}

void cgroup_prewarm(void)
{
	int64_t now = mono_ns(), last = atomic_load_explicit(&warm_last_ns, memory_order_relaxed);

	if (now - last < PREWARM_PAUSE_NS)
		return;
	if (!atomic_compare_exchange_strong(&warm_last_ns, &last, now))
		return;
	pthread_once(&warm_once, warm_start);
	pthread_mutex_lock(&warm_lock);
	warm_wanted = true;
	pthread_cond_signal(&warm_cond);
	pthread_mutex_unlock(&warm_lock);
}
