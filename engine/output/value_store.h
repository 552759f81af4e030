// engine/output/value_store.h
// Values that rules ask to keep (SLUICE_STORE), each transaction's in a file of its own:
// <directory>/<seconds>.<microseconds>-<number>.<suffix>, and beside it, written last, its
// facts as <the same>.meta.  No part of a name comes from the network.
//
// Threads: as LogOutput; counters may be read from any.
// Memory: none kept.  Disk: max_files and max_bytes of a run; past either nothing more is
//   written, and that is counted.
// Errors: Open() says why a directory cannot be used.  Later, what cannot be written costs
//   that value and is counted; the first is one error line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/output/log_output.h"

namespace sluice {

struct ValueMessage {
  uint64_t micros = 0;    // since the epoch
  std::string_view name;  // whose values: a dissector's; at most 255 bytes, as the suffix
  std::string_view suffix;
  std::string_view value, meta;
  void AppendTo(std::string* out) const;
  // False if it is none.  The views are of `bytes`.
  bool Read(std::string_view bytes);
};

struct ValueStoreOptions {
  std::map<std::string, std::string, std::less<>> directories = {};  // by dissector
  uint64_t max_files = 65'536, max_bytes = uint64_t{1} << 30;   // values; not their facts
};

struct ValueStoreStats {
  std::atomic<uint64_t> written{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> limited{0};  // past max_files or max_bytes
  std::atomic<uint64_t> fs_errors{0};
};

class ValueStore final : public LogOutput {
 public:
  static Result<std::unique_ptr<ValueStore>> Open(const ValueStoreOptions& options);
  void Write(std::string_view message) override;
  const ValueStoreStats& stats() const { return stats_; }

 private:
  explicit ValueStore(const ValueStoreOptions& options) : LogOutput("values"), options_(options) {}
  bool WriteFile(const std::string& path, std::string_view bytes);

  const ValueStoreOptions options_;
  uint64_t number_ = 0;  // of the last file
  ValueStoreStats stats_;
};

}  // namespace sluice
