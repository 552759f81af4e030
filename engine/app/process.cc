#include "engine/app/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace sluice {
namespace {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

Result<Identity> Find(const PrivilegeOptions& options) {
  const passwd* user = getpwnam(options.user.c_str());
  if (user == nullptr) {
    return Fail(Errc::kInvalidArgument, "run-as.user: {}: there is no such user; `useradd --system {}` makes one", options.user, options.user);
  }
  Identity identity{user->pw_uid, user->pw_gid};
  if (options.group.empty()) return identity;
  const group* group = getgrnam(options.group.c_str());
  if (group == nullptr) return Fail(Errc::kInvalidArgument, "run-as.group: {}: there is no such group", options.group);
  identity.gid = group->gr_gid;
  return identity;
}

// What is not there is not handed over; a file system that refuses is an error.
Result<void> HandOver(const std::string& path, const Identity& to) {
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) return {};
  const auto give = [&to](const std::string& one) -> Result<void> {
    if (lchown(one.c_str(), to.uid, to.gid) == 0 || errno == ENOENT) return {};
    return Fail(Errc::kPermission, "run-as: {}: cannot be given to the user: {}", one, std::strerror(errno));
  };
  if (auto ok = give(path); !ok) return ok;
  if (!std::filesystem::is_directory(path, failure)) return {};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, failure)) {
    if (auto ok = give(entry.path().string()); !ok) return ok;
  }
  return {};
}

Result<void> Become(const Identity& identity) {
  if (setgroups(1, &identity.gid) != 0 || setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
      setresuid(identity.uid, identity.uid, identity.uid) != 0) {
    return Fail(Errc::kPermission, "run-as: cannot become user {}: {}", identity.uid, std::strerror(errno));
  }
  return {};
}

Result<void> KeepOnly(uint64_t capabilities) {
  // Not a failure where the bounding set is out of reach: no_new_privs serves as well.
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
    if ((capabilities >> cap & 1) == 0) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i].effective = data[i].permitted = static_cast<uint32_t>(capabilities >> (32 * i));
  }
  if (syscall(SYS_capset, &header, data) != 0) {
    return Fail(Errc::kPermission, "capabilities cannot be dropped: {}", std::strerror(errno));
  }
  return {};
}

struct Capabilities {
  uint64_t permitted = 0, effective = 0;
};
Capabilities Own() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return {};
  return {data[0].permitted | uint64_t{data[1].permitted} << 32, data[0].effective | uint64_t{data[1].effective} << 32};
}

}  // namespace

std::unique_ptr<Background> Background::Fork(int* exit_code) {
  *exit_code = 1;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return nullptr;
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    setsid();
    return std::unique_ptr<Background>(new Background(ends[1]));
  }
  close(ends[1]);
  char byte = 0;
  ssize_t n = -1;
  while (child > 0 && (n = read(ends[0], &byte, 1)) < 0 && errno == EINTR) {
  }
  close(ends[0]);
  int status = 0;
  if (n == 1) {
    *exit_code = 0;
  } else if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)) {
    *exit_code = WEXITSTATUS(status);
  }
  return nullptr;
}

Background::~Background() {
  if (fd_ >= 0) close(fd_);
}

void Background::Ready() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  close(null);
  const char byte = 1;
  if (write(fd_, &byte, 1) == 1) close(std::exchange(fd_, -1));
}

Result<std::unique_ptr<PidFile>> PidFile::Create(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return Fail(Errc::kIo, "--pidfile {}: {}", path, std::strerror(errno));
  std::unique_ptr<PidFile> file;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return Fail(Errc::kInvalidArgument, "--pidfile {}: a running engine holds it; stop that one or name another file", path);
  }
  file.reset(new PidFile(path, fd));
  const std::string text = fmt::format("{}\n", getpid());
  if (ftruncate(fd, 0) != 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Fail(Errc::kIo, "--pidfile {}: {}", path, std::strerror(errno));
  }
  return file;
}

PidFile::~PidFile() {
  // Emptied too: a user that we became may not be allowed to remove it.
  if (ftruncate(fd_, 0) == 0) unlink(path_.c_str());
  close(fd_);
}

Result<void> DropPrivileges(const PrivilegeOptions& options) {
  uint64_t keep = options.keep_net_admin ? uint64_t{1} << CAP_NET_ADMIN : 0;
  if (options.user.empty()) {
    keep |= uint64_t{1} << CAP_DAC_OVERRIDE;
  } else {
    const auto identity = Find(options);
    if (!identity) return std::unexpected(identity.error());
    for (const std::string& path : options.hand_over) {
      if (auto ok = HandOver(path, *identity); !ok) return ok;
    }
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);  // KeepOnly() decides, not the change of user
    if (auto ok = Become(*identity); !ok) return ok;
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return KeepOnly(keep & Own().permitted);
}

uint64_t EffectiveCapabilities() { return Own().effective; }

}  // namespace sluice
