/* SPDX-License-Identifier: MPL-2.0
 *
 * engine.c - the facts of engine.h: what the host has and what we are.
 *
 * Identities are made at the first start and kept in <lib>, one small file each.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "engine_init.h"
#include "fs.h"
#include "str.h"

static struct engine the_engine;
const struct engine *engine = &the_engine;

struct engine *engine_mutable(void)
{
	return &the_engine;
}

static int load_uuid(const char *name, char out[37], struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	char path[700], id[65];
	int rc;

	if ((rc = str_fmt(path, sizeof(path), "%s/%s", the_engine.paths.lib, name)) < 0)
		return err_sysnum(err, rc, "path of %s", name);
	if (fs_read_file(path, 64, &b, &ignored) == 0 && b.len >= 36 &&
	    strspn(b.p, "0123456789abcdef-") == 36) {
		str_copy(out, 37, b.p);
		return 0;
	}
	id_generate(id);
	id_to_uuid(out, id);
	buf_reset(&b);
	buf_printf(&b, "%s\n", out);
	return fs_write_atomic(path, b.p, b.len, 0644, err);
}

static uint64_t bounding_caps(void)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	const char *p;

	if (fs_read_file("/proc/self/status", 64 * 1024, &b, &ignored) < 0)
		return 0;
	p = strstr(b.p, "\nCapBnd:");
	return p ? strtoull(p + 8, NULL, 16) : 0;
}

int engine_init(struct err *err)
{
	struct engine *e = &the_engine;
	struct sysinfo si;
	ssize_t n;
	char *slash;
	int rc;

	n = readlink("/proc/self/exe", e->bin_dir, sizeof(e->bin_dir) - 1);
	if (n < 0)
		return err_sys(err, "read /proc/self/exe");
	e->bin_dir[n] = '\0';
	slash = strrchr(e->bin_dir, '/');
	if (slash)
		*slash = '\0';
	if ((rc = load_uuid("server_uuid", e->server_uuid, err)) < 0 ||
	    (rc = load_uuid("owner_uuid", e->owner_uuid, err)) < 0)
		return rc;
	str_copy(e->engine_id, sizeof(e->engine_id), e->server_uuid);
	e->ncpu = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (sysinfo(&si) == 0)
		e->mem_total = (int64_t)si.totalram * si.mem_unit;
	e->caps_bounding = bounding_caps();
	e->seccomp_available = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
	e->cgroup_mode = (enum cgroup_mode)cgroup_detect();
	e->swap_limit = e->cgroup_mode == CGROUP_V2
				? fs_exists("/proc/swaps")
				: fs_exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
	return 0;
}
