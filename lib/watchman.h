/* SPDX-License-Identifier: MPL-2.0
 *
 * watchman.h - looks after a thread that runs a loop and enters what may block for as long as somebody else likes: when it
 * takes too long, another thread goes on with the loop.
 *
 *	token = watchman_enter(w);
 *	... read(2) of a pipe whose lock somebody holds ...
 *	if (!watchman_leave(w, token))
 *		the loop is another thread's: this one may finish what it has in hand, and touches nothing else
 */
#ifndef LIB_WATCHMAN_H
#define LIB_WATCHMAN_H

#include <stdbool.h>
#include <stdint.h>

#define WATCHMAN_NS 20000000 /* how long is too long: from this to twice as much */

/* Of one loop; embedded in its owner, and as long-lived as the process. */
struct watchman {
	char name[16];		    /* of threads that go on */
	void (*inherit)(void *arg); /* such a thread's function: the loop, from here on */
	void *arg;
	/* watchman.c's */
	bool started;
	_Atomic uint32_t risk, asleep;
};

/* The loop's thread, not nested. Makes the watchman's thread when there is none yet; where none can be made, nobody watches
 * this time. */
uint32_t watchman_enter(struct watchman *w);
/* True: the loop is the caller's still. */
bool watchman_leave(struct watchman *w, uint32_t token);

#endif
