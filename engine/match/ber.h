// engine/match/ber.h
// Odd elements in BER (X.690), as the keyword asn1 asks for them.
//
// Elements are read one behind the other from the start, into universal SEQUENCE and SET,
//   as long as each lies whole in the bytes; what does not ends the search.
// Limits: kMaxBerElements elements, kMaxBerDepth deep.
// Threads: a pure function.
#pragma once

#include "engine/base/types.h"
#include "engine/rules/rule_set.h"

namespace sluice {

inline constexpr uint32_t kMaxBerElements = 256;
inline constexpr uint32_t kMaxBerDepth = 32;

bool HasOddElement(Slice bytes, const Asn1Test& test) noexcept;

}  // namespace sluice
