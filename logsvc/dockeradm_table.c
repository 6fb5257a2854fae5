/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_table.c - sdc-dockeradm logs: the table of all zones' logs, the largest first.
 *
 * Lines per second are the difference of two looks: half a second apart for the first table, WATCH_MS for those that follow.
 */
#include "dockeradm.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

#define FIRST_MS 500
#define WATCH_MS 2000

struct look {
	struct adm_usage u;
	int64_t ns;
};

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

/* To the second; "" for 0. */
static const char *when(int64_t ns, char out[RFC3339NANO_MAX])
{
	out[0] = '\0';
	if (ns)
		fmt_rfc3339nano(out, ns / 1000000000 * 1000000000);
	return out;
}

/* ---- columns ---------------------------------------------------------------------------------- */

static uint64_t rate(const Logsvc__ZoneUsage *z, const struct look *now, const struct look *before)
{
	int64_t ms = (now->ns - before->ns) / 1000000;

	for (size_t i = 0; ms > 0 && i < before->u.n; i++) {
		const Logsvc__ZoneUsage *was = before->u.items[i];

		if (str_eq(was->uuid, z->uuid))
			return z->lines > was->lines ? (z->lines - was->lines) * 1000 / (uint64_t)ms : 0;
	}
	return 0;
}

static const char *state_of(const Logsvc__ForwardUsage *f)
{
	switch (f->state) {
	case LOGSVC__FORWARD_USAGE__STATE__STARTING:
		return "starting";
	case LOGSVC__FORWARD_USAGE__STATE__CONNECTING:
		return "connecting";
	case LOGSVC__FORWARD_USAGE__STATE__CONNECTED:
		return "connected";
	case LOGSVC__FORWARD_USAGE__STATE__STOPPED:
	default:
		return "stopped";
	}
}

/* connecting since 2026-08-22T12:34:56Z, 1041 lines behind, 3 dropped: dial tcp ... */
static void forwarder_text(const Logsvc__ZoneUsage *z, struct buf *out)
{
	const Logsvc__ForwardUsage *f = z->forward;
	char time[RFC3339NANO_MAX], size[24];

	if (!f) {
		buf_addstr(out, "-");
		return;
	}
	buf_addstr(out, state_of(f));
	if (f->state == LOGSVC__FORWARD_USAGE__STATE__CONNECTING && f->since_ns)
		buf_printf(out, " since %s", when(f->since_ns, time));
	if (f->behind_lines > 0)
		buf_printf(out, ", %lld lines behind", (long long)f->behind_lines);
	else if (f->behind_lines < 0 && f->behind_bytes > 0)
		buf_printf(out, ", %s behind", adm_human(f->behind_bytes, size));
	if (z->waits)
		buf_addstr(out, ", the container waits");
	if (z->dropped)
		buf_printf(out, ", %llu dropped", (unsigned long long)z->dropped);
	if (*f->error)
		buf_printf(out, ": %s", f->error);
}

/* Said where it is so. */
static void print_lost(const Logsvc__ZoneUsage *z)
{
	if (z->lost)
		printf(" (%llu lines lost while the disk was full)", (unsigned long long)z->lost);
}

static void json_forwarder(struct jw *w, const Logsvc__ZoneUsage *z)
{
	const Logsvc__ForwardUsage *f = z->forward;
	char time[RFC3339NANO_MAX];

	if (!f) {
		jw_null(w, "forwarder");
		return;
	}
	jw_obj(w, "forwarder");
	jw_str(w, "state", state_of(f));
	jw_str(w, "since", f->since_ns ? when(f->since_ns, time) : NULL);
	if (f->behind_lines < 0)
		jw_null(w, "behind_lines");
	else
		jw_int(w, "behind_lines", f->behind_lines);
	jw_int(w, "behind_bytes", f->behind_bytes);
	jw_uint(w, "delivered", f->delivered);
	jw_uint(w, "dropped", z->dropped);
	jw_str(w, "error", f->error);
	jw_end(w);
}

/* Does anybody have files in the object store, or for it? */
static bool uses_store(const struct adm_usage *u)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->items[i]->archived || u->items[i]->archive_pending)
			return true;
	return false;
}

static void json_archive(struct jw *w, const Logsvc__ZoneUsage *z)
{
	jw_obj(w, "archive");
	jw_uint(w, "stored", z->archived);
	jw_uint(w, "pending", z->archive_pending);
	jw_uint(w, "failures", z->archive_failures);
	jw_uint(w, "unstored", z->unstored);
	jw_end(w);
}

/* ---- tables ----------------------------------------------------------------------------------- */

static void print_json(const struct look *now, const json_t *names, const struct look *before)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	jw_arr(&w, NULL);
	for (size_t i = 0; i < now->u.n; i++) {
		const Logsvc__ZoneUsage *z = now->u.items[i];
		char time[RFC3339NANO_MAX];

		jw_obj(&w, NULL);
		jw_str(&w, "name", jget_str(names, z->uuid, ""));
		jw_str(&w, "uuid", z->uuid);
		jw_str(&w, "driver", z->driver);
		jw_int(&w, "bytes", z->bytes);
		jw_uint(&w, "files", z->files);
		jw_uint(&w, "lines", z->lines);
		jw_uint(&w, "lines_per_second", rate(z, now, before));
		jw_uint(&w, "rotations", z->rotations);
		jw_uint(&w, "dropped", z->dropped);
		jw_uint(&w, "lost", z->lost);
		jw_bool(&w, "waits", z->waits);
		jw_uint(&w, "errors", z->errors);
		jw_str(&w, "oldest", z->oldest_ns ? when(z->oldest_ns, time) : NULL);
		json_forwarder(&w, z);
		json_archive(&w, z);
		jw_end(&w);
	}
	jw_end(&w);
	puts(buf_str(&b));
}

static void print_table(const struct look *now, const json_t *names, const struct look *before)
{
	bool store = uses_store(&now->u);

	printf("%-24s %-10s %9s %6s %12s %9s %-20s %s%s\n", "CONTAINER", "DRIVER", "SIZE", "FILES", "LINES", "LINES/S",
	       "OLDEST", store ? "STORED PENDING FAILED " : "", "FORWARDER");
	for (size_t i = 0; i < now->u.n; i++) {
		const Logsvc__ZoneUsage *z = now->u.items[i];
		cleanup_buf struct buf forwarder = BUF_INIT;
		char size[24], time[RFC3339NANO_MAX];

		forwarder_text(z, &forwarder);
		printf("%-24s %-10s %9s %6u %12llu %9llu %-20s ", jget_str(names, z->uuid, z->uuid), z->driver,
		       adm_human(z->bytes, size), z->files, (unsigned long long)z->lines,
		       (unsigned long long)rate(z, now, before), z->oldest_ns ? when(z->oldest_ns, time) : "-");
		if (store)
			printf("%6llu %7u %6llu ", (unsigned long long)z->archived, z->archive_pending,
			       (unsigned long long)z->archive_failures);
		fputs(buf_str(&forwarder), stdout);
		print_lost(z);
		putchar('\n');
	}
}

static int take_look(const struct paths *p, struct look *out)
{
	struct err err = { 0 };

	memset(out, 0, sizeof(*out));
	if (adm_usage_all(p, &out->u, &err) < 0) {
		adm_usage_free(&out->u);
		return adm_fail(&err);
	}
	out->ns = mono_ns();
	if (out->u.n)
		qsort(out->u.items, out->u.n, sizeof(*out->u.items), by_size);
	return 0;
}

int adm_show(const struct paths *p, bool json, bool watch)
{
	struct look before, now;
	int pause_ms = FIRST_MS, status = take_look(p, &before);

	while (status == 0) {
		cleanup_json json_t *names = NULL;

		(void)poll(NULL, 0, pause_ms);
		pause_ms = WATCH_MS;
		names = adm_names(p);
		if ((status = take_look(p, &now)) != 0)
			break;
		if (watch && !json && isatty(1))
			fputs("\033[H\033[2J", stdout);
		if (json)
			print_json(&now, names, &before);
		else
			print_table(&now, names, &before);
		adm_usage_free(&before.u);
		before = now;
		if (!watch || fflush(stdout) != 0)
			break;
	}
	adm_usage_free(&before.u);
	return status;
}
