// Commands that judge or rewrite rules: check, rules cost, rules convert.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/app/keywords.h"
#include "engine/app/plugins.h"
#include "engine/app/runtime.h"
#include "engine/rules/problem.h"
#include "engine/base/cycles.h"
#include "engine/base/file.h"
#include "engine/rules/convert.h"
#include "engine/rules/lint.h"
#include "engine/rules/text.h"
#include "engine/tap/pcap_tap.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

// From so many nanoseconds for each KiB of traffic that could concern it, a rule is dear:
// a thousand like it take a core at 8 Gbit/s.
constexpr double kDear = 100;

// What check says beyond what loading found.
std::vector<RuleProblem> Warnings(const RuleProgram& program) {
  std::vector<RuleProblem> out = FindRulesThatNeverMatch(program.rules());
  for (const Rule& rule : program.rules().rules) {
    const double cost = program.PredictedCost(rule);
    if (cost < kDear) continue;
    const bool tried = program.FastPatternOf(rule).empty();
    const char* engine = RegexEngineName(program.EngineOf(rule).engine);
    out.push_back({RuleProblem::Severity::kWarning, rule.place, 0, rule.sid,
                   tried ? fmt::format("no fast pattern: it is tried on all traffic of its header, about {:.0f} ns for each KiB (regex {}); give it a content", cost, engine)
                         : fmt::format("costly: about {:.0f} ns for each KiB, as its fast pattern is short or common (regex {}); give it a longer content", cost, engine)});
  }
  return out;
}

Json ToJson(const RuleProblem& p) {
  return {{"file", p.place.file}, {"line", p.place.line}, {"column", p.column}, {"sid", p.sid},
          {"severity", p.severity == RuleProblem::Severity::kError ? "error" : "warning"},
          {"message", p.message}};
}

std::string Dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

// Inspects the capture with the runtime's rules and no logs.
Result<std::unique_ptr<Worker>> Inspect(const CommandLine& line, const Runtime& runtime) {
  auto tap = PcapTap::Open(line.capture, line.bpf_filter);
  if (!tap) return std::unexpected(tap.error());
  auto worker = Worker::Create(MakeWorkerOptions(runtime.options), *runtime.catalog, runtime.rules.program, {}, nullptr);
  if (!worker) return worker;
  PcapTap::Frame frame;
  for (auto more = (*tap)->Next(&frame); !more || *more; more = (*tap)->Next(&frame)) {
    if (!more) return std::unexpected(more.error());
    (*worker)->Process(frame.link, frame.bytes, frame.time, frame.number, frame.wire_len);
  }
  (*worker)->Shutdown();
  return worker;
}

struct CostRow {
  const Rule* rule;
  double predicted;
  RuleCost real;
};

std::vector<CostRow> CostRows(const RuleProgram& program, std::span<const RuleCost> costs) {
  std::vector<CostRow> rows;
  for (size_t rank = 0; rank < program.num_ranks(); ++rank) {
    const Rule& rule = program.RuleAt(rank);
    rows.push_back({&rule, program.PredictedCost(rule), rank < costs.size() ? costs[rank] : RuleCost{}});
  }
  std::ranges::stable_sort(rows, [](const CostRow& a, const CostRow& b) {
    const auto x = a.real.EstimatedCycles(), y = b.real.EstimatedCycles();
    return x != y ? x > y : a.real.checks != b.real.checks ? a.real.checks > b.real.checks : a.predicted > b.predicted;
  });
  return rows;
}

}  // namespace

int RunCheck(const CommandLine& line) {
  auto created = Runtime::Create(line, false);
  if (!created) return Complain(created.error());
  const Runtime& runtime = **created;
  const RuleProgram& program = *runtime.rules.program;
  const RuleSet& rules = program.rules();
  std::vector<RuleProblem> problems = runtime.rules.problems;
  std::ranges::move(Warnings(program), std::back_inserter(problems));
  if (line.json) {
    Json out = {{"loaded", program.num_ranks()}, {"failed", runtime.rules.num_failed},
                {"inactive", runtime.rules.num_inactive}, {"problems", Json::array()}};
    for (const RuleProblem& p : problems) out["problems"].push_back(ToJson(p));
    fmt::print("{}\n", Dump(out));
  } else {
    for (const Error& problem : runtime.plugin_problems) fmt::print("plug-in: {}\n", problem.message);
    for (const RuleProblem& problem : problems) fmt::print("{}\n", FormatProblem(problem));
    for (const Rule& rule : rules.rules) {
      if (line.verbose == 0) break;
      const auto choice = program.EngineOf(rule);
      fmt::print("sid {}: fast pattern \"{}\" regex {} {}\n", rule.sid, EncodeContent(program.FastPatternOf(rule)),
                 RegexEngineName(choice.engine), choice.reason);
    }
    fmt::print("{} rules loaded, {} failed, {} inactive\n", program.num_ranks(), runtime.rules.num_failed,
               runtime.rules.num_inactive);
  }
  return runtime.rules.num_failed > 0 || !runtime.plugin_problems.empty() ? 1 : 0;
}

int RunCost(const CommandLine& line) {
  auto created = Runtime::Create(line, false);
  if (!created) return Complain(created.error());
  const RuleProgram& program = *(*created)->rules.program;
  std::unique_ptr<Worker> worker;
  if (!line.capture.empty()) {
    auto inspected = Inspect(line, **created);
    if (!inspected) return Complain(inspected.error());
    worker = std::move(*inspected);
  }
  std::vector<CostRow> rows = CostRows(program, worker ? worker->rule_costs() : std::span<const RuleCost>());
  rows.resize(std::min(rows.size(), line.most));
  const auto micros = [](const RuleCost& cost) { return cost.EstimatedCycles() / CyclesPerMicrosecond(); };
  if (line.json) {
    Json out = Json::array();
    for (const CostRow& row : rows) {
      Json one = {{"sid", row.rule->sid}, {"gid", row.rule->gid}, {"message", row.rule->message},
                  {"predicted_ns_per_kib", row.predicted}};
      if (worker) {
        one["checks"] = row.real.checks;
        one["matches"] = row.real.matches;
        one["time_us"] = micros(row.real);
      }
      out.push_back(std::move(one));
    }
    fmt::print("{}\n", Dump(out));
    return 0;
  }
  fmt::print("{:>10} {:>10} {:>10} {:>10}  {}\n", "ns/KiB", "time us", "checks", "matches", "rule");
  for (const CostRow& row : rows) {
    fmt::print("{:>10.2f} {:>10} {:>10} {:>10}  {} {}\n", row.predicted, micros(row.real), row.real.checks,
               row.real.matches, row.rule->sid, row.rule->message);
  }
  return 0;
}

int RunConvert(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  std::vector<Error> plugin_problems;
  const auto catalog = LoadCatalog(options->plugin_dirs, options->plugin_options, &plugin_problems);
  if (!catalog) return Complain(catalog.error());
  const std::string& path = line.paths.front();
  const auto text = ReadFile(path, "rule file");
  if (!text) return Complain(text.error());
  std::vector<RuleProblem> problems;
  const std::string out = path.ends_with(".toml") ? TomlToRules(*text, path, &problems)
                                                  : RulesToToml(*text, path, CatalogKeywords(**catalog), &problems);
  fmt::print("{}", out);
  for (const RuleProblem& problem : problems) fmt::print(stderr, "{}\n", FormatProblem(problem));
  return problems.empty() ? 0 : 1;
}

}  // namespace sluice
