/* SPDX-License-Identifier: MPL-2.0
 *
 * build_pull.c - FROM and COPY --from of an image that is not here.
 */
#include "apiserver/build_priv.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/image_ref.h"
#include "apiserver/registry_auth.h"
#include "apiserver/registry_pull.h"
#include "apiserver/transfer.h"
#include "cleanup.h"
#include "str.h"

int build_pull(struct build *b, const char *name, const char *platform, struct err *err)
{
	struct registry_pull p = { .platform = str_empty(platform) ? NULL : platform, .events = &b->events };
	struct reg_creds creds = { 0 };
	struct transfer t;
	int rc;

	if ((rc = image_ref_parse(name, &p.ref, err)) < 0)
		return rc;
	image_ref_default_tag(&p.ref);
	reg_creds_for(b->o.registry_config, p.ref.domain, &creds);
	p.creds = &creds;
	transfer_init(&t, &b->job, b->o.quiet ? NULL : b->progress);
	rc = registry_pull(&p, &t, err);
	transfer_fini(&t);
	reg_creds_fini(&creds);
	return rc;
}
