/* SPDX-License-Identifier: MPL-2.0
 *
 * link_env.h - the environment that --link gives on the default bridge: DB_PORT=tcp://... and so
 * on.
 */
#ifndef APISERVER_LINK_ENV_H
#define APISERVER_LINK_ENV_H

#include <jansson.h>

/* Appends the variables of one link. name: "/web/alias"; ports: "80/tcp" members of ExposedPorts;
 * env: K=V strings. Pure. */
void link_env_add(char ***out, const char *name, const char *ip, const json_t *ports,
		  const json_t *env);

#endif
