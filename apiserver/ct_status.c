/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_status.c - a container's state in words: docker ps' STATUS column, with Docker's way to say
 * durations.
 */
#include "apiserver/ct_status.h"

#include <inttypes.h>
#include <string.h>

#include "apiserver/ct_json.h"
#include "str.h"

#define NS_PER_S INT64_C(1000000000)

void human_duration(int64_t ns, struct buf *out)
{
	int64_t seconds = ns / NS_PER_S;
	int64_t minutes = seconds / 60;
	int64_t hours = (ns + 1800 * NS_PER_S) / (3600 * NS_PER_S); /* rounded */

	if (seconds < 1)
		buf_addstr(out, "Less than a second");
	else if (seconds == 1)
		buf_addstr(out, "1 second");
	else if (seconds < 60)
		buf_printf(out, "%" PRId64 " seconds", seconds);
	else if (minutes == 1)
		buf_addstr(out, "About a minute");
	else if (minutes < 60)
		buf_printf(out, "%" PRId64 " minutes", minutes);
	else if (hours == 1)
		buf_addstr(out, "About an hour");
	else if (hours < 48)
		buf_printf(out, "%" PRId64 " hours", hours);
	else if (hours < 24 * 7 * 2)
		buf_printf(out, "%" PRId64 " days", hours / 24);
	else if (hours < 24 * 30 * 2)
		buf_printf(out, "%" PRId64 " weeks", hours / 24 / 7);
	else if (hours < 24 * 365 * 2)
		buf_printf(out, "%" PRId64 " months", hours / 24 / 30);
	else
		buf_printf(out, "%" PRId64 " years", seconds / 3600 / 24 / 365);
}

const char *health_name(enum health_status health)
{
	switch (health) {
	case HEALTH_NONE:
		return "none";
	case HEALTH_STARTING:
		return "starting";
	case HEALTH_HEALTHY:
		return "healthy";
	case HEALTH_UNHEALTHY:
		return "unhealthy";
	}
	return "none";
}

static void write_up(const struct container_state *st, int64_t now, struct buf *out)
{
	buf_addstr(out, "Up ");
	human_duration(now - st->started_ns, out);
	if (st->status == CT_PAUSED)
		buf_addstr(out, " (Paused)");
	else if (st->health == HEALTH_STARTING)
		buf_addstr(out, " (health: starting)");
	else if (st->health != HEALTH_NONE)
		buf_printf(out, " (%s)", health_name(st->health));
}

void ct_status_text_at(const struct container *ct, int64_t now, struct buf *out)
{
	const struct container_state *st = &ct->st;

	if (st->status == CT_RUNNING || st->status == CT_PAUSED) {
		write_up(st, now, out);
	} else if (st->status == CT_RESTARTING) {
		buf_printf(out, "Restarting (%d) ", st->exit_code);
		human_duration(now - st->finished_ns, out);
		buf_addstr(out, " ago");
	} else if (ct->removing || st->status == CT_REMOVING) {
		buf_addstr(out, "Removal In Progress");
	} else if (st->dead || st->status == CT_DEAD) {
		buf_addstr(out, "Dead");
	} else if (st->started_ns == 0 || st->status == CT_CREATED) {
		buf_addstr(out, "Created");
	} else if (st->finished_ns != 0) {
		buf_printf(out, "Exited (%d) ", st->exit_code);
		human_duration(now - st->finished_ns, out);
		buf_addstr(out, " ago");
	}
}
