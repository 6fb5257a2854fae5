/* SPDX-License-Identifier: MPL-2.0
 *
 * oci_spec.c - what a zone is made of: config.json for the runtime, zone.json for zoneadmd,
 * metadata.json for the metadata socket, log.json for logsvc; all below <zones>/UUID/config.
 *
 * Design. The files hold everything that a run needs, so that zoneadmd and logsvc can restart a
 * zone without us. config.json is what Docker would give its runtime, with one difference: the
 * process is always dockerinit, with the user's capabilities and the few it needs to become the
 * user; user, groups, directory, environment, command and seccomp filter are in metadata.json
 * (docker:process).
 *
 * Failure. Files are replaced whole, without fsync: each start writes them again.
 *
 * To extend: a field of HostConfig goes into the oci_*.c named after the spec's section.
 */
#define LOG_MODULE "oci"
#include "oci_spec.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "caps.h"
#include "cleanup.h"
#include "fs.h"
#include "jget.h"
#include "log.h"
#include "mount_parse.h"
#include "oci_priv.h"
#include "seccomp_filter.h"
#include "str.h"

#define LOG_JSON_MAX (4 * 1024 * 1024)

const char *oci_conf(const char *key, const char *def)
{
	const struct conf_key *k;
	const char *v;

	for (k = conf_keys; k->name; k++) {
		if (strcmp(k->name, key) != 0)
			continue;
		v = conf_str(engine->conf, key);
		return str_empty(v) ? def : v;
	}
	return def;
}

void oci_cgroup_path(const struct ct_spec *spec, char *out, size_t size)
{
	const char *parent = jget_str(spec->host_config, "CgroupParent", "");
	const char *tag = engine->paths.tag;
	bool own = !str_empty(parent);
	cleanup_free char *rooted = xasprintf("/%s", own ? parent : oci_conf("cgroup-parent", ""));
	cleanup_free char *clean = mount_clean_path(rooted); /* ".." leads nowhere above the top */
	size_t len = strlen(clean);
	int rc;

	if (len > 1 && len < 512)
		rc = own ? str_fmt(out, size, "%s/%s", clean, spec->id)
			 : str_fmt(out, size, "%s/sdc%s-%.32s", clean, tag, spec->id);
	else
		rc = str_fmt(out, size, "/sdc%s-%.32s", tag, spec->id);
	if (rc < 0)
		abort();
}

static bool is_container_mode(const char *mode)
{
	return str_starts(mode, "container:");
}

/* The hostname of the zone whose network this one shares. */
static char *shared_hostname(const char *uuid)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };
	char path[1024];

	if (fs_read_file(paths_zone(&engine->paths, uuid, "config/hostname", path), 256, &b,
			 &ignored) < 0)
		return NULL;
	while (b.len > 0 && (b.p[b.len - 1] == '\n' || b.p[b.len - 1] == ' '))
		b.p[--b.len] = '\0';
	return b.len ? xstrdup(b.p) : NULL;
}

/* SecurityOpt: seccomp=..., no-new-privileges[=bool], apparmor=, label= (accepted, without effect
 * here). */
static int parse_security_opt(struct oci_ctx *o, struct err *err)
{
	const json_t *opts = jget_arr(o->hc, "SecurityOpt");
	const char *opt, *val;
	bool on;
	size_t i;

	for (i = 0; i < json_array_size(opts); i++) {
		opt = json_string_value(json_array_get(opts, i));
		if (!opt)
			continue;
		val = opt + strcspn(opt, "=:");
		if (*val)
			val++;
		if (str_eq(opt, "no-new-privileges")) {
			o->no_new_privs = true;
		} else if (str_starts(opt, "no-new-privileges=") ||
			   str_starts(opt, "no-new-privileges:")) {
			if (parse_bool(val, &on) < 0)
				return err_kind(err, ERR_BAD_PARAM,
						"invalid --security-opt 2: \"%s\"", opt);
			o->no_new_privs = on;
		} else if (str_starts(opt, "seccomp=") || str_starts(opt, "seccomp:")) {
			o->seccomp_unconfined = str_eq(val, "unconfined");
			o->seccomp = o->seccomp_unconfined || str_eq(val, "builtin") ? NULL : val;
		}
	}
	return 0;
}

int oci_ctx_init(struct oci_ctx *o, const struct ct_spec *spec, const struct oci_env *env,
		 struct err *err)
{
	const char *net;
	const json_t *hc = spec->host_config;
	int rc;

	memset(o, 0, sizeof(*o));
	o->spec = spec;
	o->env = env;
	o->cfg = spec->config;
	o->hc = hc;
	o->privileged = jget_bool(hc, "Privileged", false);
	o->readonly_root = jget_bool(hc, "ReadonlyRootfs", false);
	o->tty = jget_bool(o->cfg, "Tty", false);
	o->init = jget_bool(hc, "Init", false);
	net = jget_str(hc, "NetworkMode", "default");
	o->host_net = str_eq(net, "host");
	o->host_pid = str_eq(jget_str(hc, "PidMode", ""), "host");
	o->host_ipc = str_eq(jget_str(hc, "IpcMode", ""), "host");
	o->host_uts = str_eq(jget_str(hc, "UTSMode", ""), "host");
	o->host_cgroupns = str_eq(jget_str(hc, "CgroupnsMode", ""), "host");
	if (str_empty(jget_str(hc, "CgroupnsMode", "")))
		o->host_cgroupns = engine->cgroup_mode != CGROUP_V2;
	if (is_container_mode(net) && is_hex(net + 10, 64) && strlen(net + 10) == 64)
		id_to_uuid(o->net_uuid, net + 10);
	if (o->net_uuid[0])
		o->hostname = shared_hostname(o->net_uuid);
	if (!o->hostname)
		o->hostname = xstrdup(jget_str(o->cfg, "Hostname", ""));
	if ((rc = parse_security_opt(o, err)) < 0)
		return rc;
	rc = caps_compute(o->privileged, jget_arr(hc, "CapAdd"), jget_arr(hc, "CapDrop"),
			  engine->caps_bounding, &o->caps, err);
	if (rc < 0)
		return rc;
	if (o->privileged && o->caps != caps_all())
		log_warn("privileged zone gets what this machine holds",
			 "ct=%.12s missing_caps=%#llx", spec->id,
			 (unsigned long long)(caps_all() & ~o->caps));
	/* dockerinit is an init of its own; another one only where the operator names it */
	o->init_path = o->init ? oci_conf("init-path", NULL) : NULL;
	if (o->init_path && !fs_exists(o->init_path))
		return err_kind(err, ERR_SYSTEM, "exec: \"%s\": executable file not found in $PATH",
				o->init_path);
	return 0;
}

void oci_ctx_fini(struct oci_ctx *o)
{
	free(o->hostname);
	buf_fini(&o->seccomp_b64);
}

/* Fills seccomp_b64: none for privileged, for unconfined, and where the kernel has no filters. */
static int compile_seccomp(struct oci_ctx *o, struct err *err)
{
	if (o->privileged && !o->seccomp)
		return 0;
	if (o->seccomp_unconfined || !engine->seccomp_available)
		return 0;
	return seccomp_filter_b64(o->seccomp, o->caps, &o->seccomp_b64, err);
}

static int write_config_json(const struct oci_ctx *o, struct buf *b, struct err *err)
{
	const json_t *ann = jget_obj(o->hc, "Annotations");
	struct jw w = JW(b);
	char path[1024];
	const char *key;
	json_t *val;
	int rc;

	jw_obj(&w, NULL);
	jw_str(&w, "ociVersion", "1.0.2");
	if ((rc = oci_process(o, &w, err)) < 0)
		return rc;
	jw_obj(&w, "root");
	jw_str(&w, "path", paths_zone(&engine->paths, o->spec->uuid, "root", path));
	jw_bool(&w, "readonly", o->readonly_root);
	jw_end(&w);
	if (!o->host_uts) {
		if (!str_empty(o->hostname))
			jw_str(&w, "hostname", o->hostname);
	}
	if ((rc = oci_mounts(o, &w, err)) < 0)
		return rc;
	jw_obj(&w, "annotations");
	json_object_foreach ((json_t *)ann, key, val) {
		/* these steer crun itself: files of the host, hooks */
		if (str_starts(key, "run.oci.") || str_starts(key, "org.systemd.property.")) {
			log_warn("annotation left out", "ct=%.12s key=%s", o->spec->id, log_q(key));
			continue;
		}
		if (json_is_string(val))
			jw_str(&w, key, json_string_value(val));
	}
	jw_end(&w);
	if ((rc = oci_linux(o, &w, err)) < 0)
		return rc;
	jw_end(&w);
	return 0;
}

static void write_restart_policy(const struct oci_ctx *o, struct jw *w)
{
	const json_t *rp = jget_obj(o->hc, "RestartPolicy");
	const char *name = jget_str(rp, "Name", "no");

	jw_obj(w, "restart");
	jw_str(w, "name", str_empty(name) ? "no" : name);
	jw_int(w, "max", jget_int(rp, "MaximumRetryCount", 0));
	jw_end(w);
}

static const char *runtime_path(const struct oci_ctx *o, char *out, size_t size)
{
	const char *name = jget_str(o->hc, "Runtime", "");
	static const char def[] = "/usr/bin/crun";

	if (str_empty(name))
		name = oci_conf("default-runtime", "crun");
	if (str_eq(name, "io.containerd.runc.v2"))
		name = "runc";
	if (name[0] == '/')
		return name;
	if (strchr(name, '/') || str_fmt(out, size, "/usr/bin/%s", name) < 0)
		return def;
	if (access(out, X_OK) == 0)
		return out;
	if (str_fmt(out, size, "/usr/sbin/%s", name) >= 0 && access(out, X_OK) == 0)
		return out;
	return def;
}

static void write_lowers(const struct oci_ctx *o, struct jw *w)
{
	size_t n = o->env->image ? strv_len(o->env->image->layer_dirs) : 0;

	jw_arr(w, "lowers");
	jw_str(w, NULL, engine->native_layer);
	while (n > 0)
		jw_str(w, NULL, o->env->image->layer_dirs[--n]);
	jw_str(w, NULL, engine->base_layer);
	jw_end(w);
}

static int write_zone_json(const struct oci_ctx *o, struct buf *b, struct err *err)
{
	const struct ct_spec *spec = o->spec;
	struct jw w = JW(b);
	char path[1024];
	int rc;

	jw_obj(&w, NULL);
	jw_str(&w, "id", spec->id);
	jw_str(&w, "uuid", spec->uuid);
	jw_str(&w, "name", spec->name);
	jw_str(&w, "runtime", runtime_path(o, path, sizeof(path)));
	snprintf(path, sizeof(path), "%s/runtime", engine->paths.run);
	jw_str(&w, "runtime_root", path);
	jw_bool(&w, "tty", o->tty);
	jw_bool(&w, "open_stdin", jget_bool(o->cfg, "OpenStdin", false));
	jw_bool(&w, "stdin_once", jget_bool(o->cfg, "StdinOnce", false));
	oci_cgroup_path(spec, path, sizeof(path));
	jw_str(&w, "cgroup", path);
	jw_bool(&w, "private_netns",
		!o->host_net && !is_container_mode(jget_str(o->hc, "NetworkMode", "")));
	jw_str(&w, "hostname", o->hostname);
	jw_obj(&w, "rootfs");
	write_lowers(o, &w);
	jw_str(&w, "upper", paths_zone(&engine->paths, spec->uuid, "diff", path));
	jw_str(&w, "work", paths_zone(&engine->paths, spec->uuid, "work", path));
	jw_str(&w, "target", paths_zone(&engine->paths, spec->uuid, "root", path));
	jw_end(&w);
	if (o->env->ipc_pid > 0) {
		jw_obj(&w, "shm");
		jw_int(&w, "pid", o->env->ipc_pid);
		jw_str(&w, "at", paths_zone(&engine->paths, spec->uuid, "shm", path));
		jw_end(&w);
	}
	jw_str(&w, "workdir", jget_str(o->cfg, "WorkingDir", ""));
	oci_flat_binds(o, &w);
	if ((rc = oci_mountpoints(o, &w, err)) < 0)
		return rc;
	write_restart_policy(o, &w);
	jw_int(&w, "restart_count", spec->st.restart_count);
	jw_int(&w, "oom_score_adj", jget_int(o->hc, "OomScoreAdj", 0));
	jw_obj(&w, "metadata_internal");
	jw_end(&w);
	jw_end(&w);
	return 0;
}

static int write_file(const struct ct_spec *spec, const char *name, const struct buf *b,
		      struct err *err)
{
	char path[1024], rel[64];

	snprintf(rel, sizeof(rel), "config/%s", name);
	return fs_write_replace(paths_zone(&engine->paths, spec->uuid, rel, path), b->p, b->len,
				0600, err);
}

int oci_write_log_json(const struct ct_spec *spec, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT;
	int rc;

	if ((rc = oci_log_json(spec, &b, err)) < 0)
		return rc;
	return write_file(spec, "log.json", &b, err);
}

int oci_refresh_log_json(const struct ct_spec *spec, bool *changed, struct err *err)
{
	cleanup_buf struct buf old = BUF_INIT, b = BUF_INIT;
	struct err ignored = { 0 };
	char path[1024];
	int rc;

	*changed = false;
	if ((rc = oci_log_json(spec, &b, err)) < 0)
		return rc;
	paths_zone(&engine->paths, spec->uuid, "config/log.json", path);
	if (fs_read_file(path, LOG_JSON_MAX, &old, &ignored) == 0 && str_eq(buf_str(&old), buf_str(&b)))
		return 0;
	*changed = true;
	return write_file(spec, "log.json", &b, err);
}

/* The folders of the zone, and the files that are bound into it: their content comes later, at each
 * start. */
static int make_folders(const struct ct_spec *spec, bool shares_shm, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
		bool is_file;
	} v[] = {
		{ "config", 0700, false },
		{ "root", 0700, false },
		{ "diff", 0755, false },
		{ "work", 0700, false },
		{ "logs", 0700, false },
		{ "cores", 0700, false },
		{ "config/hosts", 0644, true },
		{ "config/hostname", 0644, true },
		{ "config/resolv.conf", 0644, true },
		{ "logs/sdc-dockerinit.log", 0600, true },
		{ "shm", 0700, false },
	};
	char path[1024];
	size_t i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(v) - !shares_shm; i++) {
		cleanup_fd int fd = -1;

		paths_zone(&engine->paths, spec->uuid, v[i].name, path);
		if (v[i].is_file) {
			fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, v[i].mode);
			if (fd < 0)
				return err_sys(err, "create %s", path);
			continue;
		}
		if (mkdir(path, v[i].mode) == 0 || errno == EEXIST)
			continue;
		if ((rc = fs_mkdir_p(path, v[i].mode, err)) < 0)
			return rc;
	}
	return 0;
}

int oci_write(const struct ct_spec *spec, const struct oci_env *env, struct err *err)
{
	cleanup_oci_ctx struct oci_ctx o = { 0 };
	cleanup_buf struct buf config = BUF_INIT;
	cleanup_buf struct buf zone = BUF_INIT;
	cleanup_buf struct buf meta = BUF_INIT;
	int rc;

	if ((rc = oci_ctx_init(&o, spec, env, err)) < 0 || (rc = compile_seccomp(&o, err)) < 0)
		return rc;
	if ((rc = write_config_json(&o, &config, err)) < 0)
		return rc;
	if ((rc = oci_metadata_json(&o, &meta, err)) < 0)
		return rc;
	if ((rc = write_zone_json(&o, &zone, err)) < 0)
		return rc;
	if ((rc = make_folders(spec, env->ipc_pid > 0, err)) < 0)
		return rc;
	if ((rc = write_file(spec, "config.json", &config, err)) < 0 ||
	    (rc = write_file(spec, "zone.json", &zone, err)) < 0 ||
	    (rc = write_file(spec, "metadata.json", &meta, err)) < 0)
		return rc;
	return oci_write_log_json(spec, err);
}

int oci_write_metadata(const struct ct_spec *spec, struct err *err)
{
	static const struct oci_env no_env = { 0 };
	cleanup_oci_ctx struct oci_ctx o = { 0 };
	cleanup_buf struct buf meta = BUF_INIT;
	int rc;

	if ((rc = oci_ctx_init(&o, spec, &no_env, err)) < 0 ||
	    (rc = compile_seccomp(&o, err)) < 0 || (rc = oci_metadata_json(&o, &meta, err)) < 0)
		return rc;
	return write_file(spec, "metadata.json", &meta, err);
}

/* The exec create body's own members, and what it takes from the container. */
int oci_exec_spec(const struct ct_spec *spec, const json_t *exec_config, struct buf *out,
		  struct err *err)
{
	static const struct oci_env no_env = { 0 };
	cleanup_oci_ctx struct oci_ctx o = { 0 };
	const json_t *cmd = jget_arr(exec_config, "Cmd"), *add = jget_arr(exec_config, "Env");
	cleanup_strv char **env = NULL;
	struct jw w = JW(out);
	const char *s;
	bool priv;
	size_t i;
	int rc;

	if ((rc = oci_ctx_init(&o, spec, &no_env, err)) < 0)
		return rc;
	/* the filter stays the container's, also for a privileged exec: as Docker */
	if ((rc = compile_seccomp(&o, err)) < 0)
		return rc;
	priv = jget_bool(exec_config, "Privileged", false);
	if (priv)
		o.caps = caps_all() & engine->caps_bounding;
	o.tty = jget_bool(exec_config, "Tty", false);
	jw_obj(&w, NULL);
	jw_arr(&w, "argv");
	for (i = 0; i < json_array_size(cmd); i++)
		if ((s = json_string_value(json_array_get(cmd, i))))
			jw_str(&w, NULL, s);
	jw_end(&w);
	env = oci_env(&o, add);
	jw_arr(&w, "env");
	for (i = 0; env && env[i]; i++)
		jw_str(&w, NULL, env[i]);
	jw_end(&w);
	s = jget_str(exec_config, "WorkingDir", "");
	jw_str(&w, "cwd", str_empty(s) ? jget_str(o.cfg, "WorkingDir", "") : s);
	s = jget_str(exec_config, "User", "");
	jw_str(&w, "user", str_empty(s) ? jget_str(o.cfg, "User", "") : s);
	jw_bool(&w, "tty", o.tty);
	jw_bool(&w, "privileged", priv);
	oci_process_members(&o, &w);
	jw_end(&w);
	return 0;
}
