// What a rule asks of a packet's headers and its flow, and what a match leaves there.
#include <algorithm>

#include "engine/decode/decode.h"
#include "engine/match/detector_impl.h"

namespace sluice {

namespace {

bool FlagsMatch(TcpFlagsTest::Mode mode, uint8_t have, uint8_t want) {
  switch (mode) {
    case TcpFlagsTest::Mode::kExact:
      return have == want;
    case TcpFlagsTest::Mode::kAll:
      return (have & want) == want;
    case TcpFlagsTest::Mode::kAny:
      return (have & want) != 0;
    case TcpFlagsTest::Mode::kNot:
      return (have & want) != want;
  }
  return false;
}

uint32_t Be32(const uint8_t* b) {
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
}

// RFC 9260 §3.2: type, flags, length, value, padded to whole words.
size_t CountSctpChunks(Slice bytes) {
  size_t n = 0;
  while (bytes.size() >= 4) {
    const size_t len = size_t{bytes[2]} << 8 | bytes[3];
    if (len < 4 || len > bytes.size()) break;
    bytes = bytes.subspan(std::min(bytes.size(), (len + 3) & ~size_t{3}));
    ++n;
  }
  return n;
}

bool VlanMatches(const VlanTest& test, const Packet& p) {
  const std::span<const uint16_t> ids(p.vlan, p.num_vlans);
  const auto matches = [&](uint16_t id) { return test.test.Matches(id); };
  switch (test.layer) {
    case VlanTest::Layer::kAny: return std::ranges::any_of(ids, matches);
    case VlanTest::Layer::kAll: return !ids.empty() && std::ranges::all_of(ids, matches);
    case VlanTest::Layer::kIndex: break;
  }
  const int at = test.index < 0 ? p.num_vlans + test.index : test.index;
  return at >= 0 && at < p.num_vlans && matches(ids[static_cast<size_t>(at)]);
}

bool NumberOf(const Packet& p, PacketField field, uint64_t* value) {
  const bool tcp = p.l4 == L4::kTcp, icmp = p.l4 == L4::kIcmp || p.l4 == L4::kIcmp6;
  switch (field) {
    case PacketField::kTtl:
      *value = p.ttl;
      return p.ip_version != 0;
    case PacketField::kIpId:
      *value = p.ip_id;
      return p.ip_version == 4;
    case PacketField::kIpProto:
      *value = p.ip_protocol;
      return p.ip_version != 0;
    case PacketField::kTos:
      *value = p.tos;
      return p.ip_version != 0;
    case PacketField::kTcpSeq:
      *value = p.tcp.seq;
      return tcp;
    case PacketField::kTcpAck:
      *value = p.tcp.ack;
      return tcp;
    case PacketField::kTcpWindow:
      *value = p.tcp.window;
      return tcp;
    case PacketField::kTcpMss:
      *value = p.tcp.mss;
      return tcp && p.tcp.has_mss;
    case PacketField::kTcpWscale:
      *value = p.tcp.wscale;
      return tcp && p.tcp.has_wscale;
    case PacketField::kIgmpType:
      *value = p.l4 == L4::kIgmp ? p.l4_header[0] : 0;
      return p.l4 == L4::kIgmp;
    case PacketField::kSctpVtag:
      *value = p.l4 == L4::kSctp ? Be32(p.l4_header.data() + 4) : 0;
      return p.l4 == L4::kSctp;
    case PacketField::kSctpChunks:
      *value = CountSctpChunks(p.payload);
      return p.l4 == L4::kSctp;
    case PacketField::kVlanLayers:
      *value = p.num_vlans;
      return true;
    case PacketField::kIcmpType:
      *value = p.icmp_type;
      return icmp;
    case PacketField::kIcmpCode:
      *value = p.icmp_code;
      return icmp;
    case PacketField::kIcmpId:
      *value = p.icmp_id;
      return icmp;
    case PacketField::kIcmpSeq:
      *value = p.icmp_seq;
      return icmp;
    case PacketField::kDsize:
      *value = p.payload.size();
      return p.l4 != L4::kNone;
    case PacketField::kPacketLen:
      *value = p.wire_len ? p.wire_len : p.frame.size();
      return true;
    case PacketField::kIcmpv6Mtu: {  // RFC 4443 §3.2: packet too big
      if (p.l4 != L4::kIcmp6 || p.icmp_type != 2 || p.ip_payload.size() < 8) return false;
      *value = Be32(p.ip_payload.data() + 4);
      return true;
    }
  }
  return false;
}

// RFC 791 §3.1: type, length, data; types 0 and 1 are single bytes.
bool HasIpOption(Slice options, uint8_t wanted, bool any) {
  for (size_t i = 0; i < options.size();) {
    const uint8_t type = options[i];
    if (any || type == wanted) return true;
    if (type == 0) return false;
    if (type == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= options.size() || options[i + 1] < 2) return false;
    i += options[i + 1];
  }
  return false;
}

Slice AddressBytes(const Address& address) {
  return Slice(address.bytes.data(), address.version == 4 ? 4 : address.version == 6 ? 16 : 0);
}

// RFC 5531 §9: a call of version 2; over TCP behind the mark of its record (§11).
bool RpcMatches(const RpcTest& test, const Packet& p) {
  constexpr size_t kCall = 24;  // transaction, direction, RPC's version, program, version, procedure
  const size_t mark = p.l4 == L4::kTcp ? 4 : 0;
  if ((p.l4 != L4::kTcp && p.l4 != L4::kUdp) || p.payload.size() < mark + kCall) return false;
  const uint8_t* call = p.payload.data() + mark;
  return Be32(call + 4) == 0 && Be32(call + 8) == 2 && Be32(call + 12) == test.program &&
         (!test.version || Be32(call + 16) == *test.version) &&
         (!test.procedure || Be32(call + 20) == *test.procedure);
}

// What is asked of one of a packet's hosts.
template <typename Holds>
bool OfHosts(HostSide side, const Packet& p, Holds&& holds) {
  switch (side) {
    case HostSide::kSource: return holds(p.source);
    case HostSide::kDestination: return holds(p.destination);
    case HostSide::kAny: return holds(p.source) || holds(p.destination);
    case HostSide::kBoth: return holds(p.source) && holds(p.destination);
  }
  return false;
}

bool ReputationMatches(const ReputationTest& test, const Packet& p, const Reputation* known) {
  return p.ip_version != 0 && OfHosts(test.side, p, [&](const Address& address) {
    const auto value = known ? known->Find(address, test.category_id) : std::nullopt;
    return value ? !test.absent && test.test.Matches(*value) : test.absent;
  });
}

bool CountryMatches(const CountryTest& test, const Packet& p, const GeoDatabase* database) {
  return database && OfHosts(test.side, p, [&](const Address& address) {
    const std::string_view country = database->CountryOf(address);
    if (country.empty()) return false;  // of what is not known nothing is said
    return (std::ranges::find(test.countries, country) != test.countries.end()) != test.negated;
  });
}

bool ChecksumMatches(const ChecksumTest& test, const Packet& p) {
  if (p.ip_version != test.ip_version) return false;
  if (test.ip_protocol == 0) return IpChecksumHolds(p) == test.valid;
  // Carried whole: a fragment has no transport header to check.
  return p.ip_protocol == test.ip_protocol && p.l4 != L4::kNone &&
         TransportChecksumHolds(p) == test.valid;
}

}  // namespace

Slice HeaderOf(const Packet& p, HeaderBuffer header) {
  switch (header) {
    case HeaderBuffer::kNone:
      return {};
    case HeaderBuffer::kIpv4:
      return p.ip_version == 4 ? p.ip_header : Slice{};
    case HeaderBuffer::kIpv6:
      return p.ip_version == 6 ? p.IpHeaders() : Slice{};
    case HeaderBuffer::kTcp:
      return p.l4 == L4::kTcp ? p.l4_header : Slice{};
    case HeaderBuffer::kUdp:
      return p.l4 == L4::kUdp ? p.l4_header : Slice{};
    case HeaderBuffer::kIcmpv4:
      return p.l4 == L4::kIcmp ? p.l4_header : Slice{};
    case HeaderBuffer::kIcmpv6:
      return p.l4 == L4::kIcmp6 ? p.l4_header : Slice{};
    case HeaderBuffer::kEther:
      return p.ethernet;
    case HeaderBuffer::kIgmp:
      return p.l4 == L4::kIgmp ? p.l4_header : Slice{};
    case HeaderBuffer::kSctp:
      return p.l4 == L4::kSctp ? p.l4_header : Slice{};
    case HeaderBuffer::kArp:
      return p.arp;
    case HeaderBuffer::kIpSource:
      return AddressBytes(p.source);
    case HeaderBuffer::kIpDestination:
      return AddressBytes(p.destination);
  }
  return {};
}

bool Detector::Impl::FlowMatches(const FlowTest& t, Direction d) const {
  const FlowContext* f = context.flow;
  if (t.to_server != t.to_client) {
    if (!f || (d == Direction::kToServer) != t.to_server) return false;
  }
  if (t.established && !(f && f->established)) return false;
  if (t.not_established && f && f->established) return false;
  if (t.only_frag && !context.packet->is_fragment) return false;
  return !(t.no_frag && context.packet->is_fragment);
}

HostKey Detector::Impl::XbitKey(const XbitTest& t) const {
  HostKey key;
  key.what = (t.name < rp->xbit_keys.size() ? rp->xbit_keys[t.name] : t.name) << 2 |
             static_cast<uint64_t>(t.track);
  const Packet& p = *context.packet;
  switch (t.track) {
    case XbitTest::Track::kSource:
      key.first = p.source;
      break;
    case XbitTest::Track::kDestination:
      key.first = p.destination;
      break;
    case XbitTest::Track::kTransaction:  // not kept by host
      break;
    case XbitTest::Track::kPair:  // either way round
      key.first = std::min(p.source, p.destination);
      key.second = std::max(p.source, p.destination);
      break;
  }
  return key;
}

bool Detector::Impl::XbitIsSet(const XbitTest& t) {
  if (t.track == XbitTest::Track::kTransaction) {
    return current_tx && std::ranges::find(current_tx->inspection.bits, t.name) != current_tx->inspection.bits.end();
  }
  const Nanos* until = host_bits.Find(XbitKey(t));
  return until && *until > context.now;
}

bool Detector::Impl::FlowintMatches(const FlowintTest& t) const {
  using Op = FlowintTest::Op;
  if (t.op == Op::kSet || t.op == Op::kAdd || t.op == Op::kSubtract) return true;
  const uint32_t* value = context.flow ? context.flow->vars->GetInt(t.variable) : nullptr;
  if (t.op == Op::kIsSet) return value != nullptr;
  if (t.op == Op::kIsNotSet) return value == nullptr;
  if (!value) return false;
  uint32_t other = t.value;
  if (t.other >= 0) {
    const uint32_t* o = context.flow->vars->GetInt(static_cast<uint32_t>(t.other));
    if (!o) return false;
    other = *o;
  }
  switch (t.op) {
    case Op::kLess:
      return *value < other;
    case Op::kLessEqual:
      return *value <= other;
    case Op::kEqual:
      return *value == other;
    case Op::kNotEqual:
      return *value != other;
    case Op::kGreaterEqual:
      return *value >= other;
    case Op::kGreater:
      return *value > other;
    default:
      return true;
  }
}

bool Detector::Impl::StreamSizeMatches(const StreamSizeTest& t) const {
  if (!context.flow || context.packet->l4 != L4::kTcp) return false;
  const bool server = t.test.Matches(context.flow->stream_bytes[Index(Direction::kToClient)]);
  const bool client = t.test.Matches(context.flow->stream_bytes[Index(Direction::kToServer)]);
  switch (t.side) {
    case StreamSizeTest::Side::kServer:
      return server;
    case StreamSizeTest::Side::kClient:
      return client;
    case StreamSizeTest::Side::kBoth:
      return server && client;
    case StreamSizeTest::Side::kEither:
      return server || client;
  }
  return false;
}

bool Detector::Impl::ElephantMatches(const ElephantTest& t) const {
  if (!context.flow) return false;
  const uint8_t elephant = context.flow->elephant;
  switch (t.side) {
    case ElephantTest::Side::kToServer: return elephant & 1;
    case ElephantTest::Side::kToClient: return elephant & 2;
    case ElephantTest::Side::kEither: return elephant != 0;
    case ElephantTest::Side::kBoth: return elephant == 3;
  }
  return false;
}

bool Detector::Impl::FlowNumberMatches(const FlowNumberTest& t) const {
  const FlowContext* f = context.flow;
  if (!f) return false;
  uint64_t v = 0;
  switch (t.field) {
    case FlowField::kAge:
      v = context.now > f->started
              ? static_cast<uint64_t>(
                    std::chrono::duration_cast<std::chrono::seconds>(context.now - f->started)
                        .count())
              : 0;
      break;
    case FlowField::kPktsToServer:
      v = f->packets[0];
      break;
    case FlowField::kPktsToClient:
      v = f->packets[1];
      break;
    case FlowField::kBytesToServer:
      v = f->bytes[0];
      break;
    case FlowField::kBytesToClient:
      v = f->bytes[1];
      break;
    case FlowField::kPkts:
      v = f->packets[0] + f->packets[1];
      break;
    case FlowField::kBytes:
      v = f->bytes[0] + f->bytes[1];
      break;
    case FlowField::kPktsEither:
      return t.test.Matches(f->packets[0]) || t.test.Matches(f->packets[1]);
    case FlowField::kBytesEither:
      return t.test.Matches(f->bytes[0]) || t.test.Matches(f->bytes[1]);
  }
  return t.test.Matches(v);
}

bool Detector::Impl::AppProtocolMatches(const AppProtocolTest& t) const {
  const FlowContext* f = context.flow;
  if (!f) return false;
  if (t.protocol == "failed") return f->app_failed != t.negated;
  if (t.protocol == "unknown") return (!f->app && !f->app_failed) != t.negated;
  const Schema* app = f->app;
  if (t.side == AppProtocolTest::Side::kOriginal)
    app = f->app_original ? f->app_original : f->app;
  if (t.side == AppProtocolTest::Side::kToServer) app = f->app_sides[0];
  if (t.side == AppProtocolTest::Side::kToClient) app = f->app_sides[1];
  if (t.side == AppProtocolTest::Side::kBoth && f->app_sides[0] != f->app_sides[1]) app = nullptr;
  if (!app && !f->app_failed) return false;  // too early to say
  return (app && app->Answers(t.protocol)) != t.negated;
}

bool Detector::Impl::ConditionHolds(const FlowCondition& condition, Direction d) {
  if (const auto* flow = std::get_if<FlowTest>(&condition)) return FlowMatches(*flow, d);
  if (const auto* bit = std::get_if<FlowbitTest>(&condition)) {
    if (!IsTestOp(bit->op)) return true;
    if (!context.flow) return false;
    const bool set = std::any_of(bit->bits.begin(), bit->bits.end(),
                                 [this](uint32_t id) { return context.flow->vars->GetBit(id); });
    return set == (bit->op == FlowbitTest::Op::kIsSet);
  }
  if (const auto* number = std::get_if<FlowintTest>(&condition)) return FlowintMatches(*number);
  if (const auto* xbit = std::get_if<XbitTest>(&condition))
    return !IsTestOp(xbit->op) || XbitIsSet(*xbit) == (xbit->op == FlowbitTest::Op::kIsSet);
  if (const auto* size = std::get_if<StreamSizeTest>(&condition)) return StreamSizeMatches(*size);
  if (const auto* count = std::get_if<FlowNumberTest>(&condition)) return FlowNumberMatches(*count);
  if (const auto* app = std::get_if<AppProtocolTest>(&condition)) return AppProtocolMatches(*app);
  if (const auto* elephant = std::get_if<ElephantTest>(&condition)) return ElephantMatches(*elephant);
  return true;
}

bool Detector::Impl::ConditionsHold(const CompiledRule& r, Direction d) {
  return std::all_of(r.rule->flow_conditions.begin(), r.rule->flow_conditions.end(),
                     [&](const FlowCondition& condition) { return ConditionHolds(condition, d); });
}

bool Detector::Impl::PacketTestHolds(const PacketTest& test) const {
  const Packet& p = *context.packet;
  if (const auto* n = std::get_if<PacketNumberTest>(&test)) {
    uint64_t value = 0;
    return NumberOf(p, n->field, &value) && n->test.Matches(value);
  }
  if (const auto* f = std::get_if<TcpFlagsTest>(&test)) {
    return p.l4 == L4::kTcp &&
           FlagsMatch(f->mode, p.tcp.flags & static_cast<uint8_t>(~f->ignore_mask), f->flags);
  }
  if (std::holds_alternative<SameIpTest>(test)) return p.ip_version && p.source == p.destination;
  if (const auto* o = std::get_if<IpOptsTest>(&test))
    return HasIpOption(p.ip_options, o->option, o->any);
  if (const auto* b = std::get_if<FragBitsTest>(&test)) {
    const uint8_t have =
        static_cast<uint8_t>(p.more_fragments | p.dont_fragment << 1 | p.reserved_bit << 2);
    return p.ip_version == 4 && FlagsMatch(b->mode, have, b->bits);
  }
  if (const auto* fo = std::get_if<FragOffsetTest>(&test))
    return p.ip_version && fo->test.Matches(p.fragment_offset / 8);
  if (const auto* sum = std::get_if<ChecksumTest>(&test)) return ChecksumMatches(*sum, p);
  if (const auto* vlan = std::get_if<VlanTest>(&test)) return VlanMatches(*vlan, p);
  if (const auto* version = std::get_if<IpVersionTest>(&test)) return p.ip_version == version->version;
  if (const auto* rpc = std::get_if<RpcTest>(&test)) return RpcMatches(*rpc, p);
  if (const auto* host = std::get_if<ReputationTest>(&test)) return ReputationMatches(*host, p, rp->reputation.get());
  if (const auto* host = std::get_if<CountryTest>(&test)) return CountryMatches(*host, p, rp->countries.get());
  return true;  // events: CompiledRule::events
}

bool Detector::Impl::PacketTestsHold(const CompiledRule& r) const {
  const auto there = [this](uint16_t id) {
    return std::find(context.events.begin(), context.events.end(), id) != context.events.end();
  };
  return std::all_of(r.events.begin(), r.events.end(), there) &&
         std::all_of(r.rule->packet_tests.begin(), r.rule->packet_tests.end(),
                     [this](const PacketTest& test) { return PacketTestHolds(test); });
}

void Detector::Impl::AfterMatch(const CompiledRule& r) {
  if (r.captures) KeepCaptured();  // of another rule there may be some left
  FlowVars* vars = context.flow ? context.flow->vars : nullptr;
  for (const FlowCondition& condition : r.rule->flow_conditions) {
    if (const auto* bit = std::get_if<FlowbitTest>(&condition);
        bit && vars && !IsTestOp(bit->op)) {
      for (uint32_t id : bit->bits) {
        const bool set = bit->op == FlowbitTest::Op::kSet ||
                         (bit->op == FlowbitTest::Op::kToggle && !vars->GetBit(id));
        if (!set)
          vars->ClearBit(id);
        else if (!vars->SetBit(id))
          ++stats.flow_vars_full;
      }
    } else if (const auto* number = std::get_if<FlowintTest>(&condition); number && vars) {
      SetFlowint(*number, *vars);
    } else if (const auto* xbit = std::get_if<XbitTest>(&condition);
               xbit && !IsTestOp(xbit->op)) {
      PutXbit(*xbit, xbit->op == FlowbitTest::Op::kSet ||
                         (xbit->op == FlowbitTest::Op::kToggle && !XbitIsSet(*xbit)));
    }
  }
}

// Behind it, the confirm state may be another rule's.
void Detector::Impl::KeepCaptured() {
  for (const Captured& text : std::span(confirm.captured).first(confirm.num_captured)) {
    FlowVars& vars = text.as->of_flow && context.flow != nullptr ? *context.flow->vars : packet_vars;
    if (!vars.SetText(text.as->name, text.value)) ++stats.flow_vars_full;
  }
}

void Detector::Impl::PutXbit(const XbitTest& t, bool set) {
  if (t.track != XbitTest::Track::kTransaction) {
    bool created = false;
    if (set) host_bits.Touch(XbitKey(t), &created) = context.now + std::chrono::seconds(t.expire_seconds);
    else host_bits.Erase(XbitKey(t));
    return;
  }
  if (!current_tx) return;
  std::vector<uint32_t>& bits = current_tx->inspection.bits;
  if (!set) {
    std::erase(bits, t.name);
  } else if (!XbitIsSet(t)) {
    if (bits.size() < InspectionState::kMaxBits) bits.push_back(t.name);
    else ++stats.flow_vars_full;
  }
}

void Detector::Impl::SetFlowint(const FlowintTest& t, FlowVars& vars) {
  using Op = FlowintTest::Op;
  if (t.op != Op::kSet && t.op != Op::kAdd && t.op != Op::kSubtract) return;
  uint32_t operand = t.value;
  if (t.other >= 0) {
    const uint32_t* o = vars.GetInt(static_cast<uint32_t>(t.other));
    if (!o) return;
    operand = *o;
  }
  const uint32_t* old = vars.GetInt(t.variable);
  const uint32_t before = old ? *old : 0;
  const uint32_t value = t.op == Op::kSet   ? operand
                         : t.op == Op::kAdd ? before + operand
                                            : before - operand;
  if (!vars.SetInt(t.variable, value)) ++stats.flow_vars_full;
}

}  // namespace sluice
