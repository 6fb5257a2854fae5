/* SPDX-License-Identifier: MPL-2.0
 *
 * links.c - see links.h.
 *
 * A link is an object {alias, id, name} in the array "links" of the container's extra: by id, so that it survives
 * renames. HostConfig.Links stays as the user gave it.
 */
#include "links.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ct_check.h"
#include "jget.h"
#include "link_env.h"
#include "network.h"
#include "str.h"

/* ---- the record ------------------------------------------------------------------------------ */

/* Who is meant: of a container in another's network, that other. */
static struct container *find_target(const char *name, struct err *err)
{
	struct container *ct = container_find(name, err);
	const char *mode;

	for (unsigned i = 0; ct && i < 16; i++) {
		mode = jget_str(ct->host_config, "NetworkMode", "");
		if (!netmode_is_container(mode))
			break;
		ct = container_find(mode + strlen("container:"), err);
	}
	return ct;
}

/* A second link by the same alias is none, as in Docker. */
static bool has_alias(const json_t *list, const char *alias)
{
	json_t *o;
	size_t i;

	json_array_foreach (list, i, o)
		if (str_eq(jget_str(o, "alias", ""), alias))
			return true;
	return false;
}

static int add_link(json_t *list, const char *text, struct err *err)
{
	cleanup_free char *name = xstrndup(text, strcspn(text, ":"));
	const char *colon = strchr(text, ':'), *alias = colon ? colon + 1 : name;
	struct err why = { 0 };
	const struct container *other = find_target(name, &why);

	if (!other)
		return err_kind(err, ERR_BAD_PARAM, "could not get container for %s: %s", name, why.msg);
	if (str_eq(jget_str(other->host_config, "NetworkMode", ""), "host"))
		return err_kind(err, ERR_BAD_PARAM,
				"conflicting options: host type networking can't be used with links. This would "
				"result in undefined behavior");
	while (*alias == '/')
		alias++;
	if (*alias && !has_alias(list, alias))
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "alias", alias, "id", other->id,
						      "name", other->name));
	return 0;
}

int links_make(const json_t *host_config, json_t **extra, struct err *err)
{
	cleanup_json json_t *list = json_array();
	json_t *item;
	size_t i;
	int rc;

	if (netmode_is_user_defined(jget_str(host_config, "NetworkMode", "")))
		return 0;
	json_array_foreach (jget_arr(host_config, "Links"), i, item)
		if ((rc = add_link(list, json_string_value(item), err)) < 0)
			return rc;
	if (!json_array_size(list))
		return 0;
	if (!*extra)
		*extra = json_object();
	json_object_set(*extra, "links", list);
	return 0;
}

bool link_at(const struct container *ct, size_t i, struct link *out)
{
	const json_t *o = json_array_get(jget_arr(ct->extra, "links"), i);

	if (!o)
		return false;
	*out = (struct link){
		.alias = jget_str(o, "alias", ""),
		.name = jget_str(o, "name", ""),
		.other = container_by_id(jget_str(o, "id", "")),
	};
	return true;
}

bool link_del(struct container *ct, const char *alias)
{
	struct link l;

	for (size_t i = 0; link_at(ct, i, &l); i++)
		if (str_eq(l.alias, alias))
			return json_array_remove(jget_arr(ct->extra, "links"), i) == 0;
	return false;
}

struct container *link_find(const struct container *parent, const char *alias)
{
	struct link l;

	for (size_t i = 0; link_at(parent, i, &l); i++)
		if (str_eq(l.alias, alias))
			return l.other;
	return NULL;
}

json_t *links_shown(const struct container *ct)
{
	json_t *list = json_array();
	struct link l;

	for (size_t i = 0; link_at(ct, i, &l); i++)
		json_array_append_new(list, json_sprintf("/%s:/%s/%s", l.other ? l.other->name : l.name,
							 ct->name, l.alias));
	if (json_array_size(list))
		return list;
	json_decref(list);
	return json_null();
}

/* ---- at a start ------------------------------------------------------------------------------ */

static const struct endpoint *on_bridge(const struct container *ct)
{
	for (size_t i = 0; i < ct->n_endpoints; i++)
		if (str_eq(ct->endpoints[i].network, "bridge") || str_eq(ct->endpoints[i].network, "default"))
			return &ct->endpoints[i];
	return NULL;
}

static void add_hosts(json_t *hosts, const struct link *l, const struct endpoint *ep)
{
	const char *ips[] = { ep->ip, ep->ip6 };

	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		json_t *line;

		if (!ips[i][0])
			continue;
		line = json_pack("[s, s, s]", ips[i], l->alias, jget_str(l->other->config, "Hostname", ""));
		if (!str_eq(l->alias, l->other->name))
			json_array_append_new(line, json_string(l->other->name));
		json_array_append_new(hosts, line);
	}
}

static int resolve_one(const struct container *ct, const struct link *l, char ***env, json_t *hosts,
		       struct err *err)
{
	cleanup_free char *full = xasprintf("/%s/%s", ct->name, l->alias);
	const struct endpoint *ep = l->other ? on_bridge(l->other) : NULL;

	if (l->other && !ep)
		return err_kind(err, ERR_SYSTEM,
				"Cannot link to /%s, as it does not belong to the default network",
				l->other->name);
	if (!l->other || !container_is_running(l->other))
		return err_kind(err, ERR_SYSTEM, "Cannot link to a non running container: /%s AS %s",
				l->other ? l->other->name : l->name, full);
	link_env_add(env, full, ep->ip, jget_obj(l->other->config, "ExposedPorts"),
		     jget_arr(l->other->config, "Env"));
	add_hosts(hosts, l, ep);
	return 0;
}

static void keep(json_t **extra, const char *key, json_t *list)
{
	if (json_array_size(list)) {
		if (!*extra)
			*extra = json_object();
		json_object_set(*extra, key, list);
	} else if (*extra) {
		json_object_del(*extra, key);
	}
}

int links_resolve(struct container *ct, struct ct_spec *spec, struct err *err)
{
	cleanup_json json_t *vars = json_array(), *hosts = json_array();
	cleanup_strv char **env = NULL;
	struct link l;
	int rc;

	for (size_t i = 0; on_bridge(ct) && link_at(ct, i, &l); i++)
		if ((rc = resolve_one(ct, &l, &env, hosts, err)) < 0)
			return rc;
	for (char **v = env; v && *v; v++)
		json_array_append_new(vars, json_string(*v));
	keep(&ct->extra, "link_env", vars);
	keep(&ct->extra, "link_hosts", hosts);
	json_decref(spec->extra);
	spec->extra = ct->extra ? json_deep_copy(ct->extra) : NULL;
	return 0;
}

size_t links_to(const struct container *ct, struct link_move **out)
{
	struct link l;
	size_t n = 0;

	*out = NULL;
	for (const struct container *web = container_first(); web; web = web->next_by_age) {
		if (!container_is_running(web))
			continue;
		for (size_t i = 0; link_at(web, i, &l); i++) {
			if (l.other != ct)
				continue;
			*out = xrealloc(*out, (n + 1) * sizeof(**out));
			memcpy((*out)[n].uuid, web->uuid, sizeof((*out)[n].uuid));
			(*out)[n++].alias = xstrdup(l.alias);
		}
	}
	return n;
}

void link_moves_free(struct link_move *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].alias);
	free(v);
}
