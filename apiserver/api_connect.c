/* SPDX-License-Identifier: MPL-2.0
 *
 * api_connect.c - POST /networks/X/connect and /disconnect: a container gets or loses a network.
 *
 * A container that does not run only changes its record. In one that runs a job plugs the network
 * in or out; the record follows in done. Both hold the container's operation, so that neither start
 * nor end comes between.
 */
#include <jansson.h>
#include <string.h>

#include "body_fields.h"
#include "cleanup.h"
#include "container.h"
#include "ct_check.h"
#include "ct_config.h"
#include "endpoint_opts.h"
#include "jget.h"
#include "job.h"
#include "lifecycle.h"
#define LOG_MODULE "connect"
#include "log.h"
#include "network.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"
#include "zone.h"

struct connect_op {
	struct job job;
	uint64_t req;
	struct container *ct; /* a reference */
	bool holds_op, connect;
	char network_id[65];
	char *network; /* its name */
	struct endpoint ep; /* to connect; after a disconnect's job: what is left of it */
	size_t index;	    /* to disconnect: in ct->endpoints */
	size_t gateway;	    /* that took over its ports; SIZE_MAX: none */
	struct ct_spec *spec;
};

static void connect_op_free(struct connect_op *op)
{
	if (op->holds_op)
		container_op_end(op->ct);
	container_unref(op->ct);
	endpoint_fini(&op->ep);
	ct_spec_free(op->spec);
	free(op->network);
	free(op);
}

static void fail(struct connect_op *op, const struct err *err)
{
	reply_error(op->req, err);
	connect_op_free(op);
}

/* ---- the record (loop) ---- */

static void record_add(struct container *ct, const struct endpoint *ep)
{
	ct->endpoints = xrealloc(ct->endpoints, (ct->n_endpoints + 1) * sizeof(*ct->endpoints));
	endpoint_copy(&ct->endpoints[ct->n_endpoints++], ep);
	container_save(ct);
}

static void record_del(struct container *ct, size_t index)
{
	endpoint_fini(&ct->endpoints[index]);
	memmove(&ct->endpoints[index], &ct->endpoints[index + 1],
		(ct->n_endpoints - index - 1) * sizeof(*ct->endpoints));
	ct->n_endpoints--;
	container_save(ct);
}

/* Which of ct's endpoints is in the network; SIZE_MAX: none. */
static size_t find_endpoint(const struct container *ct, const char *network_id)
{
	struct err ignored = { 0 };
	char id[65];

	for (size_t i = 0; i < ct->n_endpoints; i++) {
		if (str_eq(ct->endpoints[i].network_id, network_id) ||
		    (network_resolve(ct->endpoints[i].network, id, &ignored) >= 0 &&
		     str_eq(id, network_id)))
			return i;
	}
	return SIZE_MAX;
}

/* ---- jobs (worker) ---- */

static size_t gateway_of(const struct ct_spec *spec, size_t without)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < spec->n_endpoints; i++) {
		const struct endpoint *ep = &spec->endpoints[i];

		if (i == without || !ep->connected || !ep->gateway[0])
			continue;
		if (best == SIZE_MAX || ep->gw_priority > spec->endpoints[best].gw_priority)
			best = i;
	}
	return best;
}

static bool has_ports(const struct ct_spec *spec)
{
	for (size_t i = 0; i < spec->n_endpoints; i++)
		if (spec->endpoints[i].n_ports)
			return true;
	return false;
}

static int connect_run(struct job *job, struct err *err)
{
	struct connect_op *op = container_of(job, struct connect_op, job);
	cleanup_free struct port_binding *want = NULL;
	size_t n_want = 0, gw = gateway_of(op->spec, SIZE_MAX);
	bool is_gw = gw == SIZE_MAX || op->ep.gw_priority > op->spec->endpoints[gw].gw_priority;
	cleanup_fd int netns = -1;
	struct err ignored = { 0 };
	char ifname[16];
	int rc;

	if (is_gw && !has_ports(op->spec) &&
	    (rc = config_port_bindings(op->spec->config, op->spec->host_config, &want, &n_want,
				       err)) < 0)
		return rc;
	endpoint_set_names(&op->ep, op->spec->id, op->spec->name,
			   jget_str(op->spec->config, "Hostname", ""));
	if ((rc = zone_get_netns(op->spec->uuid, &netns, err)) < 0 ||
	    (rc = network_free_ifname(netns, ifname, err)) < 0)
		return rc;
	if (endpoint_ifname(&op->ep))
		str_copy(ifname, sizeof(ifname), endpoint_ifname(&op->ep));
	if ((rc = network_attach(&op->ep, op->spec->id, op->spec->name, netns, ifname, is_gw, want,
				 n_want, err)) < 0)
		return rc;
	if (network_files_connect(op->spec, &op->ep, &ignored) < 0)
		log_warn("a connected container's hosts files stay", "ct=%.12s why=%s",
			 op->spec->id, log_q(ignored.msg));
	return 0;
}

static int disconnect_run(struct job *job, struct err *err)
{
	struct connect_op *op = container_of(job, struct connect_op, job);
	struct endpoint *ep = &op->spec->endpoints[op->index];
	size_t gw = gateway_of(op->spec, op->index), n_want = 0;
	cleanup_free struct port_binding *want = NULL;
	cleanup_fd int netns = -1;
	struct err ignored = { 0 };
	int rc;

	if ((rc = zone_get_netns(op->spec->uuid, &netns, err)) < 0 ||
	    (rc = network_unplug(ep, netns, err)) < 0)
		return rc;
	if (gw != SIZE_MAX && ep->gateway[0] &&
	    network_set_gateway(&op->spec->endpoints[gw], netns, &ignored) < 0)
		log_warn("container is left without a default route", "ct=%.12s why=%s",
			 op->spec->id, log_q(ignored.msg));
	if (network_files_disconnect(op->spec, ep, &ignored) < 0)
		log_warn("a disconnected container's hosts files stay", "ct=%.12s why=%s",
			 op->spec->id, log_q(ignored.msg));
	if (ep->n_ports) {
		want = xcalloc(ep->n_ports, sizeof(*want));
		memcpy(want, ep->ports, ep->n_ports * sizeof(*want));
		n_want = ep->n_ports;
	}
	network_detach(ep, op->spec->id);
	/* the way in moves with the way out */
	if (gw != SIZE_MAX && n_want &&
	    network_publish(&op->spec->endpoints[gw], op->spec->name, want, n_want, &ignored) < 0)
		log_warn("ports of a container are not published any more", "ct=%.12s why=%s",
			 op->spec->id, log_q(ignored.msg));
	op->gateway = gw;
	return 0;
}

static void job_done(struct job *job)
{
	struct connect_op *op = container_of(job, struct connect_op, job);

	if (job->rc < 0) {
		fail(op, &job->err);
		return;
	}
	if (op->connect) {
		record_add(op->ct, &op->ep);
		lifecycle_network_event(op->ct, &op->ep, "connect");
	} else {
		lifecycle_network_event(op->ct, &op->ct->endpoints[op->index], "disconnect");
		if (op->gateway < op->ct->n_endpoints) {
			endpoint_fini(&op->ct->endpoints[op->gateway]);
			endpoint_copy(&op->ct->endpoints[op->gateway],
				      &op->spec->endpoints[op->gateway]);
		}
		record_del(op->ct, op->index);
	}
	reply_empty(op->req, 200);
	connect_op_free(op);
}

/* ---- begin (loop) ---- */

static void start_job(struct connect_op *op)
{
	op->spec = container_spec(op->ct);
	op->job = (struct job){ .run = op->connect ? connect_run : disconnect_run,
				.done = job_done,
				.what = op->connect ? "network connect" : "network disconnect" };
	job_submit(LANE_LIFECYCLE, &op->job);
}

static void on_turn(struct container *ct, void *arg, bool cancelled)
{
	struct connect_op *op = arg;
	struct err err = { 0 };

	op->holds_op = !cancelled;
	if (cancelled) {
		err_kind(&err, ERR_NOT_FOUND, "No such container: %s", ct->id);
		fail(op, &err);
		return;
	}
	op->index = find_endpoint(ct, op->network_id);
	if (op->connect && op->index != SIZE_MAX)
		err_kind(&err, ERR_FORBIDDEN, "endpoint with name %s already exists in network %s",
			 ct->name, ct->endpoints[op->index].network);
	else if (!op->connect && op->index == SIZE_MAX)
		err_kind(&err, ERR_SYSTEM, "container %s is not connected to network %s", ct->id,
			 op->network);
	if (err.kind != ERR_NONE) {
		fail(op, &err);
		return;
	}
	if (ct->st.pid > 0) {
		start_job(op);
		return;
	}
	if (op->connect) {
		if (netmode_is_user_defined(op->network))
			endpoint_set_names(&op->ep, ct->id, ct->name,
					   jget_str(ct->config, "Hostname", ""));
		record_add(ct, &op->ep);
	} else {
		record_del(ct, op->index);
	}
	reply_empty(op->req, 200);
	connect_op_free(op);
}

/* The endpoint, from the request's EndpointConfig. */
static int make_endpoint(struct connect_op *op, const struct container *ct, const char *network,
			 const json_t *body, struct err *err)
{
	json_t *config = jget_obj(body, "EndpointConfig");
	cleanup_json json_t *networking = NULL, *host = NULL;
	struct endpoint *v;
	size_t n;
	int rc;

	networking = json_pack("{s:{s:o}}", "EndpointsConfig", network,
			       config ? json_incref(config) : json_object());
	host = json_pack("{s:s}", "NetworkMode", network);
	if (!networking || !host)
		return err_kind(err, ERR_BAD_PARAM, "invalid endpoint settings");
	if ((rc = endpoint_check(network, json_object_get(jget_obj(networking, "EndpointsConfig"), network), err)) < 0)
		return rc;
	endpoints_make(ct->config, host, networking, &v, &n);
	if (n == 1) {
		endpoint_copy(&op->ep, &v[0]);
		endpoint_fini(&v[0]);
	}
	free(v);
	return n == 1 ? 0
		      : err_kind(err, ERR_BAD_PARAM, "networking is disabled for container %s",
				 ct->name);
}

static int begin(struct req *r, struct connect_op *op, struct err *err)
{
	cleanup_json json_t *body = NULL;
	int rc;

	rc = body_decode(op->connect ? &body_network_connect : &body_network_disconnect, req_body(r),
		       &body, err);
	if (rc < 0)
		return rc;
	op->ct = container_find(jget_str(body, "Container", ""), err);
	if (!op->ct)
		return err->code;
	container_ref(op->ct);
	if ((rc = network_resolve(req_var(r, "name"), op->network_id, err)) < 0 ||
	    (rc = network_name(op->network_id, &op->network, err)) < 0)
		return rc;
	if (op->connect && ((rc = netmode_check_join(jget_str(op->ct->host_config, "NetworkMode", ""),
						   op->network, !op->ct->n_endpoints, err)) < 0 ||
			    (rc = make_endpoint(op, op->ct, op->network, body, err)) < 0))
		return rc;
	if (!op->connect && str_eq(op->network, "host") &&
	    str_eq(jget_str(op->ct->host_config, "NetworkMode", ""), "host"))
		return err_kind(err, ERR_BAD_PARAM,
				"cannot disconnect container from host network - container was "
				"created in host network mode");
	return container_op_begin(op->ct, OP_NETWORK, on_turn, op, err);
}

static void handle(struct req *r, bool connect)
{
	struct connect_op *op = xcalloc(1, sizeof(*op));
	struct err err = { 0 };

	op->req = req_id(r);
	op->connect = connect;
	op->gateway = SIZE_MAX;
	if (begin(r, op, &err) < 0) {
		reply_error(op->req, &err);
		if (op->ct)
			container_unref(op->ct);
		endpoint_fini(&op->ep);
		free(op->network);
		free(op);
	}
}

void handle_network_connect(struct req *r)
{
	handle(r, true);
}

void handle_network_disconnect(struct req *r)
{
	handle(r, false);
}
