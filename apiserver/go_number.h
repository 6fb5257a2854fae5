/* SPDX-License-Identifier: MPL-2.0
 *
 * go_number.h - what Go says of numbers, sizes and durations that do not parse (strconv, go-units, time). Pure, any thread.
 *
 * Each is called after the parse failed, and sets err (BAD_PARAM); the negative number of that is returned.
 */
#ifndef APISERVER_GO_NUMBER_H
#define APISERVER_GO_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* strconv.FUNC: parsing "x": invalid syntax, or value out of range */
int go_err_int(const char *func, const char *value, struct err *err);

/* invalid size, invalid suffix, or ParseFloat's text of the number before it */
int go_err_size(const char *value, struct err *err);

/* time: invalid duration, missing unit, or unknown unit */
int go_err_duration(const char *value, struct err *err);

/* As Duration.String: 1h0m0s, 1.5s, 20ms, 1us (with its sign for micro). ns >= 0; returns out. */
const char *go_duration_str(int64_t ns, char *out, size_t size);

#endif
