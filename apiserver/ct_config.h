/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_config.h - the body of POST /containers/create: checked, completed, canonical. Pure but for host facts in engine.h.
 */
#ifndef APISERVER_CT_CONFIG_H
#define APISERVER_CT_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"
#include "network.h"

struct create_request {
	json_t *config;	     /* canonical Config, all fields */
	json_t *host_config; /* canonical HostConfig, all fields */
	json_t *networking;  /* EndpointsConfig object or NULL */
	struct endpoint *endpoints; /* from NetworkMode and EndpointsConfig */
	size_t n_endpoints;
	char *platform;
	bool ro_non_recursive; /* what read-only binds were before API 1.44 */
	char **warnings;
};
void create_request_fini(struct create_request *cr);
/* Checks everything that needs no image: types (Docker's "json: cannot unmarshal ..." / "invalid JSON: ..."), ranges, enumerations, conflicts,
 * log driver and options (logging contract 2, 7), with Docker's status and words. */
int create_request_parse(const char *body, size_t len, int api_version, struct create_request *out, struct err *err);
/* Merges the image's config (Env, Cmd, Entrypoint, WorkingDir, User, Volumes, ExposedPorts, Labels, StopSignal, Healthcheck, Shell, OnBuild) into
 * config as Docker does; "no command specified" is 400. */
int create_request_merge_image(struct create_request *cr, const char *image_config_text, struct err *err);
/* Loop. Puts full ids for container:NAME in the modes (network, PID, IPC), as Docker keeps them, so that a later rename does no harm; a
 * container of PidMode, IpcMode, VolumesFrom or Links that is not there: Docker's error. */
int create_request_resolve(struct create_request *cr, struct err *err);
/* What Docker only says at start: device requests (gpus) that no driver takes. */
int config_check_start(const json_t *host_config, struct err *err);
/* The engine's own settings that containers get by default: log driver and options, runtime, shm size. At start. */
int config_check_engine(struct err *err);
/* POST /containers/X/update's body merged into host_config: changed keys only; memory/swap rules checked. */
int update_request_apply(const char *body, size_t len, int api_version, json_t *host_config, char ***warnings, struct err *err);
/* Path and Args as inspect shows them: entrypoint + cmd. */
void config_command(const json_t *config, char ***argv); /* owned vector */

/* ports wanted, from HostConfig.PortBindings, ExposedPorts and PublishAllPorts */
int config_port_bindings(const json_t *config, const json_t *host_config, struct port_binding **out, size_t *n, struct err *err);

#endif
