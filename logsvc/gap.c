/* SPDX-License-Identifier: MPL-2.0
 *
 * gap.c - see gap.h.
 *
 * The file is a struct gap. Its gap has been told when the log goes on behind log_off: nothing else is written there before.
 */
#include "gap.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"

void gap_record(struct buf *out, const struct gap *g, enum record_stream stream, const char *attrs, int64_t now_ns)
{
	buf_addstr(out, RECORD_HEAD);
	buf_printf(out, "logsvc: %" PRIu64 " messages (%" PRIu64 " bytes) dropped", g->lines, g->bytes);
	record_tail(out, stream, attrs, now_ns);
}

int gap_save(const char *path, const struct gap *g, struct err *err)
{
	return fs_write_replace(path, g, sizeof(*g), 0600, err);
}

bool gap_load(const char *path, struct gap *g)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && read(fd, g, sizeof(*g)) == (ssize_t)sizeof(*g) && g->lines > 0;
}
