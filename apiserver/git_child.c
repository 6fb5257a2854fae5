/* SPDX-License-Identifier: MPL-2.0
 *
 * git_child.c - see git_child.h.
 *
 * Design: a repository, its submodules and its server are hostile. git runs without capabilities,
 * in a mount namespace in which everything but DIR is read-only, with an environment of our own: no
 * configuration of the system or the user, no hooks, no helpers that know passwords, no questions,
 * and only the protocols git, http, https and ssh, also in submodules (none of which may name a
 * path of this machine). Nothing is run that a repository brings along.
 *
 * Failure: each git ends with us, we with the thread that started us.
 */
#include "apiserver/git_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "fs.h"
#include "str.h"

#define OUTPUT_MAX 700
#define WORDS_MAX  16

static const char *const fixed_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LC_ALL=C",
	"HOME=/nonexistent",
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_TERMINAL_PROMPT=0",
	"GIT_ASKPASS=/bin/false",
	"SSH_ASKPASS=/bin/false",
	"GIT_SSH_COMMAND=ssh -oBatchMode=yes -oConnectTimeout=30",
	"GIT_ALLOW_PROTOCOL=git:http:https:ssh",
	"GIT_PROTOCOL_FROM_USER=0",
	"GIT_LFS_SKIP_SMUDGE=1",
	"GIT_CONFIG_COUNT=8",
	"GIT_CONFIG_KEY_0=core.hooksPath",
	"GIT_CONFIG_VALUE_0=/dev/null",
	"GIT_CONFIG_KEY_1=core.fsmonitor",
	"GIT_CONFIG_VALUE_1=false",
	"GIT_CONFIG_KEY_2=credential.helper",
	"GIT_CONFIG_VALUE_2=",
	"GIT_CONFIG_KEY_3=protocol.file.allow",
	"GIT_CONFIG_VALUE_3=never",
	"GIT_CONFIG_KEY_4=protocol.ext.allow",
	"GIT_CONFIG_VALUE_4=never",
	"GIT_CONFIG_KEY_5=gc.auto",
	"GIT_CONFIG_VALUE_5=0",
	"GIT_CONFIG_KEY_6=http.lowSpeedLimit",
	"GIT_CONFIG_VALUE_6=1",
	"GIT_CONFIG_KEY_7=http.lowSpeedTime",
	"GIT_CONFIG_VALUE_7=60",
};
/* the daemon's way to the network is git's */
static const char *const passed_env[] = {
	"http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY",
};

static void make_env(char ***out)
{
	char **env = strv_split("", ' ');

	for (size_t i = 0; i < ARRAY_SIZE(fixed_env); i++)
		strv_add(&env, fixed_env[i]);
	for (size_t i = 0; i < ARRAY_SIZE(passed_env); i++) {
		const char *v = getenv(passed_env[i]);
		cleanup_free char *text = v ? xasprintf("%s=%s", passed_env[i], v) : NULL;

		if (text)
			strv_add(&env, text);
	}
	*out = env;
}

/* ---- the cage ---- */

static int only_dir_is_writable(const char *dir, struct err *err)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	struct mount_attr rw = { .attr_clr = MOUNT_ATTR_RDONLY };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(dir, dir, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "make git's mount namespace");
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &ro, sizeof(ro)) < 0 ||
	    syscall(SYS_mount_setattr, AT_FDCWD, dir, 0, &rw, sizeof(rw)) < 0)
		return err_sys(err, "make all but git's directory read-only");
	return chdir(dir) < 0 ? err_sys(err, "chdir %s", dir) : 0;
}

static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	/* without new privileges a program of root's gets none back */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &head, none) < 0)
		return err_sys(err, "capset");
	return 0;
}

/* ---- git ---- */

static void become_git(char *const argv[], char *const env[], int out_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(1);
	dup2(out_fd, 1);
	dup2(out_fd, 2);
	execvpe("git", argv, env);
	dprintf(2, errno == ENOENT ? "git is not installed on the engine's host\n"
				   : "git cannot be run\n");
	_exit(127);
}

static void read_output(int fd, struct buf *out)
{
	char block[4096];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && out->len < OUTPUT_MAX)
			buf_add(out, block, (size_t)n);
	if (out->len > OUTPUT_MAX)
		out->len = OUTPUT_MAX;
	while (out->len && strchr("\r\n ", out->p[out->len - 1]))
		out->len--;
	if (out->p)
		out->p[out->len] = '\0';
}

static int git(char *const env[], const char *what, const char *const words[], struct err *err)
{
	cleanup_buf struct buf out = BUF_INIT;
	char *argv[WORDS_MAX + 2] = { (char *)"git" };
	int pair[2], status = 0;
	pid_t pid;

	for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
		argv[i + 1] = (char *)words[i];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	pid = fork();
	if (pid == 0)
		become_git(argv, env, pair[1]);
	close(pair[1]);
	if (pid > 0)
		read_output(pair[0], &out);
	close(pair[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return err_sys(err, "run git");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_kind(err, ERR_SYSTEM, "%s: %s", what, buf_str(&out));
}
#define GIT(what, ...) git(env, what, (const char *const[]){ __VA_ARGS__, NULL }, err)

static int fetch_all(const char *url, const char *ref, struct err *err)
{
	cleanup_strv char **env = NULL;
	struct err ignored = { 0 };
	int rc;

	make_env(&env);
	if (!*ref)
		ref = "HEAD";
	if ((rc = GIT("failed to init repo", "init", "-q")) < 0 ||
	    (rc = GIT("failed add origin repo", "remote", "add", "origin", "--", url)) < 0)
		return rc;
	/* servers of files alone do not know depths */
	if (git(env, "", (const char *const[]){ "fetch", "-q", "--no-recurse-submodules", "--depth", "1",
						"origin", "--", ref, NULL },
		&ignored) < 0 &&
	    (rc = GIT("error fetching", "fetch", "-q", "--no-recurse-submodules", "origin", "--", ref)) < 0)
		return rc;
	if ((rc = GIT("error checking out", "checkout", "-q", "--detach", "FETCH_HEAD")) < 0)
		return rc;
	if (!fs_exists(".gitmodules"))
		return 0;
	return GIT("error initializing submodules", "submodule", "update", "--init", "--recursive",
		   "--depth=1");
}

int git_child_main(int argc, char **argv)
{
	struct err err = { 0 };
	int rc;

	if (argc != 5)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1) /* it died before that */
		return 1;
	umask(022);
	fcntl(GIT_CHILD_FD, F_SETFD, FD_CLOEXEC);
	if ((rc = only_dir_is_writable(argv[2], &err)) == 0 && (rc = drop_capabilities(&err)) == 0)
		rc = fetch_all(argv[3], argv[4], &err);
	if (rc < 0)
		(void)!fs_write_all(GIT_CHILD_FD, err.msg, strlen(err.msg));
	return rc < 0;
}
