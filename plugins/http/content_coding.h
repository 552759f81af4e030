// SPDX-License-Identifier: Apache-2.0
// plugins/http/content_coding.h - a body's content codings, undone as browsers do it.
//
// gzip, deflate (raw or zlib), br, zstd and, if allowed, lzma; several layers in a row.
// Tolerant: checksums and reserved header bits are not looked at, a body that is not
// what its header says is taken for the coding its first bytes show, or else as it is.
//
// Memory: a layer holds its decoder and 16 KiB of output; layers are kept for reuse.
// Limits: layers, output bytes and their ratio to the input; a decoder's window.
// Threads: none of its own; confined to the flow's worker.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "text.h"

namespace http {

struct CodingLimits {
  uint32_t layers = 2;
  uint32_t lzma_layers = 0;               // 0: lzma bodies stay as they are
  uint64_t lzma_memory = 1u << 20;        // bytes
  uint64_t bomb_bytes = 1u << 20;         // output that is always allowed
  uint64_t bomb_ratio = 256;              // output per input byte allowed beyond it: a quarter of
                                          // what deflate can reach, far above what pages do
};

enum class Coding : uint8_t { kIdentity, kGzip, kDeflate, kBrotli, kZstd, kLzma };

// What a Content-Encoding header asks for.
struct CodingPlan {
  std::array<Coding, 8> layers{};  // in the order applied by the sender
  uint32_t count = 0;
  bool abnormal = false;           // a token nobody defines
  bool too_many = false;           // more layers than the limit: the outer ones stay
};
CodingPlan PlanCodings(View header, const CodingLimits& limits);

// Where decoded bytes go.
class BodySink {
 public:
  virtual void Body(View bytes) = 0;

 protected:
  ~BodySink() = default;
};

class Decoder {  // one layer
 public:
  enum class Status : uint8_t { kOk, kEnd, kBroken, kMemory };
  virtual ~Decoder() = default;
  // Takes from *in, fills out; *made says how much.  kOk with nothing made: wants input.
  virtual Status Step(View* in, std::span<char> out, size_t* made) = 0;
};

class ContentDecoder {
 public:
  enum class Outcome : uint8_t { kOk, kBroken, kBomb, kMemory };

  // Throws away what was and starts anew.
  void Begin(const CodingPlan& plan, const CodingLimits& limits);
  bool active() const { return count_ > 0; }
  void End() { count_ = 0; }
  // Decodes a piece of the body into `sink`.  After anything but kOk the rest of the
  // body is worthless; the answer is given once, later pieces are dropped.
  Outcome Feed(View in, BodySink* sink);
  // The body is over: what was held back to find out its coding is passed on.
  Outcome Finish(BodySink* sink);

 private:
  struct Layer {
    Coding coding = Coding::kIdentity;
    std::unique_ptr<Decoder> decoder;
    bool plain = false;     // no coding after all: bytes pass
    bool done = false;      // its end was seen
    bool produced = false;  // has given output: from now on it is what it seemed
    // Input until then, to pass it on should it turn out to be plain.
    std::array<char, 512> head;
    size_t head_size = 0;
    bool head_full = false;
    std::array<char, 16384> out;
    void Keep(View in);
  };
  Outcome Push(size_t layer, View in, BodySink* sink);
  Outcome Run(size_t layer, View in, BodySink* sink);

  CodingLimits limits_;
  std::vector<std::unique_ptr<Layer>> layers_;  // outermost coding first
  size_t count_ = 0;
  bool failed_ = false;
  uint64_t in_total_ = 0, out_total_ = 0;
};

}  // namespace http
