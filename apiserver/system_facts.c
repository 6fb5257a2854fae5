/* SPDX-License-Identifier: MPL-2.0
 *
 * system_facts.c - see system_facts.h.
 *
 * Threads: facts_run fills the job's own copy on a worker (it runs `crun --version`), facts_done
 * publishes it on the loop.
 */
#include "system_facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "engine.h"
#include "fs.h"
#include "job.h"
#include "str.h"

struct waiter {
	uint64_t req;
	void (*fn)(uint64_t req);
	struct waiter *next;
};

struct facts_job {
	struct job job;
	struct system_facts facts;
};

static struct system_facts facts;
static bool ready, asked;
static struct waiter *waiters;

const struct system_facts *system_facts(void)
{
	return &facts;
}

static int64_t count_threads(void)
{
	cleanup_dir DIR *d = opendir("/proc/self/task");
	int64_t n = 0;

	while (d && readdir(d))
		n++;
	return n > 2 ? n - 2 : n;
}

/* Output of a program, up to a few KiB; "" when it cannot be run. */
static void output_of(const char *const argv[], struct buf *out)
{
	posix_spawn_file_actions_t fa;
	cleanup_fd int rfd = -1;
	int fds[2];
	pid_t pid;
	int rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	rfd = fds[0];
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fds[1]);
	if (rc != 0)
		return;
	for (;;) {
		char tmp[1024];
		ssize_t n = read(rfd, tmp, sizeof(tmp));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_add(out, tmp, (size_t)n);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* First line "crun version 1.8.1", a later one "commit: f8a0..." */
static void program_version(const char *program, char *version, size_t n_version, char *commit,
			    size_t n_commit)
{
	const char *const argv[] = { program, "--version", NULL };
	cleanup_strv char **lines = NULL;
	cleanup_buf struct buf out;

	buf_init(&out, 16 * 1024);
	output_of(argv, &out);
	lines = strv_split(buf_str(&out), '\n');
	for (char **l = lines; *l; l++) {
		const char *p = strstr(*l, "version ");

		if (p && !*version)
			str_copy(version, n_version, p + 8);
		else if (str_starts(*l, "commit: "))
			str_copy(commit, n_commit, *l + 8);
	}
}

static void os_release(struct system_facts *f)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	cleanup_strv char **lines = NULL;

	str_copy(f->os_name, sizeof(f->os_name), "Linux");
	if (fs_read_file("/etc/os-release", 64 * 1024, &b, &ignored) < 0 &&
	    fs_read_file("/usr/lib/os-release", 64 * 1024, &b, &ignored) < 0)
		return;
	lines = strv_split(buf_str(&b), '\n');
	for (char **l = lines; *l; l++) {
		bool name = str_starts(*l, "PRETTY_NAME="), version = str_starts(*l, "VERSION_ID=");
		char *value = strchr(*l, '=');

		if (!name && !version)
			continue;
		value += 1 + strspn(value + 1, "\"'");
		value[strcspn(value, "\"'")] = '\0';
		if (name)
			str_copy(f->os_name, sizeof(f->os_name), value);
		else
			str_copy(f->os_version, sizeof(f->os_version), value);
	}
}

static const char *fs_name(const char *path)
{
	struct statfs sfs;

	if (statfs(path, &sfs) < 0)
		return "unknown";
	switch ((unsigned long)sfs.f_type) {
	case 0xef53:
		return "extfs";
	case 0x58465342:
		return "xfs";
	case 0x9123683e:
		return "btrfs";
	case 0x01021994:
		return "tmpfs";
	case 0x2fc12fc1:
		return "zfs";
	case 0x794c7630:
		return "overlayfs";
	}
	return "unknown";
}

static const char *go_arch(const char *machine)
{
	static const struct {
		const char *machine, *go;
	} map[] = {
		{ "x86_64", "amd64" },	  { "aarch64", "arm64" },   { "i686", "386" },
		{ "armv7l", "arm" },	  { "ppc64le", "ppc64le" }, { "s390x", "s390x" },
		{ "riscv64", "riscv64" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (str_eq(map[i].machine, machine))
			return map[i].go;
	}
	return machine;
}

/* "http://user:secret@proxy" as "http://xxxxx:xxxxx@proxy", as Docker shows it. Owned for ever. */
static const char *proxy(const char *upper, const char *lower)
{
	const char *s = getenv(upper), *scheme, *at;

	if (!s)
		s = getenv(lower);
	if (!s)
		return "";
	scheme = strstr(s, "://");
	at = strrchr(s, '@');
	if (!scheme || !at)
		return s;
	return xasprintf("%.*sxxxxx:xxxxx%s", (int)(scheme + 3 - s), s, at);
}

/* of our own program's file: what it was built from is not known any better */
static void build_time(char *out, size_t size)
{
	static const char stamp[] = __DATE__ " " __TIME__;

	str_copy(out, size, stamp);
}

static int facts_run(struct job *job, struct err *err)
{
	struct system_facts *f = &container_of(job, struct facts_job, job)->facts;
	struct utsname u;

	if (uname(&u) < 0)
		return err_sys(err, "uname");
	str_copy(f->kernel, sizeof(f->kernel), u.release);
	str_copy(f->machine, sizeof(f->machine), u.machine);
	str_copy(f->go_arch, sizeof(f->go_arch), go_arch(u.machine));
	str_copy(f->host_name, sizeof(f->host_name), u.nodename);
	os_release(f);
	str_copy(f->backing_fs, sizeof(f->backing_fs), fs_name(engine->paths.lib));
	program_version("crun", f->crun_version, sizeof(f->crun_version), f->crun_commit,
			sizeof(f->crun_commit));
	program_version("runc", f->runc_version, sizeof(f->runc_version), f->runc_commit,
			sizeof(f->runc_commit));
	build_time(f->build_time, sizeof(f->build_time));
	return 0;
}

static void facts_done(struct job *job)
{
	struct facts_job *fj = container_of(job, struct facts_job, job);
	struct waiter *w = waiters;

	facts = fj->facts;
	facts.http_proxy = proxy("HTTP_PROXY", "http_proxy");
	facts.https_proxy = proxy("HTTPS_PROXY", "https_proxy");
	facts.no_proxy = proxy("NO_PROXY", "no_proxy");
	facts.n_threads = count_threads;
	ready = job->rc == 0;
	asked = false;
	waiters = NULL;
	while (w) {
		struct waiter *next = w->next;

		w->fn(w->req);
		free(w);
		w = next;
	}
	free(fj);
}

void system_facts_ready(uint64_t req, void (*fn)(uint64_t req))
{
	struct waiter *w;

	if (ready) {
		fn(req);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	*w = (struct waiter){ .req = req, .fn = fn, .next = waiters };
	waiters = w;
	if (!asked) {
		struct facts_job *fj = xcalloc(1, sizeof(*fj));

		asked = true;
		fj->job.run = facts_run;
		fj->job.done = facts_done;
		fj->job.what = "system facts";
		job_submit(LANE_QUERY, &fj->job);
	}
}
