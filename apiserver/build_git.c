/* SPDX-License-Identifier: MPL-2.0
 *
 * build_git.c - a build's context from a git repository.
 *
 * Design: URL[#ref[:folder]]. A process of its own (git_child.h) fetches it below the context's
 * build root, and what it fetched, or the folder of it, becomes the context's content by a rename:
 * nothing is copied. The process has a deadline, and ends with the build.
 *
 * Failure: the build root goes with all that is in it.
 */
#include "apiserver/build_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apiserver/child.h"
#include "apiserver/engine.h"
#include "apiserver/git_child.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define DEADLINE_MS (15 * 60 * 1000)
#define SLICE_MS    200
#define REAP_MS	    2000
#define WORDS_MAX   900

struct repo {
	char *url, *ref, *folder;
};

bool build_is_git(const char *s)
{
	bool http = str_starts(s, "http://") || str_starts(s, "https://");
	const char *git = strstr(s, ".git#");

	return str_starts(s, "git://") || str_starts(s, "git@") || str_starts(s, "ssh://") ||
	       str_starts(s, "github.com/") || (http && (str_ends(s, ".git") || (git && git[5])));
}

static void repo_fini(struct repo *r)
{
	free(r->url);
	free(r->ref);
	free(r->folder);
}

static int parse(const char *remote, struct repo *r, struct err *err)
{
	const char *hash = strchr(remote, '#'), *fragment = hash ? hash + 1 : "";
	const char *colon = strchr(fragment, ':');
	size_t len = hash ? (size_t)(hash - remote) : strlen(remote);

	*r = (struct repo){
		.url = xasprintf("%s%.*s", str_starts(remote, "github.com/") ? "https://" : "",
				 (int)len, remote),
		.ref = colon ? xstrndup(fragment, (size_t)(colon - fragment)) : xstrdup(fragment),
		.folder = xstrdup(colon ? colon + 1 : ""),
	};
	if (r->ref[0] == '-')
		return err_kind(err, ERR_BAD_PARAM, "invalid refspec: %s", r->ref);
	return 0;
}

/* The child's words, until it ends, the build does, or its time is over. */
static int follow(struct build *b, int fd, struct buf *words, struct err *err)
{
	int64_t end_ns = mono_ns() + (int64_t)DEADLINE_MS * 1000000;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char block[1024];
	ssize_t n = 1;
	int rc;

	while (n != 0) {
		if ((rc = build_check(b, err)) < 0)
			return rc;
		if (mono_ns() > end_ns)
			return err_sysnum(err, ETIMEDOUT, "fetch the repository");
		if (poll(&p, 1, SLICE_MS) <= 0)
			continue;
		n = read(fd, block, sizeof(block));
		if (n < 0 && errno != EINTR)
			return err_sys(err, "read from git");
		if (n > 0 && words->len < WORDS_MAX)
			buf_add(words, block, (size_t)n);
	}
	return 0;
}

static int fetch(struct build *b, const struct repo *r, const char *dir, struct err *err)
{
	const char *const argv[] = { "apiserver", GIT_CHILD_OPTION, dir, r->url, r->ref, NULL };
	cleanup_buf struct buf words = BUF_INIT;
	int pair[2], rc, status;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	rc = child_spawn(argv, -1, pair[1], true, &pid, err);
	close(pair[1]);
	if (rc == 0) {
		rc = follow(b, pair[0], &words, err);
		/* git may have children of its own: all are of its session's group */
		if (rc < 0)
			kill(-pid, SIGKILL);
		status = child_reap(pid, rc < 0 ? REAP_MS : DEADLINE_MS);
		if (rc == 0 && (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status)))
			rc = err_kind(err, ERR_SYSTEM, "%s",
				      words.len ? buf_str(&words) : "git was killed");
	}
	close(pair[0]);
	return rc;
}

/* What was fetched, or the folder of it, becomes the context. */
static int move_in(const char *dir, const char *folder, const char *upper, struct err *err)
{
	cleanup_fd int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	char from[64], real[4096];
	struct stat st;
	ssize_t n;

	if (root < 0)
		return err_sys(err, "open %s", dir);
	fd = fs_open_in_root(root, *folder ? folder : "/", O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return err_sysnum(err, fd, "error setting git context, \"%s\" not within git root",
				  folder);
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_kind(err, ERR_BAD_PARAM,
				"error setting git context, not a directory: %s", folder);
	/* nobody else touches it any more */
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	n = readlink(from, real, sizeof(real) - 1);
	if (n < 0)
		return err_sys(err, "readlink %s", from);
	real[n] = '\0';
	if (rmdir(upper) < 0 || rename(real, upper) < 0)
		return err_sys(err, "rename %s", real);
	return 0;
}

int build_git_context(struct build *b, struct err *err)
{
	char dir[1024], upper[1024];
	struct repo r;
	int rc = parse(b->o.remote, &r, err);

	if (rc == 0 && (rc = build_root_make(&b->context, err)) == 0) {
		paths_zone(&engine->paths, b->context.uuid, "clone", dir);
		if (mkdir(dir, 0755) < 0)
			rc = err_sys(err, "mkdir %s", dir);
	}
	if (rc == 0)
		rc = fetch(b, &r, dir, err);
	if (rc == 0)
		rc = move_in(dir, r.folder, build_root_upper(&b->context, upper), err);
	if (rc == 0)
		rc = build_root_mount(&b->context, NULL, err);
	repo_fini(&r);
	return rc;
}
