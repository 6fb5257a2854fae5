/* SPDX-License-Identifier: MPL-2.0
 *
 * archive_child.c - starts archivers and speaks to them. What they answer is of a process that reads what a server says: it is
 * checked as anything from outside.
 */
#include "archive_child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "cleanup.h"
#include "frame.h"
#include "log_store.h"
#include "str.h"

#define SEND_MS 1000

int archive_child_start(const struct conf *conf, struct err *err)
{
	struct log_store_settings s;
	struct log_store checked;
	char fd_text[16];
	int sv[2], rc;
	pid_t pid;

	log_store_settings_of_conf(conf, &s);
	if ((rc = log_store_parse(&s, &checked, err)) < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return err_sys(err, "socketpair");
	snprintf(fd_text, sizeof(fd_text), "%d", sv[1]);
	char *argv[] = { (char[]){ "archiver" }, (char[]){ "--sock-fd" }, fd_text,
			 (char[]){ "--type" },	 (char *)(uintptr_t)s.type,
			 (char[]){ "--url" },	 (char *)(uintptr_t)s.url,
			 (char[]){ "--bucket" }, (char *)(uintptr_t)s.bucket,
			 (char[]){ "--style" },	 (char *)(uintptr_t)s.style,
			 (char[]){ "--region" }, (char *)(uintptr_t)s.region,
			 (char[]){ "--key" },	 (char *)(uintptr_t)conf_str(conf, "log-archive-key"),
			 (char[]){ "--ca" },	 (char *)(uintptr_t)conf_str(conf, "log-archive-ca"), NULL };
	pid = child_spawn(argv, sv[1]);
	close(sv[1]);
	if (pid < 0) {
		close(sv[0]);
		return err_sysnum(err, (int)-pid, "start the archiver");
	}
	return sv[0];
}

int archive_child_order(int sock, struct archiver_order *o, int fd, struct err *err)
{
	int rc;

	o->magic = ARCHIVER_MAGIC;
	rc = frame_send(sock, o, sizeof(*o), &fd, 1, SEND_MS);
	return rc < 0 ? err_sysnum(err, rc, "ask the archiver") : 0;
}

int archive_child_answer(int sock, struct archiver_answer *a)
{
	cleanup_frame struct frame f = FRAME_INIT;
	int rc = frame_recv(sock, &f, 0);

	if (rc == -EAGAIN)
		return 0;
	if (rc <= 0)
		return rc < 0 ? rc : -EPIPE;
	if (f.data.len != sizeof(*a))
		return -EBADMSG;
	memcpy(a, f.data.p, sizeof(*a));
	if (a->magic != ARCHIVER_MAGIC)
		return -EBADMSG;
	a->text[sizeof(a->text) - 1] = a->sha256[sizeof(a->sha256) - 1] = '\0';
	for (char *p = a->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (a->rc == 0 && (a->size < 0 || a->bytes < 0))
		return -EBADMSG;
	return 1;
}
