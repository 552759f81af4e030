// tests/engine/match/oracle.h
// What a list of buffer tests means, said as plainly as possible: try every
// position of every test, recursively.  Shares no code with engine/match.
// Slow on purpose; for buffers of a few dozen bytes.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "engine/rules/rule_set.h"

namespace sluice::testing {

class Oracle {
 public:
  Oracle(const std::vector<BufferTest>& tests, std::string buffer)
      : tests_(tests), buffer_(std::move(buffer)) {}
  bool Matches() { return Rest(0, 0, std::map<int, uint64_t>()); }
  // An expression exploded: no answer.
  bool gave_up() const { return gave_up_; }

 private:
  using Variables = std::map<int, uint64_t>;
  static int64_t Get(const Number& n, const Variables& v) {
    if (n.variable < 0) return n.value;
    const auto it = v.find(n.variable);
    const uint64_t x = it == v.end() ? 0 : it->second;
    return x > 0x7fffffff ? 0x7fffffff : static_cast<int64_t>(x);
  }
  static uint64_t GetFull(const Number& n, const Variables& v) {
    if (n.variable < 0) return static_cast<uint64_t>(n.value);
    const auto it = v.find(n.variable);
    return it == v.end() ? 0 : it->second;
  }
  int64_t size() const { return static_cast<int64_t>(buffer_.size()); }

  bool Rest(size_t i, int64_t anchor, const Variables& v) {
    if (i == tests_.size()) return true;
    return std::visit([&](const auto& t) { return One(t, i, anchor, v); }, tests_[i]);
  }

  static std::string Lower(std::string s) {
    for (char& c : s) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return s;
  }
  bool ContentAt(const ContentTest& t, int64_t p, int64_t anchor, const Variables& v) const {
    const int64_t length = static_cast<int64_t>(t.bytes.size());
    const int64_t end = p + length;
    if (p < 0 || end > size()) return false;
    std::string there = buffer_.substr(static_cast<size_t>(p), t.bytes.size());
    if (t.nocase ? Lower(there) != Lower(t.bytes) : there != t.bytes) return false;
    const int64_t offset = t.offset ? Get(*t.offset, v) : 0;
    const int64_t distance = t.distance ? Get(*t.distance, v) : 0;
    if (t.starts_with && p != offset) return false;
    if (t.ends_with && end != size()) return false;
    if (t.offset && p < offset) return false;
    if (t.distance || t.within) {
      if (p < anchor + distance) return false;
      if (t.within && end > anchor + distance + Get(*t.within, v)) return false;
      if (t.depth && end > anchor + offset + Get(*t.depth, v)) return false;
    } else if (t.depth && end > offset + Get(*t.depth, v)) {
      return false;
    }
    return true;
  }
  bool One(const ContentTest& t, size_t i, int64_t anchor, const Variables& v) {
    bool anywhere = false;
    for (int64_t p = 0; p <= size(); ++p) {
      if (!ContentAt(t, p, anchor, v)) continue;
      anywhere = true;
      if (!t.negated && Rest(i + 1, p + static_cast<int64_t>(t.bytes.size()), v)) return true;
    }
    return t.negated && !anywhere && Rest(i + 1, anchor, v);
  }

  bool One(const PcreTest& t, size_t i, int64_t anchor, const Variables& v) {
    if (t.relative && anchor > size()) return t.negated && Rest(i + 1, anchor, v);
    const int64_t base = t.relative ? anchor : 0;
    const std::string subject = buffer_.substr(static_cast<size_t>(base));
    int code = 0;
    PCRE2_SIZE at = 0;
    const uint32_t options = (t.caseless ? PCRE2_CASELESS : 0u) | (t.dot_all ? PCRE2_DOTALL : 0u) |
                             (t.multi_line ? PCRE2_MULTILINE : 0u) |
                             (t.anchored ? PCRE2_ANCHORED : 0u);
    pcre2_code* re = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(t.pattern.data()), t.pattern.size(),
                                   options, &code, &at, nullptr);
    if (!re) std::abort();
    pcre2_match_data* data = pcre2_match_data_create_from_pattern(re, nullptr);
    pcre2_match_context* limits = pcre2_match_context_create(nullptr);
    pcre2_set_match_limit(limits, 200'000);
    bool anywhere = false, result = false;
    // A match that begins exactly at s, for every s.
    for (size_t s = 0; s <= subject.size() && !result; ++s) {
      if (t.anchored && s > 0) break;
      const int rc = pcre2_match(re, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(),
                                 s, PCRE2_ANCHORED | PCRE2_NO_JIT, data, limits);
      if (rc < 0) {
        gave_up_ = gave_up_ || rc != PCRE2_ERROR_NOMATCH;
        continue;
      }
      anywhere = true;
      const int64_t end = base + static_cast<int64_t>(pcre2_get_ovector_pointer(data)[1]);
      if (!t.negated) result = Rest(i + 1, end, v);
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(re);
    if (t.negated) return !anywhere && Rest(i + 1, anchor, v);
    return result;
  }

  bool One(const IsDataAtTest& t, size_t i, int64_t anchor, const Variables& v) {
    const int64_t n = Get(t.offset, v);
    const bool there = t.relative ? anchor + n <= size() : n < size();
    return there != t.negated && Rest(i + 1, anchor, v);
  }

  // `count` bytes at `at` as a number; false if they are not there or not a number.
  bool Read(int64_t at, int64_t count, Endian endian, NumberBase base, uint64_t* value,
            int64_t* used) const {
    if (count < 1 || at < 0 || at >= size() || at + count > size()) return false;
    const std::string bytes = buffer_.substr(static_cast<size_t>(at), static_cast<size_t>(count));
    *used = count;
    if (base == NumberBase::kBinary) {
      *value = 0;
      for (int64_t i = 0; i < count; ++i) {
        const auto b = static_cast<uint8_t>(
            bytes[static_cast<size_t>(endian == Endian::kBig ? i : count - 1 - i)]);
        *value = *value * 256 + b;
      }
      return true;
    }
    char* end = nullptr;
    const int radix = base == NumberBase::kHex ? 16 : base == NumberBase::kOctal ? 8 : 10;
    *value = std::strtoull(bytes.c_str(), &end, radix);
    *used = end - bytes.c_str();
    return *used > 0;
  }
  static uint64_t Mask(uint64_t value, uint32_t mask) {
    if (!mask) return value;
    value &= mask;
    while (!(mask & 1)) {
      mask >>= 1;
      value >>= 1;
    }
    return value;
  }

  bool One(const ByteTest& t, size_t i, int64_t anchor, const Variables& v) {
    uint64_t x = 0;
    int64_t used = 0;
    if (!Read((t.relative ? anchor : 0) + Get(t.offset, v), Get(t.num_bytes, v), t.endian, t.base,
              &x, &used))
      return false;
    x = Mask(x, t.bitmask);
    const uint64_t y = GetFull(t.value, v);
    const bool table[] = {x<y, x> y, x == y, x <= y, x >= y, (x & y) != 0, (x ^ y) != 0};
    return table[static_cast<int>(t.op)] != t.negated && Rest(i + 1, anchor, v);
  }
  bool One(const ByteJump& t, size_t i, int64_t anchor, const Variables& v) {
    const int64_t at = (t.relative ? anchor : 0) + Get(t.offset, v);
    uint64_t x = 0;
    int64_t used = 0;
    if (Get(t.num_bytes, v) > 0) {
      if (!Read(at, Get(t.num_bytes, v), t.endian, t.base, &x, &used)) return false;
    } else if (at < 0 || at >= size()) {
      return false;
    }
    int64_t jump = static_cast<int64_t>(Mask(x, t.bitmask) * t.multiplier);
    while (t.align && jump % 4) ++jump;
    jump += t.post_offset;
    const int64_t to = t.from_beginning ? jump : t.from_end ? size() + jump : at + used + jump;
    return to < size() && Rest(i + 1, std::max<int64_t>(to, 0), v);
  }
  bool One(const ByteExtract& t, size_t i, int64_t anchor, Variables v) {
    uint64_t x = 0;
    int64_t used = 0;
    if (!Read((t.relative ? anchor : 0) + Get(t.offset, v), t.num_bytes, t.endian, t.base, &x,
              &used))
      return false;
    x = Mask(x, t.bitmask) * t.multiplier;
    while (t.align && x % t.align) ++x;
    const int64_t behind = (t.relative ? anchor : 0) + Get(t.offset, v) + used;
    v[static_cast<int>(t.variable)] = x;
    return Rest(i + 1, behind, v);
  }
  bool One(const ByteMath& t, size_t i, int64_t anchor, Variables v) {
    uint64_t x = 0;
    int64_t used = 0;
    if (!Read((t.relative ? anchor : 0) + Get(t.offset, v), Get(t.num_bytes, v), t.endian, t.base,
              &x, &used))
      return false;
    const uint64_t r = GetFull(t.rvalue, v);
    switch (t.op) {
      case ByteMath::Op::kAdd:
        x += r;
        break;
      case ByteMath::Op::kSubtract:
        x -= r;
        break;
      case ByteMath::Op::kMultiply:
        x *= r;
        break;
      case ByteMath::Op::kDivide:
        if (!r) return false;
        x /= r;
        break;
      case ByteMath::Op::kShiftLeft:
        x = r > 63 ? 0 : x << r;
        break;
      case ByteMath::Op::kShiftRight:
        x = r > 63 ? 0 : x >> r;
        break;
    }
    const int64_t behind = (t.relative ? anchor : 0) + Get(t.offset, v) + used;
    v[static_cast<int>(t.variable)] = Mask(x, t.bitmask);
    return Rest(i + 1, behind, v);
  }
  bool One(const SizeTest& t, size_t i, int64_t anchor, const Variables& v) {
    return t.test.Matches(buffer_.size()) && Rest(i + 1, anchor, v);
  }
  bool One(const EntropyTest& t, size_t i, int64_t anchor, const Variables& v) {
    if (int64_t{t.offset} + t.bytes > size()) return false;
    const std::string part = buffer_.substr(t.offset, t.bytes ? t.bytes : std::string::npos);
    double entropy = 0;
    for (int b = 0; b < 256; ++b) {
      const auto n = static_cast<double>(std::count(part.begin(), part.end(), static_cast<char>(b)));
      if (n > 0) entropy += n / static_cast<double>(part.size()) * std::log2(static_cast<double>(part.size()) / n);
    }
    // Two sums of the same: apart by what rounding makes of them.
    const double x = std::abs(entropy - t.test.value) < 1e-9 ? t.test.value : entropy;
    const bool table[] = {x == t.test.value, x != t.test.value, x < t.test.value, x <= t.test.value, x > t.test.value, x >= t.test.value};
    return table[static_cast<int>(t.test.op)] && Rest(i + 1, anchor, v);
  }
  // One element of BER with a short tag and length: how many bytes it has, 0: broken.
  static size_t Ber(const std::string& b, const Asn1Test& t, bool* odd) {
    if (b.size() < 2 || (b[0] & 31) == 31) return 0;
    const auto length = static_cast<uint8_t>(b[1]);
    if (length >= 128 || b.size() < 2u + length) return 0;
    const std::string content = b.substr(2, length);
    if (t.oversize_length && length > *t.oversize_length) *odd = true;
    if (t.bitstring_overflow && b[0] == 3 && length > 0 && static_cast<uint8_t>(content[0]) > length * 8) *odd = true;
    if ((b[0] == 0x30 || b[0] == 0x31) && !BerAll(content, t, odd)) return 0;
    return 2u + length;
  }
  static bool BerAll(std::string b, const Asn1Test& t, bool* odd) {
    while (!b.empty()) {
      const size_t used = Ber(b, t, odd);
      if (used == 0) return false;
      b.erase(0, used);
    }
    return true;
  }
  bool One(const Asn1Test& t, size_t i, int64_t anchor, const Variables& v) {
    const int64_t at = (t.relative ? anchor : 0) + t.offset.value;
    if (at < 0 || at >= size()) return false;
    std::string rest = buffer_.substr(static_cast<size_t>(at));
    while (!rest.empty()) {
      bool odd = false;
      const size_t used = Ber(rest, t, &odd);
      if (used == 0) return false;
      if (odd) return Rest(i + 1, anchor, v);
      rest.erase(0, used);
    }
    return false;
  }
  bool One(const DatasetTest&, size_t, int64_t, const Variables&) {
    return false;  // has its own tests: it looks at no more than the whole buffer
  }
  bool One(const Base64Decode&, size_t, int64_t, const Variables&) {
    return false;
  }  // table tests cover it

  const std::vector<BufferTest>& tests_;
  const std::string buffer_;
  bool gave_up_ = false;
};

}  // namespace sluice::testing
