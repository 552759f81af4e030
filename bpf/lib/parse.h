/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/parse.h - from the link header to the transport payload.
 *
 * Agrees with the user-space decoder on every packet (tests/bpf checks it).
 * Bounds: 3 VLAN tags, TAP_MAX_EXT_HEADERS extension headers. */
#ifndef SLUICE_BPF_LIB_PARSE_H_
#define SLUICE_BPF_LIB_PARSE_H_

#include "vmlinux_min.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../shared/tap_abi.h"
#include "../shared/tap_pkt.h"

#define ETH_HLEN	14
#define ETH_P_IP	0x0800
#define ETH_P_IPV6	0x86dd
#define ETH_P_8021Q	0x8100
#define ETH_P_8021AD	0x88a8
#define ETH_P_QINQ1	0x9100

#define IPPROTO_HOPOPTS		0
#define IPPROTO_ICMP		1
#define IPPROTO_TCP		6
#define IPPROTO_UDP		17
#define IPPROTO_ROUTING		43
#define IPPROTO_FRAGMENT	44
#define IPPROTO_AH		51
#define IPPROTO_ICMPV6		58
#define IPPROTO_DSTOPTS		60
#define IPPROTO_SCTP		132
#define IPPROTO_MOBILITY	135
#define IPPROTO_HIP		139
#define IPPROTO_SHIM6		140

#define TCP_FIN	0x01
#define TCP_SYN	0x02
#define TCP_RST	0x04
#define TCP_PSH	0x08
#define TCP_ACK	0x10

#define MAX_OFFSET	0x7fff	/* bytes: packet access beyond is refused */

struct ipv4_header {
	__u8  ver_ihl, tos;
	__be16 tot_len, id, frag_off;
	__u8  ttl, protocol;
	__be16 check;
	__be32 saddr, daddr;
};

struct ipv6_header {
	__be32 ver_class_flow;
	__be16 payload_len;
	__u8  next, hop_limit;
	__be32 saddr[4], daddr[4];
};

struct ext_header {
	__u8  next, len;
	__be16 frag_off;	/* fragment header only */
	__be32 frag_id;
};

struct tcp_header {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8  doff, flags;
	__be16 window, check, urgent;
};

struct udp_header {
	__be16 sport, dport, len, check;
};

/* Reads T at `off` into `out`: directly where the linear part has it, by the
 * helper otherwise.  0 or negative. */
#define READ(skb, off, out)							\
({										\
	void *start_ = (void *)(long)(skb)->data;				\
	void *end_ = (void *)(long)(skb)->data_end;				\
	__u32 off_ = (off);							\
	int rc_ = -1;								\
	/* The bound is for the verifier: packet pointers move by 16 bits. */	\
	if (off_ <= MAX_OFFSET) {						\
		void *at_ = start_ + off_;					\
		if (at_ + sizeof(*(out)) <= end_) {				\
			*(out) = *(typeof(out))at_;				\
			rc_ = 0;						\
		} else {							\
			rc_ = bpf_skb_load_bytes(skb, off_, out, sizeof(*(out)));\
		}								\
	}									\
	rc_;									\
})

static __always_inline int parse_tcp(struct __sk_buff *skb, struct tap_pkt *p, __u32 end)
{
	struct tcp_header th;
	__u32 len;

	if (p->l4_off + sizeof(th) > end || READ(skb, p->l4_off, &th))
		return PARSE_MALFORMED;
	len = (th.doff >> 4) * 4;
	if (len < sizeof(th) || p->l4_off + len > end)
		return PARSE_MALFORMED;
	p->sport = bpf_ntohs(th.sport);
	p->dport = bpf_ntohs(th.dport);
	p->seq = bpf_ntohl(th.seq);
	p->ack = bpf_ntohl(th.ack);
	p->tcp_flags = th.flags;
	p->payload_off = p->l4_off + len;
	p->payload_len = end - p->payload_off;
	p->has_l4 = 1;
	return PARSE_OK;
}

static __always_inline int parse_udp(struct __sk_buff *skb, struct tap_pkt *p, __u32 end)
{
	struct udp_header uh;
	__u32 len;

	if (p->l4_off + sizeof(uh) > end || READ(skb, p->l4_off, &uh))
		return PARSE_MALFORMED;
	len = bpf_ntohs(uh.len);
	if (len < sizeof(uh))
		return PARSE_MALFORMED;
	p->sport = bpf_ntohs(uh.sport);
	p->dport = bpf_ntohs(uh.dport);
	p->payload_off = p->l4_off + sizeof(uh);
	p->payload_len = end - p->payload_off;
	/* A GSO skb keeps the length of its first datagram or of the whole. */
	if (!skb->gso_size) {
		if (len - sizeof(uh) > p->payload_len)
			return PARSE_MALFORMED;
		p->slack = len - sizeof(uh) < p->payload_len;
		p->payload_len = len - sizeof(uh);
	}
	p->has_l4 = 1;
	return PARSE_OK;
}

/* The first fragment's ports; its header may be cut, and its payload is whatever
 * follows IP: user space looks again once it has put the packet together. */
static __always_inline void read_ports(struct __sk_buff *skb, struct tap_pkt *p, __u32 end)
{
	struct { __be16 sport, dport; } ports;

	if ((p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP) ||
	    p->l4_off + sizeof(ports) > end || READ(skb, p->l4_off, &ports))
		return;
	p->sport = bpf_ntohs(ports.sport);
	p->dport = bpf_ntohs(ports.dport);
}

/* A header of `len` bytes that holds nothing we need. */
static __always_inline int skip_header(struct tap_pkt *p, __u32 end, __u32 len)
{
	if (p->l4_off + len > end)
		return PARSE_MALFORMED;
	p->payload_off = p->l4_off + len;
	p->payload_len = end - p->payload_off;
	return PARSE_OK;
}

static __always_inline int parse_l4(struct __sk_buff *skb, struct tap_pkt *p, __u32 end)
{
	p->payload_off = p->l4_off;
	p->payload_len = end - p->l4_off;
	if (p->fragment == FRAG_FIRST)
		read_ports(skb, p, end);
	if (p->fragment)
		return PARSE_OK;
	if (p->protocol == IPPROTO_TCP)
		return parse_tcp(skb, p, end);
	if (p->protocol == IPPROTO_UDP)
		return parse_udp(skb, p, end);
	if (p->protocol == (p->ip_version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return skip_header(p, end, 8);
	if (p->protocol == IPPROTO_SCTP)
		return skip_header(p, end, 12);
	return PARSE_OK;
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct tap_pkt *p)
{
	struct ipv4_header ih;
	__u32 len, header, frag, avail;

	if (READ(skb, p->l3_off, &ih) || (ih.ver_ihl >> 4) != 4)
		return PARSE_MALFORMED;
	header = (ih.ver_ihl & 15) * 4;
	avail = skb->len - p->l3_off;
	len = bpf_ntohs(ih.tot_len);
	if (len == 0 && skb->gso_size)	/* larger than 64 KiB, or TSO left it empty */
		len = avail;
	if (header < sizeof(ih) || header > len || len > avail)
		return PARSE_MALFORMED;
	p->ip_version = 4;
	p->src.w[2] = p->dst.w[2] = bpf_htonl(0xffff);
	p->src.w[3] = ih.saddr;
	p->dst.w[3] = ih.daddr;
	p->protocol = ih.protocol;
	p->l4_off = p->l3_off + header;
	frag = bpf_ntohs(ih.frag_off);
	if (frag & 0x3fff) {
		p->fragment = frag & 0x1fff ? FRAG_LATER : FRAG_FIRST;
		p->frag_id = ih.id;
	}
	return parse_l4(skb, p, p->l3_off + len);
}

/* Bytes of the extension header, 0 if `next` is none. */
static __always_inline __u32 ext_len(__u8 next, const struct ext_header *eh)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MOBILITY:
	case IPPROTO_HIP:
	case IPPROTO_SHIM6:
		return (eh->len + 1) * 8;
	case IPPROTO_AH:
		return (eh->len + 2) * 4;
	case IPPROTO_FRAGMENT:
		return sizeof(*eh);
	}
	return 0;
}

static __always_inline int is_ext(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_AH || next == IPPROTO_FRAGMENT || next == IPPROTO_MOBILITY ||
	       next == IPPROTO_HIP || next == IPPROTO_SHIM6;
}

struct ext_walk {
	struct __sk_buff *skb;
	__u32 off, end;
	__u32 frag_id;
	__u8  next;
	__u8  fragment;
	__u8  malformed;
	__u8  pad;
};

/* One extension header; 1 stops.  A bpf_loop body: the verifier walks it once,
 * not once per header. */
static long ext_step(__u32 i, struct ext_walk *w)
{
	struct ext_header eh;
	__u32 n;

	if (!is_ext(w->next) || w->fragment == FRAG_LATER)
		return 1;
	if (w->off + sizeof(eh) > w->end || READ(w->skb, w->off, &eh))
		goto malformed;
	n = ext_len(w->next, &eh);
	if (w->off + n > w->end)
		goto malformed;
	/* An atomic fragment (RFC 6946) is a whole packet; of nested fragment headers the
	 * outer one decides, as in the host. */
	if (w->next == IPPROTO_FRAGMENT && !w->fragment && (eh.frag_off & bpf_htons(0xfff9))) {
		w->fragment = eh.frag_off & bpf_htons(0xfff8) ? FRAG_LATER : FRAG_FIRST;
		w->frag_id = eh.frag_id;
	}
	w->next = eh.next;
	w->off += n;
	return 0;
malformed:
	/* A first fragment may end within the headers behind its own: it goes without
	 * ports, and user space looks again once the packet is whole. */
	w->malformed = !w->fragment;
	return 1;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct tap_pkt *p)
{
	struct ext_walk w = { .skb = skb };
	struct ipv6_header ih;
	__u32 len;

	if (READ(skb, p->l3_off, &ih) || (*(__u8 *)&ih.ver_class_flow >> 4) != 6)
		return PARSE_MALFORMED;
	w.off = p->l3_off + sizeof(ih);
	len = bpf_ntohs(ih.payload_len);
	if (len == 0 && skb->gso_size)
		len = skb->len - w.off;
	if (len > skb->len - w.off)
		return PARSE_MALFORMED;
	w.end = w.off + len;
	p->ip_version = 6;
	__builtin_memcpy(p->src.w, ih.saddr, 16);
	__builtin_memcpy(p->dst.w, ih.daddr, 16);
	w.next = ih.next;
	if (is_ext(w.next)) {
		bpf_loop(TAP_MAX_EXT_HEADERS, ext_step, &w, 0);
		if (w.malformed)
			return PARSE_MALFORMED;
		p->ext_overflow = is_ext(w.next) && !w.fragment;
		p->fragment = w.fragment;
		p->frag_id = w.frag_id;
	}
	p->protocol = w.next;
	p->l4_off = w.off;
	return parse_l4(skb, p, w.end);
}

/* An interface without a link header: IP at once. */
static __always_inline int parse_raw(struct __sk_buff *skb, struct tap_pkt *p)
{
	__u8 version;

	if (READ(skb, 0, &version))
		return PARSE_NOT_IP;
	p->l3_off = 0;
	switch (version >> 4) {
	case 4:
		return parse_ipv4(skb, p);
	case 6:
		return parse_ipv6(skb, p);
	}
	return PARSE_NOT_IP;
}

static __always_inline int is_vlan(__u32 proto)
{
	return proto == ETH_P_8021Q || proto == ETH_P_8021AD || proto == ETH_P_QINQ1;
}

/* `p` is zeroed by the caller; `link` is an enum tap_link.  Not static: the verifier
 * then checks it once, on its own, not once per path that leads here (hence the null
 * check). */
__noinline int parse_packet(struct __sk_buff *skb, __u32 link, struct tap_pkt *p)
{
	struct { __be16 w[7]; } eth;
	struct { __be16 tci, proto; } tag;
	__u32 off = ETH_HLEN, proto, n = 0;

	if (!p)
		return PARSE_NOT_IP;
	if (link == TAP_LINK_RAW)
		return parse_raw(skb, p);
	if (READ(skb, 0, &eth))
		return PARSE_NOT_IP;
	proto = bpf_ntohs(eth.w[6]);
	if (skb->vlan_present) {
		p->vlan[0] = skb->vlan_tci & 0xfff;
		p->hw_tag = 1;
		n = 1;
	}
	for (int i = 0; i < 3; i++) {
		if (!is_vlan(proto) || n >= 3)
			break;
		if (READ(skb, off, &tag))
			return PARSE_NOT_IP;
		if (n == 0)
			p->vlan[0] = bpf_ntohs(tag.tci) & 0xfff;
		else if (n == 1)
			p->vlan[1] = bpf_ntohs(tag.tci) & 0xfff;
		n++;
		proto = bpf_ntohs(tag.proto);
		off += sizeof(tag);
	}
	p->l3_off = off;
	if (proto == ETH_P_IP)
		return parse_ipv4(skb, p);
	if (proto == ETH_P_IPV6)
		return parse_ipv6(skb, p);
	return PARSE_NOT_IP;
}

#endif /* SLUICE_BPF_LIB_PARSE_H_ */
