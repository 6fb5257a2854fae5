/* SPDX-License-Identifier: MPL-2.0
 *
 * mounts_resolve.c - a container's mount points, from all the places that name one, at create.
 *
 * Design. Docker's order: --volumes-from, then Binds, then Mounts (the two exclude each other on
 * one destination), then the volumes of image and -v /path that nothing has covered. Volumes are
 * made and referenced here; bind sources of -v are made at start, those of --mount must be there.
 *
 * Failure. What was made for this container (references, anonymous volumes) is undone; a named
 * volume that was made stays, as with Docker.
 */
#define LOG_MODULE "mounts"
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "copy_tree.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "mount_parse.h"
#include "oci_spec.h"
#include "root_mkdir.h"
#include "str.h"
#include "volume.h"
#include "zone.h"

static struct ct_mount *find_dest(struct ct_mounts *ms, const char *dest)
{
	size_t i;

	for (i = 0; i < ms->n; i++)
		if (strcmp(ms->v[i].destination, dest) == 0)
			return &ms->v[i];
	return NULL;
}

static int duplicate(const char *dest, struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "Duplicate mount point: %s", dest);
}

static bool tmpfs_has(const struct ct_spec *spec, const char *dest)
{
	return json_object_get(jget_obj(spec->host_config, "Tmpfs"), dest) != NULL;
}

static void set_str(char **dst, const char *s)
{
	free(*dst);
	*dst = xstrdup(s);
}

/* Makes or finds the volume of m, and refers to it for this container. */
static int attach_volume(const struct ct_spec *spec, struct ct_mount *m, const char *driver,
			 const json_t *labels, const json_t *opts, struct err *err)
{
	cleanup_free char *name = NULL;
	cleanup_free char *path = NULL;
	bool created = false;
	int rc;

	m->anonymous = m->anonymous || str_empty(m->name);
	rc = volume_create(m->name, str_empty(driver) ? "local" : driver, labels, opts, &name,
			   &created, err);
	if (rc < 0)
		return rc;
	volume_ref(name, spec->id);
	if ((rc = volume_path(name, &path, err)) < 0) {
		volume_unref(name, spec->id);
		return rc;
	}
	set_str(&m->name, name);
	set_str(&m->source, path);
	set_str(&m->driver, "local");
	return 0;
}

static void copy_mount(struct ct_mounts *to, const struct ct_mount *m, bool rw)
{
	struct ct_mounts one = { (struct ct_mount *)m, 1 }, dup = { 0 };
	struct ct_mount *n;

	ct_mounts_copy(&dup, &one);
	n = ct_mounts_add(to);
	*n = dup.v[0];
	free(dup.v);
	n->rw = rw;
	set_str(&n->mode, "");
	n->no_copy = true;
}

/* "name[:mode]"; from[i] is the container that VolumesFrom[i] names. */
static int volumes_from(struct ct_spec *spec, struct ct_spec *const *from, size_t n_from,
			struct ct_mounts *out, struct err *err)
{
	const json_t *list = jget_arr(spec->host_config, "VolumesFrom");
	const char *text, *mode;
	struct ct_mount *old;
	size_t i, k;
	bool rw;

	for (i = 0; i < n_from; i++) {
		text = json_string_value(json_array_get(list, i));
		mode = text ? strchr(text, ':') : NULL;
		rw = !mode || !mount_mode_has(mode + 1, "ro");
		if (mode && !mount_mode_valid(mode + 1))
			return err_kind(err, ERR_BAD_PARAM, "invalid mode: %s", mode + 1);
		for (k = 0; k < from[i]->mounts.n; k++) {
			const struct ct_mount *m = &from[i]->mounts.v[k];

			if (str_eq(m->type, "tmpfs"))
				continue;
			/* a later container's mount takes the place of an earlier one's */
			old = find_dest(out, m->destination);
			if (old)
				mounts_remove(out, (size_t)(old - out->v));
			copy_mount(out, m, m->rw && rw);
		}
	}
	return 0;
}

/* Puts a parsed mount in, in the place of one that --volumes-from brought. */
static struct ct_mount *place(struct ct_mounts *out, struct ct_mount *m, size_t *inherited)
{
	struct ct_mount *slot;
	size_t i;

	for (i = 0; i < *inherited; i++) {
		if (strcmp(out->v[i].destination, m->destination) != 0)
			continue;
		mounts_remove(out, i);
		(*inherited)--;
		break;
	}
	slot = ct_mounts_add(out);
	*slot = *m;
	memset(m, 0, sizeof(*m));
	return slot;
}

static int binds(struct ct_spec *spec, struct ct_mounts *out, size_t *inherited, struct err *err)
{
	const json_t *list = jget_arr(spec->host_config, "Binds");
	const char *text;
	size_t i;
	int rc;

	for (i = 0; i < json_array_size(list); i++) {
		__attribute__((cleanup(ct_mount_clear))) struct ct_mount m = { 0 };
		struct ct_mount *old, *slot;

		text = json_string_value(json_array_get(list, i));
		if (!text)
			continue;
		if ((rc = mount_parse_bind(text, &m, err)) < 0)
			return rc;
		old = find_dest(out, m.destination);
		if ((old && (size_t)(old - out->v) >= *inherited) || tmpfs_has(spec, m.destination))
			return duplicate(m.destination, err);
		slot = place(out, &m, inherited);
		if (str_eq(slot->type, "volume")) {
			rc = attach_volume(spec, slot,
					   jget_str(spec->host_config, "VolumeDriver", ""), NULL,
					   NULL, err);
			if (rc < 0)
				return rc;
			if (str_empty(slot->mode))
				set_str(&slot->mode, "z");
		}
	}
	return 0;
}

static int mounts_api(struct ct_spec *spec, struct ct_mounts *out, size_t *inherited,
		      struct err *err)
{
	const json_t *list = jget_arr(spec->host_config, "Mounts"), *o, *vo, *dc;
	size_t i;
	int rc;

	for (i = 0; i < json_array_size(list); i++) {
		__attribute__((cleanup(ct_mount_clear))) struct ct_mount m = { 0 };
		struct ct_mount *old, *slot;

		o = json_array_get(list, i);
		if ((rc = mount_parse_api(o, &m, err)) < 0)
			return rc;
		old = find_dest(out, m.destination);
		if ((old && (size_t)(old - out->v) >= *inherited) || tmpfs_has(spec, m.destination))
			return duplicate(m.destination, err);
		slot = place(out, &m, inherited);
		if (!str_eq(slot->type, "volume"))
			continue;
		vo = jget_obj(o, "VolumeOptions");
		dc = jget_obj(vo, "DriverConfig");
		rc = attach_volume(spec, slot, jget_str(dc, "Name", ""), jget_obj(vo, "Labels"),
				   jget_obj(dc, "Options"), err);
		if (rc < 0)
			return rc;
		set_str(&slot->mode, "z");
	}
	return 0;
}

/* Volumes of the image and of -v /path. */
static int image_volumes(struct ct_spec *spec, struct ct_mounts *out, struct err *err)
{
	const json_t *vols = jget_obj(spec->config, "Volumes");
	const char *dest;
	json_t *unused;
	int rc;

	json_object_foreach ((json_t *)vols, dest, unused) {
		/* a path that does not begin with a slash is below / as well */
		cleanup_free char *path = xasprintf("/%s", dest),
				  *clean = mount_clean_path(path);
		struct ct_mount *m;

		if (strcmp(clean, "/") == 0)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid volume specification: '%s': invalid "
					"specification: destination can't be '/'",
					dest);
		if (find_dest(out, clean) || tmpfs_has(spec, clean))
			continue;
		m = ct_mounts_add(out);
		m->type = xstrdup("volume");
		m->destination = xstrdup(clean);
		m->mode = xstrdup("");
		m->propagation = xstrdup("");
		m->rw = true;
		if ((rc = attach_volume(spec, m, jget_str(spec->host_config, "VolumeDriver", ""),
					NULL, NULL, err)) < 0)
			return rc;
	}
	return 0;
}

static bool dir_is_empty(const char *path)
{
	cleanup_dir DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return d != NULL;
}

/* What a layer has at dest. A link on the way counts as a directory: only the mounted root resolves it. */
enum content { CONTENT_NONE, CONTENT_DIR, CONTENT_OTHER };

static enum content layer_content(const char *layer, const char *dest)
{
	cleanup_fd int root = open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *path = xstrdup(dest + 1);
	struct stat st;

	if (root < 0)
		return CONTENT_NONE;
	for (char *p = path;; p++) {
		char saved = *p;

		if (saved != '/' && saved != '\0')
			continue;
		*p = '\0';
		if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return CONTENT_NONE;
		if (S_ISLNK(st.st_mode))
			return CONTENT_DIR;
		if (!S_ISDIR(st.st_mode))
			return CONTENT_OTHER;
		if (saved == '\0')
			return CONTENT_DIR;
		*p = saved;
	}
}

static enum content image_content(const struct image *img, const char *dest)
{
	enum content found = CONTENT_NONE, c;

	for (size_t i = 0; img && img->layer_dirs && img->layer_dirs[i] && found != CONTENT_DIR; i++)
		if ((c = layer_content(img->layer_dirs[i], dest)) != CONTENT_NONE)
			found = c;
	return found;
}

/* A volume that is a mount of its own in each zone has nothing to copy to. */
static bool has_own_fs(const struct ct_mount *m)
{
	struct volume_fs fs = { 0 };

	if (!volume_fs(m->name, &fs))
		return false;
	volume_fs_fini(&fs);
	return true;
}

static bool wants_copy(const struct image *img, const struct ct_mount *m)
{
	return str_eq(m->type, "volume") && !m->no_copy &&
	       image_content(img, m->destination) != CONTENT_NONE &&
	       (!str_empty(m->subpath) || dir_is_empty(m->source)) && !has_own_fs(m);
}

/* So that a copy that failed half-way is tried again, not taken for the volume's content. */
static void empty_dir(int dir_fd)
{
	struct err ignored = { 0 };
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)fs_remove_tree(dir_fd, e->d_name, &ignored);
}

/* Into the volume, or into what a subpath names of it; there it must be, and empty. */
static int copy_into(int src, int volume_fd, const char *subpath, struct err *err)
{
	cleanup_fd int dst = fs_open_beneath(volume_fd, str_empty(subpath) ? "." : subpath,
					     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dst);
	if (dst < 0 || !dir_is_empty(path)) /* the start tells of a subpath that is none */
		return 0;
	if ((rc = copy_tree(src, dst, err)) < 0)
		empty_dir(dst);
	return rc;
}

static int copy_up(int root_fd, const struct ct_spec *spec, const struct ct_mount *m,
		   struct err *err)
{
	cleanup_fd int src = fs_open_in_root(root_fd, m->destination,
					     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0),
		       dst = -1;
	cleanup_free char *path = NULL;
	int rc;

	if (src == -ENOTDIR)
		return err_kind(err, ERR_SYSTEM,
				"cannot mount volume over existing file, file exists %s",
				m->destination);
	if (src < 0)
		return 0;
	if ((rc = volume_mount(m->name, spec->id, &path, err)) < 0)
		return rc;
	dst = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* two containers may be created with one new volume at the same time */
	if (dst < 0 || flock(dst, LOCK_EX) < 0)
		rc = err_sys(err, "open volume %s", m->name);
	else
		rc = copy_into(src, dst, m->subpath, err);
	volume_unmount(m->name, spec->id);
	return rc;
}

/* The directory that the process starts in is made now, so that cp and diff know it. */
static int make_workdir(int root_fd, const char *dir, struct err *err)
{
	const struct dir_owner root = { 0 };
	bool existed;
	int rc = root_mkdir(root_fd, dir, &root, &existed, err);

	return rc == -ENOTDIR ? err_kind(err, ERR_SYSTEM, "Cannot mkdir: %s is not a directory", dir) : rc;
}

/* What creating puts into the file systems: the image's content into volumes that are empty, and the working
 * directory. The root is mounted only where there is something to do. */
static int fill(struct ct_spec *spec, const struct image *img, const struct ct_mounts *out, struct err *err)
{
	const char *dir = jget_str(spec->config, "WorkingDir", "");
	bool wants_dir = dir[0] == '/' && dir[1] && image_content(img, dir) != CONTENT_DIR, open = false;
	struct zone_rootfs z = { .root_fd = -1, .ctl_fd = -1 };
	const struct oci_env env = { .image = img };
	struct ct_spec bare = *spec;
	int rc = 0;

	memset(&bare.mounts, 0, sizeof(bare.mounts));
	for (size_t i = 0; i <= out->n && rc == 0; i++) {
		bool copies = i < out->n;

		if (copies ? !wants_copy(img, &out->v[i]) : !wants_dir)
			continue;
		if (!open) {
			/* the helper mounts what zone.json says */
			if ((rc = oci_write(&bare, &env, err)) < 0 ||
			    (rc = zone_rootfs_open(spec->uuid, &z, err)) < 0)
				return rc;
			open = true;
		}
		rc = copies ? copy_up(z.root_fd, spec, &out->v[i], err) : make_workdir(z.root_fd, dir, err);
	}
	if (open)
		zone_rootfs_close(&z);
	return rc;
}

static void undo(const struct ct_spec *spec, const struct ct_mounts *out, size_t inherited)
{
	struct err ignored = { 0 };
	size_t i;

	for (i = inherited; i < out->n; i++) {
		if (!str_eq(out->v[i].type, "volume") || str_empty(out->v[i].name))
			continue;
		volume_unref(out->v[i].name, spec->id);
		if (out->v[i].anonymous)
			(void)volume_remove(out->v[i].name, false, &ignored);
	}
}

int mounts_resolve(struct ct_spec *spec, const struct image *img, struct ct_spec *const *from,
		   size_t n_from, bool ro_non_recursive, struct err *err)
{
	struct ct_mounts out = { 0 };
	size_t inherited, i;
	int rc;

	rc = volumes_from(spec, from, n_from, &out, err);
	inherited = out.n;
	if (rc == 0)
		rc = binds(spec, &out, &inherited, err);
	if (rc == 0)
		rc = mounts_api(spec, &out, &inherited, err);
	if (rc == 0)
		rc = image_volumes(spec, &out, err);
	if (rc == 0)
		rc = fill(spec, img, &out, err);
	if (rc < 0) {
		undo(spec, &out, inherited);
		ct_mounts_fini(&out);
		return rc;
	}
	for (i = inherited; i < out.n; i++)
		if (ro_non_recursive && str_eq(out.v[i].type, "bind") && !out.v[i].rw)
			out.v[i].ro_non_recursive = true;
	/* until here the containers that they come from held them */
	for (i = 0; i < inherited; i++)
		if (!str_empty(out.v[i].name))
			volume_ref(out.v[i].name, spec->id);
	ct_mounts_fini(&spec->mounts);
	spec->mounts = out;
	return 0;
}

/* ---- at a start ------------------------------------------------------------------------------ */

/* What runc lets through below /proc: files that lxcfs makes. */
static bool may_cover(const char *dest)
{
	static const char *const files[] = { "cpuinfo", "diskstats", "meminfo",	 "stat",
					     "swaps",	"uptime",    "loadavg",	 "slabinfo",
					     "net/dev", "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (str_eq(dest + strlen("/proc/"), files[i]))
			return true;
	return false;
}

static bool is_procfs(const char *path)
{
	struct statfs st;

	return !str_empty(path) && statfs(path, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

static int check_proc(const char *source, const char *dest, struct err *err)
{
	bool whole = str_eq(dest, "/proc");

	if ((!whole && !str_starts(dest, "/proc/")) || (whole ? is_procfs(source) : may_cover(dest)))
		return 0;
	return err_kind(err, ERR_SYSTEM,
			"failed to create task for container: failed to create shim task: OCI runtime create failed: runc "
			"create failed: unable to start container process: error during container init: error mounting "
			"\"%s\" to rootfs at \"%s\": \"%s\" cannot be mounted because it is %s",
			str_empty(source) ? "tmpfs" : source, dest, dest,
			whole ? "not of type proc" : "inside /proc");
}

int mounts_check_start(const struct ct_spec *spec, struct err *err)
{
	const char *dest;
	json_t *unused;
	int rc = 0;

	for (size_t i = 0; i < spec->mounts.n && rc == 0; i++)
		rc = check_proc(spec->mounts.v[i].source, spec->mounts.v[i].destination, err);
	json_object_foreach (jget_obj(spec->host_config, "Tmpfs"), dest, unused) {
		cleanup_free char *clean = mount_clean_path(dest);

		rc = rc ? rc : check_proc("", clean, err);
	}
	return rc;
}
