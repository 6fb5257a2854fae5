/* SPDX-License-Identifier: MPL-2.0
 *
 * seek.c - finds the place where a read begins without reading what is before it.
 *
 * --tail N walks backwards by blocks, newest file first, and counts lines. A line that was split
 * counts once: walking backwards, a record that ends in a newline begins a line of its stream, and
 * one that does not belongs to the line after it - or, with nothing after it, is an unfinished line
 * of its own. Pieces of the two streams interleave, so each stream has its own start; behind the
 * place where the count is full, the search goes on at most TAIL_EXTRA bytes for the first pieces
 * of the other stream's line.
 *
 * --since passes over rotated files by their names (the time of rotation, or later: where they come faster than one a second, names
 * run ahead by hours), then bisects the others by their first records, of which a .gz gives up little, and last the
 * one that it begins with. Where times go back around the one that is looked for (clock_steps.h) only names are looked at, and the first
 * file is read from its start. Every record is compared again when it is sent. A name is never older than a record in its file.
 *
 * Failure: what cannot be decoded is not counted; what cannot be read is as if it were not there.
 */
#define LOG_MODULE "seek"
#include "seek.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cleanup.h"
#include "fs.h"
#include "log.h"
#include "str.h"

#define BLOCK	       (64 * 1024)
#define LINE_LIMIT     (4 * 1024 * 1024) /* longer is damage */
#define TAIL_EXTRA     (256 * 1024)
#define SINCE_MARGIN_NS (2 * CLOCK_STEP_NS) /* clock_steps.c says why two */
#define PROBE_RECORDS  8
#define BISECT_END     (64 * 1024)

/* ---- unpacking -------------------------------------------------------------------------------- */

static int inflate_to(int in_fd, int out_fd, int64_t *size)
{
	cleanup_free unsigned char *in = xmalloc(BLOCK), *out = xmalloc(4 * BLOCK);
	z_stream z = { 0 };
	int rc = 0, zrc = Z_OK;
	ssize_t n;

	*size = 0;
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -ENOMEM;
	while (rc == 0 && (n = read(in_fd, in, BLOCK)) > 0) {
		z.next_in = in;
		z.avail_in = (unsigned)n;
		while (rc == 0 && z.avail_in) {
			if (zrc == Z_STREAM_END) /* members may follow each other */
				zrc = inflateReset(&z);
			z.next_out = out;
			z.avail_out = 4 * BLOCK;
			zrc = inflate(&z, Z_NO_FLUSH);
			if (zrc != Z_OK && zrc != Z_STREAM_END && zrc != Z_BUF_ERROR)
				rc = -EBADMSG; /* what came before it is shown */
			*size += 4 * BLOCK - z.avail_out;
			if (fs_write_all(out_fd, out, 4 * BLOCK - z.avail_out) < 0)
				rc = -ENOSPC;
		}
	}
	inflateEnd(&z);
	return rc == -ENOSPC ? rc : 0;
}

int seek_unpack(struct logset *set, struct log_view *view)
{
	cleanup_fd int out_fd = -1;
	int64_t size;
	int rc;

	if (!view->gz || view->fd < 0)
		return 0;
	if ((out_fd = logset_nameless(set)) < 0)
		return out_fd;
	if ((rc = inflate_to(view->fd, out_fd, &size)) < 0)
		return rc;
	close(view->fd);
	view->fd = take_fd(&out_fd);
	view->gz = false;
	view->limit = size;
	return 0;
}

/* ---- lines backwards -------------------------------------------------------------------------- */

struct back {
	int fd;
	int64_t base; /* file offset of buf[0] */
	char *buf;    /* RECORD_SLACK bytes behind len */
	size_t len;   /* what is not handed out yet */
	size_t cap;
	char *text; /* as large */
};

static void back_fini(struct back *b)
{
	free(b->buf);
	free(b->text);
}

static bool back_fill(struct back *b)
{
	size_t n = b->base < BLOCK ? (size_t)b->base : BLOCK;
	ssize_t got;

	if (b->len > LINE_LIMIT) { /* no newline for megabytes: none of it is a record */
		b->base += (int64_t)b->len;
		b->len = 0;
	}
	if (b->len + n + RECORD_SLACK > b->cap) {
		b->cap = b->cap ? 2 * b->cap + n : 2 * BLOCK + RECORD_SLACK;
		b->buf = xrealloc(b->buf, b->cap);
		free(b->text);
		b->text = xmalloc(b->cap + RECORD_SLACK);
	}
	memmove(b->buf + n, b->buf, b->len);
	got = pread(b->fd, b->buf, n, b->base - (int64_t)n);
	if (got != (ssize_t)n)
		return false;
	b->base -= (int64_t)n;
	b->len += n;
	return true;
}

/* The line before the last one; false at the start of the file. */
static bool back_line(struct back *b, char **line, size_t *len, int64_t *off)
{
	for (;;) {
		char *nl = b->len > 1 ? memrchr(b->buf, '\n', b->len - 1) : NULL;

		if (nl || (b->base == 0 && b->len)) {
			*line = nl ? nl + 1 : b->buf;
			*len = (size_t)(b->buf + b->len - *line);
			*off = b->base + (*line - b->buf);
			b->len = (size_t)(*line - b->buf);
			if (*len && (*line)[*len - 1] == '\n')
				(*len)--;
			return true;
		}
		if (b->base == 0 || !back_fill(b))
			return false;
	}
}

/* ---- tail ------------------------------------------------------------------------------------- */

struct tail_count {
	int64_t want, count;
	bool seen[RECORD_STREAMS + 1], done[RECORD_STREAMS + 1];
	bool full;
	int64_t extra; /* bytes looked at since it was full */
	struct seek_result *out;
};

/* True when the search is over. */
static bool count_record(struct tail_count *tc, const struct record *r, struct seek_pos at, size_t len)
{
	int s = (int)r->stream;
	bool begins = r->whole || !tc->seen[s];

	if (tc->full)
		tc->extra += (int64_t)len;
	if (tc->done[s])
		return tc->extra > TAIL_EXTRA;
	if (begins && tc->count == tc->want) {
		tc->full = true;
		tc->done[s] = true;
		for (int i = 0; i <= RECORD_STREAMS; i++) {
			if (tc->seen[i] && !tc->done[i])
				return false;
		}
		return true;
	}
	if (begins)
		tc->count++;
	tc->seen[s] = true;
	tc->out->start[s] = at;
	return tc->extra > TAIL_EXTRA;
}

static bool tail_file(struct tail_count *tc, const struct log_view *view)
{
	struct back b = { .fd = view->fd, .base = view->limit };
	struct record r;
	bool over = false;
	size_t len;
	int64_t off;
	char *line;

	while (!over && back_line(&b, &line, &len, &off)) {
		struct seek_pos at = { view->seq, off };

		if (len <= LINE_LIMIT && record_decode(line, len, b.text, &r) == 0)
			over = count_record(tc, &r, at, len);
	}
	back_fini(&b);
	return over;
}

static int open_at(struct logset *set, struct seek_pos pos, bool may_unpack, struct seek_result *out)
{
	int rc;

	out->off = 0;
	if (!logset_open(set, pos.seq, &out->view))
		return 0;
	if (out->view.gz) {
		rc = may_unpack ? seek_unpack(set, &out->view) : -EAGAIN;
		if (rc < 0) {
			close(take_fd(&out->view.fd));
			return rc;
		}
	}
	if (out->view.seq == pos.seq)
		out->off = pos.off < out->view.limit ? pos.off : out->view.limit;
	return 0;
}

static int seek_tail(struct logset *set, int64_t tail, bool may_unpack, struct seek_result *out)
{
	struct tail_count tc = { .want = tail, .out = out };
	struct seek_pos first, end = { 0, 0 };
	uint64_t seq = UINT64_MAX;
	bool over = tail == 0;
	int rc = 0;

	out->by_stream = true;
	for (bool newest = true; seq > 0; newest = false) {
		struct log_view view;

		if (!logset_open_back(set, seq, &view))
			break;
		if (newest) {
			end.seq = view.seq;
			end.off = view.limit;
			for (int i = 0; i <= RECORD_STREAMS; i++)
				out->start[i] = end;
		}
		if (!over && view.gz)
			rc = may_unpack ? seek_unpack(set, &view) : -EAGAIN;
		if (!over && rc == 0)
			over = tail_file(&tc, &view);
		close(view.fd);
		if (rc == -EAGAIN)
			return rc;
		rc = 0;
		if (over)
			break;
		seq = view.seq - 1;
	}
	first = out->start[0];
	for (int i = 1; i <= RECORD_STREAMS; i++) {
		if (seek_before(out->start[i], first))
			first = out->start[i];
	}
	return open_at(set, first, may_unpack, out);
}

/* ---- since ------------------------------------------------------------------------------------ */

/* The first n bytes of a .gz's text, or fewer. */
static ssize_t inflate_head(int fd, char *out, size_t n)
{
	cleanup_free unsigned char *in = xmalloc(BLOCK);
	z_stream z = { .next_out = (unsigned char *)out, .avail_out = (unsigned)n };
	off_t off = 0;
	int zrc = Z_OK;
	ssize_t got;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -1;
	while (zrc == Z_OK && z.avail_out && (got = pread(fd, in, BLOCK, off)) > 0) {
		off += got;
		z.next_in = in;
		z.avail_in = (unsigned)got;
		zrc = inflate(&z, Z_NO_FLUSH);
	}
	inflateEnd(&z);
	return (ssize_t)(n - z.avail_out);
}

/* The newest time of the few records from off on (0 in a .gz); *next: where the first starts. 0: none. */
static int64_t time_after(const struct log_view *view, int64_t off, int64_t *next,
			  struct record_clock *clock)
{
	static const size_t sizes[] = { 4096, 128 * 1024, LINE_LIMIT };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t n = sizes[i];
		cleanup_free char *buf = NULL, *text = NULL;
		int64_t newest = 0, t;
		char *p, *end, *nl;
		int found = 0;
		struct record r;
		ssize_t got;

		if (!view->gz && (int64_t)n > view->limit - off)
			n = (size_t)(view->limit - off);
		buf = xmalloc(n + RECORD_SLACK);
		text = xmalloc(n + RECORD_SLACK);
		got = view->gz ? inflate_head(view->fd, buf, n) : pread(view->fd, buf, n, off);
		if (got <= 0)
			return 0;
		p = buf;
		end = buf + got;
		if (off > 0) { /* off is inside some line */
			nl = memchr(p, '\n', (size_t)got);
			p = nl ? nl + 1 : end;
		}
		for (; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) &&
		       found < PROBE_RECORDS;
		     p = nl + 1) {
			if (record_decode(p, (size_t)(nl - p), text, &r) < 0 ||
			    !(t = record_time_ns(&r, clock)))
				continue;
			if (!found++)
				*next = off + (p - buf);
			newest = t > newest ? t : newest;
		}
		if (found)
			return newest;
		if (view->gz ? got < (ssize_t)n : off + got >= view->limit)
			return 0;
	}
	return 0;
}

int64_t seek_since_in(struct logset *set, const struct log_view *view, int64_t since_ns)
{
	struct record_clock clock = { { 0 }, 0 };
	int64_t lo = 0, hi = view->limit, target = since_ns - SINCE_MARGIN_NS;

	if (logset_is_disordered(set, since_ns))
		return 0;
	while (hi - lo > BISECT_END) {
		int64_t mid = lo + (hi - lo) / 2, at = 0;
		int64_t t = time_after(view, mid, &at, &clock);

		if (t && t < target && at > lo)
			lo = at;
		else
			hi = mid;
	}
	return lo;
}

/* The last file from first on whose beginning is older: nothing before it can matter. */
static uint64_t last_begun_before(struct logset *set, uint64_t first, uint64_t live, int64_t target)
{
	struct record_clock clock = { { 0 }, 0 };
	uint64_t lo = first, hi = live + 1;

	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;
		struct log_view view;
		int64_t at, t = 0;

		if (logset_open(set, mid, &view)) {
			if (view.fd >= 0 && view.seq < hi)
				t = time_after(&view, 0, &at, &clock);
			if (view.fd >= 0)
				close(view.fd);
		}
		if (t && t < target)
			lo = view.seq;
		else
			hi = mid;
	}
	return lo;
}

static int seek_since(struct logset *set, int64_t since_ns, bool may_unpack, struct seek_result *out)
{
	struct seek_pos from = { 0, 0 };
	int64_t since_s = since_ns / 1000000000;
	uint64_t live;
	int rc;

	pthread_mutex_lock(&set->lock);
	from.seq = live = set->live_seq;
	for (size_t i = set->n_files; i > 0 && set->files[i - 1].time_s + 1 >= since_s; i--)
		from.seq = set->files[i - 1].seq;
	pthread_mutex_unlock(&set->lock);
	if (!logset_is_disordered(set, since_ns))
		from.seq = last_begun_before(set, from.seq, live, since_ns - SINCE_MARGIN_NS);
	if ((rc = open_at(set, from, may_unpack, out)) < 0)
		return rc;
	if (out->view.fd >= 0)
		out->off = seek_since_in(set, &out->view, since_ns);
	return 0;
}

int seek_start(struct logset *set, int64_t tail, int64_t since_ns, bool may_unpack,
	       struct seek_result *out)
{
	struct seek_pos begin = { 0, 0 };

	memset(out, 0, sizeof(*out));
	out->view.fd = -1;
	if (tail >= 0)
		return seek_tail(set, tail, may_unpack, out);
	if (since_ns > 0)
		return seek_since(set, since_ns, may_unpack, out);
	return open_at(set, begin, may_unpack, out);
}
