/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_child.h - an archiver process as logsvc holds it: a socket. Any thread.
 */
#ifndef LOGSVC_ARCHIVE_CHILD_H
#define LOGSVC_ARCHIVE_CHILD_H

#include "archiver_order.h"
#include "conf.h"
#include "err.h"

/* For the store that conf names. The socket, non-blocking; closing it ends the process. Negative with err. */
int archive_child_start(const struct conf *conf, struct err *err);
int archive_child_order(int sock, struct archiver_order *o, int fd, struct err *err); /* magic is set here; fd stays the caller's */
/* 1 an answer; 0 none yet; negative: the process has gone. Its text is terminated and has no control characters. */
int archive_child_answer(int sock, struct archiver_answer *a);

#endif
