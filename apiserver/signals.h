/* SPDX-License-Identifier: MPL-2.0
 *
 * signals.h - signal names as the API takes them. Pure, any thread.
 */
#ifndef APISERVER_SIGNALS_H
#define APISERVER_SIGNALS_H

#include "err.h"

/* "SIGTERM", "term", "15", "RTMIN+3". 400 "invalid signal: X"; 0 and what the kernel does not
 * have are invalid too. */
int signal_parse(const char *s, int *signo, struct err *err);

#endif
