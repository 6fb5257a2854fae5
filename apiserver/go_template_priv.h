/* SPDX-License-Identifier: MPL-2.0
 *
 * go_template_priv.h - the tree between go_template.c (parses), go_template_exec.c (walks it) and go_template_funcs.c.
 */
#ifndef APISERVER_GO_TEMPLATE_PRIV_H
#define APISERVER_GO_TEMPLATE_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "apiserver/go_template.h"

enum node_kind {
	NODE_LIST,   /* children in kids */
	NODE_TEXT,   /* text */
	NODE_ACTION, /* kids[0]: a pipe */
	NODE_IF,     /* kids: pipe, list, else list (maybe empty) */
	NODE_WITH,
	NODE_RANGE,
	NODE_PIPE,  /* kids: commands; text: a variable that is set, or NULL; index: of {{range}}, or NULL; declares */
	NODE_CMD,   /* kids: operands, the first may be a function */
	NODE_DOT,   /* . */
	NODE_FIELD, /* text: a name; kids[0]: of what; without one: of the dot */
	NODE_VAR,   /* text: $name */
	NODE_FUNC,  /* text: its name */
	NODE_CONST, /* value */
};

struct node {
	enum node_kind kind;
	size_t from, to; /* in the source */
	char *text, *index;
	json_t *value;
	bool declares;
	struct node **kids;
	size_t n_kids;
};

struct go_template {
	char *name, *source;
	const struct go_template_type *type;
	struct node *root;
};

/* "template: name:line" or, with column, "template: name:line:column" */
int go_template_fail(const struct go_template *t, size_t at, bool column, struct err *err,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* go_template_funcs.c. A function's result is owned by the caller; NULL with err ("error calling NAME: ..." without what
 * stands before). Arguments are borrowed. */
struct go_func {
	const char *name;
	int min, max; /* arguments; max < 0: any number */
	json_t *(*call)(json_t *const *args, size_t n, struct err *err);
};
const struct go_func *go_func_find(const char *name);
bool go_value_is_true(const json_t *v);
void go_value_print(const json_t *v, struct buf *out); /* as Go's fmt prints it */

#endif
