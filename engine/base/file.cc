#include "engine/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

std::unexpected<Error> Unreadable(const std::string& path, std::string_view what, int error) {
  return Fail(Errc::kIo, "{}: the {} cannot be read: {}; check its path and rights", path, what,
              std::strerror(error));
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, std::string_view what, size_t most) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Unreadable(path, what, errno);
  struct stat info{};
  std::string bytes;
  // A pipe has no size: then grow as it comes.
  size_t room = fstat(fd, &info) == 0 && info.st_size > 0 ? static_cast<size_t>(info.st_size) : 0;
  size_t size = 0;
  while (size <= most) {
    if (size >= room) room = size + size / 2 + 65536;
    bytes.resize(room + 1);  // one more shows the end without growing
    const ssize_t n = read(fd, bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      close(fd);
      return Unreadable(path, what, error);
    }
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  close(fd);
  if (size > most) {
    return Fail(Errc::kIo, "{}: the {} is larger than {} bytes; split it", path, what, most);
  }
  bytes.resize(size);
  return bytes;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace sluice
