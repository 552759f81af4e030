// engine/dissect/file_sink.h
// Who keeps the content of files that rules or the configuration want kept.
//
// Threads: a worker's own.  Errors: none stop the caller; what cannot be kept is given up
//   and counted by the sink.
#pragma once

#include <cstdint>

#include "engine/base/types.h"

namespace sluice {

enum class KeepFailure : uint8_t {
  kWindow,  // its first bytes were no longer held when it was asked for
  kFlow,    // its flow was dropped, or its dissector given up
};

class FileSink {
 public:
  virtual ~FileSink() = default;
  // A file begins; its id, > 0.
  virtual uint64_t Begin() = 0;
  // Its next bytes, at `offset`.  False: they cannot be taken, the file is given up.
  virtual bool Data(uint64_t id, uint64_t offset, Slice bytes) = 0;
  // It cannot be kept; id 0: nothing of it was.
  virtual void GiveUp(uint64_t id, KeepFailure why) = 0;
};

}  // namespace sluice
