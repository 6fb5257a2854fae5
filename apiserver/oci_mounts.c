/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_mounts.c - "mounts" of config.json: Docker's default file systems, the zone's own files, the
 * metadata socket, and what the user mounts, shallow destinations before deep ones.
 *
 * A user's mount takes the place of a default one with the same destination; one over /dev takes
 * the place of all below it.
 */
#define LOG_MODULE "oci"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "mountinfo.h"
#include "oci_priv.h"
#include "str.h"
#include "tmpfs_opts.h"
#include "volume.h"

/* crun drops the flags of what it binds unless they are named */
#define SHM_BIND "rbind,rprivate,nosuid,nodev,noexec"

struct user_mount {
	const char *dest;
	const char *source; /* host path, owned below */
	char *owned_source;
	const struct ct_mount *m; /* NULL: HostConfig.Tmpfs */
	const char *tmpfs_opts;	  /* of a tmpfs */
	bool is_tmpfs;
};

struct user_mounts {
	struct user_mount *v;
	size_t n;
};

static void user_mounts_fini(struct user_mounts *u)
{
	size_t i;

	for (i = 0; i < u->n; i++)
		free(u->v[i].owned_source);
	free(u->v);
}

static struct user_mount *user_mounts_add(struct user_mounts *u, const char *dest)
{
	u->v = xrealloc(u->v, (u->n + 1) * sizeof(*u->v));
	memset(&u->v[u->n], 0, sizeof(*u->v));
	u->v[u->n].dest = dest;
	return &u->v[u->n++];
}

static size_t depth_of(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/' && path[1] && path[1] != '/';
	return n;
}

static int by_depth(const void *a, const void *b)
{
	const struct user_mount *x = a, *y = b;
	size_t dx = depth_of(x->dest), dy = depth_of(y->dest);

	if (dx != dy)
		return dx < dy ? -1 : 1;
	return strcmp(x->dest, y->dest);
}

static bool has_dest(const struct user_mounts *u, const char *dest)
{
	size_t i;

	for (i = 0; i < u->n; i++)
		if (strcmp(u->v[i].dest, dest) == 0)
			return true;
	return false;
}

/* The path that a volume's subpath names, resolved beneath the volume: a link in it cannot lead
 * out. */
static int subpath_source(const struct ct_mount *m, char **out, struct err *err)
{
	cleanup_fd int dir = open(m->source, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	char link[64], path[1024];
	ssize_t n;

	if (dir < 0)
		return err_sys(err, "open volume %s", m->name ? m->name : m->source);
	fd = fs_open_beneath(dir, m->subpath, O_PATH | O_CLOEXEC, 0);
	if (fd == -EXDEV)
		return err_kind(err, ERR_BAD_PARAM,
				"path concatenation escapes the base directory, base: %s, subpath: %s", m->source,
				m->subpath);
	if (fd < 0)
		return err_kind(err, ERR_BAD_PARAM, "cannot access path %s/%s: lstat %s/%s: %s",
				m->source, m->subpath, m->source, m->subpath,
				fd == -ENOENT ? "no such file or directory" : strerror(-fd));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return err_sys(err, "readlink %s", link);
	path[n] = '\0';
	*out = xstrdup(path);
	return 0;
}

static int collect(const struct oci_ctx *o, struct user_mounts *u, struct err *err)
{
	const json_t *tmpfs = jget_obj(o->hc, "Tmpfs");
	struct user_mount *um;
	const char *dest;
	json_t *opts;
	size_t i;
	int rc;

	for (i = 0; i < o->spec->mounts.n; i++) {
		const struct ct_mount *m = &o->spec->mounts.v[i];

		um = user_mounts_add(u, m->destination);
		um->m = m;
		um->source = m->source;
		um->is_tmpfs = str_eq(m->type, "tmpfs");
		um->tmpfs_opts = m->tmpfs_opts;
		if (!str_empty(m->subpath)) {
			if ((rc = subpath_source(m, &um->owned_source, err)) < 0)
				return rc;
			um->source = um->owned_source;
		}
	}
	json_object_foreach ((json_t *)tmpfs, dest, opts) {
		if (has_dest(u, dest))
			continue;
		um = user_mounts_add(u, dest);
		um->is_tmpfs = true;
		um->tmpfs_opts = json_string_value(opts);
	}
	if (u->n)
		qsort(u->v, u->n, sizeof(*u->v), by_depth);
	return 0;
}

static void put(struct jw *w, const char *dest, const char *type, const char *source,
		const char *opts)
{
	cleanup_strv char **v = strv_split(opts, ',');
	size_t i;

	jw_obj(w, NULL);
	jw_str(w, "destination", dest);
	jw_str(w, "type", type);
	jw_str(w, "source", source);
	jw_arr(w, "options");
	for (i = 0; v && v[i]; i++)
		jw_str(w, NULL, v[i]);
	jw_end(w);
	jw_end(w);
}

static bool replaced(const struct user_mounts *u, const char *dest)
{
	return has_dest(u, dest) || (str_starts(dest, "/dev/") && has_dest(u, "/dev"));
}

static int64_t shm_size(const struct oci_ctx *o)
{
	int64_t size = jget_int(o->hc, "ShmSize", 0);

	if (size <= 0 && parse_size(oci_conf("default-shm-size", "64M"), 1024, &size) < 0)
		size = 64 << 20;
	return size;
}

static void shm(const struct oci_ctx *o, const struct user_mounts *u, struct jw *w)
{
	char path[1024], opts[96];

	if (str_eq(jget_str(o->hc, "IpcMode", ""), "none") || replaced(u, "/dev/shm"))
		return;
	if (o->host_ipc) {
		put(w, "/dev/shm", "bind", "/dev/shm", SHM_BIND);
	} else if (o->env->ipc_pid > 0) {
		/* zoneadmd mounts the other zone's there */
		put(w, "/dev/shm", "bind", paths_zone(&engine->paths, o->spec->uuid, "shm", path),
		    SHM_BIND);
	} else {
		snprintf(opts, sizeof(opts), "nosuid,noexec,nodev,mode=1777,size=%lld",
			 (long long)shm_size(o));
		put(w, "/dev/shm", "tmpfs", "shm", opts);
	}
}

static void defaults(const struct oci_ctx *o, const struct user_mounts *u, struct jw *w)
{
	bool sys_rw = o->privileged && !o->readonly_root;

	if (!replaced(u, "/proc"))
		put(w, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	if (!replaced(u, "/dev"))
		put(w, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
	if (!replaced(u, "/dev/pts"))
		put(w, "/dev/pts", "devpts", "devpts",
		    "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
	if (!replaced(u, "/sys"))
		put(w, "/sys", "sysfs", "sysfs",
		    sys_rw ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro");
	if (!replaced(u, "/sys/fs/cgroup") && !has_dest(u, "/sys"))
		put(w, "/sys/fs/cgroup", "cgroup", "cgroup",
		    sys_rw ? "rw,nosuid,noexec,nodev" : "ro,nosuid,noexec,nodev");
	if (!replaced(u, "/dev/mqueue")) {
		if (o->host_ipc && fs_exists("/dev/mqueue"))
			put(w, "/dev/mqueue", "bind", "/dev/mqueue", "rbind,rprivate");
		else
			put(w, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	}
	shm(o, u, w);
}

/* hosts, hostname, resolv.conf: the zone's, or those of the zone whose network it shares. */
static void network_files(const struct oci_ctx *o, const struct user_mounts *u, struct jw *w)
{
	static const char *const files[][2] = {
		{ "/etc/resolv.conf", "config/resolv.conf" },
		{ "/etc/hostname", "config/hostname" },
		{ "/etc/hosts", "config/hosts" },
	};
	const char *uuid = o->net_uuid[0] ? o->net_uuid : o->spec->uuid;
	char path[1024];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		if (has_dest(u, files[i][0]))
			continue;
		put(w, files[i][0], "bind", paths_zone(&engine->paths, uuid, files[i][1], path),
		    o->readonly_root ? "rbind,rprivate,ro" : "rbind,rprivate");
	}
}

static void own_files(const struct oci_ctx *o, struct jw *w)
{
	char path[1024];

	put(w, "/native/.zonecontrol", "bind",
	    paths_zone_run(&engine->paths, o->spec->uuid, "zonecontrol", path),
	    "bind,rprivate,ro,nosuid,nodev,noexec");
	put(w, "/var/log/sdc-dockerinit.log", "bind",
	    paths_zone(&engine->paths, o->spec->uuid, "logs/sdc-dockerinit.log", path),
	    "bind,rprivate,nosuid,nodev,noexec");
	if (o->init_path)
		put(w, ZONE_INIT_PATH, "bind", o->init_path, "bind,rprivate,ro");
}

static int put_tmpfs(const struct user_mount *um, struct jw *w, struct err *err)
{
	cleanup_strv char **v = NULL;
	size_t i;
	int rc;

	if ((rc = tmpfs_opts_merge(um->tmpfs_opts, &v, err)) < 0)
		return rc;
	jw_obj(w, NULL);
	jw_str(w, "destination", um->dest);
	jw_str(w, "type", "tmpfs");
	jw_str(w, "source", "tmpfs");
	jw_arr(w, "options");
	for (i = 0; v && v[i]; i++)
		jw_str(w, NULL, v[i]);
	if (um->m && !um->m->rw && !strv_has(v, "ro"))
		jw_str(w, NULL, "ro");
	jw_end(w);
	jw_end(w);
	return 0;
}

static bool is_propagating(const char *prop)
{
	return str_eq(prop, "shared") || str_eq(prop, "rshared");
}

static bool is_slave(const char *prop)
{
	return str_eq(prop, "slave") || str_eq(prop, "rslave");
}

static int check_propagation(const struct ct_mount *m, struct err *err)
{
	cleanup_free char *at = NULL;
	bool shared, slave;
	int rc;

	if (!is_propagating(m->propagation) && !is_slave(m->propagation))
		return 0;
	if ((rc = mount_propagation(m->source, &at, &shared, &slave, err)) < 0)
		return rc;
	if (is_propagating(m->propagation) && !shared)
		return err_kind(err, ERR_SYSTEM,
				"path %s is mounted on %s but it is not a shared mount", m->source,
				at);
	if (is_slave(m->propagation) && !shared && !slave)
		return err_kind(err, ERR_SYSTEM,
				"path %s is mounted on %s but it is not a shared or slave mount",
				m->source, at);
	return 0;
}

/* A volume with a file system of its own (tmpfs, nfs ...) is mounted here, inside the zone. */
static bool put_volume_fs(const struct user_mount *um, struct jw *w)
{
	struct volume_fs fs;

	if (!str_eq(um->m->type, "volume") || str_empty(um->m->name) || !str_empty(um->m->subpath) ||
	    !volume_fs(um->m->name, &fs))
		return false;
	jw_obj(w, NULL);
	jw_str(w, "destination", um->dest);
	jw_str(w, "type", fs.type);
	jw_str(w, "source", fs.source);
	jw_arr(w, "options");
	for (char **o = fs.options; o && *o; o++)
		jw_str(w, NULL, *o);
	if (!um->m->rw)
		jw_str(w, NULL, "ro");
	jw_str(w, NULL, "rprivate");
	jw_end(w);
	jw_end(w);
	volume_fs_fini(&fs);
	return true;
}

/* Read-only with what is mounted below. A file has nothing below it, and crun wants a directory for
 * rro (1.8 opens the target with O_DIRECTORY). */
static const char *read_only(const struct ct_mount *m, const char *source)
{
	struct stat st;

	if (m->ro_non_recursive || m->bind_non_recursive)
		return "ro";
	return stat(source, &st) == 0 && !S_ISDIR(st.st_mode) ? "ro" : "rro";
}

/* Whether a mount needs the detour of zone.json's "binds"; at: the place. */
static bool is_flat(const struct ct_spec *spec, const struct ct_mount *m, char at[1024])
{
	char name[48];
	struct stat st;

	if (!m->bind_non_recursive || stat(m->source, &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	snprintf(name, sizeof(name), "config/bind%zu", (size_t)(m - spec->mounts.v));
	paths_zone(&engine->paths, spec->uuid, name, at);
	return true;
}

void oci_flat_binds(const struct oci_ctx *o, struct jw *w)
{
	char at[1024];

	jw_arr(w, "binds");
	for (size_t i = 0; i < o->spec->mounts.n; i++) {
		if (!is_flat(o->spec, &o->spec->mounts.v[i], at))
			continue;
		jw_obj(w, NULL);
		jw_str(w, "source", o->spec->mounts.v[i].source);
		jw_str(w, "at", at);
		jw_end(w);
	}
	jw_end(w);
}

static int put_bind(const struct oci_ctx *o, const struct user_mount *um, struct jw *w, struct err *err)
{
	const struct ct_mount *m = um->m;
	char at[1024];
	int rc;

	if (put_volume_fs(um, w))
		return 0;
	if (str_eq(m->type, "bind") && !fs_exists(um->source)) {
		if (m->from_mounts && !m->create_mountpoint)
			return err_kind(err, ERR_BAD_PARAM,
					"invalid mount config for type \"bind\": bind source path "
					"does not exist: %s",
					um->source);
		if ((rc = fs_mkdir_p(um->source, 0755, err)) < 0)
			return err_wrap(err, rc, "error while creating mount source path '%s'",
					um->source);
	}
	if ((rc = check_propagation(m, err)) < 0)
		return rc;
	jw_obj(w, NULL);
	jw_str(w, "destination", um->dest);
	jw_str(w, "type", "bind");
	jw_str(w, "source", is_flat(o->spec, m, at) ? at : um->source);
	jw_arr(w, "options");
	jw_str(w, NULL, m->bind_non_recursive ? "bind" : "rbind");
	if (!m->rw)
		jw_str(w, NULL, read_only(m, um->source));
	jw_str(w, NULL, str_empty(m->propagation) ? "rprivate" : m->propagation);
	jw_end(w);
	jw_end(w);
	return 0;
}

const char *oci_root_propagation(const struct oci_ctx *o)
{
	const char *prop = NULL;
	size_t i;

	for (i = 0; i < o->spec->mounts.n; i++) {
		if (is_propagating(o->spec->mounts.v[i].propagation))
			return "shared";
		if (is_slave(o->spec->mounts.v[i].propagation))
			prop = "slave";
	}
	return prop;
}

int oci_mounts(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	__attribute__((cleanup(user_mounts_fini))) struct user_mounts u = { 0 };
	size_t i;
	int rc;

	if ((rc = collect(o, &u, err)) < 0)
		return rc;
	jw_arr(w, "mounts");
	defaults(o, &u, w);
	for (i = 0; i < u.n; i++) {
		rc = u.v[i].is_tmpfs ? put_tmpfs(&u.v[i], w, err) : put_bind(o, &u.v[i], w, err);
		if (rc < 0)
			return rc;
	}
	network_files(o, &u, w);
	own_files(o, w);
	jw_end(w);
	return 0;
}

static bool is_beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

static bool is_folder(const struct user_mount *um)
{
	struct stat st;

	return um->is_tmpfs || stat(um->source, &st) < 0 || S_ISDIR(st.st_mode);
}

int oci_mountpoints(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	static const char *const own[] = { "/proc", "/dev", "/sys" };
	__attribute__((cleanup(user_mounts_fini))) struct user_mounts u = { 0 };
	int rc;

	if ((rc = collect(o, &u, err)) < 0)
		return rc;
	jw_arr(w, "mountpoints");
	for (size_t i = 0; i < u.n; i++) {
		bool covered = false;

		for (size_t k = 0; k < ARRAY_SIZE(own); k++)
			covered |= is_beneath(u.v[i].dest, own[k]);
		for (size_t k = 0; k < i; k++)
			covered |= is_beneath(u.v[i].dest, u.v[k].dest);
		if (!covered && is_folder(&u.v[i]))
			jw_str(w, NULL, u.v[i].dest);
	}
	jw_end(w);
	return 0;
}
