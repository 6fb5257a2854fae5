/* SPDX-License-Identifier: MPL-2.0
 *
 * build_args.h - the arguments of a build: what the client gave, what the Dockerfile's ARGs allow,
 * and which of them were asked for. One thread.
 */
#ifndef APISERVER_BUILD_ARGS_H
#define APISERVER_BUILD_ARGS_H

#include <stdbool.h>

struct build_args {
	/* each a vector of NAME=VALUE, or NAME alone: no value */
	char **given;	   /* by the client */
	char **meta;	   /* ARGs before the first FROM */
	char **allowed;	   /* ARGs of this stage */
	char **referenced; /* names */
};

void build_args_init(struct build_args *a);
void build_args_fini(struct build_args *a);
/* spec: NAME or NAME=VALUE, expanded. meta: it stands before the first FROM. */
void build_args_declare(struct build_args *a, const char *spec, bool meta);
void build_args_next_stage(struct build_args *a);
/* NAME=VALUE of those that have one, sorted. Owned vectors. */
char **build_args_meta(const struct build_args *a); /* for FROM */
char **
build_args_allowed(const struct build_args *a); /* with the predefined ones (HTTP_PROXY...) */
/* A predefined one that no ARG names: it is in RUN's environment, but not in history and cache. */
bool build_args_hidden(const struct build_args *a, const char *name_value);
char **build_args_unused(const struct build_args *a); /* names, sorted */

#endif
