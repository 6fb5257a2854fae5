/* SPDX-License-Identifier: MPL-2.0
 *
 * api_build.c - POST /build and /build/cancel: what the client asks for, checked.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/build_priv.h"
#include "apiserver/image_ref.h"
#include "apiserver/reply.h"
#include "apiserver/request.h"
#include "apiserver/route.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define NO_BUILDKIT                                                                                \
	"BuildKit is not part of this engine: set DOCKER_BUILDKIT=0 for the classic builder, or "  \
	"use a builder of docker buildx create --driver docker-container"

static int bad_json(struct err *err, const char *name)
{
	return err_kind(err, ERR_BAD_PARAM, "error reading %s", name);
}

/* A parameter that is JSON; *out stays NULL when it is not there. */
static int json_param(struct req *r, const char *name, const char *called, json_t **out,
		      struct err *err)
{
	const char *text = req_query(r, name);
	struct err why = { 0 };

	if (str_empty(text) || str_eq(text, "null"))
		return 0;
	if (jparse(text, strlen(text), out, &why) < 0)
		return bad_json(err, called);
	return 0;
}

static int tags_param(struct req *r, struct build_opts *o, struct err *err)
{
	cleanup_strv char **names = req_query_all(r, "t");
	int rc;

	o->tags = strv_split("", ' ');
	for (char **n = names; *n; n++) {
		cleanup_free char *canonical = NULL;
		struct image_ref ref;

		if (!**n)
			continue;
		if ((rc = image_ref_parse(*n, &ref, err)) < 0)
			return rc;
		if (ref.digest[0])
			return err_kind(err, ERR_BAD_PARAM, "build tag cannot contain a digest");
		image_ref_default_tag(&ref);
		canonical = image_ref_canonical(&ref);
		if (!strv_has(o->tags, canonical))
			strv_add(&o->tags, canonical);
	}
	return 0;
}

static int build_args_param(struct req *r, struct build *b, struct err *err)
{
	cleanup_json json_t *args = NULL;
	const char *name;
	json_t *v;
	int rc = json_param(r, "buildargs", "build args", &args, err);

	if (rc < 0)
		return rc;
	if (args && !json_is_object(args))
		return bad_json(err, "build args");
	json_object_foreach (args, name, v) {
		cleanup_free char *text = json_is_string(v)
						  ? xasprintf("%s=%s", name, json_string_value(v))
						  : xstrdup(name);

		if (!json_is_string(v) && !json_is_null(v))
			return bad_json(err, "build args");
		strv_add(&b->args.given, text);
	}
	return 0;
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static int labels_param(struct req *r, struct build_opts *o, struct err *err)
{
	cleanup_json json_t *labels = NULL;
	const char *name;
	json_t *v;
	int rc = json_param(r, "labels", "labels", &labels, err);

	o->labels = strv_split("", ' ');
	if (rc < 0)
		return rc;
	if (labels && !json_is_object(labels))
		return bad_json(err, "labels");
	json_object_foreach (labels, name, v) {
		cleanup_free char *text = NULL;

		if (!json_is_string(v))
			return bad_json(err, "labels");
		text = xasprintf("%s=%s", name, json_string_value(v));
		strv_add(&o->labels, text);
	}
	qsort(o->labels, strv_len(o->labels), sizeof(*o->labels), by_text);
	return 0;
}

static int cache_from_param(struct req *r, struct build_opts *o, struct err *err)
{
	cleanup_json json_t *names = NULL;
	json_t *v;
	size_t i;
	int rc = json_param(r, "cachefrom", "cache-from", &names, err);

	if (rc < 0)
		return rc;
	if (names && !json_is_array(names))
		return bad_json(err, "cache-from");
	json_array_foreach (names, i, v)
		if (!json_is_string(v))
			return bad_json(err, "cache-from");
	if (json_array_size(names))
		o->cache_from = strv_split("", ' ');
	json_array_foreach (names, i, v)
		strv_add(&o->cache_from, json_string_value(v));
	return 0;
}

static int int_param(struct req *r, json_t *hc, const char *name, const char *key, struct err *err)
{
	const char *text = req_query(r, name);
	int64_t n;

	if (str_empty(text))
		return 0;
	if (parse_i64(text, INT64_MIN, INT64_MAX, &n) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"strconv.ParseInt: parsing \"%s\": invalid syntax", text);
	if (n)
		json_object_set_new(hc, key, json_integer(n));
	return 0;
}

/* The client joins them with commas. */
static void extra_hosts(struct req *r, json_t *hc)
{
	cleanup_strv char **all = req_query_all(r, "extrahosts");
	json_t *list = json_array();

	for (char **a = all; *a; a++) {
		cleanup_strv char **hosts = strv_split(*a, ',');

		for (char **h = hosts; *h; h++)
			if (**h)
				json_array_append_new(list, json_string(*h));
	}
	json_object_set_new(hc, "ExtraHosts", list);
}

static int host_config_params(struct req *r, struct build_opts *o, struct err *err)
{
	static const struct {
		const char *param, *key;
	} numbers[] = {
		{ "memory", "Memory" },	      { "memswap", "MemorySwap" }, { "cpushares", "CpuShares" },
		{ "cpuperiod", "CpuPeriod" }, { "cpuquota", "CpuQuota" },  { "shmsize", "ShmSize" },
	}, texts[] = {
		{ "cpusetcpus", "CpusetCpus" },
		{ "cpusetmems", "CpusetMems" },
		{ "cgroupparent", "CgroupParent" },
		{ "networkmode", "NetworkMode" },
	};
	cleanup_json json_t *hc = json_object(), *ulimits = NULL;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if ((rc = int_param(r, hc, numbers[i].param, numbers[i].key, err)) < 0)
			return rc;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!str_empty(req_query(r, texts[i].param)))
			json_object_set_new(hc, texts[i].key,
					    json_string(req_query(r, texts[i].param)));
	if ((rc = json_param(r, "ulimits", "ulimit settings", &ulimits, err)) < 0)
		return rc;
	if (ulimits)
		json_object_set(hc, "Ulimits", ulimits);
	extra_hosts(r, hc);
	json_object_set_new(hc, "LogConfig", json_pack("{s:s}", "Type", "none"));
	o->host_config = json_dumps(hc, JSON_COMPACT);
	return o->host_config ? 0 : err_kind(err, ERR_BAD_PARAM, "not valid UTF-8");
}

/* What this builder does not do. */
static int refuse(struct req *r, struct err *err)
{
	const char *version = req_query(r, "version"), *remote = req_query(r, "remote");
	const char *outputs = req_query(r, "outputs"), *platform = req_query(r, "platform");
	const char *isolation = req_query(r, "isolation");
	cleanup_strv char **security = req_query_all(r, "securityopt");

	if (str_eq(version, "2"))
		return err_kind(err, ERR_BAD_PARAM, NO_BUILDKIT);
	if (!str_empty(version) && !str_eq(version, "1"))
		return err_kind(err, ERR_BAD_PARAM, "invalid version \"%s\"", version);
	if (!str_empty(outputs) && !str_eq(outputs, "[]") && !str_eq(outputs, "null"))
		return err_kind(err, ERR_BAD_PARAM,
				"multiple outputs or custom outputs are not supported by "
				"the classic builder");
	if (str_eq(remote, "client-session"))
		return err_kind(err, ERR_BAD_PARAM,
				"experimental session with v1 builder is no longer supported, use "
				"builder version v2 (BuildKit) instead");
	if (!str_empty(remote) && !build_is_git(remote) && !str_starts(remote, "http://") &&
	    !str_starts(remote, "https://"))
		return err_kind(err, ERR_BAD_PARAM, "remoteURL (%s) could not be recognized as URL",
				remote);
	if (!str_empty(isolation) && strcasecmp(isolation, "default") != 0)
		return err_kind(err, ERR_BAD_PARAM, "unsupported isolation: \"%s\"", isolation);
	if (security[0])
		return err_kind(err, ERR_BAD_PARAM, "security options are not supported on linux");
	return build_platform_check(platform, err);
}

int build_params(struct req *r, struct build *b, struct err *err)
{
	const char *dockerfile = req_query(r, "dockerfile");
	int rc;

	build_args_init(&b->args);
	b->o.dockerfile = xstrdup(str_empty(dockerfile) ? "Dockerfile" : dockerfile);
	b->o.remote = xstrdup(req_query(r, "remote"));
	b->o.target = xstrdup(req_query(r, "target"));
	b->o.platform = xstrdup(req_query(r, "platform"));
	b->o.registry_config = xstrdup(req_header(r, "x-registry-config"));
	b->o.quiet = req_query_bool(r, "q", false);
	b->o.no_cache = req_query_bool(r, "nocache", false);
	b->o.force_rm = req_query_bool(r, "forcerm", false);
	b->o.rm = req_query_bool(r, "rm", true) || b->o.force_rm;
	b->o.pull = req_query_bool(r, "pull", false);
	b->o.squash = req_query_bool(r, "squash", false);
	b->o.build_id = xstrdup(req_query(r, "buildid"));
	if ((rc = refuse(r, err)) < 0 || (rc = tags_param(r, &b->o, err)) < 0 ||
	    (rc = build_args_param(r, b, err)) < 0 || (rc = labels_param(r, &b->o, err)) < 0 ||
	    (rc = cache_from_param(r, &b->o, err)) < 0)
		return rc;
	return host_config_params(r, &b->o, err);
}

static void on_gone(void *arg)
{
	build_cancel(arg);
}

void handle_build(struct req *r)
{
	struct build *b = xcalloc(1, sizeof(*b));
	struct err err = { 0 };

	if (build_params(r, b, &err) < 0) {
		reply_error(req_id(r), &err);
		build_free(b);
		return;
	}
	b->req = req_id(r);
	b->progress = progress_new(b->req);
	b->body = req_body_stream(r);
	req_on_gone(r, on_gone, b);
	op_build(b);
}

/* What BuildKit's clients talk to. docker buildx takes its container driver when it is refused. */
void handle_buildkit(struct req *r)
{
	reply_error_status(req_id(r), 501, NO_BUILDKIT);
}

void handle_build_cancel(struct req *r)
{
	const char *id = req_query(r, "id");
	struct err err = { 0 };

	if (str_empty(id)) {
		err_kind(&err, ERR_BAD_PARAM, "build ID not provided");
		reply_error(req_id(r), &err);
		return;
	}
	build_cancel_id(id);
	reply_empty(req_id(r), 200);
}
