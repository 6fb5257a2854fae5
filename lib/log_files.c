/* SPDX-License-Identifier: MPL-2.0
 *
 * log_files.c - see log_files.h.
 *
 * A user chooses log options, and the engine is root: without these two fences an option would read any file of the
 * host, or speak to any of its sockets. They are asked when a container is created and again by each logger.
 */
#include "log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"
#include "str.h"

#define PEM_MAX (1024 * 1024)

/* What value names relative to dir; NULL: it is outside. */
static const char *below(const char *dir, const char *value)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (value[0] == '/') {
		if (strncmp(value, dir, n) != 0 || value[n] != '/')
			return NULL;
		value += n;
	}
	value += strspn(value, "/");
	return *value ? value : NULL;
}

static int read_all(int fd, struct buf *out)
{
	char block[8192];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (out->len + (size_t)n > PEM_MAX)
			return -EFBIG;
		buf_add(out, block, (size_t)n);
	}
	return 0;
}

int log_tls_read(const char *dir, const char *option, const char *value, struct buf *out, struct err *err)
{
	cleanup_fd int dir_fd = -1, fd = -1;
	const char *name = str_empty(dir) ? NULL : below(dir, value);
	struct stat sb;
	int rc;

	if (!name)
		return err_kind(err, ERR_BAD_PARAM, "%s: %s is not in the operator's folder for log drivers (log-tls-dir%s%s)", option,
				value, str_empty(dir) ? "" : ", ", dir ? dir : "");
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = dir_fd < 0 ? -errno : fs_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -EXDEV || fd == -ELOOP)
		return err_kind(err, ERR_BAD_PARAM, "%s: %s leads out of the operator's folder for log drivers (log-tls-dir, %s)",
				option, value, dir);
	if (fd < 0) { /* Docker's words for the first */
		const char *why = fd == -ENOENT ? "no such file or directory" : strerror(-fd);

		if (str_ends(option, "-ca-cert"))
			return err_kind(err, ERR_BAD_PARAM, "could not read CA certificate \"%s\": open %s: %s", value, value, why);
		return err_kind(err, ERR_BAD_PARAM, "%s: open %s: %s", option, value, why);
	}
	rc = fstat(fd, &sb) < 0 ? -errno : S_ISREG(sb.st_mode) ? read_all(fd, out) : -EINVAL;
	return rc < 0 ? err_kind(err, ERR_BAD_PARAM, "%s: read %s: %s", option, value, strerror(-rc)) : 0;
}

int log_unix_check(const char *allowed, const struct log_addr *addr, struct err *err)
{
	cleanup_strv char **list = NULL;
	struct stat sb;

	if (addr->kind != LOG_ADDR_UNIX && addr->kind != LOG_ADDR_UNIXGRAM)
		return 0;
	list = strv_split(allowed ? allowed : "", ',');
	for (char **p = list; *p; p++) {
		size_t len;

		memmove(*p, *p + strspn(*p, " \t"), strlen(*p + strspn(*p, " \t")) + 1);
		len = strlen(*p);
		while (len > 0 && strchr(" \t", (*p)[len - 1]))
			(*p)[--len] = '\0';
	}
	if (!strv_has(list, addr->host)) /* before a look: who may not use it is not told what is there */
		return err_kind(err, ERR_BAD_PARAM,
				"unix socket %s: sockets of the host's file system need the operator's consent (log-unix-sockets)", addr->host);
	if (stat(addr->host, &sb) < 0)
		return err_kind(err, ERR_BAD_PARAM, "stat %s: %s", addr->host,
				errno == ENOENT ? "no such file or directory" : strerror(errno));
	return 0;
}
