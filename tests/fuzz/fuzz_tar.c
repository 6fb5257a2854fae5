/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_tar.c - hostile layers through the unpacking child's code, in this process and without its
 * chroot: nothing may appear outside the layer's directory, and what is taken must be replayed byte
 * for byte from its recipe.
 */
/* links: apiserver */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/layer_split.h"
#include "apiserver/unpack_entry.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[64];
static int root_fd = -1;

static void remove_root(void)
{
	struct err err = { 0 };

	fs_remove_tree(AT_FDCWD, root, &err);
}

static void start(void)
{
	snprintf(root, sizeof(root), "%s/fuzz-tar-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(root))
		abort();
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	atexit(remove_root);
	umask(0);
}

/* Only our directory may be in root: what leaves diff/ by ".." lands here. */
static void nothing_else(int fd, const char *const *allowed)
{
	cleanup_dir DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	while ((e = readdir(d))) {
		const char *const *a;

		if (e->d_name[0] == '.')
			continue;
		for (a = allowed; *a && !str_eq(*a, e->d_name); a++)
			;
		if (!*a) {
			fprintf(stderr, "escaped: %s\n", e->d_name);
			abort();
		}
	}
}

struct expect {
	const uint8_t *p;
	size_t len;
};

static int compare(void *arg, const void *p, size_t len)
{
	struct expect *x = arg;

	assert(len <= x->len && !memcmp(p, x->p, len));
	x->p += len;
	x->len -= len;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const in_root[] = { "L", NULL };
	static const char *const in_layer[] = { "diff", "split", "moves", "extra", NULL };
	cleanup_fd int in = -1, layer = -1, split = -1, moves = -1, diff = -1;
	struct expect x = { data, size };
	struct unpack u;
	struct err err = { 0 };
	int rc;

	if (root_fd < 0)
		start();
	fs_remove_tree(root_fd, "L", &err);
	if (mkdirat(root_fd, "L", 0700) < 0 || (layer = openat(root_fd, "L", O_RDONLY | O_DIRECTORY)) < 0 ||
	    mkdirat(layer, "diff", 0755) < 0 || (diff = openat(layer, "diff", O_PATH | O_DIRECTORY)) < 0)
		abort();
	in = memfd_create("tar", MFD_CLOEXEC);
	if (fs_write_all(in, data, size) < 0 || lseek(in, 0, SEEK_SET) < 0)
		abort();
	split = openat(layer, "split", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	moves = openat(layer, "moves", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unpack_init(&u, split);
	u.in_fd = in;
	u.layer_fd = layer;
	u.moves_fd = moves;
	u.root_fd = diff;
	u.max_bytes = 1 << 20;
	u.max_entries = 1000;
	rc = unpack_run(&u);
	assert(rc == 0 || u.err.msg[0]);
	unpack_fini(&u);
	if (chdir("/") < 0)
		abort();
	nothing_else(root_fd, in_root);
	nothing_else(layer, in_layer);
	if (rc == 0) {
		if (split_replay(layer, compare, &x, &err) < 0) {
			fprintf(stderr, "replay: %s\n", err.msg);
			abort();
		}
		assert(x.len == 0);
	}
	return 0;
}
