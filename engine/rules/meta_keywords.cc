// Keywords that describe a rule or what it does, and those known but not built.
#include <algorithm>

#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

KeywordResult Msg(RuleContext& c, std::string_view value, std::string_view) {
  value = Trim(value);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  std::string text;
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '\\' && i + 1 < value.size() &&
        std::string_view("\\\";:").find(value[i + 1]) != std::string_view::npos) {
      ++i;
    }
    text += value[i];
  }
  c.rule.message = std::move(text);
  return {};
}

template <uint32_t Rule::*member>
KeywordResult Id(RuleContext& c, std::string_view value, std::string_view name) {
  const auto number = ParseNumber<uint32_t>(value);
  if (!number || (*number == 0 && name == "sid")) {
    return Bad(fmt::format("\"{}\" is not a number from 1 to 4294967295", value));
  }
  if (name == "sid" && c.rule.sid != 0) return Bad("sid is given twice");
  c.rule.*member = *number;
  return {};
}

KeywordResult ClassType(RuleContext& c, std::string_view value, std::string_view) {
  const std::string name = Lower(Trim(value));
  const auto it = c.options.classes.find(name);
  c.rule.classtype = name;
  if (it == c.options.classes.end()) {
    c.Warn(fmt::format("classtype: {} is not in classification.config; the rule has priority 3", name));
    return {};
  }
  c.rule.classification = it->second.text;
  if (c.rule.priority == 0) c.rule.priority = it->second.priority;
  return {};
}

KeywordResult Priority(RuleContext& c, std::string_view value, std::string_view) {
  const auto number = ParseNumber<uint8_t>(value);
  if (!number || *number == 0) return Bad(fmt::format("\"{}\" is not a number from 1 to 255", value));
  c.rule.priority = *number;
  return {};
}

KeywordResult ReferenceKeyword(RuleContext& c, std::string_view value, std::string_view) {
  const size_t comma = value.find(',');
  if (comma == value.npos) return Bad("write reference:system,id");
  const std::string system = Lower(Trim(value.substr(0, comma)));
  const auto it = c.options.references.find(system);
  c.rule.references.push_back({it == c.options.references.end() ? system + " " : it->second,
                               std::string(Trim(value.substr(comma + 1)))});
  return {};
}

KeywordResult Metadata(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  c.rule.metadata.reserve(c.rule.metadata.size() + parts.size());
  for (const std::string_view part : parts) {
    const size_t blank = part.find_first_of(" \t");
    if (part.empty()) continue;
    if (blank == part.npos) {
      c.rule.metadata.emplace_back(part, "");
    } else {
      c.rule.metadata.emplace_back(part.substr(0, blank), Trim(part.substr(blank)));
    }
  }
  return {};
}

KeywordResult TargetKeyword(RuleContext& c, std::string_view value, std::string_view) {
  value = Trim(value);
  if (value == "src_ip") c.rule.target = Rule::Target::kSource;
  else if (value == "dest_ip") c.rule.target = Rule::Target::kDestination;
  else return Bad("target is src_ip or dest_ip");
  return {};
}

// "session", "session,5,packets", "host,30,seconds,src"
KeywordResult TagKeyword(RuleContext& c, std::string_view value, std::string_view) {
  static constexpr std::pair<std::string_view, Tag::Unit> kUnits[] = {
      {"packets", Tag::Unit::kPackets}, {"bytes", Tag::Unit::kBytes}, {"seconds", Tag::Unit::kSeconds}};
  const auto parts = Split(value, ',');
  const bool host = parts[0] == "host";
  if ((!host && parts[0] != "session") || parts.size() > (host ? 4u : 3u)) {
    return Bad("write tag:session or tag:host, then a count, its unit, and of a host src or dst");
  }
  Tag tag;
  if (host) tag.of = Tag::Of::kSource;
  if (parts.size() > 1) {
    const auto count = ParseNumber<uint32_t>(parts[1]);
    if (!count || *count == 0) return Bad(fmt::format("\"{}\" is not a count from 1 to 4294967295", parts[1]));
    tag.count = *count;
  }
  if (parts.size() > 2) {
    const auto unit = std::ranges::find(kUnits, parts[2], [](const auto& u) { return u.first; });
    if (unit == std::end(kUnits)) return Bad(fmt::format("unit \"{}\" is not packets, bytes or seconds", parts[2]));
    tag.unit = unit->second;
  }
  if (parts.size() > 3) {
    if (parts[3] != "src" && parts[3] != "dst") return Bad(fmt::format("side \"{}\" is not src or dst", parts[3]));
    if (parts[3] == "dst") tag.of = Tag::Of::kDestination;
  }
  c.rule.tags.push_back(tag);
  return {};
}

// "logging disable, type tx, scope flow"
KeywordResult ConfigKeyword(RuleContext& c, std::string_view value, std::string_view) {
  LogChange change;
  bool logging = false, type = false, scope = false;
  for (const std::string_view part : Split(value, ',')) {
    const auto words = SplitWords(part);
    const std::string_view word = words.size() == 2 ? words[0] : "", what = words.size() == 2 ? words[1] : "";
    if (word == "logging" && what == "disable") {
      logging = true;
    } else if (word == "type" && (what == "tx" || what == "flow")) {
      type = true;
      if (what == "flow") change.type = LogChange::Type::kFlow;
    } else if (word == "scope" && (what == "tx" || what == "flow")) {
      scope = true;
      if (what == "flow") change.scope = LogChange::Scope::kFlow;
    } else {
      return Bad(fmt::format("\"{}\": logging disable, type tx or flow, scope tx or flow are known", part));
    }
  }
  if (!logging || !type || !scope) return Bad("write config:logging disable, type tx, scope tx");
  if (change.type == LogChange::Type::kFlow && change.scope != LogChange::Scope::kFlow) {
    return Bad("a flow's record is of the flow; write scope flow");
  }
  c.rule.log_change = change;
  return {};
}
KeywordResult NoAlert(RuleContext& c, std::string_view, std::string_view) { c.rule.no_alert = true; return {}; }
KeywordResult AlwaysAlert(RuleContext& c, std::string_view, std::string_view) { c.rule.always_alert = true; return {}; }
// Already asked before the other options were read: see Requirements in parser.cc.
KeywordResult Requires(RuleContext&, std::string_view, std::string_view) { return {}; }
KeywordResult BypassKeyword(RuleContext& c, std::string_view, std::string_view) { c.rule.bypass = true; return {}; }
KeywordResult PrefilterKeyword(RuleContext& c, std::string_view, std::string_view) { c.rule.prefilter = true; return {}; }

// "10m", "1h", "30s"
std::optional<Nanos> ParseDuration(std::string_view text) {
  text = Trim(text);
  if (text.empty()) return std::nullopt;
  const char unit = text.back();
  const int64_t scale = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
  const auto number = ParseNumber<uint32_t>(scale ? text.substr(0, text.size() - 1) : text);
  if (!number) return std::nullopt;
  return std::chrono::seconds{int64_t{*number} * (scale ? scale : 1)};
}

KeywordResult DropScopeKeyword(RuleContext& c, std::string_view value, std::string_view name) {
  if (c.rule.action < Action::kDrop) {
    return Bad("only drop and reject rules put a host into the drop map");
  }
  const auto ttl = Trim(value).empty() ? std::optional<Nanos>(Nanos{}) : ParseDuration(value);
  if (!ttl) return Bad(fmt::format("\"{}\" is not a duration; write 30s, 10m or 1h", value));
  c.rule.scope.kind = name == "drop_source" ? VerdictScope::Kind::kSource : VerdictScope::Kind::kDestination;
  c.rule.scope.ttl = *ttl;
  return {};
}

}  // namespace

const KeywordEntry kMetaKeywords[] = {
    {"msg", Msg, "the message of the alert"},
    {"sid", Id<&Rule::sid>, "the rule's stable number"},
    {"rev", Id<&Rule::rev>, "its revision"},
    {"gid", Id<&Rule::gid>, "its generator, 1 unless given"},
    {"classtype", ClassType, "its class, from classification.config"},
    {"priority", Priority, "1 is the most urgent"},
    {"reference", ReferenceKeyword, "where to read more"},
    {"metadata", Metadata, "pairs for the log"},
    {"target", TargetKeyword, "which side is attacked: src_ip or dest_ip"},
    {"tag", TagKeyword, "packets behind the alert, of its flow or a host, are logged too"},
    {"config", ConfigKeyword, "of rules with the action config: what is not logged"},
    {"noalert", NoAlert, "acts, but writes no alert"},
    {"alert", AlwaysAlert, "writes an alert although the action is pass"},
    {"requires", Requires, "version, features and keywords without which the rule is skipped"},
    {"bypass", BypassKeyword, "nothing more of the flow is inspected"},
    {"prefilter", PrefilterKeyword, "asks for this rule to be prefiltered"},
    {"drop_source", DropScopeKeyword, "drops everything of the source for so long"},
    {"drop_destination", DropScopeKeyword, "drops everything to the destination for so long"},
    {nullptr, nullptr, nullptr},
};

// Words of the dialect whose meaning is not built yet: an error that says so.
const KeywordEntry kUnsupportedKeywords[] = {
    {"lua", nullptr, ""}, {"luajit", nullptr, ""}, {"luaxform", nullptr, ""},
    {"replace", nullptr, ""}, {"nfq_set_mark", nullptr, ""},
    {"rate_filter", nullptr, ""},
    {nullptr, nullptr, nullptr},
};

}  // namespace sluice
