/* SPDX-License-Identifier: MPL-2.0
 *
 * archiver.c - archiver --sock-fd N --type T --url U --bucket B --style S --region R --key FILE [--ca FILE]: moves rotated logs
 * to and from an object store, for logsvc.
 *
 * Design. logsvc has no HTTP, no TLS and no secret in it: it starts this program when there is something to upload (one for all zones, which
 * ends when it was idle for a while) or to read (one for each `docker logs` that goes back beyond what is on the disk).
 * Orders and answers are archiver_order.h's; files come as descriptors, so that no path of a zone is ever opened here. Once the
 * credentials are read it is nobody, without capabilities, behind the system calls of fence.h: whoever gets hold of it by an
 * answer has what it can reach of the network, the credentials, and one log.
 *
 * An upload reads the file twice: first for its checksums, which also tells whether it can be unpacked at all; then to send it.
 * An object is checked against the length and SHA-256 that were noted when it was stored, and unpacked into the descriptor; the
 * reader sees nothing of it before all of it was right.
 *
 * Failure: may be killed at any time. An upload that was not answered is done again, under the same name with the same content.
 */
#define LOG_MODULE "archiver"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archiver_intake.h"
#include "archiver_order.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fence.h"
#include "frame.h"
#include "fs.h"
#include "log.h"
#include "store_http.h"
#include "str.h"

#define IDLE_MS	  3600000 /* logsvc closes the socket long before */
#define CA_MAX	  (1024 * 1024)

struct args {
	int64_t sock_fd;
	struct log_store_settings store;
	const char *key, *ca;
};

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "sock-fd", required_argument, NULL, 'f' }, { "type", required_argument, NULL, 't' },
		{ "url", required_argument, NULL, 'u' },     { "bucket", required_argument, NULL, 'b' },
		{ "style", required_argument, NULL, 's' },   { "region", required_argument, NULL, 'r' },
		{ "key", required_argument, NULL, 'k' },     { "ca", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*a = (struct args){ .sock_fd = -1, .store = { "s3", "", "", "path", "us-east-1" }, .key = "", .ca = "" };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			a->store.type = optarg;
		else if (c == 'u')
			a->store.url = optarg;
		else if (c == 'b')
			a->store.bucket = optarg;
		else if (c == 's')
			a->store.style = optarg;
		else if (c == 'r')
			a->store.region = optarg;
		else if (c == 'k')
			a->key = optarg;
		else if (c == 'c')
			a->ca = optarg;
		else if (c != 'f' || parse_i64(optarg, 0, 1 << 20, &a->sock_fd) < 0)
			return -1;
	}
	return a->sock_fd >= 0 && optind == argc ? 0 : -1;
}

/* ---- set-up ----------------------------------------------------------------------------------- */

static int read_ca(const char *path, char **out, struct err *err)
{
	struct buf text = BUF_INIT;
	int rc;

	if (!*path)
		return 0;
	if ((rc = fs_read_file(path, CA_MAX, &text, err)) == 0)
		*out = buf_steal(&text);
	buf_fini(&text);
	return rc;
}

static int set_up(const struct args *a, struct store_conf *conf, struct store_io **io, struct err *err)
{
	int rc;

	conf->peer_fd = (int)a->sock_fd;
	if ((rc = log_store_parse(&a->store, &conf->at, err)) < 0 ||
	    (rc = store_key_load(a->key, conf->at.manta, &conf->key, err)) < 0 || (rc = read_ca(a->ca, &conf->ca_pem, err)) < 0)
		return rc;
	(void)setenv("RES_OPTIONS", "timeout:2 attempts:2", 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_kind(err, ERR_SYSTEM, "libcurl cannot be used");
	*io = store_io_new(conf, err);
	return *io ? 0 : err->code;
}

/* Without this nothing is done: an archiver with rights is not what logsvc asked for. */
static int give_up_rights(struct err *err)
{
	struct rlimit none = { 0, 0 };
	int rc;

	(void)setrlimit(RLIMIT_CORE, &none); /* the credentials are in here */
	if ((rc = fence_become_nobody(err)) < 0)
		return rc;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return fence_enter(err);
}

/* ---- orders ----------------------------------------------------------------------------------- */

static int put(struct store_io *io, const struct archiver_order *o, int fd, struct archiver_answer *a, struct err *err)
{
	struct intake_result in;
	struct store_digest d;
	int rc;

	if ((rc = intake_file(fd, &in, err)) < 0)
		return rc;
	d.size = in.size;
	memcpy(d.md5, in.md5, sizeof(d.md5));
	memcpy(d.sha256, in.sha256, sizeof(d.sha256));
	(void)failpoint("archiver.read");
	rc = (store_io_conf(io)->at.manta ? manta_put : s3_put)(io, o->object, fd, &d, err);
	(void)failpoint("archiver.stored");
	if (rc < 0)
		return rc;
	a->size = in.size;
	a->bytes = in.bytes;
	a->first_ns = in.first_ns;
	a->last_ns = in.last_ns;
	hex_encode(a->sha256, in.sha256, sizeof(in.sha256));
	return 0;
}

static int on_data(void *arg, const void *p, size_t len, struct err *err)
{
	return intake_add(arg, p, len, err);
}

static int get(struct store_io *io, const struct archiver_order *o, int fd, struct err *err)
{
	struct intake *in = intake_new(fd, o->bytes);
	struct intake_result got;
	char sha256[65];
	int rc;

	rc = (store_io_conf(io)->at.manta ? manta_get : s3_get)(io, o->object, o->size, on_data, in, err);
	if (rc == 0)
		rc = intake_end(in, &got, err);
	intake_free(in);
	if (rc < 0)
		return rc;
	hex_encode(sha256, got.sha256, sizeof(got.sha256));
	if (!str_eq(sha256, o->sha256) || got.bytes != o->bytes)
		return err_sysnum(err, EBADMSG, "it is not what was stored: its checksum is another");
	return 0;
}

static bool is_order(const struct frame *f, struct archiver_order *o)
{
	if (f->data.len != sizeof(*o) || f->n_fds != 1)
		return false;
	memcpy(o, f->data.p, sizeof(*o));
	return o->magic == ARCHIVER_MAGIC && memchr(o->object, '\0', sizeof(o->object)) && o->object[0] == '/' &&
	       memchr(o->sha256, '\0', sizeof(o->sha256)) && (o->op == ARCHIVER_PUT || o->op == ARCHIVER_GET);
}

/* io NULL: broken says why there is none. */
static int serve(int sock, struct store_io *io, const struct err *broken)
{
	for (;;) {
		cleanup_frame struct frame f = FRAME_INIT;
		struct archiver_answer a = { .magic = ARCHIVER_MAGIC };
		struct archiver_order o;
		struct err err = { 0 };
		int rc = frame_recv(sock, &f, IDLE_MS);

		if (rc <= 0)
			return rc == 0 || rc == -EAGAIN ? 0 : 1;
		if (!is_order(&f, &o)) {
			log_err("not an order", "bytes=%zu", f.data.len);
			return 1;
		}
		if (!io)
			err = *broken;
		else if (o.op == ARCHIVER_PUT)
			rc = put(io, &o, f.fds[0], &a, &err);
		else
			rc = get(io, &o, f.fds[0], &err);
		a.rc = io ? rc < 0 ? rc : 0 : broken->code;
		a.retry_after_s = io ? store_retry_after(io) : 0;
		str_copy(a.text, sizeof(a.text), err.msg);
		if (frame_send(sock, &a, sizeof(a), NULL, 0, 10000) < 0)
			return 0;
	}
}

int main(int argc, char **argv)
{
	struct store_conf conf = { .peer_fd = -1 };
	struct store_io *io = NULL;
	struct err err = { 0 }, why;
	struct args a;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (parse_args(argc, argv, &a) < 0) {
		fputs("usage: archiver --sock-fd N --type s3|manta --url URL --bucket B --style path|virtual-host --region R --key FILE"
		      " [--ca FILE]\n", stderr);
		return 2;
	}
	if (set_up(&a, &conf, &io, &err) < 0)
		io = NULL; /* told in each answer */
	why = err;
	if (give_up_rights(&err) < 0) {
		log_err("cannot start", "%s", err.msg);
		return 1;
	}
	rc = serve((int)a.sock_fd, io, &why);
	store_io_free(io);
	store_key_fini(&conf.key);
	return rc;
}
