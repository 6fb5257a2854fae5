/* SPDX-License-Identifier: MPL-2.0
 *
 * events.c - the event bus behind GET /events.
 *
 * Design: an event is made into its JSON text once, kept in a ring of the last 256 (as Docker), and
 * written to each subscriber whose filters take it. A subscriber that does not read is cut off when
 * QUEUE_MAX bytes wait for it: nothing else of the engine ever waits for it.
 *
 * Docker's rules for filters: values of one key are alternatives, keys must all match; container,
 * volume, network and daemon match by a prefix of the actor's id or name; image by id or name, with
 * and without its tag; event exactly, but as prefixes once one of the values is health_status,
 * exec_create or exec_start, whose actions carry a detail ("health_status: healthy"). A key that
 * Docker does not know is accepted and ignored.
 */
#include "events.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "client.h"
#include "cleanup.h"
#include "container.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#include "reply.h"
#include "str.h"

#define RING	  256
#define QUEUE_MAX (1024 * 1024)

struct attr {
	char *key, *value;
};

struct event {
	int64_t time_ns;
	char *type, *action, *id;
	struct attr *attrs; /* sorted by key */
	size_t n_attrs;
	char *text; /* one line */
	size_t n_text;
};

struct sub {
	uint64_t req;
	json_t *filters;
	uv_timer_t until;
	bool closing;
	struct sub *next;
};

static struct event ring[RING];
static uint64_t n_events;
static struct sub *subs;

/* ---- events --------------------------------------------------------------------------------- */

static void event_clear(struct event *ev)
{
	for (size_t i = 0; i < ev->n_attrs; i++) {
		free(ev->attrs[i].key);
		free(ev->attrs[i].value);
	}
	free(ev->attrs);
	free(ev->type);
	free(ev->action);
	free(ev->id);
	free(ev->text);
	memset(ev, 0, sizeof(*ev));
}

static int attr_cmp(const void *a, const void *b)
{
	return strcmp(((const struct attr *)a)->key, ((const struct attr *)b)->key);
}

/* A later value of the same key wins. */
static void attr_set(struct event *ev, const char *key, const char *value)
{
	for (size_t i = 0; i < ev->n_attrs; i++) {
		if (strcmp(ev->attrs[i].key, key) == 0) {
			free(ev->attrs[i].value);
			ev->attrs[i].value = xstrdup(value);
			return;
		}
	}
	ev->attrs = xrealloc(ev->attrs, (ev->n_attrs + 1) * sizeof(*ev->attrs));
	ev->attrs[ev->n_attrs++] = (struct attr){ xstrdup(key), xstrdup(value) };
}

static void attrs_add(struct event *ev, const char *const *pairs)
{
	for (; pairs && pairs[0] && pairs[1]; pairs += 2)
		attr_set(ev, pairs[0], pairs[1]);
}

static const char *attr_get(const struct event *ev, const char *key)
{
	for (size_t i = 0; i < ev->n_attrs; i++) {
		if (strcmp(ev->attrs[i].key, key) == 0)
			return ev->attrs[i].value;
	}
	return "";
}

/* With status, id and from, which API versions before 1.52 have for containers and images. */
static void make_text(struct event *ev)
{
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	bool is_ct = strcmp(ev->type, "container") == 0;

	jw_obj(&w, NULL);
	if (is_ct || strcmp(ev->type, "image") == 0) {
		jw_str(&w, "status", ev->action);
		jw_str(&w, "id", ev->id);
		if (is_ct && *attr_get(ev, "image"))
			jw_str(&w, "from", attr_get(ev, "image"));
	}
	jw_str(&w, "Type", ev->type);
	jw_str(&w, "Action", ev->action);
	jw_obj(&w, "Actor");
	jw_str(&w, "ID", ev->id);
	jw_obj(&w, "Attributes");
	for (size_t i = 0; i < ev->n_attrs; i++)
		jw_str(&w, ev->attrs[i].key, ev->attrs[i].value);
	jw_end(&w);
	jw_end(&w);
	jw_str(&w, "scope", "local");
	jw_int(&w, "time", ev->time_ns / 1000000000);
	jw_int(&w, "timeNano", ev->time_ns);
	jw_end(&w);
	buf_addch(&b, '\n');
	ev->n_text = b.len;
	ev->text = buf_steal(&b);
}

/* ---- filters -------------------------------------------------------------------------------- */

/* filters={"type":["image"]} and the older {"type":{"image":true}}, as an object of arrays. */
static json_t *parse_filters(const char *text, struct err *err)
{
	json_t *in = NULL, *out, *v, *item;
	const char *key, *name;
	size_t i;

	if (str_empty(text))
		return json_object();
	if (jparse(text, strlen(text), &in, &(struct err){ 0 }) < 0 || !json_is_object(in)) {
		json_decref(in);
		err_kind(err, ERR_BAD_PARAM, "invalid filter");
		return NULL;
	}
	out = json_object();
	json_object_foreach (in, key, v) {
		json_t *arr = json_array();

		if (json_is_array(v)) {
			json_array_foreach (v, i, item) {
				if (json_is_string(item))
					json_array_append(arr, item);
			}
		} else if (json_is_object(v)) {
			json_object_foreach (v, name, item) {
				if (json_is_true(item))
					json_array_append_new(arr, json_string(name));
			}
		}
		json_object_set_new(out, key, arr);
	}
	json_decref(in);
	return out;
}

static bool match_exact(const json_t *f, const char *key, const char *s)
{
	json_t *arr = jget_arr(f, key), *v;
	size_t i;

	if (json_array_size(arr) == 0)
		return true;
	json_array_foreach (arr, i, v) {
		if (strcmp(json_string_value(v), s) == 0)
			return true;
	}
	return false;
}

static bool match_prefix(const json_t *f, const char *key, const char *s)
{
	json_t *arr = jget_arr(f, key), *v;
	size_t i;

	if (json_array_size(arr) == 0)
		return true;
	json_array_foreach (arr, i, v) {
		if (str_starts(s, json_string_value(v)))
			return true;
	}
	return false;
}

static bool match_action(const json_t *f, const char *action)
{
	json_t *arr = jget_arr(f, "event"), *v;
	size_t i;

	json_array_foreach (arr, i, v) {
		const char *s = json_string_value(v);

		if (str_eq(s, "health_status") || str_eq(s, "exec_create") ||
		    str_eq(s, "exec_start"))
			return match_prefix(f, "event", action);
	}
	return match_exact(f, "event", action);
}

static bool match_name(const json_t *f, const char *key, const struct event *ev)
{
	return match_prefix(f, key, ev->id) || match_prefix(f, key, attr_get(ev, "name"));
}

static char *strip_tag(const char *name)
{
	const char *slash = strrchr(name, '/'), *cut = strchr(slash ? slash : name, '@');

	if (!cut)
		cut = strchr(slash ? slash : name, ':');
	return cut ? xstrndup(name, (size_t)(cut - name)) : xstrdup(name);
}

static bool match_image(const json_t *f, const struct event *ev)
{
	const char *name = attr_get(ev, strcmp(ev->type, "image") == 0 ? "name" : "image");
	cleanup_free char *bare_id = strip_tag(ev->id), *bare_name = strip_tag(name);

	return match_exact(f, "image", ev->id) || match_exact(f, "image", name) ||
	       match_exact(f, "image", bare_id) || match_exact(f, "image", bare_name);
}

/* Each of label=["a=b","c"] must be there. */
static bool match_labels(const json_t *f, const struct event *ev)
{
	json_t *arr = jget_arr(f, "label"), *v;
	size_t i;

	json_array_foreach (arr, i, v) {
		const char *s = json_string_value(v), *eq = strchr(s, '=');
		size_t n = eq ? (size_t)(eq - s) : strlen(s), k;

		for (k = 0; k < ev->n_attrs; k++) {
			const struct attr *a = &ev->attrs[k];

			if (strlen(a->key) == n && memcmp(a->key, s, n) == 0 &&
			    (!eq || strcmp(a->value, eq + 1) == 0))
				break;
		}
		if (k == ev->n_attrs)
			return false;
	}
	return true;
}

static bool matches(const json_t *f, const struct event *ev)
{
	if (json_object_size(f) == 0)
		return true;
	return match_action(f, ev->action) && match_exact(f, "type", ev->type) &&
	       match_exact(f, "scope", "local") && match_name(f, "daemon", ev) &&
	       match_name(f, "container", ev) && match_name(f, "plugin", ev) &&
	       match_name(f, "volume", ev) && match_name(f, "network", ev) && match_image(f, ev) &&
	       match_name(f, "node", ev) && match_name(f, "service", ev) &&
	       match_name(f, "secret", ev) && match_name(f, "config", ev) && match_labels(f, ev);
}

/* ---- subscribers ---------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct sub *s = handle->data;

	json_decref(s->filters);
	free(s);
}

static void sub_free(struct sub *s)
{
	struct sub **pp = &subs;

	while (*pp && *pp != s)
		pp = &(*pp)->next;
	if (*pp)
		*pp = s->next;
	if (s->closing)
		return;
	s->closing = true;
	uv_close((uv_handle_t *)&s->until, on_timer_closed);
}

static void on_client_gone(void *arg)
{
	sub_free(arg);
}

static void on_until(uv_timer_t *timer)
{
	struct sub *s = timer->data;

	reply_end(s->req);
	sub_free(s);
}

static void give(struct sub *s, const struct event *ev)
{
	if (!s->closing && matches(s->filters, ev) &&
	    reply_write(s->req, ev->text, ev->n_text) > QUEUE_MAX)
		reply_abort(s->req); /* calls on_client_gone later */
}

static void publish(struct event *ev)
{
	struct sub *s, *next;

	for (s = subs; s; s = next) {
		next = s->next;
		give(s, ev);
	}
}

static void emit(struct event *ev)
{
	struct event *slot = &ring[n_events++ % RING];

	ev->time_ns = now_ns();
	qsort(ev->attrs, ev->n_attrs, sizeof(*ev->attrs), attr_cmp);
	make_text(ev);
	event_clear(slot);
	*slot = *ev;
	publish(slot);
}

void event_emit(const char *type, const char *action, const char *actor_id,
		const char *const *attrs)
{
	struct event ev = { .type = xstrdup(type),
			    .action = xstrdup(action),
			    .id = xstrdup(actor_id) };

	assert_loop_thread();
	attrs_add(&ev, attrs);
	emit(&ev);
}

void event_container(const struct container *ct, const char *action, const char *const *extra)
{
	struct event ev = { .type = xstrdup("container"),
			    .action = xstrdup(action),
			    .id = xstrdup(ct->id) };
	json_t *labels = jget_obj(ct->config, "Labels"), *v;
	const char *key;

	assert_loop_thread();
	json_object_foreach (labels, key, v) {
		if (json_is_string(v))
			attr_set(&ev, key, json_string_value(v));
	}
	if (!str_empty(ct->image_ref))
		attr_set(&ev, "image", ct->image_ref);
	attr_set(&ev, "name", ct->name ? ct->name : "");
	attrs_add(&ev, extra);
	emit(&ev);
}

unsigned events_listeners(void)
{
	unsigned n = 0;

	for (struct sub *s = subs; s; s = s->next)
		n++;
	return n;
}

/* ---- GET /events ---------------------------------------------------------------------------- */

static int query_time(struct req *r, const char *name, int64_t *out, struct err *err)
{
	const char *s = req_query(r, name);

	*out = 0;
	if (str_empty(s))
		return 0;
	if (parse_unix_time_ns(s, out) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid value for \"%s\": %s", name, s);
	return 0;
}

static void replay(uint64_t req, const json_t *filters, int64_t since_ns, int64_t until_ns)
{
	uint64_t i = n_events > RING ? n_events - RING : 0;

	if (!since_ns && !until_ns)
		return;
	for (; i < n_events; i++) {
		const struct event *ev = &ring[i % RING];

		if (ev->time_ns < since_ns || (until_ns && ev->time_ns > until_ns))
			continue;
		if (matches(filters, ev))
			reply_write(req, ev->text, ev->n_text);
	}
}

void events_serve(struct req *r)
{
	uint64_t req = req_id(r);
	int64_t since_ns, until_ns, now = now_ns();
	struct err err = { 0 };
	json_t *filters = NULL;
	struct sub *s;

	if (query_time(r, "since", &since_ns, &err) < 0 ||
	    query_time(r, "until", &until_ns, &err) < 0 ||
	    !(filters = parse_filters(req_query(r, "filters"), &err))) {
		reply_error(req, &err);
		return;
	}
	if (until_ns && until_ns < since_ns) {
		err_kind(&err, ERR_BAD_PARAM, "`since` time (%s) cannot be after `until` time (%s)",
			 req_query(r, "since"), req_query(r, "until"));
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	reply_begin(req, 200, "application/json");
	replay(req, filters, since_ns, until_ns);
	if (until_ns && until_ns < now) {
		json_decref(filters);
		reply_end(req);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->req = req;
	s->filters = filters;
	uv_timer_init(uv_default_loop(), &s->until);
	s->until.data = s;
	if (until_ns)
		uv_timer_start(&s->until, on_until, (uint64_t)((until_ns - now) / 1000000 + 1), 0);
	s->next = subs;
	subs = s;
	req_on_gone(r, on_client_gone, s);
}
