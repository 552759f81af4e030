// engine/app/runtime.h
// What all commands that inspect traffic share: options, dissectors, rules, logs.
//
// Threads: built on the main thread; immutable for workers, but for the rules,
//   which Reload() swaps as a whole.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/app/command_line.h"
#include "engine/app/logs.h"
#include "engine/app/worker.h"
#include "engine/config/options.h"
#include "engine/dissect/catalog.h"
#include "engine/match/dataset.h"
#include "engine/match/match.h"

namespace sluice {

// Defaults, then the configuration, then --set, then the command line.
Result<Options> BuildOptions(const CommandLine& line);
WorkerOptions MakeWorkerOptions(const Options& options);

struct LoadedRules {
  std::shared_ptr<const RuleProgram> program;
  std::vector<RuleProblem> problems;  // of parsing and of compiling
  uint32_t num_failed = 0, num_inactive = 0, num_skipped = 0;
  uint64_t bytes = 0;  // by which loading made the process grow
  Nanos loaded{};      // wall clock
  void CollectCounters(NamedCounters* out) const;  // under EVE's names
};
// `datasets` outlives every program loaded with it.  `before`: the rules whose place
// these take, if there are any.
Result<LoadedRules> LoadRules(const Options& options, const Catalog& catalog,
                              DatasetRegistry* datasets, const RuleProgram* before = nullptr);

// "file:line:column: sid 5: message"
class Runtime {
 public:
  // Loads everything; with `logs` also opens the log files.
  static Result<std::unique_ptr<Runtime>> Create(const CommandLine& line, bool logs);

  Options options;
  std::unique_ptr<Catalog> catalog;
  std::vector<Error> plugin_problems;
  std::unique_ptr<DatasetRegistry> datasets;
  LoadedRules rules;
  Logs logs;
  std::shared_ptr<EngineLog> engine_log;  // null: there is none

  // Of rules that do not load, into the engine's log.
  void LogProblems() const;
  // Tells the dissectors what rules and logs want.
  void UpdateWanted();
};

// Commands; each returns the exit code.
int RunReplay(const CommandLine& line);
int RunCheck(const CommandLine& line);
int RunExplain(const CommandLine& line);
int RunCost(const CommandLine& line);
int RunConvert(const CommandLine& line);
int RunLive(const CommandLine& line);
int RunDrops(const CommandLine& line);
int RunStatus(const CommandLine& line);
int RunDoctor(const CommandLine& line);
int PrintSettings(const CommandLine& line);
int RunReload(const CommandLine& line);

// Prints "sluice: message" on stderr; returns `code`.
int Complain(const Error& error, int code = 1);

}  // namespace sluice
