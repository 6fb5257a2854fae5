/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_logs.c - sdc-dockeradm logs: the table of all zones' logs, rotating and pruning them.
 *
 * logsvc does the work and knows zones by UUID only; names are apiserver's, and without it the table
 * shows UUIDs.
 */
#include "dockeradm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "frame.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

#define CALL_MS	 60000
#define WATCH_S	 2

/* ---- logsvc ----------------------------------------------------------------------------------- */

void adm_usage_free(struct adm_usage *u)
{
	for (size_t i = 0; i < u->n_replies; i++)
		logsvc__reply__free_unpacked(u->replies[i], NULL);
	free(u->replies);
	free(u->items);
	*u = (struct adm_usage){ 0 };
}

static void collect(struct adm_usage *u, Logsvc__Reply *r)
{
	const Logsvc__UsageReply *part = r->usage;

	u->replies = xrealloc(u->replies, (u->n_replies + 1) * sizeof(*u->replies));
	u->replies[u->n_replies++] = r;
	u->items = xrealloc(u->items, (u->n + part->n_zones + 1) * sizeof(*u->items));
	for (size_t i = 0; i < part->n_zones; i++)
		u->items[u->n++] = part->zones[i];
}

/* 1: another reply follows. */
static int take_reply(int fd, struct adm_usage *usage, struct err *err)
{
	cleanup_frame struct frame f = FRAME_INIT;
	int rc = frame_recv(fd, &f, CALL_MS), more = 0;
	Logsvc__Reply *r;

	if (rc <= 0)
		return err_sysnum(err, rc ? rc : -EPIPE, "logsvc: no answer");
	r = logsvc__reply__unpack(NULL, f.data.len, (const uint8_t *)f.data.p);
	if (!r)
		return err_kind(err, ERR_SYSTEM, "logsvc: an answer that is none");
	rc = 0;
	if (r->body_case == LOGSVC__REPLY__BODY_FAILURE) {
		rc = err_kind(err, ERR_SYSTEM, "%s", r->failure->text);
	} else if (r->body_case == LOGSVC__REPLY__BODY_USAGE && usage) {
		more = r->usage->more;
		collect(usage, r);
		return more;
	}
	logsvc__reply__free_unpacked(r, NULL);
	return rc;
}

int adm_logsvc(const struct paths *p, Logsvc__Request *req, struct adm_usage *usage, struct err *err)
{
	cleanup_fd int fd = frame_connect(p->logsvc_sock, 5000, err);
	cleanup_buf struct buf packet = BUF_INIT;
	size_t len = logsvc__request__get_packed_size(req);
	int rc;

	if (fd < 0)
		return err_wrap(err, fd, "logsvc");
	buf_reserve(&packet, len);
	logsvc__request__pack(req, (uint8_t *)packet.p);
	if ((rc = frame_send(fd, packet.p, len, NULL, 0, CALL_MS)) < 0)
		return err_sysnum(err, rc, "logsvc: send the request");
	do {
		rc = take_reply(fd, usage, err);
	} while (rc > 0);
	return rc;
}

static int ask_usage(const struct paths *p, struct adm_usage *out, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Usage op = LOGSVC__USAGE__INIT;

	req.op_case = LOGSVC__REQUEST__OP_USAGE;
	req.usage = &op;
	return adm_logsvc(p, &req, out, err);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* UUID -> name, of all containers; empty without apiserver. */
static json_t *load_names(const struct paths *p)
{
	cleanup_json json_t *list = NULL;
	json_t *names = json_object(), *row;
	struct err ignored = { 0 };
	size_t i;

	if (adm_http(p->api_sock, "GET", "/containers/json?all=1", NULL, &list, &ignored) < 0)
		return names;
	json_array_foreach (list, i, row) {
		const char *id = jget_str(row, "Id", "");
		const char *name = json_string_value(json_array_get(jget_arr(row, "Names"), 0));
		char uuid[37];

		if (strlen(id) != 64 || !name)
			continue;
		id_to_uuid(uuid, id);
		json_object_set_new(names, uuid, json_string(name + (*name == '/')));
	}
	return names;
}

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

/* ---- the table -------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	const Logsvc__ZoneUsage *x = *(Logsvc__ZoneUsage *const *)a,
				*y = *(Logsvc__ZoneUsage *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(x->uuid, y->uuid);
}

/* As Docker writes sizes: units of 1000. */
static const char *human(int64_t bytes, char out[24])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	double n = (double)bytes;
	size_t u = 0;

	while (n >= 1000 && u + 1 < ARRAY_SIZE(units)) {
		n /= 1000;
		u++;
	}
	if (str_fmt(out, 24, u ? "%.1f%s" : "%.0f%s", n, units[u]) < 0)
		return "-";
	return out;
}

static const char *when(int64_t ns, char out[RFC3339NANO_MAX])
{
	if (ns == 0)
		return "-";
	fmt_rfc3339nano(out, ns / 1000000000 * 1000000000);
	return out;
}

static void print_json(const struct adm_usage *u, const json_t *names)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_arr(&w, NULL);
	for (size_t i = 0; i < u->n; i++) {
		const Logsvc__ZoneUsage *z = u->items[i];
		char time[RFC3339NANO_MAX];

		jw_obj(&w, NULL);
		jw_str(&w, "name", jget_str(names, z->uuid, ""));
		jw_str(&w, "uuid", z->uuid);
		jw_str(&w, "driver", z->driver);
		jw_int(&w, "bytes", z->bytes);
		jw_uint(&w, "files", z->files);
		jw_uint(&w, "lines", z->lines);
		jw_uint(&w, "rotations", z->rotations);
		jw_uint(&w, "dropped", z->dropped);
		jw_uint(&w, "errors", z->errors);
		jw_str(&w, "oldest", z->oldest_ns ? when(z->oldest_ns, time) : NULL);
		jw_end(&w);
	}
	jw_end(&w);
	puts(buf_str(&b));
}

static uint64_t lines_of(const struct adm_usage *u, const char *uuid)
{
	for (size_t i = 0; u && i < u->n; i++) {
		if (str_eq(u->items[i]->uuid, uuid))
			return u->items[i]->lines;
	}
	return 0;
}

/* before: the same WATCH_S seconds ago, for the rate; NULL: no such column. */
static void print_table(const struct adm_usage *u, const json_t *names,
			const struct adm_usage *before)
{
	printf("%-24s %-10s %9s %6s %12s %s%-20s\n", "CONTAINER", "DRIVER", "SIZE", "FILES", "LINES",
	       before ? "    LINES/S " : "", "OLDEST");
	for (size_t i = 0; i < u->n; i++) {
		const Logsvc__ZoneUsage *z = u->items[i];
		char size[24], time[RFC3339NANO_MAX];

		printf("%-24s %-10s %9s %6u %12llu ", jget_str(names, z->uuid, z->uuid), z->driver,
		       human(z->bytes, size), z->files, (unsigned long long)z->lines);
		if (before) {
			uint64_t was = lines_of(before, z->uuid);

			printf("%11llu ", (unsigned long long)(z->lines > was ? z->lines - was : 0) /
						  WATCH_S);
		}
		printf("%s\n", when(z->oldest_ns, time));
	}
	fflush(stdout);
}

static int show(const struct paths *p, bool json, bool watch)
{
	struct adm_usage before = { 0 };
	bool again = false;

	do {
		cleanup_json json_t *names = load_names(p);
		struct adm_usage u = { 0 };
		struct err err = { 0 };

		if (again)
			sleep(WATCH_S);
		if (ask_usage(p, &u, &err) < 0) {
			adm_usage_free(&u);
			adm_usage_free(&before);
			return adm_fail(&err);
		}
		if (u.n)
			qsort(u.items, u.n, sizeof(*u.items), by_size);
		if (watch && !json && isatty(1))
			fputs("\033[H\033[2J", stdout);
		if (json)
			print_json(&u, names);
		else
			print_table(&u, names, again ? &before : NULL);
		adm_usage_free(&before);
		before = u;
		again = true;
	} while (watch && fflush(stdout) == 0);
	adm_usage_free(&before);
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

	if (ask_usage(p, &u, &err) < 0)
		status = adm_fail(&err);
	for (size_t i = 0; i < u.n; i++) {
		if (rotate_one(p, u.items[i]->uuid, &err) < 0)
			status = adm_fail(&err);
	}
	adm_usage_free(&u);
	return status;
}

static int rotate(const struct paths *p, int argc, char **argv)
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

/* Go's durations, and whole days: 7d. */
static int parse_age(const char *s, int64_t *ns)
{
	cleanup_free char *number = xstrndup(s, strlen(s) ? strlen(s) - 1 : 0);
	int64_t days;

	if (str_ends(s, "d") && parse_i64(number, 1, 36500, &days) == 0) {
		*ns = days * 86400 * 1000000000;
		return 0;
	}
	return parse_duration_ns(s, ns) < 0 || *ns <= 0 ? -EINVAL : 0;
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
		       human(z->bytes, size));
		*total += z->bytes;
	}
	adm_usage_free(&u);
	return rc;
}

static int prune_these(const struct paths *p, Logsvc__Prune *op, int n, char **containers)
{
	cleanup_json json_t *names = load_names(p);
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
	       human(total, size));
	return status;
}

static int prune(const struct paths *p, int argc, char **argv)
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
		if (c == 'o' && parse_age(optarg, &op.older_ns) < 0) {
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

int adm_logs(const struct paths *p, int argc, char **argv)
{
	bool json = false, watch = false;

	if (argc > 1 && str_eq(argv[1], "rotate"))
		return rotate(p, argc - 1, argv + 1);
	if (argc > 1 && str_eq(argv[1], "prune"))
		return prune(p, argc - 1, argv + 1);
	for (int i = 1; i < argc; i++) {
		if (str_eq(argv[i], "--json"))
			json = true;
		else if (str_eq(argv[i], "--watch"))
			watch = true;
		else
			return ADM_USAGE;
	}
	return show(p, json, watch);
}
