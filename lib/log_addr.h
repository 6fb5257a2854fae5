/* SPDX-License-Identifier: MPL-2.0
 *
 * log_addr.h - where a log driver sends: the address options of syslog, fluentd and gelf, taken apart
 * as Docker does it, with its messages. Pure, any thread.
 */
#ifndef LIB_LOG_ADDR_H
#define LIB_LOG_ADDR_H

#include "err.h"

enum log_addr_kind { LOG_ADDR_TCP, LOG_ADDR_UDP, LOG_ADDR_TLS };

struct log_addr {
	enum log_addr_kind kind;
	char host[256]; /* a name or an address, no brackets */
	char port[6];
};

/* 0, or ERR_BAD_PARAM. Sockets of the host's file system are refused: a zone cannot reach them. */
int log_addr_syslog(const char *value, struct log_addr *out, struct err *err);
int log_addr_fluentd(const char *value, struct log_addr *out, struct err *err);
int log_addr_gelf(const char *value, struct log_addr *out, struct err *err);

#endif
