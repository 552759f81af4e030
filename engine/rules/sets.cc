#include "engine/rules/sets.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "engine/rules/text.h"

namespace sluice {
namespace {

__extension__ using Value = unsigned __int128;
struct Span {
  Value first, last;  // inclusive
};
using Spans = std::vector<Span>;
constexpr int kMaxDepth = 16;  // nested lists and variables

Spans Union(Spans spans) {
  std::ranges::sort(spans, {}, &Span::first);
  Spans out;
  for (const Span& s : spans) {
    if (!out.empty() && (s.first <= out.back().last || s.first == out.back().last + 1)) {
      out.back().last = std::max(out.back().last, s.last);
    } else {
      out.push_back(s);
    }
  }
  return out;
}

// a without b; both unions.
Spans Minus(const Spans& a, const Spans& b) {
  Spans out;
  for (Span s : a) {
    bool gone = false;
    for (const Span& cut : b) {
      if (cut.last < s.first || cut.first > s.last) continue;
      if (cut.first > s.first) out.push_back({s.first, cut.first - 1});
      if (cut.last >= s.last) {
        gone = true;
        break;
      }
      s.first = cut.last + 1;
    }
    if (!gone) out.push_back(s);
  }
  return out;
}

// One domain per address family, or one for ports.
struct Sets {
  Spans domain[2];
};

Sets Everything(bool ports) {
  Sets out;
  if (ports) {
    out.domain[0] = {{0, 65535}};
  } else {
    out.domain[0] = {{0, 0xffffffffu}};
    out.domain[1] = {{0, ~Value{0}}};
  }
  return out;
}

Value ToValue(const Address& address) {
  Value value = 0;
  for (size_t i = 0; i < (address.version == 4 ? 4u : 16u); ++i) value = value << 8 | address.bytes[i];
  return value;
}

Address FromValue(Value value, uint8_t version) {
  Address address;
  address.version = version;
  for (size_t n = version == 4 ? 4 : 16; n-- > 0; value >>= 8) {
    address.bytes[n] = static_cast<uint8_t>(value);
  }
  return address;
}

Result<Sets> ParseAddressItem(std::string_view text) {
  const auto one = [&](const Address& low, Value first, Value last) {
    Sets out;
    out.domain[low.version == 4 ? 0 : 1] = {{first, last}};
    return out;
  };
  if (const size_t dash = text.find('-'); dash != text.npos) {
    const auto low = ParseAddress(Trim(text.substr(0, dash)));
    const auto high = ParseAddress(Trim(text.substr(dash + 1)));
    if (!low) return std::unexpected(low.error());
    if (!high) return std::unexpected(high.error());
    if (low->version != high->version || ToValue(*low) > ToValue(*high)) {
      return Fail(Errc::kInvalidArgument, "address range {}: the first must not be above the last", text);
    }
    return one(*low, ToValue(*low), ToValue(*high));
  }
  const size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  if (slash == text.npos) return one(*address, ToValue(*address), ToValue(*address));
  const std::string_view suffix = text.substr(slash + 1);
  const unsigned bits = address->version == 4 ? 32 : 128;
  unsigned length = 0;
  if (const auto mask = ParseAddress(suffix); mask && mask->version == 4 && bits == 32) {
    const auto value = static_cast<uint32_t>(ToValue(*mask));
    length = static_cast<unsigned>(std::popcount(value));
    if (value != (length == 0 ? 0 : ~uint32_t{0} << (32 - length))) {
      return Fail(Errc::kInvalidArgument, "netmask {}: its ones must be together", suffix);
    }
  } else {
    const auto parsed = ParseNumber<unsigned>(suffix);
    if (!parsed || *parsed > bits) {
      return Fail(Errc::kInvalidArgument, "network {}: the prefix must be 0 to {}", text, bits);
    }
    length = *parsed;
  }
  const Value all = bits == 32 ? Value{0xffffffffu} : ~Value{0};
  const Value host = length == 0 ? all : length == bits ? 0 : all >> length;
  const Value base = ToValue(*address) & ~host & all;
  return one(*address, base, base | host);
}

Result<Sets> ParsePortItem(std::string_view text) {
  const size_t colon = text.find(':');
  const auto bound = [&](std::string_view part, unsigned open) -> std::optional<unsigned> {
    part = Trim(part);
    if (part.empty()) return open;
    const auto value = ParseNumber<unsigned>(part);
    return value && *value <= 65535 ? value : std::nullopt;
  };
  const auto low = colon == 0 ? std::optional<unsigned>(0) : bound(text.substr(0, colon), 65536);
  const auto high = colon == text.npos ? low : bound(text.substr(colon + 1), 65535);
  if (!low || !high || *low > 65535 || *low > *high || text.empty()) {
    return Fail(Errc::kInvalidArgument, "port {}: must be 0 to 65535, or a range low:high", text);
  }
  Sets out;
  out.domain[0] = {{*low, *high}};
  return out;
}

class Evaluator {
 public:
  Evaluator(const RuleVariables& variables, bool ports) : variables_(variables), ports_(ports) {}

  Result<Sets> Evaluate(std::string_view text, int depth) const {
    text = Trim(text);
    if (depth > kMaxDepth) {
      return Fail(Errc::kInvalidArgument, "{}: lists or variables nest deeper than {}", text, kMaxDepth);
    }
    if (text.empty()) return Fail(Errc::kInvalidArgument, "empty address or port; write any");
    if (text[0] == '!') {
      const auto inner = Evaluate(text.substr(1), depth + 1);
      if (!inner) return inner;
      return Subtract(Everything(ports_), *inner);
    }
    if (text == "any" || text == "ANY") return Everything(ports_);
    if (text[0] == '$') {
      const auto it = variables_.find(text.substr(1));
      if (it == variables_.end()) {
        return Fail(Errc::kInvalidArgument, "variable {} is not defined; add it to the configuration's vars",
                    text);
      }
      return Evaluate(it->second, depth + 1);
    }
    if (text[0] == '[') return EvaluateList(text, depth);
    if (text.find(',') != text.npos) return EvaluateList("[" + std::string(text) + "]", depth);
    return ports_ ? ParsePortItem(text) : ParseAddressItem(text);
  }

 private:
  static Sets Subtract(const Sets& a, const Sets& b) {
    Sets out;
    for (int i = 0; i < 2; ++i) out.domain[i] = Minus(a.domain[i], b.domain[i]);
    return out;
  }

  // What is named, without what is named with '!'.
  Result<Sets> EvaluateList(std::string_view text, int depth) const {
    if (text.size() < 2 || text.back() != ']') {
      return Fail(Errc::kInvalidArgument, "{}: the list has no closing bracket", text);
    }
    text = text.substr(1, text.size() - 2);
    Sets with, without;
    bool positive = false;
    int level = 0;
    size_t start = 0;
    for (size_t i = 0; i <= text.size(); ++i) {
      if (i < text.size() && text[i] == '[') ++level;
      if (i < text.size() && text[i] == ']') --level;
      if (i < text.size() && (text[i] != ',' || level != 0)) continue;
      const std::string_view item = Trim(text.substr(start, i - start));
      start = i + 1;
      const bool negated = !item.empty() && item[0] == '!';
      const auto sets = Evaluate(negated ? item.substr(1) : item, depth + 1);
      if (!sets) return sets;
      positive |= !negated;
      for (int d = 0; d < 2; ++d) {
        auto& to = (negated ? without : with).domain[d];
        to.insert(to.end(), sets->domain[d].begin(), sets->domain[d].end());
      }
    }
    if (level != 0) return Fail(Errc::kInvalidArgument, "[{}]: brackets do not match", text);
    if (!positive) with = Everything(ports_);
    for (int d = 0; d < 2; ++d) {
      with.domain[d] = Minus(Union(std::move(with.domain[d])), Union(std::move(without.domain[d])));
    }
    return with;
  }

  const RuleVariables& variables_;
  const bool ports_;
};

bool Same(const Spans& a, const Spans& b) {
  return a.size() == b.size() && std::ranges::equal(a, b, [](const Span& x, const Span& y) {
           return x.first == y.first && x.last == y.last;
         });
}

}  // namespace

bool AddressSet::Contains(const Address& address) const {
  if (any) return true;
  const auto it = std::ranges::partition_point(ranges, [&](const AddressRange& r) {
    return r.last.version < address.version ||
           (r.last.version == address.version && r.last.bytes < address.bytes);
  });
  return it != ranges.end() && it->first.version == address.version &&
         it->first.bytes <= address.bytes;
}

bool PortSet::Contains(uint16_t port) const {
  if (any) return true;
  const auto it = std::ranges::partition_point(ranges, [&](const auto& r) { return r.second < port; });
  return it != ranges.end() && it->first <= port;
}

Result<Address> ParseAddress(std::string_view text) {
  const std::string copy(Trim(text));
  Address address;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) {
    address.version = 4;
  } else if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
    address.version = 6;
  } else {
    return Fail(Errc::kInvalidArgument, "{}: not an IPv4 or IPv6 address", copy);
  }
  return address;
}

Result<AddressSet> ParseAddressSet(std::string_view text, const RuleVariables& variables) {
  const auto sets = Evaluator(variables, false).Evaluate(text, 0);
  if (!sets) return std::unexpected(sets.error());
  const Sets all = Everything(false);
  AddressSet out;
  out.any = Same(sets->domain[0], all.domain[0]) && Same(sets->domain[1], all.domain[1]);
  if (out.any) return out;
  for (int d = 0; d < 2; ++d) {
    for (const Span& s : sets->domain[d]) {
      const uint8_t version = d == 0 ? 4 : 6;
      out.ranges.push_back({FromValue(s.first, version), FromValue(s.last, version)});
    }
  }
  if (out.ranges.empty()) {
    return Fail(Errc::kInvalidArgument, "{}: no address is left; the negation takes all away", text);
  }
  return out;
}

Result<PortSet> ParsePortSet(std::string_view text, const RuleVariables& variables) {
  const auto sets = Evaluator(variables, true).Evaluate(text, 0);
  if (!sets) return std::unexpected(sets.error());
  PortSet out;
  out.any = Same(sets->domain[0], Everything(true).domain[0]);
  if (out.any) return out;
  for (const Span& s : sets->domain[0]) {
    out.ranges.emplace_back(static_cast<uint16_t>(s.first), static_cast<uint16_t>(s.last));
  }
  if (out.ranges.empty()) {
    return Fail(Errc::kInvalidArgument, "{}: no port is left; the negation takes all away", text);
  }
  return out;
}

}  // namespace sluice
