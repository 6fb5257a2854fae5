/* SPDX-License-Identifier: MPL-2.0
 *
 * orders.c - see orders.h; the keys and members are those of zone_run.c and exec_spec.h.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "json.h"
#include "mdata_wire.h"
#include "privs.h"

#define VALUES_MAX (1024 * 1024) /* more variables than the kernel takes */

enum key { K_ENTRYPOINT, K_CMD, K_ENV, K_USER, K_WORKDIR, K_TTY, K_HOSTNAME, K_PROCESS, N_KEYS };

static const char *const keys[N_KEYS] = {
	[K_ENTRYPOINT] = "docker:entrypoint",
	[K_CMD] = "docker:cmd",
	[K_ENV] = "docker:env",
	[K_USER] = "docker:user",
	[K_WORKDIR] = "docker:workdir",
	[K_TTY] = "docker:tty",
	[K_HOSTNAME] = "sdc:hostname",
	[K_PROCESS] = "docker:process",
};

static int bad(struct err *err, const char *what)
{
	return err_kind(err, ERR_SYSTEM, "dockerinit: cannot read %s", what);
}

/* The strings of an array in text, "" counting as an empty one. */
static int read_list(char *text, const char *what, char ***out, size_t *n, struct err *err)
{
	struct json j = { 0 };

	if (*text && json_parse(&j, text, strlen(text), VALUES_MAX) < 0)
		return bad(err, what);
	*out = json_strv(&j, j.v, n);
	return *out ? 0 : err_sysnum(err, ENOMEM, "read %s", what);
}

static const char *cwd_or_root(const char *s)
{
	return *s ? s : "/";
}

/* The members that the two forms have in common. */
static int read_process(struct orders *o, const struct json *j, const struct json_val *p,
			struct err *err)
{
	const char *bpf = json_str(j, p, "seccomp", NULL);
	char **caps = json_strv(j, json_get(j, p, "caps"), NULL);
	long n;

	o->group_add = json_strv(j, json_get(j, p, "group_add"), NULL);
	if (!caps || !o->group_add)
		return err_sysnum(err, ENOMEM, "read the process");
	for (; *caps; caps++) {
		int cap = privs_cap_number(*caps);

		if (cap >= 0) /* one that this build does not know cannot be granted */
			o->caps |= 1ULL << cap;
	}
	o->no_new_privs = json_bool(j, p, "no_new_privs", false);
	o->init = json_bool(j, p, "init", false);
	o->umask = (unsigned)json_int(j, p, "umask", 022) & 0777;
	if (bpf && *bpf) {
		n = base64_decode((char *)(uintptr_t)bpf, bpf, strlen(bpf));
		if (n <= 0)
			return bad(err, "the seccomp filter");
		o->bpf = (void *)(uintptr_t)bpf;
		o->bpf_len = (size_t)n;
	}
	return 0;
}

static int fetch(struct mdata_client *c, char *values[N_KEYS], struct err *err)
{
	cleanup_buf struct buf ask = BUF_INIT;
	size_t len, i;
	char *line;
	int rc;

	buf_addstr(&ask, "DOCKERINIT\n");
	for (i = 0; i < N_KEYS; i++)
		buf_printf(&ask, "GET %s\n", keys[i]);
	if ((rc = mdata_send(c, ask.p, ask.len, err)) < 0 ||
	    (rc = mdata_line(c, &line, &len, err)) < 0)
		return rc;
	if (strcmp(line, "OK") != 0)
		return err_sysnum(err, EPERM, "the metadata service knows another first process");
	for (i = 0; i < N_KEYS; i++) {
		values[i] = NULL;
		if ((rc = mdata_v1_answer(c, &values[i], err)) < 0)
			return rc;
		if (!values[i] && !(values[i] = strdup("")))
			return err_sysnum(err, ENOMEM, "read the metadata");
	}
	return 0;
}

static int join_argv(struct orders *o, char **a, size_t na, char **b, size_t nb, struct err *err)
{
	o->argv = calloc(na + nb + 1, sizeof(*o->argv));
	if (!o->argv)
		return err_sysnum(err, ENOMEM, "read the command");
	memcpy(o->argv, a, na * sizeof(*a));
	memcpy(o->argv + na, b, nb * sizeof(*b));
	if (na + nb == 0)
		return err_kind(err, ERR_BAD_PARAM, "no command specified");
	return 0;
}

int orders_from_metadata(struct orders *o, struct mdata_client *c, struct err *err)
{
	char *v[N_KEYS], **entrypoint, **cmd;
	size_t n_entrypoint, n_cmd;
	struct json j = { 0 };
	int rc;

	memset(o, 0, sizeof(*o));
	if ((rc = fetch(c, v, err)) < 0 ||
	    (rc = read_list(v[K_ENTRYPOINT], keys[K_ENTRYPOINT], &entrypoint, &n_entrypoint, err)) <
		    0 ||
	    (rc = read_list(v[K_CMD], keys[K_CMD], &cmd, &n_cmd, err)) < 0 ||
	    (rc = read_list(v[K_ENV], keys[K_ENV], &o->env, NULL, err)) < 0 ||
	    (rc = join_argv(o, entrypoint, n_entrypoint, cmd, n_cmd, err)) < 0)
		return rc;
	o->user = v[K_USER];
	o->cwd = cwd_or_root(v[K_WORKDIR]);
	o->tty = strcmp(v[K_TTY], "true") == 0;
	o->hostname = v[K_HOSTNAME];
	if (*v[K_PROCESS] && json_parse(&j, v[K_PROCESS], strlen(v[K_PROCESS]), VALUES_MAX) < 0)
		return bad(err, keys[K_PROCESS]);
	return read_process(o, &j, j.v, err);
}

int orders_from_spec(struct orders *o, char *text, size_t len, struct err *err)
{
	static char hostname[256];
	struct json j;
	size_t n;

	memset(o, 0, sizeof(*o));
	if (json_parse(&j, text, len, VALUES_MAX) < 0 || j.v->type != JSON_OBJ)
		return bad(err, "the exec spec");
	o->argv = json_strv(&j, json_get(&j, j.v, "argv"), &n);
	o->env = json_strv(&j, json_get(&j, j.v, "env"), NULL);
	if (!o->argv || !o->env)
		return err_sysnum(err, ENOMEM, "read the exec spec");
	if (n == 0)
		return err_kind(err, ERR_BAD_PARAM, "No exec command specified");
	o->user = json_str(&j, j.v, "user", "");
	o->cwd = cwd_or_root(json_str(&j, j.v, "cwd", ""));
	o->tty = json_bool(&j, j.v, "tty", false);
	if (gethostname(hostname, sizeof(hostname) - 1) < 0)
		hostname[0] = '\0';
	o->hostname = hostname;
	return read_process(o, &j, j.v, err);
}
