/* SPDX-License-Identifier: MPL-2.0
 *
 * api_networks.c - /networks: list, inspect, create, remove, prune. (Connect and disconnect change
 * a container: api_connect.c.)
 *
 * Lists and inspect come from memory; the rest are jobs. Events (create, destroy) are emitted in
 * done, on the loop.
 */
#include <jansson.h>
#include <string.h>

#include "cleanup.h"
#include "container.h"
#include "ct_json.h"
#include "events.h"
#include "filter_regex.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#include "network.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"

static void emit(const char *action, const char *id, const char *name)
{
	const char *const attrs[] = { "name", name, "type", "bridge", NULL };

	event_emit("network", action, id, attrs);
}

static const char *name_of(const char *ct_id)
{
	const struct container *ct = container_by_id(ct_id);

	return ct ? ct->name : NULL;
}

/* ---- list, inspect ---- */

static bool any(const json_t *filters, const char *key,
		bool (*match)(const char *want, const void *arg), const void *arg)
{
	json_t *list = jget_arr(filters, key), *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (json_is_string(v) && match(json_string_value(v), arg))
			return true;
	}
	return !json_array_size(list);
}

static bool match_driver(const char *want, const void *arg)
{
	return str_eq(((const struct network_info *)arg)->driver, want);
}

static bool match_scope(const char *want, const void *arg)
{
	(void)arg;
	return str_eq(want, "local");
}

static bool match_type(const char *want, const void *arg)
{
	return str_eq(want, ((const struct network_info *)arg)->builtin ? "builtin" : "custom");
}

/* Docker's dangling: user-defined and unused, by running or stopped containers. */
static bool is_used_by_container(const struct network_info *n)
{
	for (const struct container *ct = container_first(); ct; ct = ct->next_by_age)
		for (size_t i = 0; i < ct->n_endpoints; i++)
			if (str_eq(ct->endpoints[i].network, n->name) ||
			    str_eq(ct->endpoints[i].network_id, n->id))
				return true;
	return false;
}

static bool match_dangling(const char *want, const void *arg)
{
	const struct network_info *n = arg;
	bool wanted = false;

	return parse_bool(want, &wanted) == 0 &&
	       wanted == (!n->builtin && !n->n_members && !is_used_by_container(n));
}

static int check_filters(const json_t *filters, struct err *err)
{
	json_t *types = jget_arr(filters, "type"), *dangling = jget_arr(filters, "dangling"), *v;
	size_t i;
	bool b;

	json_array_foreach (types, i, v) {
		const char *s = json_string_value(v);

		if (!str_eq(s, "builtin") && !str_eq(s, "custom"))
			return err_kind(err, ERR_BAD_PARAM, "invalid filter: 'type'='%s'",
					s ? s : "");
	}
	json_array_foreach (dangling, i, v) {
		const char *s = json_string_value(v);

		if (!s || parse_bool(s, &b) < 0)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid value for filter 'dangling', must be \"true\" "
					"(or \"1\"), or \"false\" (or \"0\")");
	}
	return 0;
}

struct wanted {
	const json_t *filters;
	struct filter_regex names, ids;
};

static bool is_listed(const struct wanted *want, const struct network_info *n)
{
	const json_t *filters = want->filters;
	cleanup_json json_t *labels = NULL;
	struct err ignored = { 0 };

	if (n->labels)
		jparse(n->labels, strlen(n->labels), &labels, &ignored);
	return filter_regex_match(&want->names, n->name) && filter_regex_match(&want->ids, n->id) &&
	       any(filters, "driver", match_driver, n) && any(filters, "scope", match_scope, n) &&
	       any(filters, "type", match_type, n) && any(filters, "dangling", match_dangling, n) &&
	       filter_label_match(filters, "label", labels);
}

static int newest_first(const void *a, const void *b)
{
	const struct network_info *x = a, *y = b;

	return x->created_ns < y->created_ns ? 1 : x->created_ns > y->created_ns ? -1 : 0;
}

void handle_network_list(struct req *r)
{
	static const char *const allowed[] = { "dangling", "driver", "id",   "label",
					       "name",	   "scope",  "type", NULL };
	cleanup_json json_t *filters = NULL;
	struct network_info *list;
	struct buf out = BUF_INIT;
	struct jw w = JW(&out);
	struct err err = { 0 };
	struct wanted want = { 0 };
	size_t n;

	if (filters_parse(req_query(r, "filters"), allowed, &filters, &err) < 0 ||
	    check_filters(filters, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	want.filters = filters;
	filter_regex_init(&want.names, filters, "name");
	filter_regex_init(&want.ids, filters, "id");
	network_list(&list, &n);
	qsort(list, n, sizeof(*list), newest_first);
	jw_arr(&w, NULL);
	for (size_t i = 0; i < n; i++)
		if (is_listed(&want, &list[i]))
			jw_raw(&w, NULL, list[i].json);
	jw_end(&w);
	filter_regex_fini(&want.names);
	filter_regex_fini(&want.ids);
	network_info_free(list, n);
	reply_json(req_id(r), 200, &out);
	buf_fini(&out);
}

/* Go's strconv.ParseBool. */
static bool is_go_bool(const char *s)
{
	static const char *const words[] = { "1", "t", "T", "TRUE", "true", "True",
					     "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(s, words[i]))
			return true;
	return false;
}

/* verbose adds what swarm's other nodes know: nothing here. */
void handle_network_inspect(struct req *r)
{
	const char *scope = req_query(r, "scope"), *verbose = req_query(r, "verbose");
	struct buf out = BUF_INIT;
	struct err err = { 0 };

	if (!str_empty(verbose) && !is_go_bool(verbose)) {
		err_kind(&err, ERR_BAD_PARAM,
			 "invalid value for verbose: %s: strconv.ParseBool: parsing \"%s\": invalid syntax", verbose,
			 verbose);
		reply_error(req_id(r), &err);
	} else if (!str_empty(scope) && !str_eq(scope, "local")) {
		err_kind(&err, ERR_NOT_FOUND, "network %s not found", req_var(r, "name"));
		reply_error(req_id(r), &err);
	} else if (network_inspect(req_var(r, "name"), name_of, &out, &err) < 0) {
		reply_error(req_id(r), &err);
	} else {
		reply_json(req_id(r), 200, &out);
	}
	buf_fini(&out);
}

/* ---- create, remove ---- */

struct network_job {
	struct job job;
	uint64_t req;
	char *ref;
	struct buf body;
	char id[65];
	char *name;
};

static struct network_job *network_job_new(struct req *r, int (*run)(struct job *, struct err *),
					   void (*done)(struct job *), const char *what)
{
	struct network_job *nj = xcalloc(1, sizeof(*nj));

	nj->job.run = run;
	nj->job.done = done;
	nj->job.what = what;
	nj->req = req_id(r);
	return nj;
}

static void network_job_free(struct network_job *nj)
{
	free(nj->ref);
	free(nj->name);
	buf_fini(&nj->body);
	free(nj);
}

static int create_run(struct job *job, struct err *err)
{
	struct network_job *nj = container_of(job, struct network_job, job);

	return network_create(&nj->body, nj->id, &nj->name, err);
}

static void create_done(struct job *job)
{
	struct network_job *nj = container_of(job, struct network_job, job);
	struct buf out = BUF_INIT;
	struct jw w = JW(&out);

	if (job->rc < 0) {
		reply_error(nj->req, &job->err);
	} else {
		jw_obj(&w, NULL);
		jw_str(&w, "Id", nj->id);
		jw_str(&w, "Warning", "");
		jw_end(&w);
		emit("create", nj->id, nj->name);
		reply_json(nj->req, 201, &out);
	}
	buf_fini(&out);
	network_job_free(nj);
}

void handle_network_create(struct req *r)
{
	struct network_job *nj = network_job_new(r, create_run, create_done, "network create");
	const struct buf *body = req_body(r);

	buf_add(&nj->body, buf_str(body), body->len);
	job_submit(LANE_LIFECYCLE, &nj->job);
}

static int remove_run(struct job *job, struct err *err)
{
	struct network_job *nj = container_of(job, struct network_job, job);

	return network_remove(nj->ref, nj->id, &nj->name, err);
}

static void remove_done(struct job *job)
{
	struct network_job *nj = container_of(job, struct network_job, job);

	if (job->rc < 0) {
		reply_error(nj->req, &job->err);
	} else {
		emit("destroy", nj->id, nj->name);
		reply_empty(nj->req, 204);
	}
	network_job_free(nj);
}

void handle_network_remove(struct req *r)
{
	struct network_job *nj = network_job_new(r, remove_run, remove_done, "network remove");

	nj->ref = xstrdup(req_var(r, "name"));
	job_submit(LANE_LIFECYCLE, &nj->job);
}

/* ---- prune ---- */

struct prune_job {
	struct job job;
	uint64_t req;
	char **ids;
	char **removed_ids, **removed_names;
};

static int prune_run(struct job *job, struct err *err)
{
	struct prune_job *pj = container_of(job, struct prune_job, job);

	(void)err;
	for (char **id = pj->ids; id && *id; id++) {
		cleanup_free char *name = NULL;
		struct err ignored = { 0 }; /* in use by now: stays */
		char gone[65];

		if (network_remove(*id, gone, &name, &ignored) < 0)
			continue;
		strv_add(&pj->removed_ids, gone);
		strv_add(&pj->removed_names, name);
	}
	return 0;
}

static void prune_done(struct job *job)
{
	static const char *const attrs[] = { "reclaimed", "0", NULL };
	struct prune_job *pj = container_of(job, struct prune_job, job);
	struct buf out = BUF_INIT;
	struct jw w = JW(&out);

	if (job->rc < 0) {
		reply_error(pj->req, &job->err);
	} else {
		jw_obj(&w, NULL);
		if (!pj->removed_ids) {
			jw_null(&w, "NetworksDeleted");
		} else {
			jw_arr(&w, "NetworksDeleted");
			for (size_t i = 0; pj->removed_ids[i]; i++) {
				emit("destroy", pj->removed_ids[i], pj->removed_names[i]);
				jw_str(&w, NULL, pj->removed_names[i]);
			}
			jw_end(&w);
		}
		jw_end(&w);
		event_emit("network", "prune", "", attrs);
		reply_json(pj->req, 200, &out);
	}
	buf_fini(&out);
	strv_free(pj->ids);
	strv_free(pj->removed_ids);
	strv_free(pj->removed_names);
	free(pj);
}

static bool is_prunable(const json_t *filters, int64_t until_ns, const struct network_info *n)
{
	cleanup_json json_t *labels = NULL;
	struct err ignored = { 0 };

	if (n->labels)
		jparse(n->labels, strlen(n->labels), &labels, &ignored);
	return !n->builtin && !n->n_members && n->created_ns < until_ns &&
	       !is_used_by_container(n) && filter_label_match(filters, "label", labels) &&
	       filter_label_match(filters, "label!", labels);
}

void handle_network_prune(struct req *r)
{
	static const char *const allowed[] = { "label", "label!", "until", NULL };
	cleanup_json json_t *filters = NULL;
	struct network_info *list;
	struct err err = { 0 };
	struct prune_job *pj;
	int64_t until_ns;
	size_t n;

	if (filters_parse(req_query(r, "filters"), allowed, &filters, &err) < 0 ||
	    filter_until(filters, &until_ns, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	pj = xcalloc(1, sizeof(*pj));
	pj->job = (struct job){ .run = prune_run, .done = prune_done, .what = "network prune" };
	pj->req = req_id(r);
	network_list(&list, &n);
	for (size_t i = 0; i < n; i++)
		if (is_prunable(filters, until_ns, &list[i]))
			strv_add(&pj->ids, list[i].id);
	network_info_free(list, n);
	job_submit(LANE_LIFECYCLE, &pj->job);
}
