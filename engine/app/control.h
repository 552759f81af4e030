// engine/app/control.h
// The control socket: one request line, one answer line per connection.
//
// Only root and the engine's user may connect (mode 0600).  Nothing a client does or
// omits holds the caller up: sockets do not block, and each phase has a deadline.
// Limits: 16 clients, the longest idle gives way; 4 KiB per request; 2 s to send the
//   request and 2 s to take the answer.  Each is counted in ControlStats.
// Threads: one, the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace sluice {

// The request of one client, from bytes as they come.  No sockets, no clock.
class ControlRequest {
 public:
  static constexpr size_t kMaxBytes = 4096;  // with the newline
  enum class State { kMore, kReady, kTooLong };

  // Further bytes; what follows the first newline is ignored.
  State Feed(std::string_view bytes);
  std::string_view line() const { return line_; }  // whole once kReady, without its newline

 private:
  std::string line_;
  State state_ = State::kMore;
};

struct ControlStats {  // totals since Listen()
  uint64_t served = 0;
  uint64_t too_long = 0;   // requests over kMaxBytes
  uint64_t timed_out = 0;  // request not sent, or answer not taken, in time
  uint64_t evicted = 0;    // closed to make room, or refused as all wait for an answer
};

class ControlServer {
 public:
  static constexpr size_t kMaxClients = 16;
  static constexpr Nanos kPatience = std::chrono::seconds{2};

  // The answer to a request, or nothing: Reply() brings it later.
  using Answer = std::function<std::optional<std::string>(uint64_t client, std::string_view request)>;

  // Removes a socket that a killed engine left; kInvalidArgument if one answers there.
  static Result<std::unique_ptr<ControlServer>> Listen(const std::string& path);
  ~ControlServer();

  // Moves every client on by what is possible at `now` (monotonic).  Sleeps up to `wait`
  // if there is nothing to do and none of `others` is readable.
  void Serve(Nanos now, Nanos wait, std::span<const int> others, const Answer& answer);
  // Answers a client that waits; without effect if it has gone.
  void Reply(uint64_t client, std::string_view text);
  const ControlStats& stats() const { return stats_; }

 private:
  struct Client;
  ControlServer(std::string path, int fd);
  void Accept(Nanos now);
  void Advance(Client& client, Nanos now, const Answer& answer);
  void Read(Client& client, Nanos now, const Answer& answer);
  void Write(Client& client);
  bool MakeRoom();

  const std::string path_;
  const int fd_;
  uint64_t next_id_ = 1;
  std::vector<std::unique_ptr<Client>> clients_;  // in order of arrival
  ControlStats stats_;
};

// Sends one request to a running engine and waits for its answer.
Result<std::string> AskEngine(const std::string& path, std::string_view request);

}  // namespace sluice
