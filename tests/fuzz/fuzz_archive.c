/* SPDX-License-Identifier: MPL-2.0 */
/* links: logsvc */
/* Any bytes as a line of the archive's index, as a key file, as the store's settings, and as an object. What is accepted must be whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log_store.h"
#include "logsvc/archive_index.h"
#include "logsvc/archiver_intake.h"
#include "logsvc/store_key.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void index_line(const char *p, size_t len)
{
	cleanup_buf struct buf again = BUF_INIT;
	struct archive_entry e, back;

	if (!archive_index_parse(p, len, &e))
		return;
	if (strlen(e.sha256) != 64 || e.object[0] != '/' || strchr(e.name, '/') || e.size < 0 || e.bytes < 0)
		abort();
	archive_index_format(&e, &again);
	if (archive_index_parse(again.p, again.len - 1, &back) && strcmp(back.object, e.object) != 0)
		abort();
}

static void key_file(const char *p, bool manta)
{
	cleanup_free char *text = xstrdup(p), *pem = NULL;
	struct err err = { 0 };
	struct store_key key;

	if (store_key_parse(text, manta, &key, &pem, &err) < 0)
		return;
	if (!key.id || (manta ? !pem : !key.secret))
		abort();
	store_key_fini(&key);
}

static void settings(const char *p)
{
	cleanup_strv char **v = strv_split(p, '\n');
	cleanup_buf struct buf url = BUF_INIT;
	struct log_store at;
	struct err err = { 0 };

	if (strv_len(v) < 5)
		return;
	struct log_store_settings s = { v[0], v[1], v[2], v[3], v[4] };

	if (log_store_parse(&s, &at, &err) < 0)
		return;
	log_store_url(&at, "/o", &url);
	for (const char *c = buf_str(&url); *c; c++)
		if ((unsigned char)*c <= ' ' || strchr("?#@%\\\"", *c))
			abort();
}

static void object(const uint8_t *p, size_t len)
{
	struct intake *in = intake_new(-1, 1 << 20);
	struct intake_result r;
	struct err err = { 0 };

	if (intake_add(in, p, len, &err) == 0 && intake_end(in, &r, &err) == 0 && (r.size != (int64_t)len || r.bytes > 1 << 20))
		abort();
	intake_free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = NULL;

	if (size < 1 || size > 65536)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	switch (data[0] % 5) {
	case 0: index_line((const char *)data + 1, size - 1); break;
	case 1: key_file(text, false); break;
	case 2: key_file(text, true); break;
	case 3: settings(text); break;
	default: object(data + 1, size - 1); break;
	}
	return 0;
}
