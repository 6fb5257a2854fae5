/* SPDX-License-Identifier: MPL-2.0
 *
 * log.c - one line per event on stderr, in one write.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "str.h"

static enum log_level max_level = LOG_LVL_INFO;
static const char *const names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

int log_parse_level(const char *s, enum log_level *out)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_eq(s, names[i])) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool log_enabled(enum log_level level)
{
	return level <= __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

void log_at(enum log_level level, const char *module, const char *msg, const char *fmt, ...)
{
	char line[2048], stamp[RFC3339NANO_MAX];
	int n, saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	fmt_rfc3339_9(stamp, now_ns());
	/* milliseconds are enough */
	n = snprintf(line, sizeof(line), "%.23sZ %s %s %s", stamp, names[level], module, msg);
	if (n > 0 && (size_t)n < sizeof(line) - 2 && *fmt) {
		int m;

		line[n++] = ' ';
		va_start(ap, fmt);
		m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
		va_end(ap);
		n += m < 0 ? 0 : m;
	}
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* a diagnostic that cannot be written has nowhere to be reported */
	if (write(STDERR_FILENO, line, n) < 0)
		n = 0;
	errno = saved;
}

const char *log_q(const char *s)
{
	static __thread char bufs[4][300];
	static __thread unsigned next;
	char *out = bufs[next++ % 4];
	size_t n = 0;

	if (!s)
		return "-";
	out[n++] = '"';
	for (; *s && n < sizeof(bufs[0]) - 8; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	if (*s) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}

bool log_limit_ok(struct log_limit *l, int interval_ms, unsigned *suppressed)
{
	long long now = mono_ns() / 1000000;
	long long last = __atomic_load_n(&l->last_ms, __ATOMIC_RELAXED);

	if (last && now - last < interval_ms) {
		__atomic_add_fetch(&l->suppressed, 1, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_store_n(&l->last_ms, now, __ATOMIC_RELAXED);
	*suppressed = __atomic_exchange_n(&l->suppressed, 0, __ATOMIC_RELAXED);
	return true;
}
