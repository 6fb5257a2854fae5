/* SPDX-License-Identifier: MPL-2.0
 *
 * build_args.c - see build_args.h. The rules are Docker's: the client's value goes before the
 * default of an ARG, that before the value of the same ARG in front of the first FROM.
 */
#include "apiserver/build_args.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

static const char *const predefined[] = {
	"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY",
	"ftp_proxy",  "NO_PROXY",   "no_proxy",	   "ALL_PROXY",	  "all_proxy",
};

void build_args_init(struct build_args *a)
{
	a->given = strv_split("", ' ');
	a->meta = strv_split("", ' ');
	a->allowed = strv_split("", ' ');
	a->referenced = strv_split("", ' ');
}

void build_args_fini(struct build_args *a)
{
	strv_free(a->given);
	strv_free(a->meta);
	strv_free(a->allowed);
	strv_free(a->referenced);
}

/* The last entry of a name; NULL: none. */
static const char *find(char *const *v, const char *name, size_t len)
{
	const char *found = NULL;

	for (; *v; v++)
		if (!strncmp(*v, name, len) && (!(*v)[len] || (*v)[len] == '='))
			found = *v;
	return found;
}

static const char *value_in(char *const *v, const char *name, size_t len)
{
	const char *s = find(v, name, len);

	return s && s[len] == '=' ? s + len + 1 : NULL;
}

static bool is_predefined(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(predefined); i++)
		if (strlen(predefined[i]) == len && !strncmp(predefined[i], name, len))
			return true;
	return false;
}

void build_args_declare(struct build_args *a, const char *spec, bool meta)
{
	cleanup_free char *name = xstrndup(spec, strcspn(spec, "="));

	strv_add(meta ? &a->meta : &a->allowed, spec);
	strv_add(&a->referenced, name);
}

void build_args_next_stage(struct build_args *a)
{
	strv_free(a->allowed);
	a->allowed = strv_split("", ' ');
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void add_value(const struct build_args *a, char *const *from, const char *name, size_t len,
		      char ***out)
{
	const char *v = value_in(a->given, name, len);
	cleanup_free char *text = NULL;

	if (find(*out, name, len))
		return;
	if (!v)
		v = value_in(from, name, len);
	if (!v)
		v = value_in(a->meta, name, len);
	if (!v)
		return;
	text = xasprintf("%.*s=%s", (int)len, name, v);
	strv_add(out, text);
}

static char **values(const struct build_args *a, char *const *from, bool with_predefined)
{
	char **out = strv_split("", ' ');

	for (char *const *s = from; *s; s++)
		add_value(a, from, *s, strcspn(*s, "="), &out);
	for (size_t i = 0; with_predefined && i < ARRAY_SIZE(predefined); i++)
		add_value(a, from, predefined[i], strlen(predefined[i]), &out);
	qsort(out, strv_len(out), sizeof(*out), by_text);
	return out;
}

char **build_args_meta(const struct build_args *a)
{
	return values(a, a->meta, false);
}

char **build_args_allowed(const struct build_args *a)
{
	return values(a, a->allowed, true);
}

bool build_args_hidden(const struct build_args *a, const char *name_value)
{
	size_t len = strcspn(name_value, "=");

	return is_predefined(name_value, len) && !find(a->referenced, name_value, len);
}

char **build_args_unused(const struct build_args *a)
{
	char **out = strv_split("", ' ');

	for (char **s = a->given; *s; s++) {
		size_t len = strcspn(*s, "=");
		cleanup_free char *name = xstrndup(*s, len);

		if (!find(a->referenced, name, len) && !is_predefined(name, len) &&
		    !strv_has(out, name))
			strv_add(&out, name);
	}
	qsort(out, strv_len(out), sizeof(*out), by_text);
	return out;
}
