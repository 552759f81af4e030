// Records of flows at their end.
#include <algorithm>

#include "engine/decode/decode.h"
#include "engine/decode/ip_protocol.h"
#include "engine/output/eve.h"

namespace sluice {

void EveWriter::FlowObject(const Flow& flow, bool with_ends) {
  json_.Field("pkts_toserver", flow.packets[0]);
  json_.Field("pkts_toclient", flow.packets[1]);
  json_.Field("bytes_toserver", flow.bytes[0]);
  json_.Field("bytes_toclient", flow.bytes[1]);
  json_.Key("start");
  json_.Time(flow.start);
  if (!with_ends) return;
  json_.Key("src_ip");
  json_.Ip(flow.tuple.source);
  json_.Key("dest_ip");
  json_.Ip(flow.tuple.destination);
  if (!HasPorts(flow.tuple.ip_protocol)) return;
  json_.Field("src_port", uint64_t{flow.tuple.source_port});
  json_.Field("dest_port", uint64_t{flow.tuple.destination_port});
}

void EveWriter::TcpFlags(const Flow& flow) {
  const uint8_t all = flow.tcp_flags[0] | flow.tcp_flags[1];
  const auto hex = [this](std::string_view key, uint8_t flags) {
    json_.Key(key);
    json_.Hex(Slice(&flags, 1));
  };
  hex("tcp_flags", all);
  hex("tcp_flags_ts", flow.tcp_flags[0]);
  hex("tcp_flags_tc", flow.tcp_flags[1]);
  TcpFlagNames(all);
}

void EveWriter::TcpFlagNames(uint8_t flags) {
  for (const auto& [name, bit] :
       {std::pair{"syn", kTcpSyn}, std::pair{"fin", kTcpFin}, std::pair{"rst", kTcpRst},
        std::pair{"psh", kTcpPsh}, std::pair{"ack", kTcpAck}, std::pair{"urg", kTcpUrg},
        std::pair{"ecn", kTcpEce}, std::pair{"cwr", kTcpCwr}}) {
    if (flags & bit) json_.FlagField(name, true);
  }
}

void EveWriter::Elephant(const Flow& flow) {
  if (flow.elephant == 0) return;
  json_.FlagField("elephant", true);
  json_.OpenArray("elephant_direction");
  if (flow.elephant & 1) json_.String("toserver");
  if (flow.elephant & 2) json_.String("toclient");
  json_.CloseArray();
}

// "end" and "age": whole seconds between the seconds of start and end.
void EveWriter::Span(const Flow& flow) {
  json_.Key("end");
  json_.Time(flow.last);
  const auto seconds = [](Nanos t) { return std::chrono::floor<std::chrono::seconds>(t).count(); };
  json_.Field("age", static_cast<uint64_t>(std::max<int64_t>(0, seconds(flow.last) - seconds(flow.start))));
}

// What the kernel alone saw of a flow; the totals have it too.
void EveWriter::Bypassed(const Flow& flow) {
  if (flow.bypass != FlowBypass::kCapture) return;
  json_.OpenObject("bypassed");
  json_.Field("pkts_toserver", flow.bypassed_packets[0]);
  json_.Field("pkts_toclient", flow.bypassed_packets[1]);
  json_.Field("bytes_toserver", flow.bypassed_bytes[0]);
  json_.Field("bytes_toclient", flow.bypassed_bytes[1]);
  json_.CloseObject();
}

void EveWriter::Exceptions(const FlowView& view) {
  if (!options_.exception_policy || view.exceptions.empty()) return;
  json_.OpenArray("exception_policy");
  for (const ExceptionView& exception : view.exceptions) {
    json_.OpenObject();
    json_.Field("target", exception.target);
    json_.Field("policy", exception.policy);
    json_.CloseObject();
  }
  json_.CloseArray();
}

void EveWriter::FlowRecord(const FlowView& view, FlowEndReason reason, Nanos now) {
  if (!Wants(RecordType::kFlow)) return;
  const Flow& flow = *view.flow;
  Begin(RecordType::kFlow, "flow", now, view, nullptr);
  FlowEnds(flow, false);
  if (flow.tuple.ip_protocol == kIcmp || flow.tuple.ip_protocol == kIcmp6) {
    json_.Field("icmp_type", uint64_t{flow.icmp_type[0]});
    json_.Field("icmp_code", uint64_t{flow.icmp_code[0]});
    if (flow.packets[1] > 0) {
      json_.Field("response_icmp_type", uint64_t{flow.icmp_type[1]});
      json_.Field("response_icmp_code", uint64_t{flow.icmp_code[1]});
    }
  }
  AppProto(view);
  json_.OpenObject("flow");
  FlowObject(flow, false);
  Span(flow);
  Bypassed(flow);
  json_.Field("state", FlowStateName(flow.state));
  if (flow.bypass != FlowBypass::kNone) {
    json_.Field("bypass", flow.bypass == FlowBypass::kLocal ? "local" : "capture");
  }
  json_.Field("reason", FlowEndReasonName(reason));
  json_.FlagField("alerted", flow.alerted);
  if (reason == FlowEndReason::kForced) json_.FlagField("emergency", true);  // the table was full
  Elephant(flow);
  if (flow.dropped) json_.Field("action", "drop");
  if (!flow.dropped && flow.passed) json_.Field("action", "pass");
  Exceptions(view);
  if (options_.compat >= 8) json_.Field("tx_cnt", view.num_transactions);
  json_.CloseObject();
  Tail(nullptr, view);
  if (flow.tuple.ip_protocol == kTcp) {
    json_.OpenObject("tcp");
    TcpFlags(flow);
    json_.Field("state", view.tcp_state);
    if (view.ts_gap) json_.FlagField("ts_gap", true);
    if (view.tc_gap) json_.FlagField("tc_gap", true);
    // Here the bytes of a direction lie in one region, however far apart.
    if (view.ts_data) json_.Field("ts_max_regions", uint64_t{1});
    if (view.tc_data) json_.Field("tc_max_regions", uint64_t{1});
    if (view.urgent_bytes[0] > 0) json_.Field("ts_urgent_oob_data", uint64_t{view.urgent_bytes[0]});
    if (view.urgent_bytes[1] > 0) json_.Field("tc_urgent_oob_data", uint64_t{view.urgent_bytes[1]});
    json_.CloseObject();
  }
  End();
}

// Not among the defaults: it says what the record of the flow says.
void EveWriter::NetflowRecords(const FlowView& view, Nanos now) {
  if (!options_.types.contains("netflow")) return;
  for (size_t direction = 0; direction < 2; ++direction) {
    if (view.flow->packets[direction] > 0) NetflowRecord(view, direction, now);
  }
}

void EveWriter::NetflowRecord(const FlowView& view, size_t direction, Nanos now) {
  const Flow& flow = *view.flow;
  Begin(RecordType::kNetflow, "netflow", now, view, nullptr);
  FlowEnds(flow, direction == 1);
  if (flow.tuple.ip_protocol == kIcmp || flow.tuple.ip_protocol == kIcmp6) {
    json_.Field("icmp_type", uint64_t{flow.icmp_type[direction]});
    json_.Field("icmp_code", uint64_t{flow.icmp_code[direction]});
  }
  AppProto(view);
  json_.OpenObject("netflow");
  json_.Field("pkts", flow.packets[direction]);
  json_.Field("bytes", flow.bytes[direction]);
  json_.Key("start");
  json_.Time(flow.start);
  Span(flow);
  json_.Field("min_ttl", uint64_t{flow.min_ttl[direction]});
  json_.Field("max_ttl", uint64_t{flow.max_ttl[direction]});
  if (options_.compat >= 8) json_.Field("tx_cnt", view.num_transactions);
  json_.CloseObject();
  Tail(nullptr, view, direction == 1);
  if (flow.tuple.ip_protocol == kTcp) {
    json_.OpenObject("tcp");
    json_.Key("tcp_flags");
    json_.Hex(Slice(&flow.tcp_flags[direction], 1));
    TcpFlagNames(flow.tcp_flags[direction]);
    json_.CloseObject();
  }
  End();
}

}  // namespace sluice
