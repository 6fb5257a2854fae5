/* SPDX-License-Identifier: MPL-2.0
 *
 * signals.h - signal names as the API takes them. Pure, any thread.
 */
#ifndef APISERVER_SIGNALS_H
#define APISERVER_SIGNALS_H

#include "err.h"

/* "SIGTERM", "term", "15", "RTMIN+3". 400 "invalid signal: X", also for 0; "the linux daemon does not support signal N"
 * for numbers that have no name: 32 and 33 are the C library's. */
int signal_parse(const char *s, int *signo, struct err *err);

#endif
