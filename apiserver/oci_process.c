/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_process.c - the "process" of config.json (dockerinit, with room to become the user's
 * process), and what dockerinit is told about that one: capabilities, filter, groups, environment.
 */
#define LOG_MODULE "oci"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "caps.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "map.h"
#include "oci_priv.h"
#include "str.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	CAP_NR_SETGID = 6,
	CAP_NR_SETUID = 7,
	CAP_NR_SETPCAP = 8,
	CAP_NR_SYS_ADMIN = 21,
	CAP_NR_SYS_RESOURCE = 24
};

static const struct {
	const char *name; /* of --ulimit */
	int resource;
} rlimits[] = {
	{ "core", RLIMIT_CORE },	 { "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },	 { "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },	 { "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },	 { "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },		 { "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },	 { "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

/* An environment as it grows; an image may have a hundred thousand of them. */
struct env {
	char **v; /* with gaps where one was removed */
	size_t n, cap;
	struct map at; /* key -> its place in v, counted from 1 */
};

/* Sets K=V, in place where K is there; "K" alone removes it. */
static void env_set(struct env *e, const char *kv)
{
	size_t key_len = strcspn(kv, "=");
	cleanup_free char *key = xstrndup(kv, key_len);
	size_t at = (size_t)map_get(&e->at, key);

	if (at)
		free(take_ptr(&e->v[at - 1]));
	if (kv[key_len] != '=') {
		map_del(&e->at, key);
		return;
	}
	if (!at) {
		if (e->n == e->cap) {
			e->cap = e->cap ? e->cap * 2 : 32;
			e->v = xrealloc(e->v, e->cap * sizeof(*e->v));
		}
		at = ++e->n;
		map_set(&e->at, key, (void *)at);
	}
	e->v[at - 1] = xstrdup(kv);
}

static void env_set_all(struct env *e, const json_t *list)
{
	const char *kv;
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if ((kv = json_string_value(json_array_get(list, i))))
			env_set(e, kv);
}

/* Without the gaps. */
static char **env_take(struct env *e)
{
	char **out = xcalloc(e->n + 1, sizeof(*out));
	size_t i, n = 0;

	for (i = 0; i < e->n; i++)
		if (e->v[i])
			out[n++] = e->v[i];
	free(e->v);
	map_fini(&e->at, NULL);
	return out;
}

char **oci_env(const struct oci_ctx *o, const json_t *more)
{
	cleanup_free char *host = xasprintf("HOSTNAME=%s", o->hostname);
	struct env e = { 0 };

	map_init(&e.at);
	env_set(&e, DEFAULT_PATH);
	env_set(&e, host);
	if (o->tty)
		env_set(&e, "TERM=xterm");
	env_set_all(&e, jget_arr(o->spec->extra, "link_env"));
	env_set_all(&e, jget_arr(o->cfg, "Env"));
	env_set_all(&e, more);
	return env_take(&e);
}

void oci_process_members(const struct oci_ctx *o, struct jw *w)
{
	const json_t *groups = jget_arr(o->hc, "GroupAdd");
	const char *g;
	size_t i;

	caps_write(w, "caps", o->caps);
	jw_bool(w, "no_new_privs", o->no_new_privs);
	if (o->seccomp_b64.len)
		jw_strn(w, "seccomp", o->seccomp_b64.p, o->seccomp_b64.len);
	jw_arr(w, "group_add");
	for (i = 0; i < json_array_size(groups); i++)
		if ((g = json_string_value(json_array_get(groups, i))))
			jw_str(w, NULL, g);
	jw_end(w);
	jw_int(w, "umask", 0022);
}

static int find_rlimit(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rlimits); i++)
		if (strcasecmp(rlimits[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void write_rlimit(struct jw *w, const char *name, uint64_t soft, uint64_t hard)
{
	char type[32];
	size_t i;

	snprintf(type, sizeof(type), "RLIMIT_%s", name);
	for (i = 7; type[i]; i++)
		if (type[i] >= 'a' && type[i] <= 'z')
			type[i] -= 'a' - 'A';
	jw_obj(w, NULL);
	jw_str(w, "type", type);
	jw_uint(w, "hard", hard);
	jw_uint(w, "soft", soft);
	jw_end(w);
}

/* Our own hard limit where we may not pass it, else no limit. */
static uint64_t own_hard_limit(int resource)
{
	struct rlimit rl;

	if (engine->caps_bounding & CAP_BIT(CAP_NR_SYS_RESOURCE))
		return UINT64_MAX;
	if (getrlimit(resource, &rl) < 0)
		return UINT64_MAX;
	return rl.rlim_max;
}

/* --ulimit: what cannot be granted is an error, not a surprise. -1 is unlimited. */
static int user_rlimits(const struct oci_ctx *o, struct jw *w, uint32_t *seen, struct err *err)
{
	const json_t *list = jget_arr(o->hc, "Ulimits"), *u;
	uint64_t soft, hard, own;
	const char *name;
	size_t i;
	int k;

	for (i = 0; i < json_array_size(list); i++) {
		u = json_array_get(list, i);
		name = jget_str(u, "Name", "");
		k = find_rlimit(name);
		if (k < 0)
			return err_kind(err, ERR_BAD_PARAM, "invalid ulimit type: %s", name);
		if (*seen & (1u << k))
			continue;
		*seen |= 1u << k;
		soft = (uint64_t)jget_int(u, "Soft", 0);
		hard = (uint64_t)jget_int(u, "Hard", 0);
		own = own_hard_limit(rlimits[k].resource);
		if (hard > own || soft > own)
			return err_kind(err, ERR_BAD_PARAM,
					"ulimit %s: %lld is above this machine's hard limit of "
					"%llu, and the engine lacks "
					"CAP_SYS_RESOURCE: operation not permitted",
					rlimits[k].name, (long long)(hard > own ? hard : soft),
					(unsigned long long)own);
		write_rlimit(w, rlimits[k].name, soft, hard);
	}
	return 0;
}

/* default-ulimits of the configuration, "nofile=1024:4096,nproc=100": cut to what we may give. */
static void default_rlimits(struct jw *w, uint32_t *seen)
{
	cleanup_strv char **items = strv_split(oci_conf("default-ulimits", ""), ',');
	uint64_t soft, hard, own;
	char *eq, *colon;
	size_t i;
	int k;

	for (i = 0; items && items[i]; i++) {
		eq = strchr(items[i], '=');
		if (!eq)
			continue;
		*eq++ = '\0';
		colon = strchr(eq, ':');
		if (colon)
			*colon++ = '\0';
		k = find_rlimit(items[i]);
		if (k < 0 || (*seen & (1u << k)) || parse_u64(eq, UINT64_MAX, &soft) < 0)
			continue;
		if (!colon || parse_u64(colon, UINT64_MAX, &hard) < 0)
			hard = soft;
		own = own_hard_limit(rlimits[k].resource);
		hard = hard > own ? own : hard;
		soft = soft > hard ? hard : soft;
		write_rlimit(w, rlimits[k].name, soft, hard);
	}
}

/* Lowering the score below one's own needs CAP_SYS_RESOURCE. */
static int oom_score_adj(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	int64_t want = jget_int(o->hc, "OomScoreAdj", 0), own = 0;
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	if (!(engine->caps_bounding & CAP_BIT(CAP_NR_SYS_RESOURCE)) &&
	    fs_read_file("/proc/self/oom_score_adj", 32, &b, &ignored) >= 0) {
		if (b.len && b.p[b.len - 1] == '\n')
			b.p[--b.len] = '\0';
		if (parse_i64(buf_str(&b), -1000, 1000, &own) < 0)
			own = 0;
		if (want < own && want != 0)
			return err_kind(err, ERR_BAD_PARAM,
					"oom-score-adj %lld is below the engine's own %lld, and "
					"the engine lacks "
					"CAP_SYS_RESOURCE: permission denied",
					(long long)want, (long long)own);
		if (want < own)
			return 0;
	}
	jw_int(w, "oomScoreAdj", want);
	return 0;
}

int oci_process(const struct oci_ctx *o, struct jw *w, struct err *err)
{
	uint64_t caps =
		o->caps | CAP_BIT(CAP_NR_SETUID) | CAP_BIT(CAP_NR_SETGID) | CAP_BIT(CAP_NR_SETPCAP);
	const json_t *size = jget_arr(o->hc, "ConsoleSize");
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	uint32_t seen = 0;
	size_t i;
	int rc;

	if (o->seccomp_b64.len)
		caps |= CAP_BIT(CAP_NR_SYS_ADMIN);
	caps &= engine->caps_bounding;
	jw_obj(w, "process");
	jw_bool(w, "terminal", o->tty);
	if (o->tty && json_integer_value(json_array_get(size, 0)) > 0) {
		jw_obj(w, "consoleSize");
		jw_int(w, "height", json_integer_value(json_array_get(size, 0)));
		jw_int(w, "width", json_integer_value(json_array_get(size, 1)));
		jw_end(w);
	}
	jw_obj(w, "user");
	jw_int(w, "uid", 0);
	jw_int(w, "gid", 0);
	jw_end(w);
	jw_arr(w, "args");
	jw_str(w, NULL, "/native/usr/sbin/dockerinit");
	jw_end(w);
	jw_arr(w, "env");
	jw_str(w, NULL, DEFAULT_PATH);
	jw_str(w, NULL, "HOME=/"); /* without one crun looks into the zone's /etc/passwd, and waits where that is a FIFO */
	jw_end(w);
	jw_str(w, "cwd", "/");
	jw_obj(w, "capabilities");
	for (i = 0; i < ARRAY_SIZE(sets); i++)
		caps_write(w, sets[i], caps);
	jw_end(w);
	jw_arr(w, "rlimits");
	if ((rc = user_rlimits(o, w, &seen, err)) < 0)
		return rc;
	default_rlimits(w, &seen);
	jw_end(w);
	jw_bool(w, "noNewPrivileges", false);
	if ((rc = oom_score_adj(o, w, err)) < 0)
		return rc;
	jw_end(w);
	return 0;
}
