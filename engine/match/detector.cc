// The face of the packet path: matches are queued, ordered, limited and decided.
#include "engine/match/detector_impl.h"

#include <algorithm>
#include <utility>

namespace sluice {

void Detector::Impl::Use(std::shared_ptr<const RuleProgram> p) {
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
  if (rp->counts_ports && !ports_seen) ports_seen.emplace(options.threshold_entries);
  if (rp->has_tags && !tags) tags.emplace(options.tags);
  watched = UINT32_MAX;
  watcher = nullptr;
  hits.clear();
  hits.reserve(rp->compiled.size());
  address_hits.reserve(2 * rp->address_rules.size());
  tries.reserve(2 * rp->compiled.size());
  hit_stamp.assign(rp->compiled.size(), 0);
  fired.assign(rp->compiled.size(), 0);
  costs.assign(rp->compiled.size(), {});
  gave_up.clear();
  addresses.slots.assign(rp->address_sets.size() * 2, 0);
  ports.slots.assign(rp->port_sets.size() * 2, 0);
}

// Told of once; where there is no room this time, the next time.
void Detector::Impl::GaveUp(uint32_t rank) {
  RuleCost& cost = costs[rank];
  if (cost.gave_up == 0 && gave_up.size() == kGaveUp) return;
  if (cost.gave_up++ == 0) gave_up.push_back(rp->compiled[rank].rule);
}

void Detector::Impl::Fire(uint32_t rank, Transaction* tx, Direction d, bool in_stream) {
  const CompiledRule& r = rp->compiled[rank];
  ++stats.matches;
  ++costs[rank].matches;
  if (!tx) fired[rank] = packet_no;
  AfterMatch(r);
  bypass |= r.rule->bypass;
  if (!r.rule->stored.empty()) KeepValues(tx, d);
  if (r.rule->log_change) return ChangeLog(*r.rule->log_change, tx);
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

// Those of the side that the rule has matched on.  One without a condition on a transaction
// means both sides of them all.
void Detector::Impl::KeepValues(Transaction* tx, Direction d) {
  if (tx) {
    tx->keep_values |= static_cast<uint8_t>(1u << Index(d));
  } else if (context.flow) {
    context.flow->keep_values = true;
  }
}

void Detector::Impl::ChangeLog(const LogChange& change, Transaction* tx) {
  if (change.type == LogChange::Type::kFlow) {
    quiet_flow = true;
  } else if (change.scope == LogChange::Scope::kFlow) {
    quiet_transactions = true;
  } else if (tx) {
    tx->quiet = true;
  }
}

ThresholdCounter& Detector::Impl::CounterOf(const Rule& rule, const Threshold& threshold, bool* created) {
  const Packet& p = *context.packet;
  return thresholds.Touch(ThresholdKey(rule, threshold, p.source, p.destination,
                                       context.flow ? context.flow->id : 0),
                          created);
}

// unique_on: whether the port was counted before, in the time that runs.
bool Detector::Impl::SawPort(const Rule& rule, const Threshold& t, const ThresholdCounter& counter, bool created) {
  const Packet& p = *context.packet;
  HostKey key = ThresholdKey(rule, t, p.source, p.destination, context.flow ? context.flow->id : 0);
  const bool of_source = t.unique == Threshold::Unique::kSourcePort;
  key.flow = key.flow << 16 | (of_source ? p.source_port : p.destination_port);
  const bool anew = created || Expired(t, counter, context.now);
  bool first = false;
  Nanos& since = ports_seen->Touch(key, &first);
  const Nanos began = anew ? context.now : counter.since;
  return std::exchange(since, began) == began && !first;
}

ThresholdResult Detector::Impl::Count(const Rule& rule, const std::optional<Threshold>& threshold) {
  if (!threshold) return ThresholdResult::kAlert;
  bool created = false;
  ThresholdCounter& counter = CounterOf(rule, *threshold, &created);
  if (threshold->unique != Threshold::Unique::kNone && SawPort(rule, *threshold, counter, created)) {
    return counter.count > threshold->count ? ThresholdResult::kAlert : ThresholdResult::kIgnore;
  }
  return CountMatch(*threshold, counter, created, context.now);
}

bool Detector::Impl::RateIsExceeded(const Rule& rule) {
  if (!rule.rate_filter) return false;
  bool created = false;
  ThresholdCounter& counter = CounterOf(rule, rule.rate_filter->rate, &created);
  return RateExceeded(*rule.rate_filter, counter, created, context.now);
}

bool Detector::Impl::IsSuppressed(const Rule& rule) const {
  using Side = Suppression::Side;
  const Packet& p = *context.packet;
  return std::any_of(
      rule.suppressions.begin(), rule.suppressions.end(), [&p](const Suppression& s) {
        return s.side == Side::kAll ||
               (s.side != Side::kDestination && ContainsAddress(s.addresses, p.source)) ||
               (s.side != Side::kSource && ContainsAddress(s.addresses, p.destination));
      });
}

bool Detector::Impl::Decide(const Queued& q) {
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
    result.pass = !result.drop;
    result.pass_flow = q.alert.apply_to_flow && !result.drop;
    if (rule.always_alert && !rated) Report(q, action);
    return false;
  }
  if (action != Action::kAlert) {
    result.drop = true;
    result.drop_flow |= q.alert.apply_to_flow;
    if (action != Action::kDrop && result.reject == Action::kAlert) result.reject = action;
  }
  if (counted == ThresholdResult::kAlert && !rule.no_alert) Report(q, action);
  return true;
}

void Detector::Impl::Report(const Queued& q, Action action) {
  if (alerts.size() >= options.max_alerts) {
    ++stats.alerts_overflow;
    return;
  }
  alerts.push_back(q.alert);
  alerts.back().effective = action;
  for (const Tag& tag : q.alert.rule->tags) {
    tags->Set(*q.alert.rule, tag, *context.packet, context.flow ? context.flow->id : 0, context.now);
  }
  ++stats.alerts;
}

const PacketResult& Detector::Impl::EndPacket() {
  alerts.clear();
  result = {};
  result.bypass = bypass;
  std::sort(queue.begin(), queue.end(), [](const Queued& a, const Queued& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.alert.tx_id < b.alert.tx_id;
  });
  for (const Queued& q : queue) {
    if (!Decide(q)) break;
  }
  result.alerts = alerts;
  result.gave_up = gave_up;
  result.captured = packet_vars.texts();
  result.tagged = tags && tags->Follow(*context.packet, context.flow ? context.flow->id : 0, context.now);
  stats.tagged += result.tagged;
  result.quiet_transactions = quiet_transactions;
  result.quiet_flow = quiet_flow;
  if (watcher) [[unlikely]] TellWatcher();
  stats.recursion_limit = confirm.step_limit_hits;
  stats.confirm_limit = confirm.byte_limit_hits;
  stats.regex_limit = confirm.regex.limit_hits;
  stats.threshold_evicted = thresholds.evicted() + (ports_seen ? ports_seen->evicted() : 0);
  stats.host_bits_evicted = host_bits.evicted();
  if (tags) stats.tags_evicted = tags->evicted();
  return result;
}

Detector::Detector(std::shared_ptr<const RuleProgram> program, const DetectorOptions& options)
    : impl_(std::make_unique<Impl>(std::move(program), options)) {}
Detector::~Detector() = default;

void Detector::SetProgram(std::shared_ptr<const RuleProgram> program) {
  impl_->Use(std::move(program));
}
void Detector::Watch(const Rule& rule, RuleWatcher* watcher) {
  impl_->watched = impl_->rp->rank_of[rule.index];
  impl_->watcher = impl_->watched == UINT32_MAX ? nullptr : watcher;
}
const RuleProgram& Detector::program() const { return *impl_->program; }
const DetectorStats& Detector::stats() const { return impl_->stats; }
std::span<const RuleCost> Detector::costs() const { return impl_->costs; }

void Detector::BeginPacket(const PacketContext& context) {
  Impl& i = *impl_;
  i.context = context;
  ++i.packet_no;
  ++i.stats.packets;
  i.queue.clear();
  i.gave_up.clear();
  if (!i.packet_vars.texts().empty()) i.packet_vars.Clear();
  i.bypass = false;
  i.tries.clear();
  i.looks.clear();
  i.stream_window[0] = i.stream_window[1] = {};
  i.quiet_transactions = i.quiet_flow = false;
  const L4 l4 = context.packet->l4;
  i.has_ports = l4 == L4::kTcp || l4 == L4::kUdp || l4 == L4::kSctp;
  if (!context.flow) return;
  FlowVars& vars = *context.flow->vars;
  if (vars.generation_ != i.rp->generation) vars.Adopt(i.rp->generation, i.rp->rules.names_epoch);
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
