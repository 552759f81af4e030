// engine/app/logs.h
// The logs that the options ask for, and who writes them: replay's own thread, or
// live a writer thread that empties a queue per worker.
//
// Threads: the main thread; the sinks belong to the thread they are given to.
// Memory: live, log.queue-size per producer.
// Errors: Open() names the log that cannot be written.
#pragma once

#include <memory>
#include <vector>

#include "engine/app/worker.h"
#include "engine/config/options.h"
#include "engine/dissect/catalog.h"
#include "engine/output/engine_log.h"
#include "engine/output/file_store.h"
#include "engine/output/log_writer.h"
#include "engine/output/value_store.h"

namespace sluice {

// Beside the standard error; spdlog writes into it, too.
Result<std::shared_ptr<EngineLog>> OpenEngineLog(const Options& options);

class Logs {
 public:
  static Result<Logs> Open(const Options& options);
  // Of each EVE log that is open, in order.
  static std::vector<EveOptions> MakeEveOptions(const Options& options);

  // The caller's thread writes.
  WorkerSinks Direct() const;
  // From here on a thread of ours does; `producers` others may queue records.
  void StartWriter(size_t producers, size_t queue_bytes, const Catalog& catalog);
  WorkerSinks Queued(size_t producer) const;
  void Reopen();  // after files were moved away
  // All is on its way to the kernel; producers have stopped.
  void Finish();

  const std::vector<std::unique_ptr<LogOutput>>& outputs() const { return outputs_; }
  // log.*: lines written and lost, and records that a full queue lost, by type.
  void CollectCounters(const Catalog& catalog, NamedCounters* out) const;

 private:
  struct Producer {
    std::unique_ptr<RecordQueue> queue;
    std::vector<std::unique_ptr<QueueSink>> sinks;  // by index of outputs_
  };
  WorkerSinks SinksOf(const std::vector<RecordSink*>& all) const;

  Result<void> OpenStores(const Options& options);
  void CollectStoreCounters(NamedCounters* out) const;
  void CollectValueCounters(NamedCounters* out) const;

  // EVE logs, then fast.log, the value store, the file store and the packet log as far as they are on.
  std::vector<std::unique_ptr<LogOutput>> outputs_;
  bool has_fast_ = false;
  const FileStore* store_ = nullptr;
  const ValueStore* values_ = nullptr;
  bool has_packets_ = false;
  std::vector<Producer> producers_;
  std::unique_ptr<LogWriter> writer_;
};

}  // namespace sluice
