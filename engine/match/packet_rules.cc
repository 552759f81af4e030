// Rules on packets and on the raw stream: scan, candidates, confirm.
#include "engine/match/detector_impl.h"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

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

}  // namespace

bool Detector::Impl::PayloadMatches(const CompiledRule& r, Slice buffer) {
  for (const CompiledInspection& inspection : r.payload) {
    const Slice bytes = inspection.kind == BufferKind::kHeader
                            ? HeaderOf(*context.packet, inspection.header)
                            : buffer;
    if (bytes.empty() || !BufferMatches(inspection, bytes)) return false;
  }
  return true;
}

bool Detector::Impl::TryPacketRule(uint32_t rank, Slice payload) {
  const CompiledRule& r = rp->compiled[rank];
  confirm.Begin();
  if (fired[rank] == packet_no || !(r.directions & 1 << d())) return false;
  if (!HeaderMatches(r, 0) || !AppMatches(r)) return false;
  if (r.has_payload && (r.reassembled_only || (context.flow != nullptr && context.flow->encrypted))) return false;
  ++stats.candidates;
  if (!ConditionsHold(r, context.direction) || !PacketTestsHold(r)) return false;
  if (!r.payload.empty()) {
    ++stats.confirms;
    if (!PayloadMatches(r, payload)) return false;
  }
  Fire(rank, nullptr, context.direction, false);
  return true;
}

void Detector::Impl::OncePerFlow() {
  FlowVars* vars = context.flow ? context.flow->vars : nullptr;
  if (!vars || !vars->once_[d()]) {
    if (vars) vars->once_[d()] = true;
    address_hits.clear();
    rp->address_rules.Find(context.packet->source, context.packet->destination, &address_hits);
    for (const uint32_t rank : address_hits) TryPacketRule(rank, {});
  }
  if (!vars) return;
  const FlowContext& f = *context.flow;
  const auto known = static_cast<uint8_t>((f.app || f.app_failed) | (f.app_sides[0] != nullptr) << 1 |
                                          (f.app_sides[1] != nullptr) << 2);
  const uint8_t before = std::exchange(vars->app_known_[d()], known);
  if (known == before) return;
  for (uint32_t rank : rp->protocol_rules) {
    const uint8_t needs = rp->compiled[rank].protocol_needs;
    if ((known & needs) == needs && (before & needs) != needs) TryPacketRule(rank, {});
  }
}

void Detector::Impl::ScanGroup(const PayloadGroup& group, Slice bytes) {
  Scan(group.literals, bytes);
  Scan(group.head, bytes.first(std::min(bytes.size(), kHeadBytes)));
  group.always.ForEach(context.packet->source_port, context.packet->destination_port,
                       [this](uint32_t rank) { Hit(rank); });
}

void Detector::Impl::InspectPayload(bool in_stream) {
  const Packet& p = *context.packet;
  OncePerFlow();
  StartHits();
  const Transport transport = TransportOf(p);
  const Slice payload = context.flow != nullptr && context.flow->encrypted ? Slice() : p.payload;
  ScanGroup(rp->packet[transport][d()], payload);
  if (transport == kTransportTcp && !in_stream && !payload.empty()) ScanGroup(rp->stream[d()], payload);
  if (!context.events.empty()) {
    for (uint32_t rank : rp->packet_event_rules) Hit(rank);
  }
  for (uint32_t rank : hits) tries.push_back({rank, kOnPacket});
}

void Detector::Impl::TryRules() {
  if (tries.empty()) return;
  std::sort(tries.begin(), tries.end(), [](const Try& a, const Try& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.where < b.where;
  });
  for (const Try& t : tries) {
    const bool on_packet = t.where == kOnPacket;
    const Direction direction = on_packet ? context.direction : static_cast<Direction>(t.where);
    if (Watches(t.rank)) [[unlikely]] {
      LookAtPacket(on_packet ? context.packet->payload : stream_window[t.where],
                   on_packet ? RuleLook::Where::kPacket : RuleLook::Where::kStream, direction, true);
    }
    Costed(t.rank, [&] {
      return on_packet ? TryPacketRule(t.rank, context.packet->payload) : TryStreamRule(t.rank, direction);
    });
    if (Watches(t.rank)) [[unlikely]] EndLook(fired[t.rank] == packet_no);
  }
  tries.clear();
}

void Detector::Impl::InspectStream(Direction direction, Slice window, uint64_t at) {
  if (!context.flow || window.empty()) return;
  const size_t i = Index(direction);
  // What an earlier piece of the direction asks for is tried while it is there.
  if (std::ranges::any_of(tries, [i](const Try& t) { return t.where == i; })) TryRules();
  FlowVars& vars = *context.flow->vars;
  uint64_t seen = std::max(vars.stream_seen_[i], at);
  const uint64_t end = at + window.size();
  stream_window[i] = window;
  if (end <= seen) return;
  if (options.inline_stream) seen = at;  // what matched before still stands before these bytes
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

void Detector::Impl::ScanNew(const PayloadGroup& group, Slice window, uint64_t at, uint64_t seen) {
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
  if (at == 0 && seen < kHeadBytes) ScanHead(group, window, seen);
  if (seen > 0 && options.anchor_each_look) {
    ScanHead(group, window.subspan(static_cast<size_t>(seen - at)), 0);
  }
  // The ports as the direction has them: the window may be of the other one.
  const Packet& p = *context.packet;
  group.always.ForEach(p.source_port, p.destination_port, [this](uint32_t rank) { Hit(rank); });
  if (!group.always.size()) return;
  group.always.ForEach(p.destination_port, p.source_port, [this](uint32_t rank) { Hit(rank); });
}

// The literals that must lie near the beginning; `old` bytes of it were scanned before.
void Detector::Impl::ScanHead(const PayloadGroup& group, Slice bytes, uint64_t old) {
  if (group.head.empty()) return;
  group.head.Scan(bytes.first(std::min(bytes.size(), kHeadBytes)), confirm.regex.hs,
                  [&](std::span<const uint32_t> rules, uint64_t to) {
                    if (to <= old) return;
                    for (uint32_t rank : rules) Hit(rank);
                  });
}

bool Detector::Impl::TryStreamRule(uint32_t rank, Direction direction) {
  const CompiledRule& r = rp->compiled[rank];
  confirm.Begin();
  FlowVars& vars = *context.flow->vars;
  const Slice window = stream_window[Index(direction)];
  const uint64_t at = stream_at[Index(direction)], seen = stream_old[Index(direction)];
  const size_t source = direction == context.direction ? 0 : 1;
  FlowVars::Pending* pending = FindPending(vars, Index(direction), rank);
  if (fired[rank] == packet_no || !(r.directions & 1 << Index(direction)) ||
      !HeaderMatches(r, source) || !AppMatches(r))
    return false;
  ++stats.candidates;
  if (!ConditionsHold(r, direction) || !PacketTestsHold(r)) return false;
  const Slice fresh = window.subspan(static_cast<size_t>(seen - at));
  // Without a literal there is no place to tell old from new: look at new bytes alone.
  const Slice buffer = r.fast_pattern.empty() ? fresh : window;
  const bool anchored = std::ranges::any_of(r.payload, &CompiledInspection::anchored);
  if (anchored && seen > 0 && options.anchor_each_look) {
    ++stats.confirms;
    if (PayloadMatches(r, fresh)) {
      Fire(rank, nullptr, direction, true);
      return true;
    }
  }
  if (anchored && at != 0) return false;  // the stream's start is no longer there
  if (pending && pending->tries == kHasFired) return false;
  ++stats.confirms;
  if (PayloadMatches(r, buffer)) {
    if (pending) pending->tries = 0;
    // The start stays in the window, so the same bytes would match again.
    if (anchored) Keep(vars, Index(direction), {rank, kHasFired, at + window.size()});
    Fire(rank, nullptr, direction, true);
    return true;
  }
  if (r.fast_pattern.empty()) return false;
  if (pending) {
    if (++pending->tries > kPendingTries || pending->from < at) pending->tries = 0;
    return false;
  }
  size_t ops = 0;
  for (const CompiledInspection& inspection : r.payload) ops += inspection.confirm.ops.size();
  // More stream bytes may complete it; with one test alone they cannot.
  if (ops > 1) Keep(vars, Index(direction), {rank, 1, at + window.size()});
  return false;
}

FlowVars::Pending* Detector::Impl::FindPending(FlowVars& vars, size_t i, uint32_t rank) {
  for (FlowVars::Pending& p : vars.pending_[i]) {
    if (p.tries && p.rule == rank) return &p;
  }
  return nullptr;
}

void Detector::Impl::Keep(FlowVars& vars, size_t i, FlowVars::Pending entry) {
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

}  // namespace sluice
