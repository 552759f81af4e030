// engine/match/transform.h
// Transforms of a buffer before its tests: to_lowercase, url_decode, to_md5 ...
//
// Threads: a TransformChain is immutable; TransformScratch belongs to one Detector.
// Memory: input past kMaxTransformBytes is cut, so the scratch is bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/rules/rule_set.h"

namespace sluice {

// What a byte that is no letter of base64 means.
enum class Base64Form : uint8_t {
  kRfc4648,  // it ends the text
  kRfc2045,  // it is skipped, as in mail (RFC 2045 §6.8)
  kStrict,   // nothing is decoded
};

inline constexpr size_t kMaxTransformBytes = 128 * 1024;
inline constexpr int64_t kDefaultInflated = 1024;  // bytes that gunzip gives unless it says max-size

struct TransformScratch {
  std::vector<uint8_t> buffers[2];
  struct Match;  // PCRE2's, with its limits
  std::unique_ptr<Match> match;
  TransformScratch();
  ~TransformScratch();
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
    kPcre,
    kDomain,
    kTopLevel,
    kGunzip,
    kInflate,
    kSubslice,
  };
  struct Expression;  // a compiled regular expression
  struct Step {
    Kind kind = Kind::kLower;
    std::string argument;
    std::shared_ptr<const Expression> expression;  // kPcre
    Base64Form base64;                             // kFromBase64
    int64_t offset = 0;                            // kFromBase64, kSubslice: from the end if < 0
    std::optional<int64_t> length;                 // likewise; kGunzip, kInflate: of what comes out
  };
  static Result<Step> ParseStep(const Transform& transform);
  static Result<void> ParseXor(Step* step);
  static Result<void> ParseExpression(Step* step);
  static Result<void> ParseFromBase64(Step* step);
  static Result<void> ParseMaxSize(Step* step);
  static Result<void> ParseSubslice(Step* step);
  static void Run(const Step& step, Slice in, TransformScratch& scratch,
                  std::vector<uint8_t>* out);
  std::vector<Step> steps_;
};

// Decodes base64 and appends to `out` at most `limit` bytes; returns how many.
size_t DecodeBase64(Slice in, std::vector<uint8_t>* out, size_t limit,
                    Base64Form form = Base64Form::kRfc4648);

}  // namespace sluice
