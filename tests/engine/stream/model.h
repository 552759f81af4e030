// tests/engine/stream/model.h
// Reassembly, slow and obvious: a map from position to byte.
// Threads: one test's or fuzz target's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/stream/reassembly.h"

namespace sluice::testing {

// What a stream delivers, as text: bytes as they are, a gap as "<n>".
struct Recorder final : Reassembly::Sink {
  void OnBytes(Slice bytes, uint64_t offset) override {
    in_order &= offset == next;
    next = offset + bytes.size();
    out.append(AsText(bytes));
  }
  void OnGap(uint64_t offset, uint64_t bytes) override {
    in_order &= offset == next;
    next = offset + bytes;
    out += "<" + std::to_string(bytes) + ">";
  }
  std::string out;
  uint64_t next = 0;
  bool in_order = true;
};

// Each byte knows the piece it was kept in: what came in one segment and filled one hole.
// A newer copy wins as the policy says of its segment and that piece.
class ByteMap {
 public:
  explicit ByteMap(OverlapPolicy policy = OverlapPolicy::kFirst) : policy_(policy) {}

  void Add(uint64_t offset, std::string_view bytes) {
    const uint64_t start = std::max(offset, delivered_), end = offset + bytes.size();
    std::vector<uint64_t> filled;
    for (uint64_t at = start; at < end; ++at) {
      const auto [it, is_new] = map_.try_emplace(at, Byte{bytes[at - offset], 0, 0});
      if (is_new) {
        filled.push_back(at);
      } else if (NewWins(start, end, it->second)) {
        it->second.value = bytes[at - offset];
      }
    }
    NotePieces(filled);
  }
  // Everything below `limit`; with gaps, holes are told.
  void Deliver(uint64_t limit, bool gaps) {
    uint64_t hole = 0;
    while (delivered_ < limit) {
      const auto it = map_.find(delivered_);
      if (it == map_.end()) {
        if (!gaps) break;
        ++hole;
      } else {
        Flush(&hole);
        out += it->second.value;
      }
      ++delivered_;
    }
    Flush(&hole);
  }
  std::string out;

 private:
  struct Byte {
    char value;
    uint64_t start, end;  // of its piece, as it was kept
  };
  bool NewWins(uint64_t start, uint64_t end, const Byte& old) const {
    const uint64_t old_start = std::max(old.start, delivered_);
    switch (policy_) {
      case OverlapPolicy::kFirst: return false;
      case OverlapPolicy::kLast: return true;
      case OverlapPolicy::kBsd: return start < old_start;
      case OverlapPolicy::kLinux: return start < old_start || (start == old_start && end > old.end);
      case OverlapPolicy::kSolaris: return end >= old.end;
    }
    return false;
  }
  void NotePieces(const std::vector<uint64_t>& filled) {
    for (size_t first = 0, i = 0; i < filled.size(); ++i) {
      if (i + 1 < filled.size() && filled[i + 1] == filled[i] + 1) continue;
      for (size_t j = first; j <= i; ++j) map_[filled[j]].start = filled[first], map_[filled[j]].end = filled[i] + 1;
      first = i + 1;
    }
  }
  void Flush(uint64_t* hole) {
    if (*hole > 0) out += "<" + std::to_string(*hole) + ">";
    *hole = 0;
  }
  std::map<uint64_t, Byte> map_;
  uint64_t delivered_ = 0;
  OverlapPolicy policy_;
};

}  // namespace sluice::testing
