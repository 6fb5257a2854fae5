/* SPDX-License-Identifier: MPL-2.0
 *
 * route.c - THE TABLE: every endpoint of the API, its method, path and handler.
 *
 * Paths are matched after decoding and without /vX.Y. {name} takes any non-empty text, slashes
 * included, up to what follows it in the pattern (Docker's {name:.*}: image names have slashes), so
 * fixed paths stand before those with a variable. No pattern has more than one variable. With
 * NAME_CAN_BE_EMPTY the handler says what is wrong with an empty name, as Docker's do.
 *
 * What is not here is 404 "page not found", also a wrong method, as with Docker.
 *
 * The admin socket (operators: service metadata as SAPI has it, metrics) and the address of the metrics have tables of their own.
 *
 * To extend: a row here, a line in route.h, the handler in its api_*.c.
 */
#include "route.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "client.h"
#include "go_syntax.h"
#include "reply.h"
#include "str.h"

#define JSON_TYPE "application/json"

struct route {
	const char *method, *pattern;
	route_handler *handler;
	unsigned flags;
};

static route_handler handle_swarm_inactive, handle_swarm_join, handle_swarm_leave,
	handle_checkpoint, handle_options;

/* clang-format off */
static const struct route routes[] = {
	{ "GET",    "/_ping",                        handle_ping, 0 },
	{ "HEAD",   "/_ping",                        handle_ping, 0 },
	{ "GET",    "/version",                      handle_version, 0 },
	{ "GET",    "/info",                         handle_info, 0 },
	{ "GET",    "/events",                       handle_events, 0 },
	{ "GET",    "/system/df",                    handle_system_df, 0 },
	{ "POST",   "/auth",                         handle_auth, BODY_JSON },

	{ "GET",    "/containers/json",              handle_container_list, 0 },
	{ "GET",    "/containers/{name}/json",       handle_container_inspect, 0 },
	{ "GET",    "/containers/{name}/top",        handle_container_top, 0 },
	{ "GET",    "/containers/{name}/logs",       handle_container_logs, 0 },
	{ "GET",    "/containers/{name}/stats",      handle_container_stats, 0 },
	{ "GET",    "/containers/{name}/changes",    handle_container_changes, 0 },
	{ "GET",    "/containers/{name}/export",     handle_container_export, 0 },
	{ "GET",    "/containers/{name}/attach/ws",  handle_container_attach_ws, 0 },
	{ "GET",    "/containers/{name}/archive",    handle_archive_get, 0 },
	{ "HEAD",   "/containers/{name}/archive",    handle_archive_head, 0 },
	{ "PUT",    "/containers/{name}/archive",    handle_archive_put, BODY_STREAM },
	{ "POST",   "/containers/create",            handle_container_create, BODY_JSON },
	{ "POST",   "/containers/prune",             handle_container_prune, 0 },
	{ "POST",   "/containers/{name}/start",      handle_container_start, 0 },
	{ "POST",   "/containers/{name}/stop",       handle_container_stop, 0 },
	{ "POST",   "/containers/{name}/restart",    handle_container_restart, 0 },
	{ "POST",   "/containers/{name}/kill",       handle_container_kill, 0 },
	{ "POST",   "/containers/{name}/pause",      handle_container_pause, 0 },
	{ "POST",   "/containers/{name}/unpause",    handle_container_unpause, 0 },
	{ "POST",   "/containers/{name}/wait",       handle_container_wait, 0 },
	{ "POST",   "/containers/{name}/resize",     handle_container_resize, 0 },
	{ "POST",   "/containers/{name}/attach",     handle_container_attach, 0 },
	{ "POST",   "/containers/{name}/rename",     handle_container_rename, 0 },
	{ "POST",   "/containers/{name}/update",     handle_container_update, BODY_JSON },
	{ "POST",   "/containers/{name}/exec",       handle_exec_create, BODY_JSON },
	{ "GET",    "/containers/{name}/checkpoints", handle_checkpoint, 0 },
	{ "POST",   "/containers/{name}/checkpoints", handle_checkpoint, 0 },
	{ "DELETE", "/containers/{name}",            handle_container_remove, NAME_CAN_BE_EMPTY },

	{ "POST",   "/exec/{name}/start",            handle_exec_start, BODY_JSON },
	{ "POST",   "/exec/{name}/resize",           handle_exec_resize, 0 },
	{ "GET",    "/exec/{name}/json",             handle_exec_inspect, 0 },

	{ "GET",    "/images/json",                  handle_image_list, 0 },
	{ "GET",    "/images/search",                handle_image_search, 0 },
	{ "GET",    "/images/get",                   handle_image_save, 0 },
	{ "GET",    "/images/{name}/get",            handle_image_save_one, 0 },
	{ "GET",    "/images/{name}/history",        handle_image_history, 0 },
	{ "GET",    "/images/{name}/json",           handle_image_inspect, 0 },
	{ "POST",   "/images/create",                handle_image_create, BODY_STREAM },
	{ "POST",   "/images/load",                  handle_image_load, BODY_STREAM },
	{ "POST",   "/images/prune",                 handle_image_prune, 0 },
	{ "POST",   "/images/{name}/push",           handle_image_push, 0 },
	{ "POST",   "/images/{name}/tag",            handle_image_tag, 0 },
	{ "DELETE", "/images/{name}",                handle_image_remove, NAME_CAN_BE_EMPTY },
	{ "POST",   "/commit",                       handle_commit, BODY_JSON },
	{ "POST",   "/build",                        handle_build, BODY_STREAM },
	{ "POST",   "/session",                      handle_buildkit, 0 },
	{ "POST",   "/grpc",                         handle_buildkit, 0 },
	{ "POST",   "/build/cancel",                 handle_build_cancel, 0 },
	{ "POST",   "/build/prune",                  handle_build_prune, 0 },
	{ "GET",    "/distribution/{name}/json",     handle_distribution_inspect, 0 },

	{ "GET",    "/networks",                     handle_network_list, 0 },
	{ "GET",    "/networks/",                    handle_network_list, 0 },
	{ "GET",    "/networks/{name}",              handle_network_inspect, 0 },
	{ "POST",   "/networks/create",              handle_network_create, BODY_JSON },
	{ "POST",   "/networks/prune",               handle_network_prune, 0 },
	{ "POST",   "/networks/{name}/connect",      handle_network_connect, BODY_JSON },
	{ "POST",   "/networks/{name}/disconnect",   handle_network_disconnect, BODY_JSON },
	{ "DELETE", "/networks/{name}",              handle_network_remove, 0 },

	{ "GET",    "/volumes",                      handle_volume_list, 0 },
	{ "GET",    "/volumes/{name}",               handle_volume_inspect, NAME_CAN_BE_EMPTY },
	{ "POST",   "/volumes/create",               handle_volume_create, BODY_JSON },
	{ "POST",   "/volumes/prune",                handle_volume_prune, 0 },
	{ "PUT",    "/volumes/{name}",               handle_volume_update, NAME_CAN_BE_EMPTY },
	{ "DELETE", "/volumes/{name}",               handle_volume_remove, NAME_CAN_BE_EMPTY },

	{ "GET",    "/plugins",                      handle_plugin_list, 0 },
	{ "GET",    "/plugins/privileges",           handle_plugin_install, 0 },
	{ "POST",   "/plugins/pull",                 handle_plugin_install, 0 },
	{ "POST",   "/plugins/create",               handle_plugin_install, 0 },
	{ "GET",    "/plugins/{name}/json",          handle_plugin_named, 0 },
	{ "POST",   "/plugins/{name}/enable",        handle_plugin_named, 0 },
	{ "POST",   "/plugins/{name}/disable",       handle_plugin_named, 0 },
	{ "POST",   "/plugins/{name}/push",          handle_plugin_named, 0 },
	{ "POST",   "/plugins/{name}/upgrade",       handle_plugin_named, 0 },
	{ "POST",   "/plugins/{name}/set",           handle_plugin_named, 0 },
	{ "DELETE", "/plugins/{name}",               handle_plugin_named, NAME_CAN_BE_EMPTY },

	{ "GET",    "/swarm",                        handle_swarm_inactive, 0 },
	{ "POST",   "/swarm/init",                   handle_swarm_join, 0 },
	{ "POST",   "/swarm/join",                   handle_swarm_join, 0 },
	{ "POST",   "/swarm/leave",                  handle_swarm_leave, 0 },
	{ "POST",   "/swarm/update",                 handle_swarm_inactive, 0 },
	{ "GET",    "/swarm/unlockkey",              handle_swarm_inactive, 0 },
	{ "POST",   "/swarm/unlock",                 handle_swarm_inactive, 0 },
	{ "GET",    "/nodes",                        handle_swarm_inactive, 0 },
	{ "GET",    "/nodes/{name}",                 handle_swarm_inactive, 0 },
	{ "POST",   "/nodes/{name}/update",          handle_swarm_inactive, 0 },
	{ "DELETE", "/nodes/{name}",                 handle_swarm_inactive, 0 },
	{ "GET",    "/services",                     handle_swarm_inactive, 0 },
	{ "POST",   "/services/create",              handle_swarm_inactive, 0 },
	{ "GET",    "/services/{name}/logs",         handle_swarm_inactive, 0 },
	{ "GET",    "/services/{name}",              handle_swarm_inactive, 0 },
	{ "POST",   "/services/{name}/update",       handle_swarm_inactive, 0 },
	{ "DELETE", "/services/{name}",              handle_swarm_inactive, 0 },
	{ "GET",    "/tasks",                        handle_swarm_inactive, 0 },
	{ "GET",    "/tasks/{name}/logs",            handle_swarm_inactive, 0 },
	{ "GET",    "/tasks/{name}",                 handle_swarm_inactive, 0 },
	{ "GET",    "/secrets",                      handle_swarm_inactive, 0 },
	{ "POST",   "/secrets/create",               handle_swarm_inactive, 0 },
	{ "GET",    "/secrets/{name}",               handle_swarm_inactive, 0 },
	{ "POST",   "/secrets/{name}/update",        handle_swarm_inactive, 0 },
	{ "DELETE", "/secrets/{name}",               handle_swarm_inactive, 0 },
	{ "GET",    "/configs",                      handle_swarm_inactive, 0 },
	{ "POST",   "/configs/create",               handle_swarm_inactive, 0 },
	{ "GET",    "/configs/{name}",               handle_swarm_inactive, 0 },
	{ "POST",   "/configs/{name}/update",        handle_swarm_inactive, 0 },
	{ "DELETE", "/configs/{name}",               handle_swarm_inactive, 0 },

	{ "OPTIONS", "/{name}",                      handle_options, 0 },
};

static const struct route admin_routes[] = {
	{ "GET",    "/_ping",                        handle_ping, 0 },
	{ "GET",    "/ping",                         handle_ping, 0 },
	{ "GET",    "/services",                     handle_service_list, 0 },
	{ "GET",    "/services/{name}",              handle_service_get, 0 },
	{ "PUT",    "/services/{name}",              handle_service_put, 0 },
	{ "GET",    "/metrics",                      handle_metrics, 0 },
};

static const struct route metrics_routes[] = {
	{ "GET",    "/metrics",                      handle_metrics, 0 },
};
/* clang-format on */

/* Of each pattern: the bytes before the variable (all without one), and what is behind it. */
static struct shape {
	size_t n_prefix;
	const char *suffix; /* NULL without a variable */
	size_t n_suffix;
} shapes[ARRAY_SIZE(routes)], admin_shapes[ARRAY_SIZE(admin_routes)], metrics_shapes[ARRAY_SIZE(metrics_routes)];

static const struct table {
	const struct route *rows;
	struct shape *shapes;
	size_t n;
} tables[] = { [FACE_API] = { routes, shapes, ARRAY_SIZE(routes) },
	       [FACE_ADMIN] = { admin_routes, admin_shapes, ARRAY_SIZE(admin_routes) },
	       [FACE_METRICS] = { metrics_routes, metrics_shapes, ARRAY_SIZE(metrics_routes) } };

static void handle_swarm_inactive(struct req *r)
{
	reply_error_status(
		req_id(r), 503,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "
		"join\" to connect this node to swarm and try again.");
}

static void handle_swarm_join(struct req *r)
{
	reply_error_status(req_id(r), 501, "swarm mode is not supported by this engine");
}

static void handle_swarm_leave(struct req *r)
{
	reply_error_status(req_id(r), 503, "This node is not part of a swarm");
}

static void handle_checkpoint(struct req *r)
{
	reply_error_status(req_id(r), 501, "checkpoints are not supported by this engine");
}

static void handle_options(struct req *r)
{
	reply_empty(req_id(r), 200);
}

static void shape_all(const struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const char *pattern = t->rows[i].pattern, *var = strchr(pattern, '{');
		struct shape *sh = &t->shapes[i];

		sh->n_prefix = var ? (size_t)(var - pattern) : strlen(pattern);
		sh->suffix = var ? strchr(var, '}') + 1 : NULL;
		sh->n_suffix = var ? strlen(sh->suffix) : 0;
	}
}

int route_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		shape_all(&tables[i]);
	return 0;
}

/* The variable's place in path, when it matches. */
static bool matches(const struct table *t, size_t i, const char *path, size_t len,
		    const char **var, size_t *n_var)
{
	const struct shape *sh = &t->shapes[i];

	if (len < sh->n_prefix + sh->n_suffix ||
	    memcmp(path, t->rows[i].pattern, sh->n_prefix) != 0)
		return false;
	*var = path + sh->n_prefix;
	*n_var = len - sh->n_prefix - sh->n_suffix;
	if (!sh->suffix)
		return *n_var == 0;
	if (*n_var == 0 && !(t->rows[i].flags & NAME_CAN_BE_EMPTY))
		return false;
	return memcmp(path + len - sh->n_suffix, sh->suffix, sh->n_suffix) == 0;
}

int route_match(struct req *r)
{
	const struct table *t = &tables[r->client->face];
	const char *path = buf_str(&r->path), *method = req_method(r), *var;
	size_t len = r->path.len, n_var;

	for (size_t i = 0; i < t->n; i++) {
		const struct route *row = &t->rows[i];

		/* the second byte tells most of them apart */
		if (len > 1 && row->pattern[1] != path[1] && row->pattern[1] != '{')
			continue;
		if (!matches(t, i, path, len, &var, &n_var) || strcmp(method, row->method) != 0)
			continue;
		r->route = row;
		buf_add(&r->var, var, n_var);
		return 0;
	}
	if (str_eq(method, "OPTIONS")) /* as Docker: any path */
		reply_empty(r->id, 200);
	else
		reply_error_status(r->id, 404, "page not found");
	return -1;
}

unsigned route_flags(const struct route *rt)
{
	return rt ? rt->flags : 0;
}

static size_t token_len(const char *s)
{
	return strcspn(s, " \t()<>@,;:\\\"/[]?=");
}

/* What follows the media type: "; name=value", the value a token or in quotes (RFC 2045, 5.1); an end with
 * ";" passes, as with Go. */
static bool has_good_params(const char *s)
{
	for (;;) {
		size_t n;

		s += strspn(s, " \t");
		if (!*s)
			return true;
		if (*s++ != ';')
			return false;
		s += strspn(s, " \t");
		if (!*s)
			return true;
		if ((n = token_len(s)) == 0 || s[n] != '=')
			return false;
		s += n + 1;
		if (*s == '"') {
			for (s++; *s && *s != '"'; s++)
				if (*s == '\\' && s[1])
					s++;
			if (*s++ != '"')
				return false;
		} else if ((n = token_len(s)) == 0) {
			return false;
		} else {
			s += n;
		}
	}
}

/* As Docker: a body is JSON and says so. */
static bool is_json_or_replied(struct req *r)
{
	const char *type = req_header(r, "content-type");
	const char *word = type ? type + strspn(type, " \t") : "";
	size_t len = strcspn(word, "; \t");
	cleanup_free char *text = NULL;

	if (!r->body.len)
		return true;
	if (len == 0)
		text = xasprintf("malformed Content-Type header (%s): mime: no media type", word);
	else if (!has_good_params(word + len))
		text = xasprintf("malformed Content-Type header (%s): mime: invalid media parameter", word);
	else if (len == strlen(JSON_TYPE) && strncasecmp(word, JSON_TYPE, len) == 0)
		return true;
	else
		text = xasprintf("unsupported Content-Type header (%s): must be '" JSON_TYPE "'", word);
	reply_error_status(r->id, 400, text);
	return false;
}

/* Before anything that it names is looked for, as Docker does; an empty body is the handler's. */
static bool parses_or_replied(struct req *r)
{
	cleanup_free char *text = NULL;
	char why[160];

	if (strspn(buf_str(&r->body), " \t\r\n") == r->body.len)
		return true;
	switch (go_syntax_check(r->body.p, r->body.len, why)) {
	case GO_SYNTAX_OK:
		return true;
	case GO_SYNTAX_BAD:
		text = xasprintf("invalid JSON: %s", why);
		break;
	case GO_SYNTAX_MORE:
		text = xstrdup("unexpected content after JSON");
		break;
	}
	reply_error_status(r->id, 400, text);
	return false;
}

void route_call(struct req *r)
{
	if (req_query_overflows(r))
		reply_error_status(r->id, 400, "too many query parameters");
	else if (!(r->route->flags & BODY_JSON) || (is_json_or_replied(r) && parses_or_replied(r)))
		r->route->handler(r);
}

const char *route_pattern(const struct route *rt)
{
	return rt ? rt->pattern : "-";
}
