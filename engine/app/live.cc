// sluice run: live traffic.  One thread per ring; the main thread beats the heart,
// sweeps the kernel's tables, answers the control socket and takes signals.
#include <fmt/core.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/app/control.h"
#include "engine/app/runtime.h"
#include "engine/rules/sets.h"
#include "engine/tap/flow_key.h"
#include "engine/tap/live_tap.h"
#include "engine/verdict/reset.h"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;

// Verdicts of one worker into the kernel.
class KernelVerdicts final : public VerdictSink {
 public:
  KernelVerdicts(LiveTap& tap, uint32_t worker, std::unique_ptr<ResetSender> resets, Nanos ttl)
      : control_(tap.flow_control(worker)), drops_(tap.drops()), resets_(std::move(resets)), ttl_(ttl) {}

  void OnVerdict(const Rule& rule, Action action, const Packet& packet, const Flow& flow,
                 Direction direction, const uint32_t (&next_seq)[2]) override {
    DropOptions options;
    options.ttl = rule.scope.ttl.count() > 0 ? rule.scope.ttl : ttl_;
    options.sid = rule.sid;
    options.origin = DropOrigin::kRule;
    if (action != Action::kDrop) Reset(packet, flow, direction, next_seq);
    control_.Drop(flow.tuple, options);
    if (rule.scope.kind == VerdictScope::Kind::kFlow) return;
    const bool source = rule.scope.kind == VerdictScope::Kind::kSource;
    const Address& host = source ? packet.source : packet.destination;
    const Prefix prefix{host, static_cast<uint8_t>(host.version == 4 ? 32 : 128)};
    if (const auto spared = drops_.NeverBlocked(host); spared && *spared) {
      ++spared_;
      return;
    }
    const auto ok = source ? drops_.AddSource(prefix, options) : drops_.AddDestination(prefix, options);
    if (!ok && failed_++ == 0) spdlog::error("drop={} error=\"{}\"", FormatPrefix(prefix), ok.error().message);
  }

  void OnBudget(const Flow& flow, Direction direction, uint32_t mode, uint64_t bytes) override {
    if (mode == SLUICE_BUDGET_NEXT_TX) return;  // the skipped bytes come and are ignored
    const uint64_t budget = mode == SLUICE_BUDGET_NONE    ? 0
                            : mode == SLUICE_BUDGET_BYTES ? bytes
                                                          : FlowControl::kAll;
    const bool to_server = direction == Direction::kToServer;
    control_.SetBudget(flow.tuple, to_server ? budget : FlowControl::kKeep,
                       to_server ? FlowControl::kKeep : budget);
  }

  void Flush() { control_.Flush(); }

 private:
  void Reset(const Packet& packet, const Flow& flow, Direction direction,
             const uint32_t (&next_seq)[2]) {
    const Tuple forward = direction == Direction::kToServer ? flow.tuple : flow.tuple.Reverse();
    if (packet.l4 != L4::kTcp) {
      const Slice ip(packet.ip_header.data(), packet.ip_header.size() + std::min<size_t>(8, packet.ip_payload.size()));
      resets_->Send(BuildProhibited(forward, ip), forward.source);
      return;
    }
    // To the receiver as if from the sender, and the other way round.
    const uint32_t end = packet.tcp.seq + static_cast<uint32_t>(packet.payload.size());
    resets_->Send(BuildReset(forward, end, packet.tcp.ack), forward.destination);
    resets_->Send(BuildReset(forward.Reverse(), next_seq[Index(Opposite(direction))], end), forward.source);
  }

  FlowControl& control_;
  DropMaps& drops_;
  std::unique_ptr<ResetSender> resets_;
  const Nanos ttl_;
  uint64_t spared_ = 0, failed_ = 0;
};

// A worker with its ring and thread.
struct LiveWorker {
  std::unique_ptr<KernelVerdicts> verdicts;
  std::unique_ptr<Worker> worker;
  std::mutex mutex;  // guards next_program; taken by the worker only when `reload` is set
  std::shared_ptr<const RuleProgram> next_program;
  std::atomic<bool> reload{false};
  std::mutex counters_mutex;  // guards counters: a copy made once a second
  NamedCounters counters;
  std::thread thread;
};

void RunWorker(LiveTap& tap, uint32_t index, LiveWorker& self, const std::atomic<bool>& stop) {
  RingReader& reader = tap.reader(index);
  Nanos offset = MonotonicToWall();
  auto next_second = Clock::now();
  while (!stop.load(std::memory_order_relaxed)) {
    reader.Poll(std::chrono::milliseconds{100}, [&](const tap_record& record) {
      const Slice bytes(tap_record_data(&record), record.cap_len);
      const Nanos time = Nanos{static_cast<int64_t>(record.time_ns)} + offset;
      if (record.type == TAP_RECORD_PACKET) {
        self.worker->Process(LinkType::kEthernet, bytes, time, 0, record.wire_len);
      } else if (record.type == TAP_RECORD_FLOW_END && bytes.size() >= sizeof(tap_flow_end)) {
        const auto* end = reinterpret_cast<const tap_flow_end*>(bytes.data());
        const uint8_t client = end->flow.initiator;
        self.worker->KernelFlowEnd(
            TupleOf(end->key, client),
            {end->flow.side[client].packets, end->flow.side[1 - client].packets},
            {end->flow.side[client].bytes, end->flow.side[1 - client].bytes});
      }
    });
    self.verdicts->Flush();
    if (Clock::now() >= next_second) {
      next_second = Clock::now() + std::chrono::seconds{1};
      offset = MonotonicToWall();
      self.worker->Expire(std::chrono::system_clock::now().time_since_epoch());
      NamedCounters counters;
      self.worker->CollectCounters(&counters);
      const std::lock_guard lock(self.counters_mutex);
      self.counters = std::move(counters);
    }
    if (self.reload.exchange(false)) {
      const std::lock_guard lock(self.mutex);
      self.worker->SetProgram(self.next_program);
    }
  }
  self.worker->Shutdown();
  NamedCounters counters;
  self.worker->CollectCounters(&counters);
  const std::lock_guard lock(self.counters_mutex);
  self.counters = std::move(counters);
}

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

class Engine {
 public:
  Engine(std::unique_ptr<Runtime> runtime, const CommandLine& line)
      : runtime_(std::move(runtime)), line_(line) {}

  Result<void> Start() {
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
    WorkerOptions worker_options = MakeWorkerOptions(o);
    worker_options.decode.verify_checksums = false;  // offloads have not filled them in
    worker_options.stream.inline_mode = true;
    worker_options.inline_verdicts = true;
    for (EveOptions& eve : worker_options.eve) {
      eve.interface = o.interfaces.size() == 1 ? o.interfaces[0] : "";
    }
    // One queue more for the main thread, which writes the statistics.
    runtime_->logs.StartWriter(o.workers + 1, o.log_queue_bytes, *runtime_->catalog);
    stats_log_ = std::make_unique<EveLog>(worker_options.eve, runtime_->logs.Queued(o.workers).eve);
    for (uint32_t i = 0; i < o.workers; ++i) {
      auto resets = ResetSender::Create(TAP_DEFAULT_MARK);
      if (!resets) return std::unexpected(resets.error());
      auto live = std::make_unique<LiveWorker>();
      live->verdicts = std::make_unique<KernelVerdicts>(*tap_, i, std::move(*resets), o.drop_ttl);
      auto worker = Worker::Create(worker_options, *runtime_->catalog, runtime_->rules.program,
                                   runtime_->logs.Queued(i), live->verdicts.get());
      if (!worker) return std::unexpected(worker.error());
      live->worker = std::move(*worker);
      workers_.push_back(std::move(live));
    }
    auto control = ControlServer::Listen(o.control_socket);
    if (!control) return std::unexpected(control.error());
    control_ = std::move(*control);
    return {};
  }

  int Run() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGUSR2}) sigaddset(&signals, s);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const int signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    started_ = Clock::now();
    tap_->Heartbeat();
    for (uint32_t i = 0; i < workers_.size(); ++i) {
      workers_[i]->thread = std::thread(RunWorker, std::ref(*tap_), i, std::ref(*workers_[i]), std::cref(stop_));
    }
    WritePidFile();
    spdlog::info("state=ready interfaces={} workers={} rules={}", tap_->interfaces().size(),
                 workers_.size(), runtime_->rules.program->rules().rules.size());
    fmt::print("ready\n");
    std::fflush(stdout);
    Loop(signal_fd);
    return Stop(signal_fd);
  }

 private:
  void Loop(int signal_fd) {
    auto next_sweep = Clock::now() + std::chrono::seconds{5};
    auto next_line = Clock::now();
    const uint64_t interval = runtime_->options.stats_interval;
    auto next_stats = Clock::now() + std::chrono::seconds{static_cast<int64_t>(interval)};
    const bool terminal = isatty(STDERR_FILENO) && !line_.quiet;
    while (!ending_) {
      tap_->Heartbeat();
      control_->Serve(std::chrono::milliseconds{100}, signal_fd, [this](std::string_view request) { return Answer(request); });
      TakeSignals(signal_fd);
      const auto now = Clock::now();
      if (now >= next_sweep) {
        next_sweep = now + std::chrono::seconds{5};
        if (auto swept = tap_->Sweep({}); !swept) spdlog::warn("sweep error=\"{}\"", swept.error().message);
        if (auto swept = tap_->drops().Sweep(); !swept) spdlog::warn("sweep error=\"{}\"", swept.error().message);
      }
      if (now >= next_line) {
        next_line = now + std::chrono::seconds{1};
        if (terminal) PrintStatusLine();
      }
      if (interval > 0 && now >= next_stats) {
        next_stats = now + std::chrono::seconds{static_cast<int64_t>(interval)};
        WriteStats();
      }
    }
  }

  int Stop(int signal_fd) {
    stop_ = true;
    for (auto& live : workers_) live->thread.join();
    if (auto ok = runtime_->datasets->SaveAll(); !ok) spdlog::error("{}", ok.error().message);
    WriteStats();
    workers_.clear();
    runtime_->logs.Finish();
    close(signal_fd);
    const auto on_close = runtime_->options.keep_on_exit ? LiveTap::OnClose::kKeep : LiveTap::OnClose::kDetach;
    if (auto ok = tap_->Close(on_close); !ok) return Complain(ok.error());
    if (!line_.pid_file.empty()) unlink(line_.pid_file.c_str());
    spdlog::info("state=stopped");
    return 0;
  }

  void TakeSignals(int signal_fd) {
    signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
      switch (info.ssi_signo) {
        case SIGHUP:
          runtime_->logs.Reopen();
          break;
        case SIGUSR2: Reload(); break;
        default: ending_ = true;
      }
    }
  }

  // Builds beside, swaps, keeps the old rules if the new ones fail.
  Result<void> Reload() {
    auto rules = LoadRules(runtime_->options, *runtime_->catalog, runtime_->datasets.get());
    if (!rules) {
      spdlog::error("reload=failed error=\"{}\"", rules.error().message);
      return std::unexpected(rules.error());
    }
    runtime_->rules = std::move(*rules);
    runtime_->UpdateWanted();
    for (auto& live : workers_) {
      const std::lock_guard lock(live->mutex);
      live->next_program = runtime_->rules.program;
      live->reload = true;
    }
    spdlog::info("reload=done rules={} failed={}", runtime_->rules.program->rules().rules.size(), runtime_->rules.num_failed);
    return {};
  }

  NamedCounters Totals() {
    std::map<std::string, uint64_t> sums;
    for (auto& live : workers_) {
      const std::lock_guard lock(live->counters_mutex);
      for (const auto& [name, value] : live->counters) {
        uint64_t& sum = sums[name];
        sum = name == "decoder.max_pkt_size" ? std::max(sum, value) : sum + value;
      }
    }
    // An average is none of those that add up.
    const uint64_t packets = sums["decoder.pkts"];
    sums["decoder.avg_pkt_size"] = packets == 0 ? 0 : sums["decoder.bytes"] / packets;
    if (const auto kernel = tap_->Counters()) {
      uint64_t seen = 0;
      for (size_t i = 0; i < kernel->size(); ++i) {
        const std::string name = TapCounterName(static_cast<tap_counter>(i));
        sums["kernel." + name] = (*kernel)[i];
        if (name.starts_with("exit_") || name.starts_with("EXIT_")) seen += (*kernel)[i];
      }
      sums["capture.kernel_packets"] = seen;
      sums["capture.kernel_drops"] = (*kernel)[TAP_LOST_RECORDS];
    }
    NamedCounters others;
    runtime_->rules.CollectCounters(&others);
    runtime_->logs.CollectCounters(*runtime_->catalog, &others);
    sums.insert(others.begin(), others.end());
    return {sums.begin(), sums.end()};
  }

  void WriteStats() {
    if (workers_.empty()) return;
    NamedCounters counters = Totals();
    for (size_t i = 0; i < workers_.size(); ++i) {
      const std::lock_guard lock(workers_[i]->counters_mutex);
      AddThreadCounters(i, workers_[i]->counters, &counters);
    }
    std::ranges::sort(counters);
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_);
    stats_log_->Stats(std::chrono::system_clock::now().time_since_epoch(), static_cast<uint64_t>(uptime.count()), counters);
  }

  void PrintStatusLine() {
    std::map<std::string, uint64_t> t;
    for (auto& [name, value] : Totals()) t[name] = value;
    fmt::print(stderr, "\r{} packets in the kernel, {} inspected, {} flows, {} alerts, {} lost   ",
               t["capture.kernel_packets"], t["decoder.pkts"], t["flow.active"], t["detect.alert"],
               t["capture.kernel_drops"]);
  }

  std::string Answer(std::string_view request) {
    nlohmann::ordered_json out;
    if (request == "status") {
      out["uptime_s"] = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_).count();
      out["rules"] = {{"loaded", runtime_->rules.program->rules().rules.size()},
                      {"failed", runtime_->rules.num_failed},
                      {"generation", runtime_->rules.program->generation()}};
      for (const InterfaceStatus& i : tap_->interfaces()) {
        out["interfaces"].push_back({{"name", i.name}, {"attach", i.tcx ? "tcx" : "clsact"}, {"adopted", i.adopted}});
      }
      for (const auto& [name, value] : Totals()) {
        if (value != 0) out["counters"][name] = value;
      }
    } else if (request == "reload") {
      const auto ok = Reload();
      out["ok"] = ok.has_value();
      if (!ok) out["error"] = ok.error().message;
      out["rules"] = runtime_->rules.program->rules().rules.size();
      out["failed"] = runtime_->rules.num_failed;
    } else {
      out["error"] = "unknown request; status and reload are known";
    }
    return out.dump();
  }

  void WritePidFile() const {
    if (line_.pid_file.empty()) return;
    std::ofstream(line_.pid_file) << getpid() << "\n";
  }

  std::unique_ptr<Runtime> runtime_;
  const CommandLine& line_;
  std::unique_ptr<LiveTap> tap_;
  std::unique_ptr<EveLog> stats_log_;
  std::vector<std::unique_ptr<LiveWorker>> workers_;
  std::unique_ptr<ControlServer> control_;
  std::atomic<bool> stop_{false};
  bool ending_ = false;
  Clock::time_point started_{};
};

std::string FormatDuration(Nanos d) {
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(d).count();
  return s >= 3600 ? fmt::format("{}h{:02}m", s / 3600, s / 60 % 60)
         : s >= 60 ? fmt::format("{}m{:02}s", s / 60, s % 60)
                   : fmt::format("{}s", s);
}

const char* ScopeName(DropScope scope) {
  return scope == DropScope::kFlow ? "flow" : scope == DropScope::kSource ? "source" : "destination";
}
const char* OriginName(DropOrigin origin) {
  static constexpr const char* kNames[] = {"none", "rule", "insight", "operator", "feed", "policy"};
  return kNames[std::min<size_t>(static_cast<size_t>(origin), 5)];
}
std::string ValueOf(const DropEntry& e) {
  if (e.scope != DropScope::kFlow) return FormatPrefix(e.prefix);
  return fmt::format("{}:{} {}:{} {}", FormatAddress(e.flow.source), e.flow.source_port,
                     FormatAddress(e.flow.destination), e.flow.destination_port, IpProtocolName(e.flow.ip_protocol));
}

int ListDrops(const DropMaps& drops, bool json) {
  const auto entries = drops.List();
  if (!entries) return Complain(entries.error());
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  if (!json) fmt::print("{:<12}{:<52}{:>10}{:>10}{:>12}{:>10}  {}\n", "scope", "value", "packets", "bytes", "remaining", "sid", "cause");
  for (const DropEntry& e : *entries) {
    if (json) {
      nlohmann::ordered_json entry = {{"scope", ScopeName(e.scope)}, {"value", ValueOf(e)}, {"sid", e.sid},
                                      {"cause", OriginName(e.origin)}, {"packets", e.packets}, {"bytes", e.bytes}};
      if (e.remaining) entry["remaining_s"] = std::chrono::duration_cast<std::chrono::seconds>(*e.remaining).count();
      out.push_back(std::move(entry));
    } else {
      fmt::print("{:<12}{:<52}{:>10}{:>10}{:>12}{:>10}  {}\n", ScopeName(e.scope), ValueOf(e), e.packets, e.bytes,
                 e.remaining ? FormatDuration(std::max(Nanos{}, *e.remaining)) : "for ever", e.sid, OriginName(e.origin));
    }
  }
  if (json) fmt::print("{}\n", out.dump(2));
  return 0;
}

}  // namespace

int RunLive(const CommandLine& line) {
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
  if (line.daemon && daemon(1, 0) != 0) return Complain({Errc::kIo, "cannot go to the background"});
  Engine engine(std::move(*runtime), line);
  if (auto ok = engine.Start(); !ok) return Complain(ok.error());
  return engine.Run();
}

int RunDrops(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  auto drops = DropMaps::Open(options->pin_dir);
  if (!drops) return Complain(drops.error());
  if (line.command == Command::kDropsList) return ListDrops(*drops, line.json);
  if (line.command == Command::kDropsFlush) {
    const auto count = drops->Flush();
    if (!count) return Complain(count.error());
    fmt::print("{} entries lifted\n", *count);
    return 0;
  }
  const auto prefix = ParsePrefix(line.drop_value);
  if (!prefix) return Complain(prefix.error(), 2);
  const bool source = line.drop_scope == "source";
  if (line.command == Command::kDropsDelete) {
    const auto found = source ? drops->DeleteSource(*prefix) : drops->DeleteDestination(*prefix);
    if (!found) return Complain(found.error());
    if (!*found) return Complain({Errc::kNotFound, fmt::format("{} {}: there is no such entry", line.drop_scope, line.drop_value)});
    return 0;
  }
  const auto ttl = ParseDuration(line.drop_ttl);
  if (!ttl) return Complain(ttl.error(), 2);
  DropOptions entry;
  entry.ttl = *ttl;
  entry.sid = line.drop_sid;
  const auto ok = source ? drops->AddSource(*prefix, entry) : drops->AddDestination(*prefix, entry);
  return ok ? 0 : Complain(ok.error());
}

int RunStatus(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  const auto answer = AskEngine(options->control_socket, "status");
  if (!answer) {
    Complain(answer.error());
    const auto counters = ReadPinnedCounters(options->pin_dir);
    if (!counters) return 1;
    fmt::print("no engine answers; the kernel goes on:\n");
    for (size_t i = 0; i < counters->size(); ++i) {
      if ((*counters)[i] != 0) fmt::print("{:>16}  {}\n", (*counters)[i], TapCounterHelp(static_cast<tap_counter>(i)));
    }
    return 1;
  }
  if (line.json) {
    fmt::print("{}\n", *answer);
    return 0;
  }
  const auto status = nlohmann::ordered_json::parse(*answer, nullptr, false);
  if (status.is_discarded()) return Complain({Errc::kData, "the engine's answer is not JSON"});
  fmt::print("up {} s, {} rules\n", status.value("uptime_s", 0), status["rules"].value("loaded", 0));
  for (const auto& i : status["interfaces"]) {
    fmt::print("{} at {}{}\n", i.value("name", ""), i.value("attach", ""), i.value("adopted", false) ? ", adopted" : "");
  }
  for (const auto& [name, value] : status["counters"].items()) fmt::print("{:>16}  {}\n", value.get<uint64_t>(), name);
  return 0;
}

int RunReload(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  const auto answer = AskEngine(options->control_socket, "reload");
  if (!answer) return Complain(answer.error());
  const auto result = nlohmann::ordered_json::parse(*answer, nullptr, false);
  if (result.is_discarded() || !result.value("ok", false)) {
    return Complain({Errc::kInvalidArgument, fmt::format("reload failed, the old rules stay: {}", result.is_discarded() ? *answer : result.value("error", ""))});
  }
  fmt::print("{} rules loaded, {} failed\n", result.value("rules", 0), result.value("failed", 0));
  return 0;
}

}  // namespace sluice
