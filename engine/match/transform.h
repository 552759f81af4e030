// engine/match/transform.h
// Transforms of a buffer before its tests: to_lowercase, url_decode, to_md5 ...
//
// Threads: a TransformChain is immutable; TransformScratch belongs to one Detector.
// Memory: input past kMaxTransformBytes is cut, so the scratch is bounded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/rules/rule_set.h"

namespace sluice {

inline constexpr size_t kMaxTransformBytes = 128 * 1024;

struct TransformScratch {
  std::vector<uint8_t> buffers[2];
  TransformScratch() {
    for (auto& b : buffers) b.reserve(kMaxTransformBytes + 16);
  }
};

class TransformChain {
 public:
  // kUnsupported names the transform that is not known.
  static Result<TransformChain> Compile(const std::vector<Transform>& transforms);
  bool empty() const { return steps_.empty(); }
  // The result lies in `scratch` or is `input`; valid until the next Apply.
  Slice Apply(Slice input, TransformScratch& scratch) const;

 private:
  enum class Kind : uint8_t {
    kDotPrefix,
    kLower,
    kUpper,
    kStripSpace,
    kCompressSpace,
    kUrlDecode,
    kMd5,
    kSha1,
    kSha256,
    kXor,
    kHeaderLower,
    kStripPseudoHeaders,
    kFromBase64,
  };
  struct Step {
    Kind kind;
    std::string argument;
  };
  static void Run(const Step& step, Slice in, std::vector<uint8_t>* out);
  std::vector<Step> steps_;
};

// Decodes base64 until the first byte that is none of its letters; appends to
// `out` at most `limit` bytes; returns how many.  RFC 4648 §4.
size_t DecodeBase64(Slice in, std::vector<uint8_t>* out, size_t limit);

}  // namespace sluice
