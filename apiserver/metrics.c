/* SPDX-License-Identifier: MPL-2.0
 *
 * metrics.c - counters of both daemons for Prometheus.
 *
 * Format (exposition format 0.0.4): "# HELP", "# TYPE", then one line a sample; all samples of a name
 * stand together. Label values here are UUIDs, containers' names and our own words:
 * nothing to escape.
 *
 * logsvc's per-zone counters begin with its capture of the zone, so that they start again when it
 * does: Prometheus' rate() takes that for what it is.
 */
#define LOG_MODULE "metrics"
#include "apiserver/metrics.h"

#include <stddef.h>
#include <stdlib.h>

#include "apiserver/container.h"
#include "apiserver/events.h"
#include "apiserver/job_stats.h"
#include "apiserver/logclient.h"
#include "cleanup.h"
#include "log.h"
#include "str.h"
#include "version.h"

void metric_head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_uint(struct buf *b, const char *name, const char *labels, uint64_t value)
{
	buf_addstr(b, name);
	if (*labels)
		buf_printf(b, "{%s}", labels);
	buf_printf(b, " %llu\n", (unsigned long long)value);
}

void metric_counter(struct buf *b, const char *name, const char *help, uint64_t value)
{
	metric_head(b, name, "counter", help);
	metric_uint(b, name, "", value);
}

/* ---- apiserver -------------------------------------------------------------------------------- */

static void jobs_metric(struct buf *b, const char *name, const char *type, const char *help,
			uint64_t (*value)(const struct job_stats *s))
{
	metric_head(b, name, type, help);
	for (int lane = 0; lane < LANE_COUNT; lane++) {
		struct job_stats s = { 0 };
		char labels[64];

		job_stats_get((enum job_lane)lane, &s);
		if (str_fmt(labels, sizeof(labels), "lane=\"%s\"", s.name) > 0)
			metric_uint(b, name, labels, value(&s));
	}
}

static uint64_t jobs_done(const struct job_stats *s)
{
	return s->done;
}

static uint64_t jobs_failed(const struct job_stats *s)
{
	return s->failed;
}

static uint64_t jobs_refused(const struct job_stats *s)
{
	return s->refused;
}

static uint64_t jobs_queued(const struct job_stats *s)
{
	return s->queued;
}

static uint64_t jobs_running(const struct job_stats *s)
{
	return s->n_running;
}

void metrics_engine(struct buf *b)
{
	uint64_t running = 0, all = 0;

	for (struct container *ct = container_first(); ct; ct = ct->next_by_age, all++)
		running += container_is_running(ct);
	metric_head(b, "sdc_docker_build_info", "gauge", "The version that runs.");
	metric_uint(b, "sdc_docker_build_info", "version=\"" SDC_VERSION "\"", 1);
	metric_head(b, "sdc_docker_containers", "gauge", "Containers, by whether they run.");
	metric_uint(b, "sdc_docker_containers", "state=\"running\"", running);
	metric_uint(b, "sdc_docker_containers", "state=\"stopped\"", all - running);
	metric_head(b, "sdc_docker_container_info", "gauge", "Which container a zone is.");
	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		char labels[256];

		if (str_fmt(labels, sizeof(labels), "zone=\"%s\",id=\"%s\",name=\"%s\"", ct->uuid, ct->id,
			    ct->name) > 0)
			metric_uint(b, "sdc_docker_container_info", labels, 1);
	}
	metric_head(b, "sdc_docker_event_listeners", "gauge", "Clients that follow the events.");
	metric_uint(b, "sdc_docker_event_listeners", "", events_listeners());
	jobs_metric(b, "sdc_docker_jobs_done_total", "counter", "Jobs that came to their end.", jobs_done);
	jobs_metric(b, "sdc_docker_jobs_failed_total", "counter", "Of these, with an error.", jobs_failed);
	jobs_metric(b, "sdc_docker_jobs_refused_total", "counter", "Jobs refused: the queue was full.",
		    jobs_refused);
	jobs_metric(b, "sdc_docker_jobs_queued", "gauge", "Jobs that wait.", jobs_queued);
	jobs_metric(b, "sdc_docker_jobs_running", "gauge", "Jobs that run.", jobs_running);
}

/* ---- logsvc ----------------------------------------------------------------------------------- */

/* Which zones a metric is about: not every log is forwarded, not every backlog is counted. */
enum zones { ALL, FORWARDED, COUNTED };

static const struct log_metric {
	const char *name, *type, *help;
	size_t offset;
	enum { U64, I64, UINT, BOOL } kind;
	enum zones zones;
} log_metrics[] = {
#define LOG(member) offsetof(struct log_usage, member)
	{ "sdc_docker_log_lines_total", "counter", "Lines captured.", LOG(lines), U64, ALL },
	{ "sdc_docker_log_line_bytes_total", "counter", "Bytes captured.", LOG(lines_bytes), U64, ALL },
	{ "sdc_docker_log_rotations_total", "counter", "Rotations.", LOG(rotations), U64, ALL },
	{ "sdc_docker_log_dropped_total", "counter", "Lines that the sink will not get.", LOG(dropped), U64, ALL },
	{ "sdc_docker_log_lost_total", "counter", "Lines that the log could not take.", LOG(lost), U64, ALL },
	{ "sdc_docker_log_errors_total", "counter", "Errors of writing and of reading.", LOG(errors), U64, ALL },
	{ "sdc_docker_log_size_bytes", "gauge", "Size of the log's files.", LOG(bytes), I64, ALL },
	{ "sdc_docker_log_files", "gauge", "Files of the log, the live one included.", LOG(files), UINT, ALL },
	{ "sdc_docker_log_forward_connected", "gauge", "Whether the sink takes lines.", LOG(connected), BOOL, FORWARDED },
	{ "sdc_docker_log_forward_lines_total", "counter", "Lines that the sink has.", LOG(delivered), U64, FORWARDED },
	{ "sdc_docker_log_forward_backlog_bytes", "gauge", "Log that waits for the sink.", LOG(behind_bytes), I64, FORWARDED },
	{ "sdc_docker_log_forward_backlog_lines", "gauge", "Lines that wait for the sink, where they are counted.",
	  LOG(behind_lines), I64, COUNTED },
	{ "sdc_docker_log_archive_failures_total", "counter", "Uploads to the object store that failed.", LOG(archive_failures), U64, ALL },
	{ "sdc_docker_log_unstored_files_total", "counter", "Files that a limit removed before they were stored.", LOG(unstored), U64, ALL },
	{ "sdc_docker_log_archived_files", "gauge", "Files in the object store.", LOG(archived), U64, ALL },
	{ "sdc_docker_log_archive_pending_files", "gauge", "Rotated files that are not in the object store.", LOG(archive_pending), UINT, ALL },
#undef LOG
};

static uint64_t member(const struct log_usage *u, const struct log_metric *m)
{
	const char *at = (const char *)u + m->offset;

	switch (m->kind) {
	case U64:
		return *(const uint64_t *)(const void *)at;
	case I64:
		return (uint64_t) * (const int64_t *)(const void *)at;
	case UINT:
		return *(const unsigned *)(const void *)at;
	case BOOL:
		return *(const bool *)(const void *)at;
	}
	return 0;
}

static bool is_about(const struct log_usage *u, enum zones zones)
{
	return zones == ALL || (u->forwards && (zones == FORWARDED || u->behind_lines >= 0));
}

/* A histogram in seconds; its counts add up, as the format wants it. */
static void latency_metric(struct buf *b, const struct log_latency *l)
{
	uint64_t sum = 0;

	if (!l->n)
		return;
	metric_head(b, "sdc_docker_log_capture_seconds", "histogram",
		    "How long output waited until it was in its log, at most; of each look at a pipe.");
	for (unsigned i = 0; i < l->n; i++) {
		sum += l->count[i];
		buf_printf(b, "sdc_docker_log_capture_seconds_bucket{le=\"%g\"} %llu\n", (double)l->bound_ns[i] / 1e9,
			   (unsigned long long)sum);
	}
	sum += l->count[l->n];
	buf_printf(b, "sdc_docker_log_capture_seconds_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)sum);
	buf_printf(b, "sdc_docker_log_capture_seconds_sum %lld.%09lld\n", (long long)(l->sum_ns / 1000000000),
		   (long long)(l->sum_ns % 1000000000));
	metric_uint(b, "sdc_docker_log_capture_seconds_count", "", sum);
}

void metrics_logs(struct buf *b)
{
	cleanup_free struct log_usage *v = NULL;
	struct log_latency latency = { 0 };
	struct err err = { 0 };
	unsigned n = 0;
	int rc = logclient_usage("", &v, &n, &latency, &err);

	metric_head(b, "sdc_docker_logsvc_up", "gauge", "Whether logsvc answers.");
	metric_uint(b, "sdc_docker_logsvc_up", "", rc == 0);
	for (const struct log_metric *m = log_metrics; m < log_metrics + ARRAY_SIZE(log_metrics); m++) {
		metric_head(b, m->name, m->type, m->help);
		for (unsigned k = 0; k < n; k++) {
			char labels[128];

			if (is_about(&v[k], m->zones) &&
			    str_fmt(labels, sizeof(labels), "zone=\"%s\",driver=\"%s\"", v[k].uuid, v[k].driver) > 0)
				metric_uint(b, m->name, labels, member(&v[k], m));
		}
	}
	latency_metric(b, &latency);
}
