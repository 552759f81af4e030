// Any text as a list of hashes.  Oracles: sanitizers; a list has at most one hash a line, and
// finds each line that begins with a hash, as written there; errors name the place.
#include <algorithm>

#include "engine/base/types.h"
#include "engine/match/hash_list.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto kind = static_cast<FileHash>(data[0] % 3);
  const std::string_view text = AsText({data + 1, size - 1});
  const auto list = HashList::Parse(text, "list", kind);
  if (!list) {
    if (!list.error().message.starts_with("list:")) __builtin_trap();
    return 0;
  }
  size_t lines = 0;
  for (size_t at = 0; at < text.size(); ++lines) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    if (line.empty() || line.find_first_of("# \t\r") == 0) continue;
    if (!list->Contains(line.substr(0, HexSize(kind)))) __builtin_trap();
  }
  if (list->size() > lines) __builtin_trap();
  return 0;
}
