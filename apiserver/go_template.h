/* SPDX-License-Identifier: MPL-2.0
 *
 * go_template.h - the part of Go's text/template that people write in log tags. Pure, any thread.
 *
 * Values are JSON: strings, integers, booleans, arrays, objects (Go's maps, whose missing keys are ""), null. There are
 * {{if}}, {{with}}, {{range}}, {{else}}, variables, comments, trimming, parentheses and pipelines; Go's functions and or not
 * eq ne lt le gt ge len index slice print printf println html urlquery, and Docker's json split join title lower upper
 * pad truncate. {{define}}, {{template}}, {{block}}, {{break}} and {{continue}} are refused.
 */
#ifndef APISERVER_GO_TEMPLATE_H
#define APISERVER_GO_TEMPLATE_H

#include <jansson.h>

#include "buf.h"
#include "err.h"

struct go_template;

/* What the dot at the top has, so that a wrong name is refused before there is one: NULL-terminated names, and what Go
 * calls its type. A name with "()" behind it is a method of one argument, which is ignored. */
struct go_template_type {
	const char *name;
	const char *const *fields;
};

/* BAD_PARAM, "template: NAME:LINE: ..." in Go's words. type is borrowed. */
int go_template_parse(const char *name, const char *text, const struct go_template_type *type,
		      struct go_template **out, struct err *err);
void go_template_free(struct go_template *t); /* NULL is fine */

/* Appends the text for dot, an object with all of the type's fields. Bounded in time, depth and size; BAD_PARAM,
 * "template: NAME:LINE:COLUMN: executing ...". */
int go_template_exec(const struct go_template *t, json_t *dot, struct buf *out, struct err *err);

#endif
