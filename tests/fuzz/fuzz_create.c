/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/* Bodies of create and update, the image's config, filters: what a client may send in JSON. The
 * first byte picks. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/container.h"
#include "apiserver/ct_config.h"
#include "apiserver/ct_json.h"
#include "apiserver/engine_init.h"
#include "apiserver/go_syntax.h"
#include "apiserver/signals.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static const char small[] = "{\"Image\":\"x\",\"Cmd\":[\"a\"]}";

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct engine *e = engine_mutable();

	(void)argc;
	(void)argv;
	e->ncpu = 4;
	e->swap_limit = true;
	e->caps_bounding = ~UINT64_C(0);
	container_index_init();
	return 0;
}

static void fuzz_create(const char *text, size_t len, int version)
{
	struct create_request cr = { 0 };
	struct port_binding *ports = NULL;
	struct err err = { 0 };
	char **argv = NULL;
	size_t n = 0;

	if (create_request_parse(text, len, version, &cr, &err) < 0)
		return;
	if (create_request_resolve(&cr, &err) >= 0 &&
	    create_request_merge_image(&cr, NULL, &err) >= 0) {
		cleanup_free char *config = json_dumps(cr.config, 0);
		cleanup_free char *host = json_dumps(cr.host_config, 0);

		if (!config || !host)
			abort(); /* what we store must be JSON */
		config_command(cr.config, &argv);
		strv_free(argv);
		if (config_port_bindings(cr.config, cr.host_config, &ports, &n, &err) >= 0)
			free(ports);
	}
	create_request_fini(&cr);
}

static void fuzz_image(const char *text)
{
	struct create_request cr = { 0 };
	struct err err = { 0 };

	if (create_request_parse(small, strlen(small), 151, &cr, &err) < 0)
		abort();
	if (create_request_merge_image(&cr, text, &err) < 0 && err.msg[0] == '\0')
		abort();
	create_request_fini(&cr);
}

static void fuzz_update(const char *text, size_t len)
{
	struct create_request cr = { 0 };
	char **warnings = NULL;
	struct err err = { 0 };

	if (create_request_parse(small, strlen(small), 151, &cr, &err) < 0)
		abort();
	if (update_request_apply(text, len, 151, cr.host_config, &warnings, &err) >= 0)
		strv_free(warnings);
	create_request_fini(&cr);
}

static void fuzz_rest(const char *text, size_t len)
{
	struct ct_list_opts o = { .all = true, .filters = text };
	struct container **cts = NULL;
	struct container *ct = NULL;
	struct err err = { 0 };
	char why[160];
	int signo;

	if (ct_list(&o, 151, &cts, &err) >= 0)
		free(cts);
	if (container_from_json(text, &ct, &err) >= 0)
		container_unref(ct);
	go_syntax_check(text, len, why);
	if (signal_parse(text, &signo, &err) == 0 && (signo < 1 || signo > 64))
		abort();
	if (ct_check_name(text, &err) == 0 && strlen(text) < 2)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = NULL;

	if (size < 2)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	switch (data[0] % 8) {
	case 0:
		fuzz_image(text);
		break;
	case 1:
		fuzz_update(text, strlen(text));
		break;
	case 2:
		fuzz_rest(text, strlen(text));
		break;
	default: /* the length as it came: a body may hold NUL */
		fuzz_create((const char *)data + 1, size - 1,
			    data[0] < 128 ? 124 + data[0] % 28 : 151);
	}
	return 0;
}
