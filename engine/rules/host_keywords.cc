// Keywords on what is known of a packet's hosts from elsewhere: iprep, geoip.
#include <algorithm>

#include "engine/base/suggest.h"
#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

std::optional<HostSide> SideNamed(std::string_view word) {
  static constexpr std::pair<std::string_view, HostSide> kSides[] = {
      {"any", HostSide::kAny}, {"src", HostSide::kSource}, {"dst", HostSide::kDestination}, {"both", HostSide::kBoth}};
  const auto it = std::ranges::find(kSides, word, [](const auto& s) { return s.first; });
  return it == std::end(kSides) ? std::nullopt : std::optional(it->second);
}

KeywordResult UnknownCategory(const RuleContext& c, std::string_view name) {
  const auto& known = c.options.reputation_categories;
  if (known.empty()) return Bad("no categories are known; name their file in rules.reputation-categories");
  std::vector<std::string> names;
  for (const auto& [short_name, id] : known) names.push_back(short_name);
  const std::string close = Suggest(name, names);
  return Bad(fmt::format("\"{}\" is no category of rules.reputation-categories{}", name,
                         close.empty() ? "" : fmt::format("; did you mean {}?", close)));
}

// "src,CnC,>,30", "any,CnC,isset"
KeywordResult IpReputation(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  const bool presence = parts.size() == 3 && (parts[2] == "isset" || parts[2] == "isnotset");
  if (!presence && parts.size() != 4) return Bad("write iprep:src,CATEGORY,>,30 or iprep:src,CATEGORY,isset");
  const auto side = SideNamed(parts[0]);
  if (!side) return Bad(fmt::format("\"{}\" is not any, src, dst or both", parts[0]));
  ReputationTest test{.side = *side, .category = std::string(parts[1])};
  const auto category = c.options.reputation_categories.find(parts[1]);
  if (category == c.options.reputation_categories.end()) return UnknownCategory(c, parts[1]);
  test.category_id = category->second;
  if (presence) {
    test.absent = parts[2] == "isnotset";
  } else {
    static constexpr std::string_view kOps[] = {"<", ">", "=", "<=", ">="};
    if (std::ranges::find(kOps, parts[2]) == std::end(kOps)) {
      return Bad(fmt::format("operator \"{}\" is not known; < > = <= >= are", parts[2]));
    }
    const auto number = ParseNumber<uint8_t>(parts[3]);
    if (!number || *number > 127) return Bad(fmt::format("\"{}\" is not a reputation from 0 to 127", parts[3]));
    test.test = ParseUintTest(fmt::format("{}{}", parts[2], *number)).value();
  }
  c.rule.packet_tests.emplace_back(std::move(test));
  return {};
}

// "US", "src,US,GB", "both,!US"
KeywordResult Country(RuleContext& c, std::string_view value, std::string_view) {
  constexpr size_t kMost = 64;
  std::vector<std::string_view> parts = Split(value, ',');
  CountryTest test;
  if (const auto side = SideNamed(parts[0])) {
    test.side = *side;
    parts.erase(parts.begin());
  }
  if (parts.empty() || parts.size() > kMost) return Bad(fmt::format("name 1 to {} countries: geoip:src,US,GB", kMost));
  for (std::string_view part : parts) {
    if (part.starts_with('!')) {
      test.negated = true;
      part = Trim(part.substr(1));
    }
    const auto letter = [](char ch) { return ch >= 'A' && ch <= 'Z'; };
    if (part.size() != 2 || !std::ranges::all_of(part, letter)) {
      return Bad(fmt::format("\"{}\" is no country; write two capital letters as ISO 3166 has them", part));
    }
    test.countries.emplace_back(part);
  }
  c.rule.packet_tests.emplace_back(std::move(test));
  return {};
}

}  // namespace

const KeywordEntry kHostKeywords[] = {
    {"iprep", IpReputation, "what a reputation file says of a host: any|src|dst|both, category, a number test, isset or isnotset"},
    {"geoip", Country, "countries of the hosts: [any|src|dst|both,] US, GB or !US"},
    {nullptr, nullptr, nullptr},
};

}  // namespace sluice
