/* SPDX-License-Identifier: MPL-2.0 */
/* clang-format off */
/*
 * zone_exec.c - `docker exec`: another process in the zone.
 *
 * The child joins the first process's cgroups and namespaces and executes the host's dockerinit
 * through a descriptor (of a read-only mount: the zone's root could open /proc/PID/exe for
 * writing). What is to be done goes over a socketpair, whose end means that the user's program has
 * been executed.
 *
 *	zoneadmd				child
 *	setns(the zone's pids, for children)
 *	clone into the v2 cgroup, setns back	v1 cgroups, namespaces, limits, streams
 *						dockerinit: TTY and the pty's master, or nothing
 *	reply ExecStarted, or Failure		end of the socketpair, or ERR
 *	waitpid: event ExecExited
 */
/* clang-format on */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "exec_spec.h"
#include "loop.h"
#include "str.h"
#include "zone.h"
#include "zone_cgroup.h"

#define LOG_MODULE "exec"
#include "log.h"

#define ID_MAX_	  64
#define EXECS_MAX 4096

/* Docker's words before what dockerinit says. */
#define PREFIX "OCI runtime exec failed: exec failed: unable to start container process: "

enum { FD_IN, FD_OUT, FD_ERR, N_FDS };

struct exec {
	struct source chan; /* fd -1 when the start is over */
	struct zone *z;
	char id[ID_MAX_ + 1];
	struct asker who;
	pid_t pid;
	bool tty, detach;
	bool failed, running, dead;
	struct source master; /* tty: for Resize; and read and thrown away when detached */
	int ours[N_FDS];      /* what the reply carries */
	struct exec *next;
};

static struct exec *execs;
static size_t n_execs;

static void exec_free(struct exec *e)
{
	struct exec **p = &execs;
	int i;

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	n_execs--;
	loop_del(&e->chan);
	zone_close(&e->chan.fd);
	loop_del(&e->master);
	zone_close(&e->master.fd);
	for (i = 0; i < N_FDS; i++)
		zone_close(&e->ours[i]);
	free(e);
}

/* ---- the child ----------------------------------------------------------------------------- */

static int set_limits(const struct zone *z, struct err *err)
{
	int i;

	for (i = 0; z->has_limits && i < RLIM_NLIMITS; i++)
		if (setrlimit(i, &z->limits[i]) < 0 && errno != EPERM && errno != EINVAL)
			return err_sys(err, "set resource limit %d", i);
	return 0;
}

static int become_dockerinit(const struct zone *z, const Zone__Exec *x, int chan,
			     const int theirs[], struct err *err)
{
	char rows[12], cols[12];
	char *argv[] = { (char[]){ "dockerinit" }, (char[]){ "exec" }, rows, cols, NULL };
	char *env[] = { NULL };
	int rc, i, fd = fcntl(z->init_fd, F_DUPFD_CLOEXEC, 10);

	snprintf(rows, sizeof(rows), "%u", x->rows & 0xffff);
	snprintf(cols, sizeof(cols), "%u", x->cols & 0xffff);
	zone_child_prepare(z, z->oom_score_adj);
	if ((rc = zone_cgroup_join(z->init_pid, false, err)) < 0)
		return rc;
	if (setns(z->init_pidfd,
		  CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0)
		return err_sys(err, "join the zone's namespaces");
	if ((rc = set_limits(z, err)) < 0)
		return rc;
	/* the channel away from where the streams go, then all in their places */
	chan = fcntl(chan, F_DUPFD_CLOEXEC, 10);
	for (i = 0; i < N_FDS; i++)
		if (dup2(theirs[i], i) < 0)
			return err_sys(err, "set the standard streams");
	if (chan < 0 || dup2(chan, EXEC_SPEC_FD) < 0)
		return err_sys(err, "pass the exec's channel");
	syscall(SYS_close_range, EXEC_SPEC_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (chdir("/") < 0)
		return err_sys(err, "enter the zone's root");
	syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
	return err_sys(err, "execute dockerinit");
}

static pid_t clone_into(int cgroup_fd)
{
	struct clone_args a = { .exit_signal = SIGCHLD };

	if (cgroup_fd < 0)
		return fork();
	a.flags = CLONE_INTO_CGROUP;
	a.cgroup = (uint64_t)cgroup_fd;
	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

/* Like fork, the child's pid namespace being the zone's. */
static pid_t fork_into(const struct zone *z, struct err *err)
{
	cleanup_fd int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	cleanup_fd int cgroup = zone_cgroup_v2_fd(z->init_pid);
	pid_t pid;
	int saved;

	if (own < 0 || setns(z->init_pidfd, CLONE_NEWPID) < 0)
		return err_sys(err, "join the zone's process ids");
	pid = clone_into(cgroup);
	if (pid == 0)
		return 0;
	saved = errno;
	if (setns(own, CLONE_NEWPID) < 0)
		abort(); /* all later children would be the zone's */
	errno = saved;
	return pid < 0 ? err_sys(err, "fork") : pid;
}

/* ---- starting ------------------------------------------------------------------------------ */

static int make_streams(struct exec *e, const Zone__Exec *x, int theirs[N_FDS], struct err *err)
{
	int i, p[2];

	for (i = 0; i < N_FDS; i++) {
		bool null = e->tty || e->detach || (i == FD_IN && !x->attach_stdin);

		if (null) {
			theirs[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
			if (theirs[i] < 0)
				return err_sys(err, "open /dev/null");
			continue;
		}
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_sys(err, "pipe");
		theirs[i] = p[i == FD_IN ? 0 : 1];
		e->ours[i] = p[i == FD_IN ? 1 : 0];
	}
	return 0;
}

/* Nobody attached: what is printed on the terminal goes nowhere, as with Docker. */
static void on_detached_master(struct source *s, uint32_t events)
{
	char chunk[4096];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		loop_del(s); /* kept open for Resize */
}

static void take_master(struct exec *e, int fd)
{
	struct err ignored;

	if (e->master.fd >= 0) {
		close(fd);
		return;
	}
	e->master.fd = fd;
	if (!e->detach)
		return;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	e->master.on_event = on_detached_master;
	loop_add(&e->master, EPOLLIN, &ignored);
}

static void reply_started(struct exec *e)
{
	Zone__ExecStarted s = ZONE__EXEC_STARTED__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;
	int fds[N_FDS], i;
	size_t n = 0;

	s.pid = e->pid;
	m.body_case = ZONE__MESSAGE__BODY_EXEC_STARTED;
	m.exec_started = &s;
	if (e->tty && !e->detach && e->master.fd >= 0)
		fds[n++] = e->master.fd;
	for (i = 0; i < N_FDS; i++)
		if (e->ours[i] >= 0)
			fds[n++] = e->ours[i];
	zone_ctl_reply(e->who, &m, fds, n);
	for (i = 0; i < N_FDS; i++)
		zone_close(&e->ours[i]);
}

/* "<exit code> <errno> <kind> <text>" */
static void reply_failed(struct exec *e, char *report)
{
	struct err err;
	long code, kind;

	code = strtol(report, &report, 10);
	strtol(report, &report, 10);
	kind = strtol(report, &report, 10);
	report += *report == ' ';
	report[strcspn(report, "\n")] = '\0';
	if (kind == ERR_BAD_PARAM)
		err_kind(&err, ERR_BAD_PARAM, PREFIX "%.800s: unknown", report);
	else
		err_kind(&err, ERR_SYSTEM, "%s", report);
	e->failed = true;
	zone_ctl_fail(e->who, &err, code == 126 || code == 127 ? (int)code : 126);
}

static void start_over(struct exec *e)
{
	loop_del(&e->chan);
	zone_close(&e->chan.fd);
	if (e->failed)
		return; /* freed when it is reaped */
	e->running = true;
	reply_started(e);
}

/* One message of the child's; false when there is none (yet). */
static bool take_message(struct exec *e)
{
	char text[1400];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *cm;
	ssize_t n = recvmsg(e->chan.fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int fd;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		start_over(e);
		return false;
	}
	text[n] = '\0';
	cm = CMSG_FIRSTHDR(&mh);
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
		take_master(e, fd);
	} else if (str_starts(text, "ERR ") && !e->failed) {
		reply_failed(e, text + 4);
	}
	return true;
}

static void on_chan(struct source *s, uint32_t events)
{
	(void)events;
	take_message(container_of(s, struct exec, chan));
}

static int check(const struct zone *z, const Zone__Exec *x, struct err *err)
{
	struct exec *e;

	if (z->phase != PHASE_RUNNING)
		return err_kind(err, ERR_CONFLICT, "container is not running");
	if (z->frozen || zone_cgroup_is_frozen(z->cgroup))
		return err_kind(err, ERR_CONFLICT,
				"Container %s is paused, unpause the container before exec", z->id);
	if (x->spec_json.len > EXEC_SPEC_MAX || !x->id[0] || strlen(x->id) > ID_MAX_)
		return err_kind(err, ERR_BAD_PARAM, "exec spec is too long");
	if (n_execs >= EXECS_MAX)
		return err_kind(err, ERR_UNAVAILABLE, "too many execs");
	for (e = execs; e; e = e->next)
		if (strcmp(e->id, x->id) == 0)
			return err_kind(err, ERR_CONFLICT, "exec %s is running", x->id);
	return 0;
}

static int send_spec(int chan, const Zone__Exec *x, int spec_fd, struct err *err)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { { 0 } };
	struct iovec iov = { .iov_base = x->spec_json.data, .iov_len = x->spec_json.len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;

	if (!x->spec_json.len && spec_fd >= 0) {
		iov = (struct iovec){ .iov_base = (char[]){ "@" }, .iov_len = 1 };
		mh.msg_control = ctl.buf;
		mh.msg_controllen = sizeof(ctl.buf);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &spec_fd, sizeof(int));
	}
	return sendmsg(chan, &mh, MSG_NOSIGNAL) < 0 ? err_sys(err, "pass the exec spec") : 0;
}

static int spawn(struct zone *z, struct exec *e, const Zone__Exec *x, int spec_fd, struct err *err)
{
	int theirs[N_FDS] = { -1, -1, -1 }, pair[2] = { -1, -1 }, i, rc;
	char text[1200];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	e->chan.fd = pair[0];
	rc = make_streams(e, x, theirs, err);
	if (rc == 0)
		rc = send_spec(pair[0], x, spec_fd, err);
	if (rc == 0 && (rc = fork_into(z, err)) == 0) {
		become_dockerinit(z, x, pair[1], theirs, err);
		i = snprintf(text, sizeof(text), "ERR 126 %d %d %s\n", -err->code, err->kind,
			     err->msg);
		send(pair[1], text, (size_t)(i < (int)sizeof(text) ? i : (int)sizeof(text) - 1),
		     MSG_NOSIGNAL);
		_exit(126);
	}
	for (i = 0; i < N_FDS; i++)
		zone_close(&theirs[i]);
	zone_close(&pair[1]);
	if (rc < 0)
		return rc;
	e->pid = rc;
	e->chan.on_event = on_chan;
	return loop_add(&e->chan, EPOLLIN, err);
}

void zone_exec_start(struct zone *z, const Zone__Exec *x, int spec_fd, struct asker who)
{
	struct err err = { 0 };
	struct exec *e;
	int i;

	if (check(z, x, &err) < 0) {
		zone_ctl_fail(who, &err, 126);
		return;
	}
	e = xcalloc(1, sizeof(*e));
	e->z = z;
	e->chan.fd = e->master.fd = -1;
	for (i = 0; i < N_FDS; i++)
		e->ours[i] = -1;
	str_copy(e->id, sizeof(e->id), x->id);
	e->who = who;
	e->tty = x->tty;
	e->detach = x->detach;
	e->next = execs;
	execs = e;
	n_execs++;
	if (spawn(z, e, x, spec_fd, &err) < 0) {
		if (e->pid > 0)
			kill(e->pid, SIGKILL);
		zone_ctl_fail(who, &err, 126);
		exec_free(e);
	}
}

/* ---- afterwards ---------------------------------------------------------------------------- */

bool zone_exec_on_child(struct zone *z, pid_t pid, int status)
{
	Zone__ExecExited x = ZONE__EXEC_EXITED__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;
	struct exec *e = execs;

	(void)z;
	while (e && e->pid != pid)
		e = e->next;
	if (!e)
		return false;
	while (e->chan.fd >= 0 && take_message(e))
		;
	if (e->chan.fd >= 0)
		start_over(e); /* cannot be: all ends of the dead are closed */
	if (!e->failed) {
		x.id = e->id;
		x.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		m.body_case = ZONE__MESSAGE__BODY_EXEC_EXITED;
		m.exec_exited = &x;
		zone_ctl_event(&m);
	}
	exec_free(e);
	return true;
}

static struct exec *find(const char *id, struct err *err)
{
	struct exec *e = execs;

	while (e && (!e->running || strcmp(e->id, id) != 0))
		e = e->next;
	if (!e)
		err_kind(err, ERR_NOT_FOUND, "No such exec instance: %.64s", id);
	return e;
}

int zone_exec_signal(const char *id, int signo, struct err *err)
{
	struct exec *e = find(id, err);

	if (!e)
		return err->code;
	/* our child, not reaped: the pid is its */
	return kill(e->pid, signo) < 0 ? err_sys(err, "signal exec %s", id) : 0;
}

int zone_exec_resize(const char *id, uint32_t rows, uint32_t cols, struct err *err)
{
	struct exec *e = find(id, err);
	int rc;

	if (!e)
		return err->code;
	if (e->master.fd < 0)
		return 0; /* as containerd's shim */
	rc = zone_tty_resize(e->master.fd, rows, cols);
	return rc < 0 ? err_sysnum(err, rc, "resize exec %s", id) : 0;
}
