/* SPDX-License-Identifier: MPL-2.0
 *
 * push_upload.h - the bytes of one blob into a repository. Worker.
 */
#ifndef APISERVER_PUSH_UPLOAD_H
#define APISERVER_PUSH_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "apiserver/push_layer.h"
#include "err.h"

/* 1: the repository has it, 0: it has not. */
int push_blob_there(const struct push_to *to, const char *digest, struct err *err);
/* *location: where to upload, owned; or NULL when the blob was mounted from the repository from (NULL: only begun). */
int push_begin(const struct push_to *to, const char *digest, const char *from, char **location, struct err *err);

struct push_upload {
	const struct push_to *to;
	const char *id; /* of the progress lines; NULL: none */
	const char *digest;
	const char *p; /* the bytes, or: */
	int fd;
	size_t len;
};
/* location: of an upload begun already, or NULL. Takes it. What breaks off is tried again. */
int push_upload(struct push_upload *u, char *location, struct err *err);

/* The bytes that an upload has by the word of its status, from the value of Range ("0-1023"). 0: none, or it can't be told. Pure. */
int64_t push_range_done(const char *range);

#endif
