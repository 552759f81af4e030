#include "engine/tap/bpffs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include "bpf/shared/tap_abi.h"

namespace sluice {
namespace {

constexpr long kBpfFsMagic = 0xcafe4a11;  // linux/magic.h: BPF_FS_MAGIC

Result<void> MountBpffs(const std::string& dir) {
  if (mount("bpf", dir.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return Fail(ErrnoCode(errno), "{}: bpffs cannot be mounted: {}", dir, ErrnoText(errno));
  }
  return {};
}

bool SendDescriptor(int socket_fd, int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  return sendmsg(socket_fd, &message, 0) == 1;
}

FileDescriptor ReceiveDescriptor(int socket_fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) != 1) return {};
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return FileDescriptor(fd);
}

pid_t ParentOf(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(in, text);
  // "1234 (name) S 1 ...": the name may hold anything.
  const size_t name_end = text.rfind(") ");
  pid_t parent = 0;
  if (name_end != text.npos) std::sscanf(text.c_str() + name_end, ") %*c %d", &parent);
  return parent;
}

bool IsSameFile(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// Our outermost ancestor that we may look at and that has our root directory, if it has another
// mount namespace; else 0.  Beyond a chroot paths mean something else.
pid_t OuterProcess() {
  struct stat own_space {}, own_root {}, space {}, root {};
  pid_t outer = 0;
  if (stat("/proc/self/ns/mnt", &own_space) != 0 || stat("/", &own_root) != 0) return outer;
  for (pid_t pid = getppid(); pid > 0; pid = ParentOf(pid)) {
    if (stat(fmt::format("/proc/{}/root/", pid).c_str(), &root) == 0 && !IsSameFile(root, own_root)) break;
    if (stat(fmt::format("/proc/{}/ns/mnt", pid).c_str(), &space) == 0) outer = IsSameFile(space, own_space) ? 0 : pid;
  }
  return outer;
}

// Into the mount namespace of a process, and to its root: joining alone leads out of a chroot.
bool JoinMounts(pid_t pid) {
  const FileDescriptor space(open(fmt::format("/proc/{}/ns/mnt", pid).c_str(), O_RDONLY | O_CLOEXEC));
  const FileDescriptor root(open(fmt::format("/proc/{}/root/", pid).c_str(), O_PATH | O_CLOEXEC));
  return space && root && setns(space.get(), CLONE_NEWNS) == 0 && fchdir(root.get()) == 0 && chroot(".") == 0;
}

// In a child process: the bpffs at `dir` as `outer` sees it, mounted there if need be.
[[noreturn]] void Lend(pid_t outer, const std::string& dir, int socket_fd) {
  if (!JoinMounts(outer) || !MakeDirectory(dir)) _exit(1);
  if (!IsBpffs(dir) && !MountBpffs(dir)) _exit(1);
  const FileDescriptor tree(open_tree(AT_FDCWD, dir.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  _exit(tree && SendDescriptor(socket_fd, tree.get()) ? 0 : 1);
}

// `ip netns exec` gives its command a mount namespace, and a bpffs mounted there would end with
// it: links would detach, drops be lifted, and nobody outside could list them.  So it is mounted
// in the namespace that we came from, and shown here too.  False: that cannot be done.
bool Borrow(pid_t outer, const std::string& dir) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
  FileDescriptor own(ends[0]), other(ends[1]);
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) Lend(outer, dir, other.get());
  other = FileDescriptor();
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return false;
  if (IsBpffs(dir)) return true;  // the mount came here by itself
  const FileDescriptor tree = ReceiveDescriptor(own.get());
  return tree && move_mount(tree.get(), "", AT_FDCWD, dir.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

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
    // Whoever may become the engine's user must get through to what is its own.
    const mode_t mode = at == std::string::npos ? 0700 : 0755;
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return Fail(ErrnoCode(errno), "{}: cannot be created: {}", part, ErrnoText(errno));
    }
    if (at == std::string::npos) return {};
  }
}

bool IsBpffs(const std::string& dir) {
  struct statfs fs {};
  return statfs(dir.c_str(), &fs) == 0 && fs.f_type == kBpfFsMagic;
}

bool InOwnMountNamespace() { return OuterProcess() != 0; }

Result<void> EnsureBpffs(const std::string& dir) {
  if (auto made = MakeDirectory(dir); !made) return made;
  // Also a directory made just now inside a bpffs: it needs no mount of its own.
  if (IsBpffs(dir)) return {};
  if (const pid_t outer = OuterProcess(); outer != 0 && Borrow(outer, dir) && IsBpffs(dir)) return {};
  return MountBpffs(dir);
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
