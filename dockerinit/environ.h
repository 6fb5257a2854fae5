/* SPDX-License-Identifier: MPL-2.0
 *
 * environ.h - the environment, and the file that a command name means.
 */
#ifndef DOCKERINIT_ENVIRON_H
#define DOCKERINIT_ENVIRON_H

#include <limits.h>
#include <stdbool.h>

#include "err.h"

#define ENVIRON_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Docker's: PATH, HOSTNAME and (tty) TERM=xterm first, each replaced in its place by user_env's
 * entry of that name; later doubles replace earlier ones; an entry without "=" removes; HOME is
 * added when missing or empty. The vector is malloc()ed, its strings are new or borrowed from
 * user_env. NULL when out of memory. */
char **environ_build(char *const *user_env, const char *hostname, bool tty, const char *home);
const char *environ_get(char *const *env, const char *key); /* NULL when missing */

/* What the name means, as the current user: itself when it has a slash, else along path (NULL:
 * empty). Failure: err->code is -ENOENT or -EACCES ..., err->msg as runc prints it: exec: "x": ...
 */
int environ_find_exec(const char *file, const char *path, char out[PATH_MAX], struct err *err);

/* The exit status that Docker gives such a failure: 127 when there is no such file, else 126. */
int environ_exit_code(int errnum);
/* strerror as Go's runtime prints it: lower case. Static text. */
const char *environ_strerror(int errnum);

#endif
