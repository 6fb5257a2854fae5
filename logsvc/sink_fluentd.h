/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_fluentd.h - Fluentd's Forward protocol v1: entries, PackedForward batches, acks, the shared-key handshake. Pure.
 */
#ifndef LOGSVC_SINK_FLUENTD_H
#define LOGSVC_SINK_FLUENTD_H

#include "buf.h"
#include "err.h"
#include "sink_msg.h"

struct fluentd_enc {
	bool sub_second;
	const char *tag;
	struct buf id_name; /* container_id and container_name with their values */
	struct buf attrs;   /* keys and values */
	unsigned n_attrs;
};
void fluentd_enc_init(struct fluentd_enc *e, bool sub_second, const struct sink_source *src);
void fluentd_enc_fini(struct fluentd_enc *e);
/* Appends one entry [time, record] (for PackedForward). Empty lines are sent, too. */
void fluentd_entry(struct fluentd_enc *e, const struct sink_msg *m, struct buf *entries);
/* PackedForward: [tag, bin entries, {"size": n, "chunk": chunk}]; chunk NULL: no ack asked for. */
void fluentd_pack(const struct fluentd_enc *e, const struct buf *entries, size_t n, const char *chunk, struct buf *out);
/* Takes an ack {"ack": chunk} from in: its length when chunk matches, 0 when it is not whole yet, -EINVAL for anything else. */
int fluentd_ack(const char *in, size_t len, const char *chunk);

/* HELO of a server with a shared key: 0 and nonce, auth salt; -EAGAIN not whole; -EINVAL. */
int fluentd_helo(const char *in, size_t len, char nonce[64], size_t *nonce_len);
/* PING with the digest of hostname, key and nonce (SHA-512). */
void fluentd_ping(const char *hostname, const char *shared_key, const char *nonce, size_t nonce_len, const char salt[16], struct buf *out);
/* PONG: 0 when the server lets us in, -EAGAIN not whole, -EACCES with its reason in err. */
int fluentd_pong(const char *in, size_t len, struct err *err);

#endif
