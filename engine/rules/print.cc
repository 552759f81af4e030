#include "engine/rules/print.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "engine/rules/text.h"

namespace sluice {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

constexpr std::string_view kActions[] = {"alert",  "pass",      "config",    "drop",
                                         "reject", "rejectsrc", "rejectdst", "rejectboth"};

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (std::string_view("\\\";:").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out + '"';
}

// Options behind the first ones, each with its comma.
class Words {
 public:
  explicit Words(std::string text) : text_(std::move(text)) {}
  Words& If(bool there, std::string_view word) {
    if (there) (text_ += text_.empty() || text_.back() == ':' ? "" : ",") += word;
    return *this;
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string_view EndianWord(Endian endian) {
  return endian == Endian::kLittle ? "little" : endian == Endian::kDce ? "dce" : "big";
}
std::string_view BaseWord(NumberBase base) {
  return base == NumberBase::kHex ? "hex" : base == NumberBase::kOctal ? "oct" : "dec";
}

std::string PrintTag(const Tag& tag) {
  static constexpr std::string_view kUnits[] = {"packets", "bytes", "seconds"};
  const std::string_view unit = kUnits[static_cast<size_t>(tag.unit)];
  if (tag.of == Tag::Of::kFlow) return fmt::format("tag:session,{},{}", tag.count, unit);
  return fmt::format("tag:host,{},{},{}", tag.count, unit, tag.of == Tag::Of::kSource ? "src" : "dst");
}

// What byte_test, byte_jump and byte_extract share.
template <typename T>
std::string ByteOptions(std::string text, const T& t) {
  return Words(std::move(text))
      .If(t.relative, "relative")
      .If(t.endian != Endian::kBig, EndianWord(t.endian))
      .If(t.base != NumberBase::kBinary, fmt::format("string,{}", BaseWord(t.base)))
      .If(t.bitmask != 0, fmt::format("bitmask 0x{:x}", t.bitmask))
      .Take();
}

std::string FlagLetters(uint8_t bits, std::string_view letters) {
  std::string out;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (bits & 1 << i) out += letters[i];
  }
  return out;
}
std::string_view ModeSign(TcpFlagsTest::Mode mode) {
  switch (mode) {
    case TcpFlagsTest::Mode::kExact: return "";
    case TcpFlagsTest::Mode::kAll: return "+";
    case TcpFlagsTest::Mode::kAny: return "*";
    case TcpFlagsTest::Mode::kNot: return "!";
  }
  return "";
}

std::string_view FieldName(PacketField field) {
  switch (field) {
    case PacketField::kTtl: return "ttl";
    case PacketField::kIpId: return "id";
    case PacketField::kIpProto: return "ip_proto";
    case PacketField::kTos: return "tos";
    case PacketField::kTcpSeq: return "seq";
    case PacketField::kTcpAck: return "ack";
    case PacketField::kTcpWindow: return "window";
    case PacketField::kTcpMss: return "tcp.mss";
    case PacketField::kIcmpType: return "itype";
    case PacketField::kIcmpCode: return "icode";
    case PacketField::kIcmpId: return "icmp_id";
    case PacketField::kIcmpSeq: return "icmp_seq";
    case PacketField::kDsize: return "dsize";
    case PacketField::kIcmpv6Mtu: return "icmpv6.mtu";
    case PacketField::kPacketLen: return "pkt_len";
    case PacketField::kTcpWscale: return "tcp.wscale";
    case PacketField::kIgmpType: return "igmp.type";
    case PacketField::kSctpVtag: return "sctp.vtag";
    case PacketField::kSctpChunks: return "sctp.chunk_cnt";
    case PacketField::kVlanLayers: return "vlan.layers";
  }
  return "";
}

// With what stands before the number.
std::string_view FieldName(FlowField field) {
  switch (field) {
    case FlowField::kAge: return "flow.age:";
    case FlowField::kPktsToServer: return "flow.pkts_toserver:";
    case FlowField::kPktsToClient: return "flow.pkts_toclient:";
    case FlowField::kBytesToServer: return "flow.bytes_toserver:";
    case FlowField::kBytesToClient: return "flow.bytes_toclient:";
    case FlowField::kPkts: return "flow.pkts:both,";
    case FlowField::kBytes: return "flow.bytes:both,";
    case FlowField::kPktsEither: return "flow.pkts:either,";
    case FlowField::kBytesEither: return "flow.bytes:either,";
  }
  return "";
}

std::string_view IpOptionName(uint8_t option) {
  switch (option) {
    case 7: return "rr";
    case 131: return "lsrr";
    case 137: return "ssrr";
    case 136: return "satid";
    case 68: return "ts";
    case 130: return "sec";
    case 1: return "nop";
    case 0: return "eol";
    case 133: return "esec";
    default: return "any";
  }
}

std::string AddressText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
  return text;
}

std::string PrintThreshold(const Threshold& t) {
  using Type = Threshold::Type;
  using Track = Threshold::Track;
  const std::string_view track = t.track == Track::kBySource        ? "by_src"
                                 : t.track == Track::kByDestination ? "by_dst"
                                 : t.track == Track::kByBoth        ? "by_both"
                                 : t.track == Track::kByRule        ? "by_rule"
                                                                    : "by_flow";
  std::string out;
  if (t.type != Type::kDetectionFilter) {
    out = fmt::format("type {}, ", t.type == Type::kLimit       ? "limit"
                                   : t.type == Type::kThreshold ? "threshold"
                                   : t.type == Type::kBoth      ? "both"
                                                                : "backoff");
  }
  out += fmt::format("track {}, count {}", track, t.count);
  if (t.seconds != 0) out += fmt::format(", seconds {}", t.seconds);
  if (t.multiplier != 0) out += fmt::format(", multiplier {}", t.multiplier);
  if (t.unique == Threshold::Unique::kSourcePort) out += ", unique_on src_port";
  if (t.unique == Threshold::Unique::kDestinationPort) out += ", unique_on dst_port";
  return out;
}

std::string PrintPcre(const PcreTest& t) {
  std::string flags;
  for (const auto& [on, flag] : {std::pair{t.caseless, 'i'}, {t.multi_line, 'm'}, {t.dot_all, 's'},
                                 {t.extended, 'x'}, {t.anchored, 'A'}, {t.dollar_end_only, 'E'},
                                 {t.ungreedy, 'G'}, {t.relative, 'R'}}) {
    if (on) flags += flag;
  }
  std::string captures;
  for (const std::string& name : t.captures) captures += ", " + name;
  return fmt::format("pcre:{}\"/{}/{}{}\"", t.negated ? "!" : "", t.pattern, flags, captures);
}

std::string PrintDataset(const DatasetTest& t) {
  using Op = DatasetTest::Op;
  using Spec = DatasetSpec;
  const Spec& s = t.set;
  static constexpr std::string_view kOps[] = {"isset", "isnotset", "set", "unset"};
  static constexpr std::string_view kTypes[] = {"string", "md5", "sha256", "ipv4", "ip"};
  std::string out;
  if (t.op == Op::kReputation) {
    const std::string number = PrintUintTest(t.reputation);
    const size_t digit = std::min(number.find_first_of("0123456789"), number.size());
    out = fmt::format("datarep:{},{},{}", s.name, digit == 0 ? "=" : number.substr(0, digit),
                      number.substr(digit));
  } else {
    out = fmt::format("dataset:{},{}", kOps[static_cast<size_t>(t.op)], s.name);
  }
  const Spec none;
  return Words(std::move(out))
      .If(s.has_type, fmt::format("type {}", kTypes[static_cast<size_t>(s.type)]))
      .If(s.format == Spec::Format::kJson, "format json")
      .If(s.format == Spec::Format::kJsonLines, "format ndjson")
      .If(!s.load.empty(), "load " + s.load)
      .If(!s.save.empty(), "save " + s.save)
      .If(!s.state.empty(), "state " + s.state)
      .If(s.memcap != none.memcap, fmt::format("memcap {}", s.memcap))
      .If(s.hash_size != none.hash_size, fmt::format("hashsize {}", s.hash_size))
      .If(!s.value_key.empty(), "value_key " + s.value_key)
      .If(!s.context_key.empty(), "context_key " + s.context_key)
      .If(!s.array_key.empty(), "array_key " + s.array_key)
      .If(s.remove_key, "remove_key")
      .If(t.subdomain, "match subdomain")
      .Take();
}

std::string PrintFlow(const FlowTest& t) {
  return Words("flow:")
      .If(t.established, "established")
      .If(t.not_established, "not_established")
      .If(t.stateless, "stateless")
      .If(t.to_server, "to_server")
      .If(t.to_client, "to_client")
      .If(t.only_stream, "only_stream")
      .If(t.no_stream, "no_stream")
      .If(t.only_frag, "only_frag")
      .If(t.no_frag, "no_frag")
      .Take();
}

std::string PrintEntropy(const EntropyTest& t) {
  static constexpr std::string_view kOps[] = {"", "!=", "<", "<=", ">", ">="};
  return Words("entropy:")
      .If(t.bytes != 0, fmt::format("bytes {}", t.bytes))
      .If(t.offset != 0, fmt::format("offset {}", t.offset))
      .If(true, fmt::format("value {}{}", kOps[static_cast<size_t>(t.test.op)], t.test.value))
      .Take();
}

std::string PrintAsn1(const Asn1Test& t) {
  return Words("asn1:")
      .If(t.bitstring_overflow, "bitstring_overflow")
      .If(t.double_overflow, "double_overflow")
      .If(t.oversize_length.has_value(), fmt::format("oversize_length {}", t.oversize_length.value_or(0)))
      .If(t.relative, fmt::format("relative_offset {}", t.offset.value))
      .If(!t.relative && t.offset.value != 0, fmt::format("absolute_offset {}", t.offset.value))
      .Take();
}

// What stands behind the test of a number field.
std::string PrintWhich(const WhichNumbers& w) {
  using Kind = WhichNumbers::Kind;
  static constexpr std::string_view kWords[] = {"any", "or_absent", "all", "all_or_absent"};
  std::string out;
  if (w.kind == Kind::kTimes) out = ",nb" + PrintUintTest(w.times);
  else if (w.kind == Kind::kIndex) out = fmt::format(",{}", w.index);
  else if (w.kind == Kind::kIndexOrOut) out = fmt::format(",oob_or {}", w.index);
  else if (w.kind != Kind::kAny || w.sliced) out = fmt::format(",{}", kWords[static_cast<size_t>(w.kind)]);
  return w.sliced ? fmt::format("{},{}:{}", out, w.first, w.last) : out;
}

std::string_view SideWord(HostSide side) {
  static constexpr std::string_view kSides[] = {"any", "src", "dst", "both"};
  return kSides[static_cast<size_t>(side)];
}

std::string PrintRpc(const RpcTest& t) {
  const auto part = [](const std::optional<uint32_t>& n) { return n ? fmt::format("{}", *n) : "*"; };
  return fmt::format("rpc:{},{},{}", t.program, part(t.version), part(t.procedure));
}

std::string PrintReputation(const ReputationTest& t) {
  const std::string number = PrintUintTest(t.test);
  const size_t digit = std::min(number.find_first_of("0123456789"), number.size());
  const std::string start = fmt::format("iprep:{},{}", SideWord(t.side), t.category);
  if (t.absent) return start + ",isnotset";
  return fmt::format("{},{},{}", start, digit == 0 ? "=" : number.substr(0, digit), number.substr(digit));
}

std::string PrintCountries(const CountryTest& t) {
  std::string out = fmt::format("geoip:{}", SideWord(t.side));
  for (const std::string& country : t.countries) out += fmt::format(",{}{}", t.negated ? "!" : "", country);
  return out;
}

constexpr std::string_view kBitOps[] = {"isset", "isnotset", "set", "unset", "toggle"};

std::string_view NameOf(const std::vector<std::string>& names, uint32_t index) {
  return index < names.size() ? std::string_view(names[index]) : "?";
}

}  // namespace

bool SameMeaning(Rule a, Rule b) {
  for (Rule* rule : {&a, &b}) {
    rule->index = 0;
    rule->text.clear();
    rule->place = {};
  }
  return a == b;
}

std::string PrintUintTest(const UintTest& t, bool is_signed) {
  const auto text = [is_signed](uint64_t v) {
    return is_signed ? fmt::format("{}", static_cast<int64_t>(SignedOrder(static_cast<int64_t>(v)))) : fmt::format("{}", v);
  };
  switch (t.op) {
    case CompareOp::kEqual: return text(t.a);
    case CompareOp::kNotEqual: return fmt::format("!{}", text(t.a));
    case CompareOp::kLess: return fmt::format("<{}", text(t.a));
    case CompareOp::kLessEqual: return fmt::format("<={}", text(t.a));
    case CompareOp::kGreater: return fmt::format(">{}", text(t.a));
    case CompareOp::kGreaterEqual: return fmt::format(">={}", text(t.a));
    case CompareOp::kRange: return fmt::format("{}<>{}", text(t.a), text(t.b));
    case CompareOp::kNotRange: return fmt::format("!{}<>{}", text(t.a), text(t.b));
    case CompareOp::kMaskSet: return fmt::format("&0x{:x}={}", t.a, t.b);
    case CompareOp::kMaskNotSet: return fmt::format("&0x{:x}!={}", t.a, t.b);
  }
  return "";
}

std::string PrintAddresses(const AddressSet& set) {
  if (set.any) return "any";
  std::string out;
  for (const AddressRange& r : set.ranges) {
    out += out.empty() ? "" : ",";
    out += AddressText(r.first);
    if (!(r.first == r.last)) out += "-" + AddressText(r.last);
  }
  return "[" + out + "]";
}

std::string PrintPorts(const PortSet& set) {
  if (set.any) return "any";
  std::string out;
  for (const auto& [first, last] : set.ranges) {
    out += out.empty() ? "" : ",";
    out += first == last ? fmt::format("{}", first) : fmt::format("{}:{}", first, last);
  }
  return "[" + out + "]";
}

std::string RulePrinter::Header(const RuleHeader& h) const {
  return fmt::format("{} {} {} {} {} {}", h.protocol_text, PrintAddresses(h.source),
                     PrintPorts(h.source_ports),
                     h.bidirectional   ? "<>"
                     : h.transactional ? "=>"
                                       : "->",
                     PrintAddresses(h.destination), PrintPorts(h.destination_ports));
}

std::string RulePrinter::Buffer(const Inspection& inspection) const {
  std::string out = inspection.kind == BufferKind::kPayload ? "pkt_data" : inspection.name;
  if (inspection.side == 1) out += ":to_server";
  if (inspection.side == 2) out += ":to_client";
  size_t own = 0;  // transforms that come with the field are not written
  if (inspection.kind == BufferKind::kField) {
    const auto field = keywords_.Find(inspection.name);
    own = field && !field->transform.empty() ? 1 : 0;
  }
  for (size_t i = own; i < inspection.transforms.size(); ++i) {
    const Transform& t = inspection.transforms[i];
    out += "; " + t.name;
    if (!t.argument.empty()) out += ":\"" + t.argument + "\"";
  }
  if (inspection.absent == Inspection::Absent::kMatches) out += "; absent";
  if (inspection.absent == Inspection::Absent::kOrElse) out += "; absent:or_else";
  return out;
}

std::string RulePrinter::Test(const Rule& rule, const BufferTest& test) const {
  const auto number = [&](const sluice::Number& n) {
    return n.variable < 0 ? fmt::format("{}", n.value)
                          : std::string(NameOf(rule.variable_names, static_cast<uint32_t>(n.variable)));
  };
  const auto content = [&](const ContentTest& t) {
    std::string out = fmt::format("content:{}\"{}\"", t.negated ? "!" : "", EncodeContent(t.bytes));
    if (t.nocase) out += "; nocase";
    if (t.raw_bytes) out += "; rawbytes";
    const std::pair<std::string_view, const std::optional<sluice::Number>*> places[] = {
        {"offset", &t.offset}, {"depth", &t.depth}, {"distance", &t.distance}, {"within", &t.within}};
    for (const auto& [name, value] : places) {
      if (*value) out += fmt::format("; {}:{}", name, number(**value));
    }
    if (t.starts_with) out += "; startswith";
    if (t.ends_with) out += "; endswith";
    if (t.fast_pattern_only) return out + "; fast_pattern:only";
    if (!t.fast_pattern) return out;
    out += "; fast_pattern";
    if (t.fast_pattern_length == 0) return out;
    return out + fmt::format(":{},{}", t.fast_pattern_offset, t.fast_pattern_length);
  };
  return std::visit(
      Overloaded{
          content, [](const PcreTest& t) { return PrintPcre(t); },
          [](const DatasetTest& t) { return PrintDataset(t); },
          [](const EntropyTest& t) { return PrintEntropy(t); },
          [](const Asn1Test& t) { return PrintAsn1(t); },
          [&](const IsDataAtTest& t) {
            return Words(fmt::format("isdataat:{}{}", t.negated ? "!" : "", number(t.offset)))
                .If(t.relative, "relative")
                .If(t.raw_bytes, "rawbytes")
                .Take();
          },
          [&](const ByteTest& t) {
            static constexpr std::string_view kOps[] = {"<", ">", "=", "<=", ">=", "&", "^"};
            return ByteOptions(
                fmt::format("byte_test:{},{}{},{},{}", number(t.num_bytes), t.negated ? "!" : "",
                            kOps[static_cast<size_t>(t.op)], number(t.value), number(t.offset)),
                t);
          },
          [&](const ByteJump& t) {
            return Words(ByteOptions(
                             fmt::format("byte_jump:{},{}", number(t.num_bytes), number(t.offset)), t))
                .If(t.align, "align")
                .If(t.from_beginning, "from_beginning")
                .If(t.from_end, "from_end")
                .If(t.multiplier != 1, fmt::format("multiplier {}", t.multiplier))
                .If(t.post_offset != 0, fmt::format("post_offset {}", t.post_offset))
                .Take();
          },
          [&](const ByteExtract& t) {
            return Words(ByteOptions(fmt::format("byte_extract:{},{},{}", t.num_bytes, number(t.offset),
                                                 NameOf(rule.variable_names, t.variable)),
                                     t))
                .If(t.align != 0, fmt::format("align {}", t.align))
                .If(t.multiplier != 1, fmt::format("multiplier {}", t.multiplier))
                .Take();
          },
          [&](const ByteMath& t) {
            static constexpr std::string_view kOps[] = {"+", "-", "*", "/", "<<", ">>"};
            return Words(fmt::format("byte_math:bytes {}, offset {}, oper {}, rvalue {}, result {}",
                                     number(t.num_bytes), number(t.offset),
                                     kOps[static_cast<size_t>(t.op)], number(t.rvalue),
                                     NameOf(rule.variable_names, t.variable)))
                .If(t.relative, "relative")
                .If(t.endian == Endian::kDce, "dce")
                .If(t.endian == Endian::kLittle, "endian little")
                .If(t.base != NumberBase::kBinary, fmt::format("string {}", BaseWord(t.base)))
                .If(t.bitmask != 0, fmt::format("bitmask 0x{:x}", t.bitmask))
                .Take();
          },
          [&](const SizeTest& t) { return "bsize:" + PrintUintTest(t.test); },
          [&](const Base64Decode& t) {
            const std::string options = Words("")
                                            .If(t.bytes != 0, fmt::format("bytes {}", t.bytes))
                                            .If(t.offset != 0, fmt::format("offset {}", t.offset))
                                            .If(t.relative, "relative")
                                            .Take();
            return options.empty() ? std::string("base64_decode") : "base64_decode:" + options;
          }},
      test);
}

std::string RulePrinter::Number(const NumberInspection& number) const {
  if (number.which.kind == WhichNumbers::Kind::kCount) {
    return fmt::format("{}:count {}", number.name, PrintUintTest(number.which.times));
  }
  return fmt::format("{}:{}{}", number.name, PrintUintTest(number.test, number.is_signed), PrintWhich(number.which));
}

std::string RulePrinter::Packet(const PacketTest& test) const {
  return std::visit(
      Overloaded{
          [](const PacketNumberTest& t) {
            return fmt::format("{}:{}", FieldName(t.field), PrintUintTest(t.test));
          },
          [](const TcpFlagsTest& t) {
            constexpr std::string_view kLetters = "FSRPAUEC";
            const std::string letters = FlagLetters(t.flags, kLetters);
            std::string out = fmt::format("flags:{}{}", ModeSign(t.mode), letters.empty() ? "0" : letters);
            if (t.ignore_mask != 0) out += "," + FlagLetters(t.ignore_mask, kLetters);
            return out;
          },
          [](const SameIpTest&) { return std::string("sameip"); },
          [](const IpOptsTest& t) {
            return fmt::format("ipopts:{}", t.any ? "any" : IpOptionName(t.option));
          },
          [](const FragBitsTest& t) {
            return fmt::format("fragbits:{}{}", ModeSign(t.mode), FlagLetters(t.bits, "MDR"));
          },
          [](const FragOffsetTest& t) { return "fragoffset:" + PrintUintTest(t.test); },
          [](const DecodeEventTest& t) { return "decode-event:" + t.name; },
          [](const StreamEventTest& t) { return "stream-event:" + t.name; },
          [](const VlanTest& t) {
            const std::string id = "vlan.id:" + PrintUintTest(t.test);
            if (t.layer == VlanTest::Layer::kIndex) return fmt::format("{},{}", id, t.index);
            return t.layer == VlanTest::Layer::kAll ? id + ",all" : id;
          },
          [](const IpVersionTest& t) { return fmt::format("l3_proto:ipv{}", t.version); },
          [](const RpcTest& t) { return PrintRpc(t); },
          [](const ReputationTest& t) { return PrintReputation(t); },
          [](const CountryTest& t) { return PrintCountries(t); },
          [](const ChecksumTest& t) {
            if (t.ip_protocol == 2) return fmt::format("igmp-csum:{}", t.valid ? "valid" : "invalid");
            const std::string_view name = t.ip_protocol == 0    ? "ip"
                                          : t.ip_protocol == 6  ? "tcp"
                                          : t.ip_protocol == 17 ? "udp"
                                                                : "icmp";
            return fmt::format("{}v{}-csum:{}", name, t.ip_version, t.valid ? "valid" : "invalid");
          }},
      test);
}

std::string RulePrinter::Condition(const FlowCondition& condition) const {
  return std::visit(
      Overloaded{
          [](const FlowTest& t) { return PrintFlow(t); },
          [&](const FlowbitTest& t) {
            std::string names;
            for (const uint32_t bit : t.bits) {
              names += names.empty() ? "" : "|";
              names += NameOf(set_.flowbit_names, bit);
            }
            return fmt::format("flowbits:{},{}", kBitOps[static_cast<size_t>(t.op)], names);
          },
          [&](const FlowintTest& t) {
            static constexpr std::string_view kOps[] = {"=",  "+",  "-", "<",     "<=",      "==",
                                                        "!=", ">=", ">", "isset", "isnotset"};
            std::string out = fmt::format("flowint:{},{}", NameOf(set_.flowint_names, t.variable),
                                          kOps[static_cast<size_t>(t.op)]);
            using Op = FlowintTest::Op;
            if (t.op == Op::kIsSet || t.op == Op::kIsNotSet) return out;
            if (t.other < 0) return out + fmt::format(",{}", t.value);
            return out + fmt::format(",{}", NameOf(set_.flowint_names, static_cast<uint32_t>(t.other)));
          },
          [&](const XbitTest& t) {
            using Track = XbitTest::Track;
            if (t.track == Track::kTransaction) {
              return fmt::format("xbits:{},{},track tx", kBitOps[static_cast<size_t>(t.op)], NameOf(set_.xbit_names, t.name));
            }
            return fmt::format("xbits:{},{},track {},expire {}", kBitOps[static_cast<size_t>(t.op)],
                               NameOf(set_.xbit_names, t.name),
                               t.track == Track::kSource        ? "ip_src"
                               : t.track == Track::kDestination ? "ip_dst"
                                                                : "ip_pair",
                               t.expire_seconds);
          },
          [](const StreamSizeTest& t) {
            static constexpr std::string_view kSides[] = {"server", "client", "both", "either"};
            const std::string number = PrintUintTest(t.test);
            const size_t digit = std::min(number.find_first_of("0123456789"), number.size());
            return fmt::format("stream_size:{},{},{}", kSides[static_cast<size_t>(t.side)],
                               digit == 0 ? "=" : number.substr(0, digit), number.substr(digit));
          },
          [](const ElephantTest& t) {
            static constexpr std::string_view kSides[] = {"toserver", "toclient", "either", "both"};
            return fmt::format("flow.elephant:{}", kSides[static_cast<size_t>(t.side)]);
          },
          [](const FlowNumberTest& t) {
            return fmt::format("{}{}", FieldName(t.field), PrintUintTest(t.test));
          },
          [](const AppProtocolTest& t) {
            static constexpr std::string_view kSides[] = {"", ",to_server", ",to_client",
                                                          ",final", ",original", ",both"};
            return fmt::format("app-layer-protocol:{}{}{}", t.negated ? "!" : "", t.protocol,
                               kSides[static_cast<size_t>(t.side)]);
          },
          [](const AppStateTest& t) { return "app-layer-state:" + PrintUintTest(t.test); },
          [](const AppEventTest& t) {
            return fmt::format("app-layer-event:{}{}{}", t.protocol, t.protocol.empty() ? "" : ".", t.event);
          }},
      condition);
}

std::string RulePrinter::File(const FileTest& test) const {
  if (const auto* size = std::get_if<FileSizeTest>(&test)) return "filesize:" + PrintUintTest(size->test);
  static constexpr std::string_view kHashes[] = {"filemd5", "filesha1", "filesha256"};
  const auto& hash = std::get<FileHashTest>(test);
  return fmt::format("{}:{}{}", kHashes[static_cast<size_t>(hash.hash)], hash.negated ? "!" : "", hash.list);
}

std::string RulePrinter::Keep(const FileKeep& keep) const {
  static constexpr std::string_view kSides[] = {"", "to_server", "to_client", "both"};
  static constexpr std::string_view kScopes[] = {"", ",tx", ",flow"};
  if (keep.side == FileKeep::Side::kRule) return "filestore";
  return fmt::format("filestore:{}{}", kSides[static_cast<size_t>(keep.side)],
                     kScopes[static_cast<size_t>(keep.scope)]);
}

std::string RulePrinter::Options(const Rule& rule) const {
  std::string out;
  const auto add = [&out](const std::string& option) { out += option + "; "; };
  if (!rule.message.empty()) add("msg:" + Quoted(rule.message));
  for (const FlowCondition& condition : rule.flow_conditions) add(Condition(condition));
  for (const PacketTest& test : rule.packet_tests) add(Packet(test));
  for (const NumberInspection& number : rule.numbers) add(Number(number));
  for (const FileTest& test : rule.file_tests) add(File(test));
  if (rule.file_keep) add(Keep(*rule.file_keep));
  for (const StoredField& field : rule.stored) add(field.name);
  bool first = true;
  for (const Inspection& inspection : rule.inspections) {
    // The payload needs no word before any buffer.
    if (inspection.kind != BufferKind::kPayload || !first) add(Buffer(inspection));
    first = false;
    for (const BufferTest& test : inspection.tests) add(Test(rule, test));
  }
  if (rule.detection_filter) add("detection_filter:" + PrintThreshold(*rule.detection_filter));
  if (rule.threshold) add("threshold:" + PrintThreshold(*rule.threshold));
  for (const Reference& r : rule.references) {
    const auto known = std::ranges::find(options_.references, r.system, [](const auto& e) { return e.second; });
    add(fmt::format("reference:{},{}",
                    known == options_.references.end() ? std::string(Trim(r.system)) : known->first, r.id));
  }
  if (!rule.classtype.empty()) add("classtype:" + rule.classtype);
  const auto known = options_.classes.find(rule.classtype);
  const uint8_t implied = known == options_.classes.end() ? 3 : known->second.priority;
  if (rule.priority != implied) add(fmt::format("priority:{}", rule.priority));
  std::string metadata;
  for (const auto& [key, value] : rule.metadata) {
    metadata += metadata.empty() ? "" : ", ";
    metadata += value.empty() ? key : key + " " + value;
  }
  if (!metadata.empty()) add("metadata:" + metadata);
  if (rule.target == Rule::Target::kSource) add("target:src_ip");
  if (rule.target == Rule::Target::kDestination) add("target:dest_ip");
  for (const Tag& tag : rule.tags) add(PrintTag(tag));
  if (rule.log_change) {
    add(fmt::format("config:logging disable, type {}, scope {}",
                    rule.log_change->type == LogChange::Type::kFlow ? "flow" : "tx",
                    rule.log_change->scope == LogChange::Scope::kFlow ? "flow" : "tx"));
  }
  if (rule.no_alert) add("noalert");
  if (rule.always_alert) add("alert");
  if (rule.bypass) add("bypass");
  if (rule.prefilter) add("prefilter");
  const auto ttl = std::chrono::duration_cast<std::chrono::seconds>(rule.scope.ttl).count();
  if (rule.scope.kind == VerdictScope::Kind::kSource) add(fmt::format("drop_source:{}s", ttl));
  if (rule.scope.kind == VerdictScope::Kind::kDestination) add(fmt::format("drop_destination:{}s", ttl));
  if (rule.gid != 1) add(fmt::format("gid:{}", rule.gid));
  add(fmt::format("sid:{}", rule.sid));
  if (rule.rev != 0) add(fmt::format("rev:{}", rule.rev));
  out.pop_back();
  return out;
}

std::string RulePrinter::Print(const Rule& rule) const {
  return fmt::format("{} {} ({})", kActions[static_cast<size_t>(rule.action)], Header(rule.header),
                     Options(rule));
}

}  // namespace sluice
