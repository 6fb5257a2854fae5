/* SPDX-License-Identifier: MPL-2.0
 *
 * log_tag.c - see log_tag.h.
 *
 * {{.Field}}, {{.ContainerLabels.k}}, {{index .ContainerLabels "k"}}, {{index .ContainerEnv 0}},
 * with
 * {{- and -}}, and the functions lower, upper, title, truncate and printf with one %s, also in
 * pipelines.
 */
#include "log_tag.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "jget.h"
#include "str.h"

struct tag_ctx {
	const struct ct_spec *spec;
	const char *command;
};

static int bad(struct err *err, const char *what)
{
	return err_kind(err, ERR_BAD_PARAM, "template: log-tag:1: %s", what);
}

static const char *label(const struct tag_ctx *c, const char *key)
{
	return c->spec ? jget_str(jget_obj(c->spec->config, "Labels"), key, "") : "";
}

static void add_image_short(const struct ct_spec *s, struct buf *out)
{
	const char *id = s->image_id;

	if (str_starts(id, "sha256:"))
		id += 7;
	buf_printf(out, "%.12s", id);
}

static int field(const struct tag_ctx *c, const char *name, struct buf *out, struct err *err)
{
	static const char *const known[] = { "ID",
					     "FullID",
					     "ContainerID",
					     "Name",
					     "ContainerName",
					     "ImageID",
					     "ImageFullID",
					     "ContainerImageID",
					     "ImageName",
					     "ContainerImageName",
					     "Command",
					     "Hostname",
					     "DaemonName",
					     "ContainerCreated",
					     "LogPath" };
	const struct ct_spec *s = c->spec;
	char host[256] = "", time[RFC3339NANO_MAX];
	size_t i;

	if (str_starts(name, "ContainerLabels.")) {
		buf_addstr(out, label(c, name + 16));
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(known) && strcmp(known[i], name) != 0; i++)
		;
	if (i == ARRAY_SIZE(known))
		return err_kind(err, ERR_BAD_PARAM,
				"template: log-tag:1:2: executing \"log-tag\" at <.%s>: can't "
				"evaluate field %s in type "
				"*logger.Info",
				name, name);
	if (!s)
		return 0;
	switch (i) {
	case 0:
		buf_printf(out, "%.12s", s->id);
		break;
	case 1:
	case 2:
		buf_addstr(out, s->id);
		break;
	case 3:
	case 4:
		buf_printf(out, "%s%s", i == 4 ? "/" : "", s->name);
		break;
	case 5:
		add_image_short(s, out);
		break;
	case 6:
	case 7:
		buf_addstr(out, s->image_id);
		break;
	case 8:
	case 9:
		buf_addstr(out, s->image_ref ? s->image_ref : "");
		break;
	case 10:
		buf_addstr(out, c->command ? c->command : "");
		break;
	case 11:
		if (gethostname(host, sizeof(host) - 1) == 0)
			buf_addstr(out, host);
		break;
	case 12:
		buf_addstr(out, "docker");
		break;
	case 13:
		fmt_rfc3339nano(time, s->created_ns);
		buf_addstr(out, time);
		break;
	default:
		break;
	}
	return 0;
}

/* Words of one command: bare or quoted; at most 8. */
static int split_words(char *text, char **words, size_t max, struct err *err)
{
	size_t n = 0;
	char *p = text;

	while (*p) {
		while (isspace((unsigned char)*p))
			*p++ = '\0';
		if (!*p)
			break;
		if (n == max)
			return bad(err, "too many operands");
		if (*p == '"' || *p == '`') {
			char quote = *p;

			words[n++] = p; /* keeps the opening quote as the mark of a string */
			for (p++; *p && *p != quote; p++)
				;
			if (!*p)
				return bad(err, "unterminated quoted string");
			*p++ = '\0';
			continue;
		}
		words[n++] = p;
		while (*p && !isspace((unsigned char)*p))
			p++;
	}
	return (int)n;
}

static const char *word_str(const char *w)
{
	return *w == '"' || *w == '`' ? w + 1 : w;
}

static int value(const struct tag_ctx *c, const char *w, struct buf *out, struct err *err)
{
	if (*w == '.')
		return field(c, w + 1, out, err);
	buf_addstr(out, word_str(w));
	return 0;
}

static int call_index(const struct tag_ctx *c, char **w, int n, struct buf *out, struct err *err)
{
	const json_t *env;
	int64_t i;

	if (n == 3 && strcmp(w[1], ".ContainerLabels") == 0) {
		buf_addstr(out, label(c, word_str(w[2])));
		return 0;
	}
	if (n == 3 && strcmp(w[1], ".ContainerEnv") == 0 && parse_i64(w[2], 0, 100000, &i) == 0) {
		env = c->spec ? jget_arr(c->spec->config, "Env") : NULL;
		if (c->spec && (size_t)i >= json_array_size(env))
			return bad(err, "error calling index: index out of range");
		if (env)
			buf_addstr(out, json_string_value(json_array_get(env, (size_t)i)));
		return 0;
	}
	return bad(err, "error calling index");
}

static void change_case(struct buf *b, const char *how)
{
	bool start = true;
	size_t i;

	for (i = 0; i < b->len; i++) {
		unsigned char ch = (unsigned char)b->p[i];

		if (*how == 'l')
			b->p[i] = (char)tolower(ch);
		else if (*how == 'u' || start)
			b->p[i] = (char)toupper(ch);
		start = isspace(ch);
	}
}

/* f(args..., piped): piped is NULL for the first command of a pipeline. */
static int call(const struct tag_ctx *c, char **w, int n, const struct buf *piped, struct buf *out,
		struct err *err)
{
	const char *f = w[0], *fmt, *pct;
	int64_t len;
	int rc;

	if (strcmp(f, "index") == 0)
		return call_index(c, w, n, out, err);
	if (strcmp(f, "lower") == 0 || strcmp(f, "upper") == 0 || strcmp(f, "title") == 0) {
		if (piped)
			buf_add(out, piped->p, piped->len);
		else if (n != 2)
			return bad(err, "wrong number of args");
		else if ((rc = value(c, w[1], out, err)) < 0)
			return rc;
		change_case(out, f);
		return 0;
	}
	if (strcmp(f, "truncate") == 0 && n == 3 && !piped && parse_i64(w[2], 0, 4096, &len) == 0) {
		if ((rc = value(c, w[1], out, err)) < 0)
			return rc;
		if (out->len > (size_t)len)
			out->p[out->len = (size_t)len] = '\0';
		return 0;
	}
	if (strcmp(f, "printf") == 0 && n >= 2) {
		fmt = word_str(w[1]);
		pct = strstr(fmt, "%s");
		buf_add(out, fmt, pct ? (size_t)(pct - fmt) : strlen(fmt));
		if (pct) {
			if (piped)
				buf_add(out, piped->p, piped->len);
			else if (n > 2 && (rc = value(c, w[2], out, err)) < 0)
				return rc;
			buf_addstr(out, pct + 2);
		}
		return 0;
	}
	return err_kind(err, ERR_BAD_PARAM, "template: log-tag:1: function \"%.64s\" not defined",
			f);
}

/* One action, between the braces: commands joined by |. */
static int action(const struct tag_ctx *c, char *text, struct buf *out, struct err *err)
{
	cleanup_buf struct buf piped = BUF_INIT;
	char *cmd, *words[8];
	bool first = true;
	int n, rc;

	while ((cmd = strsep(&text, "|"))) {
		cleanup_buf struct buf result = BUF_INIT;

		n = split_words(cmd, words, ARRAY_SIZE(words), err);
		if (n < 0)
			return n;
		if (n == 0)
			return bad(err, "missing value for command");
		if (words[0][0] == '.' || words[0][0] == '"' || words[0][0] == '`') {
			if (n != 1 || !first)
				return bad(err, "can't give argument to non-function");
			rc = value(c, words[0], &result, err);
		} else {
			rc = call(c, words, n, first ? NULL : &piped, &result, err);
		}
		if (rc < 0)
			return rc;
		buf_reset(&piped);
		buf_add(&piped, buf_str(&result), result.len);
		first = false;
	}
	if (first)
		return bad(err, "missing value for command");
	buf_add(out, buf_str(&piped), piped.len);
	return 0;
}

int log_tag_expand(const char *tmpl, const struct ct_spec *spec, const char *command,
		   struct buf *out, struct err *err)
{
	struct tag_ctx c = { spec, command };
	const char *open, *close, *p = tmpl;
	int rc;

	while ((open = strstr(p, "{{"))) {
		const char *from = open + 2, *to;
		cleanup_free char *text = NULL;

		close = strstr(from, "}}");
		if (!close)
			return bad(err, "unclosed action");
		buf_add(out, p, (size_t)(open - p));
		to = close;
		if (*from == '-' && isspace((unsigned char)from[1])) {
			from++;
			while (out->len && isspace((unsigned char)out->p[out->len - 1]))
				out->p[--out->len] = '\0';
		}
		p = close + 2;
		if (to > from && to[-1] == '-' && to - 1 > from && isspace((unsigned char)to[-2])) {
			to--;
			while (isspace((unsigned char)*p))
				p++;
		}
		text = xstrndup(from, (size_t)(to - from));
		if ((rc = action(&c, text, out, err)) < 0)
			return rc;
	}
	buf_addstr(out, p);
	return 0;
}
