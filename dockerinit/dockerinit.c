/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerinit.c - the zone's first process until it becomes the user's; the same for `docker exec`;
 * and, by name, the mdata-* tools.
 *
 * The table of steps below is what happens, in order. A step that fails is told to zoneadmd (see
 * exec_spec.h), to /var/log/sdc-dockerinit.log where that file exists (the engine binds it in:
 * nothing is created in the zone's own layer), and by an exit status of its own. The exec ones end
 * with Docker's.
 *
 * Security: it runs as the zone's root with a little more than the user's process may have (see
 * zone_run.c), among processes of the zone when it serves an exec. So it is not dumpable, keeps its
 * channel CLOEXEC, reads only regular files, and gives up privileges before it looks at anything
 * that needs them.
 *
 * With --init (docker:process has "init") what it executes is itself, as docker-init (mini_init.c).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "environ.h"
#include "exec_spec.h"
#include "fs.h"
#include "mini_init.h"
#include "orders.h"
#include "privs.h"
#include "user.h"

#define EXIT_START_FAILED 128 /* Docker's, when it is not the command's fault */
#define EXIT_EXEC_FAILED  255 /* runc's, when execve(2) itself refuses the file */

struct dockerinit {
	bool is_exec;
	int log_fd;
	struct mdata_client chan; /* the channel to zoneadmd, in both modes */
	unsigned rows, cols;	  /* exec with a tty */
	struct orders orders;
	struct user user;
	char **env;
	bool cwd_done;
	char path[PATH_MAX];
	int exit_code; /* for the user, of the step that failed */
};

static struct dockerinit self = { .log_fd = -1, .chan = { .fd = -1 } };

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[1400];
	struct timespec ts;
	struct tm tm;
	va_list ap;
	size_t n;
	int m;

	if (self.log_fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, 16, ".%03ldZ ", ts.tv_nsec / 1000000);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	n += m < 0 ? 0 : (size_t)m;
	if (n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	line[n++] = '\n';
	if (fs_write_all(self.log_fd, line, n) < 0)
		self.log_fd = -1; /* full or gone: the zone goes on without */
}

/* ---- steps --------------------------------------------------------------------------------- */

static int open_log(struct dockerinit *d, struct err *err)
{
	struct stat st;
	int fd;

	(void)err;
	if (d->is_exec)
		return 0;
	fd = open(DOCKERINIT_LOG,
		  O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		fchmod(fd, 0600);
	d->log_fd = fd;
	return 0;
}

static int read_spec_file(int fd, char **out, size_t *len, struct err *err)
{
	struct stat st;
	ssize_t n = 0;
	char *p;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > EXEC_SPEC_FILE_MAX)
		return err_sysnum(err, EFBIG, "read the exec spec");
	p = malloc((size_t)st.st_size + 1);
	if (!p)
		return err_sysnum(err, ENOMEM, "read the exec spec");
	for (*len = 0; *len < (size_t)st.st_size; *len += (size_t)n) {
		n = pread(fd, p + *len, (size_t)st.st_size - *len, (off_t)*len);
		if (n <= 0)
			return err_sysnum(err, n < 0 ? errno : EPROTO, "read the exec spec");
	}
	p[*len] = '\0';
	*out = p;
	return 0;
}

/* One message: the spec, or a descriptor of the file that holds it. */
static int read_spec(char **out, size_t *len, struct err *err)
{
	static char spec[EXEC_SPEC_MAX + 1];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = spec, .iov_len = sizeof(spec) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	cleanup_fd int fd = -1;
	struct cmsghdr *cm;
	ssize_t n = recvmsg(EXEC_SPEC_FD, &mh, MSG_CMSG_CLOEXEC);

	if (n <= 0 || n > EXEC_SPEC_MAX)
		return err_sysnum(err, n < 0 ? errno : EPROTO, "read the exec spec");
	cm = CMSG_FIRSTHDR(&mh);
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
		return read_spec_file(fd, out, len, err);
	}
	*out = spec;
	*len = (size_t)n;
	return 0;
}

static int get_orders(struct dockerinit *d, struct err *err)
{
	char *spec = NULL;
	size_t len = 0;
	int rc;

	if (!d->is_exec) {
		if ((rc = mdata_connect(&d->chan, ZC_SOCKET, err)) < 0)
			return rc;
		return orders_from_metadata(&d->orders, &d->chan, err);
	}
	d->chan.fd = EXEC_SPEC_FD;
	if (fcntl(EXEC_SPEC_FD, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, "exec channel");
	if ((rc = read_spec(&spec, &len, err)) < 0)
		return rc;
	return orders_from_spec(&d->orders, spec, len, err);
}

static int find_user(struct dockerinit *d, struct err *err)
{
	return user_resolve(d->orders.user, d->orders.group_add, "/etc/passwd", "/etc/group",
			    &d->user, err);
}

static int make_env(struct dockerinit *d, struct err *err)
{
	d->env = environ_build(d->orders.env, d->orders.hostname, d->orders.tty, d->user.home);
	return d->env ? 0 : err_sysnum(err, ENOMEM, "make the environment");
}

/* A pty of the zone's own devpts becomes stdin, stdout and stderr; its master goes to zoneadmd. */
static int open_terminal(struct dockerinit *d, struct err *err)
{
	struct winsize ws = { .ws_row = (unsigned short)d->rows,
			      .ws_col = (unsigned short)d->cols };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { { 0 } };
	struct iovec iov = { .iov_base = (char[]){ "TTY\n" }, .iov_len = 4 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
	cleanup_fd int master = -1, slave = -1;
	struct statfs sfs;
	int zero = 0, i;

	if (!d->is_exec)
		return 0; /* the runtime has done all this for PID 1 */
	if (setsid() < 0)
		return err_sys(err, "setsid");
	if (!d->orders.tty)
		return 0;
	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (master < 0)
		return err_sys(err, "open a terminal");
	if (fstatfs(master, &sfs) < 0 || sfs.f_type != DEVPTS_SUPER_MAGIC)
		return err_sysnum(err, ENODEV, "open a terminal");
	if (ioctl(master, TIOCSPTLCK, &zero) < 0)
		return err_sys(err, "unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave < 0)
		return err_sys(err, "open the terminal's other side");
	if (d->rows && d->cols)
		ioctl(master, TIOCSWINSZ, &ws);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &master, sizeof(int));
	if (sendmsg(d->chan.fd, &mh, MSG_NOSIGNAL) < 0)
		return err_sys(err, "hand over the terminal");
	for (i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return err_sys(err, "dup2");
	if (slave < 3)
		slave = -1;
	if (ioctl(0, TIOCSCTTY, 0) < 0)
		return err_sys(err, "set the controlling terminal");
	return 0;
}

/* /dev/stdout and friends can be opened by the user's process only when it owns what is behind
 * them. PID 1 may lack CAP_CHOWN: zoneadmd does it then. */
static int own_stdio(struct dockerinit *d, struct err *err)
{
	struct stat null = { 0 }, st;
	char text[32], *line;
	size_t len;
	int i, n, rc;

	if (d->user.uid == 0)
		return 0;
	if (!d->is_exec) {
		n = snprintf(text, sizeof(text), "STDIO %u\n", d->user.uid);
		if ((rc = mdata_send(&d->chan, text, (size_t)n, err)) < 0)
			return rc;
		return mdata_line(&d->chan, &line, &len, err);
	}
	stat("/dev/null", &null);
	for (i = 0; i < 3; i++)
		if (fstat(i, &st) == 0 && st.st_rdev != null.st_rdev &&
		    fchown(i, d->user.uid, -1) < 0)
			say("chown of descriptor %d: %s", i, strerror(errno));
	return 0;
}

static int mkdir_p(const char *path)
{
	char tmp[PATH_MAX], *p;

	if (snprintf(tmp, sizeof(tmp), "%s", path) >= (int)sizeof(tmp))
		return -1;
	for (p = tmp + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(tmp, 0755);
		*p = '/';
	}
	return mkdir(tmp, 0755);
}

/* As root first, as the user later if it must be (a home on NFS, a directory of mode 0700). */
static int enter_workdir(struct dockerinit *d, struct err *err)
{
	(void)err;
	umask(022);
	if (chdir(d->orders.cwd) < 0 && errno == ENOENT && !d->is_exec &&
	    mkdir_p(d->orders.cwd) == 0)
		say("made the working directory");
	d->cwd_done = chdir(d->orders.cwd) == 0;
	return 0;
}

static int drop(struct dockerinit *d, struct err *err)
{
	const struct orders *o = &d->orders;

	umask(o->umask);
	return privs_drop(&d->user, o->caps, o->no_new_privs, o->bpf != NULL, err);
}

static int check_workdir(struct dockerinit *d, struct err *err)
{
	char cwd[PATH_MAX];

	if (!d->cwd_done && chdir(d->orders.cwd) < 0) {
		d->exit_code = errno == EACCES ? 126 : errno == ENOTDIR || errno == ENOENT ? 127 : 128;
		return err_kind(err, ERR_BAD_PARAM,
				"chdir to cwd (\"%s\") set in config.json failed: %s",
				d->orders.cwd, environ_strerror(errno));
	}
	/* a directory outside of the root reads as "(unreachable)..." (CVE-2024-21626) */
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || cwd[0] != '/') {
		d->exit_code = 126;
		return err_kind(
			err, ERR_BAD_PARAM,
			"current working directory is outside of container mount namespace root");
	}
	return 0;
}

static int find_exec(struct dockerinit *d, struct err *err)
{
	int rc = environ_find_exec(d->orders.argv[0], environ_get(d->env, "PATH"), d->path, err);

	if (rc < 0)
		d->exit_code = environ_exit_code(-rc);
	return rc;
}

/* The program is there: now it is docker-init's argument. A new program, because execve also
 * settles the capabilities, which a filter may forbid us to do. */
static int make_init_command(struct dockerinit *d, struct err *err)
{
	size_t n = 0;
	char **argv;

	if (!d->orders.init || d->is_exec)
		return 0;
	while (d->orders.argv[n])
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	if (!argv)
		return err_sysnum(err, ENOMEM, "make the command");
	argv[0] = strdup(MINI_INIT_NAME);
	argv[1] = strdup("--");
	if (!argv[0] || !argv[1])
		return err_sysnum(err, ENOMEM, "make the command");
	memcpy(argv + 2, d->orders.argv, n * sizeof(*argv));
	d->orders.argv = argv;
	snprintf(d->path, sizeof(d->path), "%s", DOCKERINIT_PATH);
	return 0;
}

static int load_filter(struct dockerinit *d, struct err *err)
{
	return d->orders.bpf ? privs_seccomp(d->orders.bpf, d->orders.bpf_len, err) : 0;
}

/* ---- the table ----------------------------------------------------------------------------- */

struct step {
	const char *name;
	int (*run)(struct dockerinit *d, struct err *err);
	int exit_status; /* dockerinit's own, when the step has no status of Docker's */
};

static const struct step steps[] = {
	{ "open the log", open_log, 32 },
	{ "get the orders", get_orders, 33 },
	{ "find the user", find_user, 34 },
	{ "make the environment", make_env, 35 },
	{ "open the terminal", open_terminal, 36 },
	{ "own the standard streams", own_stdio, 37 },
	{ "enter the working directory", enter_workdir, 38 },
	{ "drop privileges", drop, 39 },
	{ "check the working directory", check_workdir, 40 },
	{ "find the program", find_exec, 41 },
	{ "make docker-init's command", make_init_command, 43 },
	{ "load the seccomp filter", load_filter, 42 },
};

static __attribute__((noreturn)) void give_up(const struct step *s, const struct err *err)
{
	struct mdata_client *c = &self.chan;
	int code = self.exit_code ? self.exit_code : EXIT_START_FAILED;
	struct err ignored;
	char line[1200];
	int n;

	say("error: %s: %s", s->name, err->msg);
	if (c->fd >= 0) {
		n = snprintf(line, sizeof(line), "ERR %d %d %d %s\n", code, -err->code, err->kind,
			     err->msg);
		if (n > (int)sizeof(line) - 1)
			n = sizeof(line) - 1;
		mdata_send(c, line, (size_t)n, &ignored);
	}
	_exit(self.exit_code ? self.exit_code : s->exit_status);
}

/* By the system call: libc's sigaction refuses the signals it keeps for itself (32 and up), which may be inherited as ignored. */
static void reset_signals(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} dfl = { .handler = SIG_DFL };
	sigset_t none;
	int sig;

	for (sig = 1; sig <= 64; sig++)
		syscall(SYS_rt_sigaction, sig, &dfl, NULL, sizeof(dfl.mask));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static unsigned small_number(const char *s)
{
	unsigned v = 0;

	for (; *s >= '0' && *s <= '9' && v < 10000; s++)
		v = v * 10 + (unsigned)(*s - '0');
	return v;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "";
	struct err err = { 0 };
	size_t i;

	if (strncmp(name, "mdata-", 6) == 0)
		return mdata_cli_main(name, argc, argv);
	if (strcmp(name, "docker-init") == 0)
		return mini_init_main(argc, argv);
	self.is_exec = argc >= 2 && strcmp(argv[1], "exec") == 0;
	if (self.is_exec && argc >= 4) {
		self.rows = small_number(argv[2]);
		self.cols = small_number(argv[3]);
	}
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	reset_signals();
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].run(&self, &err) < 0)
			give_up(&steps[i], &err);
	say("exec %s", self.path);
	execve(self.path, self.orders.argv, self.env);
	dprintf(STDERR_FILENO, "exec %s: %s\n", self.path, environ_strerror(errno));
	say("error: exec %s: %s", self.path, strerror(errno));
	_exit(EXIT_EXEC_FAILED);
}
