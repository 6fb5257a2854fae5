/* SPDX-License-Identifier: MPL-2.0
 *
 * jws.c - checks a JSON web signature with the key in its own header, by OpenSSL.
 *
 *	ES256, ES384, ES512	r and s, each of the curve's size
 *	RS256, RS384, RS512	PKCS #1 v1.5
 */
#include "apiserver/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/b64.h"
#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static const struct alg {
	const char *name, *crv, *group;
	const EVP_MD *(*md)(void);
	size_t half; /* bytes of r and of s; 0: RSA */
} algs[] = {
	{ "ES256", "P-256", "prime256v1", EVP_sha256, 32 },
	{ "ES384", "P-384", "secp384r1", EVP_sha384, 48 },
	{ "ES512", "P-521", "secp521r1", EVP_sha512, 66 },
	{ "RS256", "", "", EVP_sha256, 0 },
	{ "RS384", "", "", EVP_sha384, 0 },
	{ "RS512", "", "", EVP_sha512, 0 },
};

static const struct alg *alg_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
		if (str_eq(algs[i].name, name))
			return &algs[i];
	return NULL;
}

static EVP_PKEY *key_of_params(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *ec_key(const json_t *jwk, const struct alg *a)
{
	size_t nx = 0, ny = 0;
	cleanup_free char *x = b64_decode(jget_str(jwk, "x", ""), &nx);
	cleanup_free char *y = b64_decode(jget_str(jwk, "y", ""), &ny);
	unsigned char point[1 + 2 * 66] = { 4 };
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;

	if (!x || !y || nx > a->half || ny > a->half || !str_eq(jget_str(jwk, "crv", ""), a->crv))
		return NULL;
	memcpy(point + 1 + a->half - nx, x, nx);
	memcpy(point + 1 + 2 * a->half - ny, y, ny);
	bld = OSSL_PARAM_BLD_new();
	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, a->group, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * a->half))
		key = key_of_params("EC", bld);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
	size_t nn = 0, ne = 0;
	cleanup_free char *n = b64_decode(jget_str(jwk, "n", ""), &nn);
	cleanup_free char *e = b64_decode(jget_str(jwk, "e", ""), &ne);
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;
	BIGNUM *bn, *be;

	if (!n || !e || nn > 1024 || ne > 8)
		return NULL;
	bn = BN_bin2bn((unsigned char *)n, (int)nn, NULL);
	be = BN_bin2bn((unsigned char *)e, (int)ne, NULL);
	bld = OSSL_PARAM_BLD_new();
	if (bld && bn && be && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be))
		key = key_of_params("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn);
	BN_free(be);
	return key;
}

static EVP_PKEY *certificate_key(const json_t *header)
{
	const char *text = json_string_value(json_array_get(jget_arr(header, "x5c"), 0));
	size_t len = 0;
	cleanup_free char *der = text ? b64_decode(text, &len) : NULL;
	const unsigned char *p = (const unsigned char *)der;
	EVP_PKEY *key = NULL;
	X509 *cert;

	cert = der ? d2i_X509(NULL, &p, (long)len) : NULL;
	if (cert)
		key = X509_get_pubkey(cert);
	X509_free(cert);
	return key;
}

static EVP_PKEY *key_of(const json_t *header, const struct alg *a)
{
	const json_t *jwk = jget_obj(header, "jwk");

	if (!jwk)
		return certificate_key(header);
	return a->half ? ec_key(jwk, a) : rsa_key(jwk);
}

/* r || s as the DER that OpenSSL wants. Returns its length, 0: no. */
static int der_of(const unsigned char *sig, size_t half, unsigned char **der)
{
	BIGNUM *r = BN_bin2bn(sig, (int)half, NULL), *s = BN_bin2bn(sig + half, (int)half, NULL);
	ECDSA_SIG *es = ECDSA_SIG_new();
	int len;

	if (!r || !s || !es || ECDSA_SIG_set0(es, r, s) != 1)
		abort(); /* no memory */
	*der = NULL;
	len = i2d_ECDSA_SIG(es, der);
	ECDSA_SIG_free(es);
	return len > 0 ? len : 0;
}

static bool fits(const struct alg *a, EVP_PKEY *key, const struct buf *text, const unsigned char *sig, size_t len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestVerifyInit(md, NULL, a->md(), NULL, key) == 1 &&
		  EVP_DigestVerify(md, sig, len, (const unsigned char *)buf_str(text), text->len) == 1;

	EVP_MD_CTX_free(md);
	return ok;
}

int jws_verify(const json_t *header, const char *protected, const char *payload64, size_t payload64_len,
	       const char *signature64, struct err *err)
{
	const struct alg *a = alg_of(jget_str(header, "alg", ""));
	cleanup_buf struct buf text = BUF_INIT;
	size_t len = 0;
	cleanup_free char *sig = b64_decode(signature64, &len);
	unsigned char *der = NULL;
	EVP_PKEY *key;
	bool ok = false;

	if (!a || !sig || (a->half && len != 2 * a->half))
		return err_kind(err, ERR_SYSTEM, "unusable signature of the algorithm \"%.32s\"",
				jget_str(header, "alg", ""));
	buf_printf(&text, "%s.", protected);
	buf_add(&text, payload64, payload64_len);
	key = key_of(header, a);
	if (key && (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) == (a->half != 0)) {
		int n = a->half ? der_of((unsigned char *)sig, a->half, &der) : (int)len;

		ok = fits(a, key, &text, der ? der : (unsigned char *)sig, (size_t)n);
	}
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return ok ? 0 : err_kind(err, ERR_SYSTEM, "the signature does not fit");
}
