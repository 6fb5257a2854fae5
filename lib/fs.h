/* SPDX-License-Identifier: MPL-2.0
 *
 * fs.h - files: whole-file reads, atomic writes, trees, paths beneath a directory.
 */
#ifndef LIB_FS_H
#define LIB_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

/* Reads at most max bytes; -EFBIG beyond. */
int fs_read_file(const char *path, size_t max, struct buf *out, struct err *err);
int fs_read_fileat(int dir_fd, const char *path, size_t max, struct buf *out, struct err *err);
/* Temp file, fsync, rename, fsync of the directory: a reader sees the old or the new content, also
 * after a crash. */
int fs_write_atomic(const char *path, const void *p, size_t len, mode_t mode, struct err *err);
/* The same without fsync, for what a reboot may lose (/run). */
int fs_write_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *err);
int fs_write_all(int fd, const void *p, size_t len); /* 0 or -errno; retries EINTR and short writes */
int fs_mkdir_p(const char *path, mode_t mode, struct err *err);
/* rm -rf beneath dir_fd; never follows symlinks, never leaves the file system's tree, missing is
 * fine. */
int fs_remove_tree(int dir_fd, const char *name, struct err *err);
int fs_fsync_dir(const char *path);
bool fs_exists(const char *path);
/* openat2 with RESOLVE_IN_ROOT: path is a container's, root_fd its root. */
int fs_open_in_root(int root_fd, const char *ct_path, int flags, mode_t mode);
/* openat2 with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS. */
int fs_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);
/* The lengths of a tree's files, hard links once, directories not counted: as Docker counts. */
int fs_tree_size(int dir_fd, const char *name, int64_t *out_bytes);

#endif
