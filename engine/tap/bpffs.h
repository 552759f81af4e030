// engine/tap/bpffs.h
// File descriptors, mappings, and the directory of pins.
// Threads: control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace sluice {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A shared mapping of a map's memory, unmapped with the object.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping();
  // `size` is rounded up to whole pages.
  static Result<Mapping> Map(int fd, size_t size, bool writable, size_t offset,
                             const std::string& what);
  void* data() const noexcept { return data_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Makes `dir` and, unless it is one already, mounts a bpffs on it: in the mount namespace that
// the command was started from, if ours is another.  Before there are threads.
Result<void> EnsureBpffs(const std::string& dir);
bool IsBpffs(const std::string& dir);
bool InOwnMountNamespace();  // another than our outermost ancestor that we may look at
Result<void> MakeDirectory(const std::string& dir);
// Removes the files in `dir` and `dir` itself; nothing there is no error.
Result<void> RemovePinDirectory(const std::string& dir);
// Names of the entries of `dir` that begin with `prefix`; empty if there is no such directory.
std::vector<std::string> ListDirectory(const std::string& dir, const std::string& prefix);

// The directories below pin_dir; see live_tap.h.
std::string DropsPath(const std::string& pin_dir);

// CLOCK_MONOTONIC, which the kernel's records count.
Nanos MonotonicNow() noexcept;

// errno as text, with the remedy where the number has only one.
std::string ErrnoText(int error);
Errc ErrnoCode(int error);

}  // namespace sluice
