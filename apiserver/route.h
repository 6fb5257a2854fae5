/* SPDX-License-Identifier: MPL-2.0
 *
 * route.h - the table of the API: method, path, handler. route.c holds it whole; each handler is
 * declared here, one line a handler, and lives in the api_*.c named beside it.
 */
#ifndef APISERVER_ROUTE_H
#define APISERVER_ROUTE_H

#include "request.h"

enum route_flags {
	BODY_STREAM = 1, /* the handler is called when the headers are there and takes the body stream */
	BODY_JSON = 2, /* a body must say that it is application/json */
	NAME_CAN_BE_EMPTY = 4, /* the pattern's variable */
};

typedef void route_handler(struct req *r);

/* api_system.c, api_auth.c, api_df.c */
route_handler handle_ping, handle_version, handle_info, handle_auth, handle_events, handle_system_df;
/* api_admin.c: the admin socket */
route_handler handle_service_list, handle_service_get, handle_service_put, handle_metrics;
/* api_containers.c */
route_handler handle_container_list, handle_container_create, handle_container_inspect, handle_container_start,
	handle_container_stop, handle_container_restart, handle_container_kill, handle_container_pause,
	handle_container_unpause, handle_container_rename, handle_container_update, handle_container_remove,
	handle_container_wait, handle_container_prune;
/* api_procs.c */
route_handler handle_container_top, handle_container_stats, handle_container_resize;
/* api_streams.c */
route_handler handle_container_logs, handle_container_attach, handle_container_attach_ws;
/* api_exec.c */
route_handler handle_exec_create, handle_exec_start, handle_exec_inspect, handle_exec_resize;
/* api_archive.c */
route_handler handle_archive_get, handle_archive_put, handle_archive_head, handle_container_changes,
	handle_container_export;
/* api_images.c */
route_handler handle_image_list, handle_image_create, handle_image_inspect, handle_image_history,
	handle_image_tag, handle_image_remove, handle_image_prune, handle_image_load, handle_image_save,
	handle_image_save_one, handle_image_push, handle_image_search, handle_commit, handle_distribution_inspect;
/* api_registry.c: POST /images/create with fromImage */
route_handler handle_image_pull;
/* api_build.c */
route_handler handle_build, handle_build_cancel, handle_build_prune, handle_buildkit;
/* api_networks.c, api_volumes.c */
route_handler handle_network_list, handle_network_inspect, handle_network_create, handle_network_remove,
	handle_network_connect, handle_network_disconnect, handle_network_prune;
route_handler handle_volume_list, handle_volume_create, handle_volume_inspect, handle_volume_remove,
	handle_volume_prune, handle_volume_update;
/* api_plugins.c */
route_handler handle_plugin_list, handle_plugin_install, handle_plugin_named;

#endif
