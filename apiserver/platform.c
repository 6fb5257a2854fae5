/* SPDX-License-Identifier: MPL-2.0
 *
 * platform.c - parsing and comparing of platforms.
 */
#include "apiserver/platform.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "apiserver/go_syntax.h"
#include "apiserver/image_ref.h"
#include "apiserver/image_store.h"
#include "cleanup.h"
#include "jget.h"
#include "str.h"

#define FIT_SAME 100

/* ---------------------------------------------------------------- this machine */

const char *platform_host_arch(void)
{
	static const struct {
		const char *machine, *go;
	} names[] = {
		{ "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm" },    { "armv6l", "arm" },
		{ "i686", "386" },     { "i386", "386" },      { "ppc64le", "ppc64le" }, { "riscv64", "riscv64" },
		{ "s390x", "s390x" },  { "loongarch64", "loong64" },
	};
	struct utsname u;

	if (uname(&u) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (str_eq(u.machine, names[i].machine))
				return names[i].go;
	return "amd64";
}

/* The x86-64 psABI's microarchitecture levels, by what tells them apart. */
static const char *amd64_level(void)
{
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt"))
		return "";
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("fma"))
		return "v2";
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		return "v3";
	return "v4";
#else
	return "";
#endif
}

void platform_host(struct platform *out)
{
	struct utsname u;

	platform_set(out, "linux", platform_host_arch(), "");
	if (str_eq(out->architecture, "amd64"))
		str_copy(out->variant, sizeof(out->variant), amd64_level());
	else if (str_eq(out->architecture, "arm") && uname(&u) == 0 && str_starts(u.machine, "armv6"))
		str_copy(out->variant, sizeof(out->variant), "v6");
}

/* ---------------------------------------------------------------- spelling */

static void lower(char *out, size_t size, const char *s)
{
	str_copy(out, size, s);
	for (; *out; out++)
		*out = (char)tolower((unsigned char)*out);
}

static void normalize_arm(struct platform *p)
{
	if (!p->variant[0] || str_eq(p->variant, "7"))
		str_copy(p->variant, sizeof(p->variant), "v7");
	else if (p->variant[0] >= '5' && p->variant[0] <= '8' && !p->variant[1])
		memcpy(p->variant, (char[]){ 'v', p->variant[0], '\0' }, 3);
}

static void normalize_arm64(struct platform *p)
{
	static const char *const v8[] = { "8", "v8", "v8.0" }, *const v9[] = { "9", "9.0", "v9.0" };

	for (size_t i = 0; i < ARRAY_SIZE(v8); i++)
		if (str_eq(p->variant, v8[i]))
			p->variant[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(v9); i++)
		if (str_eq(p->variant, v9[i]))
			str_copy(p->variant, sizeof(p->variant), "v9");
}

void platform_set(struct platform *p, const char *os, const char *architecture, const char *variant)
{
	static const struct {
		const char *from, *to, *variant; /* NULL: stays */
	} names[] = {
		{ "i386", "386", "" },	       { "x86_64", "amd64", NULL }, { "x86-64", "amd64", NULL },
		{ "aarch64", "arm64", NULL }, { "armhf", "arm", "v7" },    { "armel", "arm", "v6" },
	};

	lower(p->os, sizeof(p->os), *os ? os : "linux");
	if (str_eq(p->os, "macos"))
		str_copy(p->os, sizeof(p->os), "darwin");
	lower(p->architecture, sizeof(p->architecture), architecture);
	lower(p->variant, sizeof(p->variant), variant);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!str_eq(p->architecture, names[i].from))
			continue;
		str_copy(p->architecture, sizeof(p->architecture), names[i].to);
		if (names[i].variant)
			str_copy(p->variant, sizeof(p->variant), names[i].variant);
		break;
	}
	if (str_eq(p->architecture, "amd64") && str_eq(p->variant, "v1"))
		p->variant[0] = '\0';
	else if (str_eq(p->architecture, "arm"))
		normalize_arm(p);
	else if (str_eq(p->architecture, "arm64"))
		normalize_arm64(p);
}

/* ---------------------------------------------------------------- reading */

static bool is_listed(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], word))
			return true;
	return false;
}

static bool known_os(const char *s)
{
	static const char *const list[] = {
		"aix",	"android", "darwin", "dragonfly", "freebsd", "hurd",	"illumos", "ios", "js",
		"linux", "nacl",   "netbsd", "openbsd",	  "plan9",   "solaris", "windows", "zos",
	};

	return is_listed(list, ARRAY_SIZE(list), s);
}

static bool known_arch(const char *s)
{
	static const char *const list[] = {
		"386",	   "amd64",  "amd64p32",  "arm",	 "armbe", "arm64", "arm64be", "ppc64",
		"ppc64le", "loong64", "mips",	   "mipsle",	 "mips64", "mips64le", "mips64p32", "mips64p32le",
		"ppc",	   "riscv",  "riscv64",	   "s390",	 "s390x", "sparc", "sparc64", "wasm",
	};

	return is_listed(list, ARRAY_SIZE(list), s);
}

static bool is_component(const char *s)
{
	return *s && s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0';
}

/* "name" or "name(version)", where the version says nothing to us. The name's length; 0: neither. */
static size_t os_name(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	if (n && s[n] == '(') {
		size_t end = n + 1 +
			     strspn(s + n + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.%+-");

		return s[end] == ')' && !s[end + 1] ? n : 0;
	}
	return s[n] ? 0 : n;
}

static int bad_platform(const char *text, const char *why, struct err *err)
{
	return err_kind(err, ERR_BAD_PARAM, "\"%.100s\": %s: invalid argument", text, why);
}

/* At "/", empty parts too, the fourth with all the rest. */
static char **split_parts(const char *text)
{
	char **parts = strv_split("", '/');

	for (size_t n = 0;; n++) {
		size_t len = n < 3 ? strcspn(text, "/") : strlen(text);
		cleanup_free char *part = xstrndup(text, len);

		strv_add(&parts, part);
		if (!text[len])
			return parts;
		text += len + 1;
	}
}

int platform_parse(const char *text, struct platform *out, struct err *err)
{
	cleanup_strv char **parts = split_parts(text);
	size_t n = strv_len(parts), len;
	cleanup_free char *os = NULL;
	struct platform p;

	if (strchr(text, '*'))
		return bad_platform(text, "wildcards not yet supported", err);
	len = os_name(parts[0]);
	if (!len)
		return err_kind(err, ERR_BAD_PARAM,
				"\"%.100s\" is an invalid OS component of \"%.100s\": OSAndVersion specifier component must "
				"match \"^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$\": invalid argument",
				parts[0], text);
	for (size_t i = 1; i < n; i++)
		if (!is_component(parts[i]))
			return err_kind(err, ERR_BAD_PARAM,
					"\"%.100s\" is an invalid component of \"%.100s\": platform specifier component "
					"must match \"^[A-Za-z0-9_.-]+$\": invalid argument", parts[i], text);
	if (n > 3)
		return bad_platform(text, "cannot parse platform specifier", err);
	os = xstrndup(parts[0], len);
	if (n > 1) {
		platform_set(out, os, parts[1], n > 2 ? parts[2] : "");
		return 0;
	}
	platform_set(&p, os, platform_host_arch(), "");
	if (!known_os(p.os)) {
		platform_set(&p, "", os, "");
		if (!known_arch(p.architecture))
			return bad_platform(text, "unknown operating system or architecture", err);
	}
	*out = p;
	return 0;
}

int platform_parse_json(const char *text, struct platform *out, struct err *err)
{
	cleanup_json json_t *o = NULL;
	const char *os, *architecture;
	char why[160];
	int rc;

	if ((rc = jparse(text, strlen(text), &o, err)) < 0) {
		err->kind = ERR_BAD_PARAM;
		if (go_syntax_check(text, strlen(text), why) == GO_SYNTAX_BAD)
			return err_kind(err, ERR_BAD_PARAM, "failed to parse platform: %s", why);
		return err_wrap(err, rc, "failed to parse platform");
	}
	os = jget_str(o, "os", "");
	architecture = jget_str(o, "architecture", "");
	if (!json_is_object(o))
		return err_kind(err, ERR_BAD_PARAM, "failed to parse platform: it is no object");
	if (!*os && !*architecture && *jget_str(o, "variant", ""))
		return err_kind(err, ERR_BAD_PARAM,
				"optional platform fields provided, but OS and Architecture are missing");
	if (!*os || !*architecture)
		return err_kind(err, ERR_BAD_PARAM, "both OS and Architecture must be provided");
	if (!is_component(os) || !is_component(architecture) ||
	    (*jget_str(o, "variant", "") && !is_component(jget_str(o, "variant", ""))))
		return err_kind(err, ERR_BAD_PARAM, "failed to parse platform: an invalid component");
	platform_set(out, os, architecture, jget_str(o, "variant", ""));
	return 0;
}

char *platform_text(const struct platform *p)
{
	return xasprintf("%s/%s%s%s", p->os, p->architecture, p->variant[0] ? "/" : "", p->variant);
}

/* ---------------------------------------------------------------- comparing */

/* "v8.2" -> 8, 2. False: it is no version. */
static bool version_of(const char *variant, int *major, int *minor)
{
	char rest;

	*minor = 0;
	return variant[0] == 'v' && strlen(variant) < 8 &&
	       (sscanf(variant, "v%d.%d%c", major, minor, &rest) == 2 || sscanf(variant, "v%d%c", major, &rest) == 1) &&
	       *major >= 0 && *minor >= 0;
}

static unsigned fit_amd64(const struct platform *want, const struct platform *have)
{
	int w = 1, h = 1, ignored;

	if (str_eq(have->architecture, "386"))
		return !have->variant[0];
	if (!str_eq(have->architecture, "amd64") || (want->variant[0] && !version_of(want->variant, &w, &ignored)) ||
	    (have->variant[0] && !version_of(have->variant, &h, &ignored)))
		return 0;
	return h <= w && w - h < 50 ? (unsigned)(FIT_SAME - (w - h)) : 0;
}

static unsigned fit_arm(int most, const struct platform *have)
{
	int h, ignored;

	if (!str_eq(have->architecture, "arm") || !version_of(have->variant, &h, &ignored) || h < 5 || h > most)
		return 0;
	return (unsigned)(FIT_SAME - (most - h));
}

static unsigned fit_arm64(const struct platform *want, const struct platform *have)
{
	int w = 8, wm = 0, h = 8, hm = 0;
	unsigned arm;

	if (want->variant[0] && !version_of(want->variant, &w, &wm))
		return 0;
	if (!str_eq(have->architecture, "arm64")) {
		arm = w == 8 || w == 9 ? fit_arm(8, have) : 0;
		return arm ? arm - 90 : 0;
	}
	if ((have->variant[0] && !version_of(have->variant, &h, &hm)) || w > 9)
		return 0;
	if (h == w)
		return hm <= wm && wm < 10 ? (unsigned)(FIT_SAME - (wm - hm)) : 0;
	wm = wm + 5 > 9 ? 9 : wm + 5; /* v9.n has what v8.(n+5) has */
	return w == 9 && h == 8 && hm <= wm ? (unsigned)(FIT_SAME - 20 - (wm - hm)) : 0;
}

unsigned platform_fit(const struct platform *want, const struct platform *have)
{
	int most, ignored;

	if (!str_eq(want->os, have->os))
		return 0;
	if (str_eq(want->architecture, have->architecture) && str_eq(want->variant, have->variant))
		return FIT_SAME;
	if (str_eq(want->architecture, "amd64"))
		return fit_amd64(want, have);
	if (str_eq(want->architecture, "arm64"))
		return fit_arm64(want, have);
	if (str_eq(want->architecture, "arm") && version_of(want->variant, &most, &ignored) && most < 50)
		return fit_arm(most, have);
	return 0;
}

bool platform_fits_image(const struct platform *want, const struct image *img)
{
	const char *variant = img->variant ? img->variant : "", *os = str_empty(img->os) ? "linux" : img->os;
	struct platform have;

	if (str_empty(img->architecture))
		return str_eq(os, want->os);
	platform_set(&have, os, img->architecture, variant);
	return platform_fit(want, &have) ||
	       (!*variant && str_eq(have.os, want->os) && str_eq(have.architecture, want->architecture));
}

bool platform_is_image(const struct platform *want, const struct image *img)
{
	const char *os = str_empty(img->os) ? "linux" : img->os;
	struct platform have;

	platform_set(&have, os, img->architecture ? img->architecture : "", img->variant ? img->variant : "");
	return str_eq(have.os, want->os) && str_eq(have.architecture, want->architecture) &&
	       (!have.variant[0] || str_eq(have.variant, want->variant));
}

int platform_check_image(const struct platform *want, const struct image *img, const char *ref, struct err *err)
{
	const char *os = str_empty(img->os) ? "linux" : img->os, *variant = img->variant ? img->variant : "";
	cleanup_free char *wanted = platform_text(want), *shown = NULL;
	struct err ignored = { 0 };
	struct image_ref r;

	if (platform_fits_image(want, img))
		return 0;
	if (image_ref_parse(ref, &r, &ignored) == 0 && strchr(ref, '/'))
		shown = image_ref_familiar(&r);
	return err_kind(err, ERR_NOT_FOUND,
			"image with reference %s was found but its platform (%s/%s%s%s) does not match the specified "
			"platform (%s)", shown ? shown : ref, os, img->architecture, *variant ? "/" : "", variant, wanted);
}
