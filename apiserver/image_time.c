/* SPDX-License-Identifier: MPL-2.0
 *
 * image_time.c - times of images.
 */
#include "apiserver/image_time.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"

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
