#include "engine/decode/events.h"

#include <iterator>

namespace sluice {
namespace {

constexpr const char* kNames[] = {
#define SLUICE_DECODE_EVENT(enumerator, name) name,
    SLUICE_DECODE_EVENTS(SLUICE_DECODE_EVENT)
#undef SLUICE_DECODE_EVENT
};
static_assert(std::size(kNames) == static_cast<size_t>(DecodeEvent::kMax));

// In Suricata's tables, so that its rule files load; nothing raises them.
constexpr const char* kNeverRaised[] = {
    "ipv4.opt_unknown",    "ipv4.unknown_protocol", "ipv6.exthdr_dupl_eh",
    "udp.hlen_invalid",    "sctp.too_many_chunks",  "gre.version1_malformed_sre_hdr",
    "erspan.too_many_vlan_layers", "afp.trunc_pkt"};

}  // namespace

const char* DecodeEventName(DecodeEvent event) noexcept {
  return kNames[static_cast<size_t>(event)];
}

std::vector<std::string> DecodeEventNames() {
  std::vector<std::string> names(std::begin(kNames), std::end(kNames));
  names.insert(names.end(), std::begin(kNeverRaised), std::end(kNeverRaised));
  return names;
}

}  // namespace sluice
