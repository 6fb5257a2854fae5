/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_check.h - the parts of the check of a create or update body, which ct_config.c puts in order.
 * config, host and networking are typed by ct_fields.h; what a check completes or discards, it
 * changes in place. Pure but for host facts (engine.h, /sys). Errors are 400 in Docker's words;
 * warnings are added to the vector.
 */
#ifndef APISERVER_CT_CHECK_H
#define APISERVER_CT_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "apiserver/network.h"
#include "err.h"

bool jhas(const json_t *o,
	  const char *key); /* a list or object with members, or a string that is not empty */

/* ct_config.c */
int config_check(json_t *config, struct err *err);
int config_check_health(const json_t *health, struct err *err);

/* ct_version.c: what older API versions did not have, or had otherwise */
int version_adapt(int api_version, json_t *config, json_t *host, json_t *networking,
		  char ***warnings, struct err *err);

/* ct_netmode.c */
int netmode_check(const json_t *config, const json_t *host, struct err *err);
bool netmode_is_container(const char *mode); /* container:<name|id> */
bool netmode_is_user_defined(const char *mode);
/* Whether a container of this mode can be in the network, too. alone: it is in none yet. */
int netmode_check_join(const char *mode, const char *network, bool alone, struct err *err);
/* Loop or worker. One object of EndpointsConfig, with the network's subnets where there is one of that name. */
int endpoint_check(const char *network, const json_t *ep, struct err *err);
int endpoints_check(const json_t *networking, struct err *err);
/* From EndpointsConfig, or the one network of NetworkMode. */
void endpoints_make(const json_t *config, const json_t *host, const json_t *networking,
		    struct endpoint **out, size_t *n);

/* ct_hostconfig.c */
int hostconfig_check(json_t *host, char ***warnings, struct err *err);
int restart_policy_check(const json_t *host, struct err *err);
void hostconfig_defaults(json_t *host);
int hostconfig_check_engine(struct err *err);

/* ct_resources.c */
int resources_check(json_t *host, bool update, char ***warnings, struct err *err);

/* ct_security.c: capabilities, security options, sysctls, devices */
int security_check(json_t *host, struct err *err);

/* ct_mountspec.c: Binds, Mounts, Tmpfs, VolumesFrom, Config.Volumes */
int mountspec_check(const json_t *config, const json_t *host, struct err *err);

/* ct_ports.c: PortBindings, ExposedPorts */
int ports_check(const json_t *config, const json_t *host, struct err *err);

#endif
