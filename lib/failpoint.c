/* SPDX-License-Identifier: MPL-2.0
 *
 * failpoint.c - named fault points, in test builds only.
 */
#include "failpoint.h"

#ifdef FAILPOINTS
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_POINTS 16

static struct point {
	char name[64];
	int after; /* passes that still go unharmed */
	bool kill;
} points[MAX_POINTS];
static int n_points;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void parse_one(const char *s, size_t len)
{
	const char *eq = memchr(s, '=', len);
	struct point *p = &points[n_points];
	char *star;
	char action[32];
	size_t n;

	if (!eq || n_points == MAX_POINTS || (size_t)(eq - s) >= sizeof(p->name))
		return;
	memcpy(p->name, s, eq - s);
	n = len - (eq - s) - 1;
	if (n >= sizeof(action))
		return;
	memcpy(action, eq + 1, n);
	action[n] = '\0';
	star = strchr(action, '*');
	if (star)
		p->after = (int)strtol(action, NULL, 10) - 1;
	p->kill = !strcmp(star ? star + 1 : action, "kill");
	n_points++;
}

static void parse(void)
{
	const char *s = getenv("SDC_FAILPOINTS"), *end;

	while (s && *s) {
		end = strchrnul(s, ';');
		parse_one(s, end - s);
		s = *end ? end + 1 : end;
	}
}

bool failpoint(const char *name)
{
	bool hit = false, do_kill = false;
	int i;

	pthread_once(&once, parse);
	if (!n_points)
		return false;
	pthread_mutex_lock(&lock);
	for (i = 0; i < n_points; i++) {
		if (strcmp(points[i].name, name) != 0)
			continue;
		if (points[i].after > 0) {
			points[i].after--;
			continue;
		}
		hit = true;
		do_kill = points[i].kill;
	}
	pthread_mutex_unlock(&lock);
	if (do_kill)
		kill(getpid(), SIGKILL);
	return hit;
}

static _Atomic int64_t *clock_page;
static pthread_once_t clock_once = PTHREAD_ONCE_INIT;

static void map_clock(void)
{
	const char *path = getenv("SDC_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p = fd >= 0 ? mmap(NULL, sizeof(*clock_page), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (p != MAP_FAILED)
		clock_page = p;
	if (fd >= 0)
		close(fd);
}

int64_t failpoint_clock_ns(void)
{
	pthread_once(&clock_once, map_clock);
	return clock_page ? atomic_load(clock_page) : 0;
}
#endif
typedef int failpoint_not_empty; /* ISO C wants a declaration */
