#include "engine/app/reload.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace sluice {
namespace {

constexpr uint64_t kMiB = 1u << 20;

// The number in the first line of `path`; nothing if there is none ("max").
std::optional<uint64_t> NumberIn(const std::string& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  return in >> value ? std::optional(value) : std::nullopt;
}

uint64_t AvailableBytes() {
  uint64_t available = UINT64_MAX;
  std::ifstream in("/proc/meminfo");
  for (std::string name; in >> name;) {
    if (name != "MemAvailable:") continue;
    in >> available;
    available *= 1024;
    break;
  }
  const auto limit = NumberIn("/sys/fs/cgroup/memory.max"), used = NumberIn("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit - std::min(*limit, *used));
  return available;
}

}  // namespace

uint64_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Result<void> CheckMemory(uint64_t limit, uint64_t more) {
  const uint64_t resident = ResidentBytes();
  if (limit != 0 && resident + more > limit) {
    return Fail(Errc::kOutOfMemory, "rules.memory-limit: {} MiB is less than the {} MiB that old and new rules take together; raise it, or restart", limit / kMiB,
                (resident + more) / kMiB);
  }
  if (limit == 0 && more > AvailableBytes() / 10 * 9) {
    return Fail(Errc::kOutOfMemory, "new rules take about {} MiB beside the old ones, {} MiB are available; free memory, or restart", more / kMiB,
                AvailableBytes() / kMiB);
  }
  return {};
}

Result<std::unique_ptr<Reloader>> Reloader::Create(Build build) {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Fail(Errc::kIo, "reload: eventfd: {}", std::strerror(errno));
  return std::unique_ptr<Reloader>(new Reloader(std::move(build), fd));
}

Reloader::~Reloader() {
  if (thread_.joinable()) thread_.join();
  close(event_fd_);
}

uint64_t Reloader::Request() {
  if (running()) {
    again_ = true;
    return number_ + 1;
  }
  Start();
  return number_;
}

void Reloader::Start() {
  ++number_;
  thread_ = std::thread([this] {
    auto rules = build_();
    {
      const std::lock_guard lock(mutex_);
      result_ = std::move(rules);
    }
    eventfd_write(event_fd_, 1);
  });
}

std::optional<Reloader::Done> Reloader::Take() {
  eventfd_t count = 0;
  if (!running() || eventfd_read(event_fd_, &count) != 0) return std::nullopt;
  thread_.join();
  std::optional<Done> done;
  {
    const std::lock_guard lock(mutex_);
    done.emplace(Done{number_, std::move(*result_)});
    result_.reset();
  }
  return done;
}

void Reloader::StartNext() {
  if (!running() && std::exchange(again_, false)) Start();
}

}  // namespace sluice
