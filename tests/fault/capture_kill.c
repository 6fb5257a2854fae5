/* SPDX-License-Identifier: MPL-2.0
 * links: logsvc
 *
 * capture_kill.c - kills logsvc over and over while a zone prints numbered lines, then checks that
 * its log has every line once, whole and in order.
 *
 *	capture_kill [options] LOGSVC FAKE_ZONEADMD
 *	  --kills N	how often (200)		--max-ms N	a life lasts up to that long (10)
 *	  --mode M	bulk, line, mixed or long	--max-size N --max-file N --compress
 *	  --failpoint F	sets SDC_FAILPOINTS=F; logsvc is to kill itself (waits up to 3 s)
 *	  --last-failpoint F	the same for the life that is not killed
 *	  --mb N	the zone stops after so much (0: when the kills are over)
 *	  --runs N	the zone is started again so often (with --mb)
 *	  --gaps	output is dropped as soon as the log cannot be written: what is missing is what the log says
 *	  --dir D	where (a new directory in /tmp)	--keep
 *	capture_kill --writer MODE MB COUNTS	the zone's program
 *
 * Line n of a stream is made from (stream, n) alone, so any difference is seen.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "buf.h"
#include "fs.h"
#include "logsvc/logset.h"
#include "logsvc/record.h"
#include "str.h"

#define UUID "0123abcd-0123-4567-89ab-0123456789ab"

/* ---- lines ------------------------------------------------------------------------------------ */

enum mode { BULK, LINE, MIXED, LONG };
static const char *const mode_names[] = { "bulk", "line", "mixed", "long" };

static enum mode parse_mode(const char *s)
{
	for (int i = 0; i < 4; i++) {
		if (str_eq(s, mode_names[i]))
			return (enum mode)i;
	}
	fprintf(stderr, "no such mode: %s\n", s);
	exit(2);
}

/* The text without its newline. */
static size_t make_line(char *out, int s, uint64_t n, enum mode mode)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz \"<&\\\t0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	uint64_t x = (n * 2 + (uint64_t)s + 1) * 0x9e3779b97f4a7c15ull;
	size_t len, body, i;

	x ^= x >> 29;
	body = mode == LONG && x % 50 == 0 ? x / 64 % 50000 : x / 64 % 160;
	len = (size_t)snprintf(out, 32, "%c%012llu ", "oe"[s], (unsigned long long)n);
	for (i = 0; i < body; i++) {
		out[len++] = alphabet[(x >> (i & 31)) % (sizeof(alphabet) - 1)];
		x += 0x632be59bd9b4e019ull;
	}
	return len;
}

struct counts {
	volatile uint64_t lines[2]; /* printed, per stream */
	volatile int pid;
};

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void write_out(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			_exit(1);
		p += k;
		n -= (size_t)k;
	}
}

static void print_stream(int s, enum mode mode, uint64_t bytes, struct counts *c)
{
	static char buf[1 << 18];
	uint64_t n = c->lines[s], total = 0; /* a later run goes on where the last one ended */
	size_t len = 0, flush = mode == LINE || mode == MIXED ? 1 : 65536;

	while (!stop && (!bytes || total < bytes)) {
		size_t k = make_line(buf + len, s, n++, mode);

		buf[len + k] = '\n';
		len += k + 1;
		total += k + 1;
		if (mode == MIXED)
			flush = n / 1000 % 3 == 0 ? 65536 : n / 1000 % 3 == 1 ? 1 : 700;
		if (len >= flush) {
			write_out(s + 1, buf, len);
			len = 0;
		}
	}
	write_out(s + 1, buf, len);
	c->lines[s] = n;
}

static int writer(char **argv)
{
	enum mode mode = parse_mode(argv[0]);
	uint64_t mb = strtoull(argv[1], NULL, 10);
	int fd = open(argv[2], O_RDWR | O_CLOEXEC);
	struct counts *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t pid;

	if (c == MAP_FAILED)
		return 1;
	signal(SIGTERM, on_term);
	c->pid = getpid();
	pid = fork();
	print_stream(pid == 0, mode, mb << 20, c);
	if (pid) {
		kill(pid, SIGTERM);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* ---- checking --------------------------------------------------------------------------------- */

struct check {
	enum mode mode;
	uint64_t next[2], bad, records, files;
	uint64_t missing, gap; /* lines that are not there, and those that the log says it does not have */
	bool drops_oldest, gaps;
	struct buf line[2];
};

static void complain(struct check *c, const char *what, int s, const char *file)
{
	if (c->bad++ < 10)
		fprintf(stderr, "%s: %s: stream %d line %llu, got %.60s\n", file, what, s,
			(unsigned long long)c->next[s], buf_str(&c->line[s]));
}

static void check_record(struct check *c, const char *p, size_t len, const char *file)
{
	static char text[1 << 20], want[1 << 17];
	struct record r;
	size_t n;
	int s;

	c->records++;
	if (record_decode(p, len, text, &r) < 0 || r.stream == RECORD_STREAMS) {
		complain(c, "no record", 0, file);
		return;
	}
	s = (int)r.stream;
	text[r.text_len] = '\0';
	if (c->gaps && str_starts(text, "logsvc: ")) {
		c->gap += strtoull(text + strlen("logsvc: "), NULL, 10);
		return;
	}
	buf_add(&c->line[s], text, r.text_len);
	if (!r.whole)
		return;
	if (c->gaps && c->line[s].len > 13) {
		uint64_t v = strtoull(c->line[s].p + 1, NULL, 10);

		if (v > c->next[s]) {
			c->missing += v - c->next[s];
			c->next[s] = v;
		}
	}
	if (!c->next[s] && c->line[s].len > 2 && c->drops_oldest) /* retention took what was before */
		c->next[s] = strtoull(c->line[s].p + 1, NULL, 10);
	n = make_line(want, s, c->next[s], c->mode);
	want[n++] = '\n';
	if (c->line[s].len != n || memcmp(c->line[s].p, want, n) != 0) {
		complain(c, "wrong line", s, file);
		c->next[s] = strtoull(c->line[s].p + 1, NULL, 10);
	}
	c->next[s]++;
	buf_reset(&c->line[s]);
}

static void check_file(struct check *c, const char *dir, const char *name)
{
	static char buf[4 << 20];
	char path[2048];
	size_t have = 0;
	gzFile f;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = gzopen(path, "rb"); /* reads plain files as well */
	if (!f) {
		c->bad++;
		return;
	}
	c->files++;
	while ((n = gzread(f, buf + have, (unsigned)(sizeof(buf) - have - RECORD_SLACK))) > 0) {
		char *p = buf, *end = buf + have + n, *nl;

		for (; (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1)
			check_record(c, p, (size_t)(nl - p), name);
		have = (size_t)(end - p);
		memmove(buf, p, have);
	}
	if (n < 0 || have)
		complain(c, n < 0 ? "unreadable" : "torn end", 0, name);
	gzclose(f);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void check_dir(struct check *c, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, by_name);
	int64_t t;
	bool gz;

	for (int i = 0; i < n; i++) {
		if (log_name_parse(list[i]->d_name, &t, &gz))
			check_file(c, dir, list[i]->d_name);
		else if (list[i]->d_name[0] == '.' && list[i]->d_name[1] == 's')
			fprintf(stderr, "note: left over: %s\n", list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	check_file(c, dir, LOG_LIVE);
}

/* ---- killing ---------------------------------------------------------------------------------- */

static struct {
	int kills, max_ms;
	enum mode mode;
	long long max_size;
	int max_file;
	bool compress, keep, gaps;
	const char *failpoint, *last_failpoint, *mb, *runs;
	char dir[512];
} opt = { .kills = 200, .max_ms = 10, .mb = "0", .runs = "1" };

static void put(const char *rest, const char *text)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", opt.dir, rest);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void make_dirs(void)
{
	static const char *const dirs[] = { "zones/" UUID "/config", "zones/" UUID "/logs",
					    "run/zones/" UUID };
	struct err err = { 0 };
	char path[1024], text[512];

	if (!opt.dir[0]) {
		str_copy(opt.dir, sizeof(opt.dir), "/tmp/capkill.XXXXXX");
		if (!mkdtemp(opt.dir))
			exit(1);
	}
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", opt.dir, dirs[i]);
		if (fs_mkdir_p(path, 0700, &err) < 0)
			exit(1);
	}
	snprintf(text, sizeof(text),
		 "{\"driver\":\"json-file\",\"max_size\":%lld,\"max_file\":%d,\"compress\":%s}",
		 opt.max_size, opt.max_file, opt.compress ? "true" : "false");
	put("zones/" UUID "/config/log.json", text);
	put("counts", "00000000000000000000000000000000");
	put("conf", opt.gaps ? "LOG_FULL_WAIT = 0\n" : "");
}

static pid_t spawn(const char **argv, const char *failpoints)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (failpoints)
			setenv("SDC_FAILPOINTS", failpoints, 1);
		execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static void nap(double ms)
{
	struct timespec ts = { (time_t)(ms / 1000), (long)(ms * 1e6) % 1000000000 };

	nanosleep(&ts, NULL);
}

/* One life of logsvc. Returns false when it ended by itself without being killed. */
static bool one_life(const char **logsvc_argv)
{
	pid_t pid = spawn(logsvc_argv, opt.failpoint);
	int status = 0;

	if (opt.failpoint) {
		for (int i = 0; i < 3000 && waitpid(pid, &status, WNOHANG) == 0; i++)
			nap(1);
		if (status == 0) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return false;
		}
	} else {
		nap((double)random() / RAND_MAX * opt.max_ms);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int wait_exit(pid_t pid, int seconds)
{
	int status;

	for (int i = 0; i <= seconds * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		if (seconds)
			nap(10);
	}
	return -1;
}

static int run(const char *self, const char *logsvc, const char *fake)
{
	char sock[700], counts_path[700], logs[700], conf[700], gap[700];
	const char *logsvc_argv[] = { logsvc, "--root", opt.dir, "--conf", conf, "--log-level", "error", NULL };
	const char *fake_argv[] = { fake, "--runs", opt.runs, sock, "--", self, "--writer", mode_names[opt.mode],
				    opt.mb, counts_path, NULL };
	struct check c = { .mode = opt.mode, .drops_oldest = opt.max_file > 0, .gaps = opt.gaps };
	int hits = 0, zone_status = -1, fd, rc = 1;
	struct counts *counts;
	pid_t zone, last;

	make_dirs();
	snprintf(sock, sizeof(sock), "%s/run/zones/" UUID "/zoneadmd.sock", opt.dir);
	snprintf(conf, sizeof(conf), "%s/conf", opt.dir);
	snprintf(gap, sizeof(gap), "%s/run/zones/" UUID "/loggap", opt.dir);
	snprintf(counts_path, sizeof(counts_path), "%s/counts", opt.dir);
	snprintf(logs, sizeof(logs), "%s/zones/" UUID "/logs", opt.dir);
	fd = open(counts_path, O_RDWR | O_CLOEXEC);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		return 1;
	memset(counts, 0, sizeof(*counts));
	zone = spawn(fake_argv, NULL);
	while (access(sock, F_OK) < 0)
		nap(1);
	for (int i = 0; i < opt.kills && zone_status < 0; i++) {
		hits += one_life(logsvc_argv);
		zone_status = wait_exit(zone, 0);
	}
	opt.failpoint = NULL;
	if (str_eq(opt.mb, "0") && counts->pid > 0)
		kill(counts->pid, SIGTERM);
	last = spawn(logsvc_argv, opt.last_failpoint);
	if (zone_status < 0)
		zone_status = wait_exit(zone, 120);
	if (zone_status != 0) {
		fprintf(stderr, "the zone did not drain\n");
		kill(zone, SIGKILL);
		c.bad++;
	}
	for (int i = 0; opt.gaps && i < 1000 && access(gap, F_OK) == 0; i++)
		nap(10); /* until there is room to say it */
	nap(opt.compress ? 150 : 20);
	kill(last, SIGTERM);
	if (wait_exit(last, 10) != 0) {
		fprintf(stderr, "logsvc did not stop well\n");
		kill(last, SIGKILL);
		c.bad++;
	}
	check_dir(&c, logs);
	for (int s = 0; s < 2; s++) {
		if (c.drops_oldest && !c.next[s])
			continue; /* retention may take all of the one that ended first */
		if (opt.gaps && c.next[s] < counts->lines[s]) {
			c.missing += counts->lines[s] - c.next[s];
			continue;
		}
		if (c.next[s] != counts->lines[s]) {
			fprintf(stderr, "stream %d: %llu lines printed, %llu in the log\n", s,
				(unsigned long long)counts->lines[s], (unsigned long long)c.next[s]);
			c.bad++;
		}
	}
	if (opt.gaps && (c.missing != c.gap || !c.gap)) {
		fprintf(stderr, "%llu lines are missing, the log says %llu\n", (unsigned long long)c.missing, (unsigned long long)c.gap);
		c.bad++;
	}
	printf("%-5s kills=%d lines=%llu records=%llu files=%llu bad=%llu\n", mode_names[opt.mode],
	       hits, (unsigned long long)(counts->lines[0] + counts->lines[1]),
	       (unsigned long long)c.records, (unsigned long long)c.files,
	       (unsigned long long)c.bad);
	buf_fini(&c.line[0]);
	buf_fini(&c.line[1]);
	rc = c.bad || (hits == 0 && opt.kills) ? 1 : 0;
	if (!opt.keep && rc == 0)
		rc = fs_remove_tree(AT_FDCWD, opt.dir, &(struct err){ 0 }) < 0;
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kills", 1, NULL, 'k' },    { "max-ms", 1, NULL, 'm' },   { "mode", 1, NULL, 'M' },
		{ "max-size", 1, NULL, 's' }, { "max-file", 1, NULL, 'f' }, { "compress", 0, NULL, 'c' },
		{ "failpoint", 1, NULL, 'F' }, { "mb", 1, NULL, 'b' },	    { "dir", 1, NULL, 'd' },
		{ "keep", 0, NULL, 'K' },     { "writer", 0, NULL, 'w' },   { "seed", 1, NULL, 'S' },
		{ "runs", 1, NULL, 'r' },     { "gaps", 0, NULL, 'g' },
		{ "last-failpoint", 1, NULL, 'L' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'k': opt.kills = (int)strtol(optarg, NULL, 10); break;
		case 'm': opt.max_ms = (int)strtol(optarg, NULL, 10); break;
		case 'M': opt.mode = parse_mode(optarg); break;
		case 's': opt.max_size = strtoll(optarg, NULL, 10); break;
		case 'f': opt.max_file = (int)strtol(optarg, NULL, 10); break;
		case 'c': opt.compress = true; break;
		case 'g': opt.gaps = true; break;
		case 'F': opt.failpoint = optarg; break;
		case 'L': opt.last_failpoint = optarg; break;
		case 'b': opt.mb = optarg; break;
		case 'd': str_copy(opt.dir, sizeof(opt.dir), optarg); break;
		case 'K': opt.keep = true; break;
		case 'r': opt.runs = optarg; break;
		case 'S': seed = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'w': return writer(argv + optind);
		default: return 2;
		}
	}
	if (argc - optind != 2)
		return 2;
	srandom(seed);
	return run(argv[0], argv[optind], argv[optind + 1]);
}
