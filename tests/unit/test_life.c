/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* Waiters, restart policies, start checks, detach keys, pumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "apiserver/attach.h"
#include "apiserver/container.h"
#include "apiserver/ct_ops.h"
#include "apiserver/lifecycle.h"
#include "apiserver/wait.h"
#include "cleanup.h"
#include "str.h"

#define ID "aaaa000000000000000000000000000000000000000000000000000000000001"

static struct container *make(void)
{
	struct container *ct = container_new(ID);

	ct->name = xstrdup("web");
	ct->image_ref = xstrdup("busybox");
	ct->config = json_object();
	ct->host_config = json_object();
	return ct;
}

/* ---- wait ------------------------------------------------------------------------------------ */

struct told {
	struct container *ct;
	char text[64];
	struct ct_waiter *other;
};

static void on_a(struct container *ct, void *arg, bool removed)
{
	struct told *t = arg;

	strcat(t->text, removed ? "A" : "a");
	if (!removed)
		ct_wait(ct, WAIT_EXIT, on_a, t); /* again: for the next time */
	if (t->other)
		ct_wait_cancel(ct, take_ptr(&t->other));
}

static void on_b(struct container *ct, void *arg, bool removed)
{
	struct told *t = arg;

	(void)ct;
	strcat(t->text, removed ? "B" : "b");
}

static void test_wait(void **state)
{
	struct container *ct = make();
	struct told t = { .ct = ct };
	struct ct_waiter *gone;

	(void)state;
	ct_wait(ct, WAIT_EXIT, on_a, &t);
	ct_wait(ct, WAIT_REMOVED, on_b, &t);
	gone = ct_wait(ct, WAIT_EXIT, on_b, &t);
	ct_wait_cancel(ct, gone);
	ct_wait_exited(ct);
	assert_string_equal(t.text, "a");
	t.other = ct_wait(ct, WAIT_EXIT, on_b, &t); /* cancelled by one that is told before it */
	ct_wait_exited(ct);
	assert_string_equal(t.text, "aa");
	ct_wait_removed(ct);
	assert_string_equal(t.text, "aaBA");
	assert_null(ct->waiters);
	container_unref(ct);
}

/* ---- policies -------------------------------------------------------------------------------- */

static void test_policy(void **state)
{
	static const struct {
		const char *policy;
		int max;
		bool started, by_user;
		int exit_code;
		unsigned restarts;
		bool at_boot, wants;
	} rows[] = {
		{ "", 0, true, false, 1, 0, true, false },
		{ "no", 0, true, false, 1, 0, true, false },
		{ "always", 0, false, false, 0, 0, true, false }, /* never started */
		{ "always", 0, true, false, 0, 0, false, true },
		{ "always", 0, true, true, 0, 0, false, false },
		{ "always", 0, true, true, 0, 0, true, true },
		{ "unless-stopped", 0, true, false, 0, 9, true, true },
		{ "unless-stopped", 0, true, true, 0, 0, true, false },
		{ "on-failure", 0, true, false, 0, 0, true, false },
		{ "on-failure", 0, true, false, 1, 99, true, true },
		{ "on-failure", 3, true, false, 1, 2, false, true },
		{ "on-failure", 3, true, false, 1, 3, false, false },
		{ "on-failure", 3, true, true, 137, 0, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct container *ct = make();

		json_decref(ct->host_config);
		ct->host_config = json_pack("{s:{s:s,s:i}}", "RestartPolicy", "Name",
					    rows[i].policy, "MaximumRetryCount", rows[i].max);
		ct->st.status = CT_EXITED;
		ct->st.started_once = rows[i].started;
		ct->st.stopped_by_user = rows[i].by_user;
		ct->st.exit_code = rows[i].exit_code;
		ct->st.restart_count = rows[i].restarts;
		if (lifecycle_policy_wants(ct, rows[i].at_boot) != rows[i].wants)
			fail_msg("row %zu: %s", i, rows[i].policy);
		container_unref(ct);
	}
}

static void test_start_check(void **state)
{
	static const struct {
		enum container_status status;
		enum err_kind kind;
	} rows[] = {
		{ CT_CREATED, ERR_NONE },	  { CT_EXITED, ERR_NONE },
		{ CT_RUNNING, ERR_NOT_MODIFIED }, { CT_RESTARTING, ERR_NOT_MODIFIED },
		{ CT_PAUSED, ERR_CONFLICT },
	};
	struct container *ct = make();
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		err = (struct err){ 0 };
		ct->st.status = rows[i].status;
		assert_int_equal(op_start_check(ct, &err) < 0, rows[i].kind != ERR_NONE);
		assert_int_equal(err.kind, rows[i].kind);
	}
	ct->st.status = CT_EXITED;
	ct->removing = true;
	assert_true(op_start_check(ct, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	container_unref(ct);
}

static void test_stop_defaults(void **state)
{
	struct container *ct = make();

	(void)state;
	assert_int_equal(ct_stop_signal(ct), 15);
	assert_int_equal(ct_stop_timeout(ct), 10);
	json_object_set_new(ct->config, "StopSignal", json_string("SIGUSR1"));
	json_object_set_new(ct->config, "StopTimeout", json_integer(3));
	assert_int_equal(ct_stop_signal(ct), 10);
	assert_int_equal(ct_stop_timeout(ct), 3);
	container_unref(ct);
}

/* ---- detach keys ----------------------------------------------------------------------------- */

static void test_detach_keys(void **state)
{
	static const struct {
		const char *text;
		int n; /* < 0: refused */
		const char *bytes;
	} rows[] = {
		{ NULL, 2, "\x10\x11" },
		{ "", 2, "\x10\x11" },
		{ "ctrl-p,ctrl-q", 2, "\x10\x11" },
		{ "a", 1, "a" },
		{ "ctrl-a,a,b", 3,
		  "\x01"
		  "ab" },
		{ "ctrl-@", 1, "\0" },
		{ "ctrl-[", 1, "\x1b" },
		{ "ctrl-\\", 1, "\x1c" },
		{ "ctrl-_", 1, "\x1f" },
		{ "ctrl-A", -1, NULL },
		{ "ctrl-", -1, NULL },
		{ "ctrl-aa", -1, NULL },
		{ "ab", -1, NULL },
		{ "a,,b", -1, NULL },
		{ "ctrl-~", -1, NULL },
		{ "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", -1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t out[DETACH_KEYS_MAX];
		struct err err = { 0 };
		size_t n = 0;
		int rc = detach_keys_parse(rows[i].text, "detach", out, &n, &err);

		if (rows[i].n < 0) {
			if (rc >= 0 || err.kind != ERR_BAD_PARAM ||
			    !strstr(err.msg, "Invalid detach keys"))
				fail_msg("row %zu was taken", i);
			continue;
		}
		if (rc < 0 || n != (size_t)rows[i].n || memcmp(out, rows[i].bytes, n) != 0)
			fail_msg("row %zu: rc %d n %zu", i, rc, n);
	}
}

/* ---- pumps ----------------------------------------------------------------------------------- */

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

/* More than any pipe holds, through a pump, with a reader that begins late. */
static void test_pump(void **state)
{
	enum { BYTES = 3 * 1024 * 1024 };
	char *sent = xmalloc(BYTES);
	char *got = xmalloc(BYTES);
	size_t n_sent = 0;
	size_t n_got = 0;
	bool ended = false;
	int in[2];
	int out[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < BYTES; i++)
		sent[i] = (char)(i * 7 + i / 251);
	attach_pump(in[0], out[1], set_true, &ended);
	for (int turn = 0; !ended && turn < 100000; turn++) {
		ssize_t n;

		if (n_sent < BYTES && (n = write(in[1], sent + n_sent, BYTES - n_sent)) > 0)
			n_sent += (size_t)n;
		if (n_sent == BYTES && in[1] >= 0) {
			close(in[1]);
			in[1] = -1;
		}
		if (turn > 20 && (n = read(out[0], got + n_got, BYTES - n_got)) > 0)
			n_got += (size_t)n;
		uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	}
	while (n_got < BYTES) {
		ssize_t n = read(out[0], got + n_got, BYTES - n_got);

		if (n <= 0)
			break;
		n_got += (size_t)n;
	}
	assert_true(ended);
	assert_int_equal(n_got, BYTES);
	assert_memory_equal(sent, got, BYTES);
	close(out[0]);
	free(sent);
	free(got);
}

static void test_pump_reader_gone(void **state)
{
	bool ended = false;
	int in[2];
	int out[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	attach_pump(in[0], out[1], set_true, &ended);
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	close(out[0]);
	for (int i = 0; i < 100 && !ended; i++)
		uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	assert_true(ended);
	close(in[1]);
}

static void test_drain(void **state)
{
	char junk[4096] = { 0 };
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	attach_drain(p[0]);
	for (int i = 0; i < 256; i++) { /* 1 MiB: it would block */
		assert_int_equal(write(p[1], junk, sizeof(junk)), sizeof(junk));
		uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	}
	close(p[1]);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT); /* ends: nothing is left on the loop */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_start_check),
		cmocka_unit_test(test_stop_defaults),
		cmocka_unit_test(test_detach_keys),
		cmocka_unit_test(test_pump),
		cmocka_unit_test(test_pump_reader_gone),
		cmocka_unit_test(test_drain),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
