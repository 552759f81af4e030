#include "engine/match/hash_list.h"

#include <algorithm>

#include "engine/base/file.h"

namespace sluice {
namespace {

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False if it is not hex throughout.  `hex` has an even number of characters.
bool Decode(std::string_view hex, uint8_t* out) {
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = Digit(hex[i]), low = Digit(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    *out++ = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace

Result<HashList> HashList::Load(const std::string& path, FileHash kind) {
  const auto text = ReadFile(path, "list of hashes");
  if (!text) return std::unexpected(text.error());
  return Parse(*text, path, kind);
}

Result<HashList> HashList::Parse(std::string_view text, const std::string& name, FileHash kind) {
  HashList list(kind);
  const size_t size = HexSize(kind);
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.empty() || line.find_first_of("# \t\r") == 0) continue;
    Hash hash{};
    if (line.size() < size || !Decode(line.substr(0, size), hash.data()) ||
        (line.size() > size && Digit(line[size]) >= 0)) {
      return Fail(Errc::kInvalidArgument, "{}:{}: a line begins with a hash of {} hex digits", name,
                  number, size);
    }
    list.hashes_.push_back(hash);
  }
  std::ranges::sort(list.hashes_);
  const auto twice = std::ranges::unique(list.hashes_);
  list.hashes_.erase(twice.begin(), twice.end());
  return list;
}

bool HashList::Contains(std::string_view hex) const {
  Hash hash{};
  return hex.size() == HexSize(kind_) && Decode(hex, hash.data()) &&
         std::ranges::binary_search(hashes_, hash);
}

}  // namespace sluice
