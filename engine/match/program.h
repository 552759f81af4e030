// engine/match/program.h
// The compiled form of a RuleSet, shared by compile.cc and detector.cc.
//
// Rules are numbered by rank: the order in which they are evaluated and
// reported.  All other indices are positions in the tables of Impl.
// Threads: immutable after Compile().
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/match/address_index.h"
#include "engine/match/confirm.h"
#include "engine/match/geo_database.h"
#include "engine/match/hash_list.h"
#include "engine/match/match.h"
#include "engine/match/prefilter.h"
#include "engine/match/reputation.h"
#include "engine/match/transform.h"

namespace sluice {

// When a rule is looked at.
enum class RuleClass : uint8_t {
  kAddress,   // header only: once per flow and direction
  kProtocol,  // app-layer-protocol alone: once per flow and direction, when known
  kPacket,    // each packet, its payload or the raw stream
  kFields,    // a transaction
};

struct CompiledInspection {
  const Inspection* inspection = nullptr;  // in the rule
  BufferKind kind = BufferKind::kPayload;
  KeywordId keyword = kNoKeyword;
  HeaderBuffer header = HeaderBuffer::kNone;
  Inspection::Absent absent = Inspection::Absent::kMismatches;
  bool anchored = false;  // offset or depth count from the buffer's start
  bool of_packet = false;  // looks at payloads of packets, never at the stream
  uint8_t directions = 3;  // whose values count; only transactional rules narrow it
  uint16_t chain = 0;     // of Impl::chains; 0 is the empty one
  ConfirmProgram confirm;
};

struct CompiledFileTest {
  const FileTest* test = nullptr;  // in the rule
  const HashList* list = nullptr;  // FileHashTest: what it names
};

struct CompiledRule {
  const Rule* rule = nullptr;
  RuleClass kind = RuleClass::kPacket;
  uint8_t directions = 3;                     // bit per Direction
  bool flow_direction = false;                // flow:to_server or to_client given
  bool transactional = false;                 // fields of both directions at once
  bool on_packets = true, on_stream = false;  // kPacket with payload tests
  bool has_payload = false;
  bool captures = false;                      // some expression keeps groups
  bool reassembled_only = false;              // flow:only_stream: never on a segment for itself
  bool has_event = false;                            // app-layer-event
  uint8_t protocol_needs = 0;                        // kProtocol: bits of FlowVars::app_known_
  bool has_state = false;                            // app-layer-state, or a hook
  bool needs_transaction = false;                    // reads or sets bits of one
  bool any_app = true;                               // the header names no protocol
  std::vector<uint16_t> apps;                        // else: schemas that answer to it
  uint32_t sources = 0, destinations = 0;            // address sets
  uint32_t source_ports = 0, destination_ports = 0;  // port sets
  std::vector<CompiledInspection> payload;           // kPayload and kHeader
  std::vector<CompiledInspection> fields;            // kField and those of files
  std::vector<CompiledFileTest> file_tests;
  bool on_files = false;                             // Rule::OnFiles()
  std::vector<uint16_t> events;                      // packet event ids asked for
  std::string fast_pattern;
  const Inspection* fast_in = nullptr;  // where it is looked for
  bool fast_nocase = false;
  uint32_t fast_head = 0;  // > 0: it lies within so many first bytes
  RegexEngine engine = RegexEngine::kNone;
  std::string engine_reason;
};

// Rules by the one port that a packet must have.
class PortIndex {
 public:
  void Add(uint32_t rule, const RuleHeader& header);
  void Finish();
  template <typename F>
  void ForEach(uint16_t source, uint16_t destination, F&& f) const {
    for (uint32_t rule : any_) f(rule);
    Range(by_source_, source, f);
    Range(by_destination_, destination, f);
  }
  size_t size() const { return any_.size() + by_source_.size() + by_destination_.size(); }

 private:
  using Entries = std::vector<std::pair<uint16_t, uint32_t>>;  // sorted
  template <typename F>
  static void Range(const Entries& entries, uint16_t port, F&& f) {
    auto it =
        std::lower_bound(entries.begin(), entries.end(), std::pair<uint16_t, uint32_t>(port, 0));
    for (; it != entries.end() && it->first == port; ++it) f(it->second);
  }
  std::vector<uint32_t> any_;
  Entries by_source_, by_destination_;
};

// Payload rules of one transport and direction.
struct PayloadGroup {
  LiteralDatabase literals;
  // Short literals that must lie in the first kHeadBytes: only these are scanned.
  LiteralDatabase head;
  PortIndex always;  // no fast pattern, or a short one on few ports
};
inline constexpr size_t kHeadBytes = 256;
inline constexpr size_t kShortLiteral = 4;  // below: costs more to scan for than it saves
inline constexpr size_t kMaxLiteral = 64;

enum Transport : uint8_t {
  kTransportTcp,
  kTransportUdp,
  kTransportIcmp,
  kTransportIcmp6,
  kTransportOther,
  kNumTransports
};

inline bool IsFileBuffer(BufferKind kind) {
  return kind == BufferKind::kFileData || kind == BufferKind::kFileName || kind == BufferKind::kFileMagic;
}
inline constexpr size_t kNumFileBuffers = 3;
inline size_t FileBufferIndex(BufferKind kind) {
  return kind == BufferKind::kFileData ? 0 : kind == BufferKind::kFileName ? 1 : 2;
}

// One field (or part of files) in one direction through one transform chain.
struct FieldGroup {
  uint16_t chain = 0;
  LiteralDatabase literals;
};

struct RuleProgram::Impl {
  RuleSet rules;
  std::vector<RuleProblem> problems;
  std::vector<CompiledRule> compiled;  // by rank
  std::vector<uint32_t> rank_of;       // by Rule::index; UINT32_MAX: left out
  std::vector<std::unique_ptr<Regex>> regexes;
  std::vector<std::unique_ptr<const std::vector<Capture>>> captures;  // of their rules
  std::vector<std::unique_ptr<ConfirmProgram>> decoded;  // of base64_decode
  std::vector<TransformChain> chains;                    // [0] is empty
  std::vector<std::shared_ptr<Dataset>> datasets;
  std::map<std::pair<std::string, FileHash>, HashList> hash_lists;  // by path
  std::shared_ptr<const Reputation> reputation;  // null: nothing is known
  std::shared_ptr<const GeoDatabase> countries;  // null: no rule asks
  std::vector<AddressSet> address_sets;
  std::vector<PortSet> port_sets;

  AddressIndex address_rules;  // tried once a flow and direction
  std::vector<uint32_t> protocol_rules, event_rules;
  std::vector<uint32_t> packet_event_rules;  // decode-event, stream-event
  PayloadGroup packet[kNumTransports][2];
  PayloadGroup stream[2];
  std::vector<FieldGroup> field_groups;
  std::vector<std::vector<uint16_t>> groups_of[2];  // by direction, KeywordId: field groups
  std::vector<uint16_t> file_groups[kNumFileBuffers][2];  // by FileBufferIndex(), direction
  std::vector<std::vector<uint32_t>>
      always_fields[2];                   // by direction, schema: rules without literal
  std::vector<uint32_t> always_files[2];  // no keyword, no protocol
  std::vector<uint32_t> new_file_rules[2];  // on files, without literal: tried when one begins
  std::vector<uint8_t> keyword_stage[2];   // by KeywordId
  std::vector<uint8_t> keyword_directions;  // by KeywordId
  std::vector<uint64_t> xbit_keys;        // by xbit name index: the same after a reload
  std::map<std::string, int, std::less<>> event_ids;
  std::vector<bool> wanted;
  bool wants_stream = false;
  bool has_tags = false;
  bool counts_ports = false;  // some detection_filter has unique_on
  FileWants wants_of_files;
  uint32_t generation = 0;
  uint64_t hash = 0;
  uint32_t max_literal = 0;
  Summary summary;
};

bool ContainsAddress(const AddressSet& set, const Address& address);
bool ContainsPort(const PortSet& set, uint16_t port);

}  // namespace sluice
