#include "engine/match/placement.h"

#include <algorithm>
#include <bitset>

namespace sluice {
namespace {

uint8_t NeedsOf(AppProtocolTest::Side side) {
  using Side = AppProtocolTest::Side;
  return side == Side::kToServer ? 2 : side == Side::kToClient ? 4 : side == Side::kBoth ? 6 : 1;
}

int Score(const std::string& bytes) {
  std::bitset<256> seen;
  int common = 0;
  for (char ch : bytes) {
    seen.set(static_cast<uint8_t>(ch));
    common +=
        ch == 0 || ch == ' ' || ch == '\r' || ch == '\n' || static_cast<uint8_t>(ch) == 0xff;
  }
  return 4 * static_cast<int>(std::min<size_t>(bytes.size(), 24)) +
         2 * static_cast<int>(seen.count()) - 3 * common;
}

void Consider(const std::vector<CompiledInspection>& inspections, FastPattern* best, int* score) {
  for (size_t i = 0; i < inspections.size(); ++i) {
    if (inspections[i].kind == BufferKind::kHeader) continue;
    if (inspections[i].absent != Inspection::Absent::kMismatches) continue;
    for (const Op& op : inspections[i].confirm.ops) {
      if (op.kind != Op::Kind::kContent) continue;
      const ContentTest& t = std::get<ContentTest>(*op.test);
      if (t.negated || t.bytes.empty()) continue;
      // What a file looks like costs more to find out than all else of it.
      const int most = inspections[i].kind == BufferKind::kFileMagic ? -100'000 : 100'000;
      const int s = t.fast_pattern || t.fast_pattern_only ? 1'000'000 : std::min(most, Score(t.bytes));
      if (s <= *score) continue;
      *score = s;
      best->literal = t.fast_pattern_length
                          ? t.bytes.substr(t.fast_pattern_offset, t.fast_pattern_length)
                          : t.bytes;
      if (best->literal.size() > kMaxLiteral) best->literal.resize(kMaxLiteral);
      best->nocase = t.nocase;
      best->inspection = i;
      best->head = 0;
      const bool fixed = op.independent && (t.depth || t.starts_with);
      if (fixed) {
        const int64_t offset = t.offset ? t.offset->value : 0;
        const int64_t span = t.depth ? t.depth->value : static_cast<int64_t>(t.bytes.size());
        if (offset >= 0 && offset + span <= static_cast<int64_t>(kHeadBytes))
          best->head = static_cast<uint32_t>(offset + span);
      }
    }
  }
}

}  // namespace

void Classify(const Rule& rule, CompiledRule* c) {
  if (!c->fields.empty() || !rule.numbers.empty() || c->has_event || c->has_state || c->needs_transaction ||
      c->on_files) {
    c->kind = RuleClass::kFields;
    return;
  }
  bool conditions = false, app_test = false, needs_packet = rule.header.packet_only;
  bool wants_stream_only = rule.header.stream_only, both = false;
  for (const FlowCondition& condition : rule.flow_conditions) {
    if (const auto* app = std::get_if<AppProtocolTest>(&condition)) {
      app_test = true;
      c->protocol_needs |= NeedsOf(app->side);
      continue;
    }
    const auto* flow = std::get_if<FlowTest>(&condition);
    if (flow) {
      needs_packet |= flow->no_stream;
      wants_stream_only |= flow->only_stream;
      c->reassembled_only |= flow->only_stream;
      conditions |=
          flow->established || flow->not_established || flow->only_frag || flow->no_frag;
    } else {
      const auto* bit = std::get_if<FlowbitTest>(&condition);
      conditions |= bit ? bit->op != FlowbitTest::Op::kSet
                        : !std::holds_alternative<XbitTest>(condition) &&
                              !std::holds_alternative<FlowintTest>(condition);
    }
    // What a packet makes the streams' sizes is asked with that packet.
    needs_packet |= std::holds_alternative<StreamSizeTest>(condition);
  }
  // What is known of a host is so for the whole flow.
  const bool of_packet = !std::ranges::all_of(
      rule.packet_tests, [](const PacketTest& test) { return std::holds_alternative<ReputationTest>(test); });
  const bool bare = c->payload.empty() && !of_packet && !rule.header.packet_only;
  // A rule on one port is still one on the ends of a flow, as in Suricata.
  const bool ports = !rule.header.any_ip_protocol && !rule.header.source_ports.any &&
                     !rule.header.destination_ports.any;
  c->kind = RuleClass::kPacket;
  if (bare && app_test && c->any_app)
    c->kind = RuleClass::kProtocol;
  else if (bare && !app_test && c->any_app && !conditions && !c->flow_direction && !ports)
    c->kind = RuleClass::kAddress;
  needs_packet |= of_packet || std::ranges::any_of(c->payload, &CompiledInspection::of_packet);
  if (!c->has_payload) return;
  // What a depth counts from may be a packet's start.
  if (!wants_stream_only) both |= std::ranges::any_of(c->payload, &CompiledInspection::anchored);
  c->on_stream = !needs_packet || wants_stream_only;
  c->on_packets = needs_packet || (both && !wants_stream_only) || !c->on_stream;
}

void Placement::Place(CompiledRule& c, uint32_t rank) {
  FastPattern best;
  int score = -1'000'000;
  if (c.kind == RuleClass::kFields) Consider(c.fields, &best, &score);
  if (c.kind == RuleClass::kPacket) Consider(c.payload, &best, &score);
  c.fast_pattern = best.literal;
  c.fast_nocase = best.nocase;
  c.fast_head = best.head;
  if (!best.literal.empty()) {
    c.fast_in = (c.kind == RuleClass::kFields ? c.fields : c.payload)[best.inspection].inspection;
  }
  switch (c.kind) {
    case RuleClass::kAddress:
      out_.address_rules.Add(rank, out_.address_sets[c.sources], out_.address_sets[c.destinations],
                             c.rule->header.bidirectional);
      return;
    case RuleClass::kProtocol:
      out_.protocol_rules.push_back(rank);
      return;
    case RuleClass::kFields:
      PlaceFields(c, rank, best);
      return;
    case RuleClass::kPacket:
      PlacePacket(c, rank, best);
      return;
  }
}

void Placement::PlaceFields(const CompiledRule& c, uint32_t rank, const FastPattern& best) {
  out_.wants_stream |= c.has_payload;  // tested beside the fields
  if (c.has_event) {
    out_.event_rules.push_back(rank);
    return;
  }
  if (best.literal.empty()) ++out_.summary.without_fast_pattern;
  for (int d = 0; d < 2; ++d) {
    if (!(c.directions & 1 << d)) continue;
    if (c.transactional && !best.literal.empty() &&
        !(c.fields[best.inspection].directions & 1 << d)) {
      continue;
    }
    if (best.literal.empty() && c.on_files) {
      out_.new_file_rules[d].push_back(rank);
      continue;
    }
    if (best.literal.empty()) {
      const std::vector<uint16_t> schemas = SchemasOf(c);
      if (schemas.empty()) out_.always_files[d].push_back(rank);
      for (const uint16_t schema : schemas) out_.always_fields[d][schema].push_back(rank);
      continue;
    }
    Group(c.fields[best.inspection], d).literals.Add(best.literal, best.nocase, rank);
  }
}

std::vector<uint16_t> Placement::SchemasOf(const CompiledRule& c) const {
  if (!c.any_app) return c.apps;
  uint16_t keyword = kNoKeyword;
  if (!c.rule->numbers.empty()) keyword = c.rule->numbers.front().keyword;
  for (const CompiledInspection& f : c.fields) {
    if (f.kind == BufferKind::kField) keyword = f.keyword;
  }
  if (keyword >= options_.keywords.size()) return {};
  std::vector<uint16_t> schemas = options_.keywords[keyword].schemas;
  std::erase_if(schemas, [this](uint16_t schema) { return schema >= options_.schemas.size(); });
  return schemas;
}

FieldGroup& Placement::Group(const CompiledInspection& inspection, int d) {
  std::vector<uint16_t>* ids;
  if (IsFileBuffer(inspection.kind)) {
    ids = &out_.file_groups[FileBufferIndex(inspection.kind)][d];
    out_.wants_of_files.magic |= inspection.kind == BufferKind::kFileMagic;  // of each file, to be scanned
  } else {
    if (inspection.keyword >= out_.groups_of[d].size())
      out_.groups_of[d].resize(inspection.keyword + 1u);
    ids = &out_.groups_of[d][inspection.keyword];
  }
  for (uint16_t id : *ids) {
    if (out_.field_groups[id].chain == inspection.chain) return out_.field_groups[id];
  }
  ids->push_back(static_cast<uint16_t>(out_.field_groups.size()));
  FieldGroup& group = out_.field_groups.emplace_back();
  group.chain = inspection.chain;
  return group;
}

void Placement::PlacePacket(const CompiledRule& c, uint32_t rank, const FastPattern& best) {
  if (!c.events.empty()) {
    out_.packet_event_rules.push_back(rank);
    return;
  }
  if (best.literal.empty()) ++out_.summary.without_fast_pattern;
  const RuleHeader& h = c.rule->header;
  bool member[kNumTransports] = {};
  const bool any = h.any_ip_protocol || h.ip_protocols.empty();
  for (uint8_t p : h.ip_protocols) {
    member[p == 6    ? kTransportTcp
           : p == 17 ? kTransportUdp
           : p == 1  ? kTransportIcmp
           : p == 58 ? kTransportIcmp6
                     : kTransportOther] = true;
  }
  for (int d = 0; d < 2; ++d) {
    if (!(c.directions & 1 << d)) continue;
    for (int t = 0; t < kNumTransports; ++t) {
      if (!any && !member[t]) continue;
      if (!c.any_app && t != kTransportTcp && t != kTransportUdp)
        continue;  // only these are dissected
      // Only TCP has a stream; elsewhere the payload of the packet is all.
      if (t != kTransportTcp || !c.has_payload || c.on_packets)
        AddTo(&out_.packet[t][d], c, rank, best);
    }
    if ((any || member[kTransportTcp]) && c.has_payload && c.on_stream) {
      AddTo(&out_.stream[d], c, rank, best);
      out_.wants_stream = true;
    }
  }
}

void Placement::AddTo(PayloadGroup* group, const CompiledRule& c, uint32_t rank, const FastPattern& best) {
  const RuleHeader& h = c.rule->header;
  const bool ports = !h.source_ports.any || !h.destination_ports.any;
  const bool plain = !best.literal.empty() && c.payload[best.inspection].chain == 0;
  if (!plain || (best.literal.size() < kShortLiteral && ports && !best.head)) {
    group->always.Add(rank, h);
  } else if (best.literal.size() < kShortLiteral && best.head) {
    group->head.Add(best.literal, best.nocase, rank);
  } else {
    group->literals.Add(best.literal, best.nocase, rank);
  }
}

}  // namespace sluice
