// engine/base/result.h
// Result<T>: a value, or an Error whose message names place and remedy.
// Threads: plain values.  Errors are made once, where the facts are, and passed
// up unchanged.  Never used on the packet path.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

namespace sluice {

enum class Errc {
  kInvalidArgument,  // config, rules, command line
  kNotFound,
  kIo,           // errno-like failures of files and sockets
  kPlugin,       // a plug-in breaks the ABI
  kPermission,   // root or a capability is missing
  kUnsupported,  // kernel or build lacks it
  kOutOfMemory,
  kData,  // malformed input data (captures, cache files)
};

struct Error {
  Errc code = Errc::kInvalidArgument;
  std::string message;  // one line: "place: fact; remedy"
};

template <typename T>
using Result = std::expected<T, Error>;

template <typename... Args>
std::unexpected<Error> Fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Prints the failed condition and aborts: for our own bugs only.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line) noexcept;

}  // namespace sluice

#define SLUICE_CHECK(condition) \
  ((condition) ? (void)0 : ::sluice::CheckFailed(#condition, __FILE__, __LINE__))
