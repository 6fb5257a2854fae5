/* SPDX-License-Identifier: MPL-2.0
 *
 * image_time.c - times of images.
 */
#include "apiserver/image_time.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"

int image_time_parse(const char *s, int64_t *out_ns, struct err *err)
{
	static const char *const tails[] = { "", "Z", ":00Z", ":00:00Z", "T00:00:00Z" };
	int64_t ns;

	if (parse_duration_ns(s, &ns) == 0) {
		*out_ns = now_ns() - ns;
		return 0;
	}
	if (parse_unix_time_ns(s, out_ns) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		cleanup_free char *t = xasprintf("%s%s", s, tails[i]);

		if (parse_rfc3339_ns(t, strlen(t), out_ns) == 0)
			return 0;
	}
	return err_kind(err, ERR_BAD_PARAM, "failed to parse value as time or duration: \"%s\"", s);
}

int64_t image_time_unix(int64_t ns)
{
	if (!ns)
		return -62135596800LL;
	return ns >= 0 ? ns / 1000000000 : -((-ns + 999999999) / 1000000000);
}

void image_time_text(int64_t ns, char out[RFC3339NANO_MAX])
{
	if (!ns)
		str_copy(out, RFC3339NANO_MAX, "0001-01-01T00:00:00Z");
	else
		fmt_rfc3339nano(out, ns);
}
