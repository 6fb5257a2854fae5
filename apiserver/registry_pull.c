/* SPDX-License-Identifier: MPL-2.0
 *
 * registry_pull.c - images from a registry: manifest, configuration, layers, names.
 *
 * Design: endpoints are tried in order (mirrors, TLS, plain HTTP where allowed) until one serves the
 * whole image; what the last one said is the error. Every byte is checked against the digest that
 * led to it: tag -> manifest -> configuration and layers. A tag's digest is asked for by HEAD, and where repo@digest is here
 * already, as the wanted platform's image, nothing is fetched: registries limit how often manifests are. Errors of the registry have Docker's words.
 */
#define LOG_MODULE "pull"
#include "apiserver/registry_pull.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/image_index.h"
#include "apiserver/image_store.h"
#include "apiserver/image_v1.h"
#include "apiserver/manifest.h"
#include "apiserver/pull_layers.h"
#include "apiserver/pull_v1.h"
#include "apiserver/registry.h"
#include "apiserver/registry_v1.h"
#include "apiserver/schema1.h"
#include "cleanup.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define TAGS_MAX  10000
#define PAGES_MAX 1000

struct pull {
	const struct registry_pull *o;
	struct transfer *t;
	struct registry *reg;
	bool changed; /* something was new */
};

/* ---------------------------------------------------------------- refusals */

/* The words that Docker puts before the registry's own. */
static int refused(const struct image_ref *ref, enum reg_refusal why, int rc, struct err *err)
{
	cleanup_free char *name = image_ref_familiar_name(ref), *whole = image_ref_familiar(ref);

	switch (why) {
	case REG_DENIED:
		err_wrap(err, rc, "pull access denied for %s, repository does not exist or may require "
				  "'docker login'", name);
		err->kind = ERR_NOT_FOUND;
		break;
	case REG_MANIFEST_UNKNOWN:
		err_wrap(err, rc, "manifest for %s not found", whole);
		err->kind = ERR_NOT_FOUND;
		break;
	case REG_NAME_UNKNOWN:
		err_wrap(err, rc, "repository %s not found", name);
		err->kind = ERR_NOT_FOUND;
		break;
	case REG_UNAUTHORIZED:
	case REG_OTHER:
		break;
	}
	return rc;
}

/* ---------------------------------------------------------------- one image */

static int get_manifest(struct pull *p, const struct image_ref *ref, const char *which,
			struct manifest_text *mt, struct manifest *m, struct err *err)
{
	enum reg_refusal why;
	int rc;

	*mt = (struct manifest_text){ 0 };
	rc = registry_manifest(p->reg, ref->path, which, mt, &why, err);
	if (rc < 0)
		return refused(ref, why, rc, err);
	rc = manifest_parse(buf_str(&mt->text), mt->text.len, mt->content_type, m, err);
	if (rc == 0 && (rc = manifest_check_image(m, err)) < 0)
		manifest_fini(m);
	if (rc < 0)
		buf_fini(&mt->text);
	return rc;
}

/* "linux/amd64": the platform that is looked for, as messages name it. */
static char *wanted_text(const struct pull *p)
{
	struct platform host;

	if (p->o->platform)
		return platform_text(p->o->platform);
	platform_set(&host, "", platform_host_arch(), "");
	return platform_text(&host);
}

/* The manifest of the wanted platform, behind at most one index within the other. */
static int choose(struct pull *p, const struct image_ref *ref, struct manifest *m, struct err *err)
{
	for (int depth = 0; m->is_index; depth++) {
		const struct descriptor *d = manifest_pick(m, p->o->platform);
		struct manifest_text mt;
		struct manifest next;
		int rc;

		if (!d || depth > 1) {
			cleanup_free char *platform = wanted_text(p);

			return err_kind(err, ERR_NOT_FOUND,
					"no matching manifest for %s in the manifest list entries", platform);
		}
		if ((rc = get_manifest(p, ref, d->digest, &mt, &next, err)) < 0)
			return rc;
		buf_fini(&mt.text);
		manifest_fini(m);
		*m = next;
	}
	return m->is_schema1 ? err_kind(err, ERR_SYSTEM, "unsupported manifest format") : 0;
}

/* pull_layers' stream: a blob of the repository. */
static int open_blob(void *arg, const struct pull_layer *l, int64_t offset, struct url_source **out,
		     int64_t *from, bool *gone, struct err *err)
{
	const struct pull *p = arg;

	return registry_blob(p->reg, p->o->ref.path, l->digest, offset, out, from, gone, err);
}

static void tell_layer(struct pull_layer *l, const char *digest)
{
	l->digest = digest;
	str_copy(l->id, sizeof(l->id), digest + 7);
}

static int check_config(const struct manifest *m, const json_t *config, char ***out, struct err *err)
{
	const char *os = jget_str(config, "os", "");

	if (*os && !str_eq(os, "linux"))
		return err_kind(err, ERR_SYSTEM, "image operating system \"%s\" cannot be used on this platform", os);
	*out = jget_strv(jget_obj(config, "rootfs"), "diff_ids");
	if (strv_len(*out) != m->n)
		return err_kind(err, ERR_SYSTEM, "layers from manifest don't match image configuration");
	for (char **d = *out; *d; d++)
		if (!image_id_valid(*d))
			return err_kind(err, ERR_SYSTEM, "invalid image configuration: bad rootfs.diff_ids");
	return 0;
}

static int fetch_image(struct pull *p, const struct image_ref *ref, const struct manifest *m, char id[72],
		       struct err *err)
{
	cleanup_free char *repo = image_ref_name(ref);
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_strv char **diff_ids = NULL;
	cleanup_json json_t *config = NULL;
	cleanup_free struct pull_layer *v = xcalloc(m->n + 1, sizeof(*v));
	struct pull_layers l = {
		.open = open_blob,
		.arg = p,
		.canonical_repo = repo,
		.v = v,
		.n = m->n,
		.t = p->t,
	};
	int rc;

	if ((rc = registry_blob_text(p->reg, ref->path, m->config.digest, m->config.size, &text, err)) < 0)
		return rc;
	if ((rc = jparse(buf_str(&text), text.len, &config, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "invalid image configuration");
	}
	if ((rc = check_config(m, config, &diff_ids, err)) < 0)
		return rc;
	for (size_t i = 0; i < m->n; i++) {
		tell_layer(&v[i], m->v[i].digest);
		v[i].diff_id = diff_ids[i];
		v[i].size = m->v[i].size;
		v[i].is_gzip = str_ends(m->v[i].media_type, "gzip");
	}
	if ((rc = pull_layers(&l, NULL, err)) < 0)
		return rc;
	return image_add(text.p, text.len, "", id, err);
}

/* The image of a schema 1 manifest: its layers tell what they are only when they have come. */
static int fetch_schema1(struct pull *p, const struct image_ref *ref, const struct schema1 *m, char id[72],
			 struct err *err)
{
	cleanup_free char *repo = image_ref_name(ref), *text = NULL;
	cleanup_free struct pull_layer *v = xcalloc(m->n + 1, sizeof(*v));
	cleanup_free char(*diff_ids)[72] = xcalloc(m->n + 1, sizeof(*diff_ids));
	cleanup_json json_t *list = json_array();
	struct pull_layers l = { .open = open_blob, .arg = p, .canonical_repo = repo, .v = v, .t = p->t };
	int rc;

	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].empty)
			continue;
		v[l.n].size = -1;
		tell_layer(&v[l.n++], m->v[i].digest);
	}
	if ((rc = pull_layers(&l, diff_ids, err)) < 0)
		return rc;
	for (size_t i = 0; i < l.n; i++)
		json_array_append_new(list, json_string(diff_ids[i]));
	text = image_v1_config(m->top, list, m->history);
	if (!text)
		return err_kind(err, ERR_SYSTEM, "invalid manifest: v1Compatibility");
	return image_add(text, strlen(text), "", id, err);
}

/* With repo@digest here already there is nothing to fetch: it can only be the same. */
static int get_schema1(struct pull *p, const struct image_ref *ref, const struct manifest_text *mt, char id[72],
		       struct err *err)
{
	cleanup_free char *repo = image_ref_name(ref), *whole = image_ref_familiar(ref);
	cleanup_free char *by_digest = xasprintf("%s@%s", repo, mt->digest);
	struct image *img = NULL;
	struct err ignored = { 0 };
	struct schema1 m;
	int rc;

	if (image_resolve(by_digest, &img, NULL, &ignored) == 0) {
		str_copy(id, 72, img->id);
		image_unref(img);
		return 0;
	}
	if ((rc = schema1_parse(buf_str(&mt->text), mt->text.len, whole, &m, err)) < 0)
		return rc;
	rc = fetch_schema1(p, ref, &m, id, err);
	schema1_fini(&m);
	return rc;
}

/* The image of the manifest, in the store. */
static int get_image(struct pull *p, const struct image_ref *ref, const struct manifest *m, char id[72],
		     struct err *err)
{
	struct image *img = NULL;
	struct err ignored = { 0 };

	if (image_resolve(m->config.digest, &img, NULL, &ignored) == 0) {
		str_copy(id, 72, img->id);
		image_unref(img);
		return 0;
	}
	return fetch_image(p, ref, m, id, err);
}

/* An index's digest may name the image of another platform already. That stays, as with Docker, but where the digest is
 * what was asked for. */
static int name_digest(const struct image_ref *by_digest, bool move, const char *id, char old[72], struct err *err)
{
	cleanup_free char *name = image_ref_canonical(by_digest);
	struct err ignored = { 0 };
	struct image *img = NULL;

	if (!move && image_resolve(name, &img, NULL, &ignored) == 0) {
		str_copy(old, 72, img->id);
		image_unref(img);
		return 0;
	}
	return image_name_add(id, by_digest, old, err);
}

static int name_image(struct pull *p, const struct image_ref *ref, const char *digest, const char *id,
		      struct err *err)
{
	struct image_ref by_digest = *ref;
	char old[72];
	int rc;

	str_copy(by_digest.digest, sizeof(by_digest.digest), digest);
	by_digest.tag[0] = '\0';
	if ((rc = name_digest(&by_digest, ref->digest[0], id, old, err)) < 0)
		return rc;
	if (!ref->digest[0] && (rc = image_name_add(id, ref, old, err)) < 0)
		return rc;
	if (!str_eq(old, id))
		p->changed = true;
	return 0;
}

/* Where the registry has one image only, of another platform than the one that was asked for. */
static void warn_platform(struct pull *p)
{
	cleanup_free char *name = image_ref_canonical(&p->o->ref);
	struct image *img = NULL;
	struct err err = { 0 };

	if (!p->o->platform || image_resolve(name, &img, NULL, &err) < 0)
		return;
	if (platform_check_image(p->o->platform, img, name, &err) < 0)
		transfer_line(p->t, NULL, "WARNING: %s", err.msg);
	image_unref(img);
}

static void tell_begin(struct pull *p, const struct image_ref *ref)
{
	cleanup_free char *canonical = image_ref_canonical(ref);

	progress_status(p->t->progress, ref->digest[0] ? canonical : ref->tag, "Pulling from %s", ref->path);
}

/* The image that repo@digest names here, where it is the one that would be chosen. */
static bool find_here(struct pull *p, const struct image_ref *ref, const char *digest, char id[72])
{
	cleanup_free char *repo = image_ref_name(ref);
	cleanup_free char *by_digest = xasprintf("%s@%s", repo, digest);
	struct platform want;
	struct image *img = NULL;
	struct err ignored = { 0 };
	bool same;

	if (!digest[0] || image_resolve(by_digest, &img, NULL, &ignored) < 0)
		return false;
	platform_host(&want);
	same = platform_is_image(p->o->platform ? p->o->platform : &want, img);
	str_copy(id, 72, img->id);
	image_unref(img);
	return same;
}

/* True: it is here, and named. */
static bool pull_nothing(struct pull *p, const struct image_ref *ref, const char *digest, int *rc, struct err *err)
{
	char id[72];
	bool here;

	image_hold_begin();
	here = find_here(p, ref, digest, id);
	if (here) {
		tell_begin(p, ref);
		*rc = name_image(p, ref, digest, id, err);
	}
	image_hold_end();
	return here;
}

static int pull_manifest(struct pull *p, const struct image_ref *ref, const char *which, char digest[72],
			 struct err *err)
{
	struct manifest_text mt;
	struct manifest m;
	char id[72];
	int rc;

	if ((rc = get_manifest(p, ref, which, &mt, &m, err)) < 0)
		return rc;
	tell_begin(p, ref);
	str_copy(digest, 72, mt.digest);
	image_hold_begin();
	if (m.is_schema1)
		rc = get_schema1(p, ref, &mt, id, err);
	else if ((rc = choose(p, ref, &m, err)) == 0)
		rc = get_image(p, ref, &m, id, err);
	if (rc == 0)
		rc = name_image(p, ref, mt.digest, id, err);
	image_hold_end();
	buf_fini(&mt.text);
	manifest_fini(&m);
	return rc;
}

static int pull_one(struct pull *p, const struct image_ref *ref, struct err *err)
{
	char digest[72];
	int rc = 0;

	str_copy(digest, sizeof(digest), ref->digest);
	if (!digest[0] && (rc = registry_manifest_head(p->reg, ref->path, ref->tag, digest, err)) < 0)
		return rc;
	if (!pull_nothing(p, ref, digest, &rc, err)) {
		cleanup_free char *which = xstrdup(digest[0] ? digest : ref->tag);

		rc = pull_manifest(p, ref, which, digest, err);
	}
	if (rc == 0)
		transfer_line(p->t, NULL, "Digest: %s", digest);
	return rc;
}

/* ---------------------------------------------------------------- all tags */

/* Link: </v2/x/tags/list?n=..&last=..>; rel="next" */
char *registry_next_page(const char *base, const char *link)
{
	cleanup_free char *target = NULL;
	size_t n = strlen(base);

	if (!link || link[0] != '<' || !strstr(link, "next"))
		return NULL;
	target = xstrndup(link + 1, strcspn(link + 1, ">"));
	if (strncmp(target, base, n) == 0 && target[n] == '/')
		return take_ptr(&target);
	return target[0] == '/' ? xasprintf("%s%s", base, target) : NULL;
}

int registry_read_tags(const char *body, size_t len, char ***tags, struct err *err)
{
	cleanup_strv char **more = NULL;
	cleanup_json json_t *o = NULL;
	int rc;

	if ((rc = jparse(body, len, &o, err)) < 0) {
		err->kind = ERR_SYSTEM;
		return err_wrap(err, rc, "the registry's list of tags");
	}
	more = jget_strv(o, "tags");
	for (char **s = more; *s; s++)
		if (image_tag_valid(*s))
			strv_add(tags, *s);
	return 0;
}

static int list_tags(struct pull *p, const struct image_ref *ref, char ***out, struct err *err)
{
	cleanup_free char *url = xasprintf("/%s/tags/list", ref->path);
	cleanup_strv char **tags = strv_split("", ',');
	enum reg_refusal why;
	int rc;

	for (int page = 0; url && page < PAGES_MAX && strv_len(tags) < TAGS_MAX; page++) {
		struct http_ask q = { .method = "Get", .url = url, .max = MANIFEST_MAX };
		struct http_answer a;

		if ((rc = registry_ask(p->reg, &q, &a, err)) < 0)
			return rc;
		if (a.status != 200) {
			rc = registry_refused(&a, &why, err);
			http_answer_fini(&a);
			return refused(ref, why, rc, err);
		}
		rc = registry_read_tags(buf_str(&a.body), a.body.len, &tags, err);
		free(url);
		url = registry_next_page(registry_base(p->reg), http_answer_header(&a, "link"));
		http_answer_fini(&a);
		if (rc < 0)
			return rc;
	}
	*out = take_ptr(&tags);
	return 0;
}

static int pull_all(struct pull *p, const struct image_ref *repo, struct err *err)
{
	cleanup_strv char **tags = NULL;
	int rc;

	if ((rc = list_tags(p, repo, &tags, err)) < 0)
		return rc;
	for (char **s = tags; rc == 0 && *s; s++) {
		struct image_ref ref = *repo;

		str_copy(ref.tag, sizeof(ref.tag), *s);
		rc = pull_one(p, &ref, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- endpoints */

static int pull_from(struct pull *p, const struct reg_endpoint *ep, bool *reached, struct err *err)
{
	const struct registry_opts o = {
		.creds = p->o->creds,
		.cancelled = transfer_stopped,
		.arg = p->t,
	};
	const struct image_ref *ref = &p->o->ref;
	int rc;

	if ((rc = registry_open(ep, &o, &p->reg, err)) < 0)
		return rc;
	*reached = true;
	registry_scope(p->reg, ref->path, "pull");
	if (!registry_is_v2(p->reg) && !ep->mirror && registry_v1_there(ep, &o))
		rc = pull_v1(ep, &o, ref, p->t, &p->changed, err);
	else
		rc = ref->tag[0] || ref->digest[0] ? pull_one(p, ref, err) : pull_all(p, ref, err);
	registry_close(p->reg);
	p->reg = NULL;
	return rc;
}

static void tell_end(struct pull *p)
{
	cleanup_free char *whole = image_ref_familiar(&p->o->ref);
	cleanup_free char *name = image_ref_familiar_name(&p->o->ref);

	transfer_line(p->t, NULL, "Status: %s for %s",
		      p->changed ? "Downloaded newer image" : "Image is up to date", whole);
	warn_platform(p);
	image_events_add_named(p->o->events, "pull", whole, name);
}

int registry_pull(const struct registry_pull *o, struct transfer *t, struct err *err)
{
	struct reg_endpoint v[REG_ENDPOINTS_MAX];
	struct pull p = { .o = o, .t = t };
	size_t n = registry_endpoints(o->ref.domain, true, v);
	int rc = -ENOENT;

	if (str_eq(o->ref.domain, IMAGE_REF_DOMAIN) && str_eq(o->ref.path, "library/scratch"))
		return err_kind(err, ERR_FORBIDDEN, "'scratch' is a reserved name");

	for (size_t i = 0; i < n; i++) {
		bool reached = false;

		atomic_store(&t->abort, false);
		*err = (struct err){ 0 };
		rc = pull_from(&p, &v[i], &reached, err);
		if (rc == 0)
			break;
		if ((reached && !v[i].mirror) || job_cancelled(t->job) || progress_gone(t->progress))
			break;
		if (i + 1 < n && v[i].mirror)
			log_info("pull goes on elsewhere", "from=%s err=%s", v[i].base, log_q(err->msg));
	}
	if (rc == 0)
		tell_end(&p);
	return rc;
}
