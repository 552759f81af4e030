#include "engine/app/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice {
namespace {

constexpr size_t kMaxRequest = 4096;   // bytes
constexpr size_t kMaxAnswer = 4 << 20; // bytes
constexpr timeval kPatience = {1, 0};

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(Errc::kInvalidArgument, "control-socket: {}: longer than {} bytes", path, sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int Connect(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return -1;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::Listen(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  std::error_code failure;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failure);
  if (const int other = Connect(path); other >= 0) {
    close(other);
    return Fail(Errc::kInvalidArgument, "control-socket: {}: an engine already answers there; stop it or choose another", path);
  }
  unlink(path.c_str());  // left by an engine that was killed
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const mode_t old = umask(0177);
  const bool bound = fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0 && listen(fd, 8) == 0;
  umask(old);
  if (!bound) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return Fail(Errc::kIo, "control-socket: {}: {}", path, std::strerror(error));
  }
  return std::unique_ptr<ControlServer>(new ControlServer(path, fd));
}

ControlServer::~ControlServer() {
  close(fd_);
  unlink(path_.c_str());
}

void ControlServer::Serve(Nanos wait, int other_fd, const std::function<std::string(std::string_view)>& answer) {
  pollfd fds[2] = {{fd_, POLLIN, 0}, {other_fd, POLLIN, 0}};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  if (poll(fds, 2, static_cast<int>(ms)) <= 0 || !(fds[0].revents & POLLIN)) return;
  const int client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  std::string request;
  char buffer[512];
  while (request.find('\n') == std::string::npos && request.size() < kMaxRequest) {
    const ssize_t n = recv(client, buffer, sizeof(buffer), 0);
    if (n <= 0) break;
    request.append(buffer, static_cast<size_t>(n));
  }
  if (const size_t end = request.find('\n'); end != std::string::npos) {
    WriteAll(client, answer(std::string_view(request).substr(0, end)) + "\n");
  }
  close(client);
}

Result<std::string> AskEngine(const std::string& path, std::string_view request) {
  const int fd = Connect(path);
  if (fd < 0) {
    return Fail(Errc::kNotFound, "{}: no engine answers ({}); start sluice run, or name its control-socket", path, std::strerror(errno));
  }
  std::string answer;
  char buffer[4096];
  if (WriteAll(fd, std::string(request) + "\n")) {
    while (answer.size() < kMaxAnswer) {
      const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(fd);
  if (answer.empty()) return Fail(Errc::kIo, "{}: the engine gave no answer", path);
  if (answer.back() == '\n') answer.pop_back();
  return answer;
}

}  // namespace sluice
