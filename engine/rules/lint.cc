#include "engine/rules/lint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "engine/rules/text.h"

namespace sluice {
namespace {

// The values that a test allows, where they are one interval.
struct Interval {
  uint64_t low = 0, high = UINT64_MAX;
  bool empty() const { return low > high; }
};

Interval Allowed(const UintTest& t) {
  switch (t.op) {
    case CompareOp::kEqual: return {t.a, t.a};
    case CompareOp::kLess: return t.a == 0 ? Interval{1, 0} : Interval{0, t.a - 1};
    case CompareOp::kLessEqual: return {0, t.a};
    case CompareOp::kGreater: return t.a == UINT64_MAX ? Interval{1, 0} : Interval{t.a + 1, UINT64_MAX};
    case CompareOp::kGreaterEqual: return {t.a, UINT64_MAX};
    case CompareOp::kRange: return t.b < 2 || t.a >= t.b - 1 ? Interval{1, 0} : Interval{t.a + 1, t.b - 1};
    default: return {};
  }
}

Interval Both(Interval a, Interval b) { return {std::max(a.low, b.low), std::min(a.high, b.high)}; }

uint64_t LargestOf(PacketField field) {
  switch (field) {
    case PacketField::kTtl:
    case PacketField::kTos:
    case PacketField::kIpProto:
    case PacketField::kIcmpType:
    case PacketField::kIcmpCode:
    case PacketField::kIgmpType: return 255;
    case PacketField::kIpId:
    case PacketField::kTcpWindow:
    case PacketField::kTcpMss:
    case PacketField::kIcmpId:
    case PacketField::kIcmpSeq:
    case PacketField::kDsize: return 65535;
    case PacketField::kTcpSeq:
    case PacketField::kTcpAck:
    case PacketField::kIcmpv6Mtu:
    case PacketField::kSctpVtag: return UINT32_MAX;
    default: return UINT64_MAX;
  }
}

// The IP protocol that a field is of; 0: of any.
uint8_t ProtocolOf(PacketField field) {
  switch (field) {
    case PacketField::kTcpSeq:
    case PacketField::kTcpAck:
    case PacketField::kTcpWindow:
    case PacketField::kTcpMss:
    case PacketField::kTcpWscale: return 6;
    case PacketField::kSctpVtag:
    case PacketField::kSctpChunks: return 132;
    default: return 0;
  }
}

bool HeaderAllows(const RuleHeader& header, uint8_t protocol) {
  return protocol == 0 || header.any_ip_protocol || header.ip_protocols.empty() ||
         std::ranges::find(header.ip_protocols, protocol) != header.ip_protocols.end();
}

std::optional<std::string> PacketTestsExclude(const Rule& rule) {
  std::map<PacketField, Interval> allowed;
  for (const PacketTest& test : rule.packet_tests) {
    if (const auto* flags = std::get_if<TcpFlagsTest>(&test); flags != nullptr && !HeaderAllows(rule.header, 6)) {
      return fmt::format("tcp.flags: the header asks for {}", rule.header.protocol_text);
    }
    const auto* number = std::get_if<PacketNumberTest>(&test);
    if (number == nullptr) continue;
    if (!HeaderAllows(rule.header, ProtocolOf(number->field))) {
      return fmt::format("a header field is asked for that {} does not have", rule.header.protocol_text);
    }
    Interval& all = allowed.try_emplace(number->field, Interval{0, LargestOf(number->field)}).first->second;
    all = Both(all, Allowed(number->test));
    if (all.empty()) return "no number satisfies what is asked of a header field";
  }
  return std::nullopt;
}

// The fewest bytes that hold all contents of the buffer.
uint64_t LeastBytes(const Inspection& inspection) {
  uint64_t least = 0, behind = 0;  // behind: where a relative test can start at the earliest
  for (const BufferTest& test : inspection.tests) {
    const auto* c = std::get_if<ContentTest>(&test);
    if (c == nullptr || c->negated) {
      if (c == nullptr) behind = 0;  // it may have moved anywhere
      continue;
    }
    const auto known = [](const std::optional<Number>& n) { return n && n->variable < 0 && n->value > 0 ? static_cast<uint64_t>(n->value) : 0; };
    const bool back = c->distance && (c->distance->variable >= 0 || c->distance->value < 0);
    const uint64_t from = c->relative ? (back ? 0 : behind + known(c->distance)) : known(c->offset);
    behind = from + c->bytes.size();
    least = std::max(least, behind);
  }
  return least;
}

std::optional<std::string> SizesExclude(const Rule& rule, const Inspection& inspection) {
  if (!inspection.transforms.empty() || inspection.absent != Inspection::Absent::kMismatches) return std::nullopt;
  Interval size{LeastBytes(inspection), UINT64_MAX};
  for (const BufferTest& test : inspection.tests) {
    if (const auto* bsize = std::get_if<SizeTest>(&test)) size = Both(size, Allowed(bsize->test));
  }
  if (inspection.kind == BufferKind::kPayload) {
    for (const PacketTest& test : rule.packet_tests) {
      const auto* number = std::get_if<PacketNumberTest>(&test);
      if (number != nullptr && number->field == PacketField::kDsize) size = Both(size, Allowed(number->test));
    }
  }
  if (!size.empty()) return std::nullopt;
  return fmt::format("{}: its contents do not fit into the size that is asked for", inspection.name);
}

bool Anywhere(const ContentTest& c) {
  return !c.offset && !c.depth && !c.distance && !c.within && !c.starts_with && !c.ends_with;
}

// A content that must be there, and one within it that must not be there at all.
std::optional<std::string> ContentsExclude(const Inspection& inspection) {
  if (inspection.absent != Inspection::Absent::kMismatches) return std::nullopt;
  for (const BufferTest& no : inspection.tests) {
    const auto* denied = std::get_if<ContentTest>(&no);
    if (denied == nullptr || !denied->negated || !Anywhere(*denied)) continue;
    for (const BufferTest& yes : inspection.tests) {
      const auto* asked = std::get_if<ContentTest>(&yes);
      if (asked == nullptr || asked->negated || (asked->nocase && !denied->nocase)) continue;
      const std::string bytes = denied->nocase ? Lower(asked->bytes) : asked->bytes;
      if (bytes.find(denied->bytes) == bytes.npos) continue;
      return fmt::format("{}: a content asks for bytes that another one forbids", inspection.name);
    }
  }
  return std::nullopt;
}

// Bits that some rule sets.
std::vector<bool> BitsThatAreSet(const RuleSet& set) {
  std::vector<bool> out(set.flowbit_names.size());
  for (const Rule& rule : set.rules) {
    for (const FlowCondition& condition : rule.flow_conditions) {
      const auto* bit = std::get_if<FlowbitTest>(&condition);
      if (bit == nullptr || (bit->op != FlowbitTest::Op::kSet && bit->op != FlowbitTest::Op::kToggle)) continue;
      for (const uint32_t id : bit->bits) out[id] = true;
    }
  }
  return out;
}

std::optional<std::string> BitsExclude(const RuleSet& set, const Rule& rule, const std::vector<bool>& are_set) {
  for (const FlowCondition& condition : rule.flow_conditions) {
    const auto* bit = std::get_if<FlowbitTest>(&condition);
    if (bit == nullptr || bit->op != FlowbitTest::Op::kIsSet) continue;
    if (std::ranges::any_of(bit->bits, [&](uint32_t id) { return are_set[id]; })) continue;
    return fmt::format("flowbits: no rule that is loaded sets {}", set.flowbit_names[bit->bits.front()]);
  }
  return std::nullopt;
}

std::optional<std::string> WhyNever(const RuleSet& set, const Rule& rule, const std::vector<bool>& are_set) {
  if (auto why = PacketTestsExclude(rule)) return why;
  for (const Inspection& inspection : rule.inspections) {
    if (auto why = SizesExclude(rule, inspection)) return why;
    if (auto why = ContentsExclude(inspection)) return why;
  }
  return BitsExclude(set, rule, are_set);
}

}  // namespace

std::vector<RuleProblem> FindRulesThatNeverMatch(const RuleSet& set) {
  std::vector<RuleProblem> out;
  const std::vector<bool> are_set = BitsThatAreSet(set);
  for (const Rule& rule : set.rules) {
    if (const auto why = WhyNever(set, rule, are_set)) {
      out.push_back({RuleProblem::Severity::kWarning, rule.place, 0, rule.sid, "can never match: " + *why});
    }
  }
  return out;
}

}  // namespace sluice
