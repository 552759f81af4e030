// engine/dissect/file_parts.h
// Files that come in parts, in several exchanges of perhaps several flows, put together.
//
// Bytes are kept by their place in the file until all are there.  What came first at a
//   place stays: a later part that says otherwise changes nothing.
// Limits: FilePartsOptions.  Where one is reached the file longest without a new part makes
//   room; it and those past their time are forgotten: their parts are files of their own
//   anyway.
// Memory: blocks of 16 KiB, taken when their first byte comes, kept for reuse; in steady
//   state nothing is allocated.
// Threads: one per worker, confined to it: parts in flows of two workers do not meet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/types.h"

namespace sluice {

struct FilePartsOptions {
  uint64_t memcap = 64u << 20;          // bytes of all blocks and names; 0: no parts are put together
  uint64_t max_file_bytes = 16u << 20;  // of a whole file; longer ones are refused
  uint32_t max_files = 256;
  uint32_t max_pieces = 64;             // of a file, with holes between them
  Nanos timeout = std::chrono::seconds{60};  // since the last part began or went on
};

struct FilePartsStats {
  uint64_t parts = 0;
  uint64_t whole = 0;    // files put together
  uint64_t expired = 0;  // files given up: timeout
  uint64_t evicted = 0;  // ... for others: max_files or memcap
  uint64_t refused = 0;  // parts of files too long, or of too many pieces, or of none
};

class FileParts {
 public:
  explicit FileParts(const FilePartsOptions& options) : options_(options) {}

  // Which file a part belongs to, for Write(); 0 if refused.
  uint64_t Begin(Slice identity, Slice name, uint64_t offset, uint64_t total, Nanos now);
  // Bytes of a part, at their place in the file.  True once all of the file is there; it is
  // the caller's until Forget().
  bool Write(uint64_t file, uint64_t offset, Slice bytes, Nanos now);
  Slice name(uint64_t file) const;
  uint64_t size(uint64_t file) const;
  // The bytes from `offset` on that lie together; empty at the end.
  Slice At(uint64_t file, uint64_t offset) const;
  void Forget(uint64_t file);

  const FilePartsStats& stats() const { return stats_; }
  size_t num_files() const;
  uint64_t memory() const { return memory_; }

 private:
  static constexpr uint64_t kBlock = 16 * 1024;
  struct Piece {
    uint64_t start = 0, end = 0;
  };
  struct File {
    uint32_t generation = 1;  // grows when the slot is freed: stale ids find nothing
    bool used = false;
    uint64_t hash = 0, total = 0;
    Nanos touched{};
    std::string identity, name;
    std::vector<std::unique_ptr<uint8_t[]>> blocks;  // null: no byte of it came
    std::vector<Piece> pieces;                       // sorted, apart
  };

  File* Find(uint64_t id);
  const File* Find(uint64_t id) const { return const_cast<FileParts*>(this)->Find(id); }
  File* FindSame(Slice identity, uint64_t hash, uint64_t total);
  uint64_t IdOf(const File& file) const;
  void Expire(Nanos now);
  void Free(File& file);
  bool EvictOldest(const File* but);
  bool Charge(uint64_t bytes, const File* but);
  bool Fill(File& file, uint64_t from, uint64_t to, const uint8_t* bytes);
  static bool AddPiece(File& file, Piece piece, size_t most);

  const FilePartsOptions options_;
  FilePartsStats stats_;
  std::vector<File> files_;
  std::vector<std::unique_ptr<uint8_t[]>> free_blocks_;
  uint64_t memory_ = 0;  // of the files; free blocks, at most as many as there ever were, beside it
};

}  // namespace sluice
