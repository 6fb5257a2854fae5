/* SPDX-License-Identifier: MPL-2.0
 *
 * env_merge.h - environments as configurations have them: arrays of "NAME=value". Pure.
 */
#ifndef APISERVER_ENV_MERGE_H
#define APISERVER_ENV_MERGE_H

#include <jansson.h>

/* Appends to `to`, an array, the entries of from (NULL: none) whose names it does not have. Time is linear: both may be
 * as long as whoever made the image likes. */
void env_merge(json_t *to, const json_t *from);

#endif
