/* SPDX-License-Identifier: MPL-2.0
 *
 * signals.c - signal names, Linux on this machine's numbers.
 */
#include "apiserver/signals.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "str.h"

#define SIGNAL_MAX 64
/* The kernel's range; libc's SIGRTMIN leaves out the two that its threads use. */
#define KERNEL_RTMIN 34
#define KERNEL_RTMAX 64

static const struct {
	const char *name;
	int signo;
} names[] = {
	{ "ABRT", SIGABRT }, { "ALRM", SIGALRM }, { "BUS", SIGBUS },	   { "CHLD", SIGCHLD },
	{ "CLD", SIGCHLD },  { "CONT", SIGCONT }, { "FPE", SIGFPE },	   { "HUP", SIGHUP },
	{ "ILL", SIGILL },   { "INT", SIGINT },	  { "IO", SIGIO },	   { "IOT", SIGIOT },
	{ "KILL", SIGKILL }, { "PIPE", SIGPIPE }, { "POLL", SIGPOLL },	   { "PROF", SIGPROF },
	{ "PWR", SIGPWR },   { "QUIT", SIGQUIT }, { "SEGV", SIGSEGV },	   { "STKFLT", SIGSTKFLT },
	{ "STOP", SIGSTOP }, { "SYS", SIGSYS },	  { "TERM", SIGTERM },	   { "TRAP", SIGTRAP },
	{ "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU },	   { "URG", SIGURG },
	{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "VTALRM", SIGVTALRM }, { "WINCH", SIGWINCH },
	{ "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
};

/* RTMIN, RTMIN+n, RTMAX, RTMAX-n */
static int parse_realtime(const char *s)
{
	int base = strncasecmp(s, "RTMIN", 5) == 0 ? KERNEL_RTMIN : KERNEL_RTMAX;
	char sign = base == KERNEL_RTMIN ? '+' : '-';
	int64_t n = 0;

	if (strncasecmp(s, "RTMIN", 5) != 0 && strncasecmp(s, "RTMAX", 5) != 0)
		return 0;
	if (s[5] != '\0' && (s[5] != sign || !isdigit((unsigned char)s[6]) ||
			     parse_i64(s + 6, 0, KERNEL_RTMAX - KERNEL_RTMIN, &n) < 0))
		return 0;
	return sign == '+' ? base + (int)n : base - (int)n;
}

int signal_parse(const char *s, int *signo, struct err *err)
{
	const char *bare = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
	int64_t n;
	int rt;

	if (parse_i64(s, INT64_MIN, INT64_MAX, &n) == 0 && n) {
		if (n < 1 || n > SIGNAL_MAX || (n > SIGSYS && n < KERNEL_RTMIN))
			return err_kind(err, ERR_BAD_PARAM, "the linux daemon does not support signal %s", s);
		*signo = (int)n;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(bare, names[i].name) == 0) {
			*signo = names[i].signo;
			return 0;
		}
	}
	if ((rt = parse_realtime(bare)) > 0) {
		*signo = rt;
		return 0;
	}
	return err_kind(err, ERR_BAD_PARAM, "invalid signal: %s", s);
}
