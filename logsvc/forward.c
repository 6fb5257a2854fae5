/* SPDX-License-Identifier: MPL-2.0
 *
 * forward.c - starts and watches the logger of a zone, and tells it how far the log may be read.
 *
 * Design. Capture knows nothing of loggers: a waiter on the zone's logset copies what is committed to a
 * page of shared memory and wakes the logger if that sleeps. All else is process keeping on the control
 * thread. A logger ends by itself when the zone has ended and all is delivered, or FORWARD_GRACE later; any
 * other end is followed by the next one, after a pause that doubles. Zombies are nobody's: SIGCHLD is ignored.
 *
 * States:	NONE --run--> ALIVE --it ends, the zone runs--> PAUSE --timer--> ALIVE
 *		  ^             |
 *		  +-------------+ it ends, and the zone has ended
 *
 * Invariants: the pages are mapped from forward_new to forward_free; set->forward points into one of
 * them and is cleared first.
 * Threads: control; on_wake runs on the capture thread under the set's lock.
 * Failure: when logsvc dies, loggers go on with what is committed; the next logsvc finds the lock on the
 * status page taken and keeps that logger. When a logger dies too it is started again in the network that
 * config.json names: apiserver keeps that for it (network_linger.c); once it has gone all the same the rest waits for the
 * container's next start.
 */
#define LOG_MODULE "forward"
#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "cleanup.h"
#include "cursor.h"
#include "forward_page.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "retention.h"
#include "str.h"

#define MS		1000000LL
#define TICK_NS		(1000 * MS)
#define WAIT_TICK_NS	(10 * MS)
#define PAUSE_MIN_NS	(250 * MS)
#define PAUSE_MAX_NS	(10000 * MS)
#define REPLACE_NS	(50 * MS)
#define GOOD_RUN_NS	(10000 * MS)
#define IMPATIENT_NS	(2000 * MS) /* a sink away for so long is not waited for */
#define CONFIG_MAX	(16 * 1024 * 1024)

struct waiting {
	struct waiting *next;
	int64_t until_ns;
	bool patient;
	bool connect; /* waits for the sink to be reached, else for it to have all */
	forward_done_fn *done;
	void *arg;
};

struct forward {
	struct loop *loop;
	const struct paths *paths;
	const struct conf *conf;
	struct logset *set;
	void (*on_idle)(void *owner);
	void (*on_dropped)(void *owner, uint64_t lines, uint64_t bytes);
	void *owner;
	struct log_waiter waiter;
	struct forward_commit *page;
	struct forward_status *status;
	int status_fd;
	int64_t max_backlog, grace_s;
	int netns_fd;	     /* -1: there is none any more */
	uint64_t logger_net; /* which network the logger is in */
	uint64_t drains;     /* of the set when the run began: one more is its end. Under the set's lock */
	int zone_pid;
	uint64_t conf_hash; /* of log.json as it is now */
	pid_t pid;
	struct source pidfd; /* fd -1: no logger */
	int64_t started_ns, pause_ns;
	uint64_t delivered; /* when the logger was started */
	bool pausing;
	struct timer tick;
	struct waiting *waiting;
	size_t passed; /* by the logger, when last looked */
};

/* ---- the pages -------------------------------------------------------------------------------- */

static void *map_page(const struct paths *paths, const char *uuid, const char *name, int *fd_out, struct err *err)
{
	cleanup_fd int fd = -1;
	char path[1024];
	struct stat sb;
	void *p;

	paths_zone_run(paths, uuid, name, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &sb) < 0 || (sb.st_size < FORWARD_PAGE && ftruncate(fd, FORWARD_PAGE) < 0)) {
		err_sys(err, "make %s", path);
		return NULL;
	}
	p = mmap(NULL, FORWARD_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_sys(err, "map %s", path);
		return NULL;
	}
	*fd_out = take_fd(&fd);
	return p;
}

static int map_pages(struct forward *f, struct err *err)
{
	int fd = -1;

	f->page = map_page(f->paths, f->set->uuid, FORWARD_COMMIT_NAME, &fd, err);
	if (!f->page)
		return err->code;
	close(fd);
	f->page->magic = FORWARD_COMMIT_MAGIC;
	f->status = map_page(f->paths, f->set->uuid, FORWARD_STATUS_NAME, &f->status_fd, err);
	if (!f->status)
		return err->code;
	f->status->magic = FORWARD_STATUS_MAGIC;
	return 0;
}

/* Where the last logger came to, for retention before the next one says it. */
static void seed_status(struct forward *f)
{
	cleanup_fd int fd = -1;
	struct cursor c;
	char path[1024];

	paths_zone(f->paths, f->set->uuid, "logs/" FORWARD_CURSOR_NAME, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !cursor_load(fd, &c))
		return;
	atomic_store(&f->status->saved_off, c.off);
	atomic_store(&f->status->saved_born_ns, c.born_ns);
	atomic_store(&f->status->saved_ino, c.ino);
	atomic_store(&f->status->sent_off, c.off);
	atomic_store(&f->status->sent_born_ns, c.born_ns);
	atomic_store(&f->status->sent_ino, c.ino);
	atomic_store(&f->status->sent_lines, c.delivered + c.dropped + 1);
	atomic_store(&f->status->dropped_bytes, c.dropped_bytes);
	atomic_store(&f->status->dropped, c.dropped);
}

static void wake_logger(struct forward_commit *page, const struct forward_status *status)
{
	atomic_fetch_add(&page->changes, 1);
	if (atomic_load(&status->waiting))
		(void)syscall(SYS_futex, &page->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void set_running(struct forward_commit *page, bool running)
{
	if (running)
		atomic_store(&page->ended_ns, 0);
	else if (!atomic_load(&page->ended_ns))
		atomic_store(&page->ended_ns, mono_ns());
	atomic_store(&page->running, running);
}

/* The zone's counter begins anew with its ring; the page's does not. */
static void add_lines(struct forward_commit *page, uint64_t now)
{
	uint64_t seen = atomic_load(&page->seen_lines);

	atomic_fetch_add(&page->lines, now >= seen ? now - seen : now);
	atomic_store(&page->seen_lines, now);
}

static void on_wake(struct log_waiter *w) /* under the set's lock */
{
	struct forward *f = container_of(w, struct forward, waiter);
	struct logset *set = f->set;

	if (set->live_ino) {
		atomic_store(&f->page->seq, atomic_load(&f->page->seq) | 1);
		atomic_store(&f->page->live_ino, set->live_ino);
		atomic_store(&f->page->live_off, (uint64_t)set->live_off);
		if (set->counted)
			add_lines(f->page, set->counters.lines);
		atomic_fetch_add(&f->page->seq, 1);
	}
	if (set->running && !set->removed)
		set_running(f->page, true);
	else if (set->removed || set->drains != f->drains) /* not: the run has not been adopted yet */
		set_running(f->page, false);
	wake_logger(f->page, f->status);
}

void forward_settle(const struct paths *paths, const char *uuid)
{
	struct forward_commit *page;
	struct err err = { 0 };
	char path[1024];
	int fd = -1;

	if (!fs_exists(paths_zone_run(paths, uuid, FORWARD_COMMIT_NAME, path)))
		return;
	page = map_page(paths, uuid, FORWARD_COMMIT_NAME, &fd, &err);
	if (!page)
		return;
	if (atomic_load(&page->running)) {
		set_running(page, false);
		atomic_fetch_add(&page->changes, 1);
		(void)syscall(SYS_futex, &page->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
	munmap(page, FORWARD_PAGE);
	close(fd);
}

/* ---- the zone's network ----------------------------------------------------------------------- */

/* What config.json names as the network namespace; the host's when it names none. -1: it has gone. */
static int open_netns(struct forward *f)
{
	cleanup_buf struct buf text = BUF_INIT;
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };
	json_t *list, *ns;
	char path[1024];
	size_t i;

	paths_zone(f->paths, f->set->uuid, "config/config.json", path);
	if (fs_read_file(path, CONFIG_MAX, &text, &err) < 0 || jparse(buf_str(&text), text.len, &o, &err) < 0)
		return -1;
	list = jget_arr(jget_obj(o, "linux"), "namespaces");
	json_array_foreach (list, i, ns)
		if (str_eq(jget_str(ns, "type", ""), "network"))
			return open(jget_str(ns, "path", ""), O_RDONLY | O_CLOEXEC);
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void set_netns(struct forward *f)
{
	if (f->netns_fd >= 0)
		close(f->netns_fd);
	f->netns_fd = open_netns(f);
}

static uint64_t net_id(int fd)
{
	struct stat sb;

	return fd >= 0 && fstat(fd, &sb) == 0 ? sb.st_ino : 0;
}

/* ---- the process ------------------------------------------------------------------------------ */

static void on_pidfd(struct source *src, uint32_t events);

static void watch(struct forward *f, pid_t pid)
{
	f->pidfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (f->pidfd.fd < 0)
		return;
	f->pid = pid;
	f->started_ns = mono_ns();
	f->delivered = atomic_load(&f->status->delivered);
	if (loop_watch(f->loop, &f->pidfd, EPOLLIN) < 0) {
		close(f->pidfd.fd);
		f->pidfd.fd = -1;
	}
}

static bool has_logger(struct forward *f)
{
	if (flock(f->status_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	(void)flock(f->status_fd, LOCK_UN);
	return false;
}

/* A logger of an earlier logsvc goes on, and its network is the zone's. */
static void adopt(struct forward *f)
{
	pid_t pid = (pid_t)atomic_load(&f->status->pid);
	char path[64];

	if (!has_logger(f) || pid <= 1)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	f->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	f->logger_net = net_id(f->netns_fd);
	watch(f, pid);
	if (f->pidfd.fd >= 0)
		log_info("logger kept", "zone=%s pid=%d", f->set->uuid, (int)pid);
}

static bool is_done(const struct forward *f)
{
	return atomic_load(&f->status->done_valid) &&
	       atomic_load(&f->status->done) == atomic_load(&f->page->changes);
}

static bool runs(const struct forward *f)
{
	return atomic_load(&f->page->running);
}

/* How long a logger may go on. */
static int64_t grace_left_s(const struct forward *f)
{
	int64_t left = f->grace_s, ended = atomic_load(&f->page->ended_ns), now = mono_ns();

	if (ended && now > ended)
		left -= (now - ended) / 1000000000;
	return left > 0 ? left : 0;
}

static void spawn(struct forward *f)
{
	char fd_text[16], pid_text[16], max_text[24], grace_text[24];
	char *argv[] = { (char[]){ "logger" },
			 (char[]){ "--uuid" },	      f->set->uuid,
			 (char[]){ "--zones" },	      (char *)(uintptr_t)f->paths->zones,
			 (char[]){ "--run" },	      (char *)(uintptr_t)f->paths->run,
			 (char[]){ "--pid" },	      pid_text,
			 (char[]){ "--max-backlog" }, max_text,
			 (char[]){ "--grace" },	      grace_text,
			 (char[]){ "--netns-fd" },    fd_text,
			 (char[]){ "--tls-dir" },     (char *)(uintptr_t)conf_str(f->conf, "log-tls-dir"),
			 (char[]){ "--unix-sockets" }, (char *)(uintptr_t)conf_str(f->conf, "log-unix-sockets"),
			 NULL };
	pid_t pid;

	f->pausing = false;
	snprintf(fd_text, sizeof(fd_text), "%d", f->netns_fd);
	snprintf(pid_text, sizeof(pid_text), "%d", f->zone_pid);
	snprintf(max_text, sizeof(max_text), "%lld", (long long)f->max_backlog);
	snprintf(grace_text, sizeof(grace_text), "%lld", (long long)grace_left_s(f));
	if (f->netns_fd < 0) {
		log_warn("not forwarded: its network has gone", "zone=%s", f->set->uuid);
		return;
	}
	atomic_store(&f->status->since_ns, 0);
	atomic_store(&f->page->conf, f->conf_hash);
	pid = child_spawn(argv, f->netns_fd);
	if (pid < 0) {
		log_err("logger not started", "zone=%s: %s", f->set->uuid, strerror((int)-pid));
		return;
	}
	f->logger_net = net_id(f->netns_fd);
	f->pid = pid;
	watch(f, pid);
	log_debug("logger started", "zone=%s pid=%d", f->set->uuid, (int)pid);
}

/* True: the wait is over, and why says how. */
static bool is_connected(struct forward *f, const struct waiting *w, const char **why)
{
	struct forward_status *st = f->status;
	bool ours = f->pid && atomic_load(&st->pid) == (uint32_t)f->pid; /* else the page is the last one's still */

	if (ours && f->pidfd.fd >= 0 && atomic_load(&st->since_ns) && atomic_load(&st->state) == FORWARD_CONNECTED)
		return true;
	st->error[sizeof(st->error) - 1] = '\0';
	if (ours && st->error[0])
		*why = st->error;
	else if (mono_ns() >= w->until_ns)
		*why = "i/o timeout";
	else if (f->pidfd.fd < 0 && !f->pausing)
		*why = "the logger does not run";
	return *why;
}

static bool is_delivered(struct forward *f, const struct waiting *w)
{
	bool none = f->pidfd.fd < 0 && !f->pausing;
	int64_t since = atomic_load(&f->status->since_ns); /* 0: the logger comes up */
	bool away = atomic_load(&f->status->state) == FORWARD_CONNECTING && since &&
		    now_ns() - since > IMPATIENT_NS;

	return none || is_done(f) || mono_ns() >= w->until_ns || (away && !w->patient);
}

static void answer(struct forward *f)
{
	struct waiting **p = &f->waiting, *w;

	while ((w = *p)) {
		const char *why = NULL;

		if (w->connect ? !is_connected(f, w, &why) : !is_delivered(f, w)) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->done(w->arg, why);
		if (why)
			forward_abandon(f);
		free(w);
	}
}

static void arm(struct forward *f)
{
	loop_timer_stop(&f->tick);
	if (f->waiting || f->pidfd.fd >= 0 || f->pausing)
		loop_timer(f->loop, &f->tick, f->waiting ? WAIT_TICK_NS : f->pausing ? f->pause_ns : TICK_NS);
}

static void settle(struct forward *f)
{
	answer(f);
	arm(f);
	if (f->pidfd.fd < 0 && !f->pausing && !runs(f))
		f->on_idle(f->owner);
}

static void on_pidfd(struct source *src, uint32_t events)
{
	struct forward *f = container_of(src, struct forward, pidfd);
	int64_t now = mono_ns();

	(void)events;
	loop_unwatch(f->loop, &f->pidfd);
	close(take_fd(&f->pidfd.fd));
	if (now - f->started_ns > GOOD_RUN_NS || atomic_load(&f->status->delivered) > f->delivered)
		f->pause_ns = 0; /* it was of use */
	f->pause_ns = f->pause_ns ? f->pause_ns * 2 : PAUSE_MIN_NS;
	if (f->pause_ns > PAUSE_MAX_NS)
		f->pause_ns = PAUSE_MAX_NS;
	f->pausing = runs(f) || (!is_done(f) && grace_left_s(f) > 1);
	if (f->pausing)
		log_warn("logger ended", "zone=%s pid=%d", f->set->uuid, (int)f->pid);
	f->started_ns = now; /* of the pause */
	settle(f);
}

/* Files that the logger has passed since may go, or be compressed. */
static void retain(struct forward *f)
{
	size_t passed;

	pthread_mutex_lock(&f->set->lock);
	passed = f->set->dir_fd >= 0 ? logset_passed_locked(f->set) : 0;
	pthread_mutex_unlock(&f->set->lock);
	if (passed && passed != f->passed)
		(void)retention_apply(f->set);
	f->passed = passed;
}

void forward_tell_dropped(struct forward *f)
{
	uint64_t dropped = atomic_load(&f->status->dropped), told = atomic_load(&f->page->dropped_told);
	uint64_t bytes = atomic_load(&f->status->dropped_bytes), bytes_told = atomic_load(&f->page->dropped_bytes_told);

	if (dropped > told && f->on_dropped)
		f->on_dropped(f->owner, dropped - told, bytes > bytes_told ? bytes - bytes_told : 0);
	if (dropped > told)
		atomic_store(&f->page->dropped_bytes_told, bytes);
	atomic_store(&f->page->dropped_told, dropped);
}

static void told_all(struct forward *f)
{
	atomic_store(&f->page->dropped_bytes_told, atomic_load(&f->status->dropped_bytes));
	atomic_store(&f->page->dropped_told, atomic_load(&f->status->dropped));
}

static void on_tick(struct timer *t)
{
	struct forward *f = container_of(t, struct forward, tick);

	if (f->pausing && f->pidfd.fd < 0 && mono_ns() - f->started_ns >= f->pause_ns)
		spawn(f);
	if (!f->waiting)
		retain(f);
	forward_tell_dropped(f);
	settle(f);
}

/* ---- for zone.c ------------------------------------------------------------------------------- */

struct forward *forward_new(struct loop *loop, const struct paths *paths, const struct conf *conf,
			    struct logset *set, void (*on_idle)(void *owner), void *owner, struct err *err)
{
	struct forward *f = xcalloc(1, sizeof(*f));

	f->loop = loop;
	f->paths = paths;
	f->conf = conf;
	f->set = logset_ref(set);
	f->on_idle = on_idle;
	f->owner = owner;
	f->waiter.wake = on_wake;
	f->status_fd = f->netns_fd = f->pidfd.fd = -1;
	f->pidfd.on_event = on_pidfd;
	f->tick.on_time = on_tick;
	f->max_backlog = conf_int(conf, "FORWARD_MAX_BACKLOG");
	f->grace_s = conf_int(conf, "FORWARD_GRACE");
	if (map_pages(f, err) < 0) {
		forward_free(f, false);
		return NULL;
	}
	if (has_logger(f))
		adopt(f);
	else
		seed_status(f);
	if (!atomic_exchange(&f->page->told_valid, 1)) /* a new one: after a reboot the cursor has more */
		told_all(f);
	pthread_mutex_lock(&set->lock);
	set->forward = f->status;
	set->forward_page = f->page;
	set->forward_max = f->max_backlog + f->max_backlog / 2; /* the logger itself gives up earlier */
	f->waiter.next = set->waiters;
	set->waiters = &f->waiter;
	if (set->running)
		on_wake(&f->waiter);
	pthread_mutex_unlock(&set->lock);
	arm(f);
	return f;
}

static void kill_logger_of(struct forward *f)
{
	if (f->pidfd.fd < 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, f->pidfd.fd, SIGTERM, NULL, 0);
	loop_unwatch(f->loop, &f->pidfd);
	close(take_fd(&f->pidfd.fd));
}

/* The next one waits for its lock to be free. */
static void replace_logger(struct forward *f)
{
	kill_logger_of(f);
	f->pid = 0;
	f->pausing = true;
	f->started_ns = mono_ns();
	f->pause_ns = REPLACE_NS;
	arm(f);
}

void forward_free(struct forward *f, bool kill_logger)
{
	struct waiting *w;

	if (!f)
		return;
	logset_del_waiter(f->set, &f->waiter);
	pthread_mutex_lock(&f->set->lock);
	if (f->set->forward == f->status)
		f->set->forward = NULL;
	pthread_mutex_unlock(&f->set->lock);
	if (kill_logger)
		kill_logger_of(f);
	loop_timer_stop(&f->tick);
	if (f->pidfd.fd >= 0) {
		loop_unwatch(f->loop, &f->pidfd);
		close(f->pidfd.fd);
	}
	while ((w = f->waiting)) {
		f->waiting = w->next;
		w->done(w->arg, w->connect ? "the zone has gone" : NULL);
		free(w);
	}
	if (f->page)
		munmap(f->page, FORWARD_PAGE);
	if (f->status)
		munmap(f->status, FORWARD_PAGE);
	if (f->status_fd >= 0)
		close(f->status_fd);
	if (f->netns_fd >= 0)
		close(f->netns_fd);
	logset_unref(f->set);
	loop_free_later(f->loop, f); /* an event in hand may name it */
}

/* A run begins, or is about to: a logger in the zone's network as it is now. */
static void begin(struct forward *f)
{
	pthread_mutex_lock(&f->set->lock);
	f->drains = f->set->drains;
	set_running(f->page, true);
	pthread_mutex_unlock(&f->set->lock);
	wake_logger(f->page, f->status);
	set_netns(f);
	if (f->pidfd.fd >= 0 && f->logger_net != net_id(f->netns_fd)) {
		replace_logger(f);
	} else if (f->pidfd.fd < 0 && !(f->pausing && f->pause_ns == REPLACE_NS)) {
		f->pause_ns = 0;
		spawn(f);
	}
}

void forward_run(struct forward *f, int pid)
{
	f->zone_pid = pid;
	begin(f);
	arm(f);
}

void forward_abandon(struct forward *f)
{
	pthread_mutex_lock(&f->set->lock);
	if (!f->set->running) {
		set_running(f->page, false);
		wake_logger(f->page, f->status);
	}
	pthread_mutex_unlock(&f->set->lock);
}

void forward_resume(struct forward *f)
{
	forward_abandon(f); /* it may have ended while no logsvc was there */
	if (f->pidfd.fd >= 0 || f->pausing || is_done(f) || grace_left_s(f) == 0)
		return;
	set_netns(f);
	spawn(f);
	arm(f);
}

void forward_set_conf(struct forward *f, uint64_t hash, bool blocks)
{
	pthread_mutex_lock(&f->set->lock);
	f->set->forward_max = blocks ? INT64_MAX / 2 : f->max_backlog + f->max_backlog / 2; /* the logger itself gives up earlier */
	pthread_mutex_unlock(&f->set->lock);
	f->conf_hash = hash;
	if (f->pidfd.fd < 0 || atomic_load(&f->page->conf) == hash)
		return;
	log_info("logger started anew with other options", "zone=%s pid=%d", f->set->uuid, (int)f->pid);
	replace_logger(f);
}

void forward_on_dropped(struct forward *f, void (*on_dropped)(void *owner, uint64_t lines, uint64_t bytes))
{
	f->on_dropped = on_dropped;
}

/* Both of the same place: what was sent, by a logger that may be sending. */
int64_t forward_undelivered(const struct forward *f, uint64_t *lines)
{
	const struct forward_status *s = f->status;
	uint64_t sent = 0, before;
	int64_t n = 0, known;

	*lines = 0;
	if (is_done(f))
		return 0;
	for (int i = 0; i < 3; i++) {
		before = atomic_load(&s->sent_lines);
		n = logset_backlog(f->set);
		sent = atomic_load(&s->sent_lines);
		if (sent == before)
			break;
	}
	known = (int64_t)(atomic_load(&f->page->lines) - (sent - 1)) - atomic_load(&s->line_base);
	if (n > 0 && known > 0 && sent && atomic_load(&s->based))
		*lines = (uint64_t)known;
	return n;
}

bool forward_is_busy(const struct forward *f)
{
	return f && (f->pidfd.fd >= 0 || f->pausing || f->waiting);
}

int forward_netns(const struct forward *f)
{
	return f->netns_fd;
}

bool forward_is_owed(const struct forward *f)
{
	return f && (f->pidfd.fd >= 0 || f->pausing) && !is_done(f);
}

static void add_waiting(struct forward *f, const struct waiting *proto, unsigned timeout_ms)
{
	struct waiting *w = xcalloc(1, sizeof(*w));

	*w = *proto;
	w->until_ns = mono_ns() + timeout_ms * MS;
	w->next = f->waiting;
	f->waiting = w;
	settle(f);
}

void forward_wait(struct forward *f, unsigned timeout_ms, bool patient, forward_done_fn *done, void *arg)
{
	add_waiting(f, &(struct waiting){ .patient = patient, .done = done, .arg = arg }, timeout_ms);
}

void forward_connect(struct forward *f, unsigned timeout_ms, forward_done_fn *done, void *arg)
{
	if (f->pidfd.fd >= 0 && atomic_load(&f->status->state) != FORWARD_CONNECTED)
		replace_logger(f); /* it may pause for long, and says what was */
	begin(f);
	add_waiting(f, &(struct waiting){ .connect = true, .done = done, .arg = arg }, timeout_ms);
}
