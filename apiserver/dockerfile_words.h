/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_words.h - the words of a Dockerfile instruction: splitting, quotes, $variables. Pure.
 */
#ifndef APISERVER_DOCKERFILE_WORDS_H
#define APISERVER_DOCKERFILE_WORDS_H

#include "buf.h"
#include "err.h"

/* Splits at white space that is neither quoted nor escaped; quotes and escapes stay in the words.
 * escape: the backslash, usually. */
char **dockerfile_words(const char *s, char escape);
/* Splits at white space, whatever is quoted. */
char **dockerfile_fields(const char *s);
/* What follows ENV or LABEL (what), as name, value, name, value ...: "name=value" each, or one name
 * and the rest of the line. Nothing for nothing. */
int dockerfile_pairs(const char *s, char escape, const char *what, char ***out, struct err *err);
/* One word with quotes and escapes taken away and $x, ${x}, ${x:-w}, ${x:+w}, ${x:?w} (and without
 * the colon), ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/w} ${x//p/w} replaced from env, a vector of
 * KEY=VALUE. Owned. */
int dockerfile_expand(const char *word, char escape, char *const *env, char **out, struct err *err);
/* The same for a list of words: what expands to several words is split. Owned vector. */
int dockerfile_expand_words(const char *s, char escape, char *const *env, char ***out,
			    struct err *err);
/* ["a", "b"]: 1 and the strings; anything that is no JSON array: 0; an array of other things:
 * error. */
int dockerfile_json_form(const char *s, char ***out, struct err *err);
/* As Go's %q shows a string, and a number that is taken for a character. */
void dockerfile_quote(struct buf *b, const char *s);
void dockerfile_quote_char(struct buf *b, int64_t c);

#endif
