// engine/app/decode_options.h
// What the settings say about decoding and reassembly, checked.
// Threads: main thread.
#pragma once

#include "engine/app/worker.h"
#include "engine/base/result.h"
#include "engine/config/options.h"

namespace sluice {

// Fills decode, defrag and track_recursion.  kInvalidArgument names the setting.
Result<void> SetDecodeOptions(const Options& options, WorkerOptions* worker);

}  // namespace sluice
