/* SPDX-License-Identifier: MPL-2.0
 *
 * build_step.c - the instructions of a Dockerfile, one at a time.
 *
 * Design: each is looked for in the cache under the configuration that its container would have
 * (build_cache.c), and only then carried out and committed. RUN's is the command with the build
 * arguments that it sees; the others have a command that says what they are, "#(nop)" in it.
 *
 * To extend: a row in dockerfile.c, a case in dispatch_one.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/build_priv.h"
#include "apiserver/build_source.h"
#include "apiserver/dockerfile_words.h"
#include "apiserver/engine.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

/* Docker makes a container for what runs nothing, too; here it is a word. */
void build_say_running(struct build *b, char id[65])
{
	id_generate(id);
	build_say(b, " ---> Running in %.12s\n", id);
}

void build_say_removed(struct build *b, const char *id)
{
	if (b->o.rm)
		build_say(b, "Removing intermediate container %.12s\n", id);
}

/* check: of a step that was not done before; NULL: nothing. */
static int commit_checked(struct build *b, const char *text,
			  int (*check)(struct build *b, struct err *err), struct err *err)
{
	cleanup_json json_t *config = build_nop_config(b, text, true);
	char id[65];
	int rc;

	if (!b->s.image_id[0] && !b->s.scratch)
		return err_kind(err, ERR_BAD_PARAM,
				"Please provide a source image with `from` prior to commit");
	if (build_from_cache(b, config))
		return 0;
	if (check && (rc = check(b, err)) < 0)
		return rc;
	build_say_running(b, id);
	if ((rc = build_commit(b, NULL, config, id, err)) == 0)
		build_say_removed(b, id);
	return rc;
}

int build_commit_nop(struct build *b, const char *text, struct err *err)
{
	return commit_checked(b, text, NULL, err);
}

/* No container could be made of an image whose volume is a file. */
static int check_volumes(struct build *b, struct err *err)
{
	cleanup_build_root struct build_root root = { .view = ZONE_VIEW_INIT };
	struct image *img = NULL;
	const char *path;
	json_t *unused;
	int rc = 0;

	if (b->s.image_id[0] && (rc = image_get(b->s.image_id, &img, err)) < 0)
		return rc;
	rc = build_root_open(&root, img, err);
	image_unref(img);
	if (rc < 0)
		return rc;
	json_object_foreach (jget_obj(b->s.config, "Volumes"), path, unused) {
		cleanup_free char *clean = build_path_clean(path);
		cleanup_fd int fd = fs_open_in_root(root.view.root_fd, *clean ? clean : "/",
						    O_PATH | O_CLOEXEC, 0);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
			return err_kind(err, ERR_SYSTEM,
					"cannot mount volume over existing file, file exists /%s",
					clean);
	}
	return 0;
}

/* Docker says so when a stage's check, or the base image's, is replaced. */
static void note_old_check(struct build *b)
{
	json_t *test = jget_arr(jget_obj(b->s.config, "Healthcheck"), "Test");
	cleanup_free char *text = NULL;

	if (!json_array_size(test) || str_eq(json_string_value(json_array_get(test, 0)), "NONE"))
		return;
	text = build_joined(test);
	build_say(b, "Note: overriding previous HEALTHCHECK: [%s]\n", text);
}

/* As in Docker what a check does not say is taken from the one before it. */
static void keep_old_times(struct build *b, const json_t *old)
{
	static const char *const keys[] = { "Interval", "Timeout", "StartPeriod", "StartInterval",
					    "Retries" };
	json_t *now = jget_obj(b->s.config, "Healthcheck");

	for (size_t i = 0; now && i < ARRAY_SIZE(keys); i++)
		if (!json_object_get(now, keys[i]) && jget_int(old, keys[i], 0))
			json_object_set(now, keys[i], json_object_get(old, keys[i]));
}

int build_no_heredoc(const struct df_instr *in, struct err *err)
{
	if (!in->heredoc)
		return 0;
	return err_kind(err, ERR_BAD_PARAM,
			"the heredoc syntax requires BuildKit. Refer to "
			"https://docs.docker.com/go/buildkit/ to learn how to build images with "
			"BuildKit enabled");
}

static int do_change(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_strv char **vars = build_vars(b);
	cleanup_json json_t *old = json_deep_copy(jget_obj(b->s.config, "Healthcheck"));
	cleanup_buf struct buf text = BUF_INIT;
	int rc;

	if ((rc = build_no_heredoc(in, err)) < 0)
		return rc;
	if (in->cmd == DF_HEALTHCHECK)
		note_old_check(b);
	buf_addstr(&text, df_cmd_name(in->cmd));
	b->s.change.note = &text;
	rc = dockerfile_change_one(b->s.config, df_cmd_name(in->cmd), in->rest, vars, &b->s.change,
				   err);
	b->s.change.note = NULL;
	if (in->cmd == DF_HEALTHCHECK)
		keep_old_times(b, old);
	if (rc < 0)
		return rc;
	return commit_checked(b, buf_str(&text), in->cmd == DF_VOLUME ? check_volumes : NULL, err);
}

static int do_maintainer(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_free char *text = xasprintf("MAINTAINER %s", in->args[0]);

	free(b->s.maintainer);
	b->s.maintainer = xstrdup(in->args[0]);
	return build_commit_nop(b, text, err);
}

int build_expand_arg(const struct build *b, const char *arg, char *const *env, char **out,
		     struct err *err)
{
	cleanup_free char *name = xstrndup(arg, strcspn(arg, "=")), *value = NULL, *expanded = NULL;
	int rc;

	if ((rc = dockerfile_expand(name, b->df.escape, env, &expanded, err)) < 0)
		return rc;
	if (!*expanded)
		return err_kind(err, ERR_BAD_PARAM, "ARG names can not be blank");
	if (!strchr(arg, '=')) {
		*out = take_ptr(&expanded);
		return 0;
	}
	if ((rc = dockerfile_expand(strchr(arg, '=') + 1, b->df.escape, env, &value, err)) < 0)
		return rc;
	*out = xasprintf("%s=%s", expanded, value);
	return 0;
}

static int do_arg(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_strv char **env = jget_strv(b->s.config, "Env"), **vars = build_vars(b);
	cleanup_buf struct buf text = BUF_INIT;
	int rc;

	buf_addstr(&text, "ARG");
	for (char **v = vars; *v; v++)
		strv_add(&env, *v);
	for (char **a = in->args; *a; a++) { /* they do not see each other */
		cleanup_free char *one = NULL;

		if ((rc = build_expand_arg(b, *a, env, &one, err)) < 0)
			return rc;
		build_args_declare(&b->args, one, false);
		buf_printf(&text, " %s", one);
	}
	return build_commit_nop(b, buf_str(&text), err);
}

/* ---- RUN ---- */

static json_t *run_command(const struct build *b, const struct df_instr *in)
{
	json_t *cmd = in->json ? json_array() : build_shell(b->s.config);

	for (char **a = in->args; *a; a++)
		json_array_append_new(cmd, json_string(*a));
	return cmd;
}

/* The command behind the build arguments that it sees: "|1", "A=x", the command. */
static json_t *known_command(const struct build *b, char *const *vars, const json_t *cmd)
{
	json_t *out = json_array(), *v;
	cleanup_free char *count = NULL;
	size_t i;

	for (; *vars; vars++)
		if (!build_args_hidden(&b->args, *vars))
			json_array_append_new(out, json_string(*vars));
	count = xasprintf("|%zu", json_array_size(out));
	if (json_array_size(out))
		json_array_insert_new(out, 0, json_string(count));
	json_array_foreach ((json_t *)cmd, i, v)
		json_array_append(out, v);
	return out;
}

static char *create_body(const struct build *b, const json_t *cmd, char *const *vars)
{
	cleanup_json json_t *o = json_deep_copy(b->s.config), *hc = NULL;
	json_t *env = jget_arr(o, "Env");
	struct err ignored = { 0 };

	if (!env) {
		env = json_array();
		json_object_set_new(o, "Env", env);
	}
	for (; *vars; vars++)
		json_array_append_new(env, json_string(*vars));
	if (json_array_size(cmd)) { /* "RUN []" is what the image runs */
		json_object_set(o, "Cmd", (json_t *)cmd);
		json_object_set_new(o, "Entrypoint", json_pack("[s]", ""));
	}
	json_object_set_new(o, "Healthcheck", json_pack("{s:[s]}", "Test", "NONE"));
	json_object_set_new(o, "Image", json_string(b->s.image_id));
	json_object_del(o, "OnBuild");
	if (jparse(b->o.host_config, strlen(b->o.host_config), &hc, &ignored) == 0)
		json_object_set(o, "HostConfig", hc);
	return json_dumps(o, JSON_COMPACT);
}

static void on_output(void *arg, bool is_err, const char *p, size_t len)
{
	cleanup_free char *text = xmalloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			text[n++] = p[i];
	text[n] = '\0';
	if (is_err)
		build_say_error(arg, text);
	else
		build_say(arg, "%s", text);
}

static struct build_run_opts run_opts(struct build *b)
{
	return (struct build_run_opts){
		.output = on_output,
		.cancelled = build_cancelled,
		.stopping = build_stopping,
		.arg = b,
	};
}

static void remove_container(struct build *b)
{
	const struct build_run_opts o = run_opts(b);
	struct err err = { 0 };
	char id[13];

	str_copy(id, sizeof(id), b->ct.id);
	if (!id[0])
		return;
	if (build_stopping(b))
		return; /* the next start does it */
	if (build_ct_remove(&b->ct, &o, &err) < 0)
		build_say(b, "Error removing intermediate container %s: %s\n", id, err.msg);
	else
		build_say(b, "Removing intermediate container %s\n", id);
}

static int run_container(struct build *b, const json_t *cmd, char *const *vars, struct err *err)
{
	const struct build_run_opts o = run_opts(b);
	cleanup_free char *body = create_body(b, cmd, vars), *text = build_joined(cmd),
			  *told = NULL;
	cleanup_strv char **warnings = NULL;
	int rc, status = 0;

	if (!body)
		return err_kind(err, ERR_BAD_PARAM, "the configuration is not valid UTF-8");
	if ((rc = build_ct_create(&b->ct, body, &warnings, &o, err)) < 0)
		return rc;
	for (char **w = warnings; w && *w; w++)
		build_say(b, " ---> [Warning] %s\n", *w);
	build_say(b, " ---> Running in %.12s\n", b->ct.id);
	if ((rc = build_ct_run(&b->ct, &o, &status, err)) < 0 || !status)
		return rc;
	told = xasprintf("The command '%s' returned a non-zero code: %d", text, status);
	if (b->o.force_rm)
		remove_container(b);
	build_tell_status(b, status, told);
	return err_kind(err, ERR_SYSTEM, "%.900s", told);
}

static int do_run(struct build *b, const struct df_instr *in, struct err *err)
{
	cleanup_strv char **vars = build_vars(b);
	cleanup_json json_t *cmd = run_command(b, in), *config = json_deep_copy(b->s.config);
	char uuid[37], upper[1024];
	int rc;

	if (!b->s.image_id[0] && !b->s.scratch)
		return err_kind(err, ERR_BAD_PARAM,
				"Please provide a source image with `from` prior to run");
	if (in->flags[0])
		return err_kind(
			err, ERR_BAD_PARAM,
			"the %.*s option requires BuildKit. Refer to "
			"https://docs.docker.com/go/buildkit/ to learn how to build images with "
			"BuildKit enabled",
			(int)strcspn(in->flags[0], "="), in->flags[0]);
	if ((rc = build_no_heredoc(in, err)) < 0)
		return rc;
	json_object_set_new(config, "Cmd", known_command(b, vars, cmd));
	if (json_array_size(cmd))
		json_object_set_new(config, "Entrypoint", json_null());
	if (build_from_cache(b, config))
		return 0;
	if (!b->s.image_id[0])
		return err_kind(
			err, ERR_BAD_PARAM,
			"exec: \"%s\": no such file or directory: there is nothing in scratch",
			json_string_value(json_array_get(cmd, 0)));
	if ((rc = run_container(b, cmd, vars, err)) < 0)
		return rc;
	str_copy(uuid, sizeof(uuid), b->ct.uuid);
	return build_commit(b, paths_zone(&engine->paths, uuid, "diff", upper), config, b->ct.id,
			    err);
}

/* ---- dispatch ---- */

static int dispatch_one(struct build *b, const struct df_instr *in, struct err *err)
{
	switch (in->cmd) {
	case DF_ADD:
	case DF_COPY:
		return build_copy(b, in, err);
	case DF_ARG:
		return do_arg(b, in, err);
	case DF_RUN:
		return do_run(b, in, err);
	case DF_WORKDIR:
		return build_workdir(b, in, err);
	case DF_MAINTAINER:
		return do_maintainer(b, in, err);
	case DF_CMD:
	case DF_ENTRYPOINT:
	case DF_ENV:
	case DF_EXPOSE:
	case DF_HEALTHCHECK:
	case DF_LABEL:
	case DF_ONBUILD:
	case DF_SHELL:
	case DF_STOPSIGNAL:
	case DF_USER:
	case DF_VOLUME:
		return do_change(b, in, err);
	case DF_FROM:
		break;
	}
	return err_kind(err, ERR_SYSTEM, "FROM where no stage begins");
}

int build_dispatch(struct build *b, const struct df_instr *in, struct err *err)
{
	int rc = build_check(b, err);

	if (rc == 0)
		rc = dispatch_one(b, in, err);
	if (b->o.force_rm || rc == -ECANCELED || (rc == 0 && b->o.rm))
		remove_container(b);
	b->ct.id[0] = '\0';
	return rc;
}
