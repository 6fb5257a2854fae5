/* SPDX-License-Identifier: MPL-2.0
 *
 * manifest.h - image manifests and indexes, Docker's schema 2 and OCI's. Pure, any thread.
 * Those of schema 1 are only told apart here: schema1.h reads them.
 */
#ifndef APISERVER_MANIFEST_H
#define APISERVER_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apiserver/platform.h"
#include "buf.h"
#include "err.h"

#define MANIFEST_MAX		 (4 * 1024 * 1024)
#define MANIFEST_DOCKER		 "application/vnd.docker.distribution.manifest.v2+json"
#define MANIFEST_DOCKER_LIST	 "application/vnd.docker.distribution.manifest.list.v2+json"
#define MANIFEST_OCI		 "application/vnd.oci.image.manifest.v1+json"
#define MANIFEST_OCI_INDEX	 "application/vnd.oci.image.index.v1+json"
#define MANIFEST_DOCKER_CONFIG	 "application/vnd.docker.container.image.v1+json"
#define MANIFEST_DOCKER_LAYER	 "application/vnd.docker.image.rootfs.diff.tar.gzip"

struct descriptor {
	char media_type[128];
	char digest[72]; /* sha256:<64 hex>, checked */
	int64_t size;	 /* > 0 */
	/* of an index's entries */
	char os[32], architecture[32], variant[32];
};

struct manifest {
	bool is_index, is_schema1;
	char media_type[128];
	struct descriptor config;
	struct descriptor *v; /* layers, bottom first; or an index's manifests */
	size_t n;
};

/* content_type: the registry's word, used where the text has no mediaType; may be NULL. */
int manifest_parse(const char *text, size_t len, const char *content_type, struct manifest *out,
		   struct err *err);
/* ERR_BAD_PARAM, with Docker's words, when the parts are not those of an image: plugins, models, other artifacts. */
int manifest_check_image(const struct manifest *m, struct err *err);
void manifest_fini(struct manifest *m);
/* The entry that fits best; NULL: there is none. want NULL: this machine. */
const struct descriptor *manifest_pick(const struct manifest *index, const struct platform *want);
/* Schema 2, with the same bytes as Docker writes. */
void manifest_write(const struct descriptor *config, const struct descriptor *layers, size_t n,
		    struct buf *out);

#endif
