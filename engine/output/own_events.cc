// Records of sluice's own types, which no consumer takes for Suricata's.
#include "engine/output/eve.h"

namespace sluice {

void EveWriter::Enforcement(Nanos now, const FlowView& flow, const Packet* packet,
                            const EnforcementView& what) {
  if (!Wants(RecordType::kEnforcement)) return;
  Begin(RecordType::kEnforcement, "enforcement", now, flow, packet);
  if (packet != nullptr) PacketEnds(*packet);
  json_.OpenObject("enforcement");
  json_.Field("op", what.op);
  json_.Field("scope", what.scope);
  json_.Field("value", what.value);
  json_.Field("action", what.rate != 0 ? "rate_limit" : what.reject ? "reject" : "drop");
  if (what.rate != 0) json_.Field("rate_pps", uint64_t{what.rate});
  if (what.ttl > Nanos{}) {
    json_.Field("ttl_s", static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(what.ttl).count()));
    json_.Key("expires");
    json_.Time(now + what.ttl);
  }
  if (!what.reason.empty()) json_.Field("reason", what.reason);
  if (what.sid != 0) json_.Field("sid", what.sid);
  json_.Field("origin", what.origin);
  if (what.hits) {
    json_.Field("pkts", what.hits->packets);
    json_.Field("bytes", what.hits->bytes);
  }
  if (!what.map.empty()) json_.Field("map", what.map);
  if (!what.conflict.empty()) json_.Field("conflict", what.conflict);
  json_.CloseObject();
  Tail(packet, flow);
  End();
}

void EveWriter::Sensor(Nanos now, const FlowView& flow, const Packet* packet, const SensorView& sensor) {
  if (!Wants(RecordType::kSensor)) return;
  Begin(RecordType::kSensor, "sensor", now, flow, packet);
  if (packet != nullptr) PacketEnds(*packet);
  json_.OpenObject("sensor");
  json_.Field("state", sensor.state);
  json_.Field("what", sensor.what);
  json_.Field("detail", sensor.detail);
  if (sensor.sid != 0) json_.Field("sid", sensor.sid);
  if (sensor.loss) {
    json_.Field("lost_pkts", sensor.loss->packets);
    json_.Key("lost_since");
    json_.Time(sensor.loss->since);
    json_.Key("blind_pct");
    json_.Decimal(sensor.loss->percent);
  }
  json_.CloseObject();
  Tail(packet, flow);
  End();
}

void EveWriter::RuleStats(Nanos now, std::span<const RuleCostView> rules) {
  if (!Wants(RecordType::kRuleStats) || rules.empty()) return;
  Begin(RecordType::kRuleStats, "rule_stats", now, FlowView{}, nullptr);
  json_.OpenArray("rule_stats");
  for (const RuleCostView& rule : rules) {
    json_.OpenObject();
    json_.Field("gid", uint64_t{rule.gid});
    json_.Field("sid", uint64_t{rule.sid});
    json_.Field("checks", rule.checks);
    json_.Field("matches", rule.matches);
    json_.Field("alerts", rule.alerts);
    json_.Key("ticks_avg");
    json_.Decimal(rule.ticks);
    json_.Field("ticks_max", rule.most_ticks);
    json_.Key("share_pct");
    json_.Decimal(rule.share);
    json_.CloseObject();
  }
  json_.CloseArray();
  Tail(nullptr, FlowView{});
  End();
}

}  // namespace sluice
