/* SPDX-License-Identifier: MPL-2.0
 *
 * cursor.h - how far a zone's log has been forwarded; a file beside the log. One thread.
 */
#ifndef LOGSVC_CURSOR_H
#define LOGSVC_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

/* A line that is being split, per stream: its pieces share an id. */
struct cursor_split {
	uint32_t ordinal; /* of the piece before; 0: not inside one */
	char id[36];
};

struct cursor {
	uint64_t ino; /* the file and when it was made; 0: the first one behind file_s */
	int64_t born_ns;
	int64_t file_s; /* when it was rotated; INT64_MAX: it was live when it was opened; 0 with ino 0: the log's beginning */
	int64_t off;	 /* the next record */
	uint64_t file_lines; /* before off */
	int64_t time_ns; /* of the record before */
	uint64_t delivered, dropped;
	uint64_t dropped_bytes; /* of their text, where it is known */
	uint64_t seen, seen_lines, seen_bytes; /* of the page's removed files, when last looked */
	uint64_t untold_lines, untold_bytes; /* dropped, and the sink has not heard of it */
	struct cursor_split split[2];
};

/* Reads the newer of the file's two slots that is whole. False: there is none; *c is zero. */
bool cursor_load(int fd, struct cursor *c);
/* So that cursor_save needs no room on the disk, which may be full then; as far as there is room now. */
void cursor_reserve(int fd);
/* Writes the slot that does not hold. 0 or -errno. */
int cursor_save(int fd, const struct cursor *c);

#endif
