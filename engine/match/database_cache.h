// engine/match/database_cache.h
// Compiled Hyperscan databases kept on disk between starts, so that a rule set
// seen before is read instead of compiled.
//
// A *pack* is one file with the databases of one rule set, each found by the
// SHA-256 of all that went into it.  Open() indexes every pack of this Hyperscan
// and this CPU; what a changed rule set shares with an older one is found too.
// Commit() writes a new pack if something was missing.
//
// Threads: one thread, while rules load.
// Memory: an index entry per database; database bytes only while they are read or
//   written.
// Errors: a pack that is truncated, damaged, of another version, a link, or that
//   another user could have written is not read and counted in `refused`; a
//   database whose bytes do not fit their checksum is compiled again.  Packs are
//   written beside and renamed: readers and two writers never see half a file.
#pragma once

#include <hs/hs.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace sluice {

struct DatabaseCacheOptions {
  std::string directory;                // made if it is not there
  uint64_t max_bytes = 512ull << 20;    // of all packs; the longest unused go first
  uint32_t min_compile_ms = 200;        // cheaper rule sets are not worth a file
};

struct DatabaseCacheStats {  // since Open()
  uint32_t hits = 0, misses = 0;
  uint32_t refused = 0;   // packs not read
  uint32_t damaged = 0;   // databases whose checksum was wrong
  uint32_t evicted = 0;   // packs removed at max_bytes
};

class DatabaseCache {
 public:
  using Key = std::array<uint8_t, 32>;

  // Collects what a database is compiled from; parts cannot run into each other.
  class KeyBuilder {
   public:
    KeyBuilder& Add(std::string_view bytes);
    KeyBuilder& Add(uint64_t number);
    Key Finish() const;

   private:
    std::string material_;
  };

  // kPermission if the directory is not this user's (or root's) alone; kIo if it
  // cannot be made or read.
  static Result<std::unique_ptr<DatabaseCache>> Open(const DatabaseCacheOptions& options);
  ~DatabaseCache();
  DatabaseCache(const DatabaseCache&) = delete;
  DatabaseCache& operator=(const DatabaseCache&) = delete;

  // The database of `key`, owned by the caller; null: compile it, then Store().
  hs_database_t* Load(const Key& key);
  // Notes a database just compiled, which took `compile_ns` of CPU time.
  void Store(const Key& key, const hs_database_t* database, uint64_t compile_ns);
  // Load(), else what compile() gives (null if it fails), noted for the next start.
  template <typename F>
  hs_database_t* LoadOr(const Key& key, F&& compile) {
    if (hs_database_t* database = Load(key)) return database;
    const uint64_t start = CpuNanos();
    hs_database_t* database = compile();
    if (database) Store(key, database, CpuNanos() - start);
    return database;
  }
  // Writes a pack of all databases loaded or stored, if that saves enough.
  Result<void> Commit();

  const DatabaseCacheStats& stats() const { return stats_; }

 private:
  struct Pack {
    std::string name;
    int fd = -1;
    bool used = false;
  };
  struct Entry {
    uint32_t pack = 0;  // index in packs_
    uint64_t offset = 0, length = 0, checksum = 0;
  };
  DatabaseCache() = default;
  static uint64_t CpuNanos();  // of this thread
  void Index(const std::string& name);
  bool ReadIndex(Pack& pack, uint64_t file_bytes);
  bool ReadEntry(const Entry& entry, std::string* bytes) const;
  Result<void> WritePack(const std::string& name);
  void Evict(const std::string& keep);

  DatabaseCacheOptions options_;
  int directory_ = -1;
  std::array<uint8_t, 32> platform_{};
  std::vector<Pack> packs_;
  std::map<Key, Entry> entries_;
  std::map<Key, std::string> fresh_;  // compiled in this run, serialised
  std::vector<Key> used_;
  uint64_t compile_ns_ = 0;
  DatabaseCacheStats stats_;
};

}  // namespace sluice
