#include "engine/output/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sluice {
namespace {

int OpenFile(const std::string& path, bool append) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0644);
}

uint64_t SizeOf(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size)
                                                            : 0;
}

}  // namespace

Result<std::unique_ptr<LogFile>> LogFile::Open(const LogSpec& spec) {
  const int fd = OpenFile(spec.path, spec.append);
  if (fd < 0) {
    return Fail(Errc::kIo, "{}: cannot be written: {}; choose another directory with -l",
                spec.path, std::strerror(errno));
  }
  return std::unique_ptr<LogFile>(new LogFile(spec, fd));
}

LogFile::LogFile(const LogSpec& spec, int fd)
    : LogOutput(spec.path),
      rotate_bytes_(spec.rotate_bytes),
      rotate_keep_(spec.rotate_keep),
      fd_(fd),
      file_bytes_(SizeOf(fd)) {
  buffer_.reserve(kBufferBytes);
}

LogFile::~LogFile() {
  Flush();
  close(fd_);
}

void LogFile::Write(std::string_view line) {
  if (buffer_.size() + line.size() > kBufferBytes) Flush();
  if (rotate_bytes_ != 0 && file_bytes_ + buffer_.size() + line.size() > rotate_bytes_) Rotate();
  buffer_ += line;
  ++buffered_lines_;
}

void LogFile::Flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      // Whole lines only: what was cut is completed by nothing, so it is lost too.
      const int error = errno;
      const auto rest = std::string_view(buffer_).substr(done);
      const auto lost = static_cast<uint64_t>(std::ranges::count(rest, '\n'));
      buffered_lines_ -= std::min(buffered_lines_, lost);
      if (done > 0 && buffer_[done - 1] != '\n') (void)!write(fd_, "\n", 1);
      CountLost(lost, error);
      break;
    }
    done += static_cast<size_t>(n);
  }
  file_bytes_ += done;
  CountWritten(buffered_lines_);
  buffered_lines_ = 0;
  buffer_.clear();
}

Result<void> LogFile::Reopen() {
  Flush();
  const int fd = OpenFile(name_, true);
  if (fd < 0) {
    return Fail(Errc::kIo, "{}: cannot be reopened: {}; the old file stays in use", name_,
                std::strerror(errno));
  }
  close(fd_);
  fd_ = fd;
  file_bytes_ = SizeOf(fd);
  return {};
}

// path -> path.1 -> path.2 ...; the oldest is overwritten.
void LogFile::Rotate() {
  Flush();
  if (file_bytes_ == 0) return;  // one line larger than the limit: it has a file of its own
  for (uint32_t i = rotate_keep_; i > 1; --i) {
    std::rename(fmt::format("{}.{}", name_, i - 1).c_str(), fmt::format("{}.{}", name_, i).c_str());
  }
  const bool moved = rotate_keep_ == 0 ? unlink(name_.c_str()) == 0
                                       : std::rename(name_.c_str(), (name_ + ".1").c_str()) == 0;
  const int error = errno;
  const auto reopened = Reopen();
  if ((moved && reopened) || rotation_failed_) return;
  rotation_failed_ = true;
  spdlog::error("log={} rotation=failed error=\"{}\"", name_,
                moved ? reopened.error().message : std::strerror(error));
}

}  // namespace sluice
