/* SPDX-License-Identifier: MPL-2.0
 *
 * zone.h - the one zone of this zoneadmd: its state, its runs, its execs, its terminal, and how its
 * clients hear of it. One thread; all functions are for the event loop.
 */
#ifndef DOCKERINIT_ZONE_H
#define DOCKERINIT_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "err.h"
#include "restart.h"
#include "zone.pb-c.h"

/*	  start          exec()ed        first process died     drained
 *  IDLE ------> LAUNCHING ------> RUNNING ----------> DRAINING ------> ENDED
 *                  |  ^                                  |
 *                  |  +------------- BACKOFF <-----------+ by policy
 *                  +--> ENDED: the start failed
 */
enum phase {
	PHASE_IDLE,
	PHASE_LAUNCHING,
	PHASE_RUNNING,
	PHASE_DRAINING,
	PHASE_BACKOFF,
	PHASE_ENDED
};

struct zone {
	char uuid[37];
	char id[65];
	char *dir;	   /* <zones>/UUID */
	char *run_dir;	   /* <run>/zones/UUID */
	int run_dir_fd;	   /* short socket paths: /proc/PID/fd/N/name */
	int oom_score_own; /* what we were given; children get it back */
	int init_fd;	   /* dockerinit, read-only mount: for execs */
	int netns_fd;	   /* -1 without private_netns */

	/* from zone.json, read at each start */
	char *cgroup;
	char *runtime_state; /* <runtime_root>/<id> */
	bool tty;
	int oom_score_adj;

	enum phase phase;
	uint32_t run;	      /* counts from 1; 0 before the first */
	uint32_t drained_run; /* the last that logsvc has told */
	pid_t init_pid;	      /* 0: none */
	int init_pidfd;
	int mnt_fd; /* its mount namespace */
	int64_t started_ns, started_mono_ns;
	struct rlimit limits[RLIM_NLIMITS]; /* of the first process, for execs */
	bool has_limits;
	bool frozen;
	struct restart restart;

	int ring_fd;	  /* memfd, for logsvc */
	int out_r, err_r; /* kept until the run is drained */
	int out_w, err_w; /* until the runtime has them; a tty's out_w until the end */
	int in_w;	  /* -1: no stdin */

	/* the last end */
	bool has_exit;
	int32_t exit_code;
	bool oom_killed, truncated, will_restart;
	int64_t finished_ns;
	uint32_t exit_run, restart_delay_ms;
	char *exit_error;
};

/* Where an answer goes. */
struct asker {
	uint64_t conn; /* 0: nobody */
	uint64_t seq;
};

/* zone_run.c */
void zone_run_start(struct zone *z, struct asker who);
void zone_run_on_child(struct zone *z, pid_t pid, int status); /* any child that was reaped */
int zone_run_open_metadata(struct zone *z, struct err *err);
/* How many of the run's processes were killed so far; sends the event for what is new. */
int64_t zone_run_look_for_oom(struct zone *z);
void zone_run_unwatch(void); /* no more live out-of-memory events */

/* zone_exit.c */
void zone_exit_begin(struct zone *z, int status); /* the first process has died */
void zone_exit_check(struct zone *z); /* something that the end waits for has happened */
void zone_exit_drained(struct zone *z, uint32_t run);
void zone_exit_set_policy(struct zone *z, const Zone__SetPolicy *p);
int zone_exit_shutdown(struct zone *z, struct err *err);
void zone_exit_fill(const struct zone *z, Zone__Exited *e);
void zone_exit_final(struct zone *z); /* files away, loop ended */
void zone_write_state(const struct zone *z);
void zone_close(int *fd);

/* zone_tty.c */
int zone_tty_listen(struct zone *z, char path[64], struct err *err); /* console socket */
void zone_tty_settle(void); /* the runtime is done: take what it sent */
int zone_tty_master(void);  /* -1: none (yet) */
void zone_tty_own(uint32_t uid);
int zone_tty_resize(int master, uint32_t rows, uint32_t cols);
void zone_tty_hangup(void); /* the first process is dead: drain to the end, then close out_w */
bool zone_tty_is_done(void);
void zone_tty_reset(void);

/* zone_exec.c */
/* spec_fd: where the spec is when it is not in e; borrowed. */
void zone_exec_start(struct zone *z, const Zone__Exec *e, int spec_fd, struct asker who);
bool zone_exec_on_child(struct zone *z, pid_t pid, int status); /* false: not an exec's */
int zone_exec_signal(const char *id, int signo, struct err *err);
int zone_exec_resize(const char *id, uint32_t rows, uint32_t cols, struct err *err);

/* zone_ctl.c */
int zone_ctl_listen(struct zone *z, struct err *err);
/* Sends to the asker if it is still there; descriptors stay the caller's. */
void zone_ctl_reply(struct asker who, Zone__Message *m, const int *fds, size_t n_fds);
void zone_ctl_fail(struct asker who, const struct err *err, int exit_code);
void zone_ctl_event(Zone__Message *m); /* to all that want events */
void zone_ctl_run(struct zone *z);     /* the new run's ends, to those that asked for stdio */

/* zone_child.c: in a child, before it executes something */
void zone_child_prepare(const struct zone *z,
			int oom_score); /* signals, oom score, session keyring */

#endif
