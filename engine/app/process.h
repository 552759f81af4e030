// engine/app/process.h
// The engine as a process: background, process-id file, privileges.
//
// Threads: the main thread, before others exist.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace sluice {

// -D.  The command's own process waits until the child says it is ready, so that whoever
// started it knows: exit 0 means that traffic is inspected, and errors of the start have
// been printed.
class Background {
 public:
  // In the child: an object.  In the parent: nothing, and *exit_code once the child is
  // ready or has ended.
  static std::unique_ptr<Background> Fork(int* exit_code);
  ~Background();
  // The child works: lets the parent go, and the terminal.
  void Ready();

 private:
  explicit Background(int fd) : fd_(fd) {}
  int fd_;  // write end; the parent reads one byte
};

// A file with our process id, locked as long as we live, so that a second engine with the
// same file refuses to start and a stale file does not matter.
class PidFile {
 public:
  static Result<std::unique_ptr<PidFile>> Create(const std::string& path);
  ~PidFile();  // empties and removes it

 private:
  PidFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;
};

struct PrivilegeOptions {
  std::string user, group;           // "": stay who we are; group "": the user's own
  bool keep_net_admin = false;       // clsact filters are detached by name, not by descriptor
  std::vector<std::string> hand_over;  // files and directories that become the user's
};
// Gives up what loading needed.  Of root's capabilities CAP_DAC_OVERRIDE stays unless a user
// is named: logs and rule files may be others'.  There is no way back.
Result<void> DropPrivileges(const PrivilegeOptions& options);
uint64_t EffectiveCapabilities();  // bit n: capability n

}  // namespace sluice
