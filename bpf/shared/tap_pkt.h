/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/shared/tap_pkt.h - what the kernel's parser found in a packet.  Shared with
 * the test that holds it against the user-space decoder; not pinned, no ABI. */
#ifndef SLUICE_BPF_SHARED_TAP_PKT_H_
#define SLUICE_BPF_SHARED_TAP_PKT_H_

#include "tap_abi.h"

union tap_addr {		/* network order, IPv4 mapped */
	__u8  b[16];
	__u32 w[4];
	__u64 q[2];
};

enum tap_link {			/* what an interface's packets begin with */
	TAP_LINK_ETHERNET = 0,
	TAP_LINK_RAW,		/* IP: tun, WireGuard, IP tunnels */
};

enum { FRAG_NONE = 0, FRAG_FIRST, FRAG_LATER };

struct tap_pkt {
	union tap_addr src, dst;
	__u32 l3_off;		/* offsets in the skb, without a hardware tag */
	__u32 l4_off;
	__u32 payload_off;
	__u32 payload_len;	/* bytes, as IP and UDP lengths say */
	__u32 seq, ack;
	__u32 frag_id;		/* network order */
	__u16 sport, dport;	/* host order; 0 unless TCP/UDP in sight */
	__u16 vlan[2];		/* ids, outer first */
	__u8  ip_version;
	__u8  protocol;
	__u8  tcp_flags;
	__u8  fragment;		/* FRAG_* */
	__u8  has_l4;		/* TCP or UDP header was read: not of a fragment */
	__u8  hw_tag;		/* outer tag is in the skb's metadata */
	__u8  ext_overflow;	/* more IPv6 extension headers than walked */
	__u8  slack;		/* IP goes on behind the UDP payload */
};

enum { PARSE_OK = 0, PARSE_NOT_IP, PARSE_MALFORMED };

#endif /* SLUICE_BPF_SHARED_TAP_PKT_H_ */
