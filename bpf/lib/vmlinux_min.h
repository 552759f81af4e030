/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/vmlinux_min.h - the kernel types the programs use, all of them stable
 * UAPI, written out so that a build needs neither a running BTF nor the headers
 * of a particular kernel.  struct __sk_buff is a view the verifier rewrites:
 * its member offsets are ABI and never change. */
#ifndef SLUICE_BPF_LIB_VMLINUX_MIN_H_
#define SLUICE_BPF_LIB_VMLINUX_MIN_H_

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {				/* update flags */
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

enum {				/* map creation flags */
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
};

enum {				/* ring buffer wake-up */
	BPF_RB_NO_WAKEUP = 1U << 0,
	BPF_RB_FORCE_WAKEUP = 1U << 1,
};

enum {
	TC_ACT_UNSPEC = -1,	/* = TCX_NEXT: the next program decides */
	TC_ACT_SHOT = 2,	/* = TCX_DROP */
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys;	/* pointer in the kernel's header */
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	__u64 sk;		/* pointer in the kernel's header */
	__u32 gso_size;
	__u8  tstamp_type;
	__u8  pad[3];
	__u64 hwtstamp;
};

#define ENOENT	2
#define E2BIG	7

#endif /* SLUICE_BPF_LIB_VMLINUX_MIN_H_ */
