/* SPDX-License-Identifier: MPL-2.0
 *
 * logger_cgroup.c - see logger_cgroup.h.
 *
 * With cgroup v1, only the controllers cpu and cpuacct: shares and quota are the zone's, and the time is accounted to it. Not
 * freezer, which would hold the log of a paused zone; not pids, by which a zone is counted and killed. zoneadmd moves a logger
 * that outlives its zone out of the way (zone_cgroup_remove).
 *
 * A v2 hierarchy has one group for all of that. There a logger has a group of its own beside the zone's, ZONE.logger, below
 * whatever slice the zone is in, with the zone's weight and quota: a tenant's forwarding takes at most what his zone may take. Who
 * ends last removes it: the logger, or zoneadmd.
 *
 * Not memory. Tried with a limit of 32 MB: a zone that fills its /dev/shm has the killer take first the program that wrote, and
 * next the logger, whose 3 MiB are as much as anybody's; what lies in a tmpfs goes with nobody, so the next logger is killed as
 * well. Somebody who has broken into a zone could silence its forwarding like that, and a limit of 6 MB, Docker's least, would
 * leave the zone half. So memory is the host's: a logger needs the same however much waits, a batch and a line.
 */
#define LOG_MODULE "logger"
#include "logger_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "log.h"
#include "str.h"

#define CGROUP_ROOT "/sys/fs/cgroup" /* of v2, where all controllers are in it */

static char beside[LOGGER_CGROUP_MAX]; /* the group that we made, or "" */

static bool is_cpu(const char *controllers)
{
	return str_eq(controllers, "cpu") || str_eq(controllers, "cpuacct") || str_eq(controllers, "cpu,cpuacct") ||
	       str_eq(controllers, "cpuacct,cpu");
}

/* The group's name has the first 32 digits of the container's id: pid is not somebody else's by now. */
static bool is_zones(const char *path, const char *uuid)
{
	char hex[33];
	size_t n = 0;

	for (; *uuid && n < sizeof(hex) - 1; uuid++)
		if (*uuid != '-')
			hex[n++] = *uuid;
	hex[n] = '\0';
	return n == 32 && strstr(path, hex) && !strstr(path, "..");
}

static void copy(const char *from_dir, const char *to_dir, const char *name)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct err ignored = { 0 };
	char from[1100], to[1100];
	cleanup_fd int fd = -1;

	if (str_fmt(from, sizeof(from), "%s/%s", from_dir, name) < 0 || str_fmt(to, sizeof(to), "%s/%s", to_dir, name) < 0 ||
	    fs_read_file(from, 4096, &text, &ignored) < 0)
		return;
	fd = open(to, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text.p, text.len) != (ssize_t)text.len)
		log_debug("control group not set", "file=%s", to);
}

static int enter(const char *dir)
{
	char file[1100];
	cleanup_fd int fd = -1;

	if (str_fmt(file, sizeof(file), "%s/cgroup.procs", dir) < 0)
		return -ENAMETOOLONG;
	fd = open(file, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;
}

int logger_cgroup_beside(const char *root, const char *path, char dir[LOGGER_CGROUP_MAX])
{
	char zone[LOGGER_CGROUP_MAX];
	int rc;

	if (str_fmt(zone, sizeof(zone), "%s%s", root, path) < 0 || str_fmt(dir, LOGGER_CGROUP_MAX, "%s" LOGGER_CGROUP_SUFFIX, zone) < 0)
		return -ENAMETOOLONG;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	copy(zone, dir, "cpu.weight");
	copy(zone, dir, "cpu.max");
	if ((rc = enter(dir)) < 0)
		(void)rmdir(dir);
	return rc;
}

void logger_cgroup_leave(void)
{
	if (beside[0] && enter(CGROUP_ROOT) == 0)
		(void)rmdir(beside); /* not: the zone's next logger is in it */
}

static void join(const char *controllers, const char *path)
{
	char file[1024];
	cleanup_fd int fd = -1;

	if (str_fmt(file, sizeof(file), "/sys/fs/cgroup/%s%s/tasks", controllers, path) < 0)
		return;
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		log_debug("control group not joined", "file=%s", file);
}

void logger_cgroup_join(const char *uuid, int pid)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct err ignored = { 0 };
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/%d/cgroup", pid);
	if (pid <= 0 || fs_read_file(proc, 65536, &text, &ignored) < 0)
		return;
	for (char *line = text.p, *next; line && *line; line = next) { /* "1:cpu,cpuacct:/path" */
		char *nl = strchr(line, '\n'), *controllers, *path;

		next = nl ? nl + 1 : NULL;
		if (nl)
			*nl = '\0';
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		if (!is_zones(path, uuid))
			continue;
		if (is_cpu(controllers + 1))
			join(controllers + 1, path);
		else if (!controllers[1] && fs_exists(CGROUP_ROOT "/cgroup.controllers") && logger_cgroup_beside(CGROUP_ROOT, path, beside) < 0)
			beside[0] = '\0';
	}
}
