/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_auth.h - who we are to a registry: what the client told us, the registry's challenges
 * (RFC 7235), and tokens (the distribution token specification). Worker; the parsers are pure.
 */
#ifndef APISERVER_REGISTRY_AUTH_H
#define APISERVER_REGISTRY_AUTH_H

#include <stdbool.h>

#include "apiserver/registry_http.h"
#include "err.h"

struct reg_creds {
	char *user, *password; /* NULL: none */
	char *identity_token;  /* exchanged for a token at the token server */
	char *registry_token;  /* a bearer token, used as it is */
};

/* X-Registry-Auth: base64url of JSON. What is malformed or absent means anonymous, as with Docker. */
void reg_creds_parse(const char *header, struct reg_creds *out);
/* X-Registry-Config of a build: the same for each registry, by its name. */
void reg_creds_for(const char *header, const char *domain, struct reg_creds *out);
void reg_creds_fini(struct reg_creds *c); /* wipes */
/* "Basic ..."; NULL without a user. Owned. */
char *reg_creds_basic(const struct reg_creds *c);

enum challenge_scheme { CHALLENGE_OTHER, CHALLENGE_BASIC, CHALLENGE_BEARER };
struct challenge {
	enum challenge_scheme scheme;
	char realm[1024];
	char service[512];
	char scope[512];
	char error[64];
	char error_description[256];
};
#define CHALLENGES_MAX 8
/* All challenges of one WWW-Authenticate header; returns how many. What does not fit is dropped. */
size_t challenge_parse(const char *header, struct challenge *out, size_t max);
/* Of all headers of an answer, the one to be met: Bearer before Basic. False: there is none. */
bool challenge_choose(char *const *headers, struct challenge *out);

struct token_ask {
	const struct challenge *challenge;
	const struct reg_creds *creds;
	char *const *scopes; /* "repository:x/y:pull"; may be empty */
	bool offline;	     /* a refresh token is wanted: login */
	const char *method, *url; /* what it is for: Docker names that in errors */
};
struct token {
	char *text;	   /* NULL: none */
	char *refresh;	   /* NULL: none came */
	int64_t expires_s; /* good for so long from now on */
};
/* A 401 of the token server is UNAUTHORIZED. */
int token_get(const struct http_where *w, const struct token_ask *q, struct token *out, struct err *err);
/* The body of a token server's answer of status 200. Pure. */
int token_read(const char *body, size_t len, struct token *out, struct err *err);
void token_fini(struct token *t); /* wipes */

#endif
