// Any text as a configuration.  Oracles: sanitizers; an error names file and line;
// reading a file twice is reading it once.
#include "engine/config/options.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = AsText({data, size});
  const std::string path = FUZZ_YAML ? "fuzz.yaml" : "fuzz.toml";
  Options once = DefaultOptions();
  once.failure_fatal = true;  // a bad value in YAML is an error
  const auto read = ReadConfig(text, path, &once);
  if (!read) {
    if (!read.error().message.starts_with(path + ":")) __builtin_trap();
    return 0;
  }
  if (FUZZ_YAML) return 0;  // lists of a file that is imported add up
  Options twice = once;
  if (!ReadConfig(text, path, &twice) || twice != once) __builtin_trap();
  return 0;
}
