/* SPDX-License-Identifier: MPL-2.0
 *
 * logfile.h - the writer of one zone's host log. One capture thread.
 */
#ifndef LOGSVC_LOGFILE_H
#define LOGSVC_LOGFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "logset.h"
#include "ring.h"

struct logfile {
	struct logset *set;   /* a reference */
	const char *dir_path; /* borrowed from who opens it */
	int fd;		    /* -1: not open */
	int64_t off;	    /* where the next record goes */
	uint64_t ino;
	uint64_t gen;
	int64_t max_size;	 /* bytes; 0: never rotate */
	int64_t next_look_ns;	 /* wall clock: when the name is looked at again */
	int64_t next_rotate_ns;	 /* after a rotation that failed: not before this mono_ns() */
	uint64_t errors;
};

/* Opens (makes) the live file and brings it to where slot says, which is zero for a new ring. On
 * success log_off, log_ino and log_gen of slot are what must be committed. */
int logfile_open(struct logfile *lf, struct logset *set, const char *dir_path,
		 struct ring_slot *slot, struct err *err);
void logfile_close(struct logfile *lf);

/* Appends all or nothing: 0, or -errno with the file as it was. *moved: the file was cut or replaced
 * by somebody else, and off, ino or gen are new. */
int logfile_append(struct logfile *lf, const char *p, size_t len, int64_t now_ns, bool *moved,
		   struct err *err);
/* Records with such times follow: for logset_is_disordered. Before they are appended. */
void logfile_note_times(struct logfile *lf, int64_t oldest_ns, int64_t newest_ns);
/* -errno: there is no room for so many bytes; what is reserved is used by the appends that follow. */
int logfile_reserve(struct logfile *lf, size_t bytes, struct err *err);
/* Renames the live file and starts a new one. The caller commits {ino, off, gen} and then calls
 * logfile_retain. */
int logfile_rotate(struct logfile *lf, int64_t now_ns, struct err *err);
bool logfile_may_rotate(const struct logfile *lf); /* false: a moment after one that failed */
void logfile_retain(struct logfile *lf); /* retention_apply, counted */

#endif
