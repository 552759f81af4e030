// engine/decode/packet.h
// One decoded packet: header values and views into the frame.
//
// Memory: owns nothing; every Slice points into the frame given to Decode().
// Threads: confined to the worker that decodes.
#pragma once

#include <cstdint>

#include "engine/base/types.h"
#include "engine/decode/address.h"
#include "engine/decode/events.h"

namespace sluice {

// TCP flag bits as on the wire.
enum TcpFlag : uint8_t {
  kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpPsh = 0x08,
  kTcpAck = 0x10, kTcpUrg = 0x20, kTcpEce = 0x40, kTcpCwr = 0x80,
};

// What a packet carries above IP, after the decoder has looked.  kOther: no header
// that we know; kNone: not looked at (a fragment, a header that did not hold).
enum class L4 : uint8_t { kNone, kTcp, kUdp, kIcmp, kIcmp6, kSctp, kEsp, kIgmp, kOther };

enum class LinkType : uint8_t {
  kEthernet, kRawIp, kLinuxCooked1, kLinuxCooked2, kLoopback, kPpp, kCiscoHdlc, kUnknown,
};

// Headers that are counted, as decoder.<name>; bits of Packet::layers.
enum class Layer : uint8_t {
  kEthernet, kRaw, kLoopback, kLinuxCooked1, kLinuxCooked2, kPpp, kCiscoHdlc, kPppoe,
  kVlan, kVlanQinq, kVlanQinqinq, kVntag, kEtag, kIeee8021ah, kMpls, kNsh, kArp,
  kUnknownEthertype, kIpv4, kIpv6, kTcp, kUdp, kIcmp4, kIcmp6, kSctp, kEsp, kIgmp,
  kGre, kErspan, kTeredo, kVxlan, kGeneve,
  kIpv4InIpv4, kIpv6InIpv4, kIpv4InIpv6, kIpv6InIpv6,
  kMax,
};

// How a packet came to be: EVE's pkt_src.
enum class PacketOrigin : uint8_t {
  kWire, kDefrag, kFlowTimeout,
  kIpv4Tunnel, kIpv6Tunnel, kGreTunnel, kTeredo, kVxlan, kGeneve,
};

// What a tunnel carries; empty bytes: nothing.
struct Encapsulated {
  Slice bytes;              // from the header that ether_type names
  uint16_t ether_type = 0;  // how they begin
  PacketOrigin origin = PacketOrigin::kWire;  // of the packet inside
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
  bool has_fast_open = false;  // RFC 7413: a request or a cookie
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

  LinkType link = LinkType::kEthernet;        // how frame begins
  PacketOrigin origin = PacketOrigin::kWire;
  uint8_t recursion = 0;      // tunnels around it
  uint8_t num_layers = 0;     // headers so far, those of the packets around it included
  uint8_t num_defrags = 0;    // times it or a packet around it was put together
  const Packet* outer = nullptr;  // the packet it was in; lives as long as this one
  uint64_t layers = 0;        // bits of Layer

  // Anomalies, in the order found; what is beyond kMaxEvents is counted as lost.
  static constexpr size_t kMaxEvents = 15;
  DecodeEvent events[kMaxEvents] = {};
  uint8_t num_events = 0;
  uint8_t events_lost = 0;
  bool bad_ip_checksum = false, bad_l4_checksum = false;  // only when verified
  bool invalid = false;  // something is malformed: counted, and still looked at
  bool stopped = false;  // a header did not hold: nothing is set above it

  // Link.
  Slice ethernet;          // 14 bytes, or empty
  uint16_t vlan[3] = {0, 0, 0};  // outer first, VLAN id only
  uint8_t num_vlans = 0;
  uint16_t ether_type = 0;  // of what follows the link layer
  Slice arp;                // 28 bytes, of a well-formed one

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
  uint16_t next_header_at = 0;    // IPv6: offset in ip_header of what names a fragment header
  Slice ip_header;   // with options / without extension headers
  Slice ip_options;  // IPv4 options
  Slice ip_payload;  // from the transport header on, cut to the IP length; of a
                     // fragment, all that follows its header
  Encapsulated inner;

  // Transport.
  L4 l4 = L4::kNone;
  Address source, destination;
  uint16_t source_port = 0, destination_port = 0;
  TcpView tcp;
  uint8_t icmp_type = 0, icmp_code = 0;
  uint16_t icmp_id = 0, icmp_seq = 0;
  Slice l4_header;
  Slice payload;  // of TCP/UDP/ICMP..., cut to what headers and capture allow
  Slice quoted;   // of an ICMP error: the IP packet it is about, as far as it goes

  bool Has(Layer layer) const { return layers >> static_cast<int>(layer) & 1; }
  // Whether it belongs to a flow: a transport we know, or IP in IP.
  bool HasFlow() const {
    return (l4 != L4::kNone && l4 < L4::kIgmp) || inner.origin == PacketOrigin::kIpv4Tunnel ||
           inner.origin == PacketOrigin::kIpv6Tunnel;
  }
  // IPv6: the header with its extension headers; IPv4: with its options.
  Slice IpHeaders() const {
    return {ip_header.data(), static_cast<size_t>(ip_payload.data() - ip_header.data())};
  }
};

}  // namespace sluice
