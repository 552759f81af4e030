#include "engine/output/file_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/base/file.h"

namespace sluice {
namespace {

constexpr size_t kHashSize = 64;  // hex digits
constexpr std::string_view kTmp = "/tmp";

bool IsHash(std::string_view text) {
  return text.size() == kHashSize && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool MakeDirectory(const std::string& path) { return mkdir(path.c_str(), 0750) == 0 || errno == EEXIST; }

}  // namespace

void StoreMessage::AppendTo(std::string_view bytes, std::string* out) const {
  out->append(reinterpret_cast<const char*>(this), sizeof(*this));
  out->append(bytes);
}

Result<std::unique_ptr<FileStore>> FileStore::Open(const FileStoreOptions& options) {
  const std::string tmp = options.directory + std::string(kTmp);
  std::error_code failure;
  std::filesystem::create_directories(tmp, failure);
  for (auto it = std::filesystem::directory_iterator(tmp, failure); !failure && it != end(it); it.increment(failure)) {
    std::error_code ignored;  // shows when its name is needed
    if (it->is_regular_file(ignored)) std::filesystem::remove(it->path(), ignored);
  }
  if (failure || access(tmp.c_str(), W_OK | X_OK) != 0) {
    return Fail(Errc::kIo, "{}: files cannot be stored there: {}; set file-store.directory", options.directory,
                failure ? failure.message() : std::strerror(errno));
  }
  return std::unique_ptr<FileStore>(new FileStore(options));
}

FileStore::~FileStore() {
  while (!entries_.empty()) Forget(entries_.begin()->first, true);
}

std::string FileStore::TmpPath(uint64_t id) const {
  return fmt::format("{}{}/{:x}", options_.directory, kTmp, id);
}

void FileStore::CountError(const std::string& path, int error) {
  if (stats_.fs_errors++ == 0) spdlog::error("file={} error=\"{}\"", path, std::strerror(error));
}

void FileStore::Write(std::string_view message) {
  StoreMessage head;
  if (message.size() < sizeof(head)) return;
  std::memcpy(&head, message.data(), sizeof(head));
  const std::string_view bytes = message.substr(sizeof(head));
  switch (head.op) {
    case StoreMessage::Op::kData: return Data(head, bytes);
    case StoreMessage::Op::kKeep: return Keep(head, bytes);
    case StoreMessage::Op::kDrop:
      stats_.dropped += entries_.contains(head.id);
      return Forget(head.id, true);
  }
}

// The file's entry, a new one if there is none.
FileStore::Entry& FileStore::Find(uint64_t id) {
  if (const auto known = entries_.find(id); known != entries_.end()) {
    used_.splice(used_.end(), used_, known->second.used);
    return known->second;
  }
  if (!entries_.empty() && entries_.size() >= options_.max_files) {
    ++stats_.evicted;
    Forget(used_.front(), true);
  }
  Entry& entry = entries_[id];
  entry.used = used_.insert(used_.end(), id);
  return entry;
}

bool FileStore::OpenEntry(uint64_t id, Entry& entry) {
  if (entry.fd >= 0) {
    open_.splice(open_.end(), open_, entry.open);
    return true;
  }
  if (open_.size() >= options_.max_open_files && !open_.empty()) {
    ++stats_.open_files_max_hit;
    CloseEntry(entries_[open_.front()]);
  }
  const std::string path = TmpPath(id);
  const int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (entry.size == 0 ? O_CREAT | O_TRUNC : O_APPEND);
  entry.fd = open(path.c_str(), flags, 0640);
  if (entry.fd < 0) {
    CountError(path, errno);
    return false;
  }
  entry.open = open_.insert(open_.end(), id);
  ++stats_.open_files;
  return true;
}

void FileStore::CloseEntry(Entry& entry) {
  if (entry.fd < 0) return;
  close(entry.fd);
  entry.fd = -1;
  open_.erase(entry.open);
  --stats_.open_files;
}

void FileStore::Forget(uint64_t id, bool remove_file) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  CloseEntry(it->second);
  used_.erase(it->second.used);
  if (remove_file) unlink(TmpPath(id).c_str());
  entries_.erase(it);
}

void FileStore::Data(const StoreMessage& message, std::string_view bytes) {
  Entry& entry = Find(message.id);
  if (entry.failed) return;
  if (message.offset != entry.size) {  // what came before was lost
    entry.failed = true;
    return;
  }
  if (!OpenEntry(message.id, entry) || !WriteAll(entry.fd, bytes)) {
    if (entry.fd >= 0) CountError(TmpPath(message.id), errno);
    CloseEntry(entry);
    unlink(TmpPath(message.id).c_str());  // a full disk is not kept full
    entry.failed = true;
    return;
  }
  entry.size += bytes.size();
}

void FileStore::Keep(const StoreMessage& message, std::string_view bytes) {
  Entry& entry = Find(message.id);
  const std::string hash(bytes.substr(0, kHashSize));
  const bool whole = !entry.failed && entry.size == message.offset && IsHash(hash) &&
                     (entry.size > 0 || OpenEntry(message.id, entry));
  if (!whole) {
    ++stats_.incomplete;
    return Forget(message.id, true);
  }
  const bool placed = Place(message.id, hash);
  Forget(message.id, !placed);
  const std::string_view record = bytes.substr(kHashSize);
  if (!placed || record.empty()) return;
  WriteRecord(fmt::format("{}/{}/{}.{}.{}.json", options_.directory, hash.substr(0, 2), hash,
                          message.seconds, message.id),
              record);
}

// Gives the file its name; content that is there already becomes young again.
bool FileStore::Place(uint64_t id, const std::string& hash) {
  const std::string directory = options_.directory + "/" + hash.substr(0, 2);
  const std::string path = directory + "/" + hash;
  if (access(path.c_str(), F_OK) == 0) {
    utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    unlink(TmpPath(id).c_str());
    ++stats_.known;
    return true;
  }
  if (!MakeDirectory(directory) || rename(TmpPath(id).c_str(), path.c_str()) != 0) {
    CountError(path, errno);
    return false;
  }
  ++stats_.stored;
  return true;
}

void FileStore::WriteRecord(const std::string& path, std::string_view record) {
  const std::string tmp = fmt::format("{}{}/record", options_.directory, kTmp);
  const int fd = open(tmp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  const bool written = fd >= 0 && WriteAll(fd, record);
  if (fd >= 0) close(fd);
  if (written && rename(tmp.c_str(), path.c_str()) == 0) return;
  CountError(path, errno);
  unlink(tmp.c_str());
}

}  // namespace sluice
