// The packet path of engine/match: scan, collect candidates, confirm, fire.
#include <algorithm>

#include "engine/decode/decode.h"
#include "engine/match/program.h"
#include "engine/match/thresholds.h"

namespace sluice {

namespace {

constexpr size_t kQueue = 256;         // matches of one packet before ordering
constexpr uint32_t kPendingTries = 8;  // looks at more stream bytes for one candidate
constexpr uint32_t kHasFired = 1000;   // in Pending::tries: matched at the stream's start

enum class Look : uint8_t { kMatch, kWait, kNever };

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
      const uint8_t* b = p.ip_payload.data() + 4;
      *value = uint64_t{b[0]} << 24 | uint64_t{b[1]} << 16 | uint64_t{b[2]} << 8 | b[3];
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

bool ChecksumMatches(const ChecksumTest& test, const Packet& p) {
  if (p.ip_version != test.ip_version) return false;
  if (test.ip_protocol == 0) return IpChecksumHolds(p) == test.valid;
  // Carried whole: a fragment has no transport header to check.
  return p.ip_protocol == test.ip_protocol && p.l4 != L4::kNone &&
         TransportChecksumHolds(p) == test.valid;
}

Slice HeaderOf(const Packet& p, HeaderBuffer header) {
  switch (header) {
    case HeaderBuffer::kNone:
      return {};
    case HeaderBuffer::kIpv4:
      return p.ip_version == 4 ? p.ip_header : Slice{};
    case HeaderBuffer::kIpv6:
      return p.ip_version == 6 ? p.ip_header : Slice{};
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
    case HeaderBuffer::kIpSource:
      return AddressBytes(p.source);
    case HeaderBuffer::kIpDestination:
      return AddressBytes(p.destination);
  }
  return {};
}

Transport TransportOf(const Packet& p) {
  switch (p.l4) {
    case L4::kTcp:
      return kTransportTcp;
    case L4::kUdp:
      return kTransportUdp;
    case L4::kIcmp:
      return kTransportIcmp;
    case L4::kIcmp6:
      return kTransportIcmp6;
    default:
      return kTransportOther;
  }
}

bool IsTestOp(FlowbitTest::Op op) {
  return op == FlowbitTest::Op::kIsSet || op == FlowbitTest::Op::kIsNotSet;
}

}  // namespace

struct Detector::Impl {
  struct Queued {
    uint32_t rank = 0;
    Alert alert;
  };
  // One answer per packet and index: an address or port set and an endpoint.
  struct Memo {
    std::vector<uint64_t> slots;  // packet << 1 | answer
  };

  Impl(std::shared_ptr<const RuleProgram> p, const DetectorOptions& o)
      : options(o), thresholds(o.threshold_entries), host_bits(o.host_bits) {
    options.max_alerts = std::clamp(options.max_alerts, 1u, 255u);
    confirm.max_steps = options.max_recursion;
    confirm.max_bytes = options.max_confirm_bytes;
    confirm.base64.reserve(kMaxTransformBytes + 4);
    queue.reserve(kQueue);
    alerts.reserve(options.max_alerts);
    Use(std::move(p));
  }

  void Use(std::shared_ptr<const RuleProgram> p) {
    program = std::move(p);
    rp = &program->impl();
    const auto need = [this](const hs_database_t* db) {
      if (db) SLUICE_CHECK(hs_alloc_scratch(db, &confirm.regex.hs) == HS_SUCCESS);
    };
    for (const auto& regex : rp->regexes) need(regex->database());
    for (const FieldGroup& group : rp->field_groups) need(group.literals.database());
    for (int d = 0; d < 2; ++d) {
      need(rp->stream[d].literals.database());
      need(rp->stream[d].head.database());
      for (const auto& transport : rp->packet) {
        need(transport[d].literals.database());
        need(transport[d].head.database());
      }
    }
    hits.clear();
    hits.reserve(rp->compiled.size());
    tries.reserve(2 * rp->compiled.size());
    hit_stamp.assign(rp->compiled.size(), 0);
    fired.assign(rp->compiled.size(), 0);
    addresses.slots.assign(rp->address_sets.size() * 2, 0);
    ports.slots.assign(rp->port_sets.size() * 2, 0);
  }

  // ------------------------------------------------------ header, conditions

  bool AddressIn(uint32_t set, size_t endpoint) {
    uint64_t& slot = addresses.slots[set * 2 + endpoint];
    if (slot >> 1 != packet_no) {
      const Address& a = endpoint == 0 ? context.packet->source : context.packet->destination;
      slot = packet_no << 1 | ContainsAddress(rp->address_sets[set], a);
    }
    return slot & 1;
  }
  bool PortIn(uint32_t set, size_t endpoint) {
    const PortSet& s = rp->port_sets[set];
    if (s.any) return true;
    if (!has_ports) return false;
    uint64_t& slot = ports.slots[set * 2 + endpoint];
    if (slot >> 1 != packet_no) {
      slot = packet_no << 1 | ContainsPort(s, endpoint == 0 ? context.packet->source_port
                                                            : context.packet->destination_port);
    }
    return slot & 1;
  }
  bool Side(const CompiledRule& r, size_t source) {
    return PortIn(r.destination_ports, 1 - source) && PortIn(r.source_ports, source) &&
           AddressIn(r.sources, source) && AddressIn(r.destinations, 1 - source);
  }
  // `source`: which endpoint of the packet (0 its source) sends in the direction looked at.
  bool HeaderMatches(const CompiledRule& r, size_t source) {
    const RuleHeader& h = r.rule->header;
    const Packet& p = *context.packet;
    if (h.ip_version && h.ip_version != p.ip_version) return false;
    if (p.ip_version == 0 && h.protocol_text != "pkthdr") return false;  // ARP and the like
    if (!h.any_ip_protocol && !h.ip_protocols.empty() &&
        std::find(h.ip_protocols.begin(), h.ip_protocols.end(), p.ip_protocol) ==
            h.ip_protocols.end()) {
      return false;
    }
    return Side(r, source) || (h.bidirectional && Side(r, 1 - source));
  }
  static bool IsOf(const CompiledRule& r, const Schema& schema) {
    return std::find(r.apps.begin(), r.apps.end(), schema.id) != r.apps.end();
  }
  bool AppMatches(const CompiledRule& r) const {
    if (r.any_app) return true;
    if (!context.flow) return false;
    const FlowContext& f = *context.flow;
    return (f.app && IsOf(r, *f.app)) || (f.app_original && IsOf(r, *f.app_original));
  }

  bool FlowMatches(const FlowTest& t, Direction d) const {
    const FlowContext* f = context.flow;
    if (t.to_server != t.to_client) {
      if (!f || (d == Direction::kToServer) != t.to_server) return false;
    }
    if (t.established && !(f && f->established)) return false;
    if (t.not_established && f && f->established) return false;
    if (t.only_frag && !context.packet->is_fragment) return false;
    return !(t.no_frag && context.packet->is_fragment);
  }

  HostKey XbitKey(const XbitTest& t) const {
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
      case XbitTest::Track::kPair:  // either way round
        key.first = std::min(p.source, p.destination);
        key.second = std::max(p.source, p.destination);
        break;
    }
    return key;
  }
  bool XbitIsSet(const XbitTest& t) {
    const Nanos* until = host_bits.Find(XbitKey(t));
    return until && *until > context.now;
  }

  bool FlowintMatches(const FlowintTest& t) const {
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

  bool StreamSizeMatches(const StreamSizeTest& t) const {
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

  bool FlowNumberMatches(const FlowNumberTest& t) const {
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
    }
    return t.test.Matches(v);
  }

  bool AppProtocolMatches(const AppProtocolTest& t) const {
    const FlowContext* f = context.flow;
    if (!f) return false;
    if (t.protocol == "failed") return f->app_failed != t.negated;
    if (t.protocol == "unknown") return (!f->app && !f->app_failed) != t.negated;
    const Schema* app = f->app;
    if (t.side == AppProtocolTest::Side::kOriginal)
      app = f->app_original ? f->app_original : f->app;
    if (!app && !f->app_failed) return false;  // too early to say
    return (app && app->Answers(t.protocol)) != t.negated;
  }

  bool ConditionsHold(const CompiledRule& r, Direction d) {
    for (const FlowCondition& condition : r.rule->flow_conditions) {
      bool holds = true;
      if (const auto* flow = std::get_if<FlowTest>(&condition)) {
        holds = FlowMatches(*flow, d);
      } else if (const auto* bit = std::get_if<FlowbitTest>(&condition)) {
        if (IsTestOp(bit->op)) {
          const bool set =
              context.flow && std::any_of(bit->bits.begin(), bit->bits.end(), [this](uint32_t id) {
                return context.flow->vars->GetBit(id);
              });
          holds = context.flow && set == (bit->op == FlowbitTest::Op::kIsSet);
        }
      } else if (const auto* number = std::get_if<FlowintTest>(&condition)) {
        holds = FlowintMatches(*number);
      } else if (const auto* xbit = std::get_if<XbitTest>(&condition)) {
        if (IsTestOp(xbit->op)) holds = XbitIsSet(*xbit) == (xbit->op == FlowbitTest::Op::kIsSet);
      } else if (const auto* size = std::get_if<StreamSizeTest>(&condition)) {
        holds = StreamSizeMatches(*size);
      } else if (const auto* count = std::get_if<FlowNumberTest>(&condition)) {
        holds = FlowNumberMatches(*count);
      } else if (const auto* app = std::get_if<AppProtocolTest>(&condition)) {
        holds = AppProtocolMatches(*app);
      }
      if (!holds) return false;
    }
    return true;
  }

  bool PacketTestsHold(const CompiledRule& r) const {
    const Packet& p = *context.packet;
    for (uint16_t id : r.events) {
      if (std::find(context.events.begin(), context.events.end(), id) == context.events.end())
        return false;
    }
    for (const PacketTest& test : r.rule->packet_tests) {
      bool holds = true;
      if (const auto* n = std::get_if<PacketNumberTest>(&test)) {
        uint64_t value = 0;
        holds = NumberOf(p, n->field, &value) && n->test.Matches(value);
      } else if (const auto* f = std::get_if<TcpFlagsTest>(&test)) {
        holds = p.l4 == L4::kTcp &&
                FlagsMatch(f->mode, p.tcp.flags & static_cast<uint8_t>(~f->ignore_mask), f->flags);
      } else if (std::holds_alternative<SameIpTest>(test)) {
        holds = p.ip_version && p.source == p.destination;
      } else if (const auto* o = std::get_if<IpOptsTest>(&test)) {
        holds = HasIpOption(p.ip_options, o->option, o->any);
      } else if (const auto* b = std::get_if<FragBitsTest>(&test)) {
        const uint8_t have =
            static_cast<uint8_t>(p.more_fragments | p.dont_fragment << 1 | p.reserved_bit << 2);
        holds = p.ip_version == 4 && FlagsMatch(b->mode, have, b->bits);
      } else if (const auto* fo = std::get_if<FragOffsetTest>(&test)) {
        holds = p.ip_version && fo->test.Matches(p.fragment_offset / 8);
      } else if (const auto* sum = std::get_if<ChecksumTest>(&test)) {
        holds = ChecksumMatches(*sum, p);
      }
      if (!holds) return false;
    }
    return true;
  }

  // --------------------------------------------------------------- buffers

  bool BufferMatches(const CompiledInspection& inspection, Slice buffer) {
    if (inspection.chain) buffer = rp->chains[inspection.chain].Apply(buffer, transform);
    return inspection.confirm.Matches(buffer, confirm);
  }
  bool PayloadMatches(const CompiledRule& r, Slice buffer) {
    for (const CompiledInspection& inspection : r.payload) {
      const Slice bytes = inspection.kind == BufferKind::kHeader
                              ? HeaderOf(*context.packet, inspection.header)
                              : buffer;
      if (bytes.empty() || !BufferMatches(inspection, bytes)) return false;
    }
    return true;
  }

  // ------------------------------------------------------------ candidates

  void StartHits() {
    ++scan_no;
    hits.clear();
  }
  void Hit(uint32_t rank) {
    if (hit_stamp[rank] == scan_no) return;
    hit_stamp[rank] = scan_no;
    hits.push_back(rank);
  }
  void Scan(const LiteralDatabase& db, Slice bytes) {
    if (db.empty() || bytes.empty()) return;
    ++stats.scans;
    stats.scanned_bytes += bytes.size();
    db.Scan(bytes, confirm.regex.hs, [this](std::span<const uint32_t> rules, uint64_t) {
      for (uint32_t rank : rules) Hit(rank);
    });
  }

  // ---------------------------------------------------------------- firing

  void AfterMatch(const CompiledRule& r) {
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
        const bool set = xbit->op == FlowbitTest::Op::kSet ||
                         (xbit->op == FlowbitTest::Op::kToggle && !XbitIsSet(*xbit));
        bool created = false;
        if (set)
          host_bits.Touch(XbitKey(*xbit), &created) =
              context.now + std::chrono::seconds(xbit->expire_seconds);
        else
          host_bits.Erase(XbitKey(*xbit));
      }
    }
  }
  void SetFlowint(const FlowintTest& t, FlowVars& vars) {
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

  void Fire(uint32_t rank, Transaction* tx, Direction d, bool in_stream) {
    const CompiledRule& r = rp->compiled[rank];
    ++stats.matches;
    if (!tx) fired[rank] = packet_no;
    AfterMatch(r);
    if (r.rule->no_alert && r.rule->action == Action::kAlert) return;
    Queued q;
    q.rank = rank;
    q.alert.rule = r.rule;
    q.alert.tx = tx;
    q.alert.tx_id = tx ? tx->number : 0;
    q.alert.direction = d;
    q.alert.in_stream = in_stream;
    q.alert.effective = r.rule->action;
    q.alert.contexts = confirm.contexts;
    q.alert.apply_to_flow = tx || in_stream || r.kind == RuleClass::kAddress ||
                            r.kind == RuleClass::kProtocol || !r.any_app;
    if (queue.size() < kQueue) {
      queue.push_back(q);
      return;
    }
    ++stats.alerts_overflow;
    auto worst = std::max_element(queue.begin(), queue.end(),
                                  [](const Queued& a, const Queued& b) { return a.rank < b.rank; });
    if (rank < worst->rank) *worst = q;
  }

  // --------------------------------------------------------------- packets

  // Header, conditions, packet and payload tests of a kPacket rule on `buffer`.
  bool TryPacketRule(uint32_t rank, Slice buffer, bool in_stream) {
    const CompiledRule& r = rp->compiled[rank];
    confirm.contexts.count = 0;
    if (fired[rank] == packet_no || !(r.directions & 1 << d())) return false;
    if (!HeaderMatches(r, 0) || !AppMatches(r)) return false;
    ++stats.candidates;
    if (!ConditionsHold(r, context.direction) || !PacketTestsHold(r)) return false;
    if (!r.payload.empty()) {
      ++stats.confirms;
      if (!PayloadMatches(r, buffer)) return false;
    }
    Fire(rank, nullptr, context.direction, in_stream);
    return true;
  }

  void OncePerFlow() {
    FlowVars* vars = context.flow ? context.flow->vars : nullptr;
    if (!vars || !vars->once_[d()]) {
      if (vars) vars->once_[d()] = true;
      for (uint32_t rank : rp->address_rules) TryPacketRule(rank, {}, false);
    }
    if (!vars || vars->app_once_[d()] || !(context.flow->app || context.flow->app_failed)) return;
    vars->app_once_[d()] = true;
    for (uint32_t rank : rp->protocol_rules) TryPacketRule(rank, {}, false);
  }

  void ScanGroup(const PayloadGroup& group, Slice bytes) {
    Scan(group.literals, bytes);
    Scan(group.head, bytes.first(std::min(bytes.size(), kHeadBytes)));
    group.always.ForEach(context.packet->source_port, context.packet->destination_port,
                         [this](uint32_t rank) { Hit(rank); });
  }

  void InspectPayload(bool in_stream) {
    const Packet& p = *context.packet;
    OncePerFlow();
    StartHits();
    const Transport transport = TransportOf(p);
    ScanGroup(rp->packet[transport][d()], p.payload);
    if (transport == kTransportTcp && !in_stream && !p.payload.empty())
      ScanGroup(rp->stream[d()], p.payload);
    if (!context.events.empty()) {
      for (uint32_t rank : rp->packet_event_rules) Hit(rank);
    }
    for (uint32_t rank : hits) tries.push_back({rank, kOnPacket});
  }

  // Packet and stream rules of this packet, in one order: a rule sees what the
  // rules before it have set, wherever those matched.
  void TryRules() {
    if (tries.empty()) return;
    std::sort(tries.begin(), tries.end(), [](const Try& a, const Try& b) {
      return a.rank != b.rank ? a.rank < b.rank : a.where < b.where;
    });
    for (const Try& t : tries) {
      if (t.where == kOnPacket)
        TryPacketRule(t.rank, context.packet->payload, false);
      else
        TryStreamRule(t.rank, static_cast<Direction>(t.where));
    }
    tries.clear();
  }

  // ---------------------------------------------------------------- stream

  void InspectStream(Direction direction, Slice window, uint64_t at) {
    if (!context.flow || window.empty()) return;
    const size_t i = Index(direction);
    FlowVars& vars = *context.flow->vars;
    const uint64_t seen = std::max(vars.stream_seen_[i], at), end = at + window.size();
    stream_window[i] = window;
    if (end <= seen) return;
    StartHits();
    ScanNew(rp->stream[i], window, at, seen);
    vars.stream_seen_[i] = end;
    stream_at[i] = at;
    stream_old[i] = seen;
    for (FlowVars::Pending& pending : vars.pending_[i]) {
      if (pending.tries) Hit(pending.rule);
    }
    for (uint32_t rank : hits) tries.push_back({rank, static_cast<uint8_t>(i)});
  }

  // Prefilter over the new bytes; an occurrence counts when it ends in them.
  void ScanNew(const PayloadGroup& group, Slice window, uint64_t at, uint64_t seen) {
    if (!group.literals.empty()) {
      const uint64_t overlap = group.literals.max_length() - 1;
      const uint64_t from = seen - at > overlap ? seen - overlap : at;
      const Slice bytes = window.subspan(static_cast<size_t>(from - at));
      ++stats.scans;
      stats.scanned_bytes += bytes.size();
      group.literals.Scan(bytes, confirm.regex.hs,
                          [&](std::span<const uint32_t> rules, uint64_t to) {
                            if (from + to <= seen) return;
                            for (uint32_t rank : rules) Hit(rank);
                          });
    }
    if (at == 0 && seen < kHeadBytes && !group.head.empty()) {
      group.head.Scan(window.first(std::min(window.size(), kHeadBytes)), confirm.regex.hs,
                      [&](std::span<const uint32_t> rules, uint64_t to) {
                        if (to <= seen) return;
                        for (uint32_t rank : rules) Hit(rank);
                      });
    }
    // The ports as the direction has them: the window may be of the other one.
    const Packet& p = *context.packet;
    group.always.ForEach(p.source_port, p.destination_port, [this](uint32_t rank) { Hit(rank); });
    if (!group.always.size()) return;
    group.always.ForEach(p.destination_port, p.source_port, [this](uint32_t rank) { Hit(rank); });
  }

  void TryStreamRule(uint32_t rank, Direction direction) {
    const CompiledRule& r = rp->compiled[rank];
    confirm.contexts.count = 0;
    FlowVars& vars = *context.flow->vars;
    const Slice window = stream_window[Index(direction)];
    const uint64_t at = stream_at[Index(direction)], seen = stream_old[Index(direction)];
    const size_t source = direction == context.direction ? 0 : 1;
    FlowVars::Pending* pending = FindPending(vars, Index(direction), rank);
    if (fired[rank] == packet_no || !(r.directions & 1 << Index(direction)) ||
        !HeaderMatches(r, source) || !AppMatches(r))
      return;
    ++stats.candidates;
    if (!ConditionsHold(r, direction) || !PacketTestsHold(r)) return;
    Slice buffer = window;
    // Without a literal there is no place to tell old from new: look at new bytes alone.
    if (r.fast_pattern.empty()) buffer = window.subspan(static_cast<size_t>(seen - at));
    bool anchored = false;
    for (const CompiledInspection& inspection : r.payload) anchored |= inspection.anchored;
    if (anchored && at != 0) return;  // the stream's start is no longer there
    if (pending && pending->tries == kHasFired) return;
    ++stats.confirms;
    if (PayloadMatches(r, buffer)) {
      if (pending) pending->tries = 0;
      // The start stays in the window, so the same bytes would match again.
      if (anchored) Keep(vars, Index(direction), {rank, kHasFired, at + window.size()});
      Fire(rank, nullptr, direction, true);
      return;
    }
    if (r.fast_pattern.empty()) return;
    if (pending) {
      if (++pending->tries > kPendingTries || pending->from < at) pending->tries = 0;
      return;
    }
    size_t ops = 0;
    for (const CompiledInspection& inspection : r.payload) ops += inspection.confirm.ops.size();
    // More stream bytes may complete it; with one test alone they cannot.
    if (ops > 1) Keep(vars, Index(direction), {rank, 1, at + window.size()});
  }

  static FlowVars::Pending* FindPending(FlowVars& vars, size_t i, uint32_t rank) {
    for (FlowVars::Pending& p : vars.pending_[i]) {
      if (p.tries && p.rule == rank) return &p;
    }
    return nullptr;
  }
  // The oldest candidate makes room.
  void Keep(FlowVars& vars, size_t i, FlowVars::Pending entry) {
    FlowVars::Pending* slot = &vars.pending_[i][0];
    for (FlowVars::Pending& p : vars.pending_[i]) {
      if (!p.tries) {
        slot = &p;
        break;
      }
      if (p.from < slot->from) slot = &p;
    }
    if (slot->tries) ++stats.stream_pending_lost;
    *slot = entry;
  }

  // ---------------------------------------------------------- transactions

  using Growing = InspectionState::Growing;

  // Whether a growing window is due for a look.  Looks come at doubling sizes,
  // so all looks together cost a few times its length.
  bool Due(Growing& g, size_t size, bool whole, size_t i) const {
    if (g.final) return false;
    if (!whole && (g.scanned == 0 ? size < options.min_chunk[i] : size < 2u * g.scanned))
      return false;
    g.scanned = static_cast<uint32_t>(size);
    g.final = whole;
    return true;
  }
  static bool Ready(const InspectionState& st, uint32_t owner) {
    return std::any_of(st.growing.begin(), st.growing.end(), [owner](const Growing& g) {
      return g.owner == owner && (g.scanned || g.final);
    });
  }

  void ScanField(KeywordId keyword, size_t i, Slice bytes) {
    if (keyword < rp->groups_of[i].size()) ScanGroups(rp->groups_of[i][keyword], bytes);
  }
  void ScanGroups(const std::vector<uint16_t>& groups, Slice bytes) {
    for (uint16_t id : groups) {
      const FieldGroup& group = rp->field_groups[id];
      Scan(group.literals, group.chain ? rp->chains[group.chain].Apply(bytes, transform) : bytes);
    }
  }

  // Prefilter over what is new in the direction; true if a window has grown.
  bool ScanTransaction(Transaction& tx, size_t i) {
    InspectionState& st = tx.inspection;
    for (uint32_t& v = st.num_scanned[i]; v < tx.values.size(); ++v) {
      const FieldValue& value = tx.values[v];
      if (Index(value.direction) != i || value.keyword == kNoKeyword) continue;
      if (value.type == FieldType::kChunks)
        st.growing.push_back({v, 0, false});
      else if (value.type == FieldType::kBytes || value.type == FieldType::kAddress)
        ScanField(value.keyword, i, value.bytes);
    }
    for (uint32_t& f = st.num_files[i]; f < tx.files.size(); ++f) {
      if (Index(tx.files[f].direction) == i) st.growing.push_back({f | Growing::kFile, 0, false});
    }
    bool grown = false;
    for (Growing& g : st.growing) {
      if (g.owner & Growing::kFile) {
        const FileInfo& file = tx.files[g.owner & ~Growing::kFile];
        if (Index(file.direction) != i || !Due(g, file.data.size(), file.closed, i)) continue;
        ScanGroups(rp->file_groups[i], file.data);
      } else {
        const FieldValue& value = tx.values[g.owner];
        if (Index(value.direction) != i || !Due(g, value.bytes.size(), value.complete, i)) continue;
        ScanField(value.keyword, i, value.bytes);
      }
      grown = true;
    }
    return grown;
  }

  static uint64_t Fingerprint(const Transaction& tx, size_t i) {
    uint64_t h = 1;
    for (uint64_t part :
         {uint64_t{tx.values.size()}, uint64_t{tx.events.size()}, uint64_t{tx.files.size()},
          uint64_t{tx.stage[i]}, uint64_t{tx.complete[i]}}) {
      h = (h ^ part) * 0x9e3779b97f4a7c15u;
      h ^= h >> 29;
    }
    return h | 1;
  }

  void InspectTransaction(Transaction& tx, Direction direction) {
    const size_t i = Index(direction);
    if (!tx.schema || !(tx.directions & 1 << i)) return;
    InspectionState& st = tx.inspection;
    StartHits();
    const bool grown = ScanTransaction(tx, i);
    const uint64_t now_seen = Fingerprint(tx, i);
    const bool first = st.seen[i] == 0;
    const bool again = !stream_window[i].empty() && !st.candidates.empty();
    if (!grown && now_seen == st.seen[i] && !again) return;
    if (first) {
      if (tx.schema->id < rp->always_fields[i].size()) {
        for (uint32_t rank : rp->always_fields[i][tx.schema->id]) Hit(rank);
      }
      for (uint32_t rank : rp->always_files[i]) Hit(rank);
    }
    if (!tx.events.empty()) {
      for (uint32_t rank : rp->event_rules) Hit(rank);
    }
    st.seen[i] = now_seen;
    AddCandidates(st, tx, i);
    EvaluateCandidates(tx, direction);
  }

  void AddCandidates(InspectionState& st, const Transaction& tx, size_t i) {
    if (hits.empty()) return;
    for (uint32_t rank : hits) {
      const CompiledRule& r = rp->compiled[rank];
      // A transactional rule's header names the client as source.
      const size_t source = (r.transactional ? 0 : i) == d() ? 0 : 1;
      if (!(r.directions & 1 << i) || !HeaderMatches(r, source)) continue;
      if (!r.any_app && !IsOf(r, *tx.schema) && !AppMatches(r)) continue;
      ++stats.candidates;
      st.candidates.push_back(rank << 1 | static_cast<uint32_t>(i));
    }
    std::sort(st.candidates.begin(), st.candidates.end());
    st.candidates.erase(std::unique(st.candidates.begin(), st.candidates.end()),
                        st.candidates.end());
  }

  void EvaluateCandidates(Transaction& tx, Direction direction) {
    InspectionState& st = tx.inspection;
    size_t kept = 0;
    for (size_t c = 0; c < st.candidates.size(); ++c) {
      const uint32_t candidate = st.candidates[c], rank = candidate >> 1;
      Look look = Look::kWait;
      if ((candidate & 1) == Index(direction) || rp->compiled[rank].transactional) {
        const bool done = std::find(st.matched.begin(), st.matched.end(), rank) != st.matched.end();
        look = done ? Look::kNever : TryFieldRule(rp->compiled[rank], tx, direction);
        if (look == Look::kMatch) {
          st.matched.push_back(rank);
          Fire(rank, &tx, direction, false);
        }
      }
      if (look == Look::kWait) st.candidates[kept++] = candidate;
    }
    st.candidates.resize(kept);
  }

  Look TryFieldRule(const CompiledRule& r, const Transaction& tx, Direction direction) {
    const size_t i = Index(direction);
    ++stats.confirms;
    confirm.contexts.count = 0;
    if (r.has_event && !EventsSet(r, tx, direction)) return Look::kWait;
    const uint8_t side = static_cast<uint8_t>(1 << i);
    Look all = Look::kMatch;
    for (const NumberInspection& n : r.rule->numbers) {
      const Look look = TryNumber(n, tx, r.transactional ? DirectionsOf(n.keyword) : side);
      if (look == Look::kNever) return look;
      if (look == Look::kWait) all = look;
    }
    for (const CompiledInspection& f : r.fields) {
      const uint8_t sides = r.transactional ? f.directions : side;
      const Look look =
          f.kind == BufferKind::kFileData ? TryFiles(f, tx, sides) : TryField(f, tx, sides);
      if (look == Look::kNever) return look;
      if (look == Look::kWait) all = look;
    }
    if (all != Look::kMatch) return all;
    if (!ConditionsHold(r, direction) || !PacketTestsHold(r)) return Look::kWait;
    if (!r.payload.empty()) {
      const Slice bytes = !stream_window[i].empty() ? stream_window[i]
                          : i == d()                ? context.packet->payload
                                                    : Slice{};
      if (!PayloadMatches(r, bytes)) return Look::kWait;
    }
    return Look::kMatch;
  }

  static bool EventsSet(const CompiledRule& r, const Transaction& tx, Direction direction) {
    for (const FlowCondition& condition : r.rule->flow_conditions) {
      const auto* want = std::get_if<AppEventTest>(&condition);
      if (!want) continue;
      if (!tx.schema->Answers(want->protocol)) return false;
      const bool set =
          std::any_of(tx.events.begin(), tx.events.end(), [&](const TransactionEvent& e) {
            return e.direction == direction && e.index < tx.schema->events.size() &&
                   tx.schema->events[e.index].name == want->event;
          });
      if (!set) return false;
    }
    return true;
  }

  uint8_t DirectionsOf(KeywordId keyword) const {
    return keyword < rp->keyword_directions.size() ? rp->keyword_directions[keyword] : 3;
  }
  static bool Counts(uint8_t sides, Direction direction) { return sides & 1 << Index(direction); }
  static bool Complete(const Transaction& tx, uint8_t sides) {
    return (!(sides & 1) || tx.complete[0]) && (!(sides & 2) || tx.complete[1]);
  }
  // Whether nothing more of the keyword will come.
  bool IsOver(const Transaction& tx, KeywordId keyword, uint8_t sides) const {
    for (size_t i = 0; i < 2; ++i) {
      const bool passed = keyword < rp->keyword_stage[i].size() &&
                          tx.stage[i] >= rp->keyword_stage[i][keyword];
      if ((sides & 1 << i) && !tx.complete[i] && !passed) return false;
    }
    return true;
  }

  Look TryNumber(const NumberInspection& n, const Transaction& tx, uint8_t sides) const {
    for (const FieldValue& value : tx.values) {
      if (value.keyword == n.keyword && Counts(sides, value.direction) &&
          n.test.Matches(value.number))
        return Look::kMatch;
    }
    return IsOver(tx, n.keyword, sides) ? Look::kNever : Look::kWait;
  }

  // A buffer that is not there, once it is known that it will not come.
  static Look WhenAbsent(const CompiledInspection& inspection, bool seen, bool over) {
    if (!over) return Look::kWait;
    const bool matches = !seen && inspection.absent != Inspection::Absent::kMismatches;
    return matches ? Look::kMatch : Look::kNever;
  }

  Look TryField(const CompiledInspection& inspection, const Transaction& tx, uint8_t sides) {
    bool growing = false, seen = false;
    for (uint32_t v = 0; v < tx.values.size(); ++v) {
      const FieldValue& value = tx.values[v];
      if (value.keyword != inspection.keyword || !Counts(sides, value.direction)) continue;
      if (inspection.absent == Inspection::Absent::kMatches) return Look::kNever;
      seen = true;
      if (value.type == FieldType::kChunks && !value.complete) {
        growing = true;
        if (inspection.confirm.needs_end || !Ready(tx.inspection, v)) continue;
      }
      if (BufferMatches(inspection, value.bytes)) return Look::kMatch;
    }
    return WhenAbsent(inspection, seen, !growing && IsOver(tx, inspection.keyword, sides));
  }

  Look TryFiles(const CompiledInspection& inspection, const Transaction& tx, uint8_t sides) {
    bool growing = false, seen = false;
    for (uint32_t f = 0; f < tx.files.size(); ++f) {
      const FileInfo& file = tx.files[f];
      if (!Counts(sides, file.direction)) continue;
      if (inspection.absent == Inspection::Absent::kMatches) return Look::kNever;
      seen = true;
      if (!file.closed) {
        growing = true;
        if (inspection.confirm.needs_end || !Ready(tx.inspection, f | Growing::kFile)) continue;
      }
      if (!file.data.empty() && BufferMatches(inspection, file.data)) return Look::kMatch;
    }
    return WhenAbsent(inspection, seen, !growing && Complete(tx, sides));
  }

  void InspectFlowEvents(std::span<const FlowEvent> events) {
    for (const FlowEvent& event : events) {
      if (!event.schema || event.index >= event.schema->events.size()) continue;
      for (uint32_t rank : rp->event_rules) {
        const CompiledRule& r = rp->compiled[rank];
        if (!r.fields.empty() || !r.rule->numbers.empty() || fired[rank] == packet_no) continue;
        const bool asked =
            std::all_of(r.rule->flow_conditions.begin(), r.rule->flow_conditions.end(),
                        [&](const FlowCondition& c) {
                          const auto* want = std::get_if<AppEventTest>(&c);
                          return !want || (event.schema->Answers(want->protocol) &&
                                           want->event == event.schema->events[event.index].name);
                        });
        const size_t source = event.direction == context.direction ? 0 : 1;
        if (!asked || !(r.directions & 1 << Index(event.direction)) || !HeaderMatches(r, source))
          continue;
        if (ConditionsHold(r, event.direction) && PacketTestsHold(r))
          Fire(rank, nullptr, event.direction, false);
      }
    }
  }

  // ------------------------------------------------------------------- end

  ThresholdCounter& CounterOf(const Rule& rule, const Threshold& threshold, bool* created) {
    const Packet& p = *context.packet;
    return thresholds.Touch(ThresholdKey(rule, threshold, p.source, p.destination,
                                         context.flow ? context.flow->id : 0),
                            created);
  }
  ThresholdResult Count(const Rule& rule, const std::optional<Threshold>& threshold) {
    if (!threshold) return ThresholdResult::kAlert;
    bool created = false;
    ThresholdCounter& counter = CounterOf(rule, *threshold, &created);
    return CountMatch(*threshold, counter, created, context.now);
  }
  bool RateIsExceeded(const Rule& rule) {
    if (!rule.rate_filter) return false;
    bool created = false;
    ThresholdCounter& counter = CounterOf(rule, rule.rate_filter->rate, &created);
    return RateExceeded(*rule.rate_filter, counter, created, context.now);
  }
  bool IsSuppressed(const Rule& rule) const {
    using Side = Suppression::Side;
    const Packet& p = *context.packet;
    return std::any_of(
        rule.suppressions.begin(), rule.suppressions.end(), [&p](const Suppression& s) {
          return s.side == Side::kAll ||
                 (s.side != Side::kDestination && ContainsAddress(s.addresses, p.source)) ||
                 (s.side != Side::kSource && ContainsAddress(s.addresses, p.destination));
        });
  }

  // One match: what it does, and whether it is reported.  False: a pass, and the
  // matches behind it do not happen.
  bool Decide(const Queued& q) {
    const Rule& rule = *q.alert.rule;
    if (Count(rule, rule.detection_filter) == ThresholdResult::kIgnore) return true;
    const ThresholdResult counted =
        IsSuppressed(rule) ? ThresholdResult::kSilent : Count(rule, rule.threshold);
    if (counted != ThresholdResult::kAlert) ++stats.alerts_suppressed;
    if (counted == ThresholdResult::kIgnore) return true;
    const bool rated = RateIsExceeded(rule);
    const Action action = rated ? rule.rate_filter->action : rule.action;
    if (action != Action::kAlert && !result.cause) {
      result.cause = &rule;
      result.action = action;
      result.by_rate = rated;
    }
    if (action == Action::kPass) {
      result.pass = true;
      result.pass_flow = q.alert.apply_to_flow;
      if (rule.always_alert && !rated) Report(q, action);
      return false;
    }
    if (action != Action::kAlert) {
      result.drop = true;
      result.drop_flow |= q.alert.apply_to_flow;
    }
    if (counted == ThresholdResult::kAlert && !rule.no_alert) Report(q, action);
    return true;
  }
  void Report(const Queued& q, Action action) {
    if (alerts.size() >= options.max_alerts) {
      ++stats.alerts_overflow;
      return;
    }
    alerts.push_back(q.alert);
    alerts.back().effective = action;
    ++stats.alerts;
  }

  const PacketResult& EndPacket() {
    alerts.clear();
    result = {};
    std::sort(queue.begin(), queue.end(), [](const Queued& a, const Queued& b) {
      return a.rank != b.rank ? a.rank < b.rank : a.alert.tx_id < b.alert.tx_id;
    });
    for (const Queued& q : queue) {
      if (!Decide(q)) break;
    }
    result.alerts = alerts;
    stats.recursion_limit = confirm.step_limit_hits;
    stats.confirm_limit = confirm.byte_limit_hits;
    stats.regex_limit = confirm.regex.limit_hits;
    stats.threshold_evicted = thresholds.evicted();
    stats.host_bits_evicted = host_bits.evicted();
    return result;
  }

  size_t d() const { return Index(context.direction); }

  std::shared_ptr<const RuleProgram> program;
  const RuleProgram::Impl* rp = nullptr;
  DetectorOptions options;
  DetectorStats stats;
  HostTable<ThresholdCounter> thresholds;
  HostTable<Nanos> host_bits;
  ConfirmState confirm;
  TransformScratch transform;

  PacketContext context;
  bool has_ports = false;
  static constexpr uint8_t kOnPacket = 2;  // Try::where; else a stream's Direction
  struct Try {
    uint32_t rank = 0;
    uint8_t where = kOnPacket;
  };
  std::vector<Try> tries;         // of this packet, until TryRules()
  Slice stream_window[2];         // by Direction: what InspectStream() was given
  uint64_t stream_at[2] = {0, 0}, stream_old[2] = {0, 0};  // first byte; first new byte
  uint64_t packet_no = 0, scan_no = 0;
  std::vector<uint32_t> hits;
  std::vector<uint64_t> hit_stamp;  // by rank: scan_no of the last hit
  std::vector<uint64_t> fired;      // by rank: packet_no of the last match without transaction
  Memo addresses, ports;
  std::vector<Queued> queue;
  std::vector<Alert> alerts;
  PacketResult result;
};

Detector::Detector(std::shared_ptr<const RuleProgram> program, const DetectorOptions& options)
    : impl_(std::make_unique<Impl>(std::move(program), options)) {}
Detector::~Detector() = default;

void Detector::SetProgram(std::shared_ptr<const RuleProgram> program) {
  impl_->Use(std::move(program));
}
const RuleProgram& Detector::program() const { return *impl_->program; }
const DetectorStats& Detector::stats() const { return impl_->stats; }

void Detector::BeginPacket(const PacketContext& context) {
  Impl& i = *impl_;
  i.context = context;
  ++i.packet_no;
  ++i.stats.packets;
  i.queue.clear();
  i.tries.clear();
  i.stream_window[0] = i.stream_window[1] = {};
  const L4 l4 = context.packet->l4;
  i.has_ports = l4 == L4::kTcp || l4 == L4::kUdp || l4 == L4::kSctp;
  if (!context.flow) return;
  FlowVars& vars = *context.flow->vars;
  if (vars.generation_ != i.rp->generation) {
    vars.Clear();
    vars.generation_ = i.rp->generation;
  }
}

void Detector::InspectPayload(bool in_stream) { impl_->InspectPayload(in_stream); }
void Detector::InspectStream(Direction direction, Slice window, uint64_t at) {
  impl_->InspectStream(direction, window, at);
}
void Detector::InspectFlowEvents(std::span<const FlowEvent> events) {
  impl_->TryRules();
  impl_->InspectFlowEvents(events);
}
void Detector::InspectTransaction(Transaction& tx, Direction direction) {
  impl_->TryRules();
  // After a reload the indices kept with a transaction mean other rules, or none.
  if (const uint32_t now = impl_->rp->generation; tx.inspection.generation != now) {
    tx.inspection.Clear();
    tx.inspection.generation = now;
  }
  impl_->InspectTransaction(tx, direction);
}
const PacketResult& Detector::EndPacket() {
  impl_->TryRules();
  return impl_->EndPacket();
}

}  // namespace sluice
