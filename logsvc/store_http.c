/* SPDX-License-Identifier: MPL-2.0
 *
 * store_http.c - HTTP for object stores, within the fence.
 *
 * Limits, for the server may be anybody: connecting takes CONNECT_S, a transfer that is slower than SLOW_BYTES a second for SLOW_S
 * is given up, answers that nobody wants to have end after BODY_MAX, one that is wanted after the length that is known.
 * Redirects are not followed (a signature is for one host) and no proxy is used.
 */
#include "store_http.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "http_name.h"
#include "str.h"

#define CONNECT_S	10
#define SLOW_BYTES	1000
#define SLOW_S		30
#define RESOLVE_S	60
#define BODY_MAX	65536
#define RETRY_AFTER_MAX 3600

struct store_io {
	const struct store_conf *conf;
	CURL *easy;
	struct curl_slist *addresses;
	int64_t resolved_ns;
	int64_t retry_after_s;
	/* of the exchange in hand */
	struct store_request *rq;
	struct store_answer *answer;
	int64_t body_off, got;
	struct err *err; /* of a callback: why the transfer is given up */
	bool gone;
	char error[CURL_ERROR_SIZE];
};

#define SET(io, option, value) (void)curl_easy_setopt((io)->easy, CURLOPT_##option, value)

/* ---- callbacks -------------------------------------------------------------------------------- */

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
	struct store_io *io = arg;
	int64_t left = io->rq->body_len - io->body_off;
	size_t want = size * n;
	ssize_t got;

	if ((int64_t)want > left)
		want = (size_t)left;
	do {
		got = pread(io->rq->body_fd, p, want, io->body_off);
	} while (got < 0 && errno == EINTR);
	if (got < 0 || (got == 0 && want)) {
		err_sysnum(io->err, got < 0 ? errno : EIO, "read the log");
		return CURL_READFUNC_ABORT;
	}
	io->body_off += got;
	return (size_t)got;
}

static int on_seek(void *arg, curl_off_t off, int origin)
{
	((struct store_io *)arg)->body_off = off;
	return origin == SEEK_SET ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
	struct store_io *io = arg;
	size_t len = size * n, room = sizeof(io->answer->body) - io->answer->body_len;
	long status = 0;

	(void)curl_easy_getinfo(io->easy, CURLINFO_RESPONSE_CODE, &status);
	io->got += (int64_t)len;
	if (io->rq->on_data && status == 200) {
		if (io->got > io->rq->data_len)
			err_sysnum(io->err, EBADMSG, "it is larger than the %lld bytes that were stored",
				   (long long)io->rq->data_len);
		else
			(void)io->rq->on_data(io->rq->arg, p, len, io->err);
		return io->err->code < 0 ? 0 : len;
	}
	if (io->got > BODY_MAX) {
		err_sysnum(io->err, EBADMSG, "an answer that does not end (status %ld)", status);
		return 0;
	}
	if (len < room)
		room = len;
	memcpy(io->answer->body + io->answer->body_len, p, room);
	io->answer->body_len += room;
	return len;
}

static bool take_header(const char *line, size_t len, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	line += n + 1;
	len -= n + 1;
	while (len && (*line == ' ' || *line == '\t' || *line == '"'))
		line++, len--;
	while (len && strchr(" \t\r\n\"", line[len - 1]))
		len--;
	if (len >= size)
		len = 0; /* not one that we could compare */
	memcpy(out, line, len);
	out[len] = '\0';
	return true;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct store_answer *a = ((struct store_io *)arg)->answer;
	char text[64];

	if (take_header(p, size * n, "etag", a->etag, sizeof(a->etag)) ||
	    take_header(p, size * n, "content-md5", a->md5, sizeof(a->md5)) ||
	    take_header(p, size * n, "computed-md5", a->md5, sizeof(a->md5)) ||
	    take_header(p, size * n, "x-amz-checksum-sha256", a->sha256, sizeof(a->sha256)))
		return size * n;
	if (take_header(p, size * n, "x-amz-server-side-encryption", text, sizeof(text)))
		a->sealed |= !str_eq(text, "AES256");
	if (take_header(p, size * n, "x-amz-server-side-encryption-customer-algorithm", text, sizeof(text)))
		a->sealed = true;
	return size * n;
}

/* At least once a second. */
static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
	struct store_io *io = arg;
	struct pollfd pfd = { .fd = io->conf->peer_fd, .events = 0 };

	(void)down_total, (void)down, (void)up_total, (void)up;
	io->gone = pfd.fd >= 0 && poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLHUP | POLLERR));
	return io->gone;
}

/* ---- set-up ----------------------------------------------------------------------------------- */

static void set_up(struct store_io *io)
{
	SET(io, PROTOCOLS_STR, "http,https");
	SET(io, USERAGENT, "sdc-docker");
	SET(io, NOSIGNAL, 1L);
	SET(io, NOPROXY, "*");
	SET(io, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(io, CONNECTTIMEOUT, (long)CONNECT_S);
	SET(io, LOW_SPEED_LIMIT, (long)SLOW_BYTES);
	SET(io, LOW_SPEED_TIME, (long)SLOW_S);
	SET(io, MAXLIFETIME_CONN, (long)RESOLVE_S); /* so that a new address is used */
	SET(io, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(io, READFUNCTION, on_read);
	SET(io, READDATA, io);
	SET(io, SEEKFUNCTION, on_seek);
	SET(io, SEEKDATA, io);
	SET(io, WRITEFUNCTION, on_write);
	SET(io, WRITEDATA, io);
	SET(io, HEADERFUNCTION, on_header);
	SET(io, HEADERDATA, io);
	SET(io, XFERINFOFUNCTION, on_progress);
	SET(io, XFERINFODATA, io);
	SET(io, NOPROGRESS, 0L);
	SET(io, ERRORBUFFER, io->error);
	if (io->conf->ca_pem) {
		struct curl_blob blob = { .data = io->conf->ca_pem, .len = strlen(io->conf->ca_pem), .flags = CURL_BLOB_NOCOPY };

		SET(io, CAINFO, (char *)NULL);
		SET(io, CAPATH, (char *)NULL); /* that one, and not the system's as well */
		SET(io, CAINFO_BLOB, &blob);
	}
}

struct store_io *store_io_new(const struct store_conf *conf, struct err *err)
{
	struct store_io *io = xcalloc(1, sizeof(*io));

	io->conf = conf;
	io->easy = curl_easy_init();
	if (!io->easy) {
		err_sysnum(err, ENOMEM, "libcurl");
		free(io);
		return NULL;
	}
	set_up(io);
	return io;
}

void store_io_free(struct store_io *io)
{
	if (!io)
		return;
	curl_easy_cleanup(io->easy);
	curl_slist_free_all(io->addresses);
	free(io);
}

const struct store_conf *store_io_conf(const struct store_io *io)
{
	return io->conf;
}

void store_header(struct store_request *rq, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(line) || !(rq->headers = curl_slist_append(rq->headers, line)))
		abort(); /* all parts are bounded */
}

/* ---- an exchange ------------------------------------------------------------------------------ */

static void request_url(const struct store_io *io, const struct store_request *rq, struct buf *out)
{
	struct log_store at = io->conf->at;

	if (rq->from_top)
		at.path[0] = '\0';
	log_store_url(&at, rq->object, out);
}

static int resolve(struct store_io *io, struct err *err)
{
	cleanup_buf struct buf line = BUF_INIT;
	int rc;

	if (io->resolved_ns && mono_ns() - io->resolved_ns < RESOLVE_S * 1000000000LL)
		return 0;
	if ((rc = http_name_resolve(io->conf->at.host, io->conf->at.port, &line, err)) < 0)
		return rc;
	io->resolved_ns = mono_ns();
	curl_slist_free_all(io->addresses);
	io->addresses = line.len ? curl_slist_append(NULL, buf_str(&line)) : NULL;
	SET(io, RESOLVE, io->addresses);
	return 0;
}

static void set_s3(struct store_io *io)
{
	char text[128];

	if (str_fmt(text, sizeof(text), "aws:amz:%s:s3", io->conf->at.region) < 0)
		abort();
	SET(io, AWS_SIGV4, text);
	SET(io, USERNAME, io->conf->key.id);
	SET(io, PASSWORD, io->conf->key.secret);
}

static void set_request(struct store_io *io, struct store_request *rq, const char *url)
{
	bool head = str_eq(rq->method, "HEAD"), put = str_eq(rq->method, "PUT");

	SET(io, URL, url);
	SET(io, CUSTOMREQUEST, (char *)NULL);
	SET(io, UPLOAD, 0L);
	SET(io, NOBODY, head ? 1L : 0L);
	if (!head)
		SET(io, HTTPGET, 1L);
	if (put && rq->body_fd >= 0) {
		SET(io, UPLOAD, 1L);
		SET(io, INFILESIZE_LARGE, (curl_off_t)rq->body_len);
	} else if (put) { /* libcurl's UPLOAD with nothing to upload */
		SET(io, UPLOAD, 1L);
		SET(io, INFILESIZE_LARGE, (curl_off_t)0);
	}
	/* no "Expect:" to suppress that header: libcurl 7.88 would sign it, and send none */
	SET(io, HTTPHEADER, rq->headers);
}

static int perform(struct store_io *io, struct store_request *rq, struct store_answer *out, struct err *err)
{
	struct err why = { 0 };
	curl_off_t number = -1;
	CURLcode code;

	io->rq = rq;
	io->answer = out;
	io->err = &why;
	io->body_off = io->got = 0;
	io->gone = false;
	io->error[0] = '\0';
	code = curl_easy_perform(io->easy);
	(void)curl_easy_getinfo(io->easy, CURLINFO_RESPONSE_CODE, &out->status);
	if (code != CURLE_OK) {
		io->resolved_ns = 0;
		if (io->gone)
			return err_sysnum(err, ECANCELED, "given up");
		if (why.code < 0)
			return err_sysnum(err, why.code, "%s", why.msg);
		return err_kind(err, ERR_UNAVAILABLE, "%s", io->error[0] ? io->error : curl_easy_strerror(code));
	}
	if (rq->on_data && out->status == 200 && io->got != rq->data_len)
		return err_sysnum(err, EBADMSG, "it has %lld bytes, %lld were stored", (long long)io->got, (long long)rq->data_len);
	out->length = curl_easy_getinfo(io->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &number) == CURLE_OK ? number : -1;
	if (curl_easy_getinfo(io->easy, CURLINFO_RETRY_AFTER, &number) == CURLE_OK && number > 0)
		out->retry_after_s = number > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (int64_t)number;
	return 0;
}

int store_exchange(struct store_io *io, struct store_request *rq, struct store_answer *out, bool s3, struct err *err)
{
	cleanup_buf struct buf url = BUF_INIT;
	int rc;

	memset(out, 0, sizeof(*out));
	io->retry_after_s = 0;
	request_url(io, rq, &url);
	if (s3)
		set_s3(io);
	set_request(io, rq, buf_str(&url));
	if ((rc = resolve(io, err)) == 0)
		rc = perform(io, rq, out, err);
	SET(io, HTTPHEADER, (struct curl_slist *)NULL);
	curl_slist_free_all(rq->headers);
	rq->headers = NULL;
	return rc < 0 ? err_wrap(err, rc, "%s %s", rq->method, buf_str(&url)) : 0;
}

/* The text between two marks, when it is a word. */
static void find_code(const struct store_answer *a, const char *before, char end, char out[64])
{
	const char *at = memmem(a->body, a->body_len, before, strlen(before)), *stop;
	size_t len;

	if (!at)
		return;
	at += strlen(before);
	stop = memchr(at, end, a->body_len - (size_t)(at - a->body));
	len = stop ? (size_t)(stop - at) : 64;
	if (len >= 64)
		return;
	for (size_t i = 0; i < len; i++)
		if (!((at[i] | 32) >= 'a' && (at[i] | 32) <= 'z'))
			return;
	memcpy(out, at, len);
	out[len] = '\0';
}

int store_refused(struct store_io *io, const struct store_request *rq, const struct store_answer *a, struct err *err)
{
	cleanup_buf struct buf url = BUF_INIT;
	char code[64] = "";

	io->retry_after_s = a->retry_after_s;
	request_url(io, rq, &url);
	find_code(a, "<Code>", '<', code);
	if (!*code)
		find_code(a, "\"code\":\"", '"', code);
	return err_kind(err, a->status == 404 ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "%s %s: status %ld%s%s", rq->method, buf_str(&url),
			a->status, *code ? " " : "", code);
}

int64_t store_retry_after(const struct store_io *io)
{
	return io->retry_after_s;
}

void store_base64(char *out, const unsigned char *p, size_t len)
{
	EVP_EncodeBlock((unsigned char *)out, p, (int)len);
}
