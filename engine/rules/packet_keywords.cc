// Keywords on headers of the packet.
#include <algorithm>

#include "engine/base/suggest.h"
#include "engine/decode/events.h"
#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

template <PacketField field>
KeywordResult NumberOf(RuleContext& c, std::string_view value, std::string_view) {
  value = Trim(value);
  if (value.size() > 1 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  const auto test = ParseUintTest(value);
  if (!test) return std::unexpected(test.error());
  c.rule.packet_tests.push_back(PacketNumberTest{field, *test});
  return {};
}

// "x10" is hexadecimal, too.
KeywordResult Tos(RuleContext& c, std::string_view value, std::string_view name) {
  std::string_view number = Trim(value);
  std::string text;
  if (number.starts_with('!')) {
    text = "!";
    number.remove_prefix(1);
  }
  if (number.starts_with('x') || number.starts_with('X')) text += '0';
  text += number;
  return NumberOf<PacketField::kTos>(c, text, name);
}

KeywordResult IpProto(RuleContext& c, std::string_view value, std::string_view) {
  // As IANA names them, and what else is in use.
  static const std::vector<std::pair<uint64_t, std::string>> kNames = {
      {0, "hopopt"},     {1, "icmp"},       {2, "igmp"},      {4, "ipencap"},   {4, "ip-encap"},
      {6, "tcp"},        {8, "egp"},        {9, "igp"},       {17, "udp"},      {33, "dccp"},
      {41, "ipv6"},      {43, "ipv6-route"}, {44, "ipv6-frag"}, {46, "rsvp"},   {47, "gre"},
      {50, "esp"},       {50, "ipsec-esp"}, {51, "ah"},       {51, "ipsec-ah"}, {58, "ipv6-icmp"},
      {58, "icmpv6"},    {58, "icmp6"},     {59, "ipv6-nonxt"}, {60, "ipv6-opts"}, {88, "eigrp"},
      {89, "ospf"},      {89, "ospfigp"},   {94, "ipip"},     {97, "etherip"},  {103, "pim"},
      {108, "ipcomp"},   {112, "vrrp"},     {115, "l2tp"},    {124, "isis"},    {132, "sctp"},
      {135, "mobility-header"}, {136, "udplite"}, {137, "mpls-in-ip"}};
  const auto test = ParseUintTest(value, kNames);
  if (!test) return std::unexpected(test.error());
  c.rule.packet_tests.push_back(PacketNumberTest{PacketField::kIpProto, *test});
  return {};
}

Result<uint8_t> FlagBits(std::string_view text) {
  uint8_t bits = 0;
  for (const char letter : text) {
    switch (letter) {
      case 'F': case 'f': bits |= 0x01; break;
      case 'S': case 's': bits |= 0x02; break;
      case 'R': case 'r': bits |= 0x04; break;
      case 'P': case 'p': bits |= 0x08; break;
      case 'A': case 'a': bits |= 0x10; break;
      case 'U': case 'u': bits |= 0x20; break;
      case 'E': case 'e': case '2': bits |= 0x40; break;
      case 'C': case 'c': case '1': bits |= 0x80; break;
      case '0': break;
      default: return Fail(Errc::kInvalidArgument, "'{}' is not one of FSRPAUEC012", letter);
    }
  }
  return bits;
}

// "[!*+]SA[,CE]"; the modifier may also stand behind the letters.
KeywordResult Flags(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  if (parts.size() > 2 || parts[0].empty()) return Bad("write flags:S, flags:SA,CE or flags:!S");
  std::string_view letters = parts[0];
  TcpFlagsTest test;
  const auto mode = [&](char sign) {
    if (sign == '!') test.mode = TcpFlagsTest::Mode::kNot;
    else if (sign == '*') test.mode = TcpFlagsTest::Mode::kAny;
    else if (sign == '+') test.mode = TcpFlagsTest::Mode::kAll;
    else return false;
    return true;
  };
  if (mode(letters.front())) letters.remove_prefix(1);
  else if (mode(letters.back())) letters.remove_suffix(1);
  const auto bits = FlagBits(Trim(letters));
  if (!bits) return std::unexpected(bits.error());
  test.flags = *bits;
  if (parts.size() == 2) {
    const auto mask = FlagBits(parts[1]);
    if (!mask) return std::unexpected(mask.error());
    test.ignore_mask = *mask;
  }
  c.rule.packet_tests.push_back(test);
  return {};
}

KeywordResult SameIp(RuleContext& c, std::string_view, std::string_view) {
  c.rule.packet_tests.push_back(SameIpTest{});
  return {};
}

KeywordResult IpOpts(RuleContext& c, std::string_view value, std::string_view) {
  static constexpr std::pair<std::string_view, uint8_t> kOptions[] = {
      {"rr", 7}, {"lsrr", 131}, {"lsrre", 131}, {"ssrr", 137}, {"satid", 136}, {"ts", 68},
      {"sec", 130}, {"nop", 1}, {"eol", 0}, {"esec", 133}};
  value = Trim(value);
  if (value == "any") {
    c.rule.packet_tests.push_back(IpOptsTest{.option = 0, .any = true});
    return {};
  }
  const auto it = std::ranges::find(kOptions, value, [](const auto& o) { return o.first; });
  if (it == std::end(kOptions)) return Bad(fmt::format("IP option \"{}\" is not known; rr lsrr ssrr ts sec esec satid nop eol any are", value));
  c.rule.packet_tests.push_back(IpOptsTest{.option = it->second});
  return {};
}

KeywordResult FragBits(RuleContext& c, std::string_view value, std::string_view) {
  FragBitsTest test;
  for (const char letter : Trim(value)) {
    switch (letter) {
      case 'M': test.bits |= 1; break;
      case 'D': test.bits |= 2; break;
      case 'R': test.bits |= 4; break;
      case '+': test.mode = TcpFlagsTest::Mode::kAll; break;
      case '*': test.mode = TcpFlagsTest::Mode::kAny; break;
      case '!': test.mode = TcpFlagsTest::Mode::kNot; break;
      default: return Bad(fmt::format("'{}' is not one of M D R + * !", letter));
    }
  }
  c.rule.packet_tests.push_back(test);
  return {};
}

KeywordResult FragOffset(RuleContext& c, std::string_view value, std::string_view) {
  const auto test = ParseUintTest(value);
  if (!test) return std::unexpected(test.error());
  c.rule.packet_tests.push_back(FragOffsetTest{*test});
  return {};
}

template <uint8_t version, uint8_t protocol>
KeywordResult Checksum(RuleContext& c, std::string_view value, std::string_view) {
  std::string word = Lower(Trim(value));
  if (word.size() > 1 && word.front() == '"' && word.back() == '"') {
    word = word.substr(1, word.size() - 2);
  }
  if (word != "valid" && word != "invalid") return Bad("a checksum is valid or invalid");
  c.rule.packet_tests.push_back(ChecksumTest{version, protocol, word == "valid"});
  return {};
}

// "200", ">100,all", "10,-1": the id and which of the tags.
KeywordResult VlanId(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  if (parts.empty() || parts.size() > 2) return Bad("write vlan.id:10 or vlan.id:10,0");
  const auto test = ParseUintTest(parts[0]);
  if (!test) return std::unexpected(test.error());
  VlanTest vlan{.test = *test};
  if (parts.size() == 2) {
    static constexpr std::pair<std::string_view, int8_t> kIndices[] = {
        {"0", 0}, {"1", 1}, {"2", 2}, {"-1", -1}, {"-2", -2}, {"-3", -3}};
    const std::string_view layer = Trim(parts[1]);
    const auto it = std::ranges::find(kIndices, layer, [](const auto& i) { return i.first; });
    if (it != std::end(kIndices)) {
      vlan.layer = VlanTest::Layer::kIndex;
      vlan.index = it->second;
    } else if (layer == "all") {
      vlan.layer = VlanTest::Layer::kAll;
    } else if (layer != "any") {
      return Bad(fmt::format("\"{}\" is no VLAN layer; 0 to 2, -3 to -1, any and all are", layer));
    }
  }
  c.rule.packet_tests.emplace_back(vlan);
  return {};
}

KeywordResult IpVersion(RuleContext& c, std::string_view value, std::string_view) {
  const std::string word = Lower(Trim(value));
  const bool v4 = word == "ip4" || word == "ipv4", v6 = word == "ip6" || word == "ipv6";
  if (!v4 && !v6) return Bad(fmt::format("\"{}\" is not ipv4 or ipv6", value));
  c.rule.packet_tests.push_back(IpVersionTest{static_cast<uint8_t>(v4 ? 4 : 6)});
  return {};
}

// "100000,2,*": program, version, procedure.
KeywordResult Rpc(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  RpcTest test;
  const auto optional = [&](size_t i, std::optional<uint32_t>* out) {
    if (i >= parts.size() || parts[i] == "*") return true;
    *out = ParseNumber<uint32_t>(parts[i]);
    return out->has_value();
  };
  const auto program = ParseNumber<uint32_t>(parts[0]);
  if (!program || parts.size() > 3 || !optional(1, &test.version) || !optional(2, &test.procedure)) {
    return Bad("write rpc:program, version or *, procedure or *");
  }
  test.program = *program;
  c.rule.packet_tests.push_back(test);
  return {};
}

KeywordResult DecodeEventKeyword(RuleContext& c, std::string_view value, std::string_view) {
  value = Trim(value);
  static const std::vector<std::string> names = DecodeEventNames();
  if (std::ranges::find(names, value) == names.end()) {
    const std::string close = Suggest(value, names);
    return Bad(fmt::format("\"{}\" is no decode event{}", value,
                           close.empty() ? "" : fmt::format("; did you mean {}?", close)));
  }
  c.rule.packet_tests.push_back(DecodeEventTest{std::string(value)});
  return {};
}
KeywordResult StreamEventKeyword(RuleContext& c, std::string_view value, std::string_view) {
  c.rule.packet_tests.push_back(StreamEventTest{std::string(Trim(value))});
  return {};
}

}  // namespace

const KeywordEntry kPacketKeywords[] = {
    {"ttl", NumberOf<PacketField::kTtl>, "IP time to live"},
    {"id", NumberOf<PacketField::kIpId>, "IP identification"},
    {"ip_proto", IpProto, "IP protocol number or name"},
    {"tos", Tos, "IP type of service"},
    {"l3_proto", IpVersion, "the version of IP: ipv4 or ipv6"},
    {"rpc", Rpc, "a call of ONC RPC: program, version or *, procedure or *"},
    {"seq", NumberOf<PacketField::kTcpSeq>, "TCP sequence number"},
    {"tcp.seq", NumberOf<PacketField::kTcpSeq>, "TCP sequence number"},
    {"ack", NumberOf<PacketField::kTcpAck>, "TCP acknowledgement number"},
    {"tcp.ack", NumberOf<PacketField::kTcpAck>, "TCP acknowledgement number"},
    {"window", NumberOf<PacketField::kTcpWindow>, "TCP window"},
    {"tcp.window", NumberOf<PacketField::kTcpWindow>, "TCP window"},
    {"tcp.mss", NumberOf<PacketField::kTcpMss>, "TCP maximum segment size option"},
    {"tcp.wscale", NumberOf<PacketField::kTcpWscale>, "TCP window scale option"},
    {"igmp.type", NumberOf<PacketField::kIgmpType>, "IGMP type"},
    {"sctp.vtag", NumberOf<PacketField::kSctpVtag>, "SCTP verification tag"},
    {"sctp.chunk_cnt", NumberOf<PacketField::kSctpChunks>, "SCTP chunks in the packet"},
    {"vlan.layers", NumberOf<PacketField::kVlanLayers>, "VLAN tags"},
    {"vlan.id", VlanId, "VLAN id of any tag, all, or the one at an index"},
    {"icmpv6.mtu", NumberOf<PacketField::kIcmpv6Mtu>, "MTU of an ICMPv6 packet too big"},
    {"itype", NumberOf<PacketField::kIcmpType>, "ICMP type"},
    {"icode", NumberOf<PacketField::kIcmpCode>, "ICMP code"},
    {"icmp_id", NumberOf<PacketField::kIcmpId>, "ICMP identification"},
    {"icmp_seq", NumberOf<PacketField::kIcmpSeq>, "ICMP sequence number"},
    {"dsize", NumberOf<PacketField::kDsize>, "size of the packet's payload"},
    {"flags", Flags, "TCP flags"},
    {"tcp.flags", Flags, "TCP flags"},
    {"sameip", SameIp, "source and destination address are the same"},
    {"ipopts", IpOpts, "an IP option is there"},
    {"fragbits", FragBits, "IP fragmentation bits"},
    {"fragoffset", FragOffset, "IP fragment offset in units of 8 bytes"},
    {"ipv4-csum", Checksum<4, 0>, "whether the IPv4 header's checksum holds"},
    {"tcpv4-csum", Checksum<4, 6>, "whether the TCP checksum holds, over IPv4"},
    {"tcpv6-csum", Checksum<6, 6>, "whether the TCP checksum holds, over IPv6"},
    {"udpv4-csum", Checksum<4, 17>, "whether the UDP checksum holds, over IPv4"},
    {"udpv6-csum", Checksum<6, 17>, "whether the UDP checksum holds, over IPv6"},
    {"icmpv4-csum", Checksum<4, 1>, "whether the ICMP checksum holds"},
    {"icmpv6-csum", Checksum<6, 58>, "whether the ICMPv6 checksum holds"},
    {"igmp-csum", Checksum<4, 2>, "whether the IGMP checksum holds"},
    {"decode-event", DecodeEventKeyword, "an anomaly of a header"},
    {"engine-event", DecodeEventKeyword, "decode-event, by its older name"},
    {"stream-event", StreamEventKeyword, "an anomaly of a TCP stream"},
    {nullptr, nullptr, nullptr},
};

}  // namespace sluice
