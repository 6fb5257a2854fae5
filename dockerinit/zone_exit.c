/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_exit.c - the end of a run, and of the zone.
 *
 * 1. The first process has been reaped: the exit is on disk at once (exit.json; not synced: a
 * machine that stops takes the run with it), the cgroup and the runtime's state are removed.
 * 2. logsvc tells that every byte is in the log (Drained), or nothing can be lost: then Exited is
 *    sent. After ten seconds it is sent all the same, with truncated set; but the pipes stay open,
 * so that nothing is lost when logsvc comes back, and a restart waits for it.
 * 3. The zone runs again after its delay, or zoneadmd ends. The run directory keeps exit.json.
 *
 * We hold the zone's mount namespace until Exited is sent: else its last process would have to
 * unmount the overlay before it can be reaped, and that syncs the upper layer's file system.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "jw.h"
#include "loop.h"
#include "str.h"
#include "zone.h"
#include "zone_cgroup.h"

#define LOG_MODULE "exit"
#include "log.h"

#define DRAIN_MS     10000
#define CGROUP_MS    5 /* between attempts to remove it */
#define CGROUP_TRIES 400

static struct {
	struct zone *z;
	bool recorded; /* step 1 is done */
	bool cgroup_gone;
	bool reported; /* Exited was sent */
	int tries;
	struct timer drain, cgroup, restart;
} x;

void zone_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- records ------------------------------------------------------------------------------- */

static const char *phase_name(const struct zone *z)
{
	static const char *const names[] = {
		[PHASE_IDLE] = "created",	[PHASE_LAUNCHING] = "starting",
		[PHASE_RUNNING] = "running",	[PHASE_DRAINING] = "draining",
		[PHASE_BACKOFF] = "restarting", [PHASE_ENDED] = "exited",
	};

	return names[z->phase];
}

void zone_write_state(const struct zone *z)
{
	cleanup_free char *path = xasprintf("%s/state.json", z->run_dir);
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	struct err err;

	jw_obj(&w, NULL);
	jw_int(&w, "zoneadmd", getpid());
	jw_int(&w, "pid", z->init_pid);
	jw_uint(&w, "run", z->run);
	jw_int(&w, "started_ns", z->started_ns);
	jw_uint(&w, "restart_count", z->restart.count);
	jw_str(&w, "cgroup", z->cgroup);
	jw_str(&w, "runtime_state", z->runtime_state);
	jw_str(&w, "status", phase_name(z));
	jw_end(&w);
	if (fs_write_replace(path, b.p, b.len, 0600, &err) < 0)
		log_warn("state not written", "error=%s", log_q(err.msg));
}

static void write_exit(const struct zone *z)
{
	cleanup_free char *in_run = xasprintf("%s/exit.json", z->run_dir);
	cleanup_free char *in_zone = xasprintf("%s/config/exit.json", z->dir);
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	struct err err;

	jw_obj(&w, NULL);
	jw_uint(&w, "run", z->exit_run);
	jw_int(&w, "exit_code", z->exit_code);
	jw_bool(&w, "oom_killed", z->oom_killed);
	jw_int(&w, "started_ns", z->started_ns);
	jw_int(&w, "finished_ns", z->finished_ns);
	jw_uint(&w, "restart_count", z->restart.count);
	jw_bool(&w, "will_restart", z->will_restart);
	jw_bool(&w, "truncated", z->truncated);
	jw_str(&w, "error", z->exit_error ? z->exit_error : "");
	jw_end(&w);
	/* a rename over an old file would make some file systems write it out at once */
	unlink(in_zone);
	if (fs_write_replace(in_run, b.p, b.len, 0600, &err) < 0 ||
	    fs_write_replace(in_zone, b.p, b.len, 0600, &err) < 0)
		log_warn("exit not written", "error=%s", log_q(err.msg));
}

void zone_exit_fill(const struct zone *z, Zone__Exited *e)
{
	e->run = z->exit_run;
	e->exit_code = z->exit_code;
	e->oom_killed = z->oom_killed;
	e->finished_ns = z->finished_ns;
	e->truncated = z->truncated;
	e->will_restart = z->will_restart;
	e->restart_delay_ms = z->restart_delay_ms;
	e->restart_count = z->restart.count;
	e->error = z->exit_error ? z->exit_error : (char *)protobuf_c_empty_string;
}

/* Before the last message: whoever gets it may start the zone again, with a zoneadmd that makes the
 * same files. From then on this one touches nothing on disk. */
static void remove_files(const struct zone *z)
{
	static const char *const files[] = { "zoneadmd.sock",
					     "pid",
					     "netns",
					     "state.json",
					     "runtime.log",
					     "init.pid",
					     "zonecontrol/metadata.sock" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(z->run_dir_fd, files[i], 0);
	unlinkat(z->run_dir_fd, "zonecontrol", AT_REMOVEDIR);
}

static void send_exited(struct zone *z)
{
	Zone__Exited e = ZONE__EXITED__INIT;
	Zone__Message m = ZONE__MESSAGE__INIT;

	zone_exit_fill(z, &e);
	m.body_case = ZONE__MESSAGE__BODY_EXITED;
	m.exited = &e;
	zone_ctl_event(&m);
	x.reported = true;
}

/* ---- what the end waits for ---------------------------------------------------------------- */

/* By poll: whoever holds the pipe's lock (splice(2)) would make FIONREAD wait. */
static bool unread(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* logsvc said so; or it never took this zone on and there is nothing to take. */
static bool is_drained(const struct zone *z)
{
	struct stat st;

	if (z->drained_run == z->run)
		return true;
	return fstat(z->ring_fd, &st) == 0 && st.st_size == 0 && !unread(z->out_r) &&
	       !unread(z->err_r);
}

static void finish(struct zone *z)
{
	timer_stop(&x.drain);
	timer_stop(&x.cgroup);
	zone_tty_reset();
	zone_close(&z->out_w);
	zone_close(&z->out_r);
	zone_close(&z->err_r);
	if (z->will_restart) {
		z->phase = PHASE_BACKOFF;
		zone_write_state(z);
		timer_set(&x.restart, x.reported ? 0 : z->restart_delay_ms);
	} else {
		zone_exit_final(z);
	}
	if (!x.reported)
		send_exited(z);
	/* now the zone's file systems are unmounted, which can take as long as a sync(2) */
	zone_close(&z->mnt_fd);
}

void zone_exit_check(struct zone *z)
{
	if (z->phase != PHASE_DRAINING || !x.recorded)
		return;
	if (!x.cgroup_gone) {
		x.cgroup_gone = zone_cgroup_remove(z->cgroup) == 0 || ++x.tries > CGROUP_TRIES;
		if (!x.cgroup_gone) {
			zone_cgroup_kill(z->cgroup);
			timer_set(&x.cgroup, CGROUP_MS);
		}
	}
	if (x.cgroup_gone && zone_tty_is_done() && is_drained(z))
		finish(z);
	else if (!x.drain.linked && !x.reported)
		timer_set(&x.drain, DRAIN_MS);
}

static void on_cgroup_due(struct timer *t)
{
	(void)t;
	zone_exit_check(x.z);
}

static void on_drain_due(struct timer *t)
{
	struct zone *z = x.z;

	(void)t;
	if (z->phase != PHASE_DRAINING)
		return;
	log_warn("log not drained in time", "run=%u", z->run);
	zone_tty_reset(); /* its other side is held by somebody who outlives the zone */
	zone_close(&z->out_w);
	x.cgroup_gone = true;
	z->truncated = !is_drained(z);
	write_exit(z);
	send_exited(z);
	zone_exit_check(z);
}

static void on_restart_due(struct timer *t)
{
	(void)t;
	if (x.z->phase == PHASE_BACKOFF)
		zone_run_start(x.z, (struct asker){ 0, 0 });
}

void zone_exit_begin(struct zone *z, int status)
{
	int64_t ran_ms = (mono_ns() - z->started_mono_ns) / 1000000;
	struct err ignored;

	memset(&x, 0, sizeof(x));
	x.z = z;
	x.drain.on_due = on_drain_due;
	x.cgroup.on_due = on_cgroup_due;
	x.restart.on_due = on_restart_due;

	z->phase = PHASE_DRAINING;
	z->finished_ns = now_ns();
	z->exit_run = z->run;
	z->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	z->oom_killed = zone_run_look_for_oom(z) > 0;
	z->truncated = false;
	z->has_exit = true;
	z->restart_delay_ms = 0;
	z->will_restart = restart_next(&z->restart, z->exit_code, ran_ms, &z->restart_delay_ms);
	z->init_pid = 0;
	zone_close(&z->init_pidfd);
	zone_run_unwatch();
	zone_cgroup_kill(z->cgroup);
	zone_close(&z->in_w); /* after it: a program that holds its lock is on its way out */
	x.cgroup_gone = zone_cgroup_remove(z->cgroup) == 0;
	fs_remove_tree(AT_FDCWD, z->runtime_state, &ignored);
	write_exit(z);
	if (z->tty)
		zone_tty_hangup();
	x.recorded = true;
	zone_exit_check(z);
}

void zone_exit_drained(struct zone *z, uint32_t run)
{
	if (run != z->run)
		return;
	z->drained_run = run;
	zone_exit_check(z);
}

/* ---- being told ---------------------------------------------------------------------------- */

void zone_exit_set_policy(struct zone *z, const Zone__SetPolicy *p)
{
	if (p->name[0]) {
		z->restart.policy = restart_parse(p->name);
		z->restart.max_retries = p->max_retries;
	}
	z->restart.stopped_by_user = p->stopped_by_user;
	if (!p->stopped_by_user || !z->will_restart)
		return;
	if (z->phase == PHASE_DRAINING) {
		z->will_restart = false;
		write_exit(z);
		x.reported = false; /* what was said is not true any more */
		zone_exit_check(z);
	} else if (z->phase == PHASE_BACKOFF) {
		timer_stop(&x.restart);
		z->will_restart = false;
		write_exit(z);
		zone_exit_final(z);
		send_exited(z);
	}
}

int zone_exit_shutdown(struct zone *z, struct err *err)
{
	switch (z->phase) {
	case PHASE_LAUNCHING:
	case PHASE_RUNNING:
		return err_kind(err, ERR_CONFLICT, "the zone is running");
	case PHASE_DRAINING:
		if (!x.reported)
			return err_kind(err, ERR_CONFLICT, "the zone is ending");
		break;
	case PHASE_IDLE:
	case PHASE_BACKOFF:
	case PHASE_ENDED:
		break;
	}
	if (z->has_exit && z->will_restart) {
		z->will_restart = false;
		write_exit(z);
	}
	timer_stop(&x.restart);
	zone_exit_final(z);
	return 0;
}

void zone_exit_final(struct zone *z)
{
	z->phase = PHASE_ENDED;
	remove_files(z);
	loop_end();
}
