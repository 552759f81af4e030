#include "engine/match/transform.h"

#include <libpsl.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

#include "engine/base/digest.h"
#include "engine/rules/text.h"

namespace sluice {

namespace {

uint8_t LowerByte(uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c; }
uint8_t UpperByte(uint8_t c) { return c >= 'a' && c <= 'z' ? static_cast<uint8_t>(c - 32) : c; }
bool IsSpace(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }

int HexValue(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void UrlDecode(Slice in, std::vector<uint8_t>* out) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '%' && i + 2 < in.size() && HexValue(in[i + 1]) >= 0 && HexValue(in[i + 2]) >= 0) {
      out->push_back(static_cast<uint8_t>(HexValue(in[i + 1]) * 16 + HexValue(in[i + 2])));
      i += 2;
    } else {
      out->push_back(in[i] == '+' ? ' ' : in[i]);
    }
  }
}

void AppendDigest(DigestKind kind, Slice in, std::vector<uint8_t>* out) {
  const Digest::Value digest = Digest::Of(kind, in);
  out->insert(out->end(), digest.bytes.begin(), digest.bytes.begin() + digest.size);
}

// Header names, up to the colon of each line, in lower case.
void HeaderLower(Slice in, std::vector<uint8_t>* out) {
  bool in_name = true;
  for (uint8_t c : in) {
    if (c == ':') in_name = false;
    if (c == '\n') in_name = true;
    out->push_back(in_name ? LowerByte(c) : c);
  }
}

// Lines that start with ':' (RFC 9113 §8.3) go.
void StripPseudoHeaders(Slice in, std::vector<uint8_t>* out) {
  for (size_t at = 0; at < in.size();) {
    size_t end = at;
    while (end < in.size() && in[end] != '\n') ++end;
    if (end < in.size()) ++end;
    if (in[at] != ':') out->insert(out->end(), in.begin() + at, in.begin() + end);
    at = end;
  }
}

}  // namespace

namespace {

int Base64Value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 §4: whole groups of four, at most two '=' at the end.
bool IsStrictBase64(Slice in) {
  size_t letters = in.size();
  while (letters > 0 && in.size() - letters < 2 && in[letters - 1] == '=') --letters;
  return in.size() % 4 == 0 && std::all_of(in.begin(), in.begin() + static_cast<ptrdiff_t>(letters),
                                           [](uint8_t c) { return Base64Value(c) >= 0; });
}

}  // namespace

size_t DecodeBase64(Slice in, std::vector<uint8_t>* out, size_t limit, Base64Form form) {
  if (form == Base64Form::kStrict && !IsStrictBase64(in)) return 0;
  uint32_t bits = 0, have = 0;
  const size_t before = out->size();
  for (const uint8_t c : in) {
    if (out->size() - before >= limit) break;
    const int v = Base64Value(c);
    if (v < 0) {
      if (form == Base64Form::kRfc2045 && c != '=') continue;
      break;
    }
    bits = bits << 6 | static_cast<uint32_t>(v);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out->push_back(static_cast<uint8_t>(bits >> have));
    }
  }
  return out->size() - before;
}

// ---------------------------------------------------------------- arguments

struct TransformChain::Expression {
  pcre2_code* code = nullptr;
  bool captures = false;
  ~Expression() { pcre2_code_free(code); }
};

struct TransformScratch::Match {
  static constexpr uint32_t kMatchLimit = 100'000, kDepthLimit = 2'000;
  pcre2_match_data* data = pcre2_match_data_create(2, nullptr);  // all, and the first group
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  Match() {
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_depth_limit(context, kDepthLimit);
  }
  ~Match() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

TransformScratch::TransformScratch() : match(std::make_unique<Match>()) {
  for (auto& b : buffers) b.reserve(kMaxTransformBytes + 16);
}
TransformScratch::~TransformScratch() = default;

Result<void> TransformChain::ParseXor(Step* step) {  // the key is written in hex
  const std::string text = std::move(step->argument);
  step->argument.clear();
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    const int hi = HexValue(static_cast<uint8_t>(text[i]));
    const int lo = HexValue(static_cast<uint8_t>(text[i + 1]));
    if (hi < 0 || lo < 0) break;
    step->argument += static_cast<char>(hi * 16 + lo);
  }
  if (!step->argument.empty() && step->argument.size() * 2 == text.size()) return {};
  return Fail(Errc::kInvalidArgument, "xor: \"{}\" is not an even number of hex digits", text);
}

Result<void> TransformChain::ParseExpression(Step* step) {
  if (step->argument.empty()) return Fail(Errc::kInvalidArgument, "pcrexform needs an expression");
  auto expression = std::make_shared<Expression>();
  int code = 0;
  PCRE2_SIZE at = 0;
  expression->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(step->argument.data()),
                                   step->argument.size(), PCRE2_NEVER_UTF, &code, &at, nullptr);
  if (!expression->code) {
    PCRE2_UCHAR text[128] = {0};
    pcre2_get_error_message(code, text, sizeof(text));
    return Fail(Errc::kInvalidArgument, "pcrexform: {} at offset {}; correct the expression",
                reinterpret_cast<const char*>(text), at);
  }
  uint32_t groups = 0;
  pcre2_pattern_info(expression->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  expression->captures = groups > 0;
  pcre2_jit_compile(expression->code, PCRE2_JIT_COMPLETE);
  step->expression = std::move(expression);
  return {};
}

// "bytes 8, offset 4, mode rfc2045"
Result<void> TransformChain::ParseFromBase64(Step* step) {
  for (const std::string_view part : Split(step->argument, ',')) {
    if (part.empty()) continue;
    const auto words = SplitWords(part);
    const auto number = words.size() == 2 ? ParseNumber<uint32_t>(words[1]) : std::nullopt;
    if (number && words[0] == "bytes") step->length = *number;
    else if (number && words[0] == "offset") step->offset = *number;
    else if (part == "mode rfc4648") step->base64 = Base64Form::kRfc4648;
    else if (part == "mode rfc2045") step->base64 = Base64Form::kRfc2045;
    else if (part == "mode strict") step->base64 = Base64Form::kStrict;
    else return Fail(Errc::kInvalidArgument, "from_base64: \"{}\" is none of bytes n, offset n, mode rfc4648, rfc2045 or strict", part);
  }
  return {};
}

// "max-size 4096": of what comes out.
Result<void> TransformChain::ParseMaxSize(Step* step) {
  step->length = kDefaultInflated;
  if (step->argument.empty()) return {};
  const auto words = SplitWords(step->argument);
  const auto size = words.size() == 2 && words[0] == "max-size" ? ParseScaled(words[1]) : std::nullopt;
  if (!size || *size == 0 || *size > kMaxTransformBytes) {
    return Fail(Errc::kInvalidArgument, "\"{}\" is not max-size n with 1 to {} bytes", step->argument, kMaxTransformBytes);
  }
  step->length = static_cast<int64_t>(*size);
  return {};
}

// "offset[, bytes]"; negative ones count from the end.
Result<void> TransformChain::ParseSubslice(Step* step) {
  const auto parts = Split(step->argument, ',');
  const auto offset = ParseNumber<int32_t>(parts[0]);
  const auto length = parts.size() > 1 ? ParseNumber<int32_t>(parts[1]) : std::nullopt;
  const bool truncates = parts.size() == 3 && parts[2] == "truncate";
  if (!offset || parts.size() > 3 || (parts.size() > 1 && !length) ||
      (parts.size() == 3 && !truncates)) {
    return Fail(Errc::kInvalidArgument, "subslice: \"{}\"; write offset[, bytes[, truncate]]",
                step->argument);
  }
  step->offset = *offset;
  if (length) step->length = *length;
  return {};
}

Result<TransformChain::Step> TransformChain::ParseStep(const Transform& t) {
  struct Entry {
    Kind kind;
    Result<void> (*parse)(Step*);  // null: takes no argument
  };
  static const std::map<std::string_view, Entry> kEntries = {
      {"dotprefix", {Kind::kDotPrefix, nullptr}},
      {"to_lowercase", {Kind::kLower, nullptr}},
      {"to_uppercase", {Kind::kUpper, nullptr}},
      {"strip_whitespace", {Kind::kStripSpace, nullptr}},
      {"compress_whitespace", {Kind::kCompressSpace, nullptr}},
      {"url_decode", {Kind::kUrlDecode, nullptr}},
      {"to_md5", {Kind::kMd5, nullptr}},
      {"to_sha1", {Kind::kSha1, nullptr}},
      {"to_sha256", {Kind::kSha256, nullptr}},
      {"xor", {Kind::kXor, ParseXor}},
      {"header_lowercase", {Kind::kHeaderLower, nullptr}},
      {"strip_pseudo_headers", {Kind::kStripPseudoHeaders, nullptr}},
      {"from_base64", {Kind::kFromBase64, ParseFromBase64}},
      {"pcrexform", {Kind::kPcre, ParseExpression}},
      {"domain", {Kind::kDomain, nullptr}},
      {"tld", {Kind::kTopLevel, nullptr}},
      {"gunzip", {Kind::kGunzip, ParseMaxSize}},
      {"zlib_deflate", {Kind::kInflate, ParseMaxSize}},
      {"subslice", {Kind::kSubslice, ParseSubslice}}};
  const auto it = kEntries.find(t.name);
  if (it == kEntries.end())
    return Fail(Errc::kUnsupported, "transform {} is not supported", t.name);
  Step step;
  step.kind = it->second.kind;
  step.argument = t.argument;
  if (!it->second.parse && !t.argument.empty())
    return Fail(Errc::kInvalidArgument, "{} takes no value", t.name);
  if (it->second.parse) {
    if (auto ok = it->second.parse(&step); !ok) return std::unexpected(ok.error());
  }
  return step;
}

Result<TransformChain> TransformChain::Compile(const std::vector<Transform>& transforms) {
  TransformChain chain;
  for (const Transform& t : transforms) {
    auto step = ParseStep(t);
    if (!step) return std::unexpected(step.error());
    chain.steps_.push_back(std::move(*step));
  }
  return chain;
}

// --------------------------------------------------------------------- runs

namespace {

// What the public suffix list says of a host name: its registrable domain, or
// the suffix under which names are registered.
void Domain(Slice in, bool suffix, std::vector<uint8_t>* out) {
  constexpr size_t kMaxName = 255;  // RFC 1035 §2.3.4
  char name[kMaxName + 1];
  if (in.empty() || in.size() > kMaxName) return;
  std::transform(in.begin(), in.end(), name, [](uint8_t c) { return static_cast<char>(LowerByte(c)); });
  name[in.size()] = 0;
  const psl_ctx_t* list = psl_builtin();
  const char* part = suffix ? psl_unregistrable_domain(list, name) : psl_registrable_domain(list, name);
  if (part) out->insert(out->end(), part, part + std::strlen(part));
}

// RFC 1952 or RFC 1950; as far as it goes, at most `limit` bytes.
void Inflate(Slice in, int window_bits, size_t limit, std::vector<uint8_t>* out) {
  z_stream z{};
  if (inflateInit2(&z, window_bits) != Z_OK) return;
  out->resize(limit);
  z.next_in = const_cast<Bytef*>(in.data());
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = out->data();
  z.avail_out = static_cast<uInt>(out->size());
  inflate(&z, Z_SYNC_FLUSH);
  out->resize(out->size() - z.avail_out);
  inflateEnd(&z);
}

Slice Subslice(Slice in, int64_t offset, std::optional<int64_t> length) {
  const int64_t size = static_cast<int64_t>(in.size());
  const int64_t from = offset < 0 ? std::max<int64_t>(size + offset, 0) : std::min(offset, size);
  int64_t to = !length ? size : *length < 0 ? size + *length : std::min(from + *length, size);
  to = std::max(from, to);
  return in.subspan(static_cast<size_t>(from), static_cast<size_t>(to - from));
}

}  // namespace

void TransformChain::Run(const Step& step, Slice in, TransformScratch& scratch,
                         std::vector<uint8_t>* out) {
  switch (step.kind) {
    case Kind::kDotPrefix:
      out->push_back('.');
      out->insert(out->end(), in.begin(), in.end());
      return;
    case Kind::kLower:
      std::transform(in.begin(), in.end(), std::back_inserter(*out), LowerByte);
      return;
    case Kind::kUpper:
      std::transform(in.begin(), in.end(), std::back_inserter(*out), UpperByte);
      return;
    case Kind::kStripSpace:
      std::copy_if(in.begin(), in.end(), std::back_inserter(*out),
                   [](uint8_t c) { return !IsSpace(c); });
      return;
    case Kind::kCompressSpace:  // each run keeps its first byte
      for (size_t i = 0; i < in.size(); ++i) {
        if (!IsSpace(in[i]) || i == 0 || !IsSpace(in[i - 1])) out->push_back(in[i]);
      }
      return;
    case Kind::kUrlDecode:
      UrlDecode(in, out);
      return;
    case Kind::kMd5:
      AppendDigest(DigestKind::kMd5, in, out);
      return;
    case Kind::kSha1:
      AppendDigest(DigestKind::kSha1, in, out);
      return;
    case Kind::kSha256:
      AppendDigest(DigestKind::kSha256, in, out);
      return;
    case Kind::kXor:
      for (size_t i = 0; i < in.size(); ++i) {
        out->push_back(in[i] ^ static_cast<uint8_t>(step.argument[i % step.argument.size()]));
      }
      return;
    case Kind::kHeaderLower:
      HeaderLower(in, out);
      return;
    case Kind::kStripPseudoHeaders:
      StripPseudoHeaders(in, out);
      return;
    case Kind::kFromBase64: {
      const Slice text = Subslice(in, step.offset, step.length);
      DecodeBase64(text, out, kMaxTransformBytes, step.base64);
      return;
    }
    case Kind::kPcre: {  // the first group, else all that matched; no match: as it was
      const Expression& e = *step.expression;
      const int rc = pcre2_match(e.code, in.data(), in.size(), 0, 0, scratch.match->data,
                                 scratch.match->context);
      if (rc >= 0) {
        const PCRE2_SIZE* v = pcre2_get_ovector_pointer(scratch.match->data) + 2 * e.captures;
        in = v[0] <= v[1] && v[1] <= in.size() ? in.subspan(v[0], v[1] - v[0]) : Slice{};
      }
      out->insert(out->end(), in.begin(), in.end());
      return;
    }
    case Kind::kDomain:
      Domain(in, false, out);
      return;
    case Kind::kTopLevel:
      Domain(in, true, out);
      return;
    case Kind::kGunzip:
      Inflate(in, 16 + MAX_WBITS, static_cast<size_t>(*step.length), out);
      return;
    case Kind::kInflate:
      Inflate(in, MAX_WBITS, static_cast<size_t>(*step.length), out);
      return;
    case Kind::kSubslice:
      in = Subslice(in, step.offset, step.length);
      out->insert(out->end(), in.begin(), in.end());
      return;
  }
}

Slice TransformChain::Apply(Slice input, TransformScratch& scratch) const {
  if (input.size() > kMaxTransformBytes && !steps_.empty()) input = input.first(kMaxTransformBytes);
  size_t which = 0;
  for (const Step& step : steps_) {
    std::vector<uint8_t>& out = scratch.buffers[which];
    out.clear();
    Run(step, input, scratch, &out);
    input = {out.data(), out.size()};
    which ^= 1;
  }
  return input;
}

}  // namespace sluice
