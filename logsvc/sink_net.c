/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_net.c - connections to sinks.
 *
 * Design: sockets are non-blocking and waited for with poll and a deadline, TLS by OpenSSL on the same descriptor. A stream's delivery is
 * only certain once the peer's kernel has acknowledged it, so net_unacked tells what is still in ours: the cursor never passes it.
 * Failure: a logger that dies loses nothing; the next one sends again from the saved cursor.
 */
#include "sink_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* for tcpi_snd_wnd */
#include <netdb.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "sink_neigh.h"
#include "sink_pace.h"
#include "str.h"

struct net_conn {
	enum net_kind kind;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	int64_t since_ns;
	uint32_t wnd, wnd_max; /* the peer's window when last looked, and the largest */
	int64_t wnd_ns;	       /* when it changed */
	struct pace pace;      /* of udp */
	struct neigh neigh;    /* of udp */
};
#define WND_FIRST (128 * 1024) /* a larger window is of a queue that has been enlarged */
#define STILL_NS  10000000000LL /* a window that has not changed for so long tells nothing more ... */
#define STUCK_NS  60000000000LL /* ... or for so long when it is nearly closed */

static int wait_fd(int fd, short events, int64_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = (deadline_ns - mono_ns() + 999999) / 1000000;
		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static const char *kind_name(enum net_kind kind)
{
	switch (kind) {
	case NET_UDP:
		return "udp";
	case NET_UNIX:
		return "unix";
	case NET_UNIXGRAM:
		return "unixgram";
	case NET_TCP:
	case NET_TLS:
		break;
	}
	return "tcp";
}

/* "connection refused", not "Connection refused": as Docker prints it. */
static const char *errno_text(int e, char *buf, size_t size)
{
	const char *s = strerror_r(e, buf, size);

	if (s != buf)
		str_copy(buf, size, s);
	if (buf[0] >= 'A' && buf[0] <= 'Z')
		buf[0] = (char)(buf[0] + 32);
	return e == ETIMEDOUT ? "i/o timeout" : buf;
}

static int dial_error(struct err *err, const struct net_addr *a, const char *where, int e)
{
	char text[128];

	err_kind(err, ERR_SYSTEM, "dial %s %s: connect: %s", kind_name(a->kind), where, errno_text(e, text, sizeof(text)));
	err->code = -e;
	return -e;
}

static int connect_fd(int family, int type, const struct sockaddr *sa, socklen_t len, int64_t deadline)
{
	int e = 0, rc, fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t elen = sizeof(e);

	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) == 0)
		return fd;
	rc = -errno;
	if (errno == EINPROGRESS) {
		rc = wait_fd(fd, POLLOUT, deadline);
		if (!rc && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &elen) == 0)
			rc = -e;
	}
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static bool is_tcp(const struct net_conn *c)
{
	return c->kind == NET_TCP || c->kind == NET_TLS;
}

static void look_at_window(struct net_conn *c)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (!is_tcp(c) || getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	if (info.tcpi_snd_wnd != c->wnd || !c->wnd_ns)
		c->wnd_ns = mono_ns();
	c->wnd = info.tcpi_snd_wnd;
	if (c->wnd > c->wnd_max)
		c->wnd_max = c->wnd;
}

static int connect_unix(struct net_conn *c, const struct net_addr *a, int64_t deadline, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(a->host) >= sizeof(sa.sun_path))
		return dial_error(err, a, a->host, ENAMETOOLONG);
	str_copy(sa.sun_path, sizeof(sa.sun_path), a->host);
	c->fd = connect_fd(AF_UNIX, a->kind == NET_UNIX ? SOCK_STREAM : SOCK_DGRAM, (struct sockaddr *)&sa, sizeof(sa), deadline);
	return c->fd < 0 ? dial_error(err, a, a->host, -c->fd) : 0;
}

static int connect_inet(struct net_conn *c, const struct net_addr *a, int64_t deadline, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = a->kind == NET_UDP ? SOCK_DGRAM : SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list = NULL, *ai;
	char where[NI_MAXHOST + 16], host[NI_MAXHOST];
	int rc, one = 1;

	rc = getaddrinfo(a->host, a->port, &hints, &list);
	if (rc)
		return err_kind(err, ERR_SYSTEM, "dial %s: lookup %s: %s", kind_name(a->kind), a->host,
				rc == EAI_NONAME ? "no such host" : gai_strerror(rc));
	rc = -EADDRNOTAVAIL;
	for (ai = list; ai; ai = ai->ai_next) {
		rc = c->fd = connect_fd(ai->ai_family, ai->ai_socktype, ai->ai_addr, ai->ai_addrlen, deadline);
		if (rc >= 0)
			break;
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
			str_copy(host, sizeof(host), a->host);
		snprintf(where, sizeof(where), ai->ai_family == AF_INET6 ? "[%.1000s]:%.8s" : "%.1000s:%.8s", host, a->port);
	}
	freeaddrinfo(list);
	if (rc < 0)
		return dial_error(err, a, where, -rc);
	if (a->kind == NET_UDP) { /* all that ICMP says, not only what is final */
		setsockopt(c->fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
		setsockopt(c->fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
		pace_open(&c->pace, c->fd);
		neigh_open(&c->neigh, c->fd);
	} else {
		setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		look_at_window(c);
	}
	return 0;
}

static int tls_error(struct err *err, const char *what)
{
	char text[200];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return err_kind(err, ERR_SYSTEM, "%s: %s", what, text);
}

/* Every certificate of a PEM text: how many. */
static int each_cert(const char *pem, int (*use)(SSL_CTX *ctx, X509 *x, int i), SSL_CTX *ctx)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x;
	int n = 0;

	while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += use(ctx, x, n) == 1;
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

static int use_ca(SSL_CTX *ctx, X509 *x, int i)
{
	(void)i;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
}

static int use_cert(SSL_CTX *ctx, X509 *x, int i)
{
	return i ? (int)SSL_CTX_add1_chain_cert(ctx, x) : SSL_CTX_use_certificate(ctx, x);
}

static bool use_key(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t)"") : NULL;
	bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return ok;
}

static int tls_context(struct net_conn *c, const struct net_tls_conf *t, struct err *err)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (!c->ctx)
		return tls_error(err, "tls");
	SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (!t->ca_cert)
		SSL_CTX_set_default_verify_paths(c->ctx);
	else if (each_cert(t->ca_cert, use_ca, c->ctx) < 1)
		return err_kind(err, ERR_SYSTEM, "the CA file holds no certificate");
	if (t->cert && each_cert(t->cert, use_cert, c->ctx) < 1)
		return err_kind(err, ERR_SYSTEM, "the client's certificate file holds none");
	if (t->key && !use_key(c->ctx, t->key))
		return err_kind(err, ERR_SYSTEM, "the client's key cannot be used: it does not fit the certificate, or needs a password");
	SSL_CTX_set_verify(c->ctx, t->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	return 0;
}

/* What OpenSSL waits for: 0 when it may go on, negative when the time is over or the connection broken. */
static int tls_wait(struct net_conn *c, int ret, int64_t deadline)
{
	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return wait_fd(c->fd, POLLIN, deadline);
	case SSL_ERROR_WANT_WRITE:
		return wait_fd(c->fd, POLLOUT, deadline);
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	default:
		return -EIO;
	}
}

static int tls_connect(struct net_conn *c, const struct net_addr *a, const struct net_tls_conf *t, int64_t deadline, struct err *err)
{
	unsigned char ip[16];
	long v;
	int rc, n;

	if ((rc = tls_context(c, t, err)) < 0)
		return rc;
	c->ssl = SSL_new(c->ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
		return tls_error(err, "tls");
	if (inet_pton(AF_INET, a->host, ip) == 1 || inet_pton(AF_INET6, a->host, ip) == 1) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), a->host);
	} else {
		SSL_set1_host(c->ssl, a->host);
		SSL_set_tlsext_host_name(c->ssl, a->host);
	}
	while ((n = SSL_connect(c->ssl)) != 1) {
		rc = tls_wait(c, n, deadline);
		if (!rc)
			continue;
		v = SSL_get_verify_result(c->ssl);
		if (v != X509_V_OK && !t->skip_verify)
			return err_kind(err, ERR_SYSTEM, "tls: x509: %s", X509_verify_cert_error_string(v));
		if (rc == -ETIMEDOUT)
			return err_sysnum(err, rc, "tls handshake");
		return tls_error(err, "tls handshake");
	}
	return 0;
}

int net_connect(struct net_conn **out, const struct net_addr *a, const struct net_tls_conf *tls, struct err *err)
{
	static const struct net_tls_conf no_conf;
	int64_t deadline = mono_ns() + NET_CONNECT_MS * 1000000LL;
	struct net_conn *c = xcalloc(1, sizeof(*c));
	int rc;

	c->kind = a->kind;
	c->fd = c->pace.diag_fd = c->neigh.fd = -1;
	c->since_ns = mono_ns();
	if (a->kind == NET_UNIX || a->kind == NET_UNIXGRAM)
		rc = connect_unix(c, a, deadline, err);
	else
		rc = connect_inet(c, a, deadline, err);
	if (!rc && a->kind == NET_TLS)
		rc = tls_connect(c, a, tls ? tls : &no_conf, deadline, err);
	if (rc < 0) {
		net_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void net_close(struct net_conn *c)
{
	if (!c)
		return;
	if (c->ssl) {
		if (SSL_is_init_finished(c->ssl))
			SSL_shutdown(c->ssl); /* receivers report its lack as an error */
		SSL_free(c->ssl);
	}
	SSL_CTX_free(c->ctx);
	ERR_clear_error();
	pace_close(&c->pace);
	neigh_close(&c->neigh);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static int tls_write(struct net_conn *c, const char *p, size_t len, int64_t deadline)
{
	int n, rc;

	while (len) {
		n = SSL_write(c->ssl, p, len > 1 << 20 ? 1 << 20 : (int)len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if ((rc = tls_wait(c, n, deadline)) < 0) {
			ERR_clear_error();
			return rc;
		}
	}
	return 0;
}

int net_write(struct net_conn *c, const void *p, size_t len, int timeout_ms)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000000LL;
	const char *s = p;
	ssize_t n;
	int rc;

	if (c->ssl)
		return tls_write(c, p, len, deadline);
	while (len) {
		n = send(c->fd, s, len, MSG_NOSIGNAL);
		if (n >= 0) {
			s += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if ((rc = wait_fd(c->fd, POLLOUT, deadline)) < 0)
			return rc;
	}
	return 0;
}

/* How many of the n datagrams that end at ends[i] may be sent now. */
static int wait_udp(struct net_conn *c, const size_t *ends, size_t n, int timeout_ms)
{
	int rc = neigh_wait(&c->neigh, n, timeout_ms);

	return rc < 0 ? rc : pace_wait(&c->pace, ends, (size_t)rc, timeout_ms);
}

int net_send_gram(struct net_conn *c, const void *head, size_t head_len, const void *body, size_t body_len, int timeout_ms)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000000LL;
	struct iovec iov[2] = { { (void *)head, head_len }, { (void *)body, body_len } };
	struct msghdr mh = { .msg_iov = head_len ? iov : iov + 1, .msg_iovlen = head_len ? 2 : 1 };
	size_t len = head_len + body_len;
	int rc;

	if (c->kind == NET_UDP && (rc = wait_udp(c, &len, 1, timeout_ms)) < 0)
		return rc;
	for (;;) {
		if (sendmsg(c->fd, &mh, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != ENOBUFS)
			return -errno;
		if ((rc = wait_fd(c->fd, POLLOUT, deadline)) < 0)
			return rc;
	}
}

int net_send_grams(struct net_conn *c, const char *p, const size_t *ends, size_t n, int timeout_ms)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000000LL;
	struct mmsghdr mm[64] = { 0 };
	struct iovec iov[64];
	size_t i, at = 0;
	int rc;

	if (c->kind == NET_UDP) {
		if ((rc = wait_udp(c, ends, n < 64 ? n : 64, timeout_ms)) < 0)
			return rc;
		n = (size_t)rc;
	}
	for (i = 0; i < n && i < 64; at = ends[i++]) {
		iov[i] = (struct iovec){ (void *)(uintptr_t)(p + at), ends[i] - at };
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (;;) {
		rc = sendmmsg(c->fd, mm, (unsigned)i, MSG_NOSIGNAL);
		if (rc >= 0)
			return rc;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != ENOBUFS)
			return -errno;
		if ((rc = wait_fd(c->fd, POLLOUT, deadline)) < 0)
			return rc;
	}
}

ssize_t net_read(struct net_conn *c, void *p, size_t len, int timeout_ms)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000000LL;
	ssize_t n;
	int rc;

	for (;;) {
		if (c->ssl) {
			n = SSL_read(c->ssl, p, (int)(len > 65536 ? 65536 : len));
			if (n > 0)
				return n;
			rc = tls_wait(c, (int)n, deadline);
			ERR_clear_error();
			if (rc == -EPIPE)
				return 0;
		} else {
			n = recv(c->fd, p, len, 0);
			if (n >= 0)
				return n;
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				return -errno;
			rc = wait_fd(c->fd, POLLIN, deadline);
		}
		if (rc < 0)
			return rc == -ETIMEDOUT ? -EAGAIN : rc;
	}
}

size_t net_unacked(struct net_conn *c)
{
	int n = 0;

	if (c->kind == NET_UDP || c->kind == NET_UNIXGRAM || ioctl(c->fd, SIOCOUTQ, &n) < 0 || n < 0)
		return 0;
	return (size_t)n;
}

int net_arrives(struct net_conn *c)
{
	return c->kind == NET_UDP ? neigh_arrives(&c->neigh) : 1;
}

void net_doubt(struct net_conn *c)
{
	c->neigh.doubted = c->kind == NET_UDP;
}

bool net_is_far(const struct net_conn *c)
{
	return c->kind == NET_UDP && c->neigh.far;
}

size_t net_unread(struct net_conn *c)
{
	look_at_window(c);
	return (size_t)(c->wnd_max - c->wnd) + (c->wnd_max > WND_FIRST ? c->wnd_max : 0);
}

bool net_is_still(struct net_conn *c)
{
	look_at_window(c);
	return mono_ns() - c->wnd_ns > (c->wnd < c->wnd_max / 2 ? STUCK_NS : STILL_NS);
}

/* Reads what nobody wants: bytes, 0 the end, -errno. */
static ssize_t drain_some(struct net_conn *c)
{
	char sink[4096];
	ssize_t n;

	if (c->ssl) {
		n = SSL_read(c->ssl, sink, sizeof(sink));
		if (n <= 0) {
			n = SSL_get_error(c->ssl, (int)n);
			ERR_clear_error();
			return n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE ? -EAGAIN : n == SSL_ERROR_ZERO_RETURN ? 0 : -EIO;
		}
		return n;
	}
	n = recv(c->fd, sink, sizeof(sink), MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

int net_refused(struct net_conn *c)
{
	socklen_t len = sizeof(int);
	int e = 0;

	return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? -errno : -e;
}

bool net_alive(struct net_conn *c, bool drain)
{
	ssize_t n;
	char b;

	if (drain) {
		n = drain_some(c);
		return n > 0 || n == -EAGAIN || n == -EINTR;
	}
	n = recv(c->fd, &b, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool net_has_ended(struct net_conn *c)
{
	char b[4096];
	ssize_t n;

	do
		n = recv(c->fd, b, sizeof(b), MSG_DONTWAIT);
	while (n > 0);
	return n == 0;
}

bool net_finish(struct net_conn *c, int timeout_ms)
{
	int64_t deadline = mono_ns() + timeout_ms * 1000000LL;
	char b[4096];
	ssize_t n;

	if (c->ssl) {
		(void)SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	if (shutdown(c->fd, SHUT_WR) < 0)
		return false;
	for (;;) {
		if (wait_fd(c->fd, POLLIN, deadline) < 0)
			return false;
		n = recv(c->fd, b, sizeof(b), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return n == 0;
	}
}

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
	return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		      &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool net_has_moved(const struct net_conn *c, const struct net_addr *a)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list = NULL;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	unsigned char ip[16];
	bool found = false;

	if (c->kind == NET_UNIX || c->kind == NET_UNIXGRAM || inet_pton(AF_INET, a->host, ip) == 1 || inet_pton(AF_INET6, a->host, ip) == 1)
		return false;
	if (getpeername(c->fd, (struct sockaddr *)&peer, &len) < 0 || getaddrinfo(a->host, a->port, &hints, &list) != 0)
		return false;
	for (struct addrinfo *ai = list; ai && !found; ai = ai->ai_next)
		found = same_host(ai->ai_addr, (struct sockaddr *)&peer);
	freeaddrinfo(list);
	return !found;
}

void net_adapt(struct net_conn *c, bool grown)
{
	if (c->kind == NET_UDP)
		pace_adapt(&c->pace, grown);
}

int64_t net_since_ns(const struct net_conn *c)
{
	return c->since_ns;
}
