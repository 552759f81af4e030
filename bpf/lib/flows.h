/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/flows.h - flow keys, hashing, per-flow accounting, policy. */
#ifndef SLUICE_BPF_LIB_FLOWS_H_
#define SLUICE_BPF_LIB_FLOWS_H_

#include "maps.h"

static __always_inline int is_less(const union tap_addr *a, __u16 aport, const union tap_addr *b,
				   __u16 bport)
{
	for (int i = 0; i < 2; i++) {
		__u64 x = bpf_be64_to_cpu(a->q[i]), y = bpf_be64_to_cpu(b->q[i]);

		if (x != y)
			return x < y;
	}
	return aport <= bport;
}

/* Builds the normalised key; returns the side of the packet's source. */
static __always_inline __u32 make_key(const struct tap_pkt *p, __u32 ignore_vlan,
				      struct tap_flow_key *key)
{
	__u32 side = !is_less(&p->src, p->sport, &p->dst, p->dport);

	key->vlan_protocol = p->protocol;
	if (!ignore_vlan)
		key->vlan_protocol |= (__u32)p->vlan[0] << 20 | (__u32)p->vlan[1] << 8;
	if (side) {
		__builtin_memcpy(key->address[0], &p->dst, 16);
		__builtin_memcpy(key->address[1], &p->src, 16);
		key->port[0] = p->dport;
		key->port[1] = p->sport;
	} else {
		__builtin_memcpy(key->address[0], &p->src, 16);
		__builtin_memcpy(key->address[1], &p->dst, 16);
		key->port[0] = p->sport;
		key->port[1] = p->dport;
	}
	return side;
}

/* Over the normalised key, hence the same for both directions; the NIC's hash
 * would not be. */
static __always_inline __u32 hash_key(const struct tap_flow_key *key)
{
	const __u64 *w = (const __u64 *)key;
	__u64 h = 0x9e3779b97f4a7c15ull;

	for (int i = 0; i < 5; i++) {
		h ^= w[i];
		h *= 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return (__u32)h;
}

static __always_inline __u64 budget_left(const struct tap_flow_side *s)
{
	return s->budget > s->budget_used ? s->budget - s->budget_used : 0;
}

static __always_inline __u32 saturated(__u64 ns)
{
	return ns > 0xffffffffull ? 0xffffffffu : (__u32)ns;
}

/* Sequence numbers and handshake times. */
static __always_inline void track_tcp(struct tap_flow *f, struct tap_flow_side *s,
				      struct tap_flow_side *peer, const struct tap_pkt *p,
				      __u64 now)
{
	__u32 len = p->payload_len + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN);
	__u32 end = p->seq + len;

	if (s->tcp_flags == 0) {
		s->next_seq = end;	/* first packet of this side */
	} else if (len) {
		__s32 ahead = (__s32)(p->seq - s->next_seq);

		if (ahead < 0)
			s->retransmissions++;
		else if (ahead > 0)
			s->out_of_order++;
		if ((__s32)(end - s->next_seq) > 0)
			s->next_seq = end;
	}
	s->tcp_flags |= p->tcp_flags;
	if (p->tcp_flags & TCP_SYN) {
		s->isn = p->seq;
		if (!(p->tcp_flags & TCP_ACK)) {
			if (!f->syn_ns)
				f->syn_ns = now;
		} else if (!f->synack_ns) {
			f->synack_ns = now;
			if (f->syn_ns)
				f->rtt_server_ns = saturated(now - f->syn_ns);
		}
	} else if (p->tcp_flags & TCP_ACK && f->synack_ns && !f->rtt_client_ns &&
		   peer->tcp_flags & TCP_SYN && p->ack == peer->isn + 1 && s->isn) {
		f->rtt_client_ns = saturated(now - f->synack_ns);
	}
	if (p->tcp_flags & TCP_RST || (s->tcp_flags & peer->tcp_flags & TCP_FIN))
		f->flags |= TAP_FLOW_CLOSED;
}

static __always_inline void touch(struct tap_flow *f, __u32 side, const struct tap_pkt *p,
				  __u64 now, __u32 len)
{
	struct tap_flow_side *s = side ? &f->side[1] : &f->side[0];
	struct tap_flow_side *peer = side ? &f->side[0] : &f->side[1];

	__sync_fetch_and_add(&s->packets, 1);
	__sync_fetch_and_add(&s->bytes, len);
	if (!s->first_ns)
		s->first_ns = now;
	s->last_ns = now;
	if (p->protocol == IPPROTO_TCP && p->has_l4)
		track_tcp(f, s, peer, p, now);
}

static __always_inline struct tap_policy *find_policy(__u32 kind, __u32 protocol, __u32 value)
{
	struct tap_policy_key key = { .kind = kind, .protocol = protocol, .value = value };

	return bpf_map_lookup_elem(&tap_policies, &key);
}

/* The most specific policy of a new flow; null: none, which means ignore. */
static __noinline struct tap_policy *port_policy(const struct tap_pkt *p)
{
	struct tap_policy *policy = 0;

	if (p->dport)
		policy = find_policy(TAP_POLICY_PORT, p->protocol, p->dport);
	if (!policy && p->sport)
		policy = find_policy(TAP_POLICY_PORT, p->protocol, p->sport);
	if (!policy)
		policy = find_policy(TAP_POLICY_PORT, p->protocol, 0);
	if (!policy)
		policy = find_policy(TAP_POLICY_DEFAULT, 0, 0);
	return policy;
}

/* Budgets count from what the flow has used so far. */
static __always_inline __u64 limit_from(__u64 used, __u64 more)
{
	return more >= TAP_BUDGET_ALL - used ? TAP_BUDGET_ALL : used + more;
}

static __always_inline void set_budget(struct tap_flow_side *s, __u64 more)
{
	if (more != TAP_BUDGET_KEEP)
		s->budget = more == TAP_BUDGET_ALL ? TAP_BUDGET_ALL
						   : limit_from(s->budget_used, more);
}

static __always_inline void apply_policy(struct tap_flow *f, const struct tap_policy *policy)
{
	__u32 action = policy ? policy->action : TAP_POLICY_IGNORE;

	f->flags &= ~TAP_FLOW_POLICY_DROP;
	f->verdict = action == TAP_POLICY_INSPECT ? TAP_INSPECT : TAP_BYPASS;
	if (action == TAP_POLICY_DROP)
		f->flags |= TAP_FLOW_POLICY_DROP;
	if (action == TAP_POLICY_INSPECT && policy) {
		__u32 server_side = !f->initiator;

		set_budget(&f->side[0], policy->budget[server_side ? 0 : 1]);
		set_budget(&f->side[1], policy->budget[server_side ? 1 : 0]);
	} else {
		f->side[0].budget = f->side[0].budget_used;
		f->side[1].budget = f->side[1].budget_used;
	}
}

#endif /* SLUICE_BPF_LIB_FLOWS_H_ */
