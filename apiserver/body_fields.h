/* SPDX-License-Identifier: MPL-2.0
 *
 * body_fields.h - the bodies of requests about networks, volumes and execs, as tables for
 * go_json.h, and how a body is read: those of containers are in ct_fields.h. Pure, any thread.
 */
#ifndef APISERVER_BODY_FIELDS_H
#define APISERVER_BODY_FIELDS_H

#include "apiserver/go_json.h"
#include "buf.h"

extern const struct go_struct body_network_create;     /* network.CreateRequest */
extern const struct go_struct body_network_connect;    /* network.ConnectOptions */
extern const struct go_struct body_network_disconnect; /* network.DisconnectOptions */
extern const struct go_struct body_volume_create;      /* volume.CreateOptions */
extern const struct go_struct body_exec_create;	       /* container.ExecOptions */
extern const struct go_struct body_exec_start;	       /* container.ExecStartOptions */
extern const struct go_struct body_auth;	       /* registry.AuthConfig */

/* The body as s has it, owned: every field of s is there, names in s's case. No body at all is the
 * zero value, as with Docker. 400 with Go's words. */
int body_decode(const struct go_struct *s, const struct buf *body, json_t **out, struct err *err);

#endif
