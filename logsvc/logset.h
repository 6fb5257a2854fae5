/* SPDX-License-Identifier: MPL-2.0
 *
 * logset.h - the files of one zone's log: what the writer, the readers and the compressor share.
 *
 * The live file is stdio.log; rotated ones are stdio.log.YYYYmmddTHHMMSSZ, or that with .gz. Files
 * have sequence numbers (in memory only): rotated ones in order of their names, then the live one.
 * Reference-counted; everything below takes the lock itself. Any thread.
 */
#ifndef LOGSVC_LOGSET_H
#define LOGSVC_LOGSET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "clock_steps.h"
#include "err.h"

#define LOG_LIVE     "stdio.log"
#define LOG_GZ_TMP   "." LOG_LIVE ".gz.tmp"
#define LOG_NAME_MAX 32 /* stdio.log.20260822T123456Z.gz */

struct log_entry {
	uint64_t seq;
	int64_t time_s; /* from the name */
	char name[LOG_NAME_MAX];
	bool gz;
	bool stored; /* it is in the object store: archive_index.h */
};

/* Told, under the set's lock, that something changed: more is committed, a file was rotated, the run
 * has ended, the zone is removed. Must not block and must not call back into the set. */
struct log_waiter {
	struct log_waiter *next;
	void (*wake)(struct log_waiter *w);
};

struct log_counters {
	uint64_t lines, bytes, rotations;
	uint64_t dropped; /* lines that are in no log: the disk was full */
};

struct logset {
	pthread_mutex_t lock;
	atomic_int refs;
	char uuid[37];
	/* under the lock: */
	int dir_fd;		 /* -1: there is no directory */
	struct log_entry *files; /* rotated, oldest first */
	size_t n_files, cap_files;
	uint64_t live_seq;  /* above all of files */
	int64_t live_off;   /* how far the live file is committed */
	uint64_t live_cuts; /* how often somebody else truncated or replaced it */
	bool captured;	    /* live_off is kept by a writer; else by the file's own end */
	bool running;	    /* a run is not drained */
	uint64_t drains;    /* runs that were */
	bool removed;
	bool compress;
	bool compressing;   /* in the compressor's queue */
	bool uploading;	    /* in the queue of uploads */
	bool kept;	    /* the container has gone, its log is still to be stored */
	struct clock_steps steps;
	int64_t newest_s;   /* of all names that were ever given, also of files that are in the store alone */
	uint64_t archived, archived_bytes; /* files in the store, and the size of their text */
	uint64_t upload_failures;	   /* attempts */
	uint64_t unstored;		   /* files that went, by a limit, without having been stored */
	/* Any thread, not under the lock: compressing or uploading has ended. */
	void (*on_settled)(struct logset *set);
	void *owner;
	uint32_t max_files; /* live one included; 0: no limit */
	uint64_t live_ino;  /* of the live file while it is captured; 0: not known yet */
	int64_t live_born_ns;
	/* A logger reads these files: those that it has not passed are kept up to forward_max bytes. */
	const struct forward_status *forward;
	struct forward_commit *forward_page;
	int64_t forward_max;
	bool waits; /* capture waits for the logger */
	struct log_waiter *waiters;
	struct log_counters counters;
	bool counted;	    /* they are known */
	atomic_uint_fast64_t damaged; /* records that readers could not decode */
	atomic_uint_fast64_t errors;
};

/* A set of the given directory, scanned when it exists. Never fails: no directory is an empty log. */
struct logset *logset_new(const char *uuid, const char *dir_path);
struct logset *logset_ref(struct logset *set);
void logset_unref(struct logset *set);

bool logset_has_live(struct logset *set);

/* The directory is made (0700) when it is missing, and scanned if it was not. */
int logset_make_dir(struct logset *set, const char *dir_path, struct err *err);

/* "stdio.log.20260822T123456Z[.gz]" taken apart; false for any other name. Pure. */
bool log_name_parse(const char *name, int64_t *time_s, bool *gz);
void log_name_format(char name[LOG_NAME_MAX], int64_t time_s);

struct log_view {
	int fd; /* of the file asked for, read-only; the caller's */
	uint64_t seq;
	bool gz;
	bool live;
	uint64_t cuts;
	int64_t limit;	/* bytes that may be read; of a rotated file its size */
	int64_t time_s; /* of a rotated file: from its name */
};
/* Opens the oldest file whose number is at least seq. 1, or 0: there is none. */
int logset_open(struct logset *set, uint64_t seq, struct log_view *out);
/* Opens the newest file whose number is at most seq. */
int logset_open_back(struct logset *set, uint64_t seq, struct log_view *out);
/* What is new about an open file: live and limit are set; false when somebody cut the file (the view
 * must be opened again). */
struct log_status {
	bool running, removed;
	uint64_t drains;
};
bool logset_refresh(struct logset *set, struct log_view *view, struct log_status *status);

void logset_add_waiter(struct logset *set, struct log_waiter *w);
void logset_del_waiter(struct logset *set, struct log_waiter *w);
/* For the writer. */
void logset_publish(struct logset *set, int64_t live_off, const struct log_counters *counters);
void logset_set_running(struct logset *set, bool running);
void logset_set_removed(struct logset *set);
void logset_wake_locked(struct logset *set);
/* Appends a rotated file; the caller holds the lock. */
void logset_add_locked(struct logset *set, const char *name, int64_t time_s, bool gz);
void logset_drop_locked(struct logset *set, size_t i);
/* Unlinks file i (and what a crash left of its other form) and takes it off the table. -errno: it stays. */
int logset_unlink_locked(struct logset *set, size_t i);
/* Rotated files that are not in the store. */
void logset_pending_locked(struct logset *set, uint32_t *files, int64_t *bytes);
bool logset_is_busy(struct logset *set); /* compressing or uploading */
/* The live file of a container that has gone becomes a rotated one; 0 also when there is none, or nothing in it. No writer. */
int logset_seal(struct logset *set, int64_t now_ns);
/* How many of the oldest files may go: n_files, or those that the logger has passed. */
size_t logset_passed_locked(struct logset *set);
/* The logger is in file i, or before it. */
bool logset_is_unread_locked(struct logset *set, size_t i);
/* Renames the live file to a name that no file has or had: newer than all, and in their order. */
int logset_rename_live_locked(struct logset *set, int64_t now_ns, char name[LOG_NAME_MAX], int64_t *time_s);
/* Onto a name that is free: 0, -EEXIST, other. */
int log_rename_free(int dir_fd, const char *from, const char *to);
/* Records around ns are not in the order of their times: clock_steps.h. */
bool logset_is_disordered(struct logset *set, int64_t ns);
/* How many bytes of the log are committed and were not sent by the logger; 0 without one. */
int64_t logset_backlog(struct logset *set);
/* When an open file was made; 0: the file system does not say. */
int64_t log_born_ns(int fd);

struct log_usage {
	int64_t bytes;
	uint32_t files;
	int64_t oldest_ns; /* 0: none */
};
void logset_usage(struct logset *set, struct log_usage *out);

/* Removes rotated files from before a time, all but the newest keep; out: what they were. The live file
 * stays. dry_run: only counts. */
struct log_prune {
	int64_t before_ns;
	uint32_t keep;
	bool dry_run;
	bool stored_only; /* what is not in the object store stays, and all that is younger */
};
void logset_prune(struct logset *set, const struct log_prune *how, struct log_usage *out);
/* Of what it would remove: the files that the object store has not got. */
uint32_t logset_unstored(struct logset *set, const struct log_prune *how);

/* A file without a name on the disk that the log is on, else in memory; -errno. */
int logset_nameless(struct logset *set);

/* Where the last whole line ends at or before size; 0 when there is none. */
int64_t log_last_line_end(int fd, int64_t size);

#endif
