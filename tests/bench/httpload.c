/* SPDX-License-Identifier: MPL-2.0
 *
 * httpload.c - keep-alive GETs on a unix socket: requests per second.
 *
 *	httpload SOCKET PATH CONNECTIONS SECONDS
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct conn {
	int fd;
	size_t len;
	char buf[65536];
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Length of one whole response at the head of buf, 0 when it is not there yet. */
static size_t response_len(struct conn *c)
{
	char *end, *cl;

	c->buf[c->len] = '\0';
	end = strstr(c->buf, "\r\n\r\n");
	if (!end)
		return 0;
	cl = strcasestr(c->buf, "\r\ncontent-length:");
	if (!cl || cl > end) {
		end = strstr(end, "\r\n0\r\n\r\n");
		return end ? (size_t)(end + 7 - c->buf) : 0;
	}
	return (size_t)(end + 4 - c->buf) + strtoul(cl + 17, NULL, 10);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	unsigned long done = 0;
	struct pollfd *pfd;
	struct conn *conns;
	char req[1024];
	double t0, secs;
	size_t n;
	int i, k, req_len;

	if (argc != 5)
		return 2;
	k = (int)strtol(argv[3], NULL, 10);
	secs = strtod(argv[4], NULL);
	if (k < 1 || k > 256 || strlen(argv[1]) >= sizeof(sa.sun_path))
		return 2;
	memcpy(sa.sun_path, argv[1], strlen(argv[1]));
	req_len = snprintf(req, sizeof(req), "GET %s HTTP/1.1\r\nHost: d\r\n\r\n", argv[2]);
	conns = calloc((size_t)k, sizeof(*conns));
	pfd = calloc((size_t)k, sizeof(*pfd));
	if (!conns || !pfd)
		return 2;
	for (i = 0; i < k; i++) {
		conns[i].fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(conns[i].fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || write(conns[i].fd, req, (size_t)req_len) < 0) {
			perror("connect");
			return 1;
		}
		pfd[i].fd = conns[i].fd;
		pfd[i].events = POLLIN;
	}
	t0 = now();
	while (now() - t0 < secs) {
		if (poll(pfd, (nfds_t)k, 100) < 0)
			return 1;
		for (i = 0; i < k; i++) {
			struct conn *c = &conns[i];
			ssize_t r;

			if (!pfd[i].revents)
				continue;
			r = read(c->fd, c->buf + c->len, sizeof(c->buf) - 1 - c->len);
			if (r <= 0) {
				fprintf(stderr, "connection ended\n");
				return 1;
			}
			c->len += (size_t)r;
			n = response_len(c);
			if (n && c->len >= n) {
				if (strncmp(c->buf, "HTTP/1.1 200", 12) != 0)
					return 1;
				done++;
				c->len = 0;
				if (write(c->fd, req, (size_t)req_len) < 0)
					return 1;
			}
		}
	}
	printf("%.0f\n", (double)done / (now() - t0));
	return 0;
}
