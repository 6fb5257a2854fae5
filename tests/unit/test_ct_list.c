/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/container.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_json.h"
#include "apiserver/ct_status.h"
#include "apiserver/engine_init.h"
#include "apiserver/image_store.h"
#include "apiserver/signals.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define SECOND INT64_C(1000000000)

/* Two images, child of parent: what ct_json and ct_list need of the store. */
static struct image images[] = {
	{ .id = "sha256:parent", .parent = (char *)(uintptr_t) "" },
	{ .id = "sha256:child", .parent = (char *)(uintptr_t) "sha256:parent" },
};

int image_get(const char *ref, struct image **out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		if (strcmp(ref, images[i].id) == 0 || strcmp(ref, images[i].id + 7) == 0) {
			*out = &images[i];
			return 0;
		}
	}
	return err_kind(err, ERR_NOT_FOUND, "No such image: %s", ref);
}

void image_unref(struct image *img)
{
	(void)img;
}

static struct container *add(unsigned n, const char *name, const char *body)
{
	struct create_request cr = { 0 };
	struct err err = { 0 };
	struct container *ct;
	char id[65];

	snprintf(id, sizeof(id), "%02x%062x", n * 16, n);
	if (create_request_parse(body, strlen(body), 151, &cr, &err) < 0 ||
	    create_request_merge_image(&cr, NULL, &err) < 0)
		fail_msg("%s: %s", body, err.msg);
	ct = container_new(id);
	ct->name = xstrdup(name);
	ct->image_ref = xstrdup(jget_str(cr.config, "Image", ""));
	str_copy(ct->image_id, sizeof(ct->image_id),
		 strcmp(ct->image_ref, "parent") == 0 ? "sha256:parent" : "sha256:child");
	ct->created_ns = (int64_t)n * SECOND;
	ct->config = take_ptr(&cr.config);
	ct->host_config = take_ptr(&cr.host_config);
	ct->endpoints = take_ptr(&cr.endpoints);
	ct->n_endpoints = cr.n_endpoints;
	cr.n_endpoints = 0;
	create_request_fini(&cr);
	if (container_add(ct, &err) < 0)
		fail_msg("%s", err.msg);
	container_unref(ct);
	return container_by_id(id);
}

static int setup(void **state)
{
	struct engine *e = engine_mutable();
	struct container *ct;
	struct port_binding *pb;
	struct err err = { 0 };

	(void)state;
	e->ncpu = 4;
	e->cgroup_mode = CGROUP_V1;
	if (paths_init(&e->paths, "/t", &err) < 0)
		return -1;
	container_index_init();
	ct = add(1, "web",
		 "{\"Image\":\"parent\",\"Cmd\":[\"sh\",\"-c\",\"a "
		 "b\"],\"Labels\":{\"k\":\"v\"},\"ExposedPorts\":{\"80/tcp\":{}}}");
	ct->st.status = CT_RUNNING;
	ct->st.started_ns = now_ns() - 5 * SECOND;
	ct->st.health = HEALTH_HEALTHY;
	str_copy(ct->endpoints[0].network_id, 65, "aabbcc");
	str_copy(ct->endpoints[0].ip, 16, "172.17.0.2");
	pb = ct->endpoints[0].ports = xcalloc(1, sizeof(*pb));
	ct->endpoints[0].n_ports = 1;
	pb->ct_port = 8080;
	pb->host_port = 32768;
	str_copy(pb->proto, sizeof(pb->proto), "tcp");
	ct = add(2, "db", "{\"Image\":\"child\",\"Cmd\":[\"x\"],\"Labels\":{\"k\":\"other\"}}");
	ct->st.status = CT_EXITED;
	ct->st.started_ns = now_ns() - 7200 * SECOND;
	ct->st.finished_ns = now_ns() - 3600 * SECOND;
	ct->st.exit_code = 3;
	ct_mounts_add(&ct->mounts);
	ct->mounts.v[0] = (struct ct_mount){ .type = xstrdup("volume"),
					     .name = xstrdup("vol"),
					     .source = xstrdup("/s"),
					     .destination = xstrdup("/data"),
					     .driver = xstrdup("local"),
					     .rw = true };
	ct = add(3, "web2",
	    "{\"Image\":\"child\",\"Cmd\":[\"x\"],\"HostConfig\":{\"NetworkMode\":\"mynet\","
	    "\"Links\":[\"db:d\"]}}");
	ct->extra = json_pack("{s:[{s:s, s:s, s:s}]}", "links", "alias", "d", "id", container_find("db", &err)->id, "name", "db");
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

static void names_are(const struct ct_list_opts *o, const char *want)
{
	cleanup_buf struct buf got = BUF_INIT;
	struct container **v = NULL;
	struct err err = { 0 };

	if (ct_list(o, 151, &v, &err) < 0)
		fail_msg("%s: %s", o->filters, err.msg);
	for (size_t i = 0; v[i]; i++)
		buf_printf(&got, "%s%s", i ? " " : "", v[i]->name);
	free(v);
	if (strcmp(buf_str(&got), want) != 0)
		fail_msg("%s all=%d limit=%d: got '%s', want '%s'", o->filters, o->all, o->limit,
			 buf_str(&got), want);
}

static void test_which(void **state)
{
	static const struct {
		struct ct_list_opts o;
		const char *want;
	} rows[] = {
		{ { .all = false }, "web" },
		{ { .all = true }, "web2 db web" },
		{ { .limit = 2 }, "web2 db" },
		{ { .all = true, .filters = "{\"name\":[\"web\"]}" }, "web2 web" },
		{ { .all = true, .filters = "{\"name\":{\"^/?web$\":true}}" }, "web" },
		{ { .all = true, .filters = "{\"name\":[\"(\"]}" }, "" },
		{ { .all = true, .filters = "{\"id\":[\"20\"]}" }, "db" },
		{ { .all = true, .filters = "{\"label\":[\"k\"]}" }, "db web" },
		{ { .all = true, .filters = "{\"label\":[\"k=v\"]}" }, "web" },
		{ { .all = true, .filters = "{\"label\":[\"k\",\"k=other\"]}" }, "db" },
		{ { .all = true, .filters = "{\"exited\":[\"3\"]}" }, "db" },
		{ { .all = true, .filters = "{\"exited\":[\"0\"]}" }, "" },
		{ { .filters = "{\"status\":[\"exited\",\"created\"]}" }, "web2 db" },
		{ { .filters = "{\"health\":[\"healthy\"]}" }, "web" },
		{ { .all = true, .filters = "{\"health\":[\"none\"]}" }, "web2 db" },
		{ { .all = true, .filters = "{\"before\":[\"web2\"]}" }, "db web" },
		{ { .all = true, .filters = "{\"since\":[\"db\"]}" }, "web2" },
		{ { .all = true, .filters = "{\"volume\":[\"vol\"]}" }, "db" },
		{ { .all = true, .filters = "{\"volume\":[\"/data\"]}" }, "db" },
		{ { .all = true, .filters = "{\"volume\":[\"/s\"]}" }, "" },
		{ { .all = true, .filters = "{\"network\":[\"mynet\"]}" }, "web2" },
		{ { .all = true, .filters = "{\"network\":[\"aab\"]}" }, "web" },
		{ { .all = true, .filters = "{\"ancestor\":[\"parent\"]}" }, "web2 db web" },
		{ { .all = true, .filters = "{\"ancestor\":[\"child\"]}" }, "web2 db" },
		{ { .all = true, .filters = "{\"ancestor\":[\"nope\"]}" }, "" },
		{ { .all = true, .filters = "{\"expose\":[\"80\"]}" }, "web" },
		{ { .all = true, .filters = "{\"expose\":[\"79-81/udp\"]}" }, "" },
		{ { .all = true, .filters = "{\"publish\":[\"32768/tcp\"]}" }, "web" },
		{ { .all = true, .filters = "{\"publish\":[\"80\"]}" }, "" },
		{ { .all = true, .filters = "{\"is-task\":[\"true\"]}" }, "" },
		{ { .all = true, .filters = "{\"is-task\":[\"false\"]}" }, "web2 db web" },
		{ { .all = true, .filters = "{\"isolation\":[\"default\"]}" }, "web2 db web" },
		{ { .all = true, .filters = "{}" }, "web2 db web" },
		{ { .all = true, .filters = "" }, "web2 db web" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		names_are(&rows[i].o, rows[i].want);
}

static void test_bad_filters(void **state)
{
	static const struct {
		const char *filters, *text;
		int status;
	} rows[] = {
		{ "x", "invalid filter", 400 },
		{ "[]", "invalid filter", 400 },
		{ "{\"name\":\"x\"}", "invalid filter", 400 },
		{ "{\"name\":[1]}", "invalid filter", 400 },
		{ "{\"nope\":[\"x\"]}", "invalid filter 'nope'", 400 },
		{ "{\"exited\":[\"x\"]}",
		  "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax", 400 },
		{ "{\"status\":[\"up\"]}",
		  "invalid filter 'status=up': invalid value for state (up): must be one of "
		  "created, running, paused, restarting, "
		  "removing, exited, dead",
		  400 },
		{ "{\"health\":[\"ok\"]}",
		  "invalid filter 'health=ok': invalid value for health (ok): must be one of none, "
		  "starting, healthy, unhealthy",
		  400 },
		{ "{\"before\":[\"zz\"]}", "No such container: zz", 404 },
		{ "{\"publish\":[\"1:2\"]}", "filter for 'publish' should not contain ':': 1:2",
		  400 },
		{ "{\"is-task\":[\"perhaps\"]}", "invalid filter 'is-task=[perhaps]'", 400 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ct_list_opts o = { .filters = rows[i].filters };
		struct container **v = NULL;
		struct err err = { 0 };

		assert_true(ct_list(&o, 151, &v, &err) < 0);
		assert_string_equal(err.msg, rows[i].text);
		assert_int_equal(err_http_status(err.kind), rows[i].status);
	}
}

/* A path such as "State.Status" or "Names.0" in JSON, as text. */
static char *at_path(const json_t *o, const char *path)
{
	cleanup_strv char **parts = strv_split(path, '.');

	for (size_t i = 0; parts[i] && o; i++) {
		int64_t n;

		if (json_is_array(o) && parse_i64(parts[i], 0, 1000, &n) == 0)
			o = json_array_get(o, (size_t)n);
		else
			o = json_object_get(o, parts[i]);
	}
	return o ? json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY) : xstrdup("absent");
}

static void paths_are(const struct buf *b, const char *const rows[][2], size_t n)
{
	cleanup_json json_t *o = NULL;
	struct err err = { 0 };

	if (jparse(buf_str(b), b->len, &o, &err) < 0)
		fail_msg("%s in %s", err.msg, buf_str(b));
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *got = at_path(o, rows[i][0]);

		if (strcmp(got, rows[i][1]) != 0)
			fail_msg("%s: got %s, want %s", rows[i][0], got, rows[i][1]);
	}
}

static void test_inspect(void **state)
{
	static const char *const web[][2] = {
		{ "Name", "\"/web\"" },
		{ "Path", "\"sh\"" },
		{ "Args", "[\"-c\",\"a b\"]" },
		{ "Created", "\"1970-01-01T00:00:01Z\"" },
		{ "State.Status", "\"running\"" },
		{ "State.Running", "true" },
		{ "State.FinishedAt", "\"0001-01-01T00:00:00Z\"" },
		{ "State.Health.Status", "\"healthy\"" },
		{ "State.Health.Log", "[]" },
		{ "Image", "\"sha256:parent\"" },
		{ "ExecIDs", "null" },
		{ "HostConfig.NetworkMode", "\"bridge\"" },
		{ "GraphDriver.Name", "\"overlay2\"" },
		{ "LogPath", "\"/t/zones/10000000-0000-0000-0000-000000000000/logs/stdio.log\"" },
		{ "Mounts", "[]" },
		{ "Config.Labels", "{\"k\":\"v\"}" },
		{ "NetworkSettings.Ports",
		  "{\"80/tcp\":null,\"8080/"
		  "tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"32768\"}]}" },
		{ "NetworkSettings.IPAddress", "\"172.17.0.2\"" },
		{ "NetworkSettings.SecondaryIPAddresses", "null" },
		{ "NetworkSettings.Networks.bridge.IPAddress", "\"172.17.0.2\"" },
		{ "NetworkSettings.Networks.bridge.IPAMConfig", "null" },
		{ "SizeRw", "absent" },
		{ "ImageManifestDescriptor", "absent" },
	};
	static const char *const db[][2] = {
		{ "State.Status", "\"exited\"" },
		{ "State.ExitCode", "3" },
		{ "State.Health", "absent" },
		{ "Mounts", "[{\"Type\":\"volume\",\"Name\":\"vol\",\"Source\":\"/"
			    "s\",\"Destination\":\"/data\",\"Driver\":\"local\","
			    "\"Mode\":\"\",\"RW\":true,\"Propagation\":\"\"}]" },
		{ "NetworkSettings.Ports", "{}" },
		{ "SizeRw", "5" },
		{ "SizeRootFs", "6" },
	};
	static const char *const web2[][2] = {
		{ "HostConfig.Links", "[\"/db:/web2/d\"]" },
		{ "NetworkSettings.Networks.mynet.Aliases", "[\"300000000000\"]" },
		{ "State.Status", "\"created\"" },
	};
	struct ct_sizes sizes = { 5, 6 };
	struct buf b = BUF_INIT;
	struct err err = { 0 };

	(void)state;
	ct_json_inspect(container_find("web", &err), 151, NULL, &b);
	paths_are(&b, web, ARRAY_SIZE(web));
	buf_reset(&b);
	ct_json_inspect(container_find("db", &err), 151, &sizes, &b);
	paths_are(&b, db, ARRAY_SIZE(db));
	buf_reset(&b);
	ct_json_inspect(container_find("web2", &err), 144, NULL, &b);
	paths_are(&b, web2, ARRAY_SIZE(web2));
	buf_fini(&b);
}

static void test_list_rows(void **state)
{
	static const char *const rows[][2] = {
		{ "0.Names", "[\"/web2\"]" },
		{ "0.Status", "\"Created\"" },
		{ "0.Image", "\"child\"" },
		{ "0.Ports", "[]" },
		{ "0.HostConfig", "{\"NetworkMode\":\"mynet\"}" },
		{ "0.NetworkSettings.Networks.mynet.Aliases", "null" },
		{ "1.Names", "[\"/db\",\"/web2/d\"]" },
		{ "1.Status", "\"Exited (3) About an hour ago\"" },
		{ "1.Mounts.0.Name", "\"vol\"" },
		{ "1.Labels", "{\"k\":\"other\"}" },
		{ "2.Command", "\"sh -c 'a b'\"" },
		{ "2.Created", "1" },
		{ "2.State", "\"running\"" },
		{ "2.Status", "\"Up 5 seconds (healthy)\"" },
		{ "2.Ports",
		  "[{\"PrivatePort\":80,\"Type\":\"tcp\"},{\"IP\":\"0.0.0.0\",\"PrivatePort\":8080,"
		  "\"PublicPort\":32768,\"Type\":\"tcp\"}]" },
		{ "2.SizeRw", "7" },
		{ "3", "absent" },
	};
	struct ct_sizes sizes[] = { { 0, 0 }, { 0, 0 }, { 7, 8 } };
	struct ct_list_opts o = { .all = true };
	struct container **v = NULL;
	struct buf b = BUF_INIT;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(ct_list(&o, 151, &v, &err), 0);
	ct_json_list(v, sizes, 151, &b);
	paths_are(&b, rows, ARRAY_SIZE(rows));
	free(v);
	buf_fini(&b);
}

static void test_image_that_moved(void **state)
{
	static const char *const rows[][2] = { { "2.Image", "\"sha256:parent\"" } };
	struct ct_list_opts o = { .all = true };
	struct container **v = NULL;
	struct buf b = BUF_INIT;
	struct err err = { 0 };
	struct container *ct = container_find("web", &err);

	(void)state;
	json_object_set_new(ct->config, "Image",
			    json_string("child")); /* the tag now means another image */
	assert_int_equal(ct_list(&o, 151, &v, &err), 0);
	ct_json_list(v, NULL, 151, &b);
	paths_are(&b, rows, ARRAY_SIZE(rows));
	json_object_set_new(ct->config, "Image", json_string("parent"));
	free(v);
	buf_fini(&b);
}

static void test_durations(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "Less than a second" }, { 1, "1 second" },		 { 59, "59 seconds" },
		{ 60, "About a minute" },    { 119, "About a minute" },	 { 120, "2 minutes" },
		{ 3599, "59 minutes" },	     { 3600, "About an hour" },	 { 5399, "About an hour" },
		{ 5400, "2 hours" },	     { 47 * 3600, "47 hours" },	 { 48 * 3600, "2 days" },
		{ 14 * 86400, "2 weeks" },   { 60 * 86400, "2 months" }, { 730 * 86400, "2 years" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;

		human_duration(rows[i].seconds * SECOND, &b);
		assert_string_equal(buf_str(&b), rows[i].text);
	}
}

static void test_status_words(void **state)
{
	static const struct {
		enum container_status status;
		bool removing;
		enum health_status health;
		int64_t started, finished; /* seconds ago; 0 never */
		const char *text;
	} rows[] = {
		{ CT_CREATED, false, HEALTH_NONE, 0, 0, "Created" },
		{ CT_RUNNING, false, HEALTH_NONE, 120, 0, "Up 2 minutes" },
		{ CT_RUNNING, true, HEALTH_NONE, 120, 0, "Up 2 minutes" },
		{ CT_RUNNING, false, HEALTH_STARTING, 1, 0, "Up 1 second (health: starting)" },
		{ CT_RUNNING, false, HEALTH_UNHEALTHY, 1, 0, "Up 1 second (unhealthy)" },
		{ CT_PAUSED, false, HEALTH_HEALTHY, 1, 0, "Up 1 second (Paused)" },
		{ CT_RESTARTING, false, HEALTH_NONE, 9, 2, "Restarting (3) 2 seconds ago" },
		{ CT_EXITED, false, HEALTH_NONE, 9, 60, "Exited (3) About a minute ago" },
		{ CT_EXITED, true, HEALTH_NONE, 9, 60, "Removal In Progress" },
		{ CT_DEAD, false, HEALTH_NONE, 9, 60, "Dead" },
	};
	int64_t now = now_ns();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct container ct = { .removing = rows[i].removing };
		cleanup_buf struct buf b = BUF_INIT;

		ct.st.status = rows[i].status;
		ct.st.health = rows[i].health;
		ct.st.exit_code = 3;
		ct.st.started_ns = rows[i].started ? now - rows[i].started * SECOND : 0;
		ct.st.finished_ns = rows[i].finished ? now - rows[i].finished * SECOND : 0;
		ct_status_text_at(&ct, now, &b);
		assert_string_equal(buf_str(&b), rows[i].text);
	}
}

static void test_names_check(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} rows[] = { { "a1", true },   { "/a1", true },	 { "A_b.c-d", true },
		     { "a", false },   { "", false },	 { "-a", false },
		     { "a b", false }, { "a/b", false }, { "\xc3\xa4x", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		char want[128];

		assert_int_equal(ct_check_name(rows[i].name, &err) == 0, rows[i].ok);
		snprintf(want, sizeof(want),
			 "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			 rows[i].name);
		if (!rows[i].ok)
			assert_string_equal(err.msg, want);
	}
	for (unsigned i = 0; i < 200; i++) {
		cleanup_free char *name = ct_random_name(i % 3);
		struct err err = { 0 };

		assert_int_equal(ct_check_name(name, &err), 0);
		assert_non_null(strchr(name, '_'));
	}
}

static void test_signals(void **state)
{
	static const struct {
		const char *text;
		int signo; /* 0: invalid */
	} rows[] = {
		{ "SIGTERM", 15 }, { "term", 15 },    { "15", 15 },	 { "sigKILL", 9 },
		{ "RTMIN", 34 },   { "RTMIN+3", 37 }, { "RTMAX-1", 63 }, { "64", 64 },
		{ "65", 0 },	   { "0", 0 },	      { "-1", 0 },	 { "", 0 },
		{ "SIGFOO", 0 },   { "RTMIN-1", 0 },  { "RTMIN+99", 0 }, { "USR1", 10 },
		{ "SIGCLD", 17 },  { "15x", 0 },	      { "32", 0 },	 { "33", 0 },
		{ "34", 34 },	   { "31", 31 },      { "99999999999", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		int signo = 0;

		if ((signal_parse(rows[i].text, &signo, &err) == 0) != (rows[i].signo != 0) ||
		    signo != rows[i].signo)
			fail_msg("%s: %d", rows[i].text, signo);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_bad_filters),
		cmocka_unit_test(test_inspect),
		cmocka_unit_test(test_list_rows),
		cmocka_unit_test(test_image_that_moved),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_status_words),
		cmocka_unit_test(test_names_check),
		cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
