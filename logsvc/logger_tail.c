/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_tail.c - from file to file, record by record.
 *
 * Design. A file is known by its inode and the time it was made, so that it stays the same one when it
 * is renamed by a rotation. Of the live file only what the commit page says may be read. A file that the
 * page does not name any more is complete, once the list of files shows it under another name: then it
 * is read to its end and the next one in the list follows. What logsvc removed meanwhile is counted on the way
 * from one file to the next (removed.c). When the cursor's file is gone otherwise (deleted by hand) reading goes on
 * in the next one, if it is known when its file was rotated; else in the first file that was rotated after the
 * last record that was sent, and records of that file that are not newer are passed over. (Times tell nothing for certain: the
 * clock may have been set back.)
 */
#define LOG_MODULE "logger"
#include "logger_tail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "line.h"
#include "log.h"
#include "removed.h"
#include "str.h"

#define BUF_BYTES  (128 * 1024)
#define LINE_BYTES (1536 * 1024) /* a longer line is damage */

void tail_init(struct tail *t, int sock, const struct forward_commit *page, const struct cursor *at)
{
	memset(t, 0, sizeof(*t));
	t->sock = sock;
	t->page = page;
	t->fd = -1;
	t->cap = t->text_cap = BUF_BYTES;
	t->buf = xmalloc(t->cap + RECORD_SLACK);
	t->text = xmalloc(t->text_cap + RECORD_SLACK);
	t->at = *at;
	t->after_s = INT64_MIN;
}

static void close_file(struct tail *t)
{
	if (t->gz)
		gzclose(t->gz);
	else if (t->fd >= 0)
		close(t->fd);
	t->gz = NULL;
	t->fd = -1;
	t->pos = t->have = 0;
	t->complete = false;
	t->limit = 0;
}

void tail_fini(struct tail *t)
{
	close_file(t);
	free(t->buf);
	free(t->text);
}

void tail_seek(struct tail *t, const struct cursor *at)
{
	close_file(t);
	t->at = *at;
	t->skip_before_ns = 0;
	t->after_s = INT64_MIN;
}

/* ---- which file ------------------------------------------------------------------------------- */

static void read_page_lines(const struct forward_commit *page, uint64_t *ino, int64_t *off, uint64_t *lines)
{
	uint32_t seq;

	for (int i = 0; i < 1000000; i++) {
		seq = atomic_load_explicit(&page->seq, memory_order_acquire);
		*ino = atomic_load(&page->live_ino);
		*off = (int64_t)atomic_load(&page->live_off);
		*lines = atomic_load(&page->lines);
		if (*off < 0)
			*off = 0;
		if (!(seq & 1) && atomic_load(&page->seq) == seq)
			return;
	}
	*ino = 0; /* logsvc died in between; the next one writes it anew */
	*off = 0;
}

static void read_page(const struct forward_commit *page, uint64_t *ino, int64_t *off)
{
	uint64_t lines;

	read_page_lines(page, ino, off, &lines);
}

static bool is_at(const struct log_item *it, const struct cursor *at)
{
	return it->ino == at->ino && (!it->born_ns || !at->born_ns || it->born_ns == at->born_ns);
}

static int find_item(const struct log_item *items, int n, const struct cursor *at)
{
	for (int i = 0; i < n; i++)
		if (is_at(&items[i], at))
			return i;
	return -1;
}

static int find_after(const struct log_item *items, int n, int64_t after_s)
{
	for (int i = 0; i < n; i++)
		if (items[i].time_s > after_s)
			return i;
	return -1;
}

/* The first file that may hold records behind the cursor, whose own file is not there. */
static int find_by_time(const struct log_item *items, int n, const struct cursor *at)
{
	for (int i = 0; i < n; i++)
		if (items[i].time_s == INT64_MAX || items[i].time_s >= at->time_ns / 1000000000)
			return i;
	return n - 1;
}

/* The first one that the cursor has not read to its end. -1: there is none. */
static int find(const struct log_item *items, int n, const struct cursor *at)
{
	int i = at->ino ? find_item(items, n, at) : -1;

	if (i >= 0 || n == 0)
		return i;
	return !at->ino || at->file_s != INT64_MAX ? find_after(items, n, at->file_s) : find_by_time(items, n, at);
}

/* All files from after_s on, or from the first one. */
static int list(const struct tail *t, bool all, struct log_item **items)
{
	int n = files_list(t->sock, all || t->after_s == INT64_MIN ? INT64_MIN : t->after_s + 1, items);

	return n == -ENOENT || n == -EAGAIN ? 0 : n; /* no folder yet; or it changes faster than we look: later */
}

static void go_to(struct tail *t, const struct log_item *it)
{
	close_file(t);
	t->at.ino = it->ino;
	t->at.born_ns = it->born_ns;
	t->at.file_s = it->time_s;
	t->at.off = 0;
	t->at.file_lines = 0;
}

/* Opens the file that at names, which is items[i]; -EAGAIN when it was renamed meanwhile. */
static int open_item(struct tail *t, const struct log_item *want)
{
	int fd = files_open(t->sock, want->time_s, want->gz, &t->item);

	if (fd == -ENOENT)
		return -EAGAIN;
	if (fd < 0)
		return fd;
	if (!is_at(&t->item, &t->at)) {
		close(fd);
		return -EAGAIN;
	}
	t->fd = fd;
	t->complete = want->time_s != INT64_MAX;
	t->at.file_s = want->time_s;
	t->read_off = t->at.off;
	t->limit = t->complete ? t->item.size : t->at.off;
	if (t->item.gz) {
		t->gz = gzdopen(fd, "rb");
		if (!t->gz || gzseek(t->gz, t->at.off, SEEK_SET) < 0)
			return -EIO;
		t->limit = INT64_MAX;
	}
	return 0;
}

/* One look for what the cursor names. 1, 0: there is nothing, -EAGAIN: it was renamed meanwhile, -errno. */
static int try_open(struct tail *t)
{
	cleanup_free struct log_item *items = NULL;
	int n = list(t, false, &items), i, rc;

	if (n <= 0)
		return n;
	(void)removed_take(t->page, &t->at, find_item(items, n, &t->at) >= 0);
	i = find(items, n, &t->at);
	if (i < 0)
		return 0;
	if (t->at.ino && !is_at(&items[i], &t->at)) {
		log_warn("the file that was being forwarded is gone", "ino=%llu off=%lld", (unsigned long long)t->at.ino,
			 (long long)t->at.off);
		t->skip_before_ns = t->at.file_s == INT64_MAX ? t->at.time_ns : 0;
	}
	if (!is_at(&items[i], &t->at))
		go_to(t, &items[i]);
	rc = open_item(t, &items[i]);
	return rc < 0 ? rc : 1;
}

/* Opens what the cursor names. 1, 0: there is nothing yet, -errno. */
static int open_at(struct tail *t)
{
	int rc = -EAGAIN;

	for (int tries = 0; rc == -EAGAIN && tries < 20; tries++)
		rc = try_open(t);
	if (rc < 0)
		close_file(t);
	return rc == -EAGAIN ? 0 : rc;
}

/* The page names another file than ours: is ours complete? */
static void look_for_end(struct tail *t)
{
	cleanup_free struct log_item *items = NULL;
	int n = list(t, false, &items), i;
	struct stat sb;

	if (n <= 0)
		return;
	i = find_item(items, n, &t->at);
	if (i >= 0 && items[i].time_s == INT64_MAX)
		return; /* it is newer than the page */
	if (fstat(t->fd, &sb) < 0)
		return;
	t->complete = true;
	t->limit = sb.st_size;
	if (i >= 0)
		t->at.file_s = items[i].time_s;
	else if (t->at.file_s == INT64_MAX && !removed_when(t->page, &t->at, &t->at.file_s)) /* by hand, while we read it */
		t->at.file_s = t->after_s != INT64_MIN ? t->after_s : t->at.time_ns / 1000000000 - 1;
	t->item.time_s = t->at.file_s;
}

static void refresh_limit(struct tail *t)
{
	uint64_t ino;
	int64_t off;

	if (t->complete)
		return;
	read_page(t->page, &ino, &off);
	if (ino == t->item.ino) {
		t->limit = off;
		if (off < t->at.off) { /* cut by hand */
			t->at.off = t->read_off = off;
			t->at.file_lines = 0;
			t->pos = t->have = 0;
		}
	} else if (ino) {
		look_for_end(t);
	}
}

/* Our file has been read to its end. 1: the next one is open, 0: there is none yet. */
static int open_next(struct tail *t)
{
	cleanup_free struct log_item *items = NULL;
	int n, i;

	t->after_s = t->item.time_s;
	if ((n = list(t, false, &items)) <= 0)
		return n;
	(void)removed_take(t->page, &t->at, find_item(items, n, &t->at) >= 0);
	if ((i = find_after(items, n, t->at.file_s)) < 0)
		return 0;
	t->skip_before_ns = 0;
	go_to(t, &items[i]);
	return open_at(t);
}

/* ---- records ---------------------------------------------------------------------------------- */

/* More bytes of the file behind what buf holds. Bytes, 0: none now, -errno. */
static ssize_t fill(struct tail *t)
{
	int64_t room;
	ssize_t n;

	if (t->pos) {
		memmove(t->buf, t->buf + t->pos, t->have - t->pos);
		t->have -= t->pos;
		t->pos = 0;
	}
	if (t->have == t->cap) {
		t->cap *= 2;
		t->buf = xrealloc(t->buf, t->cap + RECORD_SLACK);
	}
	room = (int64_t)(t->cap - t->have);
	if (room > t->limit - t->read_off)
		room = t->limit - t->read_off;
	if (room <= 0)
		return 0;
	if (t->gz)
		n = gzread(t->gz, t->buf + t->have, (unsigned)room);
	else
		n = pread(t->fd, t->buf + t->have, (size_t)room, t->read_off);
	if (n < 0)
		return t->gz ? -EIO : -errno;
	t->have += (size_t)n;
	t->read_off += n;
	return n;
}

static void set_partial(struct tail *t, const struct record *r, int64_t off, struct sink_msg *m)
{
	struct cursor_split *sp = &t->at.split[m->is_stderr];
	/* a shorter piece is the end of a run; a split moves back to a character's start */
	bool ended = r->whole || r->text_len < LINE_PIECE - 3;

	if (ended && !sp->ordinal)
		return;
	if (!sp->ordinal)
		snprintf(sp->id, sizeof(sp->id), "%016llx%016llx",
			 (unsigned long long)(t->at.ino ^ (uint64_t)t->at.born_ns), (unsigned long long)off);
	m->partial = true;
	m->partial_ordinal = ++sp->ordinal;
	m->partial_last = ended;
	str_copy(m->partial_id, sizeof(m->partial_id), sp->id);
	if (ended)
		sp->ordinal = 0;
}

/* One line of len bytes at buf[pos]. 1, or 0: it does not count. */
static int take_line(struct tail *t, size_t len, struct sink_msg *m)
{
	int64_t off = t->at.off;
	struct record r;
	int rc;

	if (len > t->text_cap) {
		t->text_cap = len;
		t->text = xrealloc(t->text, len + RECORD_SLACK);
	}
	rc = len > LINE_BYTES ? -EINVAL : record_decode(t->buf + t->pos, len, t->text, &r);
	t->at.off += (int64_t)len + 1;
	t->at.file_lines++;
	if (rc < 0) {
		t->pos += len + 1;
		t->damaged++;
		return 0;
	}
	m->time_ns = record_time_ns(&r, &t->clock);
	t->pos += len + 1; /* r borrows from buf up to here */
	if (t->skip_before_ns && m->time_ns <= t->skip_before_ns)
		return 0;
	if (m->time_ns)
		t->at.time_ns = m->time_ns;
	m->line = t->text;
	m->len = r.text_len - (r.whole ? 1 : 0);
	m->is_stderr = r.stream == RECORD_STDERR;
	m->partial = false;
	set_partial(t, &r, off, m);
	t->at.delivered++;
	return 1;
}

int tail_next(struct tail *t, struct sink_msg *m)
{
	ssize_t n;
	int rc;

	for (;;) {
		char *nl = t->have > t->pos ? memchr(t->buf + t->pos, '\n', t->have - t->pos) : NULL;

		if (nl) {
			if (take_line(t, (size_t)(nl - t->buf) - t->pos, m))
				return 1;
			continue;
		}
		if (t->fd < 0 && (rc = open_at(t)) <= 0)
			return rc;
		if (t->have - t->pos > LINE_BYTES) { /* no record is as long: damage; find its end */
			t->at.off += (int64_t)(t->have - t->pos);
			t->pos = t->have;
			t->damaged++;
		}
		refresh_limit(t);
		if ((n = fill(t)) < 0)
			return (int)n;
		if (n > 0)
			continue;
		if (!t->complete)
			return 0;
		if ((rc = open_next(t)) <= 0)
			return rc;
	}
}

/* ---- how far behind --------------------------------------------------------------------------- */

int64_t tail_behind(struct tail *t, const struct cursor *at, int *files)
{
	cleanup_free struct log_item *items = NULL;
	int n = list(t, at->ino != t->at.ino, &items), i;
	int64_t sum = 0;

	*files = 0;
	if (n < 0)
		return n;
	for (i = find(items, n, at); i >= 0 && i < n; i++) {
		int64_t off = is_at(&items[i], at) && !items[i].gz ? at->off : 0;

		sum += items[i].size > off ? items[i].size - off : 0;
		++*files;
	}
	return sum;
}

/* Line ends of a file from off on, at most to limit. */
static int64_t count_in(struct tail *t, const struct log_item *it, int64_t off, int64_t limit)
{
	struct log_item opened;
	cleanup_fd int fd = files_open(t->sock, it->time_s, it->gz, &opened);
	cleanup_free char *block = xmalloc(BUF_BYTES);
	gzFile gz = NULL;
	int64_t lines = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (opened.ino != it->ino)
		return -EAGAIN;
	if (it->gz && !(gz = gzdopen(take_fd(&fd), "rb")))
		return -EIO;
	for (; off < limit; off += n) {
		size_t want = limit - off < BUF_BYTES ? (size_t)(limit - off) : BUF_BYTES;

		n = gz ? gzread(gz, block, (unsigned)want) : pread(fd, block, want, off);
		if (n <= 0)
			break;
		for (const char *p = block; (p = memchr(p, '\n', (size_t)(block + n - p))); p++)
			lines++;
	}
	if (gz)
		gzclose(gz);
	return lines;
}

int64_t tail_count(struct tail *t, const struct cursor *at, uint64_t *page_lines)
{
	cleanup_free struct log_item *items = NULL;
	int64_t sum = 0, off, lines;
	uint64_t ino;
	int n, i;

	read_page_lines(t->page, &ino, &off, page_lines);
	if ((n = list(t, at->ino != t->at.ino, &items)) < 0)
		return n;
	i = find(items, n, at);
	if (i < 0 || (at->ino && !is_at(&items[i], at)) || !n || items[n - 1].ino != ino)
		return -EAGAIN; /* what was sent of it cannot be told, or it was just rotated */
	for (; i < n; i++) {
		lines = count_in(t, &items[i], is_at(&items[i], at) && !items[i].gz ? at->off : 0,
				 items[i].ino == ino ? off : INT64_MAX);
		if (lines < 0)
			return lines;
		sum += lines;
	}
	return sum;
}

bool tail_at_end(const struct tail *t, uint64_t *page_lines)
{
	uint64_t ino;
	int64_t off;

	read_page_lines(t->page, &ino, &off, page_lines);
	return ino && ino == t->at.ino && off == t->at.off;
}

int tail_drop(struct tail *t, struct cursor *at, int64_t bytes)
{
	uint64_t dropped = at->dropped;
	struct sink_msg m;
	int rc = 0;

	tail_seek(t, at);
	while (bytes > 0) {
		uint64_t ino = t->at.ino;
		int64_t off = t->at.off;

		if ((rc = tail_next(t, &m)) <= 0)
			break;
		bytes -= t->at.ino == ino ? t->at.off - off : t->at.off;
		t->at.untold_lines++;
		t->at.untold_bytes += m.len;
		t->at.dropped++;
		t->at.dropped_bytes += m.len;
		t->at.delivered--;
	}
	if (t->at.dropped == dropped)
		return rc < 0 ? rc : 0;
	*at = t->at;
	return 1;
}

bool tail_more(const struct tail *t)
{
	uint64_t ino;
	int64_t off;

	if (t->have > t->pos || t->complete)
		return true;
	read_page(t->page, &ino, &off);
	return ino && (ino != t->at.ino || off > t->at.off);
}

uint64_t tail_removed(struct tail *t, struct cursor *at)
{
	cleanup_free struct log_item *items = NULL;
	int n;

	if (atomic_load(&t->page->removed_n) == at->seen || (n = list(t, true, &items)) < 0)
		return 0;
	return removed_take(t->page, at, find_item(items, n, at) >= 0);
}
