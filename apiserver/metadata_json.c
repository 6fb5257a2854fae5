/* SPDX-License-Identifier: MPL-2.0
 *
 * metadata_json.c - metadata.json: every key that a zone can ask its metadata socket for, string to
 * string. docker:* steer dockerinit; sdc:* are facts about the zone, as Triton's guests know them.
 */
#define LOG_MODULE "oci"
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "oci_priv.h"
#include "str.h"

static void put_bool(struct jw *w, const char *key, bool v)
{
	jw_str(w, key, v ? "true" : "false");
}

static void put_int(struct jw *w, const char *key, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	jw_str(w, key, text);
}

static void put_json(struct jw *w, const char *key, const json_t *v, const char *if_null)
{
	cleanup_free char *text = NULL;

	if (v && !json_is_null(v))
		text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	jw_str(w, key, text ? text : if_null);
}

static void put_strv(struct jw *w, const char *key, char *const *v)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw inner = JW(&b);
	size_t i;

	jw_arr(&inner, NULL);
	for (i = 0; v && v[i]; i++)
		jw_str(&inner, NULL, v[i]);
	jw_end(&inner);
	jw_strn(w, key, b.p, b.len);
}

/* An array, null, or (old clients) one string; after the operator's init where there is one. */
static void put_command(struct jw *w, const char *key, const json_t *v, bool with_init)
{
	cleanup_json json_t *arr = json_array();

	if (with_init) {
		json_array_append_new(arr, json_string(ZONE_INIT_PATH));
		json_array_append_new(arr, json_string("--"));
	}
	if (json_is_string(v))
		json_array_append(arr, (json_t *)v);
	else if (json_is_array(v))
		json_array_extend(arr, (json_t *)v);
	put_json(w, key, arr, "[]");
}

static void put_process(const struct oci_ctx *o, struct jw *w)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw inner = JW(&b);

	jw_obj(&inner, NULL);
	oci_process_members(o, &inner);
	jw_bool(&inner, "init", o->init && !o->init_path);
	jw_end(&inner);
	jw_strn(w, "docker:process", b.p, b.len);
}

static bool env_has(char *const *env, const char *key)
{
	size_t n = strlen(key);

	for (; env && *env; env++)
		if (strncmp(*env, key, n) == 0 && (*env)[n] == '=')
			return true;
	return false;
}

/* The environment, then the names alone that are to be unset: dockerinit has defaults of its own. */
static char **command_env(const struct oci_ctx *o)
{
	const json_t *conf = jget_arr(o->cfg, "Env");
	char **env = oci_env(o, NULL);
	const char *s;

	for (size_t i = 0; i < json_array_size(conf); i++) {
		s = json_string_value(json_array_get(conf, i));
		if (s && *s && !strchr(s, '=') && !env_has(env, s))
			strv_add(&env, s);
	}
	return env;
}

static void docker_command_keys(const struct oci_ctx *o, struct jw *w)
{
	cleanup_strv char **env = command_env(o);

	jw_str(w, "docker:id", o->spec->id);
	put_command(w, "docker:cmd", json_object_get(o->cfg, "Cmd"), false);
	put_command(w, "docker:entrypoint", json_object_get(o->cfg, "Entrypoint"),
		    o->init_path != NULL);
	put_strv(w, "docker:env", env);
	jw_str(w, "docker:user", jget_str(o->cfg, "User", ""));
	jw_str(w, "docker:workdir", jget_str(o->cfg, "WorkingDir", ""));
	put_bool(w, "docker:tty", o->tty);
	put_bool(w, "docker:open_stdin", jget_bool(o->cfg, "OpenStdin", false));
	put_bool(w, "docker:attach_stdin", jget_bool(o->cfg, "AttachStdin", false));
	put_bool(w, "docker:attach_stdout", jget_bool(o->cfg, "AttachStdout", false));
	put_bool(w, "docker:attach_stderr", jget_bool(o->cfg, "AttachStderr", false));
	jw_str(w, "docker:imageid", o->spec->image_id);
	jw_str(w, "docker:imagename", o->spec->image_ref ? o->spec->image_ref : "");
	put_process(o, w);
}

static void restart_policy(const struct oci_ctx *o, struct jw *w)
{
	const json_t *rp = jget_obj(o->hc, "RestartPolicy");
	const char *name = jget_str(rp, "Name", "");
	int64_t max = jget_int(rp, "MaximumRetryCount", 0);
	char text[64];

	if (str_empty(name) || str_eq(name, "no"))
		return;
	if (str_eq(name, "on-failure") && max > 0)
		snprintf(text, sizeof(text), "on-failure:%lld", (long long)max);
	else
		snprintf(text, sizeof(text), "%.32s", name);
	jw_str(w, "docker:restartpolicy", text);
}

/* Links: the other zones' addresses are in /etc/hosts; here who they are. */
static void links(const struct oci_ctx *o, struct jw *w)
{
	put_json(w, "docker:linkEnv", json_object_get(o->spec->extra, "link_env"), "[]");
	put_json(w, "docker:linkHosts", json_object_get(o->hc, "Links"), "[]");
	put_json(w, "docker:extraHosts", json_object_get(o->hc, "ExtraHosts"), "[]");
	put_json(w, "docker:dnssearch", json_object_get(o->hc, "DnsSearch"), "[]");
}

static void docker_mounts(const struct oci_ctx *o, struct jw *w)
{
	cleanup_buf struct buf host = BUF_INIT;
	struct jw hw = JW(&host);
	const struct ct_mount *m;
	size_t i;

	jw_arr(&hw, NULL);
	for (i = 0; i < o->spec->mounts.n; i++) {
		m = &o->spec->mounts.v[i];
		if (str_eq(m->type, "tmpfs"))
			continue;
		jw_obj(&hw, NULL);
		jw_str(&hw, "type", m->type);
		if (m->name)
			jw_str(&hw, "name", m->name);
		jw_str(&hw, "mountpoint", m->destination);
		jw_bool(&hw, "readonly", !m->rw);
		jw_end(&hw);
	}
	jw_end(&hw);
	jw_strn(w, "docker:hostvolumes", host.p, host.len);
	jw_str(w, "docker:nfsvolumes", "[]");
	jw_strn(w, "sdc:volumes", host.p, host.len);
	put_json(w, "docker:volumesfrom", json_object_get(o->hc, "VolumesFrom"), "[]");
}

static void docker_other_keys(const struct oci_ctx *o, struct jw *w)
{
	const json_t *lc = jget_obj(o->hc, "LogConfig"), *labels = jget_obj(o->cfg, "Labels");
	const char *key;
	char name[512];
	json_t *val;

	jw_str(w, "docker:logdriver", jget_str(lc, "Type", "json-file"));
	put_json(w, "docker:logconfig", json_object_get(lc, "Config"), "{}");
	restart_policy(o, w);
	put_int(w, "docker:restartcount", o->spec->st.restart_count);
	links(o, w);
	docker_mounts(o, w);
	put_bool(w, "docker:publish_all_ports", jget_bool(o->hc, "PublishAllPorts", false));
	jw_str(w, "docker:noipmgmtd", "true");
	json_object_foreach ((json_t *)labels, key, val) {
		if (!json_is_string(val))
			continue;
		if (str_fmt(name, sizeof(name), "docker:label:%s", key) >= 0)
			jw_str(w, name, json_string_value(val));
		if (str_fmt(name, sizeof(name), "sdc:tags.%s", key) >= 0)
			jw_str(w, name, json_string_value(val));
	}
}

static void nics(const struct oci_ctx *o, struct jw *w)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw nw = JW(&b);
	const struct endpoint *ep;
	char text[80];
	size_t i, n = 0;

	jw_arr(&nw, NULL);
	for (i = 0; i < o->spec->n_endpoints; i++) {
		ep = &o->spec->endpoints[i];
		if (!ep->ip[0])
			continue;
		jw_obj(&nw, NULL);
		snprintf(text, sizeof(text), "eth%zu", n);
		jw_str(&nw, "interface", text);
		jw_str(&nw, "mac", ep->mac);
		jw_str(&nw, "ip", ep->ip);
		jw_arr(&nw, "ips");
		snprintf(text, sizeof(text), "%s/%d", ep->ip, ep->prefix_len);
		jw_str(&nw, NULL, text);
		if (ep->ip6[0]) {
			snprintf(text, sizeof(text), "%s/%d", ep->ip6, ep->prefix_len6);
			jw_str(&nw, NULL, text);
		}
		jw_end(&nw);
		jw_str(&nw, "gateway", ep->gateway);
		jw_str(&nw, "nic_tag", ep->network);
		jw_str(&nw, "network_uuid", ep->network_id);
		jw_bool(&nw, "primary", n == 0);
		jw_end(&nw);
		n++;
	}
	jw_end(&nw);
	jw_strn(w, "sdc:nics", b.p, b.len);
}

/* Name servers as the zone's resolv.conf has them; before that is written, as asked for. */
static void resolvers(const struct oci_ctx *o, struct jw *w)
{
	cleanup_buf struct buf file = BUF_INIT;
	cleanup_strv char **v = NULL;
	struct err ignored = { 0 };
	char path[1024], *p, *line;

	paths_zone(&engine->paths, o->spec->uuid, "config/resolv.conf", path);
	if (fs_read_file(path, 64 * 1024, &file, &ignored) >= 0) {
		p = file.p;
		while (p && (line = strsep(&p, "\n"))) {
			if (!str_starts(line, "nameserver "))
				continue;
			line += strlen("nameserver ");
			line[strcspn(line, " \t\r")] = '\0';
			strv_add(&v, line);
		}
	}
	if (v)
		put_strv(w, "sdc:resolvers", v);
	else
		put_json(w, "sdc:resolvers", json_object_get(o->hc, "Dns"), "[]");
}

static void sdc_keys(const struct oci_ctx *o, struct jw *w)
{
	const char *image = o->spec->image_id;
	int64_t mem = jget_int(o->hc, "Memory", 0);
	char text[RFC3339NANO_MAX], uuid[37] = "";

	jw_str(w, "sdc:uuid", o->spec->uuid);
	jw_str(w, "sdc:alias", o->spec->name);
	jw_str(w, "sdc:hostname", o->hostname);
	nics(o, w);
	jw_str(w, "sdc:routes", "[]");
	resolvers(o, w);
	jw_str(w, "sdc:brand", "lx");
	fmt_rfc3339nano(text, o->spec->created_ns / 1000000 * 1000000);
	jw_str(w, "sdc:create_timestamp", text);
	jw_str(w, "sdc:server_uuid", engine->server_uuid);
	jw_str(w, "sdc:owner_uuid", engine->owner_uuid);
	if (str_starts(image, "sha256:") && is_hex(image + 7, 32))
		id_to_uuid(uuid, image + 7);
	jw_str(w, "sdc:image_uuid", uuid);
	/* MiB, and 0 where there is no limit */
	put_int(w, "sdc:max_physical_memory", mem / (1024 * 1024));
	put_int(w, "sdc:quota", 0);
}

int oci_metadata_json(const struct oci_ctx *o, struct buf *out, struct err *err)
{
	struct jw w = JW(out);

	(void)err;
	jw_obj(&w, NULL);
	docker_command_keys(o, &w);
	docker_other_keys(o, &w);
	sdc_keys(o, &w);
	jw_end(&w);
	return 0;
}
