// engine/output/eve.h
// EVE JSON records.  Protocol records come from Schema and Transaction alone.
//
// Threads: one EveWriter per worker, with a RecordSink of its own.
// Memory: reusable buffers; nothing is allocated once they have grown.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
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
#include "engine/output/record_sink.h"
#include "engine/output/redact.h"
#include "engine/rules/rule_set.h"

namespace sluice {

// What the records of one dissector show, by the fields' log names.
struct RecordOptions {
  int compat = 0;                   // in whose form, if not that of all records
  bool requests = true, responses = true;  // transactions of one direction only
  bool extended = true;             // also SLUICE_EXTENDED fields
  std::set<std::string, std::less<>> custom;  // not empty: these instead of the extended
  std::map<std::string, bool, std::less<>> switches;  // single fields on or off
  // What is shown of the fields with such a list; in lower case, by its name.
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> lists;
};

struct EveOptions {
  int compat = 8;  // 7 or 8: whose form where they differ
  std::set<std::string, std::less<>> types;  // event types written, unless all_types
  bool all_types = true;
  bool community_id = true;
  uint16_t community_id_seed = 0;
  bool metadata = true;            // flowbits and flow variables
  bool ethernet = false, pcap_file = false, exception_policy = false;
  std::string host;                // sensor-name
  uint64_t sensor_id = 0;          // 0: not written
  bool short_ipv6 = false;
  std::vector<std::string> optional_fields;  // "protocol.key": SLUICE_OPTIONAL fields wanted
  // Of groups with a "name" and a "value" (headers): in lower case, names whose values are hidden.
  std::set<std::string, std::less<>> redacted;
  std::string salt;                // key of what stands in their place

  // In alerts.
  bool payload = false, payload_printable = false, payload_length = false, packet = false;
  // Growing values (bodies) that a dissector has in alerts, if asked: coded, printable.
  bool bodies = false, bodies_printable = false;
  bool verdict = true, app_layer = true, flow = true;
  // The client that a proxy speaks for (SLUICE_FORWARDED): as alert.xff, or in place of
  // the address; of a list, reverse proxies are behind the last, forward ones behind the first.
  bool xff = false, xff_overwrite = false, xff_forward = false;
  bool rule_metadata = true, raw_rule = false, references = false;
  uint32_t payload_limit = 4096;   // bytes
  bool tagged_packets = true;      // packets that a rule's tag asks for
  // In drop records: each packet's, not the first of a flow each way.
  bool drop_all = false;
  bool drop_alerts = true, drop_verdict = false;
  bool anomaly_decode = true, anomaly_stream = true, anomaly_applayer = true;
  bool stats_totals = true, stats_threads = false, stats_deltas = false;
  bool stats_zero = true;          // counters that are 0
  std::map<std::string, RecordOptions, std::less<>> records;  // by dissector

  bool Dumps() const { return payload || payload_printable || packet || tagged_packets || bodies || bodies_printable; }
  bool Wants(std::string_view type) const { return all_types || types.contains(type); }
  bool Wants(const Schema& schema) const {
    return Wants(schema.name) || std::ranges::any_of(schema.record_types, [this](const std::string& type) { return Wants(type); });
  }
};

// The Ethernet addresses that one side of a flow was seen with; further ones are left out.
struct MacSet {
  static constexpr size_t kMax = 8;
  std::array<uint8_t, 6 * kMax> bytes{};
  uint8_t count = 0;
  void Add(Slice mac);  // 6 bytes
};

// Whether a field that was set shows in the dissector's own records, or in alerts.
bool FieldIsLogged(const EveOptions& options, const Schema& schema, const FieldInfo& field,
                   bool in_alert);
// Whether the log is a reason to compute it.
bool FieldIsWanted(const EveOptions& options, const Schema& schema, const FieldInfo& field);

// That an exception policy was asked, and what it said.
struct ExceptionView {
  std::string_view target, policy;
};

// What every record of a flow needs; filled by the worker.
struct FlowView {
  const Flow* flow = nullptr;      // null: the packet has none
  std::string_view app_proto;      // "" unknown, "failed", or a dissector's name
  std::string_view app_proto_original;
  std::string_view side_protos[2];  // by Direction: what it speaks, where that is another
  std::string_view community_id;   // "" not computed
  std::span<const std::string_view> flowbits;
  std::span<const std::pair<std::string_view, uint32_t>> flowints;
  using Texts = std::span<const std::pair<std::string_view, std::string_view>>;  // name, value
  Texts flow_texts, packet_texts;  // what rules captured
  const MacSet* macs = nullptr;    // by Direction of the sender; null: not kept
  std::span<const Slice> secrets;  // masked in dumps
  std::string_view tcp_state;
  uint64_t num_transactions = 0;
  std::string_view interface;      // live: on which it began; "" not known
  bool ts_gap = false, tc_gap = false;
  uint32_t urgent_bytes[2] = {0, 0};  // by Direction: taken out of its stream
  std::span<const ExceptionView> exceptions;  // flow records
  bool ts_data = false, tc_data = false;  // payload of a session was kept
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
  Address forwarded;               // filled by the writer: see EveOptions::xff
  const Transaction* tx = nullptr;
  bool tx_guessed = false;         // the match was in a packet or stream
  bool in_stream = false;
  Direction direction = Direction::kToServer;
  Slice payload;
  std::span<const std::pair<std::string_view, std::string_view>> contexts;  // key, JSON
};

struct AnomalyView {
  enum class Type : uint8_t { kDecode, kStream, kApplayer } type = Type::kDecode;
  std::string_view event;
  std::string_view layer;          // applayer: "proto_parser", "proto_detect"
  std::string_view app_proto;      // applayer
  Direction direction = Direction::kToServer;
  const uint64_t* tx_id = nullptr; // null: of no transaction
};

struct DropView {
  std::string_view reason;
  Direction direction = Direction::kToServer;
  const Rule* rule = nullptr;      // that dropped it; null: none did
  VerdictView verdict;
};

// A change of what the kernel drops, or one that a guard rail refused.
struct EnforcementView {
  struct Hits { uint64_t packets = 0, bytes = 0; };
  std::string_view op{};       // "add", "refresh", "expire", "reject"
  std::string_view scope{};    // "src_ip", "dest_ip", "src_net", "dest_net", "flow"
  std::string_view value{};    // address, network, or "a:1 b:2 TCP"
  std::string_view reason{};   // the rule's message
  std::string_view origin{};   // "rule", "operator", ...
  std::string_view map{};      // the kernel's drop map
  std::string_view conflict{}; // op "reject": the guard rail
  uint64_t sid = 0;
  uint32_t rate = 0;         // packets per second let through, 0: none
  bool reject = false;       // besides, both ends were told
  Nanos ttl{};               // 0: for ever
  std::optional<Hits> hits{};  // "expire": what the entry dropped
};

// That the sensor itself sees less than it should, or again all.
struct SensorView {
  std::string_view state;   // "degraded", "recovered"
  std::string_view what;    // the reason, in a word
  std::string_view detail;  // for people
  uint64_t sid = 0;         // of the rule concerned; 0: none
  struct Loss {
    uint64_t packets = 0;   // not seen since `since`
    Nanos since{};
    double percent = 0;     // of those that came in that time
  };
  std::optional<Loss> loss{};
};

// What looking at a rule took, on all workers, since the rules were loaded.
struct RuleCostView {
  uint32_t gid = 1, sid = 0;
  uint64_t checks = 0, matches = 0, alerts = 0;
  double ticks = 0;         // of one check on average
  uint64_t most_ticks = 0;  // of the longest that was timed
  double share = 0;         // percent of what all rules took
};

// Whether the flow's responder sent the packet.
inline bool FromServer(const Packet& packet, const Flow& flow) {
  return packet.source == flow.tuple.destination && packet.source_port == flow.tuple.destination_port;
}

using NamedCounters = std::vector<std::pair<std::string, uint64_t>>;

class EveWriter {
 public:
  // `out` null: nothing is written.
  EveWriter(const EveOptions& options, RecordSink* out);

  void Alert(const Packet& packet, const FlowView& flow, const AlertView& alert);
  void Arp(const Packet& packet);  // packet.arp is set
  void Drop(const Packet& packet, const FlowView& flow, const DropView& drop);
  // A packet behind an alert, whole.
  void TaggedPacket(const Packet& packet, const FlowView& flow, Direction direction);
  // The protocol record of a completed transaction.
  void TransactionRecord(const Packet& packet, const FlowView& flow, const Transaction& tx);
  void FileRecord(const Packet& packet, const FlowView& flow, const Transaction& tx,
                  const FileInfo& file);
  void Anomaly(const Packet& packet, const FlowView& flow, const AnomalyView& anomaly);
  void FlowRecord(const FlowView& flow, FlowEndReason reason, Nanos now);
  // One for each direction that had packets; only if the type was asked for by name.
  void NetflowRecords(const FlowView& flow, Nanos now);
  // `flow` and `packet` that caused it, if any did.
  void Enforcement(Nanos now, const FlowView& flow, const Packet* packet, const EnforcementView& what);
  // `packet`: at which it came to light; null: none.
  void Sensor(Nanos now, const FlowView& flow, const Packet* packet, const SensorView& sensor);
  // The dearest rules, dearest first; nothing of none.
  void RuleStats(Nanos now, std::span<const RuleCostView> rules);
  // Counters by dotted name, sorted; `uptime` in seconds.
  void Stats(Nanos now, uint64_t uptime, const NamedCounters& counters);
  // The capture file that packets come from: pcap_filename.
  void set_capture(std::string_view path) { capture_ = path; }
  // Live: on which packets come from now on; outlives the writer.
  void set_interface(std::string_view name) { interface_ = name; }

  uint64_t records() const { return records_; }

 private:
  // What is written of a dissector, decided when its first record is.
  struct Plan {
    bool made = false, wanted = false;
    int compat = 8;              // whose form its own records have
    const RecordOptions* options = nullptr;  // null: none were given
    bool listed = false;         // users chose among the values of an ENUM
    bool splits = false;         // some group of it has records of its own
    std::vector<bool> names, values_of_names;  // by field: a pair's "name", its "value"
    std::vector<uint8_t> shown;  // by field: kInRecord, kInAlert, kListed
    std::vector<std::vector<uint64_t>> values;  // by field: those chosen, where kListed
  };

  bool Wants(RecordType type) const { return wanted_[static_cast<size_t>(type)]; }
  Plan& PlanOf(const Schema& schema);
  void Begin(RecordType type, std::string_view name, Nanos time, const FlowView& flow,
             const Packet* packet);
  void Ends(const Address& source, uint16_t source_port, const Address& destination,
            uint16_t destination_port, uint8_t protocol, bool ports);
  void PacketEnds(const Packet& packet);
  void Tunnel(const Packet& packet);
  void FlowEnds(const Flow& flow, bool reversed);
  std::string_view EnterLevels(std::string_view name, std::vector<std::string_view>* open);
  struct StatsLevel {
    size_t keys = 0;       // written, or to be
    bool crowded = false;  // no room for a delta of each
  };
  using Levels = std::map<std::string_view, StatsLevel>;  // by "a.b."
  static Levels CountKeys(const NamedCounters& counters);
  bool WriteOldName(std::string_view name, uint64_t value, std::vector<std::string_view>* open);
  void WriteDelta(const std::string& name, std::string_view leaf, uint64_t value, StatsLevel* level);
  void OpenLevel(std::string_view name);
  void CloseLevel(std::string_view name);
  Address ForwardedClient(const Transaction* tx) const;
  bool ServerIsSource(const Packet& packet, const Flow& flow, const Transaction& tx);
  bool IsMerged(const FieldInfo& info, const FieldValue& group, uint8_t shown) const;
  bool IsRefused(const Plan& plan, std::span<const FieldValue> values) const;
  bool IsChosen(const Plan& plan, const Transaction& tx) const;
  void WriteTransaction(const Packet& packet, const FlowView& flow, const Transaction& tx);
  void Direct(const FlowView& flow, Direction direction);
  // `reversed`: the record's source is the packet's destination, or the flow's responder.
  void Tail(const Packet* packet, const FlowView& flow, bool reversed = false);
  void EtherObject(const Packet* packet, const FlowView& flow, bool reversed);
  void DropIp(const Packet& packet);
  void DropTransport(const Packet& packet);
  void Macs(std::string_view key, const MacSet& set);
  void Metadata(const FlowView& flow);
  void Captured(std::string_view key, FlowView::Texts texts);
  void Flowbits(std::string_view key, std::span<const std::string_view> bits,
                std::string_view prefix);
  void AppProto(const FlowView& flow);
  void ProtocolObject(const Transaction& tx, bool in_alert);
  void WriteLevel(const Schema& schema, std::span<const FieldValue> values, std::string_view prefix,
                  uint8_t shown);
  void WriteValue(const FieldInfo& info, const FieldValue& value);
  bool IsHidden(const Plan& plan, std::span<const FieldValue> level, const FieldValue& value) const;
  void WriteHidden(Slice value);
  void WriteBody(std::string_view key, Slice body);
  void RuleObject(const AlertView& alert, const Packet& packet);
  void RuleMetadata(const Rule& rule);
  void Payload(const AlertView& alert, const FlowView& flow);
  void PacketDump(const Packet& packet, const FlowView& flow);
  void VerdictObject(const VerdictView& verdict);
  void FlowObject(const Flow& flow, bool with_ends);
  void AlertFiles(const Transaction& tx);
  void FileObject(const FileInfo& file, uint64_t tx_id, bool in_alert);
  void TcpFlags(const Flow& flow);
  void TcpFlagNames(uint8_t flags);
  void Span(const Flow& flow);
  void Elephant(const Flow& flow);
  void NetflowRecord(const FlowView& view, size_t direction, Nanos now);
  void Bypassed(const Flow& flow);
  void Exceptions(const FlowView& view);
  Slice Masked(Slice bytes, std::span<const Slice> secrets);
  void End();

  const EveOptions options_;
  const Redactor redactor_;
  RecordSink* out_;
  std::array<bool, static_cast<size_t>(RecordType::kProtocol)> wanted_{};
  std::vector<Plan> plans_;                // by Schema::id
  std::vector<std::string_view> written_;  // names on the levels being written; a stack
  const FieldValue* record_group_ = nullptr;  // RECORD_EACH: that whose record is written
  std::span<const Slice> secrets_;  // of the flow whose alert is written
  std::string scratch_;
  std::string_view capture_, interface_;
  RecordType type_ = RecordType::kAlert;   // of the record being written
  JsonWriter json_;
  std::string line_;
  std::map<std::string, uint64_t, std::less<>> last_stats_;  // for deltas
  std::vector<uint8_t> masked_;  // scratch
  uint64_t records_ = 0;
};

// "TCP", "UDP", "IPv6-ICMP" ...; a number without a name as three digits.
std::string_view IpProtocolName(uint8_t protocol);
// Community ID version 1, appended.
void AppendCommunityId(const Tuple& tuple, uint16_t seed, std::string* out);

}  // namespace sluice
