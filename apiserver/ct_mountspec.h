/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_mountspec.h - VolumesFrom's texts. Pure, any thread.
 */
#ifndef APISERVER_CT_MOUNTSPEC_H
#define APISERVER_CT_MOUNTSPEC_H

#include <stdbool.h>

#include "err.h"

/* "container[:mode]"; container is owned. 400, Docker's words. */
int volumes_from_parse(const char *raw, char **container, bool *rw, struct err *err);

#endif
