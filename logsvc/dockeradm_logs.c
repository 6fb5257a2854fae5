/* SPDX-License-Identifier: MPL-2.0
 *
 * dockeradm_logs.c - sdc-dockeradm logs: what it asks logsvc, and its verbs.
 *
 * logsvc knows zones by UUID only; names are apiserver's, and without it the table shows UUIDs.
 */
#include "dockeradm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "frame.h"
#include "jget.h"
#include "str.h"

#define CALL_MS 60000

/* ---- logsvc ----------------------------------------------------------------------------------- */

void adm_usage_free(struct adm_usage *u)
{
	for (size_t i = 0; i < u->n_replies; i++)
		logsvc__reply__free_unpacked(u->replies[i], NULL);
	free(u->replies);
	free(u->items);
	*u = (struct adm_usage){ 0 };
}

static void collect(struct adm_usage *u, Logsvc__Reply *r)
{
	const Logsvc__UsageReply *part = r->usage;

	u->replies = xrealloc(u->replies, (u->n_replies + 1) * sizeof(*u->replies));
	u->replies[u->n_replies++] = r;
	u->items = xrealloc(u->items, (u->n + part->n_zones + 1) * sizeof(*u->items));
	for (size_t i = 0; i < part->n_zones; i++)
		u->items[u->n++] = part->zones[i];
}

/* 1: another reply follows. */
static int take_reply(int fd, struct adm_usage *usage, int wait_ms, struct err *err)
{
	cleanup_frame struct frame f = FRAME_INIT;
	int rc = frame_recv(fd, &f, wait_ms), more = 0;
	Logsvc__Reply *r;

	if (rc <= 0)
		return err_sysnum(err, rc ? rc : -EPIPE, "logsvc: no answer");
	r = logsvc__reply__unpack(NULL, f.data.len, (const uint8_t *)f.data.p);
	if (!r)
		return err_kind(err, ERR_SYSTEM, "logsvc: an answer that is none");
	rc = 0;
	if (r->body_case == LOGSVC__REPLY__BODY_FAILURE) {
		rc = err_kind(err, ERR_SYSTEM, "%s", r->failure->text);
	} else if (r->body_case == LOGSVC__REPLY__BODY_USAGE && usage) {
		more = r->usage->more;
		collect(usage, r);
		return more;
	}
	logsvc__reply__free_unpacked(r, NULL);
	return rc;
}

int adm_logsvc(const struct paths *p, Logsvc__Request *req, struct adm_usage *usage, struct err *err)
{
	return adm_logsvc_within(p, req, usage, CALL_MS, err);
}

int adm_logsvc_within(const struct paths *p, Logsvc__Request *req, struct adm_usage *usage, int wait_ms, struct err *err)
{
	cleanup_fd int fd = frame_connect(p->logsvc_sock, 5000, err);
	cleanup_buf struct buf packet = BUF_INIT;
	size_t len = logsvc__request__get_packed_size(req);
	int rc;

	if (fd < 0)
		return err_wrap(err, fd, "logsvc");
	buf_reserve(&packet, len);
	logsvc__request__pack(req, (uint8_t *)packet.p);
	if ((rc = frame_send(fd, packet.p, len, NULL, 0, CALL_MS)) < 0)
		return err_sysnum(err, rc, "logsvc: send the request");
	do {
		rc = take_reply(fd, usage, wait_ms, err);
	} while (rc > 0);
	return rc;
}

int adm_usage_all(const struct paths *p, struct adm_usage *out, struct err *err)
{
	Logsvc__Request req = LOGSVC__REQUEST__INIT;
	Logsvc__Usage op = LOGSVC__USAGE__INIT;

	req.op_case = LOGSVC__REQUEST__OP_USAGE;
	req.usage = &op;
	return adm_logsvc(p, &req, out, err);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* UUID -> name, of all containers; empty without apiserver. */
json_t *adm_names(const struct paths *p)
{
	cleanup_json json_t *list = NULL;
	json_t *names = json_object(), *row;
	struct err ignored = { 0 };
	size_t i;

	if (adm_http(p->api_sock, "GET", "/containers/json?all=1", NULL, &list, &ignored) < 0)
		return names;
	json_array_foreach (list, i, row) {
		const char *id = jget_str(row, "Id", "");
		const char *name = json_string_value(json_array_get(jget_arr(row, "Names"), 0));
		char uuid[37];

		if (strlen(id) != 64 || !name)
			continue;
		id_to_uuid(uuid, id);
		json_object_set_new(names, uuid, json_string(name + (*name == '/')));
	}
	return names;
}

/* ---- verbs ------------------------------------------------------------------------------------ */

int adm_logs(const struct paths *p, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct paths *p, int argc, char **argv);
	} verbs[] = { { "rotate", adm_rotate }, { "prune", adm_prune }, { "archive", adm_archive }, { "set", adm_set } };
	bool json = false, watch = false;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++) {
		if (str_eq(argv[1], verbs[i].name))
			return verbs[i].run(p, argc - 1, argv + 1);
	}
	for (int i = 1; i < argc; i++) {
		if (str_eq(argv[i], "--json"))
			json = true;
		else if (str_eq(argv[i], "--watch"))
			watch = true;
		else
			return ADM_USAGE;
	}
	return adm_show(p, json, watch);
}
