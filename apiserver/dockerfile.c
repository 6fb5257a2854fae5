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

#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

enum shape {
	SHAPE_STRING,
	SHAPE_WORDS,
	SHAPE_NAMEVALS,
	SHAPE_NAMES,
	SHAPE_JSON_OR_STRING,
	SHAPE_JSON_OR_WORDS,
	SHAPE_JSON,
	SHAPE_HEALTH,
	SHAPE_ONBUILD,
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
	{ "ONBUILD", DF_ONBUILD, SHAPE_ONBUILD },
	{ "RUN", DF_RUN, SHAPE_JSON_OR_STRING },
	{ "SHELL", DF_SHELL, SHAPE_JSON },
	{ "STOPSIGNAL", DF_STOPSIGNAL, SHAPE_STRING },
	{ "USER", DF_USER, SHAPE_STRING },
	{ "VOLUME", DF_VOLUME, SHAPE_JSON_OR_WORDS },
	{ "WORKDIR", DF_WORKDIR, SHAPE_STRING },
};

const char *df_cmd_name(enum df_cmd cmd)
{
	return commands[cmd].name;
}

const char *df_flag(const struct df_instr *i, const char *name)
{
	size_t len = strlen(name);

	for (char **f = i->flags; f && *f; f++) {
		if (strncmp(*f + 2, name, len) != 0)
			continue;
		if ((*f)[2 + len] == '=')
			return *f + 2 + len + 1;
		if (!(*f)[2 + len])
			return "";
	}
	return NULL;
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

static char **plain_words(const char *s)
{
	char **v = xcalloc(1, sizeof(*v));
	const char *start;

	while (*(s = skip_space(s))) {
		cleanup_free char *w = NULL;

		for (start = s; *s && !isspace((unsigned char)*s);)
			s++;
		w = xstrndup(start, (size_t)(s - start));
		strv_add(&v, w);
	}
	return v;
}

/* --name=value words before the arguments. A bare "--" ends them. */
static const char *take_flags(const char *s, char escape, struct df_instr *out)
{
	for (;;) {
		const char *p = skip_space(s);
		cleanup_free char *w = NULL;

		if (p[0] != '-' || p[1] != '-')
			return s;
		w = next_word(&p, escape);
		if (!strcmp(w, "--"))
			return p;
		strv_add(&out->flags, w);
		s = p;
	}
}

/* A JSON array of strings; false when it is not one. */
static bool try_json(const char *s, char ***out)
{
	cleanup_json json_t *j = NULL;
	struct err ignored = { 0 };
	json_t *item;
	char **v;
	size_t i;

	s = skip_space(s);
	if (*s != '[' || jparse(s, strlen(s), &j, &ignored) < 0 || !json_is_array(j))
		return false;
	json_array_foreach (j, i, item) {
		if (!json_is_string(item) ||
		    strlen(json_string_value(item)) != json_string_length(item))
			return false;
	}
	v = xcalloc(1, sizeof(*v));
	json_array_foreach (j, i, item)
		strv_add(&v, json_string_value(item));
	*out = v;
	return true;
}

static int shape_namevals(const char *s, char escape, const char *name, char ***out,
			  struct err *err)
{
	const char *p = s, *eq;
	cleanup_free char *first = next_word(&p, escape);
	char *w;

	if (!first)
		return 0;
	if (!strchr(first, '=')) { /* the old form: ENV name value with spaces */
		cleanup_free char *rest = xstrdup(skip_space(p));

		rtrim(rest);
		if (!*rest)
			return err_kind(err, ERR_BAD_PARAM, "%s must have two arguments", name);
		strv_add(out, first);
		strv_add(out, rest);
		return 0;
	}
	for (p = s; (w = next_word(&p, escape));) {
		cleanup_free char *word = w, *key = NULL;

		eq = strchr(word, '=');
		if (!eq)
			return err_kind(
				err, ERR_BAD_PARAM,
				"Syntax error - can't find = in \"%s\". Must be of the form: "
				"name=value",
				word);
		key = xstrndup(word, (size_t)(eq - word));
		strv_add(out, key);
		strv_add(out, eq + 1);
	}
	return 0;
}

static int shape_health(const char *s, struct df_instr *out, struct err *err)
{
	char word[16] = "";
	char **v = NULL;
	size_t n = 0;

	s = skip_space(s);
	while (s[n] && !isspace((unsigned char)s[n]) && n < sizeof(word) - 1) {
		word[n] = (char)toupper((unsigned char)s[n]);
		n++;
	}
	if (!n)
		return err_kind(err, ERR_BAD_PARAM, "HEALTHCHECK requires at least one argument");
	s = skip_space(s + n);
	if (!strcmp(word, "NONE")) {
		if (*s)
			return err_kind(err, ERR_BAD_PARAM, "HEALTHCHECK NONE takes no arguments");
		strv_add(&out->args, "NONE");
		return 0;
	}
	if (strcmp(word, "CMD") != 0)
		return err_kind(err, ERR_BAD_PARAM, "Unknown type \"%s\" in HEALTHCHECK (try CMD)",
				word);
	strv_add(&out->args, "CMD");
	if (try_json(s, &v)) {
		for (n = 0; v[n]; n++)
			strv_add(&out->args, v[n]);
		strv_free(v);
		out->json = true;
	} else if (*s) {
		strv_add(&out->args, s);
	}
	return 0;
}

static int read_args(enum shape shape, const char *s, char escape, const char *name,
		     struct df_instr *out, struct err *err)
{
	char **v = NULL, *w;

	out->args = xcalloc(1, sizeof(*out->args));
	switch (shape) {
	case SHAPE_JSON_OR_STRING:
	case SHAPE_JSON_OR_WORDS:
	case SHAPE_JSON:
		if (try_json(s, &v)) {
			strv_free(out->args);
			out->args = v;
			out->json = true;
			return 0;
		}
		if (shape == SHAPE_JSON)
			return err_kind(err, ERR_BAD_PARAM,
					"%s requires the arguments to be in JSON form", name);
		if (shape == SHAPE_JSON_OR_STRING) {
			if (*s)
				strv_add(&out->args, s);
			return 0;
		}
		strv_free(out->args);
		out->args = plain_words(s);
		return 0;
	case SHAPE_WORDS:
		strv_free(out->args);
		out->args = plain_words(s);
		return 0;
	case SHAPE_NAMES:
		while ((w = next_word(&s, escape))) {
			strv_add(&out->args, w);
			free(w);
		}
		return 0;
	case SHAPE_NAMEVALS:
		return shape_namevals(s, escape, name, &out->args, err);
	case SHAPE_HEALTH:
		return shape_health(s, out, err);
	case SHAPE_STRING:
	case SHAPE_ONBUILD:
		if (*s)
			strv_add(&out->args, s);
		return 0;
	}
	return 0;
}

static int parse_error(struct err *err, int line)
{
	return err_wrap(err, err->code, "dockerfile parse error on line %d", line);
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

static int check_args(const struct df_instr *in, struct err *err)
{
	size_t n = strv_len(in->args);

	switch (in->cmd) {
	case DF_RUN:
	case DF_CMD:
	case DF_ENTRYPOINT:
		return 0;
	case DF_ADD:
	case DF_COPY:
		if (n == 1)
			return err_kind(
				err, ERR_BAD_PARAM,
				"%s requires at least two arguments, but only one was provided. "
				"Destination could not be determined",
				df_cmd_name(in->cmd));
		break;
	case DF_FROM:
		if (n == 2 || n > 3 || (n == 3 && strcasecmp(in->args[1], "as") != 0))
			n = 0;
		break;
	default:
		break;
	}
	if (!n)
		return err_kind(err, ERR_BAD_PARAM, "%s requires %s", df_cmd_name(in->cmd),
				lacks(in->cmd));
	return 0;
}

/* Flags that an instruction has; what needs BuildKit is refused when it is carried out. */
static int check_flags(const struct df_instr *in, struct err *err)
{
	static const struct {
		enum df_cmd cmd;
		const char *names;
	} known[] = {
		{ DF_ADD, " chown chmod link checksum keep-git-dir exclude unpack " },
		{ DF_COPY, " from chown chmod link parents exclude " },
		{ DF_FROM, " platform " },
		{ DF_RUN, " mount network security device " },
		{ DF_HEALTHCHECK, " interval timeout start-period start-interval retries " },
	};

	for (char **f = in->flags; *f; f++) {
		char name[64];
		size_t i, len = strcspn(*f + 2, "=");
		bool found = false;

		if (str_fmt(name, sizeof(name), " %.*s ", (int)len, *f + 2) > 0)
			for (i = 0; i < ARRAY_SIZE(known); i++)
				found |= known[i].cmd == in->cmd && strstr(known[i].names, name);
		if (!found)
			return err_kind(err, ERR_BAD_PARAM, "unknown flag: --%.*s", (int)len,
					*f + 2);
	}
	return 0;
}

static const char *instruction_name(const char *s, size_t n, char name[32])
{
	memset(name, 0, 32);
	for (size_t i = 0; n < 32 && i < n; i++)
		name[i] = (char)toupper((unsigned char)s[i]);
	return name;
}

static int fill(struct df_instr *in, enum shape shape, const char *after, char escape,
		struct err *err)
{
	bool raw = in->cmd == DF_ONBUILD || in->cmd == DF_MAINTAINER;
	const char *rest = skip_space(after);
	int rc;

	in->flags = xcalloc(1, sizeof(*in->flags));
	if (!raw)
		rest = skip_space(take_flags(rest, escape, in));
	in->rest = xstrdup(in->cmd == DF_HEALTHCHECK ? skip_space(after) : rest);
	rtrim(in->rest);
	{
		cleanup_free char *args = xstrdup(rest);

		rtrim(args);
		rc = read_args(shape, args, escape, df_cmd_name(in->cmd), in, err);
	}
	if (rc < 0 || (rc = check_flags(in, err)) < 0)
		return rc;
	return check_args(in, err);
}

int dockerfile_parse_one(const char *text, char escape, int line, struct df_instr *out,
			 struct err *err)
{
	struct df_instr in = { .line = line };
	char name[32];
	const char *s = skip_space(text);
	size_t n = 0, i;

	while (s[n] && !isspace((unsigned char)s[n]))
		n++;
	instruction_name(s, n, name);
	for (i = 0; i < ARRAY_SIZE(commands) && strcmp(commands[i].name, name) != 0;)
		i++;
	if (i == ARRAY_SIZE(commands)) {
		err_kind(err, ERR_BAD_PARAM, "unknown instruction: %.*s", n > 100 ? 100 : (int)n,
			 s);
		return parse_error(err, line);
	}
	in.cmd = commands[i].cmd;
	in.original = xstrdup(s);
	rtrim(in.original);
	if (fill(&in, commands[i].shape, s + n, escape, err) < 0) {
		df_instr_fini(&in);
		return parse_error(err, line);
	}
	*out = in;
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
static int directive(const char *s, size_t len, struct dockerfile *d, bool *seen_escape,
		     struct err *err)
{
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
	if (!strcasecmp(p, "escape")) {
		if (*seen_escape)
			return err_kind(err, ERR_BAD_PARAM,
					"only one escape parser directive can be used");
		if ((value[0] != '\\' && value[0] != '`') || value[1])
			return err_kind(err, ERR_BAD_PARAM,
					"invalid escape token '%s' does not match ` or \\", value);
		*seen_escape = true;
		d->escape = value[0];
		return 1;
	}
	return !strcasecmp(p, "syntax") || !strcasecmp(p, "check");
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

static int add_instr(struct dockerfile *d, const char *text, int line, struct err *err)
{
	int rc;

	if (d->n == DOCKERFILE_INSTRS)
		return err_kind(err, ERR_BAD_PARAM, "dockerfile has more than %d instructions",
				DOCKERFILE_INSTRS);
	if (d->n % 16 == 0)
		d->v = xrealloc(d->v, (d->n + 16) * sizeof(*d->v));
	rc = dockerfile_parse_one(text, d->escape, line, &d->v[d->n], err);
	if (!rc)
		d->n++;
	return rc;
}

/* Takes one instruction that may go over several lines. */
static int logical_line(struct dockerfile *d, struct lines *l, const char *s, size_t len,
			struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int first = l->line;
	bool more, empty = false;
	size_t n = strip_continuation(s, len, d->escape, &more);

	buf_add(&text, s, n);
	while (more && next_line(l, &s, &len)) {
		if (is_comment(s, len))
			continue;
		if (is_blank(s, len)) {
			empty = true;
			continue;
		}
		n = strip_continuation(s, len, d->escape, &more);
		buf_add(&text, s, n);
	}
	if (strlen(buf_str(&text)) != text.len)
		return err_kind(err, ERR_BAD_PARAM, "dockerfile parse error on line %d: a NUL byte",
				first);
	if (empty) {
		cleanup_free char *w = xasprintf(
			"[WARNING]: Empty continuation line found in:\n    %s", buf_str(&text));

		strv_add(&d->warnings, w);
	}
	return add_instr(d, buf_str(&text), first, err);
}

int dockerfile_parse(const char *text, size_t len, struct dockerfile *out, struct err *err)
{
	struct lines l = { .p = text, .end = text + len };
	struct dockerfile d = { .escape = '\\' };
	bool directives = true, seen_escape = false;
	const char *s;
	size_t n;
	int rc = 0;

	if (len > DOCKERFILE_MAX)
		return err_kind(err, ERR_BAD_PARAM, "dockerfile is larger than %d bytes",
				DOCKERFILE_MAX);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		l.p += 3;
	d.warnings = xcalloc(1, sizeof(*d.warnings));
	while (rc >= 0 && next_line(&l, &s, &n)) {
		if (directives) {
			rc = directive(s, n, &d, &seen_escape, err);
			directives = rc > 0;
			if (rc)
				continue;
		}
		if (is_comment(s, n) || is_blank(s, n))
			continue;
		directives = false;
		rc = logical_line(&d, &l, s, n, err);
	}
	if (rc >= 0 && !d.n)
		rc = err_kind(err, ERR_BAD_PARAM, "file with no instructions");
	if (rc < 0) {
		dockerfile_fini(&d);
		return rc;
	}
	*out = d;
	return 0;
}
