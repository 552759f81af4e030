#include "engine/match/ber.h"

#include <optional>

namespace sluice {
namespace {

struct Element {
  bool universal = false, constructed = false;
  uint64_t tag = 0;
  std::optional<uint64_t> length;  // none: indefinite, ended by an element of its own
};

class Walk {
 public:
  explicit Walk(const Asn1Test& test) : test_(test) {}

  // Whether an element of `bytes` is odd; what is behind a broken one is not looked at.
  bool Top(Slice bytes) {
    while (!bytes.empty()) {
      bool odd = false;
      if (!One(&bytes, 0, &odd)) return false;
      if (odd) return true;
    }
    return false;
  }

 private:
  // Takes one element off `bytes`; false: it is broken, or a limit is reached.
  bool One(Slice* bytes, uint32_t depth, bool* odd) {
    Element element;
    if (depth == kMaxBerDepth || ++elements_ > kMaxBerElements || !Header(bytes, &element)) return false;
    if (!element.length) return element.constructed && Indefinite(bytes, depth, odd);
    if (*element.length > bytes->size()) return false;
    Slice content = bytes->first(static_cast<size_t>(*element.length));
    *bytes = bytes->subspan(content.size());
    *odd |= IsOdd(element, content);
    constexpr uint64_t kSequence = 16, kSet = 17;
    if (!element.universal || !element.constructed || (element.tag != kSequence && element.tag != kSet)) return true;
    while (!content.empty()) {
      if (!One(&content, depth + 1, odd)) return false;
    }
    return true;
  }

  // X.690 §8.1.3.6: up to two zero bytes.
  bool Indefinite(Slice* bytes, uint32_t depth, bool* odd) {
    while (bytes->size() >= 2 && ((*bytes)[0] != 0 || (*bytes)[1] != 0)) {
      if (!One(bytes, depth + 1, odd)) return false;
    }
    if (bytes->size() < 2) return false;
    *bytes = bytes->subspan(2);
    return true;
  }

  static std::optional<uint8_t> Take(Slice* bytes) {
    if (bytes->empty()) return std::nullopt;
    const uint8_t byte = bytes->front();
    *bytes = bytes->subspan(1);
    return byte;
  }

  // X.690 §8.1.2 and §8.1.3.
  static bool Header(Slice* bytes, Element* out) {
    const auto first = Take(bytes);
    if (!first) return false;
    out->universal = (*first & 0xc0) == 0;
    out->constructed = *first & 0x20;
    out->tag = *first & 0x1f;
    if (out->tag == 0x1f && !LongTag(bytes, &out->tag)) return false;
    const auto length = Take(bytes);
    if (!length || *length == 0xff) return false;
    if (*length == 0x80) return true;
    out->length = *length;
    if (*length < 0x80) return true;
    const uint32_t count = *length & 0x7f;
    if (count > 8) return false;
    out->length = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const auto byte = Take(bytes);
      if (!byte) return false;
      out->length = *out->length << 8 | *byte;
    }
    return true;
  }

  static bool LongTag(Slice* bytes, uint64_t* tag) {
    *tag = 0;
    for (int i = 0; i < 5; ++i) {
      const auto byte = Take(bytes);
      if (!byte) return false;
      *tag = *tag << 7 | (*byte & 0x7f);
      if ((*byte & 0x80) == 0) return true;
    }
    return false;
  }

  bool IsOdd(const Element& element, Slice content) const {
    if (test_.oversize_length && *element.length > *test_.oversize_length) return true;
    if (!element.universal || element.constructed || content.empty()) return false;
    constexpr uint64_t kBitString = 3, kReal = 9;
    if (test_.bitstring_overflow && element.tag == kBitString && content[0] > 8 * *element.length) return true;
    // In decimal form, which some decoders copy into 256 bytes.
    return test_.double_overflow && element.tag == kReal && (content[0] & 0xc0) == 0 && *element.length > 256;
  }

  const Asn1Test& test_;
  uint32_t elements_ = 0;
};

}  // namespace

bool HasOddElement(Slice bytes, const Asn1Test& test) noexcept { return Walk(test).Top(bytes); }

}  // namespace sluice
