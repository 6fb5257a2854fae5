/* SPDX-License-Identifier: MPL-2.0
 *
 * go_template.c - templates become a tree (Go's text/template/parse, its words for what is wrong).
 *
 * Design: recursive descent over the source, without a token list: inside an action a cursor skips blanks and looks at the
 * next character. Depth is bounded.
 */
#include "apiserver/go_template_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

#define DEPTH_MAX  50
#define SOURCE_MAX 65536

struct parser {
	const struct go_template *t;
	const char *s;
	size_t at, end; /* end: of the action that is being read */
	size_t close;	/* where its braces are */
	bool trim;	/* and the blanks behind them go */
	int depth;
	char **vars; /* that are declared */
	struct err *err;
};

enum stop { STOP_EOF, STOP_END, STOP_ELSE, STOP_ELSE_IF, STOP_ELSE_WITH };

int go_template_fail(const struct go_template *t, size_t at, bool column, struct err *err,
		     const char *fmt, ...)
{
	size_t line = 1, col = 0;
	char text[400];
	va_list ap;

	for (size_t i = 0; i < at && t->source[i]; i++) {
		col = t->source[i] == '\n' ? 0 : col + 1;
		line += t->source[i] == '\n';
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (column)
		return err_kind(err, ERR_BAD_PARAM, "template: %s:%zu:%zu: %s", t->name, line, col,
				text);
	return err_kind(err, ERR_BAD_PARAM, "template: %s:%zu: %s", t->name, line, text);
}

#define FAIL(p, ...) go_template_fail((p)->t, (p)->at, false, (p)->err, __VA_ARGS__)

/* ---- nodes ------------------------------------------------------------------------------------ */

static struct node *node_new(enum node_kind kind, size_t from)
{
	struct node *n = xcalloc(1, sizeof(*n));

	n->kind = kind;
	n->from = n->to = from;
	return n;
}

static void node_free(struct node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n_kids; i++)
		node_free(n->kids[i]);
	free(n->kids);
	free(n->text);
	free(n->index);
	json_decref(n->value);
	free(n);
}

static void node_freep(struct node **n)
{
	node_free(*n);
}
#define cleanup_node __attribute__((cleanup(node_freep)))

static void add_kid(struct node *n, struct node *kid)
{
	n->kids = xrealloc(n->kids, (n->n_kids + 1) * sizeof(struct node *));
	n->kids[n->n_kids++] = kid;
}

/* ---- inside an action ------------------------------------------------------------------------- */

static void blanks(struct parser *p)
{
	while (p->at < p->end && isspace((unsigned char)p->s[p->at]))
		p->at++;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static char *word(struct parser *p)
{
	size_t from = p->at;

	while (p->at < p->end && is_word(p->s[p->at]))
		p->at++;
	return xstrndup(p->s + from, p->at - from);
}

static bool takes(struct parser *p, const char *keyword)
{
	size_t len = strlen(keyword);

	blanks(p);
	if (p->end - p->at < len || memcmp(p->s + p->at, keyword, len) != 0 ||
	    (p->at + len < p->end && is_word(p->s[p->at + len])))
		return false;
	p->at += len;
	return true;
}

/* What Go's unquoting knows of escapes, but \u and \U; false: another one. */
static bool unescape(const char **s, struct buf *out)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	const char *at = **s ? strchr(from, **s) : NULL;
	unsigned char byte;

	if (at) {
		buf_addch(out, to[at - from]);
		++*s;
		return true;
	}
	if (**s != 'x' || !is_hex(*s + 1, 2) || hex_decode(&byte, *s + 1, 2) < 0 || !byte)
		return false;
	buf_addch(out, (char)byte);
	*s += 3;
	return true;
}

/* "text" or `text` */
static struct node *quoted(struct parser *p)
{
	cleanup_node struct node *n = node_new(NODE_CONST, p->at);
	cleanup_buf struct buf b = BUF_INIT;
	const char *s = p->s + p->at + 1, *end = p->s + p->end;
	char quote = s[-1];

	while (s < end && *s != quote && (quote == '`' || *s != '\n')) {
		if (quote == '"' && *s == '\\') {
			s++;
			if (!unescape(&s, &b)) {
				FAIL(p, "invalid syntax");
				return NULL;
			}
		} else {
			buf_addch(&b, *s++);
		}
	}
	if (s >= end || *s != quote) {
		FAIL(p, quote == '`' ? "unterminated raw quoted string"
				     : "unterminated quoted string");
		return NULL;
	}
	p->at = n->to = (size_t)(s + 1 - p->s);
	if (!(n->value = json_string(buf_str(&b)))) {
		FAIL(p, "a string that is not UTF-8");
		return NULL;
	}
	return take_ptr(&n);
}

static struct node *number(struct parser *p)
{
	struct node *n = node_new(NODE_CONST, p->at);
	cleanup_free char *text = NULL;
	int64_t v = 0;

	while (p->at < p->end && (is_word(p->s[p->at]) || strchr("+-.", p->s[p->at])))
		p->at++;
	n->to = p->at;
	text = xstrndup(p->s + n->from, p->at - n->from);
	if (parse_i64(*text == '+' ? text + 1 : text, INT64_MIN, INT64_MAX, &v) < 0) {
		node_free(n);
		FAIL(p, "bad number syntax: \"%s\"", text);
		return NULL;
	}
	n->value = json_integer(v);
	return n;
}

static struct node *pipeline(struct parser *p, const char *where, bool paren);

/* .a.b behind an operand, or behind the dot (of NULL) */
static struct node *fields(struct parser *p, struct node *of)
{
	while (p->at + 1 < p->end && p->s[p->at] == '.' && is_word(p->s[p->at + 1])) {
		struct node *n = node_new(NODE_FIELD, of ? of->from : p->at);

		p->at++;
		n->text = word(p);
		n->to = p->at;
		if (of)
			add_kid(n, of);
		of = n;
	}
	return of;
}

static struct node *variable(struct parser *p)
{
	struct node *n = node_new(NODE_VAR, p->at++);
	cleanup_free char *name = word(p);

	n->to = p->at;
	n->text = xasprintf("$%s", name);
	if (*name && !strv_has(p->vars, n->text)) {
		FAIL(p, "undefined variable \"%s\"", n->text);
		node_free(n);
		return NULL;
	}
	return n;
}

static struct node *named(struct parser *p)
{
	struct node *n = node_new(NODE_CONST, p->at);
	char *name = word(p);

	n->to = p->at;
	if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
		n->value = json_boolean(*name == 't');
	} else if (strcmp(name, "nil") == 0) {
		n->value = json_null();
	} else if (go_func_find(name)) {
		n->kind = NODE_FUNC;
		n->text = take_ptr(&name);
	} else {
		FAIL(p, "function \"%.64s\" not defined", name);
		node_free(n);
		n = NULL;
	}
	free(name);
	return n;
}

/* The field of the top's dot is known by its type. */
static struct node *operand(struct parser *p, const char *where)
{
	struct node *n = NULL;
	char c = p->s[p->at];

	if (c == '"' || c == '`') {
		n = quoted(p);
	} else if (isdigit((unsigned char)c) || ((c == '-' || c == '+') && p->at + 1 < p->end)) {
		n = number(p);
	} else if (c == '(') {
		p->at++;
		n = pipeline(p, "parenthesized pipeline", true);
	} else if (c == '$') {
		n = variable(p);
	} else if (c == '.' && p->at + 1 < p->end && is_word(p->s[p->at + 1])) {
		return fields(p, NULL);
	} else if (c == '.') {
		n = node_new(NODE_DOT, p->at++);
		n->to = p->at;
	} else if (is_word(c)) {
		n = named(p);
	} else {
		FAIL(p, "unexpected \"%c\" in %s", isprint((unsigned char)c) ? c : '?', where);
	}
	return n && (c == '(' || c == '$') ? fields(p, n) : n;
}

static bool ends_command(const struct parser *p, bool paren)
{
	return p->at >= p->end || p->s[p->at] == '|' || (paren && p->s[p->at] == ')');
}

static struct node *command(struct parser *p, const char *where, bool paren)
{
	cleanup_node struct node *cmd = node_new(NODE_CMD, p->at);
	struct node *n;

	for (blanks(p); !ends_command(p, paren); blanks(p)) {
		if (cmd->n_kids && !isspace((unsigned char)p->s[p->at - 1])) {
			FAIL(p, "unexpected \"%c\" in operand",
			     isprint((unsigned char)p->s[p->at]) ? p->s[p->at] : '?');
			return NULL;
		}
		if (!(n = operand(p, where)))
			return NULL;
		add_kid(cmd, n);
		cmd->to = p->at;
	}
	if (!cmd->n_kids) {
		FAIL(p, "missing value for %s", where);
		return NULL;
	}
	cmd->from = cmd->kids[0]->from;
	return take_ptr(&cmd);
}

/* $name, or NULL, where it is not one */
static char *var_name(struct parser *p)
{
	cleanup_free char *name = NULL;

	blanks(p);
	if (p->at >= p->end || p->s[p->at] != '$')
		return NULL;
	p->at++;
	name = word(p);
	blanks(p);
	return *name ? xasprintf("$%s", name) : NULL;
}

/* $x := ... or $x = ..., of a range $i, $x as well; the names are declared once the value has been read. */
static void assigned(struct parser *p, struct node *pipe, bool range)
{
	size_t was = p->at;

	pipe->text = var_name(p);
	if (pipe->text && range && p->at < p->end && p->s[p->at] == ',') {
		p->at++;
		pipe->index = pipe->text;
		pipe->text = var_name(p);
	}
	pipe->declares = p->end - p->at > 1 && p->s[p->at] == ':' && p->s[p->at + 1] == '=';
	if (pipe->text && (pipe->declares || (p->at < p->end && p->s[p->at] == '='))) {
		p->at += pipe->declares ? 2 : 1;
		return;
	}
	free(pipe->text);
	free(pipe->index);
	pipe->text = pipe->index = NULL;
	pipe->declares = false;
	p->at = was;
}

/* What is only assigned must have been declared. */
static bool known(struct parser *p, const struct node *pipe)
{
	const char *names[] = { pipe->index, pipe->text };

	for (size_t i = 0; i < ARRAY_SIZE(names) && !pipe->declares; i++)
		if (names[i] && !strv_has(p->vars, names[i])) {
			FAIL(p, "undefined variable \"%s\"", names[i]);
			return false;
		}
	return true;
}

/* A constant takes nothing from what stands before it. */
static bool may_follow(const struct node *cmd)
{
	return cmd->kids[0]->kind == NODE_FUNC || cmd->kids[0]->kind == NODE_FIELD;
}

static struct node *commands(struct parser *p, struct node *pipe, const char *where, bool paren)
{
	struct node *cmd;

	for (;;) {
		if (!(cmd = command(p, pipe->n_kids ? "command" : where, paren)))
			return NULL;
		add_kid(pipe, cmd);
		if (pipe->n_kids > 1 && !may_follow(cmd)) {
			FAIL(p, "non executable command in pipeline stage %zu", pipe->n_kids);
			return NULL;
		}
		if (p->at >= p->end || p->s[p->at] != '|')
			return pipe;
		p->at++;
	}
}

static struct node *pipeline(struct parser *p, const char *where, bool paren)
{
	cleanup_node struct node *pipe = node_new(NODE_PIPE, p->at - (paren ? 1 : 0));
	bool ok;

	if (p->depth >= DEPTH_MAX) {
		FAIL(p, "too deeply nested");
		return NULL;
	}
	p->depth++;
	if (!paren)
		assigned(p, pipe, str_eq(where, "range"));
	if (!known(p, pipe))
		return NULL;
	ok = commands(p, pipe, where, paren);
	p->depth--;
	if (!ok)
		return NULL;
	if (paren && p->at >= p->end) {
		FAIL(p, "unclosed left paren");
		return NULL;
	}
	p->at += paren;
	pipe->to = p->at;
	if (pipe->index && pipe->declares)
		strv_add(&p->vars, pipe->index);
	if (pipe->text && pipe->declares)
		strv_add(&p->vars, pipe->text);
	return take_ptr(&pipe);
}

/* ---- text and actions ------------------------------------------------------------------------- */

static struct node *list(struct parser *p, enum stop *stop);

/* Behind the text: where the next action begins, its end, and whether blanks on either side go. */
static int next_action(struct parser *p, size_t *text_end, bool *found)
{
	const char *open = strstr(p->s + p->at, "{{"), *s, *close;
	char quote = '\0';

	*found = open != NULL;
	*text_end = open ? (size_t)(open - p->s) : strlen(p->s);
	if (!open)
		return 0;
	s = open + 2;
	if (*s == '-' && isspace((unsigned char)s[1])) {
		s++;
		while (*text_end > p->at && isspace((unsigned char)p->s[*text_end - 1]))
			--*text_end;
	}
	if (strncmp(s + strspn(s, " \t\r\n"), "/*", 2) == 0) {
		close = strstr(s, "*/");
		close = close ? strstr(close, "}}") : NULL;
	} else {
		for (close = s; *close && (quote || strncmp(close, "}}", 2) != 0); close++) {
			if (quote == '"' && *close == '\\' && close[1])
				close++;
			else if (quote ? *close == quote : *close == '"' || *close == '`')
				quote = quote ? '\0' : *close;
		}
	}
	p->end = p->at = (size_t)(s - p->s);
	if (!close || !*close)
		return FAIL(p, quote == '`' ? "unterminated raw quoted string"
			       : quote	    ? "unterminated quoted string"
					    : "unclosed action");
	p->end = (size_t)(close - p->s);
	return 0;
}

/* Behind an action: past its braces, and past blanks if it ends in " -". */
static void leave(struct parser *p)
{
	p->at = p->close + 2;
	while (p->trim && isspace((unsigned char)p->s[p->at]))
		p->at++;
}

/* Behind its word; up to its {{end}}. */
static int branch(struct parser *p, struct node *n)
{
	size_t n_vars = strv_len(p->vars);
	enum stop stop = STOP_EOF;
	struct node *kid = pipeline(p,
				    n->kind == NODE_IF	   ? "if"
				    : n->kind == NODE_WITH ? "with"
							   : "range",
				    false);

	if (!kid)
		return -1;
	add_kid(n, kid);
	leave(p);
	if (!(kid = list(p, &stop)))
		return -1;
	add_kid(n, kid);
	if (stop == STOP_ELSE_IF || stop == STOP_ELSE_WITH) {
		add_kid(n, node_new(NODE_LIST, p->at));
		kid = node_new(stop == STOP_ELSE_IF ? NODE_IF : NODE_WITH, p->at);
		add_kid(n->kids[2], kid);
		if (branch(p, kid) < 0)
			return -1;
		stop = STOP_END; /* one for both */
	} else if (stop == STOP_ELSE) {
		if (!(kid = list(p, &stop)))
			return -1;
		add_kid(n, kid);
	}
	if (stop != STOP_END && stop != STOP_EOF)
		return FAIL(p, "expected end; found {{else}}");
	if (stop == STOP_EOF)
		return FAIL(p, "unexpected EOF");
	while (strv_len(p->vars) > n_vars) { /* declared inside */
		size_t last = strv_len(p->vars) - 1;

		free(p->vars[last]);
		p->vars[last] = NULL;
	}
	return 0;
}

/* {{else}}, {{else if ...}}, {{else with ...}} */
static int on_else(struct parser *p, enum stop *stop)
{
	if (takes(p, "if")) {
		*stop = STOP_ELSE_IF;
		return 1;
	}
	if (takes(p, "with")) {
		*stop = STOP_ELSE_WITH;
		return 1;
	}
	blanks(p);
	if (p->at < p->end)
		return FAIL(p, "unexpected \"%c\" in else",
			    isprint((unsigned char)p->s[p->at]) ? p->s[p->at] : '?');
	*stop = STOP_ELSE;
	leave(p);
	return 1;
}

static int plain_action(struct parser *p, struct node *to, size_t from)
{
	struct node *n = node_new(NODE_ACTION, from), *pipe;

	add_kid(to, n);
	if (!(pipe = pipeline(p, "command", false)))
		return -1;
	add_kid(n, pipe);
	leave(p);
	return 0;
}

/* One action; 1: it ends the list. */
static int action(struct parser *p, struct node *to, enum stop *stop)
{
	static const struct {
		const char *word;
		enum node_kind kind;
	} branches[] = { { "if", NODE_IF }, { "with", NODE_WITH }, { "range", NODE_RANGE } };
	static const char *const others[] = { "define", "template", "block", "break", "continue" };
	size_t from = p->at;

	p->close = p->end;
	p->trim = p->end > p->at + 1 && p->s[p->end - 1] == '-' &&
		  isspace((unsigned char)p->s[p->end - 2]);
	p->end -= p->trim;
	blanks(p);
	if (strncmp(p->s + p->at, "/*", 2) == 0) {
		leave(p);
		return 0;
	}
	if (takes(p, "end")) {
		*stop = STOP_END;
		leave(p);
		return 1;
	}
	if (takes(p, "else"))
		return on_else(p, stop);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (takes(p, others[i]))
			return FAIL(p, "{{%s}} is not supported", others[i]);
	for (size_t i = 0; i < ARRAY_SIZE(branches); i++)
		if (takes(p, branches[i].word)) {
			struct node *n = node_new(branches[i].kind, from);

			add_kid(to, n);
			return branch(p, n);
		}
	return plain_action(p, to, from);
}

static struct node *list(struct parser *p, enum stop *stop)
{
	cleanup_node struct node *to = node_new(NODE_LIST, p->at);
	bool found = true;
	int rc = 0;

	if (p->depth >= DEPTH_MAX) {
		FAIL(p, "too deeply nested");
		return NULL;
	}
	p->depth++;
	*stop = STOP_EOF;
	while (rc == 0) {
		size_t from = p->at, text_end;
		struct node *text;

		if (next_action(p, &text_end, &found) < 0)
			return NULL;
		if (text_end > from) {
			text = node_new(NODE_TEXT, from);
			text->text = xstrndup(p->s + from, text_end - from);
			add_kid(to, text);
		}
		if (!found) {
			p->at = strlen(p->s);
			break;
		}
		rc = action(p, to, stop);
	}
	p->depth--;
	return rc < 0 ? NULL : take_ptr(&to);
}

/* ---- fields of the top's dot -------------------------------------------------------------------- */

static bool has_field(const struct go_template_type *type, const char *name)
{
	for (const char *const *f = type->fields; *f; f++) {
		size_t n = strcspn(*f, "(");

		if (strlen(name) == n && memcmp(*f, name, n) == 0)
			return true;
	}
	return false;
}

/* Names that cannot be there are an error before there is a dot. In {{with}} and {{range}} the dot is another. */
static int check(const struct go_template *t, const struct node *n, struct err *err)
{
	int rc;

	if (n->kind == NODE_FIELD && !n->n_kids && !has_field(t->type, n->text))
		return go_template_fail(
			t, n->from, true, err,
			"executing \"%s\" at <.%s>: can't evaluate field %s in type %s", t->name,
			n->text, n->text, t->type->name);
	for (size_t i = 0; i < n->n_kids; i++) {
		if (i == 1 && (n->kind == NODE_WITH || n->kind == NODE_RANGE))
			continue;
		if ((rc = check(t, n->kids[i], err)) < 0)
			return rc;
	}
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

void go_template_free(struct go_template *t)
{
	if (!t)
		return;
	node_free(t->root);
	free(t->name);
	free(t->source);
	free(t);
}

int go_template_parse(const char *name, const char *text, const struct go_template_type *type,
		      struct go_template **out, struct err *err)
{
	struct go_template *t = xcalloc(1, sizeof(*t));
	struct parser p = { .t = t, .err = err };
	enum stop stop = STOP_EOF;
	int rc = 0;

	t->name = xstrdup(name);
	t->source = xstrdup(text);
	t->type = type;
	p.s = t->source;
	if (strlen(text) > SOURCE_MAX)
		rc = FAIL(&p, "longer than %d bytes", SOURCE_MAX);
	else if (!(t->root = list(&p, &stop)))
		rc = err->code;
	else if (stop != STOP_EOF)
		rc = FAIL(&p, "unexpected {{%s}}", stop == STOP_END ? "end" : "else");
	else
		rc = check(t, t->root, err);
	strv_free(p.vars);
	if (rc < 0) {
		go_template_free(t);
		return rc;
	}
	*out = t;
	return 0;
}
