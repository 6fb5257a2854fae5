/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_marks.h - what was sent over a connection and may have to be sent again. Pure; one thread.
 */
#ifndef LOGSVC_LOGGER_MARKS_H
#define LOGSVC_LOGGER_MARKS_H

#include <stdint.h>

#include "cursor.h"

#define MARKS_MAX 256

/* After `written` bytes of the connection the next record is cursor's. */
struct mark {
	uint64_t written;
	int64_t at_ns;
	struct cursor cursor;
};

/* A ring: the oldest n_taken of n are taken for delivered, and kept in case they are not. */
struct marks {
	struct mark v[MARKS_MAX];
	unsigned first, n, n_taken;
};

/* A new connection, on which cursor's record is the first. */
void marks_reset(struct marks *m, const struct cursor *cursor);
/* More was sent. Marks of less than span_ns are one; a full ring loses the oldest that was taken, or grows coarser. */
void marks_add(struct marks *m, uint64_t written, const struct cursor *cursor, int64_t now_ns, int64_t span_ns);
static inline unsigned marks_pending(const struct marks *m)
{
	return m->n - m->n_taken;
}
/* Takes those that end within the first `got` bytes and were sent until until_ns; the last one's cursor, or NULL: none. */
const struct cursor *marks_take(struct marks *m, int64_t got, int64_t until_ns);
/* Where to begin again when only the first `got` bytes are certain: never behind what is taken. */
const struct cursor *marks_back(const struct marks *m, int64_t got);

#endif
