/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_sink.h - one sink: the driver's encoder, its options, its connection, and a batch in the
 * making. One thread.
 */
#ifndef LOGSVC_LOGGER_SINK_H
#define LOGSVC_LOGGER_SINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "logger_policy.h"
#include "sink_fluentd.h"
#include "sink_gelf.h"
#include "sink_msg.h"
#include "sink_net.h"
#include "sink_syslog.h"

#define SINK_BATCH_BYTES (64 * 1024)
#define SINK_OTLP_BYTES	 (128 * 1024) /* a request, before it is compressed */
#define SINK_BATCH_LINES 1024

enum sink_driver { SINK_SYSLOG, SINK_FLUENTD, SINK_GELF, SINK_OTLP };

struct otlp_sink;

/* What the operator lets a sink use, and what it says. */
struct sink_env {
	int pid; /* of the zone's first process */
	const char *tls_dir, *unix_sockets; /* log_files.h */
};

struct sink {
	enum sink_driver driver;
	struct sink_source src;
	const char **attrs;
	struct net_addr addr;
	struct net_tls_conf tls;
	struct net_conn *conn;
	struct syslog_enc syslog;
	struct gelf_enc gelf;
	enum gelf_compression compression;
	int level;
	struct fluentd_enc fluentd;
	bool want_ack;
	struct sink_policy policy;
	const char *shared_key;
	struct otlp_sink *otlp;
	struct buf batch, out; /* encoded messages; scratch */
	size_t ends[SINK_BATCH_LINES]; /* of datagrams in batch */
	size_t n; /* messages in batch */
	uint64_t written; /* bytes since the connection was made */
	uint64_t acked;	  /* of them by the peer's kernel, when last seen alive */
	uint64_t refused;   /* messages that the sink will never take; the reader sets it back ... */
	uint64_t refused_bytes; /* ... and what is known of their text */
	int retry_after_ms; /* the sink does not want to hear from us before; the reader sets it back */
};

/* conf is log.json's, and kept as long as the sink. Reads certificates and keys: before rights are given up. */
int sink_init(struct sink *s, const json_t *conf, const struct sink_env *env, struct err *err);
int sink_connect(struct sink *s, struct err *err);
void sink_close(struct sink *s); /* and forgets the batch */
bool sink_is_gram(const struct sink *s);
void sink_add(struct sink *s, const struct sink_msg *m);
bool sink_full(const struct sink *s);
/* Sends the batch. 0, or -errno: the connection is of no use any more. */
int sink_flush(struct sink *s, struct err *err);
/* Bytes of written that the sink has; -errno: the connection is broken. */
int64_t sink_accepted(struct sink *s);
/* Of datagrams, as net_arrives, net_doubt and net_is_far have it. */
int sink_arrives(struct sink *s);
void sink_doubt(struct sink *s);
bool sink_is_far(const struct sink *s);
/* Of a broken connection: bytes of written that cannot have been lost in the peer's receive queue. */
int64_t sink_certain(struct sink *s);
/* No more is sent over this connection: true when the sink says, by closing it, that it has read all. */
bool sink_finish(struct sink *s);
/* Its name leads elsewhere than where we are connected; false also when it cannot be looked up. */
bool sink_has_moved(const struct sink *s);
/* Once in a while: whether more waits than before. */
void sink_adapt(struct sink *s, bool grown);
/* The connection has ended in order: its program had read all of acked. */
bool sink_has_read(const struct sink *s);

#endif
