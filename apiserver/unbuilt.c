/* SPDX-License-Identifier: MPL-2.0
 *
 * unbuilt.c - weak stand-ins for what has not been written yet: handlers answer 501, the rest does
 * nothing. A real definition anywhere else takes over; this file goes when nothing is left.
 */
#include <unistd.h>

#include "cgroup.h"
#include "client.h"
#include "engine.h"
#include "image_store.h"
#include "logclient.h"
#include "network.h"
#include "reply.h"
#include "route.h"
#include "system_facts.h"
#include "unbuilt.h"
#include "volume.h"

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
UNBUILT(handle_system_df)
UNBUILT(handle_container_list)
UNBUILT(handle_container_create)
UNBUILT(handle_container_inspect)
UNBUILT(handle_container_start)
UNBUILT(handle_container_stop)
UNBUILT(handle_container_restart)
UNBUILT(handle_container_kill)
UNBUILT(handle_container_pause)
UNBUILT(handle_container_unpause)
UNBUILT(handle_container_rename)
UNBUILT(handle_container_update)
UNBUILT(handle_container_remove)
UNBUILT(handle_container_wait)
UNBUILT(handle_container_prune)
UNBUILT(handle_container_top)
UNBUILT(handle_container_stats)
UNBUILT(handle_container_resize)
UNBUILT(handle_container_logs)
UNBUILT(handle_container_attach)
UNBUILT(handle_container_attach_ws)
UNBUILT(handle_exec_create)
UNBUILT(handle_exec_start)
UNBUILT(handle_exec_inspect)
UNBUILT(handle_exec_resize)
UNBUILT(handle_archive_get)
UNBUILT(handle_archive_put)
UNBUILT(handle_archive_head)
UNBUILT(handle_container_changes)
UNBUILT(handle_container_export)
UNBUILT(handle_image_list)
UNBUILT(handle_image_create)
UNBUILT(handle_image_inspect)
UNBUILT(handle_image_history)
UNBUILT(handle_image_tag)
UNBUILT(handle_image_remove)
UNBUILT(handle_image_prune)
UNBUILT(handle_image_load)
UNBUILT(handle_image_save)
UNBUILT(handle_image_save_one)
UNBUILT(handle_image_push)
UNBUILT(handle_image_search)
UNBUILT(handle_commit)
UNBUILT(handle_distribution_inspect)
UNBUILT(handle_build)
UNBUILT(handle_build_prune)
UNBUILT(handle_network_list)
UNBUILT(handle_network_inspect)
UNBUILT(handle_network_create)
UNBUILT(handle_network_remove)
UNBUILT(handle_network_connect)
UNBUILT(handle_network_disconnect)
UNBUILT(handle_network_prune)
UNBUILT(handle_volume_list)
UNBUILT(handle_volume_create)
UNBUILT(handle_volume_inspect)
UNBUILT(handle_volume_remove)
UNBUILT(handle_volume_prune)
UNBUILT(handle_volume_update)

#define WEAK_INIT(name)                                                                            \
	__attribute__((weak)) int name(struct err *err)                                            \
	{                                                                                          \
		(void)err;                                                                         \
		return 0;                                                                          \
	}

WEAK_INIT(image_store_init)
WEAK_INIT(volume_init)
WEAK_INIT(network_init)
WEAK_INIT(logclient_init)
WEAK_INIT(lifecycle_init)

__attribute__((weak)) void lifecycle_fini(void)
{
}
__attribute__((weak)) void logclient_fini(bool stop_daemon)
{
	(void)stop_daemon;
}
__attribute__((weak)) void network_fini(bool last)
{
	(void)last;
}
__attribute__((weak)) int cgroup_detect(void)
{
	return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? CGROUP_V2 : CGROUP_HYBRID;
}
__attribute__((weak)) int64_t image_store_count(void)
{
	return 0;
}
