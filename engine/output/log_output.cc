#include "engine/output/log_output.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/output/log_file.h"

namespace sluice {
namespace {

// A socket that somebody else listens on; connected again when it comes back.
class UnixSocketLog final : public LogOutput {
 public:
  UnixSocketLog(const std::string& path, bool stream)
      : LogOutput(path), type_(stream ? SOCK_STREAM : SOCK_DGRAM) {}
  ~UnixSocketLog() override { Close(); }

  static bool Fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

  // Never waits: a reader that does not keep up loses lines, as does one that is away.
  void Write(std::string_view line) override {
    if (fd_ < 0 && !Connect()) return CountLost(1, errno);
    size_t done = 0;
    while (done < line.size()) {
      const ssize_t n = send(fd_, line.data() + done, line.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int error = errno;
        // Half a line in a stream spoils the next: begin anew.
        if (done > 0 || (error != EAGAIN && error != EWOULDBLOCK && error != ENOBUFS)) Close();
        return CountLost(1, error);
      }
      done += static_cast<size_t>(n);
    }
    CountWritten(1);
  }
  Result<void> Reopen() override {
    Close();
    return {};
  }

 private:
  bool Connect() {
    // A reader that is away costs a look at it once in kRetryLines lines.
    if (away_ != 0 && away_++ % kRetryLines != 0) {
      errno = ENOTCONN;
      return false;
    }
    fd_ = socket(AF_UNIX, type_ | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.c_str(), name_.size());
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      away_ = 0;
      return true;
    }
    const int error = errno;
    Close();
    away_ = std::max<uint64_t>(away_, 1);
    errno = error;
    return false;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  static constexpr uint64_t kRetryLines = 64;
  const int type_;
  int fd_ = -1;
  uint64_t away_ = 0;  // lines since the first refusal
};

using Names = std::pair<std::string_view, int>;
constexpr Names kFacilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
    {"kern", LOG_KERN},     {"user", LOG_USER},         {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},     {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};
constexpr Names kLevels[] = {{"emergency", LOG_EMERG}, {"alert", LOG_ALERT},     {"critical", LOG_CRIT},
                             {"error", LOG_ERR},       {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
                             {"info", LOG_INFO},       {"debug", LOG_DEBUG}};

class SyslogLog final : public LogOutput {
 public:
  SyslogLog(const std::string& identity, int facility, int level)
      : LogOutput("syslog"), identity_(identity), priority_(facility | level) {
    openlog(identity_.c_str(), LOG_NDELAY, facility);
  }
  ~SyslogLog() override { closelog(); }

  void Write(std::string_view line) override {
    line.remove_suffix(line.ends_with('\n'));
    syslog(priority_, "%.*s", static_cast<int>(line.size()), line.data());
    CountWritten(1);
  }

 private:
  const std::string identity_;  // openlog() keeps the pointer
  const int priority_;
};

template <size_t N>
Result<int> Named(const Names (&table)[N], const std::string& name, std::string_view what) {
  const auto it = std::ranges::find(table, name, &Names::first);
  if (it != std::end(table)) return it->second;
  return Fail(Errc::kInvalidArgument, "syslog: there is no {} \"{}\"", what, name);
}

}  // namespace

void LogOutput::CountLost(uint64_t lines, int error) {
  if (lost_.fetch_add(lines, std::memory_order_relaxed) != 0) return;
  spdlog::error("log={} lines_lost={} error=\"{}\"", name_, lines, std::strerror(error));
}

Result<std::unique_ptr<LogOutput>> OpenLog(const LogSpec& spec) {
  switch (spec.kind) {
    case LogSpec::Kind::kFile: {
      auto file = LogFile::Open(spec);
      if (!file) return std::unexpected(file.error());
      return std::unique_ptr<LogOutput>(std::move(*file));
    }
    case LogSpec::Kind::kUnixStream:
    case LogSpec::Kind::kUnixDatagram:
      if (!UnixSocketLog::Fits(spec.path)) {
        return Fail(Errc::kInvalidArgument, "{}: too long for a socket's path", spec.path);
      }
      return std::make_unique<UnixSocketLog>(spec.path, spec.kind == LogSpec::Kind::kUnixStream);
    case LogSpec::Kind::kSyslog: break;
  }
  const auto facility = Named(kFacilities, spec.facility, "facility");
  if (!facility) return std::unexpected(facility.error());
  const auto level = Named(kLevels, spec.level, "level");
  if (!level) return std::unexpected(level.error());
  return std::make_unique<SyslogLog>(spec.identity, *facility, *level);
}

}  // namespace sluice
