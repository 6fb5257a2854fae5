/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_flags.c - the --name=value words of a Dockerfile's instructions.
 *
 * Design: which instruction has which flags is one table. A name that is nearly right gets a hint,
 * as in Docker; the hint's distance is Levenshtein's, below three.
 *
 * To extend: a row in known[]; what needs BuildKit is refused where it is carried out.
 */
#include "apiserver/dockerfile_flags.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "cleanup.h"
#include "str.h"

#define HINT_DISTANCE 3
#define HINT_LEN_MAX  24

enum flag_type { FLAG_STRING, FLAG_BOOL, FLAG_LIST };

static const struct flag {
	enum df_cmd cmd;
	const char *name;
	enum flag_type type;
} known[] = {
	{ DF_ADD, "chown", FLAG_STRING },
	{ DF_ADD, "chmod", FLAG_STRING },
	{ DF_ADD, "link", FLAG_BOOL },
	{ DF_ADD, "keep-git-dir", FLAG_BOOL },
	{ DF_ADD, "checksum", FLAG_STRING },
	{ DF_ADD, "unpack", FLAG_BOOL },
	{ DF_ADD, "exclude", FLAG_LIST },
	{ DF_COPY, "chown", FLAG_STRING },
	{ DF_COPY, "chmod", FLAG_STRING },
	{ DF_COPY, "from", FLAG_STRING },
	{ DF_COPY, "link", FLAG_BOOL },
	{ DF_COPY, "parents", FLAG_BOOL },
	{ DF_COPY, "exclude", FLAG_LIST },
	{ DF_FROM, "platform", FLAG_STRING },
	{ DF_RUN, "mount", FLAG_LIST },
	{ DF_RUN, "network", FLAG_STRING },
	{ DF_RUN, "security", FLAG_STRING },
	{ DF_RUN, "device", FLAG_LIST },
	{ DF_HEALTHCHECK, "interval", FLAG_STRING },
	{ DF_HEALTHCHECK, "timeout", FLAG_STRING },
	{ DF_HEALTHCHECK, "start-period", FLAG_STRING },
	{ DF_HEALTHCHECK, "start-interval", FLAG_STRING },
	{ DF_HEALTHCHECK, "retries", FLAG_STRING },
};

/* A word that begins with "--", its quotes and escapes taken away. */
static char *flag_word(const char **sp, char escape)
{
	cleanup_buf struct buf b = BUF_INIT;
	const char *s = *sp;
	char quote = 0;

	for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
		if (*s == escape) {
			if (!s[1])
				continue;
			s++;
		} else if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
			continue;
		}
		buf_addch(&b, *s);
	}
	*sp = s;
	return xstrdup(buf_str(&b));
}

const char *dockerfile_flags_take(const char *s, char escape, char ***flags)
{
	for (;;) {
		cleanup_free char *w = NULL;
		const char *p = s;

		while (isspace((unsigned char)*p))
			p++;
		if (p[0] != '-' || p[1] != '-')
			return s;
		w = flag_word(&p, escape);
		if (str_eq(w, "--"))
			return p;
		strv_add(flags, w);
		s = p;
	}
}

/* ---- hints ---- */

static unsigned distance(const char *a, const char *b)
{
	unsigned row[HINT_LEN_MAX + 1], n = (unsigned)strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = corner + (tolower((unsigned char)a[i - 1]) !=
						  tolower((unsigned char)b[j - 1]));

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static bool is_lower(const char *s)
{
	for (; *s; s++)
		if (isupper((unsigned char)*s))
			return false;
	return true;
}

void dockerfile_hint(char out[DOCKERFILE_HINT_MAX], const char *word, const char *const *options)
{
	unsigned least = HINT_DISTANCE;

	out[0] = '\0';
	if (strlen(word) > HINT_LEN_MAX)
		return;
	for (; *options; options++) {
		unsigned d = distance(word, *options);

		if (d >= least)
			continue;
		least = d;
		(void)!str_fmt(out, DOCKERFILE_HINT_MAX, " (did you mean %s?)", *options);
	}
	if (is_lower(word))
		for (char *p = out; *p; p++)
			*p = (char)tolower((unsigned char)*p);
}

/* ---- checks ---- */

static int unknown(const struct df_instr *in, const char *name, struct err *err)
{
	const char *options[ARRAY_SIZE(known) + 1] = { NULL };
	char hint[DOCKERFILE_HINT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].cmd == in->cmd)
			options[n++] = known[i].name;
	dockerfile_hint(hint, name, options);
	return err_kind(err, ERR_BAD_PARAM, "unknown flag: --%.100s%s", name, hint);
}

static int check_value(const struct flag *f, const char *value, struct err *err)
{
	if (f->type != FLAG_BOOL)
		return value ? 0
			     : err_kind(err, ERR_BAD_PARAM, "missing a value on flag: --%s",
					f->name);
	if (!value || !strcasecmp(value, "true") || !strcasecmp(value, "false"))
		return 0;
	if (!*value)
		return err_kind(err, ERR_BAD_PARAM, "missing a value on flag: --%s", f->name);
	return err_kind(err, ERR_BAD_PARAM, "expecting boolean value for flag --%s, not: %.100s",
			f->name, value);
}

int dockerfile_flags_check(const struct df_instr *in, struct err *err)
{
	unsigned used = 0;
	int rc;

	/* as in Docker, these are not looked at */
	if (in->cmd == DF_ARG || in->cmd == DF_STOPSIGNAL)
		return 0;
	for (char **f = in->flags; *f; f++) {
		cleanup_free char *name = xstrndup(*f + 2, strcspn(*f + 2, "="));
		const char *eq = strchr(*f, '=');
		size_t i = 0;

		while (i < ARRAY_SIZE(known) &&
		       (known[i].cmd != in->cmd || !str_eq(known[i].name, name)))
			i++;
		if (i == ARRAY_SIZE(known))
			return unknown(in, name, err);
		if (used & 1u << i && known[i].type != FLAG_LIST)
			return err_kind(err, ERR_BAD_PARAM, "duplicate flag specified: --%s", name);
		used |= 1u << i;
		if ((rc = check_value(&known[i], eq ? eq + 1 : NULL, err)) < 0)
			return rc;
	}
	return 0;
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
