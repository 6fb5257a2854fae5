/* SPDX-License-Identifier: MPL-2.0
 *
 * op_start.c - starting a container: from its record to a running zone.
 *
 * Design: what needs other containers (namespaces to join) is looked up on the loop; the rest is
 * one job, a list of steps, each with its undo in struct undo, undone in reverse when a later one
 * fails. zoneadmd is spawned early and comes up while volumes and files are made ready. The
 * connection that starts the zone becomes the one that watches it.
 *
 * Failure: dying in the middle leaves at most a zoneadmd whose zone never ran: recovery finds it by
 * its run directory and ends it. Dying after the start leaves a running zone: recovery takes it
 * over. The record says "running" before the client hears of it.
 *
 * To extend: a step goes into start_run, its undo into undo_all, a failpoint beside it.
 */
#define LOG_MODULE "start"
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apiserver/attach.h"
#include "apiserver/child.h"
#include "apiserver/ct_check.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_ops.h"
#include "apiserver/endpoint_opts.h"
#include "apiserver/engine.h"
#include "apiserver/events.h"
#include "apiserver/health.h"
#include "apiserver/image_store.h"
#include "apiserver/job.h"
#include "apiserver/lifecycle.h"
#include "apiserver/links.h"
#include "apiserver/log_opts.h"
#include "apiserver/logclient.h"
#include "apiserver/network.h"
#include "apiserver/network_linger.h"
#include "apiserver/oci_spec.h"
#include "apiserver/volume.h"
#include "apiserver/zone_rpc.h"
#include "apiserver/zone_sweep.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define OLD_ZONE_MS	  10000
#define END_ZONE_MS	  15000 /* longer than zoneadmd waits for the log */
#define EXIT_START_FAILED 128	/* Docker's, where the failure has no status of its own */

#define N_STAMPS 8

struct start_job {
	struct job job;
	struct container *ct; /* loop only */
	struct ct_spec *spec;
	bool by_policy;
	op_done_fn *done;
	void *arg;
	/* for the worker */
	int old_zone_fd;
	int net_pid, pid_pid, ipc_pid;
	struct link_move *linked; /* whose hosts files name it */
	size_t n_linked;
	/* results */
	struct zone_conn *conn;
	struct zone_started started;
	int exit_code;
	int64_t began_ns;
	unsigned n_stamps; /* when each step was done, for the debug log */
	int64_t stamps[N_STAMPS];
};

/* What has been done so far. */
struct undo {
	struct ct_spec *spec;
	size_t n_volumes;   /* mounts gone through */
	size_t n_endpoints; /* attached */
	struct zone_spawning spawning;
	struct zone_conn *conn;
};

static bool mount_is_volume(const struct ct_mount *m)
{
	return str_eq(m->type, "volume") && !str_empty(m->name);
}

static void end_zone(const char *uuid, struct zone_conn *conn)
{
	struct err ignored = { 0 };
	char path[1024];

	if (zone_shutdown(uuid, &ignored) < 0 &&
	    ignored.kind == ERR_CONFLICT) { /* it runs already */
		zone_set_policy(uuid, "no", 0, true, &ignored);
		zone_signal(uuid, SIGKILL, &ignored);
	}
	if (zone_wait_end(conn->fd, END_ZONE_MS) < 0) {
		log_warn("zoneadmd does not end after a failed start", "pid=%d", (int)conn->pid);
		zone_kill(uuid);
	}
	child_reap(conn->pid, 1000);
	if (fs_exists(paths_zone_run(&engine->paths, uuid, "zoneadmd.sock", path)))
		zone_sweep_killed(uuid); /* it did not end by itself */
	zone_conn_close(conn);
}

static void undo_all(struct undo *u)
{
	zone_spawn_abort(&u->spawning);
	if (u->conn)
		end_zone(u->spec->uuid, u->conn);
	while (u->n_endpoints > 0)
		network_detach(&u->spec->endpoints[--u->n_endpoints], u->spec->id);
	while (u->n_volumes > 0) {
		const struct ct_mount *m = &u->spec->mounts.v[--u->n_volumes];

		if (mount_is_volume(m))
			volume_unmount(m->name, u->spec->id);
	}
}
#define cleanup_undo __attribute__((cleanup(undo_all)))

static void stamp(struct start_job *sj)
{
	if (sj->n_stamps < N_STAMPS)
		sj->stamps[sj->n_stamps++] = mono_ns();
}

/* ---- steps (worker) ------------------------------------------------------------------------- */

static int step_volumes(struct undo *u, struct err *err)
{
	struct ct_mounts *ms = &u->spec->mounts;
	int rc;

	for (; u->n_volumes < ms->n; u->n_volumes++) {
		struct ct_mount *m = &ms->v[u->n_volumes];
		char *path = NULL;

		if (failpoint("start.volume"))
			return err_kind(err, ERR_SYSTEM, "failpoint start.volume");
		if (!mount_is_volume(m))
			continue;
		if ((rc = volume_mount(m->name, u->spec->id, &path, err)) < 0)
			return rc;
		free(m->source);
		m->source = path;
	}
	return 0;
}

static int step_files(const struct start_job *sj, struct err *err)
{
	struct oci_env env = {
		.net_pid = sj->net_pid,
		.pid_pid = sj->pid_pid,
		.ipc_pid = sj->ipc_pid,
	};
	struct image *img = NULL;
	int rc;

	if (failpoint("start.files"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.files");
	if ((rc = image_get(sj->spec->image_id, &img, err)) < 0)
		return rc;
	env.image = img;
	rc = oci_write(sj->spec, &env, err);
	image_unref(img);
	return rc;
}

static bool needs_netns(const struct ct_spec *spec)
{
	const char *mode = jget_str(spec->host_config, "NetworkMode", "default");

	return !str_eq(mode, "host") && !str_starts(mode, "container:");
}

/* The endpoint whose gateway is the container's: of those that have one, the one with the highest
 * priority, the first of those. */
static size_t gateway_endpoint(const struct ct_spec *spec)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < spec->n_endpoints; i++) {
		if (!network_gives_gateway(spec->endpoints[i].network))
			continue;
		if (best == SIZE_MAX ||
		    spec->endpoints[i].gw_priority > spec->endpoints[best].gw_priority)
			best = i;
	}
	return best;
}

/* Those that have links to it learn where it is now. Not worth a failed start. */
static void tell_linked(const struct start_job *sj)
{
	const struct ct_spec *spec = sj->spec;
	struct err err = { 0 };

	for (size_t i = 0; i < spec->n_endpoints; i++)
		for (size_t k = 0; str_eq(spec->endpoints[i].network, "bridge") && k < sj->n_linked; k++)
			if (network_files_move_link(sj->linked[k].uuid, sj->linked[k].alias,
						    &spec->endpoints[i], &err) < 0)
				log_warn("a link's address stays as it was", "zone=%s alias=%s why=%s",
					 sj->linked[k].uuid, log_q(sj->linked[k].alias), log_q(err.msg));
}

/* One network; is_gw: the container's way out, where its ports are. */
static int attach_one(struct ct_spec *spec, size_t index, int netns, bool is_gw, const struct port_binding *want,
		      size_t n_want, struct err *err)
{
	struct endpoint *ep = &spec->endpoints[index];
	char ifname[16];
	int rc;

	if (index > 0 && (rc = netmode_check_join(jget_str(spec->host_config, "NetworkMode", ""), ep->network, false,
						  err)) < 0)
		return rc;
	endpoint_name_at(spec->endpoints, spec->n_endpoints, index, ifname);
	endpoint_set_names(ep, spec->id, spec->name, jget_str(spec->config, "Hostname", ""));
	return network_attach(ep, spec->id, spec->name, netns, ifname, is_gw, is_gw ? want : NULL, is_gw ? n_want : 0,
			      err);
}

static int step_networks(struct undo *u, struct err *err)
{
	struct ct_spec *spec = u->spec;
	size_t gw = gateway_endpoint(spec);
	cleanup_free struct port_binding *want = NULL;
	cleanup_fd int netns = -1;
	size_t n_want = 0;
	int rc;

	if (failpoint("start.network"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.network");
	if ((rc = config_port_bindings(spec->config, spec->host_config, &want, &n_want, err)) < 0)
		return rc;
	if (needs_netns(spec) && (rc = zone_conn_netns(u->conn, &netns, err)) < 0)
		return rc;
	for (; u->n_endpoints < spec->n_endpoints; u->n_endpoints++) {
		rc = attach_one(spec, u->n_endpoints, netns, u->n_endpoints == gw, want, n_want, err);
		if (rc < 0)
			return err_wrap(err, rc, "failed to set up container networking");
	}
	if (failpoint("start.attached"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.attached");
	if ((rc = network_write_files(spec, err)) < 0)
		return rc;
	return oci_write_metadata(spec, err); /* addresses are known now */
}

static int step_zone(struct start_job *sj, struct undo *u, struct err *err)
{
	int rc;

	if (failpoint("start.zone"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.zone");
	if ((rc = zone_spawn_wait(&u->spawning, err)) < 0)
		return rc;
	return zone_connect(sj->spec->uuid, true, NULL, &u->conn, err);
}

static int step_run(struct start_job *sj, struct undo *u, struct err *err)
{
	int rc;

	if (failpoint("start.log"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.log");
	if ((rc = logclient_open(sj->spec->uuid, err)) < 0)
		return rc;
	if (log_opts_want_sink(jget_obj(sj->spec->host_config, "LogConfig")) &&
	    (rc = logclient_forward_connect(sj->spec->uuid, err)) < 0)
		return err_wrap(err, rc, "failed to create task for container: failed to initialize logging driver");
	if (failpoint("start.run"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.run");
	stamp(sj);
	rc = zone_conn_start(u->conn, &sj->started, &sj->exit_code, err);
	if (rc < 0 && (sj->exit_code == 126 || sj->exit_code == 127))
		err->kind = ERR_BAD_PARAM; /* as moby: the user's mistake */
	return rc;
}

static void set_running(struct container_state *st, const struct zone_started *started,
			bool by_policy)
{
	st->status = CT_RUNNING;
	st->pid = started->pid;
	st->started_ns = started->started_ns;
	st->exit_code = 0;
	st->oom_killed = false;
	st->dead = false;
	st->stopped_by_user = false;
	st->started_once = true;
	st->error[0] = '\0';
	if (!by_policy)
		st->restart_count = 0;
}

static int start_run(struct job *job, struct err *err)
{
	struct start_job *sj = container_of(job, struct start_job, job);
	cleanup_undo struct undo u = { .spec = sj->spec, .spawning = ZONE_SPAWNING_INIT };
	int rc;

	if ((rc = config_check_start(sj->spec->host_config, err)) < 0 ||
	    (rc = mounts_check_start(sj->spec, err)) < 0)
		return rc;
	if (zone_wait_end(sj->old_zone_fd, OLD_ZONE_MS) < 0)
		return err_kind(err, ERR_SYSTEM,
				"the container's last run has not been cleaned up yet");
	stamp(sj);
	if ((rc = step_volumes(&u, err)) < 0)
		return rc;
	if ((rc = step_files(sj, err)) < 0)
		return rc;
	network_linger_end(sj->spec->uuid);
	stamp(sj);
	if ((rc = zone_spawn_begin(sj->spec->uuid, &u.spawning, err)) < 0)
		return rc;
	if ((rc = step_zone(sj, &u, err)) < 0)
		return rc;
	stamp(sj);
	if ((rc = step_networks(&u, err)) < 0)
		return rc;
	tell_linked(sj);
	stamp(sj);
	if ((rc = step_run(sj, &u, err)) < 0)
		return rc;
	stamp(sj);
	set_running(&sj->spec->st, &sj->started, sj->by_policy);
	if (failpoint("start.save"))
		return err_kind(err, ERR_SYSTEM, "failpoint start.save");
	if ((rc = ct_spec_save(sj->spec, err)) < 0)
		return rc; /* undo_all ends the zone: better than one nobody remembers */
	stamp(sj);
	sj->conn = take_ptr(&u.conn);
	u.n_volumes = u.n_endpoints = 0;
	return 0;
}

/* ---- the loop's part ------------------------------------------------------------------------ */

static void start_job_free(struct start_job *sj)
{
	if (sj->old_zone_fd >= 0)
		close(sj->old_zone_fd);
	zone_conn_close(sj->conn);
	link_moves_free(sj->linked, sj->n_linked);
	ct_spec_free(sj->spec);
	container_unref(sj->ct);
	free(sj);
}

static void started(struct start_job *sj)
{
	struct container *ct = sj->ct;

	for (size_t i = 0; i < ct->n_endpoints && i < sj->spec->n_endpoints; i++) {
		endpoint_fini(&ct->endpoints[i]);
		endpoint_copy(&ct->endpoints[i], &sj->spec->endpoints[i]);
	}
	ct_mounts_fini(&ct->mounts);
	ct_mounts_copy(&ct->mounts, &sj->spec->mounts);
	set_running(&ct->st, &sj->started, sj->by_policy);
	lifecycle_volume_events(ct, "mount");
	for (size_t i = 0; i < ct->n_endpoints; i++)
		lifecycle_network_event(ct, &ct->endpoints[i], "connect");
	event_container(ct, "start", NULL);
	zone_watch_conn(ct, take_ptr(&sj->conn));
	attach_zone_started(ct);
	health_started(ct);
}

static void start_failed(struct start_job *sj)
{
	struct container *ct = sj->ct;

	str_copy(ct->st.error, sizeof(ct->st.error), sj->job.err.msg);
	ct->st.exit_code = sj->exit_code ? sj->exit_code : EXIT_START_FAILED;
	if (ct->st.status == CT_RESTARTING)
		ct->st.status = CT_EXITED;
	container_save(ct);
	attach_start_failed(ct);
}

/* queue and old zone, files, zoneadmd, networks, logsvc, runtime and dockerinit, record */
static void log_steps(const struct start_job *sj)
{
	cleanup_buf struct buf b = BUF_INIT;
	int64_t before = sj->began_ns;

	if (!log_enabled(LOG_LVL_DEBUG))
		return;
	for (unsigned i = 0; i < sj->n_stamps; i++) {
		buf_printf(&b, "%s%lld", i ? "," : "", (long long)(sj->stamps[i] - before) / 1000);
		before = sj->stamps[i];
	}
	log_debug("start steps", "ct=%.12s us=%s", sj->ct->id, buf_str(&b));
}

static void start_done(struct job *job)
{
	struct start_job *sj = container_of(job, struct start_job, job);

	if (job->rc == 0)
		started(sj);
	else
		start_failed(sj);
	log_info(job->rc ? "start failed" : "started", "ct=%.12s pid=%d us=%lld%s%s", sj->ct->id,
		 sj->started.pid, (long long)(mono_ns() - sj->began_ns) / 1000,
		 job->rc ? " error=" : "", job->rc ? log_q(job->err.msg) : "");
	log_steps(sj);
	sj->done(sj->ct, sj->arg, job->rc ? &job->err : NULL);
	start_job_free(sj);
}

/* The running container that a mode "container:X" names; *out NULL for other modes. Docker's words, which differ for
 * the network. */
static int find_joined(const struct container *ct, const char *key, const char *what,
		       struct container **out, struct err *err)
{
	const char *mode = jget_str(ct->host_config, key, ""), *ref = mode + strlen("container:");
	bool net = str_eq(key, "NetworkMode");
	struct container *other;

	*out = NULL;
	if (!str_starts(mode, "container:"))
		return 0;
	if (!(other = container_find(ref, err))) {
		if (!net)
			return err->code;
		err->kind = ERR_SYSTEM; /* as moby: the container that is started is there */
		return err_wrap(err, err->code, "joining network namespace of container");
	}
	if (other == ct)
		return err_kind(err, ERR_SYSTEM, "cannot join own %s namespace", what);
	if (!container_is_running(other))
		return net ? err_kind(err, ERR_CONFLICT,
				      "cannot join network namespace of a non running container: container %s is %s",
				      other->name, container_status_name(other))
			   : err_kind(err, ERR_SYSTEM, "failed to join %s namespace: container %s is not running",
				      what, ref);
	if (other->st.status == CT_RESTARTING)
		return err_kind(err, net ? ERR_CONFLICT : ERR_SYSTEM,
				"%s %s namespace%s: Container %s is restarting, wait until the container is running",
				net ? "cannot join" : "failed to join", what, net ? " of container" : "", ref);
	*out = other;
	return 0;
}

/* A container in another's network has its names too. */
static void take_hostname(json_t *config, const struct container *other)
{
	json_object_set_new(config, "Hostname",
			    json_string(jget_str(other->config, "Hostname", "")));
	json_object_set_new(config, "Domainname",
			    json_string(jget_str(other->config, "Domainname", "")));
}

static int join_namespaces(struct start_job *sj, struct err *err)
{
	struct container *net;
	struct container *pid;
	struct container *ipc;
	int rc;

	if ((rc = find_joined(sj->ct, "NetworkMode", "network", &net, err)) < 0 ||
	    (rc = find_joined(sj->ct, "PidMode", "PID", &pid, err)) < 0 ||
	    (rc = find_joined(sj->ct, "IpcMode", "IPC", &ipc, err)) < 0)
		return rc;
	if (ipc) {
		const char *mode = jget_str(ipc->host_config, "IpcMode", "");

		if (str_eq(mode, "private") || str_eq(mode, "none"))
			return err_kind(
				err, ERR_SYSTEM,
				"failed to join IPC namespace: container %s: non-shareable IPC (hint: use "
				"IpcMode:shareable for the donor container)",
				ipc->id);
		sj->ipc_pid = ipc->st.pid;
	}
	if (net) {
		sj->net_pid = net->st.pid;
		take_hostname(sj->spec->config, net);
		take_hostname(sj->ct->config, net);
		container_save(sj->ct);
	}
	sj->pid_pid = pid ? pid->st.pid : 0;
	return links_resolve(sj->ct, sj->spec, err);
}

int op_start_check(const struct container *ct, struct err *err)
{
	if (ct->st.status == CT_PAUSED)
		return err_kind(err, ERR_CONFLICT,
				"cannot start a paused container, try unpause instead");
	if (container_is_running(ct))
		return err_kind(err, ERR_NOT_MODIFIED, "Container is already started");
	if (ct->removing || ct->st.dead)
		return err_kind(err, ERR_CONFLICT,
				"container is marked for removal and cannot be started");
	return 0;
}

void op_start(struct container *ct, bool by_policy, op_done_fn *done, void *arg)
{
	struct start_job *sj = xcalloc(1, sizeof(*sj));

	assert_loop_thread();
	sj->ct = container_ref(ct);
	sj->spec = container_spec(ct);
	sj->by_policy = by_policy;
	if (!by_policy) /* zone.json counts on from here */
		sj->spec->st.restart_count = 0;
	sj->done = done;
	sj->arg = arg;
	sj->began_ns = mono_ns();
	sj->old_zone_fd = zone_end_fd(ct->zone);
	sj->job.run = start_run;
	sj->job.done = start_done;
	sj->job.what = "start";
	if (join_namespaces(sj, &sj->job.err) < 0) {
		sj->job.rc = sj->job.err.code;
		start_done(&sj->job);
		return;
	}
	sj->n_linked = links_to(ct, &sj->linked);
	job_submit(LANE_LIFECYCLE, &sj->job);
}
