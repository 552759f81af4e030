// engine/dissect/dissector.h
// Drives plug-ins over the streams of one worker: probing, parsing, hand-over,
// transactions, limits.
//
// Threads: one per worker, confined to it.
// Memory: pools of flow states, transactions and blocks; nothing is allocated in
//   steady state.  Limits: DissectOptions; each has a counter in DissectStats.
// Errors: a plug-in that breaks the contract loses the flow, is counted here and
//   by name and reason in plugin_stats().
#pragma once

#include <memory>
#include <vector>

#include "engine/dissect/catalog.h"
#include "engine/dissect/file_magic.h"
#include "engine/dissect/file_parts.h"
#include "engine/dissect/file_sink.h"
#include "engine/dissect/flow_dissection.h"

namespace sluice {

// Fixed-size blocks for arenas, kept for reuse.
class BlockPool {
 public:
  static constexpr uint32_t kBlockBytes = 4096;

  Arena::Block Take(uint32_t least);
  void Give(Arena::Block block);

 private:
  std::vector<Arena::Block> free_;
};

class Dissector {
 public:
  // `sink`: where files are kept, null: nowhere.  It outlives the dissector.
  Dissector(const Catalog& catalog, const DissectOptions& options, FileSink* sink = nullptr);
  ~Dissector();
  Dissector(const Dissector&) = delete;
  Dissector& operator=(const Dissector&) = delete;

  // A state for a flow; give it back with Close().
  FlowDissection* Open(const FlowFacts& facts);
  // Whether the first bytes of a connection whose beginning was not seen speak as its other side:
  // no protocol knows them as `direction`'s, and one does as the other's.
  bool SpeaksAsOther(const FlowFacts& facts, Direction direction, Slice head);
  // In-order stream bytes, or one datagram (facts.transport says which).
  void Data(FlowDissection& flow, Direction direction, Slice bytes, Nanos now);
  void Gap(FlowDissection& flow, Direction direction, uint64_t bytes, Nanos now);
  // The direction has ended.
  void End(FlowDissection& flow, Direction direction, Nanos now);
  // The direction has no end that could be read: more was sent behind a hole.
  void Cut(FlowDissection& flow, Direction direction);
  // Ends both directions and completes all transactions, for a last look.
  void Finish(FlowDissection& flow, Nanos now);
  // Hands the sink what is there of files that were not to be kept before; after rules.
  // Whether any is to be kept.
  bool StoreFiles(FlowDissection& flow);
  // Closes files that their dissector has left open, as cut off; for transactions at their end.
  void CloseFiles(LiveTransaction& live);
  // Frees transactions that are logged and inspected both ways; forgets events and requests.
  void Retire(FlowDissection& flow);
  void Close(FlowDissection* flow);

  // The catalogue's latest word on which fields are wanted; between packets.
  void TakeWanted() { wanted_ = catalog_.wanted(); }
  // What rules want to know of files; between packets.
  void WantOfFiles(const FileWants& wants) {
    file_wants_ = options_.files | wants;
    rules_want_files_ = wants.md5 || wants.sha1 || wants.sha256 || wants.keep;
  }

  const DissectStats& stats() const { return stats_; }
  const FilePartsStats& part_stats() const { return parts_.stats(); }
  // Bytes that transactions hold now, by schema.
  const std::vector<uint64_t>& memory() const { return memory_; }
  const std::vector<PluginStats>& plugin_stats() const { return plugin_stats_; }  // by schema
  const DissectOptions& options() const { return options_; }

 private:
  friend struct HostCalls;

  void Feed(FlowDissection& flow, Direction direction, Slice bytes);
  static sluice_probe_input ProbeInput(const FlowFacts& facts, Direction direction, Slice head);
  void CheckSide(FlowDissection& flow, Direction direction, Slice head);
  bool Probe(FlowDissection& flow, Direction direction, Slice head);
  void FeedExpected(FlowDissection& flow, Direction direction, Slice bytes);
  bool TakeExpected(FlowDissection& flow);
  static void ForgetContext(FlowDissection& flow);
  void Bind(FlowDissection& flow, uint16_t schema);
  void Unbind(FlowDissection& flow);
  size_t Parse(FlowDissection& flow, Direction direction, Slice bytes);
  void ParseDatagram(FlowDissection& flow, Direction direction, Slice bytes);
  void StartParsing(FlowDissection& flow);
  bool ApplyHandover(FlowDissection& flow);
  void GiveUp(FlowDissection& flow);
  void Breached(FlowDissection& flow);
  bool TooSlow(FlowDissection& flow);
  PluginStats& StatsOf(const FlowDissection& flow) { return plugin_stats_[flow.schema_->id]; }
  bool TellGap(FlowDissection& flow, Direction direction, uint64_t bytes);
  void Withhold(FlowDissection& flow, Direction direction, uint64_t bytes);
  void Spend(FlowDissection& flow, Direction direction, uint64_t bytes);
  void ParsePending(FlowDissection& flow, Direction direction);
  void Stop(FlowDissection& flow, Direction direction);
  void KeepPending(FlowDissection& flow, Direction direction, Slice rest);
  void KeepUnknown(FlowDissection& flow, Direction direction, Slice bytes);
  void CompleteAll(FlowDissection& flow);
  // files.cc
  static void MarkGaps(FlowDissection& flow, Direction direction);
  void CloseFile(LiveTransaction::Window& window, FileInfo& file, bool truncated);
  void FindMagic(LiveTransaction::Window& window, FileInfo& file);
  bool BeginStoring(FileInfo& file, Slice window);

  LiveTransaction* NewTransaction(FlowDissection& flow, uint32_t flags);
  void Free(LiveTransaction* live);

  const Catalog& catalog_;
  const DissectOptions options_;
  DissectStats stats_;
  std::vector<PluginStats> plugin_stats_;  // by schema
  std::vector<uint64_t> memory_;           // by schema
  std::shared_ptr<const WantedFields> wanted_;
  FileWants file_wants_;
  bool rules_want_files_ = false;  // all of them, to their end
  FileMagic magic_;
  FileParts parts_;
  FileSink* const file_sink_;
  std::vector<uint8_t> work_;  // scratch: the bytes of the parse call that runs
  BlockPool blocks_;
  std::vector<std::unique_ptr<FlowDissection>> free_flows_;
  std::vector<std::unique_ptr<LiveTransaction>> free_transactions_;
};

}  // namespace sluice
