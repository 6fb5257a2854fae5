/* SPDX-License-Identifier: MPL-2.0
 *
 * logsink.c - a sink that counts what a log driver sends, as cheaply as it can be counted.
 *
 *	logsink tcp|udp PORT nl|nul|fluentd LINES
 *
 * Ends after LINES messages, or when none has come for 3 seconds after the first. Prints how many came and the
 * seconds from the first to the last. nl and nul count the byte that ends a message, fluentd the key "source"
 * that each record has; a datagram is a message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS 3000
#define GRAMS	256

static double first, last;
static unsigned long long lines, wanted;
static char buf[1 << 20];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void saw(unsigned long long n)
{
	last = now();
	if (!lines)
		first = last;
	lines += n;
}

static unsigned long long count_byte(const char *p, size_t n, char c)
{
	unsigned long long k = 0;

	for (size_t i = 0; i < n; i++) /* the compiler makes vectors of it */
		k += p[i] == c;
	return k;
}

/* The key as msgpack has it; keep: a part of one at the end of p. */
static unsigned long long count_key(const char *p, size_t n, size_t *keep)
{
	static const char key[] = "\xa6source";
	const char *end = p + n, *at = p;
	unsigned long long k = 0;

	while ((at = memmem(at, (size_t)(end - at), key, sizeof(key) - 1))) {
		at += sizeof(key) - 1;
		p = at;
		k++;
	}
	*keep = (size_t)(end - p) < sizeof(key) - 2 ? (size_t)(end - p) : sizeof(key) - 2;
	return k;
}

static void stream(int fd, const char *mark)
{
	size_t keep = 0;
	ssize_t n;

	while (lines < wanted && (n = recv(fd, buf + keep, sizeof(buf) - keep, 0)) > 0) {
		if (!strcmp(mark, "fluentd")) {
			size_t len = keep + (size_t)n;

			saw(count_key(buf, len, &keep));
			memmove(buf, buf + len - keep, keep);
		} else {
			saw(count_byte(buf, (size_t)n, mark[1] == 'u' ? '\0' : '\n'));
		}
	}
}

static void grams(int fd)
{
	static struct mmsghdr mm[GRAMS];
	static struct iovec iov[GRAMS];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int i, n;

	for (i = 0; i < GRAMS; i++) {
		iov[i] = (struct iovec){ buf + i * 2048, 2048 };
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (lines < wanted && poll(&pfd, 1, lines ? IDLE_MS : -1) > 0) {
		n = recvmmsg(fd, mm, GRAMS, MSG_DONTWAIT, NULL);
		if (n > 0)
			saw((unsigned)n);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval idle = { .tv_sec = IDLE_MS / 1000 };
	int udp, fd, size = 64 << 20, one = 1;

	if (argc != 5)
		return 2;
	udp = !strcmp(argv[1], "udp");
	sa.sin_port = htons((unsigned short)strtoul(argv[2], NULL, 10));
	wanted = strtoull(argv[4], NULL, 10);
	fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (udp)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || (!udp && listen(fd, 4) < 0)) {
		perror("bind");
		return 1;
	}
	if (udp) {
		grams(fd);
	} else {
		fd = accept(fd, NULL, NULL);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
		stream(fd, argv[3]);
	}
	printf("%llu %.6f\n", lines, last - first);
	return 0;
}
