/* SPDX-License-Identifier: MPL-2.0
 *
 * conntrack.c - one dump of the kernel's connection table by ctnetlink, and a delete for each UDP
 * entry that a published port's coming or going makes wrong. A failure is not worth failing a start
 * or an end: it is logged.
 */
#include "conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#define LOG_MODULE "conntrack"
#include "log.h"
#include "str.h"

struct tuple {
	struct in6_addr src; /* IPv4: its first four bytes */
	uint8_t proto;
	uint16_t dst_port;
};

struct search {
	int family;
	struct in6_addr ip; /* as tuple's */
	const struct endpoint *ep;
	/* the original tuples to delete, as attributes, one after the other */
	char *found;
	size_t len;
	unsigned n_found;
};

static const struct nlattr *find_attr(const void *start, size_t len, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_payload(start, len)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static const struct nlattr *nested(const struct nlattr *in, uint16_t type)
{
	return in ? find_attr(mnl_attr_get_payload(in), mnl_attr_get_payload_len(in), type) : NULL;
}

static void read_tuple(const struct nlattr *t, struct tuple *out)
{
	const struct nlattr *ip = nested(t, CTA_TUPLE_IP), *proto = nested(t, CTA_TUPLE_PROTO);
	const struct nlattr *src = nested(ip, CTA_IP_V4_SRC), *src6 = nested(ip, CTA_IP_V6_SRC),
			    *num = nested(proto, CTA_PROTO_NUM),
			    *dport = nested(proto, CTA_PROTO_DST_PORT);

	*out = (struct tuple){ 0 };
	if (src && mnl_attr_get_payload_len(src) == 4)
		memcpy(&out->src, mnl_attr_get_payload(src), 4);
	if (src6 && mnl_attr_get_payload_len(src6) == sizeof(out->src))
		memcpy(&out->src, mnl_attr_get_payload(src6), sizeof(out->src));
	if (num)
		out->proto = mnl_attr_get_u8(num);
	if (dport)
		out->dst_port = ntohs(mnl_attr_get_u16(dport));
}

static bool is_wanted(const struct search *s, const struct tuple *orig, const struct tuple *reply)
{
	const struct port_binding *p = s->ep->ports;

	if (orig->proto != IPPROTO_UDP)
		return false;
	if (!memcmp(&reply->src, &s->ip, sizeof(s->ip)))
		return true;
	for (size_t i = 0; i < s->ep->n_ports; i++)
		if (str_eq(p[i].proto, "udp") && p[i].host_port == orig->dst_port)
			return true;
	return false;
}

static int on_entry(const struct nlmsghdr *nlh, void *arg)
{
	const char *attrs =
		(const char *)mnl_nlmsg_get_payload(nlh) + MNL_ALIGN(sizeof(struct nfgenmsg));
	size_t len = mnl_nlmsg_get_payload_len(nlh) - MNL_ALIGN(sizeof(struct nfgenmsg));
	const struct nlattr *o = find_attr(attrs, len, CTA_TUPLE_ORIG),
			    *r = find_attr(attrs, len, CTA_TUPLE_REPLY);
	struct search *s = arg;
	struct tuple orig, reply;
	size_t size;

	if (!o || !r)
		return MNL_CB_OK;
	read_tuple(o, &orig);
	read_tuple(r, &reply);
	if (!is_wanted(s, &orig, &reply))
		return MNL_CB_OK;
	size = MNL_ALIGN(o->nla_len);
	s->found = xrealloc(s->found, s->len + size);
	memset(s->found + s->len, 0, size);
	memcpy(s->found + s->len, o, o->nla_len);
	s->len += size;
	s->n_found++;
	return MNL_CB_OK;
}

static struct nlmsghdr *message(void *buf, int family, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = (uint8_t)family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int dump(int fd, struct search *s)
{
	char buf[32768] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = message(buf, s->family, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
	int rc = MNL_CB_OK;

	if (send(fd, nlh, nlh->nlmsg_len, 0) < 0)
		return -errno;
	while (rc > MNL_CB_STOP) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, 0, 0, on_entry, s);
	}
	return rc < 0 ? -errno : 0;
}

/* No acks are asked for: one that has gone by itself is no failure. */
static void delete_found(int fd, const struct search *s)
{
	char buf[1024] __attribute__((aligned(8)));
	const char *p = s->found;

	for (unsigned i = 0; i < s->n_found; i++) {
		const struct nlattr *tuple = (const void *)p;
		struct nlmsghdr *nlh = message(buf, s->family, IPCTNL_MSG_CT_DELETE, 0);

		if (nlh->nlmsg_len + MNL_ALIGN(tuple->nla_len) <= sizeof(buf)) {
			memcpy(mnl_nlmsg_get_payload_tail(nlh), tuple, MNL_ALIGN(tuple->nla_len));
			nlh->nlmsg_len += MNL_ALIGN(tuple->nla_len);
			if (send(fd, nlh, nlh->nlmsg_len, 0) < 0)
				log_warn("a UDP flow is not forgotten", "errno=%d", errno);
		}
		p += MNL_ALIGN(tuple->nla_len);
	}
}

static void forget(int fd, const struct endpoint *ep, int family, const char *ip)
{
	struct search s = { .family = family, .ep = ep };
	int rc;

	if (inet_pton(family, ip, &s.ip) != 1)
		return;
	rc = dump(fd, &s);
	if (rc < 0)
		log_warn("cannot read the connection table", "errno=%d", -rc);
	delete_found(fd, &s);
	free(s.found);
}

void conntrack_forget_udp(const struct endpoint *ep)
{
	struct timeval limit = { .tv_sec = 5 };
	cleanup_fd int fd = -1;
	bool any = false;

	for (size_t i = 0; i < ep->n_ports; i++)
		any |= str_eq(ep->ports[i].proto, "udp");
	if (!any)
		return;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	forget(fd, ep, AF_INET, ep->ip);
	forget(fd, ep, AF_INET6, ep->ip6);
}
