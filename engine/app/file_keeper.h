// engine/app/file_keeper.h
// A worker's hand on the file store: sends what it sees of files, says at the end which of
// them are kept.
//
// Threads: its worker's.  Memory: one buffer.
// Errors: a full queue costs the file; counted.
#pragma once

#include <string>

#include "engine/dissect/file_sink.h"
#include "engine/output/eve.h"
#include "engine/output/file_store.h"

namespace sluice {

struct FileKeeperOptions {
  bool all = false;            // whatever rules say
  bool write_records = false;  // a file's record beside it
  EveOptions eve;              // its form
  uint32_t worker = 0;         // ids of different workers differ
};

struct FileKeeperStats {
  uint64_t kept = 0, dropped = 0;               // asked the store to
  uint64_t lost_window = 0, lost_flow = 0;  // see KeepFailure
  uint64_t lost_queue = 0, lost_hash = 0;       // no room in the queue; no hash to name it by
};

class FileKeeper final : public FileSink {
 public:
  // `sink` null: no file is ever kept.
  FileKeeper(const FileKeeperOptions& options, RecordSink* sink);

  bool enabled() const { return sink_ != nullptr; }
  bool all() const { return options_.all; }

  uint64_t Begin() override { return uint64_t{options_.worker} << 40 | ++last_id_; }
  bool Data(uint64_t id, uint64_t offset, Slice bytes) override;
  void GiveUp(uint64_t id, KeepFailure why) override;
  // The file is at its end: kept if it is to be.
  void End(const Packet& packet, const FlowView& flow, const Transaction& tx, FileInfo& file);

  const FileKeeperStats& stats() const { return stats_; }

 private:
  // Takes the one record that a writer makes.
  struct Text final : RecordSink {
    bool Put(RecordType, std::string_view record) override {
      text.assign(record);
      return true;
    }
    std::string text;
  };
  bool Send(const StoreMessage& message, std::string_view bytes);

  static constexpr size_t kPiece = 64 * 1024;  // bytes of a message
  const FileKeeperOptions options_;
  RecordSink* const sink_;
  Text record_;
  EveWriter writer_;
  std::string message_;  // scratch
  uint64_t last_id_ = 0;
  FileKeeperStats stats_;
};

}  // namespace sluice
