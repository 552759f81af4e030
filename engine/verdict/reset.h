// engine/verdict/reset.h
// Ends connections from outside: TCP resets and ICMP "prohibited", as packets.
//
// Building is pure; ResetSender needs raw sockets, opened before privileges go.
// Threads: one sender per worker.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/flow/tuple.h"

namespace sluice {

// An IP packet with a RST from tuple's source to its destination (RFC 9293 §3.5.2).
std::vector<uint8_t> BuildReset(const Tuple& tuple, uint32_t seq, uint32_t ack);
// An ICMP "administratively prohibited" about `offending` (an IP packet), from
// its destination to its source (RFC 792, RFC 4443 §3.1).
std::vector<uint8_t> BuildProhibited(const Tuple& tuple, Slice offending);

class ResetSender {
 public:
  // `mark`: SO_MARK, so that the tap's own programs let the packets pass.
  static Result<std::unique_ptr<ResetSender>> Create(uint32_t mark);
  ~ResetSender();
  // Whether the kernel took it.
  bool Send(Slice packet, const Address& destination) noexcept;

 private:
  ResetSender(int v4, int v6) : v4_(v4), v6_(v6) {}
  const int v4_, v6_;
};

}  // namespace sluice
