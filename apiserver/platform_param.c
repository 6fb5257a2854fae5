/* SPDX-License-Identifier: MPL-2.0
 *
 * platform_param.c - see platform_param.h.
 */
#include "apiserver/platform_param.h"

#include "cleanup.h"
#include "str.h"

int platform_param(const struct req *r, const char *name, int since, struct wanted_platform *out, struct err *err)
{
	cleanup_strv char **v = req_query_all(r, name);
	int rc;

	*out = (struct wanted_platform){ 0 };
	if (req_version(r) < since || !v[0] || (!*v[0] && !v[1]))
		return 0;
	if (v[1])
		return err_kind(err, ERR_BAD_PARAM, "multiple platform parameters not supported");
	if ((rc = platform_parse_json(v[0], &out->p, err)) == 0)
		out->given = true;
	return rc;
}
