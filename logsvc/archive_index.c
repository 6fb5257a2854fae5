/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_index.c - the list of a zone's stored logs.
 *
 * Crash order: an entry is appended, by one write, and synced after the store has shown that it has the object and before the
 * file here may be removed. Dying before it: the file is uploaded again, under the same name with the same content. Dying in the
 * write: a torn line, which the next one is kept apart from by a newline, and the upload is done again.
 */
#define LOG_MODULE "archive_index"
#include "archive_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "failpoint.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "str.h"

#define LINE_MAX 1024
#define BLOCK	 32768
#define SIZE_MAX_SANE (1LL << 50)

static bool take_str(const json_t *o, const char *key, char *out, size_t size)
{
	const char *s = jget_str(o, key, "");

	return *s && strlen(s) < size && str_copy(out, size, s) > 0;
}

static int64_t take_time(const json_t *o, const char *key)
{
	const char *s = jget_str(o, key, "");
	int64_t ns;

	return *s && parse_rfc3339_ns(s, strlen(s), &ns) == 0 && ns > 0 ? ns : 0;
}

bool archive_index_parse(const char *line, size_t len, struct archive_entry *out)
{
	cleanup_json json_t *o = NULL;
	struct err ignored = { 0 };

	memset(out, 0, sizeof(*out));
	if (len > LINE_MAX || jparse(line, len, &o, &ignored) < 0 || !json_is_object(o))
		return false;
	out->size = jget_int(o, "size", -1);
	out->bytes = jget_int(o, "bytes", -1);
	out->first_ns = take_time(o, "first");
	out->last_ns = take_time(o, "last");
	return take_str(o, "name", out->name, sizeof(out->name)) && !strchr(out->name, '/') &&
	       take_str(o, "object", out->object, sizeof(out->object)) && out->object[0] == '/' &&
	       take_str(o, "sha256", out->sha256, sizeof(out->sha256)) && strlen(out->sha256) == 64 && is_hex(out->sha256, 64) &&
	       out->size > 0 && out->size < SIZE_MAX_SANE && out->bytes >= 0 && out->bytes < SIZE_MAX_SANE;
}

void archive_index_format(const struct archive_entry *e, struct buf *out)
{
	char time[RFC3339NANO_MAX];
	struct jw w = JW(out);

	jw_obj(&w, NULL);
	jw_str(&w, "name", e->name);
	jw_str(&w, "object", e->object);
	jw_int(&w, "size", e->size);
	jw_int(&w, "bytes", e->bytes);
	jw_str(&w, "sha256", e->sha256);
	if (e->first_ns) {
		fmt_rfc3339nano(time, e->first_ns);
		jw_str(&w, "first", time);
	}
	if (e->last_ns) {
		fmt_rfc3339nano(time, e->last_ns);
		jw_str(&w, "last", time);
	}
	jw_end(&w);
	buf_addch(out, '\n');
}

void archive_index_each(int dir_fd, archive_entry_fn *fn, void *arg)
{
	cleanup_fd int fd = openat(dir_fd, ARCHIVE_INDEX_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	cleanup_free char *block = NULL;
	struct archive_entry e;
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return;
	block = xmalloc(BLOCK);
	while ((n = read(fd, block + have, BLOCK - have)) > 0) {
		char *p = block, *nl;

		have += (size_t)n;
		while ((nl = memchr(p, '\n', have))) {
			if (archive_index_parse(p, (size_t)(nl - p), &e) && !fn(arg, &e))
				return;
			have -= (size_t)(nl + 1 - p);
			p = nl + 1;
		}
		if (have > LINE_MAX) /* damage without an end */
			have = 0;
		memmove(block, p, have);
	}
}

static int sync_dir(int dir_fd)
{
	cleanup_fd int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* dir_fd is a path only */

	return fd < 0 ? -1 : fsync(fd);
}

int archive_index_append(int dir_fd, const struct archive_entry *e, struct err *err)
{
	cleanup_fd int fd = openat(dir_fd, ARCHIVE_INDEX_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	cleanup_buf struct buf line = BUF_INIT;
	char last = '\n';
	struct stat sb;
	int rc;

	if (fd < 0 || fstat(fd, &sb) < 0)
		return err_sys(err, "open %s", ARCHIVE_INDEX_NAME);
	if (sb.st_size > 0 && pread(fd, &last, 1, sb.st_size - 1) == 1 && last != '\n')
		buf_addch(&line, '\n');
	archive_index_format(e, &line);
	(void)failpoint("index.before");
	if ((rc = fs_write_all(fd, line.p, line.len)) < 0) {
		(void)!ftruncate(fd, sb.st_size);
		return err_sysnum(err, rc, "write %s", ARCHIVE_INDEX_NAME);
	}
	if (fsync(fd) < 0 || (sb.st_size == 0 && sync_dir(dir_fd) < 0))
		return err_sys(err, "fsync %s", ARCHIVE_INDEX_NAME);
	(void)failpoint("index.after");
	return 0;
}
