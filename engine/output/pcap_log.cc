#include "engine/output/pcap_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice {
namespace {

namespace fs = std::filesystem;

// The formats of files and packets: draft-ietf-opsawg-pcap.
struct FileHeader {
  uint32_t magic = 0xa1b2c3d4;
  uint16_t major = 2, minor = 4;
  uint32_t zone = 0, accuracy = 0;
  uint32_t snaplen = 262144;
  uint32_t link = 1;
};
struct PacketHeader {
  uint32_t seconds, microseconds, cap_len, wire_len;
};

uint32_t LinkNumber(LinkType link) {
  switch (link) {
    case LinkType::kEthernet: return 1;
    case LinkType::kRawIp: return 101;
    case LinkType::kLinuxCooked1: return 113;
    case LinkType::kLinuxCooked2: return 276;
    case LinkType::kLoopback: return 0;
    case LinkType::kPpp: return 9;
    case LinkType::kCiscoHdlc: return 104;
    case LinkType::kUnknown: break;
  }
  return 147;  // for private use
}

template <typename T>
void Append(const T& value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void Replace(std::string* text, std::string_view what, std::string_view with) {
  for (size_t at; (at = text->find(what)) != std::string::npos;) text->replace(at, what.size(), with);
}

bool HasWorker(const std::string& path) {
  return path.find("%n") != std::string::npos || path.find("%i") != std::string::npos;
}

// "log.pcap." and digits, perhaps with a dot among them.
bool IsOlder(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return false;
  return name.find_first_not_of("0123456789.", prefix.size()) == name.npos;
}

}  // namespace

PcapLog::PcapLog(const PcapLogOptions& options) : LogOutput(options.path), options_(options), files_(1) {}

PcapLog::~PcapLog() {
  for (File& file : files_) CloseFile(file);
}

Result<std::unique_ptr<PcapLog>> PcapLog::Open(const PcapLogOptions& options) {
  if (options.per_worker && !HasWorker(options.path)) {
    return Fail(Errc::kInvalidArgument, "{}: pcap-log.mode multi needs %n, the worker's number, in pcap-log.filename",
                options.path);
  }
  const fs::path directory = fs::path(options.path).parent_path();
  std::error_code failure;
  if (!directory.empty()) fs::create_directories(directory, failure);
  if (access(directory.empty() ? "." : directory.c_str(), W_OK) != 0) {
    return Fail(Errc::kIo, "{}: cannot be written: {}; choose another directory with -l", options.path,
                std::strerror(errno));
  }
  std::unique_ptr<PcapLog> log(new PcapLog(options));
  if (!options.per_worker) log->FindOlder(log->files_[0]);
  return log;
}

// Those of an earlier run count.
void PcapLog::FindOlder(File& file) const {
  if (options_.max_files == 0 || options_.path.find('%') != std::string::npos) return;
  const fs::path base(options_.path);
  const std::string prefix = base.filename().string() + ".";
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(base.has_parent_path() ? base.parent_path() : ".", failure)) {
    if (IsOlder(entry.path().filename().string(), prefix)) file.older.push_back(entry.path().string());
  }
  std::ranges::sort(file.older);
}

std::string PcapLog::NameFor(const PcapLogHeader& header, bool exact) const {
  const std::string time = exact ? fmt::format("{}.{:06}", header.seconds, header.microseconds)
                                 : fmt::format("{}", header.seconds);
  const std::string worker = fmt::format("{}", header.worker + 1);
  std::string name = options_.path;
  if (name.find("%t") == std::string::npos) name += ".%t";
  Replace(&name, "%t", time);
  Replace(&name, "%n", worker);
  Replace(&name, "%i", worker);
  return name;
}

bool PcapLog::Begin(File& file, const PcapLogHeader& header) {
  CloseFile(file);
  // Two that begin in one second do not overwrite each other.
  std::string path = NameFor(header, options_.microseconds || file.begun == header.seconds);
  file.fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file.fd < 0) return false;
  std::erase(file.older, path);
  file.path = std::move(path);
  file.begun = header.seconds;
  file.link = header.link;
  file.written = 0;
  file.buffer.clear();
  file.buffered = 0;
  Append(FileHeader{.link = LinkNumber(header.link)}, &file.buffer);
  while (options_.max_files != 0 && file.older.size() >= options_.max_files) {
    unlink(file.older.front().c_str());
    file.older.pop_front();
  }
  file.older.push_back(file.path);
  return true;
}

void PcapLog::Write(std::string_view record) {
  PcapLogHeader header;
  if (record.size() < sizeof(header)) return;
  std::memcpy(&header, record.data(), sizeof(header));
  const std::string_view bytes = record.substr(sizeof(header));
  const size_t index = options_.per_worker ? header.worker : 0;
  if (index >= files_.size()) files_.resize(index + 1);
  File& file = files_[index];
  const uint64_t size = file.written + file.buffer.size() + sizeof(PacketHeader) + bytes.size();
  const bool full = size > options_.file_bytes && file.written + file.buffer.size() > sizeof(FileHeader);
  if ((file.fd < 0 || full || file.link != header.link) && !Begin(file, header)) return CountLost(1, errno);
  if (file.buffer.size() + bytes.size() > kBufferBytes) FlushFile(file);
  Append(PacketHeader{header.seconds, header.microseconds, static_cast<uint32_t>(bytes.size()), header.wire_len},
         &file.buffer);
  file.buffer += bytes;
  ++file.buffered;
}

// All of the buffer or nothing of it: what was cut would make the rest unreadable.
void PcapLog::FlushFile(File& file) {
  size_t done = 0;
  while (done < file.buffer.size()) {
    const ssize_t n = write(file.fd, file.buffer.data() + done, file.buffer.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  if (done == file.buffer.size()) {
    file.written += done;
    CountWritten(file.buffered);
  } else {
    CountLost(file.buffered, errno);
    if (ftruncate(file.fd, static_cast<off_t>(file.written)) == 0) lseek(file.fd, 0, SEEK_END);
    if (file.written == 0) {  // without its header it is nothing
      close(file.fd);
      file.fd = -1;
    }
  }
  file.buffer.clear();
  file.buffered = 0;
}

void PcapLog::Flush() {
  for (File& file : files_) {
    if (file.fd >= 0) FlushFile(file);
  }
}

void PcapLog::CloseFile(File& file) {
  if (file.fd < 0) return;
  FlushFile(file);
  if (file.fd >= 0) close(file.fd);
  file.fd = -1;
}

}  // namespace sluice
