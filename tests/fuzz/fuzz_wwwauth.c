/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_wwwauth.c - hostile WWW-Authenticate and X-Registry-Auth headers.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/registry_auth.h"
#include "cleanup.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size), *basic = NULL;
	struct challenge v[CHALLENGES_MAX], c;
	char *const headers[] = { text, NULL };
	struct reg_creds creds;
	size_t n = challenge_parse(text, v, CHALLENGES_MAX);

	assert(n <= CHALLENGES_MAX);
	for (size_t i = 0; i < n; i++) {
		assert(strlen(v[i].realm) < sizeof(v[i].realm));
		assert(strlen(v[i].scope) < sizeof(v[i].scope));
	}
	if (challenge_choose(headers, &c))
		assert(c.scheme != CHALLENGE_OTHER);
	reg_creds_parse(text, &creds);
	basic = reg_creds_basic(&creds);
	assert(!basic || str_starts(basic, "Basic "));
	reg_creds_fini(&creds);
	return 0;
}
