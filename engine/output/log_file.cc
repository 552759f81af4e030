#include "engine/output/log_file.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

int OpenFile(const std::string& path, bool append) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0644);
}

}  // namespace

Result<std::unique_ptr<LogFile>> LogFile::Open(const std::string& path, bool append) {
  const int fd = OpenFile(path, append);
  if (fd < 0) {
    return Fail(Errc::kIo, "{}: cannot be written: {}; choose another directory with -l", path,
                std::strerror(errno));
  }
  return std::unique_ptr<LogFile>(new LogFile(path, fd));
}

LogFile::~LogFile() {
  Flush();
  close(fd_);
}

void LogFile::Write(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (buffer_.size() + line.size() > kBufferBytes) FlushLocked();
  buffer_ += line;
  ++buffered_lines_;
}

void LogFile::Flush() {
  const std::lock_guard lock(mutex_);
  FlushLocked();
}

void LogFile::FlushLocked() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      // Whole lines only: what was cut is completed by nothing, so it is lost too.
      const auto rest = std::string_view(buffer_).substr(done);
      const auto lost = static_cast<uint64_t>(std::ranges::count(rest, '\n'));
      if (lost_.fetch_add(lost, std::memory_order_relaxed) == 0) {
        spdlog::error("log={} lines_lost={} error=\"{}\"", path_, lost, std::strerror(errno));
      }
      buffered_lines_ -= std::min(buffered_lines_, lost);
      if (done > 0 && buffer_[done - 1] != '\n') (void)!write(fd_, "\n", 1);
      break;
    }
    done += static_cast<size_t>(n);
  }
  lines_.fetch_add(buffered_lines_, std::memory_order_relaxed);
  buffered_lines_ = 0;
  buffer_.clear();
}

Result<void> LogFile::Reopen() {
  const std::lock_guard lock(mutex_);
  FlushLocked();
  const int fd = OpenFile(path_, true);
  if (fd < 0) {
    return Fail(Errc::kIo, "{}: cannot be reopened: {}; the old file stays in use", path_,
                std::strerror(errno));
  }
  close(fd_);
  fd_ = fd;
  return {};
}

}  // namespace sluice
