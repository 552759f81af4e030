#include "engine/tap/bpffs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "bpf/shared/tap_abi.h"

namespace sluice {
namespace {

constexpr long kBpfFsMagic = 0xcafe4a11;  // linux/magic.h: BPF_FS_MAGIC

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

Result<Mapping> Mapping::Map(int fd, size_t size, bool writable, size_t offset,
                             const std::string& what) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  Mapping mapping;
  mapping.size_ = (size + page - 1) / page * page;
  void* data = mmap(nullptr, mapping.size_, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                    MAP_SHARED, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) {
    return Fail(ErrnoCode(errno), "{}: cannot be mapped: {}", what, ErrnoText(errno));
  }
  mapping.data_ = data;
  return mapping;
}

std::string ErrnoText(int error) {
  std::string text = std::strerror(error);
  if (error == EPERM || error == EACCES) {
    text += "; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
  }
  return text;
}

Errc ErrnoCode(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return Errc::kPermission;
    case ENOENT:
      return Errc::kNotFound;
    case ENOMEM:
    case E2BIG:
    case ENOSPC:
      return Errc::kOutOfMemory;
    case ENOSYS:
    case EOPNOTSUPP:
      return Errc::kUnsupported;
    default:
      return Errc::kIo;
  }
}

Result<void> MakeDirectory(const std::string& dir) {
  for (size_t at = dir.find('/', 1);; at = dir.find('/', at + 1)) {
    const std::string part = dir.substr(0, at);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return Fail(ErrnoCode(errno), "{}: cannot be created: {}", part, ErrnoText(errno));
    }
    if (at == std::string::npos) return {};
  }
}

Result<void> EnsureBpffs(const std::string& dir) {
  struct statfs fs {};
  if (statfs(dir.c_str(), &fs) == 0 && fs.f_type == kBpfFsMagic) return MakeDirectory(dir);
  if (auto made = MakeDirectory(dir); !made) return made;
  // A directory made just now inside a bpffs needs no mount of its own.
  if (statfs(dir.c_str(), &fs) == 0 && fs.f_type == kBpfFsMagic) return {};
  if (mount("bpf", dir.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return Fail(ErrnoCode(errno), "{}: bpffs cannot be mounted: {}", dir, ErrnoText(errno));
  }
  return {};
}

std::vector<std::string> ListDirectory(const std::string& dir, const std::string& prefix) {
  std::vector<std::string> names;
  DIR* stream = opendir(dir.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && name.starts_with(prefix)) names.push_back(name);
  }
  closedir(stream);
  return names;
}

Result<void> RemovePinDirectory(const std::string& dir) {
  for (const std::string& name : ListDirectory(dir, "")) {
    const std::string path = dir + "/" + name;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return Fail(ErrnoCode(errno), "{}: cannot be removed: {}", path, ErrnoText(errno));
    }
  }
  if (rmdir(dir.c_str()) != 0 && errno != ENOENT) {
    return Fail(ErrnoCode(errno), "{}: cannot be removed: {}", dir, ErrnoText(errno));
  }
  return {};
}

std::string DropsPath(const std::string& pin_dir) {
  return fmt::format("{}/drops-v{}", pin_dir, TAP_DROPS_VERSION);
}

Nanos MonotonicNow() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds{now.tv_sec} + Nanos{now.tv_nsec};
}

}  // namespace sluice
