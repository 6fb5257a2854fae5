/* SPDX-License-Identifier: MPL-2.0
 *
 * mdata_server.c - see mdata_server.h.
 *
 * The peer is hostile: at most CONNS_MAX connections (the longest idle one makes room), a bounded
 * line, one bounded answer at a time; while it is not taken, nothing more is read. Frames that do
 * not parse are dropped. Nothing here waits.
 *
 * dockerinit's connection begins with DOCKERINIT, which is granted once per run and only while the
 * run is being started: no process of the user's exists then. On it, STDIO <uid> gives the standard
 * streams to a user, ERR ... reports the step that failed.
 */
#include "mdata_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "loop.h"
#include "mdata_store.h"
#include "mdata_wire.h"
#include "str.h"

#define CONNS_MAX 16
#define LINE_MAX_ (192 * 1024) /* a PUT of MDATA_VALUE_MAX is 16/9 of it */
#define OUT_HIGH  (32 * 1024)  /* answers waiting: no more requests are looked at */

struct mconn {
	struct source src;
	struct buf in, out;
	size_t out_pos;
	bool v2, is_init, reported;
	bool heard;    /* something was read, or tried to be */
	uint64_t used; /* turn of the last activity */
	struct mconn *next;
};

static struct source listener = { .fd = -1 };
static struct mdata_store store;
static const struct mdata_hooks *hooks;
static struct mconn *conns;
static size_t n_conns;
static uint64_t turn;

static void close_conn(struct mconn *c)
{
	struct mconn **p = &conns;
	bool was_init = c->is_init && !c->reported;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	n_conns--;
	loop_del(&c->src);
	close(c->src.fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
	if (was_init)
		hooks->running();
}

/* Sends what it can; false when the connection is gone (and freed). */
static bool flush(struct mconn *c)
{
	while (c->out_pos < c->out.len) {
		ssize_t n = send(c->src.fd, c->out.p + c->out_pos, c->out.len - c->out_pos,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && !c->is_init) {
			close_conn(c);
			return false;
		}
		if (n < 0)
			break;
		c->out_pos += (size_t)n;
	}
	if (c->out_pos == c->out.len) {
		buf_fini(&c->out);
		c->out_pos = 0;
	}
	loop_mod(&c->src, c->out.len ? EPOLLOUT : EPOLLIN);
	return true;
}

/* ---- V1 ------------------------------------------------------------------------------------ */

/* Every line of the value, a leading dot doubled, then a lone dot. */
static void v1_value(struct mconn *c, const char *v, size_t len)
{
	const char *end = v + len;

	buf_addstr(&c->out, "SUCCESS\n");
	while (v < end) {
		const char *nl = memchr(v, '\n', (size_t)(end - v));
		size_t n = (size_t)((nl ? nl : end) - v);

		if (*v == '.')
			buf_addch(&c->out, '.');
		buf_add(&c->out, v, n);
		buf_addch(&c->out, '\n');
		v += n + 1;
	}
	buf_addstr(&c->out, ".\n");
}

static void v1_line(struct mconn *c, const char *line)
{
	cleanup_buf struct buf keys = BUF_INIT;
	struct err err;
	const char *v;
	size_t len;

	if (strcmp(line, "NEGOTIATE V2") == 0) {
		c->v2 = true;
		buf_addstr(&c->out, "V2_OK\n");
		return;
	}
	if (mdata_store_load(&store, &err) < 0) {
		buf_printf(&c->out, "FAILURE\n%s\n.\n", err.msg);
	} else if (str_starts(line, "GET ") && line[4]) {
		v = mdata_store_get(&store, line + 4, &len);
		if (v)
			v1_value(c, v, len);
		else
			buf_addstr(&c->out, "NOTFOUND\n");
	} else if (strcmp(line, "KEYS") == 0) {
		mdata_store_keys(&store, &keys);
		v1_value(c, buf_str(&keys), keys.len);
	} else {
		buf_addstr(&c->out, "invalid command\n");
	}
}

/* ---- V2 ------------------------------------------------------------------------------------ */

static void v2_answer(struct mconn *c, const struct mdata_frame *f, const char *word, const char *p,
		      size_t len)
{
	size_t n;
	cleanup_free char *frame = mdata_frame_make(f->reqid, word, p, len, &n);

	if (frame)
		buf_add(&c->out, frame, n);
}

/* PUT's payload: base64(key) SP base64(value), decoded in place. */
static int split_put(struct mdata_frame *f, char **key, char **value, size_t *len)
{
	char *space = memchr(f->payload, ' ', f->payload_len), *end = f->payload + f->payload_len;
	long n;

	if (!space)
		return -1;
	n = base64_decode(f->payload, f->payload, (size_t)(space - f->payload));
	if (n < 0)
		return -1;
	f->payload[n] = '\0';
	*key = f->payload;
	if (strlen(*key) != (size_t)n)
		return -1;
	*value = space + 1;
	n = base64_decode(*value, *value, (size_t)(end - *value));
	*len = (size_t)n;
	return n < 0 ? -1 : 0;
}

static int change(struct mdata_frame *f, bool put, struct err *err)
{
	char *key = f->payload, *value = NULL;
	size_t len = 0;

	if (put && split_put(f, &key, &value, &len) < 0)
		return err_kind(err, ERR_BAD_PARAM, "malformed PUT");
	if (mdata_is_readonly(key))
		return err_kind(err, ERR_FORBIDDEN, "key \"%.200s\" is read-only", key);
	return mdata_store_set(&store, key, value, len, true, err);
}

static void v2_line(struct mconn *c, char *line, size_t line_len)
{
	cleanup_buf struct buf keys = BUF_INIT;
	struct mdata_frame f;
	struct err err;
	const char *v;
	size_t len;

	if (mdata_frame_parse(line, line_len, &f) < 0)
		return; /* dropped, as the original does */
	if (strcmp(f.word, "PUT") == 0 || strcmp(f.word, "DELETE") == 0) {
		if (change(&f, f.word[0] == 'P', &err) < 0)
			v2_answer(c, &f, "FAILURE", err.msg, strlen(err.msg));
		else
			v2_answer(c, &f, "SUCCESS", NULL, 0);
	} else if (mdata_store_load(&store, &err) < 0) {
		v2_answer(c, &f, "FAILURE", err.msg, strlen(err.msg));
	} else if (strcmp(f.word, "GET") == 0) {
		v = mdata_store_get(&store, f.payload, &len);
		v2_answer(c, &f, v ? "SUCCESS" : "NOTFOUND", v, v ? len : 0);
	} else if (strcmp(f.word, "KEYS") == 0) {
		mdata_store_keys(&store, &keys);
		v2_answer(c, &f, "SUCCESS", buf_str(&keys), keys.len);
	} else {
		v2_answer(c, &f, "FAILURE", "unknown command", 15);
	}
}

/* ---- lines --------------------------------------------------------------------------------- */

static bool init_line(struct mconn *c, char *line)
{
	if (str_starts(line, "ERR ")) {
		c->reported = true;
		hooks->failed(line + 4);
		return true;
	}
	if (str_starts(line, "STDIO ")) {
		hooks->own_stdio((uint32_t)strtoul(line + 6, NULL, 10));
		buf_addstr(&c->out, "OK\n");
		return true;
	}
	return false;
}

static int peer_pid(const struct mconn *c)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	return getsockopt(c->src.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? 0 : cred.pid;
}

static void on_line(struct mconn *c, char *line, size_t len)
{
	if (c->is_init && init_line(c, line))
		return;
	if (!c->v2 && strcmp(line, "DOCKERINIT") == 0 && hooks->grant(peer_pid(c))) {
		c->is_init = true;
		buf_addstr(&c->out, "OK\n");
		return;
	}
	if (c->v2)
		v2_line(c, line, len);
	else
		v1_line(c, line);
}

static void take_lines(struct mconn *c)
{
	char *p = c->in.p, *end = c->in.p + c->in.len, *nl;

	while (p < end && c->out.len < OUT_HIGH && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		size_t len = (size_t)(nl - p);

		if (len && nl[-1] == '\r')
			len--;
		p[len] = '\0';
		on_line(c, p, len);
		p = nl + 1;
	}
	if (p == end)
		buf_fini(&c->in);
	else if (c->in.p)
		buf_consume(&c->in, (size_t)(p - c->in.p));
}

/* Answers what is there, as far as the answers are taken. False when the connection is gone. */
static bool serve(struct mconn *c)
{
	do {
		take_lines(c);
		mdata_store_drop(&store);
		if (!flush(c))
			return false;
	} while (!c->out.len && c->in.len && memchr(c->in.p, '\n', c->in.len));
	return true;
}

/* False at the end of the connection, which is then freed. */
static bool read_more(struct mconn *c)
{
	char chunk[4096];
	ssize_t n = recv(c->src.fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		close_conn(c);
		return false;
	}
	c->used = ++turn;
	c->heard = true;
	c->in.max = LINE_MAX_;
	buf_add(&c->in, chunk, (size_t)n);
	if (buf_over(&c->in)) {
		close_conn(c);
		return false;
	}
	return serve(c);
}

static void on_conn(struct source *s, uint32_t events)
{
	struct mconn *c = container_of(s, struct mconn, src);

	if (events & EPOLLOUT) {
		if (flush(c) && !c->out.len)
			serve(c);
		return;
	}
	read_more(c);
}

static void on_accept(struct source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct mconn *c, *oldest = NULL;
	struct err ignored;

	(void)events;
	if (fd < 0)
		return;
	for (c = conns; c && n_conns >= CONNS_MAX; c = c->next)
		if (!c->is_init && (!oldest || c->used < oldest->used))
			oldest = c;
	if (oldest)
		close_conn(oldest);
	c = xcalloc(1, sizeof(*c));
	c->src.fd = fd;
	c->src.on_event = on_conn;
	c->used = ++turn;
	c->next = conns;
	conns = c;
	n_conns++;
	if (loop_add(&c->src, EPOLLIN, &ignored) < 0)
		close_conn(c);
}

int mdata_server_listen(const char *path, const char *store_path, const struct mdata_hooks *h,
			struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;
	int rc;

	if (str_fmt(sa.sun_path, sizeof(sa.sun_path), "%s", path) < 0)
		return err_sysnum(err, ENAMETOOLONG, "metadata socket %s", path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, 0600) < 0 ||
	    listen(fd, 64) < 0)
		return err_sys(err, "metadata socket");
	store.path = store_path;
	hooks = h;
	listener.fd = fd;
	listener.on_event = on_accept;
	if ((rc = loop_add(&listener, EPOLLIN, err)) < 0)
		return rc;
	fd = -1;
	return 0;
}

void mdata_server_flush_init(void)
{
	struct mconn *c;
	int budget;

	/* it may not have been accepted, or its first words not been read */
	for (budget = 0; budget < 4; budget++)
		on_accept(&listener, 0);
	for (budget = 0; budget < 1024; budget++) {
		for (c = conns; c && !c->is_init; c = c->next)
			;
		for (c = c ? c : conns; c && !c->is_init && c->heard; c = c->next)
			;
		if (!c)
			return;
		c->heard = true;
		read_more(c);
	}
}

int mdata_server_set(const char *key, const char *value, size_t len, struct err *err)
{
	int rc = mdata_store_set(&store, key, value, len, false, err);

	mdata_store_drop(&store);
	return rc;
}
