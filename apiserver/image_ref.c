/* SPDX-License-Identifier: MPL-2.0
 *
 * image_ref.c - Docker's reference grammar.
 *
 *	reference  = [ domain "/" ] path [ ":" tag ] [ "@" digest ]
 *	domain     = ( label { "." label } | "[" ipv6 "]" ) [ ":" digits ]
 *	path       = part { "/" part }		part = alnum { sep alnum }, lower case
 *	sep        = "." | "_" | "__" | "-" { "-" }
 *	tag        = word { word | "." | "-" }, at most 128
 *	digest     = algorithm ":" hex, at least 32
 *
 * Design: the first word is a domain when it holds a dot, a colon or an upper-case letter, or is
 * "localhost"; that decides it before the grammar is looked at, as Docker does. Texts of errors are
 * Docker's, clients compare them.
 */
#include "apiserver/image_ref.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

static const char bad_format[] = "invalid reference format";

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* Length of the separator at s, 0 when there is none. */
static size_t separator_len(const char *s, size_t len)
{
	size_t n = 0;

	if (!len)
		return 0;
	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return len > 1 && s[1] == '_' ? 2 : 1;
	while (n < len && s[n] == '-')
		n++;
	return n;
}

static bool path_part_valid(const char *s, size_t len)
{
	size_t i = 0, n;

	for (;;) {
		n = i;
		while (i < len && is_lower_alnum(s[i]))
			i++;
		if (i == n)
			return false;
		if (i == len)
			return true;
		n = separator_len(s + i, len - i);
		if (!n)
			return false;
		i += n;
	}
}

static bool path_valid(const char *s, size_t len)
{
	const char *end = s + len, *slash;

	for (;;) {
		slash = memchr(s, '/', (size_t)(end - s));
		if (!slash)
			return path_part_valid(s, (size_t)(end - s));
		if (!path_part_valid(s, (size_t)(slash - s)))
			return false;
		s = slash + 1;
	}
}

static bool label_valid(const char *s, size_t len)
{
	if (!len || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool domain_valid(const char *s)
{
	size_t len = strcspn(s, ":"), start = 0;
	const char *port;

	if (s[0] == '[') {
		len = strspn(s + 1, "0123456789abcdefABCDEF:") + 1;
		if (len == 1 || s[len] != ']')
			return false;
		len++;
	} else {
		for (size_t i = 0; i <= len; i++) {
			if (i < len && s[i] != '.')
				continue;
			if (!label_valid(s + start, i - start))
				return false;
			start = i + 1;
		}
	}
	if (!s[len])
		return true;
	if (s[len] != ':')
		return false;
	port = s + len + 1;
	return *port && strspn(port, "0123456789") == strlen(port);
}

bool image_tag_valid(const char *tag)
{
	size_t len = strlen(tag);

	if (!len || len > 128 || !(is_alnum(tag[0]) || tag[0] == '_'))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(tag[i]) && !strchr("_.-", tag[i]))
			return false;
	return true;
}

bool image_id_valid(const char *id)
{
	return str_starts(id, "sha256:") && strlen(id) == 71 &&
	       strspn(id + 7, "0123456789abcdef") == 64;
}

static int digest_check(const char *s, struct err *err)
{
	static const struct {
		const char *name;
		size_t hex;
	} algorithms[] = { { "sha256", 64 }, { "sha384", 96 }, { "sha512", 128 } };
	const char *colon = strchr(s, ':');
	size_t n;

	if (!colon || colon == s)
		return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	for (const char *p = s; p < colon; p++)
		if (!is_alnum(*p) && !strchr("-_+.", *p))
			return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	n = strspn(colon + 1, "0123456789abcdefABCDEF");
	if (n < 32 || colon[1 + n])
		return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		if (strlen(algorithms[i].name) != (size_t)(colon - s) ||
		    strncmp(algorithms[i].name, s, (size_t)(colon - s)) != 0)
			continue;
		if (n != algorithms[i].hex)
			return err_kind(err, ERR_BAD_PARAM, "invalid checksum digest length");
		if (strspn(colon + 1, "0123456789abcdef") != n)
			return err_kind(err, ERR_BAD_PARAM, "invalid checksum digest format");
		return 0;
	}
	return err_kind(err, ERR_BAD_PARAM, "unsupported digest algorithm");
}

static bool first_is_domain(const char *s, size_t len)
{
	bool special = false;

	for (size_t i = 0; i < len; i++)
		if (s[i] == '.' || s[i] == ':' || (s[i] >= 'A' && s[i] <= 'Z'))
			special = true;
	return special || (len == 9 && !memcmp(s, "localhost", 9));
}

/* Splits off "@digest" and ":tag" from rest (in place, at its end). */
static int cut_suffixes(char *rest, struct image_ref *out, struct err *err)
{
	char *at = strchr(rest, '@'), *colon;
	int rc;

	if (at) {
		*at = '\0';
		if ((rc = digest_check(at + 1, err)) < 0)
			return rc;
		if (str_fmt(out->digest, sizeof(out->digest), "%s", at + 1) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	}
	colon = strchr(rest, ':');
	if (colon) {
		*colon = '\0';
		if (!image_tag_valid(colon + 1))
			return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
		str_copy(out->tag, sizeof(out->tag), colon + 1);
	}
	return 0;
}

int image_ref_parse(const char *s, struct image_ref *out, struct err *err)
{
	struct image_ref r = { 0 };
	cleanup_free char *rest = NULL;
	const char *slash = strchr(s, '/');
	size_t n;
	int rc;

	if (strlen(s) > 1024)
		return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	if (strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64)
		return err_kind(err, ERR_BAD_PARAM,
				"invalid repository name (%s), cannot specify 64-byte hexadecimal strings",
				s);
	str_copy(r.domain, sizeof(r.domain), IMAGE_REF_DOMAIN);
	if (slash && first_is_domain(s, (size_t)(slash - s))) {
		if ((size_t)(slash - s) >= sizeof(r.domain))
			return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
		memcpy(r.domain, s, (size_t)(slash - s));
		r.domain[slash - s] = '\0';
		s = slash + 1;
		if (str_eq(r.domain, "index.docker.io"))
			str_copy(r.domain, sizeof(r.domain), IMAGE_REF_DOMAIN);
	}
	rest = xasprintf("%s%s", str_eq(r.domain, IMAGE_REF_DOMAIN) && !strchr(s, '/') ? "library/" : "",
			 s);
	n = strcspn(rest, ":");
	for (size_t i = 0; i < n; i++)
		if (rest[i] >= 'A' && rest[i] <= 'Z')
			return err_kind(err, ERR_BAD_PARAM,
					"invalid reference format: repository name (%.*s) must be lowercase",
					(int)n, rest);
	if ((rc = cut_suffixes(rest, &r, err)) < 0)
		return rc;
	n = strlen(rest);
	if (!domain_valid(r.domain) || !path_valid(rest, n))
		return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	if (strlen(r.domain) + 1 + n > 255)
		return err_kind(err, ERR_BAD_PARAM,
				"repository name must not be more than 255 characters");
	str_copy(r.path, sizeof(r.path), rest);
	*out = r;
	return 0;
}

int image_ref_parse_any(const char *s, struct image_ref *out, struct err *err)
{
	struct image_ref r = { 0 };

	if (strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64) {
		if (str_fmt(r.digest, sizeof(r.digest), "sha256:%s", s) < 0)
			return err_kind(err, ERR_BAD_PARAM, "%s", bad_format);
	} else if (image_id_valid(s)) {
		str_copy(r.digest, sizeof(r.digest), s);
	} else {
		return image_ref_parse(s, out, err);
	}
	*out = r;
	return 0;
}

void image_ref_default_tag(struct image_ref *r)
{
	if (!r->tag[0] && !r->digest[0])
		str_copy(r->tag, sizeof(r->tag), "latest");
}

static bool is_bare_id(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* library/ID stays as it is: ID alone would be an image's. */
static const char *familiar_path(const struct image_ref *r)
{
	if (str_eq(r->domain, IMAGE_REF_DOMAIN) && str_starts(r->path, "library/") &&
	    !strchr(r->path + 8, '/') && !is_bare_id(r->path + 8))
		return r->path + 8;
	return r->path;
}

char *image_ref_name(const struct image_ref *r)
{
	return xasprintf("%s/%s", r->domain, r->path);
}

/* docker.io/a.b/c stays as it is: a.b/c alone would be another name. */
char *image_ref_familiar_name(const struct image_ref *r)
{
	const char *slash = strchr(r->path, '/');

	if (str_eq(r->domain, IMAGE_REF_DOMAIN) &&
	    !(slash && first_is_domain(r->path, (size_t)(slash - r->path))))
		return xstrdup(familiar_path(r));
	return image_ref_name(r);
}

static char *with_suffixes(char *name, const char *tag, const char *digest)
{
	char *s = xasprintf("%s%s%s%s%s", name, tag[0] ? ":" : "", tag, digest[0] ? "@" : "", digest);

	free(name);
	return s;
}

char *image_ref_canonical(const struct image_ref *r)
{
	if (image_ref_is_id(r))
		return xstrdup(r->digest);
	return with_suffixes(image_ref_name(r), r->tag, r->digest);
}

char *image_ref_familiar(const struct image_ref *r)
{
	if (image_ref_is_id(r))
		return xstrdup(r->digest);
	return with_suffixes(image_ref_familiar_name(r), r->tag, r->digest);
}

char *image_ref_key(const struct image_ref *r)
{
	const char *tag = r->tag[0] ? r->tag : "latest";

	if (r->digest[0])
		return with_suffixes(image_ref_name(r), "", r->digest);
	return with_suffixes(image_ref_name(r), tag, "");
}

/* Behind "[", Go's path.Match: at least one range, each of characters or "\\" and one. NULL: it is not closed. */
static const char *skip_class(const char *p)
{
	bool any = false;

	for (p += *p == '^'; !(*p == ']' && any); any = true) {
		for (int side = 0; side < 2; side++) {
			if (side && *p != '-')
				break;
			p += side;
			if (!*p || *p == '-' || *p == ']')
				return NULL;
			p += *p == '\\';
			if (!*p)
				return NULL;
			p++;
		}
	}
	return p + 1;
}

bool image_pattern_valid(const char *p)
{
	while (*p) {
		char c = *p++;

		if (c == '[' && !(p = skip_class(p)))
			return false;
		if (c == '\\' && !*p++)
			return false;
	}
	return true;
}

bool image_ref_match(const struct image_ref *r, const char *pattern)
{
	cleanup_free char *whole = image_ref_familiar(r);
	cleanup_free char *name = image_ref_familiar_name(r);

	return !fnmatch(pattern, whole, FNM_PATHNAME) || !fnmatch(pattern, name, FNM_PATHNAME);
}

int image_ref_check_pull(const struct image_ref *r, struct err *err)
{
	if (!str_eq(r->domain, "docker.io") || !str_eq(r->path, "library/scratch"))
		return 0;
	return err_kind(err, ERR_FORBIDDEN, "'scratch' is a reserved name");
}
