/* SPDX-License-Identifier: MPL-2.0
 *
 * seccomp_rules.c - see seccomp_rules.h.
 *
 * A profile has defaultAction [defaultErrnoRet], archMap or architectures, and syscalls: names,
 * action [errnoRet], args [{index, value, valueTwo, op}], and includes / excludes {caps, arches,
 * minKernel}. A rule counts when every capability of its includes is there and none of its
 * excludes. Names that this libseccomp does not know are skipped, as the runtimes do.
 */
#include "seccomp_rules.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "caps.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define MAX_RULES  16384
#define MAX_ARGS   6
#define MAX_ARCHES 16

static const struct {
	const char *name;
	const char *go; /* as profiles' conditions name it */
	uint32_t token;
} arches[] = {
	{ "SCMP_ARCH_X86", "386", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X32", "amd64p32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_ARM", "arm", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_MIPS", "mips", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", "mips64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", "mips64n32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", "mipsel", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", "mips64le", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", "mips64lep32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", "ppc", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", "ppc64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", "ppc64le", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_RISCV64", "riscv64", SCMP_ARCH_RISCV64 },
	{ "SCMP_ARCH_S390", "s390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", "s390x", SCMP_ARCH_S390X },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} ops[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static int invalid(struct err *err, const char *what, const char *value)
{
	return err_kind(err, ERR_BAD_PARAM, "Decoding seccomp profile failed: %s \"%.100s\"", what,
			value);
}

static const char *native_go(void)
{
	uint32_t native = seccomp_arch_native();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(arches); i++)
		if (arches[i].token == native)
			return arches[i].go;
	return "";
}

static bool arch_token(const char *name, uint32_t *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(arches); i++) {
		if (strcmp(arches[i].name, name) != 0)
			continue;
		*out = arches[i].token;
		return true;
	}
	return false;
}

static int action_of(const char *name, int64_t errno_ret, uint32_t *out, struct err *err)
{
	if (errno_ret < 0 || errno_ret > 4095)
		return invalid(err, "bad errnoRet for action", name);
	if (str_eq(name, "SCMP_ACT_ALLOW"))
		*out = SCMP_ACT_ALLOW;
	else if (str_eq(name, "SCMP_ACT_ERRNO"))
		*out = SCMP_ACT_ERRNO((uint32_t)errno_ret);
	else if (str_eq(name, "SCMP_ACT_KILL") || str_eq(name, "SCMP_ACT_KILL_THREAD"))
		*out = SCMP_ACT_KILL_THREAD;
	else if (str_eq(name, "SCMP_ACT_KILL_PROCESS"))
		*out = SCMP_ACT_KILL_PROCESS;
	else if (str_eq(name, "SCMP_ACT_TRAP"))
		*out = SCMP_ACT_TRAP;
	else if (str_eq(name, "SCMP_ACT_TRACE"))
		*out = SCMP_ACT_TRACE((uint32_t)errno_ret);
	else if (str_eq(name, "SCMP_ACT_LOG"))
		*out = SCMP_ACT_LOG;
	else
		return invalid(err, "unsupported action", name ? name : "");
	return 0;
}

/* "4.8" against the running kernel. */
static bool kernel_at_least(const char *min)
{
	unsigned want_major = 0, want_minor = 0, have_major = 0, have_minor = 0;
	struct utsname u;

	if (sscanf(min, "%u.%u", &want_major, &want_minor) < 1 || uname(&u) < 0)
		return false;
	(void)sscanf(u.release, "%u.%u", &have_major, &have_minor);
	return have_major > want_major || (have_major == want_major && have_minor >= want_minor);
}

static bool list_has(const json_t *list, const char *s)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (str_eq(json_string_value(json_array_get(list, i)), s))
			return true;
	return false;
}

/* How many of the named capabilities are in caps. */
static size_t caps_held(const json_t *list, uint64_t caps)
{
	const char *name;
	size_t i, n = 0;
	int nr;

	for (i = 0; i < json_array_size(list); i++) {
		name = json_string_value(json_array_get(list, i));
		nr = name ? cap_number(name) : -1;
		n += nr >= 0 && (caps & CAP_BIT(nr));
	}
	return n;
}

static bool rule_counts(const json_t *rule, uint64_t caps)
{
	const json_t *inc = jget_obj(rule, "includes"), *exc = jget_obj(rule, "excludes");
	const char *arch = native_go(), *min;
	const json_t *list;

	list = jget_arr(exc, "arches");
	if (list_has(list, arch))
		return false;
	if (caps_held(jget_arr(exc, "caps"), caps) > 0)
		return false;
	min = jget_str(exc, "minKernel", "");
	if (*min && kernel_at_least(min))
		return false;
	list = jget_arr(inc, "arches");
	if (json_array_size(list) > 0 && !list_has(list, arch))
		return false;
	list = jget_arr(inc, "caps");
	if (caps_held(list, caps) != json_array_size(list))
		return false;
	min = jget_str(inc, "minKernel", "");
	return !*min || kernel_at_least(min);
}

static int parse_args(const json_t *rule, struct scmp_arg_cmp args[MAX_ARGS], unsigned *n,
		      bool *repeated, struct err *err)
{
	const json_t *list = jget_arr(rule, "args"), *a;
	unsigned seen = 0, index;
	size_t i, k;

	*n = 0;
	*repeated = false;
	if (json_array_size(list) > MAX_ARGS)
		return invalid(err, "too many args", "");
	for (i = 0; i < json_array_size(list); i++) {
		a = json_array_get(list, i);
		if (!json_is_object(a))
			continue;
		for (k = 0; k < ARRAY_SIZE(ops) && !str_eq(ops[k].name, jget_str(a, "op", "")); k++)
			;
		index = (unsigned)jget_int(a, "index", 0);
		if (k == ARRAY_SIZE(ops) || index >= MAX_ARGS)
			return invalid(err, "bad argument comparison", jget_str(a, "op", ""));
		*repeated = *repeated || (seen & (1u << index));
		seen |= 1u << index;
		args[*n].arg = index;
		args[*n].op = ops[k].op;
		args[*n].datum_a = (scmp_datum_t)jget_int(a, "value", 0);
		args[*n].datum_b = (scmp_datum_t)jget_int(a, "valueTwo", 0);
		(*n)++;
	}
	return 0;
}

static int add_syscall(scmp_filter_ctx ctx, uint32_t action, int nr,
		       const struct scmp_arg_cmp *args, unsigned n, bool repeated)
{
	unsigned i;
	int rc;

	/* several tests of one argument cannot be one rule: each becomes a rule, any of which
	 * matches */
	if (!repeated)
		return seccomp_rule_add_array(ctx, action, nr, n, args);
	for (i = 0; i < n; i++)
		if ((rc = seccomp_rule_add_array(ctx, action, nr, 1, &args[i])) < 0)
			return rc;
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, const json_t *rule, uint32_t def_action, unsigned *count,
		    struct err *err)
{
	const json_t *names = jget_arr(rule, "names");
	struct scmp_arg_cmp args[MAX_ARGS];
	const char *name = jget_str(rule, "name", NULL);
	size_t i, n_names = name ? 1 : json_array_size(names);
	uint32_t action;
	unsigned n_args;
	bool repeated;
	int rc, nr;

	if ((rc = action_of(jget_str(rule, "action", NULL), jget_int(rule, "errnoRet", EPERM),
			    &action, err)) < 0 ||
	    (rc = parse_args(rule, args, &n_args, &repeated, err)) < 0)
		return rc;
	if (action == def_action)
		return 0;
	for (i = 0; i < n_names; i++) {
		if (n_names > 1 || !name)
			name = json_string_value(json_array_get(names, i));
		nr = name ? seccomp_syscall_resolve_name(name) : __NR_SCMP_ERROR;
		if (nr == __NR_SCMP_ERROR)
			continue;
		if (++*count > MAX_RULES)
			return err_kind(err, ERR_BAD_PARAM,
					"seccomp profile has more than %d rules", MAX_RULES);
		rc = add_syscall(ctx, action, nr, args, n_args, repeated);
		/* EDOM and EFAULT: the call does not exist on one of the architectures */
		if (rc < 0 && rc != -EDOM && rc != -EFAULT && rc != -EEXIST)
			return err_sysnum(err, rc, "seccomp rule for %s", name);
	}
	return 0;
}

static int add_arch(scmp_filter_ctx ctx, const char *name, struct err *err)
{
	uint32_t token;
	int rc;

	if (!name || !arch_token(name, &token))
		return 0;
	rc = seccomp_arch_add(ctx, token);
	if (rc < 0 && rc != -EEXIST)
		return err_sysnum(err, rc, "seccomp architecture %s", name);
	return 0;
}

static int add_list(scmp_filter_ctx ctx, const json_t *list, struct err *err)
{
	size_t i;
	int rc;

	for (i = 0; i < json_array_size(list) && i < MAX_ARCHES; i++)
		if ((rc = add_arch(ctx, json_string_value(json_array_get(list, i)), err)) < 0)
			return rc;
	return 0;
}

/* The native architecture is in every filter already. */
static int add_arches(scmp_filter_ctx ctx, const json_t *profile, struct err *err)
{
	const json_t *map = jget_arr(profile, "archMap"),
		     *list = jget_arr(profile, "architectures"), *m;
	uint32_t native = seccomp_arch_native(), token;
	size_t i;
	int rc;

	if (json_array_size(map) > 0 && json_array_size(list) > 0)
		return err_kind(err, ERR_BAD_PARAM,
				"'architectures' and 'archMap' were specified in the seccomp "
				"profile, use either "
				"'architectures' or 'archMap'");
	for (i = 0; i < json_array_size(map); i++) {
		m = json_array_get(map, i);
		if (!arch_token(jget_str(m, "architecture", ""), &token) || token != native)
			continue;
		if ((rc = add_list(ctx, jget_arr(m, "subArchitectures"), err)) < 0)
			return rc;
	}
	return add_list(ctx, list, err);
}

int seccomp_rules_load(const json_t *profile, uint64_t caps, scmp_filter_ctx *out, struct err *err)
{
	const json_t *rules = jget_arr(profile, "syscalls"), *rule;
	unsigned count = 0;
	uint32_t action;
	size_t i;
	int rc;

	if (!json_is_object(profile))
		return invalid(err, "not an object", "");
	rc = action_of(jget_str(profile, "defaultAction", NULL),
		       jget_int(profile, "defaultErrnoRet", EPERM), &action, err);
	if (rc < 0)
		return rc;
	*out = seccomp_init(action);
	if (!*out)
		return err_kind(err, ERR_SYSTEM, "seccomp_init");
	if ((rc = add_arches(*out, profile, err)) < 0)
		return rc;
	for (i = 0; i < json_array_size(rules); i++) {
		rule = json_array_get(rules, i);
		if (!json_is_object(rule) || !rule_counts(rule, caps))
			continue;
		if ((rc = add_rule(*out, rule, action, &count, err)) < 0)
			return rc;
	}
	return 0;
}
