/* SPDX-License-Identifier: MPL-2.0
 *
 * frame.c - one SEQPACKET packet, one message, with descriptors.
 */
#include "frame.h"

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

void frame_fini(struct frame *f)
{
	size_t i;

	for (i = 0; i < f->n_fds; i++)
		if (f->fds[i] >= 0)
			close(f->fds[i]);
	f->n_fds = 0;
	buf_fini(&f->data);
}

int frame_take_fd(struct frame *f, size_t i)
{
	return i < f->n_fds ? take_fd(&f->fds[i]) : -1;
}

/* Fills sa for path; *dir_fd is opened, and named in sa, where the path is too long. */
static int make_addr(const char *path, struct sockaddr_un *sa, int *dir_fd, struct err *err)
{
	char dir[4096];
	const char *base;
	int n;

	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(sa->sun_path)) {
		str_copy(sa->sun_path, sizeof(sa->sun_path), path);
		return 0;
	}
	base = strrchr(path, '/');
	if (!base || (size_t)(base - path) >= sizeof(dir))
		return err_sysnum(err, ENAMETOOLONG, "socket %s", path);
	memcpy(dir, path, base - path);
	dir[base - path] = '\0';
	*dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return err_sys(err, "open %s", dir);
	n = str_fmt(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d%s", *dir_fd, base);
	if (n < 0)
		return err_sysnum(err, ENAMETOOLONG, "socket %s", path);
	return 0;
}

int frame_listen(const char *path, mode_t mode, struct err *err)
{
	cleanup_fd int dir_fd = -1;
	cleanup_fd int fd = -1;
	struct sockaddr_un sa;
	int rc;

	if ((rc = make_addr(path, &sa, &dir_fd, err)) < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "bind %s", path);
	if (chmod(path, mode) < 0)
		return err_sys(err, "chmod %s", path);
	if (listen(fd, 256) < 0)
		return err_sys(err, "listen on %s", path);
	return take_fd(&fd);
}

int frame_accept(int listen_fd)
{
	return accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static int wait_for(int fd, short events, int64_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = (deadline_ns - mono_ns() + 999999) / 1000000;
		if (left <= 0)
			return -EAGAIN;
		n = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int frame_connect(const char *path, int timeout_ms, struct err *err)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000000LL;
	cleanup_fd int dir_fd = -1;
	cleanup_fd int fd = -1;
	struct sockaddr_un sa;
	struct timespec nap = { 0, 2000000 };
	int rc;

	if ((rc = make_addr(path, &sa, &dir_fd, err)) < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	/* a full backlog is EAGAIN for unix sockets, with nothing to poll for */
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if ((errno != EAGAIN && errno != EINTR) || mono_ns() >= deadline)
			return err_sys(err, "connect to %s", path);
		nanosleep(&nap, NULL);
	}
	return take_fd(&fd);
}

int frame_send(int fd, const void *p, size_t len, const int *fds, size_t n_fds, int timeout_ms)
{
	int64_t deadline = timeout_ms ? mono_ns() + timeout_ms * 1000000LL : 0;
	union {
		char buf[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = (void *)p, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	ssize_t n;
	int rc;

	if (len > FRAME_MAX || n_fds > FRAME_MAX_FDS)
		return -EMSGSIZE;
	if (n_fds) {
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	for (;;) {
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (!timeout_ms)
			return -EAGAIN;
		if ((rc = wait_for(fd, POLLOUT, deadline)) < 0)
			return rc;
	}
}

static void take_fds(struct msghdr *mh, struct frame *f)
{
	struct cmsghdr *cm;
	size_t n, i;
	int fd;

	for (cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (f->n_fds < FRAME_MAX_FDS)
				f->fds[f->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

int frame_recv(int fd, struct frame *f, int timeout_ms)
{
	int64_t deadline = timeout_ms ? mono_ns() + timeout_ms * 1000000LL : 0;
	union {
		char buf[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov;
	struct msghdr mh;
	bool reset = false;
	ssize_t n;
	int rc;

	frame_fini(f);
	buf_reserve(&f->data, FRAME_MAX);
	for (;;) {
		iov = (struct iovec){ .iov_base = f->data.p, .iov_len = FRAME_MAX };
		mh = (struct msghdr){ .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = ctl.buf,
				      .msg_controllen = sizeof(ctl.buf) };
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (errno == EINTR)
			continue;
		/* it was closed with something of ours unread; what it sent before is still there */
		if (errno == ECONNRESET && !reset) {
			reset = true;
			continue;
		}
		if (errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN)
			return -errno;
		if (!timeout_ms)
			return -EAGAIN;
		if ((rc = wait_for(fd, POLLIN, deadline)) < 0)
			return rc;
	}
	take_fds(&mh, f);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		frame_fini(f);
		return -EMSGSIZE;
	}
	f->data.len = (size_t)n;
	f->data.p[n] = '\0';
	return n ? 1 : 0;
}
