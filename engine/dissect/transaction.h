// engine/dissect/transaction.h
// One exchange in a protocol, as rules and logs see it.
//
// Memory: values live in the transaction's arena and die with it; spans and
//   slices are valid until the next call into the flow's dissector.
// Threads: confined to the flow's worker.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/digest.h"
#include "engine/base/types.h"
#include "engine/dissect/schema.h"

namespace sluice {

// A value set by the dissector, in the order set.  Group markers keep the shape
// of the log: type kGroup with number 1 opens, 0 closes.
struct FieldValue {
  uint16_t field = 0;  // index into Schema::fields; UINT16_MAX: the end of a group
  KeywordId keyword = kNoKeyword;
  FieldType type = FieldType::kBytes;
  Direction direction = Direction::kToServer;
  bool complete = true;  // kChunks: no more will come
  bool cut = false;      // a memory cap cut it
  uint64_t number = 0;   // kUint, kBool, kEnum; kInt and kTime as two's complement
  uint64_t total = 0;    // kChunks: bytes seen, also those no longer kept
  Slice bytes;           // kBytes, kAddress, kChunks: the window kept
};

struct TransactionEvent {
  uint16_t index = 0;  // into Schema::events
  Direction direction = Direction::kToServer;
};

// What must be known of files: of each that begins from now on.
struct FileWants {
  bool md5 = false, sha1 = false, sha256 = false, magic = false;
  bool keep = false;  // some may have to be kept when their content is known
  FileWants operator|(const FileWants& o) const {
    return {md5 || o.md5, sha1 || o.sha1, sha256 || o.sha256, magic || o.magic, keep || o.keep};
  }
};

// A file carried by a transaction; engine/dissect computes size, hashes and magic.
struct FileInfo {
  static constexpr size_t kMagicBytes = 512;  // known once so many are there, or all
  static constexpr size_t kMaxSids = 8;
  Direction direction = Direction::kToServer;
  Slice name;
  uint64_t size = 0;        // bytes, with those that are missing
  uint64_t missing = 0;     // bytes that were lost, as far as is known
  bool closed = false;
  bool truncated = false;
  bool has_gap = false;
  bool inspected = false;   // rules have had their look at all of it
  bool logged = false;      // its record is written
  Slice data;               // inspection window: first bytes up to the limit
  HexDigest md5, sha1, sha256;  // once closed, if computed
  mutable std::string magic;  // "" not known yet, or not wanted; found out once asked for
  bool keep = false;        // some rule, or the configuration, wants it stored
  uint64_t store_id = 0;    // of the file store; 0: nothing of it was stored yet
  bool unstorable = false;  // the store could not take it
  bool stored = false;      // all that was seen of it was
  uint64_t whole = 0;       // of which larger one it is a part, see FileParts; 0: of none
  uint64_t whole_at = 0;    // where in it
  std::array<uint32_t, kMaxSids> sids{};  // rules that had it kept
  uint8_t num_sids = 0;
  void KeepFor(uint32_t sid) {
    keep = true;
    const auto end = sids.begin() + num_sids;
    if (num_sids < kMaxSids && std::find(sids.begin(), end, sid) == end) sids[num_sids++] = sid;
  }
};

// Scratch that engine/match keeps with a transaction: what was scanned and
// which rules are candidates or have matched.  dissect only clears it.
struct InspectionState {
  uint32_t generation = 0;  // of the rules that the indices below belong to
  struct Growing {  // a kChunks value (its index) or a file (index | kFile)
    static constexpr uint32_t kFile = 0x80000000u;
    uint32_t owner = 0;
    uint32_t scanned = 0;  // bytes of its window through the prefilter
    bool final = false;
    bool magic = false;    // a file's magic too
  };
  uint32_t num_scanned[2] = {0, 0};  // values already through the prefilter or in `growing`
  uint32_t num_files[2] = {0, 0};    // files in `growing`
  uint64_t seen[2] = {0, 0};         // what was there at the last look, as a fingerprint
  std::vector<Growing> growing;
  std::vector<uint32_t> candidates;  // rule indices, sorted, unique
  // Rule index and direction, and in the upper half which file + 1 if the rule is on
  // each file: must not fire again.
  std::vector<uint64_t> matched;
  static constexpr size_t kMaxBits = 64;
  std::vector<uint32_t> bits;  // that rules keep with the transaction, by their number
  void Clear() {
    num_scanned[0] = num_scanned[1] = num_files[0] = num_files[1] = 0;
    seen[0] = seen[1] = 0;
    growing.clear();
    candidates.clear();
    matched.clear();
    bits.clear();
  }
};

struct Transaction {
  uint64_t number = 0;  // from 0 in the flow: what the dissector calls it
  uint64_t id = 0;      // from 0 since the last hand-over: EVE's tx_id
  const Schema* schema = nullptr;
  uint8_t directions = 3;           // bit per Direction that this transaction has
  uint8_t stage[2] = {0, 0};        // by Direction
  bool complete[2] = {false, false};
  bool no_log = false;              // its dissector asks for no record
  bool quiet = false;               // a rule asks for none
  uint8_t keep_files = 0;           // bit per Direction: all its files are to be kept
  uint8_t keep_values = 0;          // bit per Direction: rules want its SLUICE_STORE values
  uint8_t values_kept = 0;          // ... and have them
  bool session = false;             // the flow itself: SLUICE_TX_SESSION
  bool log_early = false;           // SLUICE_TX_LOG_EARLY
  bool logged = false;              // its record is written, or it has none
  uint32_t num_events_logged = 0;
  bool inspected[2] = {false, false};  // rules had their last look, by Direction
  Nanos started{}, ended{};
  Nanos stage_time[2] = {};         // time of the last stage change by Direction
  Nanos request_end{}, answer_start{};  // told by tx_stage(); 0: not yet
  std::vector<FieldValue> values;
  std::vector<TransactionEvent> events;
  std::vector<FileInfo> files;
  InspectionState inspection;
  bool done() const { return complete[0] && complete[1]; }
};

}  // namespace sluice
