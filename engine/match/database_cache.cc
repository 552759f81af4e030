#include "engine/match/database_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "engine/base/digest.h"
#include "engine/base/file.h"

namespace sluice {
namespace {

constexpr char kMagic[8] = {'S', 'L', 'U', 'I', 'C', 'E', 'H', 'S'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMostEntries = 1u << 20;
constexpr std::string_view kSuffix = ".hsdb";  // of packs
constexpr std::string_view kPart = ".part-";    // of a pack being written, then a number of its own
constexpr time_t kPartLife = 3600;              // seconds: older ones belong to nobody

// A pack: header, index rows, then the databases.  Host byte order: the platform
// is part of the header.
struct PackHeader {
  char magic[8];
  uint32_t version;
  uint32_t num_entries;
  uint8_t platform[32];
  uint64_t file_bytes;
  uint64_t index_checksum;  // XXH3 of the rows
};
static_assert(sizeof(PackHeader) == 64);

struct PackRow {
  uint8_t key[32];
  uint64_t offset, length;
  uint64_t checksum;  // XXH3 of the database's bytes
};
static_assert(sizeof(PackRow) == 56);

DatabaseCache::Key Sha256(std::string_view bytes) {
  return Digest::Of(DigestKind::kSha256, AsSlice(bytes)).bytes;
}

// What a database depends on besides its literals.
DatabaseCache::Key PlatformKey() {
  hs_platform_info_t info{};
  hs_populate_platform(&info);
  return DatabaseCache::KeyBuilder()
      .Add(hs_version())
      .Add(info.tune)
      .Add(info.cpu_features)
      .Add(sizeof(void*))
      .Finish();
}

std::string_view AsChars(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Hex(std::span<const uint8_t> bytes) {
  std::string out;
  for (const uint8_t b : bytes) out += fmt::format("{:02x}", b);
  return out;
}

// Whether nobody but root and this user can write it.
bool IsPrivate(const struct stat& info) {
  return (info.st_uid == 0 || info.st_uid == geteuid()) && !(info.st_mode & (S_IWGRP | S_IWOTH));
}

bool ReadAll(int fd, void* to, size_t size, uint64_t offset) {
  auto* out = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t n = pread(fd, out, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out += n;
    size -= static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

template <typename T>
std::string_view BytesOf(const T* first, size_t count) {
  return {reinterpret_cast<const char*>(first), count * sizeof(T)};
}

uint64_t RandomNumber() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0) number = static_cast<uint64_t>(getpid());
  return number;
}

// The files in a directory whose names hold `part`, by name.
std::vector<std::string> NamesWith(int directory, std::string_view part) {
  std::vector<std::string> names;
  const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = fd < 0 ? nullptr : fdopendir(fd);
  if (stream == nullptr) {
    if (fd >= 0) close(fd);
    return names;
  }
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name.find(part) != name.npos) names.emplace_back(name);
  }
  closedir(stream);
  std::ranges::sort(names);
  return names;
}

}  // namespace

DatabaseCache::KeyBuilder& DatabaseCache::KeyBuilder::Add(uint64_t number) {
  material_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  return *this;
}
DatabaseCache::KeyBuilder& DatabaseCache::KeyBuilder::Add(std::string_view bytes) {
  Add(uint64_t{bytes.size()});
  material_.append(bytes);
  return *this;
}
uint64_t DatabaseCache::CpuNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

DatabaseCache::Key DatabaseCache::KeyBuilder::Finish() const { return Sha256(material_); }

Result<std::unique_ptr<DatabaseCache>> DatabaseCache::Open(const DatabaseCacheOptions& options) {
  std::error_code failure;
  if (std::filesystem::create_directories(options.directory, failure)) {
    std::filesystem::permissions(options.directory, std::filesystem::perms::owner_all, failure);
  }
  std::unique_ptr<DatabaseCache> cache(new DatabaseCache);
  cache->options_ = options;
  cache->directory_ =
      open(options.directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat info{};
  if (cache->directory_ < 0 || fstat(cache->directory_, &info) != 0) {
    return Fail(Errc::kIo, "{}: {}; name a directory in rules.cache-directory, or \"\" for none",
                options.directory, std::strerror(errno));
  }
  if (!IsPrivate(info)) {
    return Fail(Errc::kPermission,
                "{}: others can write it, and databases in it could be theirs; chmod go-w it",
                options.directory);
  }
  cache->platform_ = PlatformKey();
  for (const std::string& name : NamesWith(cache->directory_, kSuffix)) cache->Index(name);
  return cache;
}

DatabaseCache::~DatabaseCache() {
  for (const Pack& pack : packs_) close(pack.fd);
  if (directory_ >= 0) close(directory_);
}

void DatabaseCache::Index(const std::string& name) {
  Pack pack{name, openat(directory_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  struct stat info{};
  const bool ok = pack.fd >= 0 && fstat(pack.fd, &info) == 0 && S_ISREG(info.st_mode) &&
                  IsPrivate(info) && ReadIndex(pack, static_cast<uint64_t>(info.st_size));
  if (ok) {
    packs_.push_back(std::move(pack));
    return;
  }
  ++stats_.refused;
  if (pack.fd >= 0) close(pack.fd);
}

bool DatabaseCache::ReadIndex(Pack& pack, uint64_t file_bytes) {
  PackHeader header;
  if (file_bytes < sizeof(header) || !ReadAll(pack.fd, &header, sizeof(header), 0)) return false;
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.version != kVersion ||
      std::memcmp(header.platform, platform_.data(), platform_.size()) != 0 ||
      header.file_bytes != file_bytes || header.num_entries > kMostEntries ||
      header.num_entries > (file_bytes - sizeof(header)) / sizeof(PackRow)) {
    return false;
  }
  std::vector<PackRow> rows(header.num_entries);
  const size_t size = rows.size() * sizeof(PackRow);
  if (!ReadAll(pack.fd, rows.data(), size, sizeof(header))) return false;
  if (XXH3_64bits(rows.data(), size) != header.index_checksum) return false;
  for (const PackRow& row : rows) {
    if (row.offset > file_bytes || row.length > file_bytes - row.offset) return false;
  }
  for (const PackRow& row : rows) {
    Key key;
    std::memcpy(key.data(), row.key, key.size());
    entries_[key] = {static_cast<uint32_t>(packs_.size()), row.offset, row.length, row.checksum};
  }
  return true;
}

bool DatabaseCache::ReadEntry(const Entry& entry, std::string* bytes) const {
  bytes->resize(entry.length);
  return ReadAll(packs_[entry.pack].fd, bytes->data(), bytes->size(), entry.offset) &&
         XXH3_64bits(bytes->data(), bytes->size()) == entry.checksum;
}

hs_database_t* DatabaseCache::Load(const Key& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) {
    ++stats_.misses;
    return nullptr;
  }
  std::string bytes;
  hs_database_t* database = nullptr;
  if (!ReadEntry(it->second, &bytes) ||
      hs_deserialize_database(bytes.data(), bytes.size(), &database) != HS_SUCCESS) {
    ++stats_.damaged;
    ++stats_.misses;
    entries_.erase(it);
    return nullptr;
  }
  ++stats_.hits;
  packs_[it->second.pack].used = true;
  used_.push_back(key);
  return database;
}

void DatabaseCache::Store(const Key& key, const hs_database_t* database, uint64_t compile_ns) {
  char* bytes = nullptr;
  size_t length = 0;
  if (hs_serialize_database(database, &bytes, &length) != HS_SUCCESS) return;
  if (fresh_.try_emplace(key, bytes, length).second) used_.push_back(key);
  std::free(bytes);
  compile_ns_ += compile_ns;
}

Result<void> DatabaseCache::Commit() {
  // A pack in use stays young.
  for (const Pack& pack : packs_) {
    if (pack.used) futimens(pack.fd, nullptr);
  }
  if (compile_ns_ < options_.min_compile_ms * 1'000'000ull) return {};
  std::ranges::sort(used_);
  used_.erase(std::unique(used_.begin(), used_.end()), used_.end());
  KeyBuilder name;
  name.Add(AsChars(platform_));
  for (const Key& key : used_) name.Add(AsChars(key));
  const Key hash = name.Finish();
  const std::string file = Hex(std::span(hash).first(16)) + std::string(kSuffix);
  if (auto ok = WritePack(file); !ok) return ok;
  Evict(file);
  return {};
}

Result<void> DatabaseCache::WritePack(const std::string& name) {
  PackHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  std::memcpy(header.platform, platform_.data(), platform_.size());
  std::vector<PackRow> rows;
  std::string data, bytes;
  for (const Key& key : used_) {
    const auto fresh = fresh_.find(key);
    const auto known = entries_.find(key);
    if (fresh != fresh_.end()) {
      bytes = fresh->second;
    } else if (known == entries_.end() || !ReadEntry(known->second, &bytes)) {
      continue;
    }
    PackRow row{};
    std::memcpy(row.key, key.data(), key.size());
    row.offset = data.size();
    row.length = bytes.size();
    row.checksum = XXH3_64bits(bytes.data(), bytes.size());
    rows.push_back(row);
    data += bytes;
  }
  header.num_entries = static_cast<uint32_t>(rows.size());
  const size_t start = sizeof(header) + rows.size() * sizeof(PackRow);
  for (PackRow& row : rows) row.offset += start;
  header.file_bytes = start + data.size();
  header.index_checksum = XXH3_64bits(rows.data(), rows.size() * sizeof(PackRow));

  const std::string temporary = fmt::format("{}{}{:016x}", name.substr(0, 16), kPart, RandomNumber());
  const int fd = openat(directory_, temporary.c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  const bool written = fd >= 0 && WriteAll(fd, BytesOf(&header, 1)) && WriteAll(fd, BytesOf(rows.data(), rows.size())) &&
                       WriteAll(fd, BytesOf(data.data(), data.size())) && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!written || renameat(directory_, temporary.c_str(), directory_, name.c_str()) != 0) {
    const int reason = written ? errno : error;
    if (fd >= 0) unlinkat(directory_, temporary.c_str(), 0);
    return Fail(Errc::kIo, "{}/{}: {}; the next start compiles again", options_.directory, name,
                std::strerror(reason));
  }
  return {};
}

void DatabaseCache::Evict(const std::string& keep) {
  struct File {
    int64_t used = 0;  // seconds
    uint64_t bytes = 0;
    std::string name;
  };
  std::vector<File> files;
  uint64_t total = 0;
  struct stat info{};
  for (const std::string& name : NamesWith(directory_, kPart)) {
    if (fstatat(directory_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (time(nullptr) - info.st_mtime > kPartLife) unlinkat(directory_, name.c_str(), 0);
  }
  for (const std::string& name : NamesWith(directory_, kSuffix)) {
    if (fstatat(directory_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    total += static_cast<uint64_t>(info.st_size);
    if (name != keep) files.push_back({info.st_mtime, static_cast<uint64_t>(info.st_size), name});
  }
  std::ranges::sort(files, {}, &File::used);
  for (const File& file : files) {
    if (total <= options_.max_bytes) return;
    if (unlinkat(directory_, file.name.c_str(), 0) != 0) continue;
    total -= file.bytes;
    ++stats_.evicted;
  }
}

}  // namespace sluice
