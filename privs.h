/*
 * privs.h - which user the daemon is, and what it may still do then
 */
#ifndef PRIVS_H
#define PRIVS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Call first of all.  Capabilities that a service manager gave us are ours,
 * not our children's.
 */
void privs_init(void);

/*
 * Becomes user uid for good: its groups from the user database, none without
 * an entry there; of all capabilities only those that a running server needs
 * (and CAP_IPC_LOCK if lock_memory); nothing can be gained by executing
 * something.  All of it is verified.  uid 0 changes nothing.  False with a
 * reason: the process is neither one nor the other, and must end.
 */
bool privs_drop(uid_t uid, bool lock_memory, char *err, size_t errlen);

/*
 * True: a child started from now on may change the network as we may (as
 * iptables has to); false: it may not, which is how it begins.
 */
void privs_lend(bool);

/*
 * For a child that reads what comes from the network: no user, no capability,
 * and no way to either.  False if it has a right that it cannot give up.
 */
bool privs_give_up(void);

/* True if capability number cap (CAP_NET_ADMIN...) is in force. */
bool privs_have(int cap);

#endif
