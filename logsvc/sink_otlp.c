/* SPDX-License-Identifier: MPL-2.0
 *
 * sink_otlp.c - the wire format of the otlp driver: OTLP 1.x logs over HTTP with protobuf.
 *
 *	ExportLogsServiceRequest{ 1: ResourceLogs{ 1: Resource{ attributes }, 2: ScopeLogs{ 1: scope, 2: LogRecord... } } }
 *
 * Resource attributes: container.id, container.name, container.image.name, container.image.id, host.name, service.name, and what labels
 * and env select; ours win. A record has its time, the severity INFO (9, stdout) or ERROR (17, stderr), the line as a string body,
 * log.iostream, and for a piece of a split line log.partial.*.
 * Records are packed by protobuf-c one at a time and framed here (tag and length), so that a batch is one growing buffer.
 */
#include "sink_otlp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "otlp.pb-c.h"
#include "str.h"
#include "version.h"

#define OUR_ATTRS 6 /* of a resource */

static void add_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_addch(b, (char)(v | 0x80));
		v >>= 7;
	}
	buf_addch(b, (char)v);
}

/* Field `number`, length-delimited. */
static void add_field(struct buf *b, unsigned number, const void *p, size_t len)
{
	add_varint(b, number << 3 | 2);
	add_varint(b, len);
	buf_add(b, p, len);
}

static void add_message(struct buf *b, unsigned number, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);

	add_varint(b, number << 3 | 2);
	add_varint(b, len);
	buf_reserve(b, len);
	protobuf_c_message_pack(m, (uint8_t *)b->p + b->len);
	b->len += len;
	b->p[b->len] = '\0';
}

struct attrs {
	Otlp__KeyValue *kv;
	Otlp__AnyValue *v;
	Otlp__KeyValue **list;
	size_t n, max;
};

static void attrs_init(struct attrs *a, size_t max)
{
	a->kv = xcalloc(max, sizeof(*a->kv));
	a->v = xcalloc(max, sizeof(*a->v));
	a->list = xcalloc(max, sizeof(*a->list));
	a->n = 0;
	a->max = max;
}

static void attrs_fini(struct attrs *a)
{
	free(a->kv);
	free(a->v);
	free(a->list);
}

static bool attrs_has(const struct attrs *a, const char *key)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->kv[i].key, key))
			return true;
	return false;
}

static void set_text(Otlp__AnyValue *v, const char *text, size_t len)
{
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v->string_value.data = (uint8_t *)(uintptr_t)text;
	v->string_value.len = len;
}

/* The first of a key counts. */
static void attrs_add(struct attrs *a, const char *key, const char *value)
{
	size_t i = a->n;

	if (i == a->max || attrs_has(a, key))
		return;
	otlp__key_value__init(&a->kv[i]);
	otlp__any_value__init(&a->v[i]);
	set_text(&a->v[i], value, strlen(value));
	a->kv[i].key = (char *)(uintptr_t)key;
	a->kv[i].value = &a->v[i];
	a->list[i] = &a->kv[i];
	a->n++;
}

void otlp_enc_init(struct otlp_enc *e, const struct sink_source *src, const char *service_name)
{
	Otlp__Resource r = OTLP__RESOURCE__INIT;
	struct attrs a;
	size_t i, n = 0;

	memset(e, 0, sizeof(*e));
	while (src->attrs && src->attrs[n])
		n++;
	attrs_init(&a, OUR_ATTRS + n / 2);
	attrs_add(&a, "container.id", src->container_id);
	attrs_add(&a, "container.name", src->container_name);
	attrs_add(&a, "container.image.name", src->image_name);
	attrs_add(&a, "container.image.id", src->image_id);
	attrs_add(&a, "host.name", src->hostname);
	attrs_add(&a, "service.name", str_empty(service_name) ? src->container_name : service_name);
	for (i = 0; src->attrs && src->attrs[i] && src->attrs[i + 1]; i += 2)
		attrs_add(&a, src->attrs[i], src->attrs[i + 1]);
	r.n_attributes = a.n;
	r.attributes = a.list;
	add_message(&e->resource, 1, &r.base);
	attrs_fini(&a);
}

void otlp_enc_fini(struct otlp_enc *e)
{
	buf_fini(&e->resource);
	buf_fini(&e->records);
}

void otlp_record(struct otlp_enc *e, const struct sink_msg *m)
{
	Otlp__LogRecord r = OTLP__LOG_RECORD__INIT;
	Otlp__AnyValue body;
	Otlp__KeyValue kv[4], *list[4];
	Otlp__AnyValue v[4];
	struct attrs a = { .kv = kv, .v = v, .list = list, .max = ARRAY_SIZE(kv) };
	char ordinal[12];

	otlp__any_value__init(&body);
	set_text(&body, m->line, m->len);
	r.time_unix_nano = (uint64_t)m->time_ns;
	r.observed_time_unix_nano = (uint64_t)m->time_ns;
	r.severity_number = m->is_stderr ? 17 : 9;
	r.severity_text = (char *)(uintptr_t)(m->is_stderr ? "ERROR" : "INFO");
	r.body = &body;
	attrs_add(&a, "log.iostream", m->is_stderr ? "stderr" : "stdout");
	if (m->partial) {
		snprintf(ordinal, sizeof(ordinal), "%u", m->partial_ordinal);
		attrs_add(&a, "log.partial.id", m->partial_id);
		attrs_add(&a, "log.partial.ordinal", ordinal);
		attrs_add(&a, "log.partial.last", m->partial_last ? "true" : "false");
	}
	r.n_attributes = a.n;
	r.attributes = a.list;
	add_message(&e->records, 2, &r.base);
	e->n++;
}

void otlp_request(const struct otlp_enc *e, struct buf *out)
{
	struct buf scope_logs = BUF_INIT, resource_logs = BUF_INIT, scope = BUF_INIT;

	add_field(&scope, 1, "sdc-docker", 10);
	add_field(&scope, 2, SDC_VERSION, strlen(SDC_VERSION));
	add_field(&scope_logs, 1, scope.p, scope.len);
	buf_add(&scope_logs, e->records.p, e->records.len);
	buf_add(&resource_logs, e->resource.p, e->resource.len);
	add_field(&resource_logs, 2, scope_logs.p, scope_logs.len);
	add_field(out, 1, resource_logs.p, resource_logs.len);
	buf_fini(&scope);
	buf_fini(&scope_logs);
	buf_fini(&resource_logs);
}

void otlp_reset(struct otlp_enc *e)
{
	buf_reset(&e->records);
	e->n = 0;
}

int otlp_response(const void *p, size_t len, int64_t *rejected, char message[256])
{
	Otlp__ExportLogsResponse *r = otlp__export_logs_response__unpack(NULL, len, p);

	if (!r)
		return -EINVAL;
	*rejected = r->partial_success ? r->partial_success->rejected_log_records : 0;
	str_copy(message, 256, r->partial_success && r->partial_success->error_message ? r->partial_success->error_message : "");
	otlp__export_logs_response__free_unpacked(r, NULL);
	return 0;
}

bool otlp_retryable(long http_status)
{
	return http_status == 429 || http_status == 502 || http_status == 503 || http_status == 504;
}
