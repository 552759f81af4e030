// engine/output/log_output.h
// A place that logs end in: a file, a socket, the system's log.
//
// Threads: confined to one at a time (replay's, or the writer thread); the
//   counters may be read from any.
// Errors: opening says why it cannot be.  Later failures never stop the caller:
//   lines are counted as lost, and the first loss is one error line.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/output/record_sink.h"

namespace sluice {

class LogOutput : public RecordSink {
 public:
  bool Put(RecordType, std::string_view record) final {
    Write(record);
    return true;
  }
  // One line, with its newline.
  virtual void Write(std::string_view line) = 0;
  virtual void Flush() {}
  // After something moved the file away (SIGHUP).
  virtual Result<void> Reopen() { return {}; }

  const std::string& name() const { return name_; }
  uint64_t lines() const { return lines_.load(std::memory_order_relaxed); }
  uint64_t lines_lost() const { return lost_.load(std::memory_order_relaxed); }

 protected:
  explicit LogOutput(std::string name) : name_(std::move(name)) {}
  void CountWritten(uint64_t lines) { lines_.fetch_add(lines, std::memory_order_relaxed); }
  // `error`: an errno.
  void CountLost(uint64_t lines, int error);

  const std::string name_;  // a path, or what stands for one

 private:
  std::atomic<uint64_t> lines_{0}, lost_{0};
};

struct LogSpec {
  enum class Kind : uint8_t { kFile, kUnixStream, kUnixDatagram, kSyslog } kind = Kind::kFile;
  std::string path;               // of a file or socket
  bool append = true;             // files
  uint64_t rotate_bytes = 0;      // files: begin a new one past this; 0: never
  uint32_t rotate_keep = 5;       // old ones, path.1 the newest
  std::string identity = "sluice", facility = "local5", level = "info";  // syslog
};
Result<std::unique_ptr<LogOutput>> OpenLog(const LogSpec& spec);

}  // namespace sluice
