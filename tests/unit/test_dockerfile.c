/* SPDX-License-Identifier: MPL-2.0
 *
 * test_dockerfile.c - words and metadata instructions of Dockerfiles.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/dockerfile_change.h"
#include "apiserver/dockerfile_words.h"
#include "apiserver/image_commit.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

static char *env_[] = { (char *)"A=one", (char *)"EMPTY=", (char *)"AB=two", (char *)"P=a.tar.gz",
			(char *)"S=*a?}/", (char *)"U=\xc3\xa4x", NULL };

static void test_expand(void **state)
{
	static const struct {
		const char *in, *want; /* NULL: an error */
	} rows[] = {
		{ "plain", "plain" },
		{ "$A", "one" },
		{ "x${A}y", "xoney" },
		{ "$AB$A", "twoone" },
		{ "$NO", "" },
		{ "${NO:-def}", "def" },
		{ "${NO-def}", "def" },
		{ "${EMPTY:-def}", "def" },
		{ "${EMPTY-def}", "" },
		{ "${A:+alt}", "alt" },
		{ "${NO:+alt}", "" },
		{ "${NO:-${A}}", "one" },
		{ "'$A'", "$A" },
		{ "\"$A\"", "one" },
		{ "\\$A", "$A" },
		{ "\"\\$A\"", "$A" },
		{ "\"a\\b\"", "a\\b" },
		{ "a\\ b", "a b" },
		{ "'it''s'", "its" },
		{ "$", "$" },
		{ "a$", "a$" },
		{ "$1", "" },
		{ "", "" },
		{ "\"a", NULL },
		{ "'a", NULL },
		{ "${A", NULL },
		{ "${}", NULL },
		{ "${A!x}", NULL },
		{ "${P#*.}", "tar.gz" },
		{ "${P##*.}", "gz" },
		{ "${P%.*}", "a.tar" },
		{ "${P%%.*}", "a" },
		{ "${P/a/b}", "b.tar.gz" },
		{ "${P//a/b}", "b.tbr.gz" },
		{ "${P/./}", "atar.gz" },
		{ "${P#x}", "a.tar.gz" },
		{ "${NO#x}", "" },
		{ "${P/a}", NULL },
		{ "${P#a*b*c*d}", "a.tar.gz" },
		{ "${P#a*t?r}", ".gz" },
		{ "${P%z*}", "a.tar.g" },
		{ "${P%%*}", "" },
		{ "${P##*}", "" },
		{ "${P#[a]}", "a.tar.gz" },
		{ "${S#\\*}", "a?}/" },
		{ "${S%\\}/}", "*a?" },
		{ "${S/\\//x}", "*a?}x" },
		{ "${S//\\?/x}", "*ax}/" },
		{ "${P#\\a}", NULL },
		{ "${P//a*/X}", "X" },
		{ "${P//./}", "atargz" },
		{ "${AB//?/<$A>}", "<one><one><one>" },
		{ "${AB//*/-}", "-" },
		{ "${AB///-}", "-t-w-o-" },
		{ "${AB//z/-}", "two" },
		{ "${P/$A/x}", "a.tar.gz" },
		{ "${P/${NO:-tar}/x}", "a.x.gz" },
		{ "${U#?}", "x" },
		{ "${U%x}", "\xc3\xa4" },
		{ "${A:=x}", NULL },
		{ "${A:#x}", NULL },
		{ "${A:", NULL },
		{ "${A:-", NULL },
		{ "${A=x}", NULL },
		{ "${:-x}", NULL },
		{ "${{A}}", NULL },
		{ "${10}", "" },
		{ "$10x", "x" },
		{ "$?$!$@", "" },
		{ "${NO+x}", "" },
		{ "${EMPTY+x}", "x" },
		{ "${EMPTY:+x}", "" },
		{ "${EMPTY?x}", "" },
		{ "${NO:-'a b'}", "a b" },
		{ "${NO:-\"}\"}", "}" },
		{ "${NO:-a\\}b}", "a}b" },
		{ "\"${NO:-x y}\"", "x y" },
		{ "a\\", "a" },
		{ "<<x", "<<x" },
		{ "${NO:?must}", NULL },
		{ "${A:?must}", "one" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *out = NULL;
		struct err err = { 0 };
		int rc = dockerfile_expand(rows[i].in, '\\', env_, &out, &err);

		if ((rc < 0) != !rows[i].want || (rc == 0 && !str_eq(out, rows[i].want)))
			fail_msg("%s: %s", rows[i].in, rc < 0 ? err.msg : out);
	}
}

/* What Docker says. */
static void test_expand_errors(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "${A!x}", "failed to process \"${A!x}\": unsupported modifier (!) in substitution" },
		{ "${A:=x}", "failed to process \"${A:=x}\": unsupported modifier (:=) in substitution" },
		{ "${A:#x}", "failed to process \"${A:#x}\": unsupported modifier (:#) in substitution" },
		{ "${}", "failed to process \"${}\": syntax error: bad substitution" },
		{ "${A", "failed to process \"${A\": syntax error: missing '}'" },
		{ "${A:-x", "failed to process \"${A:-x\": syntax error: missing '}'" },
		{ "${P/a}", "failed to process \"${P/a}\": syntax error: missing '/' in ${}" },
		{ "${P/a/b", "failed to process \"${P/a/b\": syntax error: missing '}'" },
		{ "${NO:?must}", "failed to process \"${NO:?must}\": NO: must" },
		{ "${NO?}", "failed to process \"${NO?}\": NO: is not allowed to be unset" },
		{ "${EMPTY:?}", "failed to process \"${EMPTY:?}\": EMPTY: is not allowed to be empty" },
		{ "\"a", "failed to process \"\\\"a\": unexpected end of statement while looking for "
			"matching double-quote" },
		{ "'a", "failed to process \"'a\": unexpected end of statement while looking for "
			"matching single-quote" },
		{ "${P#\\a}", "failed to process \"${P#\\\\a}\": invalid pattern (\\a) in "
			      "substitution: invalid escape '\\a'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *out = NULL;
		struct err err = { 0 };

		if (dockerfile_expand(rows[i].in, '\\', env_, &out, &err) == 0 ||
		    !str_eq(err.msg, rows[i].want))
			fail_msg("%s: %s", rows[i].in, err.msg);
	}
}

/* A pattern costs no more than its length times the value's. */
static void test_expand_work(void **state)
{
	cleanup_buf struct buf value = BUF_INIT, word = BUF_INIT;
	cleanup_free char *out = NULL;
	struct err err = { 0 };
	char *env[] = { NULL, NULL };

	(void)state;
	buf_addstr(&value, "V=");
	buf_addstr(&word, "${V#");
	for (int i = 0; i < 2000; i++) {
		buf_addch(&value, 'a');
		buf_addstr(&word, "*a");
	}
	buf_addstr(&word, "b}");
	env[0] = value.p;
	assert_int_equal(dockerfile_expand(word.p, '\\', env, &out, &err), 0);
	assert_string_equal(out, value.p + 2);
	word.p[3] = '/';
	buf_addstr(&word, "/}");
	assert_true(dockerfile_expand("${V//*a*b/}", '\\', env, &out, &err) < 0 ||
		    str_eq(out, value.p + 2));
}

static const struct {
	const char *change;
	const char *want; /* the config, without its zero members; or the error */
	bool fails;
} changes[] = {
	{ "CMD a b", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"a b\"]}", false },
	{ "cmd [\"a\", \"b\"]", "{\"Cmd\":[\"a\",\"b\"]}", false },
	{ "CMD [\"a\", b]", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[\\\"a\\\", b]\"]}", false },
	{ "ENTRYPOINT [\"e\"]\nCMD [\"c\"]", "{\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"]}", false },
	{ "CMD [\"c\"]\nENTRYPOINT [\"e\"]", "{\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"]}", false },
	{ "ENV a=1 b=\"2 3\" c=$a", "{\"Env\":[\"a=1\",\"b=2 3\",\"c=\"]}", false },
	{ "ENV a=1\nENV a=2 c=$a", "{\"Env\":[\"a=2\",\"c=1\"]}", false },
	{ "ENV a  b  c ", "{\"Env\":[\"a=b  c\"]}", false },
	{ "ENV a\\\n=1", "{\"Env\":[\"a=1\"]}", false },
	{ "LABEL \"c d\" e", "failed to process \"\\\"c\": unexpected end of statement while looking "
			    "for matching double-quote",
	  true },
	{ "VOLUME a\\ b", "{\"Volumes\":{\"a\":{},\"b\":{}}}", false },
	{ "ONBUILD RUN x  ", "{\"OnBuild\":[\"RUN x\"]}", false },
	{ "EXPOSE 80/TCP 53/udp", "{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}}}", false },
	{ "LABEL a=b \"c d\"=e", "{\"Labels\":{\"a\":\"b\",\"c d\":\"e\"}}", false },
	{ "WORKDIR /a\nWORKDIR ../b/./c", "{\"WorkingDir\":\"/b/c\"}", false },
	{ "WORKDIR a b", "{\"WorkingDir\":\"/a b\"}", false },
	{ "HEALTHCHECK NONE", "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}", false },
	{ "HEALTHCHECK --timeout=3s CMD [\"x\"]",
	  "{\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Timeout\":3000000000}}", false },
	{ "# comment\n\n USER u", "{\"User\":\"u\"}", false },
	{ "ONBUILD  COPY . /", "{\"OnBuild\":[\"COPY . /\"]}", false },
	{ "RUN x", "RUN is not a valid change command", true },
	{ "SHELL [\"x\"]", "SHELL is not a valid change command", true },
	{ "ENV a", "ENV must have two arguments", true },
	{ "ENV", "ENV requires at least one argument", true },
	{ "ENV a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value",
	  true },
	{ "ENV =x", "ENV names can not be blank", true },
	{ "EXPOSE 0", "{\"ExposedPorts\":{\"0/tcp\":{}}}", false },
	{ "EXPOSE 127.0.0.1:1:80-82/udp",
	  "{\"ExposedPorts\":{\"80/udp\":{},\"81/udp\":{},\"82/udp\":{}}}", false },
	{ "EXPOSE 82-80", "invalid containerPort: 82-80", true },
	{ "EXPOSE /tcp", "no port specified: /tcp<empty>", true },
	{ "EXPOSE 70000", "invalid containerPort: 70000", true },
	{ "EXPOSE 80/xyz", "invalid proto: xyz", true },
	{ "STOPSIGNAL NOPE", "invalid signal: NOPE", true },
	{ "USER", "USER requires exactly one argument", true },
	{ "ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", true },
	{ "ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger", true },
	{ "HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD", true },
	{ "HEALTHCHECK X y", "Unknown type \"X\" in HEALTHCHECK (try CMD)", true },
	{ "HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)", true },
	{ "HEALTHCHECK --retries=x CMD x",
	  "strconv.ParseInt: parsing \"x\": invalid syntax", true },
	{ "HEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms", true },
	{ "HEALTHCHECK --interval=1 CMD x", "time: missing unit in duration \"1\"", true },
	{ "HEALTHCHECK --interval CMD x", "missing a value on flag: --interval", true },
	{ "HEALTHCHECK --retries=\"2\" CMD x",
	  "{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"x\"],\"Retries\":2}}", false },
	{ "HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments", true },
	{ "CMD", "{\"Cmd\":[\"/bin/sh\",\"-c\"]}", false },
	{ "ENTRYPOINT", "{\"Entrypoint\":null}", false },
	{ "CMD [1]", "when using JSON array syntax, arrays must be comprised of strings only", true },
	{ "VOLUME [\"\"]", "VOLUME specified can not be an empty string", true },
	{ "VOLUME a \"b c\"", "failed to process \"\\\"b\": unexpected end of statement while "
				 "looking for matching double-quote",
	  true },
	{ "USER $NO", "{\"User\":\"\"}", false },
	{ "WORKDIR $NO", "cannot normalize nothing", true },
	{ "HEALTHCHECK --nope=1 CMD x", "unknown flag: --nope", true },
};

static void test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		cleanup_json json_t *config = json_object();
		cleanup_free char *text = NULL;
		char *const v[] = { (char *)changes[i].change, NULL };
		struct err err = { 0 };
		int rc = dockerfile_changes_apply(config, v, &err);

		if (json_is_null(json_object_get(config, "Cmd")))
			json_object_del(config, "Cmd");
		text = json_dumps(config, JSON_COMPACT);
		if ((rc < 0) != changes[i].fails ||
		    !str_eq(rc < 0 ? err.msg : text, changes[i].want))
			fail_msg("%s: %s", changes[i].change, rc < 0 ? err.msg : text);
	}
}

static json_t *parse(const char *s)
{
	struct err err = { 0 };
	json_t *o = NULL;

	assert_int_equal(jparse(s, strlen(s), &o, &err), 0);
	return o;
}

static void test_merge(void **state)
{
	static const struct {
		const char *user, *base, *want;
	} rows[] = {
		{ "{}", "{\"User\":\"u\",\"Env\":[\"A=1\"]}",
		  "{\"User\":\"u\",\"Env\":[\"A=1\"]}" },
		{ "{\"Env\":[\"A=2\"]}", "{\"Env\":[\"A=1\",\"B=1\"]}",
		  "{\"Env\":[\"A=2\",\"B=1\"]}" },
		{ "{\"Labels\":{\"a\":\"1\"}}", "{\"Labels\":{\"a\":\"2\",\"b\":\"3\"}}",
		  "{\"Labels\":{\"a\":\"1\",\"b\":\"3\"}}" },
		{ "{\"Cmd\":[\"c\"]}", "{\"Cmd\":[\"d\"],\"Entrypoint\":[\"e\"]}",
		  "{\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"]}" },
		{ "{\"Entrypoint\":[\"x\"]}", "{\"Cmd\":[\"d\"],\"Entrypoint\":[\"e\"]}",
		  "{\"Entrypoint\":[\"x\"]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json json_t *user = parse(rows[i].user), *base = parse(rows[i].base);
		cleanup_json json_t *want = parse(rows[i].want);

		image_config_merge(user, base);
		if (!json_equal(user, want))
			fail_msg("row %zu: %s", i, json_dumps(user, JSON_COMPACT));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_expand_errors),
		cmocka_unit_test(test_expand_work),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
