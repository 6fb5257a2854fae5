/* SPDX-License-Identifier: MPL-2.0
 *
 * resize_param.c - see resize_param.h.
 */
#include "resize_param.h"

#include <string.h>

#include "str.h"

#define TERMINAL_MAX 65535

static int parse(const struct req *r, const char *key, const char *what, unsigned *out, struct err *err)
{
	const char *text = req_query(r, key), *digits;
	uint64_t v = 0;

	text = text ? text : "";
	digits = text + (text[0] == '-');
	if (!*digits || digits[strspn(digits, "0123456789")])
		return err_kind(err, ERR_BAD_PARAM, "invalid resize %s \"%s\": invalid syntax", what, text);
	if (text[0] == '-' || parse_u64(digits, UINT32_MAX, &v) < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid resize %s \"%s\": value out of range", what, text);
	*out = v > TERMINAL_MAX ? TERMINAL_MAX : (unsigned)v;
	return 0;
}

int resize_param(const struct req *r, unsigned *rows, unsigned *cols, struct err *err)
{
	int rc = parse(r, "h", "height", rows, err);

	return rc < 0 ? rc : parse(r, "w", "width", cols, err);
}
