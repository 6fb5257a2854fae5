/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_flags.h - the --name=value words of a Dockerfile's instructions, for its parser. Pure.
 */
#ifndef APISERVER_DOCKERFILE_FLAGS_H
#define APISERVER_DOCKERFILE_FLAGS_H

#include "apiserver/dockerfile.h"
#include "err.h"

/* Adds the flags at the start of s to *flags; returns what is behind them. A bare "--" ends them. */
const char *dockerfile_flags_take(const char *s, char escape, char ***flags);
/* Known to the instruction, with the kind of value that they take, once. */
int dockerfile_flags_check(const struct df_instr *in, struct err *err);

#define DOCKERFILE_HINT_MAX 64
/* " (did you mean X?)" when one of the options (NULL-terminated) is near to word; else "". */
void dockerfile_hint(char out[DOCKERFILE_HINT_MAX], const char *word, const char *const *options);

#endif
