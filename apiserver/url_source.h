/* SPDX-License-Identifier: MPL-2.0
 *
 * url_source.h - the body of an HTTP GET as a stream that is pulled. Worker, blocking, one thread.
 */
#ifndef APISERVER_URL_SOURCE_H
#define APISERVER_URL_SOURCE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct url_source;

/* Asks, follows redirects (http and https only), and returns when the answer's headers are there.
 * Status 400 and above is an error. */
int url_source_open(const char *url, struct url_source **out, struct err *err);
/* The same for one who knows HTTP: setup sees the handle before it is used, any status is success.
 * *headers is the list that setup gave to the handle; taken. */
struct url_source_opts {
	void (*setup)(CURL *curl, void *arg);
	void *arg;
	bool (*cancelled)(void *arg); /* asked now and then; NULL: never */
	void *cancelled_arg;
};
/* As url_source_open, with o's setup and cancelled. */
int url_source_get(const char *url, const struct url_source_opts *o, struct url_source **out, struct err *err);
int url_source_open_with(const char *url, const struct url_source_opts *o, struct curl_slist **headers,
			 struct url_source **out, struct err *err);
/* " Not Found": what follows the number, as Go says it; "": not a usual one. */
const char *http_status_words(long status);
long url_source_status(const struct url_source *s);
char *const *url_source_challenges(const struct url_source *s); /* each WWW-Authenticate; borrowed */
/* Bytes, 0 at the end, negative errno (then url_source_error has the words). */
ssize_t url_source_read(struct url_source *s, void *p, size_t len);
/* Of the last answer; NULL: it has none of that name. Borrowed, until the next call. */
const char *url_source_header(const struct url_source *s, const char *name);
int64_t url_source_length(const struct url_source *s); /* -1: not told */
/* 0, or the transfer's failure. */
int url_source_error(const struct url_source *s, struct err *err);
void url_source_free(struct url_source *s);

#endif
