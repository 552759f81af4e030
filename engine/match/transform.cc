#include "engine/match/transform.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace sluice {

namespace {

uint8_t Lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c; }
uint8_t Upper(uint8_t c) { return c >= 'a' && c <= 'z' ? static_cast<uint8_t>(c - 32) : c; }
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

void Digest(const EVP_MD* md, Slice in, std::vector<uint8_t>* out) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(in.data(), in.size(), digest, &size, md, nullptr) != 1) return;
  out->insert(out->end(), digest, digest + size);
}

// Header names, up to the colon of each line, in lower case.
void HeaderLower(Slice in, std::vector<uint8_t>* out) {
  bool in_name = true;
  for (uint8_t c : in) {
    if (c == ':') in_name = false;
    if (c == '\n') in_name = true;
    out->push_back(in_name ? Lower(c) : c);
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

size_t DecodeBase64(Slice in, std::vector<uint8_t>* out, size_t limit) {
  uint32_t bits = 0, have = 0;
  const size_t before = out->size();
  for (uint8_t c : in) {
    int v = -1;
    if (c >= 'A' && c <= 'Z')
      v = c - 'A';
    else if (c >= 'a' && c <= 'z')
      v = c - 'a' + 26;
    else if (c >= '0' && c <= '9')
      v = c - '0' + 52;
    else if (c == '+')
      v = 62;
    else if (c == '/')
      v = 63;
    if (v < 0 || out->size() - before >= limit) break;
    bits = bits << 6 | static_cast<uint32_t>(v);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out->push_back(static_cast<uint8_t>(bits >> have));
    }
  }
  return out->size() - before;
}

Result<TransformChain> TransformChain::Compile(const std::vector<Transform>& transforms) {
  static const std::map<std::string_view, Kind> kKinds = {
      {"dotprefix", Kind::kDotPrefix},
      {"to_lowercase", Kind::kLower},
      {"to_uppercase", Kind::kUpper},
      {"strip_whitespace", Kind::kStripSpace},
      {"compress_whitespace", Kind::kCompressSpace},
      {"url_decode", Kind::kUrlDecode},
      {"to_md5", Kind::kMd5},
      {"to_sha1", Kind::kSha1},
      {"to_sha256", Kind::kSha256},
      {"xor", Kind::kXor},
      {"header_lowercase", Kind::kHeaderLower},
      {"strip_pseudo_headers", Kind::kStripPseudoHeaders},
      {"from_base64", Kind::kFromBase64}};
  TransformChain chain;
  for (const Transform& t : transforms) {
    const auto it = kKinds.find(t.name);
    if (it == kKinds.end())
      return Fail(Errc::kUnsupported, "transform {} is not supported", t.name);
    std::string argument = t.argument;
    if (it->second == Kind::kXor) {  // the key is written in hex
      std::string key;
      for (size_t i = 0; i + 1 < argument.size(); i += 2) {
        const int hi = HexValue(static_cast<uint8_t>(argument[i]));
        const int lo = HexValue(static_cast<uint8_t>(argument[i + 1]));
        if (hi < 0 || lo < 0) break;
        key += static_cast<char>(hi * 16 + lo);
      }
      if (key.empty() || key.size() * 2 != argument.size()) {
        return Fail(Errc::kInvalidArgument, "xor: \"{}\" is not an even number of hex digits",
                    argument);
      }
      argument = key;
    }
    chain.steps_.push_back({it->second, std::move(argument)});
  }
  return chain;
}

void TransformChain::Run(const Step& step, Slice in, std::vector<uint8_t>* out) {
  switch (step.kind) {
    case Kind::kDotPrefix:
      out->push_back('.');
      out->insert(out->end(), in.begin(), in.end());
      return;
    case Kind::kLower:
      std::transform(in.begin(), in.end(), std::back_inserter(*out), Lower);
      return;
    case Kind::kUpper:
      std::transform(in.begin(), in.end(), std::back_inserter(*out), Upper);
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
      Digest(EVP_md5(), in, out);
      return;
    case Kind::kSha1:
      Digest(EVP_sha1(), in, out);
      return;
    case Kind::kSha256:
      Digest(EVP_sha256(), in, out);
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
    case Kind::kFromBase64:
      DecodeBase64(in, out, kMaxTransformBytes);
      return;
  }
}

Slice TransformChain::Apply(Slice input, TransformScratch& scratch) const {
  if (input.size() > kMaxTransformBytes && !steps_.empty()) input = input.first(kMaxTransformBytes);
  size_t which = 0;
  for (const Step& step : steps_) {
    std::vector<uint8_t>& out = scratch.buffers[which];
    out.clear();
    Run(step, input, &out);
    input = {out.data(), out.size()};
    which ^= 1;
  }
  return input;
}

}  // namespace sluice
