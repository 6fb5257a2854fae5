/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_conf.c - see zone_conf.h. The file is apiserver's; what is missing is an error, not a guess.
 */
#include "zone_conf.h"

#include <stdlib.h>
#include <string.h>

#include "fs.h"

#define FILE_MAX   (1024 * 1024)
#define VALUES_MAX 4096

static int check(const struct zone_conf *c, const char *path, struct err *err)
{
	size_t i;

	if (strlen(c->id) != 64 || strlen(c->uuid) != 36)
		return err_kind(err, ERR_SYSTEM, "%s: id or uuid is missing", path);
	if (c->runtime[0] != '/' || c->runtime_root[0] != '/' || c->cgroup[0] != '/' ||
	    !c->cgroup[1])
		return err_kind(err, ERR_SYSTEM, "%s: runtime, runtime_root or cgroup is missing",
				path);
	if (c->target[0] != '/' || c->n_lowers == 0 || !c->upper != !c->work)
		return err_kind(err, ERR_SYSTEM, "%s: rootfs is not complete", path);
	for (i = 0; i < c->n_lowers; i++)
		if (c->lowers[i][0] != '/')
			return err_kind(err, ERR_SYSTEM, "%s: a lower path is not absolute", path);
	return 0;
}

int zone_conf_read(struct zone_conf *c, const char *path, struct err *err)
{
	const struct json_val *top, *rootfs, *restart, *shm;
	const struct json *j = &c->j;
	int64_t n;
	int rc;

	memset(c, 0, sizeof(*c));
	if ((rc = fs_read_file(path, FILE_MAX, &c->text, err)) < 0)
		return rc;
	if (json_parse(&c->j, c->text.p, c->text.len, VALUES_MAX) < 0)
		return err_kind(err, ERR_SYSTEM, "%s is not valid JSON", path);
	top = j->v;
	rootfs = json_get(j, top, "rootfs");
	restart = json_get(j, top, "restart");
	c->id = json_str(j, top, "id", "");
	c->uuid = json_str(j, top, "uuid", "");
	c->runtime = json_str(j, top, "runtime", "");
	c->runtime_root = json_str(j, top, "runtime_root", "");
	c->cgroup = json_str(j, top, "cgroup", "");
	c->workdir = json_str(j, top, "workdir", "");
	c->mountpoints = json_get(j, top, "mountpoints");
	c->binds = json_get(j, top, "binds");
	c->tty = json_bool(j, top, "tty", false);
	c->open_stdin = json_bool(j, top, "open_stdin", false);
	c->private_netns = json_bool(j, top, "private_netns", false);
	c->oom_score_adj = json_int(j, top, "oom_score_adj", 0);
	shm = json_get(j, top, "shm");
	n = json_int(j, shm, "pid", 0);
	c->shm_pid = n > 0 && n < INT32_MAX ? (int)n : 0;
	c->shm_at = json_str(j, shm, "at", "");
	c->lowers = json_strv(j, json_get(j, rootfs, "lowers"), &c->n_lowers);
	c->upper = json_str(j, rootfs, "upper", NULL);
	c->work = json_str(j, rootfs, "work", NULL);
	c->target = json_str(j, rootfs, "target", "");
	c->policy = restart_parse(json_str(j, restart, "name", ""));
	n = json_int(j, restart, "max", 0);
	c->max_retries = n > 0 && n < UINT32_MAX ? (uint32_t)n : 0;
	n = json_int(j, top, "restart_count", 0);
	c->restart_count = n > 0 && n < UINT32_MAX ? (uint32_t)n : 0;
	if (!c->lowers)
		return err_sysnum(err, ENOMEM, "read %s", path);
	return check(c, path, err);
}

void zone_conf_fini(struct zone_conf *c)
{
	free(c->lowers);
	json_fini(&c->j);
	buf_fini(&c->text);
	c->lowers = NULL;
}
