/* SPDX-License-Identifier: MPL-2.0
 *
 * api_plugins.c - /plugins: there are none, and none can be installed.
 */
#include <jansson.h>

#include "cleanup.h"
#include "ct_json.h"
#include "jget.h"
#include "reply.h"
#include "request.h"
#include "route.h"

void handle_plugin_list(struct req *r)
{
	static const char *const allowed[] = { "capability", "enabled", NULL };
	cleanup_json json_t *filters = NULL;
	struct buf b = BUF_INIT;
	struct err err = { 0 };

	if (filters_parse(req_query(r, "filters"), allowed, &filters, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	buf_addstr(&b, "[]");
	reply_json(req_id(r), 200, &b);
}

void handle_plugin_install(struct req *r)
{
	reply_error_status(req_id(r), 501, "plugins are not supported by this engine");
}

void handle_plugin_named(struct req *r)
{
	struct err err = { 0 };

	err_kind(&err, ERR_NOT_FOUND, "plugin \"%s\" not found", req_var(r, "name"));
	reply_error(req_id(r), &err);
}
