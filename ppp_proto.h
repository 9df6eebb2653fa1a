/*
 * ppp_proto.h - the numbers of PPP, by RFC
 */
#ifndef PPP_PROTO_H
#define PPP_PROTO_H

/* Protocol field: RFC 1661 2, and the IANA list. */
enum ppp_protocol {
	PPP_IP		= 0x0021,
	PPP_IPV6	= 0x0057,
	PPP_IPCP	= 0x8021,
	PPP_IPV6CP	= 0x8057,
	PPP_CCP		= 0x80fd,
	PPP_LCP		= 0xc021,
	PPP_PAP		= 0xc023,
	PPP_CHAP	= 0xc223,
	PPP_EAP		= 0xc227
};

/* Code field: RFC 1661 5 (1 to 7 in every control protocol), RFC 1570 2. */
enum cp_code {
	CONFIGURE_REQUEST = 1, CONFIGURE_ACK, CONFIGURE_NAK, CONFIGURE_REJECT,
	TERMINATE_REQUEST, TERMINATE_ACK, CODE_REJECT,
	PROTOCOL_REJECT, ECHO_REQUEST, ECHO_REPLY, DISCARD_REQUEST,
	IDENTIFICATION, TIME_REMAINING
};

#define PPP_HEADER	4	/* Code, Identifier, Length */
#define PPP_OPT_HEADER	2	/* Type, Length */

/* LCP configuration options: RFC 1661 6, RFC 1662 7, RFC 1990 5.1. */
enum lcp_option {
	LCP_MRU = 1, LCP_ACCM = 2, LCP_AUTH = 3, LCP_QUALITY = 4,
	LCP_MAGIC = 5, LCP_PFC = 7, LCP_ACFC = 8, LCP_MRRU = 17
};

#define PPP_MRU		1500	/* RFC 1661 6.1: when nobody says otherwise */
#define PPP_MRU_MIN	128	/* less than this nobody can mean */

/* What L2TP takes of l2tp_mtu: IP 20, UDP 8, L2TP 6, PPP 4. */
#define PPP_L2TP_OVERHEAD	38

/* RFC 1661 4.6. */
#define PPP_MAX_TERMINATE	2

/* IPCP configuration options: RFC 1332 3, RFC 1877 1. */
enum ipcp_option {
	IPCP_ADDRESSES = 1, IPCP_COMPRESSION = 2, IPCP_ADDRESS = 3,
	IPCP_DNS1 = 129, IPCP_NBNS1 = 130, IPCP_DNS2 = 131, IPCP_NBNS2 = 132
};

/* PAP: RFC 1334 2.2. */
enum pap_code { PAP_REQUEST = 1, PAP_ACK, PAP_NAK };

/* CHAP: RFC 1994 4. */
enum chap_code {
	CHAP_CHALLENGE = 1, CHAP_RESPONSE, CHAP_SUCCESS, CHAP_FAILURE
};

#define CHAP_MD5	5	/* RFC 1994 3: algorithm in the LCP option */
#define CHAP_MD5_LEN	16

#endif
