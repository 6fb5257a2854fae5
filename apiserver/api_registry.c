/* SPDX-License-Identifier: MPL-2.0
 *
 * api_registry.c - handlers that need a registry: pull, push, distribution inspect.
 *
 * Design: until registry.c is there, they go as far as they honestly can: the reference is checked,
 * the registry's name is looked up and a connection tried, and what fails is told in the words that
 * Docker has for it. A registry that answers gets a 501.
 */
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "apiserver/job.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "cleanup.h"
#include "str.h"

#define CONNECT_MS 15000

struct reach_job {
	struct job job;
	uint64_t req;
	struct image_ref ref;
	const char *what; /* static: the verb of the 501 */
};

static const char *resolver_words(int rc)
{
	switch (rc) {
	case EAI_NONAME:
	case EAI_NODATA:
		return "no such host";
	case EAI_AGAIN:
		return "Temporary failure in name resolution";
	default:
		return gai_strerror(rc);
	}
}

/* 0, or the errno of the failed connection. */
static int try_connect(const struct addrinfo *ai)
{
	cleanup_fd int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int e = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&p, 1, CONNECT_MS) <= 0)
		return ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e;
}

static int reach_run(struct job *job, struct err *err)
{
	struct reach_job *rj = container_of(job, struct reach_job, job);
	const char *domain = str_eq(rj->ref.domain, IMAGE_REF_DOMAIN) ? "registry-1.docker.io" :
									rj->ref.domain;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai = NULL;
	char host[256], addr[128], text[64];
	const char *port = "443";
	char *colon;
	int rc;

	str_copy(host, sizeof(host), domain);
	colon = strrchr(host, ':');
	if (colon && !strchr(colon, ']')) {
		*colon = '\0';
		port = colon + 1;
	}
	rc = getaddrinfo(host, port, &hints, &ai);
	if (rc)
		return err_kind(err, ERR_SYSTEM, "Get \"https://%s/v2/\": dial tcp: lookup %s: %s", domain,
				host, resolver_words(rc));
	rc = try_connect(ai);
	getnameinfo(ai->ai_addr, ai->ai_addrlen, addr, sizeof(addr), text, sizeof(text),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	freeaddrinfo(ai);
	if (rc) {
		char words[64];
		const char *s = strerror_r(rc, words, sizeof(words));

		return err_kind(err, ERR_SYSTEM, "Get \"https://%s/v2/\": dial tcp %s:%s: connect: %c%s",
				domain, addr, text, s[0] | 0x20, s + 1);
	}
	return err_kind(err, ERR_NOT_IMPLEMENTED, "%s is not supported yet", rj->what);
}

static void reach_done(struct job *job)
{
	struct reach_job *rj = container_of(job, struct reach_job, job);

	reply_error(rj->req, &job->err);
	free(rj);
}

static void reach(struct req *r, const struct image_ref *ref, const char *what)
{
	struct reach_job *rj = xcalloc(1, sizeof(*rj));

	rj->job = (struct job){ .run = reach_run, .done = reach_done, .what = what };
	rj->req = req_id(r);
	rj->ref = *ref;
	rj->what = what;
	job_submit(LANE_TRANSFER, &rj->job);
}

void handle_image_pull(struct req *r)
{
	const char *image = req_query(r, "fromImage"), *tag = req_query(r, "tag");
	cleanup_free char *whole = NULL;
	struct image_ref ref;
	struct err err = { 0 };

	if (str_empty(tag))
		whole = xstrdup(image);
	else
		whole = xasprintf("%s%s%s", image, strchr(tag, ':') ? "@" : ":", tag);
	if (image_ref_parse(whole, &ref, &err) < 0) {
		reply_error(req_id(r), &err);
		return;
	}
	reach(r, &ref, "pull");
}

void handle_image_push(struct req *r)
{
	struct image_ref ref;
	struct err err = { 0 };

	if (image_ref_parse(req_var(r, "name"), &ref, &err) < 0)
		reply_error(req_id(r), &err);
	else
		reach(r, &ref, "push");
}

void handle_distribution_inspect(struct req *r)
{
	struct image_ref ref;
	struct err err = { 0 };

	if (image_ref_parse(req_var(r, "name"), &ref, &err) < 0)
		reply_error(req_id(r), &err);
	else
		reach(r, &ref, "distribution inspect");
}
