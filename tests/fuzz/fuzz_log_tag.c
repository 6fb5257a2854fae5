/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* Log tags: what the check refuses is not expanded, and nothing expands without end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/log_tag.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static json_t *config;
	struct ct_spec s = { .created_ns = 1767225600000000000 };
	cleanup_free char *text = NULL;
	cleanup_buf struct buf b = BUF_INIT;
	struct err err = { 0 }, at_start = { 0 };
	int rc;

	if (size > 10000)
		return 0;
	if (!config)
		config = json_pack("{s:{s:s,s:s},s:[s,s]}", "Labels", "a", "\xc3\xbc-b", "com.a",
				   "2", "Env", "A=1", "B=2");
	text = xstrndup((const char *)data, size);
	str_copy(s.id, sizeof(s.id),
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	s.name = (char[]){ "web" };
	s.image_ref = (char[]){ "img:1" };
	s.config = config;
	rc = log_tag_expand(text, NULL, NULL, NULL, &b, &err);
	if (b.len || (rc < 0 && !err.msg[0]))
		abort();
	if (log_tag_expand(text, &s, "sh -c x", NULL, &b, &at_start) == 0 && rc < 0)
		abort();
	if (b.len > 300000)
		abort();
	return 0;
}
