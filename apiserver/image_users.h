/* SPDX-License-Identifier: MPL-2.0
 *
 * image_users.h - which images have containers right now, for jobs: what they were told when they were made may have
 * changed since. Any thread.
 *
 * A container that is being made holds its image (image_ref) until it is counted here, so that there is no moment at
 * which neither tells.
 */
#ifndef APISERVER_IMAGE_USERS_H
#define APISERVER_IMAGE_USERS_H

#include <stdbool.h>

void image_user_add(const char *image_id);
void image_user_del(const char *image_id);
bool image_has_users(const char *image_id);

#endif
