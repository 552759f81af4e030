// engine/app/command_line.h
// What the user asked for.  The option letters keep Suricata's meaning.
// Threads: main thread.  Errors: kInvalidArgument with a suggestion; exit code 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace sluice {

enum class Command : uint8_t {
  kHelp,      // `text` is to be printed, exit 0
  kVersion,
  kRun,
  kReplay,
  kCheck,
  kDropsList, kDropsAdd, kDropsDelete, kDropsFlush,
  kStatus,
  kReload,
  kPluginList,
  kPluginCheck,
  kRulesExplain,
  kRulesCost,
  kRulesConvert,
  kPluginNew,
  kListKeywords,
  kListSettings,
  kDoctor,
};

struct CommandLine {
  Command command = Command::kHelp;
  std::string text;                      // kHelp
  std::string config;                    // -c
  std::vector<std::string> interfaces;   // -i
  std::string capture;                   // -r: file or directory
  std::vector<std::string> rules;        // -S (exclusive) or -s (in addition)
  bool rules_exclusive = false;          // -S was used
  std::string log_dir;                   // -l
  std::string data_dir;                  // --data-dir
  std::string checksum_mode;             // -k: all, none
  std::string bpf_filter;                // -F file's text, or trailing words
  std::string pid_file;
  std::vector<std::string> settings;     // --set key=value
  std::vector<std::string> plugin_dirs;  // --plugin-dir, before the default one
  uint32_t verbose = 0;                  // -v
  uint32_t workers = 0;                  // --workers; 0: configuration
  bool test_only = false;                // -T
  bool daemon = false;                   // -D
  bool simulate_ips = false;
  bool json = false;                     // --json
  bool quiet = false;                    // -q
  // rules
  uint32_t sid = 0;                      // --sid
  size_t most = 10;                      // --most: how many explanations
  // drops
  std::string drop_scope;                // source, destination
  std::string drop_value;
  std::string drop_ttl = "10m";
  uint64_t drop_sid = 0;
  std::vector<std::string> paths;        // plugin check; plugin new: the name
};

Result<CommandLine> ParseCommandLine(int argc, char** argv);

}  // namespace sluice
