/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_net.h - a connection of a logger to its sink: tcp, udp, unix, unixgram, TLS; every wait has a deadline. One thread.
 */
#ifndef LOGSVC_SINK_NET_H
#define LOGSVC_SINK_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

enum net_kind { NET_TCP, NET_UDP, NET_TLS, NET_UNIX, NET_UNIXGRAM };

/* Where to; strings are owned. */
struct net_addr {
	enum net_kind kind;
	char *host; /* or the path of a unix socket */
	char *port; /* digits */
};

/* PEM texts, owned, or NULL: the system's CAs, and no certificate of ours. */
struct net_tls_conf {
	char *ca_cert, *cert, *key;
	bool skip_verify;
};

struct net_conn;
#define NET_CONNECT_MS 5000
#define NET_WRITE_MS   10000

/* Resolves the name anew each time. On failure the reason is in err, as Docker words it ("dial tcp 127.0.0.1:1: connect: connection refused"). */
int net_connect(struct net_conn **out, const struct net_addr *a, const struct net_tls_conf *tls, struct err *err);
void net_close(struct net_conn *c); /* TLS: with close_notify; NULL is fine */
/* Writes all (streams) or one datagram. 0 or negative errno. */
int net_write(struct net_conn *c, const void *p, size_t len, int timeout_ms);
int net_send_gram(struct net_conn *c, const void *head, size_t head_len, const void *body, size_t body_len, int timeout_ms);
/* Sends n datagrams that follow one another in p, ending at ends[i]. How many were sent; -errno when the first was not. Of udp no
 * more and no faster than the receiver can take (sink_pace.h), and one only while its host does not answer (sink_neigh.h). */
int net_send_grams(struct net_conn *c, const char *p, const size_t *ends, size_t n, int timeout_ms);
/* Bytes, 0 end, -EAGAIN nothing within the time. */
ssize_t net_read(struct net_conn *c, void *p, size_t len, int timeout_ms);
/* Bytes handed to the kernel that the peer has not acknowledged (SIOCOUTQ), so how far a resend would go; 0 for datagrams. For TLS
 * they are counted in records, more than the caller's bytes. */
size_t net_unacked(struct net_conn *c);
/* Of the datagrams that have been sent: 1 they go to a host that answers for its address, 0 that is not known yet, -EHOSTUNREACH they
 * may be lost. */
int net_arrives(struct net_conn *c);
/* The last connection was refused: of udp the first datagram is given the time to be refused, before others follow. */
void net_doubt(struct net_conn *c);
/* A router is between: that the host is not there it tells only after it has asked for it. */
bool net_is_far(const struct net_conn *c);
/* Bytes that the peer's kernel may hold for its program, from the window that it announces; 0 for datagrams. Once the
 * kernel has enlarged its queue the window does not tell all: then a whole queue is added. */
size_t net_unread(struct net_conn *c);
/* The window has not changed for so long that net_unread is not to be waited for. */
bool net_is_still(struct net_conn *c);
/* What became of earlier datagrams, told once: 0, or -errno as ICMP has it. */
int net_refused(struct net_conn *c);
/* Of streams: false when the peer has closed or reset, seen without waiting. drain: nobody wants what it says. */
bool net_alive(struct net_conn *c, bool drain);
/* The peer has closed in order: it had read all that its kernel has acknowledged. */
bool net_has_ended(struct net_conn *c);
/* Ends our direction and waits for the peer to end its own, which it does when it has read all: true. */
bool net_finish(struct net_conn *c, int timeout_ms);
/* Looks the name up again: true when the address that we are connected to is not among its own any more. */
bool net_has_moved(const struct net_conn *c, const struct net_addr *a);
/* Once in a while, of udp: whether more waits to be sent than before. */
void net_adapt(struct net_conn *c, bool grown);
/* When the connection was made (CLOCK_MONOTONIC). */
int64_t net_since_ns(const struct net_conn *c);

#endif
