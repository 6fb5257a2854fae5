/* SPDX-License-Identifier: MPL-2.0
 *
 * logsink.c - a sink that checks what a log driver sends, at the cost of a few ten nanoseconds a line.
 *
 *	logsink tcp|udp PORT nl|nul|fluentd|count LINES
 *
 * The messages carry the lines of loggen, numbered from 1: each number's bit is set. When all LINES are there, or
 * none has come for IDLE_MS after the first, it prints
 *
 *	MESSAGES DIFFERENT_LINES REPEATED DISORDERED SECONDS
 *
 * (the seconds from the first to the last) and goes on reading until it is killed: a sink that hangs up at the last
 * line is one that may not have read it. Any number of connections.
 *
 *	nl	a line with its number 99 bytes before the newline (syslog)
 *	nul	a JSON text with the number after "short_message":" (gelf)
 *	fluentd	msgpack with the number in the string after the key "log"
 *	count	datagrams, which are not looked into (compressed)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS	   10000
#define GRAMS	   256
#define GRAM_BYTES 2048
#define BUF_BYTES  (1 << 20)
#define LINE_BYTES 99 /* of loggen's, without the newline */

struct conn {
	int fd;
	size_t have;
	char buf[BUF_BYTES];
};

/* Looks at whole messages in p: how many bytes they are. */
typedef size_t (*look_fn)(const char *p, size_t n);

static double first, last;
static unsigned long long messages, different, repeated, disordered, highest, wanted;
static unsigned char *seen;
static bool told;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void tell(void)
{
	if (told)
		return;
	told = true;
	printf("%llu %llu %llu %llu %.6f\n", messages, different, repeated, disordered, last - first);
	fflush(stdout);
}

static void saw(const char *digits)
{
	unsigned long long n = 0;

	messages++;
	for (int i = 0; i < 12; i++)
		n = n * 10 + (unsigned)(digits[i] - '0');
	if (n - 1 >= wanted)
		return; /* loggen's own, or not a number */
	if (seen[n >> 3] >> (n & 7) & 1) {
		repeated++;
		return;
	}
	seen[n >> 3] |= (unsigned char)(1u << (n & 7));
	different++;
	disordered += n < highest;
	if (n > highest)
		highest = n;
}

static size_t look_nl(const char *p, size_t n)
{
	const char *at = p, *end = p + n, *nl;

	for (; (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1)
		if (nl - at >= LINE_BYTES)
			saw(nl - LINE_BYTES);
	return (size_t)(at - p);
}

static size_t look_nul(const char *p, size_t n)
{
	static const char key[] = "\"short_message\":\"";
	const char *at = p, *end = p + n, *nul, *line;

	for (; (nul = memchr(at, '\0', (size_t)(end - at))); at = nul + 1) {
		line = memmem(at, (size_t)(nul - at), key, sizeof(key) - 1);
		if (line && nul - line > LINE_BYTES)
			saw(line + sizeof(key) - 1);
	}
	return (size_t)(at - p);
}

static size_t look_fluentd(const char *p, size_t n)
{
	static const char key[] = "\xa3log\xd9\x63"; /* and a string of 99 bytes */
	const size_t key_len = sizeof(key) - 1;
	const char *at = p, *end = p + n, *hit;

	while ((hit = memmem(at, (size_t)(end - at), key, key_len)) && end - hit >= (ptrdiff_t)key_len + LINE_BYTES) {
		at = hit + key_len + LINE_BYTES;
		saw(hit + key_len);
	}
	if (hit)
		return (size_t)(hit - p);
	return (size_t)((size_t)(end - at) < key_len ? at - p : end - p - (ptrdiff_t)key_len + 1);
}

static size_t look_count(const char *p, size_t n)
{
	(void)p;
	different++;
	messages++;
	return n;
}

static int usage(void)
{
	fputs("usage: logsink tcp|udp PORT nl|nul|fluentd|count LINES\n", stderr);
	return 2;
}

static look_fn look_of(const char *name)
{
	return !strcmp(name, "nl")	  ? look_nl
	       : !strcmp(name, "nul")	  ? look_nul
	       : !strcmp(name, "fluentd") ? look_fluentd
	       : !strcmp(name, "count")	  ? look_count
					  : NULL;
}

static void progress(void)
{
	last = now();
	if (!first)
		first = last;
	if (different >= wanted)
		tell();
}

/* False: it has ended. */
static bool read_some(struct conn *c, look_fn look)
{
	ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, MSG_DONTWAIT);
	size_t used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	c->have += (size_t)n;
	used = look(c->buf, c->have);
	memmove(c->buf, c->buf + used, c->have - used);
	c->have -= used;
	progress();
	return true;
}

/* Datagrams end where they end: what follows is made to look so. */
static void read_grams(int fd, look_fn look)
{
	static char buf[GRAMS][GRAM_BYTES];
	static struct mmsghdr mm[GRAMS];
	static struct iovec iov[GRAMS];
	int n;

	for (int i = 0; i < GRAMS; i++) {
		iov[i] = (struct iovec){ buf[i], GRAM_BYTES - 1 };
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	n = recvmmsg(fd, mm, GRAMS, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		size_t len = mm[i].msg_len;

		if (look == look_nl && buf[i][len - 1] != '\n')
			buf[i][len++] = '\n';
		if (look == look_nul)
			buf[i][len++] = '\0';
		look(buf[i], len);
	}
	if (n > 0)
		progress();
}

static int open_socket(int type, unsigned long port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((unsigned short)port) };
	int fd = socket(AF_INET, type, 0), size = 64 << 20, one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0)) {
		perror("bind");
		exit(1);
	}
	return fd;
}

static void watch(int ep, int fd, void *conn)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = conn };

	if (fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		exit(1);
}

static void accept_one(int ep, int fd)
{
	struct conn *c = malloc(sizeof(*c));

	c->have = 0;
	c->fd = accept(fd, NULL, NULL);
	watch(ep, c->fd, c);
}

int main(int argc, char **argv)
{
	int fd, ep = epoll_create1(0);
	look_fn look;
	bool udp;

	if (argc != 5 || !(look = look_of(argv[3])))
		return usage();
	udp = !strcmp(argv[1], "udp");
	wanted = strtoull(argv[4], NULL, 10);
	seen = calloc(wanted / 8 + 1, 1);
	fd = open_socket(udp ? SOCK_DGRAM : SOCK_STREAM, strtoul(argv[2], NULL, 10));
	watch(ep, fd, NULL);
	for (;;) {
		struct epoll_event ev[16];
		int n = epoll_wait(ep, ev, 16, first ? IDLE_MS : -1);

		if (n == 0)
			tell();
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (!c && udp) {
				read_grams(fd, look);
			} else if (!c) {
				accept_one(ep, fd);
			} else if (!read_some(c, look)) {
				close(c->fd);
				free(c);
			}
		}
	}
}
