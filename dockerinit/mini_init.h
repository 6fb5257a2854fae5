/* SPDX-License-Identifier: MPL-2.0
 *
 * mini_init.h - the first process of a zone with --init.
 */
#ifndef DOCKERINIT_MINI_INIT_H
#define DOCKERINIT_MINI_INIT_H

#define MINI_INIT_NAME "/sbin/docker-init" /* argv[0], as `docker top` shows it with Docker */

/* docker-init -- PROGRAM [ARG...]; the program's exit status. */
int mini_init_main(int argc, char **argv);

#endif
