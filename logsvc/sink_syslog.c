/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_syslog.c - the wire format of the syslog driver.
 *
 *	default		<PRI>Mmm _d hh:mm:ss TAG[PID]: MSG\n
 *	rfc3164		<PRI>Mmm _d hh:mm:ss HOST TAG[PID]: MSG\n
 *	rfc5424		<PRI>1 2026-08-22T12:34:56+02:00 HOST TAG PID TAG - MSG\n
 *	rfc5424micro	the same with six digits of a fraction
 *
 * PRI is facility * 8 + 6 (stdout) or 3 (stderr). The time is the message's own, in the host's zone. With octet counting (RFC 6587
 * 3.4.1) "LEN " goes before, and counts the newline, as Docker's sender does. APP-NAME and MSGID are cut to 48 and 32 characters and made
 * printable (RFC 5424 6): a strict receiver refuses others.
 */
#include "sink_syslog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "str.h"

static const struct {
	const char *name;
	int code;
} facilities[] = {
	{ "kern", 0 },	    { "user", 1 },    { "mail", 2 },	{ "daemon", 3 },  { "auth", 4 },
	{ "syslog", 5 },    { "lpr", 6 },     { "news", 7 },	{ "uucp", 8 },	  { "cron", 9 },
	{ "authpriv", 10 }, { "ftp", 11 },    { "local0", 16 }, { "local1", 17 }, { "local2", 18 },
	{ "local3", 19 },   { "local4", 20 }, { "local5", 21 }, { "local6", 22 }, { "local7", 23 },
};

int syslog_facility(const char *name)
{
	int64_t n;
	size_t i;

	if (str_empty(name))
		return 3;
	for (i = 0; i < ARRAY_SIZE(facilities); i++)
		if (!strcmp(name, facilities[i].name))
			return facilities[i].code;
	return parse_i64(name, 0, 23, &n) < 0 ? -1 : (int)n;
}

int syslog_format(const char *name)
{
	static const char *const names[] = { "", "rfc3164", "rfc5424", "rfc5424micro" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name ? name : "", names[i]))
			return (int)i;
	return -1;
}

/* Printable ASCII without spaces, at most max characters; never empty. */
static void sanitise(char *out, size_t max, const char *s)
{
	size_t n;

	for (n = 0; s[n] && n < max; n++)
		out[n] = s[n] > 0x20 && s[n] < 0x7f ? s[n] : '_';
	if (!n)
		out[n++] = '-';
	out[n] = '\0';
}

void syslog_enc_init(struct syslog_enc *e, enum syslog_format format, int facility, bool octet_counting, const struct sink_source *src)
{
	char host[256], app[256], msgid[33];
	size_t n;

	memset(e, 0, sizeof(*e));
	e->format = format;
	e->facility = facility;
	e->octet_counting = octet_counting;
	e->second = INT64_MIN;
	sanitise(host, 255, src->hostname);
	sanitise(app, format >= SYSLOG_RFC5424 ? 48 : 255, src->tag);
	sanitise(msgid, 32, src->tag);
	for (n = 0; n < 2; n++)
		snprintf(e->head[n], sizeof(e->head[n]), "<%d>%s", facility * 8 + (n ? 3 : 6), format >= SYSLOG_RFC5424 ? "1 " : "");
	switch (format) {
	case SYSLOG_DEFAULT:
		e->tail_len = (size_t)snprintf(e->tail, sizeof(e->tail), " %.200s[%d]: ", app, src->pid);
		break;
	case SYSLOG_RFC3164:
		e->tail_len = (size_t)snprintf(e->tail, sizeof(e->tail), " %.200s %.200s[%d]: ", host, app, src->pid);
		break;
	case SYSLOG_RFC5424:
	case SYSLOG_RFC5424MICRO:
		e->tail_len = (size_t)snprintf(e->tail, sizeof(e->tail), " %.255s %s %d %s - ", host, app, src->pid, msgid);
		break;
	}
}

/* The stamp of a second is formatted once: lines come in runs of the same one. */
static void set_second(struct syslog_enc *e, int64_t second)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)second;
	struct tm tm;
	int n;

	localtime_r(&t, &tm);
	if (e->format < SYSLOG_RFC5424)
		n = snprintf(e->stamp, sizeof(e->stamp), "%s %2d %02d:%02d:%02d", months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	else
		n = snprintf(e->stamp, sizeof(e->stamp), "%04d-%02d-%02dT%02d:%02d:%02d", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1,
			     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	e->stamp_len = (size_t)n;
	e->second = second;
	e->zone_len = 0;
	if (e->format >= SYSLOG_RFC5424 && !tm.tm_gmtoff)
		e->zone_len = str_copy(e->zone, sizeof(e->zone), "Z");
	else if (e->format >= SYSLOG_RFC5424)
		e->zone_len = (size_t)snprintf(e->zone, sizeof(e->zone), "%c%02d:%02d", tm.tm_gmtoff < 0 ? '-' : '+',
					       (int)(labs(tm.tm_gmtoff) / 3600 % 100), (int)(labs(tm.tm_gmtoff) / 60 % 60));
}

void syslog_encode(struct syslog_enc *e, const struct sink_msg *m, struct buf *out)
{
	int64_t second = m->time_ns / 1000000000, frac = m->time_ns % 1000000000;
	const char *head = e->head[m->is_stderr];
	size_t head_len = strlen(head), frac_len = 0, len = m->len;
	char extra[16], count[24];

	if (!len)
		return;
	if (frac < 0) {
		frac += 1000000000;
		second--;
	}
	if (second != e->second)
		set_second(e, second);
	if (e->format == SYSLOG_RFC5424MICRO)
		frac_len = (size_t)snprintf(extra, sizeof(extra), ".%06d", (int)(frac / 1000));
	if (m->line[len - 1] == '\n')
		len--;
	if (e->octet_counting) {
		int n = snprintf(count, sizeof(count), "%zu ", head_len + e->stamp_len + frac_len + e->zone_len + e->tail_len + len + 1);

		buf_add(out, count, (size_t)n);
	}
	buf_add(out, head, head_len);
	buf_add(out, e->stamp, e->stamp_len);
	buf_add(out, extra, frac_len);
	buf_add(out, e->zone, e->zone_len);
	buf_add(out, e->tail, e->tail_len);
	buf_add(out, m->line, len);
	buf_addch(out, '\n');
}
