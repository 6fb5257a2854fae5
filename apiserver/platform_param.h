/* SPDX-License-Identifier: MPL-2.0
 *
 * platform_param.h - the parameters "platform" and "platforms" of requests about images that are here. Loop thread.
 */
#ifndef APISERVER_PLATFORM_PARAM_H
#define APISERVER_PLATFORM_PARAM_H

#include <stdbool.h>

#include "apiserver/platform.h"
#include "apiserver/request.h"

struct wanted_platform {
	bool given;
	struct platform p;
};

/* since: the API version that brought the parameter (148); older requests don't have it. One value at most. */
int platform_param(const struct req *r, const char *name, int since, struct wanted_platform *out, struct err *err);

#endif
