// engine/app/control.h
// The control socket: one request line, one answer line.
//
// Only root and the engine's user may connect (mode 0600).  Requests are at most
// 4 KiB; a client has one second.
// Threads: Serve() on the main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace sluice {

class ControlServer {
 public:
  static Result<std::unique_ptr<ControlServer>> Listen(const std::string& path);
  ~ControlServer();
  // Waits up to `wait` for a client, or until `other_fd` is readable.
  void Serve(Nanos wait, int other_fd, const std::function<std::string(std::string_view)>& answer);

 private:
  ControlServer(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;
};

// Sends one request to a running engine.
Result<std::string> AskEngine(const std::string& path, std::string_view request);

}  // namespace sluice
