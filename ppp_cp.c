/*
 * ppp_cp.c - the option negotiation automaton, RFC 1661 section 4
 *
 * LCP and IPCP are the same machine with different options.  Here is the
 * machine: the table of section 4.1 with the RFC's own action names (irc,
 * scr, tlu...), the restart counter, and the walk over the options.
 *
 * Three things stand beside the table, since by the table alone a peer can
 * keep us busy for ever:
 * - An Ack restarts the counter (irc), so Ack, time-out, Ack, time-out...
 *   would go on.  We count all Configure-Requests since the layer was last
 *   down or up, and take the one past Max-Configure for TO-.  Up to
 *   Max-Failure of those that were Naked or rejected are not counted.
 * - Past Max-Failure Naks, a Nak becomes a Reject (RFC 1661 4.6).
 * - A reply is taken once (cp.answered): a network that delivers an Ack twice
 *   would otherwise bring an open layer down (RCA in Opened).
 *
 * Owns:     struct cp (state, ids, counters, restart timer).
 * Calls:    session_send_ppp(), ppp_mtu(); the rows of cp_ops above.
 * Lifetime: inside struct session_local; cp_stop() before the slot is freed.
 */
#include <stdio.h>

#include "l2tpns.h"
#include "log.h"
#include "ppp_cp.h"
#include "ppp_proto.h"
#include "session.h"

/*
 * Actions, RFC 1661 4.4, each a bit.  The RFC lists those of a cell in this
 * order everywhere, so that running the bits from the lowest up is to run
 * them as printed.
 */
enum {
	tld = 0x0001, irc = 0x0002, zrc = 0x0004, scr = 0x0008, str = 0x0010,
	sca = 0x0020, scn = 0x0040, sta = 0x0080, scj = 0x0100, ser = 0x0200,
	tlu = 0x0400, tls = 0x0800, tlf = 0x1000
};
#define ACTIONS	13

/* "-": this cannot happen in that state; if it does, nothing comes of it. */
#define NONE	{ 0, CP_STATES }

struct cp_cell {
	uint16_t actions;
	uint8_t next;		/* enum cp_state, numbered as in the RFC */
};

/*
 * The table of RFC 1661 4.1, events down and states across, in the RFC's two
 * halves: Initial Starting Closed Stopped Closing Stopping, then Req-Sent
 * Ack-Rcvd Ack-Sent Opened.  The options r (restart) and p (passive) of the
 * RFC are not taken; x marks crossed connections, as there.
 */
static const struct cp_cell cp_table[CP_EVENTS][CP_STATES] = {
[CP_UP] = {
	{ 0, 2 }, { irc|scr, 6 }, NONE, NONE, NONE, NONE,
	NONE, NONE, NONE, NONE },
[CP_DOWN] = {
	NONE, NONE, { 0, 0 }, { tls, 1 }, { 0, 0 }, { 0, 1 },
	{ 0, 1 }, { 0, 1 }, { 0, 1 }, { tld, 1 } },
[CP_OPEN] = {
	{ tls, 1 }, { 0, 1 }, { irc|scr, 6 }, { 0, 3 }, { 0, 5 }, { 0, 5 },
	{ 0, 6 }, { 0, 7 }, { 0, 8 }, { 0, 9 } },
[CP_CLOSE] = {
	{ 0, 0 }, { tlf, 0 }, { 0, 2 }, { 0, 2 }, { 0, 4 }, { 0, 4 },
	{ irc|str, 4 }, { irc|str, 4 }, { irc|str, 4 }, { tld|irc|str, 4 } },

[CP_TO_PLUS] = {
	NONE, NONE, NONE, NONE, { str, 4 }, { str, 5 },
	{ scr, 6 }, { scr, 6 }, { scr, 8 }, NONE },
[CP_TO_MINUS] = {
	NONE, NONE, NONE, NONE, { tlf, 2 }, { tlf, 3 },
	{ tlf, 3 }, { tlf, 3 }, { tlf, 3 }, NONE },

[CP_RCR_PLUS] = {
	NONE, NONE, { sta, 2 }, { irc|scr|sca, 8 }, { 0, 4 }, { 0, 5 },
	{ sca, 8 }, { sca|tlu, 9 }, { sca, 8 }, { tld|scr|sca, 8 } },
[CP_RCR_MINUS] = {
	NONE, NONE, { sta, 2 }, { irc|scr|scn, 6 }, { 0, 4 }, { 0, 5 },
	{ scn, 6 }, { scn, 7 }, { scn, 6 }, { tld|scr|scn, 6 } },
[CP_RCA] = {
	NONE, NONE, { sta, 2 }, { sta, 3 }, { 0, 4 }, { 0, 5 },
	{ irc, 7 }, { scr, 6 } /* x */, { irc|tlu, 9 },
	{ tld|scr, 6 } /* x */ },
[CP_RCN] = {
	NONE, NONE, { sta, 2 }, { sta, 3 }, { 0, 4 }, { 0, 5 },
	{ irc|scr, 6 }, { scr, 6 } /* x */, { irc|scr, 8 }, { tld|scr, 6 } },

[CP_RTR] = {
	NONE, NONE, { sta, 2 }, { sta, 3 }, { sta, 4 }, { sta, 5 },
	{ sta, 6 }, { sta, 6 }, { sta, 6 }, { tld|zrc|sta, 5 } },
[CP_RTA] = {
	NONE, NONE, { 0, 2 }, { 0, 3 }, { tlf, 2 }, { tlf, 3 },
	{ 0, 6 }, { 0, 6 }, { 0, 8 }, { tld|scr, 6 } },

[CP_RUC] = {
	NONE, NONE, { scj, 2 }, { scj, 3 }, { scj, 4 }, { scj, 5 },
	{ scj, 6 }, { scj, 7 }, { scj, 8 }, { scj, 9 } },
[CP_RXJ_PLUS] = {
	NONE, NONE, { 0, 2 }, { 0, 3 }, { 0, 4 }, { 0, 5 },
	{ 0, 6 }, { 0, 6 }, { 0, 8 }, { 0, 9 } },
[CP_RXJ_MINUS] = {
	NONE, NONE, { tlf, 2 }, { tlf, 3 }, { tlf, 2 }, { tlf, 3 },
	{ tlf, 3 }, { tlf, 3 }, { tlf, 3 }, { tld|irc|str, 5 } },

[CP_RXR] = {
	NONE, NONE, { 0, 2 }, { 0, 3 }, { 0, 4 }, { 0, 5 },
	{ 0, 6 }, { 0, 7 }, { 0, 8 }, { ser, 9 } },
};

static const char *const state_names[CP_STATES] = {
	"Initial", "Starting", "Closed", "Stopped", "Closing", "Stopping",
	"Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened"
};

static const char *const event_names[CP_EVENTS] = {
	"Up", "Down", "Open", "Close", "TO+", "TO-", "RCR+", "RCR-",
	"RCA", "RCN", "RTR", "RTA", "RUC", "RXJ+", "RXJ-", "RXR"
};

/* One event with what came along. */
struct cp_input {
	enum cp_event event;
	const struct ppp_packet *pkt;	/* NULL: it was not a packet */
	const uint8_t *reply;		/* for sca and scn: ready to send */
	size_t reply_len;
};

static void cp_run(struct cp *, const struct cp_input *);

const char *
cp_state_name(enum cp_state state)
{
	return state < CP_STATES ? state_names[state] : "?";
}

const char *
cp_event_name(enum cp_event event)
{
	return event < CP_EVENTS ? event_names[event] : "?";
}

/* --- sending --------------------------------------------------------- */

static void
cp_send(struct cp *cp, const void *buf, size_t len)
{
	if (len == 0)
		return;
	if (cp->ops->protocol == PPP_IPCP)
		COUNT(call_sendipcp);
	session_send_ppp(cp->ops->session(cp), cp->ops->protocol, buf, len);
}

/* The largest packet the peer takes; never more than a buffer of ours. */
static size_t
cp_limit(const struct cp *cp)
{
	size_t mtu = ppp_mtu(cp->ops->session(cp));

	return mtu < PACKET_MAX ? mtu : PACKET_MAX;
}

/* A packet without data. */
static void
cp_send_code(struct cp *cp, uint8_t code, uint8_t id)
{
	uint8_t buf[PPP_HEADER];
	struct wr w = wr_init(buf, sizeof(buf));

	ppp_packet_begin(&w, code, id);
	cp_send(cp, buf, ppp_packet_end(&w));
}

static void
cp_arm(struct cp *cp)
{
	timer_arm(&cp->timer, (uint64_t)lns.config.ppp_restart_time * 1000);
}

static bool
row_requested(const struct cp *cp, size_t row)
{
	return cp->ops->options[row].request != NULL &&
	    (cp->options_off & UINT32_C(1) << row) == 0;
}

/* The options of our Configure-Request as things stand. */
static void
put_request(struct cp *cp, struct wr *w)
{
	uint8_t value[UINT8_MAX];
	struct wr v;
	size_t i;

	for (i = 0; i < cp->ops->noptions; i++) {
		v = wr_init(value, sizeof(value));
		if (row_requested(cp, i) && cp->ops->options[i].request(cp, &v))
			ppp_opt_put(w, cp->ops->options[i].type, value,
			    wr_len(&v));
	}
}

/* A negotiation begins: nothing of the last one counts. */
static void
cp_fresh(struct cp *cp)
{
	cp->requests = 0;
	cp->credit = 0;
	cp->failures = 0;
	cp->options_off = 0;
}

/* --- actions, RFC 1661 4.4 ------------------------------------------- */

static void
do_tld(struct cp *cp, const struct cp_input *in)
{
	(void)in;
	cp_fresh(cp);
	cp->ops->down(cp);
}

static void
do_irc(struct cp *cp, const struct cp_input *in)
{
	(void)in;
	cp->restart = cp->state == CP_CLOSING || cp->state == CP_STOPPING ?
	    PPP_MAX_TERMINATE : (uint16_t)lns.config.ppp_max_configure;
}

static void
do_zrc(struct cp *cp, const struct cp_input *in)
{
	(void)in;
	cp->restart = 0;
	cp_arm(cp);
}

static void
do_scr(struct cp *cp, const struct cp_input *in)
{
	uint8_t buf[PACKET_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	/* The same request again keeps its id: a late answer still counts. */
	if (in->event != CP_TO_PLUS || cp->answered)
		cp->id++;
	cp->answered = false;
	cp->requests++;
	if (cp->restart > 0)
		cp->restart--;
	ppp_packet_begin(&w, CONFIGURE_REQUEST, cp->id);
	put_request(cp, &w);
	cp_send(cp, buf, ppp_packet_end(&w));
	cp_arm(cp);
}

static void
do_str(struct cp *cp, const struct cp_input *in)
{
	(void)in;
	cp_terminate(cp);
	if (cp->restart > 0)
		cp->restart--;
	cp_arm(cp);
}

static void
do_sca(struct cp *cp, const struct cp_input *in)
{
	cp->failures = 0;
	cp_send(cp, in->reply, in->reply_len);
}

/*
 * The same request again means that our answer was lost, not that there is no
 * agreement: only another one counts (RFC 1661 4.6, 5.1).
 */
static void
do_scn(struct cp *cp, const struct cp_input *in)
{
	if (cp->failures < UINT16_MAX &&
	    (cp->failures == 0 || in->pkt->id != cp->refused_id))
		cp->failures++;
	cp->refused_id = in->pkt->id;
	cp_send(cp, in->reply, in->reply_len);
}

static void
do_sta(struct cp *cp, const struct cp_input *in)
{
	cp_send_code(cp, TERMINATE_ACK, in->pkt != NULL ? in->pkt->id : cp->id);
}

static void
do_scj(struct cp *cp, const struct cp_input *in)
{
	uint8_t buf[PACKET_MAX];

	cp_send(cp, buf, code_reject_encode(buf, cp_limit(cp),
	    ++cp->reject_id, in->pkt));
}

static void
do_ser(struct cp *cp, const struct cp_input *in)
{
	if (cp->ops->echo != NULL && in->pkt != NULL)
		cp->ops->echo(cp, in->pkt);
}

static void
do_tlu(struct cp *cp, const struct cp_input *in)
{
	(void)in;
	cp->requests = 0;
	cp->credit = 0;
	cp->ops->up(cp);
}

static void
do_tls(struct cp *cp, const struct cp_input *in)
{
	/* The layer below is always there: an L2TP call that is up. */
	(void)in;
	(void)cp;
}

static void
do_tlf(struct cp *cp, const struct cp_input *in)
{
	(void)in;
	cp->ops->finished(cp);
}

/* In the order of their bits. */
static const struct {
	void (*act)(struct cp *, const struct cp_input *);
	const char *name;
} cp_actions[ACTIONS] = {
	{ do_tld, "tld" }, { do_irc, "irc" }, { do_zrc, "zrc" },
	{ do_scr, "scr" }, { do_str, "str" }, { do_sca, "sca" },
	{ do_scn, "scn" }, { do_sta, "sta" }, { do_scj, "scj" },
	{ do_ser, "ser" }, { do_tlu, "tlu" }, { do_tls, "tls" },
	{ do_tlf, "tlf" }
};

const char *
cp_cell_text(enum cp_event event, enum cp_state state, char dst[CP_CELL])
{
	const struct cp_cell *cell = &cp_table[event][state];
	size_t i, n = 0;

	if (cell->next == CP_STATES)
		return "-";
	dst[0] = '\0';
	for (i = 0; i < ACTIONS; i++)
		if (cell->actions & 1u << i)
			n += (size_t)snprintf(dst + n, CP_CELL - n, "%s%s",
			    n > 0 ? "," : "", cp_actions[i].name);
	snprintf(dst + n, CP_CELL - n, "%s%d", n > 0 ? "/" : "", cell->next);
	return dst;
}

/* --- the machine ----------------------------------------------------- */

/* RFC 1661 4.6: the timer runs while an answer is awaited. */
static bool
timer_runs_in(uint8_t state)
{
	return state >= CP_CLOSING && state <= CP_ACKSENT;
}

static void
cp_set_state(struct cp *cp, uint8_t next, enum cp_event event)
{
	struct session *s = cp->ops->session(cp);

	if (cp->state != next && log_get_level() >= LOG_L_CALL)
		log_line(LOG_L_CALL, s->tid, s->sid, "%s: %s -> %s on %s",
		    cp->ops->name, state_names[cp->state], state_names[next],
		    event_names[event]);
	cp->state = next;
	if (!timer_runs_in(next))
		timer_disarm(&cp->timer);
}

/*
 * May another Configure-Request go out before the layer is up?  Counts what
 * the restart counter of the RFC forgets at each Ack, Nak and Reject.
 */
static bool
request_allowed(const struct cp *cp)
{
	return cp->requests <
	    lns.config.ppp_max_configure + (int64_t)cp->credit;
}

static void
cp_run(struct cp *cp, const struct cp_input *in)
{
	const struct cp_cell *cell = &cp_table[in->event][cp->state];
	struct cp_input give_up = { .event = CP_TO_MINUS };
	size_t i;

	if (cell->next == CP_STATES)
		return;
	if (cp->state < CP_REQSENT) {
		cp_fresh(cp);
	} else if ((cell->actions & scr) != 0 && !request_allowed(cp) &&
	    cp->state != CP_OPENED) {
		cp->why = in->event == CP_TO_PLUS ? CP_WHY_SILENT :
		    CP_WHY_ENDLESS;
		cp_run(cp, &give_up);
		return;
	}
	cp_set_state(cp, cell->next, in->event);
	for (i = 0; i < ACTIONS; i++) {
		if ((cell->actions & 1u << i) == 0)
			continue;
		cp_actions[i].act(cp, in);
		/* An action may have ended the session: that goes first. */
		if (cp->state != cell->next)
			return;
	}
}

static void
cp_timeout(struct timer *t)
{
	struct cp *cp = timer_owner(t, struct cp, timer);
	struct cp_input in = { .event = CP_TO_PLUS };

	if (cp->restart == 0) {
		in.event = CP_TO_MINUS;
		if (cp->state >= CP_REQSENT)
			cp->why = CP_WHY_SILENT;
	}
	cp_run(cp, &in);
}

void
cp_event(struct cp *cp, enum cp_event event)
{
	struct cp_input in = { .event = event };

	if (event == CP_RXJ_MINUS)
		cp->why = CP_WHY_REFUSED;
	cp_run(cp, &in);
}

static void
cp_packet_event(struct cp *cp, enum cp_event event,
    const struct ppp_packet *pkt)
{
	struct cp_input in = { .event = event, .pkt = pkt };

	cp_run(cp, &in);
}

void
cp_echo(struct cp *cp, const struct ppp_packet *pkt)
{
	cp_packet_event(cp, CP_RXR, pkt);
}

/* --- the peer's Configure-Request ------------------------------------ */

/* What a review gathers: a Nak and a Reject, both within the peer's MRU. */
struct review {
	struct wr nak, reject;
	bool nakked, rejected;
	bool stubborn;		/* Max-Failure reached: no more Naks */
	uint32_t seen;		/* bit n: our row n was in the request */
};

static int
find_row(const struct cp *cp, uint8_t type)
{
	size_t i;

	for (i = 0; i < cp->ops->noptions; i++)
		if (cp->ops->options[i].type == type)
			return (int)i;
	return -1;
}

static enum cp_verdict
review_value(struct cp *cp, const struct cp_option *row, struct rd *value,
    struct review *rv)
{
	uint8_t better[UINT8_MAX];
	struct wr w = wr_init(better, sizeof(better));
	enum cp_verdict verdict = row->review(cp, value, &w);

	if (verdict != CP_NAK)
		return verdict;
	if (rv->stubborn)
		return CP_REJECT;
	rv->nakked = true;
	/* What does not fit is said the next time. */
	ppp_opt_put(&rv->nak, row->type, better, wr_len(&w));
	return CP_NAK;
}

static void
review_option(struct cp *cp, const struct ppp_opt *opt, struct review *rv)
{
	int i = find_row(cp, opt->type);
	const struct cp_option *row = i >= 0 ? &cp->ops->options[i] : NULL;
	struct rd value = rd_init(opt->value, opt->len);
	enum cp_verdict verdict = CP_REJECT;

	/*
	 * An option listed twice is refused the second time (RFC 1661 6), so
	 * that an Ack never is longer than our rows.
	 */
	if (row != NULL && row->review != NULL &&
	    (rv->seen & UINT32_C(1) << i) == 0) {
		rv->seen |= UINT32_C(1) << i;
		value.bad = opt->len != row->len;
		verdict = review_value(cp, row, &value, rv);
	}
	if (verdict == CP_REJECT) {
		rv->rejected = true;
		ppp_opt_put(&rv->reject, opt->type, opt->value, opt->len);
	}
}

/* Options that must be there and are not (RFC 1661 5.3: "may be appended"). */
static void
review_missing(struct cp *cp, struct review *rv)
{
	struct rd none = { .bad = true };
	size_t i;

	for (i = 0; i < cp->ops->noptions; i++)
		if (cp->ops->options[i].needed && !rv->stubborn &&
		    (rv->seen & UINT32_C(1) << i) == 0)
			review_value(cp, &cp->ops->options[i], &none, rv);
}

/*
 * Writes the answer into buf and returns its length: Reject before Nak before
 * Ack (RFC 1661 5.4).  0: there is no answer that fits.
 */
static size_t
review_request(struct cp *cp, const struct ppp_packet *pkt, uint8_t *buf,
    size_t size, bool *good)
{
	uint8_t nak[PACKET_MAX];
	struct review rv = {
		.nak = wr_init(nak, size),
		.reject = wr_init(buf, size),
		.stubborn = cp->failures >= lns.config.ppp_max_failure,
	};
	struct rd r = rd_init(pkt->data, pkt->len);
	struct ppp_opt opt;
	struct wr ack;
	size_t len;

	ppp_packet_begin(&rv.nak, CONFIGURE_NAK, pkt->id);
	ppp_packet_begin(&rv.reject, CONFIGURE_REJECT, pkt->id);
	if (cp->ops->review != NULL)
		cp->ops->review(cp);
	while (ppp_opt_next(&r, &opt))
		review_option(cp, &opt, &rv);
	review_missing(cp, &rv);

	*good = false;
	if (rv.rejected)
		return wr_len(&rv.reject) > PPP_HEADER ?
		    ppp_packet_end(&rv.reject) : 0;
	if (rv.nakked) {
		len = wr_len(&rv.nak) > PPP_HEADER ?
		    ppp_packet_end(&rv.nak) : 0;
		memcpy(buf, nak, len);
		return len;
	}
	*good = true;
	ack = wr_init(buf, size);
	ppp_packet_begin(&ack, CONFIGURE_ACK, pkt->id);
	wr_bytes(&ack, pkt->data, pkt->len);
	return ppp_packet_end(&ack);
}

static void
recv_Configure_Request(struct cp *cp, const struct ppp_packet *pkt)
{
	uint8_t buf[PACKET_MAX];
	struct cp_input in = { .event = CP_RCR_PLUS, .pkt = pkt };
	bool good = true;

	if (!ppp_opts_valid(pkt->data, pkt->len)) {
		COUNT(ppp_rx_malformed);
		return;
	}
	/* Elsewhere the table has no use for the answer. */
	if (cp->state == CP_STOPPED || cp->state >= CP_REQSENT) {
		in.reply = buf;
		in.reply_len = review_request(cp, pkt, buf, cp_limit(cp),
		    &good);
		if (in.reply_len == 0) {
			COUNT(ppp_rx_malformed);
			return;
		}
	}
	if (!good)
		in.event = CP_RCR_MINUS;
	cp_run(cp, &in);
}

/* --- the peer's answers to ours -------------------------------------- */

/*
 * RFC 1661 5.2 to 5.4: the id must be that of our last request.  In the
 * states in which none is out the table speaks for itself.
 */
static bool
reply_fits(struct cp *cp, const struct ppp_packet *pkt)
{
	if (!ppp_opts_valid(pkt->data, pkt->len)) {
		COUNT(ppp_rx_malformed);
		return false;
	}
	if (cp->state < CP_REQSENT)
		return true;
	return pkt->id == cp->id && !cp->answered;
}

static void
recv_Configure_Ack(struct cp *cp, const struct ppp_packet *pkt)
{
	uint8_t buf[PACKET_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	if (!reply_fits(cp, pkt))
		return;
	if (cp->state >= CP_REQSENT) {
		/* Option for option what we asked (RFC 1661 5.2). */
		put_request(cp, &w);
		if (wr_len(&w) != pkt->len ||
		    memcmp(buf, pkt->data, pkt->len) != 0) {
			COUNT(ppp_rx_malformed);
			return;
		}
		cp->answered = true;
	}
	cp_packet_event(cp, CP_RCA, pkt);
}

static void
take_refusal(struct cp *cp, const struct ppp_packet *pkt)
{
	struct rd value, r = rd_init(pkt->data, pkt->len);
	const struct cp_option *row;
	struct ppp_opt opt;
	int i;

	while (ppp_opt_next(&r, &opt)) {
		i = find_row(cp, opt.type);
		if (i < 0 || !row_requested(cp, (size_t)i))
			continue;
		row = &cp->ops->options[i];
		if (pkt->code == CONFIGURE_REJECT) {
			cp->options_off |= UINT32_C(1) << i;
			if (row->rejected != NULL)
				row->rejected(cp);
		} else if (row->nakked != NULL) {
			value = rd_init(opt.value, opt.len);
			row->nakked(cp, &value);
		}
	}
}

/* Configure-Nak and Configure-Reject are one event to the table, RCN. */
static void
recv_Configure_Nak(struct cp *cp, const struct ppp_packet *pkt)
{
	if (!reply_fits(cp, pkt))
		return;
	if (cp->state >= CP_REQSENT) {
		cp->answered = true;
		if (cp->credit < lns.config.ppp_max_failure)
			cp->credit++;
		take_refusal(cp, pkt);
	}
	cp_packet_event(cp, CP_RCN, pkt);
}

/* --- the rest -------------------------------------------------------- */

static void
recv_Terminate_Request(struct cp *cp, const struct ppp_packet *pkt)
{
	if (cp->state == CP_OPENED)
		cp->why = CP_WHY_PEER;
	cp_packet_event(cp, CP_RTR, pkt);
}

static void
recv_Terminate_Ack(struct cp *cp, const struct ppp_packet *pkt)
{
	cp_packet_event(cp, CP_RTA, pkt);
}

/* RFC 1661 4.3: fatal when it is a code without which nothing works. */
static void
recv_Code_Reject(struct cp *cp, const struct ppp_packet *pkt)
{
	struct rd r = rd_init(pkt->data, pkt->len);
	uint8_t code = rd_u8(&r);

	if (r.bad) {
		COUNT(ppp_rx_malformed);
		return;
	}
	cp_event(cp, code >= CONFIGURE_REQUEST && code <= CODE_REJECT ?
	    CP_RXJ_MINUS : CP_RXJ_PLUS);
}

static void (*const cp_recv[])(struct cp *, const struct ppp_packet *) = {
	[CONFIGURE_REQUEST] = recv_Configure_Request,
	[CONFIGURE_ACK] = recv_Configure_Ack,
	[CONFIGURE_NAK] = recv_Configure_Nak,
	[CONFIGURE_REJECT] = recv_Configure_Nak,
	[TERMINATE_REQUEST] = recv_Terminate_Request,
	[TERMINATE_ACK] = recv_Terminate_Ack,
	[CODE_REJECT] = recv_Code_Reject,
};

void
cp_input(struct cp *cp, const void *info, size_t len)
{
	struct ppp_packet pkt;

	if (!ppp_packet_decode(&pkt, info, len)) {
		COUNT(ppp_rx_malformed);
		return;
	}
	if (pkt.code >= CONFIGURE_REQUEST && pkt.code <= CODE_REJECT)
		cp_recv[pkt.code](cp, &pkt);
	else if (cp->ops->extra == NULL || !cp->ops->extra(cp, &pkt))
		cp_packet_event(cp, CP_RUC, &pkt);
}

void
cp_terminate(struct cp *cp)
{
	cp_send_code(cp, TERMINATE_REQUEST, ++cp->id);
}

void
cp_init(struct cp *cp, const struct cp_ops *ops)
{
	cp_stop(cp);
	*cp = (struct cp){ .ops = ops };
	cp->timer.fire = cp_timeout;
}

void
cp_resume(struct cp *cp, uint8_t id, uint8_t reject_id, uint32_t options_off)
{
	cp->state = CP_OPENED;
	cp->id = id;
	cp->reject_id = reject_id;
	cp->options_off = options_off;
	cp->answered = true;
}

void
cp_stop(struct cp *cp)
{
	timer_disarm(&cp->timer);
	cp->state = CP_INITIAL;
}

bool
cp_option_off(const struct cp *cp, uint8_t type)
{
	int i = find_row(cp, type);

	return i >= 0 && (cp->options_off & UINT32_C(1) << i) != 0;
}

void
cp_drop_option(struct cp *cp, uint8_t type)
{
	int i = find_row(cp, type);

	if (i >= 0)
		cp->options_off |= UINT32_C(1) << i;
}
