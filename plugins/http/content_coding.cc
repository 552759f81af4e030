// SPDX-License-Identifier: Apache-2.0
#include "content_coding.h"

#include <brotli/decode.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <span>

namespace http {
namespace {

constexpr uint32_t kZstdWindowLog = 23;  // RFC 9659: 8 MiB, what browsers allow

// Raw deflate; a gzip or zlib header before it is skipped by hand, because zlib
// refuses headers and trailers that browsers do not look at.
class DeflateDecoder : public Decoder {
 public:
  enum class Wrap : uint8_t { kRaw, kZlib, kGzip };
  explicit DeflateDecoder(Wrap wrap) : wrap_(wrap) {
    ready_ = inflateInit2(&stream_, -15) == Z_OK;
    if (wrap == Wrap::kRaw) part_ = Part::kData;
  }
  ~DeflateDecoder() override {
    if (ready_) inflateEnd(&stream_);
  }

  Status Step(View* in, std::span<char> out, size_t* made) override {
    *made = 0;
    if (!ready_) return Status::kMemory;
    while (part_ != Part::kData) {
      if (in->empty()) return Status::kOk;
      if (!HeaderByte(in->front())) return Status::kBroken;
      in->remove_prefix(1);
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in->data()));
    stream_.avail_in = static_cast<uInt>(in->size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    *made = out.size() - stream_.avail_out;
    in->remove_prefix(in->size() - stream_.avail_in);
    if (status == Z_STREAM_END) return Status::kEnd;
    return status == Z_OK || status == Z_BUF_ERROR ? Status::kOk : Status::kBroken;
  }

 private:
  enum class Part : uint8_t { kFixed, kExtraLength, kExtra, kName, kComment, kCrc, kData };
  static constexpr uint8_t kFlagCrc = 2, kFlagExtra = 4, kFlagName = 8, kFlagComment = 16;

  // RFC 1950 §2.2, RFC 1952 §2.3; false: not such a header.
  bool HeaderByte(char c) {
    const auto byte = static_cast<uint8_t>(c);
    switch (part_) {
      case Part::kFixed:
        if (wrap_ == Wrap::kZlib) {
          if (++count_ == 2) part_ = Part::kData;
          return true;
        }
        if ((count_ == 0 && byte != 0x1f) || (count_ == 1 && byte != 0x8b) || (count_ == 2 && byte != 8)) return false;
        if (count_ == 3) flags_ = byte;
        if (++count_ == 10) Enter(Part::kExtraLength);
        return true;
      case Part::kExtraLength:
        extra_ |= static_cast<uint32_t>(byte) << (8 * count_);
        if (++count_ == 2) Enter(Part::kExtra);
        return true;
      case Part::kExtra:
        if (++count_ == extra_) Enter(Part::kName);
        return true;
      case Part::kName:
        if (byte == 0) Enter(Part::kComment);
        return true;
      case Part::kComment:
        if (byte == 0) Enter(Part::kCrc);
        return true;
      case Part::kCrc:
        if (++count_ == 2) Enter(Part::kData);
        return true;
      case Part::kData: break;
    }
    return true;
  }
  // The next part that is there.
  void Enter(Part part) {
    count_ = 0;
    part_ = part;
    if (part_ == Part::kExtraLength && !(flags_ & kFlagExtra)) part_ = Part::kName;
    if (part_ == Part::kExtra && extra_ == 0) part_ = Part::kName;
    if (part_ == Part::kName && !(flags_ & kFlagName)) part_ = Part::kComment;
    if (part_ == Part::kComment && !(flags_ & kFlagComment)) part_ = Part::kCrc;
    if (part_ == Part::kCrc && !(flags_ & kFlagCrc)) part_ = Part::kData;
  }

  const Wrap wrap_;
  Part part_ = Part::kFixed;
  uint8_t flags_ = 0;
  uint32_t count_ = 0, extra_ = 0;
  z_stream stream_{};
  bool ready_ = false;
};

class BrotliDecoder : public Decoder {
 public:
  BrotliDecoder() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}
  ~BrotliDecoder() override { BrotliDecoderDestroyInstance(state_); }
  Status Step(View* in, std::span<char> out, size_t* made) override {
    *made = 0;
    if (state_ == nullptr) return Status::kMemory;
    size_t left = in->size(), room = out.size();
    auto* next = reinterpret_cast<const uint8_t*>(in->data());
    auto* to = reinterpret_cast<uint8_t*>(out.data());
    const auto result = BrotliDecoderDecompressStream(state_, &left, &next, &room, &to, nullptr);
    *made = out.size() - room;
    in->remove_prefix(in->size() - left);
    return result == BROTLI_DECODER_RESULT_ERROR     ? Status::kBroken
           : result == BROTLI_DECODER_RESULT_SUCCESS ? Status::kEnd
                                                     : Status::kOk;
  }

 private:
  BrotliDecoderState* state_;
};

class ZstdDecoder : public Decoder {
 public:
  ZstdDecoder() : stream_(ZSTD_createDStream()) {
    if (stream_ != nullptr) ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kZstdWindowLog);
  }
  ~ZstdDecoder() override { ZSTD_freeDStream(stream_); }
  Status Step(View* in, std::span<char> out, size_t* made) override {
    *made = 0;
    if (stream_ == nullptr) return Status::kMemory;
    ZSTD_inBuffer from{in->data(), in->size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const size_t result = ZSTD_decompressStream(stream_, &to, &from);
    *made = to.pos;
    in->remove_prefix(from.pos);
    return ZSTD_isError(result) ? Status::kBroken : Status::kOk;  // frames may follow one another
  }

 private:
  ZSTD_DStream* stream_;
};

class LzmaDecoder : public Decoder {
 public:
  explicit LzmaDecoder(uint64_t memory) {
    ready_ = lzma_auto_decoder(&stream_, memory, 0) == LZMA_OK;
  }
  ~LzmaDecoder() override { lzma_end(&stream_); }
  Status Step(View* in, std::span<char> out, size_t* made) override {
    *made = 0;
    if (!ready_) return Status::kMemory;
    stream_.next_in = reinterpret_cast<const uint8_t*>(in->data());
    stream_.avail_in = in->size();
    stream_.next_out = reinterpret_cast<uint8_t*>(out.data());
    stream_.avail_out = out.size();
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    *made = out.size() - stream_.avail_out;
    in->remove_prefix(in->size() - stream_.avail_in);
    if (result == LZMA_STREAM_END) return Status::kEnd;
    if (result == LZMA_MEMLIMIT_ERROR) return Status::kMemory;
    return result == LZMA_OK || result == LZMA_BUF_ERROR ? Status::kOk : Status::kBroken;
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
};

// Refuses everything: the bytes are what they are.
class PlainDecoder : public Decoder {
 public:
  Status Step(View*, std::span<char>, size_t* made) override {
    *made = 0;
    return Status::kBroken;
  }
};

bool LooksLikeGzip(View head) { return head.starts_with("\x1f\x8b"); }
// RFC 1950 §2.2: method 8, a window of at most 32 KiB, the check bits right.
bool LooksLikeZlib(View head) {
  if (head.size() < 2) return false;
  const auto cmf = static_cast<uint8_t>(head[0]), flg = static_cast<uint8_t>(head[1]);
  return (cmf & 15) == 8 && cmf >> 4 <= 7 && (cmf * 256 + flg) % 31 == 0 && !(flg & 32);
}

// gzip and deflate are mixed up by senders; the bytes tell.  Raw deflate has no mark,
// and text may decode as such: it is believed only where deflate was announced.
std::unique_ptr<Decoder> MakeDecoder(Coding coding, View head, uint64_t lzma_memory) {
  using Wrap = DeflateDecoder::Wrap;
  switch (coding) {
    case Coding::kGzip:
      if (!LooksLikeGzip(head) && !LooksLikeZlib(head)) return std::make_unique<PlainDecoder>();
      [[fallthrough]];
    case Coding::kDeflate:
      return std::make_unique<DeflateDecoder>(LooksLikeGzip(head)   ? Wrap::kGzip
                                              : LooksLikeZlib(head) ? Wrap::kZlib
                                                                    : Wrap::kRaw);
    case Coding::kBrotli: return std::make_unique<BrotliDecoder>();
    case Coding::kZstd: return std::make_unique<ZstdDecoder>();
    case Coding::kLzma: return std::make_unique<LzmaDecoder>(lzma_memory);
    case Coding::kIdentity: break;
  }
  return nullptr;
}

struct CodingName {
  View name;
  Coding coding;
};
constexpr CodingName kNames[] = {
    {"gzip", Coding::kGzip},       {"x-gzip", Coding::kGzip}, {"deflate", Coding::kDeflate},
    {"x-deflate", Coding::kDeflate}, {"br", Coding::kBrotli}, {"zstd", Coding::kZstd},
    {"lzma", Coding::kLzma},       {"xz", Coding::kLzma},     {"none", Coding::kIdentity},
    {"inflate", Coding::kIdentity}, {"identity", Coding::kIdentity}};

Coding CodingOf(View token, bool* abnormal) {
  for (const CodingName& known : kNames) {
    if (SameNameSkippingNul(token, known.name)) return known.coding;
  }
  *abnormal = true;
  if (ContainsNoCase(token, "gzip")) return Coding::kGzip;  // browsers take "x gzip y" so
  if (ContainsNoCase(token, "deflate")) return Coding::kDeflate;
  return Coding::kIdentity;
}

}  // namespace

CodingPlan PlanCodings(View header, const CodingLimits& limits) {
  CodingPlan plan;
  const uint32_t most = std::min<uint32_t>(limits.layers, static_cast<uint32_t>(plan.layers.size()));
  uint32_t tokens = 0, lzma = 0;
  while (!header.empty()) {
    const size_t end = header.find_first_of(", \t\r\n");
    const View token = header.substr(0, end);
    header.remove_prefix(end == View::npos ? header.size() : end + 1);
    if (token.empty()) continue;
    if (++tokens > most) {
      plan.too_many = true;
      return plan;
    }
    const Coding coding = CodingOf(token, &plan.abnormal);
    if (coding == Coding::kLzma && ++lzma > limits.lzma_layers) continue;
    if (coding != Coding::kIdentity) plan.layers[plan.count++] = coding;
  }
  return plan;
}

void ContentDecoder::Begin(const CodingPlan& plan, const CodingLimits& limits) {
  limits_ = limits;
  count_ = plan.count;
  failed_ = false;
  in_total_ = out_total_ = 0;
  while (layers_.size() < count_) layers_.push_back(std::make_unique<Layer>());
  for (size_t i = 0; i < count_; ++i) {
    Layer& layer = *layers_[i];
    layer.coding = plan.layers[count_ - 1 - i];  // the last one applied is undone first
    layer.decoder.reset();
    layer.plain = layer.done = layer.produced = layer.head_full = false;
    layer.head_size = 0;
  }
}

void ContentDecoder::Layer::Keep(View in) {
  const size_t kept = std::min(in.size(), head.size() - head_size);
  std::memcpy(head.data() + head_size, in.data(), kept);
  head_size += kept;
  head_full |= kept < in.size();
}

ContentDecoder::Outcome ContentDecoder::Feed(View in, BodySink* sink) {
  if (failed_) return Outcome::kOk;
  in_total_ += in.size();
  const Outcome outcome = Push(0, in, sink);
  failed_ = outcome != Outcome::kOk;
  return outcome;
}

ContentDecoder::Outcome ContentDecoder::Finish(BodySink* sink) {
  Outcome outcome = Outcome::kOk;
  for (size_t i = 0; i < count_ && !failed_ && outcome == Outcome::kOk; ++i) {
    Layer& layer = *layers_[i];
    if (layer.produced || layer.plain || layer.done || layer.head_full || layer.head_size == 0) continue;
    layer.plain = true;  // too short to be anything else
    outcome = Push(i + 1, View(layer.head.data(), layer.head_size), sink);
  }
  count_ = 0;
  return outcome;
}

// Input of a layer; the last layer's output is the body.
ContentDecoder::Outcome ContentDecoder::Push(size_t index, View in, BodySink* sink) {
  if (index == count_) {
    if (in.empty()) return Outcome::kOk;
    out_total_ += in.size();
    sink->Body(in);
    const bool bomb = out_total_ > limits_.bomb_bytes && out_total_ / limits_.bomb_ratio >= in_total_;
    return bomb ? Outcome::kBomb : Outcome::kOk;
  }
  Layer& layer = *layers_[index];
  if (layer.done) return Outcome::kOk;  // what follows the end is not looked at
  if (layer.plain) return Push(index + 1, in, sink);
  const View held(layer.head.data(), layer.head_size);
  Outcome outcome = Outcome::kOk;
  if (layer.decoder == nullptr) {
    if (held.size() + in.size() < 2) {
      layer.Keep(in);
      return Outcome::kOk;
    }
    const char sniff[2] = {held.empty() ? in[0] : held[0], held.empty() ? in[1] : in[0]};
    layer.decoder = MakeDecoder(layer.coding, View(sniff, 2), limits_.lzma_memory);
    outcome = Run(index, held, sink);
  }
  if (outcome == Outcome::kOk) outcome = Run(index, in, sink);
  if (layer.produced) return outcome;
  if (outcome == Outcome::kBroken && !layer.head_full) {
    // Not what it was taken for: passed on as it is, which is what browsers show then.
    layer.plain = true;
    outcome = Push(index + 1, held, sink);
    return outcome == Outcome::kOk ? Push(index + 1, in, sink) : outcome;
  }
  layer.Keep(in);
  return outcome;
}

ContentDecoder::Outcome ContentDecoder::Run(size_t index, View in, BodySink* sink) {
  Layer& layer = *layers_[index];
  for (;;) {
    size_t made = 0;
    const size_t before = in.size();
    const Decoder::Status status = layer.decoder->Step(&in, layer.out, &made);
    layer.produced |= made > 0;
    if (made > 0) {
      const Outcome outcome = Push(index + 1, View(layer.out.data(), made), sink);
      if (outcome != Outcome::kOk) return outcome;
    }
    if (status == Decoder::Status::kMemory) return Outcome::kMemory;
    if (status == Decoder::Status::kBroken) return Outcome::kBroken;
    if (status == Decoder::Status::kEnd) {
      layer.done = true;
      return Outcome::kOk;
    }
    if (made == 0 && (in.empty() || in.size() == before)) return Outcome::kOk;
  }
}

}  // namespace http
