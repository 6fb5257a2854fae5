/* SPDX-License-Identifier: MPL-2.0
 *
 * logclient.h - apiserver's side of logsvc (proto/logsvc.proto), and the supervision of the daemon itself: started when nobody
 * answers on its socket, started again within milliseconds when it dies.
 */
#ifndef APISERVER_LOGCLIENT_H
#define APISERVER_LOGCLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* loop */
int logclient_init(struct err *err); /* starts or finds logsvc; watches it */
void logclient_fini(bool stop_daemon);
/* Called when a zone that has ended has no logger any more. */
void logclient_on_settled(void (*fn)(const char *uuid));

/* worker; each with a deadline, retried over a restart of logsvc */
int logclient_open(const char *uuid, struct err *err);
struct log_read_opts {
	bool out, err, timestamps, details, follow;
	int64_t tail; /* < 0 all */
	int64_t since_ns, until_ns;
};
/* *out_fd: read end of a pipe with Docker's frames (raw for a tty). */
int logclient_read(const char *uuid, const struct log_read_opts *o, int *out_fd, struct err *err);
int logclient_attach(const char *uuid, bool out, bool err_stream, bool replay, bool stream, int *out_fd, struct err *err);
int logclient_reconfigure(const char *uuid, struct err *err);
int logclient_remove(const char *uuid, struct err *err);
/* After logclient_remove: logsvc keeps the log until it is delivered, and then removes the zone's folders. */
bool logclient_keeps(const char *uuid);
/* Tells it the service metadata as it is now; each connect of the supervisor does so as well. */
int logclient_set_defaults(struct err *err);
struct log_usage {
	char uuid[37];
	char driver[32];
	int64_t bytes;
	unsigned files;
	uint64_t lines, lines_bytes, rotations, dropped, lost, errors; /* since it captures the zone */
	bool forwards; /* and how far that is behind: */
	bool connected;
	int64_t behind_bytes, behind_lines; /* lines: -1 when they are not counted */
	uint64_t delivered;
	uint64_t archived, archive_failures, unstored; /* files in the object store; attempts; files that went without */
	unsigned archive_pending; /* rotated files that are not in the store */
};
#define LOG_LATENCY_MAX 32
/* How long output waited until it was in its log: counts by upper bound, the last beyond all. */
struct log_latency {
	unsigned n; /* bounds; 0: not known */
	int64_t bound_ns[LOG_LATENCY_MAX], sum_ns;
	uint64_t count[LOG_LATENCY_MAX + 1];
};
/* "" is all; *out is owned. latency may be NULL. */
int logclient_usage(const char *uuid, struct log_usage **out, unsigned *n, struct log_latency *latency, struct err *err);
/* The zone has a logger that goes on, or logsvc does not say in time. *netns_fd (the caller's) is the network that it
 * works in, -1: not known. */
bool logclient_is_pending(const char *uuid, int *netns_fd);
/* After logclient_open, before the zone's start: waits until the log driver's sink is reached. Its reason in err. */
int logclient_forward_connect(const char *uuid, struct err *err);

#endif
