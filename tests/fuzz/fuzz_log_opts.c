/* SPDX-License-Identifier: MPL-2.0 */
/* links: apiserver */
/*
 * fuzz_log_opts.c - what users say about their logs: options of every driver, addresses, headers, and the operators' values of
 * the service metadata. The first byte picks a driver; each line is key=value. What create takes, a start must take too.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/container.h"
#include "apiserver/log_opts.h"
#include "apiserver/oci_priv.h"
#include "apiserver/service_meta.h"
#include "cleanup.h"
#include "jget.h"
#include "log_addr.h"
#include "log_otlp.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* key=value lines as an object; what is not UTF-8 cannot come in JSON. */
static json_t *options(const char *text)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	json_t *o = json_object();

	for (char **p = lines; *p; p++) {
		char *eq = strchr(*p, '=');

		if (!eq)
			continue;
		*eq = '\0';
		(void)json_object_set_new(o, *p, json_string(eq + 1));
	}
	return o;
}

static void start(const char *driver, const json_t *opts)
{
	cleanup_json json_t *config =
		json_pack("{s:{s:s,s:s},s:[s,s],s:[s]}", "Labels", "a", "label1", "com.a", "2",
			  "Env", "A=1", "AB=2", "Cmd", "sh");
	cleanup_json json_t *host =
		json_pack("{s:{s:s,s:O}}", "LogConfig", "Type", driver, "Config", opts);
	struct ct_spec s = { .config = config, .host_config = host, .created_ns = 1 };
	cleanup_buf struct buf b = BUF_INIT;
	cleanup_json json_t *made = NULL;
	struct err err = { 0 };

	if (!config || !host)
		abort();
	memset(s.id, 'a', sizeof(s.id) - 1);
	str_copy(s.uuid, sizeof(s.uuid), "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
	s.name = (char[]){ "web" };
	s.image_ref = (char[]){ "img:1" };
	if (oci_log_json(&s, &b, &err) < 0) /* of a template only its form is known before */
		return;
	if (jparse(buf_str(&b), b.len, &made, &err) < 0 || !jget_obj(made, "opts"))
		abort();
}

static void addresses(const char *value)
{
	struct err err = { 0 };
	struct log_addr a;
	cleanup_free char *url = NULL;
	cleanup_strv char **headers = NULL;
	int ms = 0;

	if (log_addr_syslog(value, &a, &err) == 0 && !a.host[0])
		abort();
	if (log_addr_fluentd(value, &a, &err) == 0 && !a.host[0])
		abort();
	if (log_addr_gelf(value, &a, &err) == 0 && (!a.host[0] || !a.port[0]))
		abort();
	if (log_addr_otlp(value, &a, &url, &err) == 0 && (!url || !a.port[0]))
		abort();
	if (log_otlp_headers(value, &headers, &err) == 0)
		for (char **p = headers; *p; p++)
			if (strpbrk(*p, "\r\n") || !strstr(*p, ": "))
				abort();
	if (log_otlp_timeout(value, &ms, &err) == 0 && (ms < 100 || ms > 600000))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const *drivers = log_driver_names();
	cleanup_free char *text = NULL;
	cleanup_json json_t *opts = NULL;
	struct err err = { 0 };
	const char *key;
	json_t *value;
	size_t n = 0;

	if (size < 2 || size > 20000)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	while (drivers[n])
		n++;
	opts = options(text);
	json_object_foreach (opts, key, value) {
		addresses(json_string_value(value));
		if (service_meta_check(key, json_string_value(value), &err) < 0 && !err.msg[0])
			abort();
	}
	err = (struct err){ 0 };
	if (log_opts_check(drivers[data[0] % n], opts, &err) == 0)
		start(drivers[data[0] % n], opts);
	else if (!err.msg[0] || err.kind != ERR_BAD_PARAM)
		abort();
	return 0;
}
