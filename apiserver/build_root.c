/* SPDX-License-Identifier: MPL-2.0
 *
 * build_root.c - see build_root.h.
 *
 * Design: it is made like a zone that never runs, below the same folder, and mounted by the same
 * helper (zoneadmd --rootfs) in a mount namespace of its own. The topmost lower is an empty folder:
 * an image without layers has one, too, and nothing of a zone's is seen in here.
 *
 * Failure: a folder below <zones> that no record names is swept up at the next start; the helper
 * ends with us.
 */
#include "apiserver/build_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/container.h"
#include "apiserver/engine.h"
#include "cleanup.h"
#include "fs.h"
#include "jw.h"
#include "str.h"

static int make_dirs(const struct build_root *r, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {
		{ "", 0700 },	  { "config", 0700 }, { "root", 0755 },
		{ "diff", 0755 }, { "work", 0700 },   { "empty", 0755 },
	};
	char path[1024];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(paths_zone(&engine->paths, r->uuid, dirs[i].name, path), dirs[i].mode) <
		    0)
			return err_sys(err, "mkdir %s", path);
	return 0;
}

static int write_zone_json(const struct build_root *r, const struct image *img, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	size_t n = img ? strv_len(img->layer_dirs) : 0;
	char path[1024];

	jw_obj(&w, NULL);
	jw_str(&w, "id", r->id);
	jw_str(&w, "uuid", r->uuid);
	jw_str(&w, "name", "build");
	/* nothing is run in here; these must be there */
	jw_str(&w, "runtime", "/nonexistent");
	jw_str(&w, "runtime_root", "/nonexistent");
	jw_str(&w, "cgroup", "/nonexistent");
	jw_obj(&w, "rootfs");
	jw_arr(&w, "lowers");
	jw_str(&w, NULL, paths_zone(&engine->paths, r->uuid, "empty", path));
	while (n > 0)
		jw_str(&w, NULL, img->layer_dirs[--n]);
	jw_end(&w);
	jw_str(&w, "upper", paths_zone(&engine->paths, r->uuid, "diff", path));
	jw_str(&w, "work", paths_zone(&engine->paths, r->uuid, "work", path));
	jw_str(&w, "target", paths_zone(&engine->paths, r->uuid, "root", path));
	jw_end(&w);
	jw_end(&w);
	return fs_write_replace(paths_zone(&engine->paths, r->uuid, "config/zone.json", path), b.p,
				b.len, 0600, err);
}

int build_root_make(struct build_root *r, struct err *err)
{
	int rc;

	*r = (struct build_root){ .view = ZONE_VIEW_INIT };
	id_generate(r->id);
	id_to_uuid(r->uuid, r->id);
	if ((rc = make_dirs(r, err)) < 0)
		build_root_close(r);
	return rc;
}

int build_root_mount(struct build_root *r, const struct image *img, struct err *err)
{
	struct ct_spec spec = { .st.started_once = true };
	int rc;

	str_copy(spec.id, sizeof(spec.id), r->id);
	str_copy(spec.uuid, sizeof(spec.uuid), r->uuid);
	if ((rc = write_zone_json(r, img, err)) < 0 || (rc = zone_view_open(&spec, &r->view, err)) < 0)
		build_root_close(r);
	return rc;
}

int build_root_open(struct build_root *r, const struct image *img, struct err *err)
{
	int rc = build_root_make(r, err);

	return rc < 0 ? rc : build_root_mount(r, img, err);
}

char *build_root_upper(const struct build_root *r, char out[1024])
{
	return paths_zone(&engine->paths, r->uuid, "diff", out);
}

void build_root_unmount(struct build_root *r)
{
	zone_view_close(&r->view);
}

void build_root_close(struct build_root *r)
{
	cleanup_fd int fd = -1;
	struct err ignored = { 0 };

	if (!r->uuid[0])
		return;
	zone_view_close(&r->view);
	fd = open(engine->paths.zones, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fs_remove_tree(fd, r->uuid, &ignored);
	r->uuid[0] = '\0';
}
