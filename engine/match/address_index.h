// engine/match/address_index.h
// Rules on addresses alone, found by a packet's two addresses: a search in one table of
// intervals each, instead of one in every rule's list.
//
// A rule stands with the rarer of its two sets; what it finds still has its header tested.
//   Rules whose rarer set is a large part of all addresses stand in every answer.
// Threads: built once, then read only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/decode/address.h"
#include "engine/rules/rule_set.h"

namespace sluice {

class AddressIndex {
 public:
  // `either`: the sets hold for the packet's addresses in either order.
  void Add(uint32_t rank, const AddressSet& sources, const AddressSet& destinations, bool either);
  void Finish();
  // Appends the ranks that may match, ascending, each once.
  void Find(const Address& source, const Address& destination, std::vector<uint32_t>* ranks) const;
  size_t size() const { return num_rules_; }

 private:
  static constexpr size_t kMostListed = 4u << 20;  // ranks: 16 MiB
  // What holds from `first` on, up to the next interval: ranks_[from, to).
  struct Interval {
    Address first;
    uint32_t from = 0, to = 0;
  };
  class Side {
   public:
    void Add(uint32_t rank, const AddressSet& set);
    // Where the lists would take more than kMostListed, all rules go to `always` instead.
    void Finish(std::vector<uint32_t>* always);
    std::span<const uint32_t> Find(const Address& address) const;

   private:
    struct Edge {
      Address at;
      bool begins;
      uint32_t rank;
    };
    std::vector<Edge> edges_;  // until Finish()
    std::vector<Interval> intervals_;
    std::vector<uint32_t> ranks_;
  };
  Side by_source_, by_destination_;
  std::vector<uint32_t> always_;
  size_t num_rules_ = 0;
};

}  // namespace sluice
