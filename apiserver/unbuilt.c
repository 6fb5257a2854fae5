/* SPDX-License-Identifier: MPL-2.0
 *
 * unbuilt.c - weak stand-ins for what has not been written yet: handlers answer 501, the rest does
 * nothing. A real definition anywhere else takes over; this file goes when nothing is left.
 */
#include "client.h"
#include "reply.h"
#include "route.h"

static void not_built(struct req *r)
{
	reply_error_status(req_id(r), 501, route_pattern(r->route));
}

#define UNBUILT(name)                                                                              \
	__attribute__((weak)) void name(struct req *r)                                             \
	{                                                                                          \
		not_built(r);                                                                      \
	}

UNBUILT(handle_auth)
UNBUILT(handle_archive_get)
UNBUILT(handle_archive_put)
UNBUILT(handle_archive_head)
UNBUILT(handle_container_changes)
UNBUILT(handle_container_export)
UNBUILT(handle_image_remove)
UNBUILT(handle_image_prune)
UNBUILT(handle_image_load)
UNBUILT(handle_image_save)
UNBUILT(handle_image_save_one)
UNBUILT(handle_commit)
UNBUILT(handle_network_connect)
UNBUILT(handle_network_disconnect)
