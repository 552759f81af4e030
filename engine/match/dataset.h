// engine/match/dataset.h
// Named sets of values that rules look up and fill: dataset, datarep.
//
// Memory: entries are only ever added; removing marks one.  A set takes at most its
//   memcap; past it new values are refused and counted.
// Threads: any number of workers look up and change a set without locks (a list
//   per bucket, entries pushed by compare-and-swap).  The registry belongs to the
//   main thread.
// Files: one value a line: strings in base64, hashes in hex, addresses as text;
//   behind a comma its reputation.  Or JSON, with the object as context.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/rules/rule_set.h"

namespace sluice {

class Dataset {
 public:
  struct Entry {
    Entry* next = nullptr;  // older entry of the bucket
    uint64_t hash = 0;
    std::atomic<bool> dead{false};
    uint16_t reputation = 0;
    std::string value;
    std::string context;  // a JSON object, for the alert; empty: none
  };

  explicit Dataset(DatasetSpec spec);
  ~Dataset();
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const DatasetSpec& spec() const { return spec_; }
  // Null if it is not there.
  const Entry* Find(Slice value) const;
  // The longest part from a '.' on that is there ("subdomain" matching).
  const Entry* FindParent(Slice value) const;
  // Whether the set has changed: false also at the memcap.
  bool Add(Slice value, uint16_t reputation = 0, std::string context = {});
  bool Remove(Slice value);

  // Values of another length are of another type and never match.
  bool Fits(size_t size) const;

  Result<void> Load(const std::string& path);  // bad lines are errors with their number
  Result<void> Save(const std::string& path) const;

  size_t size() const;  // living entries; counts them
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  std::atomic<Entry*>& Bucket(uint64_t hash) const;
  Entry* FindEntry(uint64_t hash, std::string_view value) const;
  Result<void> LoadLines(const std::string& path, std::string_view text);
  Result<void> LoadJson(const std::string& path, std::string_view text);
  Result<std::string> Parse(std::string_view text) const;  // as written in a file
  std::string Print(std::string_view value) const;

  const DatasetSpec spec_;
  size_t mask_ = 0;
  std::unique_ptr<std::atomic<Entry*>[]> buckets_;
  std::atomic<uint64_t> memory_{0}, refused_{0};
};

struct DatasetOptions {
  std::string data_dir = ".";        // where state is kept
  bool allow_write = true;           // rules may name files to write
  bool allow_absolute = false;       // ... and read outside of data_dir
};

class DatasetRegistry {
 public:
  explicit DatasetRegistry(DatasetOptions options) : options_(std::move(options)) {}

  // Before rules are loaded (again): sets that only come from a file are read anew,
  // those with state go on.
  void BeginGeneration() { ++generation_; }
  // The set that a rule means; `directory` of the rule file, for relative names.
  Result<std::shared_ptr<Dataset>> Open(const DatasetSpec& spec, const std::string& directory);
  // Writes what has a file to be kept in; the first failure is returned.
  Result<void> SaveAll() const;

 private:
  struct Slot {
    std::shared_ptr<Dataset> set;
    std::string save_path;
    uint32_t generation = 0;
  };
  Result<std::string> WritePath(const std::string& name) const;
  Result<std::string> ReadPath(const std::string& name, const std::string& directory) const;

  const DatasetOptions options_;
  std::map<std::string, Slot, std::less<>> sets_;
  uint32_t generation_ = 0;
};

}  // namespace sluice
