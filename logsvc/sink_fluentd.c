/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_fluentd.c - the wire format of the fluentd driver (Forward protocol v1).
 *
 *	entry		[time, {"container_id", "container_name": "/web", "source": "stdout", "log": line, attrs..., partial_*}]
 *	PackedForward	[tag, bin(entries), {"size": n, "chunk": base64}]
 *	ack		{"ack": chunk}
 *	time		integer seconds, or EventTime: ext type 0, seconds and nanoseconds as 32 bits, big endian
 *
 * The user's attributes never replace our keys: one that would gets "x_" before it.
 */
#include "sink_fluentd.h"

#include <msgpack.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

static int write_buf(void *arg, const char *p, size_t len)
{
	buf_add(arg, p, len);
	return 0;
}

static void put_str(msgpack_packer *pk, const char *s, size_t len)
{
	msgpack_pack_str(pk, len);
	msgpack_pack_str_body(pk, s, len);
}

static void put_cstr(msgpack_packer *pk, const char *s)
{
	put_str(pk, s, strlen(s));
}

static bool is_ours(const char *key)
{
	static const char *const ours[] = { "container_id",  "container_name",	"source",	     "log",
					    "partial_message", "partial_id",	"partial_ordinal", "partial_last" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ours); i++)
		if (!strcmp(key, ours[i]))
			return true;
	return false;
}

void fluentd_enc_init(struct fluentd_enc *e, bool sub_second, const struct sink_source *src)
{
	cleanup_free char *name = xasprintf("/%s", src->container_name);
	msgpack_packer pk;
	size_t i;

	memset(e, 0, sizeof(*e));
	e->sub_second = sub_second;
	e->tag = src->tag;
	msgpack_packer_init(&pk, &e->id_name, write_buf);
	put_cstr(&pk, "container_id");
	put_cstr(&pk, src->container_id);
	put_cstr(&pk, "container_name");
	put_cstr(&pk, name);
	msgpack_packer_init(&pk, &e->attrs, write_buf);
	for (i = 0; src->attrs && src->attrs[i] && src->attrs[i + 1]; i += 2) {
		cleanup_free char *key = xasprintf("%s%s", is_ours(src->attrs[i]) ? "x_" : "", src->attrs[i]);

		put_cstr(&pk, key);
		put_cstr(&pk, src->attrs[i + 1]);
		e->n_attrs++;
	}
}

void fluentd_enc_fini(struct fluentd_enc *e)
{
	buf_fini(&e->id_name);
	buf_fini(&e->attrs);
}

static void put_time(const struct fluentd_enc *e, msgpack_packer *pk, int64_t ns)
{
	uint32_t sec = (uint32_t)(ns / 1000000000), frac = (uint32_t)(ns % 1000000000);
	unsigned char b[8] = { (unsigned char)(sec >> 24),  (unsigned char)(sec >> 16),  (unsigned char)(sec >> 8),  (unsigned char)sec,
			       (unsigned char)(frac >> 24), (unsigned char)(frac >> 16), (unsigned char)(frac >> 8), (unsigned char)frac };

	if (e->sub_second) {
		msgpack_pack_ext(pk, 8, 0);
		msgpack_pack_ext_body(pk, b, 8);
	} else {
		/* as Docker's encoder picks it: int32 up to 2038 */
		if (ns / 1000000000 <= INT32_MAX)
			msgpack_pack_fix_int32(pk, (int32_t)(ns / 1000000000));
		else
			msgpack_pack_int64(pk, ns / 1000000000);
	}
}

static void put_record(const struct fluentd_enc *e, msgpack_packer *pk, struct buf *out, const struct sink_msg *m)
{
	char ord[12];

	msgpack_pack_map(pk, 4 + e->n_attrs + (m->partial ? 4 : 0));
	buf_add(out, e->id_name.p, e->id_name.len);
	put_str(pk, "source", 6);
	put_str(pk, m->is_stderr ? "stderr" : "stdout", 6);
	put_str(pk, "log", 3);
	put_str(pk, m->line, m->len);
	buf_add(out, e->attrs.p, e->attrs.len);
	if (!m->partial)
		return;
	put_cstr(pk, "partial_message");
	put_cstr(pk, "true");
	put_cstr(pk, "partial_id");
	put_cstr(pk, m->partial_id);
	put_cstr(pk, "partial_ordinal");
	snprintf(ord, sizeof(ord), "%u", m->partial_ordinal);
	put_cstr(pk, ord);
	put_cstr(pk, "partial_last");
	put_cstr(pk, m->partial_last ? "true" : "false");
}

void fluentd_entry(struct fluentd_enc *e, const struct sink_msg *m, struct buf *entries)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, entries, write_buf);
	msgpack_pack_array(&pk, 2);
	put_time(e, &pk, m->time_ns);
	put_record(e, &pk, entries, m);
}

void fluentd_pack(const struct fluentd_enc *e, const struct buf *entries, size_t n, const char *chunk, struct buf *out)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, write_buf);
	msgpack_pack_array(&pk, 3);
	put_cstr(&pk, e->tag);
	msgpack_pack_bin(&pk, entries->len);
	msgpack_pack_bin_body(&pk, entries->p, entries->len);
	msgpack_pack_map(&pk, chunk ? 2 : 1);
	put_cstr(&pk, "size");
	msgpack_pack_uint64(&pk, n);
	if (chunk) {
		put_cstr(&pk, "chunk");
		put_cstr(&pk, chunk);
	}
}

/* ---- what the server says: small messages, decoded by the library ------------------------------ */

#define MESSAGE_MAX 65536

static uint32_t big_endian(const unsigned char *p, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The head of one object (msgpack's format): its own bytes, what of them are the head, and the objects that it holds. */
struct object_head {
	unsigned head; /* 0: no byte of the format */
	uint64_t bytes, holds;
};

static struct object_head object_head(const unsigned char *p, size_t len)
{
	static const unsigned char fixed[] = { 4, 8, 1, 2, 4, 8, 1, 2, 4, 8 };		/* 0xca..0xd3: numbers */
	unsigned char t = p[0];
	unsigned width; /* of a count */
	uint32_t n;

	if (t < 0x80 || t >= 0xe0 || t == 0xc0 || t == 0xc2 || t == 0xc3)
		return (struct object_head){ 1, 1, 0 };
	if (t < 0xa0)
		return (struct object_head){ 1, 1, t < 0x90 ? 2 * (t & 15) : t & 15 };
	if (t < 0xc0)
		return (struct object_head){ 1, 1 + (t & 31), 0 };
	if (t == 0xc1)
		return (struct object_head){ 0 };
	if (t >= 0xca && t <= 0xd3)
		return (struct object_head){ 1, 1 + fixed[t - 0xca], 0 };
	if (t >= 0xd4 && t <= 0xd8) /* fixext */
		return (struct object_head){ 1, 2 + (1u << (t - 0xd4)), 0 };
	width = t >= 0xdc ? 2u << (t & 1) : t >= 0xd9 ? 1u << (t - 0xd9) : 1u << ((t - 0xc4) % 3);
	n = len > width ? big_endian(p + 1, width) : 0;
	if (t >= 0xdc)
		return (struct object_head){ 1 + width, 1 + width, t >= 0xde ? 2 * (uint64_t)n : n };
	return (struct object_head){ 1 + width, 1 + width + (t >= 0xc7 && t <= 0xc9) + (uint64_t)n, 0 };
}

/* Whether an object is whole: the library makes room for as many members as a head claims before it has seen one. 0,
 * -EAGAIN, -EINVAL. */
static int skim(const char *in, size_t len)
{
	uint64_t wanted = 1;
	size_t at = 0;

	while (wanted) {
		struct object_head h;

		if (at >= len)
			return -EAGAIN;
		h = object_head((const unsigned char *)in + at, len - at);
		wanted += h.holds;
		if (!h.head || h.bytes > MESSAGE_MAX || wanted > MESSAGE_MAX)
			return -EINVAL;
		if (h.bytes > len - at || h.head > len - at)
			return -EAGAIN;
		at += h.bytes;
		wanted--;
	}
	return 0;
}

/* 0 with one object in *u (free it), -EAGAIN when in is not whole, -EINVAL. *used: its length. */
static int unpack(const char *in, size_t len, msgpack_unpacked *u, size_t *used)
{
	msgpack_unpack_return r;
	int rc;

	*used = 0;
	if (len > MESSAGE_MAX)
		return -EINVAL;
	if ((rc = skim(in, len)) < 0)
		return rc;
	msgpack_unpacked_init(u);
	r = msgpack_unpack_next(u, in, len, used);
	if (r == MSGPACK_UNPACK_SUCCESS || r == MSGPACK_UNPACK_EXTRA_BYTES)
		return 0;
	msgpack_unpacked_destroy(u);
	return r == MSGPACK_UNPACK_CONTINUE ? -EAGAIN : -EINVAL;
}

static bool obj_is(const msgpack_object *o, const char *s)
{
	return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(s) && !memcmp(o->via.str.ptr, s, o->via.str.size);
}

static const msgpack_object *map_get_key(const msgpack_object *o, const char *key)
{
	uint32_t i;

	if (o->type != MSGPACK_OBJECT_MAP)
		return NULL;
	for (i = 0; i < o->via.map.size; i++)
		if (obj_is(&o->via.map.ptr[i].key, key))
			return &o->via.map.ptr[i].val;
	return NULL;
}

int fluentd_ack(const char *in, size_t len, const char *chunk)
{
	const msgpack_object *v;
	msgpack_unpacked u;
	size_t used;
	int rc = unpack(in, len, &u, &used);

	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	v = map_get_key(&u.data, "ack");
	rc = v && obj_is(v, chunk) ? (int)used : -EINVAL;
	msgpack_unpacked_destroy(&u);
	return rc;
}

int fluentd_helo(const char *in, size_t len, char nonce[64], size_t *nonce_len)
{
	const msgpack_object *v, *o;
	msgpack_unpacked u;
	size_t used;
	int rc = unpack(in, len, &u, &used);

	if (rc < 0)
		return rc;
	rc = -EINVAL;
	o = &u.data;
	if (o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size >= 2 && obj_is(&o->via.array.ptr[0], "HELO") &&
	    (v = map_get_key(&o->via.array.ptr[1], "nonce"))) {
		/* a str from old servers, a bin from newer ones: the same layout in the union */
		if ((v->type == MSGPACK_OBJECT_STR || v->type == MSGPACK_OBJECT_BIN) && v->via.bin.size <= 64) {
			memcpy(nonce, v->via.bin.ptr, v->via.bin.size);
			*nonce_len = v->via.bin.size;
			rc = 0;
		}
	}
	msgpack_unpacked_destroy(&u);
	return rc;
}

void fluentd_ping(const char *hostname, const char *shared_key, const char *nonce, size_t nonce_len, const char salt[16], struct buf *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned md_len = 0;
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	msgpack_packer pk;

	if (!c || EVP_DigestInit_ex(c, EVP_sha512(), NULL) != 1)
		abort();
	EVP_DigestUpdate(c, salt, 16);
	EVP_DigestUpdate(c, hostname, strlen(hostname));
	EVP_DigestUpdate(c, nonce, nonce_len);
	EVP_DigestUpdate(c, shared_key, strlen(shared_key));
	EVP_DigestFinal_ex(c, md, &md_len);
	EVP_MD_CTX_free(c);
	hex_encode(hex, md, md_len);
	msgpack_packer_init(&pk, out, write_buf);
	msgpack_pack_array(&pk, 6);
	put_cstr(&pk, "PING");
	put_cstr(&pk, hostname);
	put_str(&pk, salt, 16);
	put_cstr(&pk, hex);
	put_cstr(&pk, "");
	put_cstr(&pk, "");
}

int fluentd_pong(const char *in, size_t len, struct err *err)
{
	const msgpack_object *o;
	msgpack_unpacked u;
	size_t used;
	int rc = unpack(in, len, &u, &used);

	if (rc == -EAGAIN)
		return rc;
	if (rc < 0)
		return err_kind(err, ERR_SYSTEM, "the server's answer is not Fluentd's protocol");
	o = &u.data;
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 3 || !obj_is(&o->via.array.ptr[0], "PONG")) {
		rc = err_kind(err, ERR_SYSTEM, "the server did not answer PONG");
	} else if (o->via.array.ptr[1].type != MSGPACK_OBJECT_BOOLEAN || !o->via.array.ptr[1].via.boolean) {
		rc = err_kind(err, ERR_UNAUTHORIZED, "the server refused the shared key: %.*s",
			      o->via.array.ptr[2].type == MSGPACK_OBJECT_STR ? (int)o->via.array.ptr[2].via.str.size : 0,
			      o->via.array.ptr[2].type == MSGPACK_OBJECT_STR ? o->via.array.ptr[2].via.str.ptr : "");
	}
	msgpack_unpacked_destroy(&u);
	return rc;
}
