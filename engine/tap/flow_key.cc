#include "engine/tap/flow_key.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "engine/decode/ip_protocol.h"

namespace sluice {
namespace {

constexpr uint8_t kMappedHead[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

void ToMapped(const Address& address, uint8_t (&out)[16]) noexcept {
  if (address.version == 4) {
    std::memcpy(out, kMappedHead, 12);
    std::memcpy(out + 12, address.bytes.data(), 4);
  } else {
    std::memcpy(out, address.bytes.data(), 16);
  }
}

Address FromMapped(const uint8_t (&mapped)[16]) noexcept {
  Address address;
  if (std::memcmp(mapped, kMappedHead, 12) == 0) {
    address.version = 4;
    std::memcpy(address.bytes.data(), mapped + 12, 4);
  } else {
    address.version = 6;
    std::memcpy(address.bytes.data(), mapped, 16);
  }
  return address;
}

KeyAndSide MakeFlowKey(const Tuple& tuple) noexcept {
  const bool has_ports = tuple.ip_protocol == kTcp || tuple.ip_protocol == kUdp;
  const uint16_t source_port = has_ports ? tuple.source_port : 0;
  const uint16_t destination_port = has_ports ? tuple.destination_port : 0;
  uint8_t source[16], destination[16];
  ToMapped(tuple.source, source);
  ToMapped(tuple.destination, destination);
  const int order = std::memcmp(source, destination, 16);
  const uint8_t side = order > 0 || (order == 0 && source_port > destination_port);

  KeyAndSide result{};
  result.source_side = side;
  std::memcpy(result.key.address[side], source, 16);
  std::memcpy(result.key.address[!side], destination, 16);
  result.key.port[side] = source_port;
  result.key.port[!side] = destination_port;
  result.key.vlan_protocol = uint32_t{tuple.vlan[0]} << 20 | uint32_t{tuple.vlan[1]} << 8 |
                             tuple.ip_protocol;
  return result;
}

Tuple TupleOf(const tap_flow_key& key, uint8_t source_side) noexcept {
  const int from = source_side ? 1 : 0;
  Tuple tuple;
  tuple.source = FromMapped(key.address[from]);
  tuple.destination = FromMapped(key.address[!from]);
  tuple.source_port = key.port[from];
  tuple.destination_port = key.port[!from];
  tuple.vlan[0] = key.vlan_protocol >> 20;
  tuple.vlan[1] = key.vlan_protocol >> 8 & 0xfff;
  tuple.ip_protocol = key.vlan_protocol & 0xff;
  return tuple;
}

}  // namespace sluice
