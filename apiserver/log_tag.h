/* SPDX-License-Identifier: MPL-2.0
 *
 * log_tag.h - log tags: templates over what is known of a container. Pure.
 */
#ifndef APISERVER_LOG_TAG_H
#define APISERVER_LOG_TAG_H

#include "buf.h"
#include "container.h"
#include "err.h"

/* Appends the template, expanded for a container; BAD_PARAM "template: log-tag:1: ...". spec NULL only checks it. attrs: what
 * labels and env select (ExtraAttributes); may be NULL. */
int log_tag_expand(const char *tmpl, const struct ct_spec *spec, const char *command, const json_t *attrs,
		   struct buf *out, struct err *err);

#endif
