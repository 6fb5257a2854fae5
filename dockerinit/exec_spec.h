/* SPDX-License-Identifier: MPL-2.0
 *
 * exec_spec.h - what zone.Exec.spec_json holds, and how dockerinit reports.
 *
 * The spec is one JSON object, in the message up to 60 KiB, else in a file (memfd) that
 * rides along, up to 2 MiB:
 *	"argv":[..]		"env":["K=V",..]  the container's and the exec's, merged
 *	"cwd":"/x" ("" is /)	"user":"" | user[:group]	"tty":bool
 *	"caps":["CAP_CHOWN",..]	"no_new_privs":bool		"seccomp":"base64" or absent
 *	"group_add":[..]	"umask":N			"privileged": ignored (caps say it)
 * PATH, HOSTNAME, TERM (with tty) and HOME are added when env lacks them.
 *
 * dockerinit reports a failed step on its channel (the metadata connection of PID 1, the spec's
 * socket of an exec) as one line before it exits:
 *	ERR <exit code> <errno> <kind> <text>\n
 * kind is enum err_kind as a number; the text is for the user, without the runtime's prefix. The
 * channel is CLOEXEC: its end without an ERR line means that the user's process runs.
 */
#ifndef DOCKERINIT_EXEC_SPEC_H
#define DOCKERINIT_EXEC_SPEC_H

#define EXEC_SPEC_MAX	   (60 * 1024)
#define EXEC_SPEC_FILE_MAX (2 * 1024 * 1024)
#define EXEC_SPEC_FD	   3 /* where dockerinit finds the socket in exec mode */
#define ZC_SOCKET	   "/native/.zonecontrol/metadata.sock"
#define DOCKERINIT_PATH	   "/native/usr/sbin/dockerinit"
#define DOCKERINIT_LOG	   "/var/log/sdc-dockerinit.log"

#endif
