/* SPDX-License-Identifier: MPL-2.0
 *
 * unpack_server.c - our side of the unpacking server.
 */
#include "apiserver/unpack_server.h"

#include "apiserver/child_server.h"
#include "apiserver/tar_unpack.h"

int unpack_server_ask(const struct unpack_request *rq, const int *fds, size_t n_fds,
		      struct err *err)
{
	static struct child_server server = CHILD_SERVER(UNPACK_OPTION, "unpacking server");

	return child_server_send(&server, rq, sizeof(*rq), fds, n_fds, err);
}
