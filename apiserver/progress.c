/* SPDX-License-Identifier: MPL-2.0
 *
 * progress.c - JSON lines from a worker to a client.
 *
 * Design: a pipe. The worker writes lines to one end; with the first it asks the loop to stream the
 * other end as the reply. A client that goes away closes that end, and the worker sees EPIPE.
 *
 * Threads: p belongs to the worker from progress_new to the job's end, then to the loop again.
 */
#include "apiserver/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/job.h"
#include "apiserver/reply.h"
#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "jw.h"
#include "str.h"

#define BAR_EVERY_MS 100
#define BAR_WIDTH    50

struct progress {
	uint64_t req;
	int read_fd, write_fd;
	bool started; /* worker: the start was posted */
	bool gone;
	int64_t next_bar_ms;
	char last_bar_id[80];
};

struct progress *progress_new(uint64_t req)
{
	struct progress *p = xcalloc(1, sizeof(*p));
	int pair[2];

	p->req = req;
	p->read_fd = p->write_fd = -1;
	if (pipe2(pair, O_CLOEXEC) == 0) {
		p->read_fd = pair[0];
		p->write_fd = pair[1];
	} else {
		p->gone = true;
	}
	return p;
}

/* Has all it needs: p may be ended before the loop gets to it. */
struct start {
	uint64_t req;
	int fd;
};

static void on_start(void *arg)
{
	const struct stream_opts opts = { .content_type = "application/json", .content_length = -1 };
	struct start *s = arg;

	reply_stream(s->req, s->fd, &opts);
	free(s);
}

void progress_start(struct progress *p)
{
	struct start *s;

	if (!p || p->started || p->read_fd < 0)
		return;
	p->started = true;
	s = xmalloc(sizeof(*s));
	*s = (struct start){ p->req, take_fd(&p->read_fd) };
	loop_post(on_start, s);
}

void progress_line(struct progress *p, const char *json)
{
	cleanup_buf struct buf b = BUF_INIT;

	if (!p || p->gone)
		return;
	progress_start(p);
	buf_addstr(&b, json);
	buf_addstr(&b, "\r\n");
	if (fs_write_all(p->write_fd, b.p, b.len) < 0)
		p->gone = true;
}

bool progress_gone(const struct progress *p)
{
	struct pollfd fd = { .fd = p ? p->write_fd : -1 };

	/* POLLERR: nobody reads any more */
	return p && (p->gone || (p->started && poll(&fd, 1, 0) > 0 && (fd.revents & POLLERR)));
}

void progress_status(struct progress *p, const char *id, const char *fmt, ...)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_free char *text = NULL;
	struct jw w = JW(&b);
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	jw_obj(&w, NULL);
	jw_str(&w, "status", text);
	if (id)
		jw_str(&w, "id", id);
	jw_end(&w);
	progress_line(p, buf_str(&b));
}

void progress_text(struct progress *p, const char *fmt, ...)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_free char *text = NULL;
	struct jw w = JW(&b);
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	jw_obj(&w, NULL);
	jw_str(&w, "stream", text);
	jw_end(&w);
	progress_line(p, buf_str(&b));
}

/* 1.5 as go-units' HumanSize: four significant digits, powers of 1000. */
static void human_size(char out[32], int64_t n)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	double v = (double)n;
	size_t i = 0;

	while (v >= 1000 && i + 1 < ARRAY_SIZE(units)) {
		v /= 1000;
		i++;
	}
	snprintf(out, 32, "%.4g%s", v, units[i]);
}

static void bar_text(char out[160], int64_t current, int64_t total)
{
	char now[32], all[32], bar[BAR_WIDTH + 1];
	int percent = (int)(current * 100 / total) / 2, n = 0;

	human_size(now, current);
	human_size(all, total);
	percent = percent > BAR_WIDTH ? BAR_WIDTH : percent;
	while (n < percent)
		bar[n++] = '=';
	if (n < BAR_WIDTH)
		bar[n++] = '>';
	while (n < BAR_WIDTH)
		bar[n++] = ' ';
	bar[n] = '\0';
	snprintf(out, 160, "[%s] %8s/%s", bar, now, all);
}

void progress_bar(struct progress *p, const char *id, const char *action, int64_t current,
		  int64_t total)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	char text[160];
	int64_t now_ms = mono_ns() / 1000000;

	if (!p || p->gone ||
	    (current != total && now_ms < p->next_bar_ms && str_eq(id, p->last_bar_id)))
		return;
	p->next_bar_ms = now_ms + BAR_EVERY_MS;
	str_copy(p->last_bar_id, sizeof(p->last_bar_id), id);
	if (total > 0)
		bar_text(text, current, total);
	else
		human_size(text, current);
	jw_obj(&w, NULL);
	jw_str(&w, "status", action);
	jw_obj(&w, "progressDetail");
	jw_int(&w, "current", current);
	if (total > 0)
		jw_int(&w, "total", total);
	jw_end(&w);
	jw_str(&w, "progress", text);
	jw_str(&w, "id", id);
	jw_end(&w);
	progress_line(p, buf_str(&b));
}

static void error_line(struct progress *p, const struct err *failed)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_obj(&w, NULL);
	jw_obj(&w, "errorDetail");
	jw_str(&w, "message", failed->msg);
	jw_end(&w);
	jw_str(&w, "error", failed->msg);
	jw_end(&w);
	progress_line(p, buf_str(&b));
}

void progress_end(struct progress *p, const struct err *failed)
{
	if (!p)
		return;
	if (!p->started && failed)
		reply_error(p->req, failed);
	else if (failed && !p->gone) {
		/* the loop must not wait for a client that does not read */
		(void)fcntl(p->write_fd, F_SETFL, O_NONBLOCK);
		error_line(p, failed);
	} else if (!p->started) {
		reply_empty(p->req, 200);
	}
	if (p->read_fd >= 0)
		close(p->read_fd);
	if (p->write_fd >= 0)
		close(p->write_fd);
	free(p);
}
