/* SPDX-License-Identifier: MPL-2.0
 *
 * op_update.c - changes to a container in place: limits, restart policy and log options, pause, name.
 *
 * Each is one job that does the outside change and writes the record; the loop's copy changes when
 * it has worked. Dying in between leaves the record as the next start will have it.
 */
#define LOG_MODULE "update"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/cgroup.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_json.h"
#include "apiserver/ct_ops.h"
#include "apiserver/events.h"
#include "apiserver/health.h"
#include "apiserver/job.h"
#include "apiserver/logclient.h"
#include "apiserver/network.h"
#include "apiserver/oci_spec.h"
#include "apiserver/zone_rpc.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

/* ---- update --------------------------------------------------------------------------------- */

struct update_job {
	struct job job;
	struct container *ct;
	struct ct_spec *spec; /* with the new host_config */
	bool live;	      /* has cgroups to write to */
	bool has_zone;	      /* has a policy to tell */
	struct ct_spec *old;  /* LogConfig is another: what it was */
	char **warnings;
	op_update_fn *done;
	void *arg;
};

/* log.json first, then the record: who dies in between has not answered, and recovery makes log.json anew
 * from the record. logsvc reads it when it is told, and whenever it starts. */
static int save_with_log(const struct ct_spec *spec, const struct ct_spec *old, struct err *err)
{
	struct err why = { 0 };
	bool changed;
	int rc;

	if ((rc = oci_refresh_log_json(spec, &changed, err)) < 0)
		return rc;
	if ((rc = ct_spec_save(spec, err)) < 0) {
		(void)oci_refresh_log_json(old, &changed, &why);
		return rc;
	}
	if (changed && logclient_reconfigure(spec->uuid, &why) < 0)
		log_warn("logsvc hears of new log options later", "zone=%s error=%s", spec->uuid, log_q(why.msg));
	return 0;
}

static int update_run(struct job *job, struct err *err)
{
	struct update_job *uj = container_of(job, struct update_job, job);
	const json_t *policy = jget_obj(uj->spec->host_config, "RestartPolicy");
	const char *name = jget_str(policy, "Name", "no");
	int rc;

	/* gone meanwhile: it is on its way down, and the next start will have the new values */
	if (uj->live && (rc = cgroup_update(uj->spec, err)) < 0 && rc != -ENOENT && rc != -ENODEV)
		return rc;
	if (uj->has_zone &&
	    (rc = zone_set_policy(uj->spec->uuid, name[0] ? name : "no",
				  (unsigned)jget_int(policy, "MaximumRetryCount", 0),
				  uj->spec->st.stopped_by_user, err)) < 0 &&
	    rc != ZONE_GONE)
		return rc;
	return uj->old ? save_with_log(uj->spec, uj->old, err) : ct_spec_save(uj->spec, err);
}

static void update_done(struct job *job)
{
	struct update_job *uj = container_of(job, struct update_job, job);
	struct container *ct = uj->ct;

	if (job->rc == 0) {
		json_decref(ct->host_config);
		ct->host_config = take_ptr(&uj->spec->host_config);
		container_save(ct);
		event_container(ct, "update", NULL);
	} else {
		err_wrap(&job->err, job->rc, "Cannot update container %s", ct->id);
	}
	uj->done(uj->arg, uj->warnings, job->rc ? &job->err : NULL);
	strv_free(uj->warnings);
	ct_spec_free(uj->spec);
	ct_spec_free(uj->old);
	container_unref(ct);
	free(uj);
}

void op_update(struct container *ct, const char *body, size_t len, int api_version, op_update_fn *done,
	       void *arg)
{
	struct update_job *uj = xcalloc(1, sizeof(*uj));
	bool running = container_is_running(ct);

	uj->ct = container_ref(ct);
	uj->spec = container_spec(ct);
	uj->live = running && ct->st.status != CT_RESTARTING;
	uj->has_zone = running && ct->zone;
	uj->done = done;
	uj->arg = arg;
	uj->job.run = update_run;
	uj->job.done = update_done;
	uj->job.what = "update";
	if (update_request_apply(body, len, api_version, uj->spec->host_config, &uj->warnings,
				 &uj->job.err) < 0) {
		if (uj->job.err.kind == ERR_CONFLICT) /* with what the container has already */
			err_wrap(&uj->job.err, uj->job.err.code, "Cannot update container %s",
				 ct->id);
		done(arg, uj->warnings, &uj->job.err);
		strv_free(uj->warnings);
		ct_spec_free(uj->spec);
		container_unref(ct);
		free(uj);
		return;
	}
	if (!json_equal(jget_obj(ct->host_config, "LogConfig"), jget_obj(uj->spec->host_config, "LogConfig")))
		uj->old = container_spec(ct);
	job_submit(LANE_LIFECYCLE, &uj->job);
}

/* ---- pause ---------------------------------------------------------------------------------- */

struct pause_job {
	struct job job;
	struct container *ct;
	struct ct_spec *spec;
	bool pause;
	op_done_fn *done;
	void *arg;
};

static int pause_run(struct job *job, struct err *err)
{
	struct pause_job *pj = container_of(job, struct pause_job, job);
	struct err ignored = { 0 };
	int rc;

	/* told first when freezing, last when thawing: between the two zoneadmd expects no progress
	 */
	if (pj->pause)
		zone_freeze_note(pj->spec->uuid, true, &ignored);
	rc = cgroup_freeze(pj->spec, pj->pause, err);
	if (!pj->pause || rc < 0)
		zone_freeze_note(pj->spec->uuid, false, &ignored);
	if (rc == -ENOENT || rc == -ENODEV) /* it has ended, only we have not heard yet */
		return err_kind(err, ERR_CONFLICT, "container %s is not running", pj->spec->id);
	return rc;
}

static void pause_done(struct job *job)
{
	struct pause_job *pj = container_of(job, struct pause_job, job);
	struct container *ct = pj->ct;

	if (job->rc == 0 && container_is_running(ct)) {
		ct->st.status = pj->pause ? CT_PAUSED : CT_RUNNING;
		container_save(ct);
		event_container(ct, pj->pause ? "pause" : "unpause", NULL);
		if (pj->pause)
			health_stopped(ct);
		else
			health_resumed(ct);
	}
	pj->done(ct, pj->arg, job->rc ? &job->err : NULL);
	ct_spec_free(pj->spec);
	container_unref(ct);
	free(pj);
}

static int pause_check(const struct container *ct, bool pause, struct err *err)
{
	if (!pause && ct->st.status != CT_PAUSED)
		return err_kind(err, ERR_SYSTEM, "Container %s is not paused", ct->id);
	if (!pause)
		return 0;
	if (!container_is_running(ct))
		return err_kind(err, ERR_CONFLICT, "container %s is not running", ct->id);
	if (ct->st.status == CT_PAUSED)
		return err_kind(err, ERR_CONFLICT, "Container %s is already paused", ct->id);
	if (ct->st.status == CT_RESTARTING)
		return err_kind(err, ERR_CONFLICT,
				"Container %s is restarting, wait until the container is running",
				ct->id);
	return 0;
}

void op_pause(struct container *ct, bool pause, op_done_fn *done, void *arg)
{
	struct pause_job *pj;
	struct err err = { 0 };

	if (pause_check(ct, pause, &err) < 0) {
		done(ct, arg, &err);
		return;
	}
	pj = xcalloc(1, sizeof(*pj));
	pj->ct = container_ref(ct);
	pj->spec = container_spec(ct);
	pj->pause = pause;
	pj->done = done;
	pj->arg = arg;
	pj->job.run = pause_run;
	pj->job.done = pause_done;
	pj->job.what = pause ? "pause" : "unpause";
	job_submit(LANE_LIFECYCLE, &pj->job);
}

/* ---- rename --------------------------------------------------------------------------------- */

struct rename_job {
	struct job job;
	struct container *ct;
	struct ct_spec *spec; /* with the new name */
	char *old_name;
	op_done_fn *done;
	void *arg;
};

static int rename_run(struct job *job, struct err *err)
{
	struct rename_job *rj = container_of(job, struct rename_job, job);
	struct err ignored = { 0 };
	int rc;

	if ((rc = ct_spec_save(rj->spec, err)) < 0)
		return rc;
	/* log records of a tag with the name in it: from now on */
	if (oci_write_log_json(rj->spec, &ignored) == 0 && rj->spec->st.pid > 0)
		logclient_reconfigure(rj->spec->uuid, &ignored);
	network_rename(rj->spec->id, rj->old_name, rj->spec->name);
	return 0;
}

static void rename_done(struct job *job)
{
	struct rename_job *rj = container_of(job, struct rename_job, job);
	struct container *ct = rj->ct;
	struct err ignored = { 0 };

	if (job->rc == 0) {
		cleanup_free char *old = xasprintf("/%s", rj->old_name);
		const char *attrs[] = { "oldName", old, NULL };

		for (size_t i = 0; i < ct->n_endpoints; i++)
			endpoint_rename(&ct->endpoints[i], rj->old_name, ct->name);
		container_save(ct);
		event_container(ct, "rename", attrs);
	} else if (container_rename(ct, rj->old_name, &ignored) < 0) {
		log_err("name cannot be given back", "ct=%.12s name=%s", ct->id,
			log_q(rj->old_name));
	}
	rj->done(ct, rj->arg, job->rc ? &job->err : NULL);
	ct_spec_free(rj->spec);
	container_unref(ct);
	free(rj->old_name);
	free(rj);
}

void op_rename(struct container *ct, const char *new_name, op_done_fn *done, void *arg)
{
	cleanup_free char *old = xstrdup(ct->name);
	struct rename_job *rj;
	struct err err = { 0 };

	new_name += new_name[0] == '/';
	if (ct_check_name(new_name, &err) < 0)
		err_kind(&err, ERR_BAD_PARAM,
			 "Error when allocating new name: Invalid container name (/%s), only "
			 "[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			 new_name);
	else
		container_rename(ct, new_name, &err);
	if (err.code) {
		done(ct, arg, &err);
		return;
	}
	rj = xcalloc(1, sizeof(*rj));
	rj->ct = container_ref(ct);
	rj->spec = container_spec(ct);
	rj->old_name = take_ptr(&old);
	rj->done = done;
	rj->arg = arg;
	rj->job.run = rename_run;
	rj->job.done = rename_done;
	rj->job.what = "rename";
	job_submit(LANE_LIFECYCLE, &rj->job);
}
