/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_syslog.h - syslog messages: RFC 3164, RFC 5424, and Docker's default form. Pure.
 */
#ifndef LOGSVC_SINK_SYSLOG_H
#define LOGSVC_SINK_SYSLOG_H

#include "buf.h"
#include "sink_msg.h"

enum syslog_format { SYSLOG_DEFAULT, SYSLOG_RFC3164, SYSLOG_RFC5424, SYSLOG_RFC5424MICRO };

struct syslog_enc {
	enum syslog_format format;
	int facility;
	bool octet_counting;
	char head[2][512]; /* by severity: what stands before and after the time, made once */
	char tail[512];
	size_t tail_len;
	int64_t second; /* that stamp is for */
	char stamp[40];
	size_t stamp_len;
	char zone[8]; /* Z or +hh:mm */
	size_t zone_len;
};

/* 0..23 for a name or a number; -1: invalid syslog facility. "" is daemon. */
int syslog_facility(const char *name);
/* -1: Invalid syslog format. "" is SYSLOG_DEFAULT. */
int syslog_format(const char *name);
void syslog_enc_init(struct syslog_enc *e, enum syslog_format format, int facility, bool octet_counting, const struct sink_source *src);
/* Appends one framed message; nothing for an empty line. */
void syslog_encode(struct syslog_enc *e, const struct sink_msg *m, struct buf *out);

#endif
