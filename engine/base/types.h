// engine/base/types.h
// The small vocabulary types every folder uses.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

// Borrowed bytes: owns nothing, dies with the call it came in.
using Slice = std::span<const uint8_t>;

inline Slice AsSlice(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(Slice slice) {
  return {reinterpret_cast<const char*>(slice.data()), slice.size()};
}

// A duration, or a time since the Unix epoch.
using Nanos = std::chrono::nanoseconds;

// Relative to the flow's initiator.  An index, never a flag.
enum class Direction : uint8_t { kToServer = 0, kToClient = 1 };
constexpr size_t Index(Direction direction) { return static_cast<size_t>(direction); }
constexpr Direction Opposite(Direction direction) {
  return direction == Direction::kToServer ? Direction::kToClient : Direction::kToServer;
}

}  // namespace sluice
