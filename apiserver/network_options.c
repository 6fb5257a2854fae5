/* SPDX-License-Identifier: MPL-2.0
 *
 * network_options.c - driver options of a bridge network at its creation: those that Docker's bridge driver obeys
 * and this engine does not are refused by name, so that none is taken and has no effect. The values are checked
 * first, with Docker's words. What Docker knows nothing of it keeps as a note, and so do we.
 *
 * The options that work are read by net_settings_apply.
 *
 * To extend: an option that gets to work leaves the table here.
 */
#include <string.h>

#include "cleanup.h"
#include "jget.h"
#include "network_private.h"
#include "str.h"

enum option_kind {
	OPT_BOOL,     /* false asks for nothing */
	OPT_MODE,     /* nat is what we do */
	OPT_MESSAGES, /* announcements of an address; 0 asks for none, and none is what we send */
	OPT_MILLISECONDS, /* between them */
	OPT_TEXT,	  /* "" asks for nothing */
};

#define BRIDGE	"com.docker.network.bridge."
#define NETWORK "com.docker.network."

static const struct option {
	const char *key;
	enum option_kind kind;
} refused[] = {
	{ BRIDGE "gateway_mode_ipv4", OPT_MODE },
	{ BRIDGE "gateway_mode_ipv6", OPT_MODE },
	{ BRIDGE "inhibit_ipv4", OPT_BOOL },
	{ BRIDGE "trusted_host_interfaces", OPT_TEXT },
	{ NETWORK "advertise_addr_nmsgs", OPT_MESSAGES },
	{ NETWORK "advertise_addr_ms", OPT_MILLISECONDS },
	{ NETWORK "container_iface_prefix", OPT_TEXT },
	{ NETWORK "enable_ipv6", OPT_BOOL },
	{ NETWORK "host_ipv4", OPT_TEXT },
	{ NETWORK "host_ipv6", OPT_TEXT },
};

static int check_bool(const char *key, const char *s, bool *asks, struct err *err)
{
	if (parse_bool(s, asks) == 0)
		return 0;
	return err_kind(
		err, ERR_BAD_PARAM,
		"failed to parse %s value: %s (strconv.ParseBool: parsing \"%s\": invalid syntax)",
		key, s, s);
}

static int check_mode(const char *key, const char *s, bool *asks, struct err *err)
{
	*asks = str_eq(s, "nat-unprotected") || str_eq(s, "routed") || str_eq(s, "isolated");
	if (*asks || !*s || str_eq(s, "nat"))
		return 0;
	return err_kind(err, ERR_BAD_PARAM,
			"failed to parse %s value: %s (unknown gateway mode %s)", key, s, s);
}

static int check_number(const char *key, const char *s, int min, int max, int64_t *n,
			struct err *err)
{
	if (parse_i64(s, INT32_MIN, INT32_MAX, n) < 0)
		return err_kind(err, ERR_BAD_PARAM, "value for option %s \"%s\" must be an integer",
				key, s);
	if (*n < min || *n > max)
		return err_kind(err, ERR_BAD_PARAM, "%s must be in the range %d to %d", key, min,
				max);
	return 0;
}

/* asks: for something that we do not do. */
static int check_value(const struct option *o, const char *s, bool *asks, struct err *err)
{
	int64_t n = 0;
	int rc = 0;

	switch (o->kind) {
	case OPT_BOOL:
		return check_bool(o->key, s, asks, err);
	case OPT_MODE:
		return check_mode(o->key, s, asks, err);
	case OPT_MESSAGES:
		rc = check_number(o->key, s, 0, 3, &n, err);
		*asks = n > 0;
		return rc;
	case OPT_MILLISECONDS:
		*asks = true;
		return check_number(o->key, s, 100, 2000, &n, err);
	case OPT_TEXT:
		*asks = *s;
		return 0;
	}
	return rc;
}

int net_options_check(const json_t *options, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const char *s = jget_str(options, refused[i].key, NULL);
		bool asks = false;
		int rc;

		if (!s)
			continue;
		if ((rc = check_value(&refused[i], s, &asks, err)) < 0)
			return rc;
		if (asks)
			return err_kind(err, ERR_NOT_IMPLEMENTED,
					"network option %s=%s is not supported", refused[i].key, s);
	}
	return 0;
}
