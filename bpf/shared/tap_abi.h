/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/shared/tap_abi.h - what tap.bpf.c and engine/tap agree on: included by
 * both (BPF C, C11, C++), mirrored by neither.  Fixed widths, explicit padding,
 * no bit-fields.
 *
 * VERSION  A layout change bumps TAP_ABI_VERSION (records, flows, config) or
 *          TAP_DROPS_VERSION (what is pinned for drops).  Both are part of the
 *          pin directory's name, so a program never meets maps of another layout.
 * ORDER    Numbers are in host byte order unless a name ends in _be.  Addresses
 *          are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d.
 * TIME     CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns).
 * SIDE     A flow key is normalised: side 0 is the smaller (address, port) by
 *          byte order.  Per-direction state is indexed by the side that sent.
 */
#ifndef SLUICE_BPF_SHARED_TAP_ABI_H_
#define SLUICE_BPF_SHARED_TAP_ABI_H_

#ifndef __bpf__			/* lib/vmlinux_min.h has them for BPF */
#include <linux/types.h>
#endif

#ifdef __cplusplus
#define TAP_ASSERT(cond, what) static_assert(cond, what)
#else
#define TAP_ASSERT(cond, what) _Static_assert(cond, what)
#endif

#define TAP_ABI_VERSION		1
#define TAP_DROPS_VERSION	1
#define TAP_MAX_DATA		16384	/* bytes in the largest record */
#define TAP_HEADER_ROOM		256	/* bytes: longer headers are not split */
#define TAP_PIECE_BYTES		(TAP_MAX_DATA - TAP_HEADER_ROOM)
#define TAP_MAX_PIECES		64	/* records per skb, GSO included */
#define TAP_MAX_EXT_HEADERS	16	/* IPv6 extension headers walked */
#define TAP_BATCH		256	/* flow requests per run */
#define TAP_DEFAULT_MARK	0x736c7500u	/* "slu\0": SO_MARK of our own packets */

/* ---- flows -------------------------------------------------------------- */

struct tap_flow_key {
	__u8  address[2][16];
	__u16 port[2];		/* 0 unless TCP or UDP with its header in sight */
	__u32 vlan_protocol;	/* outer id << 20 | inner id << 8 | IP protocol */
};
TAP_ASSERT(sizeof(struct tap_flow_key) == 40, "tap_flow_key layout");

/* What is done with a flow's packets. */
enum tap_verdict {
	TAP_INSPECT = 0,	/* slices up to the budget */
	TAP_BYPASS,		/* pass, counters only */
	TAP_DROP,		/* as the drop_flows entry says; lifted with it */
};

/* First guess from the first payload bytes.  A hint for policy and for the
 * order in which dissectors are asked; never an answer. */
enum tap_guess {
	TAP_GUESS_NONE = 0,	/* no payload yet */
	TAP_GUESS_UNKNOWN,
	TAP_GUESS_SSH,		/* "SSH-" */
	TAP_GUESS_HTTP,		/* method and a space, or "HTTP/1." */
	TAP_GUESS_HTTP2,	/* "PRI * HTTP/2" */
	TAP_GUESS_TLS,		/* handshake record */
	TAP_GUESS_DNS,		/* plausible header */
	TAP_GUESS_RDP,		/* TPKT with an X.224 connection request/confirm */
	TAP_GUESS_SMTP,		/* "220 ", EHLO, HELO */
	TAP_GUESS_SMB,		/* NetBIOS session + 0xfe/0xff 'SMB' */
	TAP_GUESS_QUIC,		/* long header, version 1 or 2 */
	TAP_GUESS_MAX,
};

enum {	/* tap_flow.flags */
	TAP_FLOW_VERDICT_SET = 1,	/* by user space: policy no longer decides */
	TAP_FLOW_CLOSED = 2,		/* RST, or FIN from both sides */
	TAP_FLOW_MIDSTREAM = 4,		/* TCP picked up without its SYN */
	TAP_FLOW_SYN_SEEN = 8,
	TAP_FLOW_POLICY_DROP = 16,	/* a guess policy says drop */
};

struct tap_flow_side {		/* packets sent by this side */
	__u64 packets;
	__u64 bytes;		/* on the wire, from the link header on */
	__u64 first_ns;		/* 0: nothing sent */
	__u64 last_ns;
	__u64 budget;		/* payload bytes of this side that may be sent to user
				 * space since the flow began; TAP_BUDGET_ALL: no end */
	__u64 budget_used;	/* payload bytes that were */
	__u32 next_seq;		/* TCP: highest sequence number seen, + 1 */
	__u32 isn;		/* TCP: of the SYN */
	__u32 last_ack;		/* TCP: last acknowledgement sent to user space */
	__u32 retransmissions;	/* skbs that begin below next_seq */
	__u32 out_of_order;	/* skbs that begin above next_seq */
	__u32 lost_slices;	/* records that did not fit the ring */
	__u32 sliced_end;	/* TCP: end of the payload sent to user space, once
				 * budget_used is not 0 */
	__u8  tcp_flags;	/* all flags seen, or-ed */
	__u8  guess;		/* enum tap_guess from this side's first payload */
	__u8  pad[2];
};
TAP_ASSERT(sizeof(struct tap_flow_side) == 80, "tap_flow_side layout");

struct tap_flow {
	struct tap_flow_side side[2];
	__u64 syn_ns;
	__u64 synack_ns;
	__u64 cause_sid;	/* what set the verdict: rule, or 0 */
	__u32 cause_origin;	/* enum tap_origin */
	__u32 rtt_server_ns;	/* SYN -> SYN/ACK at this host, 0: not seen */
	__u32 rtt_client_ns;	/* SYN/ACK -> ACK */
	__u32 drop_generation;	/* of drop_control when drops were last looked up */
	__u32 policy_generation;	/* of tap_config when policy was */
	__u32 hash;		/* symmetric; ring = hash % num_rings */
	__u32 ifindex;		/* of the first packet */
	__u8  initiator;	/* side that sent first, or the SYN */
	__u8  verdict;		/* enum tap_verdict */
	__u8  guess;		/* the first decided one of both sides */
	__u8  flags;
};
TAP_ASSERT(sizeof(struct tap_flow) == 216, "tap_flow layout");

#define TAP_BUDGET_ALL	(~0ull)
#define TAP_BUDGET_KEEP	(~0ull - 1)	/* in a request: leave as it is */

/* ---- ring records -------------------------------------------------------- */

enum tap_record_type {
	TAP_RECORD_PACKET = 1,	/* data: a frame, see below */
	TAP_RECORD_FLOW_END,	/* data: struct tap_flow_end */
};

enum {	/* tap_record.flags */
	TAP_REC_PIECE = 1,	/* one of several records made of one skb */
	TAP_REC_HEADERS_ONLY = 2,	/* no payload in this record */
	TAP_REC_FRAGMENT = 4,	/* IP fragment */
	TAP_REC_NEW_FLOW = 8,	/* first packet of its flow entry */
	TAP_REC_CUT = 16,	/* payload was left out: past the budget */
	TAP_REC_RAW = 32,	/* data begins with the IP header: no link header */
};

enum { TAP_INGRESS = 0, TAP_EGRESS = 1 };

/* A PACKET's data parses like a captured Ethernet frame (with RAW, a captured IP
 * packet): bytes from offset 0,
 * with the hardware VLAN tag put back where the wire had it.  The pieces of a
 * split skb each carry the headers; sequence number, IP and UDP length, and
 * FIN/PSH are those of the piece, so it looks like a segment of its own.  So does
 * a TCP segment that the budget cuts: its lengths are those of what is here, and
 * its FIN or RST follows in a record of its own, at its place in the sequence.
 * Datagrams, fragments, and what has more than TAP_HEADER_ROOM bytes of headers, are
 * sent whole or not at all.
 * Checksums are not to be trusted: of a piece never, of others because offload
 * has not filled them in yet. */
struct tap_record {
	__u64 time_ns;
	__u32 type;		/* enum tap_record_type */
	__u32 ifindex;
	__u32 wire_len;		/* bytes of this packet or piece, from the link header */
	__u32 cap_len;		/* bytes valid in data[], <= TAP_MAX_DATA, <= wire_len */
	__u32 hash;		/* of the flow, symmetric */
	__u32 piece_offset;	/* of this piece's payload in the skb's payload */
	__u32 lost_slices;	/* of this flow and side, before this record */
	__u16 payload_offset;	/* of the transport payload in data[] */
	__u8  direction;	/* TAP_INGRESS, TAP_EGRESS */
	__u8  flags;
	__u8  side;		/* that sent it */
	__u8  initiator;	/* side that began the flow */
	__u8  guess;		/* enum tap_guess of the flow */
	__u8  pad[5];
};				/* data[cap_len] follows: tap_record_data() */
TAP_ASSERT(sizeof(struct tap_record) == 48, "tap_record layout");

static inline const __u8 *tap_record_data(const struct tap_record *record)
{
	return (const __u8 *)(record + 1);
}

enum tap_end_reason {
	TAP_END_IDLE = 1,
	TAP_END_CLOSED,
	TAP_END_REUSED,		/* a SYN began another connection with the tuple */
	TAP_END_FLUSHED,
};

struct tap_flow_end {
	struct tap_flow_key key;
	struct tap_flow flow;
	__u32 reason;		/* enum tap_end_reason */
	__u32 pad;
};
TAP_ASSERT(sizeof(struct tap_flow_end) == 264, "tap_flow_end layout");

/* One per ring, on its own cache line.  The reader sets it before it sleeps; the
 * producer that takes it sends the one wake-up. */
struct tap_sleeping {
	__u32 value;
	__u32 pad[15];
};
TAP_ASSERT(sizeof(struct tap_sleeping) == 64, "tap_sleeping layout");

/* ---- policy -------------------------------------------------------------- */

enum tap_policy_kind {
	TAP_POLICY_PORT = 0,	/* protocol + value = port of either end, 0: any port */
	TAP_POLICY_GUESS,	/* value = enum tap_guess; overrides PORT once guessed */
	TAP_POLICY_DEFAULT,	/* protocol and value 0 */
};

enum tap_policy_action {
	TAP_POLICY_IGNORE = 0,
	TAP_POLICY_INSPECT,
	TAP_POLICY_DROP,
};

struct tap_policy_key {
	__u8  kind;		/* enum tap_policy_kind */
	__u8  protocol;		/* IP protocol; 0 with GUESS and DEFAULT */
	__u16 value;
};
TAP_ASSERT(sizeof(struct tap_policy_key) == 4, "tap_policy_key layout");

struct tap_policy {
	__u64 budget[2];	/* payload bytes to_server, to_client */
	__u32 action;		/* enum tap_policy_action */
	__u32 pad;
};
TAP_ASSERT(sizeof(struct tap_policy) == 24, "tap_policy layout");

/* ---- drops --------------------------------------------------------------- */

enum tap_drop_action {
	TAP_DROP_ALL = 0,
	TAP_DROP_ABOVE_RATE,	/* lets `rate` packets per second through */
};

enum tap_origin {		/* who asked; the sid says which of its rules */
	TAP_ORIGIN_NONE = 0,
	TAP_ORIGIN_RULE,
	TAP_ORIGIN_INSIGHT,
	TAP_ORIGIN_OPERATOR,
	TAP_ORIGIN_FEED,
	TAP_ORIGIN_POLICY,
};

struct tap_prefix {		/* key of the LPM maps */
	__u32 prefix_len;	/* bits, 0 .. 128; IPv4 /n is 96 + n */
	__u8  address[16];
};
TAP_ASSERT(sizeof(struct tap_prefix) == 20, "tap_prefix layout");

struct tap_drop {		/* value of drop_flows, drop_sources, drop_destinations */
	__u64 expires_ns;	/* 0: never */
	__u64 added_ns;
	__u64 sid;
	__u64 packets;		/* dropped */
	__u64 bytes;
	__u64 last_hit_ns;
	__u64 window_ns;	/* start of the running second of ABOVE_RATE */
	__u32 window_packets;
	__u32 rate;		/* packets per second, ABOVE_RATE only */
	__u32 origin;		/* enum tap_origin */
	__u8  action;		/* enum tap_drop_action */
	__u8  prefix_len;	/* as in the key; 0 in drop_flows */
	__u8  pad[2];
};
TAP_ASSERT(sizeof(struct tap_drop) == 72, "tap_drop layout");

/* The one entry of map drop_control, mmap-able. */
struct tap_drop_control {
	__u32 generation;	/* bump after any change of a drop map: flows look again */
	__u32 pad[15];
};
TAP_ASSERT(sizeof(struct tap_drop_control) == 64, "tap_drop_control layout");

/* ---- configuration ------------------------------------------------------- */

enum tap_fail_mode { TAP_FAIL_OPEN = 0, TAP_FAIL_CLOSED = 1 };

enum {	/* tap_config.flags */
	TAP_CONFIG_IGNORE_VLAN = 1,	/* VLAN ids are not part of the flow key */
};

/* The one entry of map tap_config, mmap-able; user space writes, BPF reads. */
struct tap_config {
	__u64 heartbeat_ns;	/* last sign of life; 0: none yet */
	__u64 heartbeat_timeout_ns;
	__u32 fail_mode;	/* enum tap_fail_mode */
	__u32 num_rings;	/* 1 .. */
	__u32 generation;	/* bump after a change of the policy map */
	__u32 bypass_mark;	/* packets with this skb mark pass unseen; 0: none */
	__u32 flags;
	__u32 pad[7];
};
TAP_ASSERT(sizeof(struct tap_config) == 64, "tap_config layout");

/* ---- requests (SEC("syscall")) ------------------------------------------- */

enum {	/* tap_request.what */
	TAP_SET_VERDICT = 1,
	TAP_SET_BUDGET = 2,
	TAP_ADD_DROP = 4,	/* also enter `drop` into drop_flows */
};

struct tap_request {
	struct tap_flow_key key;
	__u64 budget[2];	/* by side: payload bytes from now on, ALL, KEEP */
	__u64 sid;
	__u64 ttl_ns;		/* of the drop entry, 0: until deleted */
	__u32 origin;
	__u32 what;
	__u32 rate;		/* packets per second, 0: drop all */
	__u8  verdict;		/* enum tap_verdict */
	__u8  pad[3];
	__s32 result;		/* out: 0, -ENOENT no such flow, -E2BIG drops full */
	__u32 pad2;
};
TAP_ASSERT(sizeof(struct tap_request) == 96, "tap_request layout");

struct tap_request_run {	/* context of tap_apply */
	__u32 first;		/* index into tap_requests */
	__u32 count;		/* <= TAP_BATCH */
};

struct tap_sweep_run {		/* context of tap_sweep */
	__u64 now_ns;
	__u64 idle_tcp_ns;
	__u64 idle_other_ns;
	__u64 closed_ns;	/* after FIN/RST */
	__u32 seen;		/* out */
	__u32 ended;		/* out: reported and removed */
	__u32 kept;		/* out: due, but the ring was full */
	__u32 drops_expired;	/* out: drop_flows entries removed */
	__u32 all;		/* in: end every flow */
	__u32 pad;
};

/* ---- counters ------------------------------------------------------------ */

/* Index into the per-CPU map tap_counters.  Each packet leaves by exactly one
 * EXIT, so their sum is the number of packets seen.  X(name, help) */
#define TAP_COUNTERS(X)								\
	X(EXIT_MARKED, "passed: carries our own mark")				\
	X(EXIT_NOT_IP, "passed: not IP")					\
	X(EXIT_MALFORMED, "passed: IP or transport header cut or contradictory")\
	X(EXIT_IGNORED, "passed: policy says ignore")				\
	X(EXIT_BYPASSED, "passed: flow is bypassed")				\
	X(EXIT_PAST_BUDGET, "passed: slice budget of its direction is used up")	\
	X(EXIT_NOTHING, "passed: inspected, but nothing new to tell")		\
	X(EXIT_SENT, "passed: sent to user space")				\
	X(EXIT_LOST_RING_FULL, "passed: record lost, user space too slow")	\
	X(EXIT_LOST_LOAD, "passed: record lost, packet bytes unreadable")	\
	X(EXIT_LOST_SIZE, "passed: record lost, too large for one and not to be split")\
	X(EXIT_LOST_NO_FLOW, "passed: no flow entry to be had")			\
	X(EXIT_NO_CONFIG, "passed: not configured")				\
	X(EXIT_DROP_FLOW, "dropped: flow in drop_flows")			\
	X(EXIT_DROP_SOURCE, "dropped: source prefix")				\
	X(EXIT_DROP_DESTINATION, "dropped: destination prefix")			\
	X(EXIT_DROP_RATE, "dropped: above the rate of a drop entry")		\
	X(EXIT_DROP_POLICY, "dropped: port or protocol policy")			\
	X(EXIT_DROP_FAIL_CLOSED, "dropped: new flow while the engine is dead")	\
	X(RECORDS, "records sent")						\
	X(RECORD_BYTES, "bytes in records sent")				\
	X(LOST_RECORDS, "records that did not fit the ring")			\
	X(LOST_BYTES, "payload bytes in records that did not fit the ring")	\
	X(LOST_UNSPLIT_BYTES, "payload bytes beyond the pieces of one packet, or of one not to be split") \
	X(WAKEUPS, "wake-ups of a sleeping reader")				\
	X(FLOWS_CREATED, "flow entries made")					\
	X(FLOWS_REUSED, "flow entries begun again by a SYN")			\
	X(FLOW_ENDS_LOST, "flow ends not reported, ring full")			\
	X(NEVER_BLOCK, "packets passed only by the never-block list")		\
	X(FRAGMENTS, "IP fragments")						\
	X(FRAGMENTS_UNKNOWN, "IP fragments without a known first one")		\
	X(EXT_HEADERS, "IPv6 packets with more extension headers than walked")	\
	X(GUESSED, "flows whose protocol was guessed")

enum tap_counter {
#define TAP_COUNTER_ENUM(name, help) TAP_##name,
	TAP_COUNTERS(TAP_COUNTER_ENUM)
#undef TAP_COUNTER_ENUM
	TAP_COUNTER_MAX,
};

#endif /* SLUICE_BPF_SHARED_TAP_ABI_H_ */
