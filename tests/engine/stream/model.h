// tests/engine/stream/model.h
// Reassembly, slow and obvious: a map from position to byte.
#pragma once

#include <cstdint>
#include <map>
#include <string>

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

// First copy of each position wins.
class ByteMap {
 public:
  void Add(uint64_t offset, std::string_view bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (offset + i >= delivered_) map_.try_emplace(offset + i, bytes[i]);
    }
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
        out += it->second;
      }
      ++delivered_;
    }
    Flush(&hole);
  }
  std::string out;

 private:
  void Flush(uint64_t* hole) {
    if (*hole > 0) out += "<" + std::to_string(*hole) + ">";
    *hole = 0;
  }
  std::map<uint64_t, char> map_;
  uint64_t delivered_ = 0;
};

}  // namespace sluice::testing
