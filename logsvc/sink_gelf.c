/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_gelf.c - the wire format of the gelf driver (GELF 1.1).
 *
 *	{"version":"1.1","host":H,"short_message":LINE,"timestamp":SECONDS.ms,"level":6|3,"_command":...,"_container_id":..., "_container_name",
 *	 "_created","_image_id","_image_name","_stream","_tag", and the user's, "_" before their keys}
 *
 * Field names are [A-Za-z0-9_.-]; others become "_", "_id" is forbidden and becomes "_x_id", and the user's never replace ours. On UDP: one
 * datagram up to 1420 bytes, else chunks: 1e 0f, 8 bytes of message id, index, count, at most 1408 bytes. Some receivers key
 * reassembly on the first 6 id bytes with the top bit masked: ids differ there.
 */
#include "sink_gelf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "jw.h"
#include "str.h"

/* Field name of a user's key, in out. */
static void field_name(char out[256], const char *key)
{
	size_t n = 0;

	if (key[0] != '_')
		out[n++] = '_';
	for (; *key && n < 250; key++) {
		char c = *key;

		out[n++] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ? c : '_';
	}
	out[n] = '\0';
	if (!strcmp(out, "_id"))
		str_copy(out, 256, "_x_id");
}

static bool is_ours(const char *name)
{
	static const char *const ours[] = { "_command",	  "_container_id", "_container_name", "_created", "_image_id",
					    "_image_name", "_stream",	    "_tag",	       NULL };
	size_t i;

	for (i = 0; ours[i]; i++)
		if (!strcmp(name, ours[i]))
			return true;
	return false;
}

static void add_field(struct buf *b, const char *name, const char *value)
{
	buf_addch(b, ',');
	buf_json_str(b, name, strlen(name));
	buf_addch(b, ':');
	buf_json_str(b, value, strlen(value));
}

void gelf_enc_init(struct gelf_enc *e, const struct sink_source *src)
{
	char name[256], safe[260], created[RFC3339NANO_MAX];
	size_t k, i;

	memset(e, 0, sizeof(*e));
	e->stamp_ms = INT64_MIN;
	buf_addstr(&e->head, "{\"version\":\"1.1\",\"host\":");
	buf_json_str(&e->head, src->hostname, strlen(src->hostname));
	buf_addstr(&e->head, ",\"short_message\":");
	fmt_rfc3339nano(created, src->created_ns);
	for (k = 0; k < 2; k++) {
		struct buf *t = &e->tail[k];

		add_field(t, "_command", src->command);
		add_field(t, "_container_id", src->container_id);
		add_field(t, "_container_name", src->container_name);
		add_field(t, "_created", created);
		add_field(t, "_image_id", src->image_id);
		add_field(t, "_image_name", src->image_name);
		add_field(t, "_stream", k ? "stderr" : "stdout");
		add_field(t, "_tag", src->tag);
		for (i = 0; src->attrs && src->attrs[i] && src->attrs[i + 1]; i += 2) {
			field_name(name, src->attrs[i]);
			if (is_ours(name))
				snprintf(safe, sizeof(safe), "_x%s", name);
			else
				str_copy(safe, sizeof(safe), name);
			add_field(t, safe, src->attrs[i + 1]);
		}
	}
}

void gelf_enc_fini(struct gelf_enc *e)
{
	buf_fini(&e->head);
	buf_fini(&e->tail[0]);
	buf_fini(&e->tail[1]);
}

static void set_stamp(struct gelf_enc *e, int64_t time_ns)
{
	int n = snprintf(e->stamp, sizeof(e->stamp), ",\"timestamp\":%lld", (long long)(time_ns / 1000000000));
	int milli = (int)(time_ns % 1000000000 / 1000000);

	if (milli) {
		n += snprintf(e->stamp + n, sizeof(e->stamp) - (size_t)n, ".%03d", milli);
		while (e->stamp[n - 1] == '0')
			n--;
	}
	e->stamp_len = (size_t)n;
	e->stamp_ms = time_ns / 1000000;
}

void gelf_encode(struct gelf_enc *e, const struct sink_msg *m, struct buf *out)
{
	if (!m->len)
		return;
	if (m->time_ns / 1000000 != e->stamp_ms)
		set_stamp(e, m->time_ns);
	buf_add(out, e->head.p, e->head.len);
	buf_json_str(out, m->line, m->len);
	buf_add(out, e->stamp, e->stamp_len);
	buf_addstr(out, m->is_stderr ? ",\"level\":3" : ",\"level\":6");
	buf_add(out, e->tail[m->is_stderr].p, e->tail[m->is_stderr].len);
	if (m->partial)
		buf_printf(out, ",\"_partial_id\":\"%s\",\"_partial_last\":\"%s\",\"_partial_ordinal\":\"%u\"", m->partial_id,
			   m->partial_last ? "true" : "false", m->partial_ordinal);
	buf_addch(out, '}');
}

/* A stream that is reset costs less than one that is made: a short message pays mostly for the latter. */
static z_stream *stream_for(enum gelf_compression how, int level, bool is_short)
{
	static struct {
		z_stream z;
		bool made;
		enum gelf_compression how;
		int level;
	} streams[2];
	z_stream *z = &streams[is_short].z;

	if (streams[is_short].made && streams[is_short].how == how && streams[is_short].level == level)
		return deflateReset(z) == Z_OK ? z : NULL;
	if (streams[is_short].made)
		deflateEnd(z);
	memset(z, 0, sizeof(*z));
	streams[is_short].made = deflateInit2(z, level, Z_DEFLATED, how == GELF_GZIP ? 31 : 15, is_short ? 3 : 8,
					      Z_DEFAULT_STRATEGY) == Z_OK;
	streams[is_short].how = how;
	streams[is_short].level = level;
	return streams[is_short].made ? z : NULL;
}

int gelf_compress(enum gelf_compression how, int level, const char *json, size_t len, struct buf *out)
{
	size_t bound;
	z_stream *z;

	if (how == GELF_NONE) {
		buf_add(out, json, len);
		return 0;
	}
	if (!(z = stream_for(how, level, len < 2048)))
		return -EINVAL;
	bound = deflateBound(z, len);
	buf_reserve(out, bound);
	z->next_in = (unsigned char *)json;
	z->avail_in = (unsigned)len;
	z->next_out = (unsigned char *)out->p + out->len;
	z->avail_out = (unsigned)bound;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return -EINVAL;
	out->len += bound - z->avail_out;
	out->p[out->len] = '\0';
	return 0;
}

int gelf_datagrams(const char *p, size_t len, int (*send)(void *arg, const void *head, size_t head_len, const void *body, size_t body_len),
		   void *arg)
{
	static unsigned char last_id[6];
	unsigned char head[12] = { 0x1e, 0x0f };
	size_t count, i, n;
	int rc;

	if (len <= GELF_PLAIN_MAX)
		return send(arg, NULL, 0, p, len);
	count = (len + GELF_CHUNK_PAYLOAD - 1) / GELF_CHUNK_PAYLOAD;
	if (count > GELF_CHUNKS_MAX)
		return -EMSGSIZE;
	do {
		random_bytes(head + 2, 8);
		for (i = 0; i < 6 && (head[2 + i] & 0x7f) == last_id[i];)
			i++;
	} while (i == 6);
	for (i = 0; i < 6; i++)
		last_id[i] = head[2 + i] & 0x7f;
	head[11] = (unsigned char)count;
	for (i = 0; i < count; i++, p += n, len -= n) {
		n = len < GELF_CHUNK_PAYLOAD ? len : GELF_CHUNK_PAYLOAD;
		head[10] = (unsigned char)i;
		if ((rc = send(arg, head, sizeof(head), p, n)) < 0)
			return rc;
	}
	return 0;
}
