/* SPDX-License-Identifier: MPL-2.0
 *
 * api_auth.c - handler: POST /auth, `docker login`. Asks the registry, by its own protocol: GET
 * /v2/, then with Basic credentials, or the token server that its challenge names.
 *
 * Registries on 127.0.0.0/8, localhost and those of insecure-registries may have bad certificates
 * or no TLS at all, as with Docker. Passwords go to nobody but the registry and its token server,
 * and into no log.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "engine.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"

#define HUB_HOST   "registry-1.docker.io"
#define REPLY_MAX  (256 * 1024)
#define TIMEOUT_MS 15000L

struct auth_job {
	struct job job;
	uint64_t req;
	char *user, *password, *host;
	bool insecure;
	char *identity_token; /* result; may be NULL */
};

struct answer {
	long status;
	struct buf body;
	char *challenge; /* WWW-Authenticate */
};

static void answer_fini(struct answer *a)
{
	buf_fini(&a->body);
	free(a->challenge);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	buf_add(&a->body, p, size * n);
	return buf_over(&a->body) ? 0 : size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	static const char name[] = "www-authenticate:";
	struct answer *a = arg;
	size_t len = size * n, skip = sizeof(name) - 1;

	if (len > skip && strncasecmp(p, name, skip) == 0) {
		while (skip < len && p[skip] == ' ')
			skip++;
		while (len > skip && (p[len - 1] == '\n' || p[len - 1] == '\r'))
			len--;
		free(a->challenge);
		a->challenge = xstrndup(p + skip, len - skip);
	}
	return size * n;
}

static int get(const struct auth_job *aj, const char *url, bool with_user, struct answer *a,
	       struct err *err)
{
	CURL *curl = curl_easy_init();
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode rc;

	if (!curl)
		return err_sysnum(err, ENOMEM, "Get \"%s\"", url);
	buf_init(&a->body, REPLY_MAX);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, TIMEOUT_MS / 3);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, aj->insecure ? 0L : 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, aj->insecure ? 0L : 2L);
	if (with_user) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(curl, CURLOPT_USERNAME, aj->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, aj->password);
	}
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	curl_easy_cleanup(curl);
	if (rc == CURLE_COULDNT_RESOLVE_HOST)
		return err_kind(err, ERR_SYSTEM, "Get \"%s\": dial tcp: lookup %s: no such host",
				url, aj->host);
	if (rc == CURLE_COULDNT_CONNECT)
		return err_kind(err, ERR_SYSTEM,
				"Get \"%s\": dial tcp %s: connect: connection refused", url,
				aj->host);
	if (rc != CURLE_OK)
		return err_kind(err, ERR_SYSTEM, "Get \"%s\": %s", url,
				*detail ? detail : curl_easy_strerror(rc));
	return 0;
}

/* A parameter of a challenge: realm="...". Owned, NULL if absent. */
static char *challenge_param(const char *challenge, const char *name)
{
	cleanup_free char *key = xasprintf("%s=\"", name);
	const char *p = strcasestr(challenge, key), *end;

	if (!p)
		return NULL;
	p += strlen(key);
	end = strchr(p, '"');
	return end ? xstrndup(p, (size_t)(end - p)) : NULL;
}

static int refused(const char *url, struct err *err)
{
	return err_kind(err, ERR_UNAUTHORIZED,
			"Get \"%s\": unauthorized: incorrect username or password", url);
}

/* The token server's word. */
static int ask_token(struct auth_job *aj, const char *challenge, struct err *err)
{
	cleanup_free char *realm = challenge_param(challenge, "realm"), *url = NULL, *user = NULL;
	cleanup_free char *service = challenge_param(challenge, "service");
	cleanup_json json_t *o = NULL;
	struct answer a = { 0 };
	struct err ignored = { 0 };
	CURL *curl = curl_easy_init();
	char *escaped;
	int rc;

	escaped = curl ? curl_easy_escape(curl, aj->user, 0) : NULL;
	user = xstrdup(escaped ? escaped : "");
	curl_free(escaped);
	curl_easy_cleanup(curl);
	if (!realm)
		return err_kind(err, ERR_SYSTEM, "registry %s: challenge without a realm",
				aj->host);
	url = xasprintf("%s%caccount=%s&client_id=docker&offline_token=true&service=%s", realm,
			strchr(realm, '?') ? '&' : '?', user, service ? service : "");
	rc = get(aj, url, true, &a, err);
	if (rc == 0 && a.status == 401)
		rc = refused(realm, err);
	else if (rc == 0 && a.status != 200)
		rc = err_kind(err, ERR_SYSTEM, "Get \"%s\": unexpected status %ld", realm,
			      a.status);
	if (rc == 0 && jparse(buf_str(&a.body), a.body.len, &o, &ignored) == 0)
		aj->identity_token = xstrdup(jget_str(o, "refresh_token", NULL));
	answer_fini(&a);
	return rc;
}

static int login_at(struct auth_job *aj, const char *scheme, struct err *err)
{
	cleanup_free char *url = xasprintf("%s://%s/v2/", scheme, aj->host);
	struct answer first = { 0 }, second = { 0 };
	int rc;

	rc = get(aj, url, false, &first, err);
	if (rc == 0 && first.status == 401 && first.challenge &&
	    strncasecmp(first.challenge, "bearer", 6) == 0) {
		rc = ask_token(aj, first.challenge, err);
	} else if (rc == 0 && first.status == 401) {
		rc = get(aj, url, true, &second, err);
		if (rc == 0 && second.status != 200)
			rc = refused(url, err);
	} else if (rc == 0 && first.status != 200) {
		rc = err_kind(err, ERR_SYSTEM, "Get \"%s\": unexpected status %ld", url,
			      first.status);
	}
	answer_fini(&first);
	answer_fini(&second);
	return rc;
}

static int auth_run(struct job *job, struct err *err)
{
	struct auth_job *aj = container_of(job, struct auth_job, job);
	struct err second = { 0 };
	int rc = login_at(aj, "https", err);

	/* no TLS there? */
	if (rc < 0 && err->kind == ERR_SYSTEM && aj->insecure && login_at(aj, "http", &second) == 0)
		return 0;
	if (rc < 0 && second.kind == ERR_UNAUTHORIZED)
		*err = second;
	return rc;
}

static void auth_done(struct job *job)
{
	struct auth_job *aj = container_of(job, struct auth_job, job);
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	if (job->rc < 0) {
		reply_error(aj->req, &job->err);
	} else {
		jw_obj(&w, NULL);
		jw_str(&w, "IdentityToken", aj->identity_token ? aj->identity_token : "");
		jw_str(&w, "Status", "Login Succeeded");
		jw_end(&w);
		reply_json(aj->req, 200, &b);
	}
	if (aj->password)
		explicit_bzero(aj->password, strlen(aj->password));
	free(aj->password);
	free(aj->user);
	free(aj->host);
	free(aj->identity_token);
	free(aj);
}

/* "https://index.docker.io/v1/", "" and docker.io are the Hub; else the host of the address. */
static char *registry_host(const char *address)
{
	const char *p = strstr(address, "://");
	size_t n;

	p = p ? p + 3 : address;
	n = strcspn(p, "/?#@");
	if (n == 0 || (n == 15 && strncmp(p, "index.docker.io", 15) == 0) ||
	    (n == 9 && strncmp(p, "docker.io", 9) == 0))
		return xstrdup(HUB_HOST);
	return xstrndup(p, n);
}

static bool may_be_insecure(const char *host)
{
	cleanup_strv char **list = strv_split(conf_str(engine->conf, "insecure-registries"), ',');

	if (str_starts(host, "127.") || str_eq(host, "localhost") ||
	    str_starts(host, "localhost:") || str_starts(host, "[::1]"))
		return true;
	for (char **p = list; *p; p++) {
		if (str_eq(*p + strspn(*p, " "), host))
			return true;
	}
	return false;
}

void handle_auth(struct req *r)
{
	const struct buf *body = req_body(r);
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };
	struct auth_job *aj;

	if (jparse(buf_str(body), body->len, &o, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	aj = xcalloc(1, sizeof(*aj));
	aj->req = req_id(r);
	aj->user = xstrdup(jget_str(o, "username", ""));
	aj->password = xstrdup(jget_str(o, "password", ""));
	aj->host = registry_host(jget_str(o, "serveraddress", ""));
	aj->insecure = may_be_insecure(aj->host);
	aj->job.run = auth_run;
	aj->job.done = auth_done;
	aj->job.what = "auth";
	job_submit(LANE_QUERY, &aj->job);
}
