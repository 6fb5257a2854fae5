/* SPDX-License-Identifier: MPL-2.0
 *
 * loss.c - see loss.h.
 *
 * Design. Losses come in bursts, thousands of lines at a time from several zones. Each zone adds up what is not told yet;
 * one timer for all looks at them, and tells a cause of a zone at once, but not again before LOSS_EVERY_NS. Nobody
 * watching (apiserver is being restarted) changes nothing but the time.
 *
 * Failure: the counts are in memory only; what they count has been told in the log, and to the sink, by other means.
 */
#define LOG_MODULE "loss"
#include "loss.h"

#include "cleanup.h"
#include "log.h"
#include "str.h"
#include "zone.h"

#define LOSS_DELAY_NS 200000000LL
#define LOSS_EVERY_NS 10000000000LL

static const char *const cause_names[] = {
	[LOSS_LOG] = "log not writable",
	[LOSS_BACKLOG] = "not forwarded",
	[LOSS_REMOVED] = "removed before delivery",
	[LOSS_UNSTORED] = "removed before it was stored",
};

/* True: nothing is left to tell. */
static bool tell(struct losses *ls, struct zone *z, bool at_once)
{
	bool done = true;

	for (int c = 0; c < LOSS_CAUSES; c++) {
		struct loss *l = &z->loss;

		if (!l->lines[c] && !l->bytes[c])
			continue;
		if (!at_once && l->told_ns[c] && mono_ns() - l->told_ns[c] < LOSS_EVERY_NS) {
			done = false;
		} else if (!ls->tell || !ls->tell(ls->owner, z->uuid, cause_names[c], l->lines[c], l->bytes[c])) {
			done = false;
		} else {
			l->told_ns[c] = mono_ns();
			l->lines[c] = l->bytes[c] = 0;
		}
	}
	return done;
}

static void on_timer(struct timer *t)
{
	struct losses *ls = container_of(t, struct losses, timer);
	struct zones *zs = container_of(ls, struct zones, losses);
	struct map_iter it = { 0 };
	bool done = true;
	const char *key;
	void *value;

	while (map_next(&zs->by_uuid, &it, &key, &value))
		done &= tell(ls, value, false);
	if (!done)
		loop_timer(ls->loop, t, LOSS_EVERY_NS / 10);
}

void losses_retry(struct losses *ls)
{
	ls->timer.on_time = on_timer;
	loop_timer(ls->loop, &ls->timer, LOSS_DELAY_NS);
}

void loss_add(struct zone *z, enum loss_cause cause, uint64_t lines, uint64_t bytes)
{
	if (!lines && !bytes)
		return;
	z->loss.lines[cause] += lines;
	z->loss.bytes[cause] += bytes;
	if (!z->zones->losses.timer.prev)
		losses_retry(&z->zones->losses);
}

void loss_flush(struct zone *z)
{
	if (!tell(&z->zones->losses, z, true))
		log_warn("nobody was told of lost output", "zone=%s", z->uuid);
}
