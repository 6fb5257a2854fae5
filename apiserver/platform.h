/* SPDX-License-Identifier: MPL-2.0
 *
 * platform.h - which machine an image is for: "os/architecture/variant". Pure, any thread.
 *
 * The rules are those of containerd's package platforms, which Docker uses: names are brought to one spelling
 * ("x86_64" is amd64, "arm64/v8" is arm64), and a machine runs the lower variants too (arm/v6 on arm/v7, amd64
 * on amd64/v3, 386 on amd64, arm on arm64).
 */
#ifndef APISERVER_PLATFORM_H
#define APISERVER_PLATFORM_H

#include <stdbool.h>

#include "err.h"

struct image;

struct platform {
	char os[32], architecture[32], variant[32];
};

/* Go's name of this machine's architecture. */
const char *platform_host_arch(void);
/* This machine, with the highest variant that it runs. */
void platform_host(struct platform *out);
/* os[/architecture[/variant]], or an architecture alone; what is missing is this machine's. ERR_BAD_PARAM with
 * containerd's words otherwise. */
int platform_parse(const char *text, struct platform *out, struct err *err);
/* The API's form: {"os", "architecture", "variant"}; the first two are needed. */
int platform_parse_json(const char *text, struct platform *out, struct err *err);
/* As given, normalized, for comparing. */
void platform_set(struct platform *p, const char *os, const char *architecture, const char *variant);
/* "linux/amd64". Owned. */
char *platform_text(const struct platform *p);
/* How well have runs on want: 0 not at all; more is better. */
unsigned platform_fit(const struct platform *want, const struct platform *have);
/* Whether an image is for it. Images often don't tell the variant: then the architecture is enough. */
bool platform_fits_image(const struct platform *want, const struct image *img);
/* Whether an image is just the one that an index has for it: not one that would run there too. */
bool platform_is_image(const struct platform *want, const struct image *img);
/* platform_fits_image, or ERR_NOT_FOUND with Docker's words; ref: what the user named the image. */
int platform_check_image(const struct platform *want, const struct image *img, const char *ref, struct err *err);

#endif
