/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_logs.c - sdc-dockeradm logs: the table of all zones' logs.
 *
 * logsvc knows zones by UUID only; names are apiserver's, and without it the table shows UUIDs.
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

int adm_usage_all(const struct paths *p, struct adm_usage *out, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Usage op = LOGSVC__USAGE__INIT;

	req.op_case = LOGSVC__REQUEST__OP_USAGE;
	req.usage = &op;
	return adm_logsvc(p, &req, out, err);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* UUID -> name, of all containers; empty without apiserver. */
json_t *adm_names(const struct paths *p)
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
const char *adm_human(int64_t bytes, char out[24])
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
		       adm_human(z->bytes, size), z->files, (unsigned long long)z->lines);
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
		cleanup_json json_t *names = adm_names(p);
		struct adm_usage u = { 0 };
		struct err err = { 0 };

		if (again)
			sleep(WATCH_S);
		if (adm_usage_all(p, &u, &err) < 0) {
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

int adm_logs(const struct paths *p, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct paths *p, int argc, char **argv);
	} verbs[] = { { "rotate", adm_rotate }, { "prune", adm_prune }, { "set", adm_set } };
	bool json = false, watch = false;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++) {
		if (str_eq(argv[1], verbs[i].name))
			return verbs[i].run(p, argc - 1, argv + 1);
	}
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
