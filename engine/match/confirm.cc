#include "engine/match/confirm.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "engine/match/ber.h"
#include "engine/match/explain.h"

namespace sluice {

namespace {

enum class Outcome : uint8_t { kMatch, kNoMatch, kFinal };  // kFinal: no retry can help

uint8_t Lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c; }

bool EqualNocase(const uint8_t* text, std::string_view lower) {
  for (size_t i = 0; i < lower.size(); ++i) {
    if (Lower(text[i]) != static_cast<uint8_t>(lower[i])) return false;
  }
  return true;
}

uint32_t TrailingZeros(uint32_t mask) {
  return mask ? static_cast<uint32_t>(__builtin_ctz(mask)) : 0;
}

struct Extracted {
  bool ok = false;
  uint64_t value = 0;
  uint32_t used = 0;  // bytes
};

// Shannon's: bits of information in a byte, if bytes came as often as they do here.
double EntropyOf(Slice bytes) {
  std::array<uint32_t, 256> count{};
  for (const uint8_t b : bytes) ++count[b];
  double entropy = 0;
  for (const uint32_t n : count) {
    if (n == 0) continue;
    const double chance = static_cast<double>(n) / static_cast<double>(bytes.size());
    entropy -= chance * std::log2(chance);
  }
  return entropy;
}

constexpr uint32_t kMostDigits = 23;

Extracted ExtractText(const uint8_t* at, uint32_t count, NumberBase base) {
  char text[kMostDigits + 1];
  if (count == 0 || count >= sizeof(text)) return {};
  std::memcpy(text, at, count);
  text[count] = 0;
  const int radix = base == NumberBase::kHex ? 16 : base == NumberBase::kOctal ? 8 : 10;
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text, &end, radix);
  if (errno == ERANGE || end == text) return {};
  return {true, value, static_cast<uint32_t>(end - text)};
}

Extracted ExtractNumber(const uint8_t* at, uint32_t count, Endian endian, NumberBase base) {
  if (base != NumberBase::kBinary) return ExtractText(at, count, base);
  if (count == 0 || count > 8) return {};
  uint64_t value = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t from = endian == Endian::kBig ? i : count - 1 - i;
    value = value << 8 | at[from];
  }
  return {true, value, count};
}

// Notes nothing: the packet path.
struct NoTrace {
  static constexpr bool kOnlyLooks = false;
  void Attempt(size_t) {}
  void Place(size_t, int64_t, int64_t) {}
  void Value(size_t, uint64_t) {}
  void Passed(size_t, size_t, size_t) {}
};

// Keeps the attempt that went furthest.
class KeepTrace {
 public:
  static constexpr bool kOnlyLooks = true;  // leaves datasets as they are
  KeepTrace(size_t num_tests, ConfirmTrace* out) : now_(num_tests), out_(*out) {
    out_ = {};
    out_.tests.resize(num_tests);
  }
  void Attempt(size_t index) {
    ++now_[index].attempts;
    now_[index].has_place = now_[index].has_value = now_[index].passed = false;
  }
  void Place(size_t index, int64_t from, int64_t to) {
    now_[index].has_place = true;
    now_[index].from = static_cast<size_t>(std::max<int64_t>(from, 0));
    now_[index].to = static_cast<size_t>(std::max<int64_t>(to, 0));
  }
  void Value(size_t index, uint64_t value) {
    now_[index].has_value = true;
    now_[index].value = value;
  }
  void Passed(size_t index, size_t begin, size_t end) {
    now_[index].passed = true;
    now_[index].begin = begin;
    now_[index].end = end;
    if (index + 1 > out_.failed_at) {
      out_.failed_at = index + 1;
      std::copy_n(now_.begin(), index + 1, out_.tests.begin());
    }
  }
  // The test that failed, as it was tried last.
  void End(bool gave_up) {
    out_.gave_up = gave_up;
    if (out_.failed_at < now_.size()) {
      out_.tests[out_.failed_at] = now_[out_.failed_at];
      out_.tests[out_.failed_at].passed = false;
    }
  }

 private:
  std::vector<ConfirmTrace::Test> now_;
  ConfirmTrace& out_;
};

template <typename Trace>
class Run {
 public:
  Run(const ConfirmProgram& program, Slice buffer, ConfirmState& state, Trace& trace)
      : ops_(program.ops), buffer_(buffer), state_(state), trace_(trace) {}

  // Tests from `index` on, with the anchor at `anchor`.
  Outcome From(size_t index, size_t anchor) {
    if (index == ops_.size()) return Outcome::kMatch;
    if (++state_.steps > state_.max_steps) {
      if (state_.steps == state_.max_steps + 1) ++state_.step_limit_hits;
      return Outcome::kFinal;
    }
    const Op& op = ops_[index];
    trace_.Attempt(index);
    switch (op.kind) {
      case Op::Kind::kContent:
        return Content(op, index, anchor);
      case Op::Kind::kRegex:
        return Expression(op, index, anchor);
      case Op::Kind::kIsDataAt:
        return Then(IsDataAt(std::get<IsDataAtTest>(*op.test), anchor), op, index, anchor);
      case Op::Kind::kByteTest:
        return Then(Test(std::get<ByteTest>(*op.test), index, anchor), op, index, anchor);
      case Op::Kind::kByteJump:
        return Moved(Jump(std::get<ByteJump>(*op.test), index, anchor), op, index);
      case Op::Kind::kExtract:
        return Moved(Extract(std::get<ByteExtract>(*op.test), index, anchor), op, index);
      case Op::Kind::kMath:
        return Moved(Math(std::get<ByteMath>(*op.test), index, anchor), op, index);
      case Op::Kind::kSize:
        return Then(std::get<SizeTest>(*op.test).test.Matches(buffer_.size()), op, index, anchor);
      case Op::Kind::kBase64:
        return Then(Base64(op, std::get<Base64Decode>(*op.test), anchor), op, index, anchor);
      case Op::Kind::kDataset:
        return Then(LookUp(op, std::get<DatasetTest>(*op.test)), op, index, anchor);
      case Op::Kind::kEntropy:
        return Then(Entropy(std::get<EntropyTest>(*op.test)), op, index, anchor);
      case Op::Kind::kAsn1:
        return Then(Asn1(std::get<Asn1Test>(*op.test), anchor), op, index, anchor);
    }
    return Outcome::kFinal;
  }

 private:
  static Outcome Failed(const Op& op) {
    return op.independent ? Outcome::kFinal : Outcome::kNoMatch;
  }
  Outcome Then(bool holds, const Op& op, size_t index, size_t anchor) {
    return holds ? Next(index, anchor, anchor, anchor) : Failed(op);
  }
  // The test found a place of its own for the next one's anchor; nothing: it failed.
  Outcome Moved(std::optional<size_t> to, const Op& op, size_t index) {
    return to ? Next(index, *to, *to, *to) : Failed(op);
  }
  // The test at `index` holds, covering [begin, end): the next one, from `anchor`.
  Outcome Next(size_t index, size_t begin, size_t end, size_t anchor) {
    trace_.Passed(index, begin, end);
    return From(index + 1, anchor);
  }

  int64_t Value(const Number& n) const {
    if (n.variable < 0) return n.value;
    const uint64_t v = state_.variables[static_cast<size_t>(n.variable)];
    return v > INT32_MAX ? INT32_MAX : static_cast<int64_t>(v);
  }

  // Where a content may lie: [from, to) of the buffer; false: nowhere.
  bool Place(const ContentTest& c, size_t anchor, int64_t* from, int64_t* to) const {
    const int64_t size = static_cast<int64_t>(buffer_.size());
    *from = 0;
    *to = size;
    if (c.distance || c.within) {
      const int64_t distance = c.distance ? Value(*c.distance) : 0;
      *from = static_cast<int64_t>(anchor) + distance;
      if (c.within) *to = std::min(*to, static_cast<int64_t>(anchor) + distance + Value(*c.within));
      *from = std::max<int64_t>(*from, 0);
      if (c.offset) *from = std::max(*from, Value(*c.offset));
      if (c.depth) {
        *to = std::min(*to, static_cast<int64_t>(anchor) + (c.offset ? Value(*c.offset) : 0) +
                                Value(*c.depth));
      }
    } else {
      if (c.offset) *from = Value(*c.offset);
      if (c.depth) *to = std::min(*to, *from + Value(*c.depth));
    }
    const int64_t length = static_cast<int64_t>(c.bytes.size());
    if (c.starts_with) *to = std::min(*to, *from + length);
    if (c.ends_with) *from = std::max(*from, size - length);
    return *from >= 0 && *from + length <= *to;
  }

  bool Spend(size_t bytes) {
    state_.bytes += bytes;
    if (state_.bytes <= state_.max_bytes) return true;
    if (state_.steps <= state_.max_steps) ++state_.byte_limit_hits;
    state_.steps = state_.max_steps + 1;  // ends the search everywhere
    return false;
  }

  Outcome Content(const Op& op, size_t index, size_t anchor) {
    const ContentTest& c = std::get<ContentTest>(*op.test);
    int64_t from = 0, to = 0;
    const bool fits = Place(c, anchor, &from, &to);
    trace_.Place(index, from, to);
    if (!fits) return op.negated ? Next(index, anchor, anchor, anchor) : Failed(op);
    const Slice region = buffer_.first(static_cast<size_t>(to));
    bool found = false;
    for (size_t at = static_cast<size_t>(from);; ++at) {
      const size_t start = at;
      at = FindBytes(region, at, c.bytes, c.nocase);
      if (!Spend(at == kNotFound ? region.size() - start : at - start + 1)) return Outcome::kFinal;
      if (at == kNotFound) break;
      if (op.negated) return Failed(op);
      found = true;
      const size_t end = at + c.bytes.size();
      const Outcome rest = Next(index, at, end, end);
      if (rest != Outcome::kNoMatch || !op.retry) return rest;
    }
    if (op.negated) return Next(index, anchor, anchor, anchor);
    return found ? Outcome::kNoMatch : Failed(op);
  }

  Outcome Expression(const Op& op, size_t index, size_t anchor) {
    if (op.relative && anchor > buffer_.size())
      return op.negated ? Next(index, anchor, anchor, anchor) : Outcome::kNoMatch;
    const size_t base = op.relative ? anchor : 0;
    const Slice subject = buffer_.subspan(base);
    Regex::Found match;
    bool found = false;
    for (size_t start = 0; start <= subject.size();) {
      if (!Spend(subject.size() - start + 1)) return Outcome::kFinal;
      if (!op.regex->Find(subject, start, state_.regex, &match)) break;
      if (op.negated) return Failed(op);
      found = true;
      const uint32_t kept = state_.num_captured;
      if (op.captures != nullptr) state_.Keep(*op.captures, *op.regex, subject);
      const Outcome rest = Next(index, base + match.begin, base + match.end, base + match.end);
      if (rest != Outcome::kMatch) state_.num_captured = kept;
      if (rest != Outcome::kNoMatch || !op.retry) return rest;
      start = match.begin + 1;
    }
    if (op.negated) return Next(index, anchor, anchor, anchor);
    return found ? Outcome::kNoMatch : Failed(op);
  }

  bool IsDataAt(const IsDataAtTest& t, size_t anchor) const {
    const int64_t offset = Value(t.offset);
    const int64_t size = static_cast<int64_t>(buffer_.size());
    // Relative counts from the anchor: byte number `offset` after it must exist.
    const bool there = t.relative ? static_cast<int64_t>(anchor) + offset <= size : offset < size;
    return there != t.negated;
  }

  // Bounds-checked start of a byte_* operand; null if outside.
  const uint8_t* Operand(bool relative, int64_t offset, int64_t count, size_t anchor) const {
    const int64_t at = (relative ? static_cast<int64_t>(anchor) : 0) + offset;
    const int64_t size = static_cast<int64_t>(buffer_.size());
    if (at < 0 || at >= size || count > size - at) return nullptr;
    return buffer_.data() + at;
  }

  bool Test(const ByteTest& t, size_t index, size_t anchor) {
    int64_t count = Value(t.num_bytes);
    const bool whole_number = count == 0 && t.base != NumberBase::kBinary;
    const uint8_t* at = Operand(t.relative, Value(t.offset), whole_number ? 1 : count, anchor);
    if (!at || count < 0) return false;
    if (whole_number) {  // as many digits as there are
      count = std::min<int64_t>(kMostDigits, buffer_.data() + buffer_.size() - at);
    }
    const Extracted got = ExtractNumber(at, static_cast<uint32_t>(count), t.endian, t.base);
    if (!got.ok) return false;
    uint64_t value = got.value;
    if (t.bitmask) value = (value & t.bitmask) >> TrailingZeros(t.bitmask);
    trace_.Value(index, value);
    const uint64_t want = t.value.variable >= 0
                              ? state_.variables[static_cast<size_t>(t.value.variable)]
                              : static_cast<uint64_t>(t.value.value);
    bool holds = false;
    switch (t.op) {
      case ByteTest::Op::kLess:
        holds = value < want;
        break;
      case ByteTest::Op::kGreater:
        holds = value > want;
        break;
      case ByteTest::Op::kEqual:
        holds = value == want;
        break;
      case ByteTest::Op::kLessEqual:
        holds = value <= want;
        break;
      case ByteTest::Op::kGreaterEqual:
        holds = value >= want;
        break;
      case ByteTest::Op::kAnd:
        holds = (value & want) != 0;
        break;
      case ByteTest::Op::kOr:
        holds = (value ^ want) != 0;
        break;
    }
    return holds != t.negated;
  }

  std::optional<size_t> Jump(const ByteJump& t, size_t index, size_t anchor) {
    const int64_t count = Value(t.num_bytes), offset = Value(t.offset);
    const int64_t size = static_cast<int64_t>(buffer_.size());
    const int64_t start = (t.relative ? static_cast<int64_t>(anchor) : 0) + offset;
    uint64_t value = 0;
    uint32_t used = 0;
    if (count > 0) {
      const uint8_t* at = Operand(t.relative, offset, count, anchor);
      if (!at) return std::nullopt;
      const Extracted got = ExtractNumber(at, static_cast<uint32_t>(count), t.endian, t.base);
      if (!got.ok) return std::nullopt;
      value = got.value;
      used = got.used;
    } else if (start < 0 || start >= size) {
      return std::nullopt;
    }
    if (t.bitmask) value = (value & t.bitmask) >> TrailingZeros(t.bitmask);
    trace_.Value(index, value);
    value *= t.multiplier;
    if (t.align && value % 4) value += 4 - value % 4;
    value += static_cast<uint64_t>(static_cast<int64_t>(t.post_offset));
    if (!t.from_beginning && !t.from_end) value += used;
    // Two's complement: a negative post_offset moves back, at most to the start.
    const uint64_t base = t.from_beginning ? 0
                          : t.from_end     ? buffer_.size()
                                           : static_cast<uint64_t>(start);
    const int64_t target = static_cast<int64_t>(base + value);
    if (target >= size) return std::nullopt;
    return static_cast<size_t>(std::max<int64_t>(target, 0));
  }

  // What was read counts as found: relative tests go on behind it.
  size_t Behind(const uint8_t* at, const Extracted& got) const {
    return static_cast<size_t>(at - buffer_.data()) + got.used;
  }

  std::optional<size_t> Extract(const ByteExtract& t, size_t index, size_t anchor) {
    const uint8_t* at = Operand(t.relative, Value(t.offset), t.num_bytes, anchor);
    if (!at || t.num_bytes == 0) return std::nullopt;
    const Extracted got = ExtractNumber(at, t.num_bytes, t.endian, t.base);
    if (!got.ok) return std::nullopt;
    uint64_t value = got.value;
    if (t.bitmask) value = (value & t.bitmask) >> TrailingZeros(t.bitmask);
    value *= t.multiplier;
    if (t.align && value % t.align) value += t.align - value % t.align;
    trace_.Value(index, value);
    state_.variables[t.variable % kMaxVariables] = value;
    return Behind(at, got);
  }

  std::optional<size_t> Math(const ByteMath& t, size_t index, size_t anchor) {
    const int64_t count = Value(t.num_bytes);
    const uint8_t* at = count < 1 ? nullptr : Operand(t.relative, Value(t.offset), count, anchor);
    if (!at) return std::nullopt;
    const Extracted got = ExtractNumber(at, static_cast<uint32_t>(count), t.endian, t.base);
    if (!got.ok) return std::nullopt;
    uint64_t value = got.value;
    const uint64_t r = t.rvalue.variable >= 0
                           ? state_.variables[static_cast<size_t>(t.rvalue.variable)]
                           : static_cast<uint64_t>(t.rvalue.value);
    switch (t.op) {
      case ByteMath::Op::kAdd:
        value += r;
        break;
      case ByteMath::Op::kSubtract:
        value -= r;
        break;
      case ByteMath::Op::kMultiply:
        value *= r;
        break;
      case ByteMath::Op::kDivide:
        if (r == 0) return std::nullopt;
        value /= r;
        break;
      case ByteMath::Op::kShiftLeft:
        value = r < 64 ? value << r : 0;
        break;
      case ByteMath::Op::kShiftRight:
        value = r < 64 ? value >> r : 0;
        break;
    }
    if (t.bitmask) value = (value & t.bitmask) >> TrailingZeros(t.bitmask);
    trace_.Value(index, value);
    state_.variables[t.variable % kMaxVariables] = value;
    return Behind(at, got);
  }

  bool Base64(const Op& op, const Base64Decode& t, size_t anchor) {
    const size_t at = (t.relative ? anchor : 0) + t.offset;
    if (at >= buffer_.size() || !op.decoded) return false;
    Slice in = buffer_.subspan(at);
    if (t.bytes && in.size() > t.bytes) in = in.first(t.bytes);
    state_.base64.clear();
    if (!Spend(in.size()) || DecodeBase64(in, &state_.base64, kMaxTransformBytes) == 0)
      return false;
    if (op.decoded->ops.empty()) return true;
    // Decoded tests never decode again, so `base64` stays put.
    NoTrace untraced;
    Run<NoTrace> inner(*op.decoded, {state_.base64.data(), state_.base64.size()}, state_, untraced);
    return inner.From(0, 0) == Outcome::kMatch;
  }

  bool Entropy(const EntropyTest& t) {
    if (t.offset > buffer_.size() || t.bytes > buffer_.size() - t.offset) return false;
    const Slice part = buffer_.subspan(t.offset, t.bytes ? t.bytes : buffer_.size() - t.offset);
    return Spend(part.size()) && t.test.Matches(EntropyOf(part));
  }

  bool Asn1(const Asn1Test& t, size_t anchor) {
    const int64_t at = (t.relative ? static_cast<int64_t>(anchor) : 0) + t.offset.value;
    if (at < 0 || at >= static_cast<int64_t>(buffer_.size())) return false;
    const Slice rest = buffer_.subspan(static_cast<size_t>(at));
    return Spend(rest.size()) && HasOddElement(rest, t);
  }

  bool LookUp(const Op& op, const DatasetTest& t) {
    Dataset& set = *op.dataset;
    if (!set.Fits(buffer_.size())) return false;
    const bool adds = t.op == DatasetTest::Op::kSet, removes = t.op == DatasetTest::Op::kUnset;
    if constexpr (Trace::kOnlyLooks) {
      if (adds || removes) return (set.Find(buffer_) == nullptr) == adds;
    }
    if (adds) return set.Add(buffer_);
    if (removes) return set.Remove(buffer_);
    const Dataset::Entry* entry = t.subdomain ? set.FindParent(buffer_) : set.Find(buffer_);
    if (t.op == DatasetTest::Op::kIsNotSet) return entry == nullptr;
    if (entry == nullptr) return false;
    if (t.op == DatasetTest::Op::kReputation) return t.reputation.Matches(entry->reputation);
    if (!entry->context.empty()) {
      state_.contexts.Add(t.set.context_key.empty() ? t.set.name : t.set.context_key,
                          entry->context);
    }
    return true;
  }

  const std::vector<Op>& ops_;
  const Slice buffer_;
  ConfirmState& state_;
  Trace& trace_;
};

}  // namespace

size_t FindBytes(Slice haystack, size_t from, std::string_view needle, bool nocase) {
  const size_t size = haystack.size(), length = needle.size();
  if (from > size || length > size - from) return kNotFound;
  if (length == 0) return from;
  if (!nocase) {
    const void* at = memmem(haystack.data() + from, size - from, needle.data(), length);
    return at ? static_cast<size_t>(static_cast<const uint8_t*>(at) - haystack.data()) : kNotFound;
  }
  const uint8_t first = static_cast<uint8_t>(needle[0]);
  const size_t last = size - length;
  for (size_t i = from; i <= last; ++i) {
    if (Lower(haystack[i]) == first && EqualNocase(haystack.data() + i, needle)) return i;
  }
  return kNotFound;
}

void ConfirmState::Keep(const std::vector<Capture>& captures, const Regex& found, Slice subject) {
  for (uint32_t i = 0; i < captures.size() && num_captured < kMaxCaptures; ++i) {
    if (captures[i].name.empty()) continue;
    const Slice group = found.Group(subject, i + 1, regex);
    if (group.empty()) continue;
    Captured& out = captured[num_captured++];
    out.as = &captures[i];
    out.value.assign(AsText(group.first(std::min(group.size(), Captured::kMost))));
  }
}

bool ConfirmProgram::Matches(Slice buffer, ConfirmState& state) const {
  state.steps = 0;
  state.bytes = 0;
  NoTrace trace;
  return Run<NoTrace>(*this, buffer, state, trace).From(0, 0) == Outcome::kMatch;
}

bool ConfirmProgram::Explain(Slice buffer, ConfirmState& state, ConfirmTrace* trace) const {
  state.steps = 0;
  state.bytes = 0;
  KeepTrace kept(ops.size(), trace);
  const bool matched = Run<KeepTrace>(*this, buffer, state, kept).From(0, 0) == Outcome::kMatch;
  kept.End(state.steps > state.max_steps);
  return matched;
}

}  // namespace sluice
