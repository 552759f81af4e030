// engine/decode/defrag.h
// IP fragments -> whole packets (RFC 791 §3.2, RFC 8200 §4.5).
//
// Where fragments carry different bytes for a place, the policy of the receiving
// host says which count.
// Threads: confined to its worker.
// Memory: the constructor reserves `memcap` bytes of chunks (touched on first use) and
//   `max_trackers` packets in progress; nothing is allocated later.  Past either the
//   oldest in progress is given up and counted.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/types.h"
#include "engine/decode/packet.h"

namespace sluice {

// Whether bytes of a new fragment replace those of an older one, by where the two lie
// as they were sent.  After Novak, "Target-based fragmentation reassembly" (2005).
enum class FragmentPolicy : uint8_t {
  kFirst,     // never
  kLast,      // always
  kBsd,       // if the new one begins earlier
  kBsdRight,  // if it begins later or at the same place
  kLinux,     // if it begins earlier or at the same place
  kWindows,   // if it begins earlier and ends later
  kSolaris,   // if it begins earlier and ends later or at the same place
};
bool NewFragmentWins(FragmentPolicy policy, uint32_t new_first, uint32_t new_end,
                     uint32_t old_first, uint32_t old_end) noexcept;

// Which policy packets to a network get; the longest prefix wins, of equal ones the last.
struct HostPolicy {
  Address network;
  uint8_t prefix = 0;  // bits
  FragmentPolicy policy = FragmentPolicy::kBsd;
};

struct DefragOptions {
  size_t memcap = 32u << 20;        // bytes of fragments, in chunks of 512
  uint32_t max_trackers = 8192;     // packets in progress
  uint32_t max_fragments = 1024;    // of one packet, at most 65535
  Nanos timeout = std::chrono::seconds{60};
  FragmentPolicy policy = FragmentPolicy::kBsd;  // of hosts that host_policies does not name
  std::vector<HostPolicy> host_policies = {};
};
struct DefragStats {
  uint64_t fragments[2] = {0, 0};    // IPv4, IPv6
  uint64_t reassembled[2] = {0, 0};
  uint64_t timeouts = 0;
  uint64_t trackers_full = 0;        // given up: max_trackers
  uint64_t memcap = 0;               // given up, or refused: no chunk left
  uint64_t no_room = 0;              // of those: the new one was refused
  uint64_t refused = 0;              // too many, too large, or contradictory ends
  uint64_t overlaps = 0;
};

class Defrag {
 public:
  // A whole packet may hold fragments of another, and so on: this deep.
  static constexpr size_t kMaxNesting = 4;

  explicit Defrag(const DefragOptions& options);

  // Takes a fragment, and adds to its events what is wrong with it.  If it was the last
  // one missing: the frame of the first with the whole IP packet, for DecodeWhole();
  // valid until a packet of the same num_defrags is whole.  Else empty.
  Slice Add(Packet* packet, Nanos now) noexcept;
  const DefragStats& stats() const { return stats_; }
  size_t memory() const { return chunks_in_use_ * sizeof(Chunk); }
  size_t num_trackers() const { return num_trackers_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kMaxHeader = 4096;  // link and IP headers: longer ones are refused

  struct Key {
    Address source, destination;
    uint16_t vlan[3];
    uint32_t id;
    uint8_t protocol;  // 0 for IPv6
    uint8_t recursion;
    uint16_t zero;  // no padding: it is hashed as bytes
    bool operator==(const Key&) const = default;
  };
  static_assert(sizeof(Key) == 48);
  // A piece of a fragment.  The numbers are the fragment's, and hold in its first chunk.
  struct Chunk {
    uint32_t next;           // of the same bytes, or of the free chunks
    uint32_t next_fragment;  // sorted by offset
    uint32_t first, length;  // bytes in the IP payload
    uint32_t order;          // of arrival
    uint8_t bytes[512 - 20];
  };
  struct Tracker {
    Key key;
    Nanos started;
    uint32_t next_in_bucket, older, newer;
    uint32_t fragments, newest_end;  // chunks: the first by offset, the last one by offset
    uint32_t header;                 // chunk of the headers before the payload
    uint32_t header_len, link_len;   // bytes
    uint32_t num_fragments;
    uint32_t seen;     // payload bytes, repeats included
    uint32_t end;      // behind the last byte seen
    uint32_t total;    // payload bytes, once the last fragment came; else kNone
    uint16_t next_header_at;  // IPv6
    uint8_t next_header;
    bool overlaps;
  };

  void Expire(Nanos now) noexcept;
  uint32_t Find(const Key& key, uint64_t hash) const noexcept;
  uint32_t Start(const Key& key, uint64_t hash, Nanos now) noexcept;
  void Remove(uint32_t index) noexcept;
  uint64_t Hash(const Key& key) const noexcept;
  uint32_t TakeChunk() noexcept;
  void FreeChunks(uint32_t chunk) noexcept;
  bool MakeRoom(size_t bytes, uint32_t keep) noexcept;
  uint32_t Store(Slice bytes) noexcept;
  void Load(uint32_t chunk, size_t length, uint8_t* out) const noexcept;
  void StoreHeader(const Packet& packet, Tracker* tracker) noexcept;
  void Insert(Tracker* tracker, uint32_t chunk) noexcept;
  bool Complete(const Tracker& tracker) const noexcept;
  Slice Build(const Tracker& tracker, size_t nesting) noexcept;
  void Merge(const Tracker& tracker, uint8_t* payload) noexcept;
  FragmentPolicy PolicyOf(const Address& destination) const noexcept;

  const DefragOptions options_;
  const uint64_t seed_;
  std::unique_ptr<Chunk[]> chunks_;
  uint32_t num_chunks_, chunks_touched_ = 0, free_chunk_ = kNone;
  size_t chunks_in_use_ = 0;
  std::unique_ptr<Tracker[]> trackers_;
  uint32_t trackers_touched_ = 0, free_tracker_ = kNone, num_trackers_ = 0;
  uint32_t oldest_ = kNone, newest_ = kNone;
  std::vector<uint32_t> buckets_;
  std::unique_ptr<uint8_t[]> whole_[kMaxNesting];
  std::unique_ptr<uint16_t[]> owners_;    // scratch of Merge(): by payload byte, arrival
  std::unique_ptr<uint32_t[]> arrivals_;  // scratch of Merge(): chunks in the order they came
  DefragStats stats_;
};

}  // namespace sluice
