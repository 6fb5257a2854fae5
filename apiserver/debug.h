/* SPDX-License-Identifier: MPL-2.0
 *
 * debug.h - looking into a running daemon: SIGUSR1's dump, and the watchdog of the loop. Loop
 * thread.
 */
#ifndef APISERVER_DEBUG_H
#define APISERVER_DEBUG_H

void debug_dump(void); /* clients, requests, jobs, containers, to the log */
/* Logs a turn of the loop that was busy for more than 100 ms. */
void debug_watchdog_init(void);

#endif
