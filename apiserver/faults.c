/* SPDX-License-Identifier: MPL-2.0
 *
 * faults.c - see faults.h.
 */
#include "faults.h"

#include "buf.h"
#include "cleanup.h"
#include "str.h"

static void add_item(struct buf *b, const char *fault)
{
	buf_addstr(b, b->len ? "\n* " : "* ");
	for (const char *s = fault; *s; s++) {
		buf_add(b, s, 1);
		if (*s == '\n')
			buf_addstr(b, "\t");
	}
}

int faults_err(char *const *faults, const char *head, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	size_t n = strv_len(faults);

	if (!n)
		return 0;
	if (n == 1)
		buf_addstr(&b, faults[0]);
	for (size_t i = 0; n > 1 && i < n; i++)
		add_item(&b, faults[i]);
	return err_kind(err, ERR_BAD_PARAM, "%s%s%s", head ? head : "", head ? "\n" : "", buf_str(&b));
}
