/* SPDX-License-Identifier: MPL-2.0
 *
 * netns.c - one thread that visits network namespaces.
 *
 * setns() is per thread, and a worker that failed to come back would do other people's work in the
 * wrong network: so no worker ever leaves the host's namespace, and all visits are made by one
 * thread of our own, one at a time. A visit is two setns() (about 10 us); most only open a socket,
 * which stays in the namespace, and do the rest from outside. A thread that cannot get home again
 * ends the program: the zones do not notice, and a successor starts clean.
 */
#include "netns.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_MODULE "netns"
#include "log.h"
#include "thread.h"

struct visit {
	int netns_fd;
	int (*fn)(void *arg, struct err *err);
	void *arg;
	struct err *err;
	int rc;
	bool done;
	struct visit *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
static struct visit *queue, **queue_tail = &queue;
static int home_fd = -1;

static int visit_run(struct visit *v)
{
	int rc;

	if (setns(v->netns_fd, CLONE_NEWNET) < 0)
		return err_sys(v->err, "enter network namespace");
	rc = v->fn(v->arg, v->err);
	if (setns(home_fd, CLONE_NEWNET) < 0) {
		log_err("cannot return to the host's network namespace", "errno=%d", errno);
		abort();
	}
	return rc;
}

static void *thread_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct visit *v = queue;

		if (!v) {
			pthread_cond_wait(&work, &lock);
			continue;
		}
		queue = v->next;
		if (!queue)
			queue_tail = &queue;
		pthread_mutex_unlock(&lock);
		v->rc = visit_run(v);
		pthread_mutex_lock(&lock);
		v->done = true;
		pthread_cond_broadcast(&finished);
	}
	return NULL;
}

int netns_init(struct err *err)
{
	int rc;

	if (home_fd >= 0)
		return 0;
	home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_fd < 0)
		return err_sys(err, "open /proc/thread-self/ns/net");
	if ((rc = thread_start(NULL, 0, thread_main, NULL)) < 0)
		return err_sysnum(err, rc, "start the network namespace thread");
	return 0;
}

int netns_call(int netns_fd, int (*fn)(void *arg, struct err *err), void *arg, struct err *err)
{
	struct visit v = { .netns_fd = netns_fd, .fn = fn, .arg = arg, .err = err };

	pthread_mutex_lock(&lock);
	*queue_tail = &v;
	queue_tail = &v.next;
	pthread_cond_signal(&work);
	while (!v.done)
		pthread_cond_wait(&finished, &lock);
	pthread_mutex_unlock(&lock);
	return v.rc;
}

struct socket_args {
	int domain, type, protocol;
};

static int open_socket(void *arg, struct err *err)
{
	const struct socket_args *a = arg;
	int fd = socket(a->domain, a->type | SOCK_CLOEXEC, a->protocol);

	return fd < 0 ? err_sys(err, "open a socket in the container's network") : fd;
}

int netns_socket(int netns_fd, int domain, int type, int protocol, struct err *err)
{
	struct socket_args a = { .domain = domain, .type = type, .protocol = protocol };

	return netns_call(netns_fd, open_socket, &a, err);
}
