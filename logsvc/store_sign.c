/* SPDX-License-Identifier: MPL-2.0
 *
 * store_sign.c - signs a date.
 */
#include "store_sign.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "str.h"

void http_date(char out[HTTP_DATE_MAX], time_t t)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm = { 0 };

	(void)gmtime_r(&t, &tm);
	if (str_fmt(out, HTTP_DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		    1900 + tm.tm_year, tm.tm_hour, tm.tm_min, tm.tm_sec) < 0)
		out[0] = '\0';
}

/* A key with a passphrase is refused, not asked about on a terminal. */
static int no_passphrase(char *p, int size, int rw, void *arg)
{
	(void)p, (void)size, (void)rw, (void)arg;
	return -1;
}

static int sign(EVP_PKEY *key, const char *text, unsigned char **out, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		 EVP_DigestSign(ctx, NULL, len, (const unsigned char *)text, strlen(text)) == 1;

	if (ok) {
		*out = xmalloc(*len + 1);
		ok = EVP_DigestSign(ctx, *out, len, (const unsigned char *)text, strlen(text)) == 1;
	}
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

int http_signature(const char *key_id, const char *pem, const char *date, struct buf *out, struct err *err)
{
	cleanup_free unsigned char *signature = NULL;
	cleanup_free char *text = xasprintf("date: %s", date), *base64 = NULL;
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	const char *algorithm = NULL;
	size_t len = 0;
	int rc = 0;

	if (key && EVP_PKEY_base_id(key) == EVP_PKEY_RSA)
		algorithm = "rsa-sha256";
	else if (key && EVP_PKEY_base_id(key) == EVP_PKEY_EC)
		algorithm = "ecdsa-sha256";
	if (!algorithm)
		rc = err_sysnum(err, EINVAL, "the private key is no RSA or ECDSA key in PEM form without a passphrase");
	else if (sign(key, text, &signature, &len) < 0)
		rc = err_sysnum(err, EINVAL, "the private key does not sign");
	EVP_PKEY_free(key);
	BIO_free(bio);
	if (rc < 0)
		return rc;
	base64 = xmalloc(len * 4 / 3 + 8);
	EVP_EncodeBlock((unsigned char *)base64, signature, (int)len);
	buf_printf(out, "Signature keyId=\"%s\",algorithm=\"%s\",signature=\"%s\"", key_id, algorithm, base64);
	return 0;
}
