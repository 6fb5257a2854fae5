/* SPDX-License-Identifier: MPL-2.0
 *
 * top.c - see top.h.
 *
 * ps runs on the host with the user's words as its arguments (no shell), first with -q and the
 * zone's pids, then, where an option of the user's excludes -q, without; the output is filtered
 * either way.
 */
#define LOG_MODULE "top"
#include "top.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "jw.h"
#include "str.h"

#define PS_OUTPUT_MAX  (4 << 20)
#define PS_DEADLINE_MS 10000
#define MAX_FIELDS     128

/* Renaming columns to PID would let the filter be fooled. */
int top_check_args(const char *ps_args, struct err *err)
{
	const char *p = ps_args, *eq, *from, *v;
	size_t k_len, v_len;

	while ((eq = strchr(p, '='))) {
		from = eq;
		while (from > ps_args && !isspace((unsigned char)from[-1]))
			from--;
		v = eq + 1;
		while (isspace((unsigned char)*v))
			v++;
		p = eq + 1;
		if (from == ps_args || strncmp(v, "PID", 3) != 0)
			continue;
		k_len = (size_t)(eq - from);
		v_len = strcspn(v, " \t\n");
		if (k_len != 3 || strncmp(from, "pid", 3) != 0)
			return err_kind(err, ERR_BAD_PARAM,
					"specifying \"%.*s=%.*s\" is not allowed", (int)k_len, from,
					(int)v_len, v);
	}
	return 0;
}

static size_t split_fields(char *line, char **fields, size_t max)
{
	size_t n = 0;
	char *p = line;

	while (*p && n < max) {
		while (*p && isspace((unsigned char)*p))
			*p++ = '\0';
		if (!*p)
			break;
		fields[n++] = p;
		while (*p && !isspace((unsigned char)*p))
			p++;
	}
	return n;
}

static bool has_pid(const int *pids, size_t n, long pid)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static void write_process(struct jw *w, char **f, size_t n, size_t n_titles)
{
	cleanup_buf struct buf last = BUF_INIT;
	size_t i;

	jw_arr(w, NULL);
	for (i = 0; i < n && i + 1 < n_titles; i++)
		jw_str(w, NULL, f[i]);
	for (; i < n; i++) {
		if (last.len)
			buf_addch(&last, ' ');
		buf_addstr(&last, f[i]);
	}
	jw_str(w, NULL, buf_str(&last));
	jw_end(w);
}

int top_parse(char *ps_output, const int *pids, size_t n_pids, struct buf *json, struct err *err)
{
	char *titles[MAX_FIELDS], *f[MAX_FIELDS], *p = ps_output, *line, *end;
	size_t n_titles, n, pid_col, i;
	struct jw w = JW(json);
	bool mine = false;
	long pid;

	line = strsep(&p, "\n");
	n_titles = line ? split_fields(line, titles, ARRAY_SIZE(titles)) : 0;
	for (pid_col = 0; pid_col < n_titles && strcmp(titles[pid_col], "PID") != 0; pid_col++)
		;
	if (pid_col == n_titles)
		return err_kind(err, ERR_SYSTEM, "Couldn't find PID field in ps output");
	jw_obj(&w, NULL);
	jw_arr(&w, "Processes");
	while (p && (line = strsep(&p, "\n"))) {
		n = split_fields(line, f, ARRAY_SIZE(f));
		if (n <= pid_col)
			continue;
		/* a further thread of the process above (-m) */
		if (strcmp(f[pid_col], "-") != 0) {
			pid = strtol(f[pid_col], &end, 10);
			if (*end || end == f[pid_col])
				return err_kind(err, ERR_SYSTEM,
						"Unexpected pid '%s': strconv.Atoi: parsing "
						"\"%s\": invalid syntax",
						f[pid_col], f[pid_col]);
			mine = has_pid(pids, n_pids, pid);
		}
		if (mine)
			write_process(&w, f, n, n_titles);
	}
	jw_end(&w);
	jw_arr(&w, "Titles");
	for (i = 0; i < n_titles; i++)
		jw_str(&w, NULL, titles[i]);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

/* Reads both pipes to their ends; -ETIMEDOUT, -EFBIG. */
static int drain(int fds[2], struct buf bufs[2])
{
	struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	int64_t until = mono_ns() + PS_DEADLINE_MS * 1000000LL;
	char chunk[16384];
	ssize_t n;
	int i;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (mono_ns() > until)
			return -ETIMEDOUT;
		if (poll(p, 2, 200) < 0 && errno != EINTR)
			return -errno;
		for (i = 0; i < 2; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			n = read(p[i].fd, chunk, sizeof(chunk));
			if (n < 0 && (errno == EINTR || errno == EAGAIN))
				continue;
			if (n <= 0) {
				p[i].fd = -1;
				continue;
			}
			if (bufs[i].len + (size_t)n > PS_OUTPUT_MAX)
				return -EFBIG;
			buf_add(&bufs[i], chunk, (size_t)n);
		}
	}
	return 0;
}

static int spawn_ps(char **argv, int out_w, int err_w, pid_t *pid)
{
	static char *const env[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"LC_ALL=C", NULL
	};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, dfl;
	int rc;

	sigemptyset(&none);
	sigemptyset(&dfl);
	sigaddset(&dfl, SIGPIPE);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, out_w, 1);
	posix_spawn_file_actions_adddup2(&fa, err_w, 2);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &dfl);
	rc = posix_spawnp(pid, "ps", &fa, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return -rc;
}

/* *status: as waitpid has it. */
static int run_ps(char **argv, struct buf *out, struct buf *errs, int *status, struct err *err)
{
	cleanup_fd int out_r = -1, out_w = -1, err_r = -1, err_w = -1;
	struct buf bufs[2] = { BUF_INIT, BUF_INIT };
	int p[2], rc;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	out_r = p[0];
	out_w = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	err_r = p[0];
	err_w = p[1];
	if ((rc = spawn_ps(argv, out_w, err_w, &pid)) < 0)
		return err_sysnum(err, rc, "ps");
	close(take_fd(&out_w));
	close(take_fd(&err_w));
	rc = drain((int[2]){ out_r, err_r }, bufs);
	if (rc < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	buf_fini(out);
	buf_fini(errs);
	*out = bufs[0];
	*errs = bufs[1];
	return rc < 0 ? err_sysnum(err, rc, "ps") : 0;
}

static char **ps_argv(const char *ps_args, const int *pids, size_t n_pids, bool with_q)
{
	cleanup_strv char **words = strv_split(ps_args, ' ');
	cleanup_buf struct buf q = BUF_INIT;
	char **argv = NULL;
	size_t i;

	strv_add(&argv, "ps");
	if (with_q) {
		buf_addstr(&q, "-q");
		for (i = 0; i < n_pids; i++)
			buf_printf(&q, "%s%d", i ? "," : "", pids[i]);
		strv_add(&argv, buf_str(&q));
	}
	for (i = 0; words && words[i]; i++)
		if (words[i][0])
			strv_add(&argv, words[i]);
	return argv;
}

int top_run(const char *ps_args, const int *pids, size_t n_pids, struct buf *json, struct err *err)
{
	cleanup_buf struct buf out = BUF_INIT;
	cleanup_buf struct buf errs = BUF_INIT;
	int pass, rc, status = 0;

	if (str_empty(ps_args))
		ps_args = "-ef";
	if ((rc = top_check_args(ps_args, err)) < 0)
		return rc;
	for (pass = 0; pass < 2; pass++) {
		cleanup_strv char **argv = ps_argv(ps_args, pids, n_pids, pass == 0);

		if ((rc = run_ps(argv, &out, &errs, &status, err)) < 0)
			return rc;
		if (status == 0)
			break;
	}
	if (status != 0) {
		/* the first line says it */
		if (errs.len)
			errs.p[strcspn(errs.p, "\n")] = '\0';
		return err_kind(err, ERR_SYSTEM, "ps: %s", errs.len ? errs.p : "exit status 1");
	}
	return top_parse(out.p ? out.p : (char[1]){ "" }, pids, n_pids, json, err);
}
