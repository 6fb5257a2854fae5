/* SPDX-License-Identifier: MPL-2.0
 *
 * debug.c - SIGUSR1's dump and the loop-stall watchdog.
 *
 * The watchdog costs no wake-ups: libuv counts the time that it slept in the poll; what a turn of
 * the loop took beyond that is what kept every client waiting.
 */
#include "debug.h"

#include <uv.h>

#include "client.h"
#include "container.h"
#include "job_stats.h"
#include "str.h"

#define LOG_MODULE "debug"
#include "log.h"

#define STALL_NS (100 * 1000000ULL)
#define DUMP_MAX 500

static uv_prepare_t prepare;
static uint64_t last_prepare_ns, last_idle_ns;
static uint64_t stalls, longest_stall_ns;

static void on_prepare(uv_prepare_t *handle)
{
	uint64_t now = uv_hrtime(), slept = uv_metrics_idle_time(handle->loop);
	uint64_t busy = now - last_prepare_ns - (slept - last_idle_ns);

	if (last_prepare_ns && busy > STALL_NS && busy < now) {
		stalls++;
		if (busy > longest_stall_ns)
			longest_stall_ns = busy;
		log_warn("the loop was held up", "ms=%llu", (unsigned long long)(busy / 1000000));
	}
	last_prepare_ns = now;
	last_idle_ns = slept;
}

void debug_watchdog_init(void)
{
	uv_loop_t *loop = uv_default_loop();

	uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
	uv_prepare_init(loop, &prepare);
	uv_prepare_start(&prepare, on_prepare);
	uv_unref((uv_handle_t *)&prepare);
}

static void dump_clients(void)
{
	static const char *const states[] = { "idle", "head",	"body",	 "run",
					      "raw",  "linger", "closed" };
	const struct client_stats *s = &client_stats;
	int64_t now = mono_ns();
	unsigned n = 0;

	log_info("dump: http",
		 "open=%u accepted=%llu refused=%llu requests=%llu replies=%llu errors=%llu "
		 "bad=%llu "
		 "gone=%llu bytes_in=%llu bytes_out=%llu stalls=%llu longest_stall_ms=%llu",
		 s->open, (unsigned long long)s->accepted, (unsigned long long)s->refused,
		 (unsigned long long)s->requests, (unsigned long long)s->replies,
		 (unsigned long long)s->errors, (unsigned long long)s->bad,
		 (unsigned long long)s->gone, (unsigned long long)s->bytes_in,
		 (unsigned long long)s->bytes_out, (unsigned long long)stalls,
		 (unsigned long long)(longest_stall_ns / 1000000));
	for (struct client *c = client_first(); c && n < DUMP_MAX; c = c->next, n++)
		log_info("dump: client",
			 "peer=%s state=%s eof=%d requests=%llu age_s=%lld in=%zu out=%zu req=%llu "
			 "route=%s path=%s ms=%lld",
			 log_q(c->peer), states[c->state], c->eof,
			 (unsigned long long)c->n_requests,
			 (long long)((now - c->accepted_ns) / 1000000000), c->in.len,
			 client_pending(c), (unsigned long long)(c->req.live ? c->req.id : 0),
			 c->req.live ? route_pattern(c->req.route) : "-",
			 c->req.live ? log_q(req_path(&c->req)) : "-",
			 c->req.live ? (long long)((now - c->req.begun_ns) / 1000000) : 0);
}

static void dump_jobs(void)
{
	for (int i = 0; i < LANE_COUNT; i++) {
		struct job_stats js;

		job_stats_get((enum job_lane)i, &js);
		log_info("dump: lane",
			 "name=%s threads=%u idle=%u queued=%u done=%llu failed=%llu refused=%llu",
			 js.name, js.threads, js.idle, js.queued, (unsigned long long)js.done,
			 (unsigned long long)js.failed, (unsigned long long)js.refused);
		for (unsigned k = 0; k < js.n_running; k++)
			log_info("dump: job", "lane=%s what=%s ms=%lld", js.name,
				 js.running[k].what ? js.running[k].what : "?",
				 (long long)js.running[k].age_ms);
	}
}

void debug_dump(void)
{
	unsigned n = 0;

	dump_clients();
	dump_jobs();
	log_info("dump: containers", "count=%zu", container_count());
	for (struct container *ct = container_first(); ct && n < DUMP_MAX;
	     ct = ct->next_by_age, n++)
		log_info("dump: container",
			 "ct=%.12s name=%s status=%s pid=%d op=%d refs=%u removing=%d", ct->id,
			 log_q(ct->name), container_status_name(ct), ct->st.pid, ct->op, ct->refs,
			 ct->removing);
}
