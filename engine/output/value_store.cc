#include "engine/output/value_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/base/file.h"

namespace sluice {
namespace {

struct Head {
  uint64_t micros;
  uint32_t value_size;
  uint8_t name_size, suffix_size;
};

std::string_view Cut(std::string_view* from, size_t size) {
  const std::string_view taken = from->substr(0, size);
  from->remove_prefix(taken.size());
  return taken;
}

}  // namespace

void ValueMessage::AppendTo(std::string* out) const {
  const Head head{.micros = micros, .value_size = static_cast<uint32_t>(value.size()),
                  .name_size = static_cast<uint8_t>(name.size()),
                  .suffix_size = static_cast<uint8_t>(suffix.size())};
  out->append(reinterpret_cast<const char*>(&head), sizeof(head));
  out->append(name).append(suffix).append(value).append(meta);
}

bool ValueMessage::Read(std::string_view bytes) {
  Head head;
  if (bytes.size() < sizeof(head)) return false;
  std::memcpy(&head, bytes.data(), sizeof(head));
  bytes.remove_prefix(sizeof(head));
  if (bytes.size() < size_t{head.value_size} + head.name_size + head.suffix_size) return false;
  micros = head.micros;
  name = Cut(&bytes, head.name_size);
  suffix = Cut(&bytes, head.suffix_size);
  value = Cut(&bytes, head.value_size);
  meta = bytes;
  return true;
}

Result<std::unique_ptr<ValueStore>> ValueStore::Open(const ValueStoreOptions& options) {
  for (const auto& [name, directory] : options.directories) {
    std::error_code failure;
    std::filesystem::create_directories(directory, failure);
    if (failure || access(directory.c_str(), W_OK | X_OK) != 0) {
      return Fail(Errc::kIo, "{}: values cannot be stored there: {}; set stores.{}.directory", directory,
                  failure ? failure.message() : std::strerror(errno), name);
    }
  }
  return std::unique_ptr<ValueStore>(new ValueStore(options));
}

void ValueStore::Write(std::string_view bytes) {
  ValueMessage message;
  if (!message.Read(bytes)) return;
  const auto directory = options_.directories.find(message.name);
  if (directory == options_.directories.end()) return;
  if (stats_.written >= options_.max_files || stats_.bytes + message.value.size() > options_.max_bytes) {
    ++stats_.limited;
    return;
  }
  const std::string path = fmt::format("{}/{}.{:06}-{}", directory->second, message.micros / 1'000'000,
                                       message.micros % 1'000'000, ++number_);
  if (!WriteFile(fmt::format("{}.{}", path, message.suffix), message.value)) return;
  if (!WriteFile(path + ".meta", message.meta)) return;
  ++stats_.written;
  stats_.bytes += message.value.size();
}

// A full disk is not kept full.
bool ValueStore::WriteFile(const std::string& path, std::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  const bool written = fd >= 0 && WriteAll(fd, bytes);
  const int error = errno;
  if (fd >= 0) close(fd);
  if (written) return true;
  if (fd >= 0) unlink(path.c_str());
  if (stats_.fs_errors++ == 0) spdlog::error("file={} error=\"{}\"", path, std::strerror(error));
  return false;
}

}  // namespace sluice
