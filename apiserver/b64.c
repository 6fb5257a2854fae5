/* SPDX-License-Identifier: MPL-2.0
 *
 * b64.c - base64 of either alphabet, padded or not (RFC 4648). What is decoded may be a secret: the
 * copy that is made on the way is wiped.
 */
#include "apiserver/b64.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

char *b64_decode(const char *s, size_t *out_len)
{
	size_t len = strlen(s), n = 0;
	char *text, *out;
	int got;

	while (len && s[len - 1] == '=')
		len--;
	if (!len || len % 4 == 1 || len > B64_MAX)
		return NULL;
	text = xcalloc(1, len + 4);
	for (; n < len; n++)
		text[n] = s[n] == '-' ? '+' : s[n] == '_' ? '/' : s[n];
	while (n % 4)
		text[n++] = '=';
	out = xcalloc(1, n);
	got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
	explicit_bzero(text, n);
	free(text);
	if (got < 0) {
		free(out);
		return NULL;
	}
	*out_len = (size_t)got - (n - len);
	out[*out_len] = '\0';
	return out;
}
