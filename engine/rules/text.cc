#include "engine/rules/text.h"

#include <algorithm>
#include <cctype>
#include <chrono>

namespace sluice {

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) {
      if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
      if (quoted || text[i] != separator) continue;
    }
    parts.push_back(Trim(text.substr(start, i - start)));
    start = i + 1;
  }
  return parts;
}

std::vector<std::string_view> SplitWords(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t i = 0; i < text.size();) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    const size_t start = i;
    while (i < text.size() && !std::isspace(static_cast<unsigned char>(text[i]))) ++i;
    words.push_back(text.substr(start, i - start));
  }
  return words;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

namespace {

// "NAME" or "NAME>5" for names that are multiples of 2^32: a test of the low half under
// that name, as a range of the whole.  None if the text does not begin with such a name.
std::optional<Result<UintTest>> ParseTaggedTest(
    std::string_view text, const std::vector<std::pair<uint64_t, std::string>>& names) {
  constexpr uint64_t kLow = UINT32_MAX;
  const size_t end = text.find_first_of("<>=!&: ");
  for (const auto& [base, name] : names) {
    if (base == 0 || (base & kLow) != 0 || Lower(text.substr(0, end)) != Lower(name)) continue;
    if (end == text.npos) return UintTest{CompareOp::kRange, base - 1, base + kLow + 1};
    Result<UintTest> low = ParseUintTest(text.substr(end), {});
    if (!low) return low;
    switch (low->op) {
      case CompareOp::kEqual: return UintTest{CompareOp::kEqual, base + low->a, 0};
      case CompareOp::kGreater: return UintTest{CompareOp::kRange, base + low->a, base + kLow + 1};
      case CompareOp::kGreaterEqual: return UintTest{CompareOp::kRange, base + low->a - 1, base + kLow + 1};
      case CompareOp::kLess: return UintTest{CompareOp::kRange, base - 1, base + low->a};
      case CompareOp::kLessEqual: return UintTest{CompareOp::kRange, base - 1, base + low->a + 1};
      case CompareOp::kRange: return UintTest{CompareOp::kRange, base + low->a, base + low->b};
      default: return Fail(Errc::kInvalidArgument, "{}: behind a name write =5, >5, <=5 or 1-3", text);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> ParseScaled(std::string_view text) {
  static constexpr std::pair<std::string_view, unsigned> kUnits[] = {
      {"kib", 10}, {"mib", 20}, {"gib", 30}, {"kb", 10}, {"mb", 20}, {"gb", 30}};
  const std::string lower = Lower(Trim(text));
  for (const auto& [unit, shift] : kUnits) {
    if (!lower.ends_with(unit)) continue;
    const auto number = ParseNumber<uint64_t>(std::string_view(lower).substr(0, lower.size() - unit.size()));
    if (!number || *number > UINT64_MAX >> shift) return std::nullopt;
    return *number << shift;
  }
  return ParseNumber<uint64_t>(lower);
}

Result<UintTest> ParseUintTest(std::string_view text,
                               const std::vector<std::pair<uint64_t, std::string>>& names,
                               bool is_signed) {
  text = Trim(text);
  const auto bad = [&] {
    return Fail(Errc::kInvalidArgument,
                "\"{}\" is not a number test; write 5, >5, <=5, !5, 1-3, 1<>3 or &0x10", text);
  };
  const auto number = [&](std::string_view part) -> std::optional<uint64_t> {
    part = Trim(part);
    if (is_signed) {
      const auto value = ParseNumber<int64_t>(part);
      return value ? std::optional(SignedOrder(static_cast<int64_t>(*value))) : std::nullopt;
    }
    if (const auto value = ParseScaled(part)) return value;
    const std::string lower = Lower(part);
    for (const auto& [value, name] : names) {
      if (Lower(name) == lower) return value;
    }
    return std::nullopt;
  };
  if (const auto tagged = ParseTaggedTest(text, names)) return *tagged;
  UintTest out;
  const auto simple = [&](CompareOp op, size_t skip) -> Result<UintTest> {
    const auto value = number(text.substr(skip));
    if (!value) return bad();
    out.op = op;
    out.a = *value;
    return out;
  };
  const bool negated = text.starts_with('!') && !text.starts_with("!=");
  const std::string_view body = negated ? text.substr(1) : text;
  if (const size_t mid = body.find("<>"); mid != body.npos) {
    const auto low = number(body.substr(0, mid)), high = number(body.substr(mid + 2));
    if (!low || !high || *low >= *high) return bad();
    return UintTest{negated ? CompareOp::kNotRange : CompareOp::kRange, *low, *high};
  }
  // A name may have a dash in it.
  if (const size_t mid = body.find('-', 1); mid != body.npos && !number(body) && number(body.substr(0, mid))) {
    const auto low = number(body.substr(0, mid)), high = number(body.substr(mid + 1));
    if (!low || !high || *low >= *high) return bad();
    return UintTest{negated ? CompareOp::kNotRange : CompareOp::kRange, *low, *high};
  }
  if (body.starts_with('&') && !is_signed) {
    const std::string_view rest = body.substr(1);
    const size_t equal = rest.find('=');
    const auto mask = number(rest.substr(0, rest.find_first_of("=!")));
    if (!mask) return bad();
    if (equal == rest.npos) {  // any bit of the mask
      return UintTest{negated ? CompareOp::kMaskSet : CompareOp::kMaskNotSet, *mask, 0};
    }
    const auto want = number(rest.substr(equal + 1));
    if (!want) return bad();
    const bool differs = negated != (equal > 0 && rest[equal - 1] == '!');
    return UintTest{differs ? CompareOp::kMaskNotSet : CompareOp::kMaskSet, *mask, *want};
  }
  if (text.starts_with(">=")) return simple(CompareOp::kGreaterEqual, 2);
  if (text.starts_with("<=")) return simple(CompareOp::kLessEqual, 2);
  if (text.starts_with("!=")) return simple(CompareOp::kNotEqual, 2);
  if (text.starts_with('>')) return simple(CompareOp::kGreater, 1);
  if (text.starts_with('<')) return simple(CompareOp::kLess, 1);
  if (text.starts_with('=')) return simple(CompareOp::kEqual, 1);
  if (negated) return simple(CompareOp::kNotEqual, 1);
  return simple(CompareOp::kEqual, 0);
}

Result<UintTest> ParseBitsTest(std::string_view text,
                               const std::vector<std::pair<uint64_t, std::string>>& names) {
  uint64_t wanted = 0, unwanted = 0;
  const char separator = text.find('|') != text.npos ? '|' : ',';
  for (std::string_view part : Split(text, separator)) {
    const bool negated = part.starts_with('!');
    if (negated) part = Trim(part.substr(1));
    const auto it = std::ranges::find(names, Lower(part), [](const auto& n) { return Lower(n.second); });
    if (it == names.end()) {
      std::string known;
      for (const auto& [value, name] : names) known += (known.empty() ? "" : ", ") + name;
      return Fail(Errc::kInvalidArgument, "\"{}\" is not one of {}", part, known);
    }
    (negated ? unwanted : wanted) |= it->first;
  }
  const uint64_t mask = unwanted == 0 ? wanted : wanted | ~unwanted;
  return UintTest{CompareOp::kMaskNotSet, mask, 0};
}

namespace {

// "2015", "2015-01", "2015-01-31", "2015-01-31T23", "2015-01-31 23:59:59": what is left out
// is the beginning.
std::optional<int64_t> ParseDate(std::string_view text) {
  int parts[6] = {0, 1, 1, 0, 0, 0};
  constexpr std::string_view kMarks = "--T::";
  text = Trim(text);
  for (size_t i = 0; i < 6; ++i) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = ParseNumber<int>(text.substr(0, digits));
    if (!number || digits != (i == 0 ? 4u : 2u)) return std::nullopt;
    parts[i] = *number;
    text.remove_prefix(digits);
    if (text.empty()) break;
    const bool mark = i < 5 && (text[0] == kMarks[i] || (i == 2 && text[0] == ' '));
    if (!mark) return std::nullopt;
    text.remove_prefix(1);
  }
  namespace ch = std::chrono;
  const ch::year_month_day day{ch::year(parts[0]), ch::month(static_cast<unsigned>(parts[1])),
                               ch::day(static_cast<unsigned>(parts[2]))};
  if (!day.ok() || parts[3] > 23 || parts[4] > 59 || parts[5] > 60) return std::nullopt;
  return ch::sys_days(day).time_since_epoch().count() * 86400ll + parts[3] * 3600 + parts[4] * 60 +
         parts[5];
}

}  // namespace

Result<UintTest> ParseDateTest(std::string_view text) {
  const auto bad = [&] {
    return Fail(Errc::kInvalidArgument,
                "\"{}\" is not a date test; write 2015-01-31, >2015, <2015-01 or 2014<>2016", text);
  };
  text = Trim(text);
  if (const size_t mid = text.find("<>"); mid != text.npos) {
    const auto low = ParseDate(text.substr(0, mid)), high = ParseDate(text.substr(mid + 2));
    if (!low || !high || *low >= *high) return bad();
    return UintTest{CompareOp::kRange, SignedOrder(*low), SignedOrder(*high)};
  }
  static constexpr std::pair<std::string_view, CompareOp> kOps[] = {
      {">=", CompareOp::kGreaterEqual}, {"<=", CompareOp::kLessEqual},
      {">", CompareOp::kGreater}, {"<", CompareOp::kLess}, {"", CompareOp::kEqual}};
  for (const auto& [op, compare] : kOps) {
    if (!text.starts_with(op)) continue;
    const auto date = ParseDate(text.substr(op.size()));
    if (!date) return bad();
    return UintTest{compare, SignedOrder(*date), 0};
  }
  return bad();
}

Result<std::string> DecodeContent(std::string_view text) {
  const auto hex = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  std::string out;
  bool in_hex = false;
  int high = -1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '|') {
      if (in_hex && high >= 0) return Fail(Errc::kInvalidArgument, "odd number of hex digits between |");
      in_hex = !in_hex;
    } else if (in_hex) {
      if (c == ' ') continue;
      const int digit = hex(c);
      if (digit < 0) return Fail(Errc::kInvalidArgument, "'{}' is not a hex digit", c);
      if (high < 0) {
        high = digit;
      } else {
        out += static_cast<char>(high * 16 + digit);
        high = -1;
      }
    } else if (c == '\\') {
      if (i + 1 == text.size() || std::string_view("\\\";:").find(text[i + 1]) == std::string_view::npos) {
        return Fail(Errc::kInvalidArgument, "backslash must be followed by one of \\ \" ; :");
      }
      out += text[++i];
    } else if (c == '"') {
      return Fail(Errc::kInvalidArgument, "a quote inside must be written \\\" or |22|");
    } else {
      out += c;
    }
  }
  if (in_hex) return Fail(Errc::kInvalidArgument, "the hex part has no closing |");
  return out;
}

std::string EncodeContent(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto b = static_cast<uint8_t>(c);
    if (b < 0x20 || b > 0x7e || std::string_view("\";\\:|").find(c) != std::string_view::npos) {
      out += fmt::format("|{:02x}|", b);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace sluice
