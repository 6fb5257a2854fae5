/* SPDX-License-Identifier: MPL-2.0
 *
 * image_ref.h - names of images by Docker's reference grammar: [domain/]path[:tag][@digest]. Pure,
 * any thread.
 *
 * A parsed reference is normalised: the domain is always there ("docker.io" when the user gave
 * none), and one-word names on docker.io are in "library/". "Familiar" is the short form that
 * users see, "canonical" the whole one.
 */
#ifndef APISERVER_IMAGE_REF_H
#define APISERVER_IMAGE_REF_H

#include <stdbool.h>

#include "err.h"

#define IMAGE_REF_DOMAIN "docker.io"

struct image_ref {
	char domain[256];
	char path[256];
	char tag[129];	  /* "" when not given */
	char digest[140]; /* algorithm:hex, "" when not given */
};

/* Docker's texts on failure, BAD_PARAM: "invalid reference format", ... */
int image_ref_parse(const char *s, struct image_ref *out, struct err *err);
/* FORBIDDEN for "scratch", which no registry may have. */
int image_ref_check_pull(const struct image_ref *r, struct err *err);
/* The same, or an image ID: 64 hex digits or sha256:<64 hex> leave domain and path empty and set
 * digest (sha256:...). */
int image_ref_parse_any(const char *s, struct image_ref *out, struct err *err);
void image_ref_default_tag(struct image_ref *r); /* :latest where there is neither tag nor digest */
static inline bool image_ref_is_id(const struct image_ref *r)
{
	return !r->path[0];
}

/* All owned by the caller. */
char *image_ref_canonical(const struct image_ref *r); /* docker.io/library/busybox:latest */
char *image_ref_familiar(const struct image_ref *r);  /* busybox:latest */
char *image_ref_name(const struct image_ref *r);      /* docker.io/library/busybox */
char *image_ref_familiar_name(const struct image_ref *r);
/* What the store keys a name by: name:tag, or name@digest where there is a digest (a tag beside it
 * is not looked at). */
char *image_ref_key(const struct image_ref *r);

bool image_tag_valid(const char *tag);
/* sha256:<64 lower-case hex digits>. */
bool image_id_valid(const char *id);
/* Docker's filepath.Match of reference patterns against the familiar name, with and without tag. */
/* Whether image_ref_match can use it: Go's path.Match calls others syntax errors. */
bool image_pattern_valid(const char *pattern);
bool image_ref_match(const struct image_ref *r, const char *pattern);

#endif
