/* SPDX-License-Identifier: MPL-2.0
 *
 * tls.h - TLS on a client's socket. Loop thread. Results are as of recv and send with a negative
 * errno: -EAGAIN when the socket would have to be waited for.
 */
#ifndef APISERVER_TLS_H
#define APISERVER_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

struct tls_conn;

/* Once, before listening. With verify, clients need a certificate of the CA in ca_path. */
int tls_init(const char *cert_path, const char *key_path, const char *ca_path, bool verify,
	     struct err *err);
struct tls_conn *tls_new(int fd); /* NULL: out of memory */
void tls_free(struct tls_conn *t);
ssize_t tls_recv(struct tls_conn *t, void *p, size_t len);
ssize_t tls_send(struct tls_conn *t, const void *p, size_t len);
void tls_shutdown(struct tls_conn *t);
bool tls_has_input(
	const struct tls_conn *t); /* the next tls_recv will tell something, whatever poll says */
bool tls_wants_write(
	const struct tls_conn *t); /* its handshake waits for the socket to take bytes */

#endif
