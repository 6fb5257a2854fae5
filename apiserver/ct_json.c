/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_json.c - containers as the API shows them: GET /containers/X/json and the rows of GET
 * /containers/json.
 *
 * Design: text goes straight into the reply's buffer. Config and HostConfig are kept as texts
 * (ct_text.h), since they hardly ever change. Members stand in Docker's order, with its nulls and
 * empty objects, for all API versions: newer members do not disturb older clients, and Docker
 * shows them too.
 */
#include "apiserver/ct_json.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_check.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_fields.h"
#include "apiserver/ct_net_json.h"
#include "apiserver/ct_status.h"
#include "apiserver/ct_text.h"
#include "apiserver/engine.h"
#include "apiserver/go_json.h"
#include "apiserver/image_store.h"
#include "apiserver/links.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "map.h"
#include "str.h"

#define GRAPH_DRIVER "overlay2"

static void write_time(struct jw *w, const char *key, int64_t ns)
{
	char text[RFC3339NANO_MAX];

	if (ns == 0) {
		jw_str(w, key, "0001-01-01T00:00:00Z");
		return;
	}
	fmt_rfc3339nano(text, ns);
	jw_str(w, key, text);
}

static void write_zone_path(struct jw *w, const char *key, const struct container *ct,
			    const char *rest)
{
	char path[1024];

	jw_str(w, key, engine ? paths_zone(&engine->paths, ct->uuid, rest, path) : "");
}

/* Docker's names begin with a slash. */
static void write_name(struct jw *w, const char *key, const struct container *ct)
{
	cleanup_free char *name = xasprintf("/%s", ct->name);

	jw_str(w, key, name);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void write_health(struct jw *w, const struct container_state *st)
{
	if (st->health == HEALTH_NONE)
		return;
	jw_obj(w, "Health");
	jw_str(w, "Status", health_name(st->health));
	jw_uint(w, "FailingStreak", st->failing_streak);
	jw_arr(w, "Log");
	for (size_t i = 0; i < st->n_health_log; i++) {
		jw_obj(w, NULL);
		write_time(w, "Start", st->health_log[i].start_ns);
		write_time(w, "End", st->health_log[i].end_ns);
		jw_int(w, "ExitCode", st->health_log[i].exit_code);
		jw_str(w, "Output", st->health_log[i].output ? st->health_log[i].output : "");
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void write_state(struct jw *w, const struct container *ct)
{
	const struct container_state *st = &ct->st;

	jw_obj(w, "State");
	jw_str(w, "Status", container_status_name(ct));
	jw_bool(w, "Running", container_is_running(ct));
	jw_bool(w, "Paused", st->status == CT_PAUSED);
	jw_bool(w, "Restarting", st->status == CT_RESTARTING);
	jw_bool(w, "OOMKilled", st->oom_killed);
	jw_bool(w, "Dead", st->dead || st->status == CT_DEAD);
	jw_int(w, "Pid", st->pid);
	jw_int(w, "ExitCode", st->exit_code);
	jw_str(w, "Error", st->error);
	write_time(w, "StartedAt", st->started_ns);
	write_time(w, "FinishedAt", st->finished_ns);
	write_health(w, st);
	jw_end(w);
}

static void write_command(struct jw *w, const json_t *config)
{
	cleanup_strv char **argv = NULL;

	config_command(config, &argv);
	jw_str(w, "Path", argv[0] ? argv[0] : "");
	jw_arr(w, "Args");
	for (size_t i = 1; argv[0] && argv[i]; i++)
		jw_str(w, NULL, argv[i]);
	jw_end(w);
}

/* Topmost first, as the mount has them. */
static char *lower_dirs(const struct container *ct)
{
	struct err ignored = { 0 };
	struct image *img = NULL;
	struct buf b = BUF_INIT;
	size_t n = 0;

	if (engine && engine->native_layer[0])
		buf_printf(&b, ":%s", engine->native_layer);
	if (image_get(ct->image_id, &img, &ignored) == 0) {
		while (img->layer_dirs && img->layer_dirs[n])
			n++;
		while (n-- > 0)
			buf_printf(&b, ":%s", img->layer_dirs[n]);
		image_unref(img);
	}
	if (engine && engine->base_layer[0])
		buf_printf(&b, ":%s", engine->base_layer);
	if (b.len == 0)
		return xstrdup("");
	buf_consume(&b, 1);
	return buf_steal(&b);
}

static void write_graph_driver(struct jw *w, const struct container *ct)
{
	cleanup_free char *lower = lower_dirs(ct);

	jw_obj(w, "GraphDriver");
	jw_obj(w, "Data");
	jw_str(w, "ID", ct->id);
	jw_str(w, "LowerDir", lower);
	write_zone_path(w, "MergedDir", ct, "root");
	write_zone_path(w, "UpperDir", ct, "diff");
	write_zone_path(w, "WorkDir", ct, "work");
	jw_end(w);
	jw_str(w, "Name", GRAPH_DRIVER);
	jw_end(w);
}

/* What --tmpfs makes is no mount to Docker; a tmpfs of --mount is. */
static void write_mounts(struct jw *w, const struct container *ct)
{
	jw_arr(w, "Mounts");
	for (size_t i = 0; i < ct->mounts.n; i++) {
		const struct ct_mount *m = &ct->mounts.v[i];

		if (str_eq(m->type, "tmpfs") && !m->from_mounts)
			continue;
		jw_obj(w, NULL);
		jw_str(w, "Type", m->type);
		if (!str_empty(m->name))
			jw_str(w, "Name", m->name);
		jw_str(w, "Source", m->source ? m->source : "");
		jw_str(w, "Destination", m->destination);
		if (!str_empty(m->driver))
			jw_str(w, "Driver", m->driver);
		jw_str(w, "Mode", m->mode ? m->mode : "");
		jw_bool(w, "RW", m->rw);
		jw_str(w, "Propagation", m->propagation ? m->propagation : "");
		jw_end(w);
	}
	jw_end(w);
}

/* Links are kept as the user gave them, "db:alias", and shown as "/db:/web/alias". */
static void write_host_config(struct jw *w, const struct container *ct)
{
	cleanup_json json_t *shown = NULL;
	cleanup_free char *text = NULL;

	if (!jhas(ct->host_config, "Links")) {
		jw_raw(w, "HostConfig", container_host_config_text(ct));
		return;
	}
	shown = json_copy(ct->host_config);
	json_object_set_new(shown, "Links", links_shown(ct));
	text = json_dumps(shown, JSON_COMPACT);
	jw_raw(w, "HostConfig", text);
}

/* A MAC address that was asked for is shown in Config too: clients before 1.44 look for it
 * there. */
static void write_config(struct jw *w, const struct container *ct)
{
	const char *mode = jget_str(ct->host_config, "NetworkMode", "");
	cleanup_json json_t *with_mac = NULL;
	cleanup_json json_t *typed = NULL;
	cleanup_free char *text = NULL;
	struct err ignored = { 0 };
	const char *mac = NULL;

	for (size_t i = 0; i < ct->n_endpoints; i++)
		if (str_eq(ct->endpoints[i].network, mode))
			mac = ct->endpoints[i].want_mac;
	if (mac && !jhas(ct->config, "MacAddress")) {
		with_mac = json_copy(ct->config);
		json_object_set_new(with_mac, "MacAddress", json_string(mac));
		if (go_json_decode(&ct_fields_config, with_mac, &typed, &ignored) >= 0)
			text = json_dumps(typed, JSON_COMPACT);
	}
	jw_raw(w, "Config", text ? text : container_config_text(ct));
}

static void write_network_settings(struct jw *w, const struct container *ct, int api_version)
{
	bool own = container_is_running(ct) &&
		   !netmode_is_container(jget_str(ct->host_config, "NetworkMode", ""));
	char path[1024];

	jw_obj(w, "NetworkSettings");
	jw_str(w, "Bridge", "");
	jw_str(w, "SandboxID", own ? ct->id : "");
	jw_str(w, "SandboxKey",
	       own && engine ? paths_zone_run(&engine->paths, ct->uuid, "netns", path) : "");
	write_port_map(w, "Ports", ct);
	jw_bool(w, "HairpinMode", false);
	jw_str(w, "LinkLocalIPv6Address", "");
	jw_int(w, "LinkLocalIPv6PrefixLen", 0);
	jw_null(w, "SecondaryIPAddresses");
	jw_null(w, "SecondaryIPv6Addresses");
	write_default_network(w, ct);
	write_networks(w, "Networks", ct, api_version, true);
	jw_end(w);
}

void ct_json_inspect(const struct container *ct, int api_version, const struct ct_sizes *sizes,
		     struct buf *out)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_str(&w, "Id", ct->id);
	write_time(&w, "Created", ct->created_ns);
	write_command(&w, ct->config);
	write_state(&w, ct);
	jw_str(&w, "Image", ct->image_id);
	write_zone_path(&w, "ResolvConfPath", ct, "config/resolv.conf");
	write_zone_path(&w, "HostnamePath", ct, "config/hostname");
	write_zone_path(&w, "HostsPath", ct, "config/hosts");
	if (strcmp(jget_str(jget_obj(ct->host_config, "LogConfig"), "Type", ""), "none") == 0)
		jw_str(&w, "LogPath", "");
	else
		write_zone_path(&w, "LogPath", ct, "logs/stdio.log");
	write_name(&w, "Name", ct);
	jw_uint(&w, "RestartCount", ct->st.restart_count);
	jw_str(&w, "Driver", GRAPH_DRIVER);
	jw_str(&w, "Platform", ct->platform_os);
	jw_str(&w, "MountLabel", "");
	jw_str(&w, "ProcessLabel", "");
	jw_str(&w, "AppArmorProfile", "");
	if (ct->exec_ids && ct->exec_ids[0]) {
		jw_arr(&w, "ExecIDs");
		for (char **id = ct->exec_ids; *id; id++)
			jw_str(&w, NULL, *id);
		jw_end(&w);
	} else {
		jw_null(&w, "ExecIDs");
	}
	write_host_config(&w, ct);
	write_graph_driver(&w, ct);
	if (sizes) {
		jw_int(&w, "SizeRw", sizes->rw);
		jw_int(&w, "SizeRootFs", sizes->root_fs);
	}
	write_mounts(&w, ct);
	write_config(&w, ct);
	write_network_settings(&w, ct, api_version);
	jw_end(&w);
}

/* ---- list ------------------------------------------------------------------------------------ */

/* The command as one line: arguments with a space in quotes. */
static void write_command_line(struct jw *w, const json_t *config)
{
	cleanup_buf struct buf b = BUF_INIT;
	json_t *lists[] = { jget_arr(config, "Entrypoint"), jget_arr(config, "Cmd") };
	bool first = true;
	json_t *item;
	size_t i;

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		json_array_foreach (lists[l], i, item) {
			const char *word = json_string_value(item);

			if (!first)
				buf_printf(&b, strchr(word, ' ') ? " '%s'" : " %s", word);
			else
				buf_addstr(&b, word);
			first = false;
		}
	}
	jw_str(w, "Command", buf_str(&b));
}

static void write_labels(struct jw *w, const json_t *config)
{
	const char *key;
	json_t *v;

	jw_obj(w, "Labels");
	json_object_foreach (jget_obj(config, "Labels"), key, v)
		jw_str(w, key, json_string_value(v));
	jw_end(w);
}

/* Facts that many rows share, worked out once per list. */
struct list_facts {
	int64_t now;
	int api_version;
	struct map image_ids; /* reference -> id that it means now (owned), "" if it means none */
	struct map aliases;   /* container id -> vector of "/parent/alias" */
};

static void free_strv(void *p)
{
	strv_free(p);
}

/* Names that other containers' links give: Docker lists them among a container's own. */
static void collect_aliases(struct list_facts *f)
{
	struct link l;

	for (const struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		for (size_t i = 0; link_at(ct, i, &l); i++) {
			cleanup_free char *alias = xasprintf("/%s/%s", ct->name, l.alias);
			char **v;

			if (!l.other)
				continue;
			v = map_get(&f->aliases, l.other->id);
			strv_add(&v, alias);
			map_set(&f->aliases, l.other->id, v);
		}
	}
}

/* The reference that the user gave, as long as it still means the container's image; else the
 * image's id. */
static const char *shown_image(struct list_facts *f, const struct container *ct)
{
	const char *ref = jget_str(ct->config, "Image", "");
	struct err ignored = { 0 };
	struct image *img = NULL;
	char *id;

	if (!ct->image_id[0] || strcmp(ref, ct->image_id) == 0)
		return ref;
	if (!(id = map_get(&f->image_ids, ref))) {
		id = xstrdup(image_get(ref, &img, &ignored) == 0 ? img->id : "");
		image_unref(img);
		map_set(&f->image_ids, ref, id);
	}
	return strcmp(id, ct->image_id) == 0 ? ref : ct->image_id;
}

static void write_names(struct jw *w, struct list_facts *f, const struct container *ct)
{
	char **aliases = map_get(&f->aliases, ct->id);

	jw_arr(w, "Names");
	write_name(w, NULL, ct);
	for (size_t i = 0; aliases && aliases[i]; i++)
		jw_str(w, NULL, aliases[i]);
	jw_end(w);
}

static void write_row_host_config(struct jw *w, const struct container *ct, int api_version)
{
	const char *key;
	json_t *v;

	jw_obj(w, "HostConfig");
	jw_str(w, "NetworkMode", jget_str(ct->host_config, "NetworkMode", ""));
	if (api_version >= 146 && jhas(ct->host_config, "Annotations")) {
		jw_obj(w, "Annotations");
		json_object_foreach (jget_obj(ct->host_config, "Annotations"), key, v)
			jw_str(w, key, json_string_value(v));
		jw_end(w);
	}
	jw_end(w);
}

static void write_row(struct jw *w, struct list_facts *f, const struct container *ct,
		      const struct ct_sizes *size)
{
	cleanup_buf struct buf status = BUF_INIT;

	jw_obj(w, NULL);
	jw_str(w, "Id", ct->id);
	write_names(w, f, ct);
	jw_str(w, "Image", shown_image(f, ct));
	jw_str(w, "ImageID", ct->image_id);
	write_command_line(w, ct->config);
	jw_int(w, "Created", ct->created_ns / INT64_C(1000000000));
	write_port_list(w, "Ports", ct);
	if (size && size->rw)
		jw_int(w, "SizeRw", size->rw);
	if (size && size->root_fs)
		jw_int(w, "SizeRootFs", size->root_fs);
	write_labels(w, ct->config);
	jw_str(w, "State", container_status_name(ct));
	ct_status_text_at(ct, f->now, &status);
	jw_str(w, "Status", buf_str(&status));
	write_row_host_config(w, ct, f->api_version);
	jw_obj(w, "NetworkSettings");
	write_networks(w, "Networks", ct, f->api_version, false);
	jw_end(w);
	write_mounts(w, ct);
	jw_end(w);
}

void ct_json_list(struct container *const *cts, const struct ct_sizes *sizes, int api_version,
		  struct buf *out)
{
	struct list_facts f = { .now = now_ns(), .api_version = api_version };
	struct jw w = JW(out);

	map_init(&f.image_ids);
	map_init(&f.aliases);
	collect_aliases(&f);
	jw_arr(&w, NULL);
	for (size_t i = 0; cts[i]; i++)
		write_row(&w, &f, cts[i], sizes ? &sizes[i] : NULL);
	jw_end(&w);
	map_fini(&f.image_ids, free);
	map_fini(&f.aliases, free_strv);
}
