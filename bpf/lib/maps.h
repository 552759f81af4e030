/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/maps.h - every map of the tap.  Sizes are defaults: the loader sets
 * them before load.  engine/tap pins each under its own name. */
#ifndef SLUICE_BPF_LIB_MAPS_H_
#define SLUICE_BPF_LIB_MAPS_H_

#include "parse.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tap_config);
} tap_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TAP_COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} tap_counters SEC(".maps");

/* Common LRU: state is one per flow, not one per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 18);
	__type(key, struct tap_flow_key);
	__type(value, struct tap_flow);
} tap_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct tap_policy_key);
	__type(value, struct tap_policy);
} tap_policies SEC(".maps");

struct frag_key {
	union tap_addr src, dst;
	__u32 id;
	__u32 vlan_protocol;
};

struct frag_ports {
	__u16 sport, dport;
};

/* Which ports the first fragment had, so that the others follow its flow. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct frag_key);
	__type(value, struct frag_ports);
} tap_fragments SEC(".maps");

/* Only a type: rings of any size may be put in.  libbpf makes one for a moment. */
struct ring_template {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ring_template);
} tap_rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tap_sleeping);
} tap_sleepers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TAP_BATCH);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tap_request);
} tap_requests SEC(".maps");

/* New flow entries are built here: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tap_flow);
} tap_scratch SEC(".maps");

/* Not LRU: a full map refuses the new block rather than lift an old one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct tap_flow_key);
	__type(value, struct tap_drop);
} drop_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tap_prefix);
	__type(value, struct tap_drop);
} drop_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tap_prefix);
	__type(value, struct tap_drop);
} drop_destinations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tap_prefix);
	__type(value, __u32);
} never_block SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tap_drop_control);
} drop_control SEC(".maps");

static __always_inline void count_n(__u32 counter, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&tap_counters, &counter);

	if (value)
		*value += n;		/* per CPU: no atomic needed */
}

static __always_inline void count(__u32 counter)
{
	count_n(counter, 1);
}

static __always_inline int pass(__u32 counter)
{
	count(counter);
	return TC_ACT_UNSPEC;
}

static __always_inline int drop(__u32 counter)
{
	count(counter);
	return TC_ACT_SHOT;
}

#endif /* SLUICE_BPF_LIB_MAPS_H_ */
