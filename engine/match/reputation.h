// engine/match/reputation.h
// What reputation files say of hosts and networks, by category: iprep.
//
// A line is "address,category,value" or "network/bits,category,value"; "#" begins a comment.
// Of several that cover a host the longest prefix counts, then the last one.
// Threads: loaded on the main thread, then immutable and shared by workers.
// Memory: 20 bytes an entry.
// Errors: a line that is none of these is skipped and named; so is a file that cannot be read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "engine/decode/address.h"
#include "engine/rules/rule_set.h"

namespace sluice {

class Reputation {
 public:
  static constexpr uint8_t kMostValue = 127;

  void Load(const std::string& path, std::vector<RuleProblem>* problems);
  // The same of text that was read from `name`.
  void Parse(std::string_view text, const std::string& name, std::vector<RuleProblem>* problems);
  // After the last file, before the first look.
  void Finish();

  // At most one search for each prefix length in use.
  std::optional<uint8_t> Find(const Address& address, uint8_t category) const noexcept;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    uint8_t version = 0, prefix = 0, category = 0, value = 0;
    std::array<uint8_t, 16> network{};
    auto Key() const { return std::tie(version, prefix, category, network); }
  };
  static std::optional<Entry> ParseLine(std::string_view line);

  std::vector<Entry> entries_;          // sorted by Key()
  std::vector<uint8_t> prefixes_[2];    // in use by IPv4 and IPv6, longest first
};

}  // namespace sluice
