/* SPDX-License-Identifier: MPL-2.0
 *
 * log.h - diagnostics of our own processes (not container output).
 *
 * One line per event on stderr: time, level, module, stable message, key=value pairs:
 *	log_info("zone spawned", "ct=%.12s pid=%d ms=%ld", id, pid, ms);
 * #define LOG_MODULE "zone" before the include. Values from outside go through log_q().
 * Any thread.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>

enum log_level { LOG_LVL_ERR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

#ifndef LOG_MODULE
#define LOG_MODULE "main"
#endif

void log_set_level(enum log_level level);
int log_parse_level(const char *s, enum log_level *out); /* error warn info debug */
bool log_enabled(enum log_level level);
void log_at(enum log_level level, const char *module, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Quotes and escapes s into one of a few per-thread buffers, valid for the current statement. */
const char *log_q(const char *s);

#define log_err(msg, ...)  log_at(LOG_LVL_ERR, LOG_MODULE, msg, __VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_LVL_WARN, LOG_MODULE, msg, __VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_LVL_INFO, LOG_MODULE, msg, __VA_ARGS__)
#define log_debug(msg, ...)                                                                        \
	do {                                                                                       \
		if (log_enabled(LOG_LVL_DEBUG))                                                    \
			log_at(LOG_LVL_DEBUG, LOG_MODULE, msg, __VA_ARGS__);                       \
	} while (0)

/* Rate limit for repeating warnings: true at most once per interval_ms per call site; suppressed
 * counts what was not told since. */
struct log_limit {
	long long last_ms;
	unsigned suppressed;
};
bool log_limit_ok(struct log_limit *l, int interval_ms, unsigned *suppressed);

#endif
