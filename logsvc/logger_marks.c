/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_marks.c - a ring of {bytes written, time, cursor}, one for each span of time.
 *
 * Invariants: n >= 1 after marks_reset, and the first one is taken; written and at_ns never fall.
 */
#include "logger_marks.h"

#include <stddef.h>

static struct mark *at(struct marks *m, unsigned i)
{
	return &m->v[(m->first + i) % MARKS_MAX];
}

void marks_reset(struct marks *m, const struct cursor *cursor)
{
	m->first = 0;
	m->n = m->n_taken = 1;
	m->v[0] = (struct mark){ .cursor = *cursor };
}

void marks_add(struct marks *m, uint64_t written, const struct cursor *cursor, int64_t now_ns, int64_t span_ns)
{
	struct mark *last = at(m, m->n - 1);

	if (marks_pending(m) && now_ns - last->at_ns < span_ns) {
		last->written = written;
		last->cursor = *cursor;
		return;
	}
	if (m->n == MARKS_MAX && m->n_taken > 1) {
		m->first = (m->first + 1) % MARKS_MAX;
		m->n--;
		m->n_taken--;
	}
	if (m->n < MARKS_MAX)
		last = at(m, m->n++);
	*last = (struct mark){ .written = written, .at_ns = now_ns, .cursor = *cursor };
}

const struct cursor *marks_take(struct marks *m, int64_t got, int64_t until_ns)
{
	unsigned before = m->n_taken;

	while (m->n_taken < m->n && (int64_t)at(m, m->n_taken)->written <= got && at(m, m->n_taken)->at_ns <= until_ns)
		m->n_taken++;
	return m->n_taken > before ? &at(m, m->n_taken - 1)->cursor : NULL;
}

const struct cursor *marks_back(const struct marks *m, int64_t got)
{
	unsigned i = m->n_taken - 1;

	while (i > 0 && (int64_t)m->v[(m->first + i) % MARKS_MAX].written > got)
		i--;
	return &m->v[(m->first + i) % MARKS_MAX].cursor;
}
