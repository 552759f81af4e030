// dataset and datarep: the sticky buffer is looked up in a named set.
#include <algorithm>

#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

template <typename T, size_t N>
const T* Find(const std::pair<std::string_view, T> (&table)[N], std::string_view word) {
  const auto it = std::ranges::find(table, word, [](const auto& row) { return row.first; });
  return it == std::end(table) ? nullptr : &it->second;
}

// "1mb", "64kb", "4096"
std::optional<uint64_t> Size(std::string_view text) {
  const std::string lower = Lower(text);
  const size_t digits = std::min(lower.find_first_not_of("0123456789"), lower.size());
  const auto number = ParseNumber<uint32_t>(std::string_view(lower).substr(0, digits));
  const std::string_view unit = Trim(std::string_view(lower).substr(digits));
  static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1}, {"b", 1}, {"kb", 1u << 10}, {"mb", 1u << 20}, {"gb", 1u << 30}};
  const uint64_t* scale = Find(kUnits, unit);
  if (!number || scale == nullptr) return std::nullopt;
  return *number * *scale;
}

// One option behind the name: "type string", "load file", "remove_key" ...
KeywordResult Option(std::string_view text, DatasetTest* test) {
  using Spec = DatasetSpec;
  static constexpr std::pair<std::string_view, Spec::Type> kTypes[] = {
      {"string", Spec::Type::kString}, {"md5", Spec::Type::kMd5},
      {"sha256", Spec::Type::kSha256}, {"ipv4", Spec::Type::kIpv4}, {"ip", Spec::Type::kIp}};
  static constexpr std::pair<std::string_view, Spec::Format> kFormats[] = {
      {"csv", Spec::Format::kLines}, {"json", Spec::Format::kJson},
      {"ndjson", Spec::Format::kJsonLines}, {"jsonline", Spec::Format::kJsonLines}};
  static constexpr std::pair<std::string_view, std::string Spec::*> kTexts[] = {
      {"load", &Spec::load}, {"save", &Spec::save}, {"state", &Spec::state},
      {"context_key", &Spec::context_key}, {"value_key", &Spec::value_key},
      {"array_key", &Spec::array_key}, {"enrichment_key", &Spec::context_key}};
  Spec& spec = test->set;
  const size_t blank = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, blank), value = Trim(text.substr(blank));
  if (const auto* member = Find(kTexts, word); member != nullptr && !value.empty()) {
    spec.*(*member) = value;
    return {};
  }
  if (word == "type") {
    const auto* type = Find(kTypes, value);
    if (type == nullptr) return Bad(fmt::format("type {} is not string, md5, sha256, ipv4 or ip", value));
    spec.type = *type;
    spec.has_type = true;
    return {};
  }
  if (word == "format") {
    const auto* format = Find(kFormats, value);
    if (format == nullptr) return Bad(fmt::format("format {} is not csv, json or ndjson", value));
    spec.format = *format;
    return {};
  }
  if (word == "memcap" || word == "hashsize") {
    const auto size = Size(value);
    if (!size || *size == 0) return Bad(fmt::format("{} \"{}\" is not a size", word, value));
    if (word == "memcap") spec.memcap = *size;
    else spec.hash_size = static_cast<uint32_t>(std::min<uint64_t>(*size, 1u << 24));
    return {};
  }
  if (text == "match subdomain") return test->subdomain = true, KeywordResult{};
  if (text == "match exact") return {};
  if (text == "remove_key") return spec.remove_key = true, KeywordResult{};
  return Bad(fmt::format("\"{}\" is not an option of a dataset", text));
}

KeywordResult Finish(RuleContext& c, const std::vector<std::string_view>& parts, size_t from,
                     DatasetTest test) {
  if (c.current < 0) return Bad("it looks a sticky buffer up; put it behind one");
  const DatasetSpec& spec = test.set;
  if (spec.name.empty() || spec.name.size() > 64 || spec.name.find_first_of(" /") != spec.name.npos) {
    return Bad("a dataset's name has 1 to 64 characters, no blank and no slash");
  }
  for (size_t i = from; i < parts.size(); ++i) {
    if (auto ok = Option(parts[i], &test); !ok) return ok;
  }
  if (!spec.state.empty() && (!spec.load.empty() || !spec.save.empty())) {
    return Bad("state means load and save of one file; give it alone");
  }
  if (spec.format != DatasetSpec::Format::kLines && (spec.value_key.empty() || spec.load.empty())) {
    return Bad("a JSON dataset needs load and value_key");
  }
  c.At(c.current).tests.push_back(std::move(test));
  return {};
}

KeywordResult DatasetKeyword(RuleContext& c, std::string_view value, std::string_view) {
  using Op = DatasetTest::Op;
  static constexpr std::pair<std::string_view, Op> kOps[] = {
      {"isset", Op::kIsSet}, {"isnotset", Op::kIsNotSet}, {"set", Op::kSet}, {"unset", Op::kUnset}};
  const auto parts = Split(value, ',');
  if (parts.size() < 2) return Bad("write dataset:isset,name,type string,load file");
  const Op* op = Find(kOps, parts[0]);
  if (op == nullptr) return Bad(fmt::format("\"{}\" is not isset, isnotset, set or unset", parts[0]));
  DatasetTest test;
  test.op = *op;
  test.set.name = parts[1];
  return Finish(c, parts, 2, std::move(test));
}

KeywordResult DatarepKeyword(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  if (parts.size() < 3) return Bad("write datarep:name,>,100,type string,load file");
  const auto reputation = ParseUintTest(std::string(parts[1]) + std::string(parts[2]));
  if (!reputation) return std::unexpected(reputation.error());
  DatasetTest test;
  test.op = DatasetTest::Op::kReputation;
  test.set.name = parts[0];
  test.reputation = *reputation;
  return Finish(c, parts, 3, std::move(test));
}

}  // namespace

const KeywordEntry kDatasetKeywords[] = {
    {"dataset", DatasetKeyword, "looks the sticky buffer up in a named set, or puts it there"},
    {"datarep", DatarepKeyword, "compares the reputation that a named set gives the sticky buffer"},
    {nullptr, nullptr, nullptr},
};

}  // namespace sluice
