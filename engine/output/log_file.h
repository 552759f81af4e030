// engine/output/log_file.h
// A file of whole lines: buffered, reopened on request, rotated by size.
// Threads, errors: as LogOutput.  Memory: one buffer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/output/log_output.h"

namespace sluice {

class LogFile final : public LogOutput {
 public:
  static Result<std::unique_ptr<LogFile>> Open(const LogSpec& spec);
  ~LogFile() override;

  void Write(std::string_view line) override;
  void Flush() override;
  // The old file stays in use if the new one cannot be opened.
  Result<void> Reopen() override;

 private:
  LogFile(const LogSpec& spec, int fd);
  void Rotate();

  static constexpr size_t kBufferBytes = 64 * 1024;
  const uint64_t rotate_bytes_;
  const uint32_t rotate_keep_;
  int fd_;
  uint64_t file_bytes_ = 0;
  bool rotation_failed_ = false;  // said so
  std::string buffer_;
  uint64_t buffered_lines_ = 0;
};

}  // namespace sluice
