/* SPDX-License-Identifier: MPL-2.0
 *
 * go_regex.c - user-given regular expressions on PCRE2.
 *
 * Failure: PCRE2 backtracks where RE2 does not; an expression that needs more than MATCH_LIMIT
 * steps does not match.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "apiserver/go_regex.h"

#include <pcre2.h>
#include <string.h>

#include "str.h"

#define EXPR_MAX    4096
#define MATCH_LIMIT 200000

struct go_regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
};

/* The first [ of expr that nothing closes; NULL: none. */
static const char *open_class(const char *expr)
{
	const char *p = expr, *q;

	for (; *p; p++) {
		if (*p == '\\' && p[1]) {
			p++;
			continue;
		}
		if (*p != '[')
			continue;
		q = p + 1 + (p[1] == '^');
		q += *q == ']'; /* a first one stands for itself */
		while (*q && *q != ']')
			q += *q == '\\' && q[1] ? 2 : 1;
		if (!*q)
			return p;
		p = q;
	}
	return NULL;
}

/* Says in Go's words what is wrong at offset at, as far as these cover it. */
static int bad_regex(int code, const char *expr, size_t at, struct err *err)
{
	const char *part = expr, *why;
	PCRE2_UCHAR theirs[120] = "";
	int len = (int)strlen(expr);

	switch (code) {
	case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
		why = "missing closing )";
		break;
	case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS:
		why = "unexpected )";
		break;
	case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
		why = "missing closing ]";
		part = open_class(expr);
		part = part ? part : expr;
		len = (int)strlen(part);
		break;
	case PCRE2_ERROR_END_BACKSLASH:
		why = "trailing backslash at end of expression";
		len = 0;
		break;
	case PCRE2_ERROR_QUANTIFIER_INVALID:
		why = "missing argument to repetition operator";
		part = expr + at; /* at stands before or behind the operator */
		if (!*part || !strchr("*+?{", *part))
			part -= at > 0;
		len = *part == '{' ? (int)strcspn(part, "}") + 1 : 1;
		break;
	default:
		if (pcre2_get_error_message(code, theirs, sizeof(theirs)) < 0)
			theirs[0] = '\0';
		why = (const char *)theirs;
	}
	return err_kind(err, ERR_BAD_PARAM, "error parsing regexp: %s: `%.*s`", why, len, part);
}

int go_regex_compile(const char *expr, struct go_regex **out, struct err *err)
{
	struct go_regex *re;
	PCRE2_SIZE at = 0;
	pcre2_code *code;
	int rc = 0;

	if (strlen(expr) > EXPR_MAX)
		return err_kind(err, ERR_BAD_PARAM, "error parsing regexp: expression too large");
	code = pcre2_compile((PCRE2_SPTR)expr, PCRE2_ZERO_TERMINATED,
			     PCRE2_NO_AUTO_CAPTURE | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &rc, &at, NULL);
	if (!code)
		return bad_regex(rc, expr, at, err);
	re = xcalloc(1, sizeof(*re));
	re->code = code;
	re->data = pcre2_match_data_create_from_pattern(code, NULL);
	re->context = pcre2_match_context_create(NULL);
	if (re->context)
		pcre2_set_match_limit(re->context, MATCH_LIMIT);
	*out = re;
	return 0;
}

bool go_regex_match(const struct go_regex *re, const char *text)
{
	return re->data && re->context &&
	       pcre2_match(re->code, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, re->data,
			   re->context) >= 0;
}

void go_regex_free(struct go_regex *re)
{
	if (!re)
		return;
	pcre2_match_context_free(re->context);
	pcre2_match_data_free(re->data);
	pcre2_code_free(re->code);
	free(re);
}
