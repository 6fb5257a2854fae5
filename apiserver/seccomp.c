/* SPDX-License-Identifier: MPL-2.0 */
#include "seccomp.h"
int seccomp_filter_b64(const char *profile, uint64_t caps, struct buf *out, struct err *err)
{
	(void)profile, (void)caps, (void)out, (void)err;
	return 0;
}
