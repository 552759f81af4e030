// engine/output/file_store.h
// Files by their content: <directory>/<two hex digits>/<sha256>, and beside it, if asked
// for, its record as <sha256>.<seconds>.<id>.json.
//
// A worker says what it sees of a file in messages (StoreMessage), through the queues that
// records take.  Bytes go to <directory>/tmp/<id>, which is renamed once all are there: a
// final name never has half a file, and no name comes from the network.  What a crash
// leaves in tmp is removed at the next start.
//
// Threads: as LogOutput; counters may be read from any.
// Memory: one entry a file being written, max_files at most; past it the longest idle is
//   given up.
// Errors: Open() says why the directory cannot be used.  Later, what cannot be written (a
//   full disk) costs that file and is counted; the first is one error line.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/output/log_output.h"

namespace sluice {

struct StoreMessage {
  enum class Op : uint32_t { kData, kKeep, kDrop } op = Op::kData;
  // kKeep: seconds of its time stamp; the bytes are its SHA-256 in hex, then its record.
  uint32_t seconds = 0;
  uint64_t id = 0;
  uint64_t offset = 0;  // kData: of its first byte; kKeep: the file's size
  // Appends the message with its bytes.
  void AppendTo(std::string_view bytes, std::string* out) const;
};

struct FileStoreOptions {
  std::string directory = {};
  uint32_t max_files = 4096;      // being written at a time
  uint32_t max_open_files = 128;  // of them with a descriptor
};

struct FileStoreStats {
  std::atomic<uint64_t> stored{0};      // new content
  std::atomic<uint64_t> known{0};       // content that was there already
  std::atomic<uint64_t> dropped{0};     // nobody wanted it in the end
  std::atomic<uint64_t> incomplete{0};  // a message was lost on the way
  std::atomic<uint64_t> evicted{0};     // given up at max_files
  std::atomic<uint64_t> fs_errors{0};
  std::atomic<uint64_t> open_files{0};  // now
  std::atomic<uint64_t> open_files_max_hit{0};
};

class FileStore final : public LogOutput {
 public:
  static Result<std::unique_ptr<FileStore>> Open(const FileStoreOptions& options);
  ~FileStore() override;

  void Write(std::string_view message) override;
  const FileStoreStats& stats() const { return stats_; }

 private:
  struct Entry {
    int fd = -1;
    uint64_t size = 0;
    bool failed = false;  // nothing more of it is taken
    std::list<uint64_t>::iterator used, open;  // in used_; in open_, if fd >= 0
  };

  explicit FileStore(const FileStoreOptions& options) : LogOutput(options.directory), options_(options) {}
  Entry& Find(uint64_t id);
  void Data(const StoreMessage& message, std::string_view bytes);
  void Keep(const StoreMessage& message, std::string_view bytes);
  bool OpenEntry(uint64_t id, Entry& entry);
  void CloseEntry(Entry& entry);
  void Forget(uint64_t id, bool remove_file);
  bool Place(uint64_t id, const std::string& hash);
  void WriteRecord(const std::string& path, std::string_view record);
  void CountError(const std::string& path, int error);
  std::string TmpPath(uint64_t id) const;

  const FileStoreOptions options_;
  std::unordered_map<uint64_t, Entry> entries_;
  std::list<uint64_t> used_, open_;  // all, and those with a descriptor; longest idle first
  FileStoreStats stats_;
};

}  // namespace sluice
