/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_gelf.h - GELF 1.1 messages and UDP chunks. One thread: it keeps its compressors.
 */
#ifndef LOGSVC_SINK_GELF_H
#define LOGSVC_SINK_GELF_H

#include "buf.h"
#include "sink_msg.h"

enum gelf_compression { GELF_GZIP, GELF_ZLIB, GELF_NONE };

#define GELF_CHUNK_PAYLOAD 1408
#define GELF_PLAIN_MAX	   1420
#define GELF_CHUNKS_MAX	   128

struct gelf_enc {
	struct buf head; /* {"version":"1.1","host":"h","short_message": */
	struct buf tail[2]; /* by stream: the constant fields, from ,"_command" on */
	int64_t stamp_ms;   /* what stamp says; lines come in runs of the same time */
	char stamp[64];	    /* ,"timestamp":1234567890.123 */
	size_t stamp_len;
};
void gelf_enc_init(struct gelf_enc *e, const struct sink_source *src);
void gelf_enc_fini(struct gelf_enc *e);
/* Appends the JSON text; nothing for an empty line. */
void gelf_encode(struct gelf_enc *e, const struct sink_msg *m, struct buf *out);

/* level -1..9. Compresses json into out (appended). 0 or -EINVAL. */
int gelf_compress(enum gelf_compression how, int level, const char *json, size_t len, struct buf *out);
/* Calls send for each datagram, in order: one plain, or chunks. -EMSGSIZE: more than 128 chunks. */
int gelf_datagrams(const char *p, size_t len, int (*send)(void *arg, const void *head, size_t head_len, const void *body, size_t body_len),
		   void *arg);

#endif
