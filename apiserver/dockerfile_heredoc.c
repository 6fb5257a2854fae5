/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_heredoc.c - see dockerfile_heredoc.h. The escape character is the backslash here,
 * whatever the directive says, as in Docker.
 */
#include "apiserver/dockerfile_heredoc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/dockerfile_words.h"
#include "cleanup.h"
#include "str.h"

bool dockerfile_heredoc_ok(const char *text)
{
	static const char *const names[] = { "RUN", "COPY", "ADD" };
	size_t n = strcspn(text, " \t");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && !strncasecmp(names[i], text, n))
			return true;
	return false;
}

/* Without the blanks between "<<" and its word. */
static char *joined(const char *text)
{
	cleanup_buf struct buf b = BUF_INIT;
	char quote = 0;

	for (const char *s = text; *s; s++) {
		buf_addch(&b, *s);
		if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
		} else if (*s == '\\' && s[1] && quote != '\'') {
			buf_addch(&b, *++s);
		} else if (!quote && s[0] == '<' && s[1] == '<') {
			buf_addch(&b, *++s);
			while (s[1] == ' ' || s[1] == '\t')
				s++;
		}
	}
	return xstrdup(buf_str(&b));
}

char **dockerfile_heredoc_words(const char *text)
{
	cleanup_free char *one = joined(text);

	return dockerfile_words(one, '\\');
}

bool dockerfile_heredoc(const char *word, struct df_heredoc *out)
{
	cleanup_free char *name = NULL;
	struct err ignored = { 0 };
	const char *s = word;

	while (isdigit((unsigned char)*s))
		s++;
	if (s[0] != '<' || s[1] != '<')
		return false;
	s += 2;
	out->chomp = *s == '-';
	s += out->chomp;
	if (!*s || strchr(s, '<') || dockerfile_expand(s, '\\', NULL, &name, &ignored) < 0 || !*name)
		return false;
	out->name = take_ptr(&name);
	return true;
}
