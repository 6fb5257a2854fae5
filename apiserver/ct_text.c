/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_text.c - JSON texts of a container, made once and kept until the container changes.
 */
#include "apiserver/ct_text.h"

#include <assert.h>
#include <stdlib.h>

#include "apiserver/container_private.h"
#include "str.h"

struct ct_text {
	char *config;
	char *host_config;
};

void container_text_drop(struct container *ct)
{
	if (!ct->text)
		return;
	free(ct->text->config);
	free(ct->text->host_config);
	free(ct->text);
	ct->text = NULL;
}

/* The cache is not part of what a container is: const callers may fill it. */
static struct ct_text *text_of(const struct container *ct)
{
	if (!ct->text)
		((struct container *)ct)->text = xcalloc(1, sizeof(*ct->text));
	return ct->text;
}

static const char *dump_once(char **slot, const json_t *o)
{
	if (!*slot)
		*slot = json_dumps(o, JSON_COMPACT);
	assert(*slot);
	return *slot;
}

const char *container_config_text(const struct container *ct)
{
	return dump_once(&text_of(ct)->config, ct->config);
}

const char *container_host_config_text(const struct container *ct)
{
	return dump_once(&text_of(ct)->host_config, ct->host_config);
}
