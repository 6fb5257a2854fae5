/* SPDX-License-Identifier: MPL-2.0
 *
 * faults.h - all that is wrong with one request, told at once.
 *
 * The faults are a vector of strings (lib/str.h: strv_add, strv_addf). One alone is told as it is; several become a
 * list, each behind "* " on a line of its own, a further line of one behind a tab: as moby's multierror has it.
 */
#ifndef APISERVER_FAULTS_H
#define APISERVER_FAULTS_H

#include "err.h"

/* 0 where there is none, else a 400 with the text: "HEAD\nFAULTS", or the faults alone where head is NULL. */
int faults_err(char *const *faults, const char *head, struct err *err);

#endif
