/* SPDX-License-Identifier: MPL-2.0
 *
 * api_auth.c - handler: POST /auth, `docker login`. Asks the registry, by its own protocol: GET
 * /v2/, then with Basic credentials, or the token server that its challenge names.
 *
 * Registries on 127.0.0.0/8, localhost and those of insecure-registries may have bad certificates
 * or no TLS at all, as with Docker. Passwords go to nobody but the registry and its token server,
 * and into no log.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "body_fields.h"
#include "cleanup.h"
#include "jget.h"
#include "job.h"
#include "jw.h"
#include "registry.h"
#include "registry_auth.h"
#include "registry_http.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"

#define HUB_HOST "registry-1.docker.io"

struct auth_job {
	struct job job;
	uint64_t req;
	struct reg_creds creds;
	char *host;
	bool insecure;
	char *identity_token; /* result; may be NULL */
};

static bool auth_cancelled(void *arg)
{
	return job_cancelled(arg);
}

/* Docker's words; its status for a 401 is 500, which clients cannot tell from a broken registry. */
static int refused(const char *url, long status, struct err *err)
{
	return err_kind(err, status == 401 ? ERR_UNAUTHORIZED : ERR_SYSTEM,
			"login attempt to %s failed with status: %ld%s", url, status, http_status_words(status));
}

static int try_basic(const struct auth_job *aj, const struct http_where *w, const char *url, struct err *err)
{
	cleanup_free char *basic = reg_creds_basic(&aj->creds);
	const struct http_ask q = { .method = "Get", .url = url, .auth = basic };
	struct http_answer a;
	int rc;

	if ((rc = http_do(w, &q, &a, err)) == 0) {
		if (a.status != 200)
			rc = refused(url, a.status, err);
		http_answer_fini(&a);
	}
	if (basic)
		explicit_bzero(basic, strlen(basic));
	return rc;
}

static int try_token(struct auth_job *aj, const struct http_where *w, const char *url,
		     const struct challenge *c, struct err *err)
{
	const struct token_ask q = {
		.challenge = c, .creds = &aj->creds, .offline = true, .method = "Get", .url = url,
	};
	struct token token = { 0 };
	int rc = token_get(w, &q, &token, err);

	aj->identity_token = take_ptr(&token.refresh);
	token_fini(&token);
	return rc;
}

static int login_at(struct auth_job *aj, const char *scheme, struct err *err)
{
	cleanup_free char *url = xasprintf("%s://%s/v2/", scheme, aj->host);
	const struct http_ask q = { .method = "Get", .url = url };
	struct http_where w;
	struct http_answer a;
	struct challenge c;
	int rc;

	http_where_init(&w, aj->host, aj->insecure);
	w.cancelled = auth_cancelled;
	w.arg = &aj->job;
	if ((rc = http_do(&w, &q, &a, err)) == 0) {
		if (a.status == 401 && challenge_choose(a.challenges, &c) && c.scheme == CHALLENGE_BEARER)
			rc = try_token(aj, &w, url, &c, err);
		else if (a.status == 401)
			rc = try_basic(aj, &w, url, err);
		else if (a.status != 200)
			rc = refused(url, a.status, err);
		http_answer_fini(&a);
	}
	http_where_fini(&w);
	return rc;
}

static int auth_run(struct job *job, struct err *err)
{
	struct auth_job *aj = container_of(job, struct auth_job, job);
	struct err second = { 0 };
	int rc;

	aj->insecure = registry_is_insecure(aj->host);
	rc = login_at(aj, "https", err);

	/* no TLS there? */
	if (rc < 0 && err->kind == ERR_SYSTEM && aj->insecure && login_at(aj, "http", &second) == 0)
		return 0;
	if (rc < 0 && second.msg[0])
		*err = second; /* of the last one tried, as with Docker */
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
	reg_creds_fini(&aj->creds);
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

static int check_address(const char *address, struct err *err)
{
	cleanup_free char *host = registry_host(address);

	if (host[strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]")])
		return err_kind(err, ERR_BAD_PARAM, "unable to parse server address: \"%.200s\" has a host that is none",
				address);
	return 0;
}

void handle_auth(struct req *r)
{
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };
	struct auth_job *aj;

	if (!req_body(r)->len) {
		reply_error_status(req_id(r), 400, "invalid JSON: got EOF while reading request body");
		return;
	}
	if (body_decode(&body_auth, req_body(r), &o, &err) < 0 || check_address(jget_str(o, "serveraddress", ""), &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	aj = xcalloc(1, sizeof(*aj));
	aj->req = req_id(r);
	aj->creds.user = xstrdup(jget_str(o, "username", ""));
	aj->creds.password = xstrdup(jget_str(o, "password", ""));
	if (*jget_str(o, "identitytoken", ""))
		aj->creds.identity_token = xstrdup(jget_str(o, "identitytoken", ""));
	aj->host = registry_host(jget_str(o, "serveraddress", ""));
	aj->job.run = auth_run;
	aj->job.done = auth_done;
	aj->job.what = "auth";
	job_submit(LANE_QUERY, &aj->job);
}
