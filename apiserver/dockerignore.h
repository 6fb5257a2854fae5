/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerignore.h - what a .dockerignore leaves out of a build's context, as Docker's client has it. Pure, any thread.
 */
#ifndef APISERVER_DOCKERIGNORE_H
#define APISERVER_DOCKERIGNORE_H

#include <stdbool.h>

struct dockerignore;

/* Owned. NULL: one of its patterns is none (Docker's client refuses such a file); then nothing is left out. */
struct dockerignore *dockerignore_parse(const char *text);
void dockerignore_free(struct dockerignore *d); /* NULL is fine */
/* path: without a slash at its start. True where the last rule about it, or about a folder that it is in, leaves it out. */
bool dockerignore_excludes(const struct dockerignore *d, const char *path);
bool dockerignore_is_empty(const struct dockerignore *d);
bool dockerignore_has_exceptions(const struct dockerignore *d); /* rules that begin with "!" */

#endif
