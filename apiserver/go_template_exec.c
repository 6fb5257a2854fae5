/* SPDX-License-Identifier: MPL-2.0
 *
 * go_template_exec.c - walks a template's tree (Go's text/template, exec.go).
 *
 * A value is owned by whoever has it: eval_* return a new reference, or NULL with err. Steps, output and depth have limits:
 * the template is a user's.
 */
#include "apiserver/go_template_priv.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define STEPS_MAX 100000
#define OUT_MAX	  65536
#define ARGS_MAX  32

struct var {
	const char *name;
	json_t *value;
};

struct run {
	const struct go_template *t;
	struct buf *out;
	struct err *err;
	json_t *top;
	struct var *vars;
	size_t n_vars;
	unsigned steps;
};

/* "executing "log-tag" at <.Foo>: ..." */
static json_t *fail_at(const struct run *r, const struct node *n, const char *what)
{
	int len = (int)(n->to - n->from);

	(void)go_template_fail(r->t, n->from, true, r->err, "executing \"%s\" at <%.*s>: %s",
			       r->t->name, len < 100 ? len : 100, r->t->source + n->from, what);
	return NULL;
}

static bool step(struct run *r, const struct node *n)
{
	if (r->out->len <= OUT_MAX && ++r->steps <= STEPS_MAX)
		return true;
	(void)fail_at(r, n, "too much work");
	return false;
}

static json_t *eval_pipe(struct run *r, const struct node *pipe, json_t *dot);

/* ---- operands --------------------------------------------------------------------------------- */

static bool is_method(const struct go_template_type *type, const char *name)
{
	for (const char *const *f = type->fields; *f; f++)
		if (str_ends(*f, "()") && strncmp(*f, name, strlen(name)) == 0 &&
		    strlen(*f) == strlen(name) + 2)
			return true;
	return false;
}

static const char *type_name(const struct run *r, const json_t *v)
{
	if (v == r->top)
		return r->t->type->name;
	switch (json_typeof(v)) {
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
		return "int";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	case JSON_ARRAY:
		return "[]string";
	case JSON_OBJECT:
		return "map[string]string";
	case JSON_REAL:
	case JSON_NULL:
		break;
	}
	return "interface {}";
}

/* of is consumed. A map's missing key is "". */
static json_t *field(struct run *r, const struct node *n, json_t *of, bool has_args)
{
	json_t *v = json_is_object(of) ? json_object_get(of, n->text) : NULL;
	char what[200];

	if (of == r->top && v && has_args != is_method(r->t->type, n->text)) {
		(void)!str_fmt(what, sizeof(what),
			       has_args ? "%.64s has arguments but cannot be invoked as function"
					: "wrong number of args for %.64s: want 1 got 0",
			       n->text);
		json_decref(of);
		return fail_at(r, n, what);
	}
	if (!v && json_is_object(of) && of != r->top)
		v = json_string("");
	else if (v)
		json_incref(v);
	else
		(void)!str_fmt(what, sizeof(what), "can't evaluate field %.64s in type %s", n->text,
			       type_name(r, of));
	json_decref(of);
	return v ? v : fail_at(r, n, what);
}

static json_t *eval(struct run *r, const struct node *n, json_t *dot, bool has_args);

static json_t *variable(struct run *r, const struct node *n)
{
	for (size_t i = r->n_vars; i > 0; i--)
		if (strcmp(r->vars[i - 1].name, n->text) == 0)
			return json_incref(r->vars[i - 1].value);
	return fail_at(r, n, "undefined variable");
}

static json_t *call(struct run *r, const struct node *n, json_t *const *args, size_t n_args)
{
	const struct go_func *f = go_func_find(n->text);
	struct err why = { 0 };
	char what[300];
	json_t *v;

	if (n_args < (size_t)f->min || (f->max >= 0 && n_args > (size_t)f->max)) {
		(void)!str_fmt(what, sizeof(what), "wrong number of args for %s: want %s%d got %zu",
			       f->name, f->max != f->min ? "at least " : "", f->min, n_args);
		return fail_at(r, n, what);
	}
	if ((v = f->call(args, n_args, &why)))
		return v;
	(void)!str_fmt(what, sizeof(what), "error calling %s: %.200s", f->name, why.msg);
	return fail_at(r, n, what);
}

static json_t *eval(struct run *r, const struct node *n, json_t *dot, bool has_args)
{
	json_t *of;

	if (!step(r, n))
		return NULL;
	switch (n->kind) {
	case NODE_DOT:
		return json_incref(dot);
	case NODE_CONST:
		return json_incref(n->value);
	case NODE_VAR:
		return variable(r, n);
	case NODE_PIPE:
		return eval_pipe(r, n, dot);
	case NODE_FUNC:
		return call(r, n, NULL, 0);
	case NODE_FIELD:
		of = n->n_kids ? eval(r, n->kids[0], dot, false) : json_incref(dot);
		return of ? field(r, n, of, has_args) : NULL;
	case NODE_LIST:
	case NODE_TEXT:
	case NODE_ACTION:
	case NODE_IF:
	case NODE_WITH:
	case NODE_RANGE:
	case NODE_CMD:
		break;
	}
	abort();
}

/* ---- pipelines -------------------------------------------------------------------------------- */

/* and, or: what follows the value that decides is not looked at. */
static json_t *shortcut(struct run *r, const struct node *cmd, json_t *dot, json_t *piped)
{
	bool is_or = strcmp(cmd->kids[0]->text, "or") == 0;
	json_t *v = NULL;

	for (size_t i = 1; i < cmd->n_kids; i++) {
		json_decref(v);
		if (!(v = eval(r, cmd->kids[i], dot, false)) || go_value_is_true(v) == is_or)
			return v;
	}
	if (piped) {
		json_decref(v);
		return json_incref(piped);
	}
	return v ? v : fail_at(r, cmd, "wrong number of args: want at least 1 got 0");
}

static json_t *call_with(struct run *r, const struct node *cmd, json_t *dot, json_t *piped)
{
	const struct node *f = cmd->kids[0];
	json_t *args[ARGS_MAX], *v = NULL;
	size_t n = 0;
	bool ok = true;

	if (strcmp(f->text, "and") == 0 || strcmp(f->text, "or") == 0)
		return shortcut(r, cmd, dot, piped);
	if (cmd->n_kids >= ARGS_MAX)
		return fail_at(r, cmd, "too many arguments");
	for (size_t i = 1; i < cmd->n_kids && ok; i++) {
		args[n] = eval(r, cmd->kids[i], dot, false);
		ok = args[n] != NULL;
		n += ok;
	}
	if (ok && piped)
		args[n++] = json_incref(piped);
	if (ok) {
		struct node whole = *f;

		whole.to = cmd->to;
		v = call(r, &whole, args, n);
	}
	while (n > 0)
		json_decref(args[--n]);
	return v;
}

static json_t *eval_command(struct run *r, const struct node *cmd, json_t *dot, json_t *piped)
{
	const struct node *first = cmd->kids[0];
	size_t n_args = cmd->n_kids - 1 + (piped != NULL);

	if (first->kind == NODE_FUNC)
		return call_with(r, cmd, dot, piped);
	if (n_args && first->kind != NODE_FIELD)
		return fail_at(r, first, "can't give argument to non-function");
	if (n_args > 1)
		return fail_at(r, first, "wrong number of args: want 1");
	return eval(r, first, dot, n_args > 0); /* a method's argument is looked at by nobody */
}

static void set_var(struct run *r, const char *name, bool declares, json_t *v)
{
	size_t i = r->n_vars;

	while (!declares && i > 0 && strcmp(r->vars[i - 1].name, name) != 0)
		i--;
	if (!declares && i > 0) {
		json_decref(r->vars[i - 1].value);
		r->vars[i - 1].value = json_incref(v);
		return;
	}
	r->vars = xrealloc(r->vars, (r->n_vars + 1) * sizeof(*r->vars));
	r->vars[r->n_vars++] = (struct var){ name, json_incref(v) };
}

static void drop_vars(struct run *r, size_t to)
{
	while (r->n_vars > to)
		json_decref(r->vars[--r->n_vars].value);
}

static json_t *eval_pipe(struct run *r, const struct node *pipe, json_t *dot)
{
	json_t *v = NULL;

	for (size_t i = 0; i < pipe->n_kids; i++) {
		json_t *next = eval_command(r, pipe->kids[i], dot, v);

		json_decref(v);
		if (!(v = next))
			return NULL;
	}
	if (pipe->index)
		set_var(r, pipe->index, pipe->declares, v);
	if (pipe->text)
		set_var(r, pipe->text, pipe->declares, v);
	return v;
}

/* ---- statements ------------------------------------------------------------------------------- */

static int walk(struct run *r, const struct node *n, json_t *dot);

static int walk_list(struct run *r, const struct node *n, json_t *dot)
{
	size_t n_vars = r->n_vars;
	int rc = 0;

	for (size_t i = 0; i < n->n_kids && rc == 0; i++)
		rc = walk(r, n->kids[i], dot);
	drop_vars(r, n_vars);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What a range goes over: a list, a map in the order of its keys, the numbers below one. NULL: with err. */
static json_t *elements(struct run *r, const struct node *pipe, json_t *over, json_t *indices)
{
	json_t *list = json_array(), *v;
	const char **keys, *key;
	size_t i = 0, size = json_object_size(over);

	if (json_is_object(over) && over != r->top) {
		keys = xcalloc(size + 1, sizeof(*keys));
		json_object_foreach (over, key, v)
			keys[i++] = key;
		qsort(keys, size, sizeof(*keys), by_name);
		for (i = 0; i < size; i++) {
			json_array_append(list, json_object_get(over, keys[i]));
			json_array_append_new(indices, json_string(keys[i]));
		}
		free(keys);
		return list;
	}
	if (json_is_array(over))
		json_array_extend(list, over);
	for (json_int_t n = 0; json_is_integer(over) && n < json_integer_value(over) && n < STEPS_MAX; n++)
		json_array_append_new(list, json_integer(n));
	for (i = 0; i < json_array_size(list); i++)
		json_array_append_new(indices, json_integer((json_int_t)i));
	if (json_is_array(over) || json_is_integer(over) || json_is_null(over))
		return list;
	json_decref(list);
	return fail_at(r, pipe, "range can't iterate over it");
}

/* 1: there was something. */
static int range_over(struct run *r, const struct node *pipe, const struct node *body, json_t *over)
{
	cleanup_json json_t *indices = json_array();
	cleanup_json json_t *list = elements(r, pipe, over, indices);
	size_t i;
	json_t *v;

	if (!list)
		return -1;
	json_array_foreach (list, i, v) {
		if (pipe->index)
			set_var(r, pipe->index, false, json_array_get(indices, i));
		if (pipe->text)
			set_var(r, pipe->text, false, v);
		if (!step(r, pipe) || walk_list(r, body, v) < 0)
			return -1;
	}
	return json_array_size(list) > 0;
}

static int walk_branch(struct run *r, const struct node *n, json_t *dot)
{
	size_t n_vars = r->n_vars;
	json_t *v = eval_pipe(r, n->kids[0], dot);
	int rc = v ? 0 : -1, some = 0;

	if (v && n->kind == NODE_RANGE) {
		some = range_over(r, n->kids[0], n->kids[1], v);
		rc = some < 0 ? -1 : 0;
	} else if (v && go_value_is_true(v)) {
		some = 1;
		rc = walk_list(r, n->kids[1], n->kind == NODE_WITH ? v : dot);
	}
	if (rc == 0 && !some && n->n_kids > 2)
		rc = walk_list(r, n->kids[2], dot);
	json_decref(v);
	drop_vars(r, n_vars);
	return rc;
}

static int walk(struct run *r, const struct node *n, json_t *dot)
{
	json_t *v;

	if (!step(r, n))
		return -1;
	if (n->kind == NODE_TEXT) {
		buf_addstr(r->out, n->text);
		return 0;
	}
	if (n->kind == NODE_LIST)
		return walk_list(r, n, dot);
	if (n->kind != NODE_ACTION)
		return walk_branch(r, n, dot);
	if (!(v = eval_pipe(r, n->kids[0], dot)))
		return -1;
	if (!n->kids[0]->text)
		go_value_print(v, r->out);
	json_decref(v);
	return 0;
}

int go_template_exec(const struct go_template *t, json_t *dot, struct buf *out, struct err *err)
{
	struct run r = { .t = t, .out = out, .err = err, .top = dot };
	int rc;

	set_var(&r, "$", true, dot);
	rc = walk_list(&r, t->root, dot);
	drop_vars(&r, 0);
	free(r.vars);
	return rc < 0 ? err->code : 0;
}
