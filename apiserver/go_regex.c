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

int go_regex_compile(const char *expr, struct go_regex **out, struct err *err)
{
	struct go_regex *re;
	PCRE2_UCHAR why[120];
	PCRE2_SIZE at = 0;
	pcre2_code *code;
	int rc = 0;

	if (strlen(expr) > EXPR_MAX)
		return err_kind(err, ERR_BAD_PARAM, "error parsing regexp: expression too large");
	code = pcre2_compile((PCRE2_SPTR)expr, PCRE2_ZERO_TERMINATED, PCRE2_NO_AUTO_CAPTURE, &rc,
			     &at, NULL);
	if (!code) {
		if (pcre2_get_error_message(rc, why, sizeof(why)) < 0)
			why[0] = '\0';
		return err_kind(err, ERR_BAD_PARAM, "error parsing regexp: %s: `%s`",
				(const char *)why, expr);
	}
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
