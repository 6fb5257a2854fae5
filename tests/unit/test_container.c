/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/container.h"
#include "apiserver/store.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define ID_A "aaaa000000000000000000000000000000000000000000000000000000000001"
#define ID_B "aaab000000000000000000000000000000000000000000000000000000000002"
#define ID_C "bbbb000000000000000000000000000000000000000000000000000000000003"

static struct container *add(const char *id, const char *name, int64_t created_ns)
{
	struct container *ct = container_new(id);
	struct err err = { 0 };

	ct->name = xstrdup(name);
	ct->image_ref = xstrdup("busybox");
	ct->created_ns = created_ns;
	ct->config = json_pack("{s:s,s:{s:s}}", "Hostname", "h", "Labels", "a", "b");
	ct->host_config = json_pack("{s:s}", "NetworkMode", "bridge");
	if (container_add(ct, &err) < 0)
		fail_msg("container_add: %s", err.msg);
	container_unref(ct);
	return container_by_id(id);
}

static int setup(void **state)
{
	(void)state;
	container_index_init();
	add(ID_A, "web", 100);
	add(ID_B, "db", 300);
	add(ID_C, "bbbb1", 200);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (container_first())
		container_del(container_first());
	container_save_stop();
	return 0;
}

static void test_find(void **state)
{
	static const struct {
		const char *ref, *id, *text;
		enum err_kind kind;
	} rows[] = {
		{ ID_A, ID_A, NULL, 0 },
		{ "web", ID_A, NULL, 0 },
		{ "/web", ID_A, NULL, 0 },
		{ "aaaa", ID_A, NULL, 0 },
		{ "aaab00", ID_B, NULL, 0 },
		{ "b", ID_C, NULL, 0 },
		{ "bbbb1", ID_C, NULL, 0 }, /* a name wins over prefixes */
		{ "aaa", NULL, "multiple IDs found with provided prefix: aaa", ERR_BAD_PARAM },
		{ "zz", NULL, "No such container: zz", ERR_NOT_FOUND },
		{ "", NULL, "invalid name or ID supplied: \"\"", ERR_BAD_PARAM },
		{ ID_A "0", NULL, "No such container: " ID_A "0", ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		struct container *ct = container_find(rows[i].ref, &err);

		if (rows[i].id) {
			if (!ct)
				fail_msg("%s: %s", rows[i].ref, err.msg);
			assert_string_equal(ct->id, rows[i].id);
		} else {
			assert_null(ct);
			assert_string_equal(err.msg, rows[i].text);
			assert_int_equal(err.kind, rows[i].kind);
		}
	}
}

static void test_age_order(void **state)
{
	struct container *ct = container_first();

	(void)state;
	assert_string_equal(ct->name, "db");
	assert_string_equal(ct->next_by_age->name, "bbbb1");
	assert_string_equal(ct->next_by_age->next_by_age->name, "web");
	assert_null(ct->next_by_age->next_by_age->next_by_age);
	assert_int_equal(container_count(), 3);
}

static void test_names(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_true(container_reserve_name("/web", ID_B, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_string_equal(
		err.msg,
		"Conflict. The container name \"/web\" is already in use by container \"" ID_A
		"\". You have to remove (or rename) that container to be able to reuse that name.");
	assert_int_equal(container_reserve_name("new", "0123", &err), 0);
	assert_null(container_find("new", &err)); /* a reservation is no container yet */
	container_release_name("new");
	assert_int_equal(container_rename(container_by_id(ID_A), "/www", &err), 0);
	assert_string_equal(container_find("www", &err)->id, ID_A);
	assert_null(container_find("web", &err));
	assert_true(container_rename(container_by_id(ID_A), "www", &err) < 0);
	assert_int_equal(err.kind, ERR_BAD_PARAM);
	assert_true(container_rename(container_by_id(ID_A), "db", &err) < 0);
	assert_true(str_starts(
		err.msg, "Error when allocating new name: Conflict. The container name \"/db\""));
	assert_int_equal(container_rename(container_by_id(ID_A), "web", &err), 0);
}

/* ---- operations ------------------------------------------------------------------------------ */

static char trace[256];
static bool end_at_once;

static void note(struct container *ct, void *arg, bool cancelled)
{
	size_t len = strlen(trace);

	snprintf(trace + len, sizeof(trace) - len, "%s%s ", (const char *)arg,
		 cancelled ? "!" : "");
	if (end_at_once && !cancelled)
		container_op_end(ct);
}

static void test_operations_one_at_a_time(void **state)
{
	static char a[] = "a", b[] = "b", c[] = "c", d[] = "d";
	struct container *ct = container_by_id(ID_A);
	struct err err = { 0 };

	(void)state;
	trace[0] = '\0';
	assert_int_equal(container_op_begin(ct, OP_START, note, a, &err), 0);
	assert_int_equal(container_op_begin(ct, OP_STOP, note, b, &err), 0);
	assert_int_equal(container_op_begin(ct, OP_PAUSE, note, c, &err), 0);
	assert_string_equal(trace, "a ");
	assert_int_equal(ct->op, OP_START);
	container_op_end(ct);
	assert_string_equal(trace, "a b ");
	assert_int_equal(ct->op, OP_STOP);
	end_at_once = true; /* c ends inside its own callback */
	assert_int_equal(container_op_begin(ct, OP_STOP, note, d, &err), 0);
	container_op_end(ct);
	assert_string_equal(trace, "a b c d ");
	assert_int_equal(ct->op, OP_NONE);
	end_at_once = false;
}

static void test_removal_refuses_and_cancels(void **state)
{
	static char a[] = "a", b[] = "b", c[] = "c";
	struct container *ct = container_ref(add(
		"cccc000000000000000000000000000000000000000000000000000000000004", "gone", 400));
	struct err err = { 0 };

	(void)state;
	trace[0] = '\0';
	assert_int_equal(container_op_begin(ct, OP_REMOVE, note, a, &err), 0);
	assert_int_equal(container_op_begin(ct, OP_START, note, b, &err), 0);
	ct->removing = true;
	assert_true(container_op_begin(ct, OP_START, note, c, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_string_equal(err.msg, "container is marked for removal and cannot be started");
	assert_true(container_op_begin(ct, OP_REMOVE, note, c, &err) < 0);
	assert_true(str_ends(err.msg, " is already in progress"));
	container_del(ct);
	assert_string_equal(trace, "a b! ");
	assert_null(container_find("gone", &err));
	assert_int_equal(container_reserve_name("gone", ID_A, &err), 0);
	container_release_name("gone");
	container_unref(ct);
}

/* ---- records --------------------------------------------------------------------------------- */

static void fill(struct container *ct)
{
	struct ct_mount *m = ct_mounts_add(&ct->mounts);

	m->type = xstrdup("volume");
	m->name = xstrdup("v");
	m->source = xstrdup("/v");
	m->destination = xstrdup("/data");
	m->driver = xstrdup("local");
	m->mode = xstrdup("z");
	m->propagation = xstrdup("");
	m->rw = true;
	m->anonymous = true;
	ct->endpoints = xcalloc(1, sizeof(*ct->endpoints));
	ct->n_endpoints = 1;
	ct->endpoints[0].network = xstrdup("bridge");
	str_copy(ct->endpoints[0].ip, sizeof(ct->endpoints[0].ip), "172.17.0.2");
	ct->st.status = CT_EXITED;
	ct->st.exit_code = 42;
	ct->st.started_ns = 5;
	ct->st.finished_ns = 6;
	ct->st.stopped_by_user = true;
	str_copy(ct->st.error, sizeof(ct->st.error), "said \"no\"");
	str_copy(ct->image_id, sizeof(ct->image_id), "sha256:1");
	ct->extra = json_pack("{s:i}", "k", 1);
}

static void test_record_round_trip(void **state)
{
	struct container *ct = container_new(ID_A);
	struct container *back = NULL;
	cleanup_free char *text = NULL;
	cleanup_free char *again = NULL;
	struct err err = { 0 };

	(void)state;
	ct->name = xstrdup("web");
	ct->image_ref = xstrdup("busybox");
	ct->created_ns = 1234567890123456789;
	ct->config = json_pack("{s:s}", "Hostname", "h");
	ct->host_config = json_pack("{s:s}", "NetworkMode", "bridge");
	fill(ct);
	text = container_to_json(ct);
	if (container_from_json(text, &back, &err) < 0)
		fail_msg("%s", err.msg);
	again = container_to_json(back);
	assert_string_equal(text, again);
	assert_int_equal(back->st.exit_code, 42);
	assert_int_equal(back->created_ns, 1234567890123456789);
	assert_string_equal(back->mounts.v[0].destination, "/data");
	assert_true(back->mounts.v[0].anonymous);
	assert_string_equal(back->st.error, "said \"no\"");
	assert_string_equal(back->endpoints[0].ip, "172.17.0.2");
	container_unref(ct);
	container_unref(back);
}

static void test_bad_records(void **state)
{
	static const char *const rows[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"id\":\"xyz\"}",
		"{\"id\":\"" ID_A "\"}",
		"{\"id\":\"" ID_A "\",\"v\":99,\"name\":\"n\",\"config\":{},\"host_config\":{}}",
		"{\"id\":\"" ID_A "\",\"name\":\"n\",\"config\":[],\"host_config\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct container *ct = NULL;
		struct err err = { 0 };

		if (container_from_json(rows[i], &ct, &err) >= 0)
			fail_msg("accepted: %s", rows[i]);
		assert_true(err.msg[0]);
		assert_null(ct);
	}
}

static void test_spec_is_a_copy(void **state)
{
	struct container *ct = container_by_id(ID_B);
	struct ct_spec *spec;

	(void)state;
	spec = container_spec(ct);
	json_object_set_new(jget_obj(ct->config, "Labels"), "a", json_string("changed"));
	assert_string_equal(jget_str(jget_obj(spec->config, "Labels"), "a", ""), "b");
	assert_string_equal(spec->name, "db");
	ct_spec_free(spec);
	ct_spec_free(NULL);
}

static void test_writer(void **state)
{
	char dir[] = "/tmp/test_container.XXXXXX";
	struct container *ct = container_by_id(ID_B);
	cleanup_free char *text = NULL;
	struct ct_spec *spec;
	struct err err = { 0 };
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
	assert_int_equal(store_open(path, &err), 0);
	for (int i = 0; i < 50; i++) {
		ct->st.exit_code = i;
		container_save(ct);
	}
	container_save_flush();
	assert_int_equal(store_get(STORE_CONTAINER, ID_B, &text, &err), 0);
	assert_non_null(strstr(text, "\"exit_code\":49"));
	ct->st.exit_code = 50;
	container_save(ct);
	spec = container_spec(ct);
	spec->st.exit_code = 51;
	assert_int_equal(ct_spec_save(spec, &err),
			 0); /* never overtaken by what was queued before */
	ct_spec_free(spec);
	container_save_flush();
	free(text);
	assert_int_equal(store_get(STORE_CONTAINER, ID_B, &text, &err), 0);
	assert_non_null(strstr(text, "\"exit_code\":51"));
	container_save(ct);
	assert_int_equal(container_store_del(ID_B, &err), 0);
	container_save_flush();
	free(text);
	assert_int_equal(store_get(STORE_CONTAINER, ID_B, &text, &err), 0);
	assert_null(text);
	store_close();
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_age_order),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_operations_one_at_a_time),
		cmocka_unit_test(test_removal_refuses_and_cancels),
		cmocka_unit_test(test_record_round_trip),
		cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_spec_is_a_copy),
		cmocka_unit_test(test_writer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
