/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/guess.h - which protocol the first payload bytes look like.
 * A hint: wrong guesses cost a budget, never a verdict. */
#ifndef SLUICE_BPF_LIB_GUESS_H_
#define SLUICE_BPF_LIB_GUESS_H_

#include "parse.h"

#define GUESS_BYTES 24

static __always_inline __u32 be32(const __u8 *b)
{
	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

static __always_inline __u32 be16(const __u8 *b)
{
	return (__u32)b[0] << 8 | b[1];
}

#define FOUR(a, b, c, d) ((__u32)(a) << 24 | (__u32)(b) << 16 | (__u32)(c) << 8 | (d))

static __always_inline int looks_http(const __u8 *b)
{
	switch (be32(b)) {
	case FOUR('G', 'E', 'T', ' '):
	case FOUR('P', 'U', 'T', ' '):
		return 1;
	case FOUR('P', 'O', 'S', 'T'):
	case FOUR('H', 'E', 'A', 'D'):
		return b[4] == ' ';
	case FOUR('H', 'T', 'T', 'P'):
		return b[4] == '/' && b[5] == '1' && b[6] == '.';
	case FOUR('D', 'E', 'L', 'E'):
		return b[4] == 'T' && b[5] == 'E' && b[6] == ' ';
	case FOUR('O', 'P', 'T', 'I'):
		return b[4] == 'O' && b[5] == 'N' && b[6] == 'S' && b[7] == ' ';
	case FOUR('C', 'O', 'N', 'N'):
		return b[4] == 'E' && b[5] == 'C' && b[6] == 'T' && b[7] == ' ';
	case FOUR('P', 'A', 'T', 'C'):
		return b[4] == 'H' && b[5] == ' ';
	case FOUR('T', 'R', 'A', 'C'):
		return b[4] == 'E' && b[5] == ' ';
	case FOUR('P', 'R', 'O', 'P'):
		return b[4] == 'F' && b[5] == 'I' && b[6] == 'N' && b[7] == 'D';
	}
	return 0;
}

/* RFC 1035 4.1.1: standard opcodes, zero Z bit, counts of an ordinary message. */
static __always_inline int looks_dns(const __u8 *b)
{
	__u32 flags = be16(b + 2), qd = be16(b + 4), an = be16(b + 6), ns = be16(b + 8);
	__u32 ar = be16(b + 10), opcode = flags >> 11 & 15;

	if (opcode > 5 || opcode == 3 || flags & 0x40 || qd != 1 || b[12] > 63)
		return 0;
	if (!(flags & 0x8000))
		return !(flags & 15) && !an && ar <= 2 && ns <= 8;
	return (flags & 15) <= 10 && an <= 256 && ns <= 64 && ar <= 128;
}

static __always_inline int looks_rdp(const __u8 *b, __u32 len)
{
	/* TPKT (RFC 1006) around a connection request or confirm (X.224). */
	return b[0] == 3 && b[1] == 0 && be16(b + 2) >= 11 && be16(b + 2) <= len &&
	       ((b[5] & 0xf0) == 0xe0 || (b[5] & 0xf0) == 0xd0) && b[4] + 5u == be16(b + 2);
}

/* b: GUESS_BYTES bytes, zero beyond len. */
static __always_inline __u8 guess_tcp(const __u8 *b, __u32 len)
{
	__u32 word = be32(b);

	if (word == FOUR('S', 'S', 'H', '-'))
		return TAP_GUESS_SSH;
	if (word == FOUR('P', 'R', 'I', ' ') && b[4] == '*')
		return TAP_GUESS_HTTP2;
	if (looks_http(b))
		return TAP_GUESS_HTTP;
	if (b[0] == 0x16 && b[1] == 3 && b[2] <= 4 && (b[5] == 1 || b[5] == 2))
		return TAP_GUESS_TLS;
	if (looks_rdp(b, len))
		return TAP_GUESS_RDP;
	if (word == FOUR('2', '2', '0', ' ') || word == FOUR('2', '2', '0', '-') ||
	    ((word == FOUR('E', 'H', 'L', 'O') || word == FOUR('H', 'E', 'L', 'O')) && b[4] == ' '))
		return TAP_GUESS_SMTP;
	if (b[0] == 0 && (b[4] == 0xff || b[4] == 0xfe || b[4] == 0xfd) && b[5] == 'S' &&
	    b[6] == 'M' && b[7] == 'B')
		return TAP_GUESS_SMB;
	if (len >= 14 && be16(b) >= 12 && be16(b) + 2 >= len && looks_dns(b + 2))
		return TAP_GUESS_DNS;
	return TAP_GUESS_UNKNOWN;
}

static __always_inline __u8 guess_udp(const __u8 *b, __u32 len)
{
	__u32 version = be32(b + 1);

	if (len >= 12 && looks_dns(b))
		return TAP_GUESS_DNS;
	if (len >= 20 && (b[0] & 0xc0) == 0xc0 && (version == 1 || version == 0x6b3343cf))
		return TAP_GUESS_QUIC;
	return TAP_GUESS_UNKNOWN;
}

static __noinline __u8 guess_protocol(struct __sk_buff *skb, __u32 off, __u32 len, __u32 protocol)
{
	__u8 b[GUESS_BYTES] = {};
	__u32 n = len < GUESS_BYTES ? len : GUESS_BYTES;

	/* Verifier: the length of a helper call, provably in 1 .. 24. */
	asm volatile("" : "+r"(n));
	if (n == 0 || n > GUESS_BYTES || bpf_skb_load_bytes(skb, off, b, n))
		return TAP_GUESS_UNKNOWN;
	if (protocol == IPPROTO_TCP)
		return guess_tcp(b, len);
	return guess_udp(b, len);
}

#endif /* SLUICE_BPF_LIB_GUESS_H_ */
