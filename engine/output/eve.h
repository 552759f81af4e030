// engine/output/eve.h
// EVE JSON records.  Protocol records come from Schema and Transaction alone.
//
// Threads: one EveWriter per worker; the LogFile behind it takes whole lines
//   from all of them.
// Memory: one reusable buffer.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/types.h"
#include "engine/decode/packet.h"
#include "engine/dissect/transaction.h"
#include "engine/flow/flow.h"
#include "engine/output/json_writer.h"
#include "engine/output/log_file.h"
#include "engine/rules/rule_set.h"

namespace sluice {

struct EveOptions {
  int compat = 8;  // 7 or 8: whose form where they differ
  std::set<std::string, std::less<>> types;  // event types written; empty: all but netflow
  bool all_types = true;
  bool community_id = true;
  uint16_t community_id_seed = 0;
  bool metadata = true;            // flowbits and flow variables
  bool ethernet = false;
  bool verdict = true;
  bool payload = false, payload_printable = false, packet = false;  // in alerts
  bool raw_rule = false, references = false;
  bool exception_policy = false;   // in flow records
  bool drop_all = false;           // drop records of each packet, not of the first each way
  bool drop_alerts = true, drop_verdict = false;  // in drop records
  bool zero_counters = true;       // in stats
  uint32_t payload_limit = 4096;   // bytes
  std::string host;                // sensor-name
  uint64_t sensor_id = 0;          // 0: not written
  std::string interface;           // live: in_iface
  std::vector<std::string> optional_fields;  // "http.x": SLUICE_OPTIONAL fields wanted

  bool Wants(std::string_view type) const { return all_types || types.contains(type); }
};

// What every record of a flow needs; filled by the worker.
struct FlowView {
  const Flow* flow = nullptr;      // null: the packet has none
  std::string_view app_proto;      // "" unknown, "failed", or a dissector's name
  std::string_view app_proto_original;
  std::string_view community_id;   // "" not computed
  std::span<const std::string_view> flowbits;
  std::string_view tcp_state;
  uint64_t num_transactions = 0;
  bool ts_gap = false, tc_gap = false;
};

struct VerdictView {  // what was done about a packet
  std::string_view action;         // "alert", "pass", "drop"; "" not written
  std::string_view reject;         // "tcp-reset", "icmp-prohib"; "" none
  std::string_view reject_target;  // "to_client", "to_server", "both"
};

struct AlertView {
  const Rule* rule = nullptr;
  bool blocked = false;            // alert.action
  VerdictView verdict;
  const Transaction* tx = nullptr;
  bool in_stream = false;
  Direction direction = Direction::kToServer;
  Slice payload;
  std::span<const std::pair<std::string_view, std::string_view>> contexts;  // key, JSON
};

struct DropView {
  std::string_view reason;
  Direction direction = Direction::kToServer;
  const Rule* rule = nullptr;      // that dropped it; null: none did
  VerdictView verdict;
};

using NamedCounters = std::vector<std::pair<std::string, uint64_t>>;

class EveWriter {
 public:
  // `out` null: nothing is written.
  EveWriter(const EveOptions& options, LogFile* out) : options_(options), out_(out) {}

  void Alert(const Packet& packet, const FlowView& flow, const AlertView& alert);
  void Arp(const Packet& packet);  // packet.arp is set
  void Drop(const Packet& packet, const FlowView& flow, const DropView& drop);
  // The protocol record of a completed transaction.
  void TransactionRecord(const Packet& packet, const FlowView& flow, const Transaction& tx);
  void FileRecord(const Packet& packet, const FlowView& flow, const Transaction& tx,
                  const FileInfo& file);
  // type: "decode", "stream", "applayer"; layer and app_proto for "applayer".
  void Anomaly(const Packet& packet, const FlowView& flow, Direction direction,
               std::string_view type, std::string_view event, std::string_view layer,
               const uint64_t* tx_id);
  void FlowRecord(const FlowView& flow, FlowEndReason reason, Nanos now);
  // Counters by dotted name, sorted; `uptime` in seconds.
  void Stats(Nanos now, uint64_t uptime, const NamedCounters& counters);

  uint64_t records() const { return records_; }

 private:
  void Begin(std::string_view type, Nanos time, const FlowView& flow, const Packet* packet);
  void Ends(const Address& source, uint16_t source_port, const Address& destination,
            uint16_t destination_port, uint8_t protocol, bool ports);
  void PacketEnds(const Packet& packet);
  void Tunnel(const Packet& packet);
  void FlowEnds(const Flow& flow, bool reversed);
  void OpenLevel(std::string_view name);
  void CloseLevel(std::string_view name);
  bool ServerIsSource(const Packet& packet, const Flow& flow, const Transaction& tx) const;
  void Tail(const Packet* packet, const FlowView& flow);
  void AppProto(const FlowView& flow);
  void ProtocolObject(const Transaction& tx, bool in_alert);
  void WriteLevel(const Schema& schema, std::span<const FieldValue> values, std::string_view prefix,
                  bool in_alert);
  void WriteValue(const FieldInfo& info, const FieldValue& value);
  bool Shown(const Schema& schema, const FieldInfo& info, bool in_alert) const;
  void RuleObject(const AlertView& alert, const Packet& packet);
  void VerdictObject(const VerdictView& verdict);
  void FlowObject(const Flow& flow, bool with_ends);
  void FileObject(const FileInfo& file, uint64_t tx_id, bool in_alert);
  void TcpFlags(const Flow& flow);
  void End();

  const EveOptions options_;
  LogFile* out_;
  JsonWriter json_;
  std::string line_;
  uint64_t records_ = 0;
};

// "TCP", "UDP", "IPv6-ICMP" ...; a number without a name as three digits.
std::string_view IpProtocolName(uint8_t protocol);
// Community ID version 1.
std::string CommunityId(const Tuple& tuple, uint16_t seed);

}  // namespace sluice
