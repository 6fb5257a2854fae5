/* SPDX-License-Identifier: MPL-2.0
 *
 * link_env.c - see link_env.h.
 *
 * For each link with alias DB and exposed ports 80 to 82/tcp of a zone at 10.0.0.2:
 *	DB_PORT=tcp://10.0.0.2:80			the lowest port
 *	DB_PORT_80_TCP_START=tcp://10.0.0.2:80 ... _END	runs of at least two neighbours
 *	DB_PORT_80_TCP=tcp://10.0.0.2:80, _ADDR, _PORT, _PROTO	for each
 *	DB_NAME=/web/db, DB_ENV_K=V			the target's own environment
 */
#include "link_env.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define MAX_PORTS 4096

struct port {
	unsigned nr;
	char proto[8];
	char upper[8];
};

static void __attribute__((format(printf, 2, 3))) add(char ***out, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		strv_add(out, text);
}

static void to_upper(char *s)
{
	for (; *s; s++)
		*s = (char)toupper((unsigned char)*s);
}

/* By number; tcp before udp. */
static int by_port(const void *a, const void *b)
{
	const struct port *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	return strcmp(x->proto, y->proto);
}

static size_t parse_ports(const json_t *ports, struct port **out)
{
	size_t n = 0, max = json_object_size(ports);
	const char *key;
	json_t *unused;
	struct port *v;

	if (max > MAX_PORTS)
		max = MAX_PORTS;
	v = xcalloc(max + 1, sizeof(*v));
	json_object_foreach ((json_t *)ports, key, unused) {
		if (n < max && sscanf(key, "%u/%7[a-z]", &v[n].nr, v[n].proto) == 2) {
			memcpy(v[n].upper, v[n].proto, sizeof(v[n].upper));
			to_upper(v[n].upper);
			n++;
		}
	}
	qsort(v, n, sizeof(*v), by_port);
	*out = v;
	return n;
}

static void add_runs(char ***out, const char *alias, const char *ip, const struct port *v, size_t n)
{
	size_t i, j;

	for (i = 0; i < n; i = j + 1) {
		const struct port *p = &v[i], *q;

		for (j = i;
		     j + 1 < n && v[j + 1].nr == v[j].nr + 1 && str_eq(v[j + 1].proto, p->proto);)
			j++;
		if (j < i + 2)
			continue;
		q = &v[j];
		add(out, "%s_PORT_%u_%s_START=%s://%s:%u", alias, p->nr, p->upper, p->proto, ip,
		    p->nr);
		add(out, "%s_PORT_%u_%s_ADDR=%s", alias, p->nr, p->upper, ip);
		add(out, "%s_PORT_%u_%s_PROTO=%s", alias, p->nr, p->upper, p->proto);
		add(out, "%s_PORT_%u_%s_PORT_START=%u", alias, p->nr, p->upper, p->nr);
		add(out, "%s_PORT_%u_%s_END=%s://%s:%u", alias, p->nr, q->upper, q->proto, ip,
		    q->nr);
		add(out, "%s_PORT_%u_%s_PORT_END=%u", alias, p->nr, q->upper, q->nr);
	}
}

static void add_env(char ***out, const char *alias, const json_t *env)
{
	const char *kv;
	char *text;
	size_t i;

	for (i = 0; i < json_array_size(env); i++) {
		kv = json_string_value(json_array_get(env, i));
		if (!kv || !strchr(kv, '=') || str_starts(kv, "HOME=") || str_starts(kv, "PATH="))
			continue;
		text = xasprintf("%s_ENV_%s", alias, kv);
		strv_add(out, text);
		free(text);
	}
}

void link_env_add(char ***out, const char *name, const char *ip, const json_t *ports,
		  const json_t *env)
{
	const char *slash = strrchr(name, '/');
	cleanup_free char *alias = xstrdup(slash ? slash + 1 : name);
	cleanup_free struct port *v = NULL;
	size_t i, n = parse_ports(ports, &v);
	char *p;

	to_upper(alias);
	for (p = alias; *p; p++)
		if (*p == '-')
			*p = '_';
	if (n)
		add(out, "%s_PORT=%s://%s:%u", alias, v[0].proto, ip, v[0].nr);
	add_runs(out, alias, ip, v, n);
	for (i = 0; i < n; i++) {
		add(out, "%s_PORT_%u_%s=%s://%s:%u", alias, v[i].nr, v[i].upper, v[i].proto, ip,
		    v[i].nr);
		add(out, "%s_PORT_%u_%s_ADDR=%s", alias, v[i].nr, v[i].upper, ip);
		add(out, "%s_PORT_%u_%s_PORT=%u", alias, v[i].nr, v[i].upper, v[i].nr);
		add(out, "%s_PORT_%u_%s_PROTO=%s", alias, v[i].nr, v[i].upper, v[i].proto);
	}
	add(out, "%s_NAME=%s", alias, name);
	add_env(out, alias, env);
}
