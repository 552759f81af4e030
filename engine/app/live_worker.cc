#include "engine/app/live_worker.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>

#include "engine/tap/bpffs.h"
#include "engine/tap/flow_key.h"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr Nanos kMaxWait = std::chrono::milliseconds{100};  // for a packet

}  // namespace

LiveWorker::LiveWorker(LiveTap& tap, uint32_t index, std::unique_ptr<KernelVerdicts> verdicts,
                       std::unique_ptr<Worker> worker)
    : tap_(tap), reader_(tap_.reader(index)), verdicts_(std::move(verdicts)), worker_(std::move(worker)) {}

LiveWorker::~LiveWorker() { Stop(); }

void LiveWorker::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LiveWorker::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void LiveWorker::SetProgram(std::shared_ptr<const RuleProgram> program) {
  const std::lock_guard lock(program_mutex_);
  next_program_ = std::move(program);
  program_waits_ = true;
}

NamedCounters LiveWorker::Counters() const {
  const std::lock_guard lock(counters_mutex_);
  return counters_;
}

RuleCosts LiveWorker::Costs() const {
  const std::lock_guard lock(counters_mutex_);
  return costs_;
}

// Few interfaces, and most packets come where the one before did.
void LiveWorker::NameInterface(uint32_t ifindex) {
  ifindex_ = ifindex;
  const auto& all = tap_.interfaces();
  const auto found = std::ranges::find(all, ifindex, &InterfaceStatus::ifindex);
  worker_->set_interface(found == all.end() ? std::string_view() : std::string_view(found->name));
}

void LiveWorker::Run() {
  Nanos offset = MonotonicToWall();
  auto next_second = Clock::now() + std::chrono::seconds{1};
  while (!stop_.load(kRelaxed)) {
    reader_.Poll(kMaxWait, [&](const tap_record& record) { Handle(record, offset); });
    verdicts_->Flush();
    rounds_.fetch_add(1, kRelaxed);
    if (const auto now = Clock::now(); now >= next_second) {
      next_second = now + std::chrono::seconds{1};
      offset = MonotonicToWall();
      Housekeeping();
    }
    if (program_waits_.load(kRelaxed) && program_waits_.exchange(false)) {
      const std::lock_guard lock(program_mutex_);
      worker_->SetProgram(std::move(next_program_));
    }
  }
  worker_->Shutdown();
  verdicts_->Flush();
  PublishCounters();
}

void LiveWorker::Handle(const tap_record& record, Nanos offset) {
  const Slice bytes(tap_record_data(&record), record.cap_len);
  if (record.type == TAP_RECORD_PACKET) {
    const Nanos time = Nanos{static_cast<int64_t>(record.time_ns)} + offset;
    if (record.ifindex != ifindex_) NameInterface(record.ifindex);
    worker_->Process(LinkTypeOf(record), bytes, time, 0, record.wire_len);
  } else if (record.type == TAP_RECORD_FLOW_END && bytes.size() >= sizeof(tap_flow_end)) {
    const auto* end = reinterpret_cast<const tap_flow_end*>(bytes.data());
    const uint8_t client = end->flow.initiator;
    worker_->KernelFlowEnd(TupleOf(end->key, client),
                           {end->flow.side[client].packets, end->flow.side[1 - client].packets},
                           {end->flow.side[client].bytes, end->flow.side[1 - client].bytes});
  }
}

void LiveWorker::Housekeeping() {
  worker_->Expire(std::chrono::system_clock::now().time_since_epoch());
  PublishCounters();
}

void LiveWorker::PublishCounters() {
  NamedCounters counters;
  worker_->CollectCounters(&counters);
  verdicts_->CollectCounters(&counters);
  RuleCosts costs;
  worker_->CollectRuleCosts(&costs);
  const std::lock_guard lock(counters_mutex_);
  counters_ = std::move(counters);
  costs_ = std::move(costs);
}

Heart::Heart(LiveTap& tap, const std::vector<std::unique_ptr<LiveWorker>>& workers, Nanos interval)
    : tap_(tap), workers_(workers), interval_(interval), progress_(workers.size()),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

void Heart::Run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  bool stalled = false;
  while (!stop.stop_requested()) {
    const bool alive = AllGoOn(MonotonicNow());
    if (alive) tap_.Heartbeat();
    if (!alive && !stalled) {
      stalls_.fetch_add(1, kRelaxed);
      spdlog::error("heart=stopped cause=\"a worker makes no progress\"");
    }
    if (alive && stalled) spdlog::info("heart=beats");
    stalled = !alive;
    wake.wait_for(lock, stop, interval_, [] { return false; });
  }
}

bool Heart::AllGoOn(Nanos now) {
  bool all = true;
  for (size_t i = 0; i < workers_.size(); ++i) {
    Progress& last = progress_[i];
    const uint64_t rounds = workers_[i]->rounds();
    if (rounds != last.rounds || last.since == Nanos{}) last = {rounds, now};
    all = all && now - last.since < kStuck;
  }
  return all;
}

}  // namespace sluice
