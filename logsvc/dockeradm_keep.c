/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_keep.c - sdc-dockeradm logs rotate, prune, archive, set: what is done to logs. logsvc does the first
 * three; options are a container's, and changed by apiserver.
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

#define ARCHIVE_MS 600000

/* ---- which container -------------------------------------------------------------------------- */

static bool is_uuid(const char *s)
{
	return strlen(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
	       strspn(s, "0123456789abcdef-") == 36;
}

/* In moby's words. */
static int check_name(const char *name, struct err *err)
{
	return *name ? 0 : err_kind(err, ERR_BAD_PARAM, "invalid container name or ID: value is empty");
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
	if ((rc = check_name(name, err)) < 0 || (rc = adm_http(p->api_sock, "GET", target, NULL, &o, err)) < 0)
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

/* One zone of an answer in JSON. */
static void json_zone(struct jw *w, const json_t *names, const char *uuid, const struct err *err)
{
	jw_obj(w, NULL);
	jw_str(w, "name", jget_str(names, uuid, ""));
	jw_str(w, "uuid", uuid);
	if (err)
		jw_str(w, "error", err->msg);
}

static int rotate_and_tell(const struct paths *p, const char *uuid, const json_t *names, struct jw *w)
{
	struct err err = { 0 };
	int rc = rotate_one(p, uuid, &err);

	if (w) {
		json_zone(w, names, uuid, rc < 0 ? &err : NULL);
		jw_end(w);
	}
	return rc < 0 ? adm_fail(&err) : 0;
}

static int rotate_all(const struct paths *p, const json_t *names, struct jw *w)
{
	struct adm_usage u = { 0 };
	struct err err = { 0 };
	int status = 0;

	if (adm_usage_all(p, &u, &err) < 0)
		status = adm_fail(&err);
	for (size_t i = 0; i < u.n; i++)
		status |= rotate_and_tell(p, u.items[i]->uuid, names, w);
	adm_usage_free(&u);
	return status;
}

static int rotate_these(const struct paths *p, int n, char **containers, const json_t *names, struct jw *w)
{
	int status = 0;

	for (int i = 0; i < n; i++) {
		struct err err = { 0 };
		char uuid[37];

		if (resolve(p, containers[i], uuid, &err) < 0)
			status = adm_fail(&err);
		else
			status |= rotate_and_tell(p, uuid, names, w);
	}
	return status;
}

int adm_rotate(const struct paths *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *names = NULL;
	struct jw w = JW(&b);
	bool all = false, json = false;
	int c, status;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'a')
			all = true;
		else if (c == 'j')
			json = true;
		else
			return ADM_USAGE;
	}
	if (all != (optind == argc))
		return ADM_USAGE;
	if (json)
		names = adm_names(p);
	jw_arr(&w, NULL);
	status = all ? rotate_all(p, names, json ? &w : NULL)
		     : rotate_these(p, argc - optind, argv + optind, names, json ? &w : NULL);
	jw_end(&w);
	if (json)
		puts(buf_str(&b));
	return status;
}

/* ---- prune, archive: the same, but for where what is removed is afterwards --------------------- */

struct limits {
	bool archive;
	int64_t older_ns;
	uint32_t keep;
	bool dry_run;
	bool limited; /* older_ns or keep was given */
	bool json;
};

/* What was removed, or would be. */
struct pruned {
	const json_t *names;
	struct jw *w; /* NULL: a line for each zone on stdout */
	int64_t bytes;
	uint64_t pending; /* files that are to be stored and are not */
};

static void tell_pruned(struct pruned *out, const Logsvc__ZoneUsage *z, bool archive)
{
	char size[24];

	out->bytes += z->bytes;
	out->pending += archive ? z->archive_pending : 0;
	if (out->w) {
		json_zone(out->w, out->names, z->uuid, NULL);
		jw_uint(out->w, "files", z->files);
		jw_int(out->w, "bytes", z->bytes);
		if (archive)
			jw_uint(out->w, "pending", z->archive_pending);
		jw_end(out->w);
		return;
	}
	printf("%-24s %6u files %9s", jget_str(out->names, z->uuid, z->uuid), z->files, adm_human(z->bytes, size));
	if (archive && z->archive_pending)
		printf(" %6u pending", z->archive_pending);
	putchar('\n');
}

static int prune_one(const struct paths *p, const struct limits *l, const char *uuid, struct pruned *out, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Prune prune = LOGSVC__PRUNE__INIT;
	Logsvc__Archive archive = LOGSVC__ARCHIVE__INIT;
	struct adm_usage u = { 0 };
	int rc;

	archive.uuid = prune.uuid = (char *)(uintptr_t)uuid;
	archive.older_ns = prune.older_ns = l->older_ns;
	archive.keep = prune.keep = l->keep;
	archive.dry_run = prune.dry_run = l->dry_run;
	archive.timeout_ms = ARCHIVE_MS;
	if (l->archive) {
		req.op_case = LOGSVC__REQUEST__OP_ARCHIVE;
		req.archive = &archive;
	} else {
		req.op_case = LOGSVC__REQUEST__OP_PRUNE;
		req.prune = &prune;
	}
	rc = adm_logsvc_within(p, &req, &u, ARCHIVE_MS + 30000, err);
	for (size_t i = 0; rc == 0 && i < u.n; i++)
		if (u.items[i]->files || (l->archive && u.items[i]->archive_pending))
			tell_pruned(out, u.items[i], l->archive);
	if (rc == 0 && u.n_replies && *u.replies[0]->usage->error)
		rc = err_kind(err, ERR_UNAVAILABLE, "%s", u.replies[0]->usage->error);
	adm_usage_free(&u);
	return rc;
}

static int prune_these(const struct paths *p, const struct limits *l, int n, char **containers, struct pruned *out)
{
	struct err err = { 0 };
	int status = 0;

	if (n == 0 && prune_one(p, l, "", out, &err) < 0)
		status = adm_fail(&err);
	for (int i = 0; i < n; i++) {
		char uuid[37];

		if (resolve(p, containers[i], uuid, &err) < 0 || prune_one(p, l, uuid, out, &err) < 0)
			status = adm_fail(&err);
	}
	if (!status && out->pending) {
		err_kind(&err, ERR_UNAVAILABLE, "%llu files are not stored yet", (unsigned long long)out->pending);
		status = adm_fail(&err);
	}
	return status;
}

static int prune(const struct paths *p, const struct limits *l, int n, char **containers)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *names = adm_names(p);
	struct jw w = JW(&b);
	struct pruned out = { .names = names, .w = l->json ? &w : NULL };
	char size[24];
	int status;

	jw_obj(&w, NULL);
	jw_bool(&w, "dry_run", l->dry_run);
	jw_arr(&w, "zones");
	status = prune_these(p, l, n, containers, &out);
	jw_end(&w);
	jw_int(&w, "bytes", out.bytes);
	jw_end(&w);
	if (l->json)
		puts(buf_str(&b));
	else
		printf("%s: %s\n", l->dry_run ? "Would be reclaimed" : "Total reclaimed space", adm_human(out.bytes, size));
	return status;
}

/* 0, or the program's status. */
static int parse_limits(int argc, char **argv, struct limits *l)
{
	static const struct option longs[] = {
		{ "older-than", required_argument, NULL, 'o' },
		{ "keep", required_argument, NULL, 'k' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct err err = { 0 };
	int64_t keep;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'o' && parse_age_ns(optarg, &l->older_ns) < 0) {
			err_kind(&err, ERR_BAD_PARAM, "--older-than: not a duration such as 12h or 7d: '%s'",
				 optarg);
			return adm_fail(&err);
		}
		if (c == 'k' && parse_i64(optarg, 0, 1000000, &keep) < 0) {
			err_kind(&err, ERR_BAD_PARAM, "--keep: not a number of files: '%s'", optarg);
			return adm_fail(&err);
		}
		if (c == 'k')
			l->keep = (uint32_t)keep;
		else if (c == 'n')
			l->dry_run = true;
		else if (c == 'j')
			l->json = true;
		else if (c != 'o')
			return ADM_USAGE;
		l->limited |= c == 'k' || c == 'o';
	}
	return 0;
}

int adm_prune(const struct paths *p, int argc, char **argv)
{
	struct limits l = { 0 };
	struct err err = { 0 };
	int status = parse_limits(argc, argv, &l);

	if (!status && !l.limited) {
		err_kind(&err, ERR_BAD_PARAM, "logs prune needs --older-than or --keep");
		status = adm_fail(&err);
	}
	return status ? status : prune(p, &l, argc - optind, argv + optind);
}

int adm_archive(const struct paths *p, int argc, char **argv)
{
	struct limits l = { .archive = true };
	int status = parse_limits(argc, argv, &l);

	return status ? status : prune(p, &l, argc - optind, argv + optind);
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

/* The options as they are now. */
static int show_options(const struct paths *p, const char *container, struct err *err)
{
	cleanup_free char *target = adm_target("/containers/", container, "/json"), *text = NULL;
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct jw w = JW(&b);
	const char *name;
	int rc;

	if ((rc = adm_http(p->api_sock, "GET", target, NULL, &o, err)) < 0)
		return rc;
	name = jget_str(o, "Name", "");
	text = json_dumps(jget_obj(jget_obj(o, "HostConfig"), "LogConfig"), JSON_COMPACT | JSON_ENCODE_ANY);
	jw_obj(&w, NULL);
	jw_str(&w, "name", name + (*name == '/'));
	jw_raw(&w, "LogConfig", text ? text : "null");
	jw_end(&w);
	puts(buf_str(&b));
	return 0;
}

static int set_options(const struct paths *p, char *container, const char *driver, int n, char **args, struct err *err)
{
	cleanup_buf struct buf body = BUF_INIT;
	cleanup_free char *target = NULL;
	int rc;

	if (is_uuid(container)) /* the first half of the container's ID, without its hyphens */
		for (char *from = container, *to = from; (*to = *from); from++)
			to += *to != '-';
	target = adm_target("/containers/", container, "/update");
	if ((rc = check_name(container, err)) < 0 || (rc = set_body(&body, driver, n, args, err)) < 0)
		return rc;
	return adm_http(p->api_sock, "POST", target, buf_str(&body), NULL, err);
}

int adm_set(const struct paths *p, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "driver", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	const char *driver = "";
	struct err err = { 0 };
	bool json = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			driver = optarg;
		else if (c == 'j')
			json = true;
		else
			return ADM_USAGE;
	}
	if (argc - optind < (*driver ? 1 : 2))
		return ADM_USAGE;
	if (set_options(p, argv[optind], driver, argc - optind - 1, argv + optind + 1, &err) < 0 ||
	    (json && show_options(p, argv[optind], &err) < 0))
		return adm_fail(&err);
	return 0;
}
