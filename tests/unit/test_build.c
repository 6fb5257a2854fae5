/* SPDX-License-Identifier: MPL-2.0
 *
 * test_build.c - a Dockerfile's lines, .dockerignore, build arguments.
 */
/* links: apiserver */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/build_priv.h"
#include "apiserver/dockerfile.h"
#include "apiserver/dockerignore.h"
#include "cleanup.h"
#include "str.h"

/* NAME|flags,|args,|line of each instruction, J after the name: JSON form. */
static char *shown(const struct dockerfile *d)
{
	cleanup_buf struct buf b = BUF_INIT;

	for (size_t i = 0; i < d->n; i++) {
		const struct df_instr *in = &d->v[i];

		buf_printf(&b, "%s%s%s|", i ? ";" : "", df_cmd_name(in->cmd), in->json ? "J" : "");
		for (char **f = in->flags; *f; f++)
			buf_printf(&b, "%s,", *f);
		buf_addch(&b, '|');
		for (char **a = in->args; *a; a++)
			buf_printf(&b, "%s,", *a);
		buf_printf(&b, "|%d", in->line);
	}
	return xstrdup(buf_str(&b));
}

struct line_row {
	const char *text, *want; /* the instructions as shown() has them, or "!" and the error */
};

static const struct line_row good_lines[] = {
	{ "FROM a", "FROM||a,|1" },
	{ "from a as b\n", "FROM||a,as,b,|1" },
	{ "\xef\xbb\xbf# c\n\nFROM a\r\nRUN x  y \n", "FROM||a,|3;RUN||x  y,|4" },
	{ "RUN a \\\n  b\\\nc", "RUN||a   bc,|1" },
	{ "RUN a \\\n# no\n\n b\nCMD x", "RUN||a  b,|1;CMD||x,|5" },
	{ "# escape=`\nRUN a `\n b \\", "RUN||a  b \\,|2" },
	{ "#\n# escape=`\nRUN a `\nRUN b", "RUN||a `,|3;RUN||b,|4" },
	{ "RUN [\"a\", \"b c\"]", "RUNJ||a,b c,|1" },
	{ "RUN [ -e x ]", "RUN||[ -e x ],|1" },
	{ "COPY --from=x --chown=1:2 a b /c/", "COPY|--from=x,--chown=1:2,|a,b,/c/,|1" },
	{ "COPY [\"a b\", \"c\"]", "COPYJ||a b,c,|1" },
	{ "ARG A=1 B C=\"x y\"", "ARG||A=1,B,C=\"x y\",|1" },
	{ "HEALTHCHECK --interval=1s CMD [\"x\"]", "HEALTHCHECKJ|--interval=1s,|CMD,x,|1" },
	{ "ONBUILD RUN --mount=x y", "ONBUILD||RUN --mount=x y,|1" },
	{ "COPY --from=\"x\" -- --a b", "COPY|--from=x,|--a,b,|1" },
	{ "COPY --from=a\\ b c d", "COPY|--from=a b,|c,d,|1" },
	{ "CMD []", "CMDJ|||1" },
	{ "RUN", "RUN|||1" },
	{ "# syntax=x\n# check=y\n# escape=`\nRUN a `\nb", "RUN||a b,|4" },
	{ "RUN <<E cat\nFOO\nE\nCMD x", "RUN||<<E cat,|1;CMD||x,|4" },
	{ "RUN <<-'E' cat\nFOO\n\tE\nCMD x", "RUN||<<-'E' cat,|1;CMD||x,|4" },
	{ "COPY <<A << B /\na\nA\nb\nB\nCMD x", "COPY||<<A,<<,B,/,|1;CMD||x,|6" },
	{ "RUN echo '<<E'\nCMD x", "RUN||echo '<<E',|1;CMD||x,|2" },
	{ "RUN [\"a\", \"<<E\"]\nCMD x", "RUNJ||a,<<E,|1;CMD||x,|2" },
	{ "ENV a=<<E\nCMD x", "ENV||a,<<E,|1;CMD||x,|2" },
	{ "ONBUILD RUN <<E\nx\nE\nCMD x", "ONBUILD||RUN <<E,|1;CMD||x,|4" },
};

/* the text's form is wrong: Docker tells no line */
static const struct line_row bad_texts[] = {
	{ "", "!failed to parse D: file with no instructions" },
	{ "# a\n", "!failed to parse D: file with no instructions" },
	{ "# escape=`\n# escape=`\nFROM a",
	  "!failed to parse D: only one escape parser directive can be used" },
	{ "# syntax=a\n# syntax=b\nFROM a",
	  "!failed to parse D: only one syntax parser directive can be used" },
	{ "# escape=x\nFROM a",
	  "!failed to parse D: invalid escape token 'x' does not match ` or \\" },
	{ "FROM a\nENV a=1 b", "!failed to parse D: Syntax error - can't find = in \"b\". Must "
			       "be of the form: name=value" },
	{ "FROM a\nENV a", "!failed to parse D: ENV must have two arguments" },
	{ "FOO\nLABEL a", "!failed to parse D: LABEL must have two arguments" },
	{ "RUN [\"a\", 1]", "!failed to parse D: when using JSON array syntax, arrays must be "
			    "comprised of strings only" },
	{ "RUN <<E\nx", "!failed to parse D: unterminated heredoc" },
	{ "FROM a\nFOO\nADD <<E\nx", "!failed to parse D: unterminated heredoc" },
};

/* an instruction is wrong */
static const struct line_row bad_instructions[] = {
	{ "FROM a\n\\\n\n", "!dockerfile parse error on line 2: unknown instruction: " },
	{ "FROM a\nENV --x=1", "!dockerfile parse error on line 2: unknown flag: --x" },
	{ "FROM a\nSHELL --x", "!dockerfile parse error on line 2: unknown flag: --x" },
	{ "RUN a\nFOO", "RUN||a,|1" }, /* what is wrong there is told by others */
	{ "FROM a\nLABEL \"b c\" d", "FROM||a,|1;LABEL||\"b,c\" d,|2" },
	{ "FROM a\nHEALTHCHECK a\"b", "!dockerfile parse error on line 2: Unknown type "
				    "\"A\\\"B\" in HEALTHCHECK (try CMD)" },
	{ "FROM a\n\nNOSUCH x",
	  "!dockerfile parse error on line 3: unknown instruction: NOSUCH" },
	{ "FORM a", "!dockerfile parse error on line 1: unknown instruction: FORM (did you "
		    "mean FROM?)" },
	{ "form a", "!dockerfile parse error on line 1: unknown instruction: form (did you "
		    "mean from?)" },
	{ "FROM a \\\n b\n",
	  "!dockerfile parse error on line 1: FROM requires either one or "
	  "three arguments" },
	{ "FROM a AS 1b", "!dockerfile parse error on line 1: invalid name for build stage: "
			  "\"1b\", name can't start with a number or contain symbols" },
	{ "SHELL sh",
	  "!dockerfile parse error on line 1: SHELL requires the arguments to be "
	  "in JSON form" },
	{ "SHELL []",
	  "!dockerfile parse error on line 1: SHELL requires at least one argument" },
	{ "COPY --what=1 a b", "!dockerfile parse error on line 1: unknown flag: --what" },
	{ "COPY --form=1 a b",
	  "!dockerfile parse error on line 1: unknown flag: --form (did you mean from?)" },
	{ "COPY --from=1 --from=2 a b",
	  "!dockerfile parse error on line 1: duplicate flag specified: --from" },
	{ "COPY --from a b",
	  "!dockerfile parse error on line 1: missing a value on flag: --from" },
	{ "COPY --link=x a b", "!dockerfile parse error on line 1: expecting boolean value "
			       "for flag --link, not: x" },
	{ "CMD --x y", "!dockerfile parse error on line 1: unknown flag: --x" },
	{ "COPY a", "!dockerfile parse error on line 1: COPY requires at least two arguments, "
		    "but only one was provided. Destination could not be determined" },
	{ "ENV", "!dockerfile parse error on line 1: ENV requires at least one argument" },
	{ "ENV =a", "!dockerfile parse error on line 1: ENV names can not be blank" },
	{ "ARG =a", "!dockerfile parse error on line 1: ARG names can not be blank" },
	{ "WORKDIR",
	  "!dockerfile parse error on line 1: WORKDIR requires exactly one argument" },
	{ "VOLUME [\" \"]", "!dockerfile parse error on line 1: VOLUME specified can not be "
			    "an empty string" },
	{ "ONBUILD FROM x", "!dockerfile parse error on line 1: FROM isn't allowed as an "
			    "ONBUILD trigger" },
	{ "HEALTHCHECK CMD", "!dockerfile parse error on line 1: Missing command after "
			     "HEALTHCHECK CMD" },
};

static void check_lines(const struct line_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *got = NULL;
		struct dockerfile d;
		struct err err = { 0 };

		if (dockerfile_parse(rows[i].text, strlen(rows[i].text), "D", &d, &err) < 0) {
			got = xasprintf("!%s", err.msg);
		} else {
			got = shown(&d);
			dockerfile_fini(&d);
		}
		if (!str_eq(got, rows[i].want))
			fail_msg("%s: %s", rows[i].text, got);
	}
}

static void test_lines(void **state)
{
	(void)state;
	check_lines(good_lines, ARRAY_SIZE(good_lines));
	check_lines(bad_texts, ARRAY_SIZE(bad_texts));
	check_lines(bad_instructions, ARRAY_SIZE(bad_instructions));
}

static void test_flag(void **state)
{
	struct df_instr in;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(dockerfile_parse_one("COPY --from=a --link b c", '\\', 1, &in, &err), 0);
	assert_string_equal(df_flag(&in, "from"), "a");
	assert_string_equal(df_flag(&in, "link"), "");
	assert_null(df_flag(&in, "fro"));
	assert_null(df_flag(&in, "chown"));
	assert_string_equal(in.rest, "b c");
	df_instr_fini(&in);
}

static void test_ignore(void **state)
{
	static const struct {
		const char *rules, *path;
		bool out;
	} rows[] = {
		{ "*.log", "a.log", true },
		{ "*.log", "d/a.log", false },
		{ "**/*.log", "a.log", true },
		{ "**/*.log", "d/e/a.log", true },
		{ "d", "d/e/f", true },
		{ "/d/", "d/x", true },
		{ "./d", "d", true },
		{ "d/**", "d", false },
		{ "d/**", "d/x/y", true },
		{ "a?c", "abc", true },
		{ "a?c", "a/c", false },
		{ "[a-c]x", "bx", true },
		{ "[^a-c]x", "bx", false },
		{ "*\n!keep", "keep", false },
		{ "*\n!keep", "other", true },
		{ "!keep\n*", "keep", true },
		{ "d\n!d/keep", "d/keep", false },
		{ "d\n!d/keep", "d/x", true },
		{ "# c\n\n  x  ", "x", true },
		{ "\\#x", "#x", true },
		{ "**", "a/b", true },
		{ "a/**/b", "a/b", true },
		{ "a/**/b", "a/x/y/b", true },
		{ "a/**/b", "ab", false },
		{ "a/../d//x/.", "d/x/y", true },
		{ "d\n! d/keep", "d/keep", false },
		{ "  #x", "#x", true },
		{ "\xef\xbb\xbfx", "x", true },
		{ ".", "x", false },
		{ "/", "x", false },
		{ "**/foo", "myfoo", false },
		{ "**/foo", "d/foo", true },
		{ "a/**/foo", "a/myfoo", false },
		{ "**.log", "d/a.log", true },
		{ "**o?", "xof", false },
		{ "a**", "abc/d", true },
		{ "[!a]x", "!x", true },
		{ "[!a]x", "bx", false },
		{ "../x", "x", false },
		{ "/../x", "x", true },
		/* of an expression's signs . + ( ) $ stand for themselves, the others only where no expression is needed */
		{ "a.|)$(}+{bc", "a.|)$(}+{bc", true },
		{ "a|b*", "a|bc", true },
		{ "a|b*", "ax", true },
		{ "b|c", "b", false },
		{ "a{2}*", "aab", true },
		{ "a.b*", "axb", false },
		{ "a^b", "a^b", true },
		{ "a^b*", "a^bc", false },
		{ "a\\d*", "a7", true },
		{ "a\\d*", "ad", false },
		{ "[[:alpha:]]x", "ax", true },
		{ "[[:nope:]]x", "nx", false },
		{ "[z-a]", "z", false },
		{ "a]", "a]", true },
		{ "a?b", "a\xe2\x98\xba" "b", true },
		{ "a??b", "a\xe2\x98\xba" "b", false },
		{ "[a-\xce\xb6]*", "\xce\xb1", true },
		{ "x\n", "x\n", false },
		{ "**/a*/**", "d/ab/c/d", true },
		{ "***a", "b/xa", true },
		{ "**\n!d", "d/x", false },
		{ "**\n/!d", "d/x", false },
		{ "**\n!d\nd/x", "d/x", true },
		{ "d/ \n!d/keep  ", "d/keep", false },
		{ "x\r\ny\r\n", "x", true },
	};
	static const char *const none[] = { "[", "a[", "[^", "[]a]", "[-x]", "[x-]", "[a-b-c]", "\\", "a\n!", "! ", "!/", "/!", "ok\n[^bc\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dockerignore *d = dockerignore_parse(rows[i].rules);

		assert_non_null(d);
		if (dockerignore_excludes(d, rows[i].path) != rows[i].out)
			fail_msg("%s: %s", rows[i].rules, rows[i].path);
		dockerignore_free(d);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (dockerignore_parse(none[i]))
			fail_msg("%s is taken", none[i]);
}

static void expect(char **got, const char *want)
{
	cleanup_buf struct buf b = BUF_INIT;

	for (char **s = got; *s; s++)
		buf_printf(&b, "%s%s", s == got ? "" : " ", *s);
	strv_free(got);
	assert_string_equal(buf_str(&b), want);
}

static void test_args(void **state)
{
	struct build_args a = { 0 };

	(void)state;
	build_args_init(&a);
	strv_add(&a.given, "GIVEN=g");
	strv_add(&a.given, "UNUSED=u");
	strv_add(&a.given, "NULLED");
	strv_add(&a.given, "HTTP_PROXY=p");
	build_args_declare(&a, "TOP=t", true);
	build_args_declare(&a, "GIVEN=default", true);
	expect(build_args_meta(&a), "GIVEN=g TOP=t");
	build_args_next_stage(&a);
	expect(build_args_allowed(&a), "HTTP_PROXY=p");
	build_args_declare(&a, "TOP", false);
	build_args_declare(&a, "NONE", false);
	build_args_declare(&a, "OWN=o", false);
	build_args_declare(&a, "NULLED=n", false);
	expect(build_args_allowed(&a), "HTTP_PROXY=p NULLED=n OWN=o TOP=t");
	assert_true(build_args_hidden(&a, "HTTP_PROXY=p"));
	assert_false(build_args_hidden(&a, "OWN=o"));
	build_args_declare(&a, "HTTP_PROXY", false);
	assert_false(build_args_hidden(&a, "HTTP_PROXY=p"));
	build_args_next_stage(&a);
	expect(build_args_allowed(&a), "HTTP_PROXY=p");
	expect(build_args_unused(&a), "UNUSED");
	build_args_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_flag),
		cmocka_unit_test(test_ignore),
		cmocka_unit_test(test_args),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
