// engine/tap/tap_impl.h
// What LiveTap hands to its readers and controls.  Private to engine/tap.
#pragma once

#include <memory>

#include "engine/tap/bpffs.h"
#include "engine/tap/live_tap.h"

namespace sluice {

struct FlowControl::Impl {
  int apply_fd = -1;               // SEC("syscall") tap_apply; owned by the tap
  tap_request* requests = nullptr; // this worker's TAP_BATCH entries, shared with the kernel
  uint32_t first = 0;              // their index in the map
  uint32_t queued = 0;
  FlowControlStats stats;
};

struct RingReader::Impl {
  FileDescriptor ring;
  FileDescriptor epoll;
  Mapping consumer_page;
  Mapping producer_pages;  // producer page, then the data twice
  uint64_t mask = 0;
  volatile uint32_t* sleeping = nullptr;  // the ring's tap_sleeping, shared with the kernel
  PollMode mode = PollMode::kNap;
  int empty_naps = 0;
  bool slack_set = false;

  static Result<std::unique_ptr<Impl>> Open(FileDescriptor ring, uint32_t ring_bytes,
                                            uint32_t* sleeping, PollMode mode);
};

}  // namespace sluice
