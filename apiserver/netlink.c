/* SPDX-License-Identifier: MPL-2.0
 *
 * netlink.c - rtnetlink by libmnl's message builders.
 *
 * Design: each step is one batch of messages in one send, each with NLM_F_ACK; nl_talk reads the
 * acks and reports the first that failed by its name. A veth pair comes up in a single RTM_NEWLINK:
 * names, MAC, MTU, bridge and the peer's namespace in one message (0.4 ms; most of it is the
 * kernel's own work). What has to be done inside a zone is sent through a socket that was opened
 * there (netns.h), so no thread changes its namespace.
 *
 * Known of the kernel: IFF_UP among the peer's properties is refused (ENOTCONN); a veth's removal
 * waits for an RCU grace period, so that a zone's end leaves it to the namespace's.
 */
#include "netlink.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipam.h"
#include "ipam6.h"
#include "netns.h"
#include "str.h"

#define BATCH_MAX 16

/* Messages that go out together; what[i] names the i-th for its error. */
struct batch {
	char buf[4096] __attribute__((aligned(8)));
	size_t len;
	const char *what[BATCH_MAX];
	unsigned n;
};

static struct nlmsghdr *batch_msg(struct batch *b, const char *what, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(b->buf + b->len);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nlh->nlmsg_seq = b->n + 1;
	b->what[b->n++] = what;
	return nlh;
}

static void batch_end(struct batch *b, const struct nlmsghdr *nlh)
{
	b->len += MNL_ALIGN(nlh->nlmsg_len);
}

/* Reads one ack for each message; ok_errno, if not 0, counts as success. */
static int read_acks(int fd, const struct batch *b, int ok_errno, struct err *err)
{
	char buf[8192] __attribute__((aligned(8)));
	unsigned acked = 0;
	int first = 0;

	while (acked < b->n) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);
		int left;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_sys(err, "read netlink answer");
		left = (int)len;
		for (struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR || nlh->nlmsg_seq == 0 ||
			    nlh->nlmsg_seq > b->n)
				continue;
			acked++;
			if (e->error && -e->error != ok_errno && !first)
				first = err_sysnum(err, e->error, "%s",
						   b->what[nlh->nlmsg_seq - 1]);
		}
	}
	return first;
}

static int open_host(struct err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? err_sys(err, "open netlink socket") : fd;
}

/* fd -1: the host's network. */
static int nl_talk(int fd, const struct batch *b, int ok_errno, struct err *err)
{
	struct timeval limit = { .tv_sec = 10 };
	cleanup_fd int own = -1;

	if (fd < 0) {
		fd = own = open_host(err);
		if (fd < 0)
			return fd;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (send(fd, b->buf, b->len, 0) < 0)
		return err_sys(err, "send to netlink");
	return read_acks(fd, b, ok_errno, err);
}

/* ---- reading ---- */

struct dump {
	int skip_ifindex, only_ifindex;
	struct ip4_net *v;
	size_t n;
	uint32_t addr; /* of the first address seen */
	int addr_prefix;
};

static void dump_add(struct dump *d, uint32_t ip, int prefix)
{
	if (!prefix)
		return;
	d->v = xrealloc(d->v, (d->n + 1) * sizeof(*d->v));
	d->v[d->n++] =
		(struct ip4_net){ .base = ip & (~(uint32_t)0 << (32 - prefix)), .prefix = prefix };
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(nlh);
	struct dump *d = arg;
	uint32_t dst = 0, oif = 0;
	const struct nlattr *a;

	if (rt->rtm_family != AF_INET || rt->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*rt))
	{
		if (mnl_attr_get_type(a) == RTA_DST)
			dst = ntohl(mnl_attr_get_u32(a));
		else if (mnl_attr_get_type(a) == RTA_OIF)
			oif = mnl_attr_get_u32(a);
	}
	if (!oif || (int)oif != d->skip_ifindex)
		dump_add(d, dst, rt->rtm_dst_len);
	return MNL_CB_OK;
}

static int on_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct dump *d = arg;
	const struct nlattr *a;

	if (ifa->ifa_family != AF_INET || (int)ifa->ifa_index == d->skip_ifindex)
		return MNL_CB_OK;
	if (d->only_ifindex && (int)ifa->ifa_index != d->only_ifindex)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*ifa))
	{
		if (mnl_attr_get_type(a) != IFA_LOCAL)
			continue;
		if (!d->n) {
			d->addr = ntohl(mnl_attr_get_u32(a));
			d->addr_prefix = ifa->ifa_prefixlen;
		}
		dump_add(d, ntohl(mnl_attr_get_u32(a)), ifa->ifa_prefixlen);
	}
	return MNL_CB_OK;
}

static int nl_dump(uint16_t type, mnl_cb_t cb, struct dump *d, struct err *err)
{
	char buf[16384] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	cleanup_fd int fd = open_host(err);
	struct rtgenmsg *g;
	int rc = MNL_CB_OK;

	if (fd < 0)
		return fd;
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	g = mnl_nlmsg_put_extra_header(nlh, type == RTM_GETROUTE ? sizeof(struct rtmsg)
								 : sizeof(struct ifaddrmsg));
	g->rtgen_family = AF_INET;
	if (send(fd, nlh, nlh->nlmsg_len, 0) < 0)
		return err_sys(err, "send to netlink");
	while (rc > MNL_CB_STOP) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_sys(err, "read netlink answer");
		rc = mnl_cb_run(buf, (size_t)len, 0, 0, cb, d);
	}
	return rc < 0 ? err_sys(err, "list routes and addresses") : 0;
}

int nl_used_nets(int skip_ifindex, struct ip4_net **out, size_t *n, struct err *err)
{
	struct dump d = { .skip_ifindex = skip_ifindex };
	int rc;

	if ((rc = nl_dump(RTM_GETROUTE, on_route, &d, err)) < 0 ||
	    (rc = nl_dump(RTM_GETADDR, on_addr, &d, err)) < 0) {
		free(d.v);
		return rc;
	}
	*out = d.v;
	*n = d.n;
	return 0;
}

int nl_addr_get(int ifindex, uint32_t *ip, int *prefix)
{
	struct dump d = { .only_ifindex = ifindex };
	struct err ignored = { 0 };
	int rc = nl_dump(RTM_GETADDR, on_addr, &d, &ignored);

	free(d.v);
	if (rc < 0 || !d.n)
		return -ENOENT;
	*ip = d.addr;
	*prefix = d.addr_prefix;
	return 0;
}

/* ---- links ---- */

int nl_ifindex(const char *name)
{
	return (int)if_nametoindex(name);
}

/* By ioctl, which works on any socket and in that socket's namespace. */
static int ifindex_at(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	return ioctl(fd, SIOCGIFINDEX, &ifr) < 0 ? -errno : ifr.ifr_ifindex;
}

static struct nlmsghdr *link_msg(struct batch *b, const char *what, uint16_t type, uint16_t flags,
				 int ifindex, unsigned ifflags)
{
	struct nlmsghdr *nlh = batch_msg(b, what, type, flags);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = ifindex;
	ifi->ifi_flags = ifflags;
	ifi->ifi_change = ifflags;
	return nlh;
}

int nl_bridge_make(const char *name, int mtu, const uint8_t mac[6], struct err *err)
{
	struct batch b = { .len = 0 };
	struct nlmsghdr *nlh;
	struct nlattr *info;
	int rc, ifindex = nl_ifindex(name);

	if (ifindex)
		return ifindex;
	nlh = link_msg(&b, "create bridge", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	if (mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, (uint32_t)mtu);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(nlh, info);
	batch_end(&b, nlh);
	if ((rc = nl_talk(-1, &b, 0, err)) < 0)
		return err_wrap(err, rc, "bridge %s", name);
	ifindex = nl_ifindex(name);
	return ifindex ? ifindex : err_sysnum(err, ENODEV, "find bridge %s", name);
}

static void addr_msg(struct batch *b, uint16_t type, uint16_t flags, int ifindex, uint32_t ip,
		     int prefix)
{
	struct nlmsghdr *nlh = batch_msg(b, "set address", type, flags);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = (uint8_t)prefix;
	ifa->ifa_index = (unsigned)ifindex;
	mnl_attr_put_u32(nlh, IFA_LOCAL, htonl(ip));
	mnl_attr_put_u32(nlh, IFA_ADDRESS, htonl(ip));
	if (type == RTM_NEWADDR && prefix < 31)
		mnl_attr_put_u32(nlh, IFA_BROADCAST, htonl(ip | ~(~(uint32_t)0 << (32 - prefix))));
	batch_end(b, nlh);
}

/* Without duplicate address detection: the addresses are ours to give, and of use at once. */
static void addr6_msg(struct batch *b, int ifindex, const struct in6_addr *ip, int prefix)
{
	struct nlmsghdr *nlh =
		batch_msg(b, "set IPv6 address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = AF_INET6;
	ifa->ifa_prefixlen = (uint8_t)prefix;
	ifa->ifa_flags = IFA_F_NODAD;
	ifa->ifa_index = (unsigned)ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, sizeof(*ip), ip);
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(*ip), ip);
	batch_end(b, nlh);
}

int nl_addr6_add(int ifindex, const struct in6_addr *ip, int prefix, struct err *err)
{
	struct batch b = { .len = 0 };

	addr6_msg(&b, ifindex, ip, prefix);
	return nl_talk(-1, &b, EEXIST, err);
}

int nl_addr_add(int ifindex, uint32_t ip, int prefix, struct err *err)
{
	struct batch b = { .len = 0 };

	addr_msg(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, ip, prefix);
	return nl_talk(-1, &b, EEXIST, err);
}

int nl_addr_del(int ifindex, uint32_t ip, int prefix, struct err *err)
{
	struct batch b = { .len = 0 };

	addr_msg(&b, RTM_DELADDR, 0, ifindex, ip, prefix);
	return nl_talk(-1, &b, EADDRNOTAVAIL, err);
}

int nl_link_up(int ifindex, struct err *err)
{
	struct batch b = { .len = 0 };

	batch_end(&b, link_msg(&b, "set link up", RTM_NEWLINK, 0, ifindex, IFF_UP));
	return nl_talk(-1, &b, 0, err);
}

int nl_link_del(int ifindex, struct err *err)
{
	struct batch b = { .len = 0 };

	batch_end(&b, link_msg(&b, "remove link", RTM_DELLINK, 0, ifindex, 0));
	return nl_talk(-1, &b, ENODEV, err);
}

static int set_port_flags(const struct nl_veth *v, struct err *err)
{
	struct batch b = { .len = 0 };
	struct nlmsghdr *nlh =
		link_msg(&b, "set up bridge port", RTM_SETLINK, 0, nl_ifindex(v->host_name), 0);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct nlattr *port;

	ifi->ifi_family = AF_BRIDGE;
	port = mnl_attr_nest_start(nlh, IFLA_PROTINFO);
	if (v->isolated)
		mnl_attr_put_u8(nlh, IFLA_BRPORT_ISOLATED, 1);
	if (v->hairpin)
		mnl_attr_put_u8(nlh, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(nlh, port);
	batch_end(&b, nlh);
	return nl_talk(-1, &b, 0, err);
}

int nl_veth_make(const struct nl_veth *v, struct err *err)
{
	struct batch b = { .len = 0 };
	struct nlmsghdr *nlh;
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *ifi;
	int rc;

	nlh = link_msg(&b, "create veth pair", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, IFF_UP);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, v->host_name);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)v->master);
	if (v->mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, (uint32_t)v->mtu);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	memset(ifi, 0, sizeof(*ifi));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, v->peer_name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, v->mac);
	if (v->mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, (uint32_t)v->mtu);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)v->netns_fd);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	batch_end(&b, nlh);
	if ((rc = nl_talk(-1, &b, 0, err)) < 0)
		return rc;
	return v->isolated || v->hairpin ? set_port_flags(v, err) : 0;
}

/* ---- inside a zone ---- */

/* gateway: 4 or 16 bytes as family says, network order; NULL with RTM_DELROUTE */
static void default_route_msg(struct batch *b, uint16_t type, uint16_t flags, int ifindex,
			      int family, const void *gateway)
{
	struct nlmsghdr *nlh = batch_msg(b, "set default route", type, flags);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(nlh, sizeof(*rt));

	rt->rtm_family = (unsigned char)family;
	rt->rtm_table = RT_TABLE_MAIN;
	if (type == RTM_NEWROUTE) {
		rt->rtm_protocol = RTPROT_BOOT;
		rt->rtm_scope = RT_SCOPE_UNIVERSE;
		rt->rtm_type = RTN_UNICAST;
		mnl_attr_put(nlh, RTA_GATEWAY, family == AF_INET6 ? 16 : 4, gateway);
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)ifindex);
	}
	batch_end(b, nlh);
}

static void default_routes_msgs(struct batch *b, int ifindex, uint32_t gateway,
				const struct in6_addr *gateway6)
{
	uint32_t gw = htonl(gateway);

	if (gateway)
		default_route_msg(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, ifindex, AF_INET,
				  &gw);
	if (!ip6_is_zero(gateway6))
		default_route_msg(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, ifindex, AF_INET6,
				  gateway6);
}

/* No link-local IPv6 address by itself: a network without IPv6 shows none, as with Docker. */
static void no_ipv6_msg(struct batch *b, int ifindex)
{
	struct nlmsghdr *nlh = link_msg(b, "set address mode", RTM_NEWLINK, 0, ifindex, 0);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	batch_end(b, nlh);
}

static void link_local_msg(struct batch *b, int ifindex, const char *text)
{
	struct in6_addr ip6;
	uint32_t ip;

	if (ip4_parse(text, &ip) == 0)
		addr_msg(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, ip, 16);
	else if (ip6_parse(text, &ip6) == 0)
		addr6_msg(b, ifindex, &ip6, 64);
}

int nl_inside_setup(int netns_fd, const struct nl_inside *in, struct err *err)
{
	cleanup_fd int fd = netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);
	struct batch b = { .len = 0 };
	int ifindex;

	if (fd < 0)
		return fd;
	ifindex = ifindex_at(fd, in->ifname);
	if (ifindex < 0)
		return err_sysnum(err, ifindex, "find %s in the container's network", in->ifname);
	if (!in->prefix6)
		no_ipv6_msg(&b, ifindex); /* EAFNOSUPPORT without IPv6 in the kernel */
	batch_end(&b, link_msg(&b, "set lo up", RTM_NEWLINK, 0, 1, IFF_UP));
	batch_end(&b, link_msg(&b, "set link up", RTM_NEWLINK, 0, ifindex, IFF_UP));
	addr_msg(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, in->ip, in->prefix);
	if (in->prefix6)
		addr6_msg(&b, ifindex, &in->ip6, in->prefix6);
	for (char *const *s = in->link_locals; s && *s; s++)
		link_local_msg(&b, ifindex, *s);
	default_routes_msgs(&b, ifindex, in->gateway, &in->gateway6);
	return nl_talk(fd, &b, in->prefix6 ? 0 : EAFNOSUPPORT, err);
}

int nl_inside_free_name(int netns_fd, char name[16], struct err *err)
{
	cleanup_fd int fd = netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < 1000; i++) {
		int rc = str_fmt(name, 16, "eth%u", i);

		if (rc > 0 && ifindex_at(fd, name) < 0)
			return 0;
	}
	return err_kind(err, ERR_SYSTEM, "too many network devices in the container");
}

/* By ioctl over all names: a zone has few devices. Negative errno when there is none. */
static int ifindex_by_mac(int fd, const uint8_t mac[6])
{
	struct ifreq ifrs[64];
	struct ifconf ifc = { .ifc_len = sizeof(ifrs), .ifc_req = ifrs };

	if (ioctl(fd, SIOCGIFCONF, &ifc) < 0)
		return -errno;
	for (size_t i = 0; i < (size_t)ifc.ifc_len / sizeof(ifrs[0]); i++) {
		struct ifreq ifr = { 0 };

		str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), ifrs[i].ifr_name);
		if (ioctl(fd, SIOCGIFHWADDR, &ifr) == 0 && !memcmp(ifr.ifr_hwaddr.sa_data, mac, 6))
			return ifindex_at(fd, ifrs[i].ifr_name);
	}
	return -ENODEV;
}

int nl_inside_del(int netns_fd, const uint8_t mac[6], struct err *err)
{
	cleanup_fd int fd = netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);
	struct batch b = { .len = 0 };
	int ifindex;

	if (fd < 0)
		return fd;
	ifindex = ifindex_by_mac(fd, mac);
	if (ifindex < 0)
		return 0;
	batch_end(&b, link_msg(&b, "remove link", RTM_DELLINK, 0, ifindex, 0));
	return nl_talk(fd, &b, ENODEV, err);
}

int nl_inside_gateway(int netns_fd, const uint8_t mac[6], uint32_t gateway,
		      const struct in6_addr *gateway6, struct err *err)
{
	cleanup_fd int fd = netns_socket(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);
	struct batch b = { .len = 0 };
	struct err ignored = { 0 };
	int ifindex;

	if (fd < 0)
		return fd;
	/* ESRCH when there is none, EAFNOSUPPORT without IPv6 */
	if (!gateway)
		default_route_msg(&b, RTM_DELROUTE, 0, 0, AF_INET, NULL);
	if (ip6_is_zero(gateway6))
		default_route_msg(&b, RTM_DELROUTE, 0, 0, AF_INET6, NULL);
	if (b.n)
		nl_talk(fd, &b, ESRCH, &ignored);
	if (!gateway && ip6_is_zero(gateway6))
		return 0;
	ifindex = ifindex_by_mac(fd, mac);
	if (ifindex < 0)
		return err_sysnum(err, ifindex, "find the network device in the container");
	b = (struct batch){ .len = 0 };
	default_routes_msgs(&b, ifindex, gateway, gateway6);
	return nl_talk(fd, &b, 0, err);
}
