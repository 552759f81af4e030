// The header of a rule: action, protocol, ends.
#include <algorithm>

#include "engine/rules/context.h"
#include "engine/rules/options.h"

namespace sluice {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Error{Errc::kInvalidArgument, std::move(message)});
}

std::optional<Action> ActionNamed(std::string_view name) {
  static constexpr std::pair<std::string_view, Action> kActions[] = {
      {"alert", Action::kAlert}, {"pass", Action::kPass}, {"config", Action::kConfig},
      {"drop", Action::kDrop}, {"reject", Action::kReject}, {"rejectsrc", Action::kRejectSource},
      {"rejectdst", Action::kRejectDestination}, {"rejectboth", Action::kRejectBoth}};
  const auto it = std::ranges::find(kActions, name, [](const auto& a) { return a.first; });
  return it == std::end(kActions) ? std::nullopt : std::optional(it->second);
}

// A transport, or else the name of a dissector.
void SetProtocol(std::string protocol, RuleHeader* header) {
  using Link = RuleHeader::Link;
  struct Transport {
    std::string_view name;
    std::vector<uint8_t> numbers;
    uint8_t version;
    Link link = Link::kIp;
  };
  static const Transport kTransports[] = {
      {"tcp", {6}, 0}, {"tcp4", {6}, 4}, {"tcp6", {6}, 6}, {"tcp-pkt", {6}, 0},
      {"tcp-stream", {6}, 0}, {"udp", {17}, 0}, {"udp4", {17}, 4}, {"udp6", {17}, 6},
      {"icmp", {1, 58}, 0}, {"icmpv4", {1}, 4}, {"icmpv6", {58}, 6}, {"sctp", {132}, 0},
      {"igmp", {2}, 0}, {"ip", {}, 0}, {"ipv4", {}, 4}, {"ip4", {}, 4}, {"ipv6", {}, 6}, {"ip6", {}, 6},
      {"pkthdr", {}, 0, Link::kAny}, {"ether", {}, 0, Link::kEthernet}, {"arp", {}, 0, Link::kArp}};
  // "tcp:flow_start": where in the way of a packet it is looked at.
  static constexpr std::string_view kHooks[] = {"all", "pre_flow", "pre_stream", "flow_start"};
  const size_t colon = std::min(protocol.find(':'), protocol.size());
  const auto hook = std::ranges::find(kHooks, std::string_view(protocol).substr(std::min(colon + 1, protocol.size())));
  const bool hooked = hook != std::end(kHooks);
  const std::string name = hooked ? protocol.substr(0, colon) : protocol;
  const auto transport = std::ranges::find(kTransports, name, &Transport::name);
  header->any_ip_protocol = true;
  if (transport == std::end(kTransports)) {
    header->app_protocol = protocol;
  } else {
    header->ip_protocols = transport->numbers;
    header->any_ip_protocol = transport->numbers.empty();
    header->ip_version = transport->version;
    header->link = transport->link;
    header->flow_start = hooked && *hook == "flow_start";
    header->packet_only = hooked || protocol == "tcp-pkt";
    header->stream_only = protocol == "tcp-stream";
  }
  header->protocol_text = std::move(protocol);
}

// "tls:client_hello_done": the name of a stage behind that of the dissector.
KeywordResult SetHook(RuleContext& c) {
  RuleHeader& header = c.rule.header;
  const size_t colon = header.app_protocol.find(':');
  if (colon == header.app_protocol.npos) return {};
  const std::string name = header.app_protocol.substr(colon + 1);
  header.app_protocol.resize(colon);
  if (!c.keywords.HasProtocol(header.app_protocol)) return {};  // said later
  const auto stage = c.keywords.FindStage(header.app_protocol, name);
  if (!stage) return Bad(fmt::format("{} has no stage \"{}\"", header.app_protocol, name));
  header.hook = RuleHeader::Hook{stage->direction, stage->stage};
  return {};
}

Result<void> ParseAddresses(const RuleOptions& options, std::string_view text, AddressSet* out) {
  if (const AddressSet* known = options.evaluated->Find(text)) {
    *out = *known;
    return {};
  }
  auto set = ParseAddressSet(text, options.addresses);
  if (!set) return std::unexpected(set.error());
  *out = std::move(*set);
  options.evaluated->Keep(text, *out);
  return {};
}

template <typename T>
Result<void> Assign(Result<T> value, T* out) {
  if (!value) return std::unexpected(value.error());
  *out = std::move(*value);
  return {};
}

}  // namespace

Result<void> ParseHeader(RuleContext& c, std::string_view text) {
  RuleHeader& header = c.rule.header;
  const std::vector<std::string> words = HeaderWords(text);
  if (words.size() != 7) {
    return Bad(fmt::format("the header has {} parts, not 7: action protocol source port -> destination port", words.size()));
  }
  const auto action = ActionNamed(words[0]);
  if (!action) {
    return Bad(fmt::format("action \"{}\" is not alert, pass, config, drop, reject, rejectsrc, rejectdst or rejectboth", words[0]));
  }
  c.rule.action = *action;
  SetProtocol(Lower(words[1]), &header);
  if (auto ok = SetHook(c); !ok) return ok;
  const std::string& arrow = words[4];
  if (arrow != "->" && arrow != "<>" && arrow != "=>") {
    return Bad(fmt::format("direction \"{}\" is not ->, <> or =>", arrow));
  }
  header.bidirectional = arrow == "<>";
  header.transactional = arrow == "=>";
  const RuleVariables& ports = c.options.ports;
  if (auto ok = ParseAddresses(c.options, words[2], &header.source); !ok) return ok;
  if (auto ok = Assign(ParsePortSet(words[3], ports), &header.source_ports); !ok) return ok;
  if (auto ok = ParseAddresses(c.options, words[5], &header.destination); !ok) return ok;
  return Assign(ParsePortSet(words[6], ports), &header.destination_ports);
}

}  // namespace sluice
