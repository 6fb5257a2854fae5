/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_text.h - JSON texts of a container that change rarely and are asked for often, made once.
 * Loop thread.
 *
 * Borrowed until container_save or container_text_drop.
 */
#ifndef APISERVER_CT_TEXT_H
#define APISERVER_CT_TEXT_H

#include "apiserver/container.h"

const char *container_config_text(const struct container *ct);
const char *container_host_config_text(const struct container *ct);

#endif
