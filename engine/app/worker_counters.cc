// The worker's counters under their names.
#include <fmt/format.h>

#include <algorithm>

#include "engine/app/worker_state.h"
#include "engine/base/cycles.h"

namespace sluice {

uint64_t Worker::MemcapPressure() const {
  const auto percent = [](uint64_t used, uint64_t room) { return room == 0 ? 0 : 100 * used / room; };
  return std::max({percent(table_.size(), options_.flow.capacity), percent(segments_.in_use(), options_.stream.memcap),
                   percent(defrag_.memory(), options_.defrag.memcap)});
}

void Worker::CollectFlowCounters(NamedCounters* out) const {
  const auto add = [out](std::string name, uint64_t value) {
    out->emplace_back(std::move(name), value);
  };
  const WorkerStats& s = stats_;
  const FlowTableStats& t = table_.stats();
  add("flow.total", t.created);
  add("flow.active", table_.size());
  add("flow.spare", options_.flow.capacity - table_.size());
  add("flow.memuse", table_.size() * (sizeof(Flow) + sizeof(FlowWork)));
  add("flow.memcap", t.evicted);  // a flow had to go for another
  add("flow.tcp", s.flows_tcp);
  add("flow.udp", s.flows_udp);
  add("flow.icmpv4", s.flows_icmp4);
  add("flow.icmpv6", s.flows_icmp6);
  add("flow.tcp_reuse", s.tcp_reuse);
  add("flow.evicted", t.evicted);
  add("flow.emerg_mode_entered", s.emergencies);
  add("flow.emerg_mode_over", s.emergencies_over);
  add("flow.mgr.flows_timeout", t.expired);
  add("flow.mgr.flows_evicted", t.evicted);
  static constexpr std::string_view kEnds[] = {"new", "established", "closed", "local_bypassed", "capture_bypassed"};
  for (size_t i = 0; i < s.flows_ended.size(); ++i) add(fmt::format("flow.end.state.{}", kEnds[i]), s.flows_ended[i]);
}

// A session lives in its flow's place, and each direction of a flow comes to its worker: there
// is no memcap of sessions to reach, and no wrong thread.
void Worker::CollectStreamCounters(NamedCounters* out) const {
  const auto add = [out](std::string name, uint64_t value) {
    out->emplace_back(std::move(name), value);
  };
  const StreamStats& t = stream_stats_;
  const uint64_t active = t.sessions - std::min(t.sessions, stats_.sessions_ended);
  add("tcp.sessions", t.sessions);
  add("tcp.active_sessions", active);
  add("tcp.memuse", active * sizeof(TcpSession));
  add("tcp.ssn_memcap_drop", 0);
  add("tcp.pkt_on_wrong_thread", 0);
  add("tcp.syn", t.syn);
  add("tcp.synack", t.synack);
  add("tcp.rst", t.rst);
  add("tcp.midstream_pickups", t.midstream_pickups);
  add("tcp.segment_memcap_drop", t.segment_memcap);
  add("tcp.insert_data_normal_fail", t.waiting_limit);
  add("tcp.stream_depth_reached", t.depth_reached);
  add("tcp.reassembly_gap", t.gaps);
  add("tcp.overlap", t.overlaps);
  add("tcp.overlap_diff_data", t.overlaps_different);
  add("tcp.invalid_checksum", t.invalid_checksum);
  add("tcp.out_of_window", t.out_of_window);
  add("tcp.invalid_timestamp", t.invalid_timestamp);
  add("tcp.no_session", t.no_session);
  add("tcp.urg", t.urgent);
  add("tcp.urgent_oob_data", t.urgent_oob_bytes);
  add("tcp.reassembly_memuse", segments_.in_use());
  add("tcp.reassembly_hole_bytes", t.hole_bytes);
}

void Worker::CollectCounters(NamedCounters* out) const {
  const auto add = [out](std::string name, uint64_t value) {
    out->emplace_back(std::move(name), value);
  };
  CollectDecoderCounters(out);
  CollectFlowCounters(out);
  CollectStreamCounters(out);
  const WorkerStats& s = stats_;
  const uint64_t pressure = MemcapPressure();
  add("memcap.pressure", pressure);
  add("memcap.pressure_max", std::max(pressure, s.memcap_pressure_max));
  for (size_t i = 0; i < kNumStreamEvents; ++i) {
    add(fmt::format("stream.{}", StreamEventName(static_cast<StreamEvent>(i))), stream_stats_.events[i]);
  }
  const DetectorStats& d = detector_.stats();
  add("detect.alert", s.alerts);
  add("detect.alert_queue_overflow", d.alerts_overflow);
  add("detect.alerts_suppressed", d.alerts_suppressed);
  add("detect.recursion_limit", d.recursion_limit);
  add("detect.regex_limit", d.regex_limit);
  add("detect.confirm_limit", d.confirm_limit);
  add("detect.threshold_evicted", d.threshold_evicted);
  add("detect.host_bits_evicted", d.host_bits_evicted);
  add("detect.tags_evicted", d.tags_evicted);
  add("detect.tagged_packets", d.tagged);
  add("detect.stream_pending_lost", d.stream_pending_lost);
  add("detect.stream_bytes_lost", s.raw_lost);
  add("detect.flow_vars_full", d.flow_vars_full);
  const DissectStats& p = dissector_.stats();
  add("dissect.undissected", p.undissected);
  add("dissect.probe_undecided", p.probe_undecided);
  add("dissect.breaches", p.breaches);
  add("dissect.slow_calls", p.slow_calls);
  add("dissect.parse_errors", p.parse_errors);
  add("dissect.flows", p.flows);
  add("dissect.gaps", p.gaps);
  add("dissect.gap_stops", p.gap_stops);
  add("dissect.memcap", p.memcap);
  add("dissect.transactions_forced", p.transactions_forced);
  add("dissect.transactions_lost", p.transactions_lost);
  add("dissect.events_lost", p.events_lost);
  add("dissect.pending_overflow", p.pending_overflow);
  add("dissect.bad_calls", p.bad_calls);
  add("dissect.bytes_withheld", p.bytes_withheld);
  const FilePartsStats& parts = dissector_.part_stats();
  add("dissect.file_parts.parts", parts.parts);
  add("dissect.file_parts.whole", parts.whole);
  add("dissect.file_parts.expired", parts.expired);
  add("dissect.file_parts.evicted", parts.evicted);
  add("dissect.file_parts.refused", parts.refused);
  add("app_layer.expectations", p.expectations);
  add("dissect.expectations_found", p.expectations_found);
  add("dissect.expectations_evicted", p.expectations_evicted);
  add("dissect.expectations_lost", p.expectations_lost);
  for (const auto& schema : catalog_.schemas()) {
    const WorkerStats::Answers& answers = s.answers_by_schema[schema->id];
    add(fmt::format("app_layer.answers.{}.timed", schema->name), answers.timed);
    add(fmt::format("app_layer.answers.{}.latency_us", schema->name), answers.latency_us);
    for (size_t i = 0; i < kNumOutcomes && HasOutcome(*schema); ++i) {
      add(fmt::format("app_layer.answers.{}.{}", schema->name, OutcomeName(static_cast<TxOutcome>(i))),
          answers.outcomes[i]);
    }
    add(fmt::format("{}.memuse", schema->name), dissector_.memory()[schema->id]);
    const PluginStats& plugin = dissector_.plugin_stats()[schema->id];
    add(fmt::format("plugins.{}.calls", schema->name), plugin.calls);
    add(fmt::format("plugins.{}.time_us", schema->name), plugin.cycles / CyclesPerMicrosecond());
    for (size_t i = 1; i < kNumBreaches; ++i) {
      add(fmt::format("plugins.{}.{}", schema->name, BreachName(static_cast<Breach>(i))),
          plugin.breaches[i]);
    }
  }
  CollectAppCounters(out);
  if (keeper_.enabled()) CollectFileCounters(out);
  if (packet_log_.enabled()) {
    out->emplace_back("pcap_log.packets", packet_log_.stats().packets);
    out->emplace_back("pcap_log.lost.queue", packet_log_.stats().lost);
    out->emplace_back("pcap_log.lost.held", packet_log_.stats().held_lost);
  }
  if (value_keeper_.enabled()) {
    add("value_store.kept", value_keeper_.kept());
    add("value_store.lost.queue", value_keeper_.lost_queue());
  }
  CollectVerdictCounters(out);
}

// Of an exception policy only what it can do, and nothing if it is to do nothing.
void Worker::CollectVerdictCounters(NamedCounters* out) const {
  const auto add = [out](std::string name, uint64_t value) {
    out->emplace_back(std::move(name), value);
  };
  const WorkerStats& s = stats_;
  add("flow_bypassed.local_pkts", s.bypassed_packets);
  add("flow_bypassed.local_bytes", s.bypassed_bytes);
  add("flow_bypassed.local_capture_pkts", s.capture_packets);
  add("flow_bypassed.local_capture_bytes", s.capture_bytes);
  add("flow_bypassed.pkts", s.kernel_packets);
  add("flow_bypassed.bytes", s.kernel_bytes);
  add("flow.elephant", s.flows_elephant);
  add("flow_bypassed.closed", s.flows_bypassed);
  for (size_t i = 0; i < kNumExceptionTargets; ++i) {
    const ExceptionPolicy policy = options_.exceptions[i];
    if (policy == ExceptionPolicy::kIgnore) continue;
    add(fmt::format("{}.{}", InfoOf(static_cast<ExceptionTarget>(i)).counter, ExceptionPolicyField(policy)),
        s.exceptions[i][static_cast<size_t>(policy)]);
  }
  if (!options_.inline_verdicts) return;
  add("ips.accepted", s.accepted);
  add("ips.blocked", s.blocked);
  add("ips.rejected", s.rejected);
  add("ips.replaced", 0);  // no rule changes bytes
  for (size_t i = 1; i < s.drop_reasons.size(); ++i) {
    add(fmt::format("ips.drop_reason.{}", NamesOf(static_cast<DropReason>(i)).counter),
        s.drop_reasons[i]);
  }
}

void Worker::CollectFileCounters(NamedCounters* out) const {
  const FileKeeperStats& s = keeper_.stats();
  out->emplace_back("file_store.kept", s.kept);
  out->emplace_back("file_store.not_wanted", s.dropped);
  out->emplace_back("file_store.lost.window", s.lost_window);
  out->emplace_back("file_store.lost.flow", s.lost_flow);
  out->emplace_back("file_store.lost.queue", s.lost_queue);
  out->emplace_back("file_store.lost.hash", s.lost_hash);
}

void Worker::CollectRuleCosts(RuleCosts* out) const {
  const std::span<const RuleCost> costs = detector_.costs();
  for (uint32_t rank = 0; rank < costs.size(); ++rank) {
    if (costs[rank].sampled == 0) continue;
    const Rule& rule = detector_.program().RuleAt(rank);
    out->Add({rule.gid, rule.sid, costs[rank], alerts_by_rule_[rule.index]});
  }
}

// A dissector of both transports has its counters apart: app_layer.flow.x_udp.
void Worker::CollectAppCounters(NamedCounters* out) const {
  static constexpr std::string_view kTransports[] = {"tcp", "udp"};
  for (size_t t = 0; t < 2; ++t) {
    out->emplace_back(fmt::format("app_layer.flow.failed_{}", kTransports[t]), stats_.flows_failed[t]);
  }
  for (const auto& schema : catalog_.schemas()) {
    const uint32_t transports = catalog_.plugin(schema->id).info().transports;
    const bool both = (transports & SLUICE_TCP) && (transports & SLUICE_UDP);
    for (size_t t = 0; t < 2; ++t) {
      if (!(transports & (t == 0 ? SLUICE_TCP : SLUICE_UDP))) continue;
      const std::string name =
          both ? fmt::format("{}_{}", schema->name, kTransports[t]) : std::string(schema->name);
      const WorkerStats::App& app = stats_.apps[t][schema->id];
      out->emplace_back("app_layer.flow." + name, app.flows);
      out->emplace_back("app_layer.tx." + name, app.transactions);
      out->emplace_back("app_layer.error." + name + ".parser", app.parse_errors);
      out->emplace_back("app_layer.error." + name + ".gap", app.gaps);
      out->emplace_back("app_layer.error." + name + ".alloc", app.refusals);
      out->emplace_back("app_layer.error." + name + ".internal", app.breaches);
    }
  }
}

void AddThreadCounters(size_t index, const NamedCounters& counters, NamedCounters* out) {
  for (const auto& [name, value] : counters) {
    out->emplace_back(fmt::format("threads.W#{:02}.{}", index + 1, name), value);
  }
}

}  // namespace sluice
