// engine/tap/flow_key.h
// Between the engine's tuples and addresses and the kernel's normalised keys.
// Threads: pure functions.
#pragma once

#include "bpf/shared/tap_abi.h"
#include "engine/decode/address.h"
#include "engine/flow/tuple.h"

namespace sluice {

// The kernel's key of `tuple`, and which side of it the tuple's source is.
// Only TCP and UDP have ports in the kernel; whatever else the tuple carries there is ignored.
struct KeyAndSide {
  tap_flow_key key;
  uint8_t source_side;  // 0 or 1
};
KeyAndSide MakeFlowKey(const Tuple& tuple) noexcept;

// The tuple of `key` as packets sent by `source_side` have it.
Tuple TupleOf(const tap_flow_key& key, uint8_t source_side) noexcept;

// IPv4 <-> ::ffff:a.b.c.d.
void ToMapped(const Address& address, uint8_t (&out)[16]) noexcept;
Address FromMapped(const uint8_t (&mapped)[16]) noexcept;

}  // namespace sluice
