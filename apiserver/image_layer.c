/* SPDX-License-Identifier: MPL-2.0
 *
 * image_layer.c - the layers on disk.
 *
 * Design: a layer is made whole below tmp/ and renamed into place; the index in memory follows.
 * There is no list of layers but the directory. References are counted in memory, from the images
 * (image_store.c). Writing 200 MB to the platter takes longer than all else, so it is not waited
 * for: a new layer has a marker file that names this boot, and a background thread runs one
 * syncfs(2) and takes the markers away. After a crash of the machine, layers whose marker names
 * another boot are replayed and their digest compared; a torn one is dropped, and with it the
 * images that need it.
 *
 * Threads: any. lock guards the index; files are worked on without it, except for the rename.
 * Failure: killed anywhere, tmp/ is swept at the next start; which waits for the unpacking child of the one before: a stage's
 * directory is locked (flock) by whoever has it open.
 */
#define LOG_MODULE "layer"
#include "apiserver/image_layer.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "apiserver/layer_split.h"
#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "log.h"
#include "map.h"
#include "str.h"
#include "thread.h"

#define SYNC_DELAY_MS 300
#define RELEASE_NS    10000000000LL

struct layer {
	char chain_id[72];
	char diff_id[72];
	char parent[72];
	int64_t size;
	int64_t tar_bytes;
	uint64_t n_whiteouts;
	unsigned refs;
};

static struct {
	pthread_mutex_t lock;
	struct map by_chain; /* hex -> struct layer */
	int dir_fd;	     /* <lib>/layers/sha256 */
	int tmp_fd;
	unsigned holds;
	bool syncing, sync_again;
	char boot_id[40];
} store = { .lock = PTHREAD_MUTEX_INITIALIZER, .dir_fd = -1, .tmp_fd = -1 };

static const char *hex_of(const char *digest)
{
	return digest + 7; /* after "sha256:" */
}

void layer_diff_dir(const char *chain_id, char out[1024])
{
	snprintf(out, 1024, "%s/layers/sha256/%s/diff", engine->paths.lib, hex_of(chain_id));
}

void layer_chain_id(const char *parent_chain, const char *diff_id, char out[72])
{
	unsigned char d[EVP_MAX_MD_SIZE];
	char text[160];
	int n;

	if (str_empty(parent_chain)) {
		str_copy(out, 72, diff_id);
		return;
	}
	n = snprintf(text, sizeof(text), "%s %s", parent_chain, diff_id);
	if (!EVP_Digest(text, (size_t)n, d, NULL, EVP_sha256(), NULL))
		abort();
	memcpy(out, "sha256:", 7);
	hex_encode(out + 7, d, 32);
}

/* ---------------------------------------------------------------- the index */

static struct layer *find_locked(const char *chain_id)
{
	return chain_id && strlen(chain_id) == 71 ? map_get(&store.by_chain, hex_of(chain_id)) : NULL;
}

static void info_of(const struct layer *l, struct layer_info *out)
{
	str_copy(out->diff_id, sizeof(out->diff_id), l->diff_id);
	str_copy(out->chain_id, sizeof(out->chain_id), l->chain_id);
	out->size = l->size;
}

bool layer_find(const char *chain_id, struct layer_info *out)
{
	struct layer *l;

	pthread_mutex_lock(&store.lock);
	l = find_locked(chain_id);
	if (l && out)
		info_of(l, out);
	pthread_mutex_unlock(&store.lock);
	return l != NULL;
}

bool layer_find_diff(const char *diff_id, struct layer_info *out)
{
	struct map_iter it = { 0 };
	const char *key;
	void *value;
	bool found = false;

	pthread_mutex_lock(&store.lock);
	while (!found && map_next(&store.by_chain, &it, &key, &value)) {
		const struct layer *l = value;

		found = str_eq(l->diff_id, diff_id);
		if (found)
			info_of(l, out);
	}
	pthread_mutex_unlock(&store.lock);
	return found;
}

int64_t layer_tar_bytes(const char *chain_id)
{
	struct layer *l;
	int64_t n;

	pthread_mutex_lock(&store.lock);
	l = find_locked(chain_id);
	n = l ? l->tar_bytes : -1;
	pthread_mutex_unlock(&store.lock);
	return n;
}

void layer_ref(const char *chain_id)
{
	struct layer *l;

	pthread_mutex_lock(&store.lock);
	l = find_locked(chain_id);
	if (l)
		l->refs++;
	pthread_mutex_unlock(&store.lock);
}

void layer_unref(const char *chain_id)
{
	struct layer *l;

	pthread_mutex_lock(&store.lock);
	l = find_locked(chain_id);
	if (l && l->refs)
		l->refs--;
	pthread_mutex_unlock(&store.lock);
}

unsigned layer_refs(const char *chain_id)
{
	struct layer *l;
	unsigned n;

	pthread_mutex_lock(&store.lock);
	l = find_locked(chain_id);
	n = l ? l->refs : 0;
	pthread_mutex_unlock(&store.lock);
	return n;
}

/* ---------------------------------------------------------------- syncing */

static void remove_markers(void)
{
	struct map_iter it = { 0 };
	const char *key;
	char path[96];
	void *value;

	pthread_mutex_lock(&store.lock);
	while (map_next(&store.by_chain, &it, &key, &value)) {
		snprintf(path, sizeof(path), "%s/synced", key);
		if (faccessat(store.dir_fd, path, F_OK, 0) < 0)
			continue;
		unlinkat(store.dir_fd, path, 0);
		snprintf(path, sizeof(path), "%s/unsynced", key);
		unlinkat(store.dir_fd, path, 0);
	}
	pthread_mutex_unlock(&store.lock);
}

/* What is unsynced before the syncfs is synced after it. */
static void mark_candidates(void)
{
	struct map_iter it = { 0 };
	const char *key;
	char from[96], to[96];
	void *value;

	pthread_mutex_lock(&store.lock);
	while (map_next(&store.by_chain, &it, &key, &value)) {
		snprintf(from, sizeof(from), "%s/unsynced", key);
		snprintf(to, sizeof(to), "%s/synced", key);
		(void)!linkat(store.dir_fd, from, store.dir_fd, to, 0);
	}
	pthread_mutex_unlock(&store.lock);
}

static void *sync_main(void *arg)
{
	bool again = true;

	(void)arg;
	while (again) {
		const struct timespec delay = { 0, SYNC_DELAY_MS * 1000000L };

		nanosleep(&delay, NULL);
		pthread_mutex_lock(&store.lock);
		store.sync_again = false;
		pthread_mutex_unlock(&store.lock);
		mark_candidates();
		if (syncfs(store.dir_fd) == 0)
			remove_markers();
		else
			log_err("layers not synced", "errno=%d", errno);
		pthread_mutex_lock(&store.lock);
		again = store.sync_again;
		if (!again)
			store.syncing = false;
		pthread_mutex_unlock(&store.lock);
	}
	return NULL;
}

static void sync_soon(void)
{
	bool start;

	pthread_mutex_lock(&store.lock);
	start = !store.syncing;
	store.syncing = true;
	store.sync_again = true;
	pthread_mutex_unlock(&store.lock);
	if (!start)
		return;
	if (thread_start(NULL, 0, sync_main, NULL) < 0) {
		pthread_mutex_lock(&store.lock);
		store.syncing = false;
		pthread_mutex_unlock(&store.lock);
	}
}

/* ---------------------------------------------------------------- stages */

static void remove_tmp(const char *name)
{
	struct err err = { 0 };

	if (fs_remove_tree(store.tmp_fd, name, &err) < 0)
		log_warn("temporary layer not removed", "name=%s err=%s", name, log_q(err.msg));
}

void layer_stage_free(struct layer_stage *st)
{
	if (!st)
		return;
	if (st->name[0])
		remove_tmp(st->name);
	free(st);
}

int layer_stage_new(layer_read_fn *fn, void *arg, const char *raw_id, struct layer_stage **out, struct err *err)
{
	struct layer_stage *st = xcalloc(1, sizeof(*st));
	unsigned char r[16];
	cleanup_fd int fd = -1;
	int rc;

	random_bytes(r, sizeof(r));
	hex_encode(st->name, r, sizeof(r));
	if (mkdirat(store.tmp_fd, st->name, 0700) < 0) {
		rc = err_sys(err, "make a temporary layer");
		free(st);
		return rc;
	}
	fd = openat(store.tmp_fd, st->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		rc = err_sys(err, "open a temporary layer");
	else
		rc = layer_pump(fn, arg, raw_id, fd, NULL, &st->pumped, err);
	if (rc == 0 && failpoint("layer.stage"))
		rc = err_kind(err, ERR_SYSTEM, "failpoint layer.stage");
	if (rc < 0) {
		layer_stage_free(st);
		return rc;
	}
	*out = st;
	return 0;
}

/* A whiteout in a first layer hides nothing, and would show as a broken entry. */
static void strip_whiteouts(int dir_fd)
{
	DIR *d = fdopendir(dir_fd);
	struct dirent *e;
	struct stat st;

	if (!d) {
		close(dir_fd);
		return;
	}
	while ((e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
			unlinkat(dirfd(d), e->d_name, 0);
		} else if (S_ISDIR(st.st_mode)) {
			struct timespec t[2];
			int sub = openat(dirfd(d), e->d_name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub < 0)
				continue;
			t[0] = st.st_atim;
			t[1] = st.st_mtim;
			strip_whiteouts(fcntl(sub, F_DUPFD_CLOEXEC, 3));
			futimens(sub, t);
			close(sub);
		}
	}
	closedir(d);
}

static int write_facts(int stage_fd, const struct layer *l, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_fd int fd = -1, marker = -1;
	struct jw w = JW(&b);
	int rc;

	jw_obj(&w, NULL);
	jw_str(&w, "diff_id", l->diff_id);
	jw_str(&w, "parent", l->parent);
	jw_int(&w, "size", l->size);
	jw_int(&w, "tar_bytes", l->tar_bytes);
	jw_uint(&w, "n_whiteouts", l->n_whiteouts);
	jw_end(&w);
	fd = openat(stage_fd, "layer.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	marker = openat(stage_fd, "unsynced", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || marker < 0)
		return err_sys(err, "create the layer's facts");
	if ((rc = fs_write_all(fd, b.p, b.len)) < 0 ||
	    (rc = fs_write_all(marker, store.boot_id, strlen(store.boot_id))) < 0)
		return err_sysnum(err, rc, "write the layer's facts");
	return 0;
}

static int finish_stage(const struct layer_stage *st, const struct layer *l, struct err *err)
{
	cleanup_fd int fd = openat(store.tmp_fd, st->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat sb;

	if (fd < 0)
		return err_sys(err, "open a temporary layer");
	if (str_empty(l->parent) && l->n_whiteouts) {
		int diff = openat(fd, "diff", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (diff >= 0)
			strip_whiteouts(diff);
	}
	/* an empty list of moves is none */
	if (fstatat(fd, "moves", &sb, 0) == 0 && sb.st_size == 0)
		unlinkat(fd, "moves", 0);
	return write_facts(fd, l, err);
}

int layer_stage_commit(struct layer_stage *st, const char *parent_chain, struct layer_info *out,
		       struct err *err)
{
	struct layer *l = xcalloc(1, sizeof(*l)), *there;
	int rc;

	str_copy(l->parent, sizeof(l->parent), parent_chain ? parent_chain : "");
	str_copy(l->diff_id, sizeof(l->diff_id), st->pumped.diff_id);
	layer_chain_id(l->parent, l->diff_id, l->chain_id);
	l->size = st->pumped.size;
	l->tar_bytes = st->pumped.tar_bytes;
	l->n_whiteouts = st->pumped.n_whiteouts;
	rc = finish_stage(st, l, err);
	pthread_mutex_lock(&store.lock);
	there = find_locked(l->chain_id);
	if (rc == 0 && l->parent[0] && !find_locked(l->parent))
		rc = err_kind(err, ERR_SYSTEM, "layer %s has gone", l->parent);
	if (rc == 0 && !there) {
		if (renameat2(store.tmp_fd, st->name, store.dir_fd, hex_of(l->chain_id),
			      RENAME_NOREPLACE) < 0) {
			rc = err_sys(err, "put layer %s in place", l->chain_id);
		} else {
			there = take_ptr(&l);
			map_set(&store.by_chain, hex_of(there->chain_id), there);
		}
	}
	if (rc == 0)
		info_of(there, out);
	pthread_mutex_unlock(&store.lock);
	if (rc == 0 && !l) {
		st->name[0] = '\0';
		sync_soon();
	}
	free(l);
	layer_stage_free(st);
	return rc;
}

int layer_add(layer_read_fn *fn, void *arg, const char *parent_chain, const char *expect_diff_id,
	      struct layer_info *out, struct err *err)
{
	struct layer_stage *st = NULL;
	int rc;

	if ((rc = layer_stage_new(fn, arg, NULL, &st, err)) < 0)
		return rc;
	if (expect_diff_id && !str_eq(expect_diff_id, st->pumped.diff_id)) {
		rc = err_kind(err, ERR_SYSTEM, "layer has digest %s, not %s", st->pumped.diff_id,
			      expect_diff_id);
		layer_stage_free(st);
		return rc;
	}
	return layer_stage_commit(st, parent_chain, out, err);
}

/* ---------------------------------------------------------------- export */

struct export {
	tar_write_fn *fn;
	void *arg;
	EVP_MD_CTX *md;
	int64_t n;
};

static int export_some(void *arg, const void *p, size_t len)
{
	struct export *x = arg;

	EVP_DigestUpdate(x->md, p, len);
	x->n += (int64_t)len;
	return x->fn ? x->fn(x->arg, p, len) : 0;
}

int layer_export(const char *chain_id, tar_write_fn *fn, void *arg, struct err *err)
{
	struct export x = { .fn = fn, .arg = arg };
	struct layer_info info;
	unsigned char d[EVP_MAX_MD_SIZE];
	char digest[72] = "sha256:";
	cleanup_fd int fd = -1;
	int rc;

	if (!layer_find(chain_id, &info))
		return err_kind(err, ERR_NOT_FOUND, "no such layer: %s", chain_id);
	fd = openat(store.dir_fd, hex_of(chain_id), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open layer %s", chain_id);
	x.md = EVP_MD_CTX_new();
	if (!x.md || !EVP_DigestInit_ex(x.md, EVP_sha256(), NULL))
		abort();
	rc = split_replay(fd, export_some, &x, err);
	EVP_DigestFinal_ex(x.md, d, NULL);
	EVP_MD_CTX_free(x.md);
	if (rc < 0)
		return rc;
	hex_encode(digest + 7, d, 32);
	if (!str_eq(digest, info.diff_id))
		return err_kind(err, ERR_SYSTEM, "layer %s is damaged: it has digest %s", info.diff_id,
				digest);
	return 0;
}

/* layer_copy: one thread replays into a pipe, this one adds what comes. */
struct copy {
	char chain_id[72];
	int fd;
	int rc;
	struct err err;
};

static void *copy_main(void *arg)
{
	struct copy *c = arg;

	c->rc = layer_export(c->chain_id, tar_write_to_fd, &c->fd, &c->err);
	close(c->fd);
	return NULL;
}

static ssize_t read_pipe(void *arg, void *p, size_t len)
{
	ssize_t n;

	do
		n = read(*(int *)arg, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int layer_copy(const char *diff_id, const char *parent_chain, struct layer_info *out, struct err *err)
{
	struct layer_info info;
	struct copy c = { .fd = -1 };
	cleanup_fd int r = -1;
	pthread_t t;
	int pair[2], rc;

	layer_chain_id(parent_chain, diff_id, info.chain_id);
	if (layer_find(info.chain_id, out))
		return 0;
	if (!layer_find_diff(diff_id, &info))
		return err_kind(err, ERR_NOT_FOUND, "no such layer: %s", diff_id);
	str_copy(c.chain_id, sizeof(c.chain_id), info.chain_id);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	r = pair[0];
	c.fd = pair[1];
	if ((rc = pthread_create(&t, NULL, copy_main, &c)) != 0) {
		close(c.fd);
		return err_sysnum(err, rc, "start a thread");
	}
	rc = layer_add(read_pipe, &r, parent_chain, diff_id, out, err);
	close(take_fd(&r)); /* a writer that waits must not wait for ever */
	pthread_join(t, NULL);
	if (rc < 0 && c.rc < 0 && c.rc != -EPIPE)
		*err = c.err;
	return rc;
}

/* ---------------------------------------------------------------- removal */

int64_t layer_collect(void)
{
	struct layer *gone[64];
	int64_t freed = 0;
	size_t n;

	do {
		struct map_iter it = { 0 };
		const char *key;
		void *value;

		n = 0;
		pthread_mutex_lock(&store.lock);
		while (!store.holds && n < ARRAY_SIZE(gone) &&
		       map_next(&store.by_chain, &it, &key, &value)) {
			struct layer *l = value;
			char name[80];

			if (l->refs)
				continue;
			/* renamed under the lock: the same layer may be added again at once */
			snprintf(name, sizeof(name), "rm-%s", hex_of(l->chain_id));
			if (renameat(store.dir_fd, hex_of(l->chain_id), store.tmp_fd, name) < 0 &&
			    errno != ENOENT) {
				log_warn("layer not moved away", "layer=%s errno=%d", l->chain_id,
					 errno);
				continue;
			}
			gone[n++] = l;
			map_del(&store.by_chain, key);
		}
		pthread_mutex_unlock(&store.lock);
		for (size_t i = 0; i < n; i++) {
			char name[80];

			snprintf(name, sizeof(name), "rm-%s", hex_of(gone[i]->chain_id));
			remove_tmp(name);
			freed += gone[i]->size;
			free(gone[i]);
		}
	} while (n == ARRAY_SIZE(gone));
	return freed;
}

void layer_hold(void)
{
	pthread_mutex_lock(&store.lock);
	store.holds++;
	pthread_mutex_unlock(&store.lock);
}

void layer_release(void)
{
	bool last;

	pthread_mutex_lock(&store.lock);
	last = --store.holds == 0;
	pthread_mutex_unlock(&store.lock);
	if (last)
		layer_collect();
}

/* ---------------------------------------------------------------- start */

static bool marker_of_other_boot(const char *hex)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	char path[96];

	snprintf(path, sizeof(path), "%.64s/unsynced", hex);
	if (fs_read_fileat(store.dir_fd, path, 64, &b, &ignored) < 0)
		return false;
	return !str_eq(buf_str(&b), store.boot_id);
}

static int load_layer(const char *hex, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct layer *l;
	char path[96];
	int rc;

	snprintf(path, sizeof(path), "%.64s/layer.json", hex);
	if ((rc = fs_read_fileat(store.dir_fd, path, 1 << 20, &b, err)) < 0 ||
	    (rc = jparse(b.p, b.len, &o, err)) < 0)
		return rc;
	l = xcalloc(1, sizeof(*l));
	str_copy(l->diff_id, sizeof(l->diff_id), jget_str(o, "diff_id", ""));
	str_copy(l->parent, sizeof(l->parent), jget_str(o, "parent", ""));
	l->size = jget_int(o, "size", 0);
	l->tar_bytes = jget_int(o, "tar_bytes", -1);
	l->n_whiteouts = (uint64_t)jget_int(o, "n_whiteouts", 0);
	layer_chain_id(l->parent, l->diff_id, l->chain_id);
	if (strlen(l->diff_id) != 71 || !str_eq(hex_of(l->chain_id), hex)) {
		free(l);
		return err_kind(err, ERR_SYSTEM, "its facts are of another layer");
	}
	map_set(&store.by_chain, hex, l);
	return 0;
}

static int load_all(struct err *err)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	bool unsynced = false;
	int fd = openat(store.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !(d = fdopendir(fd)))
		return err_sys(err, "open %s/layers/sha256", engine->paths.lib);
	while ((e = readdir(d))) {
		struct err why = { 0 };
		int rc;

		if (strlen(e->d_name) != 64 || !is_hex(e->d_name, 64))
			continue;
		rc = load_layer(e->d_name, &why);
		if (rc == 0 && marker_of_other_boot(e->d_name)) {
			struct layer *l = map_get(&store.by_chain, e->d_name);

			unsynced = true;
			if (layer_export(l->chain_id, NULL, NULL, &why) < 0) {
				rc = -EIO;
				free(map_del(&store.by_chain, e->d_name));
			}
		}
		if (rc < 0) {
			log_warn("layer dropped", "layer=%s why=%s", e->d_name, log_q(why.msg));
			fs_remove_tree(store.dir_fd, e->d_name, &why);
		}
	}
	if (unsynced)
		sync_soon();
	return 0;
}

/* Nobody writes into it any more, or not for long. */
static void await_release(const char *name)
{
	cleanup_fd int fd = openat(store.tmp_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int64_t deadline = mono_ns() + RELEASE_NS;

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || mono_ns() > deadline) {
			log_warn("a temporary layer is still written", "name=%s errno=%d", name, errno);
			return;
		}
		usleep(2000);
	}
}

static int sweep_tmp(struct err *err)
{
	cleanup_dir DIR *d = NULL;
	struct dirent *e;
	int fd = openat(store.tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !(d = fdopendir(fd)))
		return err_sys(err, "open %s/layers/tmp", engine->paths.lib);
	while ((e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		await_release(e->d_name);
		remove_tmp(e->d_name);
	}
	return 0;
}

static int open_dir(const char *rest, int *out, struct err *err)
{
	char path[700];
	int rc;

	snprintf(path, sizeof(path), "%s/layers/%s", engine->paths.lib, rest);
	if ((rc = fs_mkdir_p(path, 0700, err)) < 0)
		return rc;
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? err_sys(err, "open %s", path) : 0;
}

int layer_init(struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	int rc;

	map_init(&store.by_chain);
	if (fs_read_file("/proc/sys/kernel/random/boot_id", 64, &b, &ignored) == 0)
		str_copy(store.boot_id, 37, b.p);
	if ((rc = open_dir("sha256", &store.dir_fd, err)) < 0 ||
	    (rc = open_dir("tmp", &store.tmp_fd, err)) < 0 || (rc = sweep_tmp(err)) < 0)
		return rc;
	return load_all(err);
}
