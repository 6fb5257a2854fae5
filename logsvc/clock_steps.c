/* SPDX-License-Identifier: MPL-2.0
 *
 * clock_steps.c - see clock_steps.h.
 *
 * Design. Let M be the newest time that any record of the log has. A record with a time t that is older than M by more than
 * CLOCK_STEP_NS makes a step {t, M}, or widens the last one, if that ends at M. Whoever looks for a time s outside of all steps
 * finds that every record that is older than s by two such spans has nothing before it that is as young as s: such a record, with
 * an M of at least s before it, would have made a step around s. So bisection is exact there; inside of a step it is not, and
 * the files that can matter are read from their starts.
 *
 * The file has a line "FROM TO", in nanoseconds, for each step. When there are too many, the two oldest become one around both.
 *
 * Failure: a step is saved before its records are written. One without records costs a slower read. When it cannot be saved,
 * it is known until the daemon ends.
 */
#include "clock_steps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define TEXT_MAX (CLOCK_STEPS_MAX * 48)

static void add(struct clock_steps *cs, int64_t from_ns, int64_t to_ns)
{
	struct clock_step *v = cs->v;

	if (cs->n == CLOCK_STEPS_MAX) {
		v[1].from_ns = v[0].from_ns < v[1].from_ns ? v[0].from_ns : v[1].from_ns;
		v[1].to_ns = v[0].to_ns > v[1].to_ns ? v[0].to_ns : v[1].to_ns;
		memmove(v, v + 1, --cs->n * sizeof(*v));
	}
	v[cs->n++] = (struct clock_step){ from_ns, to_ns };
}

bool clock_steps_note(struct clock_steps *cs, int64_t oldest_ns, int64_t newest_ns)
{
	struct clock_step *last = cs->n ? &cs->v[cs->n - 1] : NULL;
	bool changed = false;

	if (cs->newest_ns && oldest_ns < cs->newest_ns - CLOCK_STEP_NS) {
		if (!last || last->to_ns != cs->newest_ns) {
			add(cs, oldest_ns, cs->newest_ns);
			changed = true;
		} else if (oldest_ns < last->from_ns) {
			last->from_ns = oldest_ns;
			changed = true;
		}
	}
	if (newest_ns > cs->newest_ns)
		cs->newest_ns = newest_ns;
	return changed;
}

bool clock_steps_has(const struct clock_steps *cs, int64_t ns)
{
	for (size_t i = 0; i < cs->n; i++)
		if (ns >= cs->v[i].from_ns - CLOCK_STEP_NS && ns <= cs->v[i].to_ns + CLOCK_STEP_NS)
			return true;
	return false;
}

/* One number of a line; its end goes to *p. */
static bool number(const char **p, char end, int64_t *out)
{
	char digits[24];
	size_t n = strcspn(*p, " \n");

	if (n == 0 || n >= sizeof(digits) || (*p)[n] != end)
		return false;
	memcpy(digits, *p, n);
	digits[n] = '\0';
	*p += n + 1;
	return parse_i64(digits, 0, INT64_MAX / 2, out) == 0;
}

void clock_steps_parse(struct clock_steps *cs, const char *text)
{
	for (const char *p = text, *line; *(line = p);) {
		int64_t from, to;

		if (number(&p, ' ', &from) && number(&p, '\n', &to) && from < to) {
			add(cs, from, to);
			if (to > cs->newest_ns)
				cs->newest_ns = to;
		} else {
			p = line + strcspn(line, "\n");
			p += *p == '\n';
		}
	}
}

void clock_steps_load(struct clock_steps *cs, int dir_fd)
{
	cleanup_fd int fd = openat(dir_fd, CLOCK_STEPS_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[TEXT_MAX + 1];
	ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX);

	cs->n = 0;
	if (n < 0)
		return;
	text[n] = '\0';
	clock_steps_parse(cs, text);
}

int clock_steps_save(const struct clock_steps *cs, const char *dir_path, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	char path[1024];

	if (str_fmt(path, sizeof(path), "%s/%s", dir_path, CLOCK_STEPS_NAME) < 0)
		return err_sysnum(err, ENAMETOOLONG, "%s", dir_path);
	for (size_t i = 0; i < cs->n; i++)
		buf_printf(&text, "%" PRId64 " %" PRId64 "\n", cs->v[i].from_ns, cs->v[i].to_ns);
	return fs_write_replace(path, text.p, text.len, 0600, err);
}
