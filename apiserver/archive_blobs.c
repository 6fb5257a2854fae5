/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_blobs.c - reads an image archive in one pass.
 *
 * Design: the manifest, which tells what the files are, may come last, and the stream cannot be
 * read twice. So the files tell themselves: what looks like a tar or compressed data is unpacked
 * into a stage (image_layer.h), which finds its place in a chain later; small JSON files are kept
 * in memory; the rest is passed over. Nothing of the archive is written to disk but the layers'
 * own files. Where a name tells a digest that we have as a layer, the bytes are only hashed.
 *
 * Names and links in the archive are only keys of a map, never paths.
 */
#define LOG_MODULE "load"
#include "apiserver/archive_blobs.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/image_ref.h"
#include "apiserver/unpack_entry.h"
#include "apiserver/v1_chain.h"
#include "apiserver/xz_read.h"
#include "cleanup.h"
#include "jget.h"
#include "map.h"
#include "str.h"

#define READ_SIZE	(256 * 1024)
#define SNIFF_SIZE	512
#define TEXT_MAX	(8 * 1024 * 1024)
#define TEXT_TOTAL_MAX	(32 * 1024 * 1024)
#define ENTRIES_MAX	100000
#define LINKS_FOLLOWED	16

struct archive_blobs {
	struct map by_name; /* -> struct archive_blob */
	struct v1_chains chains;
	size_t text_total;
};

struct reader {
	int rc; /* of what the archive comes from, when it failed */
	char *raw;
	struct xz_read *xz; /* the archive as a whole may be compressed */
	struct archive *a;
	/* the entry at hand */
	const char *data;
	size_t len;
	int64_t pos, size;
	char head[SNIFF_SIZE];
	size_t head_len, head_pos;
	bool cut; /* it ended before its size said */
	const struct image_load_opts *o;
	struct progress *bars;
	char bar_id[16];
};

static la_ssize_t on_read(struct archive *a, void *arg, const void **out)
{
	struct reader *r = arg;
	ssize_t n = xz_read(r->xz, r->raw, READ_SIZE);

	if (n < 0) {
		if (!xz_read_why(r->xz))
			r->rc = (int)n;
		archive_set_error(a, (int)-n, "read the archive");
		return ARCHIVE_FATAL;
	}
	*out = r->raw;
	return n;
}

static int archive_error(const struct reader *r, struct err *err)
{
	const char *s = archive_error_string(r->a);

	if (r->rc < 0)
		return err_sysnum(err, r->rc, "read the archive");
	if (xz_read_why(r->xz))
		return err_kind(err, ERR_SYSTEM, "%s", xz_read_why(r->xz));
	if (s && strstr(s, "runcated"))
		return err_kind(err, ERR_SYSTEM, "unexpected EOF");
	if (!s || strstr(s, "nrecognized") || strstr(s, "amaged"))
		return err_kind(err, ERR_SYSTEM, "archive/tar: invalid tar header");
	return err_kind(err, ERR_SYSTEM, "%s", s);
}

/* ---------------------------------------------------------------- the bytes of one entry */

/* Bytes of the entry, past the sniffed head; 0 at its end. */
static ssize_t entry_read_rest(struct reader *r, void *p, size_t len)
{
	const void *data;
	la_int64_t offset;
	int ar;

	while (!r->len) {
		ar = archive_read_data_block(r->a, &data, &r->len, &offset);
		r->cut = ar != ARCHIVE_OK && r->pos < r->size;
		if (ar == ARCHIVE_EOF)
			return r->pos == r->size ? 0 : -EBADMSG;
		if (ar < ARCHIVE_WARN)
			return r->rc < 0 ? r->rc : -EBADMSG;
		if (offset != r->pos || (int64_t)r->len > r->size - r->pos)
			return -EBADMSG; /* sparse: no archive of images is */
		r->data = data;
		r->pos += (int64_t)r->len;
	}
	len = r->len < len ? r->len : len;
	memcpy(p, r->data, len);
	r->data += len;
	r->len -= len;
	return (ssize_t)len;
}

static ssize_t entry_read(void *arg, void *p, size_t len)
{
	struct reader *r = arg;

	if (r->head_pos < r->head_len) {
		len = r->head_len - r->head_pos < len ? r->head_len - r->head_pos : len;
		memcpy(p, r->head + r->head_pos, len);
		r->head_pos += len;
		return (ssize_t)len;
	}
	if ((r->bars && progress_gone(r->bars)) || (r->o->cancelled && r->o->cancelled(r->o->cancelled_arg)))
		return -ECANCELED;
	if (r->bar_id[0])
		progress_bar(r->bars, r->bar_id, "Loading layer", r->pos, r->size);
	return entry_read_rest(r, p, len);
}

static int sniff(struct reader *r, int64_t size)
{
	ssize_t n;

	r->len = r->head_len = r->head_pos = 0;
	r->cut = false;
	r->pos = 0;
	r->size = size;
	r->bar_id[0] = '\0';
	while (r->head_len < SNIFF_SIZE) {
		n = entry_read_rest(r, r->head + r->head_len, SNIFF_SIZE - r->head_len);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		r->head_len += (size_t)n;
	}
	return 0;
}

static bool is_compressed(const char *h, size_t len)
{
	return len >= 6 && (!memcmp(h, "\x1f\x8b", 2) || !memcmp(h, "\x28\xb5\x2f\xfd", 4) ||
			    !memcmp(h, "BZh", 3) || xz_is(h, len) ||
			    !memcmp(h + 1, "\x2a\x4d\x18", 3));
}

/* A tar's first block: its checksum is right, or it is all zeros, the end of an empty one. */
static bool is_tar(const char *h, size_t len)
{
	unsigned sum = 0, nonzero = 0;
	char field[9] = { 0 };

	if (len < 512)
		return false;
	for (int i = 0; i < 512; i++) {
		unsigned char c = (unsigned char)h[i];

		nonzero |= c;
		sum += i >= 148 && i < 156 ? ' ' : c;
	}
	memcpy(field, h + 148, 8);
	return !nonzero || strtoul(field, NULL, 8) == sum;
}

/* ---------------------------------------------------------------- entries */

static struct archive_blob *blob_new(struct archive_blobs *b, const char *name)
{
	struct archive_blob *blob = xcalloc(1, sizeof(*blob)), *old;

	old = map_set(&b->by_name, name, blob);
	if (old) {
		layer_stage_free(old->stage);
		buf_fini(&old->text);
		free(old->link);
		free(old);
	}
	return blob;
}

/* The 64 hex digits that a name tells: blobs/sha256/HEX, HEX.tar, HEX/layer.tar, HEX.tar.gz. */
static bool name_hex(const char *name, char out[65])
{
	const char *p = str_starts(name, "blobs/sha256/") ? name + 13 : name;

	if (strlen(p) < 64 || !is_hex(p, 64) || (p[64] && !strchr("./", p[64])))
		return false;
	memcpy(out, p, 64);
	out[64] = '\0';
	return true;
}

static int add_layer(struct archive_blobs *b, struct reader *r, const char *name, struct err *err)
{
	struct archive_blob *blob;
	struct layer_stage *st = NULL;
	struct layer_pumped pumped;
	struct layer_info info;
	char hex[65], digest[72];
	bool have = false;
	int rc;

	if (name_hex(name, hex)) {
		str_copy(r->bar_id, 13, hex);
		memcpy(digest, "sha256:", 7);
		memcpy(digest + 7, hex, 65);
		have = !is_compressed(r->head, r->head_len) && !name[strcspn(name, ".")] &&
		       layer_find_diff(digest, &info);
	} else {
		str_copy(r->bar_id, sizeof(r->bar_id), "layer");
	}
	if (have) {
		r->bar_id[0] = '\0';
		rc = layer_pump(entry_read, r, NULL, -1, NULL, &pumped, err);
	} else if ((rc = layer_stage_new(entry_read, r, NULL, &st, err)) == 0) {
		pumped = st->pumped;
	}
	if (rc < 0 && r->cut)
		*err = (struct err){ 0 };
	if (rc < 0)
		return r->cut ? archive_error(r, err) : rc;
	if (have && !layer_find_diff(pumped.diff_id, &info))
		return err_kind(err, ERR_SYSTEM, "%s has digest %s", name, pumped.diff_id);
	if (r->bar_id[0])
		progress_bar(r->bars, r->bar_id, "Loading layer", r->size, r->size);
	blob = blob_new(b, name);
	blob->stage = st;
	str_copy(blob->diff_id, sizeof(blob->diff_id), pumped.diff_id);
	str_copy(blob->raw_id, sizeof(blob->raw_id), pumped.raw_id);
	return 0;
}

/* <v1 id>/json of an old archive: a chain that no image can have is refused before more of it is unpacked. */
static int check_chain(struct archive_blobs *b, const char *name, const struct archive_blob *blob,
		       struct err *err)
{
	cleanup_free char *id = NULL;
	cleanup_json json_t *v1 = NULL;
	struct err ignored = { 0 };

	if (!str_ends(name, "/json") || jparse(buf_str(&blob->text), blob->text.len, &v1, &ignored) < 0)
		return 0;
	id = xstrndup(name, strlen(name) - strlen("/json"));
	if (v1_chains_add(&b->chains, id, jget_str(v1, "parent", "")) > IMAGE_LAYERS_MAX)
		return err_kind(err, ERR_SYSTEM, "the image has too many layers");
	return 0;
}

static int add_text(struct archive_blobs *b, struct reader *r, const char *name, struct err *err)
{
	struct archive_blob *blob;
	char chunk[8192];
	ssize_t n;

	if (r->size > TEXT_MAX)
		return 0; /* whatever it is, it is no JSON of ours */
	b->text_total += (size_t)r->size;
	if (b->text_total > TEXT_TOTAL_MAX)
		return err_kind(err, ERR_SYSTEM, "the archive's metadata is too large");
	blob = blob_new(b, name);
	while ((n = entry_read(r, chunk, sizeof(chunk))) > 0)
		buf_add(&blob->text, chunk, (size_t)n);
	if (n < 0)
		return r->rc < 0 ? err_sysnum(err, r->rc, "read the archive") : archive_error(r, err);
	return check_chain(b, name, blob, err);
}

/* "a/b/layer.tar" -> "../c/layer.tar" is "a/c/layer.tar"; a hard link's target is from the top. */
static int add_link(struct archive_blobs *b, const char *name, const char *symlink,
		    const char *hardlink, struct err *err)
{
	const char *slash = strrchr(name, '/');
	cleanup_free char *target = NULL, *clean = NULL;
	struct err ignored = { 0 };

	(void)err;
	if (hardlink)
		target = xstrdup(hardlink);
	else
		target = xasprintf("%.*s/%s", slash ? (int)(slash - name) : 0, name, symlink);
	if (unpack_clean_path(target, &clean, &ignored) == 0)
		blob_new(b, name)->link = take_ptr(&clean);
	return 0;
}

static int add_entry(struct archive_blobs *b, struct reader *r, struct archive_entry *e,
		     struct err *err)
{
	cleanup_free char *name = NULL;
	const char *path = archive_entry_pathname(e);
	int rc;

	if (!path)
		return 0;
	if ((rc = unpack_clean_path(path, &name, err)) < 0)
		return rc;
	if (archive_entry_hardlink(e) || archive_entry_filetype(e) == AE_IFLNK)
		return add_link(b, name, archive_entry_symlink(e), archive_entry_hardlink(e), err);
	if (archive_entry_filetype(e) != AE_IFREG || !*name)
		return 0;
	if (archive_entry_size(e) < 0 || sniff(r, archive_entry_size(e)) < 0)
		return archive_error(r, err);
	if (is_compressed(r->head, r->head_len) || is_tar(r->head, r->head_len) ||
	    str_ends(name, "layer.tar"))
		return add_layer(b, r, name, err);
	return add_text(b, r, name, err);
}

int archive_blobs_read(layer_read_fn *fn, void *arg, const struct image_load_opts *o, struct progress *progress,
		       struct archive_blobs **out, struct err *err)
{
	cleanup_free char *raw = xmalloc(READ_SIZE);
	struct archive_blobs *b = xcalloc(1, sizeof(*b));
	struct reader *r = xcalloc(1, sizeof(*r));
	struct archive_entry *e;
	unsigned n = 0;
	int rc = 0, ar;

	map_init(&b->by_name);
	v1_chains_init(&b->chains);
	*r = (struct reader){ .xz = xz_read_new(fn, arg), .raw = raw, .o = o, .bars = o->quiet ? NULL : progress };
	r->a = archive_read_new();
	if (!r->a)
		abort();
	archive_read_support_filter_gzip(r->a);
	archive_read_support_filter_zstd(r->a);
	archive_read_support_filter_bzip2(r->a);
	archive_read_support_format_tar(r->a);
	if (archive_read_open(r->a, r, NULL, on_read, NULL) != ARCHIVE_OK)
		rc = archive_error(r, err);
	while (rc == 0) {
		ar = archive_read_next_header(r->a, &e);
		if (ar == ARCHIVE_EOF)
			break;
		if (ar < ARCHIVE_WARN)
			rc = archive_error(r, err);
		else if (++n > ENTRIES_MAX)
			rc = err_kind(err, ERR_SYSTEM, "the archive has too many entries");
		else
			rc = add_entry(b, r, e, err);
	}
	archive_read_free(r->a);
	xz_read_free(r->xz);
	free(r);
	if (rc < 0)
		archive_blobs_free(b);
	else
		*out = b;
	return rc;
}

/* ---------------------------------------------------------------- finding */

struct archive_blob *archive_blob_find(struct archive_blobs *b, const char *name)
{
	cleanup_free char *clean = NULL;
	struct err ignored = { 0 };
	struct archive_blob *blob;

	if (unpack_clean_path(name, &clean, &ignored) < 0)
		return NULL;
	blob = map_get(&b->by_name, clean);
	for (int i = 0; blob && blob->link && i < LINKS_FOLLOWED; i++)
		blob = map_get(&b->by_name, blob->link);
	return blob && !blob->link ? blob : NULL;
}

struct archive_blob *archive_blob_digest(struct archive_blobs *b, const char *digest, struct err *err)
{
	struct archive_blob *blob;
	char name[96], have[72];

	if (!image_id_valid(digest)) {
		err_kind(err, ERR_SYSTEM, "invalid digest in the archive: %s", digest);
		return NULL;
	}
	if (str_fmt(name, sizeof(name), "blobs/sha256/%s", digest + 7) < 0)
		abort();
	blob = archive_blob_find(b, name);
	if (!blob) {
		err_kind(err, ERR_NOT_FOUND, "the archive lacks %s", name);
		return NULL;
	}
	if (blob->diff_id[0])
		str_copy(have, sizeof(have), blob->raw_id);
	else
		image_digest_of(blob->text.p, blob->text.len, have);
	if (!str_eq(have, digest)) {
		err_kind(err, ERR_SYSTEM, "%s has digest %s", name, have);
		return NULL;
	}
	return blob;
}

int archive_blob_json(struct archive_blobs *b, const char *name, json_t **out, struct err *err)
{
	struct archive_blob *blob = archive_blob_find(b, name);
	int rc;

	if (!blob || blob->diff_id[0])
		return err_kind(err, ERR_NOT_FOUND, "open %s: no such file or directory", name);
	rc = jparse(buf_str(&blob->text), blob->text.len, out, err);
	return rc < 0 ? err_wrap(err, rc, "%s", name) : 0;
}

int archive_blob_layer(struct archive_blob *blob, const char *diff_id, const char *parent_chain,
		       struct layer_info *out, struct err *err)
{
	char chain[72];

	layer_chain_id(parent_chain, diff_id, chain);
	if (!str_eq(blob->diff_id, diff_id))
		return err_kind(err, ERR_SYSTEM, "invalid diffID for layer: expected \"%s\", got \"%s\"",
				diff_id, blob->diff_id[0] ? blob->diff_id : "no layer");
	if (layer_find(chain, out))
		return 0;
	if (blob->stage)
		return layer_stage_commit(take_ptr(&blob->stage), parent_chain, out, err);
	return layer_copy(diff_id, parent_chain, out, err);
}

void archive_blobs_free(struct archive_blobs *b)
{
	struct map_iter it = { 0 };
	const char *key;
	void *value;

	if (!b)
		return;
	while (map_next(&b->by_name, &it, &key, &value)) {
		struct archive_blob *blob = value;

		layer_stage_free(blob->stage);
		buf_fini(&blob->text);
		free(blob->link);
		free(blob);
	}
	map_fini(&b->by_name, NULL);
	v1_chains_fini(&b->chains);
	free(b);
}
