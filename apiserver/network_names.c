/* SPDX-License-Identifier: MPL-2.0
 *
 * network_names.c - names of zones as other zones find them: what the resolver answers from memory.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "network_private.h"
#include "resolver.h"
#include "str.h"

static const struct net_member *member_of(const struct net *n, const char *ct_id)
{
	const struct net_member *m = n->builtin ? NULL : n->members;

	while (m && !str_eq(m->ct_id, ct_id))
		m = m->next;
	return m;
}

static bool has_name(const struct net_member *m, const char *name, size_t len)
{
	for (char **s = m->names; s && *s; s++)
		if (strlen(*s) == len && !strncasecmp(*s, name, len))
			return true;
	return false;
}

/* A link's alias is a name that only the one who asked for the link knows. */
static const char *link_target(const struct net_member *m, const char *name, char buf[256])
{
	for (char **s = m->links; s && *s; s++) {
		const char *colon = strchr(*s, ':');

		if (strcasecmp(colon ? colon + 1 : *s, name) != 0)
			continue;
		str_copy(buf, 256, *s);
		buf[strcspn(buf, ":")] = '\0';
		return buf;
	}
	return name;
}

/* "db" or "db.NETWORK" -> length of "db"; 0: names something in another network. */
static size_t local_part(const struct net *n, const char *name)
{
	size_t len = strlen(name), net_len = strlen(n->name);

	if (len > net_len + 1 && name[len - net_len - 1] == '.' &&
	    !strcasecmp(name + len - net_len, n->name))
		return len - net_len - 1;
	return len;
}

size_t network_lookup(const char *ct_id, const char *name, struct name_address *v, size_t max,
		      bool *known)
{
	size_t count = 0;

	*known = false;
	pthread_mutex_lock(&net_lock);
	for (const struct net *n = net_list; n; n = n->next) {
		const struct net_member *self = member_of(n, ct_id);
		const char *wanted;
		char buf[256];
		size_t len;

		if (!self)
			continue;
		wanted = link_target(self, name, buf);
		len = local_part(n, wanted);
		for (const struct net_member *m = n->members; m; m = m->next) {
			if (!has_name(m, wanted, strlen(wanted)) && !has_name(m, wanted, len))
				continue;
			*known = true;
			if ((m->ip || !ip6_is_zero(&m->ip6)) && count < max)
				v[count++] = (struct name_address){ m->ip, m->ip6 };
		}
	}
	pthread_mutex_unlock(&net_lock);
	return count;
}

static bool has_address(const struct net_member *m, const struct name_address *a)
{
	return a->ip ? m->ip == a->ip
		     : !ip6_is_zero(&a->ip6) && ip6_equal(&m->ip6, &a->ip6);
}

bool network_lookup_ip(const char *ct_id, const struct name_address *a, char *name, size_t size)
{
	bool found = false;

	pthread_mutex_lock(&net_lock);
	for (const struct net *n = net_list; n && !found; n = n->next) {
		if (!member_of(n, ct_id))
			continue;
		for (const struct net_member *m = n->members; m && !found; m = m->next)
			if (has_address(m, a) && m->names && m->names[0])
				found = str_fmt(name, size, "%s.%s", m->names[0], n->name) > 0;
	}
	pthread_mutex_unlock(&net_lock);
	return found;
}
