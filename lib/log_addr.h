/* SPDX-License-Identifier: MPL-2.0
 *
 * log_addr.h - where a log driver sends: the address options of syslog, fluentd and gelf, taken apart
 * as Docker does it, with its messages; and otlp's. Pure, any thread.
 */
#ifndef LIB_LOG_ADDR_H
#define LIB_LOG_ADDR_H

#include <stdbool.h>

#include "err.h"

enum log_addr_kind { LOG_ADDR_TCP, LOG_ADDR_UDP, LOG_ADDR_TLS, LOG_ADDR_UNIX, LOG_ADDR_UNIXGRAM };

struct log_addr {
	enum log_addr_kind kind;
	char host[256]; /* a name or an address, no brackets; or the path of a unix socket */
	char port[6];	/* "" for a unix socket */
};

bool log_driver_forwards(const char *driver); /* has it a sink? */

/* 0, or ERR_BAD_PARAM. Whether a unix socket may be used is for log_files.h to say. */
int log_addr_syslog(const char *value, struct log_addr *out, struct err *err);
int log_addr_fluentd(const char *value, struct log_addr *out, struct err *err);
int log_addr_gelf(const char *value, struct log_addr *out, struct err *err);
/* http:// or https://, with the port of the scheme where none is given. url: what is asked for, with /v1/logs at its
 * end, which is added where it is missing; the caller's. */
int log_addr_otlp(const char *value, struct log_addr *out, char **url, struct err *err);

#endif
