// engine/output/log_file.h
// A file of whole lines: buffered, reopened on request, losses counted.
//
// Threads: any; one mutex, held for a memcpy, or for a write every 64 KiB.
// Errors: Open() says why a file cannot be written.  Later failures (disk full)
//   never stop the caller: the lines are counted as lost.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace sluice {

class LogFile {
 public:
  static Result<std::unique_ptr<LogFile>> Open(const std::string& path, bool append);
  ~LogFile();

  // One line, with its newline.
  void Write(std::string_view line);
  void Flush();
  // After a rotation moved the file away (SIGHUP).  The old one stays in use if
  // the new one cannot be opened.
  Result<void> Reopen();

  const std::string& path() const { return path_; }
  uint64_t lines() const { return lines_.load(std::memory_order_relaxed); }
  uint64_t lines_lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  LogFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  void FlushLocked();

  static constexpr size_t kBufferBytes = 64 * 1024;
  const std::string path_;
  std::mutex mutex_;  // guards everything below
  int fd_;
  std::string buffer_;
  uint64_t buffered_lines_ = 0;
  std::atomic<uint64_t> lines_{0}, lost_{0};
};

}  // namespace sluice
