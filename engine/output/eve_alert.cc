// Records about packets that rules or the decoder point at: alert, packet, drop, anomaly.
#include <sluice/plugin.h>

#include <algorithm>
#include <cstring>

#include "engine/decode/decode.h"
#include "engine/decode/ip_protocol.h"
#include "engine/output/eve.h"
#include "engine/output/mask.h"
#include "engine/rules/sets.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

// A question or its answer, which have an identifier and a number (RFC 792, RFC 4443 §4).
bool IsEcho(const Packet& packet) {
  return packet.l4 == L4::kIcmp    ? packet.icmp_type == 8 || packet.icmp_type == 0
         : packet.l4 == L4::kIcmp6 ? packet.icmp_type == 128 || packet.icmp_type == 129
                                   : false;
}

}  // namespace

void EveWriter::RuleObject(const AlertView& alert, const Packet& packet) {
  const Rule& rule = *alert.rule;
  json_.OpenObject("alert");
  json_.Field("action", alert.blocked ? "blocked" : "allowed");
  json_.Field("gid", uint64_t{rule.gid});
  json_.Field("signature_id", uint64_t{rule.sid});
  json_.Field("rev", uint64_t{rule.rev});
  json_.Field("signature", rule.message);
  json_.Field("category", rule.classification);
  json_.Field("severity", uint64_t{rule.priority});
  if (rule.target != Rule::Target::kNone) {
    const bool source = rule.target == Rule::Target::kSource;
    const auto side = [&](std::string_view name, const Address& address, uint16_t port) {
      json_.OpenObject(name);
      json_.Key("ip");
      json_.Ip(address);
      if (HasPorts(packet.ip_protocol)) json_.Field("port", uint64_t{port});
      json_.CloseObject();
    };
    side(source ? "target" : "source", packet.source, packet.source_port);
    side(source ? "source" : "target", packet.destination, packet.destination_port);
  }
  if (!options_.xff_overwrite && alert.forwarded.version != 0) {
    json_.Key("xff");
    json_.Ip(alert.forwarded);
  }
  if (!alert.contexts.empty()) {
    json_.OpenObject("context");
    for (const auto& [key, json] : alert.contexts) {
      json_.UserKey(key);
      json_.Raw(json);
    }
    json_.CloseObject();
  }
  if (options_.references && !rule.references.empty()) {
    json_.OpenArray("references");
    for (const Reference& r : rule.references) {
      scratch_.assign(r.system);
      scratch_ += r.id;
      json_.String(scratch_);
    }
    json_.CloseArray();
  }
  if (options_.rule_metadata && !rule.metadata.empty()) RuleMetadata(rule);
  if (options_.raw_rule) json_.Field("rule", rule.text);
  json_.CloseObject();
}

// `bytes`, without the flow's secrets; valid until the next call.
Slice EveWriter::Masked(Slice bytes, std::span<const Slice> secrets) {
  if (secrets.empty()) return bytes;
  masked_.assign(bytes.begin(), bytes.end());
  for (const Slice secret : secrets) MaskSecret(secret, masked_);
  return masked_;
}

// Each key once, with all of its values.
void EveWriter::RuleMetadata(const Rule& rule) {
  json_.OpenObject("metadata");
  for (size_t i = 0; i < rule.metadata.size(); ++i) {
    const std::string& key = rule.metadata[i].first;
    const auto same = [&key](const auto& entry) { return entry.first == key; };
    const auto before = rule.metadata.begin() + static_cast<ptrdiff_t>(i);
    if (std::any_of(rule.metadata.begin(), before, same)) continue;
    json_.UserKey(key);
    json_.OpenArray();
    for (auto it = before; it != rule.metadata.end(); ++it) {
      if (same(*it)) json_.String(it->second);
    }
    json_.CloseArray();
  }
  json_.CloseObject();
}

void EveWriter::Payload(const AlertView& alert, const FlowView& flow) {
  const Slice bytes = Masked(
      alert.payload.first(std::min<size_t>(alert.payload.size(), options_.payload_limit)), flow.secrets);
  if (options_.payload) {
    json_.Key("payload");
    json_.Base64(bytes);
  }
  if (options_.payload_printable) {
    scratch_.clear();
    AppendPrintable(bytes, &scratch_);
    json_.Field("payload_printable", scratch_);
  }
  if (options_.payload_length) json_.Field("payload_length", uint64_t{alert.payload.size()});
  json_.Field("stream", uint64_t{alert.in_stream});
}

// The address that a proxy names as its client's; version 0 if there is none.
Address EveWriter::ForwardedClient(const Transaction* tx) const {
  if (!options_.xff || tx == nullptr) return {};
  for (const FieldValue& value : tx->values) {
    if (value.field == UINT16_MAX || !(tx->schema->fields[value.field].flags & SLUICE_FORWARDED)) continue;
    std::string_view list = AsText(value.bytes);
    const size_t comma = options_.xff_forward ? list.find(',') : list.rfind(',');
    if (comma != list.npos) list = options_.xff_forward ? list.substr(0, comma) : list.substr(comma + 1);
    if (const auto address = ParseAddress(Trim(list)); address) return *address;
  }
  return {};
}

void EveWriter::Alert(const Packet& packet, const FlowView& flow, const AlertView& given) {
  if (!Wants(RecordType::kAlert)) return;
  Begin(RecordType::kAlert, "alert", packet.time, flow, &packet);
  AlertView alert = given;
  alert.forwarded = ForwardedClient(alert.tx);
  if (options_.xff_overwrite && alert.forwarded.version != 0) {
    const bool to_client = alert.direction == Direction::kToClient;
    Ends(to_client ? packet.source : alert.forwarded, packet.source_port,
         to_client ? alert.forwarded : packet.destination, packet.destination_port, packet.ip_protocol, HasPorts(packet.ip_protocol));
    if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  } else {
    PacketEnds(packet);
  }
  Tunnel(packet);
  Tail(&packet, flow);
  if (alert.tx != nullptr) json_.Field("tx_id", alert.tx->id);
  if (alert.tx_guessed) json_.Field("tx_guessed", true);
  RuleObject(alert, packet);
  if (alert.tx != nullptr && options_.app_layer) {
    secrets_ = flow.secrets;
    ProtocolObject(*alert.tx, true);
    AlertFiles(*alert.tx);
  }
  AppProto(flow);
  Direct(flow, alert.direction);
  if (flow.flow != nullptr && options_.flow) {
    json_.OpenObject("flow");
    FlowObject(*flow.flow, true);
    json_.CloseObject();
  }
  if (options_.payload || options_.payload_printable || options_.payload_length) {
    Payload(alert, flow);
  }
  if (options_.packet && !packet.frame.empty()) PacketDump(packet, flow);  // one that never was has none
  if (options_.verdict) VerdictObject(alert.verdict);
  End();
}

void EveWriter::PacketDump(const Packet& packet, const FlowView& flow) {
  json_.Key("packet");
  json_.Base64(Masked(packet.frame, flow.secrets));
  json_.OpenObject("packet_info");
  json_.Field("linktype", static_cast<uint64_t>(DltOfLinkType(packet.link)));
  json_.Field("linktype_name", LinkTypeName(packet.link));
  json_.CloseObject();
}

void EveWriter::TaggedPacket(const Packet& packet, const FlowView& flow, Direction direction) {
  // Part of the alerts, as their options are; it has no type of its own to ask for.
  if (!options_.tagged_packets || !Wants(RecordType::kAlert)) return;
  Begin(RecordType::kPacket, "packet", packet.time, flow, &packet);
  PacketEnds(packet);
  Tunnel(packet);
  Tail(&packet, flow);
  Direct(flow, direction);
  PacketDump(packet, flow);
  End();
}

void EveWriter::VerdictObject(const VerdictView& verdict) {
  if (verdict.action.empty()) return;
  json_.OpenObject("verdict");
  json_.Field("action", verdict.action);
  if (!verdict.reject.empty()) {
    json_.Field("reject-target", verdict.reject_target);
    json_.OpenArray("reject");
    json_.String(verdict.reject);
    json_.CloseArray();
  }
  json_.CloseObject();
}

// What the IP header says; of what is not IP, nothing.
void EveWriter::DropIp(const Packet& packet) {
  if (packet.ip_version == 4) {
    json_.Field("tos", uint64_t{packet.tos});
    json_.Field("ttl", uint64_t{packet.ttl});
    json_.Field("ipid", uint64_t{packet.ip_id});
  } else if (packet.ip_version == 6) {
    json_.Field("tc", uint64_t{packet.tos});
    json_.Field("hoplimit", uint64_t{packet.ttl});
    const Slice h = packet.ip_header;
    if (h.size() >= 4) json_.Field("flowlbl", (h[1] & 15u) << 16 | uint64_t{h[2]} << 8 | h[3]);
  }
}

void EveWriter::DropTransport(const Packet& packet) {
  const Slice header = packet.l4_header;
  if (packet.l4 == L4::kTcp) {
    json_.Field("tcpseq", uint64_t{packet.tcp.seq});
    json_.Field("tcpack", uint64_t{packet.tcp.ack});
    json_.Field("tcpwin", uint64_t{packet.tcp.window});
    if (header.size() > 12) json_.Field("tcpres", uint64_t{header[12]} & 15);
    json_.Field("tcpurgp", uint64_t{packet.tcp.urgent});
    for (const auto& [name, bit] : {std::pair{"syn", kTcpSyn}, std::pair{"ack", kTcpAck},
                                    std::pair{"psh", kTcpPsh}, std::pair{"rst", kTcpRst},
                                    std::pair{"urg", kTcpUrg}, std::pair{"fin", kTcpFin}}) {
      json_.FlagField(name, packet.tcp.flags & bit);
    }
  } else if (packet.l4 == L4::kUdp && header.size() >= 6) {
    // As the header has it: of a packet that was cut there is less.
    json_.Field("udplen", uint64_t{header[4]} << 8 | header[5]);
  } else if (IsEcho(packet)) {
    json_.Field("icmp_id", uint64_t{packet.icmp_id});
    json_.Field("icmp_seq", uint64_t{packet.icmp_seq});
  }
}

void EveWriter::Drop(const Packet& packet, const FlowView& flow, const DropView& drop) {
  if (!Wants(RecordType::kDrop)) return;
  Begin(RecordType::kDrop, "drop", packet.time, flow, &packet);
  PacketEnds(packet);
  Tunnel(packet);
  Tail(&packet, flow);
  Direct(flow, drop.direction);
  json_.OpenObject("drop");
  json_.Field("len", uint64_t{packet.ip_version == 0 ? packet.wire_len : packet.ip_len});
  DropIp(packet);
  DropTransport(packet);
  json_.Field("reason", drop.reason);
  json_.CloseObject();
  if (options_.drop_verdict) VerdictObject(drop.verdict);
  if (drop.rule != nullptr && options_.drop_alerts) {
    AlertView view;
    view.rule = drop.rule;
    view.blocked = true;
    RuleObject(view, packet);
  }
  End();
}

void EveWriter::Anomaly(const Packet& packet, const FlowView& flow, const AnomalyView& anomaly) {
  using Type = AnomalyView::Type;
  const bool wanted = anomaly.type == Type::kDecode   ? options_.anomaly_decode
                      : anomaly.type == Type::kStream ? options_.anomaly_stream
                                                      : options_.anomaly_applayer;
  if (!wanted || !Wants(RecordType::kAnomaly)) return;
  static constexpr std::string_view kTypes[] = {"decode", "stream", "applayer"};
  const bool app = anomaly.type == Type::kApplayer;
  Begin(RecordType::kAnomaly, "anomaly", packet.time, flow, &packet);
  const bool of_flow = app && flow.flow != nullptr, to_client = anomaly.direction == Direction::kToClient;
  if (of_flow) {
    FlowEnds(*flow.flow, to_client);
    if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  } else {
    PacketEnds(packet);
  }
  Tunnel(packet);
  Tail(&packet, flow, of_flow && FromServer(packet, *flow.flow) != to_client);
  Direct(flow, anomaly.direction);
  if (anomaly.tx_id != nullptr) json_.Field("tx_id", *anomaly.tx_id);
  json_.OpenObject("anomaly");
  if (app && !anomaly.app_proto.empty()) json_.Field("app_proto", anomaly.app_proto);
  json_.Field("type", kTypes[static_cast<size_t>(anomaly.type)]);
  json_.Field("event", anomaly.event);
  if (app) json_.Field("layer", anomaly.layer);
  json_.CloseObject();
  End();
}

}  // namespace sluice
