/* SPDX-License-Identifier: MPL-2.0
 *
 * log_opts.h - HostConfig.LogConfig: the drivers, their options, and what a value must be (logging
 * contract 1.5, 2, 7). Any thread.
 */
#ifndef APISERVER_LOG_OPTS_H
#define APISERVER_LOG_OPTS_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

struct conf;

/* What local has where nothing is asked for, as Docker's; it compresses, too. */
#define LOG_LOCAL_SIZE	(20 * 1024 * 1024)
#define LOG_LOCAL_FILES 5

/* Completes log_config ({Type, Config}) with the engine's default driver and options, and checks
 * it; 400, Docker's words. */
int log_opts_complete(json_t *log_config, struct err *err);
/* The engine's own default driver and options; at start. */
int log_opts_check_defaults(struct err *err);
/* The same as they would be with the settings of c, a change that is tried. */
int log_opts_check_defaults_of(const struct conf *c, struct err *err);
/* The check alone, for the engine's own configuration and for starts. */
int log_opts_check(const char *driver, const json_t *opts, struct err *err);
/* The user wants starts to wait for the sink: fluentd-async=false, given explicitly. */
bool log_opts_want_sink(const json_t *log_config);
/* NULL-terminated, for /info's Plugins.Log. */
const char *const *log_driver_names(void);

#endif
