/*
 * privs.c - which user the daemon is, and what it may still do then
 *
 * Root is needed for the start: port 23, the TUN device, log and pid files
 * wherever they are.  What goes on needs far less: CAP_NET_ADMIN for routes
 * and the firewall's chains, CAP_NET_RAW for ICMP, gratuitous ARP and
 * iptables, CAP_NET_BIND_SERVICE for a command line that is opened again, and
 * CAP_IPC_LOCK if new memory is to be locked too.  `setuid` keeps these, under
 * another user, and nothing else.
 *
 * The order is given by the kernel: the bounding set while CAP_SETPCAP is
 * there, groups while CAP_SETGID is, the user last, with PR_SET_KEEPCAPS so
 * that capabilities outlive it.  Every step is checked, and the result is
 * looked at as if none had been: a setuid() that fails unnoticed is how
 * daemons stay root (CVE-2006-2194).
 *
 * The two system calls for capabilities have no wrapper in glibc.  A library
 * for them would be one more to install, in place of the dozen lines here.
 *
 * Owns:     the credentials of the process.
 * Calls:    the kernel; never logs.
 * Lifetime: privs_init() first, privs_drop() once, when everything is open;
 *           privs_give_up() in a child that shall have nothing.
 */
#define _GNU_SOURCE
#include "privs.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOGROUP		65534	/* of a user that the database does not know */
#define NOBODY		65534
#define BIT(cap)	(UINT64_C(1) << (cap))
#define LENT		(BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW))
#define KEPT		(LENT | BIT(CAP_NET_BIND_SERVICE))

struct caps { uint64_t effective, permitted, inheritable; };

static struct __user_cap_header_struct header = {
	.version = _LINUX_CAPABILITY_VERSION_3
};

static bool
caps_get(struct caps *c)
{
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, d) != 0)
		return false;
	c->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	c->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	c->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return true;
}

static bool
caps_set(const struct caps *c)
{
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		d[i].effective = (uint32_t)(c->effective >> 32 * i);
		d[i].permitted = (uint32_t)(c->permitted >> 32 * i);
		d[i].inheritable = (uint32_t)(c->inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &header, d) == 0;
}

bool
privs_have(int cap)
{
	struct caps c;

	return caps_get(&c) && (c.effective & BIT(cap)) != 0;
}

void
privs_init(void)
{
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* Ambient capabilities are those that an exec leaves to another user's child. */
void
privs_lend(bool lend)
{
	int how = lend ? PR_CAP_AMBIENT_RAISE : PR_CAP_AMBIENT_LOWER;

	for (int cap = 0; cap < 64; cap++)
		if ((LENT & BIT(cap)) != 0)
			(void)prctl(PR_CAP_AMBIENT, how, cap, 0, 0);
}

static bool
fail(char *err, size_t errlen, const char *what)
{
	snprintf(err, errlen, "%s: %s", what, strerror(errno));
	return false;
}

/* What is not in the bounding set no child can ever have, whatever it runs. */
static bool
shrink_bounds(uint64_t keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if ((keep & BIT(cap)) == 0 &&
		    prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return false;
	return true;
}

static bool
change_ids(uid_t uid, gid_t gid, const struct passwd *pw, char *err,
    size_t errlen)
{
	if ((pw != NULL ? initgroups(pw->pw_name, gid) : setgroups(0, NULL)) !=
	    0)
		return fail(err, errlen, "groups");
	if (setresgid(gid, gid, gid) != 0)
		return fail(err, errlen, "setresgid");
	if (setresuid(uid, uid, uid) != 0)
		return fail(err, errlen, "setresuid");
	return true;
}

/* As if nothing had been checked before; and the way back is closed. */
static bool
verify(uid_t uid, gid_t gid, const struct caps *want, char *err,
    size_t errlen)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	struct caps c;

	if (getresuid(&r, &e, &s) != 0 || getresgid(&rg, &eg, &sg) != 0 ||
	    !caps_get(&c))
		return fail(err, errlen, "verification");
	errno = EPERM;
	if (r != uid || e != uid || s != uid || rg != gid || eg != gid ||
	    sg != gid)
		return fail(err, errlen, "user and group did not change");
	if (c.permitted != want->permitted || c.effective != want->effective)
		return fail(err, errlen, "capabilities are not as asked for");
	if (setuid(0) == 0 || seteuid(0) == 0 || (gid != 0 && setgid(0) == 0))
		return fail(err, errlen, "the way back to root is open");
	return true;
}

bool
privs_drop(uid_t uid, bool lock_memory, char *err, size_t errlen)
{
	uint64_t keep = KEPT | (lock_memory ? BIT(CAP_IPC_LOCK) : 0);
	const struct passwd *pw;
	struct caps c;
	gid_t gid;

	if (uid == 0)
		return true;
	pw = getpwuid(uid);
	gid = geteuid() == uid ? getegid() : pw != NULL ? pw->pw_gid : NOGROUP;
	if (!caps_get(&c))
		return fail(err, errlen, "capget");
	/* In a container root may have less, and gets along with it or not. */
	keep &= c.permitted;
	if (geteuid() != uid && (c.permitted & BIT(CAP_SETPCAP)) != 0 &&
	    !shrink_bounds(keep))
		return fail(err, errlen, "bounding set");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return fail(err, errlen, "PR_SET_KEEPCAPS");
	if (geteuid() != uid && !change_ids(uid, gid, pw, err, errlen))
		return false;
	c = (struct caps){ keep, keep, keep & LENT };
	if (!caps_set(&c))
		return fail(err, errlen, "capset");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail(err, errlen, "prctl");
	return verify(uid, gid, &c, err, errlen);
}

/* --- for children ------------------------------------------------------- */

/* Without an owner for it in this user namespace, no right is enough. */
static bool
become_nobody(void)
{
	if (geteuid() != 0)
		return true;
	if (setgroups(0, NULL) != 0 && errno != EPERM)
		return false;
	if (setresgid(NOBODY, NOBODY, NOBODY) != 0 && errno != EINVAL)
		return false;
	return setresuid(NOBODY, NOBODY, NOBODY) == 0 || errno == EINVAL;
}

static bool
drop_capabilities(void)
{
	const struct caps none = { 0 };
	struct caps c;

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (caps_set(&none))
		return true;
	/* A filter may forbid even this: then there must be none to give up. */
	return caps_get(&c) && c.permitted == 0;
}

bool
privs_give_up(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    become_nobody() && drop_capabilities();
}
