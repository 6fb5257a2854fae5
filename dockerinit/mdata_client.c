/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_client.c - see mdata_client.h. Blocking, with a deadline per answer.
 */
#include "mdata_client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "mdata_wire.h"

#define ANSWER_MAX (8 * 1024 * 1024)
#define ANSWER_MS  30000

int mdata_connect(struct mdata_client *c, const char *path, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= (int)sizeof(sa.sun_path))
		return err_sysnum(err, ENAMETOOLONG, "connect to %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		if (errno != EINTR)
			return err_sys(err, "connect to %s", path);
	memset(c, 0, sizeof(*c));
	c->in.max = ANSWER_MAX;
	c->fd = take_fd(&fd);
	return 0;
}

void mdata_close(struct mdata_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_fini(&c->in);
}

int mdata_send(struct mdata_client *c, const char *text, size_t len, struct err *err)
{
	ssize_t n;

	while (len) {
		n = send(c->fd, text, len, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "write to the metadata socket");
		}
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int fill(struct mdata_client *c, struct err *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char chunk[4096];
	ssize_t n;

	if (c->pos) {
		buf_consume(&c->in, c->pos);
		c->pos = 0;
	}
	n = poll(&p, 1, ANSWER_MS);
	if (n == 0)
		return err_sysnum(err, ETIMEDOUT, "wait for the metadata service");
	n = read(c->fd, chunk, sizeof(chunk));
	if (n < 0)
		return errno == EINTR ? 0 : err_sys(err, "read from the metadata socket");
	if (n == 0)
		return err_sysnum(err, EPIPE, "the metadata service closed the connection");
	buf_add(&c->in, chunk, (size_t)n);
	if (buf_over(&c->in))
		return err_sysnum(err, EFBIG, "answer of the metadata service");
	return 0;
}

int mdata_line(struct mdata_client *c, char **line, size_t *len, struct err *err)
{
	size_t seen = 0;
	int rc;

	for (;;) {
		char *start = c->in.p ? c->in.p + c->pos : NULL;
		size_t have = c->in.len - c->pos;
		char *nl = have > seen ? memchr(start + seen, '\n', have - seen) : NULL;

		if (nl) {
			*nl = '\0';
			*line = start;
			*len = (size_t)(nl - start);
			c->pos += *len + 1;
			return 0;
		}
		seen = have;
		if ((rc = fill(c, err)) < 0)
			return rc;
	}
}

int mdata_v1_answer(struct mdata_client *c, char **value, struct err *err)
{
	cleanup_buf struct buf v = BUF_INIT;
	size_t len;
	char *line;
	int rc;

	if ((rc = mdata_line(c, &line, &len, err)) < 0)
		return rc;
	if (strcmp(line, "NOTFOUND") == 0)
		return 0;
	if (strcmp(line, "SUCCESS") != 0)
		return err_sysnum(err, EPROTO, "the metadata service answered %.40s", line);
	for (;;) {
		if ((rc = mdata_line(c, &line, &len, err)) < 0)
			return rc;
		if (strcmp(line, ".") == 0)
			break;
		if (v.len)
			buf_addch(&v, '\n');
		buf_add(&v, line[0] == '.' ? line + 1 : line, line[0] == '.' ? len - 1 : len);
	}
	buf_reserve(&v, 1);
	*value = buf_steal(&v);
	return 1;
}

int mdata_negotiate(struct mdata_client *c, struct err *err)
{
	size_t len;
	char *line;
	int rc;

	if ((rc = mdata_send(c, "NEGOTIATE V2\n", 13, err)) < 0 ||
	    (rc = mdata_line(c, &line, &len, err)) < 0)
		return rc;
	if (strcmp(line, "V2_OK") != 0)
		return err_sysnum(err, EPROTO, "the metadata service answered %.40s", line);
	return 0;
}

int mdata_request(struct mdata_client *c, const char *word, const char *payload, size_t len,
		  enum mdata_status *status, char **out, size_t *out_len, struct err *err)
{
	static const char *const words[] = { "SUCCESS", "NOTFOUND", "FAILURE" };
	cleanup_free char *frame = NULL;
	struct mdata_frame f;
	char reqid[9], *line;
	size_t n, i;
	unsigned id = 0;
	int rc;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) < 0)
		id = (unsigned)getpid();
	snprintf(reqid, sizeof(reqid), "%08x", id);
	frame = mdata_frame_make(reqid, word, payload, len, &n);
	if (!frame)
		return err_sysnum(err, ENOMEM, "make a request");
	if ((rc = mdata_send(c, frame, n, err)) < 0)
		return rc;
	do {
		if ((rc = mdata_line(c, &line, &n, err)) < 0)
			return rc;
	} while (mdata_frame_parse(line, n, &f) < 0 || strcmp(f.reqid, reqid) != 0);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(f.word, words[i]) == 0)
			break;
	if (i == ARRAY_SIZE(words))
		return err_sysnum(err, EPROTO, "the metadata service answered %s", f.word);
	*status = (enum mdata_status)i;
	*out = malloc(f.payload_len + 1);
	if (!*out)
		return err_sysnum(err, ENOMEM, "read the answer");
	memcpy(*out, f.payload, f.payload_len);
	(*out)[f.payload_len] = '\0';
	*out_len = f.payload_len;
	return 0;
}
