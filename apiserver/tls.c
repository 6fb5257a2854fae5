/* SPDX-License-Identifier: MPL-2.0
 *
 * tls.c - TLS 1.2 and 1.3 by OpenSSL, right on the non-blocking socket: client.c polls it anyhow,
 * so memory BIOs would only copy more.
 *
 * tls_recv reads until the socket is empty or the caller's buffer has no room for another record.
 * What it has seen beyond what it returned (the peer's close_notify behind the last bytes, an
 * error) no poll would tell of: tls_has_input does, and client.c asks it before it waits.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "str.h"

#define RECORD_MAX (16 * 1024)

struct tls_conn {
	SSL *ssl;
	bool want_write, dead, eof;
};

static SSL_CTX *ctx;

static int ssl_fail(struct err *err, const char *what, const char *path)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return err_kind(err, ERR_BAD_PARAM, "%s %s: %s", what, path, text);
}

int tls_init(const char *cert_path, const char *key_path, const char *ca_path, bool verify,
	     struct err *err)
{
	static const unsigned char alpn_context[] = "sdc-docker";

	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx)
		return ssl_fail(err, "set up TLS with", cert_path);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_id_context(ctx, alpn_context, sizeof(alpn_context) - 1);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1)
		return ssl_fail(err, "read the certificate", cert_path);
	if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
		return ssl_fail(err, "read the key", key_path);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return ssl_fail(err, "the key does not fit the certificate", key_path);
	if (!verify)
		return 0;
	if (str_empty(ca_path) || SSL_CTX_load_verify_locations(ctx, ca_path, NULL) != 1)
		return ssl_fail(err, "read the CA's certificate", ca_path);
	SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(ca_path));
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

struct tls_conn *tls_new(int fd)
{
	struct tls_conn *t;
	SSL *ssl = SSL_new(ctx);

	if (!ssl)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	t = xcalloc(1, sizeof(*t));
	t->ssl = ssl;
	return t;
}

void tls_free(struct tls_conn *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t);
}

/* The errno of a result <= 0; 0 for the peer's proper end. */
static int result(struct tls_conn *t, int rc)
{
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->want_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		t->eof = true;
		return 0;
	default:
		t->dead = true;
		ERR_clear_error();
		return -ECONNRESET;
	}
}

ssize_t tls_recv(struct tls_conn *t, void *p, size_t len)
{
	size_t got = 0;

	if (t->dead)
		return -ECONNRESET;
	t->want_write = false;
	while (got == 0 || len - got >= RECORD_MAX) {
		int n = SSL_read(t->ssl, (char *)p + got, (int)(len - got));

		if (n <= 0) {
			int rc = result(t, n);

			return got ? (ssize_t)got : rc;
		}
		got += (size_t)n;
	}
	return (ssize_t)got;
}

ssize_t tls_send(struct tls_conn *t, const void *p, size_t len)
{
	int n;

	if (t->dead)
		return -ECONNRESET;
	if (len == 0)
		return 0;
	if (len > 1024 * 1024)
		len = 1024 * 1024;
	n = SSL_write(t->ssl, p, (int)len);
	if (n > 0)
		return n;
	n = result(t, n);
	return n ? n : -EPIPE;
}

void tls_shutdown(struct tls_conn *t)
{
	if (!t->dead && SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
}

bool tls_has_input(const struct tls_conn *t)
{
	return t->eof || t->dead || SSL_pending(t->ssl) > 0;
}

bool tls_wants_write(const struct tls_conn *t)
{
	return t->want_write;
}
