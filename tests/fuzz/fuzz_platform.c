/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_platform.c - hostile platforms, as text and as JSON: what is taken is printable as one word that is read back
 * as the same, and fits itself.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/platform.h"
#include "cleanup.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct platform *p)
{
	cleanup_free char *text = platform_text(p);
	struct platform q;
	struct err err = { 0 };

	assert(platform_fit(p, p) > 0);
	if (platform_parse(text, &q, &err) == 0)
		assert(platform_fit(p, &q) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size);
	char *rest = strchr(text, '\n');
	struct platform p, q;
	struct err err = { 0 };

	if (rest)
		*rest++ = '\0';
	if (platform_parse_json(text, &p, &err) == 0)
		again(&p);
	if (platform_parse(text, &p, &err) < 0) {
		assert(err.msg[0] && err.code < 0);
		return 0;
	}
	again(&p);
	if (rest && platform_parse(rest, &q, &err) == 0)
		(void)platform_fit(&p, &q);
	return 0;
}
