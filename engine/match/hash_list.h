// engine/match/hash_list.h
// Hashes of files that rules look for: a text file, one hash a line.
//
// What stands behind the hash, lines that begin with '#' or a blank, and empty ones mean
// nothing.
// Threads: loaded on the main thread, then immutable and shared by workers.
// Memory: 32 bytes a hash.
// Errors: Load() names the file, its line and what is wrong with it.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/rules/rule_set.h"

namespace sluice {

class HashList {
 public:
  static Result<HashList> Load(const std::string& path, FileHash kind);
  // The same of text that was read from `name`.
  static Result<HashList> Parse(std::string_view text, const std::string& name, FileHash kind);

  // `hex`: a whole hash; one of another kind is never there.
  bool Contains(std::string_view hex) const;
  size_t size() const { return hashes_.size(); }

 private:
  using Hash = std::array<uint8_t, 32>;  // shorter ones end in zeros
  explicit HashList(FileHash kind) : kind_(kind) {}

  FileHash kind_;
  std::vector<Hash> hashes_;  // sorted
};

// Characters of a hash in hex.
constexpr size_t HexSize(FileHash kind) {
  return kind == FileHash::kMd5 ? 32 : kind == FileHash::kSha1 ? 40 : 64;
}

}  // namespace sluice
