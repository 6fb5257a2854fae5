/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/go_regex.h"
#include "apiserver/log_tag.h"
#include "apiserver/oci_priv.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct ct_spec make_spec(const char *log_config)
{
	static const char config[] =
		"{\"Env\":[\"A=1\",\"AB=2\",\"NOVALUE\",\"Z=\"],\"Cmd\":[\"sh\",\"-c\",\"x\"],"
		"\"Labels\":{\"com.a\":\"1\",\"com.b\":\"2\",\"A\":\"label\"}}";
	struct ct_spec s = { .id = ID, .image_id = "sha256:" ID };

	s.name = (char *)"web";
	s.image_ref = (char *)"img:1";
	s.config = json_loads(config, 0, NULL);
	s.host_config = json_pack("{s:o}", "LogConfig", json_loads(log_config, 0, NULL));
	return s;
}

static void test_json(void **state)
{
	static const struct {
		const char *in, *want; /* want: a part of the text */
	} rows[] = {
		{ "{\"Type\":\"json-file\",\"Config\":{}}", "\"attrs\":{}" },
		{ "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"10m\",\"max-file\":\"3\","
		  "\"compress\":\"true\"}}",
		  "\"max_size\":10000000,\"max_file\":3,\"compress\":true" },
		{ "{\"Type\":\"json-file\",\"Config\":{\"labels\":\"com.b,nope\"}}",
		  "\"attrs\":{\"com.b\":\"2\"}" },
		{ "{\"Type\":\"json-file\",\"Config\":{\"labels-regex\":\"^com\\\\.\"}}",
		  "\"attrs\":{\"com.a\":\"1\",\"com.b\":\"2\"}" },
		{ "{\"Type\":\"json-file\",\"Config\":{\"labels\":\"A\",\"env\":\"A,Z\"}}",
		  "\"attrs\":{\"A\":\"1\",\"Z\":\"\"}" },
		{ "{\"Type\":\"json-file\",\"Config\":{\"env-regex\":\"(?i)^a\"}}",
		  "\"attrs\":{\"A\":\"1\",\"AB\":\"2\"}" },
		{ "{\"Type\":\"json-file\",\"Config\":{\"tag\":\"{{.Name}}\"}}",
		  "\"attrs\":{\"tag\":\"web\"}" },
		{ "{\"Type\":\"syslog\",\"Config\":{\"tag\":\"{{.Name}}/{{.ID}}\"}}",
		  "\"tag\":\"web/0123456789ab\"" },
		{ "{\"Type\":\"syslog\",\"Config\":{\"syslog-tag\":\"x\",\"max-size\":\"1\"}}",
		  "\"tag\":\"x\"" },
		{ "{\"Type\":\"syslog\",\"Config\":{}}", "\"tag\":\"0123456789ab\"" },
		{ "{\"Type\":\"none\",\"Config\":{\"max-size\":\"bad\"}}", "\"driver\":\"none\"" },
		{ "{}", "\"driver\":\"json-file\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ct_spec s = make_spec(rows[i].in);
		cleanup_buf struct buf b = BUF_INIT;
		struct err err = { 0 };

		if (oci_log_json(&s, &b, &err) < 0 || !strstr(b.p, rows[i].want))
			fail_msg("%s: %s %s", rows[i].in, buf_str(&b), err.msg);
		json_decref(s.config);
		json_decref(s.host_config);
	}
}

static void test_json_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"Config\":{\"max-size\":\"x\"}}", "invalid size: 'x'" },
		{ "{\"Config\":{\"max-size\":\"0\"}}", "max-size must be a positive number" },
		{ "{\"Config\":{\"max-file\":\"0\"}}", "max-file cannot be less than 1" },
		{ "{\"Config\":{\"max-file\":\"q\"}}",
		  "strconv.Atoi: parsing \"q\": invalid syntax" },
		{ "{\"Config\":{\"compress\":\"q\"}}",
		  "strconv.ParseBool: parsing \"q\": invalid syntax" },
		{ "{\"Config\":{\"env-regex\":\"(\"}}", "error parsing regexp: " },
		{ "{\"Config\":{\"tag\":\"{{.Foo}}\"}}",
		  "can't evaluate field Foo in type *logger.Info" },
		{ "{\"Config\":{\"tag\":\"{{.ID\"}}", "template: log-tag:1: unclosed action" },
		{ "{\"Config\":{\"tag\":\"{{f .ID}}\"}}", "function \"f\" not defined" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ct_spec s = make_spec(rows[i][0]);
		cleanup_buf struct buf b = BUF_INIT;
		struct err err = { 0 };

		if (oci_log_json(&s, &b, &err) >= 0 || !strstr(err.msg, rows[i][1]))
			fail_msg("%s: '%s'", rows[i][0], err.msg);
		json_decref(s.config);
		json_decref(s.host_config);
	}
}

static void test_tag(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "{{.FullID}}", ID },
		{ "{{.ImageName}}|{{.ImageID}}|{{.ImageFullID}}", "img:1|0123456789ab|sha256:" ID },
		{ "{{ .Name }}-{{.ContainerName}}", "web-/web" },
		{ "a {{- .Name -}} b", "awebb" },
		{ "{{.Command}}", "sh -c x" },
		{ "{{.ContainerLabels.A}}{{index .ContainerLabels \"com.a\"}}", "label1" },
		{ "{{index .ContainerEnv 1}}", "AB=2" },
		{ "{{.Name | upper}}", "WEB" },
		{ "{{upper .Name | printf \"<%s>\"}}", "<WEB>" },
		{ "{{truncate .ID 4}}", "0123" },
		{ "{{.DaemonName}}", "docker" },
		{ "{{.ContainerEntrypoint}} {{index .ContainerArgs 0}} {{len .ContainerArgs}}", "sh -c 2" },
		{ "{{if .Name}}{{.Name | upper | printf \"%-5s|\"}}{{else}}none{{end}}", "WEB  |" },
		{ "{{if eq .Name \"a\" \"b\"}}1{{else if eq .Name \"web\"}}2{{else}}3{{end}}", "2" },
		{ "{{with .ContainerLabels.nosuch}}x{{else}}{{.Name}}{{end}}", "web" },
		{ "{{with .Name}}{{.}}/{{$.DaemonName}}{{end}}", "web/docker" },
		{ "{{range $.ContainerArgs}}<{{.}}>{{end}}", "<-c><x>" },
		{ "{{index (split .ImageName \":\") 1}}|{{join (split \"a-b\" \"-\") \"+\"}}", "1|a+b" },
		{ "{{$n := .Name}}{{title \"a-b c\"}} {{$n}} {{pad $n 1 2}}.", "A-B C web  web  ." },
		{ "a {{- /* nothing */ -}} b{{\"}}\"}}", "ab}}" },
		{ "{{json .ContainerArgs}} {{json .Name}} {{print 1 2 \"x\"}}", "[\"-c\",\"x\"] \"web\" 1 2x" },
		{ "{{slice .FullID 2 5}} {{and .Name 0}} {{or \"\" .Name}} {{not .Name}}", "234 0 web false" },
		{ "{{truncate .Name 99}} {{`raw`}} {{printf \"%q %d %%\" .Name 5}}", "web raw \"web\" 5 %" },
		{ "{{.ContainerImageID | len | lt 70}} {{urlquery \"a b/\"}} {{(.ExtraAttributes nil).X}}.", "true a+b%2F ." },
		{ "{{.ContainerLabels}}", "map[A:label com.a:1 com.b:2]" },
		{ "{{range $i, $e := .ContainerArgs}}{{$i}}={{$e}};{{end}}", "0=-c;1=x;" },
		{ "{{range $e := .ContainerArgs}}{{$e}}{{.}};{{else}}none{{end}}", "-c-c;xx;" },
		{ "{{range $k,$v:=.ContainerLabels}}{{$k}}={{$v}} {{end}}", "A=label com.a=1 com.b=2 " },
		{ "{{$l := \"\"}}{{range $l = .ContainerArgs}}{{end}}{{$l}} {{range $i, $n := 3}}{{$i}}{{$n}}{{end}}", "x 001122" },
		{ "{{with .ContainerLabels.nosuch}}x{{else with .Name}}{{.}}{{else}}y{{end}}", "web" },
	};
	struct ct_spec s = make_spec("{}");
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		struct err err = { 0 };

		if (log_tag_expand(rows[i][0], &s, "sh -c x", NULL, &b, &err) < 0 ||
		    strcmp(buf_str(&b), rows[i][1]) != 0)
			fail_msg("%s: '%s' %s", rows[i][0], buf_str(&b), err.msg);
	}
	json_decref(s.config);
	json_decref(s.host_config);
}

/* In the words of text/template. */
static void test_bad_tag(void **state)
{
	static const struct {
		const char *tmpl, *text;
		bool at_start; /* known only then */
	} rows[] = {
		{ "{{.Name", "template: log-tag:1: unclosed action", false },
		{ "{{}}", "template: log-tag:1: missing value for command", false },
		{ "{{f .Name}}", "template: log-tag:1: function \"f\" not defined", false },
		{ "{{if .Name}}x", "template: log-tag:1: unexpected EOF", false },
		{ "x{{end}}", "template: log-tag:1: unexpected {{end}}", false },
		{ "x\n{{\"a}}", "template: log-tag:2: unterminated quoted string", false },
		{ "{{(.Name}}", "template: log-tag:1: unclosed left paren", false },
		{ "{{$x}}", "template: log-tag:1: undefined variable \"$x\"", false },
		{ "{{range $i, $e = .ContainerArgs}}{{end}}", "template: log-tag:1: undefined variable \"$i\"", false },
		{ "{{range $i, $e := .ContainerArgs}}{{end}}{{$e}}", "template: log-tag:1: undefined variable \"$e\"", false },
		{ "{{$i, $e := .ContainerArgs}}", "template: log-tag:1: undefined variable \"$i\"", false },
		{ "{{.Name | 1}}", "template: log-tag:1: non executable command in pipeline stage 2", false },
		{ "{{define \"x\"}}{{end}}", "template: log-tag:1: {{define}} is not supported", false },
		{ "{{.Foo}}",
		  "template: log-tag:1:2: executing \"log-tag\" at <.Foo>: can't evaluate field Foo in type *logger.Info", false },
		{ "ab{{if .Foo}}{{end}}",
		  "template: log-tag:1:7: executing \"log-tag\" at <.Foo>: can't evaluate field Foo in type *logger.Info", false },
		{ "{{index .ContainerEnv 9}}",
		  "template: log-tag:1:2: executing \"log-tag\" at <index .ContainerEnv 9>: error calling index: index out of range: 9",
		  true },
		{ "{{.Name.Foo}}",
		  "template: log-tag:1:2: executing \"log-tag\" at <.Name.Foo>: can't evaluate field Foo in type string", true },
		{ "{{eq .Name 1}}",
		  "template: log-tag:1:2: executing \"log-tag\" at <eq .Name 1>: error calling eq: incompatible types for comparison",
		  true },
		{ "{{range .Name}}{{end}}", "range can't iterate over it", true },
		{ "{{.Name 1}}", "Name has arguments but cannot be invoked as function", true },
	};
	struct ct_spec s = make_spec("{}");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT;
		struct err err = { 0 }, start = { 0 };
		int rc = log_tag_expand(rows[i].tmpl, NULL, NULL, NULL, &b, &err);

		if ((rc < 0) == rows[i].at_start || log_tag_expand(rows[i].tmpl, &s, "sh", NULL, &b, &start) >= 0 ||
		    !strstr(start.msg, rows[i].text) || (rc < 0 && strcmp(err.msg, start.msg) != 0))
			fail_msg("%s: '%s' '%s'", rows[i].tmpl, err.msg, start.msg);
	}
	json_decref(s.config);
	json_decref(s.host_config);
}

/* In the words of regexp/syntax, where they are the same thing. */
static void test_bad_regex(void **state)
{
	static const char *const rows[][2] = {
		{ "(", "missing closing ): `(`" },
		{ "(a(b)", "missing closing ): `(a(b)`" },
		{ "a)", "unexpected ): `a)`" },
		{ "x[a", "missing closing ]: `[a`" },
		{ "a[b]c[d\\]", "missing closing ]: `[d\\]`" },
		{ "[^]a", "missing closing ]: `[^]a`" },
		{ "[]", "missing closing ]: `[]`" },
		{ "a\\", "trailing backslash at end of expression: ``" },
		{ "*", "missing argument to repetition operator: `*`" },
		{ "a|+b", "missing argument to repetition operator: `+`" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *want = xasprintf("error parsing regexp: %s", rows[i][1]);
		struct go_regex *re = NULL;
		struct err err = { 0 };

		assert_int_equal(go_regex_compile(rows[i][0], &re, &err), -EINVAL);
		assert_string_equal(err.msg, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_refused),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_bad_tag),
		cmocka_unit_test(test_bad_regex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
