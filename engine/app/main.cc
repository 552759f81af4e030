// The command's entry: parses the line, runs the command, turns what escapes
// into an exit code.
#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <exception>

#include "engine/app/command_line.h"
#include "engine/app/plugins.h"
#include "engine/app/runtime.h"
#include "engine/rules/parser.h"

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

namespace sluice {
namespace {

int WithCatalog(const CommandLine& line, bool keywords) {
  auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  std::vector<Error> problems;
  auto catalog = LoadCatalog(options->plugin_dirs, options->plugin_options, &problems);
  if (!catalog) return Complain(catalog.error());
  if (!keywords) return PrintPlugins(**catalog, problems, line.json);
  if (!line.json) {
    for (const auto& [name, help] : EngineKeywords()) fmt::print("{:<32}{:<19}{}\n", name, "engine", help);
  }
  return PrintKeywords(**catalog, line.json);
}

int Main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("sluice"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e level=%l %v");
  const auto parsed = ParseCommandLine(argc, argv);
  if (!parsed) return Complain(parsed.error(), 2);
  const CommandLine& line = *parsed;
  if (line.verbose > 1) spdlog::set_level(spdlog::level::debug);
  switch (line.command) {
    case Command::kHelp: fmt::print("{}", line.text); return 0;
    case Command::kVersion: fmt::print("sluice " SLUICE_VERSION "\n"); return 0;
    case Command::kRun: return RunLive(line);
    case Command::kReplay: return RunReplay(line);
    case Command::kCheck: return RunCheck(line);
    case Command::kDropsList:
    case Command::kDropsAdd:
    case Command::kDropsDelete:
    case Command::kDropsFlush: return RunDrops(line);
    case Command::kStatus: return RunStatus(line);
    case Command::kReload: return RunReload(line);
    case Command::kDoctor: return RunDoctor(line);
    case Command::kListSettings: return PrintSettings(line);
    case Command::kPluginList: return WithCatalog(line, false);
    case Command::kPluginCheck: return CheckPluginFiles(line.paths);
    case Command::kRulesExplain: return RunExplain(line);
    case Command::kRulesCost: return RunCost(line);
    case Command::kRulesConvert: return RunConvert(line);
    case Command::kPluginNew: {
      const auto written = WriteNewPlugin(line.paths.front());
      return written ? 0 : Complain(written.error());
    }
    case Command::kListKeywords: return WithCatalog(line, true);
  }
  return 2;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  try {
    return sluice::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "sluice: {}\n", error.what());
    return 1;
  }
}
