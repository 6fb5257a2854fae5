/* SPDX-License-Identifier: MPL-2.0
 *
 * schema1.c - image manifests of version 2, schema 1.
 *
 *	{"schemaVersion": 1, "name", "tag", "architecture",
 *	 "fsLayers": [{"blobSum": digest}, ...],		top first
 *	 "history": [{"v1Compatibility": text of JSON}, ...],	of the same length
 *	 "signatures": [{"header": {"jwk", "alg"}, "signature", "protected"}, ...]}
 *
 * Design: what is signed, and what the digest is of, is the text before the signatures were put in:
 * its first formatLength bytes and formatTail, both told by each signature's protected header. The
 * chain of ids and parents is checked; layers with the same id as the next one below are one.
 */
#include "apiserver/schema1.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/b64.h"
#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "apiserver/image_v1.h"
#include "apiserver/jws.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define SIGNATURES_MAX 16

/* ---------------------------------------------------------------- signatures */

/* What one signature's protected header says the payload is. */
static bool payload_of(const json_t *signature, const char *text, size_t len, struct buf *out)
{
	size_t n = 0, n_tail = 0;
	cleanup_free char *head = b64_decode(jget_str(signature, "protected", ""), &n), *tail = NULL;
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	int64_t keep;

	if (!head || jparse(head, n, &o, &ignored) < 0)
		return false;
	keep = jget_int(o, "formatLength", -1);
	tail = b64_decode(jget_str(o, "formatTail", ""), &n_tail);
	if (keep < 0 || (uint64_t)keep > len || !tail)
		return false;
	buf_reset(out);
	buf_add(out, text, (size_t)keep);
	buf_add(out, tail, n_tail);
	return true;
}

bool schema1_payload(const char *text, size_t len, struct buf *out)
{
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };

	return jparse(text, len, &o, &ignored) == 0 && jget_int(o, "schemaVersion", 0) == 1 &&
	       payload_of(json_array_get(jget_arr(o, "signatures"), 0), text, len, out);
}

/* base64url without padding, as it was signed. */
static void encode(const struct buf *in, struct buf *out)
{
	size_t room = in->len / 3 * 4 + 8;
	char *p = xmalloc(room);
	int n = EVP_EncodeBlock((unsigned char *)p, (const unsigned char *)buf_str(in), (int)in->len);

	while (n > 0 && p[n - 1] == '=')
		n--;
	for (int i = 0; i < n; i++)
		p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
	buf_add(out, p, (size_t)n);
	free(p);
}

/* All of them are over the same payload. */
static int check_signatures(const json_t *list, const char *text, size_t len, struct buf *payload,
			    struct err *err)
{
	cleanup_buf struct buf encoded = BUF_INIT;
	const json_t *s;
	size_t i;
	int rc;

	if (json_array_size(list) > SIGNATURES_MAX)
		return err_kind(err, ERR_SYSTEM, "invalid manifest: %zu signatures", json_array_size(list));
	json_array_foreach(list, i, s) {
		cleanup_buf struct buf mine = BUF_INIT;

		if (!payload_of(s, text, len, &mine) ||
		    (i && (mine.len != payload->len || memcmp(buf_str(&mine), buf_str(payload), mine.len))))
			return err_kind(err, ERR_SYSTEM, "invalid manifest: malformed signature");
		if (!i) {
			*payload = mine;
			mine = (struct buf)BUF_INIT;
			encode(payload, &encoded);
		}
		rc = jws_verify(jget_obj(s, "header"), jget_str(s, "protected", ""), buf_str(&encoded),
				encoded.len, jget_str(s, "signature", ""), err);
		if (rc < 0)
			return err_wrap(err, rc, "image verification failed");
	}
	return 0;
}

/* ---------------------------------------------------------------- layers */

struct step {
	json_t *v1;
	const char *digest, *id, *parent;
};

static int read_steps(const json_t *layers, const json_t *history, struct step *v, size_t n, struct err *err)
{
	int rc;

	for (size_t i = 0; i < n; i++) {
		const char *text = jget_str(json_array_get(history, i), "v1Compatibility", "");

		if ((rc = jparse(text, strlen(text), &v[i].v1, err)) < 0) {
			err->kind = ERR_SYSTEM;
			return err_wrap(err, rc, "invalid manifest: v1Compatibility");
		}
		v[i].digest = jget_str(json_array_get(layers, i), "blobSum", "");
		v[i].id = jget_str(v[i].v1, "id", "");
		v[i].parent = jget_str(v[i].v1, "parent", "");
		if (!image_id_valid(v[i].digest))
			return err_kind(err, ERR_SYSTEM, "invalid manifest: bad digest \"%.100s\"", v[i].digest);
		if (!image_v1_id_valid(v[i].id))
			return err_kind(err, ERR_SYSTEM, "image ID \"%.100s\" is invalid", v[i].id);
	}
	return 0;
}

static int check_chain(const struct step *v, size_t n, struct err *err)
{
	if (*v[n - 1].parent)
		return err_kind(err, ERR_SYSTEM, "invalid parent ID in the base layer of the image");
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 2; k < n; k++)
			if (str_eq(v[i].id, v[k].id) && !str_eq(v[k - 1].id, v[k].id))
				return err_kind(err, ERR_SYSTEM, "ID %s appears multiple times in manifest",
						v[i].id);
	for (size_t i = 0; i + 1 < n; i++)
		if (!str_eq(v[i].id, v[i + 1].id) && !str_eq(v[i].parent, v[i + 1].id))
			return err_kind(err, ERR_SYSTEM, "invalid parent ID. Expected %s, got %.100s",
					v[i + 1].id, v[i].parent);
	return 0;
}

static void take_steps(const struct step *v, size_t n, struct schema1 *out)
{
	out->v = xcalloc(n, sizeof(*out->v));
	out->history = json_array();
	for (size_t i = n; i-- > 0;) {
		struct schema1_layer *l = &out->v[out->n];

		if (i + 1 < n && str_eq(v[i].id, v[i + 1].id))
			continue;
		str_copy(l->digest, sizeof(l->digest), v[i].digest);
		l->empty = jget_bool(v[i].v1, "throwaway", false);
		json_array_append_new(out->history, image_v1_history(v[i].v1, l->empty));
		json_decref(out->top);
		out->top = json_incref(v[i].v1);
		out->n++;
	}
}

static int read_layers(const json_t *o, const char *ref, struct schema1 *out, struct err *err)
{
	const json_t *layers = jget_arr(o, "fsLayers"), *history = jget_arr(o, "history");
	size_t n = json_array_size(layers);
	struct step *v;
	int rc;

	if (n != json_array_size(history))
		return err_kind(err, ERR_SYSTEM, "length of history not equal to number of layers for \"%s\"", ref);
	if (!n)
		return err_kind(err, ERR_SYSTEM, "no FSLayers in manifest for \"%s\"", ref);
	if (n > IMAGE_LAYERS_MAX)
		return err_kind(err, ERR_SYSTEM, "invalid manifest: %zu entries", n);
	v = xcalloc(n, sizeof(*v));
	if ((rc = read_steps(layers, history, v, n, err)) == 0 && (rc = check_chain(v, n, err)) == 0)
		take_steps(v, n, out);
	for (size_t i = 0; i < n; i++)
		json_decref(v[i].v1);
	free(v);
	return rc;
}

int schema1_parse(const char *text, size_t len, const char *ref, struct schema1 *out, struct err *err)
{
	cleanup_json json_t *o = NULL, *signed_part = NULL;
	cleanup_buf struct buf payload = BUF_INIT;
	const json_t *signatures;
	int rc;

	if ((rc = jparse(text, len, &o, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "invalid manifest");
	}
	if (jget_int(o, "schemaVersion", 0) != 1)
		return err_kind(err, ERR_SYSTEM, "unsupported schema version %lld for \"%s\"",
				(long long)jget_int(o, "schemaVersion", 0), ref);
	signatures = jget_arr(o, "signatures");
	*out = (struct schema1){ 0 };
	if (!json_array_size(signatures))
		return read_layers(o, ref, out, err);
	if ((rc = check_signatures(signatures, text, len, &payload, err)) < 0)
		return rc;
	/* only what is signed counts */
	if ((rc = jparse(buf_str(&payload), payload.len, &signed_part, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "invalid manifest");
	}
	return read_layers(signed_part, ref, out, err);
}

void schema1_fini(struct schema1 *m)
{
	free(m->v);
	json_decref(m->top);
	json_decref(m->history);
	*m = (struct schema1){ 0 };
}
