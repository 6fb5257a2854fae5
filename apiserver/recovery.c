/* SPDX-License-Identifier: MPL-2.0
 *
 * recovery.c - after kill -9 or stop of apiserver, kill -9 of a zoneadmd, or a boot of the machine.
 *
 * What is found for a container, and what follows:
 *
 *	zoneadmd answers	RUNNING, RESTARTING	taken over: watched, addresses and ports
 *							marked as used
 *				EXITED			ends as it says
 *				CREATED			we died in a start: it is shut down
 *	none, record "running"	exit.json is newer	ends as the file says
 *				otherwise		what is left of the zone is killed; 137 with
 *							a reason; after a boot, 255 as Docker
 *	record "removing"				removed
 *	no record		directory or zone	killed and removed: its creation was never
 *							told to anybody
 *
 * Then restart policies, on the loop: at once for those that have ended, in lifecycle.c when it is
 * through with the end of those that were lost.
 */
#define LOG_MODULE "recovery"
#include "apiserver/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/build_run.h"
#include "apiserver/ct_ops.h"
#include "apiserver/engine.h"
#include "apiserver/health.h"
#include "apiserver/image_sweep.h"
#include "apiserver/job.h"
#include "apiserver/lifecycle.h"
#include "apiserver/logclient.h"
#include "apiserver/network.h"
#include "apiserver/network_linger.h"
#include "apiserver/oci_spec.h"
#include "apiserver/store.h"
#include "apiserver/volume.h"
#include "apiserver/zone_rpc.h"
#include "apiserver/zone_sweep.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define EXIT_KILLED 137
#define EXIT_BOOT   255 /* Docker's, where nobody knows */

/* ---- records -------------------------------------------------------------------------------- */

static bool mount_is_volume(const struct ct_mount *m)
{
	return str_eq(m->type, "volume") && !str_empty(m->name);
}

/* Not from inside store_each: it holds the store's lock, which volumes take under their own. */
static void ref_volumes(const struct container *ct)
{
	for (size_t i = 0; i < ct->mounts.n; i++) {
		if (mount_is_volume(&ct->mounts.v[i]))
			volume_ref(ct->mounts.v[i].name, ct->id);
	}
}

static int load_one(const char *key, const char *json, void *arg, struct err *err)
{
	struct container *ct = NULL;
	struct err why = { 0 };

	(void)arg;
	(void)err;
	/* one bad record must not keep all others from their owners */
	if (container_from_json(json, &ct, &why) < 0 || container_add(ct, &why) < 0) {
		log_err("container record is not usable", "ct=%s error=%s", log_q(key),
			log_q(why.msg));
		container_unref(ct);
		return 0;
	}
	container_unref(ct);
	return 0;
}

/* ---- one container -------------------------------------------------------------------------- */

static void adopt_resources(struct container *ct)
{
	for (size_t i = 0; i < ct->n_endpoints; i++) {
		struct err err = { 0 };

		if (network_adopt(&ct->endpoints[i], ct->id, &err) < 0)
			log_warn("network of a running container", "ct=%.12s network=%s error=%s",
				 ct->id, log_q(ct->endpoints[i].network), log_q(err.msg));
	}
	for (size_t i = 0; i < ct->mounts.n; i++) {
		cleanup_free char *path = NULL;
		struct err ignored = { 0 };

		if (mount_is_volume(&ct->mounts.v[i]))
			volume_mount(ct->mounts.v[i].name, ct->id, &path, &ignored);
	}
}

struct post_exit {
	char ct_id[65];
	struct zone_exit ex;
};

static void on_post_exit(void *arg)
{
	struct post_exit *pe = arg;
	struct container *ct = container_by_id(pe->ct_id);

	if (ct && container_is_running(ct))
		lifecycle_exited(ct, &pe->ex);
	free(pe);
}

/* The state stays "running" until the loop has seen to the rest. */
static void exit_soon(struct container *ct, const struct zone_exit *ex)
{
	struct post_exit *pe = xcalloc(1, sizeof(*pe));

	memcpy(pe->ct_id, ct->id, sizeof(pe->ct_id));
	pe->ex = *ex;
	loop_post(on_post_exit, pe);
}

/* We may have died between log.json and the record of an update: the record holds. */
static void refresh_log(const struct container *ct)
{
	struct ct_spec *spec = container_spec(ct);
	struct err err = { 0 };
	bool changed = false;

	if (oci_refresh_log_json(spec, &changed, &err) < 0 || (changed && logclient_reconfigure(ct->uuid, &err) < 0))
		log_warn("log options of a running container", "ct=%.12s error=%s", ct->id, log_q(err.msg));
	ct_spec_free(spec);
}

static void take_over(struct container *ct, struct zone_conn *conn, const struct zone_state *zs)
{
	if (ct->st.status != CT_PAUSED || ct->st.pid != zs->pid)
		ct->st.status = zs->status == ZS_RESTARTING ? CT_RESTARTING : CT_RUNNING;
	ct->st.pid = zs->pid;
	if (zs->started_ns)
		ct->st.started_ns = zs->started_ns;
	ct->st.restart_count = zs->restart_count;
	ct->st.started_once = true;
	adopt_resources(ct);
	refresh_log(ct);
	zone_watch_conn(ct, conn);
	if (zs->status == ZS_EXITED && zs->has_exit) {
		zone_mark_ended(ct->zone);
		exit_soon(ct, &zs->last_exit);
	} else if (ct->st.status == CT_RUNNING) {
		health_resumed(ct);
	}
	container_save(ct);
	log_info("zone taken over", "ct=%.12s pid=%d status=%s", ct->id, zs->pid,
		 container_status_name(ct));
}

/* Nobody is there. *lost: it was not its own end. */
static void exit_of_dead(const struct container *ct, int killed, bool run_dir, struct zone_exit *ex,
			 bool *lost)
{
	int64_t started_ns = 0;

	*lost = false;
	if (zone_read_exit(ct->uuid, ex, &started_ns) && ex->finished_ns >= ct->st.started_ns &&
	    !ex->will_restart)
		return;
	*lost = true;
	memset(ex, 0, sizeof(*ex));
	ex->by_loss = true;
	ex->restart_count = ct->st.restart_count;
	ex->finished_ns = now_ns();
	if (run_dir) {
		ex->exit_code = EXIT_KILLED;
		snprintf(ex->error, sizeof(ex->error),
			 "the zone's zoneadmd was killed; its %d remaining processes were ended",
			 killed);
	} else {
		ex->exit_code = EXIT_BOOT;
		str_copy(ex->error, sizeof(ex->error),
			 "the machine was restarted while the container ran");
	}
}

static void find_zone(struct container *ct)
{
	struct zone_conn *conn = NULL;
	struct zone_state zs = { 0 };
	struct err err = { 0 };
	struct zone_exit ex;
	char path[1024];
	bool run_dir;
	bool lost;

	run_dir = fs_exists(paths_zone_run(&engine->paths, ct->uuid, "", path));
	if (run_dir && zone_connect(ct->uuid, true, &zs, &conn, &err) == 0) {
		if (zs.status != ZS_CREATED) {
			take_over(ct, conn, &zs);
			return;
		}
		zone_conn_close(conn);
		zone_kill(ct->uuid);
	}
	if (!container_is_running(ct)) {
		if (run_dir)
			zone_sweep(ct->uuid);
		return;
	}
	exit_of_dead(ct, zone_sweep(ct->uuid), run_dir, &ex, &lost);
	log_warn("zone ended while nobody watched", "ct=%.12s exit=%d%s%s", ct->id, ex.exit_code,
		 lost ? " reason=" : "", lost ? log_q(ex.error) : "");
	exit_soon(ct, &ex);
}

/* ---- what nobody remembers ------------------------------------------------------------------ */

static bool uuid_known(const char *uuid)
{
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		if (strcmp(ct->uuid, uuid) == 0)
			return true;
	}
	return false;
}

static bool is_uuid(const char *s)
{
	if (strlen(s) != 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !is_hex(&s[i], 1))
			return false;
	}
	return true;
}

static void sweep_dir(const char *dir)
{
	cleanup_dir DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		struct err err = { 0 };

		if (!str_starts(e->d_name, ".gone-") &&
		    !(is_uuid(e->d_name) && !uuid_known(e->d_name)))
			continue;
		if (is_uuid(e->d_name) && logclient_keeps(e->d_name))
			continue;
		if (is_uuid(e->d_name)) {
			log_warn("zone without a record is removed", "uuid=%s", e->d_name);
			zone_kill(e->d_name);
			logclient_remove(e->d_name, &err);
			if (logclient_keeps(e->d_name))
				continue;
		}
		if (fs_remove_tree(dirfd(d), e->d_name, &err) < 0)
			log_warn("left behind", "path=%s/%s error=%s", log_q(dir), e->d_name,
				 log_q(err.msg));
	}
}

/* ---- policies ------------------------------------------------------------------------------- */

static void on_started(struct container *ct, void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		log_err("restart by policy failed", "ct=%.12s error=%s", ct->id, log_q(err->msg));
	container_op_end(ct);
}

static void on_start_op(struct container *ct, void *arg, bool cancelled)
{
	(void)arg;
	if (cancelled)
		return;
	if (container_is_running(ct)) {
		container_op_end(ct);
		return;
	}
	ct->st.restart_count++;
	op_start(ct, true, on_started, NULL);
}

void recovery_start(struct container *ct)
{
	struct err ignored = { 0 };

	if (!container_is_running(ct))
		container_op_begin(ct, OP_START, on_start_op, NULL, &ignored);
}

static void on_auto_removed(struct container *ct, void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		log_err("removal after a crash failed", "ct=%.12s error=%s", ct->id,
			log_q(err->msg));
}

static void finish_removal(struct container *ct)
{
	static const struct op_remove_opts o = { .force = true, .volumes = false };
	const struct op_remove_opts auto_o = { .force = true, .volumes = true };

	ct->removing = false;
	op_remove(ct, jget_bool(ct->host_config, "AutoRemove", false) ? &auto_o : &o,
		  on_auto_removed, NULL);
}

static void on_loop_runs(void *arg)
{
	size_t n = container_count();
	struct container **all = xcalloc(n + 1, sizeof(struct container *));
	size_t i = n;

	(void)arg;
	image_sweep();
	for (struct container *ct = container_first(); ct && i > 0; ct = ct->next_by_age)
		all[--i] = container_ref(ct);
	for (i = 0; i < n; i++) {
		struct container *ct = all[i];

		if (ct->removing)
			finish_removal(ct);
		else if (build_ct_recover(ct))
			;
		else if (!container_is_running(ct) && ct->st.started_once &&
			 ct->st.status == CT_EXITED &&
			 jget_bool(ct->host_config, "AutoRemove", false))
			finish_removal(ct);
		else if (!container_is_running(ct) && lifecycle_policy_wants(ct, true))
			recovery_start(ct);
		container_unref(ct);
	}
	free(all);
}

static int netns_of_logger(const char *uuid)
{
	int fd = -1;

	(void)logclient_is_pending(uuid, &fd);
	return fd;
}

int recovery_run(struct err *err)
{
	cleanup_free char *run_zones = xasprintf("%s/zones", engine->paths.run);
	int rc;

	if ((rc = store_each(STORE_CONTAINER, load_one, NULL, err)) < 0)
		return rc;
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age)
		ref_volumes(ct);
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age)
		find_zone(ct);
	network_linger_recover(run_zones, netns_of_logger);
	sweep_dir(run_zones);
	sweep_dir(engine->paths.zones);
	network_adopt_end();
	loop_post(on_loop_runs, NULL);
	log_info("containers loaded", "n=%zu", container_count());
	return 0;
}

/* ---- at run time ---------------------------------------------------------------------------- */

struct lost_job {
	struct job job;
	struct container *ct;
	char uuid[37];
	int killed;
};

static int lost_run(struct job *job, struct err *err)
{
	struct lost_job *lj = container_of(job, struct lost_job, job);

	(void)err;
	lj->killed = zone_sweep_killed(lj->uuid);
	return 0;
}

static void lost_done(struct job *job)
{
	struct lost_job *lj = container_of(job, struct lost_job, job);
	struct container *ct = lj->ct;
	struct zone_exit ex;
	bool lost;

	if (container_is_running(ct)) {
		exit_of_dead(ct, lj->killed, true, &ex, &lost);
		log_warn("zoneadmd was lost", "ct=%.12s exit=%d killed=%d", ct->id, ex.exit_code,
			 lj->killed);
		lifecycle_exited(ct, &ex);
	}
	container_unref(ct);
	free(lj);
}

void recovery_zone_lost(struct container *ct)
{
	struct lost_job *lj = xcalloc(1, sizeof(*lj));

	lj->ct = container_ref(ct);
	memcpy(lj->uuid, ct->uuid, sizeof(lj->uuid));
	lj->job.run = lost_run;
	lj->job.done = lost_done;
	lj->job.what = "zone lost";
	job_submit(LANE_LIFECYCLE, &lj->job);
}
