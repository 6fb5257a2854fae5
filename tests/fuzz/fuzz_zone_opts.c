/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * fuzz_zone_opts.c - the texts by which users say how a zone is to be: log tags, binds, mounts, tmpfs
 * options, seccomp profiles, ps output. The first byte picks one.
 */
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/caps.h"
#include "apiserver/log_tag.h"
#include "apiserver/mount_parse.h"
#include "apiserver/seccomp_rules.h"
#include "apiserver/tmpfs_opts.h"
#include "apiserver/top.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void profile(const json_t *o)
{
	scmp_filter_ctx ctx = NULL;
	struct err err = { 0 };

	(void)seccomp_rules_load(o, CAPS_DEFAULT, &ctx, &err);
	if (ctx)
		seccomp_release(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int pids[] = { 1, 2 };
	cleanup_free char *text = NULL;
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct ct_mount m = { 0 };
	struct err err = { 0 };
	char **v = NULL;

	if (size < 1 || size > 65536)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	switch (data[0] % 6) {
	case 0:
		(void)log_tag_expand(text, NULL, "cmd", NULL, &b, &err);
		break;
	case 1:
		(void)mount_parse_bind(text, &m, &err);
		break;
	case 2:
		if (tmpfs_opts_merge(text, &v, &err) == 0)
			strv_free(v);
		break;
	case 3:
		(void)top_check_args(text, &err);
		(void)top_parse(text, pids, 2, &b, &err);
		break;
	case 4:
		if (jparse(text, strlen(text), &o, &err) == 0)
			(void)mount_parse_api(o, &m, &err);
		break;
	default:
		if (jparse(text, strlen(text), &o, &err) == 0)
			profile(o);
		break;
	}
	ct_mount_clear(&m);
	return 0;
}
