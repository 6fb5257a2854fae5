/* SPDX-License-Identifier: MPL-2.0
 *
 * archiver_intake.c - one pass over a .gz: MD5 and SHA-256 of what it is, gzip's own CRC of what is in it.
 *
 * Nothing is uploaded that could not be unpacked again, and nothing that came from a store is shown before it was checked.
 */
#include "archiver_intake.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define BLOCK (64 * 1024)
#define END   256 /* bytes kept of a record's end, where its time stands */

struct intake {
	EVP_MD_CTX *md5, *sha256;
	z_stream z;
	int zrc;
	int out_fd;
	int64_t size, bytes, max_bytes;
	char end[END]; /* the last bytes of the text */
	size_t end_len;
	bool has_first; /* the first record's end was seen */
	int64_t first_ns;
	unsigned char out[BLOCK];
};

struct intake *intake_new(int out_fd, int64_t max_bytes)
{
	struct intake *in = xcalloc(1, sizeof(*in));

	in->md5 = EVP_MD_CTX_new();
	in->sha256 = EVP_MD_CTX_new();
	in->out_fd = out_fd;
	in->max_bytes = max_bytes;
	if (!in->md5 || !in->sha256 || EVP_DigestInit_ex(in->md5, EVP_md5(), NULL) != 1 ||
	    EVP_DigestInit_ex(in->sha256, EVP_sha256(), NULL) != 1 || inflateInit2(&in->z, 15 + 16) != Z_OK)
		abort();
	return in;
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	EVP_MD_CTX_free(in->md5);
	EVP_MD_CTX_free(in->sha256);
	inflateEnd(&in->z);
	free(in);
}

/* ..."time":"2026-08-22T12:34:56.789Z"}\n, which is how records end. */
static int64_t time_at_end(const char *p, size_t len)
{
	static const char key[] = "\"time\":\"";
	const char *at = NULL, *quote;
	int64_t ns;

	for (const char *s = p; (s = memmem(s, len - (size_t)(s - p), key, sizeof(key) - 1)); s++)
		at = s + sizeof(key) - 1;
	quote = at ? memchr(at, '"', len - (size_t)(at - p)) : NULL;
	return quote && parse_rfc3339_ns(at, (size_t)(quote - at), &ns) == 0 ? ns : 0;
}

static void keep_end(struct intake *in, const char *p, size_t len)
{
	if (len < END) {
		size_t old = in->end_len + len > END ? END - len : in->end_len;

		memmove(in->end, in->end + in->end_len - old, old);
		memcpy(in->end + old, p, len);
		in->end_len = old + len;
	} else {
		memcpy(in->end, p + len - END, END);
		in->end_len = END;
	}
}

static int take_text(struct intake *in, const char *p, size_t len, struct err *err)
{
	const char *nl;
	int rc;

	in->bytes += (int64_t)len;
	if (in->bytes > in->max_bytes)
		return err_sysnum(err, EFBIG, "unpacks to more than %lld bytes", (long long)in->max_bytes);
	if (!in->has_first && (nl = memchr(p, '\n', len))) {
		keep_end(in, p, (size_t)(nl + 1 - p));
		in->first_ns = time_at_end(in->end, in->end_len);
		in->has_first = true;
		keep_end(in, nl + 1, len - (size_t)(nl + 1 - p));
	} else {
		keep_end(in, p, len);
	}
	if (in->out_fd >= 0 && (rc = fs_write_all(in->out_fd, p, len)) < 0)
		return err_sysnum(err, rc, "write the unpacked log");
	return 0;
}

int intake_add(struct intake *in, const void *p, size_t len, struct err *err)
{
	int rc;

	if (EVP_DigestUpdate(in->md5, p, len) != 1 || EVP_DigestUpdate(in->sha256, p, len) != 1)
		abort();
	in->size += (int64_t)len;
	in->z.next_in = (unsigned char *)(uintptr_t)p;
	in->z.avail_in = (unsigned)len;
	do {
		if (in->zrc == Z_STREAM_END && !in->z.avail_in)
			break;
		if (in->zrc == Z_STREAM_END && (in->zrc = inflateReset(&in->z)) != Z_OK) /* members may follow each other */
			abort();
		in->z.next_out = in->out;
		in->z.avail_out = BLOCK;
		in->zrc = inflate(&in->z, Z_NO_FLUSH);
		if (in->zrc != Z_OK && in->zrc != Z_STREAM_END && in->zrc != Z_BUF_ERROR)
			return err_sysnum(err, EBADMSG, "damaged gzip data at byte %lld", (long long)(in->size - in->z.avail_in));
		if ((rc = take_text(in, (char *)in->out, BLOCK - in->z.avail_out, err)) < 0)
			return rc;
	} while (in->z.avail_in || in->z.avail_out == 0);
	return 0;
}

int intake_end(struct intake *in, struct intake_result *out, struct err *err)
{
	if (in->zrc != Z_STREAM_END)
		return err_sysnum(err, EBADMSG, "gzip data ends early, at byte %lld", (long long)in->size);
	memset(out, 0, sizeof(*out));
	out->size = in->size;
	out->bytes = in->bytes;
	out->first_ns = in->first_ns;
	out->last_ns = time_at_end(in->end, in->end_len);
	if (EVP_DigestFinal_ex(in->md5, out->md5, NULL) != 1 || EVP_DigestFinal_ex(in->sha256, out->sha256, NULL) != 1)
		abort();
	return 0;
}

int intake_file(int fd, struct intake_result *out, struct err *err)
{
	cleanup_free char *block = xmalloc(BLOCK);
	struct intake *in = intake_new(-1, INT64_MAX);
	int64_t off = 0;
	int rc = 0;
	ssize_t n;

	while (rc == 0 && (n = pread(fd, block, BLOCK, off)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		rc = n < 0 ? err_sys(err, "read") : intake_add(in, block, (size_t)n, err);
		off += n;
	}
	if (rc == 0)
		rc = intake_end(in, out, err);
	intake_free(in);
	return rc;
}
