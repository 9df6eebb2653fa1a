/*
 * fuzz_ppp.c - a subscriber that says anything at any time
 *
 * The input is a list of steps: frames of any protocol, the passing of time,
 * verdicts; and steps in which the peer does the right thing, so that every
 * phase is reached soon.  The session is the one of ppp_fakes.c, which stops
 * the run when a frame is torn or longer than the peer takes.  Checked here:
 * nobody is let in without a verdict, a session ends once, and no frame is
 * answered by many.
 */
#include <stdlib.h>
#include <string.h>

#include "ppp_fakes.h"
#include "ppp_proto.h"
#include "table.h"
#include "wire.h"

#define MAX_ANSWERS	8	/* to one step but the passing of time */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Our last Configure-Request of each protocol, for the peer to acknowledge. */
static struct fake_frame last_lcp, last_ipcp;
static bool accepted;

static void
remember(uint16_t protocol, const uint8_t *data, size_t len)
{
	struct fake_frame *f = protocol == PPP_LCP ? &last_lcp : &last_ipcp;

	if (fake.finishes > 1)
		abort();
	if ((protocol != PPP_LCP && protocol != PPP_IPCP) ||
	    data[0] != CONFIGURE_REQUEST)
		return;
	f->protocol = protocol;
	f->len = len;
	memcpy(f->data, data, len);
}

/* In memory of exactly that size, so that ASan sees the end of it. */
static void
give(uint16_t protocol, const uint8_t *info, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		return;
	memcpy(copy, info, len);
	ppp_input(&fake.session, protocol, copy, len);
	free(copy);
}

static void
acknowledge(struct fake_frame *f)
{
	struct fake_frame ack = *f;

	ack.data[0] = CONFIGURE_ACK;
	if (ack.len > 0)
		give(ack.protocol, ack.data, ack.len);
}

static void
answer_auth(void)
{
	static const uint8_t pap[] = { PAP_REQUEST, 1, 0, 11, 3, 'b', 'o', 'b',
	    2, 'p', 'w' };
	uint8_t chap[24] = { CHAP_RESPONSE, fake.local.ppp.auth_id, 0, 24,
	    CHAP_MD5_LEN };

	memcpy(chap + 21, "bob", 3);
	if (fake.local.ppp.auth_protocol == PPP_PAP)
		give(PPP_PAP, pap, sizeof(pap));
	else
		give(PPP_CHAP, chap, sizeof(chap));
}

/* The peer's side of LCP and IPCP as it should be. */
static void
negotiate(void)
{
	static const uint8_t lcp[] = { CONFIGURE_REQUEST, 1, 0, 10,
	    LCP_MAGIC, 6, 0xca, 0xfe, 0xba, 0xbe };
	static const uint8_t ipcp[] = { CONFIGURE_REQUEST, 1, 0, 10,
	    IPCP_ADDRESS, 6, 10, 1, 2, 3 };

	if (fake.local.ppp.phase < PPP_NETWORK) {
		acknowledge(&last_lcp);
		give(PPP_LCP, lcp, sizeof(lcp));
	} else {
		acknowledge(&last_ipcp);
		give(PPP_IPCP, ipcp, sizeof(ipcp));
	}
}

static void
verdict(bool ok)
{
	unsigned int asked = fake.asked - fake.cancelled;

	if (ok && asked > 0)
		accepted = fake.session.authenticated = true;
	ppp_auth_result(&fake.session, ok && asked > 0, "message");
}

static void
frame(struct rd *r)
{
	static const uint16_t protocols[] = { PPP_LCP, PPP_IPCP, PPP_PAP,
	    PPP_CHAP, PPP_CCP, PPP_IPV6CP, PPP_EAP, PPP_IP };
	uint8_t which = rd_u8(r);
	uint16_t protocol = which < 8 ? protocols[which] : rd_u16(r);
	size_t len = rd_u16(r);
	const uint8_t *p;

	if (len > rd_left(r))
		len = rd_left(r);
	p = rd_bytes(r, len);
	if (p != NULL)
		give(protocol, p, len);
}

/* Code, id and length right: what the packet says is up to the input. */
static void
packet(struct rd *r)
{
	uint8_t buf[4 + 255], which = rd_u8(r), len = rd_u8(r);
	struct ppp *p = &fake.local.ppp;

	if (len > rd_left(r))
		len = (uint8_t)rd_left(r);
	buf[0] = which & 15;
	buf[1] = which & 16 ? p->ipcp.id : p->lcp.id;
	buf[2] = (uint8_t)((4 + len) >> 8);
	buf[3] = (uint8_t)(4 + len);
	rd_copy(r, buf + 4, len);
	give(which & 16 ? PPP_IPCP : PPP_LCP, buf, 4 + (size_t)len);
}

static void
step(struct rd *r)
{
	uint8_t op = rd_u8(r);
	unsigned int sent = fake.sent;

	switch (op & 7) {
	case 0:
		frame(r);
		break;
	case 1:
		packet(r);
		break;
	case 2:
		negotiate();
		break;
	case 3:
		answer_auth();
		break;
	case 4:
		verdict((op & 0x80) != 0);
		break;
	case 5:
		timer_fake((op >> 3) * (uint64_t)500);
		sent = fake.sent;
		break;
	case 6:
		fake.session.rx_packets++;
		break;
	case 7:
		if (op == 0xff)
			ppp_goodbye(&fake.session);
		break;
	}
	if (fake.sent - sent > MAX_ANSWERS)
		abort();
	if ((fake.session.flags & SF_OPEN) != 0 && !accepted)
		abort();
}

/* Whoever stays away is given up, however far it came. */
static void
wait_for_end(void)
{
	unsigned int sent;

	timer_fake(300 * 1000);
	if (fake.local.ppp.phase == PPP_AUTHENTICATE)
		verdict(false);		/* auth.c always has one */
	timer_fake(300 * 1000);
	if (fake.local.ppp.phase != PPP_DEAD)
		abort();
	sent = fake.sent;
	timer_fake(3600 * 1000);
	if (fake.sent != sent || fake.finishes > 1)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);
	uint8_t set = rd_u8(&r);
	int steps;

	fake_reset();
	fake.on_send = remember;
	last_lcp.len = last_ipcp.len = 0;
	accepted = false;
	if (set & 1)
		strcpy(lns.config.radius_authtypes, "pap");
	if (set & 2)
		fake.session.dns1 = fake.session.dns2 = 0;
	if (set & 4)
		lns.config.l2tp_mtu = 576;
	ppp_start(&fake.session);
	for (steps = 0; rd_left(&r) > 0 && steps < 200; steps++)
		step(&r);
	wait_for_end();
	return 0;
}
