/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_rpc.h - a connection to one zoneadmd: blocking calls with deadlines (worker), and its
 * hand-over to the watcher of zone.c (loop).
 */
#ifndef APISERVER_ZONE_RPC_H
#define APISERVER_ZONE_RPC_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "apiserver/zone.h"
#include "err.h"
#include "zone.pb-c.h"

struct zone_event { /* an event that came while a call waited for its reply */
	struct zone_event *next;
	Zone__Message *msg;
};

struct zone_conn {
	int fd;
	pid_t pid; /* of the zoneadmd */
	uint64_t seq;
	struct zone_event *events, **events_end;
};

/* The code of an error that means: no zoneadmd is there, its zone does not run. */
#define ZONE_GONE (-ESRCH)

/* What a zoneadmd says of its zone. */
struct zone_state {
	enum { ZS_CREATED, ZS_RUNNING, ZS_DRAINING, ZS_RESTARTING, ZS_EXITED } status;
	unsigned run, restart_count;
	int pid;
	int64_t started_ns;
	bool has_exit;
	struct zone_exit last_exit;
};

/* worker (or before the loop runs). With events: the connection also gets the zone's events, and is
 * worth handing to zone_watch_conn; *state, which may be NULL, is filled then. A zone without a
 * zoneadmd is ERR_UNAVAILABLE, code ZONE_GONE. */
int zone_connect(const char *uuid, bool events, struct zone_state *state, struct zone_conn **out,
		 struct err *err);
void zone_conn_close(struct zone_conn *c); /* NULL is fine */
static inline void zone_conn_closep(struct zone_conn **c)
{
	zone_conn_close(*c);
}
#define cleanup_zone_conn __attribute__((cleanup(zone_conn_closep)))

int zone_conn_netns(struct zone_conn *c, int *out_fd, struct err *err);
/* Runs the user's process. On failure *exit_code is 125, 126 or 127 where the start has such a status, else 0. */
int zone_conn_start(struct zone_conn *c, struct zone_started *out, int *exit_code, struct err *err);

/* posix_spawns zoneadmd, and waits until its socket is up, in two steps, so that other work fits between them. */
struct zone_spawning {
	pid_t pid;
	int ready_fd;
};
#define ZONE_SPAWNING_INIT                                                                         \
	{                                                                                          \
		.pid = 0, .ready_fd = -1                                                           \
	}
int zone_spawn_begin(const char *uuid, struct zone_spawning *sp, struct err *err);
int zone_spawn_wait(struct zone_spawning *sp, struct err *err);
void zone_spawn_abort(struct zone_spawning *sp); /* not waited for: killed and reaped */

int zone_freeze_note(const char *uuid, bool frozen, struct err *err);

/* Fills *out from a message's Exited. */
void zone_exit_from_pb(struct zone_exit *out, const Zone__Exited *ex);

/* loop */
/* Watches over an open connection, which is taken; events that it has already read come first. */
void zone_watch_conn(struct container *ct, struct zone_conn *c);
void zone_mark_ended(
	struct zone *z); /* its last exit is known: the end of the connection is no loss */
/* A descriptor that shows POLLHUP when the zoneadmd has ended; -1 when there is none. The caller's.
 */
int zone_end_fd(const struct zone *z);
/* Worker: waits for that, at most timeout_ms. 0 or -ETIMEDOUT. fd may be -1. */
int zone_wait_end(int fd, int timeout_ms);

#endif
