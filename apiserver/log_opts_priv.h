/* SPDX-License-Identifier: MPL-2.0
 *
 * log_opts_priv.h - what log_opts.c and log_opts_net.c share.
 */
#ifndef APISERVER_LOG_OPTS_PRIV_H
#define APISERVER_LOG_OPTS_PRIV_H

#include "apiserver/log_opts.h"

struct log_option {
	const char *name;
	int (*check)(const char *name, const char *value, struct err *err); /* NULL: any value */
};

struct log_driver {
	const char *name;
	const char *unknown; /* printf of the text for an option it does not have */
	const struct log_option *options;
	int (*check)(const json_t *opts, struct err *err); /* across options; NULL: nothing */
};

/* Values. */
int log_check_bool(const char *name, const char *value, struct err *err);
int log_check_regex(const char *name, const char *value, struct err *err);
int log_check_tag(const char *name, const char *value, struct err *err);

/* What drivers put beside each line: rows of an option table. */
#define LOG_ATTR_OPTIONS                      \
	{ "tag", log_check_tag },             \
	{ "labels", NULL },                   \
	{ "labels-regex", log_check_regex },  \
	{ "env", NULL },                      \
	{ "env-regex", log_check_regex }

const char *log_setting(const char *key); /* of the engine; without one the table's default */

/* The drivers that forward. */
extern const struct log_option log_syslog_options[], log_fluentd_options[], log_gelf_options[], log_otlp_options[];
int log_check_syslog(const json_t *opts, struct err *err);
int log_check_fluentd(const json_t *opts, struct err *err);
int log_check_gelf(const json_t *opts, struct err *err);
int log_check_otlp(const json_t *opts, struct err *err);

#endif
