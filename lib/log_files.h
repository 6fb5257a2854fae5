/* SPDX-License-Identifier: MPL-2.0
 *
 * log_files.h - what a log driver may use of the host's file system: certificates and keys from the operator's folder
 * (log-tls-dir), and the unix sockets that he lists (log-unix-sockets). Any thread.
 */
#ifndef LIB_LOG_FILES_H
#define LIB_LOG_FILES_H

#include "buf.h"
#include "err.h"
#include "log_addr.h"

/* Reads a PEM file that option names: a path below dir, or one relative to it. Nothing outside of dir is opened, also
 * not by way of links. ERR_BAD_PARAM. */
int log_tls_read(const char *dir, const char *option, const char *value, struct buf *out, struct err *err);

/* allowed: paths, comma-separated. 0 for a network address; ERR_BAD_PARAM for a socket that is not listed, or is not there. */
int log_unix_check(const char *allowed, const struct log_addr *addr, struct err *err);

#endif
