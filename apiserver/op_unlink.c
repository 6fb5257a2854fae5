/* SPDX-License-Identifier: MPL-2.0
 *
 * op_unlink.c - DELETE /containers/web/sql?link=1: a container loses a link.
 *
 * The record goes first, then the line in the hosts file of a container that runs: dying between the two leaves a line
 * until its next start. Its environment stays as it was, as with Docker.
 */
#define LOG_MODULE "unlink"
#include <stdlib.h>
#include <string.h>

#include "apiserver/ct_ops.h"
#include "apiserver/job.h"
#include "apiserver/links.h"
#include "apiserver/network.h"
#include "cleanup.h"
#include "log.h"
#include "str.h"

struct unlink_job {
	struct job job;
	struct container *ct; /* a reference */
	char uuid[37];
	char *alias;
	op_done_fn *done;
	void *arg;
};

static void finish(struct unlink_job *uj, const struct err *err)
{
	uj->done(uj->ct, uj->arg, err);
	container_unref(uj->ct);
	free(uj->alias);
	free(uj);
}

static int unlink_run(struct job *job, struct err *err)
{
	struct unlink_job *uj = container_of(job, struct unlink_job, job);

	return network_files_drop_link(uj->uuid, uj->alias, err);
}

static void unlink_done(struct job *job)
{
	struct unlink_job *uj = container_of(job, struct unlink_job, job);

	if (job->rc < 0) /* the link is gone nevertheless */
		log_warn("a removed link stays in a hosts file", "ct=%.12s alias=%s why=%s", uj->ct->id,
			 log_q(uj->alias), log_q(job->err.msg));
	container_op_end(uj->ct);
	finish(uj, NULL);
}

static void on_op(struct container *ct, void *arg, bool cancelled)
{
	struct unlink_job *uj = arg;

	if (cancelled) { /* its links went with it */
		finish(uj, NULL);
		return;
	}
	if (link_del(ct, uj->alias))
		container_save(ct);
	if (!container_is_running(ct)) {
		container_op_end(ct);
		finish(uj, NULL);
		return;
	}
	memcpy(uj->uuid, ct->uuid, sizeof(uj->uuid));
	uj->job.run = unlink_run;
	uj->job.done = unlink_done;
	uj->job.what = "unlink";
	job_submit(LANE_LIFECYCLE, &uj->job);
}

void op_unlink(const char *name, op_done_fn *done, void *arg)
{
	const char *bare = name[0] == '/' ? name + 1 : name, *slash = strchr(bare, '/');
	cleanup_free char *parent = slash ? xstrndup(bare, (size_t)(slash - bare)) : NULL;
	struct err err = { 0 };
	struct container *ct = parent ? container_find(parent, &err) : NULL;
	struct unlink_job *uj;

	if (!ct) {
		err_kind(&err, ERR_SYSTEM, "Conflict, cannot remove the default link name of the container");
		done(NULL, arg, &err);
		return;
	}
	uj = xcalloc(1, sizeof(*uj));
	uj->ct = container_ref(ct);
	uj->alias = xstrdup(slash + 1);
	uj->done = done;
	uj->arg = arg;
	if (container_op_begin(ct, OP_UPDATE, on_op, uj, &err) < 0)
		finish(uj, &err);
}
