// engine/app/live_worker.h
// A worker with its ring, its thread and its verdicts; and the heart that says so to the kernel.
//
// Threads: Start(), Stop() and what a comment names: the main thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/app/kernel_verdicts.h"
#include "engine/app/worker.h"
#include "engine/tap/live_tap.h"

namespace sluice {

class LiveWorker {
 public:
  LiveWorker(LiveTap& tap, uint32_t index, std::unique_ptr<KernelVerdicts> verdicts,
             std::unique_ptr<Worker> worker);
  ~LiveWorker();  // Stop()

  void Start();
  // Ends the thread after the packets it has; flows end, counters stay.
  void Stop();
  // Rules of the next generation: taken between two batches of packets.
  void SetProgram(std::shared_ptr<const RuleProgram> program);
  // Any thread: a copy, at most a second old.
  NamedCounters Counters() const;
  RuleCosts Costs() const;
  // Any thread: grows at least ten times a second unless the worker is stuck.
  uint64_t rounds() const noexcept { return rounds_.load(std::memory_order_relaxed); }

 private:
  void Run();
  void Handle(const tap_record& record, Nanos offset);
  void Housekeeping();
  void PublishCounters();
  void NameInterface(uint32_t ifindex);

  LiveTap& tap_;
  RingReader& reader_;
  std::unique_ptr<KernelVerdicts> verdicts_;
  std::unique_ptr<Worker> worker_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> rounds_{0};
  std::atomic<bool> program_waits_{false};
  std::mutex program_mutex_;  // guards next_program_; the worker takes it when program_waits_
  std::shared_ptr<const RuleProgram> next_program_;
  mutable std::mutex counters_mutex_;  // guards counters_ and costs_
  NamedCounters counters_;
  RuleCosts costs_;
  uint32_t ifindex_ = 0;  // of the last packet
  std::thread thread_;
};

// Tells the kernel that the engine lives, from a thread of its own: neither a reload nor a
// client of the control socket can delay it.  A worker that makes no round for kStuck is
// dead to the network whatever the other threads do: then the heart stops until it goes on.
class Heart {
 public:
  static constexpr Nanos kStuck = std::chrono::seconds{10};

  Heart(LiveTap& tap, const std::vector<std::unique_ptr<LiveWorker>>& workers, Nanos interval);
  uint64_t stalls() const noexcept { return stalls_.load(std::memory_order_relaxed); }

 private:
  void Run(const std::stop_token& stop);
  bool AllGoOn(Nanos now);

  struct Progress {
    uint64_t rounds = 0;
    Nanos since{};
  };
  LiveTap& tap_;
  const std::vector<std::unique_ptr<LiveWorker>>& workers_;
  const Nanos interval_;
  std::vector<Progress> progress_;
  std::atomic<uint64_t> stalls_{0};
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace sluice
