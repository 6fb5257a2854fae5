/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile.c - Dockerfile syntax: directives, comments, continuation lines, flags, JSON and shell
 * forms.
 *
 * Design: the grammar is Docker's reference (parser directives, escape, shell and exec forms). An
 * instruction's argument is read by one of a few shapes, which the table names. Everything is
 * bounded: DOCKERFILE_MAX bytes, DOCKERFILE_INSTRS instructions.
 *
 * To extend: a row in commands[], an enum value, and the switch in op_build.c.
 */
#include "apiserver/dockerfile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/dockerfile_change.h"
#include "apiserver/dockerfile_flags.h"
#include "apiserver/dockerfile_heredoc.h"
#include "apiserver/dockerfile_words.h"
#include "buf.h"
#include "cleanup.h"
#include "str.h"

#define LINE_MAX_BYTES 65536

enum shape {
	SHAPE_STRING,
	SHAPE_WORDS,
	SHAPE_NAMEVALS,
	SHAPE_NAMES,
	SHAPE_JSON_OR_STRING,
	SHAPE_JSON_OR_WORDS,
	SHAPE_HEALTH,
};

static const struct {
	const char *name;
	enum df_cmd cmd;
	enum shape shape;
} commands[] = {
	{ "ADD", DF_ADD, SHAPE_JSON_OR_WORDS },
	{ "ARG", DF_ARG, SHAPE_NAMES },
	{ "CMD", DF_CMD, SHAPE_JSON_OR_STRING },
	{ "COPY", DF_COPY, SHAPE_JSON_OR_WORDS },
	{ "ENTRYPOINT", DF_ENTRYPOINT, SHAPE_JSON_OR_STRING },
	{ "ENV", DF_ENV, SHAPE_NAMEVALS },
	{ "EXPOSE", DF_EXPOSE, SHAPE_WORDS },
	{ "FROM", DF_FROM, SHAPE_WORDS },
	{ "HEALTHCHECK", DF_HEALTHCHECK, SHAPE_HEALTH },
	{ "LABEL", DF_LABEL, SHAPE_NAMEVALS },
	{ "MAINTAINER", DF_MAINTAINER, SHAPE_STRING },
	{ "ONBUILD", DF_ONBUILD, SHAPE_STRING },
	{ "RUN", DF_RUN, SHAPE_JSON_OR_STRING },
	{ "SHELL", DF_SHELL, SHAPE_JSON_OR_STRING },
	{ "STOPSIGNAL", DF_STOPSIGNAL, SHAPE_STRING },
	{ "USER", DF_USER, SHAPE_STRING },
	{ "VOLUME", DF_VOLUME, SHAPE_JSON_OR_WORDS },
	{ "WORKDIR", DF_WORKDIR, SHAPE_STRING },
};

const char *df_cmd_name(enum df_cmd cmd)
{
	return commands[cmd].name;
}

void df_instr_fini(struct df_instr *i)
{
	free(i->original);
	free(i->rest);
	strv_free(i->flags);
	strv_free(i->args);
	memset(i, 0, sizeof(*i));
}

void dockerfile_fini(struct dockerfile *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		df_instr_fini(&d->v[i]);
	free(d->v);
	strv_free(d->warnings);
	memset(d, 0, sizeof(*d));
}

static const char *skip_space(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\v' || *s == '\f')
		s++;
	return s;
}

static void rtrim(char *s)
{
	size_t n = strlen(s);

	while (n && isspace((unsigned char)s[n - 1]))
		n--;
	s[n] = '\0';
}

/* A word as far as white space, quotes and escapes kept. NULL at the end. */
static char *next_word(const char **sp, char escape)
{
	const char *s = skip_space(*sp), *start = s;
	char quote = 0;

	if (!*s)
		return NULL;
	for (; *s; s++) {
		if (quote) {
			if (*s == quote)
				quote = 0;
			else if (*s == escape && quote == '"' && s[1])
				s++;
			continue;
		}
		if (*s == '\'' || *s == '"')
			quote = *s;
		else if (*s == escape && s[1])
			s++;
		else if (isspace((unsigned char)*s))
			break;
	}
	*sp = s;
	return xstrndup(start, (size_t)(s - start));
}

/* NONE or CMD, and the command. What is wrong with it, dockerfile_health tells. */
static int shape_health(const char *s, struct df_instr *out, struct err *err)
{
	cleanup_strv char **v = NULL;
	size_t n = 0;
	int rc;

	while (s[n] && !isspace((unsigned char)s[n]))
		n++;
	if (!n)
		return 0;
	{
		cleanup_free char *type = xstrndup(s, n);

		strv_add(&out->args, type);
	}
	s = skip_space(s + n);
	if ((rc = dockerfile_json_form(s, &v, err)) < 0)
		return rc;
	out->json = rc == 1;
	for (char **a = v; rc && *a; a++)
		strv_add(&out->args, *a);
	if (!rc && *s)
		strv_add(&out->args, s);
	return 0;
}

static int shape_json_or(enum shape shape, const char *s, struct df_instr *out, struct err *err)
{
	cleanup_strv char **v = NULL;
	int rc = dockerfile_json_form(s, &v, err);

	if (rc < 0)
		return rc;
	if (rc == 0 && shape == SHAPE_JSON_OR_WORDS)
		v = dockerfile_fields(s);
	out->json = rc == 1;
	for (char **a = v; v && *a; a++)
		strv_add(&out->args, *a);
	if (!v && *s)
		strv_add(&out->args, s);
	return 0;
}

static int read_args(enum shape shape, const char *s, char escape, const char *name,
		     struct df_instr *out, struct err *err)
{
	char *w;

	out->args = xcalloc(1, sizeof(*out->args));
	switch (shape) {
	case SHAPE_JSON_OR_STRING:
	case SHAPE_JSON_OR_WORDS:
		return shape_json_or(shape, s, out, err);
	case SHAPE_WORDS:
		strv_free(out->args);
		out->args = dockerfile_fields(s);
		return 0;
	case SHAPE_NAMES:
		while ((w = next_word(&s, escape))) {
			strv_add(&out->args, w);
			free(w);
		}
		return 0;
	case SHAPE_NAMEVALS:
		strv_free(take_ptr(&out->args));
		return dockerfile_pairs(s, escape, name, &out->args, err);
	case SHAPE_HEALTH:
		return shape_health(s, out, err);
	case SHAPE_STRING:
		if (*s)
			strv_add(&out->args, s);
		return 0;
	}
	return 0;
}

static const char *lacks(enum df_cmd cmd)
{
	switch (cmd) {
	case DF_ADD:
	case DF_COPY:
		return "at least two arguments";
	case DF_FROM:
		return "either one or three arguments";
	case DF_WORKDIR:
	case DF_USER:
	case DF_STOPSIGNAL:
	case DF_MAINTAINER:
		return "exactly one argument";
	default:
		return "at least one argument";
	}
}

static bool is_blank_name(const char *s)
{
	return !*s || *s == '=';
}

/* FROM image, FROM image AS name. */
static int check_from(const struct df_instr *in, struct err *err)
{
	size_t n = strv_len(in->args);
	const char *s;

	if (n == 1)
		return 0;
	if (n != 3 || strcasecmp(in->args[1], "as") != 0)
		return err_kind(err, ERR_BAD_PARAM, "FROM requires either one or three arguments");
	s = in->args[2];
	if (isalpha((unsigned char)*s))
		while (isalnum((unsigned char)*s) || (*s && strchr("-_.", *s)))
			s++;
	if (*s) {
		cleanup_buf struct buf quoted = BUF_INIT;

		dockerfile_quote(&quoted, in->args[2]);
		return err_kind(err, ERR_BAD_PARAM,
				"invalid name for build stage: %.400s, name can't start with a "
				"number or contain symbols",
				buf_str(&quoted));
	}
	return 0;
}

static int check_args(const struct df_instr *in, struct err *err)
{
	const char *name = df_cmd_name(in->cmd);
	size_t n = strv_len(in->args);

	if (in->cmd == DF_RUN || in->cmd == DF_CMD || in->cmd == DF_ENTRYPOINT)
		return 0;
	if (in->cmd == DF_FROM)
		return check_from(in, err);
	if ((in->cmd == DF_ADD || in->cmd == DF_COPY) && n < 2)
		return err_kind(err, ERR_BAD_PARAM,
				"%s requires at least two arguments, but only one was provided. "
				"Destination could not be determined",
				name);
	if (!n)
		return err_kind(err, ERR_BAD_PARAM, "%s requires %s", name, lacks(in->cmd));
	if (in->cmd == DF_SHELL && !in->json)
		return err_kind(err, ERR_BAD_PARAM,
				"SHELL requires the arguments to be in JSON form");
	for (size_t i = 0; i < n; i++) {
		if ((in->cmd == DF_ARG || ((in->cmd == DF_ENV || in->cmd == DF_LABEL) && !(i % 2))) &&
		    is_blank_name(in->args[i]))
			return err_kind(err, ERR_BAD_PARAM, "%s names can not be blank", name);
		if (in->cmd == DF_VOLUME && !*skip_space(in->args[i]))
			return err_kind(err, ERR_BAD_PARAM,
					"VOLUME specified can not be an empty string");
	}
	return 0;
}

static int check_onbuild(const struct df_instr *in, struct err *err)
{
	cleanup_free char *first = xstrndup(in->args[0], strcspn(in->args[0], " \t"));

	for (char *p = first; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (str_eq(first, "ONBUILD"))
		return err_kind(err, ERR_BAD_PARAM,
				"Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if (str_eq(first, "MAINTAINER") || str_eq(first, "FROM"))
		return err_kind(err, ERR_BAD_PARAM, "%s isn't allowed as an ONBUILD trigger", first);
	return 0;
}

static int check(const struct df_instr *in, struct err *err)
{
	bool flags_first = in->cmd == DF_ENV || in->cmd == DF_LABEL || in->cmd == DF_SHELL;
	int rc;

	if ((flags_first && (rc = dockerfile_flags_check(in, err)) < 0) ||
	    (rc = check_args(in, err)) < 0 || (rc = dockerfile_flags_check(in, err)) < 0)
		return rc;
	if (in->cmd == DF_ONBUILD)
		return check_onbuild(in, err);
	return in->cmd == DF_HEALTHCHECK ? dockerfile_health(in, NULL, err) : 0;
}

static int unknown(const char *name, struct err *err)
{
	const char *names[ARRAY_SIZE(commands) + 1] = { NULL };
	char hint[DOCKERFILE_HINT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	dockerfile_hint(hint, name, names);
	return err_kind(err, ERR_BAD_PARAM, "unknown instruction: %.100s%s", name, hint);
}

static int fill(struct df_instr *in, enum shape shape, const char *after, char escape,
		struct err *err)
{
	const char *rest;
	cleanup_free char *args = NULL;

	in->flags = xcalloc(1, sizeof(*in->flags));
	rest = skip_space(dockerfile_flags_take(after, escape, &in->flags));
	args = xstrdup(rest);
	rtrim(args);
	in->rest = xstrdup(in->cmd == DF_HEALTHCHECK ? skip_space(after) : rest);
	if (in->cmd != DF_ONBUILD) /* its trigger is kept with the blanks at its end */
		rtrim(in->rest);
	return read_args(shape, args, escape, df_cmd_name(in->cmd), in, err);
}

/* Reads an instruction without looking at what it says. *form: an error is one of the text's form. */
static int read_instr(const char *text, char escape, int line, struct df_instr *out, bool *form,
		      struct err *err)
{
	struct df_instr in = { .line = line };
	const char *s = skip_space(text);
	size_t n = 0, i;
	int rc;

	while (s[n] && !isspace((unsigned char)s[n]))
		n++;
	cleanup_free char *name = xstrndup(s, n);

	*form = false;
	for (i = 0; i < ARRAY_SIZE(commands) && strcasecmp(commands[i].name, name) != 0;)
		i++;
	if (i == ARRAY_SIZE(commands))
		return unknown(name, err);
	in.cmd = commands[i].cmd;
	in.original = xstrdup(s);
	rtrim(in.original);
	if ((rc = fill(&in, commands[i].shape, s + n, escape, err)) < 0) {
		*form = true;
		df_instr_fini(&in);
		return rc;
	}
	*out = in;
	return 0;
}

/* The words that may be here-documents. Owned. */
static char **heredoc_words(const struct df_instr *in)
{
	const char *text = in->cmd == DF_ONBUILD ? in->rest : in->original;

	if (in->json || !strstr(text, "<<") || !dockerfile_heredoc_ok(text))
		return strv_split("", ' ');
	return dockerfile_heredoc_words(text);
}

int dockerfile_parse_one(const char *text, char escape, int line, struct df_instr *out,
			 struct err *err)
{
	cleanup_strv char **words = NULL;
	struct df_heredoc h;
	bool form;
	int rc = read_instr(text, escape, line, out, &form, err);

	if (rc < 0)
		return rc;
	if ((rc = check(out, err)) < 0) {
		df_instr_fini(out);
		return rc;
	}
	words = heredoc_words(out);
	for (char **w = words; *w; w++)
		if (dockerfile_heredoc(*w, &h)) {
			out->heredoc = true;
			free(h.name);
		}
	return 0;
}

/* ---- lines ---- */

struct lines {
	const char *p, *end;
	int line; /* of the line last taken */
};

/* The next line without its end; false at the end of the text. */
static bool next_line(struct lines *l, const char **start, size_t *len)
{
	const char *nl;

	if (l->p >= l->end)
		return false;
	nl = memchr(l->p, '\n', (size_t)(l->end - l->p));
	*start = l->p;
	*len = (size_t)((nl ? nl : l->end) - l->p);
	l->p = nl ? nl + 1 : l->end;
	l->line++;
	if (*len && (*start)[*len - 1] == '\r')
		(*len)--;
	return true;
}

/* "# name=value" at the top of the file; false when this line ends the directives. */
static int directive(const char *s, size_t len, struct dockerfile *d, unsigned *seen,
		     struct err *err)
{
	static const char *const names[] = { "escape", "syntax", "check" };

	cleanup_free char *line = xstrndup(s, len);
	char *p = (char *)skip_space(line), *eq, *value;

	if (*p != '#')
		return 0;
	p = (char *)skip_space(p + 1);
	eq = strchr(p, '=');
	if (!eq)
		return 0;
	*eq = '\0';
	rtrim(p);
	value = (char *)skip_space(eq + 1);
	rtrim(value);
	for (size_t i = 0; *value && i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(p, names[i]) != 0)
			continue;
		if (*seen & 1u << i)
			return err_kind(err, ERR_BAD_PARAM,
					"only one %s parser directive can be used", names[i]);
		*seen |= 1u << i;
		if (i == 0 && ((value[0] != '\\' && value[0] != '`') || value[1]))
			return err_kind(err, ERR_BAD_PARAM,
					"invalid escape token '%.100s' does not match ` or \\",
					value);
		if (i == 0)
			d->escape = value[0];
		return 1;
	}
	return 0;
}

static bool is_comment(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && (s[i] == ' ' || s[i] == '\t'))
		i++;
	return i < len && s[i] == '#';
}

static bool is_blank(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!isspace((unsigned char)s[i]))
			return false;
	return true;
}

/* Length of the line without a continuation mark and the blanks behind it; *more: there was one. */
static size_t strip_continuation(const char *s, size_t len, char escape, bool *more)
{
	size_t n = len;

	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	*more = n && s[n - 1] == escape && !(n > 1 && s[n - 2] == escape);
	return *more ? n - 1 : len;
}

struct parser {
	struct lines l;
	struct dockerfile d;
	unsigned seen; /* directives */
	bool directives, failed;
	bool has_from, early; /* early: of a stage that no FROM began, which goes before what
				 is wrong behind it */
	struct err first; /* of an instruction: errors of the text's form go before it */
};

static int next_of(struct parser *p, const char **s, size_t *n, struct err *err)
{
	if (!next_line(&p->l, s, n))
		return 0;
	if (*n >= LINE_MAX_BYTES)
		return err_kind(err, ERR_BAD_PARAM,
				"dockerfile line greater than max allowed size of %d",
				LINE_MAX_BYTES - 1);
	if (memchr(*s, '\0', *n))
		return err_kind(err, ERR_BAD_PARAM, "line %d has a NUL byte", p->l.line);
	return 1;
}

/* Takes the lines of a here-document. */
static int skip_heredoc(struct parser *p, const struct df_heredoc *h, struct err *err)
{
	const char *s;
	size_t n, tabs;
	int rc;

	while ((rc = next_of(p, &s, &n, err)) > 0) {
		for (tabs = 0; h->chomp && tabs < n && s[tabs] == '\t';)
			tabs++;
		if (n - tabs == strlen(h->name) && !memcmp(s + tabs, h->name, n - tabs))
			return 0;
	}
	return rc < 0 ? rc : err_kind(err, ERR_BAD_PARAM, "unterminated heredoc");
}

static int heredocs(struct parser *p, struct df_instr *in, struct err *err)
{
	cleanup_strv char **words = heredoc_words(in);
	int rc = 0;

	for (char **w = words; rc == 0 && *w; w++) {
		struct df_heredoc h;

		if (!dockerfile_heredoc(*w, &h))
			continue;
		in->heredoc = true;
		rc = skip_heredoc(p, &h, err);
		free(h.name);
	}
	return rc;
}

/* What an instruction says; the first error is kept until all of the text was read. */
static int check_next(struct parser *p, struct df_instr *in, struct err *err)
{
	int rc = check(in, err);

	if (rc < 0)
		return err_wrap(err, rc, "dockerfile parse error on line %d", in->line);
	p->has_from |= in->cmd == DF_FROM;
	p->early |= !p->has_from && in->cmd != DF_ARG;
	return 0;
}

static int add_instr(struct parser *p, const char *text, int line, struct err *err)
{
	struct dockerfile *d = &p->d;
	struct err why = { 0 };
	struct df_instr in;
	bool form;
	int rc;

	if (d->n == DOCKERFILE_INSTRS)
		return err_kind(err, ERR_BAD_PARAM, "dockerfile has more than %d instructions",
				DOCKERFILE_INSTRS);
	if (d->n % 16 == 0)
		d->v = xrealloc(d->v, (d->n + 16) * sizeof(*d->v));
	if ((rc = read_instr(text, d->escape, line, &in, &form, &why)) < 0 && form) {
		*err = why;
		return rc;
	}
	if (rc < 0)
		err_wrap(&why, rc, "dockerfile parse error on line %d", line);
	else if ((rc = heredocs(p, &in, err)) < 0) {
		df_instr_fini(&in);
		return rc;
	} else if (p->failed || (rc = check_next(p, &in, &why)) < 0)
		df_instr_fini(&in);
	else
		d->v[d->n++] = in;
	if (rc < 0 && !p->failed && !p->early) {
		p->first = why;
		p->failed = true;
	}
	return 0;
}

static void warn_empty(struct dockerfile *d, const char *text)
{
	cleanup_free char *w = xasprintf("[WARNING]: Empty continuation line found in: %s", text);

	strv_add(&d->warnings, w);
}

/* Takes one instruction that may go over several lines. */
static int logical_line(struct parser *p, const char *s, size_t len, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int first = p->l.line, rc = 0;
	bool more, empty = false;
	size_t n;

	while (len && isspace((unsigned char)*s)) {
		s++;
		len--;
	}
	n = strip_continuation(s, len, p->d.escape, &more);
	buf_add(&text, s, n);
	while (more && (rc = next_of(p, &s, &len, err)) > 0) {
		if (is_comment(s, len))
			continue;
		if (is_blank(s, len)) {
			empty = true;
			continue;
		}
		n = strip_continuation(s, len, p->d.escape, &more);
		buf_add(&text, s, n);
	}
	if (rc < 0)
		return rc;
	if (empty)
		warn_empty(&p->d, buf_str(&text));
	return add_instr(p, buf_str(&text), first, err);
}

static int parse_all(struct parser *p, struct err *err)
{
	const char *s;
	size_t n;
	int rc;

	while ((rc = next_of(p, &s, &n, err)) > 0) {
		if (p->directives) {
			if ((rc = directive(s, n, &p->d, &p->seen, err)) < 0)
				return rc;
			p->directives = rc > 0;
			if (rc)
				continue;
		}
		if (is_comment(s, n) || is_blank(s, n))
			continue;
		p->directives = false;
		if ((rc = logical_line(p, s, n, err)) < 0)
			return rc;
	}
	if (rc == 0 && !p->d.n && !p->failed)
		rc = err_kind(err, ERR_BAD_PARAM, "file with no instructions");
	return rc;
}

int dockerfile_parse(const char *text, size_t len, const char *name, struct dockerfile *out,
		     struct err *err)
{
	struct parser p = {
		.l = { .p = text, .end = text + len },
		.d = { .escape = '\\' },
		.directives = true,
	};
	int rc;

	if (len > DOCKERFILE_MAX)
		return err_kind(err, ERR_BAD_PARAM, "dockerfile is larger than %d bytes",
				DOCKERFILE_MAX);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		p.l.p += 3;
	p.d.warnings = xcalloc(1, sizeof(*p.d.warnings));
	rc = parse_all(&p, err);
	if (rc < 0 && name)
		err_wrap(err, rc, "failed to parse %.200s", name);
	if (rc == 0 && p.failed) {
		*err = p.first;
		rc = p.first.code;
	}
	if (rc < 0) {
		dockerfile_fini(&p.d);
		return rc;
	}
	if (p.d.warnings[0])
		strv_add(&p.d.warnings, "[WARNING]: Empty continuation lines will become errors "
					"in a future release.");
	*out = p.d;
	return 0;
}
