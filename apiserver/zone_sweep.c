/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_sweep.c - cleaning up behind a zoneadmd that was killed.
 *
 * Design: a process belongs to a zone if it is in the zone's cgroup, whatever its pid or start
 * time; the cgroup's name is in state.json and carries the zone's id. The same path is looked for
 * beneath every directory that may be a hierarchy's root, so v1, hybrid and v2 are one case.
 *
 * Invariants: a cgroup whose path does not hold 32 digits of the zone's id is left alone.
 */
#define LOG_MODULE "sweep"
#include "apiserver/zone_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apiserver/child.h"
#include "apiserver/engine.h"
#include "apiserver/zone_rpc.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "str.h"

#define CGROUP_ROOT   "/sys/fs/cgroup"
#define STATE_MAX     (64 * 1024)
#define KILL_ROUNDS   100
#define KILL_PAUSE_MS 10
#define RUNTIME_ENDS_MS 100

static int read_json(const char *path, json_t **out)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	if (fs_read_file(path, STATE_MAX, &b, &ignored) < 0)
		return -ENOENT;
	return jparse(b.p, b.len, out, &ignored);
}

bool zone_read_exit(const char *uuid, struct zone_exit *out, int64_t *started_ns)
{
	cleanup_json json_t *o = NULL;
	char path[1024];

	if (read_json(paths_zone(&engine->paths, uuid, "config/exit.json", path), &o) < 0)
		return false;
	memset(out, 0, sizeof(*out));
	out->run = (unsigned)jget_int(o, "run", 0);
	out->exit_code = (int)jget_int(o, "exit_code", 0);
	out->oom_killed = jget_bool(o, "oom_killed", false);
	out->truncated = jget_bool(o, "truncated", false);
	out->will_restart = jget_bool(o, "will_restart", false);
	out->finished_ns = jget_int(o, "finished_ns", 0);
	out->restart_count = (unsigned)jget_int(o, "restart_count", 0);
	str_copy(out->error, sizeof(out->error), jget_str(o, "error", ""));
	*started_ns = jget_int(o, "started_ns", 0);
	return out->finished_ns > 0;
}

/* ---- cgroups -------------------------------------------------------------------------------- */

static int kill_procs(const char *dir)
{
	cleanup_free char *path = xasprintf("%s/cgroup.procs", dir);
	cleanup_file FILE *f = fopen(path, "re");
	int n = 0;
	int pid;

	while (f && fscanf(f, "%d", &pid) == 1) {
		if (pid > 1 && kill(pid, SIGKILL) == 0)
			n++;
	}
	return n;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		log_debug("write", "path=%s errno=%d", path, errno);
}

/* Thaws, kills, and removes dir with what is beneath; returns how many processes were there. */
static int sweep_cgroup(const char *dir, int depth)
{
	cleanup_dir DIR *d = opendir(dir);
	struct dirent *e;
	int killed = 0;

	if (!d || depth > 16)
		return 0;
	write_file(dir, "freezer.state", "THAWED");
	write_file(dir, "cgroup.freeze", "0");
	while ((e = readdir(d))) {
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0) {
			cleanup_free char *sub = xasprintf("%s/%s", dir, e->d_name);

			killed += sweep_cgroup(sub, depth + 1);
		}
	}
	killed += kill_procs(dir);
	for (int i = 0; i < KILL_ROUNDS && rmdir(dir) < 0 && errno == EBUSY; i++) {
		kill_procs(dir);
		poll(NULL, 0, KILL_PAUSE_MS);
	}
	return killed;
}

/* The zone's id must be in the path: nothing else is ever killed. */
static bool is_zones_cgroup(const char *cgroup, const char *uuid)
{
	char hex[33];
	size_t n = 0;

	for (const char *p = uuid; *p && n < 32; p++) {
		if (*p != '-')
			hex[n++] = *p;
	}
	hex[n] = '\0';
	return n == 32 && cgroup[0] == '/' && strstr(cgroup, hex) && !strstr(cgroup, "..");
}

static int sweep_cgroups(const char *cgroup)
{
	cleanup_dir DIR *d = opendir(CGROUP_ROOT);
	cleanup_free char *top = xasprintf(CGROUP_ROOT "%s", cgroup);
	int killed = sweep_cgroup(top, 0);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		cleanup_free char *path = NULL;

		if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_LNK))
			continue;
		path = xasprintf(CGROUP_ROOT "/%s%s", e->d_name, cgroup);
		if (fs_exists(path))
			killed += sweep_cgroup(path, 0);
	}
	return killed;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void remove_beneath(const char *dir, const char *name)
{
	cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };

	if (fd >= 0 && fs_remove_tree(fd, name, &err) < 0)
		log_warn("left behind", "dir=%s name=%s error=%s", log_q(dir), log_q(name),
			 log_q(err.msg));
}

/* What a zone leaves that has ended, but for the files of its logger: that goes on. */
static void sweep_run_folder(const char *run_zones, const char *uuid)
{
	static const char *const kept[] = { "logcommit", "forward", "removed", "loggap", "linger.json", "netns" };
	char path[1024];
	cleanup_dir DIR *d = NULL;
	struct dirent *e;

	if (!fs_exists(paths_zone_run(&engine->paths, uuid, kept[0], path))) {
		remove_beneath(run_zones, uuid);
		return;
	}
	d = opendir(paths_zone_run(&engine->paths, uuid, "", path));
	while (d && (e = readdir(d))) {
		struct err ignored = { 0 };
		bool keep = str_eq(e->d_name, ".") || str_eq(e->d_name, "..");

		for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
			keep |= str_eq(e->d_name, kept[i]);
		if (!keep)
			(void)fs_remove_tree(dirfd(d), e->d_name, &ignored);
	}
}

int zone_sweep(const char *uuid)
{
	cleanup_json json_t *state = NULL;
	cleanup_json json_t *zone = NULL;
	cleanup_free char *run_zones = xasprintf("%s/zones", engine->paths.run);
	const char *cgroup;
	const char *id;
	char path[1024];
	int killed = 0;

	read_json(paths_zone_run(&engine->paths, uuid, "state.json", path), &state);
	read_json(paths_zone(&engine->paths, uuid, "config/zone.json", path), &zone);
	cgroup = jget_str(state, "cgroup", jget_str(zone, "cgroup", ""));
	if (is_zones_cgroup(cgroup, uuid))
		killed = sweep_cgroups(cgroup);
	id = jget_str(zone, "id", "");
	if (strlen(id) == 64 && is_hex(id, 64)) {
		cleanup_free char *runtime = xasprintf("%s/runtime", engine->paths.run);

		remove_beneath(runtime, id);
	}
	sweep_run_folder(run_zones, uuid);
	return killed;
}

int zone_sweep_killed(const char *uuid)
{
	int killed = zone_sweep(uuid);

	poll(NULL, 0, RUNTIME_ENDS_MS);
	return killed + zone_sweep(uuid);
}

void zone_kill_peer(int fd, const char *uuid)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 0) {
		kill(peer.pid, SIGKILL);
		zone_wait_end(fd, 5000);
		child_reap_later(peer.pid);
	}
	zone_sweep(uuid);
}

void zone_kill(const char *uuid)
{
	cleanup_zone_conn struct zone_conn *c = NULL;
	struct err ignored = { 0 };

	if (zone_connect(uuid, false, NULL, &c, &ignored) == 0 && c->pid > 0) {
		kill(c->pid, SIGKILL);
		zone_wait_end(c->fd, 5000);
		child_reap_later(c->pid);
	}
	zone_sweep(uuid);
}
