/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_sink.c - what the drivers have in common, and what not.
 *
 *	syslog	a stream of framed messages, or one datagram per message
 *	gelf	JSON texts with a NUL behind each (tcp); one compressed datagram or chunks each (udp)
 *	fluentd	PackedForward batches; with fluentd-request-ack each waits for its ack
 *	otlp	HTTP requests, each with its answer (logger_otlp.c)
 *
 * What "the sink has it" means: an ack where the protocol has one; for a stream the peer's kernel has
 * acknowledged the bytes, its window says that they have been read, and the connection is still whole; a datagram is sent to
 * a host that answers for its address, and no refusal came.
 *
 * To extend: a driver is a case in sink_init, sink_add and sink_flush.
 */
#define LOG_MODULE "logger"
#include "logger_sink.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "log_addr.h"
#include "log_files.h"
#include "logger_otlp.h"
#include "str.h"

#define GELF_DEFAULT_LEVEL 1
#define HANDSHAKE_MS	   5000
#define FINISH_MS	   1000

static char hostname[256];

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **attrs_of(const json_t *o)
{
	const char **v = xcalloc(2 * json_object_size(o) + 2, sizeof(*v));
	const char **keys = xcalloc(json_object_size(o) + 1, sizeof(*keys)), *key;
	size_t n = 0, i;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)o, key, value)
		if (json_is_string(value))
			keys[n++] = key;
	qsort(keys, n, sizeof(*keys), by_name);
	for (i = 0; i < n; i++) {
		v[2 * i] = keys[i];
		v[2 * i + 1] = jget_str(o, keys[i], "");
	}
	free(keys);
	return v;
}

static void init_source(struct sink *s, const json_t *conf, int pid)
{
	struct sink_source *src = &s->src;

	if (gethostname(hostname, sizeof(hostname) - 1) < 0)
		str_copy(hostname, sizeof(hostname), "localhost");
	src->container_id = jget_str(conf, "id", "");
	src->container_name = jget_str(conf, "name", "");
	src->image_id = jget_str(conf, "image_id", "");
	src->image_name = jget_str(conf, "image_name", "");
	src->command = jget_str(conf, "command", "");
	src->tag = jget_str(conf, "tag", "");
	src->hostname = hostname;
	src->created_ns = jget_int(conf, "created_ns", 0);
	src->pid = pid;
	s->attrs = attrs_of(jget_obj(conf, "attrs"));
	src->attrs = s->attrs;
}

/* ---- options ---------------------------------------------------------------------------------- */

static bool opt_bool(const json_t *opts, const char *key)
{
	bool b = false;

	(void)parse_bool(jget_str(opts, key, "false"), &b);
	return b;
}

static int set_addr(struct sink *s, const struct log_addr *a, const struct sink_env *env, struct err *err)
{
	static const enum net_kind kinds[] = { [LOG_ADDR_TCP] = NET_TCP,
					       [LOG_ADDR_UDP] = NET_UDP,
					       [LOG_ADDR_TLS] = NET_TLS,
					       [LOG_ADDR_UNIX] = NET_UNIX,
					       [LOG_ADDR_UNIXGRAM] = NET_UNIXGRAM };

	s->addr.kind = kinds[a->kind];
	s->addr.host = xstrdup(a->host);
	s->addr.port = xstrdup(a->port);
	return log_unix_check(env->unix_sockets, a, err);
}

static int read_pem(const json_t *opts, const char *prefix, const char *name, const struct sink_env *env, char **out, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	char option[64];
	int rc;

	(void)!str_fmt(option, sizeof(option), "%s-tls-%s", prefix, name);
	if (str_empty(jget_str(opts, option, NULL)))
		return 0;
	if ((rc = log_tls_read(env->tls_dir, option, jget_str(opts, option, ""), &text, err)) < 0)
		return rc;
	*out = xstrdup(buf_str(&text));
	return 0;
}

static int read_tls(struct sink *s, const json_t *opts, const char *prefix, const struct sink_env *env, struct err *err)
{
	int rc;

	if (s->addr.kind != NET_TLS)
		return 0;
	if ((rc = read_pem(opts, prefix, "ca-cert", env, &s->tls.ca_cert, err)) < 0 ||
	    (rc = read_pem(opts, prefix, "cert", env, &s->tls.cert, err)) < 0 ||
	    (rc = read_pem(opts, prefix, "key", env, &s->tls.key, err)) < 0)
		return rc;
	return 0;
}

static int init_syslog(struct sink *s, const json_t *conf, const struct sink_env *env, struct err *err)
{
	const json_t *opts = jget_obj(conf, "opts");
	int format = syslog_format(jget_str(opts, "syslog-format", ""));
	int facility = syslog_facility(jget_str(opts, "syslog-facility", ""));
	const char *framing = jget_str(opts, "syslog-framing", "");
	struct log_addr addr;
	bool octet;
	int rc;

	if ((rc = log_addr_syslog(jget_str(opts, "syslog-address", ""), &addr, err)) < 0 ||
	    (rc = set_addr(s, &addr, env, err)) < 0 || (rc = read_tls(s, opts, "syslog", env, err)) < 0)
		return rc;
	if (format < 0 || facility < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid syslog options");
	octet = s->addr.kind == NET_TLS && format >= SYSLOG_RFC5424;
	if (framing[0])
		octet = str_eq(framing, "octet") && !sink_is_gram(s);
	s->tls.skip_verify = json_object_get(opts, "syslog-tls-skip-verify") != NULL;
	if (!str_empty(jget_str(conf, "syslog_hostname", NULL)))
		s->src.hostname = jget_str(conf, "syslog_hostname", "");
	syslog_enc_init(&s->syslog, (enum syslog_format)format, facility, octet, &s->src);
	return 0;
}

static int init_gelf(struct sink *s, const json_t *opts, const struct sink_env *env, struct err *err)
{
	const char *type = jget_str(opts, "gelf-compression-type", "gzip");
	int64_t level = GELF_DEFAULT_LEVEL;
	struct log_addr addr;
	int rc;

	if ((rc = log_addr_gelf(jget_str(opts, "gelf-address", ""), &addr, err)) < 0 || (rc = set_addr(s, &addr, env, err)) < 0)
		return rc;
	(void)parse_i64(jget_str(opts, "gelf-compression-level", "1"), -1, 9, &level);
	s->level = (int)level;
	s->compression = str_eq(type, "none") ? GELF_NONE : str_eq(type, "zlib") ? GELF_ZLIB : GELF_GZIP;
	if (s->addr.kind != NET_UDP)
		s->compression = GELF_NONE;
	gelf_enc_init(&s->gelf, &s->src);
	return 0;
}

static int init_fluentd(struct sink *s, const json_t *opts, const struct sink_env *env, struct err *err)
{
	struct log_addr addr;
	int rc;

	if ((rc = log_addr_fluentd(jget_str(opts, "fluentd-address", ""), &addr, err)) < 0 ||
	    (rc = set_addr(s, &addr, env, err)) < 0 || (rc = read_tls(s, opts, "fluentd", env, err)) < 0)
		return rc;
	s->want_ack = opt_bool(opts, "fluentd-request-ack");
	s->shared_key = jget_str(opts, "fluentd-shared-key", NULL);
	fluentd_enc_init(&s->fluentd, opt_bool(opts, "fluentd-sub-second-precision"), &s->src);
	return 0;
}

static int init_otlp(struct sink *s, const json_t *conf, const struct sink_env *env, struct err *err)
{
	const json_t *opts = jget_obj(conf, "opts");
	struct log_addr addr;
	cleanup_free char *url = NULL;
	int rc;

	if ((rc = log_addr_otlp(jget_str(opts, "otlp-endpoint", ""), &addr, &url, err)) < 0 ||
	    (rc = set_addr(s, &addr, env, err)) < 0 || (rc = read_tls(s, opts, "otlp", env, err)) < 0)
		return rc;
	s->want_ack = true;
	s->otlp = otlp_sink_new(conf, &s->src, &s->tls, err);
	return s->otlp ? 0 : err->code;
}

int sink_init(struct sink *s, const json_t *conf, const struct sink_env *env, struct err *err)
{
	const char *driver = jget_str(conf, "driver", "");
	const json_t *opts = jget_obj(conf, "opts");

	memset(s, 0, sizeof(*s));
	init_source(s, conf, env->pid);
	policy_read(&s->policy, driver, opts);
	if (str_eq(driver, "syslog")) {
		s->driver = SINK_SYSLOG;
		return init_syslog(s, conf, env, err);
	}
	if (str_eq(driver, "gelf")) {
		s->driver = SINK_GELF;
		return init_gelf(s, opts, env, err);
	}
	if (str_eq(driver, "fluentd")) {
		s->driver = SINK_FLUENTD;
		return init_fluentd(s, opts, env, err);
	}
	if (str_eq(driver, "otlp")) {
		s->driver = SINK_OTLP;
		return init_otlp(s, conf, env, err);
	}
	return err_kind(err, ERR_BAD_PARAM, "driver %s does not forward", driver);
}

/* ---- the connection --------------------------------------------------------------------------- */

/* Reads until parse knows: it returns -EAGAIN for more. */
static int converse(struct sink *s, char *in, size_t room, size_t *len, struct err *err)
{
	ssize_t n = *len < room ? net_read(s->conn, in + *len, room - *len, HANDSHAKE_MS) : -EMSGSIZE;

	if (n <= 0)
		return err_sysnum(err, n ? (int)n : -EPIPE, "fluentd handshake");
	*len += (size_t)n;
	return 0;
}

static int handshake(struct sink *s, struct err *err)
{
	char in[4096], nonce[64], salt[17];
	unsigned char raw[8];
	size_t len = 0, nonce_len = 0;
	int rc;

	while ((rc = fluentd_helo(in, len, nonce, &nonce_len)) == -EAGAIN)
		if ((rc = converse(s, in, sizeof(in), &len, err)) < 0)
			return rc;
	if (rc < 0)
		return err_kind(err, ERR_SYSTEM, "the server's greeting is not Fluentd's protocol");
	random_bytes(raw, sizeof(raw));
	hex_encode(salt, raw, sizeof(raw)); /* some servers take it for text */
	buf_reset(&s->out);
	fluentd_ping(s->src.hostname, s->shared_key, nonce, nonce_len, salt, &s->out);
	if ((rc = net_write(s->conn, s->out.p, s->out.len, s->policy.write_ms)) < 0)
		return err_sysnum(err, rc, "fluentd handshake");
	len = 0;
	while ((rc = fluentd_pong(in, len, err)) == -EAGAIN)
		if ((rc = converse(s, in, sizeof(in), &len, err)) < 0)
			return rc;
	return rc;
}

int sink_connect(struct sink *s, struct err *err)
{
	int rc;

	sink_close(s);
	s->written = s->acked = 0;
	if (s->driver == SINK_OTLP)
		return 0; /* the first request connects */
	if ((rc = net_connect(&s->conn, &s->addr, &s->tls, err)) < 0)
		return rc;
	if (s->driver == SINK_FLUENTD && s->shared_key && (rc = handshake(s, err)) < 0) {
		sink_close(s);
		return rc;
	}
	return 0;
}

void sink_close(struct sink *s)
{
	net_close(take_ptr(&s->conn));
	if (s->otlp)
		otlp_sink_close(s->otlp);
	buf_reset(&s->batch);
	s->n = 0;
}

bool sink_is_gram(const struct sink *s)
{
	return s->addr.kind == NET_UDP || s->addr.kind == NET_UNIXGRAM;
}

int64_t sink_accepted(struct sink *s)
{
	size_t unacked, unread;
	int refused;

	if (s->driver == SINK_OTLP)
		return (int64_t)s->written;
	if (s->driver == SINK_FLUENTD && s->want_ack)
		return net_alive(s->conn, false) ? (int64_t)s->written : -EPIPE;
	if (sink_is_gram(s))
		return (refused = net_refused(s->conn)) < 0 ? refused : (int64_t)s->written;
	unacked = net_unacked(s->conn); /* before the look: a reset empties the queue */
	if (!net_alive(s->conn, true))
		return -EPIPE;
	s->acked = unacked >= s->written ? 0 : s->written - unacked;
	unread = net_is_still(s->conn) ? 0 : net_unread(s->conn);
	return unread >= s->acked ? 0 : (int64_t)(s->acked - unread);
}

int sink_arrives(struct sink *s)
{
	return s->conn ? net_arrives(s->conn) : 1;
}

void sink_doubt(struct sink *s)
{
	if (s->conn)
		net_doubt(s->conn);
}

bool sink_is_far(const struct sink *s)
{
	return s->conn && net_is_far(s->conn);
}

int64_t sink_certain(struct sink *s)
{
	size_t unread;

	if (!s->conn || s->want_ack || sink_is_gram(s) || net_has_ended(s->conn))
		return INT64_MAX;
	unread = net_unread(s->conn);
	return unread >= s->acked ? 0 : (int64_t)(s->acked - unread);
}

bool sink_finish(struct sink *s)
{
	return s->conn && !sink_is_gram(s) && net_finish(s->conn, FINISH_MS);
}

bool sink_has_moved(const struct sink *s)
{
	return s->conn && net_has_moved(s->conn, &s->addr);
}

void sink_adapt(struct sink *s, bool grown)
{
	if (s->conn)
		net_adapt(s->conn, grown);
}

bool sink_has_read(const struct sink *s)
{
	return s->conn && !s->want_ack && !sink_is_gram(s) && net_has_ended(s->conn);
}

/* ---- batches ---------------------------------------------------------------------------------- */

void sink_add(struct sink *s, const struct sink_msg *m)
{
	size_t before = s->batch.len;

	if (s->driver == SINK_OTLP) {
		otlp_sink_add(s->otlp, m);
		s->n++;
		return;
	}
	switch (s->driver) {
	case SINK_SYSLOG:
		syslog_encode(&s->syslog, m, &s->batch);
		break;
	case SINK_FLUENTD:
		fluentd_entry(&s->fluentd, m, &s->batch);
		break;
	case SINK_GELF:
		if (s->compression == GELF_NONE) {
			gelf_encode(&s->gelf, m, &s->batch);
		} else if (m->len) {
			buf_reset(&s->out);
			gelf_encode(&s->gelf, m, &s->out);
			(void)gelf_compress(s->compression, s->level, s->out.p, s->out.len, &s->batch);
		}
		if (!sink_is_gram(s) && s->batch.len > before)
			buf_addch(&s->batch, '\0');
		break;
	case SINK_OTLP:
		break;
	}
	if (s->batch.len > before)
		s->ends[s->n++] = s->batch.len;
}

bool sink_full(const struct sink *s)
{
	if (s->driver == SINK_OTLP)
		return s->n >= SINK_BATCH_LINES || otlp_sink_bytes(s->otlp) >= SINK_OTLP_BYTES;
	return s->n >= SINK_BATCH_LINES || s->batch.len >= SINK_BATCH_BYTES - 4096;
}

static int send_gram(void *arg, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct sink *s = arg;

	return net_send_gram(s->conn, head, head_len, body, body_len, s->policy.write_ms);
}

/* The datagrams of batch from message i on; ends relative to the first one's begin. */
static int send_some(struct sink *s, size_t i)
{
	size_t at = i ? s->ends[i - 1] : 0, ends[64], n;

	if (s->driver == SINK_GELF && s->ends[i] - at > GELF_PLAIN_MAX) {
		int rc = gelf_datagrams(s->batch.p + at, s->ends[i] - at, send_gram, s);

		return rc < 0 ? rc : 1;
	}
	for (n = 0; n < ARRAY_SIZE(ends) && i + n < s->n; n++) {
		ends[n] = s->ends[i + n] - at;
		if (s->driver == SINK_GELF && ends[n] - (n ? ends[n - 1] : 0) > GELF_PLAIN_MAX)
			break;
	}
	return net_send_grams(s->conn, s->batch.p + at, ends, n, s->policy.write_ms);
}

static void refuse(struct sink *s, size_t i)
{
	size_t len = s->ends[i] - (i ? s->ends[i - 1] : 0);

	s->refused++;
	s->refused_bytes += len;
	log_warn("message too large for a datagram", "bytes=%zu", len);
}

/* EMSGSIZE may also be news of an earlier datagram, from a router (IP_RECVERR): only what is told so twice is too large. */
static int flush_grams(struct sink *s)
{
	bool again = false;
	int rc;

	for (size_t i = 0; i < s->n; i += (size_t)rc) {
		rc = send_some(s, i);
		if (rc < 0 && rc != -EMSGSIZE)
			return rc;
		if (rc < 0 && again)
			refuse(s, i);
		if (rc < 0)
			rc = again;
		again = !rc;
	}
	s->written += s->batch.len;
	return 0;
}

static int wait_ack(struct sink *s, const char *chunk, struct err *err)
{
	char in[1024];
	size_t len = 0;
	ssize_t n;
	int rc;

	for (;;) {
		n = net_read(s->conn, in + len, sizeof(in) - len, s->policy.read_ms);
		if (n <= 0)
			return err_sysnum(err, n == -EAGAIN ? -ETIMEDOUT : n ? (int)n : -EPIPE, "fluentd ack");
		len += (size_t)n;
		rc = fluentd_ack(in, len, chunk);
		if (rc > 0)
			return 0;
		if (rc < 0 || len == sizeof(in))
			return err_sysnum(err, -EPROTO, "fluentd ack");
	}
}

static int flush_fluentd(struct sink *s, struct err *err)
{
	unsigned char raw[16];
	char chunk[28];
	int rc;

	if (s->want_ack) {
		random_bytes(raw, sizeof(raw));
		EVP_EncodeBlock((unsigned char *)chunk, raw, sizeof(raw));
	}
	buf_reset(&s->out);
	fluentd_pack(&s->fluentd, &s->batch, s->n, s->want_ack ? chunk : NULL, &s->out);
	if ((rc = net_write(s->conn, s->out.p, s->out.len, s->policy.write_ms)) < 0)
		return err_sysnum(err, rc, "write to %s:%s", s->addr.host, s->addr.port);
	s->written += s->out.len;
	return s->want_ack ? wait_ack(s, chunk, err) : 0;
}

static int flush_otlp(struct sink *s, struct err *err)
{
	struct otlp_result got;
	int rc = otlp_sink_flush(s->otlp, &got, err);

	if (rc == 0)
		s->written += s->n;
	s->refused += got.refused;
	s->refused_bytes += got.refused_bytes;
	s->retry_after_ms = got.retry_after_ms;
	return rc;
}

int sink_flush(struct sink *s, struct err *err)
{
	int rc = 0;

	if (!s->n)
		return 0;
	if (s->driver == SINK_OTLP) {
		rc = flush_otlp(s, err);
	} else if (s->driver == SINK_FLUENTD) {
		rc = flush_fluentd(s, err);
	} else {
		if (sink_is_gram(s)) {
			rc = flush_grams(s);
		} else if ((rc = net_write(s->conn, s->batch.p, s->batch.len, s->policy.write_ms)) == 0) {
			s->written += s->batch.len;
		}
		if (rc < 0)
			err_sysnum(err, rc, "write to %s:%s", s->addr.host, s->addr.port);
	}
	buf_reset(&s->batch);
	s->n = 0;
	return rc < 0 ? rc : 0;
}
