// Parts of files in any order, number and overlap, past every limit.  Oracles: sanitizers; what
// is whole has at each place the byte that came first for it; memory stays below its limit and
// comes back.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <map>
#include <string>

#include "engine/dissect/file_parts.h"

using namespace sluice;

namespace {

struct Model {  // of one file: what came first
  std::string bytes;
  std::string known;
};

constexpr FilePartsOptions kLimits{.memcap = 48 * 1024, .max_file_bytes = 40'000, .max_files = 3, .max_pieces = 4,
                                   .timeout = Nanos{50}};

void Check(const FileParts& parts, uint64_t file, const Model& model) {
  std::string got;
  while (got.size() < parts.size(file)) {
    const Slice bytes = parts.At(file, got.size());
    if (bytes.empty()) __builtin_trap();
    got += AsText(bytes);
  }
  if (got.size() != model.bytes.size()) __builtin_trap();
  for (size_t i = 0; i < got.size(); ++i) {
    if (!model.known[i] || got[i] != model.bytes[i]) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  FuzzedDataProvider in(data, size);
  FileParts parts(kLimits);
  std::map<uint64_t, Model> models;  // by id: a file that was given up has another one later
  Nanos now{1000};
  while (in.remaining_bytes() > 0) {
    now += Nanos{in.ConsumeIntegral<uint8_t>() % 8};
    const std::string identity(1, static_cast<char>(in.ConsumeIntegral<uint8_t>() % 5));
    const uint64_t total = in.ConsumeBool() ? in.ConsumeIntegral<uint16_t>() : in.ConsumeIntegral<uint8_t>() % 16;
    const uint64_t offset = total == 0 ? 0 : in.ConsumeIntegral<uint16_t>() % (total + 1);
    const uint64_t file = parts.Begin(AsSlice(identity), AsSlice(identity), offset, total, now);
    if (file == 0) continue;
    Model& model = models[file];
    if (model.bytes.empty()) model = {std::string(total, '\0'), std::string(total, '\0')};
    const std::string bytes(in.ConsumeIntegral<uint16_t>() % (total + 2), in.ConsumeIntegral<char>());
    for (size_t i = 0; i < bytes.size() && offset + i < total; ++i) {
      if (model.known[offset + i]) continue;
      model.known[offset + i] = 1;
      model.bytes[offset + i] = bytes[i];
    }
    if (parts.Write(file, offset, AsSlice(bytes), now)) {
      Check(parts, file, model);
      parts.Forget(file);
    }
    if (parts.memory() > kLimits.memcap || parts.num_files() > kLimits.max_files) __builtin_trap();
  }
  parts.Begin(AsSlice("last"), {}, 0, 1, now + Nanos{1000});  // all others are past their time
  if (parts.num_files() > 1 || parts.memory() > 16) __builtin_trap();
  return 0;
}
