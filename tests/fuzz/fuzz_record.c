/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Any bytes as a line of a log. What decodes must be inside its buffers and be printable. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logsvc/record.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_clock clock = { { 0 }, 0 };
	struct buf details = BUF_INIT;
	char *line, *text, nine[RECORD_TIME9];
	struct record r;

	if (size > 100000)
		return 0;
	line = xcalloc(1, size + RECORD_SLACK);
	text = xmalloc(size + RECORD_SLACK);
	memcpy(line, data, size);
	if (record_decode(line, size, text, &r) == 0) {
		if (r.text_len > size || (r.time && r.time + r.time_len > line + size) ||
		    (r.attrs && r.attrs + r.attrs_len > line + size))
			abort();
		(void)record_time_ns(&r, &clock);
		record_time9(&r, nine);
		record_details(&r, &details);
	}
	buf_fini(&details);
	free(line);
	free(text);
	return 0;
}
