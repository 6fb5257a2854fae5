/* SPDX-License-Identifier: MPL-2.0
 *
 * loggen.c - numbered lines at full speed or at a rate; static, so that it runs in an empty image.
 *
 *	loggen LINES LENGTH bulk|line [LINES_PER_SECOND]
 *
 * A line is a 12-digit number, a space, and filler up to LENGTH bytes, the newline included. bulk writes 64 KiB at once, line one line
 * a write. With a rate, line mode sleeps between lines. At the end a line with the number 0 tells how many seconds the writing took:
 * the rate at which lines are taken off our hands, without what starting and ending a container costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void put_all(const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(1, p, n);

		if (w < 0)
			exit(1);
		p += w;
		n -= (size_t)w;
	}
}

static void make_line(char *out, size_t len, unsigned long long n)
{
	int i;

	for (i = 11; i >= 0; i--, n /= 10)
		out[i] = (char)('0' + n % 10);
	out[12] = ' ';
	memset(out + 13, 'x', len - 14);
	out[len - 1] = '\n';
}

static void tell_seconds(size_t len, unsigned long long start_ns)
{
	static char line[65536];
	struct timespec ts;
	size_t n;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	n = (size_t)snprintf(line, sizeof(line), "%012d %.6f", 0,
			     (double)((unsigned long long)ts.tv_sec * 1000000000ULL + (unsigned long long)ts.tv_nsec - start_ns) / 1e9);
	for (; n < len - 1; n++)
		line[n] = ' ';
	line[n++] = '\n';
	put_all(line, n);
}

int main(int argc, char **argv)
{
	static char buf[1 << 17];
	unsigned long long n, i, start_ns, due;
	struct timespec ts, t0;
	double rate = 0;
	size_t len, used = 0;
	int bulk;

	if (argc < 4) {
		fprintf(stderr, "usage: loggen LINES LENGTH bulk|line [LINES_PER_SECOND]\n");
		return 2;
	}
	n = strtoull(argv[1], NULL, 10);
	len = strtoul(argv[2], NULL, 10);
	bulk = !strcmp(argv[3], "bulk");
	if (argc > 4)
		rate = strtod(argv[4], NULL);
	if (len < 15 || len > 65536)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	start_ns = (unsigned long long)t0.tv_sec * 1000000000ULL + (unsigned long long)t0.tv_nsec;
	for (i = 1; i <= n; i++) {
		make_line(buf + used, len, i);
		used += len;
		if (!bulk || used + len > 65536) {
			put_all(buf, used);
			used = 0;
		}
		if (rate > 0) {
			due = start_ns + (unsigned long long)((double)i * 1e9 / rate);
			ts.tv_sec = (time_t)(due / 1000000000ULL);
			ts.tv_nsec = (long)(due % 1000000000ULL);
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		}
	}
	put_all(buf, used);
	if (n)
		tell_seconds(len, start_ns);
	return 0;
}
