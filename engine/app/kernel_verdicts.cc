#include "engine/app/kernel_verdicts.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace sluice {
namespace {

// EVE's name of a scope; a network of one address is an address.
std::string_view EveScope(DropScope scope, const Prefix& prefix) {
  if (scope == DropScope::kFlow) return "flow";
  const bool host = prefix.length == (prefix.address.version == 4 ? 32 : 128);
  if (scope == DropScope::kSource) return host ? "src_ip" : "src_net";
  return host ? "dest_ip" : "dest_net";
}

std::string_view MapName(DropScope scope) {
  return scope == DropScope::kFlow     ? "drop_flows"
         : scope == DropScope::kSource ? "drop_sources"
                                       : "drop_destinations";
}

std::string FlowValue(const Tuple& t) {
  return fmt::format("{}:{} {}:{} {}", FormatAddress(t.source), t.source_port, FormatAddress(t.destination),
                     t.destination_port, IpProtocolName(t.ip_protocol));
}

}  // namespace

const char* DropScopeName(DropScope scope) {
  return scope == DropScope::kFlow ? "flow" : scope == DropScope::kSource ? "source" : "destination";
}
const char* DropOriginName(DropOrigin origin) {
  static constexpr const char* kNames[] = {"none", "rule", "insight", "operator", "feed", "policy"};
  return kNames[std::min<size_t>(static_cast<size_t>(origin), 5)];
}
std::string DropValue(const DropEntry& e) {
  return e.scope == DropScope::kFlow ? FlowValue(e.flow) : FormatPrefix(e.prefix);
}

struct KernelVerdicts::Cause {
  std::string_view reason;
  const Packet& packet;
  const Flow& flow;
  DropOptions options;
  bool reject = false;
};

KernelVerdicts::KernelVerdicts(const Parts& parts, EveLog log, std::unique_ptr<ResetSender> resets,
                               Nanos ttl)
    : parts_(parts), log_(std::move(log)), resets_(std::move(resets)), ttl_(ttl) {}

void KernelVerdicts::OnVerdict(const Rule& rule, Action action, const Packet& packet, const Flow& flow,
                               Direction direction, const NextSeq& next_seq) {
  if (action != Action::kDrop) Reset(packet, flow, direction, next_seq);
  Cause cause{rule.message, packet, flow, {}};
  cause.options.ttl = parts_.guard->Ttl(rule.scope.ttl.count() > 0 ? rule.scope.ttl : ttl_);
  cause.options.sid = rule.sid;
  cause.reject = action != Action::kDrop;
  cause.options.origin = DropOrigin::kRule;
  DropFlow(cause);
  if (rule.scope.kind == VerdictScope::Kind::kFlow) return;
  BlockHost(cause, rule.scope.kind == VerdictScope::Kind::kSource);
}

void KernelVerdicts::OnException(ExceptionTarget target, bool reset, const Packet& packet, const Flow& flow,
                                 Direction direction, const NextSeq& next_seq) {
  if (reset) Reset(packet, flow, direction, next_seq);
  Cause cause{NamesOf(InfoOf(target).reason).text, packet, flow, {}};
  cause.reject = reset;
  cause.options.ttl = parts_.guard->Ttl(ttl_);
  cause.options.origin = DropOrigin::kPolicy;
  DropFlow(cause);
}

void KernelVerdicts::DropFlow(const Cause& cause) {
  ++stats_.flows_dropped;
  parts_.control->Drop(cause.flow.tuple, cause.options);
  const std::string value = FlowValue(cause.flow.tuple);
  Record(cause, {.op = "add", .scope = "flow", .value = value, .map = "drop_flows"});
}

// Why `host` must not be blocked; empty: it may be.  One that is blocked takes no new place.
std::string_view KernelVerdicts::Refusal(const Address& host, bool exists) {
  if (const auto spared = parts_.drops->NeverBlocked(host); spared && *spared) {
    ++stats_.never_block;
    return "never-block";
  }
  if (exists) return {};
  switch (parts_.guard->Ask()) {
    case GuardAnswer::kAllowed: return {};
    case GuardAnswer::kTooMany: return "max-blocked";
    case GuardAnswer::kTooLargeShare: return "max-blocked-percent";
  }
  return {};
}

void KernelVerdicts::BlockHost(const Cause& cause, bool source) {
  const Address& host = source ? cause.packet.source : cause.packet.destination;
  const Prefix prefix{host, static_cast<uint8_t>(host.version == 4 ? 32 : 128)};
  const auto found = source ? parts_.drops->FindSource(prefix) : parts_.drops->FindDestination(prefix);
  const bool exists = found && found->has_value();
  if (exists && (*found)->origin == DropOrigin::kOperator) {
    ++stats_.operator_entry;
    return;
  }
  const DropScope scope = source ? DropScope::kSource : DropScope::kDestination;
  const std::string value = FormatPrefix(prefix);
  EnforcementView what{.op = exists ? "refresh" : "add", .scope = EveScope(scope, prefix), .value = value,
                       .map = MapName(scope)};
  if (const auto why = Refusal(host, exists); !why.empty()) {
    what.op = "reject";
    what.conflict = why;
    return Record(cause, what);
  }
  const auto ok = source ? parts_.drops->AddSource(prefix, cause.options)
                         : parts_.drops->AddDestination(prefix, cause.options);
  if (!ok) {
    if (stats_.failed++ == 0) spdlog::error("drop={} error=\"{}\"", value, ok.error().message);
    return;
  }
  ++(exists ? stats_.hosts_refreshed : stats_.hosts_blocked);
  Record(cause, what);
}

void KernelVerdicts::Record(const Cause& cause, EnforcementView what) {
  what.reason = cause.reason;
  what.origin = DropOriginName(cause.options.origin);
  what.sid = cause.options.sid;
  what.ttl = cause.options.ttl;
  what.reject = cause.reject;
  FlowView view;
  view.flow = &cause.flow;
  log_.Enforcement(cause.packet.time, view, &cause.packet, what);
}

void RecordDrop(EveLog& log, Nanos now, std::string_view op, const DropEntry& entry) {
  const std::string value = DropValue(entry);
  EnforcementView what{.op = op, .scope = EveScope(entry.scope, entry.prefix), .value = value,
                       .origin = DropOriginName(entry.origin), .map = MapName(entry.scope), .sid = entry.sid,
                       .rate = entry.rate};
  if (op == "add") {
    what.ttl = std::max(Nanos{}, entry.remaining.value_or(Nanos{}));
  } else {
    what.hits = EnforcementView::Hits{entry.packets, entry.bytes};
  }
  const Packet* none = nullptr;
  log.Enforcement(now, FlowView{}, none, what);
}

void KernelVerdicts::OnBudget(const Flow& flow, Direction direction, uint32_t mode, uint64_t bytes) {
  if (mode == SLUICE_BUDGET_NEXT_TX) return;  // the skipped bytes come and are ignored
  const uint64_t budget = mode == SLUICE_BUDGET_NONE    ? 0
                          : mode == SLUICE_BUDGET_BYTES ? bytes
                                                        : FlowControl::kAll;
  const bool to_server = direction == Direction::kToServer;
  parts_.control->SetBudget(flow.tuple, to_server ? budget : FlowControl::kKeep,
                            to_server ? FlowControl::kKeep : budget);
}

void KernelVerdicts::Reset(const Packet& packet, const Flow& flow, Direction direction,
                           const NextSeq& next_seq) {
  const Tuple forward = direction == Direction::kToServer ? flow.tuple : flow.tuple.Reverse();
  if (packet.l4 != L4::kTcp) {
    // The offending packet from its IP header on, as far as it is here.
    const Slice& last = packet.ip_payload.empty() ? packet.ip_header : packet.ip_payload;
    const Slice offending(packet.ip_header.data(), last.data() + last.size());
    return Send(BuildProhibited(forward, offending), forward.source);
  }
  // To the receiver as if from the sender, and the other way round.
  const uint32_t end = packet.tcp.seq + static_cast<uint32_t>(packet.payload.size());
  Send(BuildReset(forward, end, packet.tcp.ack), forward.destination);
  Send(BuildReset(forward.Reverse(), next_seq[Index(Opposite(direction))], end), forward.source);
}

void KernelVerdicts::Send(const std::vector<uint8_t>& packet, const Address& to) {
  ++(resets_->Send(packet, to) ? stats_.resets_sent : stats_.resets_failed);
}

void KernelVerdicts::CollectCounters(NamedCounters* out) const {
  const FlowControlStats& control = parts_.control->stats();
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, uint64_t>>{
           {"flows_dropped", stats_.flows_dropped},
           {"hosts_blocked", stats_.hosts_blocked},
           {"hosts_refreshed", stats_.hosts_refreshed},
           {"refused_never_block", stats_.never_block},
           {"refused_operator_entry", stats_.operator_entry},
           {"failed", stats_.failed},
           {"resets_sent", stats_.resets_sent},
           {"resets_failed", stats_.resets_failed},
           {"requests_applied", control.applied},
           {"requests_no_flow", control.no_flow},
           {"requests_drops_full", control.drops_full},
           {"requests_failed", control.failed}}) {
    out->emplace_back(fmt::format("verdict.{}", name), value);
  }
}

}  // namespace sluice
