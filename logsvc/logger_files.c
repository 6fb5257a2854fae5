/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_files.c - the log's files for a process that may not open them.
 *
 * Design. A logger is two processes. The parent keeps the right to open the zone's logs (it is the
 * owner, without capabilities) and does nothing else; the child talks to the network and to the sink
 * and may open nothing of ours. Over a socket pair the child asks for the list of files, or for one
 * of them by the time in its name: nothing that it sends is ever part of a path.
 */
#include "logger_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "cleanup.h"
#include "logset.h"
#include "str.h"

struct ask {
	int64_t time_s; /* INT64_MAX: the live file */
	bool list, gz;
};

struct answer {
	int32_t rc; /* -errno, or the number of items behind this */
	struct log_item items[];
};

static int identify(int fd, struct log_item *it)
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
		return -errno;
	if (!S_ISREG(sx.stx_mode))
		return -EINVAL;
	it->ino = sx.stx_ino;
	it->size = (int64_t)sx.stx_size;
	it->born_ns = sx.stx_mask & STATX_BTIME ? (int64_t)sx.stx_btime.tv_sec * 1000000000 + sx.stx_btime.tv_nsec : 0;
	return 0;
}

/* ---- the parent ------------------------------------------------------------------------------- */

static int open_item(int dir_fd, const struct ask *q, struct log_item *it)
{
	char name[LOG_NAME_MAX + 4] = LOG_LIVE;
	int fd, rc;

	if (q->time_s != INT64_MAX) {
		log_name_format(name, q->time_s);
		if (q->gz)
			str_copy(name + strlen(name), sizeof(name) - strlen(name), ".gz");
	}
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	it->time_s = q->time_s;
	it->gz = q->gz;
	if ((rc = identify(fd, it)) < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int by_time(const void *a, const void *b)
{
	const struct log_item *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? -1 : 1;
	return x->gz - y->gz;
}

static int list_items(int dir_fd, struct log_item *items, size_t max)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	size_t n = 0, kept = 0;

	if (!dir)
		return -errno;
	while ((de = readdir(dir)) && n < max) {
		struct ask q = { .time_s = INT64_MAX };
		int fd;

		if (strcmp(de->d_name, LOG_LIVE) != 0 && !log_name_parse(de->d_name, &q.time_s, &q.gz))
			continue;
		fd = open_item(dir_fd, &q, &items[n]);
		if (fd < 0)
			continue;
		close(fd);
		n++;
	}
	qsort(items, n, sizeof(*items), by_time);
	for (size_t i = 0; i < n; i++) /* a file in both forms is being compressed: the plain one counts */
		if (!kept || items[i].time_s != items[kept - 1].time_s)
			items[kept++] = items[i];
	return (int)kept;
}

static int send_answer(int sock, const struct answer *a, size_t n, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)a, sizeof(*a) + n * sizeof(a->items[0]) };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof(ctl);
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(fd));
	}
	return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void files_serve(int sock, int dir_fd, bool (*still_needed)(void *arg), void *arg)
{
	struct timeval every = { .tv_sec = FILES_LOOK_S };
	int64_t looked_ns = mono_ns();
	cleanup_free struct answer *a = xmalloc(sizeof(*a) + FILES_MAX * sizeof(a->items[0]));
	struct ask q;
	ssize_t n;

	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &every, sizeof(every));
	for (;;) {
		cleanup_fd int fd = -1;
		size_t items = 0;

		n = recv(sock, &q, sizeof(q), 0);
		if (mono_ns() - looked_ns >= FILES_LOOK_S * 1000000000LL) {
			looked_ns = mono_ns();
			if (!still_needed(arg))
				return;
		}
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n != (ssize_t)sizeof(q))
			return;
		memset(a, 0, sizeof(*a) + sizeof(a->items[0]));
		if (q.list) {
			a->rc = list_items(dir_fd, a->items, FILES_MAX);
			items = a->rc > 0 ? (size_t)a->rc : 0;
		} else {
			a->rc = fd = open_item(dir_fd, &q, &a->items[0]);
			items = fd >= 0;
		}
		if (send_answer(sock, a, items, fd) < 0)
			return;
	}
}

/* ---- the child -------------------------------------------------------------------------------- */

static int ask(int sock, const struct ask *q, struct answer *a, size_t max, int *fd)
{
	struct iovec iov = { a, sizeof(*a) + max * sizeof(a->items[0]) };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c;
	ssize_t n;

	if (send(sock, q, sizeof(*q), MSG_NOSIGNAL) < 0)
		return -errno;
	do
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)sizeof(*a))
		return n < 0 ? -errno : -EPIPE;
	c = CMSG_FIRSTHDR(&mh);
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return a->rc;
}

int files_list(int sock, struct log_item *items, size_t max)
{
	struct ask q = { .list = true };
	cleanup_free struct answer *a = xmalloc(sizeof(*a) + FILES_MAX * sizeof(a->items[0]));
	int fd = -1, n = ask(sock, &q, a, FILES_MAX, &fd);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return n;
	if ((size_t)n > max)
		n = (int)max;
	memcpy(items, a->items, (size_t)n * sizeof(*items));
	return n;
}

int files_open(int sock, int64_t time_s, bool gz, struct log_item *it)
{
	struct ask q = { .time_s = time_s, .gz = gz };
	cleanup_free struct answer *a = xmalloc(sizeof(*a) + sizeof(a->items[0]));
	int fd = -1, rc = ask(sock, &q, a, 1, &fd);

	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*it = a->items[0];
	return fd >= 0 ? fd : -EIO;
}
