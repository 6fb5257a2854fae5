/* SPDX-License-Identifier: MPL-2.0
 *
 * op_remove.c - removing a container: its run, its log, its files, its record, its anonymous
 * volumes.
 *
 * Design: with force, a running container is killed first, at once and not in line behind a `stop`
 * that waits ten seconds. Then the operation begins, the container is marked (nothing else begins
 * on it any more), and one job does the rest. The zone's directory is renamed before it is emptied.
 *
 * Failure: the record goes last but one. Dying before that leaves a container whose files are
 * partly gone and whose record says so (removing): lifecycle finishes the removal at the next
 * start. A renamed directory is swept up then, too. A log that is not delivered yet is left to logsvc, which
 * removes what remains (logclient_keeps).
 */
#define LOG_MODULE "remove"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/attach.h"
#include "apiserver/ct_ops.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/exec.h"
#include "apiserver/health.h"
#include "apiserver/image_sweep.h"
#include "apiserver/job.h"
#include "apiserver/logclient.h"
#include "apiserver/network_linger.h"
#include "apiserver/volume.h"
#include "apiserver/wait.h"
#include "apiserver/zone_rpc.h"
#include "apiserver/zone_sweep.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define OLD_ZONE_MS 10000

struct remove_job {
	struct job job;
	struct container *ct;
	struct ct_spec *spec;
	struct op_remove_opts o;
	int old_zone_fd;
	int64_t freed;
	char **volumes_gone; /* for events */
	op_done_fn *done;
	void *arg;
};

/* ---- worker --------------------------------------------------------------------------------- */

static int remove_tree(const char *dir, const char *name, struct err *err)
{
	cleanup_fd int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char gone[64];

	if (dir_fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", dir);
	if (str_fmt(gone, sizeof(gone), ".gone-%s", name) < 0)
		return err_kind(err, ERR_BAD_PARAM, "name too long");
	if (renameat(dir_fd, name, dir_fd, gone) < 0 && errno != ENOENT)
		return err_sys(err, "rename %s/%s", dir, name);
	return fs_remove_tree(dir_fd, gone, err);
}

/* All but the log and its settings: its log driver's sink has not got all of it yet. */
static int remove_but_log(const char *uuid, struct err *err)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	char path[1024];
	int rc = 0, r;

	(void)unlink(paths_zone_run(&engine->paths, uuid, "zoneadmd.sock", path)); /* of one that was killed */
	if (!(d = opendir(paths_zone(&engine->paths, uuid, "", path))))
		return errno == ENOENT ? 0 : err_sys(err, "open %s", path);
	while ((e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || str_eq(e->d_name, "logs") ||
		    str_eq(e->d_name, "config"))
			continue;
		r = fs_remove_tree(dirfd(d), e->d_name, err);
		rc = r < 0 ? r : rc;
	}
	return rc;
}

static int remove_zone(const char *uuid, struct err *err)
{
	struct err ignored = { 0 };
	char zones_run[1024];
	int rc;

	if (logclient_keeps(uuid))
		return remove_but_log(uuid, err);
	network_linger_end(uuid);
	if ((rc = remove_tree(engine->paths.zones, uuid, err)) < 0)
		return rc;
	if (str_fmt(zones_run, sizeof(zones_run), "%s/zones", engine->paths.run) > 0)
		remove_tree(zones_run, uuid, &ignored);
	return 0;
}

static int64_t zone_size(const char *uuid)
{
	char path[1024];
	cleanup_fd int fd =
		open(paths_zone(&engine->paths, uuid, "", path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	int64_t bytes = 0;

	return fd >= 0 && fs_tree_size(fd, "diff", &bytes) == 0 ? bytes : 0;
}

static void release_volumes(struct remove_job *rj)
{
	const struct ct_spec *spec = rj->spec;

	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct ct_mount *m = &spec->mounts.v[i];
		struct err err = { 0 };

		if (!str_eq(m->type, "volume") || str_empty(m->name))
			continue;
		volume_unref(m->name, spec->id);
		if (!rj->o.volumes || !m->anonymous)
			continue;
		if (volume_remove(m->name, false, &err) == 0)
			strv_add(&rj->volumes_gone, m->name);
		else if (err.kind != ERR_CONFLICT && err.kind != ERR_NOT_FOUND)
			log_warn("anonymous volume is left", "volume=%s error=%s", m->name,
				 log_q(err.msg));
	}
}

static int remove_run(struct job *job, struct err *err)
{
	struct remove_job *rj = container_of(job, struct remove_job, job);
	const char *uuid = rj->spec->uuid;
	struct err ignored = { 0 };
	int rc;

	container_save_flush(); /* "removing" is in the record before anything is gone */
	if (zone_wait_end(rj->old_zone_fd, OLD_ZONE_MS) < 0) {
		log_warn("its zoneadmd waits for the log to be written, and is ended", "ct=%.12s",
			 rj->spec->id);
		zone_kill_peer(rj->old_zone_fd, uuid);
	}
	if (rj->o.size_out)
		rj->freed = zone_size(uuid);
	if (logclient_remove(uuid, &ignored) < 0)
		log_warn("logsvc was not told of a removal", "ct=%.12s error=%s", rj->spec->id,
			 log_q(ignored.msg));
	if (failpoint("remove.tree"))
		return err_kind(err, ERR_SYSTEM, "failpoint remove.tree");
	if ((rc = remove_zone(uuid, err)) < 0)
		return err_wrap(err, rc, "unable to remove filesystem for %s", rj->spec->id);
	if (failpoint("remove.record"))
		return err_kind(err, ERR_SYSTEM, "failpoint remove.record");
	if ((rc = container_store_del(rj->spec->id, err)) < 0)
		return rc;
	release_volumes(rj);
	return 0;
}

/* ---- loop ----------------------------------------------------------------------------------- */

static void removed(struct remove_job *rj)
{
	struct container *ct = rj->ct;
	static const char *const local[] = { "driver", "local", NULL };

	execs_forget(ct->id);
	attach_start_failed(ct);
	zone_unwatch(ct);
	if (rj->o.size_out)
		*rj->o.size_out = rj->freed;
	for (char **v = rj->volumes_gone; v && *v; v++)
		event_emit("volume", "destroy", *v, local);
	container_del(ct);
	event_container(ct, "destroy", NULL);
	image_sweep();
	ct_wait_removed(ct);
}

static void remove_done(struct job *job)
{
	struct remove_job *rj = container_of(job, struct remove_job, job);
	struct container *ct = rj->ct;

	if (job->rc == 0) {
		removed(rj);
	} else {
		log_err("removal failed", "ct=%.12s error=%s", ct->id, log_q(job->err.msg));
		ct->removing = false;
		ct->st.status = CT_DEAD;
		ct->st.dead = true;
		container_save(ct);
		container_op_end(ct);
		ct_wait_removed(ct); /* who waits for it must not wait for ever */
	}
	rj->done(ct, rj->arg, job->rc ? &job->err : NULL);
	if (rj->old_zone_fd >= 0)
		close(rj->old_zone_fd);
	strv_free(rj->volumes_gone);
	ct_spec_free(rj->spec);
	container_unref(ct);
	free(rj);
}

static void finish_with(struct remove_job *rj, const struct err *err)
{
	rj->job.rc = err->code;
	rj->done(rj->ct, rj->arg, err);
	container_unref(rj->ct);
	free(rj);
}

/* The operation is ours and the container does not run. */
static void begin_removal(struct remove_job *rj)
{
	struct container *ct = rj->ct;

	ct->removing = true;
	health_stopped(ct);
	container_save(ct); /* the record says removing: a crash from here on ends in a removal */
	rj->spec = container_spec(ct);
	rj->old_zone_fd = zone_end_fd(ct->zone);
	job_submit(LANE_LIFECYCLE, &rj->job);
}

static void on_killed_in_op(struct container *ct, void *arg, const struct err *err)
{
	struct remove_job *rj = arg;

	if (err) {
		struct err e = { 0 };

		err_kind(&e, ERR_SYSTEM,
			 "cannot remove container \"%s\": could not kill container: %s", ct->name,
			 err->msg);
		container_op_end(ct);
		finish_with(rj, &e);
		return;
	}
	begin_removal(rj);
}

static void on_op(struct container *ct, void *arg, bool cancelled)
{
	struct remove_job *rj = arg;

	if (cancelled) { /* removed by the one before us: what was asked for is so */
		rj->done(ct, rj->arg, NULL);
		container_unref(ct);
		free(rj);
		return;
	}
	if (container_is_running(ct)) {
		if (!rj->o.force) {
			struct err e = { 0 };

			err_kind(&e, ERR_CONFLICT,
				 "cannot remove container \"%s\": container is running: stop the "
				 "container before removing or force remove",
				 ct->name);
			container_op_end(ct);
			finish_with(rj, &e);
			return;
		}
		op_stop(ct, SIGKILL, 0, on_killed_in_op, rj);
		return;
	}
	begin_removal(rj);
}

static void on_killed_early(struct container *ct, void *arg, const struct err *err)
{
	struct remove_job *rj = arg;
	struct err e = { 0 };

	(void)err; /* on_op tries again and reports */
	if (container_op_begin(ct, OP_REMOVE, on_op, rj, &e) < 0)
		finish_with(rj, &e);
}

static int remove_check(const struct container *ct, const struct op_remove_opts *o, struct err *err)
{
	if (ct->removing)
		return err_kind(err, ERR_CONFLICT, "removal of container %s is already in progress",
				ct->id);
	if (o->force || !container_is_running(ct))
		return 0;
	if (ct->st.status == CT_PAUSED)
		return err_kind(err, ERR_CONFLICT,
				"cannot remove container \"%s\": container is paused and must be "
				"unpaused first",
				ct->name);
	return err_kind(err, ERR_CONFLICT,
			"cannot remove container \"%s\": container is %s: stop the container "
			"before removing or force remove",
			ct->name, container_status_name(ct));
}

void op_remove(struct container *ct, const struct op_remove_opts *o, op_done_fn *done, void *arg)
{
	struct remove_job *rj = xcalloc(1, sizeof(*rj));
	struct err err = { 0 };

	assert_loop_thread();
	rj->ct = container_ref(ct);
	rj->o = *o;
	rj->old_zone_fd = -1;
	rj->done = done;
	rj->arg = arg;
	rj->job.run = remove_run;
	rj->job.done = remove_done;
	rj->job.what = "remove";
	if (remove_check(ct, o, &err) < 0)
		finish_with(rj, &err);
	else if (container_is_running(ct) && ct->op != OP_NONE)
		op_stop(ct, SIGKILL, 0, on_killed_early, rj);
	else if (container_op_begin(ct, OP_REMOVE, on_op, rj, &err) < 0)
		finish_with(rj, &err);
}
