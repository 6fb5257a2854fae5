/* SPDX-License-Identifier: MPL-2.0
 *
 * caps.c - see caps.h.
 *
 * The rules are Docker's: with ALL added, everything but what is dropped; with ALL dropped, exactly
 * what is added; else the default set without the drops and with the adds. Where Docker's engine
 * runs it holds everything; ours may not (a sandbox without CAP_SYS_RESOURCE), so that the wide
 * asks (privileged, ALL) mean what is held, and an ask by name for what is not held is refused.
 */
#include "caps.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "str.h"

static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

int cap_number(const char *name)
{
	const char *bare = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(bare, names[i] + 4) == 0)
			return (int)i;
	return -1;
}

uint64_t caps_all(void)
{
	return CAP_BIT(ARRAY_SIZE(names)) - 1;
}

/* The names of one list as a set; *all when ALL is among them. */
static int parse_list(const json_t *list, const char *what, uint64_t held, uint64_t *out, bool *all,
		      struct err *err)
{
	const char *name;
	char upper[64];
	size_t i, k;
	int n;

	*out = 0;
	*all = false;
	for (i = 0; i < json_array_size(list); i++) {
		name = json_string_value(json_array_get(list, i));
		if (!name)
			continue;
		if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0) {
			*all = true;
			continue;
		}
		n = cap_number(name);
		if (n < 0) {
			str_copy(upper, sizeof(upper),
				 strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name);
			for (k = 0; upper[k]; k++)
				upper[k] = (char)toupper((unsigned char)upper[k]);
			return err_kind(err, ERR_BAD_PARAM,
					"invalid %s: unknown capability: \"CAP_%s\"", what, upper);
		}
		if (!(held & CAP_BIT(n)))
			return err_kind(err, ERR_BAD_PARAM,
					"invalid %s: capability not supported by your kernel or "
					"not available in the "
					"current environment: \"%s\"",
					what, names[n]);
		*out |= CAP_BIT(n);
	}
	return 0;
}

int caps_compute(bool privileged, const json_t *cap_add, const json_t *cap_drop, uint64_t held,
		 uint64_t *out, struct err *err)
{
	uint64_t add, drop, set;
	bool add_all, drop_all;
	int rc;

	held &= caps_all();
	rc = parse_list(cap_add, "CapAdd", privileged ? caps_all() : held, &add, &add_all, err);
	if (rc < 0)
		return rc;
	/* dropping what is not there is fine */
	rc = parse_list(cap_drop, "CapDrop", caps_all(), &drop, &drop_all, err);
	if (rc < 0)
		return rc;
	if (privileged)
		set = held;
	else if (add_all)
		set = held & ~drop;
	else if (drop_all)
		set = add;
	else
		set = (CAPS_DEFAULT & ~drop) | add;
	*out = set & held;
	return 0;
}

void caps_write(struct jw *w, const char *key, uint64_t caps)
{
	size_t i;

	jw_arr(w, key);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (caps & CAP_BIT(i))
			jw_str(w, NULL, names[i]);
	jw_end(w);
}
