// sluice replay and sluice check.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/app/runtime.h"
#include "engine/rules/problem.h"
#include "engine/tap/pcap_tap.h"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kRulesShown = 25;  // in rule_stats

void PrintProblems(const Runtime& runtime, bool quiet) {
  for (const Error& problem : runtime.plugin_problems) {
    fmt::print(stderr, "sluice: plug-in not loaded: {}\n", problem.message);
  }
  if (quiet) return;
  constexpr size_t kShown = 20;
  size_t shown = 0;
  for (const RuleProblem& problem : runtime.rules.problems) {
    if (problem.severity != RuleProblem::Severity::kError) continue;
    if (++shown > kShown) continue;
    fmt::print(stderr, "{}\n", FormatProblem(problem));
  }
  if (shown > kShown) {
    fmt::print(stderr, "... and {} more; sluice check shows them all\n", shown - kShown);
  }
}

// One line, rewritten at most five times a second, on a terminal only.
class Progress {
 public:
  explicit Progress(bool on) : on_(on), start_(Clock::now()), last_(start_) {}

  void Update(const PcapTap& tap, uint64_t packets) {
    if (!on_ || (packets & 0x3ff) != 0) return;
    const auto now = Clock::now();
    if (now - last_ < std::chrono::milliseconds{200}) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double done = static_cast<double>(tap.bytes_read());
    const double rate = done / seconds;
    const double left = rate > 0 ? (static_cast<double>(tap.bytes_total()) - done) / rate : 0;
    fmt::print(stderr, "\r{:3.0f} %  {} packets  {:.1f} MB/s  {:.0f} s left   ",
               100 * done / std::max<double>(1, static_cast<double>(tap.bytes_total())), packets,
               rate / 1e6, left);
    shown_ = true;
  }
  void End() const {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }

 private:
  const bool on_;
  const Clock::time_point start_;
  Clock::time_point last_;
  bool shown_ = false;
};

void PrintSummary(const Runtime& runtime, const Worker& worker, double seconds) {
  NamedCounters counters;
  worker.CollectCounters(&counters);
  std::map<std::string, uint64_t> by_name(counters.begin(), counters.end());
  const WorkerStats& s = worker.stats();
  fmt::print("{} packets, {} bytes in {:.2f} s ({:.2f} Gbit/s)\n", s.packets, s.bytes, seconds,
             static_cast<double>(s.bytes) * 8 / 1e9 / std::max(seconds, 1e-9));
  fmt::print("flows      {}", by_name["flow.total"]);
  for (const auto& schema : runtime.catalog->schemas()) {
    if (const uint64_t n = s.apps[0][schema->id].flows + s.apps[1][schema->id].flows; n > 0) {
      fmt::print("  {} {}", schema->name, n);
    }
  }
  fmt::print("\nalerts     {}", s.alerts);
  if (s.blocked > 0) fmt::print("  dropped packets {}", s.blocked);
  fmt::print("\n");
  const auto& rules = runtime.rules.program->rules().rules;
  std::vector<size_t> order;
  for (size_t i = 0; i < worker.alerts_by_rule().size(); ++i) {
    if (worker.alerts_by_rule()[i] > 0) order.push_back(i);
  }
  std::ranges::sort(order, std::greater{}, [&](size_t i) { return worker.alerts_by_rule()[i]; });
  for (size_t i = 0; i < std::min<size_t>(order.size(), 10); ++i) {
    const Rule& rule = rules[order[i]];
    fmt::print("  {:>8} x {} {}\n", worker.alerts_by_rule()[order[i]], rule.sid, rule.message);
  }
  const std::pair<const char*, const char*> losses[] = {
      {"tcp.reassembly_gap", "stream gaps"},
      {"tcp.segment_memcap_drop", "segments at the memcap"},
      {"tcp.insert_data_normal_fail", "segments behind a hole, past the most that are kept"},
      {"tcp.no_session", "segments without a handshake"},
      {"tcp.invalid_checksum", "bad checksums"},
      {"flow.evicted", "flows evicted"},
      {"dissect.memcap", "values at the memcap"},
      {"dissect.breaches", "flows taken from a faulty plug-in"},
      {"detect.alert_queue_overflow", "alerts past the limit"},
      {"decoder.invalid", "packets not understood"}};
  for (const auto& [name, text] : losses) {
    if (by_name[name] > 0) fmt::print("not seen   {} {}\n", by_name[name], text);
  }
}

}  // namespace

int RunReplay(const CommandLine& line) {
  if (line.capture.empty() && !line.test_only) {
    return Complain({Errc::kInvalidArgument, "replay: -r FILE is missing; see sluice replay --help"}, 2);
  }
  auto created = Runtime::Create(line, !line.test_only);
  if (!created) return Complain(created.error());
  Runtime& runtime = **created;
  PrintProblems(runtime, line.quiet);
  if (runtime.options.failure_fatal && runtime.rules.num_failed > 0) {
    return Complain({Errc::kInvalidArgument,
                     fmt::format("{} rules do not load, and rules.strict is set", runtime.rules.num_failed)});
  }
  if (line.test_only) return runtime.rules.num_failed > 0 ? 1 : 0;
  auto tap = PcapTap::Open(line.capture, line.bpf_filter);
  if (!tap) return Complain(tap.error());
  auto worker = Worker::Create(MakeWorkerOptions(runtime.options), *runtime.catalog,
                               runtime.rules.program, runtime.logs.Direct(), nullptr);
  if (!worker) return Complain(worker.error());
  const auto start = Clock::now();
  Progress progress(!line.quiet && isatty(STDERR_FILENO));
  PcapTap::Frame frame;
  int code = 0;
  Nanos first{}, last{};
  while (true) {
    const auto more = (*tap)->Next(&frame);
    if (!more) {
      code = Complain(more.error());
      break;
    }
    if (!*more) break;
    if (first == Nanos{}) first = frame.time;
    last = frame.time;
    (*worker)->eve().set_capture((*tap)->current_file());
    (*worker)->Process(frame.link, frame.bytes, frame.time, frame.number, frame.wire_len);
    progress.Update(**tap, frame.number);
  }
  progress.End();
  // As far as it goes a broken capture is read, like any other.
  for (const std::string& problem : (*tap)->problems()) fmt::print(stderr, "sluice: {}\n", problem);
  (*worker)->Shutdown();
  NamedCounters counters;
  (*worker)->CollectCounters(&counters);
  AddThreadCounters(0, NamedCounters(counters), &counters);
  runtime.rules.CollectCounters(&counters);
  runtime.logs.CollectCounters(*runtime.catalog, &counters);
  std::ranges::sort(counters);
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(last - first).count();
  (*worker)->eve().Stats(last, static_cast<uint64_t>(std::max<int64_t>(0, uptime)), counters);
  RuleCosts costs;
  (*worker)->CollectRuleCosts(&costs);
  (*worker)->eve().RuleStats(last, costs.Dearest(kRulesShown));
  runtime.logs.Finish();
  for (const auto& log : runtime.logs.outputs()) {
    if (log->lines_lost() == 0) continue;
    code = Complain({Errc::kIo, fmt::format("{}: {} lines could not be written; free some room",
                                            log->name(), log->lines_lost())});
  }
  if (auto ok = runtime.datasets->SaveAll(); !ok) code = Complain(ok.error());
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (!line.quiet) PrintSummary(runtime, **worker, seconds);
  return code;
}

}  // namespace sluice
