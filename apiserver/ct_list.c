/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_list.c - which containers a list shows: all=, limit=, and docker ps' filters.
 *
 * Design: the filters are checked and worked out once (struct pick: codes, compiled expressions,
 * containers that before and since name), then each container is asked, newest first. Values of
 * one filter are alternatives, but for labels; different filters must all hold.
 *
 * To extend: a filter is a name in allowed[], what it needs in struct pick, and a line in
 * matches().
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/container_private.h"
#include "apiserver/ct_json.h"
#include "apiserver/ct_net_json.h"
#include "apiserver/ct_ports.h"
#include "apiserver/ct_status.h"
#include "apiserver/filter_regex.h"
#include "apiserver/go_number.h"
#include "apiserver/image_store.h"
#include "cleanup.h"
#include "jget.h"
#include "map.h"
#include "str.h"

static const char *const allowed[] = { "ancestor", "before", "exited",	"expose",
				       "health",   "id",     "is-task", "isolation",
				       "label",	   "name",   "network", "publish",
				       "since",	   "status", "volume",	NULL };

struct pick {
	json_t *filters;
	bool all;
	int limit;
	int64_t codes[32];
	size_t n_codes;
	struct filter_regex names;
	const struct container *before, *since;
	bool has_before, has_since;
	struct map ancestors; /* image id -> anything: those that were asked for */
	struct map images;    /* image id -> "y" or "n": descends from one of them */
	bool has_ancestor;
	bool tasks_only;
};

static const json_t *values(const struct pick *p, const char *key)
{
	const json_t *list = jget_arr(p->filters, key);

	return json_array_size(list) ? list : NULL;
}

static bool has_value(const struct pick *p, const char *key, const char *value)
{
	const json_t *list = values(p, key);
	json_t *item;
	size_t i;

	if (!list)
		return true;
	json_array_foreach (list, i, item)
		if (strcmp(json_string_value(item), value) == 0)
			return true;
	return false;
}

/* ---- checking, once -------------------------------------------------------------------------- */

static int check_exited(struct pick *p, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (values(p, "exited"), i, item) {
		const char *text = json_string_value(item);

		if (p->n_codes == ARRAY_SIZE(p->codes) ||
		    parse_i64(text, INT32_MIN, INT32_MAX, &p->codes[p->n_codes]) < 0)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid filter 'exited=%s': strconv.Atoi: parsing \"%s\": "
					"invalid syntax",
					text, text);
		p->n_codes++;
	}
	return 0;
}

static int check_words(const struct pick *p, const char *key, const char *what,
		       const char *const *words, struct err *err)
{
	cleanup_buf struct buf list = BUF_INIT;
	json_t *item;
	size_t i;

	for (i = 0; words[i]; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", words[i]);
	json_array_foreach (values(p, key), i, item) {
		const char *text = json_string_value(item);
		bool known = false;

		for (size_t k = 0; words[k]; k++)
			known = known || strcmp(words[k], text) == 0;
		if (!known)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid filter '%s=%s': invalid value for %s (%s): must "
					"be one of %s",
					key, text, what, text, buf_str(&list));
	}
	return 0;
}

static int check_task(struct pick *p, struct err *err)
{
	int rc = filter_bool(p->filters, "is-task", &p->tasks_only, err);

	return rc < 0 ? rc : 0;
}

static int check_ports(const struct pick *p, const char *key, struct err *err)
{
	uint16_t first, last;
	char proto[5];
	json_t *item;
	size_t i;

	json_array_foreach (values(p, key), i, item) {
		const char *text = json_string_value(item);

		if (strchr(text, ':'))
			return err_kind(err, ERR_BAD_PARAM,
					"filter for '%s' should not contain ':': %s", key, text);
		if (port_spec_parse(text, &first, &last, proto) < 0 && !text[strcspn(text, "-/")])
			return err_wrap(err, go_err_int("ParseUint", text, err), "error while looking up for %s %s", key,
					text);
		if (port_spec_parse(text, &first, &last, proto) < 0)
			return err_kind(err, ERR_BAD_PARAM,
					"error while looking up for %s %s: invalid port range", key,
					text);
	}
	return 0;
}

static int check_anchor(const struct pick *p, const char *key, const char *old,
			const struct container **out, bool *has, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (values(p, key), i, item) {
		*has = true;
		if (!(*out = container_find(json_string_value(item), err)))
			return err->code;
	}
	if (!str_empty(old)) {
		*has = true;
		if (!(*out = container_find(old, err)))
			return err->code;
	}
	return 0;
}

static void find_ancestors(struct pick *p)
{
	json_t *item;
	size_t i;

	json_array_foreach (values(p, "ancestor"), i, item) {
		struct err ignored = { 0 };
		struct image *img = NULL;

		p->has_ancestor = true;
		if (image_get(json_string_value(item), &img, &ignored) < 0)
			continue;
		map_set(&p->ancestors, img->id, p);
		image_unref(img);
	}
}

static int pick_init(struct pick *p, const struct ct_list_opts *o, struct err *err)
{
	static const char *const states[] = { "created",  "running", "paused", "restarting",
					      "removing", "exited",  "dead",   NULL };
	static const char *const healths[] = { "none", "starting", "healthy", "unhealthy", NULL };
	int rc;

	p->all = o->all;
	p->limit = o->limit > 0 ? o->limit : 0;
	if ((rc = filters_parse(o->filters, allowed, &p->filters, err)) < 0)
		return rc;
	if ((rc = check_exited(p, err)) < 0 ||
	    (rc = check_words(p, "status", "state", states, err)) < 0 ||
	    (rc = check_task(p, err)) < 0 ||
	    (rc = check_words(p, "health", "health", healths, err)) < 0 ||
	    (rc = check_anchor(p, "before", o->before, &p->before, &p->has_before, err)) < 0 ||
	    (rc = check_anchor(p, "since", o->since, &p->since, &p->has_since, err)) < 0 ||
	    (rc = check_ports(p, "publish", err)) < 0 || (rc = check_ports(p, "expose", err)) < 0)
		return rc;
	if (values(p, "status"))
		p->all = true;
	find_ancestors(p);
	filter_regex_init(&p->names, p->filters, "name");
	return 0;
}

static void pick_fini(struct pick *p)
{
	filter_regex_fini(&p->names);
	json_decref(p->filters);
	map_fini(&p->ancestors, NULL);
	map_fini(&p->images, NULL);
}

/* ---- asking one container -------------------------------------------------------------------- */

static bool match_name(const struct pick *p, const struct container *ct)
{
	cleanup_free char *slashed = xasprintf("/%s", ct->name);

	return filter_regex_match(&p->names, ct->name) || filter_regex_match(&p->names, slashed);
}

static bool match_id(const struct pick *p, const struct container *ct)
{
	const json_t *list = values(p, "id");
	bool ambiguous;
	json_t *item;
	size_t i;

	if (!list)
		return true;
	json_array_foreach (list, i, item)
		if (container_by_prefix(json_string_value(item), &ambiguous) == ct)
			return true;
	return false;
}

static bool match_exited(const struct pick *p, const struct container *ct)
{
	if (!values(p, "exited"))
		return true;
	if (container_is_running(ct) || ct->st.started_ns == 0)
		return false;
	for (size_t i = 0; i < p->n_codes; i++)
		if (p->codes[i] == ct->st.exit_code)
			return true;
	return false;
}

static bool match_volume(const struct pick *p, const struct container *ct)
{
	if (!values(p, "volume"))
		return true;
	for (size_t i = 0; i < ct->mounts.n; i++) {
		const struct ct_mount *m = &ct->mounts.v[i];
		const char *by = !str_empty(m->name) ? m->name : m->source ? m->source : "";

		if (has_value(p, "volume", by) || has_value(p, "volume", m->destination))
			return true;
	}
	return false;
}

static bool match_network(const struct pick *p, const struct container *ct)
{
	const json_t *list = values(p, "network");
	json_t *item;
	size_t i;

	if (!list)
		return true;
	for (size_t e = 0; e < ct->n_endpoints; e++) {
		const struct endpoint *ep = &ct->endpoints[e];

		json_array_foreach (list, i, item) {
			const char *want = json_string_value(item);

			if (str_eq(ep->network, want) ||
			    (want[0] && ep->network_id[0] && str_starts(ep->network_id, want)))
				return true;
		}
	}
	return false;
}

/* Walks the image's parents; the answer is kept, since many containers share an image. */
static bool match_ancestor(struct pick *p, const struct container *ct)
{
	static char yes[] = "y", no[] = "n";
	struct err ignored = { 0 };
	char id[80];
	const char *answer;

	if (!p->has_ancestor)
		return true;
	if ((answer = map_get(&p->images, ct->image_id)))
		return answer == yes;
	answer = no;
	str_copy(id, sizeof(id), ct->image_id);
	for (int depth = 0; id[0] && depth < 256; depth++) {
		struct image *img = NULL;

		if (map_get(&p->ancestors, id)) {
			answer = yes;
			break;
		}
		if (image_get(id, &img, &ignored) < 0)
			break;
		str_copy(id, sizeof(id), img->parent ? img->parent : "");
		image_unref(img);
	}
	map_set(&p->images, ct->image_id, (void *)(answer == yes ? yes : no));
	return answer == yes;
}

static bool port_wanted(const json_t *list, unsigned port, const char *type)
{
	uint16_t first, last;
	char proto[5];
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (port_spec_parse(json_string_value(item), &first, &last, proto) == 0 &&
		    port >= first && port <= last && strcmp(proto, type) == 0)
			return true;
	return false;
}

static bool match_ports(const struct pick *p, const struct container *ct)
{
	const json_t *publish = values(p, "publish");
	const json_t *expose = values(p, "expose");
	cleanup_free struct ct_port *v = NULL;
	size_t n;

	if (!publish && !expose)
		return true;
	n = ct_ports(ct, &v);
	for (size_t i = 0; i < n; i++)
		if ((v[i].published &&
		     port_wanted(publish, v[i].published->host_port, v[i].proto)) ||
		    port_wanted(expose, v[i].port, v[i].proto))
			return true;
	return false;
}

static bool matches(struct pick *p, const struct container *ct)
{
	return match_name(p, ct) && match_id(p, ct) && !p->tasks_only &&
	       filter_label_match(p->filters, "label", jget_obj(ct->config, "Labels")) &&
	       match_exited(p, ct) && has_value(p, "status", container_status_name(ct)) &&
	       has_value(p, "health", health_name(ct->st.health)) && match_volume(p, ct) &&
	       match_ancestor(p, ct) && match_network(p, ct) && match_ports(p, ct);
}

int ct_list(const struct ct_list_opts *o, int api_version, struct container ***out, struct err *err)
{
	struct pick p = { 0 };
	struct container **v;
	size_t n = 0;
	int rc;

	(void)api_version;
	map_init(&p.ancestors);
	map_init(&p.images);
	if ((rc = pick_init(&p, o, err)) < 0) {
		pick_fini(&p);
		return rc;
	}
	v = xcalloc(container_count() + 1, sizeof(struct container *));
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		if (p.has_before) { /* what is newer, and itself, is left out */
			p.has_before = ct != p.before;
			continue;
		}
		if (p.has_since && ct == p.since)
			break;
		if (!container_is_running(ct) && !p.all && p.limit == 0)
			continue;
		if (p.limit > 0 && n == (size_t)p.limit)
			break;
		if (matches(&p, ct))
			v[n++] = ct;
	}
	pick_fini(&p);
	*out = v;
	return 0;
}
