/* SPDX-License-Identifier: MPL-2.0
 *
 * build_squash.c - docker build --squash: what a build put on its base, as one layer.
 *
 * Design: the new layer is an overlay upper directory, made from the directories of the layers to
 * be merged, bottom first: what a layer has goes over what is there, files as hard links (layers
 * never change). A whiteout stays only where the base has something to hide, and so does the mark
 * of a directory that hides the base's. The base is mounted to look that up.
 *
 * As in Docker the history keeps the steps, all of them without a layer, and gets one for the
 * merge; the image has no parent; the ones it was made of stay for the cache.
 *
 * Failure: all is below a build root, which is removed in any case.
 */
#include "apiserver/build_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "apiserver/copy_tree.h"
#include "apiserver/image_commit.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "str.h"

#define DEPTH_MAX 256
#define OPAQUE	  "trusted.overlay.opaque"

struct merge {
	struct build *b;
	int base_fd; /* root of the base */
};

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(int fd)
{
	char v[2];

	return fgetxattr(fd, OPAQUE, v, sizeof(v)) == 1 && v[0] == 'y';
}

/* What the base has at path; type 0: nothing. Links in the way are the base's own directories'. */
static mode_t base_type(const struct merge *m, const char *path)
{
	cleanup_fd int fd = fs_open_beneath(m->base_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_mode & S_IFMT : 0;
}

static int merge_dir(const struct merge *m, int src, int dst, const char *path, int depth,
		     struct err *err);

static int make_opaque(int dst, const char *name, struct err *err)
{
	cleanup_fd int fd = openat(dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fsetxattr(fd, OPAQUE, "y", 1, 0) < 0)
		return err_sys(err, "mark directory %s", name);
	return 0;
}

static int merge_subdir(const struct merge *m, int src, int dst, const char *name, const char *path,
			const struct stat *st, int depth, struct err *err)
{
	cleanup_fd int from = openat(src, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int to = -1;
	struct stat old;
	bool hides, there = fstatat(dst, name, &old, AT_SYMLINK_NOFOLLOW) == 0;
	int rc;

	if (from < 0)
		return err_sys(err, "open %s", path);
	/* what is hidden once stays so */
	hides = is_opaque(from) || (there && !S_ISDIR(old.st_mode));
	if (there && hides && (rc = fs_remove_tree(dst, name, err)) < 0)
		return rc;
	if ((!there || hides) && mkdirat(dst, name, 0700) < 0)
		return err_sys(err, "mkdir %s", path);
	if (hides && S_ISDIR(base_type(m, path)) && (rc = make_opaque(dst, name, err)) < 0)
		return rc;
	to = openat(dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_sys(err, "open %s", path);
	if ((rc = merge_dir(m, from, to, path, depth + 1, err)) < 0)
		return rc;
	rc = copy_tree_attributes(src, dst, name, st);
	return rc < 0 ? err_sysnum(err, rc, "set the owner of %s", path) : 0;
}

static int merge_one(const struct merge *m, int src, int dst, const char *name, const char *path,
		     int depth, struct err *err)
{
	struct stat st;
	int rc;

	if (fstatat(src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return merge_subdir(m, src, dst, name, path, &st, depth, err);
	if ((rc = fs_remove_tree(dst, name, err)) < 0)
		return rc;
	if (is_whiteout(&st) && !base_type(m, path))
		return 0;
	return linkat(src, name, dst, name, 0) < 0 ? err_sys(err, "link %s", path) : 0;
}

static int merge_dir(const struct merge *m, int src, int dst, const char *path, int depth,
		     struct err *err)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int fd = openat(src, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (depth > DEPTH_MAX || fd < 0 || !(d = fdopendir(fd))) {
		if (fd >= 0)
			close(fd);
		return err_sysnum(err, depth > DEPTH_MAX ? ELOOP : errno, "read %s", path);
	}
	if ((rc = build_check(m->b, err)) < 0)
		return rc;
	while ((e = readdir(d))) {
		cleanup_free char *sub = NULL;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		sub = *path ? xasprintf("%s/%s", path, e->d_name) : xstrdup(e->d_name);
		if ((rc = merge_one(m, src, dst, e->d_name, sub, depth, err)) < 0)
			return rc;
	}
	return 0;
}

/* The layers of img above the first n_base of them, into upper. */
static int merge_layers(struct build *b, const struct image *img, const struct image *base,
			const char *upper, struct err *err)
{
	cleanup_build_root struct build_root root = { .view = ZONE_VIEW_INIT };
	cleanup_fd int dst = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct merge m = { .b = b };
	int rc;

	if (dst < 0)
		return err_sys(err, "open %s", upper);
	if ((rc = build_root_open(&root, base, err)) < 0)
		return rc;
	m.base_fd = root.view.root_fd;
	for (char **dir = img->layer_dirs + (base ? strv_len(base->layer_dirs) : 0); *dir; dir++) {
		cleanup_fd int src = open(*dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (src < 0)
			return err_sys(err, "open %s", *dir);
		if ((rc = merge_dir(&m, src, dst, "", 0, err)) < 0)
			return rc;
	}
	return 0;
}

/* The built image's configuration, its steps above the base without layers. */
static json_t *squashed_config(const struct image *img, const json_t *base, struct err *err)
{
	json_t *config = NULL, *history, *h;
	size_t i, from = json_array_size(jget_arr(base, "history"));

	if (jparse(img->config_text, strlen(img->config_text), &config, err) < 0)
		return NULL;
	history = jget_arr(config, "history");
	for (i = from; (h = json_array_get(history, i)); i++)
		json_object_set_new(h, "empty_layer", json_true());
	return config;
}

static int squash(struct build *b, const struct image *img, const struct image *base,
		  struct err *err)
{
	cleanup_build_root struct build_root to = { .view = ZONE_VIEW_INIT };
	cleanup_json json_t *config = NULL, *base_config = NULL;
	cleanup_free char *comment = NULL;
	char upper[1024], id[72];
	int rc;

	if (base && (rc = jparse(base->config_text, strlen(base->config_text), &base_config, err)) < 0)
		return rc;
	if (!(config = squashed_config(img, base_config, err)))
		return err->code;
	if ((rc = build_root_make(&to, err)) < 0)
		return rc;
	if ((rc = merge_layers(b, img, base, build_root_upper(&to, upper), err)) < 0)
		return rc;
	comment = base ? xasprintf("merge %s to %s", img->id, base->id)
		       : xasprintf("create new from %s", img->id);
	if ((rc = image_commit_squashed(config, base, upper, comment, id, err)) == 0)
		str_copy(b->s.image_id, sizeof(b->s.image_id), id);
	return rc;
}

int build_squash(struct build *b, struct err *err)
{
	struct image *img = NULL, *base = NULL;
	int rc = image_get(b->s.image_id, &img, err);

	if (rc == 0 && b->base_id[0])
		rc = image_get(b->base_id, &base, err);
	if (rc == 0)
		rc = squash(b, img, base, err);
	image_unref(img);
	image_unref(base);
	if (rc < 0)
		return err_wrap(err, rc, "error squashing image");
	build_say_aux(b, "moby.image.id");
	return 0;
}
