/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_http.c - hostile bytes into the request parser, the route matcher and the websocket decoder.
 * The first byte says how the rest is cut into pieces. The same bytes must give the same heads
 * however they are cut.
 */
/* links: apiserver */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/client.h"
#include "apiserver/websocket.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct client client;
static struct client *table[CLIENT_MAX];

static void look_at(struct http_parse *hp)
{
	struct req *r = &client.req;

	/* every offset is inside the text, every string ends there */
	for (unsigned i = 0; i < hp->head.n_headers; i++) {
		assert(hp->head.headers[i].name < hp->head.text.len);
		assert(hp->head.headers[i].value < hp->head.text.len);
	}
	client.state = CLIENT_RUN;
	client.corked = true;
	client.out.len = 0;
	req_begin(r, &client);
	if (req_parse_target(r) == 0) {
		(void)req_query(r, "filters");
		strv_free(req_query_all(r, "a"));
		assert(req_version(r) >= 124 && req_version(r) <= 151);
	}
}

static unsigned run(const uint8_t *data, size_t size, size_t piece)
{
	struct http_parse *hp = &client.parse;
	unsigned heads = 0;
	size_t off = 0;

	http_fini(hp);
	http_init(hp);
	while (off < size) {
		size_t end = off + piece < size ? off + piece : size;

		while (off < end) {
			const char *body = NULL;
			size_t used, n_body = 0;
			enum http_event ev = http_next(hp, (const char *)data + off, end - off,
						       &used, &body, &n_body);

			if (ev == HTTP_EV_BAD)
				return heads;
			if (ev == HTTP_EV_HEAD) {
				heads++;
				look_at(hp);
			}
			assert(used > 0 || ev != HTTP_EV_MORE);
			off += used;
		}
	}
	return heads;
}

static void run_ws(const uint8_t *data, size_t size)
{
	uint8_t *copy = xmalloc(size + 1);
	struct ws_decoder d = { 0 };
	size_t off = 0;

	memcpy(copy, data, size);
	while (off < size) {
		uint8_t *p = NULL;
		size_t used, n = 0;
		enum ws_event ev = ws_next(&d, copy + off, size - off, &used, &p, &n);

		if (ev == WS_EV_BAD)
			break;
		assert(used > 0);
		off += used;
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (!table[1]) {
		client.slot = 1;
		table[1] = &client;
		req_table_init(table);
		route_init();
		http_init(&client.parse);
	}
	run(data + 1, size - 1, data[0] ? data[0] : 1);
	run(data + 1, size - 1, size);
	run_ws(data + 1, size - 1);
	return 0;
}
