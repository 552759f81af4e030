/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bpf/lib/emit.h - records into the ring of a flow.
 *
 * bpf_ringbuf_reserve wants a constant size, hence size classes.  Wake-ups cost
 * microseconds, hence none but the one a sleeping reader asks for. */
#ifndef SLUICE_BPF_LIB_EMIT_H_
#define SLUICE_BPF_LIB_EMIT_H_

#include "flows.h"

struct emit {
	struct __sk_buff *skb;
	void *ring;
	__u64 now;
	__u32 ring_index;
	__u32 hash;
	__u32 wire_len;		/* of the whole skb, hardware tag included */
	__u32 header_len;	/* up to the payload, hardware tag included */
	__u32 payload_len;	/* of the whole skb */
	__u32 take;		/* payload bytes to send */
	__u32 chunk;		/* payload bytes per piece */
	__u32 offset;		/* of the next piece in the payload */
	__u32 sent;		/* payload bytes sent so far */
	__u32 lost_slices;
	__u32 l3_off, l4_off;	/* hardware tag included */
	__u32 seq;
	__u16 tag_proto, tag_tci;	/* hardware tag; proto 0: none */
	__u8  flags, direction, side, initiator, guess;
	__u8  ip_version, protocol, tcp_flags, has_l4;
	__u8  cut;		/* TCP: take < payload_len */
	__u8  slack;		/* UDP: IP goes on behind the payload */
	__u8  error;		/* a record was lost */
	__u8  load_failed;
};

static __always_inline __u64 wake(__u32 ring_index)
{
	struct tap_sleeping *s = bpf_map_lookup_elem(&tap_sleepers, &ring_index);

	if (s && *(volatile __u32 *)&s->value && __sync_lock_test_and_set(&s->value, 0)) {
		count(TAP_WAKEUPS);
		return BPF_RB_FORCE_WAKEUP;
	}
	return BPF_RB_NO_WAKEUP;
}

static __always_inline void fill(struct tap_record *r, const struct emit *e)
{
	r->time_ns = e->now;
	r->type = TAP_RECORD_PACKET;
	r->ifindex = e->skb->ifindex;
	r->hash = e->hash;
	r->piece_offset = e->offset;
	r->lost_slices = e->lost_slices;
	r->payload_offset = e->header_len;
	r->direction = e->direction;
	r->flags = e->flags;
	r->side = e->side;
	r->initiator = e->initiator;
	r->guess = e->guess;
	__builtin_memset(r->pad, 0, sizeof(r->pad));
}

static __always_inline void put_tag(__u8 *d, const struct emit *e)
{
	d[12] = e->tag_proto >> 8;
	d[13] = e->tag_proto;
	d[14] = e->tag_tci >> 8;
	d[15] = e->tag_tci;
}

/* The frame's first l bytes, with a hardware tag put back at offset 12. */
#define LOAD_FRAME(e, d, n, len)						\
({										\
	__u32 l_ = (len);							\
	long rc_;								\
	/* Verifier: the very register that is checked must be passed on. */	\
	asm volatile("" : "+r"(l_));						\
	if (!(e)->tag_proto) {							\
		rc_ = l_ == 0 || l_ > (n) ? -1 : bpf_skb_load_bytes((e)->skb, 0, d, l_);\
	} else if (l_ <= 16 || l_ > (n)) {					\
		rc_ = -1;							\
	} else {								\
		__u32 rest_ = l_ - 16;						\
		rc_ = bpf_skb_load_bytes((e)->skb, 0, d, 12);			\
		put_tag(d, e);							\
		asm volatile("" : "+r"(rest_));					\
		if (rest_ == 0 || rest_ > (n) - 16)				\
			rc_ = -1;						\
		else								\
			rc_ |= bpf_skb_load_bytes((e)->skb, 12, (d) + 16, rest_);\
	}									\
	rc_;									\
})

#define EMIT_CLASS(e, n, len)							\
do {										\
	struct { struct tap_record r; __u8 d[n]; } *x_;				\
	x_ = bpf_ringbuf_reserve((e)->ring, sizeof(*x_), 0);			\
	if (!x_)								\
		return -1;							\
	fill(&x_->r, e);							\
	x_->r.wire_len = (e)->wire_len;						\
	x_->r.cap_len = (len);							\
	if (LOAD_FRAME(e, x_->d, n, len)) {					\
		bpf_ringbuf_discard(x_, BPF_RB_NO_WAKEUP);			\
		(e)->load_failed = 1;						\
		return -1;							\
	}									\
	bpf_ringbuf_submit(x_, wake((e)->ring_index));				\
	return 0;								\
} while (0)

/* A packet that fits one record: frame bytes [0, header_len + take). */
static __noinline int emit_whole(struct emit *e)
{
	__u32 len = e->header_len + e->take;

	if (len <= 256)
		EMIT_CLASS(e, 256, len);
	if (len <= 512)
		EMIT_CLASS(e, 512, len);
	if (len <= 1024)
		EMIT_CLASS(e, 1024, len);
	if (len <= 1536)
		EMIT_CLASS(e, 1536, len);
	if (len <= 4096)
		EMIT_CLASS(e, 4096, len);
	if (len <= 8192)
		EMIT_CLASS(e, 8192, len);
	EMIT_CLASS(e, TAP_MAX_DATA, len);
}

static __always_inline void put16(__u8 *d, __u32 value)
{
	d[0] = value >> 8;
	d[1] = value;
}

/* Makes a piece's headers those of a segment of its own, with `n` bytes of
 * payload; `last` if nothing of the packet follows. */
static __always_inline void patch(__u8 *d, const struct emit *e, __u32 n, int last)
{
	__u32 l3 = e->l3_off & 63, l4 = e->l4_off & 255;
	__u32 total = e->header_len - e->l3_off - (e->ip_version == 4 ? 0 : 40) + n;

	put16(d + l3 + (e->ip_version == 4 ? 2 : 4), total);
	if (e->protocol == IPPROTO_TCP) {
		__u32 seq = e->seq + e->offset;

		put16(d + l4 + 4, seq >> 16);
		put16(d + l4 + 6, seq);
		if (!last)
			d[l4 + 13] &= ~(TCP_FIN | TCP_RST | TCP_PSH);
		if (e->offset)
			d[l4 + 13] &= ~TCP_SYN;
	} else {
		put16(d + l4 + 4, e->header_len - e->l4_off + n);
	}
}

#define EMIT_PIECE(e, n, len)							\
do {										\
	struct { struct tap_record r; __u8 d[TAP_HEADER_ROOM + n]; } *x_;	\
	__u32 h_ = (e)->header_len, p_ = (len);					\
	x_ = bpf_ringbuf_reserve((e)->ring, sizeof(*x_), 0);			\
	if (!x_)								\
		return -1;							\
	fill(&x_->r, e);							\
	x_->r.wire_len = h_ + wire;						\
	x_->r.cap_len = h_ + p_;						\
	rc = LOAD_FRAME(e, x_->d, TAP_HEADER_ROOM, h_);				\
	asm volatile("" : "+r"(h_));						\
	asm volatile("" : "+r"(p_));						\
	if (h_ > TAP_HEADER_ROOM || p_ == 0 || p_ > (n))			\
		rc = -1;							\
	else									\
		rc |= bpf_skb_load_bytes((e)->skb, from, x_->d + h_, p_);	\
	if (rc) {								\
		bpf_ringbuf_discard(x_, BPF_RB_NO_WAKEUP);			\
		(e)->load_failed = 1;						\
		return -1;							\
	}									\
	patch(x_->d, e, p_, last && !(e)->cut);					\
	bpf_ringbuf_submit(x_, wake((e)->ring_index));				\
	return 0;								\
} while (0)

/* One piece of a split skb: the headers, then payload [offset, offset + n). */
static __noinline int emit_piece(struct emit *e, __u32 n)
{
	__u32 from = e->header_len - (e->tag_proto ? 4 : 0) + e->offset;
	int last = e->offset + n >= e->take;
	/* The last piece answers for what the budget cut off. */
	__u32 wire = last ? e->payload_len - e->offset : n;
	long rc;

	if (n <= 1792)
		EMIT_PIECE(e, 1792, n);
	EMIT_PIECE(e, TAP_PIECE_BYTES, n);
}

static __always_inline void count_record(struct emit *e, int failed, __u32 n)
{
	if (failed) {
		e->error = 1;
		e->lost_slices++;
		count(TAP_LOST_RECORDS);
		count_n(TAP_LOST_BYTES, n);
	} else {
		e->sent += n;
		count(TAP_RECORDS);
		count_n(TAP_RECORD_BYTES, e->header_len + n);
	}
}

static long emit_next(__u32 i, struct emit *e)
{
	__u32 n = e->take - e->offset;

	if (e->offset >= e->take)
		return 1;
	if (n > e->chunk)
		n = e->chunk;
	count_record(e, emit_piece(e, n), n);
	e->offset += n;
	return e->offset >= e->take;
}

/* The headers of a TCP segment whose payload is cut off, moved to where that
 * ends: FIN and acknowledgement stay true.  A SYN keeps its place. */
static __noinline int emit_headers(struct emit *e)
{
	/* Verifier: patch() may reach 14 bytes past an offset it knows as < 256. */
	struct { struct tap_record r; __u8 d[TAP_HEADER_ROOM + 16]; } *x;

	x = bpf_ringbuf_reserve(e->ring, sizeof(*x), 0);
	if (!x)
		return -1;
	e->offset = e->tcp_flags & TCP_SYN ? 0 : e->payload_len;
	fill(&x->r, e);
	x->r.flags |= TAP_REC_HEADERS_ONLY;
	x->r.wire_len = e->header_len + (e->take ? 0 : e->payload_len);
	x->r.cap_len = e->header_len;
	if (LOAD_FRAME(e, x->d, TAP_HEADER_ROOM, e->header_len)) {
		bpf_ringbuf_discard(x, BPF_RB_NO_WAKEUP);
		e->load_failed = 1;
		return -1;
	}
	patch(x->d, e, 0, 1);
	bpf_ringbuf_submit(x, wake(e->ring_index));
	return 0;
}

static __always_inline void emit_pieces(struct emit *e)
{
	e->flags |= (e->take > e->chunk ? TAP_REC_PIECE : 0) | (e->cut ? TAP_REC_CUT : 0);
	if (e->take) {
		bpf_loop(TAP_MAX_PIECES, emit_next, e, 0);
		if (e->offset < e->take)
			count_n(TAP_LOST_UNSPLIT_BYTES, e->take - e->offset);
	}
	if (!e->take || (e->cut && e->tcp_flags & (TCP_FIN | TCP_RST)))
		count_record(e, emit_headers(e), 0);
}

/* Sends the packet's headers and `take` payload bytes, and returns the exit. */
static __noinline __u32 emit(struct emit *e)
{
	int can_split = e->header_len <= TAP_HEADER_ROOM && e->has_l4;

	e->ring = bpf_map_lookup_elem(&tap_rings, &e->ring_index);
	if (!e->ring)
		return TAP_EXIT_NO_CONFIG;
	/* Lengths in the headers must be those of what the record holds. */
	if (can_split && (e->cut || e->slack || e->take > e->chunk)) {
		emit_pieces(e);
	} else if (e->header_len + e->take > TAP_MAX_DATA) {
		count_n(TAP_LOST_UNSPLIT_BYTES, e->take);
		e->lost_slices++;
		return TAP_EXIT_LOST_SIZE;
	} else {
		if (!e->take)
			e->flags |= TAP_REC_HEADERS_ONLY;
		count_record(e, emit_whole(e), e->take);
	}
	if (!e->error)
		return TAP_EXIT_SENT;
	return e->load_failed ? TAP_EXIT_LOST_LOAD : TAP_EXIT_LOST_RING_FULL;
}

/* Reports an ended flow.  0, or -1 if the ring is full. */
static __always_inline int emit_flow_end(const struct tap_flow_key *key, const struct tap_flow *f,
					 __u32 ring_index, __u32 reason, __u64 now)
{
	struct { struct tap_record r; struct tap_flow_end end; } *x;
	void *ring = bpf_map_lookup_elem(&tap_rings, &ring_index);

	if (!ring)
		return -1;
	x = bpf_ringbuf_reserve(ring, sizeof(*x), 0);
	if (!x)
		return -1;
	__builtin_memset(&x->r, 0, sizeof(x->r));
	x->r.time_ns = now;
	x->r.type = TAP_RECORD_FLOW_END;
	x->r.ifindex = f->ifindex;
	x->r.cap_len = x->r.wire_len = sizeof(x->end);
	x->r.hash = f->hash;
	x->r.initiator = f->initiator;
	x->r.guess = f->guess;
	__builtin_memcpy(&x->end.key, key, sizeof(*key));
	__builtin_memcpy(&x->end.flow, f, sizeof(*f));
	x->end.reason = reason;
	x->end.pad = 0;
	bpf_ringbuf_submit(x, wake(ring_index));
	return 0;
}

#endif /* SLUICE_BPF_LIB_EMIT_H_ */
