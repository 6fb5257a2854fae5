/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_shm.c - see zone_shm.h.
 *
 * A mount can be cloned only by who is in its namespace: so we enter the other zone's, clone, and
 * come back. Nothing is mounted where the host sees it, and the memory lives as long as one of the
 * zones.
 */
#include "zone_shm.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

int zone_shm_join(pid_t pid, const char *at, struct err *err)
{
	cleanup_fd int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), theirs = -1,
		       tree = -1;
	char path[64];
	int saved;

	if (own < 0 || str_fmt(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid) < 0)
		return err_sys(err, "open the mount namespace");
	theirs = open(path, O_RDONLY | O_CLOEXEC);
	if (theirs < 0)
		return err_sys(err, "open the mount namespace of process %d", (int)pid);
	if (setns(theirs, CLONE_NEWNS) < 0)
		return err_sys(err, "enter the mount namespace of process %d", (int)pid);
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/shm", OPEN_TREE_CLONE | O_CLOEXEC);
	saved = errno;
	if (setns(own, CLONE_NEWNS) < 0)
		return err_sys(err, "return to the mount namespace");
	if (tree < 0)
		return err_sysnum(err, saved, "clone /dev/shm of process %d", (int)pid);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "mount /dev/shm of process %d at %s", (int)pid, at);
	return 0;
}
