// engine/tap/drop_maps.h
// The kernel's drop maps: by flow, by source prefix, by destination prefix, and the addresses that
// are never blocked.  They live in bpffs, so drops outlast the engine and any process with the
// right to open the pins can list and change them.
//
// Threads: no lock; the kernel serialises single operations.  One object may be used by many
//   threads, and by many processes through their own objects.
// Time: TTLs are durations; the kernel counts CLOCK_MONOTONIC.
// Errors: kNotFound where the pins do not exist, kPermission without the rights, kOutOfMemory when
//   a map is full (the message names the option to raise).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/decode/address.h"
#include "engine/flow/tuple.h"

namespace sluice {

// A network: the first `length` bits of `address` (0 .. 32 or 0 .. 128).
struct Prefix {
  Address address;
  uint8_t length = 0;

  bool operator==(const Prefix&) const = default;
};
// "10.0.0.0/8", "10.1.2.3", "2001:db8::/32".  Host bits must be zero: kInvalidArgument names the
// network that was probably meant.
Result<Prefix> ParsePrefix(std::string_view text);
std::string FormatPrefix(const Prefix& prefix);

enum class DropScope : uint8_t { kFlow, kSource, kDestination };

// Who asked for a drop; the numbers are enum tap_origin.
enum class DropOrigin : uint32_t { kNone, kRule, kInsight, kOperator, kFeed, kPolicy };

struct DropOptions {
  Nanos ttl = {};                // 0: until deleted
  uint64_t sid = 0;            // rule or insight that caused it
  DropOrigin origin = DropOrigin::kOperator;
  uint32_t rate = 0;           // packets per second let through; 0: none
};

struct DropEntry {
  DropScope scope = DropScope::kFlow;
  Tuple flow;                  // kFlow only; in the key's order, not the initiator's
  Prefix prefix;               // kSource and kDestination
  uint64_t sid = 0;
  DropOrigin origin = DropOrigin::kNone;
  uint32_t rate = 0;
  std::optional<Nanos> remaining;  // nothing: until deleted; <= 0: expired, not yet swept
  Nanos age{};
  uint64_t packets = 0;        // dropped by this entry
  uint64_t bytes = 0;
  std::optional<Nanos> last_hit_ago;
};

struct DropSweep {
  size_t removed = 0;
  size_t hosts_by_rule = 0;  // sources and destinations left that rules block
};

class DropMaps {
 public:
  // Opens the pinned maps below `pin_dir` (LiveTapOptions::pin_dir).
  static Result<DropMaps> Open(const std::string& pin_dir);

  DropMaps(DropMaps&&) noexcept;
  DropMaps& operator=(DropMaps&&) noexcept;
  ~DropMaps();

  // Adds an entry, or replaces the one there (its hit counters start again).  A prefix or flow that
  // touches the never-block list is entered too: the kernel checks the list per packet, and counts
  // what it saved.  NeverBlocked() asks beforehand.
  Result<void> AddFlow(const Tuple& flow, const DropOptions& options);
  Result<void> AddSource(const Prefix& source, const DropOptions& options);
  Result<void> AddDestination(const Prefix& destination, const DropOptions& options);

  // Whether there was such an entry.
  Result<bool> DeleteFlow(const Tuple& flow);
  Result<bool> DeleteSource(const Prefix& source);
  Result<bool> DeleteDestination(const Prefix& destination);

  Result<std::vector<DropEntry>> List() const;
  // Removes every drop entry; returns how many.
  Result<size_t> Flush();
  // Removes expired entries, and shows each to `on_expired`.  Call it every few seconds: an expired
  // entry drops nothing but takes room.
  Result<DropSweep> Sweep(const std::function<void(const DropEntry&)>& on_expired = {});
  // The entry of exactly this prefix, expired ones too.
  Result<std::optional<DropEntry>> FindSource(const Prefix& source) const;
  Result<std::optional<DropEntry>> FindDestination(const Prefix& destination) const;

  Result<void> AddNeverBlock(const Prefix& prefix);
  Result<bool> DeleteNeverBlock(const Prefix& prefix);
  Result<std::vector<Prefix>> ListNeverBlock() const;
  Result<bool> NeverBlocked(const Address& address) const;

 private:
  struct Impl;
  explicit DropMaps(Impl* impl) : impl_(impl) {}
  Impl* impl_;
};

}  // namespace sluice
