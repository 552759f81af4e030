// engine/app/reload.h
// Rules built beside the running ones, on a thread of its own: the main thread goes on
// answering, and packets never wait.
//
// Threads: all calls from the main thread; only Build runs on the other.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/app/runtime.h"

namespace sluice {

class Reloader {
 public:
  using Build = std::function<Result<LoadedRules>()>;
  struct Done {
    uint64_t number;  // of the build, from 1
    Result<LoadedRules> rules;
  };

  static Result<std::unique_ptr<Reloader>> Create(Build build);
  ~Reloader();  // waits for a build that runs

  // Starts a build.  While one runs, its input may have changed since it was read: one
  // more follows it, however many ask.  Returns the number of the build that will answer.
  uint64_t Request();
  bool running() const { return thread_.joinable(); }
  int ready_fd() const { return event_fd_; }  // readable when a build is done
  // The build that is done, if one is.
  std::optional<Done> Take();
  // Starts the one that was asked for meanwhile, if one was: once what Take() gave is in its
  // place, for a build reads the rules that run.
  void StartNext();

 private:
  Reloader(Build build, int event_fd) : build_(std::move(build)), event_fd_(event_fd) {}
  void Start();

  const Build build_;
  const int event_fd_;
  uint64_t number_ = 0;  // of the last build begun
  bool again_ = false;
  std::thread thread_;
  std::mutex mutex_;  // guards result_
  std::optional<Result<LoadedRules>> result_;
};

// Whether `more` bytes fit: the process's resident memory then stays within `limit`, or,
// with limit 0, within what the machine and the control group have.
Result<void> CheckMemory(uint64_t limit, uint64_t more);
uint64_t ResidentBytes();

}  // namespace sluice
