/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_client.h - the guest's side of the metadata socket.
 */
#ifndef DOCKERINIT_MDATA_CLIENT_H
#define DOCKERINIT_MDATA_CLIENT_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

struct mdata_client {
	int fd; /* CLOEXEC; -1 when not connected */
	struct buf in;
	size_t pos; /* of what in has not been read yet */
};

int mdata_connect(struct mdata_client *c, const char *path, struct err *err);
void mdata_close(struct mdata_client *c);
int mdata_send(struct mdata_client *c, const char *text, size_t len, struct err *err);
/* The next line without its newline, valid until the next call. */
int mdata_line(struct mdata_client *c, char **line, size_t *len, struct err *err);
/* The answer to a V1 GET: 1 and the value (malloc()ed), 0 not found. */
int mdata_v1_answer(struct mdata_client *c, char **value, struct err *err);

enum mdata_status { MDATA_SUCCESS, MDATA_NOTFOUND, MDATA_FAILURE };

int mdata_negotiate(struct mdata_client *c, struct err *err);
/* One V2 exchange; *out (malloc()ed, NUL-terminated) is the answer's payload. */
int mdata_request(struct mdata_client *c, const char *word, const char *payload, size_t len,
		  enum mdata_status *status, char **out, size_t *out_len, struct err *err);

/* The programs mdata-get, mdata-put, mdata-list, mdata-delete; name tells which. Exit status. */
int mdata_cli_main(const char *name, int argc, char **argv);

#endif
