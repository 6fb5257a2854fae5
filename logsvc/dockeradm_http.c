/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_http.c - a request to apiserver on one of its unix sockets.
 *
 * HTTP/1.1 with Connection: close, so that the answer ends where the connection does; the answers
 * asked for here are whole JSON texts, never chunked.
 */
#include "dockeradm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

#define ANSWER_MAX (64 * 1024 * 1024)
#define ANSWER_S   60

char *adm_target(const char *prefix, const char *s, const char *suffix)
{
	struct buf b = BUF_INIT;

	buf_addstr(&b, prefix);
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9') || strchr("-_.", *s);

		if (plain)
			buf_addch(&b, *s);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*s);
	}
	buf_addstr(&b, suffix);
	return buf_steal(&b);
}

static int open_sock(const char *path, struct err *err)
{
	struct timeval patience = { .tv_sec = ANSWER_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (str_fmt(sa.sun_path, sizeof(sa.sun_path), "%s", path) < 0)
		return err_kind(err, ERR_BAD_PARAM, "the socket's path is too long: %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "make a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "apiserver: connect to %s", path);
	return take_fd(&fd);
}

static int read_all(int fd, struct buf *b, struct err *err)
{
	char chunk[16384];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "apiserver: read its answer");
		buf_add(b, chunk, (size_t)n);
	}
	if (buf_over(b))
		return err_kind(err, ERR_SYSTEM, "apiserver: an answer of more than %d bytes", ANSWER_MAX);
	return 0;
}

static int take_answer(const struct buf *b, json_t **out, struct err *err)
{
	const char *text = buf_str(b), *body = strstr(text, "\r\n\r\n");
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };
	cleanup_free char *status = NULL;
	int64_t n = 0;

	if (b->len < 12 || !str_starts(text, "HTTP/1.") || !body)
		return err_kind(err, ERR_SYSTEM, "apiserver: no answer");
	status = xstrndup(text + 9, 3);
	body += 4;
	if (parse_i64(status, 100, 599, &n) < 0)
		return err_kind(err, ERR_SYSTEM, "apiserver: bad status line");
	(void)jparse(body, b->len - (size_t)(body - text), &o, &ignored);
	if (n >= 400)
		return err_kind(err, ERR_BAD_PARAM, "%s", jget_str(o, "message", "apiserver: refused"));
	if (out)
		*out = take_ptr(&o);
	return 0;
}

int adm_http(const char *sock, const char *method, const char *target, const char *body,
	     json_t **out, struct err *err)
{
	cleanup_fd int fd = open_sock(sock, err);
	cleanup_buf struct buf b = BUF_INIT;
	int rc;

	if (fd < 0)
		return fd;
	buf_printf(&b, "%s %s HTTP/1.1\r\nHost: sdc-docker\r\nConnection: close\r\n", method, target);
	if (body)
		buf_printf(&b, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
	buf_printf(&b, "\r\n%s", body ? body : "");
	if ((rc = fs_write_all(fd, b.p, b.len)) < 0)
		return err_sysnum(err, rc, "apiserver: send the request");
	buf_fini(&b);
	buf_init(&b, ANSWER_MAX);
	if ((rc = read_all(fd, &b, err)) < 0)
		return rc;
	return take_answer(&b, out, err);
}
