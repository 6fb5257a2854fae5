/* SPDX-License-Identifier: MPL-2.0
 *
 * buf.h - growable bytes, the only such thing in the tree.
 *
 * The bytes are always followed by a NUL that len does not count. Appending beyond max (0 = no
 * limit) sets over and drops the bytes: check buf_over once at the end. Allocation failure aborts;
 * give a max wherever a peer chooses the size.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *p;
	size_t len;
	size_t cap;
	size_t max;
	bool over;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}
#define cleanup_buf __attribute__((cleanup(buf_fini)))

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* len = 0, keeps the memory */
bool buf_over(const struct buf *b);
void buf_reserve(struct buf *b, size_t extra); /* room for extra more bytes */
void buf_add(struct buf *b, const void *p, size_t len);
void buf_addstr(struct buf *b, const char *s);
void buf_addch(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front */
const char *buf_str(const struct buf *b);  /* "" when empty; NUL-terminated */
char *buf_steal(struct buf *b);		   /* the caller owns the bytes; b is empty again */

/* JSON string with quotes, escaped as Go's encoding/json does it (logging contract 1.3): < > & and
 * U+2028/9 as \u escapes, each invalid byte as \ufffd. */
void buf_json_str(struct buf *b, const char *s, size_t len);

#endif
