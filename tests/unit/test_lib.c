/* SPDX-License-Identifier: MPL-2.0 */
/* links: lib */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "conf.h"
#include "frame.h"
#include "fs.h"
#include "jget.h"
#include "jw.h"
#include "map.h"
#include "paths.h"
#include "str.h"

static void test_json_escape(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} rows[] = {
		{ "plain", 5, "\"plain\"" },
		{ "a\"b\\c", 5, "\"a\\\"b\\\\c\"" },
		{ "<a>&", 4, "\"\\u003ca\\u003e\\u0026\"" },
		{ "\x00\x1f\x7f\n\r", 5, "\"\\u0000\\u001f\x7f\\n\\r\"" },
		{ "\xff\xc3(\xed\xa0\x80", 6, "\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80\xc0\x80", 6, "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xe2\x80\xa8\xe2\x82\xac", 6, "\"\\u2028\xe2\x82\xac\"" },
		{ "\xef\xbf\xbd", 3, "\"\xef\xbf\xbd\"" },
		{ "\xe2\x82", 2, "\"\\ufffd\\ufffd\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;

		buf_json_str(&b, rows[i].in, rows[i].len);
		assert_string_equal(buf_str(&b), rows[i].out);
	}
}

/* What a byte becomes does not depend on where in a long string it is. */
static void test_json_long(void **state)
{
	struct buf alone = BUF_INIT, among = BUF_INIT, want = BUF_INIT;
	char text[40];

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		char byte = (char)c;

		buf_reset(&alone);
		buf_json_str(&alone, &byte, 1);
		for (size_t at = 0; at < sizeof(text); at++) {
			memset(text, 'x', sizeof(text));
			text[at] = byte;
			buf_reset(&among);
			buf_json_str(&among, text, sizeof(text));
			buf_reset(&want);
			buf_addch(&want, '"');
			memset(text, 'x', sizeof(text));
			buf_add(&want, text, at);
			buf_add(&want, alone.p + 1, alone.len - 2);
			buf_add(&want, text, sizeof(text) - at - 1);
			buf_addch(&want, '"');
			assert_string_equal(buf_str(&among), buf_str(&want));
		}
	}
	buf_fini(&alone);
	buf_fini(&among);
	buf_fini(&want);
}

static void test_buf_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_addstr(&b, "abc");
	assert_false(buf_over(&b));
	buf_addstr(&b, "de");
	assert_true(buf_over(&b));
	assert_string_equal(buf_str(&b), "abc");
	buf_reset(&b);
	buf_printf(&b, "%d", 1234);
	assert_false(buf_over(&b));
	buf_addch(&b, 'x');
	assert_true(buf_over(&b));
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "34");
	buf_fini(&b);
}

static void test_jw(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct jw w = JW(&b);

	(void)state;
	jw_obj(&w, NULL);
	jw_str(&w, "a", "x");
	jw_arr(&w, "b");
	jw_int(&w, NULL, -1);
	jw_obj(&w, NULL);
	jw_end(&w);
	jw_str(&w, NULL, NULL);
	jw_end(&w);
	jw_bool(&w, "c", true);
	jw_raw(&w, "d", "[1]");
	jw_end(&w);
	assert_string_equal(buf_str(&b), "{\"a\":\"x\",\"b\":[-1,{},null],\"c\":true,\"d\":[1]}");
}

static void test_map(void **state)
{
	struct map m;
	char key[32];
	struct map_iter it = { 0 };
	const char *k;
	void *v;
	intptr_t i, n = 0;

	(void)state;
	map_init(&m);
	for (i = 1; i <= 1000; i++) {
		snprintf(key, sizeof(key), "key%d", (int)i);
		assert_null(map_set(&m, key, (void *)i));
	}
	assert_int_equal(m.len, 1000);
	assert_ptr_equal(map_get(&m, "key500"), (void *)500);
	assert_ptr_equal(map_set(&m, "key500", (void *)7), (void *)500);
	while (map_next(&m, &it, &k, &v)) {
		n++;
		map_del(&m, k);
	}
	assert_int_equal(n, 1000);
	assert_int_equal(m.len, 0);
	assert_null(map_get(&m, "key1"));
	map_fini(&m, NULL);
}

static void test_fs(void **state)
{
	char dir[] = "/tmp/test_lib.XXXXXX", path[256];
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_fd int dir_fd = -1;
	struct err err = { 0 };
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a/b/c", dir);
	assert_int_equal(fs_mkdir_p(path, 0755, &err), 0);
	assert_int_equal(fs_mkdir_p(path, 0755, &err), 0);
	snprintf(path, sizeof(path), "%s/a/file", dir);
	assert_int_equal(fs_write_atomic(path, "one", 3, 0600, &err), 0);
	assert_int_equal(fs_write_replace(path, "two", 3, 0640, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(fs_read_file(path, 100, &b, &err), 0);
	assert_string_equal(buf_str(&b), "two");
	buf_reset(&b);
	assert_int_equal(fs_read_file(path, 2, &b, &err), -EFBIG);
	snprintf(path, sizeof(path), "%s/a/out", dir);
	assert_int_equal(symlink("/etc", path), 0);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fs_open_beneath(dir_fd, "a/out/passwd", O_RDONLY, 0) < 0);
	assert_int_equal(fs_open_in_root(dir_fd, "/a/out/passwd", O_RDONLY, 0), -ENOENT);
	assert_int_equal(fs_open_in_root(dir_fd, "/../../a/nothing", O_RDONLY, 0), -ENOENT);
	fd = fs_open_in_root(dir_fd, "/../../a/file", O_RDONLY, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fs_remove_tree(dir_fd, "a", &err), 0);
	assert_true(fs_exists("/etc/passwd"));
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_false(fs_exists(path));
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void test_frame(void **state)
{
	char dir[] = "/tmp/test_lib.XXXXXX", path[512], sub[200];
	cleanup_frame struct frame f = FRAME_INIT;
	cleanup_fd int l = -1;
	cleanup_fd int c = -1;
	cleanup_fd int s = -1;
	struct err err = { 0 };
	int pipe_fds[2], fd;
	char ch = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	memset(sub, 'd', 150);
	sub[150] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/sock", dir, sub); /* longer than sun_path */
	l = frame_listen(path, 0600, &err);
	assert_true(l >= 0);
	c = frame_connect(path, 1000, &err);
	assert_true(c >= 0);
	s = frame_accept(l);
	assert_true(s >= 0);
	assert_int_equal(frame_recv(s, &f, 0), -EAGAIN);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(frame_send(c, "hello", 5, pipe_fds + 1, 1, 1000), 0);
	close(pipe_fds[1]);
	assert_int_equal(frame_recv(s, &f, 1000), 1);
	assert_int_equal(f.data.len, 5);
	fd = frame_take_fd(&f, 0);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(read(pipe_fds[0], &ch, 1), 1);
	assert_int_equal(ch, 'x');
	close(pipe_fds[0]);
	/* a peer that ends with our request unread: its last words still come */
	assert_int_equal(frame_send(s, "request", 7, NULL, 0, 1000), 0);
	assert_int_equal(frame_send(c, "last", 4, NULL, 0, 1000), 0);
	close(take_fd(&c));
	assert_int_equal(frame_recv(s, &f, 1000), 1);
	assert_int_equal(f.data.len, 4);
	assert_int_equal(frame_recv(s, &f, 1000), 0);
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void test_conf(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "nonsense\n", "expected key = value" },
		{ "\n\nno-such-key = 1\n", ":3: unknown key no-such-key" },
		{ "mtu = big\n", "not a whole number" },
		{ "DEFAULT_MAX_LOG_SIZE = much\n", "not a size" },
		{ "tlsverify = maybe\n", "not true or false" },
	};
	char path[] = "/tmp/test_conf.XXXXXX";
	struct err err = { 0 };
	struct conf *c = NULL;
	size_t i;
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(fs_write_replace(path, bad[i].text, strlen(bad[i].text), 0600, &err), 0);
		assert_true(conf_load(&c, path, &err) < 0);
		assert_non_null(strstr(err.msg, bad[i].error));
	}
	assert_int_equal(conf_load(&c, NULL, &err), 0);
	assert_int_equal(conf_int(c, "DEFAULT_MAX_LOG_SIZE"), 50000000);
	conf_free(c);
	assert_int_equal(fs_write_replace(path, "# c\n DEFAULT_MAX_LOG_SIZE = 10m \nbridge=\"br 1\"\n", 48, 0600, &err), 0);
	assert_int_equal(conf_load(&c, path, &err), 0);
	assert_int_equal(conf_int(c, "DEFAULT_MAX_LOG_SIZE"), 10000000);
	assert_string_equal(conf_str(c, "bridge"), "br 1");
	conf_free(c);
	unlink(path);
}

static void test_paths(void **state)
{
	struct err err = { 0 };
	struct paths p;

	(void)state;
	assert_int_equal(paths_init(&p, NULL, &err), 0);
	assert_string_equal(p.zones, "/zones");
	assert_string_equal(p.tag, "");
	assert_int_equal(paths_init(&p, "/tmp/x/", &err), 0);
	assert_string_equal(p.api_sock, "/tmp/x/docker.sock");
	assert_int_equal(strlen(p.tag), 8);
	assert_true(paths_init(&p, "rel", &err) < 0);
}

static void test_err(void **state)
{
	struct err err = { 0 };

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&err, "open %s", "/x"), -ENOENT);
	assert_string_equal(err.msg, "open /x: no such file or directory");
	assert_int_equal(err_wrap(&err, -ENOENT, "start %s", "web"), -ENOENT);
	assert_string_equal(err.msg, "start web: open /x: no such file or directory");
	assert_int_equal(err_http_status(ERR_CONFLICT), 409);
	err_kind(&err, ERR_NOT_FOUND, "No such container: %s", "x");
	assert_int_equal(err_http_status(err.kind), 404);
}

static void test_json(void **state)
{
	static const char text[] = "{\"a\":[\"x\",1,\"y\"],\"n\":7}";
	cleanup_json json_t *j = NULL;
	cleanup_strv char **v = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(jparse(text, strlen(text), &j, &err), 0);
	v = jget_strv(j, "a");
	assert_int_equal(strv_len(v), 2);
	assert_int_equal(jget_int(j, "n", 0), 7);
	assert_null(jget_str(j, "n", NULL));
	json_decref(j);
	j = NULL;
	assert_int_equal(jparse("{", 1, &j, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_escape), cmocka_unit_test(test_json_long), cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_jw),	    cmocka_unit_test(test_map),
		cmocka_unit_test(test_fs),	    cmocka_unit_test(test_frame),
		cmocka_unit_test(test_conf),	    cmocka_unit_test(test_paths),
		cmocka_unit_test(test_err),	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
