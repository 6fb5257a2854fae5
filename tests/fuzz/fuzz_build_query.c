/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_build_query.c - the query of POST /build: what is taken is whole, what is not says why; and
 * which contexts are git's.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/build_priv.h"
#include "apiserver/client.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct build *b)
{
	cleanup_json json_t *hc = NULL;
	struct err err = { 0 };

	assert(b->o.tags && b->o.labels && b->o.dockerfile && b->o.host_config);
	assert(jparse(b->o.host_config, strlen(b->o.host_config), &hc, &err) == 0 && json_is_object(hc));
	assert(b->o.rm || !b->o.force_rm);
	assert(!b->o.cache_from || b->o.cache_from[0]);
	for (char **l = b->o.labels; *l; l++)
		assert(strchr(*l, '='));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client *c = xcalloc(1, sizeof(*c));
	struct req *r = xcalloc(1, sizeof(*r));
	struct build *b = xcalloc(1, sizeof(*b));
	cleanup_free char *text = xstrndup((const char *)data, size);
	struct err err = { 0 };

	(void)build_is_git(text);
	buf_printf(&c->parse.head.text, "/build?%s", text);
	r->client = c;
	r->version = 151;
	if (build_params(r, b, &err) == 0)
		look_at(b);
	else
		assert(err.kind == ERR_BAD_PARAM && err.msg[0]);
	build_free(b);
	buf_fini(&c->parse.head.text);
	buf_fini(&r->qtext);
	free(r);
	free(c);
	return 0;
}
