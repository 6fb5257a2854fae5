/* SPDX-License-Identifier: MPL-2.0
 *
 * attach.h - the two ends of a client's streams and a container's: pumps for standard input,
 * clients that wait for a container's start, output that nobody reads. Loop thread.
 */
#ifndef APISERVER_ATTACH_H
#define APISERVER_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "apiserver/container.h"
#include "err.h"

/* A client that attaches to a container that has not been started. stdin_fd (-1: none) is the read
 * end of a pipe with the client's bytes: taken; they go to the zone when it runs. stream_fd is the
 * socket of logclient_attach: duplicated here, to end it if the start fails; -1: none. The result
 * is for attach_forget, when the client is gone before. */
uint64_t attach_wait_start(struct container *ct, int stdin_fd, int stream_fd);
void attach_forget(uint64_t id);
void attach_zone_started(struct container *ct);
/* The start failed, or the container is removed: waiting clients' streams end. */
void attach_start_failed(struct container *ct);

/* Copies from one to the other until EOF or until to is closed; both are taken. on_end may be NULL.
 */
void attach_pump(int from, int to, void (*on_end)(void *arg), void *arg);
/* Reads and forgets until EOF, so that the writer is never blocked; taken. */
void attach_drain(int fd);

/* "ctrl-p,ctrl-q", "a,ctrl-x", "": Docker's detach keys. 400 "Invalid <what> keys (X) provided"
 * otherwise; what is "detach" for an attach, "escape" for an exec. NULL is the default sequence. */
#define DETACH_KEYS_MAX 16
int detach_keys_parse(const char *text, const char *what, uint8_t out[DETACH_KEYS_MAX], size_t *n, struct err *err);

#endif
