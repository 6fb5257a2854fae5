/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_manifest.c - hostile manifests: what is taken has digests and sizes that may be used in URLs
 * and as limits, and a pick of an index is one of its entries.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/image_ref.h"
#include "apiserver/manifest.h"
#include "cleanup.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
		const struct descriptor *d;
	struct platform want;
	struct manifest m;
	struct err err = { 0 };

	if (manifest_parse((const char *)data, size, NULL, &m, &err) < 0) {
		assert(err.msg[0] && err.code < 0);
		return 0;
	}
	for (size_t i = 0; i < m.n; i++)
		assert(image_id_valid(m.v[i].digest) && m.v[i].size > 0);
	assert(m.is_index || (image_id_valid(m.config.digest) && m.config.size > 0));
	platform_set(&want, m.n ? m.v[0].os : "", m.n ? m.v[0].architecture : "", m.n ? m.v[0].variant : "");
	d = manifest_pick(&m, m.n & 1 ? &want : NULL);
	assert(!d || (d >= m.v && d < m.v + m.n));
	manifest_fini(&m);
	return 0;
}
