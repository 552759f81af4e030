// engine/output/engine_log.h
// What the engine says of itself, in a file: beside the standard error, which a daemon has not.
// Errors: what cannot be written is said once on the standard error, again after Reopen().
//
// Shape: lines of text, or records of event_type "engine".  Each is written at once.
// Threads: any; a mutex orders them.  The packet path does not log.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/output/json_writer.h"
#include "engine/rules/rule_set.h"

namespace sluice {

class EngineLog final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // Appends.  kIo if the file cannot be opened.
  static Result<std::shared_ptr<EngineLog>> Open(const std::string& path, bool json);
  ~EngineLog() override;

  // The file has been moved away.
  void Reopen();
  // A problem of a rule; the standard error has it in a compiler's form.
  void Problem(const RuleProblem& problem);

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;

 private:
  EngineLog(std::string path, bool json, std::FILE* file) : path_(std::move(path)), json_(json), file_(file) {}
  void Begin(Nanos time, std::string_view level, std::string_view message);
  void End();
  void Write(std::string_view text);
  void Complain();

  const std::string path_;
  const bool json_;
  std::FILE* file_;
  bool complained_ = false;
  JsonWriter writer_;
  std::string line_;
};

}  // namespace sluice
