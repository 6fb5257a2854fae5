/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_config.c - the body of POST /containers/create, from bytes to a canonical request.
 *
 * Design: one list of steps. go_json.h types the body by the tables of ct_fields.c; ct_version.c
 * turns what an older API version means into today's form; the checks of ct_check.h follow in
 * Docker's order, so that a body with two faults gets the answer that Docker gives; then the
 * defaults that inspect shows. The result holds every field.
 *
 * Threads: any; host facts come from engine.h, which is read-only, and from /sys and /dev.
 *
 * To extend: a new field of the API is a row of ct_fields.c; it works from then on only if
 * oci_spec.c reads it, so refuse it in the check where it belongs until it does.
 */
#include "apiserver/ct_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/ct_check.h"
#include "apiserver/ct_fields.h"
#include "apiserver/container_private.h"
#include "apiserver/log_opts.h"
#include "apiserver/mount_parse.h"
#include "apiserver/signals.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define HOSTNAME_MAX_LEN 64
#define MIN_HEALTH_NS	 1000000

static int bad(struct err *err, const char *text)
{
	return err_kind(err, ERR_BAD_PARAM, "%s", text);
}

bool jhas(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_array_size(v) > 0 || json_object_size(v) > 0 || json_string_length(v) > 0;
}

void create_request_fini(struct create_request *cr)
{
	json_decref(cr->config);
	json_decref(cr->host_config);
	json_decref(cr->networking);
	ct_endpoints_free(cr->endpoints, cr->n_endpoints);
	free(cr->platform);
	strv_free(cr->warnings);
	memset(cr, 0, sizeof(*cr));
}

/* ---- Config ---------------------------------------------------------------------------------- */

int config_check_health(const json_t *health, struct err *err)
{
	static const char *const durations[] = { "Interval", "Timeout", "StartPeriod",
						 "StartInterval" };

	for (size_t i = 0; health && i < ARRAY_SIZE(durations); i++) {
		int64_t ns = jget_int(health, durations[i], 0);

		if (ns != 0 && ns < MIN_HEALTH_NS)
			return err_kind(err, ERR_BAD_PARAM,
					"%s in Healthcheck cannot be less than 1ms", durations[i]);
		if (strcmp(durations[i], "Timeout") == 0 && jget_int(health, "Retries", 0) < 0)
			return bad(err, "Retries in Healthcheck cannot be negative");
	}
	return 0;
}

static int check_names(const json_t *config, struct err *err)
{
	const char *host = jget_str(config, "Hostname", "");
	const char *domain = jget_str(config, "Domainname", "");

	if (strlen(host) > HOSTNAME_MAX_LEN || strpbrk(host, "/ \t\n\r\"'\\:;&|<>"))
		return err_kind(err, ERR_BAD_PARAM, "invalid hostname format: %s", host);
	if (strlen(domain) > HOSTNAME_MAX_LEN || strpbrk(domain, "/ \t\n\r\"'\\:;&|<>"))
		return err_kind(err, ERR_BAD_PARAM, "invalid domainname format: %s", domain);
	return 0;
}

int config_check(json_t *config, struct err *err)
{
	const char *dir = jget_str(config, "WorkingDir", "");
	const char *signal = jget_str(config, "StopSignal", "");
	json_t *item;
	size_t i;
	int signo;
	int rc;

	if (dir[0]) {
		cleanup_free char *clean = mount_clean_path(dir);

		if (dir[0] != '/')
			return err_kind(err, ERR_BAD_PARAM,
					"the working directory '%s' is invalid, it needs to be an "
					"absolute path",
					dir);
		json_object_set_new(config, "WorkingDir", json_string(clean));
	}
	if (signal[0] && (rc = signal_parse(signal, &signo, err)) < 0)
		return rc;
	json_array_foreach (jget_arr(config, "Env"), i, item) {
		const char *env = json_string_value(item);

		if (env[0] == '\0' || env[0] == '=')
			return err_kind(err, ERR_BAD_PARAM, "invalid environment variable: %s",
					env);
	}
	if ((rc = check_names(config, err)) < 0)
		return rc;
	return config_check_health(jget_obj(config, "Healthcheck"), err);
}

/* ---- the body -------------------------------------------------------------------------------- */

/* Whether a body holds any field of Config itself: Docker has no config to work with otherwise. */
static bool has_config(const json_t *body)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)body, key, v) {
		if (json_is_null(v))
			continue;
		for (const struct go_field *f = ct_fields_config.fields; f->name; f++)
			if (strcasecmp(f->name, key) == 0)
				return true;
	}
	return false;
}

/* Types the body and takes it apart: whole becomes config. */
static int decode(const char *body, size_t len, struct create_request *cr, struct err *err)
{
	cleanup_json json_t *raw = NULL;
	json_t *sub;
	int rc;

	if ((rc = go_json_parse(body, len, &raw, err)) < 0)
		return rc;
	if ((rc = go_json_decode(&ct_fields_create, raw, &cr->config, err)) < 0)
		return rc;
	if (!has_config(raw))
		return bad(err, "config cannot be empty in order to create a container");
	if (!jhas(cr->config, "Image") && !jhas(cr->config, "Cmd") &&
	    !jhas(cr->config, "Entrypoint"))
		return bad(err, "no command specified");
	sub = jget_obj(cr->config, "HostConfig");
	if (sub) {
		cr->host_config = json_incref(sub);
	} else { /* the zero value, typed like any other */
		cleanup_json json_t *empty = json_pack("{s:{}}", "HostConfig");
		json_t *typed = NULL;

		if ((rc = go_json_decode(&ct_fields_create, empty, &typed, err)) < 0)
			return rc;
		cr->host_config = json_incref(json_object_get(typed, "HostConfig"));
		json_decref(typed);
	}
	sub = jget_obj(cr->config, "NetworkingConfig");
	cr->networking = sub ? json_incref(sub) : json_object();
	json_object_del(cr->config, "HostConfig");
	json_object_del(cr->config, "NetworkingConfig");
	return 0;
}

static int check_all(int api_version, struct create_request *cr, struct err *err)
{
	json_t *c = cr->config;
	json_t *h = cr->host_config;
	char ***w = &cr->warnings;
	int rc;

	if ((rc = netmode_check(c, h, err)) < 0 ||
	    (rc = version_adapt(api_version, c, h, cr->networking, w, err)) < 0 ||
	    (rc = config_check(c, err)) < 0 || (rc = mountspec_check(c, h, err)) < 0 ||
	    (rc = ports_check(c, h, err)) < 0 || (rc = security_check(h, err)) < 0 ||
	    (rc = resources_check(h, false, w, err)) < 0 ||
	    (rc = hostconfig_check(h, w, err)) < 0 ||
	    (rc = endpoints_check(cr->networking, err)) < 0)
		return rc;
	hostconfig_defaults(h);
	return log_opts_complete(jget_obj(h, "LogConfig"), err);
}

int create_request_parse(const char *body, size_t len, int api_version, struct create_request *out,
			 struct err *err)
{
	struct create_request cr = { .warnings = xcalloc(1, sizeof(char *)) };
	int rc;

	if ((rc = decode(body, len, &cr, err)) < 0 || (rc = check_all(api_version, &cr, err)) < 0) {
		create_request_fini(&cr);
		return rc;
	}
	cr.ro_non_recursive = api_version < 144;
	endpoints_make(cr.config, cr.host_config, cr.networking, &cr.endpoints, &cr.n_endpoints);
	*out = cr;
	return 0;
}

void config_command(const json_t *config, char ***argv)
{
	char **v = jget_strv(config, "Entrypoint");
	cleanup_strv char **cmd = jget_strv(config, "Cmd");

	for (size_t i = 0; cmd[i]; i++)
		strv_add(&v, cmd[i]);
	*argv = v;
}

int config_check_start(const json_t *host_config, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (jget_arr(host_config, "DeviceRequests"), i, item) {
		cleanup_buf struct buf caps = BUF_INIT;
		json_t *list, *word;
		size_t k, m;

		json_array_foreach (jget_arr(item, "Capabilities"), k, list) {
			buf_addstr(&caps, k ? " [" : "[");
			json_array_foreach (list, m, word)
				buf_printf(&caps, "%s%s", m ? " " : "", json_string_value(word));
			buf_addch(&caps, ']');
		}
		return err_kind(err, ERR_SYSTEM,
				"could not select device driver \"%s\" with capabilities: [%s]",
				jget_str(item, "Driver", ""), buf_str(&caps));
	}
	return 0;
}

int config_check_engine(struct err *err)
{
	int rc = hostconfig_check_engine(err);

	return rc < 0 ? rc : log_opts_check_defaults(err);
}
