// engine/output/record_sink.h
// Where a worker puts records: a log itself (replay), or its queue (live).
// Threads: one sink belongs to one thread at a time.
// Errors: none to the caller; what cannot be taken is counted as lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

// What a record is, for counting losses.  kProtocol + Schema::id: a dissector's.
enum class RecordType : uint16_t {
  kAlert, kAnomaly, kArp, kDrop, kFile, kFlow, kNetflow, kPacket, kStats, kFast, kCapture,
  kEnforcement, kStored, kSensor, kRuleStats, kProtocol
};
inline RecordType ProtocolRecord(uint16_t schema) {
  return static_cast<RecordType>(static_cast<uint16_t>(RecordType::kProtocol) + schema);
}
// "alert", "flow" ...; "" for a dissector's.
constexpr std::string_view RecordTypeName(RecordType type) {
  constexpr std::string_view kNames[] = {"alert",   "anomaly", "arp",    "drop",  "fileinfo", "flow",
                                         "netflow", "packet",  "stats",  "fast",  "pcap",     "enforcement", "stored", "sensor", "rule_stats"};
  return type < RecordType::kProtocol ? kNames[static_cast<size_t>(type)] : std::string_view();
}

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  // A whole record; text with its newline.  False: it was lost on the way.
  virtual bool Put(RecordType type, std::string_view record) = 0;
};

}  // namespace sluice
