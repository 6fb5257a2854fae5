/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_keep.c - sdc-dockeradm logs rotate, prune, set: what is done to logs. logsvc does the first
 * two; options are a container's, and changed by apiserver.
 */
#include "dockeradm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

/* ---- which container -------------------------------------------------------------------------- */

static bool is_uuid(const char *s)
{
	return strlen(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
	       strspn(s, "0123456789abcdef-") == 36;
}

/* A container's name, ID or the start of one; or a zone's UUID, which needs no apiserver. */
static int resolve(const struct paths *p, const char *name, char uuid[37], struct err *err)
{
	cleanup_free char *target = adm_target("/containers/", name, "/json");
	cleanup_json json_t *o = NULL;
	int rc;

	if (is_uuid(name)) {
		str_copy(uuid, 37, name);
		return 0;
	}
	if ((rc = adm_http(p->api_sock, "GET", target, NULL, &o, err)) < 0)
		return rc;
	if (strlen(jget_str(o, "Id", "")) != 64)
		return err_kind(err, ERR_SYSTEM, "apiserver: no ID in its answer");
	id_to_uuid(uuid, jget_str(o, "Id", ""));
	return 0;
}

/* ---- rotate, prune ---------------------------------------------------------------------------- */

static int rotate_one(const struct paths *p, const char *uuid, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Rotate op = LOGSVC__ROTATE__INIT;

	op.uuid = (char *)uuid;
	req.op_case = LOGSVC__REQUEST__OP_ROTATE;
	req.rotate = &op;
	return adm_logsvc(p, &req, NULL, err);
}

static int rotate_all(const struct paths *p)
{
	struct adm_usage u = { 0 };
	struct err err = { 0 };
	int status = 0;

	if (adm_usage_all(p, &u, &err) < 0)
		status = adm_fail(&err);
	for (size_t i = 0; i < u.n; i++) {
		if (rotate_one(p, u.items[i]->uuid, &err) < 0)
			status = adm_fail(&err);
	}
	adm_usage_free(&u);
	return status;
}

int adm_rotate(const struct paths *p, int argc, char **argv)
{
	struct err err = { 0 };
	int status = 0;

	if (argc == 2 && str_eq(argv[1], "--all"))
		return rotate_all(p);
	if (argc < 2 || argv[1][0] == '-')
		return ADM_USAGE;
	for (int i = 1; i < argc; i++) {
		char uuid[37];

		if (resolve(p, argv[i], uuid, &err) < 0 || rotate_one(p, uuid, &err) < 0)
			status = adm_fail(&err);
	}
	return status;
}

static int prune_one(const struct paths *p, const Logsvc__Prune *op, const json_t *names,
		     int64_t *total, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	struct adm_usage u = { 0 };
	char size[24];
	int rc;

	req.op_case = LOGSVC__REQUEST__OP_PRUNE;
	req.prune = (Logsvc__Prune *)(uintptr_t)op;
	rc = adm_logsvc(p, &req, &u, err);
	for (size_t i = 0; rc == 0 && i < u.n; i++) {
		const Logsvc__ZoneUsage *z = u.items[i];

		if (!z->files)
			continue;
		printf("%-24s %6u files %9s\n", jget_str(names, z->uuid, z->uuid), z->files,
		       adm_human(z->bytes, size));
		*total += z->bytes;
	}
	adm_usage_free(&u);
	return rc;
}

static int prune_these(const struct paths *p, Logsvc__Prune *op, int n, char **containers)
{
	cleanup_json json_t *names = adm_names(p);
	struct err err = { 0 };
	int64_t total = 0;
	int status = 0;
	char size[24];

	if (n == 0 && prune_one(p, op, names, &total, &err) < 0)
		status = adm_fail(&err);
	for (int i = 0; i < n; i++) {
		char uuid[37];

		op->uuid = uuid;
		if (resolve(p, containers[i], uuid, &err) < 0 ||
		    prune_one(p, op, names, &total, &err) < 0)
			status = adm_fail(&err);
	}
	printf("%s: %s\n", op->dry_run ? "Would be reclaimed" : "Total reclaimed space",
	       adm_human(total, size));
	return status;
}

int adm_prune(const struct paths *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "older-than", required_argument, NULL, 'o' },
		{ "keep", required_argument, NULL, 'k' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	Logsvc__Prune op = LOGSVC__PRUNE__INIT;
	struct err err = { 0 };
	bool limited = false;
	int64_t keep;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'o' && parse_age_ns(optarg, &op.older_ns) < 0) {
			err_kind(&err, ERR_BAD_PARAM, "--older-than: not a duration such as 12h or 7d: '%s'",
				 optarg);
			return adm_fail(&err);
		}
		if (c == 'k' && parse_i64(optarg, 0, 1000000, &keep) < 0) {
			err_kind(&err, ERR_BAD_PARAM, "--keep: not a number of files: '%s'", optarg);
			return adm_fail(&err);
		}
		if (c == 'k')
			op.keep = (uint32_t)keep;
		else if (c == 'n')
			op.dry_run = true;
		else if (c != 'o')
			return ADM_USAGE;
		limited |= c == 'k' || c == 'o';
	}
	if (!limited) {
		err_kind(&err, ERR_BAD_PARAM, "logs prune needs --older-than or --keep");
		return adm_fail(&err);
	}
	return prune_these(p, &op, argc - optind, argv + optind);
}

/* ---- set ---------------------------------------------------------------------------------------- */

/* {"LogConfig":{"Type":driver,"Config":{...}}} of key=value arguments. */
static int set_body(struct buf *out, const char *driver, int n, char **args, struct err *err)
{
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_obj(&w, "LogConfig");
	jw_str(&w, "Type", driver);
	jw_obj(&w, "Config");
	for (int i = 0; i < n; i++) {
		cleanup_free char *key = xstrndup(args[i], strcspn(args[i], "="));

		if (!*key || !strchr(args[i], '='))
			return err_kind(err, ERR_BAD_PARAM, "not an option as key=value: '%s'", args[i]);
		jw_str(&w, key, args[i] + strlen(key) + 1);
	}
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

int adm_set(const struct paths *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "driver", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	cleanup_buf struct buf body = BUF_INIT;
	cleanup_free char *target = NULL;
	const char *driver = "";
	struct err err = { 0 };
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c != 'd')
			return ADM_USAGE;
		driver = optarg;
	}
	if (argc - optind < (*driver ? 1 : 2))
		return ADM_USAGE;
	if (is_uuid(argv[optind])) /* the first half of the container's ID, without its hyphens */
		for (char *from = argv[optind], *to = from; (*to = *from); from++)
			to += *to != '-';
	target = adm_target("/containers/", argv[optind], "/update");
	if (set_body(&body, driver, argc - optind - 1, argv + optind + 1, &err) < 0 ||
	    adm_http(p->api_sock, "POST", target, buf_str(&body), NULL, &err) < 0)
		return adm_fail(&err);
	return 0;
}
