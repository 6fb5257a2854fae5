/* SPDX-License-Identifier: MPL-2.0
 *
 * cleanup.h - scope cleanup for owning locals, and explicit hand-over.
 *
 * Declare owning locals at the top, initialised, in the order of the steps: they are undone in
 * reverse. take_ptr and take_fd give a local away.
 */
#ifndef LIB_CLEANUP_H
#define LIB_CLEANUP_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}
static inline void cleanup_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void cleanup_filep(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void cleanup_dirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define cleanup_free __attribute__((cleanup(cleanup_freep)))
#define cleanup_fd   __attribute__((cleanup(cleanup_fdp)))
#define cleanup_file __attribute__((cleanup(cleanup_filep)))
#define cleanup_dir  __attribute__((cleanup(cleanup_dirp)))

#define take_ptr(pp)                                                                               \
	({                                                                                         \
		__typeof__(*(pp)) taken_ = *(pp);                                                  \
		*(pp) = NULL;                                                                      \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
