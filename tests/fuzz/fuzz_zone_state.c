/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * fuzz_zone_state.c - what the apiserver finds of a zone that went on without it (exit.json, which its zoneadmd wrote), and its
 * settings: sdc-docker.conf and service.conf. The first byte picks.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/engine.h"
#include "apiserver/engine_init.h"
#include "apiserver/zone_sweep.h"
#include "cleanup.h"
#include "conf.h"
#include "log.h"
#include "paths.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define UUID "00000000-0000-0000-0000-000000000000"

static char root[] = "/tmp/fuzz_zone_state.XXXXXX";
static char exit_json[1024];

static void clean(void)
{
	static const char *const dirs[] = { ("/zones/" UUID "/config"), ("/zones/" UUID), "/zones",
					    "" };
	char path[1024];

	(void)unlink(exit_json);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (str_fmt(path, sizeof(path), "%s%s", root, dirs[i]) > 0)
			(void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct engine *e = engine_mutable();
	struct err err = { 0 };
	char path[1024];

	(void)argc;
	(void)argv;
	log_set_level(LOG_LVL_ERR);
	if (!mkdtemp(root) || paths_init(&e->paths, root, &err) < 0)
		abort();
	(void)mkdir(e->paths.zones, 0700);
	(void)mkdir(paths_zone(&e->paths, UUID, "", path), 0700);
	(void)mkdir(paths_zone(&e->paths, UUID, "config", path), 0700);
	paths_zone(&e->paths, UUID, "config/exit.json", exit_json);
	atexit(clean);
	return 0;
}

static void zone_exit_file(const uint8_t *data, size_t size)
{
	FILE *f = fopen(exit_json, "we");
	struct zone_exit ex;
	int64_t started_ns;

	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
	if (zone_read_exit(UUID, &ex, &started_ns) &&
	    (ex.finished_ns <= 0 || !memchr(ex.error, '\0', sizeof(ex.error))))
		abort();
}

static void settings(const uint8_t *data, size_t size, bool overrides)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct conf *c = NULL;
	struct err err = { 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (conf_load(&c, overrides ? NULL : path, &err) < 0) {
		if (!err.msg[0])
			abort();
	} else {
		(void)(overrides && conf_load_overrides(c, path, &err) < 0);
		for (const struct conf_key *k = conf_keys; k->name; k++) {
			struct err why = { 0 };

			if (conf_check(k->name, conf_str(c, k->name), &why) < 0)
				abort(); /* what holds is good */
		}
		conf_free(c);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 70000)
		return 0;
	if (data[0] % 4 == 0)
		zone_exit_file(data + 1, size - 1);
	else
		settings(data + 1, size - 1, data[0] % 4 == 3);
	return 0;
}
