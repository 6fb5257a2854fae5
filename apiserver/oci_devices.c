/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_devices.c - device nodes of a zone and who may use them: --device, --device-cgroup-rule,
 * --privileged. The runtime makes null, zero, full, random, urandom, tty, ptmx and console itself.
 */
#define LOG_MODULE "oci"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "jget.h"
#include "oci_priv.h"
#include "str.h"

#define MAX_DEPTH   8
#define MAX_DEVICES 4096

struct walk {
	struct jw *w;
	const char *perms; /* writes rules when set, else nodes */
	bool whole_dev;	   /* --privileged: /dev without what the zone has of its own */
	unsigned n;
};

int oci_block_number(const char *path, unsigned *maj, unsigned *min)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	*maj = major(st.st_rdev);
	*min = minor(st.st_rdev);
	return 0;
}

static void write_rule(struct jw *w, bool allow, const char *type, int64_t maj, int64_t min,
		       const char *access)
{
	jw_obj(w, NULL);
	jw_bool(w, "allow", allow);
	if (type)
		jw_str(w, "type", type);
	if (maj >= 0)
		jw_int(w, "major", maj);
	if (min >= 0)
		jw_int(w, "minor", min);
	jw_str(w, "access", access);
	jw_end(w);
}

static void write_node(struct walk *wk, const char *ct_path, const struct stat *st)
{
	const char *type = S_ISBLK(st->st_mode) ? "b" : "c";

	wk->n++;
	if (wk->perms) {
		write_rule(wk->w, true, type, major(st->st_rdev), minor(st->st_rdev), wk->perms);
		return;
	}
	jw_obj(wk->w, NULL);
	jw_str(wk->w, "type", type);
	jw_str(wk->w, "path", ct_path);
	jw_int(wk->w, "major", major(st->st_rdev));
	jw_int(wk->w, "minor", minor(st->st_rdev));
	jw_int(wk->w, "fileMode", st->st_mode & 07777);
	jw_int(wk->w, "uid", st->st_uid);
	jw_int(wk->w, "gid", st->st_gid);
	jw_end(wk->w);
}

static bool is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* What every zone has of its own, or what is no device of the machine's. */
static bool is_own(const char *name)
{
	static const char *const own[] = { "pts",	  "shm",   "fd",      "mqueue",	 ".lxc",
					   ".lxd-mounts", ".udev", "console", "ptmx",	 "null",
					   "zero",	  "full",  "random",  "urandom", "tty" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(name, own[i]) == 0)
			return true;
	return false;
}

static void walk_dir(struct walk *wk, const char *host_dir, const char *ct_dir, int depth)
{
	cleanup_dir DIR *d = opendir(host_dir);
	char host[1024], ct[1024];
	struct dirent *e;
	struct stat st;

	if (!d || depth > MAX_DEPTH)
		return;
	while ((e = readdir(d)) && wk->n < MAX_DEVICES) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (wk->whole_dev && depth == 0 && is_own(e->d_name))
			continue;
		if (str_fmt(host, sizeof(host), "%s/%s", host_dir, e->d_name) < 0 ||
		    str_fmt(ct, sizeof(ct), "%s/%s", ct_dir, e->d_name) < 0)
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			walk_dir(wk, host, ct, depth + 1);
		else if (is_device(&st))
			write_node(wk, ct, &st);
	}
}

/* One of HostConfig.Devices: a node, or a folder with all nodes in it. */
static int one_device(const json_t *dev, struct walk *wk, struct err *err)
{
	const char *host = jget_str(dev, "PathOnHost", "");
	const char *ct = jget_str(dev, "PathInContainer", "");
	struct stat st;

	if (str_empty(ct))
		ct = host;
	if (stat(host, &st) < 0)
		return err_kind(
			err, ERR_SYSTEM,
			"error gathering device information while adding custom device \"%s\": %s",
			host, errno == ENOENT ? "no such file or directory" : strerror(errno));
	if (is_device(&st)) {
		write_node(wk, ct, &st);
		return 0;
	}
	if (S_ISDIR(st.st_mode)) {
		unsigned before = wk->n;

		walk_dir(wk, host, ct, 0);
		if (wk->n > before)
			return 0;
	}
	return err_kind(err, ERR_SYSTEM,
			"error gathering device information while adding custom device \"%s\": not "
			"a device node",
			host);
}

static const char *dev_perms(const json_t *dev)
{
	const char *p = jget_str(dev, "CgroupPermissions", "");

	return str_empty(p) ? "rwm" : p;
}

static int user_devices(const struct oci_ctx *o, struct jw *w, bool rules, struct err *err)
{
	const json_t *list = jget_arr(o->hc, "Devices"), *dev;
	struct walk wk = { .w = w };
	size_t i;
	int rc;

	for (i = 0; i < json_array_size(list); i++) {
		dev = json_array_get(list, i);
		wk.perms = rules ? dev_perms(dev) : NULL;
		if ((rc = one_device(dev, &wk, err)) < 0)
			return rc;
	}
	return 0;
}

static int check_requests(const struct oci_ctx *o, struct err *err)
{
	const json_t *req = json_array_get(jget_arr(o->hc, "DeviceRequests"), 0);
	cleanup_free char *caps = NULL;

	if (!req)
		return 0;
	caps = json_dumps(json_object_get(req, "Capabilities"), JSON_COMPACT | JSON_ENCODE_ANY);
	return err_kind(err, ERR_SYSTEM,
			"could not select device driver \"%s\" with capabilities: %s",
			jget_str(req, "Driver", ""), caps ? caps : "[]");
}

int oci_devices(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	struct walk wk = { .w = w, .whole_dev = true };
	int rc = 0;

	if ((rc = check_requests(o, err)) < 0)
		return rc;
	jw_arr(w, "devices");
	if (o->privileged)
		walk_dir(&wk, "/dev", "/dev", 0);
	else if ((rc = user_devices(o, w, false, err)) < 0)
		return rc;
	jw_end(w);
	return 0;
}

/* "c 13:* rwm" */
static int cgroup_rule(const char *text, struct jw *w, struct err *err)
{
	char type[2] = { text[0], '\0' }, maj[12] = "", min[12] = "", access[4] = "";
	int64_t major_nr = -1, minor_nr = -1;
	int end = 0;

	if (sscanf(text + (text[0] != '\0'), " %11[0-9*]:%11[0-9*] %3[rwm]%n", maj, min, access,
		   &end) != 3 ||
	    text[1] != ' ' || text[1 + end] != '\0' || !strchr("acb", type[0]) ||
	    (strcmp(maj, "*") != 0 && parse_i64(maj, 0, UINT32_MAX, &major_nr) < 0) ||
	    (strcmp(min, "*") != 0 && parse_i64(min, 0, UINT32_MAX, &minor_nr) < 0))
		return err_kind(err, ERR_BAD_PARAM, "invalid device cgroup rule format: '%s'",
				text);
	write_rule(w, true, type, major_nr, minor_nr, access);
	return 0;
}

int oci_device_rules(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	static const int allowed[][2] = {
		{ 1, 5 }, { 1, 3 }, { 1, 9 }, { 1, 8 }, { 5, 0 }, { 5, 1 }
	};
	const json_t *rules = jget_arr(o->hc, "DeviceCgroupRules");
	const char *text;
	size_t i;
	int rc;

	jw_arr(w, "devices");
	if (o->privileged) {
		write_rule(w, true, "a", -1, -1, "rwm");
		jw_end(w);
		return 0;
	}
	write_rule(w, false, NULL, -1, -1, "rwm");
	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		write_rule(w, true, "c", allowed[i][0], allowed[i][1], "rwm");
	write_rule(w, false, "c", 10, 229, "rwm");
	if ((rc = user_devices(o, w, true, err)) < 0)
		return rc;
	for (i = 0; i < json_array_size(rules); i++) {
		text = json_string_value(json_array_get(rules, i));
		if (text && (rc = cgroup_rule(text, w, err)) < 0)
			return rc;
	}
	jw_end(w);
	return 0;
}
