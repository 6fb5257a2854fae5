/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_files.h - a zone's files as they are inside it, running or not, and writing into them
 * safely. Worker, blocking.
 */
#ifndef APISERVER_ZONE_FILES_H
#define APISERVER_ZONE_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "container.h"
#include "err.h"
#include "zone.h"

/* A zone's root, with its volumes. Open paths in it by fs_open_in_root only. */
struct zone_view {
	int root_fd;		   /* O_PATH */
	int mntns_fd;		   /* the mount namespace that it is in */
	struct zone_rootfs rootfs; /* while the zone does not run */
};
#define ZONE_VIEW_INIT                                                                             \
	{                                                                                          \
		.root_fd = -1, .mntns_fd = -1                                                      \
	}

/* Running (spec->st.pid): by /proc. Else the root is mounted by a helper, and the caller sees to it
 * that the zone is not started meanwhile. */
int zone_view_open(const struct ct_spec *spec, struct zone_view *out, struct err *err);
void zone_view_close(struct zone_view *v);
/* The root file system alone, without anything that is mounted in it: a descriptor, or negative. It
 * stays valid when the zone ends. */
int zone_view_clone_root(const struct zone_view *v, struct err *err);

struct zone_extract {
	const char *ct_dir; /* an existing directory */
	bool no_overwrite_dir_non_dir;
	bool chown; /* all to uid, gid, instead of the archive's owners */
	uid_t uid;
	gid_t gid;
	bool (*cancelled)(void *arg); /* NULL: nobody can; asked a few times a second */
	void *cancelled_arg;
};
typedef ssize_t zone_read_fn(void *arg, void *p, size_t len); /* 0 end, negative errno */
/* Unpacks a tar stream (plain, gzip, bzip2, xz, zstd) in a process that is chrooted to the zone. Cancelled, it ends soon,
 * however much the stream inflates to: ECANCELED; what was unpacked stays. */
int zone_extract(const struct zone_view *v, const struct zone_extract *x, zone_read_fn *fn,
		 void *arg, struct err *err);

/* The ids of a user by the zone's own /etc/passwd and /etc/group: "name", "uid", "name:group",
 * "uid:gid". */
int zone_user_ids(int root_fd, const char *user, uid_t *uid, gid_t *gid, struct err *err);

/* ---- the child, in the unpacking server ---- */

/* Answers one request from sock (zone_files_priv.h); tar_fd: what to unpack, or -1. */
void __attribute__((noreturn)) zone_files_child(int sock, int tar_fd);

#endif
