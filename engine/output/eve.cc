// What every record has: its frame, its ends, what stands behind them.
#include "engine/output/eve.h"

#include <fmt/format.h>
#include <sluice/plugin.h>

#include <algorithm>
#include <cstring>

#include "engine/base/digest.h"
#include "engine/decode/decode.h"
#include "engine/decode/ip_protocol.h"
#include "engine/rules/sets.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

// "aa:bb:cc:dd:ee:ff"
std::array<char, 17> MacText(const uint8_t* mac) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 17> out;
  for (size_t i = 0; i < 6; ++i) {
    out[3 * i] = kDigits[mac[i] >> 4];
    out[3 * i + 1] = kDigits[mac[i] & 15];
    if (i < 5) out[3 * i + 2] = ':';
  }
  return out;
}
std::string_view View(const std::array<char, 17>& text) { return {text.data(), text.size()}; }
}  // namespace

// IANA's keywords with EVE's spelling of 4 and 89; a table of our own, as hosts' differ.
std::string_view IpProtocolName(uint8_t protocol) {
  static constexpr std::string_view kNames[] = {
      "HOPOPT", "ICMP", "IGMP", "GGP", "IP-in-IP", "ST", "TCP", "CBT", "EGP", "IGP", "BBN-RCC-MON",
      "NVP-II", "PUP", "ARGUS", "EMCON", "XNET", "CHAOS", "UDP", "MUX", "DCN-MEAS", "HMP", "PRM",
      "XNS-IDP", "TRUNK-1", "TRUNK-2", "LEAF-1", "LEAF-2", "RDP", "IRTP", "ISO-TP4", "NETBLT",
      "MFE-NSP", "MERIT-INP", "DCCP", "3PC", "IDPR", "XTP", "DDP", "IDPR-CMTP", "TP++", "IL", "IPv6",
      "SDRP", "IPv6-Route", "IPv6-Frag", "IDRP", "RSVP", "GRE", "DSR", "BNA", "ESP", "AH", "I-NLSP",
      "SWIPE", "NARP", "MOBILE", "TLSP", "SKIP", "IPv6-ICMP", "IPv6-NoNxt", "IPv6-Opts", "", "CFTP",
      "", "SAT-EXPAK", "KRYPTOLAN", "RVD", "IPPC", "", "SAT-MON", "VISA", "IPCV", "CPNX", "CPHB",
      "WSN", "PVP", "BR-SAT-MON", "SUN-ND", "WB-MON", "WB-EXPAK", "ISO-IP", "VMTP", "SECURE-VMTP",
      "VINES", "TTP", "NSFNET-IGP", "DGP", "TCF", "EIGRP", "OSPF", "Sprite-RPC", "LARP", "MTP",
      "AX.25", "IPIP", "MICP", "SCC-SP", "ETHERIP", "ENCAP", "", "GMTP", "IFMP", "PNNI", "PIM",
      "ARIS", "SCPS", "QNX", "A/N", "IPComp", "SNP", "Compaq-Peer", "IPX-in-IP", "VRRP", "PGM", "",
      "L2TP", "DDX", "IATP", "STP", "SRP", "UTI", "SMP", "SM", "PTP", "ISIS over IPv4", "FIRE",
      "CRTP", "CRUDP", "SSCOPMCE", "IPLT", "SPS", "PIPE", "SCTP", "FC", "RSVP-E2E-IGNORE",
      "Mobility Header", "UDPLite", "MPLS-in-IP", "manet", "HIP", "Shim6", "WESP", "ROHC", "Ethernet",
      "AGGFRAG", "NSH"};
  if (protocol < std::size(kNames) && !kNames[protocol].empty()) return kNames[protocol];
  static const auto kNumbers = [] {
    std::array<std::string, 256> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = fmt::format("{:03}", i);
    return names;
  }();
  return kNumbers[protocol];
}

void AppendCommunityId(const Tuple& tuple, uint16_t seed, std::string* out) {
  // Counterparts of ICMP types that come in pairs; others are one-way.
  static constexpr uint8_t kPairs4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
  static constexpr uint8_t kPairs6[][2] = {{128, 129}, {133, 134}, {135, 136},
                                           {130, 131}, {144, 145}, {139, 140}};
  uint16_t ports[2] = {tuple.source_port, tuple.destination_port};
  bool one_way = false;
  const auto pair = [&](auto& pairs) {
    for (const auto& p : pairs) {
      if (ports[0] == p[0] || ports[0] == p[1]) {
        ports[1] = ports[0] == p[0] ? p[1] : p[0];
        return;
      }
    }
    one_way = true;
  };
  const bool icmp = tuple.ip_protocol == kIcmp || tuple.ip_protocol == kIcmp6;
  if (tuple.ip_protocol == kIcmp) pair(kPairs4);
  if (tuple.ip_protocol == kIcmp6) pair(kPairs6);
  const Address* ends[2] = {&tuple.source, &tuple.destination};
  const size_t len = tuple.source.version == 4 ? 4 : 16;
  const int order = std::memcmp(ends[0]->bytes.data(), ends[1]->bytes.data(), len);
  if (!one_way && (order > 0 || (order == 0 && ports[0] > ports[1]))) {
    std::swap(ends[0], ends[1]);
    std::swap(ports[0], ports[1]);
  }
  uint8_t input[40];
  size_t n = 0;
  const auto put16 = [&](uint16_t v) {
    input[n++] = static_cast<uint8_t>(v >> 8);
    input[n++] = static_cast<uint8_t>(v);
  };
  put16(seed);
  for (const Address* end : ends) {
    std::memcpy(input + n, end->bytes.data(), len);
    n += len;
  }
  input[n++] = tuple.ip_protocol;
  input[n++] = 0;
  if (HasPorts(tuple.ip_protocol) || icmp) {
    put16(ports[0]);
    put16(ports[1]);
  }
  *out += "1:";
  AppendBase64(Digest::Of(DigestKind::kSha1, Slice(input, n)).slice(), out);
}

void MacSet::Add(Slice mac) {
  for (size_t i = 0; i < count; ++i) {
    if (std::memcmp(bytes.data() + 6 * i, mac.data(), 6) == 0) return;
  }
  if (count < kMax) std::memcpy(bytes.data() + 6 * count++, mac.data(), 6);
}

EveWriter::EveWriter(const EveOptions& options, RecordSink* out)
    : options_(options), redactor_(options.redacted, options.salt), out_(out) {
  json_.set_short_ipv6(options.short_ipv6);
  for (size_t i = 0; i < wanted_.size(); ++i) {
    wanted_[i] = options_.Wants(RecordTypeName(static_cast<RecordType>(i)));
  }
}

// ------------------------------------------------------------------ header

void EveWriter::Begin(RecordType type, std::string_view name, Nanos time, const FlowView& flow,
                      const Packet* packet) {
  type_ = type;
  json_.Clear();
  json_.OpenObject();
  json_.Key("timestamp");
  json_.Time(time);
  if (flow.flow != nullptr) {
    json_.Field("flow_id", flow.flow->id);
    if (flow.flow->parent_id != 0) json_.Field("parent_id", flow.flow->parent_id);
  }
  if (options_.sensor_id != 0) json_.Field("sensor_id", options_.sensor_id);
  const std::string_view interface = packet != nullptr ? interface_ : flow.interface;
  if (!interface.empty()) json_.Field("in_iface", interface);
  if (packet != nullptr && packet->number != 0) json_.Field("pcap_cnt", packet->number);
  json_.Field("event_type", name);
  const Flow* f = flow.flow;
  const uint16_t* vlan = packet != nullptr ? packet->vlan : f != nullptr ? f->tuple.vlan : nullptr;
  const size_t vlans = packet != nullptr ? packet->num_vlans
                       : f == nullptr    ? 0
                                         : std::ranges::count_if(f->tuple.vlan, [](uint16_t v) { return v != 0; });
  if (vlans > 0) {
    json_.OpenArray("vlan");
    for (size_t i = 0; i < vlans; ++i) json_.Number(vlan[i]);
    json_.CloseArray();
  }
}

void EveWriter::Ends(const Address& source, uint16_t source_port, const Address& destination,
                     uint16_t destination_port, uint8_t protocol, bool ports) {
  if (source.version == 0) return;
  json_.Key("src_ip");
  json_.Ip(source);
  if (ports) json_.Field("src_port", uint64_t{source_port});
  json_.Key("dest_ip");
  json_.Ip(destination);
  if (ports) json_.Field("dest_port", uint64_t{destination_port});
  json_.Field("proto", IpProtocolName(protocol));
  if (options_.compat >= 8) json_.Field("ip_v", uint64_t{source.version});
}

void EveWriter::PacketEnds(const Packet& packet) {
  Ends(packet.source, packet.source_port, packet.destination, packet.destination_port,
       packet.ip_protocol, packet.l4 == L4::kTcp || packet.l4 == L4::kUdp || packet.l4 == L4::kSctp);
  if (packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6) {
    json_.Field("icmp_type", uint64_t{packet.icmp_type});
    json_.Field("icmp_code", uint64_t{packet.icmp_code});
  }
  if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
}

// The packet around this one and all others: the frame.
void EveWriter::Tunnel(const Packet& packet) {
  if (packet.outer == nullptr) return;
  const Packet* root = packet.outer;
  while (root->outer != nullptr) root = root->outer;
  const Packet& outer = *root;
  json_.OpenObject("tunnel");
  Ends(outer.source, outer.source_port, outer.destination, outer.destination_port,
       outer.ip_protocol, HasPorts(outer.ip_protocol));
  json_.Field("depth", uint64_t{packet.recursion});
  if (outer.number != 0) json_.Field("pcap_cnt", outer.number);
  json_.Field("pkt_src", PacketOriginName(outer.origin));
  json_.CloseObject();
}

// RFC 826
void EveWriter::Arp(const Packet& packet) {
  // Not among the defaults: a record for every packet.
  if (!options_.types.contains("arp")) return;
  static constexpr std::string_view kOpcodes[] = {"request", "reply", "reverse_request", "reverse_reply"};
  const Slice arp = packet.arp;
  const auto end = [&](size_t at, std::string_view mac, std::string_view ip) {
    json_.Field(mac, View(MacText(&arp[at])));
    Address address;
    address.version = 4;
    std::memcpy(address.bytes.data(), &arp[at + 6], 4);
    json_.Key(ip);
    json_.Ip(address);
  };
  Begin(RecordType::kArp, "arp", packet.time, FlowView{}, &packet);
  json_.OpenObject("arp");
  json_.Field("hw_type", "ethernet");
  json_.Field("proto_type", "ipv4");
  json_.Field("opcode", kOpcodes[(arp[7] - 1) & 3]);
  end(8, "src_mac", "src_ip");
  end(18, "dest_mac", "dest_ip");
  json_.CloseObject();
  Tail(&packet, FlowView{});
  End();
}

void EveWriter::FlowEnds(const Flow& flow, bool reversed) {
  const Tuple tuple = reversed ? flow.tuple.Reverse() : flow.tuple;
  Ends(tuple.source, tuple.source_port, tuple.destination, tuple.destination_port,
       tuple.ip_protocol, HasPorts(tuple.ip_protocol));
}

void EveWriter::Direct(const FlowView& flow, Direction direction) {
  if (flow.flow == nullptr) return;
  json_.Field("direction", direction == Direction::kToServer ? "to_server" : "to_client");
}

void EveWriter::Tail(const Packet* packet, const FlowView& flow, bool reversed) {
  if (options_.ethernet) EtherObject(packet, flow, reversed);
  if (options_.pcap_file && !capture_.empty()) json_.Field("pcap_filename", capture_);
  if (!flow.community_id.empty() && options_.community_id) {
    json_.Field("community_id", flow.community_id);
  }
  if (!options_.host.empty()) json_.Field("host", options_.host);
  if (options_.metadata) Metadata(flow);
}

// A packet's addresses; of a flow, all that each side was seen with.  As the record's IP
// addresses stand: who reads it joins src_mac and src_ip.
void EveWriter::EtherObject(const Packet* packet, const FlowView& flow, bool reversed) {
  if (packet != nullptr && packet->ethernet.size() == 14) {
    const uint8_t* const header = packet->ethernet.data();
    json_.OpenObject("ether");
    json_.Field("ether_type", uint64_t{header[12]} << 8 | header[13]);
    json_.Field("dest_mac", View(MacText(header + (reversed ? 6 : 0))));
    json_.Field("src_mac", View(MacText(header + (reversed ? 0 : 6))));
    json_.CloseObject();
  } else if (packet == nullptr && flow.macs != nullptr && flow.macs[0].count > 0) {
    json_.OpenObject("ether");
    Macs("dest_macs", flow.macs[reversed ? 0 : 1]);
    Macs("src_macs", flow.macs[reversed ? 1 : 0]);
    json_.CloseObject();
  }
}

void EveWriter::Macs(std::string_view key, const MacSet& set) {
  json_.OpenArray(key);
  for (size_t i = 0; i < set.count; ++i) json_.String(View(MacText(set.bytes.data() + 6 * i)));
  json_.CloseArray();
}

// What rules noted about the flow.  "traffic/id/x" and "traffic/label/x" are
// flowbits that stand in an object of their own.
void EveWriter::Metadata(const FlowView& flow) {
  constexpr std::string_view kId = "traffic/id/", kLabel = "traffic/label/";
  bool id = false, label = false, other = false;
  for (const std::string_view bit : flow.flowbits) {
    (bit.starts_with(kId) ? id : bit.starts_with(kLabel) ? label : other) = true;
  }
  if (id || label) {
    json_.OpenObject("traffic");
    if (id) Flowbits("id", flow.flowbits, kId);
    if (label) Flowbits("label", flow.flowbits, kLabel);
    json_.CloseObject();
  }
  if (!other && flow.flowints.empty() && flow.flow_texts.empty() && flow.packet_texts.empty()) return;
  json_.OpenObject("metadata");
  if (other) Flowbits("flowbits", flow.flowbits, "");
  if (!flow.flowints.empty()) {
    json_.OpenObject("flowints");
    for (const auto& [name, value] : flow.flowints) {
      json_.UserKey(name);
      json_.Number(value);
    }
    json_.CloseObject();
  }
  Captured("flowvars", flow.flow_texts);
  Captured("pktvars", flow.packet_texts);
  json_.CloseObject();
}

// Bytes of the wire, as payload_printable has them.
void EveWriter::Captured(std::string_view key, FlowView::Texts texts) {
  if (texts.empty()) return;
  json_.OpenArray(key);
  for (const auto& [name, value] : texts) {
    json_.OpenObject();
    json_.UserKey(name);
    scratch_.clear();
    AppendPrintable(AsSlice(value), &scratch_);
    json_.String(scratch_);
    json_.CloseObject();
  }
  json_.CloseArray();
}

// Those below `prefix`; without one, those that are no traffic.
void EveWriter::Flowbits(std::string_view key, std::span<const std::string_view> bits,
                         std::string_view prefix) {
  json_.OpenArray(key);
  for (const std::string_view bit : bits) {
    const bool traffic = bit.starts_with("traffic/id/") || bit.starts_with("traffic/label/");
    if (prefix.empty() ? !traffic : bit.starts_with(prefix)) json_.String(bit.substr(prefix.size()));
  }
  json_.CloseArray();
}

void EveWriter::AppProto(const FlowView& flow) {
  if (flow.app_proto.empty()) return;
  json_.Field("app_proto", flow.app_proto);
  if (!flow.side_protos[0].empty()) json_.Field("app_proto_ts", flow.side_protos[0]);
  if (!flow.side_protos[1].empty()) json_.Field("app_proto_tc", flow.side_protos[1]);
  if (!flow.app_proto_original.empty() && flow.app_proto_original != flow.app_proto) {
    json_.Field("app_proto_orig", flow.app_proto_original);
  }
}

void EveWriter::End() {
  json_.CloseObject();
  line_.assign(json_.text());
  line_ += '\n';
  ++records_;
  if (out_ != nullptr) out_->Put(type_, line_);
}

}  // namespace sluice
