/* SPDX-License-Identifier: MPL-2.0
 *
 * privs.c - see privs.h.
 *
 * A process with uid 0 regains at execve what its bounding set has, any other gets nothing (there
 * are no ambient or inheritable ones): so the bounding set decides what the user's process has, and
 * the filter can be loaded last without a capset(2) after it, which a profile may forbid.
 */
#include "privs.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

/* Indexed by number (linux/capability.h). */
static const char *const cap_names[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};

int privs_cap_number(const char *name)
{
	size_t i;

	if (strncmp(name, "CAP_", 4) == 0)
		name += 4;
	for (i = 0; i < sizeof(cap_names) / sizeof(cap_names[0]); i++)
		if (strcmp(cap_names[i], name) == 0)
			return (int)i;
	return -1;
}

static int set_caps(uint64_t caps, struct err *err)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	d[0].effective = d[0].permitted = (uint32_t)caps;
	d[1].effective = d[1].permitted = (uint32_t)(caps >> 32);
	if (syscall(SYS_capset, &h, d) < 0)
		return err_sys(err, "set capabilities");
	return 0;
}

static uint64_t permitted_caps(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	if (syscall(SYS_capget, &h, d) < 0)
		return 0;
	return (uint64_t)d[1].permitted << 32 | d[0].permitted;
}

static int drop_bounding(uint64_t caps, struct err *err)
{
	int cap, has;

	for (cap = 0; cap < 64; cap++) {
		has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0)
			break; /* the last one this kernel knows */
		if (has && !(caps >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(err, "drop capability %d from the bounding set", cap);
	}
	return 0;
}

int privs_drop(const struct user *u, uint64_t caps, bool no_new_privs, bool for_seccomp,
	       struct err *err)
{
	/* libc's gid_t is 32 bits as well */
	uint64_t keep = caps | (for_seccomp && !no_new_privs ? 1ULL << CAP_SYS_ADMIN : 0);
	int rc;

	if (syscall(SYS_setgroups, u->n_groups, u->groups) < 0)
		return err_sys(err, "setgroups");
	if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0)
		return err_sys(err, "setresgid %u", u->gid);
	if ((rc = drop_bounding(caps, err)) < 0)
		return rc;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (u->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(err, "keep capabilities");
	if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
		return err_sys(err, "setresuid %u", u->uid);
	if (u->uid != 0) {
		/* until execve there is nothing that needs more than the filter does */
		keep &= for_seccomp && !no_new_privs ? 1ULL << CAP_SYS_ADMIN : 0;
		prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	}
	if ((rc = set_caps(keep & permitted_caps(), err)) < 0)
		return rc;
	if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "set no_new_privs");
	return 0;
}

int privs_seccomp(const void *bpf, size_t len, struct err *err)
{
	struct sock_fprog prog = {
		.len = (unsigned short)(len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(uintptr_t)bpf,
	};

	if (len % sizeof(struct sock_filter) || len / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return err_kind(err, ERR_SYSTEM, "seccomp filter of %zu bytes", len);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) <
	    0)
		return err_sys(err, "load seccomp filter");
	return 0;
}
