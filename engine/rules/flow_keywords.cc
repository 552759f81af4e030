// Keywords on the flow, on what rules remember, and on rates.
#include <algorithm>

#include "engine/rules/context.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

KeywordResult FlowKeyword(RuleContext& c, std::string_view value, std::string_view) {
  if (c.flow_seen) return Bad("flow is given twice; put all its words into one");
  c.flow_seen = true;
  FlowTest test;
  for (const std::string_view word : Split(value, ',')) {
    const std::string w = Lower(word);
    if (w == "to_server" || w == "from_client") test.to_server = true;
    else if (w == "to_client" || w == "from_server") test.to_client = true;
    else if (w == "established") test.established = true;
    else if (w == "not_established") test.not_established = true;
    else if (w == "stateless") test.stateless = true;
    else if (w == "only_stream") test.only_stream = true;
    else if (w == "no_stream") test.no_stream = true;
    else if (w == "only_frag") test.only_frag = true;
    else if (w == "no_frag") test.no_frag = true;
    else return Bad(fmt::format("\"{}\" is not a word of flow; established, to_server, to_client, stateless ... are", word));
  }
  if (test.to_server && test.to_client) return Bad("to_server and to_client exclude each other");
  if (test.established + test.not_established + test.stateless > 1) {
    return Bad("established, not_established and stateless exclude each other");
  }
  if (test.only_stream && test.no_stream) return Bad("only_stream and no_stream exclude each other");
  if (test.only_frag && test.no_frag) return Bad("only_frag and no_frag exclude each other");
  c.rule.flow_conditions.push_back(test);
  return {};
}

KeywordResult Flowbits(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  using Op = FlowbitTest::Op;
  if (parts[0] == "noalert" && parts.size() == 1) {
    c.rule.no_alert = true;
    return {};
  }
  if (parts.size() != 2 || parts[1].empty()) return Bad("write flowbits:set,name");
  FlowbitTest test;
  if (parts[0] == "set") test.op = Op::kSet;
  else if (parts[0] == "unset") test.op = Op::kUnset;
  else if (parts[0] == "isset") test.op = Op::kIsSet;
  else if (parts[0] == "isnotset") test.op = Op::kIsNotSet;
  else if (parts[0] == "toggle") test.op = Op::kToggle;
  else return Bad(fmt::format("\"{}\" is not set, unset, isset, isnotset, toggle or noalert", parts[0]));
  for (const std::string_view name : Split(parts[1], '|')) {
    if (name.empty() || name.find(' ') != name.npos) return Bad("a flowbit's name is empty or has a blank");
    test.bits.push_back(c.Intern(RuleNames::kFlowbits, name));
  }
  c.rule.flow_conditions.push_back(std::move(test));
  return {};
}

KeywordResult Flowint(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  using Op = FlowintTest::Op;
  if (parts.size() < 2 || parts.size() > 3) return Bad("write flowint:name,operator[,value]");
  static constexpr std::pair<std::string_view, Op> kOps[] = {
      {"=", Op::kSet}, {"+", Op::kAdd}, {"-", Op::kSubtract}, {"<", Op::kLess},
      {"<=", Op::kLessEqual}, {"==", Op::kEqual}, {"!=", Op::kNotEqual},
      {">=", Op::kGreaterEqual}, {">", Op::kGreater}, {"isset", Op::kIsSet},
      {"isnotset", Op::kIsNotSet}, {"notset", Op::kIsNotSet}};
  const auto it = std::ranges::find(kOps, parts[1], [](const auto& op) { return op.first; });
  if (it == std::end(kOps)) return Bad(fmt::format("operator \"{}\" is not known", parts[1]));
  FlowintTest test;
  test.op = it->second;
  test.variable = c.Intern(RuleNames::kFlowints, parts[0]);
  const bool needs_value = test.op != Op::kIsSet && test.op != Op::kIsNotSet;
  if (needs_value != (parts.size() == 3)) return Bad("isset and notset take no value, the others one");
  if (needs_value) {
    if (const auto number = ParseNumber<uint32_t>(parts[2])) {
      test.value = *number;
    } else {
      test.other = static_cast<int32_t>(c.Intern(RuleNames::kFlowints, parts[2]));
    }
  }
  c.rule.flow_conditions.push_back(test);
  return {};
}

KeywordResult Xbits(RuleContext& c, std::string_view value, std::string_view name) {
  const auto parts = Split(value, ',');
  using Op = FlowbitTest::Op;
  if (parts.size() == 1 && parts[0] == "noalert") {
    c.rule.no_alert = true;
    return {};
  }
  if (parts.size() < 2) return Bad(fmt::format("write {}:set,name,track ip_src", name));
  XbitTest test;
  if (parts[0] == "set") test.op = Op::kSet;
  else if (parts[0] == "unset") test.op = Op::kUnset;
  else if (parts[0] == "isset") test.op = Op::kIsSet;
  else if (parts[0] == "isnotset") test.op = Op::kIsNotSet;
  else if (parts[0] == "toggle") test.op = Op::kToggle;
  else return Bad(fmt::format("\"{}\" is not set, unset, isset, isnotset or toggle", parts[0]));
  test.name = c.Intern(RuleNames::kXbits, parts[1]);
  bool track = false;
  for (size_t i = 2; i < parts.size(); ++i) {
    const auto words = SplitWords(parts[i]);
    const std::string_view side = words.size() == 2 && words[0] == "track" ? words[1] : parts[i];
    // hostbits:set,name,src,60 gives the expiry without its word.
    const uint32_t bare = name == "hostbits" && i > 2 ? ParseNumber<uint32_t>(parts[i]).value_or(0) : 0;
    if (side == "ip_src" || side == "src") test.track = XbitTest::Track::kSource, track = true;
    else if (side == "ip_dst" || side == "dst") test.track = XbitTest::Track::kDestination, track = true;
    else if (side == "ip_pair" || side == "both") test.track = XbitTest::Track::kPair, track = true;
    else if (side == "tx" && name == "xbits") test.track = XbitTest::Track::kTransaction, track = true;
    else if (words.size() == 2 && words[0] == "expire" && ParseNumber<uint32_t>(words[1]).value_or(0) > 0) test.expire_seconds = *ParseNumber<uint32_t>(words[1]);
    else if (bare > 0) test.expire_seconds = bare;
    else return Bad(fmt::format("\"{}\": track ip_src, ip_dst, ip_pair or tx, and expire seconds are known", parts[i]));
  }
  if (name == "xbits" && !track) return Bad("xbits needs track ip_src, ip_dst, ip_pair or tx");
  c.rule.flow_conditions.push_back(test);
  return {};
}

KeywordResult StreamSize(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  if (parts.size() != 3) return Bad("write stream_size:server,<,100");
  StreamSizeTest test;
  if (parts[0] == "server") test.side = StreamSizeTest::Side::kServer;
  else if (parts[0] == "client") test.side = StreamSizeTest::Side::kClient;
  else if (parts[0] == "both") test.side = StreamSizeTest::Side::kBoth;
  else if (parts[0] == "either") test.side = StreamSizeTest::Side::kEither;
  else return Bad(fmt::format("\"{}\" is not server, client, both or either", parts[0]));
  const auto number = ParseUintTest(std::string(parts[1]) + std::string(parts[2]));
  if (!number) return std::unexpected(number.error());
  test.test = *number;
  c.rule.flow_conditions.push_back(test);
  return {};
}

template <FlowField field>
KeywordResult FlowNumber(RuleContext& c, std::string_view value, std::string_view) {
  const auto test = ParseUintTest(value);
  if (!test) return std::unexpected(test.error());
  c.rule.flow_conditions.push_back(FlowNumberTest{field, *test});
  return {};
}

// "flow.pkts:toserver,>10"; both is the sum of both directions.
KeywordResult FlowDirectionNumber(RuleContext& c, std::string_view value, std::string_view name) {
  const size_t comma = std::min(value.find(','), value.size());
  const std::string side = Lower(Trim(value.substr(0, comma)));
  const bool pkts = name == "flow.pkts";
  FlowNumberTest test;
  if (side == "toserver") test.field = pkts ? FlowField::kPktsToServer : FlowField::kBytesToServer;
  else if (side == "toclient") test.field = pkts ? FlowField::kPktsToClient : FlowField::kBytesToClient;
  else if (side == "both") test.field = pkts ? FlowField::kPkts : FlowField::kBytes;
  else if (side == "either") test.field = pkts ? FlowField::kPktsEither : FlowField::kBytesEither;
  else return Bad(fmt::format("\"{}\" is not toserver, toclient, both or either; write {}:toserver,>10", side, name));
  const auto number = ParseUintTest(comma == value.size() ? "" : value.substr(comma + 1));
  if (!number) return std::unexpected(number.error());
  test.test = *number;
  c.rule.flow_conditions.push_back(test);
  return {};
}

KeywordResult Elephant(RuleContext& c, std::string_view value, std::string_view) {
  using Side = ElephantTest::Side;
  static constexpr std::pair<std::string_view, Side> kSides[] = {
      {"toserver", Side::kToServer}, {"toclient", Side::kToClient}, {"either", Side::kEither}, {"both", Side::kBoth}};
  const std::string side = Lower(Trim(value));
  const auto it = std::ranges::find(kSides, side, [](const auto& s) { return s.first; });
  if (it == std::end(kSides)) return Bad(fmt::format("\"{}\" is not toserver, toclient, either or both", side));
  c.rule.flow_conditions.push_back(ElephantTest{it->second});
  return {};
}

KeywordResult AppProtocol(RuleContext& c, std::string_view value, std::string_view) {
  const auto parts = Split(value, ',');
  AppProtocolTest test;
  std::string_view name = parts[0];
  test.negated = name.starts_with('!');
  if (test.negated) name = Trim(name.substr(1));
  test.protocol = Lower(name);
  if (test.protocol != "failed" && test.protocol != "unknown" && !c.keywords.HasProtocol(test.protocol)) {
    c.inactive = fmt::format("no dissector named {} is loaded", name);
  }
  if (parts.size() > 1) {
    using Side = AppProtocolTest::Side;
    static constexpr std::pair<std::string_view, Side> kSides[] = {
        {"either", Side::kEither}, {"to_server", Side::kToServer}, {"toserver", Side::kToServer},
        {"to_client", Side::kToClient}, {"toclient", Side::kToClient}, {"final", Side::kFinal},
        {"original", Side::kOriginal}, {"both", Side::kBoth}};
    const auto it = std::ranges::find(kSides, parts[1], [](const auto& s) { return s.first; });
    if (it == std::end(kSides)) return Bad(fmt::format("\"{}\" is not a side", parts[1]));
    test.side = it->second;
  }
  c.rule.flow_conditions.push_back(std::move(test));
  return {};
}

// "client_hello_done", "<client_hello_done": names stand for the stages' numbers.
KeywordResult AppState(RuleContext& c, std::string_view value, std::string_view) {
  const std::string& app = c.rule.header.app_protocol;
  if (app.empty()) return Bad("the rule's header names no dissector whose stages it means");
  value = Trim(value);
  const size_t letter = std::min(value.find_first_not_of("!<>=0123456789 "), value.size());
  std::string text(value);
  if (letter < value.size()) {
    const auto stage = c.keywords.FindStage(app, value.substr(letter));
    if (!stage) return Bad(fmt::format("{} has no stage \"{}\"", app, value.substr(letter)));
    text = fmt::format("{}{}", value.substr(0, letter), stage->stage);
  }
  const auto test = ParseUintTest(text);
  if (!test) return std::unexpected(test.error());
  c.rule.flow_conditions.push_back(AppStateTest{*test});
  return {};
}

// An event of no dissector: about how the protocol was found.
KeywordResult RecognitionEventKeyword(RuleContext& c, const std::string& event) {
  if (c.keywords.HasEvent("", event)) {
    c.rule.flow_conditions.push_back(AppEventTest{"", event});
    return {};
  }
  if (!event.starts_with("applayer_")) return Bad("write app-layer-event:protocol.event");
  c.inactive = fmt::format("nothing here raises {}", event);
  return {};
}

KeywordResult AppEvent(RuleContext& c, std::string_view value, std::string_view) {
  value = Trim(value);
  const size_t dot = value.find('.');
  if (dot == value.npos) return RecognitionEventKeyword(c, Lower(value));
  const std::string protocol = Lower(value.substr(0, dot)), event = Lower(value.substr(dot + 1));
  if (!c.keywords.HasEvent(protocol, event)) {
    return Bad(fmt::format("dissector {} has no event {}", protocol, event));
  }
  c.rule.flow_conditions.push_back(AppEventTest{protocol, event});
  return {};
}

// Ports are counted of what has some.
KeywordResult ParseUnique(const RuleContext& c, std::string_view what, Threshold* out) {
  using Unique = Threshold::Unique;
  if (what != "src_port" && what != "dst_port") return Bad(fmt::format("unique_on {} is not src_port or dst_port", what));
  constexpr uint8_t kWithPorts[] = {6, 17, 132};
  const RuleHeader& h = c.rule.header;
  const auto has_ports = [&](uint8_t p) { return std::ranges::find(kWithPorts, p) != std::end(kWithPorts); };
  if (h.app_protocol.empty() && (h.any_ip_protocol || !std::ranges::all_of(h.ip_protocols, has_ports))) {
    return Bad(fmt::format("unique_on counts ports; {} has none", h.protocol_text));
  }
  out->unique = what == "src_port" ? Unique::kSourcePort : Unique::kDestinationPort;
  return {};
}

// "type limit, track by_src, count 1, seconds 60"
KeywordResult ThresholdKeyword(RuleContext& c, std::string_view value, std::string_view name) {
  const bool filter = name == "detection_filter";
  Threshold out;
  using Type = Threshold::Type;
  using Track = Threshold::Track;
  bool type = filter, track = false, count = false, seconds = false;
  if (filter) out.type = Type::kDetectionFilter;
  bool ignore_rest = false;
  for (const std::string_view part : Split(value, ',')) {
    if (ignore_rest) break;
    const auto words = SplitWords(part);
    if (words.size() < 2) return Bad(fmt::format("\"{}\": write name value", part));
    if (words.size() > 2) {
      ignore_rest = true;  // as Suricata does; published rules rely on it
      c.Warn(fmt::format("{}: what follows \"{} {}\" is ignored; is a semicolon missing?", name, words[0], words[1]));
    }
    const std::string_view word = words[0], arg = words[1];
    const auto number = ParseNumber<uint32_t>(arg);
    if (word == "type" && !filter) {
      type = true;
      if (arg == "limit") out.type = Type::kLimit;
      else if (arg == "threshold") out.type = Type::kThreshold;
      else if (arg == "both") out.type = Type::kBoth;
      else if (arg == "backoff") out.type = Type::kBackoff;
      else return Bad(fmt::format("type {} is not limit, threshold, both or backoff", arg));
    } else if (word == "track") {
      track = true;
      if (arg == "by_src") out.track = Track::kBySource;
      else if (arg == "by_dst") out.track = Track::kByDestination;
      else if (arg == "by_both") out.track = Track::kByBoth;
      else if (arg == "by_rule") out.track = Track::kByRule;
      else if (arg == "by_flow") out.track = Track::kByFlow;
      else return Bad(fmt::format("track {} is not by_src, by_dst, by_both, by_rule or by_flow", arg));
    } else if (word == "count" && number && *number > 0) {
      out.count = *number, count = true;
    } else if (word == "seconds" && number && *number > 0) {
      out.seconds = *number, seconds = true;
    } else if (word == "unique_on" && filter) {
      if (auto ok = ParseUnique(c, arg, &out); !ok) return ok;
    } else if (word == "multiplier" && number && *number > 0) {
      out.multiplier = *number, seconds = true;
    } else {
      return Bad(fmt::format("\"{}\" is not an option of {}", part, name));
    }
  }
  if (!type || !track || !count || !seconds) {
    return Bad(fmt::format("{} needs {}track, count and seconds", name, filter ? "" : "type, "));
  }
  auto& slot = filter ? c.rule.detection_filter : c.rule.threshold;
  if (filter ? c.rule.threshold || c.rule.detection_filter : c.rule.detection_filter.has_value()) {
    return Bad("a rule has one threshold or detection_filter");
  }
  if (slot) c.Warn("threshold is given twice; the last one holds");
  slot = out;
  return {};
}

}  // namespace

const KeywordEntry kFlowKeywords[] = {
    {"flow", FlowKeyword, "direction and state of the flow"},
    {"flowbits", Flowbits, "bits that rules keep in a flow"},
    {"flowint", Flowint, "numbers that rules keep in a flow"},
    {"xbits", Xbits, "bits that rules keep for a host or pair"},
    {"hostbits", Xbits, "bits that rules keep for a host"},
    {"stream_size", StreamSize, "bytes of a TCP stream so far"},
    {"flow.age", FlowNumber<FlowField::kAge>, "age of the flow in seconds"},
    {"flow.pkts_toserver", FlowNumber<FlowField::kPktsToServer>, "packets to the server"},
    {"flow.pkts_toclient", FlowNumber<FlowField::kPktsToClient>, "packets to the client"},
    {"flow.bytes_toserver", FlowNumber<FlowField::kBytesToServer>, "bytes to the server"},
    {"flow.bytes_toclient", FlowNumber<FlowField::kBytesToClient>, "bytes to the client"},
    {"flow.pkts", FlowDirectionNumber, "packets of a direction, or of both together"},
    {"flow.bytes", FlowDirectionNumber, "bytes of a direction, or of both together"},
    {"flow.elephant", Elephant, "a direction has been past flow.elephant-bytes"},
    {"app-layer-protocol", AppProtocol, "the protocol that was recognised"},
    {"app-layer-state", AppState, "how far the transaction has come"},
    {"app-layer-event", AppEvent, "an anomaly that a dissector reported"},
    {"threshold", ThresholdKeyword, "how often the rule alerts"},
    {"detection_filter", ThresholdKeyword, "how often it must match before it alerts"},
    {nullptr, nullptr, nullptr},
};

}  // namespace sluice
