/* SPDX-License-Identifier: MPL-2.0
 *
 * seccomp_filter.c - see seccomp_filter.h: a profile in Docker's JSON, with its conditions on
 * capabilities, architecture and kernel, to BPF.
 *
 * Design. Compiling takes libseccomp about 9 ms, half of what creating a zone costs, and gives the
 * same bytes each time: so they are kept, by a hash of the profile, the capabilities and the
 * versions that matter, in memory and in <lib>/seccomp/<hash>.bpf. The default profile's file is
 * read again when its stat changes.
 *
 * Hostile profiles are bounded: size, depth, rules, and the size of the filter that comes out.
 *
 * Threads. Any; one lock around the cache, none held while compiling (twice the same work does no
 * harm).
 */
#define LOG_MODULE "seccomp"
#include "seccomp_filter.h"

#include <ctype.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "map.h"
#include "oci_priv.h"
#include "seccomp_rules.h"
#include "str.h"

#define PROFILE_MAX (1 << 20)
#define BPF_MAX	    (4096 * 8) /* the kernel's BPF_MAXINSNS */
#define CACHE_MAX   256
#define KEY_SIZE    65

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map cache; /* key to base64 text */
static struct {
	struct timespec mtime;
	off_t size;
	ino_t ino;
	char hash[KEY_SIZE];
} def; /* the default profile, as last read */

static int sha256_hex(const void *p, size_t len, char hex[KEY_SIZE], struct err *err)
{
	unsigned char md[32];
	unsigned n = 0;

	if (!EVP_Digest(p, len, md, &n, EVP_sha256(), NULL) || n != 32)
		return err_kind(err, ERR_SYSTEM, "hash the seccomp profile");
	hex_encode(hex, md, 32);
	return 0;
}

/* Profile hash, capabilities, kernel (minKernel), libseccomp: what the bytes depend on. */
static int cache_key(const char *profile_hash, uint64_t caps, char key[KEY_SIZE], struct err *err)
{
	const struct scmp_version *v = seccomp_version();
	struct utsname u;
	char text[512];
	int n;

	if (uname(&u) < 0)
		return err_sys(err, "uname");
	n = str_fmt(text, sizeof(text), "1 %s %llx %s %.64s %u.%u.%u", profile_hash,
		    (unsigned long long)caps, u.machine, u.release, v ? v->major : 0,
		    v ? v->minor : 0, v ? v->micro : 0);
	if (n < 0)
		return err_sysnum(err, n, "seccomp cache key");
	return sha256_hex(text, (size_t)n, key, err);
}

static bool cache_get(const char *key, struct buf *out)
{
	const char *hit;

	pthread_mutex_lock(&lock);
	hit = cache.slots ? map_get(&cache, key) : NULL;
	if (hit)
		buf_addstr(out, hit);
	pthread_mutex_unlock(&lock);
	return hit != NULL;
}

static void cache_put(const char *key, const char *b64)
{
	pthread_mutex_lock(&lock);
	if (cache.slots && cache.len >= CACHE_MAX)
		map_fini(&cache, free);
	if (!cache.slots || cache.len == 0)
		map_init(&cache);
	free(map_set(&cache, key, xstrdup(b64)));
	pthread_mutex_unlock(&lock);
}

static char *to_base64(const struct buf *bpf)
{
	char *out = xmalloc((bpf->len + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)bpf->p, (int)bpf->len);
	return out;
}

static int export_bpf(scmp_filter_ctx ctx, struct buf *bpf, struct err *err)
{
	cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	char chunk[4096];
	ssize_t n;
	int rc;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	if ((rc = seccomp_export_bpf(ctx, fd)) < 0)
		return err_sysnum(err, rc, "compile the seccomp profile");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "read the seccomp filter");
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(bpf, chunk, (size_t)n);
	if (n < 0)
		return err_sys(err, "read the seccomp filter");
	if (bpf->len == 0 || bpf->len > BPF_MAX)
		return err_kind(
			err, ERR_BAD_PARAM,
			"seccomp profile gives a filter of %zu bytes, more than the kernel's %d",
			bpf->len, BPF_MAX);
	return 0;
}

static int compile(const char *text, size_t len, uint64_t caps, struct buf *bpf, struct err *err)
{
	cleanup_json json_t *profile = NULL;
	scmp_filter_ctx ctx = NULL;
	int rc;

	if ((rc = jparse(text, len, &profile, err)) < 0)
		return err_wrap(err, rc, "Decoding seccomp profile failed");
	rc = seccomp_rules_load(profile, caps, &ctx, err);
	if (rc == 0)
		rc = export_bpf(ctx, bpf, err);
	if (ctx)
		seccomp_release(ctx);
	return rc;
}

static void disk_path(const char *key, char *out, size_t size)
{
	snprintf(out, size, "%s/seccomp/%.64s.bpf", engine->paths.lib, key);
}

static bool disk_get(const char *key, struct buf *bpf)
{
	struct err ignored = { 0 };
	char path[1024];

	disk_path(key, path, sizeof(path));
	return fs_read_file(path, BPF_MAX, bpf, &ignored) >= 0 && bpf->len > 0 && bpf->len % 8 == 0;
}

static void disk_put(const char *key, const struct buf *bpf)
{
	struct err e = { 0 };
	char path[1024];

	snprintf(path, sizeof(path), "%s/seccomp", engine->paths.lib);
	if (fs_mkdir_p(path, 0700, &e) < 0) {
		log_warn("seccomp cache", "error=%s", log_q(e.msg));
		return;
	}
	disk_path(key, path, sizeof(path));
	if (fs_write_atomic(path, bpf->p, bpf->len, 0600, &e) < 0)
		log_warn("seccomp cache", "error=%s", log_q(e.msg));
}

/* text may be NULL when only the hash is known: then it is the default profile's, in path. */
static int filter(const char *hash, const char *text, size_t len, const char *path, uint64_t caps,
		  struct buf *out, struct err *err)
{
	cleanup_buf struct buf bpf = BUF_INIT;
	cleanup_buf struct buf file = BUF_INIT;
	cleanup_free char *b64 = NULL;
	char key[KEY_SIZE];
	int rc;

	if ((rc = cache_key(hash, caps, key, err)) < 0)
		return rc;
	if (cache_get(key, out))
		return 0;
	if (!disk_get(key, &bpf)) {
		buf_reset(&bpf);
		if (!text) {
			if ((rc = fs_read_file(path, PROFILE_MAX, &file, err)) < 0)
				return rc;
			text = buf_str(&file);
			len = file.len;
		}
		if ((rc = compile(text, len, caps, &bpf, err)) < 0)
			return rc;
		disk_put(key, &bpf);
	}
	b64 = to_base64(&bpf);
	cache_put(key, b64);
	buf_addstr(out, b64);
	return 0;
}

static int default_hash(const char *path, char hash[KEY_SIZE], struct err *err)
{
	cleanup_buf struct buf file = BUF_INIT;
	struct stat st;
	bool same;
	int rc;

	if (stat(path, &st) < 0)
		return err_sys(err, "default seccomp profile %s", path);
	pthread_mutex_lock(&lock);
	same = def.hash[0] && def.size == st.st_size && def.ino == st.st_ino &&
	       def.mtime.tv_sec == st.st_mtim.tv_sec && def.mtime.tv_nsec == st.st_mtim.tv_nsec;
	if (same)
		memcpy(hash, def.hash, KEY_SIZE);
	pthread_mutex_unlock(&lock);
	if (same)
		return 0;
	if ((rc = fs_read_file(path, PROFILE_MAX, &file, err)) < 0 ||
	    (rc = sha256_hex(buf_str(&file), file.len, hash, err)) < 0)
		return rc;
	pthread_mutex_lock(&lock);
	def.mtime = st.st_mtim;
	def.size = st.st_size;
	def.ino = st.st_ino;
	memcpy(def.hash, hash, KEY_SIZE);
	pthread_mutex_unlock(&lock);
	return 0;
}

int seccomp_filter_b64(const char *profile, uint64_t caps, struct buf *out, struct err *err)
{
	const char *path = oci_conf("seccomp-profile", "/usr/share/containers/seccomp.json");
	char hash[KEY_SIZE];
	size_t len;
	int rc;

	if (profile) {
		len = strlen(profile);
		if (len > PROFILE_MAX)
			return err_kind(err, ERR_BAD_PARAM,
					"seccomp profile is larger than %d bytes", PROFILE_MAX);
		if ((rc = sha256_hex(profile, len, hash, err)) < 0)
			return rc;
		return filter(hash, profile, len, NULL, caps, out, err);
	}
	if (str_eq(path, "unconfined"))
		return 0;
	if (str_eq(path, "builtin"))
		path = "/usr/share/containers/seccomp.json";
	if ((rc = default_hash(path, hash, err)) < 0)
		return rc;
	return filter(hash, NULL, 0, path, caps, out, err);
}
