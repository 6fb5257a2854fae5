/* SPDX-License-Identifier: MPL-2.0
 *
 * url_source.c - the body of an HTTP GET, pulled.
 *
 * Design: libcurl pushes; its multi interface, driven by the reader, turns that around. What has
 * come waits in a buffer; while that is full the transfer is paused, so memory is bounded.
 */
#include "apiserver/url_source.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "str.h"

#define BUFFER_MAX   (512 * 1024)
#define IDLE_SECONDS 60L
#define POLL_MS	     500
#define WORDS_MAX    300

struct url_source {
	CURLM *multi;
	CURL *easy;
	struct buf data;
	size_t pos;
	bool paused, done;
	CURLcode result;
	long status;
	char *url;
	char words[CURL_ERROR_SIZE];
	struct url_source_opts opts;
	struct curl_slist *headers;
	char **challenges;
};

static bool is_cancelled(const struct url_source *s)
{
	return s->opts.cancelled && s->opts.cancelled(s->opts.cancelled_arg);
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	static const char name[] = "www-authenticate:";
	struct url_source *s = arg;
	size_t len = size * n, skip = sizeof(name) - 1;

	if (len > skip && strncasecmp(p, name, skip) == 0 && strv_len(s->challenges) < 16) {
		char *value;

		while (len > skip && strchr("\r\n", p[len - 1]))
			len--;
		value = xstrndup(p + skip, len - skip);
		strv_add(&s->challenges, value);
		free(value);
	}
	return size * n;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct url_source *s = arg;

	if (s->data.len - s->pos > BUFFER_MAX) {
		s->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	buf_add(&s->data, p, size * n);
	return size * n;
}

static void step(struct url_source *s)
{
	int running = 0, left;
	CURLMsg *m;

	if (curl_multi_perform(s->multi, &running) != CURLM_OK) {
		s->done = true;
		s->result = CURLE_RECV_ERROR;
		return;
	}
	while ((m = curl_multi_info_read(s->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		s->done = true;
		s->result = m->data.result;
	}
	if (!s->done && is_cancelled(s)) {
		s->done = true;
		s->result = CURLE_ABORTED_BY_CALLBACK;
	}
	if (!s->done && s->pos == s->data.len)
		curl_multi_poll(s->multi, NULL, 0, POLL_MS, NULL);
}

int url_source_error(const struct url_source *s, struct err *err)
{
	if (!s->done || s->result == CURLE_OK)
		return 0;
	if (s->result == CURLE_PARTIAL_FILE) /* Go's words for a body that ends early */
		return err_kind(err, ERR_SYSTEM, "unexpected EOF");
	return err_kind(err, ERR_SYSTEM, "Get \"%s\": %s", s->url,
			s->words[0] ? s->words : curl_easy_strerror(s->result));
}

void url_source_free(struct url_source *s)
{
	if (!s)
		return;
	if (s->easy)
		curl_multi_remove_handle(s->multi, s->easy);
	curl_easy_cleanup(s->easy);
	curl_multi_cleanup(s->multi);
	curl_slist_free_all(s->headers);
	strv_free(s->challenges);
	buf_fini(&s->data);
	free(s->url);
	free(s);
}

static void set_options(struct url_source *s)
{
	CURL *c = s->easy;

	curl_easy_setopt(c, CURLOPT_URL, s->url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, IDLE_SECONDS);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->words);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, s);
}

int url_source_open_with(const char *url, const struct url_source_opts *o, struct curl_slist **headers,
			 struct url_source **out, struct err *err)
{
	struct url_source *s = xcalloc(1, sizeof(*s));
	int rc;

	s->url = xstrdup(url);
	s->opts = *o;
	s->challenges = strv_split("", ',');
	s->multi = curl_multi_init();
	s->easy = curl_easy_init();
	if (!s->multi || !s->easy)
		abort();
	set_options(s);
	if (o->setup)
		o->setup(s->easy, o->arg);
	if (headers)
		s->headers = *headers;
	curl_multi_add_handle(s->multi, s->easy);
	while (!s->done && !s->data.len)
		step(s);
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->status);
	rc = s->data.len ? 0 : url_source_error(s, err);
	if (rc < 0) {
		url_source_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

const char *http_status_words(long status)
{
	switch (status) {
	case 400:
		return " Bad Request";
	case 401:
		return " Unauthorized";
	case 403:
		return " Forbidden";
	case 404:
		return " Not Found";
	case 405:
		return " Method Not Allowed";
	case 410:
		return " Gone";
	case 429:
		return " Too Many Requests";
	case 500:
		return " Internal Server Error";
	case 502:
		return " Bad Gateway";
	case 503:
		return " Service Unavailable";
	default:
		return "";
	}
}

/* With what the server has to say, or the beginning of it. */
static int refused(struct url_source *s, struct err *err)
{
	enum err_kind kind = s->status == 404   ? ERR_NOT_FOUND
			     : s->status == 400 ? ERR_BAD_PARAM
			     : s->status == 401 ? ERR_UNAUTHORIZED
			     : s->status == 403 ? ERR_FORBIDDEN
						: ERR_SYSTEM;
	char words[WORDS_MAX + 1];
	size_t n = 0;
	ssize_t got;

	while (n < WORDS_MAX && (got = url_source_read(s, words + n, WORDS_MAX - n)) > 0)
		n += (size_t)got;
	while (n && isspace((unsigned char)words[n - 1]))
		n--;
	words[n] = '\0';
	return err_kind(err, kind, "failed to GET %.500s with status %ld%s: %s", s->url, s->status,
			http_status_words(s->status), words + strspn(words, " \t\r\n"));
}

const char *url_source_header(const struct url_source *s, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(s->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

int url_source_get(const char *url, const struct url_source_opts *o, struct url_source **out,
		   struct err *err)
{
	struct url_source *s = NULL;
	int rc;

	if ((rc = url_source_open_with(url, o, NULL, &s, err)) < 0)
		return rc;
	if (s->status >= 400) {
		rc = refused(s, err);
		url_source_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

int url_source_open(const char *url, struct url_source **out, struct err *err)
{
	const struct url_source_opts none = { 0 };

	return url_source_get(url, &none, out, err);
}

long url_source_status(const struct url_source *s)
{
	return s->status;
}

char *const *url_source_challenges(const struct url_source *s)
{
	return s->challenges;
}

ssize_t url_source_read(struct url_source *s, void *p, size_t len)
{
	size_t n;

	while (s->pos == s->data.len) {
		if (s->done)
			return s->result == CURLE_OK ? 0 : -EIO;
		buf_reset(&s->data);
		s->pos = 0;
		if (s->paused) {
			s->paused = false;
			curl_easy_pause(s->easy, CURLPAUSE_CONT);
		}
		if (s->pos == s->data.len)
			step(s);
	}
	n = s->data.len - s->pos;
	n = n < len ? n : len;
	memcpy(p, s->data.p + s->pos, n);
	s->pos += n;
	return (ssize_t)n;
}

int64_t url_source_length(const struct url_source *s)
{
	curl_off_t n = -1;

	curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &n);
	return n;
}
