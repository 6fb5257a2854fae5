/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_files.h - a logger's log files: opened by its parent, which may, for its child, which may not.
 */
#ifndef LOGSVC_LOGGER_FILES_H
#define LOGSVC_LOGGER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_item {
	uint64_t ino;
	int64_t born_ns;
	int64_t size;
	int64_t time_s; /* of the rotation; INT64_MAX: the live file */
	bool gz;
};

/* The parent: answers until the child is gone, or still_needed, asked every FILES_LOOK_S, says no. */
#define FILES_LOOK_S 20
void files_serve(int sock, int dir_fd, bool (*still_needed)(void *arg), void *arg);
/* The child. All files that were rotated at from_s or later, oldest first, the live one last: what was there at one
 * moment, whatever is rotated meanwhile. n, or -errno; *items is the caller's to free. */
int files_list(int sock, int64_t from_s, struct log_item **items);
/* A descriptor, read-only, or -errno; *it is what was opened. */
int files_open(int sock, int64_t time_s, bool gz, struct log_item *it);

#endif
