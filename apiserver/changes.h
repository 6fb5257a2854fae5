/* SPDX-License-Identifier: MPL-2.0
 *
 * changes.h - what a container has changed of its image: GET /containers/X/changes. Worker.
 */
#ifndef APISERVER_CHANGES_H
#define APISERVER_CHANGES_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

enum change_kind { CHANGE_MODIFIED, CHANGE_ADDED, CHANGE_DELETED }; /* as the API has them */

struct change {
	char *path;
	enum change_kind kind;
};

/* upper: the overlay's upper directory; lowers: absolute paths, topmost first. By path, a directory
 * before what is in it. *out owned: changes_free. */
int changes_find(const char *upper, char *const *lowers, struct change **out, size_t *n,
		 struct err *err);
void changes_free(struct change *v, size_t n);
/* Of a zone, by its zone.json; one that never was mounted has none. Appends Docker's JSON. */
int changes_json(const char *uuid, struct buf *out, struct err *err);

#endif
