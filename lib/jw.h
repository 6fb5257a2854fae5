/* SPDX-License-Identifier: MPL-2.0
 *
 * jw.h - writes JSON text into a buf, commas and escapes included.
 *
 *	struct jw w = JW(&b);
 *	jw_obj(&w, NULL); jw_str(&w, "Id", id); jw_arr(&w, "Names"); jw_str(&w, NULL, n); jw_end(&w); jw_end(&w);
 *
 * key is NULL inside arrays and at the top.
 */
#ifndef LIB_JW_H
#define LIB_JW_H

#include "buf.h"

struct jw {
	struct buf *b;
	uint64_t is_arr; /* bit per depth */
	unsigned depth;	 /* at most 60 */
	bool comma;
};

#define JW(bufp) ((struct jw){ .b = (bufp) })

void jw_obj(struct jw *w, const char *key);
void jw_arr(struct jw *w, const char *key);
void jw_end(struct jw *w); /* closes the innermost object or array */
void jw_str(struct jw *w, const char *key, const char *s); /* NULL writes null */
void jw_strn(struct jw *w, const char *key, const char *s, size_t len);
void jw_int(struct jw *w, const char *key, int64_t v);
void jw_uint(struct jw *w, const char *key, uint64_t v);
void jw_bool(struct jw *w, const char *key, bool v);
void jw_null(struct jw *w, const char *key);
void jw_raw(struct jw *w, const char *key, const char *json); /* text that is JSON already */

#endif
