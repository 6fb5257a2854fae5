/* SPDX-License-Identifier: MPL-2.0
 *
 * conf_keys.c - every key of sdc-docker.conf, with type, default and what it means.
 *
 * The upper-case ones, and those with underscores, are the service metadata of the docker service (SAPI's names).
 */
#include <stddef.h>

#include "conf.h"

const struct conf_key conf_keys[] = {
	/* the daemons */
	{ "log-level", CONF_STR, "info", "what the daemons tell on stderr: error, warn, info, debug" },
	{ "host", CONF_LIST, "", "further addresses to listen on, comma-separated: unix:///path, tcp://IP:port" },
	{ "group", CONF_STR, "docker", "group that may use the API socket" },
	{ "tlsverify", CONF_BOOL, "false", "serve TLS on tcp:// hosts and ask clients for certificates" },
	{ "tlscacert", CONF_STR, "", "CA that client certificates are checked against (PEM)" },
	{ "tlscert", CONF_STR, "", "the server's certificate (PEM)" },
	{ "tlskey", CONF_STR, "", "the server's key (PEM)" },
	{ "metrics-addr", CONF_STR, "", "where GET /metrics answers Prometheus: IP:port or unix:///path; empty: the admin socket only" },
	/* zones */
	{ "default-runtime", CONF_STR, "crun", "OCI runtime of containers that name none: crun or runc" },
	{ "init-path", CONF_STR, "", "static init program for --init; empty: dockerinit is the init" },
	{ "seccomp-profile", CONF_STR, "/usr/share/containers/seccomp.json",
	  "default seccomp profile, or unconfined" },
	{ "cgroup-parent", CONF_STR, "", "cgroup below which the zones' cgroups are made; empty: the top" },
	{ "default-ulimits", CONF_LIST, "", "limits of zones that ask for none: nofile=1024:4096,nproc=512" },
	{ "default-shm-size", CONF_STR, "64M", "size of /dev/shm (base 1024)" },
	/* network */
	{ "bridge", CONF_STR, "", "name of the default bridge; empty: sdc0, or one derived from --root" },
	{ "bip", CONF_STR, "", "address and prefix of the default bridge; empty: the first free of Docker's pools" },
	{ "mtu", CONF_INT, "1500", "MTU of bridges and of the zones' interfaces" },
	{ "dns", CONF_LIST, "", "name servers for zones that ask for none" },
	{ "dns-search", CONF_LIST, "", "search domains for zones that ask for none" },
	{ "dns-opt", CONF_LIST, "", "resolver options for zones that ask for none" },
	{ "host-gateway-ip", CONF_STR, "", "what host-gateway means in --add-host; empty: the bridge's address" },
	/* images */
	{ "registry-mirrors", CONF_LIST, "", "mirrors of docker.io, URLs" },
	{ "insecure-registries", CONF_LIST, "", "registries (host:port) or networks (10.0.0.0/8) reached by plain HTTP or with unchecked certificates" },
	{ "docker_registry_insecure", CONF_BOOL, "false", "all registries are treated as insecure-registries are" },
	{ "http_proxy", CONF_STR, "", "proxy to registries, but those of NO_PROXY; empty: HTTP_PROXY and HTTPS_PROXY" },
	{ "registry-timeout", CONF_INT, "60", "seconds for which a registry may be silent or very slow" },
	{ "max-concurrent-downloads", CONF_INT, "3", "layers that are downloaded at once, of all pulls together; 0: any number" },
	{ "max-concurrent-uploads", CONF_INT, "5", "layers that are uploaded at once, of all pushes together; 0: any number" },
	{ "max-download-attempts", CONF_INT, "5", "how often a layer's download is begun before it is given up" },
	{ "max-layer-size", CONF_SIZE, "100G", "largest unpacked layer that is accepted" },
	/* logs */
	{ "DEFAULT_MAX_LOG_SIZE", CONF_SIZE, "50000000", "bytes at which stdio.log is rotated" },
	{ "DEFAULT_MAX_LOG_FILES", CONF_INT, "5", "log files kept per zone, the live one included; 0: all" },
	{ "DEFAULT_LOG_DRIVER", CONF_STR, "json-file", "log driver of containers that name none" },
	{ "DEFAULT_LOG_OPTS", CONF_LIST, "", "options of that driver: key=value, comma-separated" },
	{ "ENABLED_LOG_DRIVERS", CONF_LIST, "", "log drivers that users may choose; empty: all" },
	{ "LOG_FULL_WAIT", CONF_INT, "5", "seconds that a container waits for a log that cannot be written, before its output is dropped" },
	{ "FORWARD_MAX_BACKLOG", CONF_SIZE, "1g", "log kept for a sink that is away; beyond it the oldest files are dropped" },
	{ "log-tls-dir", CONF_STR, "/etc/sdc-docker/log-tls", "folder of the certificates and keys that log options may name" },
	{ "log-unix-sockets", CONF_LIST, "", "unix sockets of the host that log drivers may send to, paths" },
	{ "FORWARD_GRACE", CONF_INT, "3600", "seconds for which a logger goes on after its zone has ended" },
	{ "MAX_TOTAL_LOG_SIZE", CONF_SIZE, "0", "bytes that the logs of all zones may take; beyond it the oldest rotated files go; 0: any" },
	{ "MAX_LOG_AGE", CONF_STR, "", "rotated logs older than this go: 12h, 30d; empty: any age" },
	{ "LOG_ARCHIVE_URL", CONF_STR, "", "object store that rotated logs are uploaded to: http[s]://host[:port][/path]; empty: none" },
	{ "LOG_ARCHIVE_TYPE", CONF_STR, "s3", "what it speaks: s3 or manta" },
	{ "LOG_ARCHIVE_BUCKET", CONF_STR, "", "bucket[/prefix], with Manta login/stor[/...], that the objects are put below" },
	{ "LOG_ARCHIVE_STYLE", CONF_STR, "path", "where S3's bucket stands in a URL: path or virtual-host" },
	{ "LOG_ARCHIVE_REGION", CONF_STR, "us-east-1", "S3's region, as it is signed" },
	{ "LOG_ARCHIVE_GRACE", CONF_INT, "3600", "seconds for which a removed container's log is kept until it is stored" },
	{ "log-archive-key", CONF_STR, "/etc/sdc-docker/log-archive.key", "file with the store's credentials, the operator's alone" },
	{ "log-archive-ca", CONF_STR, "", "CA that the store's certificate is checked against (PEM); empty: the system's" },
	{ NULL, CONF_STR, NULL, NULL },
};
