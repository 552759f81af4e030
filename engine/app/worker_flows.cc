// The worker's flows: found, begun, ended.
#include <algorithm>

#include "engine/app/worker_state.h"

namespace sluice {
namespace {

constexpr uint8_t kIcmpUnreachable = 3;
constexpr size_t kExpiryBudget = 64;  // flows per look

// The type that answers an ICMP type, 255 if there is none: both fall into one flow.
uint8_t IcmpCounterpart(uint8_t type, bool v6) {
  static constexpr uint8_t kPairs4[][2] = {{8, 0}, {10, 9}, {13, 14}, {15, 16}, {17, 18}};
  static constexpr uint8_t kPairs6[][2] = {{128, 129}, {133, 134}, {135, 136}, {139, 140}};
  const auto find = [type](auto& pairs) -> uint8_t {
    for (const auto& pair : pairs) {
      if (type == pair[0]) return pair[1];
      if (type == pair[1]) return pair[0];
    }
    return 255;
  };
  return v6 ? find(kPairs6) : find(kPairs4);
}

bool IsIcmpError(const Packet& packet) {
  static constexpr uint8_t kErrors[] = {kIcmpUnreachable, 4, 5, 11, 12};
  return packet.l4 == L4::kIcmp && std::ranges::find(kErrors, packet.icmp_type) != std::end(kErrors);
}

}  // namespace

Packet PseudoPacket(const Flow& flow, Direction direction) {
  const Tuple tuple = direction == Direction::kToServer ? flow.tuple : flow.tuple.Reverse();
  Packet packet;
  packet.origin = PacketOrigin::kFlowTimeout;
  packet.time = flow.last;
  packet.ip_version = tuple.source.version;
  packet.ip_protocol = tuple.ip_protocol;
  packet.source = tuple.source;
  packet.destination = tuple.destination;
  packet.source_port = tuple.source_port;
  packet.destination_port = tuple.destination_port;
  packet.l4 = tuple.ip_protocol == kTcp ? L4::kTcp : L4::kUdp;
  packet.tcp.flags = kTcpAck;
  packet.ttl = 64;
  packet.num_vlans = static_cast<uint8_t>(std::ranges::count_if(tuple.vlan, [](uint16_t v) { return v != 0; }));
  std::ranges::copy(tuple.vlan, packet.vlan);
  return packet;
}

Tuple TupleOf(const Packet& packet, bool track_recursion) {
  Tuple tuple;
  if (track_recursion) tuple.recursion = packet.recursion;
  tuple.source = packet.source;
  tuple.destination = packet.destination;
  tuple.ip_protocol = packet.ip_protocol;
  std::ranges::copy(packet.vlan, tuple.vlan);
  if (packet.l4 == L4::kIcmp || packet.l4 == L4::kIcmp6) {
    tuple.source_port = packet.icmp_type;
    tuple.destination_port = IcmpCounterpart(packet.icmp_type, packet.l4 == L4::kIcmp6);
  } else if (packet.l4 == L4::kEsp) {  // one way each, told apart by the SPI (RFC 4303 §2.1)
    tuple.source_port = static_cast<uint16_t>(packet.ip_payload[0] << 8 | packet.ip_payload[1]);
    tuple.destination_port = static_cast<uint16_t>(packet.ip_payload[2] << 8 | packet.ip_payload[3]);
  } else {
    tuple.source_port = packet.source_port;
    tuple.destination_port = packet.destination_port;
  }
  return tuple;
}

// The flow of a TCP or UDP packet that could not be delivered: the answer counts as its.
// Of a router's the direction is the answer's, too.
FlowTable::Hit Worker::FindQuotedFlow(const Packet& packet) {
  QuotedEnds ends;
  if (!ReadQuoted(packet, &ends)) return {};
  Tuple tuple = TupleOf(packet, options_.track_recursion);
  tuple.source = ends.source;
  tuple.destination = ends.destination;
  tuple.source_port = ends.source_port;
  tuple.destination_port = ends.destination_port;
  tuple.ip_protocol = ends.protocol;
  Direction unused;
  if (table_.Find(tuple, &unused) == nullptr) return {};
  FlowTable::Hit hit = table_.Touch(tuple, now_);
  hit.direction = packet.source == hit.flow->tuple.source ? Direction::kToServer : Direction::kToClient;
  return hit;
}

// The packet's flow, a new one if need be; none for an ICMP error that fits into none.
FlowTable::Hit Worker::FindFlow(const Packet& packet) {
  if (packet.l4 == L4::kIcmp && packet.icmp_type == kIcmpUnreachable) {
    if (const FlowTable::Hit hit = FindQuotedFlow(packet); hit.flow != nullptr) return hit;
  }
  const Tuple tuple = TupleOf(packet, options_.track_recursion);
  Direction direction;
  if (IsIcmpError(packet) && table_.Find(tuple, &direction) == nullptr) return {};
  FlowTable::Hit hit = table_.Touch(tuple, now_);
  if (!hit.created) return hit;
  hit.flow->start = hit.flow->last = packet.time;
  hit.flow->icmp_type[0] = packet.icmp_type;
  hit.flow->icmp_code[0] = packet.icmp_code;
  hit.flow->tunneled = packet.outer != nullptr;
  hit.flow->parent_id = parent_id_;
  if (verdicts_ != nullptr) verdicts_->OnFlow(*hit.flow);
  switch (packet.l4) {
    case L4::kTcp: ++stats_.flows_tcp; break;
    case L4::kUdp: ++stats_.flows_udp; break;
    case L4::kIcmp: ++stats_.flows_icmp4; break;
    case L4::kIcmp6: ++stats_.flows_icmp6; break;
    default: break;
  }
  // A SYN/ACK seen first comes from the server.
  if (packet.l4 == L4::kTcp && (packet.tcp.flags & (kTcpSyn | kTcpAck)) == (kTcpSyn | kTcpAck) &&
      (options_.stream.midstream || options_.stream.async_oneside)) {
    table_.SwapDirections(*hit.flow);
    hit.direction = Direction::kToClient;
  }
  return hit;
}

// Another connection has the flow's tuple: its flow.
FlowTable::Hit Worker::EndForReuse(const Packet& packet, Flow& flow) {
  ++stats_.tcp_reuse;
  table_.End(flow, FlowEndReason::kTcpReuse);
  return FindFlow(packet);
}

Worker::FlowWork& Worker::StateOf(Flow& flow) {
  if (flow.user == nullptr) {
    if (free_states_.empty()) free_states_.push_back(std::make_unique<FlowWork>());
    flow.user = free_states_.back().release();
    free_states_.pop_back();
    static_cast<FlowWork*>(flow.user)->interface = interface_;
    if (options_.elephant.bytes > 0) {
      for (ByteRate& rate : static_cast<FlowWork*>(flow.user)->rates) rate.Use(options_.elephant.seconds);
    }
    if (community_seed_) {
      // Of ICMP the specification takes type and code where no other type answers.
      Tuple ends = flow.tuple;
      if (ends.ip_protocol == kIcmp || ends.ip_protocol == kIcmp6) ends.destination_port = flow.icmp_code[0];
      AppendCommunityId(ends, *community_seed_, &static_cast<FlowWork*>(flow.user)->community_id);
    }
  }
  return *static_cast<FlowWork*>(flow.user);
}


// The last look: what is in order is handed on, transactions are completed.
void Worker::FlushFlow(Flow& flow, FlowWork& state) {
  if (flow.dropped) return;  // it stopped at the packet that was dropped
  exempt_ = false;
  packet_events_.clear();
  state.stream_events.clear();
  StreamSink sink(*this, flow, state);
  if (flow.tuple.ip_protocol == kTcp) {
    state.session.Flush(StreamOf(state), segments_, stream_stats_, sink);
  }
  FlowDissection* dissection = state.dissection;
  if (dissection != nullptr) dissector_.Finish(*dissection, now_);
  const bool work = (dissection != nullptr && !dissection->transactions().empty()) ||
                    state.raw[0].fresh() || state.raw[1].fresh();
  if (!work) return;
  const bool bypassed = flow.bypass != FlowBypass::kNone;
  for (const Direction direction : {Direction::kToServer, Direction::kToClient}) {
    if (!bypassed) LastLook(flow, state, direction);
    if (bypassed) FinishTransactions(PseudoPacket(flow, direction), flow, state);
  }
}

// Of rules at what a direction has sent, without a packet of its own.
void Worker::LastLook(Flow& flow, FlowWork& state, Direction direction) {
  const Packet packet = PseudoPacket(flow, direction);
  Inspect(packet, flow, state, direction, true);
  FinishTransactions(packet, flow, state);
}

// What its record says of exception policies; valid until the next call.
std::span<const ExceptionView> Worker::ExceptionsOf(const Flow& flow) {
  size_t n = 0;
  for (size_t i = 0; i < kNumExceptionTargets; ++i) {
    if (!(flow.exceptions >> i & 1)) continue;
    exceptions_[n++] = {InfoOf(static_cast<ExceptionTarget>(i)).field, ExceptionPolicyField(options_.exceptions[i])};
  }
  return std::span(exceptions_).first(n);
}

void Worker::EndFlow(Flow& flow, FlowEndReason reason) {
  std::unique_ptr<FlowWork> state(static_cast<FlowWork*>(flow.user));
  if (state != nullptr) {
    FlushFlow(flow, *state);
    CountEnd(flow, *state);
    FlowView view = ViewOf(flow, *state);
    view.exceptions = ExceptionsOf(flow);
    if (!state->quiet_flow) {
      eve_writer_.FlowRecord(view, reason, now_);
      eve_writer_.NetflowRecords(view, now_);
    }
    if (state->dissection != nullptr) {
      CountProtocol(flow, *state);
      stats_.flows_failed[flow.tuple.ip_protocol != kTcp] += state->dissection->failed();
      if (state->counted != nullptr) {
        WorkerStats::App& app = AppStats(flow, *state->counted);
        app.parse_errors += state->dissection->parse_errors();
        app.gaps += state->dissection->gap_stops();
        app.refusals += state->dissection->refusals();
        app.breaches += state->dissection->breached();
      }
      dissector_.Close(state->dissection);
    }
    state->session.Reset(segments_);
    state->dissection = nullptr;
    state->vars.Clear();
    for (RawWindow& raw : state->raw) raw.Clear();
    for (StreamText& text : state->text) text.bytes.clear();
    state->community_id.clear();
    state->macs[0].count = state->macs[1].count = 0;
    for (ByteRate& rate : state->rates) rate.Clear();
    state->stream_events.clear();
    state->counted = nullptr;
    state->errors = 0;
    state->keeps_files = state->files_wait = false;
    state->dropped_by_exception = false;
    state->held_packets = 0;
    state->alerted_packets = state->encrypted = false;
    state->quiet_transactions = state->quiet_flow = false;
    free_states_.push_back(std::move(state));
  }
  flow.user = nullptr;
}

void Worker::KernelFlowEnd(const Tuple& tuple, const uint64_t (&packets)[2],
                           const uint64_t (&bytes)[2]) {
  Direction direction;
  Flow* flow = table_.Find(tuple, &direction);
  if (flow == nullptr) return;
  for (size_t d = 0; d < 2; ++d) {
    const size_t ours = direction == Direction::kToServer ? d : 1 - d;
    const uint64_t more_packets = packets[d] - std::min(packets[d], flow->packets[ours]);
    const uint64_t more_bytes = bytes[d] - std::min(bytes[d], flow->bytes[ours]);
    flow->packets[ours] += more_packets;
    flow->bytes[ours] += more_bytes;
    if (MustHaveReached(options_.elephant, more_bytes, now_ - flow->start)) MarkElephant(*flow, ours);
    if (flow->bypass != FlowBypass::kCapture) continue;
    flow->bypassed_packets[ours] += more_packets;
    flow->bypassed_bytes[ours] += more_bytes;
    stats_.kernel_packets += more_packets;
    stats_.kernel_bytes += more_bytes;
  }
  table_.End(*flow, FlowEndReason::kTimeout);
}

void Worker::Expire(Nanos now) {
  now_ = std::max(now_, now);
  last_expiry_ = now_;
  stats_.memcap_pressure_max = std::max(stats_.memcap_pressure_max, MemcapPressure());
  LookForEmergency();
  table_.Expire(now_, kExpiryBudget);
}

// A full table: from the first flow that had to go before its time until a tenth of the
// places is free.
void Worker::LookForEmergency() {
  const bool now = table_.stats().evicted != evicted_before_, was = stats_.emergencies != stats_.emergencies_over;
  evicted_before_ = table_.stats().evicted;
  if (now && !was) ++stats_.emergencies;
  if (!now && was && table_.size() * 10 <= options_.flow.capacity * uint64_t{9}) ++stats_.emergencies_over;
}

void Worker::CountEnd(const Flow& flow, const FlowWork& state) {
  stats_.flows_bypassed += flow.bypass != FlowBypass::kNone;
  stats_.sessions_ended += state.session.state() != TcpState::kNone;
  const size_t captured = stats_.flows_ended.size() - 1;
  ++stats_.flows_ended[flow.bypass == FlowBypass::kCapture ? captured : static_cast<size_t>(flow.state)];
}

void Worker::Shutdown() { table_.EndAll(FlowEndReason::kShutdown); }

}  // namespace sluice
