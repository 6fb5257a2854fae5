/* SPDX-License-Identifier: MPL-2.0
 *
 * thread.h - starting threads. Those take no signals: signals are the main thread's (signal(7): one
 * that is sent to the process goes to any thread that does not block it).
 */
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts fn(arg). out NULL: detached. stack_bytes 0: the system's usual size; under a sanitizer,
 * which needs more of it, it is not looked at. 0 or a negative errno. */
int thread_start(pthread_t *out, size_t stack_bytes, void *(*fn)(void *), void *arg);

#endif
