/* SPDX-License-Identifier: MPL-2.0 */
/* links: dockerinit */
/* What a guest can send to zoneadmd, and what both static programs read as JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerinit/json.h"
#include "dockerinit/mdata_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The checksum would stop nearly all inputs: it is put right first. */
static void frame(const uint8_t *data, size_t size)
{
	struct mdata_frame f;
	size_t len;
	char *line = mdata_frame_make("0123abcd", "GET", data, size, &len);

	if (!line)
		return;
	line[--len] = '\0';
	if (mdata_frame_parse(line, len, &f) < 0 || f.payload_len != size ||
	    memcmp(f.payload, data, size) != 0)
		abort();
	free(line);
	line = malloc(size + 1);
	if (!line)
		return;
	memcpy(line, data, size);
	line[size] = '\0';
	mdata_frame_parse(line, size, &f);
	free(line);
}

static void walk(const struct json *j, const struct json_val *v)
{
	const struct json_val *e;

	if (v->type == JSON_STR && strlen(v->s) != v->n)
		abort();
	for (e = json_first(j, v); e; e = json_next(j, v, e))
		walk(j, e);
}

static void json(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct json j;

	if (!text)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (json_parse(&j, text, size, 10000) == 0) {
		walk(&j, j.v);
		json_get(&j, j.v, "key");
		free(json_strv(&j, j.v, NULL));
	}
	json_fini(&j);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	if (data[0] & 1)
		frame(data + 1, size - 1);
	else
		json(data + 1, size - 1);
	return 0;
}
