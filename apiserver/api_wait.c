/* SPDX-License-Identifier: MPL-2.0
 *
 * api_wait.c - POST wait and POST prune: the two that last until several things have happened.
 *
 * wait answers its header at once (from API 1.30), so that `docker run` can go on to start what it
 * waits for.
 */
#define LOG_MODULE "wait"
#include <stdlib.h>
#include <string.h>

#include "apiserver/container.h"
#include "apiserver/ct_json.h"
#include "apiserver/ct_ops.h"
#include "apiserver/events.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "apiserver/wait.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

/* ---- wait ----------------------------------------------------------------------------------- */

struct wait_req {
	uint64_t req;
	struct container *ct;
	struct ct_waiter *waiter;
	bool header_sent;
};

/* A removal that succeeded leaves no error, whatever the start or run had: as Docker. */
static void write_result(const struct container *ct, bool removed, struct buf *b)
{
	struct jw w = JW(b);

	jw_obj(&w, NULL);
	jw_int(&w, "StatusCode", ct->st.exit_code);
	if (ct->st.error[0] && !removed) {
		jw_obj(&w, "Error");
		jw_str(&w, "Message", ct->st.error);
		jw_end(&w);
	}
	jw_end(&w);
	buf_addch(b, '\n');
}

static void answer(struct wait_req *wr, bool removed)
{
	cleanup_buf struct buf b = BUF_INIT;

	write_result(wr->ct, removed, &b);
	if (wr->header_sent) {
		reply_write(wr->req, b.p, b.len);
		reply_end(wr->req);
	} else {
		reply_json(wr->req, 200, &b);
	}
}

static void wait_req_free(struct wait_req *wr)
{
	container_unref(wr->ct);
	free(wr);
}

static void on_wait(struct container *ct, void *arg, bool removed)
{
	struct wait_req *wr = arg;
	struct req *r = req_by_id(wr->req);

	(void)ct;
	if (r)
		req_on_gone(r, NULL, NULL);
	answer(wr, removed);
	wait_req_free(wr);
}

static void on_gone(void *arg)
{
	struct wait_req *wr = arg;

	ct_wait_cancel(wr->ct, wr->waiter);
	wait_req_free(wr);
}

/* *what, and whether there is nothing to wait for. */
static int parse_condition(struct req *r, const struct container *ct, enum ct_wait_for *what,
			   bool *now, struct err *err)
{
	const char *cond = req_version(r) >= 130 ? req_query(r, "condition") : NULL;

	*what = WAIT_EXIT;
	*now = false;
	if (str_empty(cond) || str_eq(cond, "not-running"))
		*now = !container_is_running(ct);
	else if (str_eq(cond, "removed"))
		*what = WAIT_REMOVED;
	else if (!str_eq(cond, "next-exit"))
		return err_kind(err, ERR_BAD_PARAM, "invalid condition: \"%s\"", cond);
	return 0;
}

void handle_container_wait(struct req *r)
{
	struct err err = { 0 };
	struct container *ct = container_find(req_var(r, "name"), &err);
	enum ct_wait_for what;
	struct wait_req *wr;
	bool now;

	if (!ct || parse_condition(r, ct, &what, &now, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	wr = xcalloc(1, sizeof(*wr));
	wr->req = req_id(r);
	wr->ct = container_ref(ct);
	if (now) {
		answer(wr, false);
		wait_req_free(wr);
		return;
	}
	wr->waiter = ct_wait(ct, what, on_wait, wr);
	req_on_gone(r, on_gone, wr);
	if (req_version(r) >= 130) {
		wr->header_sent = true;
		reply_begin(wr->req, 200, "application/json");
	}
}

/* ---- prune ---------------------------------------------------------------------------------- */

struct prune_item {
	struct prune *prune;
	char id[65];
	int64_t freed;
	bool removed;
};

struct prune {
	uint64_t req;
	size_t n, pending;
	struct prune_item *items;
};

static void prune_finish(struct prune *p)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	int64_t freed = 0;
	size_t removed = 0;
	char num[24];
	const char *attrs[] = { "reclaimed", num, NULL };

	jw_obj(&w, NULL);
	for (size_t i = 0; i < p->n; i++)
		removed += p->items[i].removed;
	if (removed == 0)
		jw_null(&w, "ContainersDeleted");
	else
		jw_arr(&w, "ContainersDeleted");
	for (size_t i = 0; i < p->n; i++) {
		if (!p->items[i].removed)
			continue;
		jw_str(&w, NULL, p->items[i].id);
		freed += p->items[i].freed;
	}
	if (removed > 0)
		jw_end(&w);
	jw_int(&w, "SpaceReclaimed", freed);
	jw_end(&w);
	snprintf(num, sizeof(num), "%lld", (long long)freed);
	event_emit("container", "prune", "", attrs);
	reply_json(p->req, 200, &b);
	free(p->items);
	free(p);
}

static void on_pruned(struct container *ct, void *arg, const struct err *err)
{
	struct prune_item *it = arg;

	(void)ct;
	it->removed = !err;
	if (--it->prune->pending == 0)
		prune_finish(it->prune);
}

static bool wanted(const struct container *ct, const json_t *filters, int64_t until_ns)
{
	const json_t *labels = json_object_get(ct->config, "Labels");

	return !container_is_running(ct) && !ct->removing && ct->created_ns < until_ns &&
	       filter_label_match(filters, "label", labels) &&
	       filter_label_match(filters, "label!", labels);
}

void handle_container_prune(struct req *r)
{
	static const char *const allowed[] = { "label", "label!", "until", NULL };
	static const struct op_remove_opts opts = { .force = false, .volumes = false };
	cleanup_json json_t *filters = NULL;
	struct err err = { 0 };
	int64_t until_ns;
	struct container **cts;
	struct prune *p;

	if (filters_parse(req_query(r, "filters"), allowed, &filters, &err) < 0 ||
	    filter_until(filters, &until_ns, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	cts = xcalloc(container_count() + 1, sizeof(struct container *));
	p = xcalloc(1, sizeof(*p));
	p->req = req_id(r);
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		if (wanted(ct, filters, until_ns))
			cts[p->n++] = container_ref(ct);
	}
	p->items = xcalloc(p->n + 1, sizeof(*p->items));
	p->pending = p->n + 1;
	for (size_t i = 0; i < p->n; i++) {
		struct op_remove_opts o = opts;

		memcpy(p->items[i].id, cts[i]->id, sizeof(p->items[i].id));
		p->items[i].prune = p;
		o.size_out = &p->items[i].freed;
		op_remove(cts[i], &o, on_pruned, &p->items[i]);
		container_unref(cts[i]);
	}
	free(cts);
	if (--p->pending == 0)
		prune_finish(p);
}
