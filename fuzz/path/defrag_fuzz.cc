// Any fragments in any order.  Oracles: sanitizers; a slow reassembler that keeps every
// fragment as it came and asks byte by byte whose counts; memory stays under the cap and
// is all given back with the last packet.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "engine/decode/decode.h"
#include "engine/decode/defrag.h"
#include "tests/support/headers.h"

using namespace sluice;           // NOLINT
using namespace sluice::testing;  // NOLINT: the builders

namespace {

// The obvious way, for one packet in progress.
class SlowReassembler {
 public:
  explicit SlowReassembler(FragmentPolicy policy) : policy_(policy) {}

  // The payload, once it is whole.
  std::optional<Bytes> Add(uint32_t first, const Bytes& data, bool last) {
    const auto end = static_cast<uint32_t>(first + data.size());
    uint32_t seen_end = 0;
    for (const Piece& p : pieces_) seen_end = std::max(seen_end, p.end());
    if (last && (seen_end > end || (total_ && *total_ != end))) return {};
    if (total_ && end > *total_) return {};
    if (last) total_ = end;
    pieces_.push_back({first, data});
    return Whole();
  }

 private:
  struct Piece {
    uint32_t first;
    Bytes data;
    uint32_t end() const { return static_cast<uint32_t>(first + data.size()); }
  };

  std::optional<Bytes> Whole() const {
    if (!total_) return {};
    Bytes out;
    for (uint32_t at = 0; at < *total_; ++at) {
      const Piece* owner = nullptr;
      for (const Piece& p : pieces_) {
        if (at < p.first || at >= p.end()) continue;
        if (owner == nullptr || NewFragmentWins(policy_, p.first, p.end(), owner->first, owner->end())) {
          owner = &p;
        }
      }
      if (owner == nullptr) return {};
      out.push_back(owner->data[at - owner->first]);
    }
    return out;
  }

  const FragmentPolicy policy_;
  std::vector<Piece> pieces_;
  std::optional<uint32_t> total_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  const bool v6 = in.ConsumeBool();
  DefragOptions options;
  options.memcap = 64 << 10;
  options.max_trackers = 8;
  options.policy = static_cast<FragmentPolicy>(in.ConsumeIntegralInRange(0, 6));
  Defrag defrag(options);
  std::map<uint32_t, SlowReassembler> slow;
  // So few and short that no limit is reached: the slow one has none.
  for (int i = 0; i < 40 && in.remaining_bytes() > 0; ++i) {
    const uint32_t id = in.ConsumeIntegralInRange<uint32_t>(0, 3);
    const uint32_t first = 8 * in.ConsumeIntegralInRange<uint32_t>(0, 40);
    const bool more = in.ConsumeBool();
    const std::string text = in.ConsumeRandomLengthString(200);
    if (text.empty() || (first == 0 && !more)) continue;  // no fragment
    const Bytes piece(text.begin(), text.end());
    const Bytes ip = v6 ? Ipv6(44, Fragment(253, first, more, id, piece))
                        : Ipv4(253, piece, {.id = id, .fragment = first / 8 | (more ? 0x2000u : 0)});
    Packet packet;
    const Bytes frame = Ethernet(v6 ? 0x86dd : 0x0800, ip);
    Decode(LinkType::kEthernet, frame, {}, &packet);
    const Slice whole = defrag.Add(&packet, Nanos{1});
    if (defrag.memory() > options.memcap) __builtin_trap();
    auto& reference = slow.try_emplace(id, options.policy).first->second;
    const auto expected = reference.Add(first, piece, !more);
    if (expected.has_value() != !whole.empty()) __builtin_trap();
    if (!expected) continue;
    slow.erase(id);
    const Slice payload = whole.last(expected->size());
    if (!std::ranges::equal(payload, *expected)) __builtin_trap();
    Packet again;
    DecodeWhole(packet, whole, {.verify_checksums = true}, &again);
    if (again.stopped || again.is_fragment || again.bad_ip_checksum) __builtin_trap();
  }
  if (slow.empty() && defrag.memory() != 0) __builtin_trap();
  return 0;
}
