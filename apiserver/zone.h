/* SPDX-License-Identifier: MPL-2.0
 *
 * zone.h - apiserver's side of a zoneadmd (proto/zone.proto).
 *
 * Blocking calls for jobs (each connects, asks, with a deadline), and one watching connection per running zone on the loop, which
 * delivers events to container.c's owner.
 */
#ifndef APISERVER_ZONE_H
#define APISERVER_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct container;
struct zone;

/* ---- worker ---- */
int zone_get_netns(const char *uuid, int *out_fd, struct err *err);
struct zone_started {
	unsigned run;
	int pid;
	int64_t started_ns;
};
int zone_signal(const char *uuid, int signo, struct err *err);
int zone_get_stdin(const char *uuid, int *out_fd, struct err *err);
int zone_close_stdin(const char *uuid, struct err *err);
int zone_resize(const char *uuid, const char *exec_id, unsigned rows, unsigned cols, struct err *err);
int zone_set_policy(const char *uuid, const char *name, unsigned max, bool stopped_by_user, struct err *err);
int zone_shutdown(const char *uuid, struct err *err); /* one that is not running */
struct zone_exec_fds {
	int in, out, err; /* -1 where there is none; tty: in and out are the master */
	int pid;
};
int zone_exec(const char *uuid, const char *exec_id, const char *spec_json, bool tty, bool attach_stdin, bool detach,
	      unsigned rows, unsigned cols, struct zone_exec_fds *out, int *exit_code, struct err *err);
int zone_exec_signal(const char *uuid, const char *exec_id, int signo, struct err *err);

/* A root file system that is not running, mounted privately; helper stays until zone_rootfs_close. */
struct zone_rootfs {
	int root_fd; /* O_PATH */
	int ctl_fd;
	int pid;
};
int zone_rootfs_open(const char *uuid, struct zone_rootfs *out, struct err *err);
void zone_rootfs_close(struct zone_rootfs *z);

/* ---- loop ---- */
struct zone_exit {
	unsigned run;
	int exit_code;
	bool oom_killed, truncated, will_restart;
	int64_t finished_ns;
	bool by_loss; /* no zoneadmd decided about a restart: its end was found, or made, by recovery.c */
	unsigned restart_delay_ms, restart_count;
	char error[512];
};
struct zone_callbacks {
	void (*on_exited)(const char *ct_id, const struct zone_exit *ex);
	void (*on_restarted)(const char *ct_id, const struct zone_started *st, unsigned restart_count);
	void (*on_exec_exited)(const char *ct_id, const char *exec_id, int exit_code);
	void (*on_oom)(const char *ct_id);
	/* The zoneadmd went away without having told an end: killed. */
	void (*on_lost)(const char *ct_id);
};
void zone_set_callbacks(const struct zone_callbacks *cb);
void zone_unwatch(struct container *ct);

#endif
