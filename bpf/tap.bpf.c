// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* bpf/tap.bpf.c - the classifier at TC ingress and egress, and the programs
 * that user space runs to steer flows.
 *
 * A packet: our own mark? -> parse -> flow -> drop maps (new flow, or maps
 * changed) -> policy (new flow, or policy changed) -> guess -> slice.
 * Passes on (TC_ACT_UNSPEC: other programs still see it) whatever it does not
 * understand; drops only what a map names.  Every packet leaves through one
 * EXIT counter. */
#include "lib/vmlinux_min.h"

#include "lib/drops.h"
#include "lib/emit.h"
#include "lib/flows.h"
#include "lib/guess.h"
#include "lib/maps.h"
#include "lib/parse.h"

char LICENSE[] SEC("license") = "GPL";

struct work {			/* one packet's way through the classifier */
	struct tap_pkt p;
	struct tap_flow_key key;
	__u64 now;
	__u32 len;		/* wire, hardware tag included */
	__u32 side;
	__u32 hash;
	__u32 direction;
	__u32 link;		/* enum tap_link */
	__u32 drop_generation;
	__u32 is_new;
};

/* Fragments: the first one's ports, remembered for the others. */
static __noinline void match_fragment(struct tap_pkt *p)
{
	struct frag_key key = { .src = p->src, .dst = p->dst, .id = p->frag_id };
	struct frag_ports ports = { .sport = p->sport, .dport = p->dport }, *known;

	key.vlan_protocol = p->protocol | (__u32)p->vlan[0] << 20 | (__u32)p->vlan[1] << 8;
	count(TAP_FRAGMENTS);
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return;
	if (p->fragment == FRAG_FIRST) {
		bpf_map_update_elem(&tap_fragments, &key, &ports, BPF_ANY);
		return;
	}
	known = bpf_map_lookup_elem(&tap_fragments, &key);
	if (!known) {
		count(TAP_FRAGMENTS_UNKNOWN);
		return;
	}
	p->sport = known->sport;
	p->dport = known->dport;
}

static __always_inline int engine_is_dead(const struct tap_config *config, __u64 now)
{
	/* A beat later than `now` is a race with the writer. */
	return config->heartbeat_timeout_ns && now > config->heartbeat_ns &&
	       now - config->heartbeat_ns > config->heartbeat_timeout_ns;
}

static __always_inline void init_flow(struct tap_flow *f, const struct work *w)
{
	int syn = w->p.tcp_flags & TCP_SYN, ack = w->p.tcp_flags & TCP_ACK;

	__builtin_memset(f, 0, sizeof(*f));
	/* A SYN/ACK seen first was sent by the server. */
	f->initiator = syn && ack ? !w->side : w->side;
	f->hash = w->hash;
	if (w->p.protocol == IPPROTO_TCP)
		f->flags = syn ? TAP_FLOW_SYN_SEEN : TAP_FLOW_MIDSTREAM;
}

/* A flow entry for a packet that has none; null if the packet is to leave by
 * *exit instead. */
static __noinline struct tap_flow *new_flow(struct work *w, struct tap_config *config,
					    __u32 ifindex, __u32 *exit)
{
	struct tap_policy *policy = port_policy(&w->p);
	struct tap_flow *f;
	__u32 zero = 0;

	if (policy && policy->action == TAP_POLICY_DROP) {
		*exit = TAP_EXIT_DROP_POLICY;
		return 0;
	}
	if (config->fail_mode == TAP_FAIL_CLOSED && policy &&
	    policy->action == TAP_POLICY_INSPECT && engine_is_dead(config, w->now) &&
	    !never_blocked(&w->p)) {
		*exit = TAP_EXIT_DROP_FAIL_CLOSED;
		return 0;
	}
	f = bpf_map_lookup_elem(&tap_scratch, &zero);
	*exit = TAP_EXIT_LOST_NO_FLOW;
	if (!f)
		return 0;
	init_flow(f, w);
	f->ifindex = ifindex;
	f->policy_generation = config->generation;
	apply_policy(f, policy);
	bpf_map_update_elem(&tap_flows, &w->key, f, BPF_NOEXIST);
	f = bpf_map_lookup_elem(&tap_flows, &w->key);
	if (f) {
		w->is_new = 1;
		count(TAP_FLOWS_CREATED);
	}
	return f;
}

/* A SYN with another sequence number on a known tuple is a new connection: it
 * is inspected from the start.  The old one is reported. */
static __noinline void maybe_reuse(struct work *w, struct tap_flow *f, struct tap_config *config)
{
	struct tap_flow_side *s = w->side ? &f->side[1] : &f->side[0];
	__u32 ring = config->num_rings ? f->hash % config->num_rings : 0;
	__u32 ifindex = f->ifindex;

	if (!s->tcp_flags || (s->tcp_flags & TCP_SYN && s->isn == w->p.seq))
		return;		/* first packet of this side, or the SYN again */
	if (emit_flow_end(&w->key, f, ring, TAP_END_REUSED, w->now))
		count(TAP_FLOW_ENDS_LOST);
	init_flow(f, w);
	f->ifindex = ifindex;
	f->policy_generation = config->generation;
	apply_policy(f, port_policy(&w->p));
	w->is_new = 1;
	count(TAP_FLOWS_REUSED);
}

static __always_inline void recheck_policy(const struct work *w, struct tap_flow *f,
					   const struct tap_config *config)
{
	f->policy_generation = config->generation;
	if (f->flags & TAP_FLOW_VERDICT_SET)
		return;
	apply_policy(f, port_policy(&w->p));
	if (f->guess > TAP_GUESS_UNKNOWN) {
		struct tap_policy *policy = find_policy(TAP_POLICY_GUESS, 0, f->guess);

		if (policy)
			apply_policy(f, policy);
	}
}

/* Once per side, at its first payload. */
static __always_inline void guess_flow(struct __sk_buff *skb, const struct work *w,
				       struct tap_flow *f, struct tap_flow_side *s)
{
	struct tap_policy *policy;

	s->guess = guess_protocol(skb, w->p.payload_off, w->p.payload_len, w->p.protocol);
	if (f->guess > TAP_GUESS_UNKNOWN)
		return;
	f->guess = s->guess;
	if (s->guess <= TAP_GUESS_UNKNOWN)
		return;
	count(TAP_GUESSED);
	if (f->flags & TAP_FLOW_VERDICT_SET)
		return;
	policy = find_policy(TAP_POLICY_GUESS, 0, s->guess);
	if (policy)
		apply_policy(f, policy);
}

/* Whether the acknowledgement is news: user space hands on what the peer sent only
 * once it is acknowledged.  So it is told while the peer is inspected, and after
 * that until all that was sent of the peer is covered. */
static __always_inline int tells_ack(const struct tap_pkt *p, const struct tap_flow_side *s,
				     const struct tap_flow_side *peer)
{
	if (p->ack == s->last_ack)
		return 0;
	if (budget_left(peer))
		return 1;
	return peer->budget_used && (!s->last_ack || (__s32)(peer->sliced_end - s->last_ack) > 0);
}

/* Payload bytes to send, or -1: no record.  *exit says why not. */
static __always_inline __s64 wanted(const struct work *w, const struct tap_flow *f,
				    const struct tap_flow_side *s,
				    const struct tap_flow_side *peer, __u32 *exit)
{
	const struct tap_pkt *p = &w->p;
	__u64 left = budget_left(s);
	__u32 control = p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST);
	/* Only of a TCP segment with short headers can a part be sent. */
	int can_cut = p->protocol == IPPROTO_TCP && p->has_l4 &&
		      p->payload_off + (p->hw_tag ? 4 : 0) <= TAP_HEADER_ROOM;
	__s64 least = can_cut ? 0 : p->payload_len;

	if (f->verdict == TAP_BYPASS) {
		*exit = f->flags & TAP_FLOW_VERDICT_SET ? TAP_EXIT_BYPASSED : TAP_EXIT_IGNORED;
		/* A flow that user space knew: its end is told. */
		return f->flags & TAP_FLOW_VERDICT_SET && control ? least : -1;
	}
	/* A cut datagram would look like another one: whole or not at all. */
	if (left && p->payload_len)
		return can_cut && left < p->payload_len ? left : p->payload_len;
	if (control)
		return least;
	*exit = left ? TAP_EXIT_NOTHING : TAP_EXIT_PAST_BUDGET;
	if (p->protocol == IPPROTO_TCP && p->has_l4)
		return tells_ack(p, s, peer) ? least : -1;
	return left ? 0 : -1;
}

/* Not static, as parse_packet. */
__noinline int slice(struct __sk_buff *skb, struct work *w, struct tap_flow *f,
		     struct tap_config *config)
{
	struct tap_flow_side *s, *peer;
	__u32 tag, exit = TAP_EXIT_NOTHING;
	struct emit e = {};
	struct tap_pkt *p;
	__s64 take;

	if (!w || !f || !config)
		return TAP_EXIT_NO_CONFIG;
	p = &w->p;
	s = w->side ? &f->side[1] : &f->side[0];
	peer = w->side ? &f->side[0] : &f->side[1];
	tag = p->hw_tag ? 4 : 0;
	take = wanted(w, f, s, peer, &exit);
	if (take < 0)
		return exit;
	e.skb = skb;
	e.now = w->now;
	e.hash = f->hash;
	e.ring_index = config->num_rings ? f->hash % config->num_rings : 0;
	e.wire_len = w->len;
	e.header_len = p->payload_off + tag;
	e.payload_len = p->payload_len;
	e.take = take;
	e.chunk = TAP_PIECE_BYTES;
	/* Several datagrams in one skb: one record each. */
	if (p->protocol == IPPROTO_UDP && skb->gso_size && skb->gso_size < TAP_PIECE_BYTES)
		e.chunk = skb->gso_size;
	e.lost_slices = s->lost_slices;
	e.l3_off = p->l3_off + tag;
	e.l4_off = p->l4_off + tag;
	e.seq = p->seq;
	if (p->hw_tag) {
		e.tag_proto = bpf_ntohs(skb->vlan_proto);
		e.tag_tci = skb->vlan_tci;
	}
	e.flags = (p->fragment ? TAP_REC_FRAGMENT : 0) | (w->is_new ? TAP_REC_NEW_FLOW : 0) |
		  (w->link == TAP_LINK_RAW ? TAP_REC_RAW : 0);
	e.cut = take < p->payload_len;
	e.slack = p->slack;
	e.has_l4 = p->has_l4;
	e.direction = w->direction;
	e.side = w->side;
	e.initiator = f->initiator;
	e.guess = f->guess;
	e.ip_version = p->ip_version;
	e.protocol = p->protocol;
	e.tcp_flags = p->tcp_flags;
	exit = emit(&e);
	s->lost_slices = e.lost_slices;
	if (e.sent && (!s->budget_used || (__s32)(p->seq + e.sent - s->sliced_end) > 0))
		s->sliced_end = p->seq + e.sent;
	__sync_fetch_and_add(&s->budget_used, e.sent);
	/* An acknowledgement of what was never sent is forged: it must not hide the
	 * true ones that follow. */
	if (exit == TAP_EXIT_SENT &&
	    (!peer->tcp_flags || (__s32)(p->ack - peer->next_seq) <= 0))
		s->last_ack = p->ack;
	return exit;
}

/* Drop maps, when the flow is new to us or the maps have changed.  Returns the
 * exit if the packet is to be dropped, else TAP_COUNTER_MAX. */
__noinline int blocked(struct work *w, struct tap_flow *f)
{
	__u32 exit = TAP_COUNTER_MAX;
	int rc;

	if (!w)
		return TAP_EXIT_NO_CONFIG;
	if (f && f->drop_generation == w->drop_generation && f->verdict != TAP_DROP)
		return TAP_COUNTER_MAX;
	rc = check_drops(&w->key, &w->p, w->now, w->len, &exit);
	if (rc == DROP_YES)
		return exit;
	if (rc == DROP_CHECK_AGAIN)
		w->drop_generation--;	/* what the flow will remember: stale */
	else if (f && f->verdict == TAP_DROP)
		f->verdict = TAP_INSPECT;	/* the entry is gone or has expired */
	return TAP_COUNTER_MAX;
}

/* Not static, as parse_packet: four programs share it. */
__noinline int classify(struct __sk_buff *skb, __u32 direction, __u32 link)
{
	__u32 zero = 0, exit;
	struct tap_config *config = bpf_map_lookup_elem(&tap_config, &zero);
	struct tap_drop_control *control = bpf_map_lookup_elem(&drop_control, &zero);
	struct tap_flow_side *s;
	struct tap_flow *f;
	struct work w = {};

	if (!config || !control || !config->num_rings)
		return pass(TAP_EXIT_NO_CONFIG);
	if (config->bypass_mark && skb->mark == config->bypass_mark)
		return pass(TAP_EXIT_MARKED);
	switch (parse_packet(skb, link, &w.p)) {
	case PARSE_NOT_IP:
		return pass(TAP_EXIT_NOT_IP);
	case PARSE_MALFORMED:
		return pass(TAP_EXIT_MALFORMED);
	}
	if (w.p.fragment)
		match_fragment(&w.p);
	if (w.p.ext_overflow)
		count(TAP_EXT_HEADERS);
	w.side = make_key(&w.p, config->flags & TAP_CONFIG_IGNORE_VLAN, &w.key);
	w.hash = hash_key(&w.key);
	w.now = bpf_ktime_get_ns();
	w.len = skb->len + (w.p.hw_tag ? 4 : 0);
	w.direction = direction;
	w.link = link;
	w.drop_generation = control->generation;

	f = bpf_map_lookup_elem(&tap_flows, &w.key);
	exit = blocked(&w, f);
	if (exit != TAP_COUNTER_MAX) {
		if (f)
			touch(f, w.side, &w.p, w.now, w.len);
		return drop(exit);
	}
	if (!f) {
		f = new_flow(&w, config, skb->ifindex, &exit);
		if (!f)
			return exit == TAP_EXIT_LOST_NO_FLOW ? pass(exit) : drop(exit);
	} else if ((w.p.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		maybe_reuse(&w, f, config);
	}
	f->drop_generation = w.drop_generation;
	if (f->policy_generation != config->generation)
		recheck_policy(&w, f, config);
	touch(f, w.side, &w.p, w.now, w.len);
	s = w.side ? &f->side[1] : &f->side[0];
	if (s->guess == TAP_GUESS_NONE && w.p.payload_len && w.p.has_l4)
		guess_flow(skb, &w, f, s);
	if (f->flags & TAP_FLOW_POLICY_DROP)
		return drop(TAP_EXIT_DROP_POLICY);
	return pass(slice(skb, &w, f, config));
}

SEC("tc")
int tap_ingress(struct __sk_buff *skb)
{
	return classify(skb, TAP_INGRESS, TAP_LINK_ETHERNET);
}

SEC("tc")
int tap_egress(struct __sk_buff *skb)
{
	return classify(skb, TAP_EGRESS, TAP_LINK_ETHERNET);
}

SEC("tc")
int tap_raw_ingress(struct __sk_buff *skb)
{
	return classify(skb, TAP_INGRESS, TAP_LINK_RAW);
}

SEC("tc")
int tap_raw_egress(struct __sk_buff *skb)
{
	return classify(skb, TAP_EGRESS, TAP_LINK_RAW);
}

/* ---- run by user space ---------------------------------------------------- */

static __always_inline long add_drop(const struct tap_request *r, __u64 now)
{
	struct tap_drop d = {
		.expires_ns = r->ttl_ns ? now + r->ttl_ns : 0,
		.added_ns = now,
		.sid = r->sid,
		.rate = r->rate,
		.origin = r->origin,
		.action = r->rate ? TAP_DROP_ABOVE_RATE : TAP_DROP_ALL,
	};

	return bpf_map_update_elem(&drop_flows, &r->key, &d, BPF_ANY);
}

static __always_inline void apply_one(struct tap_request *r, __u64 now)
{
	struct tap_flow *f = bpf_map_lookup_elem(&tap_flows, &r->key);

	r->result = f ? 0 : -ENOENT;
	/* The drop entry first: it also holds for a flow the kernel has evicted. */
	if (r->what & TAP_ADD_DROP && add_drop(r, now)) {
		r->result = -E2BIG;
		return;
	}
	if (!f)
		return;
	if (r->what & TAP_SET_BUDGET) {
		set_budget(&f->side[0], r->budget[0]);
		set_budget(&f->side[1], r->budget[1]);
		f->flags |= TAP_FLOW_VERDICT_SET;
		if (f->verdict == TAP_BYPASS && (r->what & TAP_SET_VERDICT) == 0)
			f->verdict = TAP_INSPECT;
	}
	if (r->what & TAP_SET_VERDICT) {
		f->flags |= TAP_FLOW_VERDICT_SET;
		f->cause_sid = r->sid;
		f->cause_origin = r->origin;
		f->verdict = r->verdict;
	}
}

struct apply {
	__u64 now;
	__u32 first;
};

static long apply_next(__u32 i, struct apply *a)
{
	__u32 index = a->first + i;
	struct tap_request *r = bpf_map_lookup_elem(&tap_requests, &index);

	if (!r)
		return 1;
	apply_one(r, a->now);
	return 0;
}

/* Applies tap_requests[first .. first + count). */
SEC("syscall")
int tap_apply(struct tap_request_run *run)
{
	struct apply a = { .now = bpf_ktime_get_ns(), .first = run->first };

	bpf_loop(run->count < TAP_BATCH ? run->count : TAP_BATCH, apply_next, &a, 0);
	return 0;
}

struct sweep {
	struct tap_sweep_run run;
	__u32 num_rings;
};

static __u32 end_reason(const struct tap_flow *f, const struct tap_flow_key *key,
			const struct tap_sweep_run *run)
{
	__u64 last = f->side[0].last_ns > f->side[1].last_ns ? f->side[0].last_ns
							     : f->side[1].last_ns;
	__u64 idle = run->now_ns > last ? run->now_ns - last : 0;
	__u64 limit = (key->vlan_protocol & 0xff) == IPPROTO_TCP ? run->idle_tcp_ns
								: run->idle_other_ns;

	if (run->all)
		return TAP_END_FLUSHED;
	if (f->flags & TAP_FLOW_CLOSED && idle >= run->closed_ns)
		return TAP_END_CLOSED;
	return idle >= limit ? TAP_END_IDLE : 0;
}

static long sweep_flow(void *map, struct tap_flow_key *key, struct tap_flow *f,
		       struct sweep *ctx)
{
	struct tap_flow_key copy;
	__u32 reason;

	ctx->run.seen++;
	reason = end_reason(f, key, &ctx->run);
	if (!reason || !ctx->num_rings)
		return 0;
	__builtin_memcpy(&copy, key, sizeof(copy));
	/* Not told is not removed: the next sweep tries again. */
	if (emit_flow_end(&copy, f, f->hash % ctx->num_rings, reason, ctx->run.now_ns)) {
		ctx->run.kept++;
		return 0;
	}
	bpf_map_delete_elem(&tap_flows, &copy);
	ctx->run.ended++;
	return 0;
}

static long sweep_drop(void *map, struct tap_flow_key *key, struct tap_drop *d,
		       struct sweep *ctx)
{
	struct tap_flow_key copy;

	if (!d->expires_ns || ctx->run.now_ns < d->expires_ns)
		return 0;
	__builtin_memcpy(&copy, key, sizeof(copy));
	bpf_map_delete_elem(&drop_flows, &copy);
	ctx->run.drops_expired++;
	return 0;
}

/* Ends idle and closed flows, removes expired flow drops. */
SEC("syscall")
int tap_sweep(struct tap_sweep_run *run)
{
	struct sweep ctx = {};
	__u32 zero = 0;
	struct tap_config *config = bpf_map_lookup_elem(&tap_config, &zero);

	if (!config)
		return 0;
	ctx.num_rings = config->num_rings;
	ctx.run.now_ns = run->now_ns;
	ctx.run.idle_tcp_ns = run->idle_tcp_ns;
	ctx.run.idle_other_ns = run->idle_other_ns;
	ctx.run.closed_ns = run->closed_ns;
	ctx.run.all = run->all;
	bpf_for_each_map_elem(&tap_flows, sweep_flow, &ctx, 0);
	bpf_for_each_map_elem(&drop_flows, sweep_drop, &ctx, 0);
	run->seen = ctx.run.seen;
	run->ended = ctx.run.ended;
	run->kept = ctx.run.kept;
	run->drops_expired = ctx.run.drops_expired;
	return 0;
}
