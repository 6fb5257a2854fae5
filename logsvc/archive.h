/* SPDX-License-Identifier: MPL-2.0
 *
 * archive.h - compresses rotated logs behind the back of everybody. Any thread.
 */
#ifndef LOGSVC_ARCHIVE_H
#define LOGSVC_ARCHIVE_H

#include "err.h"
#include "logset.h"

int archive_start(struct err *err); /* the thread */
void archive_stop(void);	    /* gives up the file in work; it is done again later */
/* Closes a descriptor elsewhere: the last one of an unlinked log takes long, for its pages are freed. */
void archive_close(int fd);
/* Every rotated file of the set that is plain becomes a .gz. */
void archive_submit(struct logset *set);

#endif
