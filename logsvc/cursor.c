/* SPDX-License-Identifier: MPL-2.0
 *
 * cursor.c - the cursor file: two slots, written in turn, each with a count and a checksum, so that
 * whoever dies in a write leaves the one before. It is not synced: after a crash of the machine some
 * lines are sent again, as the log's own end may be gone. Its room is taken when it is opened: a disk that fills later has it.
 */
#include "cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC	   0x33726f7372756353ull
#define SLOT_BYTES 512

struct slot {
	uint64_t magic;
	uint64_t count;
	struct cursor c;
	uint64_t crc; /* of what stands before */
};
_Static_assert(sizeof(struct slot) <= SLOT_BYTES, "a slot holds a cursor");

static uint64_t checksum(const struct slot *s)
{
	return crc32(0, (const unsigned char *)s, offsetof(struct slot, crc));
}

static bool is_sane(const struct cursor *c)
{
	return c->off >= 0 && !c->split[0].id[sizeof(c->split[0].id) - 1] &&
	       !c->split[1].id[sizeof(c->split[1].id) - 1];
}

/* The newest slot, and its place; -1: there is none. */
static int newest(int fd, struct slot *out)
{
	int found = -1;

	for (int i = 0; i < 2; i++) {
		struct slot s;

		if (pread(fd, &s, sizeof(s), i * SLOT_BYTES) != (ssize_t)sizeof(s) ||
		    s.magic != MAGIC || s.crc != checksum(&s) || !is_sane(&s.c))
			continue;
		if (found < 0 || s.count > out->count) {
			*out = s;
			found = i;
		}
	}
	return found;
}

bool cursor_load(int fd, struct cursor *c)
{
	struct slot s;

	memset(c, 0, sizeof(*c));
	if (newest(fd, &s) < 0)
		return false;
	*c = s.c;
	return true;
}

void cursor_reserve(int fd)
{
	(void)posix_fallocate(fd, 0, 2 * SLOT_BYTES);
}

int cursor_save(int fd, const struct cursor *c)
{
	struct slot old, s;
	int at = newest(fd, &old);

	memset(&s, 0, sizeof(s));
	s.magic = MAGIC;
	s.count = at < 0 ? 1 : old.count + 1;
	s.c = *c;
	s.crc = checksum(&s);
	if (pwrite(fd, &s, sizeof(s), at == 0 ? SLOT_BYTES : 0) != (ssize_t)sizeof(s))
		return errno ? -errno : -EIO;
	return 0;
}
