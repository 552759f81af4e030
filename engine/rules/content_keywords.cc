// Keywords that look at bytes: content and its modifiers, pcre, byte_*, buffers.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

KeywordResult Content(RuleContext& c, std::string_view value, std::string_view) {
  ContentTest test;
  const auto quoted = Unquote(value, &test.negated);
  if (!quoted) return std::unexpected(quoted.error());
  auto bytes = DecodeContent(*quoted);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->empty()) return Bad("the content is empty; write at least one byte");
  test.bytes = std::move(*bytes);
  c.Add(c.Target(false), std::move(test));
  return {};
}

KeywordResult UriContent(RuleContext& c, std::string_view value, std::string_view) {
  const auto field = c.keywords.Find("uricontent_field");
  if (!field) return Bad("no dissector has a URI; load the plug-in that declares uricontent_field");
  if (auto ok = Content(c, value, "content"); !ok) return ok;
  BufferTest test = std::move(c.At(c.last_inspection).tests.back());
  c.At(c.last_inspection).tests.pop_back();
  c.Add(c.Field(*field, false), std::move(test));
  return {};
}

#define SLUICE_NEEDS_CONTENT(content)                                       \
  ContentTest* content = c.LastContent();                                   \
  if (content == nullptr) return Bad("it modifies a content; put it behind one")

KeywordResult Nocase(RuleContext& c, std::string_view, std::string_view) {
  SLUICE_NEEDS_CONTENT(content);
  content->nocase = true;
  content->bytes = Lower(content->bytes);
  return {};
}
KeywordResult StartsWith(RuleContext& c, std::string_view, std::string_view) {
  SLUICE_NEEDS_CONTENT(content);
  if (content->depth || content->offset || content->distance || content->within || content->starts_with) {
    return Bad("startswith cannot be combined with offset, depth, distance or within");
  }
  content->starts_with = true;
  return {};
}
KeywordResult EndsWith(RuleContext& c, std::string_view, std::string_view) {
  SLUICE_NEEDS_CONTENT(content);
  if (content->ends_with) return Bad("endswith is given twice");
  content->ends_with = true;
  return {};
}
KeywordResult RawBytes(RuleContext& c, std::string_view, std::string_view) {
  SLUICE_NEEDS_CONTENT(content);
  content->raw_bytes = true;
  return {};
}

KeywordResult Position(RuleContext& c, std::string_view value, std::string_view name) {
  SLUICE_NEEDS_CONTENT(content);
  const auto number = c.ParseOffset(value);
  if (!number) return Bad(fmt::format("\"{}\" is neither a number nor a byte_extract variable", value));
  if (content->starts_with) return Bad(fmt::format("startswith and {} exclude each other", name));
  auto& slot = name == "offset"     ? content->offset
               : name == "depth"    ? content->depth
               : name == "distance" ? content->distance
                                    : content->within;
  if (slot) return Bad(fmt::format("{} is given twice for one content", name));
  const bool fixed = number->variable < 0;
  if ((name == "depth" || name == "within") && fixed &&
      number->value < static_cast<int64_t>(content->bytes.size())) {
    return Bad(fmt::format("{} {} is smaller than the content's {} bytes; it could never match", name,
                           number->value, content->bytes.size()));
  }
  if (name == "offset" && fixed && (number->value < 0 || number->value > 65535)) {
    return Bad("offset must be 0 to 65535");
  }
  const bool relative = name == "distance" || name == "within";
  const bool absolute = content->offset || content->depth;
  if ((relative && absolute) || (!relative && (content->distance || content->within))) {
    return Bad("offset and depth cannot be combined with distance and within");
  }
  slot = *number;
  content->relative |= relative;
  return {};
}

KeywordResult FastPattern(RuleContext& c, std::string_view value, std::string_view) {
  SLUICE_NEEDS_CONTENT(content);
  for (const Inspection& inspection : c.rule.inspections) {
    for (const BufferTest& test : inspection.tests) {
      const auto* other = std::get_if<ContentTest>(&test);
      if (other != nullptr && other->fast_pattern) return Bad("a rule has one fast_pattern at most");
    }
  }
  value = Trim(value);
  if (value == "only") {
    if (content->negated || content->relative || content->offset || content->depth) {
      return Bad("fast_pattern:only needs a content without negation, offset, depth, distance, within");
    }
    content->fast_pattern_only = true;
  } else if (!value.empty()) {
    const auto parts = Split(value, ',');
    const auto at = parts.size() == 2 ? ParseNumber<uint16_t>(parts[0]) : std::nullopt;
    const auto len = parts.size() == 2 ? ParseNumber<uint16_t>(parts[1]) : std::nullopt;
    if (!at || !len || *len == 0 || size_t{*at} + *len > content->bytes.size()) {
      return Bad(fmt::format("fast_pattern:{}: must be only, or offset,length within the content", value));
    }
    content->fast_pattern_offset = *at;
    content->fast_pattern_length = *len;
  }
  if (content->negated && (content->relative || content->offset || content->depth)) {
    return Bad("a negated content with a place cannot be the fast pattern");
  }
  content->fast_pattern = true;
  return {};
}

// "flow_name" or "flow:name" as a capture; no name: it is none.
Capture ReadCapture(std::string_view text) {
  for (const std::string_view scope : {"flow", "pkt"}) {
    if (text.size() > scope.size() + 1 && text.starts_with(scope)) {
      return {scope == "flow", std::string(text.substr(scope.size() + 1))};
    }
  }
  return {};
}

// Whether what stands behind an open bracket makes it a group that captures.
bool IsGroup(std::string_view text) {
  if (text.starts_with('*')) return false;
  if (!text.starts_with('?')) return true;
  if (text.starts_with("?P<") || text.starts_with("?'")) return true;
  return text.starts_with("?<") && !text.starts_with("?<=") && !text.starts_with("?<!");
}

// Of "?P<flow_name>..." or "?P<pkt_name>..."; no name of any other group.
Capture CaptureOfGroup(std::string_view text) {
  if (!text.starts_with("?P<flow_") && !text.starts_with("?P<pkt_")) return {};
  return ReadCapture(text.substr(3, text.find('>') - 3));
}

// "/expression/flags", with the flags of Perl and of Snort.
KeywordResult Pcre(RuleContext& c, std::string_view value, std::string_view) {
  PcreTest test;
  const auto quoted = Unquote(value, &test.negated, Quotes::kOptional);
  if (!quoted) return std::unexpected(quoted.error());
  std::string_view text = *quoted;
  // Capture names may follow: "/(a)/i, flow:name".
  const size_t open = text.find('/');
  if (open != 0) return Bad("the expression must stand between slashes: /expression/flags");
  const size_t close = text.rfind('/');
  if (close == 0) return Bad("the expression has no closing slash");
  test.pattern = std::string(text.substr(1, close - 1));
  std::string_view flags = text.substr(close + 1);
  if (const size_t comma = flags.find(','); comma != flags.npos) {
    for (const std::string_view name : Split(flags.substr(comma + 1), ',')) {
      if (!name.starts_with("pkt:") && !name.starts_with("flow:")) {
        return Bad(fmt::format("capture {}: must be pkt:name or flow:name", name));
      }
      test.captures.emplace_back(name);
    }
    flags = Trim(flags.substr(0, comma));
  }
  if (CapturesOf(test).size() > kMaxCaptures) {
    return Bad(fmt::format("an expression can keep {} groups; ask for fewer", kMaxCaptures));
  }
  const FieldKeyword* field = nullptr;
  for (const char flag : flags) {
    switch (flag) {
      case 'i': test.caseless = true; break;
      case 'm': test.multi_line = true; break;
      case 's': test.dot_all = true; break;
      case 'x': test.extended = true; break;
      case 'A': test.anchored = true; break;
      case 'E': test.dollar_end_only = true; break;
      case 'G': test.ungreedy = true; break;
      case 'R': test.relative = true; break;
      case 'O': break;  // overrides the match limit: ours stays
      case 'B': break;  // raw bytes: the payload always is
      default: {
        const auto found = c.keywords.Find(std::string("pcre_") + flag);
        if (!found) return Bad(fmt::format("flag '{}' is not known", flag));
        if (field && field->id != found->id) return Bad("two buffer flags in one pcre");
        field = found;
      }
    }
  }
  if (c.current >= 0) field = nullptr;  // a sticky buffer outranks the flag
  c.Add(field ? c.Field(*field, false) : c.Target(test.relative), std::move(test));
  return {};
}

KeywordResult IsDataAt(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  std::string_view at = parts[0];
  IsDataAtTest test;
  if (at.starts_with('!')) {
    test.negated = true;
    at = Trim(at.substr(1));
  }
  const auto number = c.ParseOffset(at);
  if (!number) return Bad(fmt::format("\"{}\" is neither a number nor a variable", at));
  test.offset = *number;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i] == "relative") {
      test.relative = true;
    } else if (parts[i] == "rawbytes") {
      test.raw_bytes = true;
    } else {
      return Bad(fmt::format("\"{}\" is not an option of isdataat; relative or rawbytes are", parts[i]));
    }
  }
  c.Add(c.Target(test.relative), test);
  return {};
}

// Options shared by byte_test, byte_jump, byte_extract and byte_math.
struct ByteOptions {
  bool relative = false, align = false, from_beginning = false, from_end = false, string = false;
  Endian endian = Endian::kBig;
  NumberBase base = NumberBase::kBinary;
  uint32_t multiplier = 1, bitmask = 0, align_to = 0;
  int32_t post_offset = 0;
};

Result<bool> ParseByteOption(std::string_view text, ByteOptions* out) {
  const auto words = SplitWords(text);
  if (words.empty()) return Fail(Errc::kInvalidArgument, "an option is empty");
  const std::string_view word = words[0];
  const auto argument = [&]() -> std::optional<int64_t> {
    return words.size() == 2 ? ParseNumber<int64_t>(words[1]) : std::nullopt;
  };
  if (word == "relative") out->relative = true;
  else if (word == "big") out->endian = Endian::kBig;
  else if (word == "little") out->endian = Endian::kLittle;
  else if (word == "dce") out->endian = Endian::kDce;
  else if (word == "string") { out->string = true; if (out->base == NumberBase::kBinary) out->base = NumberBase::kDecimal; }
  else if (word == "hex") out->base = NumberBase::kHex;
  else if (word == "dec") out->base = NumberBase::kDecimal;
  else if (word == "oct") out->base = NumberBase::kOctal;
  else if (word == "from_beginning") out->from_beginning = true;
  else if (word == "from_end") out->from_end = true;
  else if (word == "align") { out->align = true; if (const auto n = argument()) out->align_to = static_cast<uint32_t>(*n); }
  else if (word == "multiplier" && argument() && *argument() > 0 && *argument() <= 65535) out->multiplier = static_cast<uint32_t>(*argument());
  else if (word == "post_offset" && argument()) out->post_offset = static_cast<int32_t>(*argument());
  else if (word == "bitmask" && argument()) out->bitmask = static_cast<uint32_t>(*argument());
  else return false;
  return true;
}

Result<ByteOptions> ParseByteOptions(const std::vector<std::string_view>& parts, size_t from,
                                     std::string_view name) {
  ByteOptions out;
  for (size_t i = from; i < parts.size(); ++i) {
    const auto known = ParseByteOption(parts[i], &out);
    if (!known) return std::unexpected(known.error());
    if (!*known) return Fail(Errc::kInvalidArgument, "\"{}\" is not an option of {}", parts[i], name);
  }
  return out;
}

KeywordResult ByteTestKeyword(RuleContext& c, std::string_view value, std::string_view name) {
  const auto parts = Split(value, ',');
  if (parts.size() < 4) return Bad("write byte_test: bytes, operator, value, offset [, options]");
  ByteTest test;
  const auto bytes = c.ParseOffset(parts[0]);
  std::string_view op = parts[1];
  if (op.starts_with('!')) {
    test.negated = true;
    op = Trim(op.substr(1));
  }
  using Op = ByteTest::Op;
  if (op == "<") test.op = Op::kLess;
  else if (op == ">") test.op = Op::kGreater;
  else if (op == "=" || op == "==" || (op.empty() && test.negated)) test.op = Op::kEqual;
  else if (op == "<=") test.op = Op::kLessEqual;
  else if (op == ">=") test.op = Op::kGreaterEqual;
  else if (op == "&") test.op = Op::kAnd;
  else if (op == "^") test.op = Op::kOr;
  else return Bad(fmt::format("operator \"{}\" is not known; < > = <= >= & ^ are", parts[1]));
  const auto want = c.ParseOffset(parts[2]);
  const auto offset = c.ParseOffset(parts[3]);
  if (!bytes || !want || !offset) return Bad("bytes, value and offset must be numbers or variables");
  const auto options = ParseByteOptions(parts, 4, name);
  if (!options) return std::unexpected(options.error());
  const int64_t most = options->string ? 23 : 8;
  if (bytes->variable < 0 && (bytes->value < (options->string ? 0 : 1) || bytes->value > most)) {
    return Bad(fmt::format("byte_test reads 1 to {} bytes, not {}", most, bytes->value));
  }
  test.num_bytes = *bytes;
  test.value = *want;
  test.offset = *offset;
  test.relative = options->relative;
  test.endian = options->endian;
  test.base = options->string ? options->base : NumberBase::kBinary;
  test.bitmask = options->bitmask;
  c.Add(c.Target(test.relative), test);
  return {};
}

KeywordResult ByteJumpKeyword(RuleContext& c, std::string_view value, std::string_view name) {
  const auto parts = Split(value, ',');
  if (parts.size() < 2) return Bad("write byte_jump: bytes, offset [, options]");
  const auto bytes = c.ParseOffset(parts[0]), offset = c.ParseOffset(parts[1]);
  if (!bytes || !offset) return Bad("bytes and offset must be numbers or variables");
  const auto options = ParseByteOptions(parts, 2, name);
  if (!options) return std::unexpected(options.error());
  const int64_t most = options->string ? 23 : 8;
  if (bytes->variable < 0 && (bytes->value < 0 || bytes->value > most)) {
    return Bad(fmt::format("byte_jump reads 0 to {} bytes, not {}", most, bytes->value));
  }
  ByteJump jump;
  jump.num_bytes = *bytes;
  jump.offset = *offset;
  jump.relative = options->relative;
  jump.align = options->align;
  jump.from_beginning = options->from_beginning;
  jump.from_end = options->from_end;
  jump.endian = options->endian;
  jump.base = options->string ? options->base : NumberBase::kBinary;
  jump.multiplier = options->multiplier;
  jump.bitmask = options->bitmask;
  jump.post_offset = options->post_offset;
  c.Add(c.Target(jump.relative), jump);
  return {};
}

KeywordResult ByteExtractKeyword(RuleContext& c, std::string_view value, std::string_view name) {
  const auto parts = Split(value, ',');
  if (parts.size() < 3) return Bad("write byte_extract: bytes, offset, name [, options]");
  const auto bytes = ParseNumber<uint8_t>(parts[0]);
  const auto offset = ParseNumber<int32_t>(parts[1]);
  if (!bytes || !offset || *bytes < 1) return Bad("bytes and offset must be numbers");
  const auto options = ParseByteOptions(parts, 3, name);
  if (!options) return std::unexpected(options.error());
  if (*bytes > (options->string ? 23 : 8)) return Bad("byte_extract reads at most 8 bytes, 23 as text");
  ByteExtract extract;
  extract.num_bytes = *bytes;
  extract.offset.value = *offset;
  extract.relative = options->relative;
  extract.endian = options->endian;
  extract.base = options->string ? options->base : NumberBase::kBinary;
  extract.multiplier = options->multiplier;
  extract.align = options->align_to;
  extract.bitmask = options->bitmask;
  extract.variable = c.Variable(parts[2]);
  c.Add(c.Target(extract.relative), extract);
  return {};
}

KeywordResult ByteMathKeyword(RuleContext& c, std::string_view value, std::string_view) {
  ByteMath math;
  ByteOptions options;
  bool has_bytes = false, has_offset = false, has_op = false, has_value = false, has_result = false;
  for (const std::string_view part : Split(value, ',')) {
    const auto words = SplitWords(part);
    if (words.empty()) return Bad("an option is empty");
    const std::string_view word = words[0], argument = words.size() > 1 ? words[1] : "";
    if (word == "bytes") {
      const auto n = c.ParseOffset(argument);
      if (!n || (n->variable < 0 && (n->value < 1 || n->value > 10))) {
        return Bad("bytes must be 1 to 10, or a variable");
      }
      math.num_bytes = *n;
      has_bytes = true;
    } else if (word == "offset") {
      const auto n = c.ParseOffset(argument);
      if (!n) return Bad("offset must be a number or a variable");
      math.offset = *n;
      has_offset = true;
    } else if (word == "oper") {
      using Op = ByteMath::Op;
      if (argument == "+") math.op = Op::kAdd;
      else if (argument == "-") math.op = Op::kSubtract;
      else if (argument == "*") math.op = Op::kMultiply;
      else if (argument == "/") math.op = Op::kDivide;
      else if (argument == "<<") math.op = Op::kShiftLeft;
      else if (argument == ">>") math.op = Op::kShiftRight;
      else return Bad("oper must be one of + - * / << >>");
      has_op = true;
    } else if (word == "rvalue") {
      const auto n = c.ParseOffset(argument);
      if (!n) return Bad("rvalue must be a number or a variable");
      math.rvalue = *n;
      has_value = true;
    } else if (word == "result") {
      math.variable = c.Variable(argument);
      has_result = true;
    } else if (word == "endian" || word == "string") {
      if (word == "string") options.string = true;
      if (const auto known = ParseByteOption(argument, &options); !known || !*known) {
        return Bad(fmt::format("\"{}\" is not known", part));
      }
    } else if (const auto known = ParseByteOption(part, &options); !known || !*known) {
      return Bad(fmt::format("\"{}\" is not an option of byte_math", part));
    }
  }
  if (!has_bytes || !has_offset || !has_op || !has_value || !has_result) {
    return Bad("byte_math needs bytes, offset, oper, rvalue and result");
  }
  if (math.op == ByteMath::Op::kDivide && math.rvalue.variable < 0 && math.rvalue.value == 0) {
    return Bad("division by zero");
  }
  math.relative = options.relative;
  math.endian = options.endian;
  math.base = options.string ? options.base : NumberBase::kBinary;
  math.bitmask = options.bitmask;
  c.Add(c.Target(math.relative), math);
  return {};
}

KeywordResult Bsize(RuleContext& c, std::string_view value, std::string_view) {
  if (c.current < 0) return Bad("bsize measures a sticky buffer; put it behind one");
  const auto test = ParseUintTest(value);
  if (!test) return std::unexpected(test.error());
  c.At(c.current).tests.push_back(SizeTest{*test});
  return {};
}

// "urilen:5<>10,raw": the length of a dissector's field.
KeywordResult UriLen(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  const bool raw = parts.size() == 1 || parts[1] == "raw";
  const auto field = c.keywords.Find(raw ? "urilen_raw" : "urilen_norm");
  if (!field) return Bad("no dissector has a URI; load the plug-in that declares urilen_raw");
  const auto test = ParseUintTest(parts[0]);
  if (!test) return std::unexpected(test.error());
  c.At(c.Field(*field, false)).tests.push_back(SizeTest{*test});
  return {};
}

bool TakeBase64Option(const std::vector<std::string_view>& words, Base64Decode* decode) {
  if (words.size() != 2) return false;
  const auto n = ParseNumber<uint32_t>(words[1]);
  if (!n) return false;
  if (words[0] == "offset") {
    decode->offset = *n;
  } else if (words[0] == "bytes" && *n > 0) {
    decode->bytes = *n;
  } else {
    return false;
  }
  return true;
}

KeywordResult Base64DecodeKeyword(RuleContext& c, std::string_view value, std::string_view) {
  Base64Decode decode;
  if (!Trim(value).empty()) {
    for (const std::string_view part : Split(value, ',')) {
      if (part == "relative") {
        decode.relative = true;
      } else if (!TakeBase64Option(SplitWords(part), &decode)) {
        return Bad(fmt::format("\"{}\" is not an option; bytes n, offset n, relative are", part));
      }
    }
  }
  c.Add(c.Target(decode.relative), decode);
  return {};
}

KeywordResult Base64Data(RuleContext& c, std::string_view value, std::string_view name) {
  Inspection inspection;
  inspection.name = name;
  if (auto ok = ParseSide(c, value, &inspection.side); !ok) return ok;
  inspection.kind = BufferKind::kBase64;
  const bool decoded = std::ranges::any_of(c.rule.inspections, [](const Inspection& i) {
    return std::ranges::any_of(i.tests, [](const BufferTest& t) { return std::holds_alternative<Base64Decode>(t); });
  });
  if (!decoded) return Bad("base64_data needs a base64_decode before it");
  c.UseBuffer(std::move(inspection));
  return {};
}

Result<FloatTest> ParseFloatTest(std::string_view text) {
  using Op = FloatTest::Op;
  static constexpr std::pair<std::string_view, Op> kOps[] = {
      {">=", Op::kGreaterEqual}, {"<=", Op::kLessEqual}, {"!=", Op::kNotEqual}, {">", Op::kGreater},
      {"<", Op::kLess},          {"=", Op::kEqual},      {"!", Op::kNotEqual},  {"", Op::kEqual}};
  text = Trim(text);
  const auto op = std::ranges::find_if(kOps, [text](const auto& o) { return text.starts_with(o.first); });
  const std::string_view digits = Trim(text.substr(op->first.size()));
  FloatTest test{.op = op->second};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), test.value);
  if (error == std::errc() && end == digits.data() + digits.size() && std::isfinite(test.value)) return test;
  return Fail(Errc::kInvalidArgument, "\"{}\" is not a number test; write 7, >7.5, <=2 or !=0", text);
}

// "bytes 100, offset 4, value >= 7.5"
KeywordResult Entropy(RuleContext& c, std::string_view value, std::string_view) {
  EntropyTest test;
  bool has_value = false;
  for (const std::string_view part : Split(value, ',')) {
    const size_t blank = std::min(part.find_first_of(" \t"), part.size());
    const std::string_view word = part.substr(0, blank), argument = part.substr(blank);
    const auto number = ParseNumber<uint16_t>(argument);
    if (word == "value") {
      const auto wanted = ParseFloatTest(argument);
      if (!wanted) return std::unexpected(wanted.error());
      test.test = *wanted;
      has_value = true;
    } else if (word == "bytes" && number) {
      test.bytes = *number;
    } else if (word == "offset" && number) {
      test.offset = *number;
    } else {
      return Bad(fmt::format("\"{}\" is not value TEST, bytes n or offset n", part));
    }
  }
  if (!has_value) return Bad("write entropy:value >= 7, and if need be bytes n, offset n");
  c.Add(c.Target(false), test);
  return {};
}

// "oversize_length 512, relative_offset 2"; older rules leave the commas out.
KeywordResult Asn1(RuleContext& c, std::string_view value, std::string_view) {
  std::string text(value);
  std::ranges::replace(text, ',', ' ');
  const auto words = SplitWords(text);
  Asn1Test test;
  bool placed = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "bitstring_overflow") {
      test.bitstring_overflow = true;
    } else if (word == "double_overflow") {
      test.double_overflow = true;
    } else if (const auto number = i + 1 < words.size() ? ParseNumber<int32_t>(words[++i]) : std::nullopt;
               number && word == "oversize_length" && *number >= 0) {
      test.oversize_length = static_cast<uint32_t>(*number);
    } else if (number && !placed && (word == "relative_offset" || (word == "absolute_offset" && *number >= 0))) {
      placed = true;
      test.relative = word == "relative_offset";
      test.offset.value = *number;
    } else {
      return Bad(fmt::format("\"{}\" is not bitstring_overflow, double_overflow, oversize_length n, absolute_offset n "
                             "or relative_offset n, each once",
                             word));
    }
  }
  if (!test.bitstring_overflow && !test.double_overflow && !test.oversize_length) {
    return Bad("nothing is looked for; write bitstring_overflow, double_overflow or oversize_length n");
  }
  // Of a packet's payload, whatever the buffer in force.
  c.Add(test.relative && c.last_inspection >= 0 && c.At(c.last_inspection).kind == BufferKind::kPayload ? c.last_inspection : c.Payload(),
        test);
  return {};
}

KeywordResult HeaderBufferKeyword(RuleContext& c, std::string_view, std::string_view name) {
  static constexpr std::pair<std::string_view, HeaderBuffer> kBuffers[] = {
      {"ipv4.hdr", HeaderBuffer::kIpv4}, {"ipv6.hdr", HeaderBuffer::kIpv6},
      {"tcp.hdr", HeaderBuffer::kTcp}, {"udp.hdr", HeaderBuffer::kUdp},
      {"icmpv4.hdr", HeaderBuffer::kIcmpv4}, {"icmpv6.hdr", HeaderBuffer::kIcmpv6},
      {"ether.hdr", HeaderBuffer::kEther}, {"arp.hdr", HeaderBuffer::kArp},
      {"igmp.hdr", HeaderBuffer::kIgmp}, {"sctp.hdr", HeaderBuffer::kSctp},
      {"ip.src", HeaderBuffer::kIpSource}, {"ip.dst", HeaderBuffer::kIpDestination}};
  Inspection inspection;
  inspection.name = name;
  inspection.kind = BufferKind::kHeader;
  inspection.header = std::ranges::find(kBuffers, name, [](auto& b) { return b.first; })->second;
  c.UseBuffer(std::move(inspection));
  return {};
}

// "absent" or "absent: or_else", on the sticky buffer before it.
KeywordResult Absent(RuleContext& c, std::string_view value, std::string_view) {
  if (c.current < 0) return Bad("absent follows a sticky buffer");
  Inspection& inspection = c.At(c.current);
  if (!inspection.tests.empty()) return Bad("absent stands before the buffer's other tests");
  value = Trim(value);
  if (!value.empty() && value != "or_else") return Bad("absent takes no value, or or_else");
  inspection.absent = value.empty() ? Inspection::Absent::kMatches : Inspection::Absent::kOrElse;
  return {};
}

KeywordResult PktData(RuleContext& c, std::string_view, std::string_view) {
  c.current = c.last_inspection = -1;
  c.NoContent();
  return {};
}

// "dns.pdu", or "pdu" in a rule for dns: bytes as they were sent.  Every protocol has the
// frame "stream", all bytes of a direction.
KeywordResult Frame(RuleContext& c, std::string_view value, std::string_view) {
  std::string name(Trim(value));
  const std::string& app = c.rule.header.app_protocol;
  if (name.find('.') == name.npos) {
    if (app.empty() || name.empty()) return Bad("write frame:protocol.name");
    name = app + "." + name;
  }
  const size_t dot = name.rfind('.');
  const std::string protocol = name.substr(0, dot);
  if (const auto field = c.keywords.Find("frame:" + name); field != nullptr) {
    c.current = c.Field(*field, field->repeated);
    c.last_inspection = -1;
    c.NoContent();
    return {};
  }
  if (!c.keywords.HasProtocol(protocol)) {
    c.inactive = fmt::format("no dissector named {} is loaded", protocol);
    return {};
  }
  if (name.substr(dot + 1) != "stream") {
    return Bad(fmt::format("{} has no frame \"{}\"", protocol, name.substr(dot + 1)));
  }
  if (app != protocol) c.rule.flow_conditions.push_back(AppProtocolTest{protocol, false, {}});
  return PktData(c, "", "");
}

KeywordResult TransformKeyword(RuleContext& c, std::string_view value, std::string_view name) {
  if (c.current < 0) return Bad("a transform follows a sticky buffer");
  if (!c.At(c.current).tests.empty()) {
    // A second use of the buffer with its own transforms.
    Inspection fresh = c.At(c.current);
    fresh.tests.clear();
    fresh.transforms.clear();
    c.rule.inspections.push_back(std::move(fresh));
    c.current = static_cast<int>(c.rule.inspections.size()) - 1;
  }
  value = Trim(value);
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  if (name == "pcrexform" && !quoted) return Bad("the expression must stand in double quotes");
  if (quoted) value = value.substr(1, value.size() - 2);
  c.At(c.current).transforms.push_back({std::string(name), std::string(value)});
  return {};
}

}  // namespace

const KeywordEntry kContentKeywords[] = {
    {"content", Content, "bytes that must (or with ! must not) be there"},
    {"uricontent", UriContent, "old form of a content on the URI"},
    {"nocase", Nocase, "the content matches in any case"},
    {"startswith", StartsWith, "the content begins the buffer"},
    {"endswith", EndsWith, "the content ends the buffer"},
    {"rawbytes", RawBytes, "the content looks at raw bytes"},
    {"offset", Position, "the content begins here or later"},
    {"depth", Position, "the content lies within so many bytes of the start (or offset)"},
    {"distance", Position, "bytes between the last match and this content"},
    {"within", Position, "the content ends within so many bytes of the last match"},
    {"fast_pattern", FastPattern, "this content goes into the prefilter"},
    {"pcre", Pcre, "a Perl-compatible regular expression"},
    {"isdataat", IsDataAt, "whether there are bytes at a place"},
    {"byte_test", ByteTestKeyword, "compares a number in the bytes"},
    {"byte_jump", ByteJumpKeyword, "moves on by a number in the bytes"},
    {"byte_extract", ByteExtractKeyword, "keeps a number of the bytes as a variable"},
    {"byte_math", ByteMathKeyword, "computes a variable from a number in the bytes"},
    {"bsize", Bsize, "size of the sticky buffer"},
    {"urilen", UriLen, "size of the URI"},
    {"entropy", Entropy, "bits of information a byte: [bytes n, offset n,] value >= 7"},
    {"asn1", Asn1, "odd BER elements: bitstring_overflow, double_overflow, oversize_length n, at absolute_offset or relative_offset n"},
    {"absent", Absent, "the sticky buffer is not there; absent: or_else allows that"},
    {"base64_decode", Base64DecodeKeyword, "decodes for base64_data"},
    {"base64_data", Base64Data, "sticky buffer: what base64_decode gave"},
    {"pkt_data", PktData, "back to the payload"},
    {"frame", Frame, "sticky buffer: a frame of a dissector, bytes as they were sent"},
    {"ipv4.hdr", HeaderBufferKeyword, "sticky buffer: IPv4 header"},
    {"ipv6.hdr", HeaderBufferKeyword, "sticky buffer: IPv6 header"},
    {"tcp.hdr", HeaderBufferKeyword, "sticky buffer: TCP header"},
    {"udp.hdr", HeaderBufferKeyword, "sticky buffer: UDP header"},
    {"icmpv4.hdr", HeaderBufferKeyword, "sticky buffer: ICMPv4 header"},
    {"icmpv6.hdr", HeaderBufferKeyword, "sticky buffer: ICMPv6 header"},
    {"ether.hdr", HeaderBufferKeyword, "sticky buffer: Ethernet header"},
    {"arp.hdr", HeaderBufferKeyword, "sticky buffer: ARP message"},
    {"igmp.hdr", HeaderBufferKeyword, "sticky buffer: IGMP message without what follows its header"},
    {"sctp.hdr", HeaderBufferKeyword, "sticky buffer: SCTP common header"},
    {"ip.src", HeaderBufferKeyword, "sticky buffer: source address, 4 or 16 bytes"},
    {"ip.dst", HeaderBufferKeyword, "sticky buffer: destination address, 4 or 16 bytes"},
    {"dotprefix", TransformKeyword, "transform: puts a dot before the buffer"},
    {"to_lowercase", TransformKeyword, "transform: lower case"},
    {"to_uppercase", TransformKeyword, "transform: upper case"},
    {"strip_whitespace", TransformKeyword, "transform: no white space"},
    {"compress_whitespace", TransformKeyword, "transform: single spaces"},
    {"url_decode", TransformKeyword, "transform: %XX and + decoded"},
    {"to_md5", TransformKeyword, "transform: MD5 of the buffer"},
    {"to_sha1", TransformKeyword, "transform: SHA-1 of the buffer"},
    {"to_sha256", TransformKeyword, "transform: SHA-256 of the buffer"},
    {"xor", TransformKeyword, "transform: exclusive or with a key in hex"},
    {"header_lowercase", TransformKeyword, "transform: header names in lower case"},
    {"strip_pseudo_headers", TransformKeyword, "transform: no pseudo headers"},
    {"from_base64", TransformKeyword, "transform: base64 decoded: bytes n, offset n, mode m"},
    {"pcrexform", TransformKeyword, "transform: first group of a regular expression"},
    {"domain", TransformKeyword, "transform: registrable domain of a host name"},
    {"tld", TransformKeyword, "transform: public suffix of a host name"},
    {"gunzip", TransformKeyword, "transform: gzip decompressed"},
    {"zlib_deflate", TransformKeyword, "transform: zlib decompressed"},
    {"subslice", TransformKeyword, "transform: a part: offset[, bytes]"},
    {nullptr, nullptr, nullptr},
};

std::vector<Capture> CapturesOf(const PcreTest& test) {
  std::vector<Capture> captures;
  for (const std::string& listed : test.captures) captures.push_back(ReadCapture(listed));
  if (!captures.empty()) return captures;
  // Each group in its place; of the others, names are empty.
  const std::string_view pattern = test.pattern;
  bool in_class = false;
  size_t used = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (in_class) {
      in_class = pattern[i] != ']';
    } else if (pattern[i] == '[') {
      in_class = true;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') ++i;  // the first one is a member
    } else if (pattern[i] == '(' && IsGroup(pattern.substr(i + 1))) {
      captures.push_back(CaptureOfGroup(pattern.substr(i + 1)));
      if (!captures.back().name.empty()) used = captures.size();
    }
  }
  captures.resize(used);
  return captures;
}

}  // namespace sluice
