/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_tty.c - the terminal of a zone: received from the runtime, pumped into the log pipe.
 *
 * So logsvc has one mechanism for both kinds of zone. A full pipe stops the reading of the
 * terminal, which stops the zone: Docker's back-pressure.
 *
 * While the zone runs we hold its other side open, or the master would report a hang-up each time
 * no process happens to have it open. At the end we close ours; the kernel then delivers what is
 * still queued before it says EIO, which is the only sure sign that all was read (EAGAIN is not:
 * the line discipline passes bytes on from a work queue).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "loop.h"
#include "str.h"
#include "zone.h"

#define CHUNK 4096

static struct {
	struct zone *z;
	struct source console; /* listens for the runtime */
	struct source peer;    /* the runtime's connection */
	struct source master;
	struct source pipe; /* out_w, while it is full */
	int slave_fd;
	bool ending, done;
	char *rest; /* read, not yet written */
	size_t rest_len;
} t = { .console.fd = -1,
	.peer.fd = -1,
	.master.fd = -1,
	.pipe.fd = -1,
	.slave_fd = -1,
	.done = true };

static void drop_source(struct source *s)
{
	loop_del(s);
	zone_close(&s->fd);
}

static void pump_done(void)
{
	loop_del(&t.pipe);
	t.pipe.fd = -1;
	drop_source(&t.master);
	zone_close(&t.slave_fd);
	zone_close(&t.z->out_w);
	free(t.rest);
	t.rest = NULL;
	t.rest_len = 0;
	t.done = true;
	if (t.ending)
		zone_exit_check(t.z);
}

/* False when the pipe is full: then on_pipe goes on. A reader that is gone takes the bytes with it.
 */
static bool push(const char *p, size_t len)
{
	struct err ignored;
	ssize_t n;

	while (len) {
		n = write(t.z->out_w, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return true;
		p += n;
		len -= (size_t)n;
	}
	if (!len)
		return true;
	if (!t.rest)
		t.rest = xmalloc(CHUNK);
	memmove(t.rest, p, len);
	t.rest_len = len;
	loop_del(&t.master);
	t.pipe.fd = t.z->out_w;
	if (!t.pipe.added)
		loop_add(&t.pipe, EPOLLOUT, &ignored);
	return false;
}

static void on_pipe(struct source *s, uint32_t events)
{
	struct err ignored;
	size_t len = t.rest_len;

	(void)s;
	(void)events;
	t.rest_len = 0;
	if (!push(t.rest, len))
		return;
	loop_del(&t.pipe);
	free(t.rest);
	t.rest = NULL;
	if (loop_add(&t.master, EPOLLIN, &ignored) < 0)
		pump_done();
}

static void on_master(struct source *s, uint32_t events)
{
	char chunk[CHUNK];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	(void)events;
	if (n > 0)
		push(chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		pump_done();
}

static void take_master(int fd)
{
	struct err ignored;

	t.master.fd = fd;
	t.master.on_event = on_master;
	t.pipe.on_event = on_pipe;
	t.slave_fd = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(t.z->out_w, F_SETFL, fcntl(t.z->out_w, F_GETFL) | O_NONBLOCK);
	if (loop_add(&t.master, EPOLLIN, &ignored) < 0)
		pump_done();
}

static void on_peer(struct source *s, uint32_t events)
{
	char name[256];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = name, .iov_len = sizeof(name) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *cm;
	ssize_t n = recvmsg(s->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int fd;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	cm = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
		if (t.master.fd < 0)
			take_master(fd);
		else
			close(fd);
	}
	drop_source(s);
}

static void on_console(struct source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err ignored;

	(void)events;
	if (fd < 0)
		return;
	if (t.peer.fd >= 0) {
		close(fd);
		return;
	}
	t.peer.fd = fd;
	t.peer.on_event = on_peer;
	if (loop_add(&t.peer, EPOLLIN, &ignored) < 0)
		drop_source(&t.peer);
}

int zone_tty_listen(struct zone *z, char path[64], struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int rc;

	zone_tty_reset();
	t.z = z;
	t.done = t.ending = false;
	if ((rc = str_fmt(path, 64, "/proc/%d/fd/%d/console.sock", getpid(), z->run_dir_fd)) < 0)
		return err_sysnum(err, rc, "console socket");
	str_copy(sa.sun_path, sizeof(sa.sun_path), path);
	unlinkat(z->run_dir_fd, "console.sock", 0);
	t.console.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t.console.fd < 0 || bind(t.console.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(t.console.fd, 4) < 0)
		return err_sys(err, "console socket");
	t.console.on_event = on_console;
	return loop_add(&t.console, EPOLLIN, err);
}

void zone_tty_settle(void)
{
	if (t.console.fd >= 0 && t.master.fd < 0) {
		if (t.peer.fd < 0)
			on_console(&t.console, 0);
		if (t.peer.fd >= 0)
			on_peer(&t.peer, 0);
	}
	drop_source(&t.console);
	if (t.z)
		unlinkat(t.z->run_dir_fd, "console.sock", 0);
}

int zone_tty_master(void)
{
	return t.master.fd;
}

void zone_tty_own(uint32_t uid)
{
	/* it can come before the runtime's message has been looked at */
	if (t.console.fd >= 0 && t.master.fd < 0) {
		if (t.peer.fd < 0)
			on_console(&t.console, 0);
		if (t.peer.fd >= 0)
			on_peer(&t.peer, 0);
	}
	if (t.slave_fd >= 0 && fchown(t.slave_fd, uid, (gid_t)-1) < 0)
		return; /* its own /dev/tty still works */
}

int zone_tty_resize(int master, uint32_t rows, uint32_t cols)
{
	struct winsize ws = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

	return ioctl(master, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}

void zone_tty_hangup(void)
{
	t.ending = true;
	zone_close(&t.slave_fd);
	if (t.master.fd < 0)
		pump_done();
	else if (!t.rest_len)
		while (!t.done && !t.rest_len && t.master.added) {
			/* mostly it is all there: no need for another turn of the loop */
			char chunk[CHUNK];
			ssize_t n = read(t.master.fd, chunk, sizeof(chunk));

			if (n > 0)
				push(chunk, (size_t)n);
			else if (n < 0 && (errno == EAGAIN || errno == EINTR))
				break;
			else
				pump_done();
		}
}

bool zone_tty_is_done(void)
{
	return t.done;
}

void zone_tty_reset(void)
{
	drop_source(&t.console);
	drop_source(&t.peer);
	loop_del(&t.pipe);
	t.pipe.fd = -1;
	drop_source(&t.master);
	zone_close(&t.slave_fd);
	free(t.rest);
	t.rest = NULL;
	t.rest_len = 0;
	t.done = true;
	t.ending = false;
}
