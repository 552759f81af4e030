/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/drops.h - does a drop map name this packet? */
#ifndef SLUICE_BPF_LIB_DROPS_H_
#define SLUICE_BPF_LIB_DROPS_H_

#include "maps.h"

#define NS_PER_S 1000000000ull

/* CHECK_AGAIN: an entry is there but lets this packet through (rate, never-block):
 * the next packet of the flow must look again. */
enum { DROP_NO = 0, DROP_CHECK_AGAIN, DROP_YES };

static __always_inline int active(const struct tap_drop *d, __u64 now)
{
	return !d->expires_ns || now < d->expires_ns;
}

/* Whether entry `d` takes this packet; counts it if so. */
static __always_inline int takes(struct tap_drop *d, __u64 now, __u32 len)
{
	if (d->action == TAP_DROP_ABOVE_RATE) {
		/* CPUs may race for a new window: some packets more or less. */
		if (now - d->window_ns >= NS_PER_S) {
			d->window_ns = now;
			d->window_packets = 0;
		}
		if (__sync_fetch_and_add(&d->window_packets, 1) < d->rate)
			return 0;
	}
	__sync_fetch_and_add(&d->packets, 1);
	__sync_fetch_and_add(&d->bytes, len);
	d->last_hit_ns = now;
	return 1;
}

static __always_inline int is_never_blocked(const union tap_addr *a)
{
	struct tap_prefix key = { .prefix_len = 128 };

	__builtin_memcpy(key.address, a, 16);
	return bpf_map_lookup_elem(&never_block, &key) != 0;
}

static __noinline int never_blocked(const struct tap_pkt *p)
{
	if (!is_never_blocked(&p->src) && !is_never_blocked(&p->dst))
		return 0;
	count(TAP_NEVER_BLOCK);
	return 1;
}

/* The longest prefix that has not expired; an expired one must not hide a
 * shorter one, so look again below it, three times at most: the sweep removes
 * what has expired. */
#define FIND_PREFIX(map, addr, now)						\
({										\
	struct tap_prefix key_ = { .prefix_len = 128 };				\
	struct tap_drop *found_ = 0;						\
	__builtin_memcpy(key_.address, addr, 16);				\
	for (int i_ = 0; i_ < 3; i_++) {					\
		found_ = bpf_map_lookup_elem(map, &key_);			\
		if (!found_ || active(found_, now))				\
			break;							\
		if (!found_->prefix_len) {					\
			found_ = 0;						\
			break;							\
		}								\
		key_.prefix_len = found_->prefix_len - 1;			\
		found_ = 0;							\
	}									\
	found_;									\
})

/* *counter is the exit to take on DROP_YES. */
static __always_inline int decide(struct tap_drop *d, const struct tap_pkt *p, __u64 now,
				  __u32 len, __u32 exit, __u32 *counter)
{
	if (never_blocked(p) || !takes(d, now, len))
		return DROP_CHECK_AGAIN;
	*counter = d->action == TAP_DROP_ABOVE_RATE ? TAP_EXIT_DROP_RATE : exit;
	return DROP_YES;
}

static __always_inline int check_drops(const struct tap_flow_key *key, const struct tap_pkt *p,
				       __u64 now, __u32 len, __u32 *counter)
{
	int again = DROP_NO, rc;
	struct tap_drop *d;

	d = bpf_map_lookup_elem(&drop_flows, key);
	if (d && active(d, now)) {
		rc = decide(d, p, now, len, TAP_EXIT_DROP_FLOW, counter);
		if (rc == DROP_YES)
			return rc;
		again = rc;
	}
	d = FIND_PREFIX(&drop_sources, &p->src, now);
	if (d) {
		rc = decide(d, p, now, len, TAP_EXIT_DROP_SOURCE, counter);
		if (rc == DROP_YES)
			return rc;
		again = rc;
	}
	d = FIND_PREFIX(&drop_destinations, &p->dst, now);
	if (d) {
		rc = decide(d, p, now, len, TAP_EXIT_DROP_DESTINATION, counter);
		if (rc == DROP_YES)
			return rc;
		again = rc;
	}
	return again;
}

#endif /* SLUICE_BPF_LIB_DROPS_H_ */
