/* SPDX-License-Identifier: MPL-2.0
 *
 * fuzz_dockerfile.c - Dockerfiles: what is taken has instructions with arguments, and each can be
 * taken again by its own text; .dockerignore's rules.
 */
/* links: apiserver */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/build_priv.h"
#include "apiserver/dockerfile.h"
#include "apiserver/dockerfile_change.h"
#include "apiserver/dockerfile_words.h"
#include "apiserver/dockerignore.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct df_instr *in, char escape, json_t *config)
{
	static char *const env[] = { (char *)"A=1.2.3", (char *)"B=two words", NULL };
	struct dockerfile_change_state st = { .escape = escape };
	cleanup_buf struct buf note = BUF_INIT;
	struct df_instr again;
	struct err err = { 0 };

	assert(in->original[0] && in->args && in->flags && in->rest);
	if (dockerfile_parse_one(in->original, escape, 1, &again, &err) == 0) {
		assert(again.cmd == in->cmd && strv_len(again.args) == strv_len(in->args));
		df_instr_fini(&again);
	}
	st.note = &note;
	(void)!dockerfile_change_one(config, df_cmd_name(in->cmd), in->rest, env, &st, &err);
	for (char **a = in->args; *a; a++) {
		cleanup_free char *out = NULL;

		(void)!dockerfile_expand(*a, escape, env, &out, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size);
	struct dockerignore *ignore = dockerignore_parse(text);
	struct dockerfile d;
	struct err err = { 0 };

	if (ignore)
		(void)dockerignore_excludes(ignore, "some/path/to.file");
	dockerignore_free(ignore);
	if (dockerfile_parse((const char *)data, size, NULL, &d, &err) < 0) {
		assert(err.kind == ERR_BAD_PARAM && err.msg[0]);
		return 0;
	}
	assert(d.n > 0);
	{
		cleanup_json json_t *config = dockerfile_empty_config();

		for (size_t i = 0; i < d.n; i++)
			look_at(&d.v[i], d.escape, config);
	}
	dockerfile_fini(&d);
	return 0;
}
