/* SPDX-License-Identifier: MPL-2.0
 *
 * native_layer.c - see native_layer.h.
 *
 * Design. The top layer holds /native/usr/sbin/{dockerinit,mdata-*} and nothing else; the bottom
 * one holds the mount points, so that neither the runtime nor we ever make a file in a zone's upper
 * directory. Both are read-only lowers of the overlay and shared by all zones.
 *
 * Invariants. <hash> is of dockerinit's bytes and LAYOUT, so a new program gets a new directory and
 * running zones keep theirs. The directory is made under a temporary name and renamed: it is whole
 * or it is not there. Old ones are left alone, since zones that run may have them mounted.
 */
#define LOG_MODULE "native"
#include "native_layer.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fs.h"
#include "log.h"
#include "str.h"

#define LAYOUT	 "2" /* count up when the entries below change */
#define PROG_MAX (16 << 20)

static const char *const clients[] = { "mdata-get", "mdata-put", "mdata-list", "mdata-delete" };

struct entry {
	const char *path;
	char kind; /* d directory, f empty file, l symlink */
	mode_t mode;
	const char *target;
};

static const struct entry base_entries[] = {
	{ "dev", 'd', 0755, NULL },
	{ "dev/pts", 'd', 0755, NULL },
	{ "dev/shm", 'd', 0755, NULL },
	{ "dev/mqueue", 'd', 0755, NULL },
	{ "dev/console", 'f', 0755, NULL },
	{ "proc", 'd', 0755, NULL },
	{ "sys", 'd', 0755, NULL },
	{ "etc", 'd', 0755, NULL },
	{ "etc/hosts", 'f', 0755, NULL },
	{ "etc/hostname", 'f', 0755, NULL },
	{ "etc/resolv.conf", 'f', 0755, NULL },
	{ "etc/mtab", 'l', 0777, "/proc/mounts" },
	{ ".dockerenv", 'f', 0755, NULL },
	{ "var", 'd', 0755, NULL },
	{ "var/log", 'd', 0755, NULL },
	{ "var/log/sdc-dockerinit.log", 'f', 0600, NULL },
	{ "native", 'd', 0755, NULL },
	{ "native/.zonecontrol", 'd', 0755, NULL },
};

static const struct entry native_entries[] = {
	{ "native", 'd', 0755, NULL },
	{ "native/.zonecontrol", 'd', 0755, NULL },
	{ "native/usr", 'd', 0755, NULL },
	{ "native/usr/sbin", 'd', 0755, NULL },
};

static int make_entry(int dir_fd, const struct entry *e, struct err *err)
{
	cleanup_fd int fd = -1;

	switch (e->kind) {
	case 'd':
		if (mkdirat(dir_fd, e->path, e->mode) < 0)
			return err_sys(err, "make %s of the base layer", e->path);
		break;
	case 'l':
		if (symlinkat(e->target, dir_fd, e->path) < 0)
			return err_sys(err, "make %s of the base layer", e->path);
		return 0;
	default:
		fd = openat(dir_fd, e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, e->mode);
		if (fd < 0)
			return err_sys(err, "make %s of the base layer", e->path);
		break;
	}
	/* whatever the umask is */
	if (fchmodat(dir_fd, e->path, e->mode, 0) < 0)
		return err_sys(err, "chmod %s of the base layer", e->path);
	return 0;
}

static int make_entries(const char *dir, const struct entry *v, size_t n, struct err *err)
{
	cleanup_fd int fd = -1;
	size_t i;
	int rc;

	if (mkdir(dir, 0755) < 0 || chmod(dir, 0755) < 0)
		return err_sys(err, "mkdir %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", dir);
	for (i = 0; i < n; i++)
		if ((rc = make_entry(fd, &v[i], err)) < 0)
			return rc;
	return 0;
}

static int write_program(const char *path, const struct buf *prog, struct err *err)
{
	cleanup_fd int fd = -1;
	int rc;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if ((rc = fs_write_all(fd, prog->p, prog->len)) < 0)
		return err_sysnum(err, rc, "write %s", path);
	if (fchmod(fd, 0755) < 0 || fsync(fd) < 0)
		return err_sys(err, "write %s", path);
	return 0;
}

static int populate(const char *tmp, const struct buf *prog, struct err *err)
{
	char dir[1100], init[1200], link_path[1200];
	size_t i;
	int rc;

	if ((rc = str_fmt(dir, sizeof(dir), "%s/base", tmp)) < 0)
		return err_sysnum(err, rc, "path of the base layer");
	if ((rc = make_entries(dir, base_entries, ARRAY_SIZE(base_entries), err)) < 0)
		return rc;
	if ((rc = str_fmt(dir, sizeof(dir), "%s/native", tmp)) < 0)
		return err_sysnum(err, rc, "path of the native layer");
	if ((rc = make_entries(dir, native_entries, ARRAY_SIZE(native_entries), err)) < 0)
		return rc;
	if ((rc = str_fmt(init, sizeof(init), "%s/native/usr/sbin/dockerinit", dir)) < 0)
		return err_sysnum(err, rc, "path of dockerinit");
	if ((rc = write_program(init, prog, err)) < 0)
		return rc;
	for (i = 0; i < ARRAY_SIZE(clients); i++) {
		if ((rc = str_fmt(link_path, sizeof(link_path), "%s/native/usr/sbin/%s", dir,
				  clients[i])) < 0)
			return err_sysnum(err, rc, "path of %s", clients[i]);
		if (link(init, link_path) < 0)
			return err_sys(err, "link %s", link_path);
	}
	/* what an image has below /native stays out of sight */
	if ((rc = str_fmt(init, sizeof(init), "%s/native", dir)) < 0)
		return err_sysnum(err, rc, "path of the native layer");
	if (setxattr(init, "trusted.overlay.opaque", "y", 1, 0) < 0)
		log_warn("native layer is not opaque", "dir=%s error=%s", log_q(init),
			 strerror(errno));
	return 0;
}

static int hash_program(const struct buf *prog, char hex[17], struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int ok;

	ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
	     EVP_DigestUpdate(ctx, LAYOUT, sizeof(LAYOUT)) &&
	     EVP_DigestUpdate(ctx, prog->p, prog->len) && EVP_DigestFinal_ex(ctx, md, &len);
	EVP_MD_CTX_free(ctx);
	if (!ok || len < 8)
		return err_kind(err, ERR_SYSTEM, "hash dockerinit");
	hex_encode(hex, md, 8);
	return 0;
}

int native_layer_init(struct engine *e, struct err *err)
{
	cleanup_buf struct buf prog = BUF_INIT;
	struct err ignored = { 0 };
	char dir[700], final[800], tmp[800], path[600], hex[17];
	int rc;

	if ((rc = str_fmt(path, sizeof(path), "%s/dockerinit", e->bin_dir)) < 0)
		return err_sysnum(err, rc, "path of dockerinit");
	if ((rc = fs_read_file(path, PROG_MAX, &prog, err)) < 0 ||
	    (rc = hash_program(&prog, hex, err)) < 0)
		return rc;
	snprintf(dir, sizeof(dir), "%s/native", e->paths.lib);
	snprintf(final, sizeof(final), "%s/%s", dir, hex);
	snprintf(tmp, sizeof(tmp), "%s/%s.tmp%d", dir, hex, (int)getpid());
	if ((rc = fs_mkdir_p(dir, 0711, err)) < 0)
		return rc;
	if (!fs_exists(final)) {
		if ((rc = fs_remove_tree(AT_FDCWD, tmp, err)) < 0)
			return rc;
		if (mkdir(tmp, 0755) < 0)
			return err_sys(err, "mkdir %s", tmp);
		if ((rc = populate(tmp, &prog, err)) < 0) {
			fs_remove_tree(AT_FDCWD, tmp, &ignored);
			return rc;
		}
		if (rename(tmp, final) < 0 && errno != ENOTEMPTY && errno != EEXIST) {
			rc = err_sys(err, "rename %s", tmp);
			fs_remove_tree(AT_FDCWD, tmp, &ignored);
			return rc;
		}
		fs_remove_tree(AT_FDCWD, tmp, &ignored); /* another engine was first */
		fs_fsync_dir(dir);
	}
	snprintf(e->native_layer, sizeof(e->native_layer), "%s/native", final);
	snprintf(e->base_layer, sizeof(e->base_layer), "%s/base", final);
	return 0;
}
