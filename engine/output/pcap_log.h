// engine/output/pcap_log.h
// Packets as capture files ("pcap-log"): a new file past a size, the oldest removed past a
// number of files.
//
// Threads: as LogOutput; a line is a packet.  Memory: one buffer a file that is open.
// Errors: as LogOutput.  A file on disk always ends with a whole packet, unless the machine
//   dies.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"
#include "engine/decode/packet.h"
#include "engine/output/log_output.h"

namespace sluice {

struct PcapLogOptions {
  // "log.pcap": the time of the first packet is appended.  Or with %t, the time, and
  // %n, the worker's number.
  std::string path = "log.pcap";
  uint64_t file_bytes = 100u << 20;  // then another is begun
  uint32_t max_files = 0;            // of each worker that has its own; 0: any number
  bool per_worker = false;           // files of its own for each worker
  bool microseconds = false;         // in the names
};

// What a worker sends of a packet, before its bytes.
struct PcapLogHeader {
  uint32_t seconds = 0, microseconds = 0;
  uint32_t wire_len = 0;
  uint16_t worker = 0;
  LinkType link = LinkType::kEthernet;
};
static_assert(std::is_trivially_copyable_v<PcapLogHeader>);

class PcapLog final : public LogOutput {
 public:
  // kInvalidArgument if workers with files of their own would share a name; kIo if the
  // directory cannot be written.
  static Result<std::unique_ptr<PcapLog>> Open(const PcapLogOptions& options);
  ~PcapLog() override;

  void Write(std::string_view record) override;
  void Flush() override;

 private:
  struct File {
    int fd = -1;
    LinkType link = LinkType::kUnknown;
    uint64_t begun = UINT64_MAX;   // second of its first packet
    std::string path, buffer;
    uint64_t written = 0;          // bytes in the file, whole packets
    uint64_t buffered = 0;         // packets
    std::deque<std::string> older; // paths, the oldest first
  };
  explicit PcapLog(const PcapLogOptions& options);
  std::string NameFor(const PcapLogHeader& header, bool exact) const;
  bool Begin(File& file, const PcapLogHeader& header);
  void FlushFile(File& file);
  void CloseFile(File& file);
  void FindOlder(File& file) const;

  static constexpr size_t kBufferBytes = 256 * 1024;
  const PcapLogOptions options_;
  std::vector<File> files_;  // by worker, or one
};

}  // namespace sluice
