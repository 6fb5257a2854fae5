/* SPDX-License-Identifier: MPL-2.0
 *
 * build_run.c - the container of a RUN instruction.
 *
 * Design: containers belong to the loop, a build is a worker's job. struct call is the bridge: the
 * worker fills one in, posts it, and waits on its condition variable; on the loop its step function
 * begins the operation (create, start, wait, remove), and the operation's callback ends the call:
 *
 *	worker				loop
 *	call_new, fill in
 *	loop_post(on_call) ---------->	c->begin(c)	begins an operation, keeps c
 *	call_wait (deadline)		...
 *	      <------------------------	call_end(c)	once, by the operation's callback
 *	call_unref
 *
 * Nothing else is shared: the call holds copies, guarded by its lock, and what it refers to by id
 * is looked up on the loop. It has two owners and is freed by the last; a worker that gives up
 * marks it as abandoned, and then a container that comes out of it is removed there.
 *
 * The container's output does not pass the loop: the worker reads logsvc's stream itself.
 *
 * When the daemon stops, the loop answers no more: nothing is waited for then.
 *
 * Failure: a build's containers are marked in their records; what a death of ours leaves of them is
 * removed at the next start (build_ct_recover).
 */
#define LOG_MODULE "build"
#include "apiserver/build_run.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apiserver/container.h"
#include "apiserver/ct_ops.h"
#include "apiserver/job.h"
#include "apiserver/logclient.h"
#include "apiserver/wait.h"
#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define OP_DEADLINE_MS 120000
#define NO_DEADLINE    INT64_MAX
#define SLICE_MS       200
#define FRAME_HEAD     8
#define FRAME_MAX      (16 * 1024 * 1024)
#define BUILD_MARK     "build"

/* ---- the bridge ---- */

struct call {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	unsigned refs;
	bool done, abandoned;
	void (*begin)(struct call *c); /* loop */
	/* in */
	char id[65];
	char *body;
	/* out */
	int rc;
	struct err err;
	int exit_code;
	char **warnings;
};

static struct call *call_new(void (*begin)(struct call *c), const char *id)
{
	struct call *c = xcalloc(1, sizeof(*c));
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&c->mutex, NULL);
	c->refs = 2;
	c->begin = begin;
	str_copy(c->id, sizeof(c->id), id);
	return c;
}

static void call_unref(struct call *c)
{
	bool last;

	pthread_mutex_lock(&c->mutex);
	last = --c->refs == 0;
	pthread_mutex_unlock(&c->mutex);
	if (!last)
		return;
	pthread_mutex_destroy(&c->mutex);
	pthread_cond_destroy(&c->cond);
	free(c->body);
	strv_free(c->warnings);
	free(c);
}

/* Loop. The operation is over; true: nobody waits for it any more. */
static bool call_end(struct call *c, const struct err *err)
{
	bool abandoned;

	pthread_mutex_lock(&c->mutex);
	c->done = true;
	if (err) {
		c->err = *err;
		c->rc = err->code < 0 ? err->code : -EIO;
	}
	abandoned = c->abandoned;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->mutex);
	call_unref(c);
	return abandoned;
}

static void on_call(void *arg)
{
	struct call *c = arg;

	c->begin(c);
}

static void slice_end(struct timespec *ts, int64_t left_ms)
{
	int64_t ns = mono_ns() + (left_ms < SLICE_MS ? left_ms : SLICE_MS) * 1000000;

	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
}

/* Posts c and waits, until quit(arg) says that there is no use; the worker's reference stays with
 * the caller. */
static int call_wait(struct call *c, int64_t deadline_ms, bool (*quit)(void *arg), void *arg,
		     struct err *err)
{
	int64_t end_ms =
		deadline_ms == NO_DEADLINE ? NO_DEADLINE : mono_ns() / 1000000 + deadline_ms;
	struct timespec ts;
	int rc;

	loop_post(on_call, c);
	pthread_mutex_lock(&c->mutex);
	while (!c->done) {
		int64_t left_ms = end_ms - mono_ns() / 1000000;

		if (left_ms <= 0 || quit(arg)) {
			c->abandoned = true;
			pthread_mutex_unlock(&c->mutex);
			return left_ms <= 0
				       ? err_sysnum(err, ETIMEDOUT, "wait for a build's container")
				       : err_sysnum(err, ECANCELED, "build cancelled");
		}
		slice_end(&ts, left_ms);
		pthread_cond_timedwait(&c->cond, &c->mutex, &ts);
	}
	rc = c->rc;
	if (rc < 0)
		*err = c->err;
	pthread_mutex_unlock(&c->mutex);
	return rc;
}

/* ---- on the loop ---- */

static void removed_late(struct container *ct, void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		log_warn("a build's container is left", "ct=%.12s error=%s", ct->id,
			 log_q(err->msg));
}

static void remove_late(struct container *ct)
{
	const struct op_remove_opts o = { .force = true, .volumes = true };

	op_remove(ct, &o, removed_late, NULL);
}

static void on_created(void *arg, const char *id, char *const *warnings, const struct err *err)
{
	struct call *c = arg;
	struct container *ct;
	char copy[65];

	str_copy(copy, sizeof(copy), id);
	pthread_mutex_lock(&c->mutex);
	str_copy(c->id, sizeof(c->id), id);
	c->warnings = strv_dup(warnings);
	pthread_mutex_unlock(&c->mutex);
	if (call_end(c, err) && !err && (ct = container_by_id(copy)))
		remove_late(ct);
}

static void begin_create(struct call *c)
{
	json_t *extra = json_object();

	json_object_set_new(extra, BUILD_MARK, json_true());
	op_create_internal(c->body, extra, on_created, c);
}

static struct container *find(struct call *c)
{
	struct container *ct = container_by_id(c->id);
	struct err err = { 0 };

	if (ct)
		return ct;
	err_kind(&err, ERR_NOT_FOUND, "No such container: %s", c->id);
	call_end(c, &err);
	return NULL;
}

static void on_started(struct container *ct, void *arg, const struct err *err)
{
	call_end(arg, err);
	container_op_end(ct);
}

static void start_turn(struct container *ct, void *arg, bool cancelled)
{
	struct err err = { 0 };
	struct call *c = arg;
	int rc;

	if (cancelled) {
		err_kind(&err, ERR_NOT_FOUND, "No such container: %s", c->id);
		call_end(c, &err);
		return;
	}
	if ((rc = op_start_check(ct, &err)) < 0) {
		call_end(c, &err);
		container_op_end(ct);
		return;
	}
	op_start(ct, false, on_started, c);
}

static void begin_start(struct call *c)
{
	struct container *ct = find(c);
	struct err err = { 0 };

	if (ct && container_op_begin(ct, OP_START, start_turn, c, &err) < 0)
		call_end(c, &err);
}

static void on_end(struct container *ct, void *arg, bool removed)
{
	struct call *c = arg;
	struct err err = { 0 };

	if (removed) {
		err_kind(&err, ERR_NOT_FOUND, "No such container: %s", c->id);
		call_end(c, &err);
		return;
	}
	pthread_mutex_lock(&c->mutex);
	c->exit_code = ct->st.exit_code;
	pthread_mutex_unlock(&c->mutex);
	call_end(c, NULL);
}

static void begin_wait(struct call *c)
{
	struct container *ct = find(c);

	if (!ct)
		return;
	if (container_is_running(ct))
		ct_wait(ct, WAIT_EXIT, on_end, c);
	else
		on_end(ct, c, false);
}

static void on_removed(struct container *ct, void *arg, const struct err *err)
{
	(void)ct;
	call_end(arg, err);
}

static void begin_remove(struct call *c)
{
	const struct op_remove_opts o = { .force = true, .volumes = true };
	struct container *ct = container_by_id(c->id);

	if (!ct)
		call_end(c, NULL);
	else
		op_remove(ct, &o, on_removed, c);
}

bool build_ct_recover(struct container *ct)
{
	if (!jget_bool(ct->extra, BUILD_MARK, false))
		return false;
	log_info("container of a build that was cut off is removed", "ct=%.12s", ct->id);
	remove_late(ct);
	return true;
}

/* ---- the container's output (worker) ---- */

#define PART_MAX 16384

struct reader {
	const struct build_run_opts *o;
	struct buf part[2]; /* of a line: standard output's, standard error's */
	char head[FRAME_HEAD];
	size_t n_head;
	uint32_t left; /* of the frame's payload */
};

/* Gives what is there as far as the last end of a line, or all of it. */
static void give(struct reader *r, bool is_err, bool all)
{
	struct buf *b = &r->part[is_err];
	const char *end = b->len ? memrchr(b->p, '\n', b->len) : NULL;
	size_t n = all || b->len > PART_MAX ? b->len : end ? (size_t)(end - b->p) + 1 : 0;

	if (n)
		r->o->output(r->o->arg, is_err, b->p, n);
	buf_consume(b, n);
}

static int take(struct reader *r, const char *p, size_t len, struct err *err)
{
	const unsigned char *h = (const unsigned char *)r->head;

	while (len > 0) {
		size_t n;

		if (r->left) {
			n = len < r->left ? len : r->left;
			buf_add(&r->part[r->head[0] == 2], p, n);
			give(r, r->head[0] == 2, false);
			r->left -= (uint32_t)n;
			if (!r->left)
				r->n_head = 0;
		} else {
			n = FRAME_HEAD - r->n_head;
			n = len < n ? len : n;
			memcpy(r->head + r->n_head, p, n);
			r->n_head += n;
			if (r->n_head == FRAME_HEAD)
				r->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 |
					  (uint32_t)h[6] << 8 | h[7];
			if (r->left > FRAME_MAX)
				return err_kind(err, ERR_SYSTEM,
						"the container's output is garbled");
			if (r->n_head == FRAME_HEAD && !r->left)
				r->n_head = 0;
		}
		p += n;
		len -= n;
	}
	return 0;
}

static int read_frames(struct reader *r, int fd, struct err *err)
{
	cleanup_free char *block = xmalloc(65536);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = 1;
	int rc;

	while (n > 0) {
		if (r->o->cancelled(r->o->arg))
			return err_sysnum(err, ECANCELED, "build cancelled");
		if (poll(&p, 1, SLICE_MS) <= 0) { /* a question, or a progress: it is shown now */
			give(r, false, true);
			give(r, true, true);
			continue;
		}
		n = read(fd, block, 65536);
		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			n = 1;
			continue;
		}
		if (n > 0 && (rc = take(r, block, (size_t)n, err)) < 0)
			return rc;
	}
	return n < 0 ? err_sys(err, "read the container's output") : 0;
}

/* Lines stay whole, though their parts were written one by one and between those of the other. */
static int read_output(int fd, const struct build_run_opts *o, struct err *err)
{
	struct reader r = { .o = o };
	int rc;

	rc = read_frames(&r, fd, err);
	for (int i = 0; i < 2; i++) {
		give(&r, i, true);
		buf_fini(&r.part[i]);
	}
	return rc;
}

/* ---- for the build (worker) ---- */

int build_ct_create(struct build_ct *bc, const char *body, char ***warnings,
		    const struct build_run_opts *o, struct err *err)
{
	struct call *c = call_new(begin_create, "");
	int rc;

	c->body = xstrdup(body);
	rc = call_wait(c, OP_DEADLINE_MS, o->cancelled, o->arg, err);
	if (rc == 0) {
		str_copy(bc->id, sizeof(bc->id), c->id);
		id_to_uuid(bc->uuid, bc->id);
		*warnings = take_ptr(&c->warnings);
	}
	call_unref(c);
	return rc;
}

int build_ct_run(struct build_ct *bc, const struct build_run_opts *o, int *exit_code,
		 struct err *err)
{
	cleanup_fd int fd = -1;
	struct call *c;
	int rc;

	if ((rc = logclient_attach(bc->uuid, true, true, false, true, &fd, err)) < 0)
		return rc;
	c = call_new(begin_start, bc->id);
	rc = call_wait(c, OP_DEADLINE_MS, o->stopping, o->arg, err);
	call_unref(c);
	if (rc < 0 || (rc = read_output(fd, o, err)) < 0)
		return rc;
	c = call_new(begin_wait, bc->id);
	if ((rc = call_wait(c, NO_DEADLINE, o->cancelled, o->arg, err)) == 0)
		*exit_code = c->exit_code;
	call_unref(c);
	return rc;
}

int build_ct_remove(struct build_ct *bc, const struct build_run_opts *o, struct err *err)
{
	struct call *c;
	int rc;

	if (!bc->id[0])
		return 0;
	c = call_new(begin_remove, bc->id);
	rc = call_wait(c, OP_DEADLINE_MS, o->stopping, o->arg, err);
	call_unref(c);
	bc->id[0] = '\0';
	return rc;
}
