/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_policy.c - what the drivers' options for waits and limits come to.
 *
 * Docker's drivers hold a message in memory while they wait, and the container with it. Here it is the log that holds
 * the messages, so that by default nothing is ever given up; who gives a limit himself gets it:
 *
 *	fluentd-retry-wait W	pauses W, 1.5 W, 2.25 W ... up to 60 s, as Docker's client
 *	fluentd-max-retries N	after N + 1 errors in a row what waits is dropped (0: Docker's client has 13 then)
 *	gelf-tcp-reconnect-delay	pauses of so many seconds
 *	gelf-tcp-max-reconnect N	as fluentd-max-retries, and 0 is none
 *	fluentd-buffer-limit, max-buffer-size	of the log that waits, the newest so many bytes are kept
 *	spool-full=block	nothing is dropped; capture waits at that limit instead (stream_wait.c)
 */
#include "logger_policy.h"

#include "jget.h"
#include "sink_net.h"
#include "str.h"

#define ACK_MS	       30000
#define WAIT_MIN_MS    250
#define WAIT_MAX_MS    30000
#define FLUENTD_MAX_MS 60000
#define FLUENTD_TRIES  13
#define TIMEOUT_MAX_MS 600000

/* A duration of opts in milliseconds, at least 1; def when it is not there or zero. */
static int get_ms(const json_t *opts, const char *key, int def)
{
	int64_t ns = 0, ms;

	if (parse_duration_ns(jget_str(opts, key, ""), &ns) < 0 || ns <= 0)
		return def;
	ms = (ns + 999999) / 1000000;
	return ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (int)ms;
}

static int64_t get_int(const json_t *opts, const char *key, int64_t def)
{
	(void)parse_i64(jget_str(opts, key, ""), 0, INT32_MAX, &def);
	return def;
}

static void limit_buffer(struct sink_policy *p, const json_t *opts, const char *key)
{
	int64_t n = 0;

	if (parse_size(jget_str(opts, key, ""), 1024, &n) == 0 && n > 0 && (!p->buffer_bytes || n < p->buffer_bytes))
		p->buffer_bytes = n;
}

void policy_read(struct sink_policy *p, const char *driver, const json_t *opts)
{
	*p = (struct sink_policy){ .write_ms = NET_WRITE_MS, .read_ms = ACK_MS, .max_retries = -1 };
	p->block = str_eq(jget_str(opts, "spool-full", ""), "block");
	limit_buffer(p, opts, "max-buffer-size");
	if (str_eq(driver, "fluentd")) {
		p->write_ms = get_ms(opts, "fluentd-write-timeout", p->write_ms);
		p->read_ms = get_ms(opts, "fluentd-read-timeout", p->read_ms);
		p->reconnect_ns = get_ms(opts, "fluentd-async-reconnect-interval", 0) * 1000000LL;
		p->retry_ms = get_ms(opts, "fluentd-retry-wait", 0);
		p->max_retries = get_int(opts, "fluentd-max-retries", -1);
		if (p->max_retries == 0)
			p->max_retries = FLUENTD_TRIES;
		limit_buffer(p, opts, "fluentd-buffer-limit");
	} else if (str_eq(driver, "gelf")) {
		int64_t delay_s = get_int(opts, "gelf-tcp-reconnect-delay", 0);

		p->retry_ms = delay_s > TIMEOUT_MAX_MS / 1000 ? TIMEOUT_MAX_MS : (int)delay_s * 1000;
		p->retry_same = delay_s > 0;
		p->max_retries = get_int(opts, "gelf-tcp-max-reconnect", -1);
	}
}

int policy_wait_ms(const struct sink_policy *p, unsigned n)
{
	int64_t ms = p->retry_ms ? p->retry_ms : WAIT_MIN_MS, most = p->retry_ms ? FLUENTD_MAX_MS : WAIT_MAX_MS;

	while (!p->retry_same && n-- > 1 && ms < most)
		ms = p->retry_ms ? ms + ms / 2 + ms % 2 : ms * 2;
	return (int)(p->retry_same || ms < most ? ms : most);
}
