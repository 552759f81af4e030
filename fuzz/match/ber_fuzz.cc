// Any bytes as BER.  Oracles: sanitizers; what is odd of a kind stays odd when more kinds are
// asked for; and bytes behind all elements that are whole change nothing.
#include "engine/match/ber.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Asn1Test bits, real, longer, any;
  bits.bitstring_overflow = any.bitstring_overflow = true;
  real.double_overflow = any.double_overflow = true;
  longer.oversize_length = any.oversize_length = data[0];
  const Slice bytes{data + 1, size - 1};
  const bool one = HasOddElement(bytes, bits) || HasOddElement(bytes, real) || HasOddElement(bytes, longer);
  if (one != HasOddElement(bytes, any)) __builtin_trap();
  if (one && size < 64 * 1024) {
    std::vector<uint8_t> more(bytes.begin(), bytes.end());
    more.push_back(0x30);  // an element without its length
    if (!HasOddElement(more, any)) __builtin_trap();
  }
  return 0;
}
