// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* tests/bpf/parse_probe.bpf.c - the classifier's parser alone, its result in
 * .bss for the test to compare with the user-space decoder. */
#include "bpf/lib/vmlinux_min.h"

#include "bpf/lib/parse.h"

char LICENSE[] SEC("license") = "GPL";

struct tap_pkt result;
int status;

SEC("tc")
int parse_probe(struct __sk_buff *skb)
{
	struct tap_pkt p = {};

	status = parse_packet(skb, TAP_LINK_ETHERNET, &p);
	result = p;
	return 0;
}
