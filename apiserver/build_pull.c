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
	struct registry_pull p = { .events = &b->events };
	struct platform want;
	struct reg_creds creds = { 0 };
	struct transfer t;
	int rc;

	if ((rc = image_ref_parse(name, &p.ref, err)) < 0 ||
	    (rc = image_ref_check_pull(&p.ref, err)) < 0)
		return rc;
	image_ref_default_tag(&p.ref);
	if (!str_empty(platform)) {
		if ((rc = platform_parse(platform, &want, err)) < 0)
			return rc;
		p.platform = &want;
	}
	reg_creds_for(b->o.registry_config, p.ref.domain, &creds);
	p.creds = &creds;
	transfer_init(&t, &b->job, b->o.quiet ? NULL : b->progress);
	rc = registry_pull(&p, &t, err);
	transfer_fini(&t);
	reg_creds_fini(&creds);
	return rc;
}
