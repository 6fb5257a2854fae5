/* SPDX-License-Identifier: MPL-2.0
 *
 * op_build.c - building an image from a Dockerfile: Docker's classic builder.
 *
 * Design: one job that goes through the stages and their instructions; each instruction that
 * changes something makes an image on top of the last one, found again by its parent and its
 * command the next time (build_cache.c). RUN is a real container (build_run.c), COPY, ADD and
 * WORKDIR write files (build_copy.c), the others change the configuration (dockerfile_change.h).
 *
 * Output: Docker's lines, as a stream of JSON. Docker makes a container for instructions that run
 * nothing, too, and tells its id; here such an id stands for nothing.
 *
 * Failure: what was made so far stays as untagged images, as in Docker; a container of a RUN that
 * failed stays, too, unless forcerm is asked for. A client that goes away ends the build and its
 * container.
 *
 * To extend: an instruction is in build_step.c.
 */
#define LOG_MODULE "build"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/build_priv.h"
#include "apiserver/dockerfile_words.h"
#include "apiserver/engine.h"
#include "apiserver/image_commit.h"
#include "apiserver/image_ref.h"
#include "cleanup.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "str.h"

#define QUIET_MAX (1024 * 1024)

/* ---- talking to the client ---- */

static void say(struct build *b, const char *before, const char *text, const char *after)
{
	if (!b->o.quiet)
		progress_text(b->progress, "%s%s%s", before, text, after);
	else
		buf_printf(&b->quiet_text, "%s%s%s", before, text, after);
}

void build_say(struct build *b, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	say(b, "", text, "");
	free(text);
}

/* As Docker marks what came by standard error. */
void build_say_error(struct build *b, const char *text)
{
	say(b, "\033[91m", text, "\033[0m");
}

void build_say_image(struct build *b)
{
	build_say(b, " ---> %.12s\n", b->s.image_id[0] ? b->s.image_id + strlen("sha256:") : "");
}

void build_say_aux(struct build *b, const char *name)
{
	cleanup_buf struct buf line = BUF_INIT;
	struct jw w = JW(&line);

	if (b->o.quiet || !b->s.image_id[0])
		return;
	jw_obj(&w, NULL);
	if (name)
		jw_str(&w, "id", name);
	jw_obj(&w, "aux");
	jw_str(&w, "ID", b->s.image_id);
	jw_end(&w);
	jw_end(&w);
	progress_line(b->progress, buf_str(&line));
}

/* The command's own status goes to the client, who ends with it. */
void build_tell_status(struct build *b, int code, const char *message)
{
	cleanup_buf struct buf line = BUF_INIT;
	struct jw w = JW(&line);

	if (b->quiet_text.len)
		progress_text(b->progress, "%s", buf_str(&b->quiet_text));
	buf_reset(&b->quiet_text);
	jw_obj(&w, NULL);
	jw_obj(&w, "errorDetail");
	jw_int(&w, "code", code);
	jw_str(&w, "message", message);
	jw_end(&w);
	jw_str(&w, "error", message);
	jw_end(&w);
	progress_line(b->progress, buf_str(&line));
	b->error_told = true;
}

bool build_cancelled(void *arg)
{
	struct build *b = arg;

	return job_cancelled(&b->job) || progress_gone(b->progress);
}

bool build_stopping(void *arg)
{
	struct build *b = arg;

	return job_cancelled(&b->job) && !atomic_load(&b->client_gone);
}

int build_check(struct build *b, struct err *err)
{
	return build_cancelled(b) ? err_sysnum(err, ECANCELED, "build cancelled") : 0;
}

static void say_step(struct build *b, const char *text)
{
	build_say(b, "Step %d/%d : %s\n", ++b->step, b->n_steps, text);
}

/* ---- images ---- */

char **build_vars(const struct build *b)
{
	cleanup_strv char **all = build_args_allowed(&b->args),
			  **env = jget_strv(b->s.config, "Env");
	char **out = strv_split("", ' ');

	for (char **v = all; *v; v++) {
		size_t len = strcspn(*v, "=") + 1;
		bool known = false;

		for (char **e = env; *e; e++)
			known |= !strncmp(*e, *v, len);
		if (!known)
			strv_add(&out, *v);
	}
	return out;
}

json_t *build_shell(const json_t *config)
{
	json_t *shell = jget_arr(config, "Shell");

	return json_array_size(shell) ? json_deep_copy(shell) : json_pack("[s,s]", "/bin/sh", "-c");
}

json_t *build_nop_config(const struct build *b, const char *text, bool two_words)
{
	json_t *config = json_deep_copy(b->s.config), *cmd = build_shell(b->s.config);
	cleanup_free char *one = xasprintf("#(nop) %s", text);

	if (two_words)
		json_array_append_new(cmd, json_string("#(nop) "));
	json_array_append_new(cmd, json_string(two_words ? text : one));
	json_object_set_new(config, "Cmd", cmd);
	return config;
}

/* The image is kept until the build is over, whoever removes it meanwhile. */
static void now_at(struct build *b, const char *id)
{
	struct err ignored = { 0 };
	struct image *img;

	str_copy(b->s.image_id, sizeof(b->s.image_id), id);
	if (image_get(id, &img, &ignored) == 0)
		build_hold(b, img);
}

bool build_from_cache(struct build *b, const json_t *container_config)
{
	char id[72];

	if (b->o.no_cache || !build_cache_find(b, container_config, id))
		return false;
	now_at(b, id);
	build_say(b, " ---> Using cache\n");
	return true;
}

char *build_joined(const json_t *list)
{
	cleanup_buf struct buf b = BUF_INIT;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v)
		buf_printf(&b, "%s%s", i ? " " : "", json_string_value(v));
	return xstrdup(buf_str(&b));
}

int build_commit(struct build *b, const char *upper, const json_t *container_config,
		 const char *container_id, struct err *err)
{
	cleanup_free char *created_by = build_joined(jget_arr(container_config, "Cmd"));
	const struct image_commit ic = {
		.parent_id = b->s.image_id,
		.upper = upper,
		.config = b->s.config,
		.container_config = container_config,
		.container_id = container_id,
		.created_by = created_by,
		.author = b->s.maintainer,
		.built = true,
	};
	char id[72];
	int rc = image_commit(&ic, id, &b->events, err);

	if (rc == 0)
		now_at(b, id);
	return rc;
}

/* --label: as if they were the last instructions. */
static int add_labels(struct build *b, struct err *err)
{
	int rc;

	for (char **l = b->o.labels; *l; l++) {
		cleanup_free char *text = xasprintf("LABEL %s", *l);
		cleanup_free char *name = xstrndup(*l, strcspn(*l, "="));
		json_t *labels = jget_obj(b->s.config, "Labels");

		say_step(b, text);
		if (!labels) {
			labels = json_object();
			json_object_set_new(b->s.config, "Labels", labels);
		}
		json_object_set_new(labels, name, json_string(*l + strlen(name) + 1));
		if ((rc = build_check(b, err)) < 0 || (rc = build_commit_nop(b, text, err)) < 0)
			return rc;
		build_say_image(b);
	}
	return 0;
}

/* ---- the Dockerfile ---- */

static int meta_arg(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_strv char **env = build_args_meta(&b->args); /* of those before this line */
	int rc;

	for (char **a = in->args; *a; a++) {
		cleanup_free char *one = NULL;

		if ((rc = build_expand_arg(b, *a, env, &one, err)) < 0)
			return rc;
		build_args_declare(&b->args, one, true);
	}
	return 0;
}

static int go_through(struct build *b, size_t end, struct err *err)
{
	const struct df_instr *from = NULL;
	int rc = 0;

	b->n_steps = (int)(end + strv_len(b->o.labels));
	for (size_t i = 0; rc == 0 && i < end; i++) {
		const struct df_instr *in = &b->df.v[i];

		if (in->cmd == DF_FROM && from)
			build_stage_end(b, from);
		if (in->cmd == DF_FROM && (rc = build_stage_name_check(b, in, err)) < 0)
			return rc;
		say_step(b, in->original);
		if (in->cmd == DF_FROM) {
			rc = build_stage_begin(b, in, err);
			from = in;
		} else if (!from) {
			rc = meta_arg(b, in, err);
		} else {
			rc = build_dispatch(b, in, err);
			if (rc == 0)
				build_say_image(b);
		}
	}
	if (rc == 0)
		rc = add_labels(b, err);
	if (rc == 0 && from)
		build_stage_end(b, from);
	return rc;
}

static int finish(struct build *b, struct err *err)
{
	cleanup_strv char **unused = build_args_unused(&b->args);
	cleanup_buf struct buf names = BUF_INIT;
	int rc;

	for (char **u = unused; *u; u++)
		buf_printf(&names, "%s%s", u == unused ? "" : " ", *u);
	if (names.len)
		build_say(b, "[Warning] One or more build-args [%s] were not consumed\n",
			  buf_str(&names));
	if (!b->s.image_id[0])
		return err_kind(err, ERR_SYSTEM,
				"No image was generated. Is your Dockerfile empty?");
	if (b->o.squash && (rc = build_squash(b, err)) < 0)
		return rc;
	build_say(b, "Successfully built %.12s\n", b->s.image_id + strlen("sha256:"));
	for (char **t = b->o.tags; *t; t++) {
		cleanup_free char *familiar = NULL;
		struct image_ref ref;

		if ((rc = image_ref_parse(*t, &ref, err)) < 0 ||
		    (rc = image_tag(b->s.image_id, *t, err)) < 0)
			return rc;
		familiar = image_ref_familiar(&ref);
		image_events_add(&b->events, "tag", b->s.image_id, familiar);
		build_say(b, "Successfully tagged %s\n", familiar);
	}
	if (b->o.quiet)
		progress_text(b->progress, "%s\n", b->s.image_id);
	return 0;
}

static int build_it(struct build *b, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	size_t end;
	int rc;

	if ((rc = build_context_load(b, &text, err)) < 0 ||
	    (rc = dockerfile_parse(buf_str(&text), text.len, b->df_name, &b->df, err)) < 0 ||
	    (rc = build_stages_check(b, &end, err)) < 0)
		return rc;
	for (char **w = b->df.warnings; *w; w++) {
		cleanup_free char *line = xasprintf("%s\n", *w);

		build_say_error(b, line);
	}
	if ((rc = go_through(b, end, err)) < 0)
		return rc;
	return finish(b, err);
}

static int build_run_job(struct job *job, struct err *err)
{
	struct build *b = container_of(job, struct build, job);
	int rc = build_it(b, err);

	build_root_close(&b->context);
	if (rc < 0 && b->quiet_text.len && !b->error_told)
		progress_text(b->progress, "%s", buf_str(&b->quiet_text));
	return rc;
}

/* ---- loop ---- */

void build_free(struct build *b)
{
	build_state_fini(&b->s);
	for (size_t i = 0; i < b->n_stages; i++)
		free(b->stages[i].name);
	free(b->stages);
	for (size_t i = 0; i < b->n_held; i++)
		image_unref(b->held[i]);
	free(b->held);
	build_cache_fini(b);
	dockerfile_fini(&b->df);
	build_args_fini(&b->args);
	image_events_fini(&b->events);
	buf_fini(&b->quiet_text);
	strv_free(b->o.tags);
	strv_free(b->o.labels);
	strv_free(b->o.cache_from);
	free(b->o.dockerfile);
	free(b->o.build_id);
	free(b->o.remote);
	free(b->o.target);
	free(b->o.host_config);
	free(b->o.platform);
	free(b->o.registry_config);
	free(b);
}

static struct build *builds;

static void forget(struct build *b)
{
	struct build **p = &builds;

	while (*p && *p != b)
		p = &(*p)->next;
	if (*p)
		*p = b->next;
}

void build_cancel(struct build *b)
{
	atomic_store(&b->client_gone, true);
	job_cancel(&b->job);
}

void build_cancel_id(const char *build_id)
{
	for (struct build *b = builds; b; b = b->next)
		if (str_eq(b->o.build_id, build_id))
			build_cancel(b);
}

static void build_done(struct job *job)
{
	struct build *b = container_of(job, struct build, job);
	struct req *r = req_by_id(b->req);

	forget(b);

	if (r)
		req_on_gone(r, NULL, NULL);
	body_close(b->body);
	image_events_emit(&b->events);
	log_info(job->rc < 0 ? "build failed" : "built", "image=%.19s steps=%d%s%s", b->s.image_id,
		 b->step, job->rc < 0 ? " error=" : "", job->rc < 0 ? log_q(job->err.msg) : "");
	progress_end(b->progress, job->rc < 0 && !b->error_told ? &job->err : NULL);
	build_free(b);
}

void op_build(struct build *b)
{
	int ahead;

	buf_init(&b->quiet_text, QUIET_MAX);
	b->job.run = build_run_job;
	b->job.done = build_done;
	b->job.what = "build";
	b->next = builds;
	builds = b;
	ahead = job_lane_ahead(LANE_BUILD);
	if (ahead > 0)
		build_say(b, "Waiting for %d other build%s\n", ahead, ahead > 1 ? "s" : "");
	job_submit(LANE_BUILD, &b->job);
}
