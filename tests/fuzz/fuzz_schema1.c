/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_schema1.c - hostile manifests of schema 1: what is taken has digests that may be used in URLs,
 * a history for each layer, and makes a configuration.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/image_ref.h"
#include "apiserver/image_v1.h"
#include "apiserver/schema1.h"
#include "cleanup.h"
#include "jget.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf payload = BUF_INIT;
	cleanup_json json_t *none = json_array();
	cleanup_free char *config = NULL;
	struct schema1 m;
	struct err err = { 0 };

	(void)schema1_payload((const char *)data, size, &payload);
	if (schema1_parse((const char *)data, size, "x", &m, &err) < 0) {
		assert(err.msg[0] && err.code < 0);
		return 0;
	}
	assert(m.n > 0 && json_array_size(m.history) == m.n);
	for (size_t i = 0; i < m.n; i++)
		assert(image_id_valid(m.v[i].digest));
	config = image_v1_config(m.top, none, m.history);
	schema1_fini(&m);
	return 0;
}
