/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_pace.h - how fast datagrams are sent, so that their receiver loses none of them unseen. One thread.
 */
#ifndef LOGSVC_SINK_PACE_H
#define LOGSVC_SINK_PACE_H

#include <linux/inet_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a receive buffer, what one datagram of len bytes takes there: the kernel's own data beside it. */
#define PACE_CHARGE(len) (768 + (int64_t)(len) + (int64_t)(len) / 2)
#define PACE_BURST	 (106496)	 /* half the usual receive buffer (net.core.rmem_default) */
#define PACE_RATE	 (1000LL * PACE_BURST) /* a second: the receiver may be away for a millisecond */
#define PACE_RATE_MAX	 (64 * PACE_RATE)

struct pace {
	int diag_fd; /* sock_diag(7); -1: the receiver is not on this network stack, or cannot be looked at */
	struct inet_diag_req_v2 receiver;
	int64_t look_ns;  /* not to be looked for before */
	unsigned unfilled; /* looks in a row that found its queue empty */
	int64_t room;	  /* what may be sent before the next look */
	int64_t rate;	  /* a second, to a receiver that is not seen */
	int64_t filled_ns; /* up to when rate has been used */
	bool limited;	  /* since pace_adapt, by rate */
};

/* udp_fd is connected, and not kept. */
void pace_open(struct pace *p, int udp_fd);
void pace_close(struct pace *p);
/* Waits until the first of n datagrams, which end at ends[i], may be sent: how many of them may at once. -ETIMEDOUT: its program
 * has not read for timeout_ms. */
int pace_wait(struct pace *p, const size_t *ends, size_t n, int timeout_ms);
/* Once in a while: a receiver that is not seen is sent more per second when more waits than before, and less when less was needed. */
void pace_adapt(struct pace *p, bool grown);

#endif
