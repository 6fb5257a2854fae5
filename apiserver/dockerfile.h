/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile.h - a Dockerfile's text as instructions. Pure, any thread.
 */
#ifndef APISERVER_DOCKERFILE_H
#define APISERVER_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define DOCKERFILE_MAX	  (1024 * 1024)
#define DOCKERFILE_INSTRS 4096

enum df_cmd {
	DF_ADD,
	DF_ARG,
	DF_CMD,
	DF_COPY,
	DF_ENTRYPOINT,
	DF_ENV,
	DF_EXPOSE,
	DF_FROM,
	DF_HEALTHCHECK,
	DF_LABEL,
	DF_MAINTAINER,
	DF_ONBUILD,
	DF_RUN,
	DF_SHELL,
	DF_STOPSIGNAL,
	DF_USER,
	DF_VOLUME,
	DF_WORKDIR,
};

/* One instruction. args by command, nothing expanded, quotes kept:
 *	ARG			NAME or NAME=VALUE, one each
 *	RUN			json: the words; else one string
 *	ADD COPY FROM		words
 *	ENV LABEL		name, value, name, value ...
 *	HEALTHCHECK		NONE or CMD, and the command
 *	MAINTAINER		one string
 * The others are read from rest, by dockerfile_change_one.
 */
struct df_instr {
	enum df_cmd cmd;
	int line; /* where it begins, from 1 */
	bool json;
	bool heredoc;	/* <<WORD in it: the lines that belong to it have been left out */
	char *original; /* as written, continuation lines joined: "RUN echo a" */
	char *rest;	/* what follows the name, with the flags where rest is read by others */
	char **flags;	/* "--from=x", in order */
	char **args;
};

struct dockerfile {
	struct df_instr *v;
	size_t n;
	char escape;	 /* \ or ` */
	char **warnings; /* lines that the client is shown, without their ends */
};

/* Errors are Docker's: of the text's form "failed to parse NAME: file with no instructions" (name
 * NULL: without that), of an instruction "dockerfile parse error on line 2: unknown instruction:
 * FOO". */
int dockerfile_parse(const char *text, size_t len, const char *name, struct dockerfile *out,
		     struct err *err);
void dockerfile_fini(struct dockerfile *d);
/* One instruction's text (ONBUILD triggers). */
int dockerfile_parse_one(const char *text, char escape, int line, struct df_instr *out,
			 struct err *err);
void df_instr_fini(struct df_instr *i);
const char *df_cmd_name(enum df_cmd cmd); /* "RUN" */
/* The value of --name=value, "" for --name alone, NULL when it is not there. */
const char *df_flag(const struct df_instr *i, const char *name);

#endif
