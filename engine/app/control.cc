#include "engine/app/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice {
namespace {

constexpr size_t kMaxAnswer = 4 << 20;  // bytes

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

bool SendAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

ControlRequest::State ControlRequest::Feed(std::string_view bytes) {
  if (state_ != State::kMore) return state_;
  const size_t end = bytes.find('\n');
  const std::string_view part = bytes.substr(0, end);
  const bool whole = end != bytes.npos;
  if (line_.size() + part.size() >= kMaxBytes) return state_ = State::kTooLong;
  line_ += part;
  return state_ = whole ? State::kReady : State::kMore;
}

struct ControlServer::Client {
  enum class Phase { kReading, kWaiting, kWriting, kDone };

  Client(uint64_t client_id, int socket, Nanos give_up) : id(client_id), fd(socket), deadline(give_up) {}
  ~Client() { close(fd); }

  const uint64_t id;
  const int fd;
  Nanos deadline;  // of reading and writing
  Phase phase = Phase::kReading;
  ControlRequest request;
  std::string out;
  size_t sent = 0;
};

ControlServer::ControlServer(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

ControlServer::~ControlServer() {
  close(fd_);
  unlink(path_.c_str());
}

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
  const bool bound = fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0 &&
                     listen(fd, kMaxClients) == 0;
  const int error = errno;
  umask(old);
  if (!bound) {
    if (fd >= 0) close(fd);
    return Fail(Errc::kIo, "control-socket: {}: {}", path, std::strerror(error));
  }
  return std::unique_ptr<ControlServer>(new ControlServer(path, fd));
}

void ControlServer::Serve(Nanos now, Nanos wait, std::span<const int> others, const Answer& answer) {
  std::vector<pollfd> fds = {{fd_, POLLIN, 0}};
  for (const auto& client : clients_) {
    const bool reads = client->phase == Client::Phase::kReading, writes = client->phase == Client::Phase::kWriting;
    fds.push_back({client->fd, static_cast<short>(reads ? POLLIN : writes ? POLLOUT : 0), 0});
  }
  for (const int other : others) fds.push_back({other, POLLIN, 0});
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  if (poll(fds.data(), fds.size(), static_cast<int>(ms)) < 0) return;
  for (size_t i = 0; i < clients_.size(); ++i) {
    Client& client = *clients_[i];
    if (fds[i + 1].revents & (POLLERR | POLLHUP) && client.phase == Client::Phase::kWaiting) {
      client.phase = Client::Phase::kDone;
    }
    Advance(client, now, answer);
  }
  if (fds[0].revents & POLLIN) Accept(now);
  std::erase_if(clients_, [](const auto& client) { return client->phase == Client::Phase::kDone; });
}

void ControlServer::Advance(Client& client, Nanos now, const Answer& answer) {
  if (client.phase == Client::Phase::kReading) Read(client, now, answer);
  if (client.phase == Client::Phase::kWriting) Write(client);
  const bool timed = client.phase == Client::Phase::kReading || client.phase == Client::Phase::kWriting;
  if (timed && now >= client.deadline) {
    ++stats_.timed_out;
    client.phase = Client::Phase::kDone;
  }
}

void ControlServer::Read(Client& client, Nanos now, const Answer& answer) {
  char buffer[1024];
  const ssize_t n = recv(client.fd, buffer, sizeof(buffer), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    client.phase = Client::Phase::kDone;
    return;
  }
  switch (client.request.Feed({buffer, static_cast<size_t>(n)})) {
    case ControlRequest::State::kMore: return;
    case ControlRequest::State::kTooLong:
      ++stats_.too_long;
      client.phase = Client::Phase::kDone;
      return;
    case ControlRequest::State::kReady: break;
  }
  client.phase = Client::Phase::kWaiting;
  client.deadline = now + kPatience;
  if (const auto text = answer(client.id, client.request.line())) Reply(client.id, *text);
}

void ControlServer::Reply(uint64_t id, std::string_view text) {
  const auto it = std::ranges::find_if(clients_, [id](const auto& c) { return c->id == id; });
  if (it == clients_.end() || (*it)->phase != Client::Phase::kWaiting) return;
  (*it)->out = text;
  (*it)->out += '\n';
  (*it)->phase = Client::Phase::kWriting;
}

void ControlServer::Write(Client& client) {
  const std::string_view rest = std::string_view(client.out).substr(client.sent);
  const ssize_t n = send(client.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) {
    client.phase = Client::Phase::kDone;
    return;
  }
  client.sent += static_cast<size_t>(n);
  if (client.sent < client.out.size()) return;
  ++stats_.served;
  client.phase = Client::Phase::kDone;
}

// Whether a further client fits: the first that does not wait for an answer goes.
bool ControlServer::MakeRoom() {
  std::erase_if(clients_, [](const auto& client) { return client->phase == Client::Phase::kDone; });
  if (clients_.size() < kMaxClients) return true;
  ++stats_.evicted;
  const auto it = std::ranges::find_if(clients_, [](const auto& c) { return c->phase != Client::Phase::kWaiting; });
  if (it == clients_.end()) return false;
  clients_.erase(it);
  return true;
}

void ControlServer::Accept(Nanos now) {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  auto client = std::make_unique<Client>(next_id_++, fd, now + kPatience);
  if (MakeRoom()) clients_.push_back(std::move(client));
}

Result<std::string> AskEngine(const std::string& path, std::string_view request) {
  const int fd = Connect(path);
  if (fd < 0) {
    return Fail(Errc::kNotFound, "{}: no engine answers ({}); start sluice run, or name its control-socket", path, std::strerror(errno));
  }
  std::string answer;
  char buffer[4096];
  if (SendAll(fd, std::string(request) + "\n")) {
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
