/* SPDX-License-Identifier: MPL-2.0
 *
 * build_priv.h - what op_build.c, build_*.c and api_build.c share: one build. Made on the loop, then the worker's alone until the job is done.
 */
#ifndef APISERVER_BUILD_PRIV_H
#define APISERVER_BUILD_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "apiserver/build_args.h"
#include "apiserver/build_root.h"
#include "apiserver/build_run.h"
#include "apiserver/dockerfile.h"
#include "apiserver/dockerfile_change.h"
#include "apiserver/image_events.h"
#include "apiserver/job.h"
#include "apiserver/progress.h"
#include "apiserver/request.h"

/* The query, checked. Owned. */
struct build_opts {
	char **tags; /* canonical */
	char *dockerfile, *remote, *target;
	char **labels;	       /* NAME=VALUE, by name */
	char *host_config;     /* of the RUN containers, JSON */
	char *platform;	       /* or NULL */
	char *registry_config; /* X-Registry-Config or NULL */
	char **cache_from;     /* NULL: not given, what was built here counts */
	char *build_id;	       /* for POST /build/cancel, or NULL */
	bool quiet, no_cache, rm, force_rm, pull, squash;
};

/* The stage that is being built. */
struct build_state {
	char image_id[72]; /* "": nothing yet */
	bool scratch;	   /* FROM scratch */
	json_t *config;	   /* runConfig in moby */
	struct dockerfile_change_state change;
	char *maintainer;
	char *platform; /* of FROM, or NULL */
};

struct build_stage {
	char *name; /* lower case, NULL: none */
	char image_id[72];
};

struct build {
	struct job job;
	uint64_t req;
	struct progress *progress;
	struct body_stream *body;
	struct build_opts o;
	struct build_args args;
	struct image_events events;
	const char *df_name; /* of the Dockerfile, in errors; NULL: it has none */
	struct dockerfile df;
	struct build_root context;
	struct build_stage *stages; /* finished ones */
	size_t n_stages;
	struct build_state s;
	char base_id[72]; /* what the stage began with */
	struct image **held; /* all images that it has come by */
	size_t n_held;
	struct build_cache_source *cache; /* of --cache-from */
	size_t n_cache;
	int step, n_steps;
	struct buf quiet_text; /* what -q keeps to itself until something fails */
	struct build_ct ct;    /* of the RUN that runs */
	bool error_told;
	atomic_bool client_gone;
	struct build *next; /* loop: of all that are going on */
};

/* ---- api_build.c ---- */
/* The query into b, which is zero; build_free in any case. Loop. */
int build_params(struct req *r, struct build *b, struct err *err);

/* ---- op_build.c ---- */
void op_build(struct build *b);		    /* loop; takes b */
void build_cancel(struct build *b);	    /* loop: its client does not want it any more */
void build_cancel_id(const char *build_id); /* loop; one that is not there is fine */
void build_free(struct build *b);
/* A line or part of one for the client. */
void build_say(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void build_say_error(struct build *b, const char *text); /* as Docker marks standard error */
/* The command's own status: the client ends with it. The stream's last line. */
void build_tell_status(struct build *b, int code, const char *message);
bool build_cancelled(void *b); /* the client has gone, or we stop */
bool build_stopping(void *b);  /* we stop */
/* -ECANCELED when it is. */
int build_check(struct build *b, struct err *err);
/* NAME=VALUE of the build arguments that the stage may use and its environment does not have. */
char **build_vars(const struct build *b);
/* The config with Cmd = the shell, "#(nop) text": what a step that runs nothing is known by. Owned.
 */
json_t *build_nop_config(const struct build *b, const char *text, bool two_words);
/* The step was done before: says so and goes on from there. */
bool build_from_cache(struct build *b, const json_t *container_config);
/* A new image on top; upper NULL: no layer. */
int build_commit(struct build *b, const char *upper, const json_t *container_config,
		 const char *container_id, struct err *err);
void build_say_image(struct build *b);			 /* " ---> ID" */
void build_say_aux(struct build *b, const char *name); /* the image's ID for programs; name or NULL */

json_t *build_shell(const json_t *config); /* ["/bin/sh", "-c"] or what SHELL said; owned */
char *build_joined(const json_t *list);	   /* with blanks; owned */

/* ---- build_stage.c ---- */
/* The names of the stages, and where the last one that is wanted ends. */
int build_stages_check(const struct build *b, size_t *end, struct err *err);
int build_stage_name_check(const struct build *b, const struct df_instr *from, struct err *err);
int build_stage_begin(struct build *b, const struct df_instr *from, struct err *err);
void build_stage_end(struct build *b, const struct df_instr *from);
void build_state_fini(struct build_state *s);
/* A stage by index or name, else an image; *out is owned, NULL for an empty stage. */
int build_source_image(struct build *b, const char *name, struct image **out, struct err *err);
void build_hold(struct build *b, struct image *img); /* takes the reference */
/* Of os[/architecture[/variant]]; NULL and "" are fine. Pure. */
int build_platform_check(const char *platform, struct err *err);

/* ---- build_squash.c ---- */
/* The layers that the build put on its base become one. */
int build_squash(struct build *b, struct err *err);

/* ---- build_step.c ---- */
/* One instruction, but FROM; a container of it goes when it is done, as it was asked for. */
int build_dispatch(struct build *b, const struct df_instr *in, struct err *err);
void build_say_running(struct build *b, char id[65]); /* makes one up */
void build_say_removed(struct build *b, const char *id);
/* A step that changes the configuration and nothing else; text is what history says. */
int build_commit_nop(struct build *b, const char *text, struct err *err);
int build_no_heredoc(const struct df_instr *in, struct err *err); /* they need BuildKit */
/* NAME or NAME=VALUE of an ARG with what it refers to filled in. */
int build_expand_arg(const struct build *b, const char *arg, char *const *env, char **out,
		     struct err *err);

/* ---- build_context.c ---- */
/* Unpacks the context and finds the Dockerfile in it; its text goes to out. */
int build_context_load(struct build *b, struct buf *out, struct err *err);

/* ---- build_git.c ---- */
bool build_is_git(const char *remote); /* by Docker's rules. Pure */
int build_git_context(struct build *b, struct err *err);

/* ---- build_pull.c ---- */
/* Gets an image that is not here; progress goes to the client. */
int build_pull(struct build *b, const char *name, const char *platform, struct err *err);

/* ---- build_copy.c ---- */
int build_copy(struct build *b, const struct df_instr *in, struct err *err);
int build_workdir(struct build *b, const struct df_instr *in, struct err *err);

/* ---- build_cache.c ---- */
/* The image that container_config made of the stage's: true and its id. */
bool build_cache_find(struct build *b, const json_t *container_config, char out_id[72]);
void build_cache_reset(struct build *b); /* a stage begins */
void build_cache_fini(struct build *b);

#endif
