/* SPDX-License-Identifier: MPL-2.0
 *
 * log_otlp.c - otlp-headers and otlp-timeout.
 */
#include "log_otlp.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "str.h"

#define HEADERS_MAX 64

static bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !(s[i] && strchr("!#$%&'*+-.^_`|~", s[i])))
			return false;
	return len > 0;
}

static bool is_ours(const char *s, size_t len)
{
	static const char *const ours[] = { "content-type", "content-encoding", "content-length", "transfer-encoding",
					    "host",	    "connection",	"expect",	  "upgrade" };

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strlen(ours[i]) == len && strncasecmp(ours[i], s, len) == 0)
			return true;
	return false;
}

/* In place; -1: a control character, or % without two digits. */
static int decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '%') {
			if (!isxdigit((unsigned char)s[1]) || !isxdigit((unsigned char)s[2]))
				return -1;
			(void)hex_decode(&c, (char[]){ (char)tolower((unsigned char)s[1]), (char)tolower((unsigned char)s[2]), '\0' }, 2);
			s += 2;
		}
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return -1;
		*to++ = (char)c;
	}
	*to = '\0';
	return 0;
}

/* Without the blanks around it; in place. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len > 0 && strchr(" \t", s[len - 1]))
		s[--len] = '\0';
	return s;
}

int log_otlp_headers(const char *value, char ***out, struct err *err)
{
	cleanup_strv char **list = strv_split(value ? value : "", ','), **headers = xcalloc(1, sizeof(*headers));

	if (strv_len(list) > HEADERS_MAX)
		return err_kind(err, ERR_BAD_PARAM, "otlp-headers: more than %d headers", HEADERS_MAX);
	for (char **p = list; *p; p++) {
		cleanup_free char *line = NULL;
		char *name = trim(*p), *eq = strchr(name, '=');
		size_t len;

		if (!*name)
			continue;
		if (!eq)
			return err_kind(err, ERR_BAD_PARAM, "otlp-headers: '%s' is not name=value", name);
		*eq = '\0';
		len = strlen(trim(name));
		if (!is_name(name, len))
			return err_kind(err, ERR_BAD_PARAM, "otlp-headers: '%s' is no header's name", name);
		if (is_ours(name, len))
			return err_kind(err, ERR_BAD_PARAM, "otlp-headers: %s is not for you to set", name);
		if (decode(trim(eq + 1)) < 0)
			return err_kind(err, ERR_BAD_PARAM, "otlp-headers: the value of %s is not percent-encoded text", name);
		line = xasprintf("%s: %s", name, trim(eq + 1));
		strv_add(&headers, line);
	}
	*out = take_ptr(&headers);
	return 0;
}

int log_otlp_timeout(const char *value, int *out_ms, struct err *err)
{
	int64_t ns, ms;

	*out_ms = LOG_OTLP_TIMEOUT_MS;
	if (str_empty(value))
		return 0;
	if (parse_i64(value, 0, INT32_MAX, &ms) < 0) {
		if (parse_duration_ns(value, &ns) < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid value for otlp-timeout: time: invalid duration \"%s\"", value);
		ms = ns / 1000000;
	}
	if (ms < 100 || ms > 600000)
		return err_kind(err, ERR_BAD_PARAM, "invalid value for otlp-timeout: value (\"%s\") must be between 100ms and 10m", value);
	*out_ms = (int)ms;
	return 0;
}
