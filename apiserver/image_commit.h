/* SPDX-License-Identifier: MPL-2.0
 *
 * image_commit.h - a new image on top of another: docker commit, and the steps of a build. Worker.
 */
#ifndef APISERVER_IMAGE_COMMIT_H
#define APISERVER_IMAGE_COMMIT_H

#include <jansson.h>

#include "apiserver/image_events.h"
#include "apiserver/image_store.h"
#include "err.h"

struct image_commit {
	const char *parent_id;	     /* image, "" or NULL: from scratch */
	const char *upper;	     /* overlay upper directory (absolute); NULL: no new layer */
	const json_t *config;	     /* the image's Config */
	const json_t *container_config; /* what made it, or NULL */
	const char *container_id;    /* or NULL */
	const char *created_by, *author, *comment; /* history; may be NULL */
	const char *os, *arch;	     /* NULL: the parent's, or the host's */
	bool built;		     /* a build step's */
	const char *ref;	     /* canonical name to tag with, or NULL */
};
/* An upper without anything in it adds no layer. */
int image_commit(const struct image_commit *ic, char out_id[72], struct image_events *ev,
		 struct err *err);
/* An image with config, and the layers of base (NULL: none) and upper; the history gets a step with
 * comment. No parent. config is changed. */
int image_commit_squashed(json_t *config, const struct image *base, const char *upper,
			  const char *comment, char out_id[72], struct err *err);
/* Docker's merge: what user lacks comes from base. Both Config objects; user is changed. */
void image_config_merge(json_t *user, const json_t *base);

#endif
