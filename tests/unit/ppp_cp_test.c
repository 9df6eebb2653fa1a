/*
 * ppp_cp_test.c - every cell of the table of RFC 1661 4.1, twice
 *
 * Once as text: the table as the RFC prints it, typed in a second time,
 * against what the program holds.  Once at work: for every state and event
 * the machine is put into the state, the event is brought about by a packet,
 * the timer or a call, and what comes out is compared with the text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ppp_cp.h"
#include "ppp_fakes.h"
#include "ppp_proto.h"

/* RFC 1661 4.1.  r, p and x are the RFC's footnotes, no part of the cell. */
static const char *const rfc[CP_EVENTS][1 + CP_STATES] = {
{ "Up",	   "2", "irc,scr/6", "-", "-", "-", "-",
	   "-", "-", "-", "-" },
{ "Down",  "-", "-", "0", "tls/1", "0", "1",
	   "1", "1", "1", "tld/1" },
{ "Open",  "tls/1", "1", "irc,scr/6", "3r", "5r", "5r",
	   "6", "7", "8", "9r" },
{ "Close", "0", "tlf/0", "2", "2", "4", "4",
	   "irc,str/4", "irc,str/4", "irc,str/4", "tld,irc,str/4" },
{ "TO+",   "-", "-", "-", "-", "str/4", "str/5",
	   "scr/6", "scr/6", "scr/8", "-" },
{ "TO-",   "-", "-", "-", "-", "tlf/2", "tlf/3",
	   "tlf/3p", "tlf/3p", "tlf/3p", "-" },
{ "RCR+",  "-", "-", "sta/2", "irc,scr,sca/8", "4", "5",
	   "sca/8", "sca,tlu/9", "sca/8", "tld,scr,sca/8" },
{ "RCR-",  "-", "-", "sta/2", "irc,scr,scn/6", "4", "5",
	   "scn/6", "scn/7", "scn/6", "tld,scr,scn/6" },
{ "RCA",   "-", "-", "sta/2", "sta/3", "4", "5",
	   "irc/7", "scr/6x", "irc,tlu/9", "tld,scr/6x" },
{ "RCN",   "-", "-", "sta/2", "sta/3", "4", "5",
	   "irc,scr/6", "scr/6x", "irc,scr/8", "tld,scr/6x" },
{ "RTR",   "-", "-", "sta/2", "sta/3", "sta/4", "sta/5",
	   "sta/6", "sta/6", "sta/6", "tld,zrc,sta/5" },
{ "RTA",   "-", "-", "2", "3", "tlf/2", "tlf/3",
	   "6", "6", "8", "tld,scr/6" },
{ "RUC",   "-", "-", "scj/2", "scj/3", "scj/4", "scj/5",
	   "scj/6", "scj/7", "scj/8", "scj/9" },
{ "RXJ+",  "-", "-", "2", "3", "4", "5",
	   "6", "6", "8", "9" },
{ "RXJ-",  "-", "-", "tlf/2", "tlf/3", "tlf/2", "tlf/3",
	   "tlf/3", "tlf/3", "tlf/3", "tld,irc,str/5" },
{ "RXR",   "-", "-", "2", "3", "4", "5",
	   "6", "7", "8", "ser/9" },
};

/* The cell without its footnote. */
static const char *
rfc_cell(int event, int state, char dst[CP_CELL])
{
	size_t len = strlen(rfc[event][1 + state]);

	memcpy(dst, rfc[event][1 + state], len + 1);
	if (strchr("rpx", dst[len - 1]) != NULL)
		dst[len - 1] = '\0';
	return dst;
}

static void
test_text(void **state)
{
	char want[CP_CELL], have[CP_CELL];

	(void)state;
	for (int e = 0; e < CP_EVENTS; e++) {
		assert_string_equal(cp_event_name((enum cp_event)e), rfc[e][0]);
		for (int s = 0; s < CP_STATES; s++)
			assert_string_equal(cp_cell_text((enum cp_event)e,
			    (enum cp_state)s, have), rfc_cell(e, s, want));
	}
}

/* --- a protocol with one option, and a trace of what it does --------- */

static char trace[256];
static struct cp *const cp = &fake.local.ppp.lcp;

static void
note(const char *what)
{
	snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), "%s%s",
	    trace[0] != '\0' ? "," : "", what);
}

static void
note_send(uint16_t protocol, const uint8_t *data, size_t len)
{
	static const char *const names[] = {
		[CONFIGURE_REQUEST] = "scr", [CONFIGURE_ACK] = "sca",
		[CONFIGURE_NAK] = "scn", [CONFIGURE_REJECT] = "scn",
		[TERMINATE_REQUEST] = "str", [TERMINATE_ACK] = "sta",
		[CODE_REJECT] = "scj"
	};

	assert_int_equal(protocol, 0x1234);
	assert_true(len >= 4 && data[0] >= 1 && data[0] <= CODE_REJECT);
	note(names[data[0]]);
}

static struct session *
the_session(const struct cp *c)
{
	assert_ptr_equal(c, cp);
	return &fake.session;
}

static void
note_up(struct cp *c)
{
	(void)c;
	note("tlu");
}

static void
note_down(struct cp *c)
{
	(void)c;
	note("tld");
}

static void
note_finished(struct cp *c)
{
	(void)c;
	note("tlf");
}

static void
note_echo(struct cp *c, const struct ppp_packet *pkt)
{
	assert_ptr_equal(c, cp);
	assert_int_equal(pkt->code, ECHO_REQUEST);
	note("ser");
}

static bool
take_echo(struct cp *c, const struct ppp_packet *pkt)
{
	if (pkt->code != ECHO_REQUEST)
		return false;
	cp_echo(c, pkt);
	return true;
}

static bool
ask(struct cp *c, struct wr *w)
{
	(void)c;
	wr_u8(w, 42);
	return true;
}

/* Anything but 1 should be 1. */
static enum cp_verdict
review(struct cp *c, struct rd *r, struct wr *better)
{
	uint8_t v = rd_u8(r);

	(void)c;
	if (!r->bad && v == 1)
		return CP_ACK;
	wr_u8(better, 1);
	return CP_NAK;
}

static const struct cp_option rows[] = {
	{ 10, 1, false, "ten", ask, review, NULL, NULL },
};

static const struct cp_ops ops = {
	.name = "TCP", .protocol = 0x1234, .options = rows, .noptions = 1,
	.session = the_session, .up = note_up, .down = note_down,
	.finished = note_finished, .extra = take_echo, .echo = note_echo,
};

static int
setup(void **state)
{
	(void)state;
	fake_reset();
	fake.on_send = note_send;
	fake.local.ppp.sid = fake.session.sid;
	fake.local.ppp.peer_mru = PPP_MRU;
	memset(cp, 0, sizeof(*cp));
	cp_init(cp, &ops);
	trace[0] = '\0';
	return 0;
}

/* A packet of the given data, from the peer. */
static void
give(uint8_t code, uint8_t id, const void *data, size_t len)
{
	uint8_t buf[256] = { code, id, 0, (uint8_t)(4 + len) };

	memcpy(buf + 4, data, len);
	cp_input(cp, buf, 4 + len);
}

static void
expire(uint16_t restart)
{
	cp->restart = restart;
	timer_arm(&cp->timer, 10);
	timer_fake(20);
}

/* Brings the event about as it would come. */
static void
cause(enum cp_event event)
{
	switch (event) {
	case CP_UP: case CP_DOWN: case CP_OPEN: case CP_CLOSE:
		cp_event(cp, event);
		break;
	case CP_TO_PLUS:	expire(1); break;
	case CP_TO_MINUS:	expire(0); break;
	case CP_RCR_PLUS: give(CONFIGURE_REQUEST, 9, "\x0a\3\1", 3); break;
	case CP_RCR_MINUS: give(CONFIGURE_REQUEST, 9, "\x0a\3\2", 3); break;
	case CP_RCA:	give(CONFIGURE_ACK, cp->id, "\x0a\3\x2a", 3); break;
	case CP_RCN:	give(CONFIGURE_NAK, cp->id, "\x0a\3\3", 3); break;
	case CP_RTR:	give(TERMINATE_REQUEST, 9, "bye", 3); break;
	case CP_RTA:	give(TERMINATE_ACK, cp->id, "", 0); break;
	case CP_RUC:	give(99, 9, "what", 4); break;
	case CP_RXJ_PLUS: give(CODE_REJECT, 9, "\x0d\1\0\4", 4); break;
	case CP_RXJ_MINUS: give(CODE_REJECT, 9, "\1\1\0\4", 4); break;
	case CP_RXR:	give(ECHO_REQUEST, 9, "\0\0\0\0", 4); break;
	case CP_EVENTS:	break;
	}
}

/* The text less what cannot be seen from outside: irc, zrc, tls. */
static void
visible(const char *cell, char dst[CP_CELL])
{
	char copy[CP_CELL], *a, *save = NULL;

	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(cell, "/"), cell);
	dst[0] = '\0';
	if (strchr(cell, '/') == NULL)
		return;
	for (a = strtok_r(copy, ",", &save); a != NULL;
	    a = strtok_r(NULL, ",", &save))
		if (strcmp(a, "irc") != 0 && strcmp(a, "zrc") != 0 &&
		    strcmp(a, "tls") != 0)
			snprintf(dst + strlen(dst), CP_CELL - strlen(dst),
			    "%s%s", dst[0] != '\0' ? "," : "", a);
}

static void
check_restart(const char *cell, uint8_t next)
{
	if (strstr(cell, "irc") != NULL) {
		int full = next == CP_CLOSING || next == CP_STOPPING ?
		    PPP_MAX_TERMINATE : (int)lns.config.ppp_max_configure;

		assert_int_equal(cp->restart, full -
		    (strstr(cell, "scr") != NULL ||
		    strstr(cell, "str") != NULL));
	} else if (strstr(cell, "zrc") != NULL)
		assert_int_equal(cp->restart, 0);
}

static void
walk(int event, int from)
{
	char cell[CP_CELL], want[CP_CELL];
	const char *slash;
	uint8_t next;

	setup(NULL);
	rfc_cell(event, from, cell);
	slash = strchr(cell, '/');
	next = cell[0] == '-' ? (uint8_t)from :
	    (uint8_t)atoi(slash != NULL ? slash + 1 : cell);
	visible(cell, want);
	cp->state = (uint8_t)from;
	cp->id = 5;
	cp->restart = 3;
	if (from >= CP_CLOSING && from <= CP_ACKSENT)
		timer_arm(&cp->timer, 3000);
	/* The timer cannot expire in a state that does not run it. */
	if ((event == CP_TO_PLUS || event == CP_TO_MINUS) && cell[0] == '-')
		return;
	cause((enum cp_event)event);
	if (strcmp(trace, want) != 0 || cp->state != next)
		fail_msg("%s in %s: did \"%s\", went to %u; should be %s",
		    rfc[event][0], cp_state_name((enum cp_state)from), trace,
		    cp->state, cell);
	check_restart(cell, next);
	/* RFC 1661 4.6: it runs in states 4 to 8 and in no other. */
	assert_int_equal(timer_armed(&cp->timer), next >= 4 && next <= 8);
}

static void
test_walk(void **state)
{
	(void)state;
	for (int e = 0; e < CP_EVENTS; e++)
		for (int s = 0; s < CP_STATES; s++)
			walk(e, s);
	setup(NULL);
}

/* --- beside the table ------------------------------------------------ */

static void
start(void)
{
	cp_event(cp, CP_OPEN);
	cp_event(cp, CP_UP);
	assert_int_equal(cp->state, CP_REQSENT);
	trace[0] = '\0';
}

static unsigned int
count(const char *what)
{
	unsigned int n = 0;

	for (const char *p = trace; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void
test_silence(void **state)
{
	(void)state;
	start();
	timer_fake(29990);
	assert_int_equal(count("scr"), 9);
	assert_int_equal(count("tlf"), 0);
	timer_fake(20);
	assert_int_equal(count("scr"), 9);
	assert_int_equal(count("tlf"), 1);
	assert_int_equal(cp->why, CP_WHY_SILENT);
	timer_fake(60000);
	assert_int_equal(count("scr"), 9);
}

/* A retransmission keeps its id: a late answer to the first one counts. */
static void
test_late_ack(void **state)
{
	uint8_t id;

	(void)state;
	start();
	id = cp->id;
	timer_fake(3000);
	assert_int_equal(cp->id, id);
	give(CONFIGURE_ACK, id, "\x0a\3\x2a", 3);
	assert_int_equal(cp->state, CP_ACKRCVD);
	timer_fake(3000);
	assert_int_not_equal(cp->id, id);
}

/* Ack, silence, Ack, silence... ends after Max-Configure requests. */
static void
test_acks_for_ever(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 100 && cp->state != CP_STOPPED; i++) {
		give(CONFIGURE_ACK, cp->id, "\x0a\3\x2a", 3);
		timer_fake(3000);
	}
	assert_int_equal(cp->state, CP_STOPPED);
	assert_int_equal(1 + count("scr"), lns.config.ppp_max_configure);
	assert_int_equal(count("tlf"), 1);
}

/* Nak after Nak ends within Max-Configure and Max-Failure. */
static void
test_naks_for_ever(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 100 && cp->state != CP_STOPPED; i++)
		give(CONFIGURE_NAK, cp->id, "\x0a\3\3", 3);
	assert_int_equal(cp->state, CP_STOPPED);
	assert_int_equal(cp->why, CP_WHY_ENDLESS);
	assert_int_equal(1 + count("scr"),
	    lns.config.ppp_max_configure + lns.config.ppp_max_failure);
	assert_true(fake.sent <= 20);
}

/* RFC 1661 4.6: Max-Failure Naks, then Rejects, and an Ack begins anew. */
static void
test_max_failure(void **state)
{
	const struct fake_frame *f;

	(void)state;
	start();
	fake_take();
	for (int i = 0; i < 8; i++) {
		give(CONFIGURE_REQUEST, (uint8_t)i, "\x0a\3\2", 3);
		f = fake_take();
		assert_int_equal(f->data[1], i);
		assert_int_equal(f->len, 7);
		assert_int_equal(f->data[0], i < lns.config.ppp_max_failure ?
		    CONFIGURE_NAK : CONFIGURE_REJECT);
		/* A Nak has the better value, a Reject the peer's own. */
		assert_int_equal(f->data[6],
		    i < lns.config.ppp_max_failure ? 1 : 2);
	}
	give(CONFIGURE_REQUEST, 50, "\x0a\3\1", 3);
	assert_int_equal(fake_take()->data[0], CONFIGURE_ACK);
	give(CONFIGURE_REQUEST, 51, "\x0a\3\2", 3);
	assert_int_equal(fake_take()->data[0], CONFIGURE_NAK);
}

/* The same request again: our answer was lost, which is no disagreement. */
static void
test_failures_of_a_repeat(void **state)
{
	(void)state;
	start();
	fake_take();
	for (int i = 0; i < 3 * lns.config.ppp_max_failure; i++) {
		give(CONFIGURE_REQUEST, 7, "\x0a\3\2", 3);
		assert_int_equal(fake_take()->data[0], CONFIGURE_NAK);
	}
	for (int i = 1; i < lns.config.ppp_max_failure; i++) {
		give(CONFIGURE_REQUEST, (uint8_t)(7 + i), "\x0a\3\2", 3);
		assert_int_equal(fake_take()->data[0], CONFIGURE_NAK);
	}
	give(CONFIGURE_REQUEST, 99, "\x0a\3\2", 3);
	assert_int_equal(fake_take()->data[0], CONFIGURE_REJECT);
}

/* An answer counts once, and only to the last request, word for word. */
static void
test_answers(void **state)
{
	(void)state;
	start();
	give(CONFIGURE_ACK, (uint8_t)(cp->id - 1), "\x0a\3\x2a", 3);
	give(CONFIGURE_ACK, cp->id, "\x0a\3\x2b", 3);	/* another value */
	give(CONFIGURE_ACK, cp->id, "", 0);		/* nothing */
	give(CONFIGURE_ACK, cp->id, "\x0a\3\x2a\x0a\3\x2a", 6);	/* twice */
	assert_int_equal(cp->state, CP_REQSENT);
	give(CONFIGURE_REQUEST, 9, "\x0a\3\1", 3);
	give(CONFIGURE_ACK, cp->id, "\x0a\3\x2a", 3);
	assert_int_equal(cp->state, CP_OPENED);
	/* The network delivered it twice: still open. */
	give(CONFIGURE_ACK, cp->id, "\x0a\3\x2a", 3);
	give(CONFIGURE_NAK, cp->id, "\x0a\3\x2b", 3);
	assert_int_equal(cp->state, CP_OPENED);
	assert_int_equal(count("tld"), 0);
}

/* A rejected option is not asked for again, until the next negotiation. */
static void
test_rejected(void **state)
{
	(void)state;
	start();
	assert_int_equal(fake_take()->len, 7);
	give(CONFIGURE_REJECT, cp->id, "\x0a\3\x2a", 3);
	assert_true(cp_option_off(cp, 10));
	assert_int_equal(fake_take()->len, 4);
	give(CONFIGURE_ACK, cp->id, "", 0);
	give(CONFIGURE_REQUEST, 1, "", 0);
	assert_int_equal(fake_take()->data[0], CONFIGURE_ACK);
	assert_int_equal(cp->state, CP_OPENED);
	give(CONFIGURE_REQUEST, 2, "", 0);
	assert_int_equal(fake_take()->len, 7);
}

/* Reject before Nak before Ack; a second one of the same type is rejected. */
static void
test_review(void **state)
{
	const struct fake_frame *f;

	(void)state;
	start();
	fake_take();
	give(CONFIGURE_REQUEST, 1, "\x0a\3\2\x63\2\x0a\3\1\x64\4zz", 12);
	f = fake_take();
	assert_int_equal(f->len, 13);
	assert_memory_equal(f->data, "\4\1\0\x0d\x63\2\x0a\3\1\x64\4zz", 13);
	/* A known option of the wrong length is Naked with the right one. */
	give(CONFIGURE_REQUEST, 2, "\x0a\4\1\1", 4);
	f = fake_take();
	assert_memory_equal(f->data, "\3\2\0\7\x0a\3\1", 7);
}

/* Options cut short, and options of length 0 and 1. */
static void
test_torn_options(void **state)
{
	static const char *const torn[] = { "\x0a", "\x0a\0\1", "\x0a\1\1",
	    "\x0a\4\1", "\x0a\3\1\x0a", "\x0a\377\1" };
	static const uint8_t len[] = { 1, 3, 3, 3, 4, 3 };

	(void)state;
	start();
	fake.sent = 0;
	for (size_t i = 0; i < sizeof(len); i++)
		for (uint8_t c = CONFIGURE_REQUEST; c <= CONFIGURE_REJECT; c++)
			give(c, cp->id, torn[i], len[i]);
	assert_int_equal(fake.sent, 0);
	assert_int_equal(cp->state, CP_REQSENT);
	assert_int_equal(counters.ppp_rx_malformed, 4 * sizeof(len));
	give(CODE_REJECT, 1, "", 0);
	assert_int_equal(cp->state, CP_REQSENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test_setup(test_walk, setup),
		cmocka_unit_test_setup(test_silence, setup),
		cmocka_unit_test_setup(test_late_ack, setup),
		cmocka_unit_test_setup(test_acks_for_ever, setup),
		cmocka_unit_test_setup(test_naks_for_ever, setup),
		cmocka_unit_test_setup(test_max_failure, setup),
		cmocka_unit_test_setup(test_failures_of_a_repeat, setup),
		cmocka_unit_test_setup(test_answers, setup),
		cmocka_unit_test_setup(test_rejected, setup),
		cmocka_unit_test_setup(test_review, setup),
		cmocka_unit_test_setup(test_torn_options, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
