// engine/base/file.h
// Whole small files: rules, lists, configuration.
// Threads: any.  Memory: the file's size, kMostFileBytes at most.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace sluice {

inline constexpr size_t kMostFileBytes = size_t{1} << 30;

// All bytes of `path`.  kIo: "path: the <what> cannot be read: why; remedy", also for a
// directory and past `most` bytes.
Result<std::string> ReadFile(const std::string& path, std::string_view what,
                             size_t most = kMostFileBytes);

// False: errno says why.
bool WriteAll(int fd, std::string_view bytes);

}  // namespace sluice
