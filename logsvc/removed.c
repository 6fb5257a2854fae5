/* SPDX-License-Identifier: MPL-2.0
 *
 * removed.c - the ring of removed files in the commit page.
 *
 * Design. logsvc cannot know what of a file was forwarded: the logger's saved place is older than the one that it has come to, and
 * moves while the file is counted. So logsvc tells what the file held, and each cursor finds out for itself what it lost: nothing
 * of a file that it is past; of its own file what it has not read yet; all of a later one. A cursor that is taken back to an
 * older place (a connection broke) counts anew from there.
 *
 * Files go in order of age, so that what is told before the cursor's own file is behind it, and a file is told before it is
 * unlinked, so that whoever misses it in the folder finds it here. The same file may be told twice (logsvc died between the
 * two): the second time it is behind the cursor.
 *
 * A logger that does not look while RING files go learns of the oldest ones only their sum.
 */
#include "removed.h"

#include <stddef.h>

struct entry {
	uint64_t ino;
	int64_t born_ns, time_s;
	uint64_t lines, bytes, all_lines, all_bytes;
};

void removed_add(struct forward_commit *page, const struct removed_file *f)
{
	uint64_t n = atomic_load(&page->removed_n);
	struct removed_file *to = &page->removed[n % FORWARD_REMOVED_MAX];
	const struct removed_file *last = n ? &page->removed[(n - 1) % FORWARD_REMOVED_MAX] : NULL;
	uint64_t all_lines = last ? atomic_load(&last->all_lines) : 0,
		 all_bytes = last ? atomic_load(&last->all_bytes) : 0;

	atomic_store(&to->ino, atomic_load(&f->ino));
	atomic_store(&to->born_ns, atomic_load(&f->born_ns));
	atomic_store(&to->time_s, atomic_load(&f->time_s));
	atomic_store(&to->lines, atomic_load(&f->lines));
	atomic_store(&to->bytes, atomic_load(&f->bytes));
	atomic_store(&to->all_lines, all_lines + atomic_load(&f->lines));
	atomic_store(&to->all_bytes, all_bytes + atomic_load(&f->bytes));
	atomic_store(&page->removed_n, n + 1);
}

/* Entries from..n, oldest first; how many. *n: of the whole ring. */
static unsigned copy_ring(const struct forward_commit *page, uint64_t from,
			  struct entry v[FORWARD_REMOVED_MAX], uint64_t *n)
{
	unsigned k;

	for (;;) {
		*n = atomic_load(&page->removed_n);
		if (from > *n)
			from = 0; /* the page is newer than the cursor */
		if (*n - from > FORWARD_REMOVED_MAX)
			from = *n - FORWARD_REMOVED_MAX;
		for (k = 0; from + k < *n; k++) {
			const struct removed_file *f =
				&page->removed[(from + k) % FORWARD_REMOVED_MAX];

			v[k] = (struct entry){
				atomic_load(&f->ino),	   atomic_load(&f->born_ns),
				atomic_load(&f->time_s),   atomic_load(&f->lines),
				atomic_load(&f->bytes),	   atomic_load(&f->all_lines),
				atomic_load(&f->all_bytes)
			};
		}
		if (from + FORWARD_REMOVED_MAX > atomic_load(&page->removed_n))
			return k; /* none of these was written meanwhile */
		from++;
	}
}

static bool is_at(const struct entry *e, const struct cursor *c)
{
	return c->ino && e->ino == c->ino &&
	       (!e->born_ns || !c->born_ns || e->born_ns == c->born_ns);
}

/* All up to the file of time_s is gone: so many lines and bytes. own: the cursor's own file is among it. */
static uint64_t pass(struct cursor *c, int64_t time_s, bool own, uint64_t lines, uint64_t bytes)
{
	uint64_t had = own ? c->file_lines : 0, off = own ? (uint64_t)c->off : 0;

	lines = lines > had ? lines - had : 0;
	bytes = bytes > off ? bytes - off : 0;
	c->ino = 0;
	c->born_ns = c->off = 0;
	c->file_lines = 0;
	c->file_s = time_s;
	if (lines) {
		c->dropped += lines;
		c->dropped_bytes += bytes;
		c->untold_lines += lines;
		c->untold_bytes += bytes;
	}
	return lines;
}

static bool has_own(const struct entry *v, unsigned n, const struct cursor *c)
{
	for (unsigned i = 0; i < n; i++)
		if (is_at(&v[i], c))
			return true;
	return false;
}

uint64_t removed_take(const struct forward_commit *page, struct cursor *c, bool there)
{
	uint64_t seen = atomic_load(&page->removed_n), lost = 0, n_all;
	struct entry v[FORWARD_REMOVED_MAX];
	unsigned n;

	if (seen == c->seen)
		return 0;
	if (seen < c->seen)
		c->seen = c->seen_lines = c->seen_bytes = 0;
	n = copy_ring(page, c->seen, v, &n_all);
	/* the ring has lost some: the cursor's file was one of them, unless it is known where that is */
	if (n && n_all - c->seen > n && !there && !has_own(v, n, c) &&
	    (c->file_s < v[0].time_s || c->file_s == INT64_MAX))
		lost = pass(c, v[0].time_s - 1, true, v[0].all_lines - v[0].lines - c->seen_lines,
			    v[0].all_bytes - v[0].bytes - c->seen_bytes);
	for (unsigned i = 0; i < n; i++)
		if (is_at(&v[i], c) || v[i].time_s > c->file_s)
			lost += pass(c, v[i].time_s, is_at(&v[i], c), v[i].lines, v[i].bytes);
	c->seen = n_all;
	if (n) {
		c->seen_lines = v[n - 1].all_lines;
		c->seen_bytes = v[n - 1].all_bytes;
	}
	return lost;
}

bool removed_when(const struct forward_commit *page, const struct cursor *c, int64_t *time_s)
{
	struct entry v[FORWARD_REMOVED_MAX];
	uint64_t n_all;
	unsigned n = copy_ring(page, 0, v, &n_all);

	for (unsigned i = 0; i < n; i++) {
		if (!is_at(&v[i], c))
			continue;
		*time_s = v[i].time_s;
		return true;
	}
	return false;
}
