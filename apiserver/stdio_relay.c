/* SPDX-License-Identifier: MPL-2.0
 *
 * stdio_relay.c - our side of the stdio relay.
 */
#include "apiserver/stdio_relay.h"

#include <sys/socket.h>
#include <unistd.h>

#include "apiserver/child_server.h"
#include "cleanup.h"

static struct child_server server = CHILD_SERVER(RELAY_OPTION, "stdio relay");

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(take_fd(&fds[i]));
}

/* What lies unread in a unix socket that is closed is told to the other side as ECONNRESET (unix_release_sock in
 * net/unix/af_unix.c). The relay takes this byte out when a stream has come to its end; when it dies it is left. */
static int lay_token(int ours, struct err *err)
{
	return send(ours, "", 1, MSG_NOSIGNAL) == 1 ? 0 : err_sys(err, "socketpair");
}

int stdio_relay(const struct relay_stream *streams, size_t n, struct err *err)
{
	int theirs[2 * RELAY_STREAMS_MAX], ours[RELAY_STREAMS_MAX] = { -1, -1, -1 }, pair[2],
					   rc = 0;
	struct relay_request rq = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (*streams[i].fd < 0)
			continue;
		theirs[2 * rq.n] = take_fd(streams[i].fd);
		theirs[2 * rq.n + 1] = -1;
		rq.to_pipe[rq.n++] = streams[i].to_pipe;
		if (rc < 0)
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
			rc = err_sys(err, "socketpair");
			continue;
		}
		theirs[2 * rq.n - 1] = pair[1];
		ours[i] = pair[0];
		if (!streams[i].to_pipe)
			rc = lay_token(ours[i], err);
	}
	if (rc == 0 && rq.n > 0)
		rc = child_server_send(&server, &rq, sizeof(rq), theirs, 2 * rq.n, err);
	close_all(
		theirs,
		2 * rq.n); /* the relay has them: no end of a pipe is closed by this, which could wait */
	if (rc < 0)
		close_all(ours, RELAY_STREAMS_MAX);
	for (size_t i = 0; i < n; i++)
		*streams[i].fd = ours[i];
	return rc;
}
