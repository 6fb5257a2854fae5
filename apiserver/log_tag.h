/* SPDX-License-Identifier: MPL-2.0
 *
 * log_tag.h - log tags: the part of Go's text/template that people use in --log-opt tag. Pure.
 */
#ifndef APISERVER_LOG_TAG_H
#define APISERVER_LOG_TAG_H

#include "buf.h"
#include "container.h"
#include "err.h"

/* Appends the template, expanded for a container; BAD_PARAM "template: log-tag:1: ...". spec NULL
 * only checks. */
int log_tag_expand(const char *tmpl, const struct ct_spec *spec, const char *command,
		   struct buf *out, struct err *err);

#endif
