#include "engine/decode/defrag.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <utility>

#include "engine/decode/layers.h"

namespace sluice {
namespace {

using layers::Report;

constexpr uint32_t kMaxPacket = 65535;
constexpr uint16_t kNobody = UINT16_MAX;  // max_fragments keeps it free

bool InNetwork(const Address& address, const HostPolicy& host) {
  if (address.version != host.network.version) return false;
  const size_t whole = host.prefix / 8, bits = host.prefix % 8;
  if (std::memcmp(address.bytes.data(), host.network.bytes.data(), whole) != 0) return false;
  if (bits == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - bits));
  return ((address.bytes[whole] ^ host.network.bytes[whole]) & mask) == 0;
}

void Put16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

// RFC 791 §3.1: whole, with a checksum that is right.
void FinishIpv4(uint8_t* ip, size_t header, size_t total) {
  Put16(ip + 2, header + total);
  Put16(ip + 6, 0);
  Put16(ip + 10, 0);
  uint32_t sum = 0;
  for (size_t i = 0; i < header; i += 2) sum += uint32_t{ip[i]} << 8 | ip[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  Put16(ip + 10, ~sum & 0xffff);
}

size_t HeaderEnd(const Packet& packet) {  // in the frame
  const auto end = static_cast<size_t>(packet.ip_payload.data() - packet.frame.data());
  return packet.ip_version == 4 ? end : end - 8;  // the fragment header goes
}

}  // namespace

bool NewFragmentWins(FragmentPolicy policy, uint32_t new_first, uint32_t new_end,
                     uint32_t old_first, uint32_t old_end) noexcept {
  switch (policy) {
    case FragmentPolicy::kFirst: return false;
    case FragmentPolicy::kLast: return true;
    case FragmentPolicy::kBsd: return new_first < old_first;
    case FragmentPolicy::kBsdRight: return new_first >= old_first;
    case FragmentPolicy::kLinux: return new_first <= old_first;
    case FragmentPolicy::kWindows: return new_first < old_first && new_end > old_end;
    case FragmentPolicy::kSolaris: return new_first < old_first && new_end >= old_end;
  }
  return false;
}

Defrag::Defrag(const DefragOptions& options)
    : options_(options),
      seed_(std::random_device{}()),
      num_chunks_(static_cast<uint32_t>(options.memcap / sizeof(Chunk))) {
  chunks_ = std::make_unique_for_overwrite<Chunk[]>(num_chunks_);
  trackers_ = std::make_unique_for_overwrite<Tracker[]>(options.max_trackers);
  buckets_.assign(std::bit_ceil(std::max<size_t>(1, options.max_trackers)), kNone);
  for (auto& whole : whole_) {
    whole = std::make_unique_for_overwrite<uint8_t[]>(kMaxHeader + kMaxPacket);
  }
  owners_ = std::make_unique_for_overwrite<uint16_t[]>(kMaxPacket);
  arrivals_ = std::make_unique_for_overwrite<uint32_t[]>(options.max_fragments);
}

// --------------------------------------------------------------- trackers

uint64_t Defrag::Hash(const Key& key) const noexcept {
  return XXH3_64bits_withSeed(&key, sizeof(key), seed_);
}

uint32_t Defrag::Find(const Key& key, uint64_t hash) const noexcept {
  uint32_t index = buckets_[hash & (buckets_.size() - 1)];
  while (index != kNone && trackers_[index].key != key) index = trackers_[index].next_in_bucket;
  return index;
}

uint32_t Defrag::Start(const Key& key, uint64_t hash, Nanos now) noexcept {
  if (num_trackers_ >= options_.max_trackers) {
    ++stats_.trackers_full;
    Remove(oldest_);
  }
  uint32_t index = free_tracker_;
  if (index != kNone) {
    free_tracker_ = trackers_[index].next_in_bucket;
  } else {
    index = trackers_touched_++;
  }
  uint32_t& bucket = buckets_[hash & (buckets_.size() - 1)];
  trackers_[index] = Tracker{.key = key, .started = now, .next_in_bucket = bucket, .older = newest_,
                             .newer = kNone, .fragments = kNone, .newest_end = kNone,
                             .header = kNone, .header_len = 0, .link_len = 0, .num_fragments = 0,
                             .seen = 0, .end = 0, .total = kNone, .next_header_at = 0,
                             .next_header = 0, .overlaps = false};
  bucket = index;
  (newest_ == kNone ? oldest_ : trackers_[newest_].newer) = index;
  newest_ = index;
  ++num_trackers_;
  return index;
}

void Defrag::Remove(uint32_t index) noexcept {
  Tracker& tracker = trackers_[index];
  for (uint32_t chunk = tracker.fragments; chunk != kNone;) {
    const uint32_t next = chunks_[chunk].next_fragment;
    FreeChunks(chunk);
    chunk = next;
  }
  FreeChunks(tracker.header);
  (tracker.older == kNone ? oldest_ : trackers_[tracker.older].newer) = tracker.newer;
  (tracker.newer == kNone ? newest_ : trackers_[tracker.newer].older) = tracker.older;
  uint32_t* link = &buckets_[Hash(tracker.key) & (buckets_.size() - 1)];
  while (*link != index) link = &trackers_[*link].next_in_bucket;
  *link = tracker.next_in_bucket;
  tracker.next_in_bucket = free_tracker_;
  free_tracker_ = index;
  --num_trackers_;
}

void Defrag::Expire(Nanos now) noexcept {
  while (oldest_ != kNone && now - trackers_[oldest_].started > options_.timeout) {
    ++stats_.timeouts;
    Remove(oldest_);
  }
}

// ----------------------------------------------------------------- chunks

uint32_t Defrag::TakeChunk() noexcept {
  ++chunks_in_use_;
  const uint32_t chunk = free_chunk_;
  if (chunk == kNone) return chunks_touched_++;
  free_chunk_ = chunks_[chunk].next;
  return chunk;
}

void Defrag::FreeChunks(uint32_t chunk) noexcept {
  while (chunk != kNone) {
    const uint32_t next = chunks_[chunk].next;
    chunks_[chunk].next = free_chunk_;
    free_chunk_ = chunk;
    --chunks_in_use_;
    chunk = next;
  }
}

// Gives up the oldest but `keep` until `bytes` fit; false if they do not even then.
bool Defrag::MakeRoom(size_t bytes, uint32_t keep) noexcept {
  const size_t wanted = bytes / sizeof(Chunk::bytes) + 1;
  while (num_chunks_ - chunks_in_use_ < wanted) {
    const uint32_t victim = oldest_ == keep ? trackers_[oldest_].newer : oldest_;
    ++stats_.memcap;
    if (victim == kNone) return false;
    Remove(victim);
  }
  return true;
}

// Copies `bytes` into chunks, which MakeRoom() has found.
uint32_t Defrag::Store(Slice bytes) noexcept {
  uint32_t first = kNone, last = kNone;
  do {
    const uint32_t chunk = TakeChunk();
    const size_t n = std::min(bytes.size(), sizeof(Chunk::bytes));
    if (n > 0) std::memcpy(chunks_[chunk].bytes, bytes.data(), n);
    chunks_[chunk].next = kNone;
    (last == kNone ? first : chunks_[last].next) = chunk;
    last = chunk;
    bytes = bytes.subspan(n);
  } while (!bytes.empty());
  return first;
}

void Defrag::Load(uint32_t chunk, size_t length, uint8_t* out) const noexcept {
  while (length > 0) {
    const size_t n = std::min(length, sizeof(Chunk::bytes));
    std::memcpy(out, chunks_[chunk].bytes, n);
    out += n;
    length -= n;
    chunk = chunks_[chunk].next;
  }
}

// -------------------------------------------------------------- fragments

void Defrag::StoreHeader(const Packet& packet, Tracker* tracker) noexcept {
  tracker->header_len = static_cast<uint32_t>(HeaderEnd(packet));
  tracker->link_len = static_cast<uint32_t>(packet.ip_header.data() - packet.frame.data());
  tracker->header = Store(packet.frame.first(tracker->header_len));
  tracker->next_header_at = packet.next_header_at;
  if (packet.ip_version == 6) tracker->next_header = *(packet.ip_payload.data() - 8);
}

// Links the fragment behind those that begin at or before it.
void Defrag::Insert(Tracker* tracker, uint32_t chunk) noexcept {
  Chunk& added = chunks_[chunk];
  const uint32_t end = added.first + added.length;
  uint32_t* link = &tracker->fragments;
  if (tracker->newest_end != kNone && added.first >= tracker->end) {
    link = &chunks_[tracker->newest_end].next_fragment;  // in order: the usual case
  } else {
    while (*link != kNone && chunks_[*link].first <= added.first) {
      tracker->overlaps |= chunks_[*link].first + chunks_[*link].length > added.first;
      link = &chunks_[*link].next_fragment;
    }
    tracker->overlaps |= *link != kNone && chunks_[*link].first < end;
  }
  added.next_fragment = *link;
  *link = chunk;
  if (added.next_fragment == kNone) tracker->newest_end = chunk;
  added.order = tracker->num_fragments++;
  tracker->seen += added.length;
  tracker->end = std::max(tracker->end, end);
}

bool Defrag::Complete(const Tracker& tracker) const noexcept {
  if (tracker.header == kNone || tracker.total == kNone || tracker.seen < tracker.total) return false;
  uint32_t next = 0;
  for (uint32_t chunk = tracker.fragments; chunk != kNone; chunk = chunks_[chunk].next_fragment) {
    if (chunks_[chunk].first > next) return false;
    next = std::max(next, chunks_[chunk].first + chunks_[chunk].length);
  }
  return next >= tracker.total;
}

Slice Defrag::Add(Packet* packet, Nanos now) noexcept {
  const bool v4 = packet->ip_version == 4;
  ++stats_.fragments[v4 ? 0 : 1];
  Expire(now);
  const Slice data = packet->ip_payload;
  const uint32_t first = packet->fragment_offset;
  const auto end = static_cast<uint32_t>(first + data.size());
  const auto refuse = [&](DecodeEvent event) -> Slice {
    ++stats_.refused;
    Report(packet, event);
    return {};
  };
  if (end + (v4 ? packet->ip_header.size() : 0) > kMaxPacket) {
    return refuse(v4 ? DecodeEvent::kIpv4FragPktTooLarge : DecodeEvent::kIpv6FragPktTooLarge);
  }
  const DecodeEvent ignored = v4 ? DecodeEvent::kIpv4FragIgnored : DecodeEvent::kIpv6FragIgnored;
  if (data.empty() || packet->num_defrags >= kMaxNesting || HeaderEnd(*packet) > kMaxHeader) {
    return refuse(ignored);
  }
  Key key{packet->source, packet->destination, {}, packet->fragment_id,
          v4 ? packet->ip_protocol : uint8_t{0}, packet->recursion, 0};
  std::ranges::copy(packet->vlan, key.vlan);
  const uint64_t hash = Hash(key);
  uint32_t index = Find(key, hash);
  if (index == kNone) index = Start(key, hash, now);
  Tracker& tracker = trackers_[index];
  const bool last = !packet->more_fragments;
  if ((last && (tracker.end > end || (tracker.total != kNone && tracker.total != end))) ||
      end > tracker.total || tracker.num_fragments >= options_.max_fragments) {
    return refuse(ignored);
  }
  const bool keep_header = first == 0 && tracker.header == kNone;
  if (!MakeRoom(data.size() + (keep_header ? HeaderEnd(*packet) + sizeof(Chunk::bytes) : 0), index)) {
    Remove(index);
    ++stats_.no_room;
    return refuse(ignored);
  }
  if (last) tracker.total = end;
  if (keep_header) StoreHeader(*packet, &tracker);
  const uint32_t chunk = Store(data);
  chunks_[chunk].first = first;
  chunks_[chunk].length = static_cast<uint32_t>(data.size());
  const bool had_overlaps = std::exchange(tracker.overlaps, false);
  Insert(&tracker, chunk);
  if (tracker.overlaps) {
    ++stats_.overlaps;
    Report(packet, v4 ? DecodeEvent::kIpv4FragOverlap : DecodeEvent::kIpv6FragOverlap);
  }
  tracker.overlaps |= had_overlaps;
  if (!Complete(tracker)) return {};
  const Slice whole = Build(tracker, packet->num_defrags);
  Remove(index);
  if (whole.empty()) {
    return refuse(v4 ? DecodeEvent::kIpv4FragPktTooLarge : DecodeEvent::kIpv6FragPktTooLarge);
  }
  ++stats_.reassembled[v4 ? 0 : 1];
  return whole;
}

// --------------------------------------------------------------- the whole

// Empty if headers and payload are more than an IP packet can be.
Slice Defrag::Build(const Tracker& tracker, size_t nesting) noexcept {
  const bool v4 = tracker.key.source.version == 4;
  const size_t ip_header = tracker.header_len - tracker.link_len;
  if (ip_header - (v4 ? 0 : 40) + tracker.total > kMaxPacket) return {};
  uint8_t* whole = whole_[nesting].get();
  uint8_t* ip = whole + tracker.link_len;
  uint8_t* payload = whole + tracker.header_len;
  Load(tracker.header, tracker.header_len, whole);
  if (tracker.overlaps) {
    Merge(tracker, payload);
  } else {
    for (uint32_t c = tracker.fragments; c != kNone; c = chunks_[c].next_fragment) {
      Load(c, chunks_[c].length, payload + chunks_[c].first);
    }
  }
  if (v4) {
    FinishIpv4(ip, ip_header, tracker.total);
  } else {
    Put16(ip + 4, ip_header - 40 + tracker.total);
    ip[tracker.next_header_at] = tracker.next_header;  // only the first fragment's counts
  }
  return {whole, tracker.header_len + tracker.total};
}

// Lays the fragments over each other as they came, byte by byte.
void Defrag::Merge(const Tracker& tracker, uint8_t* payload) noexcept {
  const FragmentPolicy policy = PolicyOf(tracker.key.destination);
  for (uint32_t c = tracker.fragments; c != kNone; c = chunks_[c].next_fragment) {
    arrivals_[chunks_[c].order] = c;
  }
  std::fill_n(owners_.get(), tracker.total, kNobody);
  for (uint32_t order = 0; order < tracker.num_fragments; ++order) {
    const Chunk& added = chunks_[arrivals_[order]];
    const uint32_t end = added.first + added.length;
    const Chunk* piece = &added;
    uint16_t judged = kNobody;  // the owner that `wins` is about
    bool wins = true;
    for (uint32_t at = added.first; at < end; ++at) {
      const size_t i = (at - added.first) % sizeof(Chunk::bytes);
      if (i == 0 && at != added.first) piece = &chunks_[piece->next];
      if (owners_[at] != judged) {
        judged = owners_[at];
        const Chunk* old = judged == kNobody ? nullptr : &chunks_[arrivals_[judged]];
        wins = old == nullptr ||
               NewFragmentWins(policy, added.first, end, old->first, old->first + old->length);
      }
      if (!wins) continue;
      payload[at] = piece->bytes[i];
      owners_[at] = static_cast<uint16_t>(order);
    }
  }
}

FragmentPolicy Defrag::PolicyOf(const Address& destination) const noexcept {
  const HostPolicy* best = nullptr;
  for (const HostPolicy& host : options_.host_policies) {
    if (InNetwork(destination, host) && (best == nullptr || host.prefix >= best->prefix)) best = &host;
  }
  return best == nullptr ? options_.policy : best->policy;
}

}  // namespace sluice
