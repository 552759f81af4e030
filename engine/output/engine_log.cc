#include "engine/output/engine_log.h"

#include <fmt/core.h>
#include <spdlog/pattern_formatter.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "engine/rules/problem.h"

namespace sluice {
namespace {

std::FILE* OpenToAppend(const std::string& path) { return std::fopen(path.c_str(), "ae"); }

// As Suricata's engine log writes them.
std::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
    case spdlog::level::err: return "Error";
    case spdlog::level::warn: return "Warning";
    case spdlog::level::info: return "Info";
    default: return "Debug";
  }
}

}  // namespace

Result<std::shared_ptr<EngineLog>> EngineLog::Open(const std::string& path, bool json) {
  std::FILE* const file = OpenToAppend(path);
  if (file == nullptr) {
    return Fail(Errc::kIo, "{}: the engine's log cannot be opened: {}; check engine-log.file and the directory's rights",
                path, std::strerror(errno));
  }
  return std::shared_ptr<EngineLog>(new EngineLog(path, json, file));
}

EngineLog::~EngineLog() { std::fclose(file_); }

void EngineLog::Reopen() {
  const std::lock_guard lock(mutex_);
  complained_ = false;
  std::FILE* const file = OpenToAppend(path_);
  if (file == nullptr) return Complain();  // the old file goes on
  std::fclose(std::exchange(file_, file));
}

// Not through spdlog: it would come back here.
void EngineLog::Complain() {
  if (std::exchange(complained_, true)) return;
  fmt::print(stderr, "sluice: {}: the engine's log cannot be written: {}\n", path_, std::strerror(errno));
}

void EngineLog::Begin(Nanos time, std::string_view level, std::string_view message) {
  writer_.Clear();
  writer_.OpenObject();
  writer_.Key("timestamp");
  writer_.Time(time);
  writer_.Field("log_level", level);
  writer_.Field("event_type", "engine");
  writer_.OpenObject("engine");
  writer_.Field("message", message);
}

void EngineLog::End() {
  writer_.CloseObject();
  writer_.CloseObject();
  line_.assign(writer_.text()).append("\n");
  Write(line_);
}

void EngineLog::Write(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), file_) == text.size();
  if (!written || std::fflush(file_) != 0) Complain();
}

void EngineLog::Problem(const RuleProblem& problem) {
  const std::lock_guard lock(mutex_);
  if (!json_) return Write(FormatProblem(problem) + "\n");
  // "fact; remedy"
  const std::string_view text = problem.message;
  const size_t split = std::min(text.find("; "), text.size());
  const bool error = problem.severity == RuleProblem::Severity::kError;
  Begin(std::chrono::system_clock::now().time_since_epoch(), error ? "Error" : "Warning", text.substr(0, split));
  if (split < text.size()) writer_.Field("remedy", text.substr(split + 2));
  if (problem.sid != 0) writer_.Field("sid", uint64_t{problem.sid});
  writer_.Field("file", problem.place.file);
  writer_.Field("line", uint64_t{problem.place.line});
  if (problem.column != 0) writer_.Field("column", uint64_t{problem.column});
  End();
}

void EngineLog::sink_it_(const spdlog::details::log_msg& message) {
  if (json_) {
    Begin(message.time.time_since_epoch(), LevelName(message.level), {message.payload.data(), message.payload.size()});
    return End();
  }
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  Write({line.data(), line.size()});
}

void EngineLog::flush_() {
  if (std::fflush(file_) != 0) Complain();
}

}  // namespace sluice
