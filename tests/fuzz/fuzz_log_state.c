/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/*
 * fuzz_log_state.c - what logsvc and the loggers find of themselves after a crash: a cursor file (its checksums are put right,
 * for they would stop nearly all inputs), the header of a ring, and the steps of the clock. The first byte picks.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "log.h"
#include "logsvc/clock_steps.h"
#include "logsvc/cursor.h"
#include "logsvc/ring.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define SLOT	    512
#define CURSOR_AT   16 /* behind magic and count */
#define RING_HEADER 4096

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LVL_ERR);
	return 0;
}

static int file_of(const void *p, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, p, len) != (ssize_t)len)
		abort();
	return fd;
}

static void cursor(const uint8_t *data, size_t size, bool mend)
{
	char file[2 * SLOT] = { 0 };
	struct cursor c, again;
	int fd;

	memcpy(file, data, size < sizeof(file) ? size : sizeof(file));
	for (int i = 0; mend && i < 2; i++) {
		uint64_t crc = crc32(0, (unsigned char *)file + i * SLOT,
				     CURSOR_AT + sizeof(struct cursor));

		memcpy(file + i * SLOT + CURSOR_AT + sizeof(struct cursor), &crc, sizeof(crc));
	}
	fd = file_of(file, size < sizeof(file) ? size : sizeof(file));
	if (cursor_load(fd, &c)) {
		if (c.off < 0 || !memchr(c.split[0].id, '\0', sizeof(c.split[0].id)) ||
		    !memchr(c.split[1].id, '\0', sizeof(c.split[1].id)))
			abort();
	}
	if (cursor_save(fd, &c) < 0 || !cursor_load(fd, &again) ||
	    memcmp(&c, &again, sizeof(c)) != 0)
		abort();
	close(fd);
}

/* Whatever the header says, what is between tail and head can be read and committed. */
static void ring(const uint8_t *data, size_t size)
{
	struct ring r = { .fd = -1 };
	enum ring_state state;
	struct err err = { 0 };
	int fd = file_of(data, size < RING_HEADER ? size : RING_HEADER);
	volatile char sum = 0;

	if (ftruncate(fd, RING_HEADER + (off_t)RING_STREAMS * RING_BYTES) < 0)
		abort();
	if (ring_open(&r, fd, &state, &err) < 0)
		return;
	if (ring_wake(&r, &err) < 0)
		abort();
	for (int s = 0; s < RING_STREAMS; s++) {
		struct ring_slot next = *ring_slot(&r);
		uint64_t used = ring_used(&r, s);
		const char *at = ring_at(&r, s, next.tail[s]);

		if (used > RING_BYTES || (state != RING_KEPT && used))
			abort();
		for (uint64_t i = 0; i < used; i += 4096)
			sum = (char)(sum + at[i]);
		if (used)
			sum = (char)(sum + at[used - 1]);
		next.tail[s] += used;
		ring_commit(&r, &next);
		if (ring_used(&r, s))
			abort();
	}
	ring_rest(&r);
	ring_close(&r);
}

/* Steps are what they say: whole, bounded, and around their ends. */
static void steps(const uint8_t *data, size_t size)
{
	struct clock_steps cs = { .n = 0 };
	char *text = xstrndup((const char *)data, size);

	clock_steps_parse(&cs, text);
	if (cs.n > CLOCK_STEPS_MAX)
		abort();
	for (size_t i = 0; i < cs.n; i++)
		if (cs.v[i].from_ns >= cs.v[i].to_ns || !clock_steps_has(&cs, cs.v[i].from_ns) ||
		    !clock_steps_has(&cs, cs.v[i].to_ns) || cs.v[i].to_ns > cs.newest_ns)
			abort();
	(void)clock_steps_note(&cs, 1, INT64_MAX / 2);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] % 8 == 4)
		steps(data + 1, size - 1);
	else if (data[0] % 4 == 3)
		ring(data + 1, size - 1);
	else
		cursor(data + 1, size - 1, data[0] % 4 != 0);
	return 0;
}
