/* SPDX-License-Identifier: MPL-2.0
 *
 * listen.c - unix and TCP listeners, and sockets handed over by systemd.
 *
 * When descriptors run out, the one kept in reserve is given up for a moment to take and drop the
 * connection that waits: else the listener would stay readable and the loop would spin.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "cleanup.h"
#include "client.h"
#include "fs.h"
#include "str.h"
#include "tls.h"

#define LOG_MODULE "listen"
#include "log.h"

#define ACCEPT_BATCH 64
#define FIRST_FD     3 /* of LISTEN_FDS */

struct listener {
	uv_poll_t poll;
	int fd;
	bool tls, tcp;
	enum client_face face;
	char *unlink_path;
	struct listener *next;
};

static struct listener *listeners;
static int reserve_fd = -1;
static int n_claimed;

static void describe_peer(int fd, bool tcp, const struct sockaddr_storage *ss, char *out,
			  size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (!tcp) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
			cred = (struct ucred){ .uid = (uid_t)-1 }; /* nobody that we know */
		snprintf(out, size, "unix:pid=%d,uid=%u", cred.pid, cred.uid);
	} else if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)ss;

		inet_ntop(AF_INET, &a->sin_addr, ip, sizeof(ip));
		snprintf(out, size, "tcp:%s:%u", ip, ntohs(a->sin_port));
	} else {
		const struct sockaddr_in6 *a = (const void *)ss;

		inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof(ip));
		snprintf(out, size, "tcp:[%s]:%u", ip, ntohs(a->sin6_port));
	}
}

static void tune_tcp(int fd)
{
	int one = 1, idle_s = 30, interval_s = 10, count = 3;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void drop_one(int fd)
{
	static struct log_limit limit;
	unsigned suppressed;
	int conn;

	if (log_limit_ok(&limit, 5000, &suppressed))
		log_err("out of descriptors, a client was refused", "suppressed=%u", suppressed);
	if (reserve_fd >= 0)
		close(reserve_fd);
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn >= 0)
		close(conn);
	reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
	struct listener *l = handle->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof(ss);
		struct tls_conn *tls = NULL;
		char peer[80];
		int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			drop_one(l->fd);
		if (fd < 0)
			return;
		describe_peer(fd, l->tcp, &ss, peer, sizeof(peer));
		if (l->tcp)
			tune_tcp(fd);
		if (l->tls && !(tls = tls_new(fd))) {
			close(fd);
			continue;
		}
		client_open(fd, peer, tls, l->face);
	}
}

static int add(int fd, bool tcp, bool tls, enum client_face face, const char *unlink_path, struct err *err)
{
	struct listener *l = xcalloc(1, sizeof(*l));
	int rc = uv_poll_init(uv_default_loop(), &l->poll, fd);

	if (rc < 0) {
		free(l);
		close(fd);
		return err_sysnum(err, rc, "watch a listening socket");
	}
	if (reserve_fd < 0)
		reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->poll.data = l;
	l->fd = fd;
	l->tcp = tcp;
	l->tls = tls && tcp;
	l->face = face;
	l->unlink_path = xstrdup(unlink_path);
	l->next = listeners;
	listeners = l;
	uv_poll_start(&l->poll, UV_READABLE, on_connection);
	return 0;
}

/* Removes a socket file that nobody listens on. */
static int clear_socket_file(const char *path, const struct sockaddr_un *sa, struct err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_kind(err, ERR_CONFLICT, "%s exists and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
		return err_kind(err, ERR_CONFLICT, "another daemon listens on %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, "remove the old socket %s", path);
	return 0;
}

/* The API: for a group too; the rest is for us alone. */
static int open_unix(const char *path, const char *group, enum client_face face, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;
	struct group *gr;
	int rc;

	if (path[0] != '/' || str_fmt(sa.sun_path, sizeof(sa.sun_path), "%s", path) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"bad socket path (absolute, up to %zu bytes): %s",
				sizeof(sa.sun_path) - 1, path);
	if ((rc = clear_socket_file(path, &sa, err)) < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "make a socket");
	/* Only us until owner and mode are set: Linux takes the file's mode from the socket's
	 * inode. */
	fchmod(fd, 0600);
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "bind %s", path);
	gr = face != FACE_API || str_empty(group) ? NULL : getgrnam(group);
	if (gr && chown(path, 0, gr->gr_gid) < 0)
		log_warn("cannot give the socket to its group", "path=%s group=%s", log_q(path),
			 group);
	if (chmod(path, face != FACE_API ? 0600 : 0660) < 0)
		return err_sys(err, "set the mode of %s", path);
	if (listen(fd, SOMAXCONN) < 0)
		return err_sys(err, "listen on %s", path);
	return add(take_fd(&fd), false, false, face, path, err);
}

static int open_tcp(const char *addr, bool tls, enum client_face face, struct err *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *ai = NULL;
	const char *colon = strrchr(addr, ':');
	cleanup_free char *host = NULL;
	cleanup_fd int fd = -1;
	int rc, one = 1;

	if (!colon)
		return err_kind(err, ERR_BAD_PARAM, "tcp host without a port: %s", addr);
	host = xstrndup(addr, (size_t)(colon - addr));
	if (host[0] == '[' && str_ends(host, "]")) {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = '\0';
	}
	rc = getaddrinfo(*host ? host : "127.0.0.1", colon + 1, &hints, &ai);
	if (rc != 0)
		return err_kind(err, ERR_BAD_PARAM, "cannot resolve %s: %s", addr,
				gai_strerror(rc));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		rc = err_sys(err, "listen on tcp://%s", addr);
		freeaddrinfo(ai);
		return rc;
	}
	freeaddrinfo(ai);
	if (!tls && face == FACE_API)
		log_warn("listening on TCP without TLS: whoever reaches it is root here", "addr=%s",
			 addr);
	return add(take_fd(&fd), true, tls, face, NULL, err);
}

int listen_open(const char *host, const char *group, bool tls, struct err *err)
{
	if (str_starts(host, "unix://"))
		return open_unix(host + 7, group, FACE_API, err);
	if (str_starts(host, "tcp://"))
		return open_tcp(host + 6, tls, FACE_API, err);
	if (str_eq(host, "fd://"))
		return 0; /* listen_activated has them */
	return err_kind(err, ERR_BAD_PARAM, "bad host (unix:///path or tcp://ip:port): %s", host);
}

int listen_open_admin(const char *path, struct err *err)
{
	return open_unix(path, NULL, FACE_ADMIN, err);
}

int listen_open_metrics(const char *addr, struct err *err)
{
	if (str_starts(addr, "unix://"))
		return open_unix(addr + 7, NULL, FACE_METRICS, err);
	return open_tcp(str_starts(addr, "tcp://") ? addr + 6 : addr, false, FACE_METRICS, err);
}

void listen_claim(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int64_t n_pid, n;

	if (pid && fds && parse_i64(pid, 1, INT32_MAX, &n_pid) == 0 && n_pid == getpid() &&
	    parse_i64(fds, 0, 64, &n) == 0)
		n_claimed = (int)n;
	for (int fd = FIRST_FD; fd < FIRST_FD + n_claimed; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
}

int listen_activated(bool tls, struct err *err)
{
	for (int fd = FIRST_FD; fd < FIRST_FD + n_claimed; fd++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int rc;

		if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
			return err_sys(err, "LISTEN_FDS: descriptor %d", fd);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		if ((rc = add(fd, ss.ss_family != AF_UNIX, tls, FACE_API, NULL, err)) <
		    0)
			return rc;
	}
	return n_claimed;
}

static void on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	free(l->unlink_path);
	free(l);
}

void listen_close_all(void)
{
	struct listener *l, *next;

	for (l = listeners; l; l = next) {
		next = l->next;
		uv_poll_stop(&l->poll);
		uv_close((uv_handle_t *)&l->poll, on_closed);
		close(l->fd);
		if (l->unlink_path)
			unlink(l->unlink_path);
	}
	listeners = NULL;
	if (reserve_fd >= 0)
		close(reserve_fd);
	reserve_fd = -1;
}
