/*
 * auth.h - credentials in, verdict out: RADIUS or the embedded ppp-secrets
 *
 * ppp_auth.c hands credentials to auth_start(); the verdict comes back
 * through session_auth_done(), later or from within the call.
 */
#ifndef AUTH_H
#define AUTH_H

#include "l2tpns.h"

struct auth_request {
	uint16_t protocol;		/* 0xc023 PAP, 0xc223 CHAP-MD5 */
	char user[USER_MAX];		/* NUL terminated, as the peer sent it */
	char password[USER_MAX];	/* PAP only */
	size_t password_len;		/* may hold NULs */
	uint8_t chap_id;		/* CHAP only, RFC 1994 */
	uint8_t challenge[16];
	size_t challenge_len;
	uint8_t response[16];
};

enum auth_verdict {
	AUTH_ACCEPT,
	AUTH_REJECT,
	AUTH_TIMEOUT		/* nobody answered: not the user's fault */
};

/* How the address is to be found. */
enum auth_address {
	AUTH_IP_POOL,		/* none given, or 255.255.255.254 */
	AUTH_IP_FIXED,		/* framed_ip */
	AUTH_IP_USER		/* 255.255.255.255: the user may choose */
};

struct auth_result {
	enum auth_verdict verdict;
	enum auth_address address;
	uint32_t framed_ip, netmask;	/* host order; netmask 0: not given */
	uint32_t dns1, dns2;		/* 0: not given, the configured ones */
	uint16_t framed_mtu;		/* 0: not given */
	uint32_t session_timeout, idle_timeout, interim;	/* s; 0: none */
	uint8_t nroutes;
	struct prefix routes[ROUTES_MAX];
	char message[254];		/* Reply-Message, may be "" */
	char filter_id[FILTER_MAX];
	char user[USER_MAX];		/* User-Name in the reply, or "" */
	uint16_t class_len;		/* {len, octets}... */
	uint8_t class[CLASS_MAX];
	uint16_t avpair_len;		/* texts, each with its NUL */
	char avpair[AVPAIR_MAX];
};

/* Asks RADIUS if a server is configured, else the secrets file. */
void auth_start(struct session *, const struct auth_request *);

/*
 * An answer of RADIUS, or of the secrets file, to what was asked: plugins see
 * it, then the session.  Changes it.
 */
void auth_answered(struct session *, const struct auth_request *,
    struct auth_result *);

/* Forgets a request on its way; no callback will come. */
void auth_cancel(struct session *);

#endif
