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

#define CHUNK	  256 /* items of an answer */
#define LOOKS	  1000
#define NAMES_MAX (1 << 20)

struct ask {
	int64_t time_s; /* INT64_MAX: the live file; of a list: the first one's at least */
	bool list, gz;
};

struct answer {
	int32_t rc; /* -errno, or the number of items behind this */
	struct log_item items[];
};

static int from_statx(const struct statx *sx, struct log_item *it)
{
	if (!S_ISREG(sx->stx_mode))
		return -EINVAL;
	memset(it, 0, sizeof(*it));
	it->ino = sx->stx_ino;
	it->size = (int64_t)sx->stx_size;
	it->born_ns = sx->stx_mask & STATX_BTIME ? (int64_t)sx->stx_btime.tv_sec * 1000000000 + sx->stx_btime.tv_nsec : 0;
	return 0;
}

static int identify(int fd, struct log_item *it)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0 ? -errno : from_statx(&sx, it);
}

/* ---- the parent ------------------------------------------------------------------------------- */

static int stat_item(int dir_fd, const char *name, struct log_item *it)
{
	struct statx sx;

	return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0 ? -errno : from_statx(&sx, it);
}

static void name_of(int64_t time_s, bool gz, char name[LOG_NAME_MAX + 4])
{
	if (time_s == INT64_MAX) {
		str_copy(name, LOG_NAME_MAX, LOG_LIVE);
		return;
	}
	log_name_format(name, time_s);
	if (gz)
		str_copy(name + strlen(name), LOG_NAME_MAX + 4 - strlen(name), ".gz");
}

static int open_item(int dir_fd, const struct ask *q, struct log_item *it)
{
	char name[LOG_NAME_MAX + 4];
	int fd, rc;

	name_of(q->time_s, q->gz, name);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if ((rc = identify(fd, it)) < 0) {
		close(fd);
		return rc;
	}
	it->time_s = q->time_s;
	it->gz = q->gz;
	return fd;
}

/* What the folder shows: names, and which file is live. */
struct look {
	struct name {
		int64_t time_s;
		bool gz;
	} *names;
	size_t n, cap;
	struct log_item live; /* ino 0: none */
};

static int name_cmp(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? -1 : 1;
	return x->gz - y->gz;
}

static int add_name(struct look *l, const char *text, int64_t from_s)
{
	struct name name;

	if (!log_name_parse(text, &name.time_s, &name.gz) || name.time_s < from_s)
		return 0;
	if (l->n == NAMES_MAX)
		return -E2BIG;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->names = xrealloc(l->names, l->cap * sizeof(*l->names));
	}
	l->names[l->n++] = name;
	return 0;
}

static int look_at(int dir_fd, int64_t from_s, struct look *l)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;

	if (!dir)
		return -errno;
	l->n = 0;
	while (rc == 0 && (de = readdir(dir)))
		rc = add_name(l, de->d_name, from_s);
	if (rc < 0)
		return rc;
	if (l->n)
		qsort(l->names, l->n, sizeof(*l->names), name_cmp);
	if (stat_item(dir_fd, LOG_LIVE, &l->live) < 0)
		memset(&l->live, 0, sizeof(l->live));
	l->live.time_s = INT64_MAX;
	return 0;
}

static bool same_look(const struct look *a, const struct look *b)
{
	if (a->n != b->n || a->live.ino != b->live.ino || a->live.born_ns != b->live.born_ns)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (name_cmp(&a->names[i], &b->names[i]) != 0)
			return false;
	return true;
}

/* A folder that is read while a file in it is renamed may show that file under neither name. So it is read until two
 * looks in a row show the same: a rename that hides a file from one of them is over before the next. */
static int look_twice(int dir_fd, int64_t from_s, struct look v[2])
{
	int rc = look_at(dir_fd, from_s, &v[0]);

	for (int i = 1; rc == 0 && i < LOOKS; i++) {
		rc = look_at(dir_fd, from_s, &v[i & 1]);
		if (rc == 0 && same_look(&v[0], &v[1]))
			return 0;
	}
	return rc < 0 ? rc : -EAGAIN;
}

static int list_items(int dir_fd, int64_t from_s, struct log_item *items)
{
	struct look v[2] = { 0 };
	int rc = look_twice(dir_fd, from_s, v), n = 0;
	const struct look *l = &v[0];

	for (size_t i = 0; rc == 0 && i < l->n && n < CHUNK; i++) {
		char name[LOG_NAME_MAX + 4];

		/* in both forms it is being compressed: the plain one counts */
		if (i && l->names[i].time_s == l->names[i - 1].time_s)
			continue;
		name_of(l->names[i].time_s, l->names[i].gz, name);
		if (stat_item(dir_fd, name, &items[n]) < 0)
			continue;
		items[n].time_s = l->names[i].time_s;
		items[n++].gz = l->names[i].gz;
	}
	if (rc == 0 && n < CHUNK && l->live.ino)
		items[n++] = l->live;
	free(v[0].names);
	free(v[1].names);
	return rc < 0 ? rc : n;
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
	cleanup_free struct answer *a = xmalloc(sizeof(*a) + CHUNK * sizeof(a->items[0]));
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
			a->rc = list_items(dir_fd, q.time_s, a->items);
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

int files_list(int sock, int64_t from_s, struct log_item **items)
{
	struct ask q = { .list = true, .time_s = from_s };
	cleanup_free struct answer *a = xmalloc(sizeof(*a) + CHUNK * sizeof(a->items[0]));
	cleanup_free struct log_item *all = NULL;
	size_t n = 0;

	for (;;) {
		int fd = -1, rc = ask(sock, &q, a, CHUNK, &fd);

		if (fd >= 0)
			close(fd);
		if (rc < 0)
			return rc;
		all = xrealloc(all, (n + (size_t)rc + 1) * sizeof(*all));
		memcpy(all + n, a->items, (size_t)rc * sizeof(*all));
		n += (size_t)rc;
		if (rc < CHUNK || all[n - 1].time_s == INT64_MAX)
			break;
		q.time_s = all[n - 1].time_s + 1;
	}
	*items = take_ptr(&all);
	return (int)n;
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
