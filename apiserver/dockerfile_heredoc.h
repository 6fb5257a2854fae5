/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_heredoc.h - here-documents in a Dockerfile: found, so that their lines are not taken
 * for instructions. Pure.
 */
#ifndef APISERVER_DOCKERFILE_HEREDOC_H
#define APISERVER_DOCKERFILE_HEREDOC_H

#include <stdbool.h>

struct df_heredoc {
	char *name; /* of the line that ends it; owned */
	bool chomp; /* <<-: tabs before that are not looked at */
};

/* The instruction (RUN, COPY, ADD) can have here-documents. */
bool dockerfile_heredoc_ok(const char *text);
/* The words of an instruction's text, with their quotes; "<< WORD" is one. Owned. */
char **dockerfile_heredoc_words(const char *text);
/* [FD]<<[-]WORD */
bool dockerfile_heredoc(const char *word, struct df_heredoc *out);

#endif
