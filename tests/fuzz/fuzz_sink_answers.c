/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* What sinks say: fluentd's HELO, PONG and acks, OTLP's answers. The first byte picks one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logsvc/sink_fluentd.h"
#include "logsvc/sink_otlp.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void helo(const char *in, size_t len)
{
	static const char salt[16];
	struct buf ping = BUF_INIT;
	size_t nonce_len = 0;
	char nonce[64];

	if (fluentd_helo(in, len, nonce, &nonce_len) == 0) {
		if (nonce_len > sizeof(nonce))
			abort();
		fluentd_ping("host", "key", nonce, nonce_len, salt, &ping);
		if (!ping.len)
			abort();
	}
	buf_fini(&ping);
}

static void pong(const char *in, size_t len)
{
	struct err err = { 0 };
	int rc = fluentd_pong(in, len, &err);

	if (rc < 0 && rc != -EAGAIN && !err.msg[0])
		abort();
}

/* An answer that is not whole becomes whole or wrong: never is more taken than there is. */
static void ack(const char *in, size_t len)
{
	int rc = fluentd_ack(in, len, "cJeJagAAAABS/fwHIYJlTQ==");

	if (rc > (int)len)
		abort();
}

static void answer(const char *in, size_t len)
{
	char message[256];
	int64_t rejected = -1;

	if (otlp_response(in, len, &rejected, message) == 0 &&
	    !memchr(message, '\0', sizeof(message)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *in; /* of its exact size, so that a read behind it is seen */

	if (size < 1 || size > 100000)
		return 0;
	in = xmalloc(size);
	memcpy(in, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		helo(in, size - 1);
		break;
	case 1:
		pong(in, size - 1);
		break;
	case 2:
		ack(in, size - 1);
		break;
	default:
		answer(in, size - 1);
	}
	free(in);
	return 0;
}
