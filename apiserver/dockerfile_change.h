/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_change.h - Dockerfile instructions that change an image's config and nothing else:
 * what import and commit take as changes, and a build's metadata instructions. Pure; config is a
 * Docker Config object ("Env", "Cmd", ...), changed in place.
 */
#ifndef APISERVER_DOCKERFILE_CHANGE_H
#define APISERVER_DOCKERFILE_CHANGE_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"
#include "err.h"

struct dockerfile_change_state {
	bool cmd_set; /* a CMD came in this run: ENTRYPOINT does not clear it */
	char escape;  /* of the Dockerfile; 0: the backslash */
	/* Gets what history calls the instruction, after its name: " A=1 B=2". NULL: not wanted. */
	struct buf *note;
};

/* name: the instruction in lower case (cmd, entrypoint, env, expose, label, onbuild, stopsignal,
 * user, volume, workdir, healthcheck, shell, maintainer), rest: what follows it. vars: KEY=VALUE
 * besides the config's Env (build arguments), may be NULL. -ENOENT without a message: not an
 * instruction of this kind. Errors are BAD_PARAM in Docker's words. */
int dockerfile_change_one(json_t *config, const char *name, const char *rest, char *const *vars,
			  struct dockerfile_change_state *st, struct err *err);
struct df_instr;
/* HEALTHCHECK's parsed instruction as a Config's Healthcheck (owned); out NULL: only checked. */
int dockerfile_health(const struct df_instr *in, json_t **out, struct err *err);
/* The changes= parameters of import and commit. */
int dockerfile_changes_apply(json_t *config, char *const *changes, struct err *err);
/* A Config with every field at its zero value. Owned. */
json_t *dockerfile_empty_config(void);

#endif
