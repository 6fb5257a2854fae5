/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Any packet on logsvc's sockets, through a real one: frame_recv and the decoders of both protocols. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "logsvc.pb-c.h"
#include "zone.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int sock[2] = { -1, -1 };
	struct frame f = FRAME_INIT;
	Logsvc__Request *req;
	Logsvc__Reply *reply;
	Zone__Message *m;
	Zone__Request *zr;

	if (sock[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sock) < 0)
		abort();
	if (!size || size > FRAME_MAX || send(sock[0], data, size, 0) != (ssize_t)size)
		return 0;
	if (frame_recv(sock[1], &f, 0) != 1 || f.data.len != size)
		abort();
	if ((req = logsvc__request__unpack(NULL, f.data.len, (uint8_t *)f.data.p)))
		logsvc__request__free_unpacked(req, NULL);
	if ((reply = logsvc__reply__unpack(NULL, f.data.len, (uint8_t *)f.data.p)))
		logsvc__reply__free_unpacked(reply, NULL);
	if ((m = zone__message__unpack(NULL, f.data.len, (uint8_t *)f.data.p)))
		zone__message__free_unpacked(m, NULL);
	if ((zr = zone__request__unpack(NULL, f.data.len, (uint8_t *)f.data.p)))
		zone__request__free_unpacked(zr, NULL);
	frame_fini(&f);
	return 0;
}
