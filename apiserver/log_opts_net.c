/* SPDX-License-Identifier: MPL-2.0
 *
 * log_opts_net.c - the options of the log drivers that forward: syslog, fluentd, gelf, otlp.
 *
 * To extend: an option is a row of its driver's table, with a check of its own or, where it depends on others, in the
 * driver's check; what it does is logger_sink.c's or logger_loop.c's; sdc-docker-log-drivers(7) tells it.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/go_number.h"
#include "apiserver/log_opts_priv.h"
#include "cleanup.h"
#include "jget.h"
#include "log_addr.h"
#include "log_files.h"
#include "log_otlp.h"
#include "str.h"

static int check_unix(const struct log_addr *addr, struct err *err)
{
	return log_unix_check(log_setting("log-unix-sockets"), addr, err);
}

/* What the logger will read itself once more. */
static int check_tls(const json_t *opts, const char *prefix, const struct log_addr *addr, struct err *err)
{
	static const char *const names[] = { "ca-cert", "cert", "key" };
	int rc;

	if (addr->kind != LOG_ADDR_TLS)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_buf struct buf text = BUF_INIT;
		char option[64];

		(void)!str_fmt(option, sizeof(option), "%s-tls-%s", prefix, names[i]);
		if (!str_empty(jget_str(opts, option, NULL)) &&
		    (rc = log_tls_read(log_setting("log-tls-dir"), option, jget_str(opts, option, ""), &text, err)) < 0)
			return rc;
	}
	return 0;
}

static bool is_facility(const char *s)
{
	static const char *const names[] = { "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp",
					     "cron", "authpriv", "ftp", "local0", "local1", "local2", "local3", "local4",
					     "local5", "local6", "local7", NULL };
	int64_t n;

	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], s) == 0)
			return true;
	return !*s || parse_i64(s, 0, 23, &n) == 0;
}

int log_check_syslog(const json_t *opts, struct err *err)
{
	static const char *const formats[] = { "", "rfc3164", "rfc5424", "rfc5424micro", NULL };
	const char *format = jget_str(opts, "syslog-format", ""), *framing = jget_str(opts, "syslog-framing", "");
	struct log_addr addr;
	size_t i = 0;
	int rc;

	if ((rc = log_addr_syslog(jget_str(opts, "syslog-address", ""), &addr, err)) < 0 || (rc = check_unix(&addr, err)) < 0 ||
	    (rc = check_tls(opts, "syslog", &addr, err)) < 0)
		return rc;
	if (!is_facility(jget_str(opts, "syslog-facility", "")))
		return err_kind(err, ERR_BAD_PARAM, "invalid syslog facility");
	while (formats[i] && strcmp(formats[i], format) != 0)
		i++;
	if (!formats[i])
		return err_kind(err, ERR_BAD_PARAM, "Invalid syslog format");
	if (*framing && strcmp(framing, "newline") != 0 && strcmp(framing, "octet") != 0)
		return err_kind(err, ERR_BAD_PARAM, "syslog-framing must be newline or octet");
	return 0;
}

/* An option without a value is as one that is not given: so Docker has it of fluentd's. */

static int check_optional_bool(const char *name, const char *value, struct err *err)
{
	return *value ? log_check_bool(name, value, err) : 0;
}

static int check_duration(const char *name, const char *value, struct err *err)
{
	int64_t ns;

	(void)name;
	return *value && parse_duration_ns(value, &ns) < 0 ? go_err_duration(value, err) : 0;
}

static int check_reconnect(const char *name, const char *value, struct err *err)
{
	char text[64];
	int64_t ns = 0;
	int rc;

	if ((rc = check_duration(name, value, err)) < 0)
		return err_wrap(err, rc, "invalid value for %s", name);
	(void)parse_duration_ns(value, &ns);
	if (ns != 0 && (ns < 100000000 || ns > 10000000000))
		return err_kind(err, ERR_BAD_PARAM, "invalid value for %s: value (\"%s%s\") must be between 100ms and 10s", name,
				ns < 0 ? "-" : "", go_duration_str(ns < 0 ? -ns : ns, text, sizeof(text)));
	return 0;
}

static int check_timeout(const char *name, const char *value, struct err *err)
{
	int64_t ns = 0;
	int rc;

	if ((rc = check_duration(name, value, err)) < 0)
		return err_wrap(err, rc, "invalid value for %s: value must be a duration", name);
	(void)parse_duration_ns(value, &ns);
	if (ns < 0)
		return err_kind(err, ERR_BAD_PARAM, "invalid value for %s: value must be a duration that is non-negative", name);
	return 0;
}

static int check_buffer(const char *name, const char *value, struct err *err)
{
	int64_t n;

	(void)name;
	return *value && parse_size(value, 1024, &n) < 0 ? go_err_size(value, err) : 0;
}

static int check_retries(const char *name, const char *value, struct err *err)
{
	int64_t n = 0;

	if (*value && (*value == '+' || parse_i64(value, 0, UINT32_MAX, &n) < 0))
		return *value == '+' || *value == '-'
			       ? err_kind(err, ERR_BAD_PARAM, "strconv.ParseUint: parsing \"%s\": invalid syntax", value)
			       : go_err_int("ParseUint", value, err);
	return n > INT32_MAX ? err_kind(err, ERR_BAD_PARAM, "invalid %s: value out of range", name) : 0;
}

int log_check_fluentd(const json_t *opts, struct err *err)
{
	struct log_addr addr;
	int rc;

	if (json_object_get(opts, "fluentd-async") && json_object_get(opts, "fluentd-async-connect"))
		return err_kind(err, ERR_BAD_PARAM, "conflicting options: cannot specify both 'fluentd-async' and "
						    "'fluentd-async-connect' options");
	if ((rc = log_addr_fluentd(jget_str(opts, "fluentd-address", ""), &addr, err)) < 0 || (rc = check_unix(&addr, err)) < 0)
		return rc;
	return check_tls(opts, "fluentd", &addr, err);
}

bool log_opts_want_sink(const json_t *log_config)
{
	const json_t *opts = jget_obj(log_config, "Config");
	const char *async = jget_str(opts, "fluentd-async", jget_str(opts, "fluentd-async-connect", "true"));
	bool is_async = true;

	return str_eq(jget_str(log_config, "Type", ""), "fluentd") && parse_bool(async, &is_async) == 0 && !is_async;
}

static int check_spool_full(const char *name, const char *value, struct err *err)
{
	if (str_eq(value, "drop") || str_eq(value, "block"))
		return 0;
	return err_kind(err, ERR_BAD_PARAM, "invalid value for option %s: %s: must be drop or block", name, value);
}

/* Options that only one of the two transports has. */
static int check_gelf_option(const char *name, const char *value, bool udp, struct err *err)
{
	bool type = strcmp(name, "gelf-compression-type") == 0;
	int64_t n;

	if (type || strcmp(name, "gelf-compression-level") == 0) {
		if (!udp)
			return err_kind(err, ERR_BAD_PARAM, "compression is only supported on UDP");
		if (type ? strcmp(value, "gzip") && strcmp(value, "zlib") && strcmp(value, "none")
			 : parse_i64(value, -1, 9, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "unknown value \"%s\" for log opt \"%s\" for gelf log driver",
					value, name);
	} else if (str_starts(name, "gelf-tcp-")) {
		if (udp)
			return err_kind(err, ERR_BAD_PARAM, "\"%s\" is only valid for TCP", name);
		if (parse_i64(value, 0, INT32_MAX, &n) < 0)
			return err_kind(err, ERR_BAD_PARAM, "\"%s\" must be a positive integer", name);
	}
	return 0;
}

int log_check_gelf(const json_t *opts, struct err *err)
{
	struct log_addr addr;
	const char *name;
	json_t *value;
	int rc;

	if ((rc = log_addr_gelf(jget_str(opts, "gelf-address", ""), &addr, err)) < 0)
		return rc;
	json_object_foreach ((json_t *)opts, name, value)
		if ((rc = check_gelf_option(name, json_string_value(value), addr.kind == LOG_ADDR_UDP, err)) < 0)
			return rc;
	return 0;
}

int log_check_otlp(const json_t *opts, struct err *err)
{
	cleanup_free char *url = NULL;
	cleanup_strv char **headers = NULL;
	struct log_addr addr;
	int rc, ms;

	if ((rc = log_addr_otlp(jget_str(opts, "otlp-endpoint", ""), &addr, &url, err)) < 0 ||
	    (rc = log_otlp_headers(jget_str(opts, "otlp-headers", ""), &headers, err)) < 0 ||
	    (rc = log_otlp_timeout(jget_str(opts, "otlp-timeout", ""), &ms, err)) < 0)
		return rc;
	return check_tls(opts, "otlp", &addr, err);
}

/* ---- the tables ------------------------------------------------------------------------------ */

#define COMMON_OPTIONS { "spool-full", check_spool_full }, LOG_ATTR_OPTIONS, { NULL, NULL }

const struct log_option log_syslog_options[] = {
	{ "syslog-address", NULL },	{ "syslog-facility", NULL },
	{ "syslog-format", NULL },	{ "syslog-framing", NULL },
	{ "syslog-tls-ca-cert", NULL }, { "syslog-tls-cert", NULL },
	{ "syslog-tls-key", NULL },	{ "syslog-tls-skip-verify", NULL },
	{ "syslog-tag", log_check_tag },	{ "syslog-hostname", log_check_tag },
	COMMON_OPTIONS,
};

const struct log_option log_fluentd_options[] = {
	{ "fluentd-address", NULL },
	{ "fluentd-async", check_optional_bool },
	{ "fluentd-async-connect", check_optional_bool }, /* older clients */
	{ "fluentd-async-reconnect-interval", check_reconnect },
	{ "fluentd-buffer-limit", check_buffer },
	{ "fluentd-retry-wait", check_duration },
	{ "fluentd-max-retries", check_retries },
	{ "fluentd-request-ack", check_optional_bool },
	{ "fluentd-sub-second-precision", check_optional_bool },
	{ "fluentd-write-timeout", check_timeout },
	{ "fluentd-read-timeout", check_timeout },
	{ "fluentd-tls-ca-cert", NULL },
	{ "fluentd-tls-cert", NULL },
	{ "fluentd-tls-key", NULL },
	{ "fluentd-shared-key", NULL },
	{ "fluentd-tag", log_check_tag },
	COMMON_OPTIONS,
};

const struct log_option log_otlp_options[] = {
	{ "otlp-endpoint", NULL },    { "otlp-headers", NULL },	 { "otlp-timeout", NULL },
	{ "otlp-tls-ca-cert", NULL }, { "otlp-tls-cert", NULL }, { "otlp-tls-key", NULL },
	COMMON_OPTIONS,
};

const struct log_option log_gelf_options[] = {
	{ "gelf-address", NULL },	     { "gelf-compression-type", NULL },
	{ "gelf-compression-level", NULL },  { "gelf-tcp-max-reconnect", NULL },
	{ "gelf-tcp-reconnect-delay", NULL }, { "gelf-tag", log_check_tag },
	COMMON_OPTIONS,
};
