/* SPDX-License-Identifier: MPL-2.0
 *
 * tar_header.h - encodes one tar header: ustar, with pax records in front where a field does not
 * fit. Pure, any thread.
 */
#ifndef APISERVER_TAR_HEADER_H
#define APISERVER_TAR_HEADER_H

#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct tar_header {
	const char *name;     /* directories with a trailing slash */
	const char *linkname; /* NULL: none */
	char typeflag;	      /* '0' file '1' hard link '2' symlink '3' chr '4' blk '5' dir '6' fifo */
	mode_t mode;	      /* permission bits and 07000 */
	uint64_t uid, gid;
	int64_t size;
	int64_t mtime; /* seconds */
	unsigned dev_major, dev_minor;
	/* pax records of the caller, encoded with tar_pax_add (attributes); may be NULL */
	const struct buf *pax;
};

/* Appends "LEN key=value\n". */
void tar_pax_add(struct buf *pax, const char *key, const void *value, size_t len);
/* Appends the header's blocks, padded; the payload is the caller's. */
void tar_header_encode(struct buf *out, const struct tar_header *h);

#endif
