/* SPDX-License-Identifier: MPL-2.0
 *
 * zone_child.c - what every child of zoneadmd does before it becomes another program: nothing of
 * zoneadmd's own settings may reach a zone.
 */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "zone.h"

void zone_child_prepare(const struct zone *z, int oom_score)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	cleanup_fd int fd = -1;
	sigset_t none;
	char text[16];
	int sig, n;

	(void)z;
	for (sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "%d", oom_score);
	if (fd >= 0 && write(fd, text, (size_t)n) < 0)
		return; /* lower than ours, without CAP_SYS_RESOURCE: as the engine has it */
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}
