// sluice run: live traffic.  One thread per ring; the main thread sweeps the kernel's
// tables, answers the control socket, takes signals and swaps rules.
#include <fmt/core.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/app/control.h"
#include "engine/app/drop_audit.h"
#include "engine/app/live_worker.h"
#include "engine/app/loss_watch.h"
#include "engine/app/process.h"
#include "engine/app/reload.h"
#include "engine/app/runtime.h"
#include "engine/rules/problem.h"
#include "engine/rules/sets.h"
#include "engine/tap/bpffs.h"

namespace sluice {
namespace {

constexpr Nanos kSweepInterval = std::chrono::seconds{5};
constexpr Nanos kLoopWait = std::chrono::milliseconds{100};
constexpr int kBeatsPerTimeout = 5;
constexpr size_t kRulesShown = 25, kRulesInStatus = 10;  // the dearest

Nanos WallNow() { return std::chrono::system_clock::now().time_since_epoch(); }

// Those that Engine::TakeSignals() answers.
sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGUSR2}) sigaddset(&signals, s);
  return signals;
}

// A thing to do every so often; nothing if the interval is 0.
class Every {
 public:
  Every(Nanos interval, Nanos now) : interval_(interval), next_(now + interval) {}
  bool Due(Nanos now) {
    if (interval_ == Nanos{} || now < next_) return false;
    next_ = now + interval_;
    return true;
  }

 private:
  const Nanos interval_;
  Nanos next_;
};

Result<TapPolicy> ParsePolicy(const PolicyOption& option) {
  TapPolicy policy;
  policy.action = option.action == "ignore" ? TapPolicy::Action::kIgnore
                  : option.action == "drop" ? TapPolicy::Action::kDrop
                                            : TapPolicy::Action::kInspect;
  policy.budget_to_server = policy.budget_to_client =
      option.budget == UINT64_MAX ? TAP_BUDGET_ALL : option.budget;
  if (option.match == "default") return policy;
  const size_t slash = option.match.find('/');
  const std::string protocol = option.match.substr(0, slash);
  policy.kind = TapPolicy::Kind::kPort;
  policy.ip_protocol = protocol == "tcp" ? 6 : protocol == "udp" ? 17 : 0;
  const std::string port = slash == std::string::npos ? "" : option.match.substr(slash + 1);
  const auto set = ParsePortSet(port, {});
  if (policy.ip_protocol == 0 || (port != "*" && (!set || set->ranges.size() != 1 ||
                                                  set->ranges[0].first != set->ranges[0].second))) {
    return Fail(Errc::kInvalidArgument, "tap.policy: {}: write tcp/80, udp/53, tcp/* or default", option.match);
  }
  policy.value = port == "*" ? 0 : set->ranges[0].first;
  return policy;
}

Result<LiveTapOptions> MakeTapOptions(const Options& o) {
  LiveTapOptions tap;
  tap.interfaces = o.interfaces;
  tap.num_workers = o.workers;
  tap.ring_bytes = static_cast<uint32_t>(o.ring_bytes);
  tap.pin_dir = o.pin_dir;
  tap.fail_mode = o.fail_closed ? FailMode::kClosed : FailMode::kOpen;
  tap.heartbeat_timeout = o.heartbeat_timeout;
  tap.force_clsact = o.attach == "clsact";
  tap.poll_mode = o.busy_poll ? PollMode::kBusy : PollMode::kNap;
  for (const PolicyOption& option : o.policies) {
    auto policy = ParsePolicy(option);
    if (!policy) return std::unexpected(policy.error());
    std::erase_if(tap.policies, [&](const TapPolicy& p) {
      return p.kind == policy->kind && p.ip_protocol == policy->ip_protocol && p.value == policy->value;
    });
    tap.policies.push_back(*policy);
  }
  return tap;
}

GuardOptions MakeGuardOptions(const Options& o) {
  return {o.block_always, o.block_max, o.block_percent, o.block_max_ttl};
}

class Engine {
 public:
  Engine(std::unique_ptr<Runtime> runtime, const CommandLine& line)
      : runtime_(std::move(runtime)),
        line_(line),
        guard_(MakeGuardOptions(runtime_->options), std::random_device{}()) {}

  // From here on traffic is inspected as soon as Run() is called; privileges are gone.
  Result<void> Start();
  int Run(Background* background);

 private:
  Result<void> OpenTap();
  Result<void> OpenResets();
  Result<void> MakeWorkers();
  Result<void> DropRights();

  void Loop(int signal_fd);
  int Stop();
  void TakeSignals(int signal_fd);
  void Sweep();

  Result<LoadedRules> BuildRules();
  uint64_t RequestReload();
  void TakeReload();
  void SwapRules(LoadedRules rules);
  void FreeOldRules();

  NamedCounters Totals();
  void AddKernelCounters(std::map<std::string, uint64_t>* sums);
  void AddOwnCounters(std::map<std::string, uint64_t>* sums);
  uint64_t InterfaceDrops() const;
  RuleCosts Costs() const;
  void Tell(const SensorView& sensor);
  void LookForLoss();
  void WriteStats();
  void PrintStatusLine();
  std::optional<std::string> Answer(uint64_t client, std::string_view request);
  std::string Status();
  uint64_t UptimeSeconds() const {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(MonotonicNow() - started_).count());
  }

  std::unique_ptr<Runtime> runtime_;
  const CommandLine& line_;
  BlockGuard guard_;
  std::unique_ptr<LiveTap> tap_;
  std::vector<std::unique_ptr<ResetSender>> resets_;  // until the workers have them
  std::unique_ptr<EveLog> main_log_;                  // of the main thread
  std::vector<std::unique_ptr<LiveWorker>> workers_;
  std::unique_ptr<Heart> heart_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<PidFile> pid_file_;
  std::vector<std::shared_ptr<const RuleProgram>> old_programs_;  // until no worker has them
  std::multimap<uint64_t, uint64_t> reload_clients_;              // by the build they wait for
  uint64_t reloads_ = 0, reloads_failed_ = 0;
  uint64_t interface_drops_ = 0;  // before we began
  std::string last_reload_error_;
  LossWatch loss_watch_;
  DropAudit drop_audit_;
  bool ending_ = false;
  Nanos started_{};  // monotonic
};

// ------------------------------------------------------------------ beginning

Result<void> Engine::OpenTap() {
  const Options& o = runtime_->options;
  auto options = MakeTapOptions(o);
  if (!options) return std::unexpected(options.error());
  auto tap = LiveTap::Create(*options);
  if (!tap) return std::unexpected(tap.error());
  tap_ = std::move(*tap);
  for (const std::string& text : o.never_block) {
    const auto prefix = ParsePrefix(text);
    if (!prefix) return std::unexpected(prefix.error());
    if (auto ok = tap_->drops().AddNeverBlock(*prefix); !ok) return ok;
  }
  return {};
}

// Raw sockets, while we may open them.
Result<void> Engine::OpenResets() {
  for (uint32_t i = 0; i < runtime_->options.workers; ++i) {
    auto sender = ResetSender::Create(TAP_DEFAULT_MARK);
    if (!sender) return std::unexpected(sender.error());
    resets_.push_back(std::move(*sender));
  }
  return {};
}

Result<void> Engine::MakeWorkers() {
  const Options& o = runtime_->options;
  WorkerOptions options = MakeWorkerOptions(o);
  options.decode.verify_checksums = false;  // offloads have not filled them in
  options.stream.inline_mode = true;
  options.inline_verdicts = true;
  // One queue more for the main thread.
  runtime_->logs.StartWriter(o.workers + 1, o.log_queue_bytes, *runtime_->catalog);
  main_log_ = std::make_unique<EveLog>(options.eve, runtime_->logs.Queued(o.workers).eve);
  for (uint32_t i = 0; i < o.workers; ++i) {
    const WorkerSinks sinks = runtime_->logs.Queued(i);
    options.keep_files.worker = static_cast<uint32_t>(i);
    options.packet_log.worker = static_cast<uint16_t>(i);
    const KernelVerdicts::Parts parts{&tap_->flow_control(i), &tap_->drops(), &guard_};
    auto verdicts = std::make_unique<KernelVerdicts>(parts, EveLog(options.eve, sinks.eve), std::move(resets_[i]), o.drop_ttl);
    auto worker = Worker::Create(options, *runtime_->catalog, runtime_->rules.program, sinks, verdicts.get());
    if (!worker) return std::unexpected(worker.error());
    workers_.push_back(std::make_unique<LiveWorker>(*tap_, i, std::move(verdicts), std::move(*worker)));
  }
  return {};
}

Result<void> Engine::DropRights() {
  const Options& o = runtime_->options;
  PrivilegeOptions privileges;
  privileges.user = o.run_as_user;
  privileges.group = o.run_as_group;
  privileges.keep_net_admin = std::ranges::any_of(tap_->interfaces(), [](const auto& i) { return !i.tcx; });
  privileges.hand_over = {o.pin_dir, o.control_socket};
  for (const auto& output : runtime_->logs.outputs()) privileges.hand_over.push_back(output->name());
  return DropPrivileges(privileges);
}

Result<void> Engine::Start() {
  if (!line_.pid_file.empty()) {
    auto file = PidFile::Create(line_.pid_file);
    if (!file) return std::unexpected(file.error());
    pid_file_ = std::move(*file);
  }
  auto control = ControlServer::Listen(runtime_->options.control_socket);
  if (!control) return std::unexpected(control.error());
  control_ = std::move(*control);
  if (auto ok = OpenTap(); !ok) return ok;
  if (auto ok = OpenResets(); !ok) return ok;
  auto reloader = Reloader::Create([this] { return BuildRules(); });
  if (!reloader) return std::unexpected(reloader.error());
  reloader_ = std::move(*reloader);
  // Before the first thread: each has the rights and the signal mask that its maker had.
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (auto ok = DropRights(); !ok) return ok;
  return MakeWorkers();
}

int Engine::Run(Background* background) {
  const sigset_t signals = Signals();
  const int signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  started_ = MonotonicNow();
  Sweep();  // what is in the maps from before is not new
  interface_drops_ = InterfaceDrops();
  tap_->Heartbeat();
  for (auto& worker : workers_) worker->Start();
  heart_ = std::make_unique<Heart>(*tap_, workers_, runtime_->options.heartbeat_timeout / kBeatsPerTimeout);
  spdlog::info("state=ready interfaces={} workers={} rules={}", tap_->interfaces().size(), workers_.size(),
               runtime_->rules.program->num_ranks());
  Tell({.state = "ready", .what = "start", .detail = "traffic is inspected"});
  fmt::print("ready\n");
  std::fflush(stdout);
  if (background != nullptr) background->Ready();
  Loop(signal_fd);
  close(signal_fd);
  return Stop();
}

// -------------------------------------------------------------------- running

void Engine::Loop(int signal_fd) {
  const Nanos begin = MonotonicNow();
  Every sweep(kSweepInterval, begin), second(std::chrono::seconds{1}, begin),
      stats(std::chrono::seconds{static_cast<int64_t>(runtime_->options.stats_interval)}, begin);
  const bool terminal = isatty(STDERR_FILENO) && !line_.quiet;
  const int others[] = {signal_fd, reloader_->ready_fd()};
  while (!ending_) {
    control_->Serve(MonotonicNow(), kLoopWait, others,
                    [this](uint64_t client, std::string_view request) { return Answer(client, request); });
    TakeSignals(signal_fd);
    TakeReload();
    const Nanos now = MonotonicNow();
    if (sweep.Due(now)) Sweep();
    if (second.Due(now)) {
      FreeOldRules();
      LookForLoss();
      if (terminal) PrintStatusLine();
    }
    if (stats.Due(now)) WriteStats();
  }
}

int Engine::Stop() {
  Tell({.state = "stopping", .what = "stop", .detail = "packets from here on are not inspected"});
  heart_.reset();
  reloader_.reset();
  for (auto& worker : workers_) worker->Stop();
  if (auto ok = runtime_->datasets->SaveAll(); !ok) spdlog::error("{}", ok.error().message);
  WriteStats();
  workers_.clear();
  runtime_->logs.Finish();
  const auto on_close = runtime_->options.keep_on_exit ? LiveTap::OnClose::kKeep : LiveTap::OnClose::kDetach;
  if (auto ok = tap_->Close(on_close); !ok) return Complain(ok.error());
  spdlog::info("state=stopped");
  return 0;
}

void Engine::TakeSignals(int signal_fd) {
  signalfd_siginfo info;
  while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
    switch (info.ssi_signo) {
      case SIGHUP:
        runtime_->logs.Reopen();
        if (runtime_->engine_log) runtime_->engine_log->Reopen();
        break;
      case SIGUSR2: RequestReload(); break;
      default: ending_ = true;
    }
  }
}

// Drops first: the tap's own sweep removes expired ones without telling.
void Engine::Sweep() {
  const auto record = [this](std::string_view op, const DropEntry& entry) { RecordDrop(*main_log_, WallNow(), op, entry); };
  const auto expired = [&](const DropEntry& entry) {
    drop_audit_.Expired(entry);
    record("expire", entry);
  };
  if (const auto swept = tap_->drops().Sweep(expired)) {
    guard_.Refresh(swept->hosts_by_rule, MonotonicNow());
  } else {
    spdlog::warn("sweep error=\"{}\"", swept.error().message);
  }
  if (const auto entries = tap_->drops().List()) drop_audit_.Look(MonotonicNow(), *entries, record);
  if (const auto swept = tap_->Sweep({}); !swept) spdlog::warn("sweep error=\"{}\"", swept.error().message);
}

// --------------------------------------------------------------------- reload

// On the reloader's thread; reads what no one changes while it runs.
Result<LoadedRules> Engine::BuildRules() {
  const Options& o = runtime_->options;
  if (auto ok = CheckMemory(o.rules_memory_limit, runtime_->rules.bytes); !ok) return std::unexpected(ok.error());
  auto rules = LoadRules(o, *runtime_->catalog, runtime_->datasets.get(), runtime_->rules.program.get());
  if (!rules) return rules;
  if (o.failure_fatal && rules->num_failed > 0) {
    return Fail(Errc::kInvalidArgument, "{} rules do not load, and rules.strict is set", rules->num_failed);
  }
  if (auto ok = CheckMemory(o.rules_memory_limit, 0); !ok) return std::unexpected(ok.error());
  return rules;
}

uint64_t Engine::RequestReload() {
  Tell({.state = "reloading", .what = "reload", .detail = "rules are read anew; those in use stay until then"});
  return reloader_->Request();
}

void Engine::TakeReload() {
  auto done = reloader_->Take();
  if (!done) return;
  nlohmann::ordered_json out;
  out["ok"] = done->rules.has_value();
  if (done->rules) {
    last_reload_error_.clear();
    SwapRules(std::move(*done->rules));
  } else {
    ++reloads_failed_;
    last_reload_error_ = done->rules.error().message;
    out["error"] = last_reload_error_;
    spdlog::error("reload=failed error=\"{}\"", last_reload_error_);
  }
  out["rules"] = runtime_->rules.program->num_ranks();
  out["failed"] = runtime_->rules.num_failed;
  out["generation"] = runtime_->rules.program->generation();
  const auto [begin, end] = reload_clients_.equal_range(done->number);
  for (auto it = begin; it != end; ++it) control_->Reply(it->second, out.dump());
  reload_clients_.erase(begin, end);
  reloader_->StartNext();
}

void Engine::SwapRules(LoadedRules rules) {
  ++reloads_;
  old_programs_.push_back(runtime_->rules.program);
  runtime_->rules = std::move(rules);
  runtime_->LogProblems();
  runtime_->UpdateWanted();
  for (auto& worker : workers_) worker->SetProgram(runtime_->rules.program);
  Tell({.state = "ready", .what = "reload", .detail = "the new rules are in use"});
  spdlog::info("reload=done generation={} rules={} failed={}", runtime_->rules.program->generation(),
               runtime_->rules.program->num_ranks(), runtime_->rules.num_failed);
}

// Here and not where the last worker lets go: freeing a large program takes milliseconds.
void Engine::FreeOldRules() {
  std::erase_if(old_programs_, [](const auto& program) { return program.use_count() == 1; });
}

// ------------------------------------------------------------------- counters

NamedCounters Engine::Totals() {
  std::map<std::string, uint64_t> sums;
  for (auto& worker : workers_) {
    for (const auto& [name, value] : worker->Counters()) {
      uint64_t& sum = sums[name];
      const bool largest = name == "decoder.max_pkt_size" || name.starts_with("memcap.");
      sum = largest ? std::max(sum, value) : sum + value;
    }
  }
  // An average is none of those that add up.
  const uint64_t packets = sums["decoder.pkts"];
  sums["decoder.avg_pkt_size"] = packets == 0 ? 0 : sums["decoder.bytes"] / packets;
  AddKernelCounters(&sums);
  AddOwnCounters(&sums);
  return {sums.begin(), sums.end()};
}

void Engine::AddKernelCounters(std::map<std::string, uint64_t>* sums) {
  const auto kernel = tap_->Counters();
  if (!kernel) return;
  uint64_t seen = 0;
  for (size_t i = 0; i < kernel->size(); ++i) {
    const std::string name = TapCounterName(static_cast<tap_counter>(i));
    (*sums)["kernel." + name] = (*kernel)[i];
    if (name.starts_with("EXIT_")) seen += (*kernel)[i];
  }
  (*sums)["capture.kernel_packets"] = seen;
  (*sums)["capture.kernel_drops"] = (*kernel)[TAP_LOST_RECORDS];
  (*sums)["capture.errors"] = (*kernel)[TAP_EXIT_LOST_LOAD];
}

// Packets that the interfaces had no room for: nobody saw them.
uint64_t Engine::InterfaceDrops() const {
  uint64_t sum = 0;
  for (const InterfaceStatus& i : tap_->interfaces()) {
    std::ifstream file(fmt::format("/sys/class/net/{}/statistics/rx_missed_errors", i.name));
    uint64_t drops = 0;
    if (file >> drops) sum += drops;
  }
  return sum;
}

void Engine::AddOwnCounters(std::map<std::string, uint64_t>* sums) {
  (*sums)["capture.kernel_ifdrops"] = InterfaceDrops() - interface_drops_;
  NamedCounters own;
  runtime_->rules.CollectCounters(&own);
  runtime_->logs.CollectCounters(*runtime_->catalog, &own);
  sums->insert(own.begin(), own.end());
  const GuardStats guard = guard_.stats();
  (*sums)["verdict.refused_max_blocked"] = guard.refused_number;
  (*sums)["verdict.refused_max_blocked_percent"] = guard.refused_share;
  (*sums)["verdict.ttl_cut"] = guard.ttl_cut;
  (*sums)["verdict.hosts_blocked_now"] = guard.hosts_blocked;
  (*sums)["verdict.hosts_seen"] = guard.hosts_seen;
  const ControlStats& control = control_->stats();
  (*sums)["control.served"] = control.served;
  (*sums)["control.too_long"] = control.too_long;
  (*sums)["control.timed_out"] = control.timed_out;
  (*sums)["control.evicted"] = control.evicted;
  (*sums)["reload.done"] = reloads_;
  (*sums)["reload.failed"] = reloads_failed_;
  if (heart_) (*sums)["heart.stalls"] = heart_->stalls();
}

RuleCosts Engine::Costs() const {
  RuleCosts costs;
  for (const auto& worker : workers_) costs.Add(worker->Costs());
  return costs;
}

void Engine::Tell(const SensorView& sensor) {
  const Packet* none = nullptr;
  main_log_->Sensor(WallNow(), FlowView{}, none, sensor);
}

// Of packets that the kernel had for us and we did not get.
void Engine::LookForLoss() {
  std::map<std::string, uint64_t> sums;
  AddKernelCounters(&sums);
  const auto change = loss_watch_.Look(WallNow(), sums["capture.kernel_packets"], sums["capture.kernel_drops"]);
  if (!change) return;
  Tell({.state = change->degraded ? "degraded" : "recovered", .what = "packet_loss",
        .detail = "packets that did not fit the ring were not looked at: more workers or a larger tap.ring-bytes help",
        .loss = SensorView::Loss{change->lost, change->since, change->percent}});
}

void Engine::WriteStats() {
  NamedCounters counters = Totals();
  for (size_t i = 0; i < workers_.size(); ++i) AddThreadCounters(i, workers_[i]->Counters(), &counters);
  std::ranges::sort(counters);
  main_log_->Stats(WallNow(), UptimeSeconds(), counters);
  main_log_->RuleStats(WallNow(), Costs().Dearest(kRulesShown));
}

void Engine::PrintStatusLine() {
  std::map<std::string, uint64_t> t;
  for (auto& [name, value] : Totals()) t[name] = value;
  fmt::print(stderr, "\r{} packets in the kernel, {} inspected, {} flows, {} alerts, {} lost   ",
             t["capture.kernel_packets"], t["decoder.pkts"], t["flow.active"], t["detect.alert"],
             t["capture.kernel_drops"]);
}

// -------------------------------------------------------------------- control

std::string Engine::Status() {
  nlohmann::ordered_json out;
  out["uptime_s"] = UptimeSeconds();
  out["rules"] = {{"loaded", runtime_->rules.program->num_ranks()},
                  {"failed", runtime_->rules.num_failed},
                  {"generation", runtime_->rules.program->generation()},
                  {"hash", fmt::format("{:016x}", runtime_->rules.program->hash())},
                  {"reloading", reloader_->running()}};
  if (!last_reload_error_.empty()) out["rules"]["reload_error"] = last_reload_error_;
  for (const InterfaceStatus& i : tap_->interfaces()) {
    out["interfaces"].push_back({{"name", i.name}, {"attach", i.tcx ? "tcx" : "clsact"}, {"adopted", i.adopted}});
  }
  NamedCounters totals = Totals();
  std::map<std::string, uint64_t> all(totals.begin(), totals.end());
  Costs().CollectCounters(kRulesInStatus, &all);
  for (const auto& [name, value] : all) {
    if (value != 0) out["counters"][name] = value;
  }
  return out.dump();
}

std::optional<std::string> Engine::Answer(uint64_t client, std::string_view request) {
  if (request == "status") return Status();
  if (request == "reload") {
    reload_clients_.emplace(RequestReload(), client);
    return std::nullopt;
  }
  return R"({"error":"unknown request; status and reload are known"})";
}

}  // namespace

int RunLive(const CommandLine& line) {
  std::unique_ptr<Background> background;
  if (line.daemon && !line.test_only) {
    int exit_code = 0;
    background = Background::Fork(&exit_code);
    if (!background) return exit_code;
  }
  auto runtime = Runtime::Create(line, !line.test_only);
  if (!runtime) return Complain(runtime.error());
  const Options& o = (*runtime)->options;
  for (const RuleProblem& problem : (*runtime)->rules.problems) {
    if (problem.severity == RuleProblem::Severity::kError) fmt::print(stderr, "{}\n", FormatProblem(problem));
  }
  if (o.failure_fatal && (*runtime)->rules.num_failed > 0) {
    return Complain({Errc::kInvalidArgument, fmt::format("{} rules do not load, and rules.strict is set", (*runtime)->rules.num_failed)});
  }
  if (line.test_only) return (*runtime)->rules.num_failed > 0 ? 1 : 0;
  if (o.interfaces.empty()) {
    return Complain({Errc::kInvalidArgument, "run: no interface; give -i eth0 or interfaces in the configuration"}, 2);
  }
  Engine engine(std::move(*runtime), line);
  if (auto ok = engine.Start(); !ok) return Complain(ok.error());
  return engine.Run(background.get());
}

}  // namespace sluice
