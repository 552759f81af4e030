// engine/output/mask.h
// Takes what a dissector called secret (SLUICE_SECRET) out of payload dumps.
// A value is found by its bytes, so one that was decoded (base64) needs a second
// secret field with its wire form; a packet dumped before the dissector has seen
// the whole value shows what came of it so far.
// Threads: any.  Memory: in place.
#pragma once

#include <span>

#include "engine/base/types.h"

namespace sluice {

inline constexpr char kMask = 'x';
inline constexpr size_t kLeastPart = 3;  // bytes of a value cut by a packet's edge

// Overwrites each occurrence of `secret` in `bytes`; also its end at the start of
// `bytes`, its beginning at the end, and bytes that lie within it.
void MaskSecret(Slice secret, std::span<uint8_t> bytes);

}  // namespace sluice
