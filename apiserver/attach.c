/* SPDX-License-Identifier: MPL-2.0
 *
 * attach.c - pumps between descriptors on the loop, and clients that came before the zone.
 *
 * Design: a client that attaches to a created container writes into a pipe of ours; when the zone
 * runs, a pump moves the pipe's bytes to the zone's standard input. (Clients of running zones write
 * there directly.) Back pressure is the pipes' own: a pump reads no more than it can write.
 *
 *	FILLING --bytes--> FLUSHING --all written--> FILLING ... --EOF or EPIPE--> closed
 *
 * Threads: loop.
 */
#define LOG_MODULE "attach"
#include "apiserver/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "apiserver/job.h"
#include "apiserver/zone.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define PUMP_BYTES 65536

/* ---- pumps ---------------------------------------------------------------------------------- */

struct pump {
	uv_poll_t in, out;
	int from, to; /* to -1: a drain */
	unsigned open_handles;
	bool closing;
	size_t pos, len;
	void (*on_end)(void *arg);
	void *arg;
	char bytes[PUMP_BYTES];
};

static void on_pump_closed(uv_handle_t *h)
{
	struct pump *p = h->data;

	if (--p->open_handles > 0)
		return;
	close(p->from);
	if (p->to >= 0)
		close(p->to);
	if (p->on_end)
		p->on_end(p->arg);
	free(p);
}

static void pump_close(struct pump *p)
{
	if (p->closing)
		return;
	p->closing = true;
	uv_close((uv_handle_t *)&p->in, on_pump_closed);
	if (p->to >= 0)
		uv_close((uv_handle_t *)&p->out, on_pump_closed);
}

static void on_in(uv_poll_t *h, int status, int events);
static void on_out(uv_poll_t *h, int status, int events);

static void pump_flush(struct pump *p)
{
	while (p->pos < p->len) {
		ssize_t n = write(p->to, p->bytes + p->pos, p->len - p->pos);

		if (n >= 0) {
			p->pos += (size_t)n;
		} else if (errno == EAGAIN) {
			uv_poll_stop(&p->in);
			uv_poll_start(&p->out, UV_WRITABLE, on_out);
			return;
		} else if (errno != EINTR) {
			pump_close(p);
			return;
		}
	}
	p->pos = p->len = 0;
	uv_poll_start(&p->out, UV_DISCONNECT, on_out);
	uv_poll_start(&p->in, UV_READABLE | UV_DISCONNECT, on_in);
}

static void on_out(uv_poll_t *h, int status, int events)
{
	struct pump *p = h->data;

	if (status < 0 || (events & UV_DISCONNECT))
		pump_close(p);
	else
		pump_flush(p);
}

static void on_in(uv_poll_t *h, int status, int events)
{
	struct pump *p = h->data;
	ssize_t n;

	(void)events;
	(void)status;
	n = read(p->from, p->bytes, sizeof(p->bytes));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		pump_close(p);
		return;
	}
	if (p->to < 0)
		return;
	p->pos = 0;
	p->len = (size_t)n;
	pump_flush(p);
}

static void set_nonblock(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl >= 0)
		fcntl(fd, F_SETFL, fl | O_NONBLOCK);
}

static struct pump *pump_new(int from, int to)
{
	struct pump *p = xmalloc(sizeof(*p));

	memset(p, 0, offsetof(struct pump, bytes));
	p->from = from;
	p->to = to;
	set_nonblock(from);
	uv_poll_init(uv_default_loop(), &p->in, from);
	p->in.data = p;
	p->open_handles = 1;
	if (to >= 0) {
		set_nonblock(to);
		uv_poll_init(uv_default_loop(), &p->out, to);
		p->out.data = p;
		p->open_handles = 2;
	}
	return p;
}

void attach_pump(int from, int to, void (*on_end)(void *arg), void *arg)
{
	struct pump *p = pump_new(from, to);

	assert_loop_thread();
	p->on_end = on_end;
	p->arg = arg;
	pump_flush(p); /* nothing to flush: starts reading */
}

void attach_drain(int fd)
{
	struct pump *p = pump_new(fd, -1);

	assert_loop_thread();
	uv_poll_start(&p->in, UV_READABLE | UV_DISCONNECT, on_in);
}

/* ---- clients before the start --------------------------------------------------------------- */

struct early {
	struct early *next;
	uint64_t id;
	char ct_id[65];
	int stdin_fd, stream_fd;
};

static struct early *earlies;

uint64_t attach_wait_start(struct container *ct, int stdin_fd, int stream_fd)
{
	static uint64_t last_id;
	struct early *e = xcalloc(1, sizeof(*e));

	assert_loop_thread();
	memcpy(e->ct_id, ct->id, sizeof(e->ct_id));
	e->stdin_fd = stdin_fd;
	e->stream_fd = stream_fd >= 0 ? fcntl(stream_fd, F_DUPFD_CLOEXEC, 0) : -1;
	e->id = ++last_id;
	e->next = earlies;
	earlies = e;
	return e->id;
}

static void early_free(struct early *e)
{
	if (e->stdin_fd >= 0)
		close(e->stdin_fd);
	if (e->stream_fd >= 0)
		close(e->stream_fd);
	free(e);
}

void attach_forget(uint64_t id)
{
	for (struct early **p = &earlies; *p; p = &(*p)->next) {
		struct early *e = *p;

		if (e->id == id) {
			*p = e->next;
			early_free(e);
			return;
		}
	}
}

static struct early *take_early(const char *ct_id)
{
	for (struct early **p = &earlies; *p; p = &(*p)->next) {
		struct early *e = *p;

		if (strcmp(e->ct_id, ct_id) == 0) {
			*p = e->next;
			return e;
		}
	}
	return NULL;
}

struct stdin_job {
	struct job job;
	char ct_id[65], uuid[37];
	bool once;
	int from, to;
};

static int stdin_run(struct job *job, struct err *err)
{
	struct stdin_job *sj = container_of(job, struct stdin_job, job);

	return zone_get_stdin(sj->uuid, &sj->to, err);
}

static int close_run(struct job *job, struct err *err)
{
	struct stdin_job *sj = container_of(job, struct stdin_job, job);

	return zone_close_stdin(sj->uuid, err);
}

static void close_done(struct job *job)
{
	free(container_of(job, struct stdin_job, job));
}

/* The client is through: with StdinOnce that ends the container's input, so zoneadmd's copy goes as
 * well. */
static void on_pump_end(void *arg)
{
	struct stdin_job *sj = arg;

	if (!sj->once) {
		free(sj);
		return;
	}
	memset(&sj->job, 0, sizeof(sj->job));
	sj->job.run = close_run;
	sj->job.done = close_done;
	sj->job.what = "close stdin";
	job_submit(LANE_LIFECYCLE, &sj->job);
}

static void stdin_done(struct job *job)
{
	struct stdin_job *sj = container_of(job, struct stdin_job, job);

	if (job->rc < 0) {
		log_debug("no standard input", "ct=%.12s error=%s", sj->ct_id, log_q(job->err.msg));
		close(sj->from);
		free(sj);
		return;
	}
	attach_pump(sj->from, sj->to, on_pump_end, sj);
}

void attach_zone_started(struct container *ct)
{
	struct early *e;

	while ((e = take_early(ct->id))) {
		if (e->stdin_fd >= 0) {
			struct stdin_job *sj = xcalloc(1, sizeof(*sj));

			memcpy(sj->ct_id, ct->id, sizeof(sj->ct_id));
			memcpy(sj->uuid, ct->uuid, sizeof(sj->uuid));
			sj->once = jget_bool(ct->config, "StdinOnce", false) &&
				   !jget_bool(ct->config, "Tty", false);
			sj->from = take_fd(&e->stdin_fd);
			sj->to = -1;
			sj->job.run = stdin_run;
			sj->job.done = stdin_done;
			sj->job.what = "stdin";
			job_submit(LANE_LIFECYCLE, &sj->job);
		}
		early_free(e);
	}
}

void attach_start_failed(struct container *ct)
{
	struct early *e;

	while ((e = take_early(ct->id))) {
		if (e->stream_fd >= 0)
			shutdown(e->stream_fd, SHUT_RD);
		early_free(e);
	}
}

/* ---- detach keys ---------------------------------------------------------------------------- */

/* A single character is itself; ctrl-X is its control code: letters and @ [ \ ] ^ _ */
static int detach_key(const char *key, uint8_t *out)
{
	size_t len = strlen(key);
	char c;

	if (len == 1) {
		*out = (uint8_t)key[0];
		return 0;
	}
	if (len != 6 || strncmp(key, "ctrl-", 5) != 0)
		return -EINVAL;
	c = key[5];
	if (c >= 'a' && c <= 'z')
		*out = (uint8_t)(c - 'a' + 1);
	else if (c == '@')
		*out = 0;
	else if (c >= '[' && c <= '_')
		*out = (uint8_t)(c - '[' + 27);
	else
		return -EINVAL;
	return 0;
}

int detach_keys_parse(const char *text, const char *what, uint8_t out[DETACH_KEYS_MAX], size_t *n, struct err *err)
{
	cleanup_strv char **keys = NULL;
	size_t count;

	if (str_empty(text)) { /* Docker: an empty parameter is the default too */
		out[0] = 16;
		out[1] = 17;
		*n = 2;
		return 0;
	}
	keys = strv_split(text, ',');
	count = strv_len(keys);
	if (count > DETACH_KEYS_MAX)
		return err_kind(err, ERR_BAD_PARAM, "Invalid %s keys (%s) provided", what, text);
	for (size_t i = 0; i < count; i++) {
		if (detach_key(keys[i], &out[i]) < 0)
			return err_kind(err, ERR_BAD_PARAM, "Invalid %s keys (%s) provided", what,
					text);
	}
	*n = count;
	return 0;
}
