/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm.h - the parts of sdc-dockeradm, a program of one thread that ends.
 */
#ifndef LOGSVC_DOCKERADM_H
#define LOGSVC_DOCKERADM_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"
#include "logsvc.pb-c.h"
#include "paths.h"

/* dockeradm_http.c: one request to apiserver on a unix socket. The answer is *out (NULL: no JSON; owned); a
 * status of 400 and more is an error in the daemon's words. body NULL: none. */
int adm_http(const char *sock, const char *method, const char *target, const char *body,
	     json_t **out, struct err *err);
/* Appends s to a path, with all that is not plain as %XX; owned. */
char *adm_target(const char *prefix, const char *s, const char *suffix);

/* dockeradm_logs.c: logsvc. Each call is a connection. */
struct adm_usage {
	Logsvc__Reply **replies; /* holds what items point to */
	size_t n_replies;
	Logsvc__ZoneUsage **items;
	size_t n;
};
/* An answer in parts is collected when usage is not NULL. */
int adm_logsvc(const struct paths *p, Logsvc__Request *req, struct adm_usage *usage, struct err *err);
/* The same for an answer that takes its time. */
int adm_logsvc_within(const struct paths *p, Logsvc__Request *req, struct adm_usage *usage, int wait_ms, struct err *err);
void adm_usage_free(struct adm_usage *u);
int adm_usage_all(const struct paths *p, struct adm_usage *out, struct err *err);
json_t *adm_names(const struct paths *p); /* UUID -> name, of all containers; empty without apiserver; owned */

/* dockeradm_table.c: the table, or JSON; the program's status */
int adm_show(const struct paths *p, bool json, bool watch);
const char *adm_human(int64_t bytes, char out[24]); /* as Docker writes sizes: units of 1000 */

/* Commands: argv[0] is the command's name; the program's status. */
int adm_metadata(const struct paths *p, int argc, char **argv);
int adm_logs(const struct paths *p, int argc, char **argv);
/* dockeradm_keep.c: `logs` with a verb */
int adm_rotate(const struct paths *p, int argc, char **argv);
int adm_prune(const struct paths *p, int argc, char **argv);
int adm_archive(const struct paths *p, int argc, char **argv);
int adm_set(const struct paths *p, int argc, char **argv);
int adm_health(const struct paths *p, int argc, char **argv);

#define ADM_USAGE 2 /* status: the usage is to be shown */
int adm_fail(const struct err *err); /* tells it on stderr; 1 */

#endif
