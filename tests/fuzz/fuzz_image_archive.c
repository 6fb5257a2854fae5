/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_image_archive.c - hostile archives through docker load.
 *
 * First byte 0: the rest is the archive itself. Else the rest, cut at 0xff, is put into files of an
 * archive that is otherwise sound: manifest.json, config, index.json, repositories, v1 json, and
 * blobs under their right digests; with an empty layer that the store has already, so that no child
 * is started. Whatever comes: an image is either whole or not there.
 */
/* links: apiserver */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apiserver/engine.h"
#include "apiserver/image_archive.h"
#include "apiserver/image_list.h"
#include "apiserver/image_remove.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "fs.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EMPTY "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

static struct engine the_engine;
const struct engine *engine = &the_engine;
static char root[64];

static void remove_root(void)
{
	struct err err = { 0 };

	store_close();
	fs_remove_tree(AT_FDCWD, root, &err);
}

static void put_file(const char *dir, const char *name, const char *text)
{
	struct err err = { 0 };
	char path[1200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (fs_write_replace(path, text, strlen(text), 0600, &err) < 0)
		abort();
}

static void start(void)
{
	struct err err = { 0 };
	char dir[1024], sub[1100];

	snprintf(root, sizeof(root), "%s/fuzz-ia-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(root) || paths_init(&the_engine.paths, root, &err) < 0)
		abort();
	atexit(remove_root);
	str_copy(the_engine.bin_dir, sizeof(the_engine.bin_dir), "/nonexistent");
	snprintf(dir, sizeof(dir), "%s/layers/sha256/" EMPTY, the_engine.paths.lib);
	snprintf(sub, sizeof(sub), "%s/diff", dir);
	if (fs_mkdir_p(sub, 0700, &err) < 0)
		abort();
	put_file(dir, "layer.json", "{\"diff_id\":\"sha256:" EMPTY "\",\"parent\":\"\",\"size\":0,\"tar_bytes\":1024}");
	snprintf(sub, sizeof(sub), "%s/state.db", the_engine.paths.lib);
	if (store_open(sub, &err) < 0 || image_store_init(&err) < 0)
		abort();
}

struct source {
	const char *p;
	size_t len;
};

static ssize_t read_source(void *arg, void *p, size_t len)
{
	struct source *s = arg;

	len = len < s->len ? len : s->len;
	if (!len)
		return 0;
	memcpy(p, s->p, len);
	s->p += len;
	s->len -= len;
	return (ssize_t)len;
}

static int to_buf(void *arg, const void *p, size_t len)
{
	buf_add(arg, p, len);
	return 0;
}

static void build(struct buf *out, const uint8_t *data, size_t size)
{
	static const char *const names[] = { "manifest.json", "c.json",	  "index.json",
					     "repositories",  "v/json",	  NULL };
	struct tar_writer *w = tar_writer_new(to_buf, out, NULL);
	static const char zeros[1024];
	struct err err = { 0 };

	tar_writer_add_bytes(w, "blobs/sha256/" EMPTY, zeros, sizeof(zeros), 0644, 0, &err);
	tar_writer_add_header(w, "v/layer.tar", '2', 0, 0644, 0, "../blobs/sha256/" EMPTY, &err);
	for (size_t i = 0; size; i++) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t len = end ? (size_t)(end - data) : size;
		char name[96], digest[72];

		image_digest_of(data, len, digest);
		snprintf(name, sizeof(name), "blobs/sha256/%s", digest + 7);
		if (i < ARRAY_SIZE(names) - 1 && len)
			tar_writer_add_bytes(w, names[i], data, len, 0644, 0, &err);
		tar_writer_add_bytes(w, name, data, len, 0644, 0, &err);
		if (i > 20)
			break;
		data += len + (end ? 1 : 0);
		size -= len + (end ? 1 : 0);
	}
	tar_writer_end(w, &err);
	tar_writer_free(w);
}

/* Lists, inspects and removes everything that came to be. */
static void remove_all(void)
{
	const struct image_remove_opts o = { .force = true };
	struct image_events ev = { 0 };
	struct image_removed removed = { 0 };
	struct buf out = BUF_INIT;
	struct err err = { 0 };

	assert(image_json_list(&(struct image_list_opts){ .all = true }, 142, &out, &err) == 0);
	for (char *p = out.p; (p = strstr(p, "\"Id\":\"")); p += 6) {
		char id[72];
		struct image *img;

		str_copy(id, sizeof(id), p + 6);
		if (image_get(id, &img, &err) < 0)
			continue;
		{
			struct buf one = BUF_INIT;

			image_json_inspect(img, 143, false, &one);
			buf_reset(&one);
			(void)!image_json_history(img, &one, &err);
			buf_fini(&one);
		}
		image_unref(img);
		(void)!image_remove(id, &o, &removed, &ev, &err);
	}
	image_removed_fini(&removed);
	image_events_fini(&ev);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image_load_opts o = { .quiet = true };
	struct image_events ev = { 0 };
	struct buf b = BUF_INIT;
	struct source s;
	struct err err = { 0 };

	if (!root[0]) {
		start();
		image_hold_begin();
	}
	if (!size)
		return 0;
	if (data[0] == 0)
		buf_add(&b, data + 1, size - 1);
	else
		build(&b, data + 1, size - 1);
	s = (struct source){ b.p, b.len };
	if (image_load(read_source, &s, &o, NULL, &ev, &err) < 0)
		assert(err.msg[0]);
	image_events_fini(&ev);
	buf_fini(&b);
	remove_all();
	return 0;
}
