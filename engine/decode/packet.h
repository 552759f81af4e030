// engine/decode/packet.h
// One decoded packet: header values and views into the frame.
//
// Memory: owns nothing; every Slice points into the frame given to Decode().
// Threads: confined to the worker that decodes.
#pragma once

#include <cstdint>

#include "engine/base/types.h"
#include "engine/decode/address.h"

namespace sluice {

// TCP flag bits as on the wire.
enum TcpFlag : uint8_t {
  kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpPsh = 0x08,
  kTcpAck = 0x10, kTcpUrg = 0x20, kTcpEce = 0x40, kTcpCwr = 0x80,
};

// What a packet carries above IP, after the decoder has looked.
enum class L4 : uint8_t { kNone, kTcp, kUdp, kIcmp, kIcmp6, kSctp, kOther };

// Malformed or surprising headers; names in decode.cc.
enum class DecodeEvent : uint8_t {
  kEthernetPktTooSmall, kEthernetUnknown, kVlanHeaderTooSmall, kVlanTooManyLayers,
  kSllPktTooSmall, kNullPktTooSmall, kNullUnsupportedType,
  kIpv4PktTooSmall, kIpv4HlenTooSmall, kIpv4IplenSmallerThanHlen, kIpv4TruncPkt,
  kIpv4WrongIpVersion, kIpv4OptInvalid, kIpv4OptInvalidLen,
  kIpv6PktTooSmall, kIpv6TruncPkt, kIpv6TruncExthdr, kIpv6WrongIpVersion, kIpv6TooManyExthdrs,
  kIpRawInvalidIpVersion,
  kTcpPktTooSmall, kTcpHlenTooSmall, kTcpInvalidOptlen, kTcpOptInvalidLen, kTcpOptDuplicate,
  kUdpPktTooSmall, kUdpHlenTooSmall, kUdpLenInvalid,
  kIcmp4PktTooSmall, kIcmp6PktTooSmall, kSctpPktTooSmall,
  kMax,
};

struct TcpView {
  uint32_t seq = 0;  // host byte order, as all numbers here
  uint32_t ack = 0;
  uint16_t window = 0;
  uint16_t urgent = 0;
  uint8_t flags = 0;   // TcpFlag bits
  uint8_t header_len = 0;  // bytes, 20 .. 60
  // Options: present only when the has_ flag is set.
  bool has_mss = false, has_wscale = false, has_timestamp = false, has_sack_permitted = false;
  uint8_t wscale = 0;
  uint16_t mss = 0;
  uint32_t ts_value = 0, ts_echo = 0;
};

struct Packet {
  // Where it came from; set by the tap.
  Nanos time{};           // since the Unix epoch
  uint64_t number = 0;    // 1-based in the run: pcap_cnt
  uint32_t wire_len = 0;  // bytes on the wire from the link header on
  Slice frame;            // captured bytes

  // Anomalies, in the order found; at most kMaxEvents are kept.
  static constexpr size_t kMaxEvents = 8;
  DecodeEvent events[kMaxEvents] = {};
  uint8_t num_events = 0;
  // How the packet came to be: EVE's pkt_src.
  enum class Origin : uint8_t { kWire, kDefrag, kFlowTimeout, kIpv4Tunnel, kIpv6Tunnel, kGreTunnel };
  Origin origin = Origin::kWire;
  bool bad_ip_checksum = false, bad_l4_checksum = false;  // only when verified
  bool invalid = false;  // a header did not hold: not to be looked at above it

  // Link.
  Slice ethernet;          // 14 bytes, or empty
  uint16_t vlan[3] = {0, 0, 0};  // outer first, VLAN id only
  uint8_t num_vlans = 0;
  uint16_t ether_type = 0;

  // Network.  ip_version 0: not IP.
  uint8_t ip_version = 0;  // 4 or 6
  uint8_t ip_protocol = 0; // of the payload, extension headers skipped
  uint8_t ttl = 0;         // or hop limit
  uint8_t tos = 0;         // or traffic class
  uint16_t ip_id = 0;
  uint32_t ip_len = 0;     // total length (IPv4), payload length (IPv6)
  bool is_fragment = false;       // any fragment; only the first has ports
  bool more_fragments = false;
  bool dont_fragment = false;
  bool reserved_bit = false;
  uint16_t fragment_offset = 0;   // bytes
  uint32_t fragment_id = 0;
  Slice ip_header;   // with options / without extension headers
  Slice ip_options;  // IPv4 options
  Slice ip_payload;  // from the transport header on, cut to the IP length

  // Transport.
  L4 l4 = L4::kNone;
  Address source, destination;
  uint16_t source_port = 0, destination_port = 0;
  TcpView tcp;
  uint8_t icmp_type = 0, icmp_code = 0;
  uint16_t icmp_id = 0, icmp_seq = 0;
  Slice l4_header;
  Slice payload;  // of TCP/UDP/ICMP..., cut to what headers and capture allow
};

}  // namespace sluice
