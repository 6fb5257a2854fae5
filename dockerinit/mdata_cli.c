/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_cli.c - mdata-get, mdata-put, mdata-list, mdata-delete: the zone's tools for its metadata.
 *
 * Exit status: 0 done, 1 no such key, 2 error, 3 usage.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "exec_spec.h"
#include "fs.h"
#include "mdata_client.h"
#include "mdata_wire.h"

enum { DONE = 0, NOT_FOUND = 1, FAILED = 2, USAGE = 3 };

#define VALUE_MAX (1024 * 1024)

struct command {
	const char *name;
	const char *word;
	const char *usage;
	int min_args, max_args;
};

static const struct command commands[] = {
	{ "mdata-get", "GET", "<keyname>", 1, 1 },
	{ "mdata-put", "PUT", "<keyname> [ <value> ]", 1, 2 },
	{ "mdata-list", "KEYS", "", 0, 0 },
	{ "mdata-delete", "DELETE", "<keyname>", 1, 1 },
};

__attribute__((format(printf, 1, 2))) static void complain(const char *fmt, ...)
{
	char text[1200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 1)
		n = sizeof(text) - 1;
	if (fs_write_all(STDERR_FILENO, text, (size_t)n) < 0)
		return; /* nobody to tell */
}

static int read_stdin(struct buf *out)
{
	char chunk[4096];
	ssize_t n;

	out->max = VALUE_MAX;
	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		buf_add(out, chunk, (size_t)n);
	return n < 0 || buf_over(out) ? -1 : 0;
}

/* base64(key) SP base64(value) */
static int put_payload(const char *key, const char *value, struct buf *out)
{
	cleanup_buf struct buf in = BUF_INIT;
	size_t klen = strlen(key);

	if (value)
		buf_addstr(&in, value);
	else if (read_stdin(&in) < 0)
		return -1;
	buf_reserve(out, 4 * (klen + in.len) / 3 + 16);
	out->len += base64_encode(out->p, key, klen);
	out->p[out->len++] = ' ';
	out->len += base64_encode(out->p + out->len, buf_str(&in), in.len);
	return 0;
}

static int print_answer(const struct command *c, const char *key, enum mdata_status status,
			char *text, size_t len)
{
	switch (status) {
	case MDATA_SUCCESS:
		if (strcmp(c->word, "GET") != 0 && strcmp(c->word, "KEYS") != 0)
			return DONE;
		if (len ? text[len - 1] != '\n' : strcmp(c->word, "GET") == 0)
			text[len++] = '\n'; /* in place of the NUL */
		return fs_write_all(STDOUT_FILENO, text, len) < 0 ? FAILED : DONE;
	case MDATA_NOTFOUND:
		if (!key) /* mdata-list without a key */
			return DONE;
		complain("No metadata for '%s'\n", key);
		return NOT_FOUND;
	case MDATA_FAILURE:
		break;
	}
	complain("ERROR: %s: %s\n", key ? key : c->name, text);
	return FAILED;
}

int mdata_cli_main(const char *name, int argc, char **argv)
{
	struct mdata_client conn = { .fd = -1 };
	const struct command *c = commands;
	cleanup_buf struct buf payload = BUF_INIT;
	cleanup_free char *text = NULL;
	enum mdata_status status;
	struct err err = { 0 };
	size_t len;

	while (strcmp(c->name, name) != 0)
		c++;
	if (argc - 1 < c->min_args || argc - 1 > c->max_args) {
		complain("Usage: %s %s\n", c->name, c->usage);
		return USAGE;
	}
	if (strcmp(c->word, "PUT") == 0) {
		if (argc == 2 && isatty(STDIN_FILENO)) {
			complain("ERROR: give the value as second argument or on stdin\n");
			return FAILED;
		}
		if (put_payload(argv[1], argc > 2 ? argv[2] : NULL, &payload) < 0) {
			complain("ERROR: could not read the value\n");
			return FAILED;
		}
	} else if (argc > 1) {
		buf_addstr(&payload, argv[1]);
	}
	if (mdata_connect(&conn, ZC_SOCKET, &err) < 0 || mdata_negotiate(&conn, &err) < 0 ||
	    mdata_request(&conn, c->word, payload.len ? payload.p : NULL, payload.len, &status,
			  &text, &len, &err) < 0) {
		complain("ERROR: %s\n", err.msg);
		return FAILED;
	}
	return print_answer(c, argc > 1 ? argv[1] : NULL, status, text, len);
}
