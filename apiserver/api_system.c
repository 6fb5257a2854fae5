/* SPDX-License-Identifier: MPL-2.0
 *
 * api_system.c - handlers: ping, version, info, events.
 *
 * What does not change is made into text once: /version whole, the versions of the runtimes by a
 * job at the first need.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container.h"
#include "engine.h"
#include "events.h"
#include "fs.h"
#include "image_index.h"
#include "jw.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "str.h"
#include "system_facts.h"
#include "version.h"

void handle_ping(struct req *r)
{
	uint64_t id = req_id(r);

	/* 1 is the classic builder: the CLI takes it then (as it does without the header) */
	reply_header(id, "Builder-Version", "1");
	reply_header(id, "Cache-Control", "no-cache, no-store, must-revalidate");
	reply_header(id, "Pragma", "no-cache");
	reply_header(id, "Swarm", "inactive");
	/* a HEAD's Content-Length is 0, as Docker's */
	reply_text(id, 200, "text/plain; charset=utf-8",
		   str_eq(req_method(r), "HEAD") ? "" : "OK");
}

/* ---- version -------------------------------------------------------------------------------- */

static void component(struct jw *w, const char *name, const char *version, const char *commit)
{
	jw_obj(w, NULL);
	jw_str(w, "Name", name);
	jw_str(w, "Version", version);
	jw_obj(w, "Details");
	jw_str(w, "GitCommit", commit);
	jw_end(w);
	jw_end(w);
}

static void version_json(struct buf *b)
{
	const struct system_facts *f = system_facts();
	struct jw w = JW(b);

	jw_obj(&w, NULL);
	jw_obj(&w, "Platform");
	jw_str(&w, "Name", "sdc-docker");
	jw_end(&w);
	jw_arr(&w, "Components");
	jw_obj(&w, NULL);
	jw_str(&w, "Name", "Engine");
	jw_str(&w, "Version", SDC_VERSION);
	jw_obj(&w, "Details");
	jw_str(&w, "ApiVersion", SDC_API_VERSION);
	jw_str(&w, "Arch", f->go_arch);
	jw_str(&w, "BuildTime", f->build_time);
	jw_str(&w, "Experimental", "true");
	jw_str(&w, "GitCommit", SDC_VERSION);
	jw_str(&w, "GoVersion", "");
	jw_str(&w, "KernelVersion", f->kernel);
	jw_str(&w, "MinAPIVersion", SDC_API_MIN);
	jw_str(&w, "Os", "linux");
	jw_end(&w);
	jw_end(&w);
	component(&w, "zoneadmd", SDC_VERSION, SDC_VERSION);
	component(&w, "logsvc", SDC_VERSION, SDC_VERSION);
	if (*f->crun_version)
		component(&w, "crun", f->crun_version, f->crun_commit);
	if (*f->runc_version)
		component(&w, "runc", f->runc_version, f->runc_commit);
	jw_end(&w);
	jw_str(&w, "Version", SDC_VERSION);
	jw_str(&w, "ApiVersion", SDC_API_VERSION);
	jw_str(&w, "MinAPIVersion", SDC_API_MIN);
	jw_str(&w, "GitCommit", SDC_VERSION);
	jw_str(&w, "GoVersion", "");
	jw_str(&w, "Os", "linux");
	jw_str(&w, "Arch", f->go_arch);
	jw_str(&w, "KernelVersion", f->kernel);
	jw_bool(&w, "Experimental", true); /* for docker build --squash */
	jw_str(&w, "BuildTime", f->build_time);
	jw_end(&w);
	buf_addch(b, '\n');
}

static void version_reply(uint64_t req)
{
	static struct buf text;

	if (text.len == 0)
		version_json(&text);
	reply_text(req, 200, "application/json", buf_str(&text));
}

void handle_version(struct req *r)
{
	system_facts_ready(req_id(r), version_reply);
}

/* ---- info ----------------------------------------------------------------------------------- */

static int64_t count_images(void)
{
	struct image_entry **v;
	size_t n;

	image_lock();
	v = image_entries(&n);
	image_unlock();
	free(v);
	return (int64_t)n;
}

static void info_counts(struct jw *w)
{
	int64_t running = 0, paused = 0, stopped = 0;

	for (struct container *ct = container_first(); ct; ct = ct->next_by_age) {
		if (ct->st.status == CT_PAUSED)
			paused++;
		else if (container_is_running(ct))
			running++;
		else
			stopped++;
	}
	jw_int(w, "Containers", (int64_t)container_count());
	jw_int(w, "ContainersRunning", running);
	jw_int(w, "ContainersPaused", paused);
	jw_int(w, "ContainersStopped", stopped);
	jw_int(w, "Images", count_images());
}

static void pair(struct jw *w, const char *a, const char *b)
{
	jw_arr(w, NULL);
	jw_str(w, NULL, a);
	jw_str(w, NULL, b);
	jw_end(w);
}

static void strings(struct jw *w, const char *key, const char *const *v)
{
	jw_arr(w, key);
	for (; *v; v++)
		jw_str(w, NULL, *v);
	jw_end(w);
}

/* A list setting; the defaults where it is empty. */
static void conf_strings(struct jw *w, const char *key, const char *conf_key,
			 const char *const *def)
{
	cleanup_strv char **v = strv_split(conf_str(engine->conf, conf_key), ',');

	if (!v[0] && def) {
		strings(w, key, def);
		return;
	}
	jw_arr(w, key);
	for (char **p = v; *p; p++)
		jw_str(w, NULL, *p + strspn(*p, " "));
	jw_end(w);
}

static void info_driver(struct jw *w)
{
	static const char *const volume[] = { "local", NULL };
	static const char *const network[] = { "bridge", "host", "null", NULL };
	static const char *const log[] = { "fluentd", "gelf", "json-file", "local", "otlp", "syslog", NULL };

	jw_str(w, "Driver", "overlay2");
	jw_arr(w, "DriverStatus");
	pair(w, "Backing Filesystem", system_facts()->backing_fs);
	pair(w, "Supports d_type", "true");
	pair(w, "Using metacopy", "false");
	pair(w, "Native Overlay Diff", "true");
	pair(w, "userxattr", "false");
	jw_end(w);
	jw_obj(w, "Plugins");
	strings(w, "Volume", volume);
	strings(w, "Network", network);
	jw_null(w, "Authorization");
	conf_strings(w, "Log", "ENABLED_LOG_DRIVERS", log);
	jw_end(w);
}

static int64_t open_fds(void)
{
	cleanup_dir DIR *d = opendir("/proc/self/fd");
	int64_t n = 0;

	while (d && readdir(d))
		n++;
	return n > 3 ? n - 3 : n;
}

static bool ip_forwarding(void)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct err ignored = { 0 };

	return fs_read_file("/proc/sys/net/ipv4/ip_forward", 16, &b, &ignored) == 0 &&
	       b.p[0] == '1';
}

static void info_host(struct jw *w)
{
	const struct system_facts *f = system_facts();
	bool v2 = engine->cgroup_mode == CGROUP_V2;
	char now[RFC3339NANO_MAX];

	fmt_rfc3339nano(now, now_ns());
	jw_bool(w, "MemoryLimit", true);
	jw_bool(w, "SwapLimit", engine->swap_limit);
	jw_bool(w, "CpuCfsPeriod", true);
	jw_bool(w, "CpuCfsQuota", true);
	jw_bool(w, "CPUShares", true);
	jw_bool(w, "CPUSet", true);
	jw_bool(w, "PidsLimit", true);
	jw_bool(w, "IPv4Forwarding", ip_forwarding());
	jw_bool(w, "Debug", false);
	jw_int(w, "NFd", open_fds());
	jw_bool(w, "OomKillDisable", !v2);
	jw_int(w, "NGoroutines", f->n_threads());
	jw_str(w, "SystemTime", now);
	jw_str(w, "LoggingDriver", conf_str(engine->conf, "DEFAULT_LOG_DRIVER"));
	jw_str(w, "CgroupDriver", "cgroupfs");
	jw_str(w, "CgroupVersion", v2 ? "2" : "1");
	jw_int(w, "NEventsListener", events_listeners());
	jw_str(w, "KernelVersion", f->kernel);
	jw_str(w, "OperatingSystem", f->os_name);
	jw_str(w, "OSVersion", f->os_version);
	jw_str(w, "OSType", "linux");
	jw_str(w, "Architecture", f->machine);
	jw_str(w, "IndexServerAddress", "https://index.docker.io/v1/");
}

/* 127.0.0.0/8 and ::1 count as insecure without being asked for, as with Docker. */
static void info_registries(struct jw *w)
{
	cleanup_strv char **insecure =
		strv_split(conf_str(engine->conf, "insecure-registries"), ',');

	jw_obj(w, "RegistryConfig");
	jw_arr(w, "InsecureRegistryCIDRs");
	jw_str(w, NULL, "::1/128");
	jw_str(w, NULL, "127.0.0.0/8");
	jw_end(w);
	jw_obj(w, "IndexConfigs");
	jw_obj(w, "docker.io");
	jw_str(w, "Name", "docker.io");
	conf_strings(w, "Mirrors", "registry-mirrors", NULL);
	jw_bool(w, "Secure", true);
	jw_bool(w, "Official", true);
	jw_end(w);
	for (char **p = insecure; *p; p++) {
		const char *name = *p + strspn(*p, " ");

		jw_obj(w, name);
		jw_str(w, "Name", name);
		jw_raw(w, "Mirrors", "[]");
		jw_bool(w, "Secure", false);
		jw_bool(w, "Official", false);
		jw_end(w);
	}
	jw_end(w);
	conf_strings(w, "Mirrors", "registry-mirrors", NULL);
	jw_end(w);
}

/* Up to 1.48 there was a second ID in it, of what was expected. */
static void info_commit(struct jw *w, const char *key, const char *id, int api_version)
{
	jw_obj(w, key);
	jw_str(w, "ID", id);
	if (api_version < 149)
		jw_str(w, "Expected", id);
	jw_end(w);
}

static void info_runtimes(struct jw *w, int api_version)
{
	const struct system_facts *f = system_facts();
	const char *runtime = conf_str(engine->conf, "default-runtime");

	jw_obj(w, "Runtimes");
	jw_raw(w, "crun", "{\"path\":\"crun\"}");
	if (*f->runc_version)
		jw_raw(w, "runc", "{\"path\":\"runc\"}");
	jw_end(w);
	jw_str(w, "DefaultRuntime", runtime);
	jw_raw(w, "Swarm",
	       "{\"NodeID\":\"\",\"NodeAddr\":\"\",\"LocalNodeState\":\"inactive\","
	       "\"ControlAvailable\":false,\"Error\":\"\",\"RemoteManagers\":null}");
	jw_bool(w, "LiveRestoreEnabled", true);
	jw_str(w, "Isolation", "");
	jw_str(w, "InitBinary", conf_str(engine->conf, "init-path"));
	info_commit(w, "ContainerdCommit", "", api_version);
	info_commit(w, "RuncCommit", str_eq(runtime, "runc") ? f->runc_commit : f->crun_commit, api_version);
	info_commit(w, "InitCommit", "", api_version);
}

static void info_security(struct jw *w, int api_version)
{
	const char *profile = conf_str(engine->conf, "seccomp-profile");
	bool unconfined = str_eq(profile, "unconfined");

	jw_arr(w, "SecurityOptions");
	if (engine->seccomp_available)
		jw_str(w, NULL,
		       unconfined ? "name=seccomp,profile=unconfined"
				  : "name=seccomp,profile=builtin");
	if (engine->cgroup_mode == CGROUP_V2)
		jw_str(w, NULL, "name=cgroupns");
	jw_end(w);
	if (api_version >= 149)
		jw_raw(w, "FirewallBackend", "{\"Driver\":\"nftables\"}");
	jw_raw(w, "CDISpecDirs", "[]");
	jw_arr(w, "Warnings");
	if (!engine->swap_limit)
		jw_str(w, NULL, "WARNING: No swap limit support");
	if (!ip_forwarding())
		jw_str(w, NULL, "WARNING: IPv4 forwarding is disabled");
	if (!engine->seccomp_available || unconfined)
		jw_str(w, NULL, "WARNING: daemon is not using the default seccomp profile");
	jw_end(w);
}

static void info_reply(uint64_t req)
{
	struct buf b = BUF_INIT;
	struct jw w = JW(&b);
	const struct system_facts *f = system_facts();
	const struct req *r = req_by_id(req);
	int api_version = r ? req_version(r) : 0;

	jw_obj(&w, NULL);
	jw_str(&w, "ID", engine->engine_id);
	info_counts(&w);
	info_driver(&w);
	info_host(&w);
	info_registries(&w);
	jw_int(&w, "NCPU", engine->ncpu);
	jw_int(&w, "MemTotal", engine->mem_total);
	jw_raw(&w, "GenericResources", "null");
	jw_str(&w, "DockerRootDir", engine->paths.lib);
	jw_str(&w, "HttpProxy", f->http_proxy);
	jw_str(&w, "HttpsProxy", f->https_proxy);
	jw_str(&w, "NoProxy", f->no_proxy);
	jw_str(&w, "Name", f->host_name);
	jw_raw(&w, "Labels", "[]");
	jw_bool(&w, "ExperimentalBuild", true);
	jw_str(&w, "ServerVersion", SDC_VERSION);
	info_runtimes(&w, api_version);
	info_security(&w, api_version);
	if (api_version < 150) {
		jw_bool(&w, "BridgeNfIptables", false);
		jw_bool(&w, "BridgeNfIp6tables", false);
	}
	jw_end(&w);
	reply_json(req, 200, &b);
}

void handle_info(struct req *r)
{
	system_facts_ready(req_id(r), info_reply);
}

void handle_events(struct req *r)
{
	events_serve(r);
}
