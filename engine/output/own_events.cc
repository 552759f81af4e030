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
  json_.Field("action", what.rate == 0 ? "drop" : "rate_limit");
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

void EveWriter::Sensor(const Packet& packet, const FlowView& flow, const SensorView& sensor) {
  if (!Wants(RecordType::kSensor)) return;
  Begin(RecordType::kSensor, "sensor", packet.time, flow, &packet);
  PacketEnds(packet);
  json_.OpenObject("sensor");
  json_.Field("state", sensor.state);
  json_.Field("what", sensor.what);
  json_.Field("detail", sensor.detail);
  if (sensor.sid != 0) json_.Field("sid", sensor.sid);
  json_.CloseObject();
  Tail(&packet, flow);
  End();
}

}  // namespace sluice
