/* SPDX-License-Identifier: MPL-2.0
 *
 * dockerfile_change.c - Dockerfile instructions that only change a config.
 *
 * To extend: a function and a row in instructions[]; commit_ok tells whether import and commit take
 * it.
 */
#include "apiserver/dockerfile_change.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/dockerfile.h"
#include "apiserver/dockerfile_words.h"
#include "apiserver/go_number.h"
#include "apiserver/signals.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

struct change {
	json_t *config;
	const char *rest;
	char **env; /* the config's Env, then vars */
	struct dockerfile_change_state *st;
	struct err *err;
	char escape;
};

/* What history will say of the instruction, when somebody wants it. */
#define NOTE(c, ...)                                                                               \
	do {                                                                                       \
		if ((c)->st->note)                                                                 \
			buf_printf((c)->st->note, __VA_ARGS__);                                    \
	} while (0)

/* As Go's %q of a list of strings. */
static void note_quoted(struct change *c, const char *before, const json_t *a)
{
	const json_t *v;
	size_t i;

	NOTE(c, "%s", before);
	json_array_foreach ((json_t *)a, i, v) {
		NOTE(c, "%s", i ? " " : "");
		if (c->st->note)
			dockerfile_quote(c->st->note, json_string_value(v));
	}
	NOTE(c, "]");
}

/* As Go's %v. */
static void note_list(struct change *c, char *const *v)
{
	NOTE(c, " [");
	for (char *const *s = v; *s; s++)
		NOTE(c, "%s%s", s == v ? "" : " ", *s);
	NOTE(c, "]");
}

static json_t *array_of(char *const *v)
{
	json_t *a = json_array();

	for (; v && *v; v++)
		json_array_append_new(a, json_string(*v));
	return a;
}

/* The member of config as an object, made when it is missing or null. */
static json_t *object_in(json_t *config, const char *key)
{
	json_t *o = json_object_get(config, key);

	if (json_is_object(o))
		return o;
	o = json_object();
	json_object_set_new(config, key, o);
	return o;
}

static int set_checked(json_t *o, const char *key, json_t *value, struct err *err)
{
	if (!value || json_object_set_new(o, key, value) < 0)
		return err_kind(err, ERR_BAD_PARAM, "not valid UTF-8: %s", key);
	return 0;
}

static char *upper(const char *s)
{
	char *u = xstrdup(s);

	for (char *p = u; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return u;
}

/* The command of CMD, ENTRYPOINT, HEALTHCHECK CMD: exec form as it is, shell form behind the shell.
 */
static int command(struct change *c, const char *text, json_t **out)
{
	cleanup_strv char **v = NULL, **shell = NULL;
	int rc = dockerfile_json_form(text, &v, c->err);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		shell = jget_strv(c->config, "Shell");
		v = strv_split("", ' ');
		for (char **s = shell; *s; s++)
			strv_add(&v, *s);
		if (!*shell) {
			strv_add(&v, "/bin/sh");
			strv_add(&v, "-c");
		}
		if (*text)
			strv_add(&v, text);
	}
	*out = array_of(v);
	return 0;
}

static int change_cmd(struct change *c)
{
	json_t *a;
	int rc;

	if ((rc = command(c, c->rest, &a)) < 0)
		return rc;
	if (json_array_size(a))
		c->st->cmd_set = true;
	note_quoted(c, " [", a);
	return set_checked(c->config, "Cmd", a, c->err);
}

static int change_entrypoint(struct change *c)
{
	json_t *a;
	int rc;

	if ((rc = command(c, *c->rest ? c->rest : "[]", &a)) < 0)
		return rc;
	note_quoted(c, " [", a);
	if (!json_array_size(a)) {
		json_decref(a);
		a = json_null();
	}
	if (!c->st->cmd_set)
		json_object_set_new(c->config, "Cmd", json_null());
	return set_checked(c->config, "Entrypoint", a, c->err);
}

/* name=value ... or the old form "name value with blanks"; calls set for each pair. */
static int pairs(struct change *c, const char *what,
		 int (*set)(struct change *c, const char *name, const char *value))
{
	cleanup_strv char **v = NULL;
	int rc;

	if ((rc = dockerfile_pairs(c->rest, c->escape, what, &v, c->err)) < 0)
		return rc;
	if (!v[0])
		return err_kind(c->err, ERR_BAD_PARAM, "%s requires at least one argument", what);
	for (char **p = v; *p; p += 2) {
		cleanup_free char *name = NULL, *value = NULL;

		if ((rc = dockerfile_expand(p[0], c->escape, c->env, &name, c->err)) < 0 ||
		    (rc = dockerfile_expand(p[1], c->escape, c->env, &value, c->err)) < 0)
			return rc;
		if (!*name)
			return err_kind(c->err, ERR_BAD_PARAM, "%s names can not be blank", what);
		if ((rc = set(c, name, value)) < 0)
			return rc;
	}
	return 0;
}

static int set_env(struct change *c, const char *name, const char *value)
{
	cleanup_free char *text = xasprintf("%s=%s", name, value);
	json_t *env = json_object_get(c->config, "Env"), *item, *s = json_string(text);
	size_t len = strlen(name), i;

	if (!s)
		return err_kind(c->err, ERR_BAD_PARAM, "ENV %s: not valid UTF-8", name);
	NOTE(c, " %s", text);
	if (!json_is_array(env)) {
		env = json_array();
		json_object_set_new(c->config, "Env", env);
	}
	json_array_foreach (env, i, item) {
		const char *old = json_string_value(item);

		if (old && !strncmp(old, name, len) && (old[len] == '=' || !old[len])) {
			json_array_set_new(env, i, s);
			return 0;
		}
	}
	json_array_append_new(env, s);
	return 0;
}

static int set_label(struct change *c, const char *name, const char *value)
{
	NOTE(c, " %s=%s", name, value);
	return set_checked(object_in(c->config, "Labels"), name, json_string(value), c->err);
}

static int change_env(struct change *c)
{
	return pairs(c, "ENV", set_env);
}

static int change_label(struct change *c)
{
	return pairs(c, "LABEL", set_label);
}

/* "8000-9000"; more dashes are not looked at, as in Docker. */
static int port_range(const char *text, int64_t *first, int64_t *last)
{
	cleanup_strv char **v = strv_split(text, '-');

	if (!v[0] || parse_i64(v[0], 0, 65535, first) < 0 ||
	    parse_i64(v[1] ? v[1] : v[0], 0, 65535, last) < 0 || *last < *first)
		return -EINVAL;
	return 0;
}

/* PORT[-PORT][/PROTOCOL]; a host's address and port in front are taken and mean nothing. */
static int expose_one(struct change *c, const char *spec)
{
	json_t *ports = object_in(c->config, "ExposedPorts");
	const char *colon = strrchr(spec, ':');
	cleanup_free char *text = xstrdup(colon ? colon + 1 : spec);
	char *slash = strchr(text, '/'), key[32], proto[8];
	int64_t first, last;

	if (slash)
		*slash = '\0';
	if (!*text)
		return err_kind(c->err, ERR_BAD_PARAM, "no port specified: %s<empty>", spec);
	if (port_range(text, &first, &last) < 0)
		return err_kind(c->err, ERR_BAD_PARAM, "invalid containerPort: %s", text);
	str_copy(proto, sizeof(proto), slash && slash[1] ? slash + 1 : "tcp");
	for (char *p = proto; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if ((!str_eq(proto, "tcp") && !str_eq(proto, "udp") && !str_eq(proto, "sctp")) ||
	    (slash && strlen(slash + 1) > 4))
		return err_kind(c->err, ERR_BAD_PARAM, "invalid proto: %s", slash + 1);
	for (; first <= last; first++) {
		snprintf(key, sizeof(key), "%lld/%s", (long long)first, proto);
		json_object_set_new(ports, key, json_object());
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int change_expose(struct change *c)
{
	cleanup_strv char **words = dockerfile_fields(c->rest), **ports = strv_split("", ' ');
	int rc;

	if (!words[0])
		return err_kind(c->err, ERR_BAD_PARAM, "EXPOSE requires at least one argument");
	qsort(words, strv_len(words), sizeof(*words), by_text);
	for (char **w = words; *w; w++) {
		cleanup_strv char **some = NULL;

		if ((rc = dockerfile_expand_words(*w, c->escape, c->env, &some, c->err)) < 0)
			return rc;
		for (char **p = some; *p; p++)
			strv_add(&ports, *p);
	}
	NOTE(c, "%s", ports[0] ? "" : " ");
	for (char **p = ports; *p; p++) {
		NOTE(c, " %s", *p);
		if ((rc = expose_one(c, *p)) < 0)
			return rc;
	}
	return 0;
}

/* The JSON form's members are expanded, too. */
static int volume_names(struct change *c, char ***out)
{
	cleanup_strv char **words = NULL, **v = strv_split("", ' ');
	int rc = dockerfile_json_form(c->rest, &words, c->err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		words = dockerfile_fields(c->rest);
	if (!words[0])
		return err_kind(c->err, ERR_BAD_PARAM, "VOLUME requires at least one argument");
	for (char **w = words; *w; w++) {
		cleanup_free char *one = NULL;

		if ((rc = dockerfile_expand(*w, c->escape, c->env, &one, c->err)) < 0)
			return rc;
		if (!*one)
			return err_kind(c->err, ERR_BAD_PARAM,
					"VOLUME specified can not be an empty string");
		strv_add(&v, one);
	}
	*out = take_ptr(&v);
	return 0;
}

static int change_volume(struct change *c)
{
	cleanup_strv char **names = NULL;
	int rc = volume_names(c, &names);

	if (rc < 0)
		return rc;
	note_list(c, names);
	for (char **n = names; *n; n++)
		if ((rc = set_checked(object_in(c->config, "Volumes"), *n, json_object(), c->err)) <
		    0)
			return rc;
	return 0;
}

/* The one word of USER, WORKDIR, STOPSIGNAL. */
static int one_word(struct change *c, const char *what, char **out)
{
	cleanup_free char *s = NULL;
	size_t len;
	int rc;

	if (!*c->rest)
		return err_kind(c->err, ERR_BAD_PARAM, "%s requires exactly one argument", what);
	if ((rc = dockerfile_expand(c->rest, c->escape, c->env, &s, c->err)) < 0)
		return rc;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		s[--len] = '\0';
	*out = take_ptr(&s);
	return 0;
}

static int change_user(struct change *c)
{
	cleanup_free char *s = NULL;
	int rc;

	if ((rc = one_word(c, "USER", &s)) < 0)
		return rc;
	NOTE(c, " %s", s);
	return set_checked(c->config, "User", json_string(s), c->err);
}

static int change_stopsignal(struct change *c)
{
	cleanup_free char *s = NULL;
	int rc, signo;

	if ((rc = one_word(c, "STOPSIGNAL", &s)) < 0 || (rc = signal_parse(s, &signo, c->err)) < 0)
		return rc;
	NOTE(c, " %s", s);
	return set_checked(c->config, "StopSignal", json_string(s), c->err);
}

/* Joins and cleans: "/a" + "b/../c" -> "/a/c". Owned. */
static char *join_clean(const char *base, const char *path)
{
	cleanup_free char *whole = path[0] == '/' ? xstrdup(path) : xasprintf("/%s/%s", base, path);
	cleanup_strv char **parts = strv_split(whole, '/');
	char *out = xcalloc(1, strlen(whole) + 2);
	size_t n = 0;

	for (char **p = parts; *p; p++) {
		if (!**p || str_eq(*p, "."))
			continue;
		if (str_eq(*p, "..")) {
			while (n && out[n - 1] != '/')
				n--;
			n = n ? n - 1 : 0;
			out[n] = '\0';
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, *p, strlen(*p) + 1);
		n += strlen(*p);
	}
	if (!n)
		out[0] = '/';
	return out;
}

static int change_workdir(struct change *c)
{
	cleanup_free char *s = NULL, *dir = NULL;
	int rc;

	if ((rc = one_word(c, "WORKDIR", &s)) < 0)
		return rc;
	if (!*s)
		return err_kind(c->err, ERR_BAD_PARAM, "cannot normalize nothing");
	dir = join_clean(jget_str(c->config, "WorkingDir", ""), s);
	NOTE(c, " %s", dir);
	return set_checked(c->config, "WorkingDir", json_string(dir), c->err);
}

static int change_onbuild(struct change *c)
{
	const char *rest = c->rest + strspn(c->rest, " \t");
	cleanup_free char *word = xstrndup(rest, strcspn(rest, " \t"));
	cleanup_free char *name = upper(word);
	json_t *a = json_object_get(c->config, "OnBuild"), *s;

	if (!*name)
		return err_kind(c->err, ERR_BAD_PARAM, "ONBUILD requires at least one argument");
	if (str_eq(name, "ONBUILD"))
		return err_kind(c->err, ERR_BAD_PARAM,
				"Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if (str_eq(name, "FROM") || str_eq(name, "MAINTAINER"))
		return err_kind(c->err, ERR_BAD_PARAM, "%s isn't allowed as an ONBUILD trigger",
				name);
	if (!json_is_array(a)) {
		a = json_array();
		json_object_set_new(c->config, "OnBuild", a);
	}
	s = json_string(rest);
	if (!s)
		return err_kind(c->err, ERR_BAD_PARAM, "ONBUILD: not valid UTF-8");
	json_array_append_new(a, s);
	NOTE(c, " %s", rest);
	return 0;
}

static int change_shell(struct change *c)
{
	cleanup_strv char **v = NULL;
	int rc = dockerfile_json_form(c->rest, &v, c->err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_kind(c->err, ERR_BAD_PARAM,
				"SHELL requires the arguments to be in JSON form");
	if (!v[0])
		return err_kind(c->err, ERR_BAD_PARAM, "SHELL requires at least one argument");
	note_list(c, v);
	return set_checked(c->config, "Shell", array_of(v), c->err);
}

static int health_duration(const char *name, const char *text, const char *key, json_t *health,
			   struct err *err)
{
	int64_t n;

	if (!*text)
		return 0;
	if (parse_duration_ns(text, &n) < 0)
		return go_err_duration(text, err);
	if (n && n < 1000000)
		return err_kind(err, ERR_BAD_PARAM, "Interval \"%s\" cannot be less than 1ms", name);
	if (n)
		json_object_set_new(health, key, json_integer(n));
	return 0;
}

static int health_retries(const char *text, json_t *health, struct err *err)
{
	int64_t n;

	if (!*text)
		return 0;
	if (parse_i64(text, INT32_MIN, INT32_MAX, &n) < 0)
		return err_kind(err, ERR_BAD_PARAM,
				"strconv.ParseInt: parsing \"%s\": invalid syntax", text);
	if (n < 0)
		return err_kind(err, ERR_BAD_PARAM, "--retries cannot be negative (%lld)",
				(long long)n);
	if (n)
		json_object_set_new(health, "Retries", json_integer(n));
	return 0;
}

static int health_test(const struct df_instr *in, json_t *test, struct err *err)
{
	if (!strcasecmp(in->args[0], "NONE")) {
		if (in->args[1])
			return err_kind(err, ERR_BAD_PARAM, "HEALTHCHECK NONE takes no arguments");
		json_array_append_new(test, json_string("NONE"));
		return 1;
	}
	if (strcasecmp(in->args[0], "CMD") != 0) {
		cleanup_free char *type = upper(in->args[0]);
		cleanup_buf struct buf quoted = BUF_INIT;

		dockerfile_quote(&quoted, type);
		return err_kind(err, ERR_BAD_PARAM,
				"Unknown type %.400s in HEALTHCHECK (try CMD)", buf_str(&quoted));
	}
	if (!in->args[1])
		return err_kind(err, ERR_BAD_PARAM, "Missing command after HEALTHCHECK CMD");
	json_array_append_new(test, json_string(in->json ? "CMD" : "CMD-SHELL"));
	for (char **a = in->args + 1; *a; a++)
		json_array_append_new(test, json_string(*a));
	return 0;
}

int dockerfile_health(const struct df_instr *in, json_t **out, struct err *err)
{
	static const struct {
		const char *flag, *key;
	} durations[] = {
		{ "interval", "Interval" },
		{ "timeout", "Timeout" },
		{ "start-period", "StartPeriod" },
		{ "start-interval", "StartInterval" },
	};
	cleanup_json json_t *health = json_object();
	json_t *test = json_array();
	const char *v;
	int rc;

	json_object_set_new(health, "Test", test);
	if ((rc = health_test(in, test, err)) < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(durations); i++)
		if ((v = df_flag(in, durations[i].flag)) &&
		    health_duration(durations[i].flag, v, durations[i].key, health, err) < 0)
			return err->code;
	if (rc == 0 && (v = df_flag(in, "retries")) && health_retries(v, health, err) < 0)
		return err->code;
	if (out)
		*out = json_incref(health);
	return 0;
}

/* As Go's time.Duration prints itself. */
static void note_duration(struct change *c, const json_t *health, const char *key)
{
	int64_t ns = jget_int(health, key, 0), s = ns / 1000000000;

	if (ns % 1000000000)
		NOTE(c, " \"%gs\"", (double)ns / 1e9);
	else if (s >= 3600)
		NOTE(c, " \"%lldh%lldm%llds\"", (long long)s / 3600, (long long)s / 60 % 60,
		     (long long)s % 60);
	else if (s >= 60)
		NOTE(c, " \"%lldm%llds\"", (long long)s / 60, (long long)s % 60);
	else
		NOTE(c, " \"%llds\"", (long long)s);
}

static void note_health(struct change *c, const json_t *health)
{
	struct buf *note = c->st->note;

	if (!note)
		return;
	note_quoted(c, " &{[", jget_arr(health, "Test"));
	note_duration(c, health, "Interval");
	note_duration(c, health, "Timeout");
	note_duration(c, health, "StartPeriod");
	note_duration(c, health, "StartInterval");
	buf_addch(note, ' ');
	dockerfile_quote_char(note, jget_int(health, "Retries", 0));
	buf_addch(note, '}');
}

static int change_healthcheck(struct change *c)
{
	cleanup_free char *text = xasprintf("HEALTHCHECK %s", c->rest);
	struct df_instr in;
	json_t *health;
	int rc;

	if ((rc = dockerfile_parse_one(text, c->escape, 0, &in, c->err)) < 0)
		return rc;
	rc = dockerfile_health(&in, &health, c->err);
	df_instr_fini(&in);
	if (rc < 0)
		return rc;
	json_object_set_new(c->config, "Healthcheck", health);
	note_health(c, health);
	return 0;
}

static const struct instruction {
	const char *name;
	int (*fn)(struct change *c);
	bool commit_ok;
} instructions[] = {
	{ "cmd", change_cmd, true },
	{ "entrypoint", change_entrypoint, true },
	{ "env", change_env, true },
	{ "expose", change_expose, true },
	{ "healthcheck", change_healthcheck, true },
	{ "label", change_label, true },
	{ "onbuild", change_onbuild, true },
	{ "shell", change_shell, false },
	{ "stopsignal", change_stopsignal, true },
	{ "user", change_user, true },
	{ "volume", change_volume, true },
	{ "workdir", change_workdir, true },
};

static const struct instruction *find_instruction(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++)
		if (!strcasecmp(instructions[i].name, name))
			return &instructions[i];
	return NULL;
}

int dockerfile_change_one(json_t *config, const char *name, const char *rest, char *const *vars,
			  struct dockerfile_change_state *st, struct err *err)
{
	const struct instruction *in = find_instruction(name);
	cleanup_strv char **env = jget_strv(config, "Env");
	struct change c = {
		.config = config,
		.rest = rest + strspn(rest, " \t"),
		.st = st,
		.err = err,
		.escape = st->escape ? st->escape : '\\',
	};

	if (!in)
		return -ENOENT;
	for (; vars && *vars; vars++)
		if (!strv_has(env, *vars))
			strv_add(&env, *vars);
	c.env = env;
	return in->fn(&c);
}

/* One logical line; text is changed. */
static int apply_line(json_t *config, char *line, struct dockerfile_change_state *st,
		      struct err *err)
{
	cleanup_free char *given = NULL;
	size_t len = strlen(line);
	char *name, *rest;
	const struct instruction *in;

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	name = line + strspn(line, " \t");
	if (!*name || *name == '#')
		return 0;
	rest = name + strcspn(name, " \t");
	if (*rest)
		*rest++ = '\0';
	given = xstrdup(name);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	in = find_instruction(name);
	if (!in || !in->commit_ok)
		return err_kind(err, ERR_BAD_PARAM, "%s is not a valid change command", given);
	return dockerfile_change_one(config, name, rest, NULL, st, err);
}

int dockerfile_changes_apply(json_t *config, char *const *changes, struct err *err)
{
	struct dockerfile_change_state st = { false };
	int rc = 0;

	for (; rc == 0 && changes && *changes; changes++) {
		cleanup_free char *text = xstrdup(*changes);
		char *line = text, *nl;

		while (rc == 0 && line) {
			/* a backslash at the end of a line joins the next one to it */
			while ((nl = strchr(line, '\n')) && nl > line && nl[-1] == '\\')
				memmove(nl - 1, nl + 1, strlen(nl + 1) + 1);
			if (nl)
				*nl++ = '\0';
			rc = apply_line(config, line, &st, err);
			line = nl;
		}
	}
	return rc;
}

json_t *dockerfile_empty_config(void)
{
	return json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:b,s:b,s:b,s:n,s:n,s:s,s:n,s:s,s:n,s:n,s:n}",
			 "Hostname", "", "Domainname", "", "User", "", "AttachStdin", 0,
			 "AttachStdout", 0, "AttachStderr", 0, "Tty", 0, "OpenStdin", 0,
			 "StdinOnce", 0, "Env", "Cmd", "Image", "", "Volumes", "WorkingDir", "",
			 "Entrypoint", "OnBuild", "Labels");
}
