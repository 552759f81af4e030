#include "engine/tap/pcap_tap.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace sluice {

PcapTap::~PcapTap() {
  if (handle_ != nullptr) pcap_close(handle_);
}

Result<std::unique_ptr<PcapTap>> PcapTap::Open(const std::string& path, const std::string& filter) {
  namespace fs = std::filesystem;
  std::unique_ptr<PcapTap> tap(new PcapTap);
  tap->filter_ = filter;
  std::error_code failure;
  if (fs::is_directory(path, failure)) {
    for (const auto& entry : fs::directory_iterator(path, failure)) {
      if (entry.is_regular_file(failure)) tap->files_.push_back(entry.path().string());
    }
    if (failure) return Fail(Errc::kIo, "{}: {}", path, failure.message());
    std::ranges::sort(tap->files_);
    if (tap->files_.empty()) {
      return Fail(Errc::kIo, "{}: the directory has no files; name a capture", path);
    }
  } else {
    tap->files_.push_back(path);
  }
  for (const std::string& file : tap->files_) {
    if (const auto size = fs::file_size(file, failure); !failure) tap->bytes_total_ += size;
  }
  if (auto ok = tap->OpenNext(); !ok) return std::unexpected(ok.error());
  return tap;
}

Result<void> PcapTap::OpenNext() {
  if (handle_ != nullptr) {
    bytes_done_ = bytes_read();
    pcap_close(handle_);
    handle_ = nullptr;
  }
  const std::string& file = files_[file_index_++];
  number_in_file_ = 0;
  char message[PCAP_ERRBUF_SIZE] = "";
  handle_ = pcap_open_offline_with_tstamp_precision(file.c_str(), PCAP_TSTAMP_PRECISION_NANO, message);
  if (handle_ == nullptr) {
    std::string_view fact = message;
    if (fact.starts_with(file)) fact.remove_prefix(std::min(fact.size(), file.size() + 2));
    return Fail(Errc::kIo, "{}: {}; give a pcap or pcapng file", file, fact);
  }
  const int dlt = pcap_datalink(handle_);
  link_ = LinkTypeFromDlt(dlt);
  if (link_ == LinkType::kUnknown) {
    const char* name = pcap_datalink_val_to_name(dlt);
    return Fail(Errc::kUnsupported,
                "{}: link type {} ({}) is not known; convert the capture to Ethernet or raw IP",
                file, dlt, name ? name : "unnamed");
  }
  if (!filter_.empty()) {
    bpf_program program;
    if (pcap_compile(handle_, &program, filter_.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
      return Fail(Errc::kInvalidArgument, "capture filter \"{}\": {}", filter_,
                  pcap_geterr(handle_));
    }
    const int status = pcap_setfilter(handle_, &program);
    pcap_freecode(&program);
    if (status != 0) {
      return Fail(Errc::kInvalidArgument, "capture filter \"{}\": {}", filter_,
                  pcap_geterr(handle_));
    }
  }
  return {};
}

uint64_t PcapTap::bytes_read() const {
  if (handle_ == nullptr) return bytes_done_;
  FILE* file = pcap_file(handle_);
  const long at = file == nullptr ? 0 : std::ftell(file);
  return bytes_done_ + static_cast<uint64_t>(std::max(0L, at));
}

Result<bool> PcapTap::Next(Frame* frame) {
  while (true) {
    pcap_pkthdr* header;
    const u_char* bytes;
    const int status = pcap_next_ex(handle_, &header, &bytes);
    if (status == 1) {
      ++number_in_file_;
      frame->number = ++number_;
      frame->bytes = {bytes, header->caplen};
      frame->wire_len = header->len;
      // tv_usec carries nanoseconds here.
      frame->time = std::chrono::seconds{header->ts.tv_sec} + Nanos{header->ts.tv_usec};
      frame->link = link_;
      return true;
    }
    if (status != PCAP_ERROR_BREAK) {
      problems_.push_back(fmt::format("{}: after packet {}: {}; the rest of the file is not read",
                                      current_file(), number_in_file_, pcap_geterr(handle_)));
    }
    if (file_index_ == files_.size()) return false;
    if (auto ok = OpenNext(); !ok) return std::unexpected(ok.error());
  }
}

}  // namespace sluice
