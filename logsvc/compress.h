/* SPDX-License-Identifier: MPL-2.0
 *
 * compress.h - compresses rotated logs behind the back of everybody. Any thread.
 */
#ifndef LOGSVC_COMPRESS_H
#define LOGSVC_COMPRESS_H

#include "err.h"
#include "logset.h"

int compress_start(struct err *err); /* the thread */
void compress_stop(void);	    /* gives up the file in work; it is done again later */
/* Closes a descriptor elsewhere: the last one of an unlinked log takes long, for its pages are freed. */
void compress_close(int fd);
/* Every rotated file of the set that is plain becomes a .gz. */
void compress_submit(struct logset *set);

#endif
