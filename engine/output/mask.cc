#include "engine/output/mask.h"

#include <algorithm>
#include <string_view>

namespace sluice {
namespace {

std::string_view Text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The most bytes, fewer than all, that end `left` and begin `right`.
size_t Overlap(std::string_view left, std::string_view right) {
  const size_t most = std::min(left.size(), right.size());
  for (size_t n = most; n >= kLeastPart; --n) {
    if (left.ends_with(right.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

void MaskSecret(Slice secret, std::span<uint8_t> bytes) {
  const std::string_view value = Text(secret), text = Text(bytes);
  if (value.empty() || text.empty()) return;
  if (text.size() >= kLeastPart && value.contains(text)) {
    std::ranges::fill(bytes, kMask);
    return;
  }
  const size_t head = Overlap(value, text), tail = Overlap(text, value);
  for (size_t at = text.find(value); at != text.npos; at = text.find(value, at + value.size())) {
    std::ranges::fill(bytes.subspan(at, value.size()), kMask);
  }
  std::ranges::fill(bytes.first(head), kMask);
  std::ranges::fill(bytes.last(tail), kMask);
}

}  // namespace sluice
