/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm.c - sdc-dockeradm: what operators do with a running engine.
 *
 * Settings go through apiserver's admin socket (it keeps and checks them), logs are logsvc's own.
 * Status: 0 done, 1 refused or failed (the reason on stderr), 2 usage.
 */
#include "dockeradm.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"
#include "version.h"

static void usage(FILE *f)
{
	fputs("usage: sdc-dockeradm [--root DIR] metadata get [--json] [KEY]\n"
	      "       sdc-dockeradm [--root DIR] metadata set KEY VALUE\n"
	      "       sdc-dockeradm [--root DIR] metadata delete KEY\n"
	      "       sdc-dockeradm [--root DIR] logs [--json] [--watch]\n"
	      "       sdc-dockeradm [--root DIR] logs rotate [--json] CONTAINER...|--all\n"
	      "       sdc-dockeradm [--root DIR] logs prune [--older-than DURATION] [--keep N] [--dry-run]\n"
	      "                     [--json] [CONTAINER...]\n"
	      "       sdc-dockeradm [--root DIR] logs archive [--older-than DURATION] [--keep N] [--dry-run]\n"
	      "                     [--json] [CONTAINER...]\n"
	      "       sdc-dockeradm [--root DIR] logs set [--json] [--driver NAME] CONTAINER KEY=VALUE...\n"
	      "       sdc-dockeradm [--root DIR] health\n"
	      "       sdc-dockeradm --version\n",
	      f);
}

int adm_fail(const struct err *err)
{
	fprintf(stderr, "sdc-dockeradm: %s\n", err->msg);
	return 1;
}

/* ---- metadata --------------------------------------------------------------------------------- */

static int get_service(const struct paths *p, json_t **out, struct err *err)
{
	cleanup_json json_t *list = NULL;
	json_t *service;
	int rc = adm_http(p->admin_sock, "GET", "/services?name=docker", NULL, &list, err);

	if (rc < 0)
		return rc;
	service = json_array_get(list, 0);
	if (!json_is_object(service))
		return err_kind(err, ERR_SYSTEM, "apiserver knows no service named docker");
	*out = json_incref(service);
	return 0;
}

static int metadata_get(const struct paths *p, const char *key, bool json)
{
	cleanup_free char *text = NULL;
	cleanup_json json_t *service = NULL;
	struct err err = { 0 };
	const char *name;
	json_t *value, *all;

	if (get_service(p, &service, &err) < 0)
		return adm_fail(&err);
	all = jget_obj(service, "effective");
	if (key && !json_is_string(json_object_get(all, key))) {
		err_kind(&err, ERR_NOT_FOUND, "%s is not a key of the service's metadata", key);
		return adm_fail(&err);
	}
	if (json) {
		text = json_dumps(key ? json_object_get(all, key) : all, JSON_COMPACT | JSON_ENCODE_ANY);
		puts(text ? text : "null");
		return 0;
	}
	if (key) {
		puts(jget_str(all, key, ""));
		return 0;
	}
	json_object_foreach (all, name, value)
		printf("%s=%s\n", name, json_string_value(value));
	return 0;
}

/* value NULL: the key is deleted. */
static int metadata_change(const struct paths *p, const char *key, const char *value)
{
	cleanup_json json_t *service = NULL;
	cleanup_buf struct buf body = BUF_INIT;
	cleanup_free char *target = NULL;
	struct jw w = JW(&body);
	struct err err = { 0 };

	if (get_service(p, &service, &err) < 0)
		return adm_fail(&err);
	jw_obj(&w, NULL);
	jw_str(&w, "action", value ? "update" : "delete");
	jw_obj(&w, "metadata");
	jw_str(&w, key, value ? value : "");
	jw_end(&w);
	jw_end(&w);
	target = adm_target("/services/", jget_str(service, "uuid", ""), "");
	if (adm_http(p->admin_sock, "PUT", target, buf_str(&body), NULL, &err) < 0)
		return adm_fail(&err);
	return 0;
}

int adm_metadata(const struct paths *p, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	bool json = argc > 2 && str_eq(argv[2], "--json");

	if (str_eq(verb, "get") && argc <= 3 + json)
		return metadata_get(p, argc == 3 + json ? argv[2 + json] : NULL, json);
	if (str_eq(verb, "set") && argc == 4)
		return metadata_change(p, argv[2], argv[3]);
	if (str_eq(verb, "delete") && argc == 3)
		return metadata_change(p, argv[2], NULL);
	return ADM_USAGE;
}

/* ---- health ----------------------------------------------------------------------------------- */

static int tell(const char *what, int rc, const struct err *err)
{
	printf("%-10s %s%s\n", what, rc < 0 ? "not ok: " : "ok", rc < 0 ? err->msg : "");
	return rc < 0;
}

int adm_health(const struct paths *p, int argc, char **argv)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Ping ping = LOGSVC__PING__INIT;
	struct err err = { 0 };
	int bad = 0;

	(void)argv;
	if (argc != 1)
		return ADM_USAGE;
	bad |= tell("api", adm_http(p->api_sock, "GET", "/_ping", NULL, NULL, &err), &err);
	bad |= tell("admin", adm_http(p->admin_sock, "GET", "/_ping", NULL, NULL, &err), &err);
	req.op_case = LOGSVC__REQUEST__OP_PING;
	req.ping = &ping;
	bad |= tell("logsvc", adm_logsvc(p, &req, NULL, &err), &err);
	return bad;
}

/* ---- the program ------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct {
		const char *name;
		int (*run)(const struct paths *p, int argc, char **argv);
	} commands[] = {
		{ "metadata", adm_metadata },
		{ "logs", adm_logs },
		{ "health", adm_health },
	};
	const char *root = NULL;
	struct err err = { 0 };
	struct paths paths;
	int c, rc = ADM_USAGE;

	while ((c = getopt_long(argc, argv, "+h", longs, NULL)) != -1) {
		if (c == 'r') {
			root = optarg;
		} else if (c == 'v') {
			puts("sdc-dockeradm " SDC_VERSION);
			return 0;
		} else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	if (paths_init(&paths, root, &err) < 0)
		return adm_fail(&err);
	argc -= optind;
	argv += optind;
	for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(commands); i++) {
		if (str_eq(argv[0], commands[i].name))
			rc = commands[i].run(&paths, argc, argv);
	}
	if (rc == ADM_USAGE && argc > 0) {
		fputs("sdc-dockeradm: not a command:", stderr);
		for (int i = 0; i < argc; i++)
			fprintf(stderr, " %s", argv[i]);
		fputs("\n", stderr);
	}
	if (rc == ADM_USAGE)
		usage(stderr);
	return rc;
}
