// engine/tap/pcap_tap.h
// Packets of a capture file, or of a directory of them in name order.
//
// Threads: one.  Memory: libpcap's buffer; a frame lives until the next call.
// Errors: kIo if a file cannot be opened.  Where one is cut or broken the packets before
//   that place are delivered, problems() says so, and the next file follows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/decode/decode.h"

struct pcap;

namespace sluice {

class PcapTap {
 public:
  // `filter`: a BPF expression, or empty.
  static Result<std::unique_ptr<PcapTap>> Open(const std::string& path, const std::string& filter);
  ~PcapTap();

  struct Frame {
    Slice bytes;
    Nanos time{};
    uint64_t number = 0;  // 1-based over all files
    uint32_t wire_len = 0;
    LinkType link = LinkType::kEthernet;
  };
  // False at the end.
  Result<bool> Next(Frame* frame);

  uint64_t bytes_total() const { return bytes_total_; }  // of all files
  uint64_t bytes_read() const;                           // for progress: file position
  const std::string& current_file() const { return files_[file_index_ - 1]; }
  // What could not be read so far: "file: after packet 9: why".
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  PcapTap() = default;
  Result<void> OpenNext();

  std::vector<std::string> files_;
  std::string filter_;
  std::vector<std::string> problems_;
  size_t file_index_ = 0;  // of the next file
  pcap* handle_ = nullptr;
  LinkType link_ = LinkType::kEthernet;
  uint64_t number_ = 0, number_in_file_ = 0;
  uint64_t bytes_total_ = 0, bytes_done_ = 0;
};

}  // namespace sluice
