#include "engine/config/settings.h"

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdlib>

#include "engine/base/file.h"
#include "engine/base/suggest.h"

namespace sluice {
namespace {

using Apply = std::function<Result<void>(Options&, const std::string&)>;
using Show = std::function<std::string(const Options&)>;

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string ShowSize(uint64_t bytes) {
  static constexpr std::pair<unsigned, const char*> kUnits[] = {{30, "gb"}, {20, "mb"}, {10, "kb"}};
  for (const auto& [shift, unit] : kUnits) {
    if (bytes != 0 && bytes % (uint64_t{1} << shift) == 0) return fmt::format("{}{}", bytes >> shift, unit);
  }
  return fmt::format("{}", bytes);
}
std::string ShowDuration(Nanos duration) {
  static constexpr std::pair<Nanos, const char*> kUnits[] = {
      {std::chrono::hours{24}, "d"}, {std::chrono::hours{1}, "h"}, {std::chrono::minutes{1}, "m"}, {std::chrono::seconds{1}, "s"}};
  for (const auto& [unit, name] : kUnits) {
    if (duration % unit == Nanos{}) return fmt::format("{}{}", duration / unit, name);
  }
  return fmt::format("{}ms", duration / std::chrono::milliseconds{1});
}
template <typename List>
std::string ShowList(const List& list) { return fmt::format("[{}]", fmt::join(list, ", ")); }

// How a setting is read, what it takes, and how its value reads.
struct Kind {
  Apply apply;
  std::string range;
  Show show;
  std::function<void(Options&)> clear = {};
  Result<void> operator()(Options& o, const std::string& v) const { return apply(o, v); }
};

Kind Bool(bool Options::*member) {
  return {[member](Options& o, const std::string& v) -> Result<void> {
            const auto value = ParseBool(v);
            if (!value) return std::unexpected(value.error());
            o.*member = *value;
            return {};
          },
          "true, false", [member](const Options& o) { return std::string(o.*member ? "true" : "false"); }};
}
template <typename T>
Kind Integer(T Options::*member, uint64_t low, uint64_t high) {
  return {[=](Options& o, const std::string& v) -> Result<void> {
            uint64_t value = 0;
            const auto [end, error] = std::from_chars(v.data(), v.data() + v.size(), value);
            if (error != std::errc() || end != v.data() + v.size() || value < low || value > high) {
              return Fail(Errc::kInvalidArgument, "{}: must be a number from {} to {}", v, low, high);
            }
            o.*member = static_cast<T>(value);
            return {};
          },
          fmt::format("{} .. {}", low, high), [member](const Options& o) { return fmt::format("{}", o.*member); }};
}
Kind Size(uint64_t Options::*member) {
  return {[=](Options& o, const std::string& v) -> Result<void> {
            const auto value = ParseSize(v);
            if (!value) return std::unexpected(value.error());
            o.*member = *value;
            return {};
          },
          "size", [member](const Options& o) { return ShowSize(o.*member); }};
}
constexpr Nanos kYear = std::chrono::hours{24 * 365};

Kind Duration(Nanos Options::*member, Nanos low, Nanos high) {
  const std::string range = ShowDuration(low) + " .. " + ShowDuration(high);
  return {[=](Options& o, const std::string& v) -> Result<void> {
            const auto value = ParseDuration(v);
            if (!value) return std::unexpected(value.error());
            if (*value < low || *value > high) {
              return Fail(Errc::kInvalidArgument, "{}: must be a duration, {}", v, range);
            }
            o.*member = *value;
            return {};
          },
          range, [member](const Options& o) { return ShowDuration(o.*member); }};
}
Kind Text(std::string Options::*member) {
  return {[=](Options& o, const std::string& v) -> Result<void> {
            o.*member = v;
            return {};
          },
          "text", [member](const Options& o) { return o.*member; }};
}
Kind OneOf(std::string Options::*member, std::vector<std::string> allowed) {
  const std::string all = fmt::format("{}", fmt::join(allowed, ", "));
  return {[=](Options& o, const std::string& v) -> Result<void> {
            if (std::ranges::find(allowed, v) == allowed.end()) {
              return Fail(Errc::kInvalidArgument, "{}: must be one of {}", v, all);
            }
            o.*member = v;
            return {};
          },
          all, [member](const Options& o) { return o.*member; }};
}
Kind Texts(std::vector<std::string> Options::*member) {
  return {[=](Options& o, const std::string& v) -> Result<void> {
            (o.*member).push_back(v);
            return {};
          },
          "list", [member](const Options& o) { return ShowList(o.*member); },
          [member](Options& o) { (o.*member).clear(); }};
}

Result<void> SetPolicy(Options& o, const std::string& v) {
  // "tcp/80=inspect:64kb"
  const size_t equal = v.find('='), colon = v.find(':');
  PolicyOption policy;
  policy.match = v.substr(0, equal);
  if (equal == v.npos) {
    return Fail(Errc::kInvalidArgument, "{}: write \"tcp/80=inspect\", \"tcp/443=inspect:16kb\" or \"default=ignore\"", v);
  }
  policy.action = v.substr(equal + 1, colon == v.npos ? v.npos : colon - equal - 1);
  if (policy.action != "inspect" && policy.action != "ignore" && policy.action != "drop") {
    return Fail(Errc::kInvalidArgument, "{}: the action must be inspect, ignore or drop", v);
  }
  if (colon != v.npos) {
    const auto budget = ParseSize(v.substr(colon + 1));
    if (!budget) return std::unexpected(budget.error());
    policy.budget = *budget;
  }
  o.policies.push_back(std::move(policy));
  return {};
}

// The same for the EVE log that is being described.
template <typename A, typename S>
Kind ForEve(A apply, std::string range, S show) {
  return {[apply](Options& o, const std::string& v) { return apply(o.eve_logs.back(), v); }, std::move(range),
          [show](const Options& o) { return std::string(show(o.eve_logs.back())); }};
}
Kind EveBool(bool EveLogOption::*member) {
  return ForEve(
      [member](EveLogOption& eve, const std::string& v) -> Result<void> {
        const auto value = ParseBool(v);
        if (!value) return std::unexpected(value.error());
        eve.*member = *value;
        return {};
      },
      "true, false", [member](const EveLogOption& eve) { return eve.*member ? "true" : "false"; });
}
Kind EveSize(uint64_t EveLogOption::*member) {
  return ForEve(
      [member](EveLogOption& eve, const std::string& v) -> Result<void> {
        const auto value = ParseSize(v);
        if (!value) return std::unexpected(value.error());
        eve.*member = *value;
        return {};
      },
      "size", [member](const EveLogOption& eve) { return ShowSize(eve.*member); });
}
Kind EveText(std::string EveLogOption::*member, std::vector<std::string> allowed = {}) {
  const std::string all = fmt::format("{}", fmt::join(allowed, ", "));
  return ForEve(
      [=](EveLogOption& eve, const std::string& v) -> Result<void> {
        if (!allowed.empty() && std::ranges::find(allowed, v) == allowed.end()) {
          return Fail(Errc::kInvalidArgument, "{}: must be one of {}", v, all);
        }
        eve.*member = v;
        return {};
      },
      allowed.empty() ? "text" : all, [member](const EveLogOption& eve) { return eve.*member; });
}
// "no" to all that an alert says about its flow, protocol and rule.
Result<void> SetAlertMetadata(EveLogOption& eve, const std::string& v) {
  const auto value = ParseBool(v);
  if (!value) return std::unexpected(value.error());
  eve.app_layer = eve.flow = eve.rule_metadata = *value;
  return {};
}
Result<void> SetDropFlows(EveLogOption& eve, const std::string& v) {
  if (v != "start" && v != "all") {
    return Fail(Errc::kInvalidArgument, "{}: must be start (the first packet of a flow each way) or all", v);
  }
  eve.drop_all = v == "all";
  return {};
}

void AddEveSettings(std::vector<Setting>* s) {
  using E = EveLogOption;
  const std::string log = "outputs.eve-log.", types = log + "types.";
  const auto add = [&](const char* name, std::string suricata, const char* help, Kind kind) {
    s->push_back({name, std::move(suricata), help, std::move(kind.range), std::move(kind.apply), std::move(kind.show), std::move(kind.clear)});
  };
  add("eve.enabled", log + "enabled", "write EVE JSON", EveBool(&E::enabled));
  add("eve.file", log + "filename", "its name, or the socket's", EveText(&E::file));
  add("eve.filetype", log + "filetype", "regular, unix_stream, unix_dgram or syslog",
      EveText(&E::filetype, {"regular", "unix_stream", "unix_dgram", "syslog"}));
  add("eve.syslog-identity", log + "identity", "program name in the system's log", EveText(&E::syslog_identity));
  add("eve.syslog-facility", log + "facility", "local5 unless set", EveText(&E::syslog_facility));
  add("eve.syslog-level", log + "level", "info unless set", EveText(&E::syslog_level));
  Kind names = ForEve(
      [](EveLogOption& eve, const std::string& v) -> Result<void> {
        if (v.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != v.npos) {
          return Fail(Errc::kInvalidArgument, "{}: is no name of an event type; give several as a list, or the setting once for each", v);
        }
        eve.all_types = false;
        eve.types.insert(v);
        return {};
      },
      "list", [](const EveLogOption& eve) { return ShowList(eve.types); });
  names.clear = [](Options& o) { o.eve_logs.back().types.clear(); };
  add("eve.types", "", "event types written; unset: all", names);
  Kind fields = ForEve(
      [](EveLogOption& eve, const std::string& v) -> Result<void> {
        eve.optional_fields.push_back(v);
        return {};
      },
      "list", [](const EveLogOption& eve) { return ShowList(eve.optional_fields); });
  fields.clear = [](Options& o) { o.eve_logs.back().optional_fields.clear(); };
  add("eve.optional-fields", "", "fields that are written only when asked for, as \"protocol.key\"", fields);
  Kind hidden = ForEve(
      [](EveLogOption& eve, const std::string& v) -> Result<void> {
        eve.redacted.insert(Lower(v));
        return {};
      },
      "list", [](const EveLogOption& eve) { return ShowList(eve.redacted); });
  hidden.clear = [](Options& o) { o.eve_logs.back().redacted.clear(); };
  add("eve.redact-headers", "", "headers whose values are written as a keyed digest", hidden);
  add("eve.ipv6", "", "IPv6 addresses with all their zeros, or compressed", EveText(&E::ipv6, {"full", "compressed"}));
  add("eve.community-id", log + "community-id", "write community_id", EveBool(&E::community_id));
  add("eve.community-id-seed", log + "community-id-seed", "its seed, 0 to 65535", EveSize(&E::community_id_seed));
  add("eve.metadata", log + "metadata", "write flowbits and variables", EveBool(&E::metadata));
  add("eve.ethernet", log + "ethernet", "write MAC addresses", EveBool(&E::ethernet));
  add("eve.pcap-file", log + "pcap-file", "write the name of the capture file", EveBool(&E::pcap_file));
  add("eve.payload", types + "alert.payload", "payload in alerts, base64", EveBool(&E::payload));
  add("eve.payload-printable", types + "alert.payload-printable", "payload in alerts, printable", EveBool(&E::payload_printable));
  add("eve.payload-length", types + "alert.payload-length", "its length in alerts", EveBool(&E::payload_length));
  add("eve.payload-limit", types + "alert.payload-buffer-size", "bytes of it at most", EveSize(&E::payload_limit));
  add("eve.packet", types + "alert.packet", "packet in alerts, base64", EveBool(&E::packet));
  add("eve.bodies", "", "bodies of messages in alerts, base64", EveBool(&E::bodies));
  add("eve.bodies-printable", "", "the same, printable", EveBool(&E::bodies_printable));
  add("eve.tagged-packets", types + "alert.tagged-packets", "packets that a rule's tag asks for", EveBool(&E::tagged_packets));
  add("eve.xff", types + "alert.xff.enabled", "name the client that a proxy speaks for", EveBool(&E::xff));
  add("eve.xff-mode", types + "alert.xff.mode", "extra-data or overwrite", EveText(&E::xff_mode, {"extra-data", "overwrite"}));
  add("eve.xff-deployment", types + "alert.xff.deployment", "reverse: the last of its list; forward: the first",
      EveText(&E::xff_deployment, {"reverse", "forward"}));
  add("eve.verdict", types + "alert.verdict", "verdict in alerts", EveBool(&E::verdict));
  add("eve.alert-metadata", types + "alert.metadata", "all of the next three at once", ForEve(SetAlertMetadata, "true, false", [](const EveLogOption& eve) { return eve.app_layer ? "true" : "false"; }));
  add("eve.alert-app-layer", types + "alert.metadata.app-layer", "the protocol's object in alerts", EveBool(&E::app_layer));
  add("eve.alert-flow", types + "alert.metadata.flow", "the flow's counters in alerts", EveBool(&E::flow));
  add("eve.rule-metadata", types + "alert.metadata.rule.metadata", "the rule's metadata in alerts", EveBool(&E::rule_metadata));
  add("eve.rule-raw", types + "alert.metadata.rule.raw", "the rule's text in alerts", EveBool(&E::raw_rule));
  add("eve.rule-references", types + "alert.metadata.rule.reference", "the rule's references in alerts", EveBool(&E::references));
  add("eve.drop-flows", types + "drop.flows", "records of a dropped flow: start or all", ForEve(SetDropFlows, "start, all", [](const EveLogOption& eve) { return eve.drop_all ? "all" : "start"; }));
  add("eve.drop-alerts", types + "drop.alerts", "the rule in drop records", EveBool(&E::drop_alerts));
  add("eve.drop-verdict", types + "drop.verdict", "verdict in drop records", EveBool(&E::drop_verdict));
  add("eve.anomaly-decode", types + "anomaly.types.decode", "anomalies of headers", EveBool(&E::anomaly_decode));
  add("eve.anomaly-stream", types + "anomaly.types.stream", "anomalies of TCP", EveBool(&E::anomaly_stream));
  add("eve.anomaly-applayer", types + "anomaly.types.applayer", "anomalies that dissectors report", EveBool(&E::anomaly_applayer));
  add("eve.stats-totals", types + "stats.totals", "counters of all workers together", EveBool(&E::stats_totals));
  add("eve.stats-threads", types + "stats.threads", "counters of each worker", EveBool(&E::stats_threads));
  add("eve.stats-deltas", types + "stats.deltas", "what was added since the last record", EveBool(&E::stats_deltas));
  add("eve.stats-null-values", types + "stats.null-values", "counters that are 0", EveBool(&E::stats_zero));
  add("eve.exception-policy", types + "flow.exception-policy", "in flow records, what was done where the engine could not decide", EveBool(&E::exception_policy));
}

// Root's own, else the user's; none for a user without a home.
std::string DefaultCacheDirectory() {
  if (geteuid() == 0) return "/var/cache/sluice";
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/') {
    return std::string(cache) + "/sluice";
  }
  const char* home = std::getenv("HOME");
  return home && *home == '/' ? std::string(home) + "/.cache/sluice" : "";
}

// A setting of a group of options that has a kind of its own for single ones.
template <typename G, typename T>
Kind InGroup(G Options::*group, T G::*member, Result<T> (*parse)(const std::string&), std::string range,
             std::string (*show)(T)) {
  return {[=](Options& o, const std::string& v) -> Result<void> {
            auto value = parse(v);
            if (!value) return std::unexpected(value.error());
            o.*group.*member = std::move(*value);
            return {};
          },
          std::move(range), [=](const Options& o) { return show(o.*group.*member); }};
}

void AddFileStoreSettings(std::vector<Setting>* s) {
  using Store = Options::FileStore;
  const std::string old = "outputs.file-store.";
  const auto add = [&](const char* name, std::string suricata, const char* help, Kind kind) {
    s->push_back({name, std::move(suricata), help, std::move(kind.range), std::move(kind.apply), std::move(kind.show), {}});
  };
  const auto flag = [](bool Store::*member) {
    return InGroup<Store, bool>(&Options::file_store, member, ParseBool, "true, false",
                                [](bool on) { return std::string(on ? "true" : "false"); });
  };
  add("file-store.enabled", old + "enabled", "keep files that rules ask for", flag(&Store::enabled));
  add("file-store.all", old + "force-filestore", "... and all others", flag(&Store::all));
  add("file-store.records", old + "write-fileinfo", "the record of each beside it, as JSON", flag(&Store::records));
  add("file-store.directory", old + "dir", "where; relative to log.directory",
      {[](Options& o, const std::string& v) -> Result<void> {
         o.file_store.directory = v;
         return {};
       },
       "path", [](const Options& o) { return o.file_store.directory; }});
  add("file-store.stream-depth", old + "stream-depth", "stream.depth of flows whose files are kept, 0: all; unset: the same",
      {[](Options& o, const std::string& v) -> Result<void> {
         if (v == "no") return {};
         const auto size = ParseSize(v);
         if (!size) return std::unexpected(size.error());
         o.file_store.depth = *size;
         return {};
       },
       "size", [](const Options& o) { return o.file_store.depth == UINT64_MAX ? "" : ShowSize(o.file_store.depth); }});
  add("file-store.max-open-files", old + "max-open-files", "files written to at a time, 0: the default",
      {[](Options& o, const std::string& v) -> Result<void> {
         const auto size = ParseSize(v);
         if (!size || *size > 65536) return Fail(Errc::kInvalidArgument, "{}: must be a number from 0 to 65536", v);
         o.file_store.max_open_files = *size == 0 ? Options::FileStore{}.max_open_files : static_cast<uint32_t>(*size);
         return {};
       },
       "0 .. 65536", [](const Options& o) { return fmt::format("{}", o.file_store.max_open_files); }});
}

template <typename G>
Kind GroupOneOf(G Options::*group, std::string G::*member, std::vector<std::string> allowed) {
  const std::string all = fmt::format("{}", fmt::join(allowed, ", "));
  return {[=](Options& o, const std::string& v) -> Result<void> {
            if (std::ranges::find(allowed, v) == allowed.end()) {
              return Fail(Errc::kInvalidArgument, "{}: must be one of {}", v, all);
            }
            o.*group.*member = v;
            return {};
          },
          all, [=](const Options& o) { return o.*group.*member; }};
}

// Suricata means megabytes where there is no unit.
Result<uint64_t> ParseFileLimit(const std::string& v) {
  const bool bare = !v.empty() && v.find_first_not_of("0123456789") == v.npos;
  return ParseSize(bare ? v + "mb" : v);
}

void AddEngineLogSettings(std::vector<Setting>* s) {
  using Log = Options::EngineLog;
  const auto add = [&](const char* name, const char* suricata, const char* help, Kind kind) {
    s->push_back({name, std::string("logging.outputs.file.") + suricata, help, std::move(kind.range), std::move(kind.apply), std::move(kind.show), {}});
  };
  add("engine-log.enabled", "enabled", "write what the engine says of itself to a file, beside the standard error",
      InGroup<Log, bool>(&Options::engine_log, &Log::enabled, ParseBool, "true, false", [](bool on) { return std::string(on ? "true" : "false"); }));
  add("engine-log.file", "filename", "relative to log.directory",
      {[](Options& o, const std::string& v) -> Result<void> {
         o.engine_log.file = v;
         return {};
       },
       "path", [](const Options& o) { return o.engine_log.file; }});
  add("engine-log.type", "type", "text, or json: records of event_type engine", GroupOneOf(&Options::engine_log, &Log::type, {"text", "json"}));
  add("engine-log.level", "level", "the least that is written, of what -v lets through", GroupOneOf(&Options::engine_log, &Log::level, {"error", "warning", "notice", "info", "perf", "config", "debug"}));
}

void AddPcapLogSettings(std::vector<Setting>* s) {
  using Log = Options::PcapLog;
  const auto add = [&](const char* name, std::string suricata, const char* help, Kind kind) {
    s->push_back({name, "outputs.pcap-log." + std::move(suricata), help, std::move(kind.range), std::move(kind.apply), std::move(kind.show), {}});
  };
  const auto flag = [](bool Log::*member) {
    return InGroup<Log, bool>(&Options::pcap_log, member, ParseBool, "true, false",
                              [](bool on) { return std::string(on ? "true" : "false"); });
  };
  const auto size = [](uint64_t Log::*member, Result<uint64_t> (*parse)(const std::string&)) {
    return InGroup<Log, uint64_t>(&Options::pcap_log, member, parse, "size", ShowSize);
  };
  add("pcap-log.enabled", "enabled", "write packets to capture files", flag(&Log::enabled));
  add("pcap-log.filename", "filename", "relative to log.directory; the time is appended, or stands for %t; %n is the worker's number",
      InGroup<Log, std::string>(&Options::pcap_log, &Log::filename, [](const std::string& v) -> Result<std::string> { return v; },
                                "path", [](std::string v) { return v; }));
  add("pcap-log.limit", "limit", "begin another file past this size", size(&Log::file_bytes, ParseFileLimit));
  add("pcap-log.max-files", "max-files", "files kept, 0: any number",
      InGroup<Log, uint64_t>(&Options::pcap_log, &Log::max_files, ParseSize, "number", [](uint64_t n) { return fmt::format("{}", n); }));
  add("pcap-log.mode", "mode", "normal: one file at a time; multi: one for each worker", GroupOneOf(&Options::pcap_log, &Log::mode, {"normal", "multi"}));
  add("pcap-log.conditional", "conditional", "all packets; those of flows from their first alert on; those that a rule's tag asks for",
      GroupOneOf(&Options::pcap_log, &Log::conditional, {"all", "alerts", "tag"}));
  add("pcap-log.ts-format", "ts-format", "time in the names", GroupOneOf(&Options::pcap_log, &Log::ts_format, {"sec", "usec"}));
  add("pcap-log.honor-pass-rules", "honor-pass-rules", "no packets of flows that a rule lets pass", flag(&Log::honor_pass));
  add("pcap-log.held-size", "", "bytes per worker for the data of flows that may yet alert", size(&Log::held_bytes, ParseSize));
}

std::vector<Setting> MakeSettings() {
  std::vector<Setting> s;
  using O = Options;
  const auto add = [&](std::string name, std::string suricata, std::string help, Kind kind) {
    s.push_back({std::move(name), std::move(suricata), std::move(help), std::move(kind.range),
                 std::move(kind.apply), std::move(kind.show), std::move(kind.clear)});
  };
  add("interfaces", "", "interfaces to attach to", Texts(&O::interfaces));
  add("workers", "", "worker threads, each with its own ring and flows", Integer(&O::workers, 1, 256));
  add("tap.ring-bytes", "", "ring per worker, a power of two", Size(&O::ring_bytes));
  add("tap.pin-dir", "", "where maps and links are pinned", Text(&O::pin_dir));
  add("tap.fail-closed", "", "block new inspected flows while the engine is dead", Bool(&O::fail_closed));
  add("tap.keep-on-exit", "", "leave programs and drops in the kernel at the end", Bool(&O::keep_on_exit));
  add("tap.busy-poll", "", "never sleep: lowest latency, a core per worker", Bool(&O::busy_poll));
  add("tap.policy", "", "what the kernel does per protocol and port: \"tcp/80=inspect:64kb\"",
      {SetPolicy, "list", [](const Options&) { return std::string("[]"); }, [](Options& o) { o.policies.clear(); }});
  add("control-socket", "", "socket of status and reload", Text(&O::control_socket));
  add("verdict.never-block", "", "networks that are never dropped", Texts(&O::never_block));
  add("tap.attach", "", "auto: TCX where the kernel has it; clsact: as on older kernels", OneOf(&O::attach, {"auto", "clsact"}));
  add("tap.heartbeat-timeout", "", "without a sign of life for so long the engine counts as dead", Duration(&O::heartbeat_timeout, std::chrono::milliseconds{250}, std::chrono::minutes{1}));
  add("verdict.drop-ttl", "", "how long a drop lasts unless the rule says", Duration(&O::drop_ttl, std::chrono::seconds{1}, kYear));
  add("verdict.max-ttl", "", "no drop of a rule lasts longer", Duration(&O::block_max_ttl, std::chrono::seconds{1}, kYear));
  add("verdict.max-blocked", "", "hosts that rules may block at a time", Integer(&O::block_max, 0, 1u << 17));
  add("verdict.max-blocked-percent", "", "... of the hosts seen in the last minutes", Integer(&O::block_percent, 0, 100));
  add("verdict.always-blockable", "", "hosts that may be blocked whatever that share", Integer(&O::block_always, 0, 1u << 17));
  add("run-as.user", "run-as.user", "who to be once all is loaded", Text(&O::run_as_user));
  add("run-as.group", "run-as.group", "... and in which group", Text(&O::run_as_group));
  add("rules.memory-limit", "", "most memory the process may take during a reload, 0: what is free", Size(&O::rules_memory_limit));
  add("rules.files", "", "rule files (.rules)", Texts(&O::rule_files));
  add("rules.classification", "classification-file", "classes and their priorities", Text(&O::classification_file));
  add("rules.references", "reference-config-file", "reference systems and their URLs", Text(&O::reference_file));
  add("rules.strict", "engine.init-failure-fatal", "a bad rule or setting ends the start", Bool(&O::failure_fatal));
  add("rules.thresholds", "threshold-file", "thresholds and suppressions put on rules", Text(&O::threshold_file));
  add("rules.reputation-categories", "reputation-categories-file", "categories that iprep names", Text(&O::reputation_categories));
  add("rules.reputation-files", "reputation-files", "what is known of hosts, by category", Texts(&O::reputation_files));
  add("rules.reputation-path", "default-reputation-path", "where these are, if their names are relative", Text(&O::reputation_path));
  add("rules.geoip-database", "geoip-database", "MaxMind file that knows the countries of addresses", Text(&O::geo_database));
  add("rules.max-alerts", "packet-alert-max", "alerts per packet, 0: the default",
      {[](Options& o, const std::string& v) -> Result<void> {
         if (v == "0") o.max_alerts = Options{}.max_alerts;
         return v == "0" ? Result<void>{} : Integer(&Options::max_alerts, 1, 255)(o, v);
       },
       "0 .. 255", Integer(&O::max_alerts, 1, 255).show});
  add("rules.guess-transaction", "detect.guess-applayer-tx", "alerts of packets name the transaction that they are likely of",
      Bool(&O::guess_transaction));
  add("rules.cache-directory", "detect.sgh-mpm-caching-path", "where compiled rules are kept between starts, \"\": nowhere",
      {Text(&O::cache_dir).apply, "text", [](const Options& o) { return o.cache_dir == DefaultCacheDirectory() ? "the user's cache" : o.cache_dir; }});
  add("rules.cache-bytes", "", "size of that directory; the longest unused goes first", Size(&O::cache_bytes));
  add("rules.action-order", "action-order", "which rules decide first: pass, drop, reject, alert", Texts(&O::action_order));
  add("data-dir", "default-data-dir", "where datasets keep their state", Text(&O::data_dir));
  add("datasets.allow-write", "datasets.rules.allow-write", "rules may name files that datasets are saved to", Bool(&O::datasets_allow_write));
  add("datasets.allow-absolute", "datasets.rules.allow-absolute-filenames", "... and outside of data-dir", Bool(&O::datasets_allow_absolute));
  add("file-parts.memcap", "", "bytes held, per worker, of files that come in several parts, to put them together; 0: they are not", Size(&O::parts_memcap));
  add("file-parts.max-file", "", "longest file that is put together", Size(&O::parts_max_file));
  add("file-parts.timeout", "", "how long a file waits for its next part", Duration(&O::parts_timeout, std::chrono::seconds{1}, std::chrono::hours{24}));
  add("plugins.directories", "", "further directories of dissectors", Texts(&O::plugin_dirs));
  add("flow.capacity", "", "flows per worker; the longest idle is evicted", Integer(&O::flow_capacity, 1, 1u << 26));
  add("flow.elephant-bytes", "flow.rate-tracking.bytes", "of a direction within elephant-seconds make the flow an elephant; 0: none is", Size(&O::elephant_bytes));
  add("flow.elephant-seconds", "flow.rate-tracking.interval", "seconds that these bytes are counted for", Integer(&O::elephant_seconds, 1, 3600));
  add("flow.tcp-new", "flow-timeouts.tcp.new", "seconds idle before the handshake is complete", Integer(&O::tcp_new, 1, 1u << 30));
  add("flow.tcp-established", "flow-timeouts.tcp.established", "seconds idle", Integer(&O::tcp_established, 1, 1u << 30));
  add("flow.tcp-closed", "flow-timeouts.tcp.closed", "seconds after the end", Integer(&O::tcp_closed, 0, 1u << 30));
  add("flow.udp-new", "flow-timeouts.udp.new", "seconds idle, one side seen", Integer(&O::udp_new, 1, 1u << 30));
  add("flow.udp-established", "flow-timeouts.udp.established", "seconds idle, both sides seen", Integer(&O::udp_established, 1, 1u << 30));
  add("flow.icmp-new", "flow-timeouts.icmp.new", "seconds idle", Integer(&O::icmp_new, 1, 1u << 30));
  add("flow.icmp-established", "flow-timeouts.icmp.established", "seconds idle", Integer(&O::icmp_established, 1, 1u << 30));
  add("stream.midstream", "stream.midstream", "take up connections without their handshake", Bool(&O::midstream));
  add("stream.async-oneside", "stream.async-oneside", "one direction only is seen", Bool(&O::async_oneside));
  add("stream.inline", "stream.inline", "hand bytes on before they are acknowledged; auto: live only",
      {[](Options& o, const std::string& v) -> Result<void> {
         if (v == "auto") return {};
         return Bool(&Options::stream_inline)(o, v);
       },
       "auto, true, false", [](const Options& o) { return std::string(o.stream_inline ? "true" : "auto"); }});
  add("stream.depth", "stream.reassembly.depth", "bytes per direction that are reassembled, 0: all", Size(&O::stream_depth));
  add("stream.chunk-to-server", "stream.reassembly.toserver-chunk-size", "bytes between two looks of stream rules, where they are not taken inline", Size(&O::stream_chunk_to_server));
  add("stream.chunk-to-client", "stream.reassembly.toclient-chunk-size", "the same of what the server sends", Size(&O::stream_chunk_to_client));
  add("stream.memcap", "stream.reassembly.memcap", "bytes of waiting segments per worker", Size(&O::stream_memcap));
  add("stream.bypass", "stream.bypass", "nothing looks at a flow any more once a direction has reached stream.depth", Bool(&O::stream_bypass));
  add("stream.overlap", "", "which copy wins: windows, first, last, linux, solaris", OneOf(&O::overlap_policy, {"windows", "first", "last", "linux", "solaris"}));
  add("stream.urgent", "stream.reassembly.urgent.policy", "a byte that TCP calls urgent: out of band, part of the stream, lost, or its packet dropped", OneOf(&O::urgent_policy, {"oob", "inline", "gap", "drop"}));
  add("stream.urgent-past-limit", "stream.reassembly.urgent.oob-limit-policy", "... once 65,535 bytes of a direction were out of band", OneOf(&O::urgent_past_limit, {"inline", "gap", "drop"}));
  const auto exception = [&](const std::string& name, const std::string& suricata, const std::string& what, std::string O::*member) {
    add("exceptions." + name, suricata, what, OneOf(member, {"auto", "ignore", "pass-packet", "pass-flow", "bypass", "drop-packet", "drop-flow", "reject"}));
  };
  exception("default", "exception-policy", "what is done in exceptional states whose own policy is not set", &O::exception_policy);
  exception("midstream", "stream.midstream-policy", "a connection without its handshake", &O::midstream_policy);
  exception("stream-memcap", "stream.memcap-policy", "no room for another connection: never, it is part of its flow", &O::stream_memcap_policy);
  exception("reassembly-memcap", "stream.reassembly.memcap-policy", "no room for a segment that must wait", &O::reassembly_memcap_policy);
  exception("flow-memcap", "flow.memcap-policy", "no room for another flow: never, the longest idle one makes room", &O::flow_memcap_policy);
  exception("defrag-memcap", "defrag.memcap-policy", "no room for a fragment", &O::defrag_memcap_policy);
  exception("app-layer-error", "app-layer.error-policy", "a dissector cannot make sense of what it gets", &O::app_layer_error_policy);
  add("decode.checksums", "stream.checksum-validation", "ignore segments with a wrong checksum", Bool(&O::verify_checksums));
  const auto tunnel = [&](const std::string& name, const std::string& what, Options::Tunnel O::*member) {
    add("decode." + name, "decoder." + name + ".enabled", "look into " + what,
        {[member](Options& o, const std::string& v) -> Result<void> {
           const auto value = ParseBool(v);
           if (!value) return std::unexpected(value.error());
           (o.*member).enabled = *value;
           return {};
         },
         "true, false", [member](const Options& o) { return std::string((o.*member).enabled ? "true" : "false"); }});
    add("decode." + name + "-ports", "decoder." + name + ".ports", "... on these UDP ports",
        {[member](Options& o, const std::string& v) -> Result<void> {
           (o.*member).ports = v;
           return {};
         },
         "ports, lists, variables or any", [member](const Options& o) { return (o.*member).ports; }});
  };
  tunnel("teredo", "Teredo", &O::teredo);
  tunnel("vxlan", "VXLAN", &O::vxlan);
  tunnel("geneve", "Geneve", &O::geneve);
  add("decode.max-layers", "decoder.max-layers", "headers of a packet, over all tunnels", Integer(&O::max_layers, 1, 32));
  add("decode.track-recursion", "decoder.recursion-level.use-for-tracking", "the same ends inside and outside a tunnel are two flows", Bool(&O::track_recursion));
  add("defrag.memcap", "defrag.memcap", "bytes of fragments per worker", Size(&O::defrag_memcap));
  add("defrag.trackers", "defrag.trackers", "packets in fragments at a time, per worker", Integer(&O::defrag_trackers, 1, 1u << 20));
  add("defrag.max-fragments", "", "fragments of a packet", Integer(&O::defrag_fragments, 2, 65534));
  add("defrag.timeout", "defrag.timeout", "seconds a packet may wait for its fragments", Integer(&O::defrag_timeout, 1, 86400));
  add("log.directory", "default-log-dir", "where logs are written", Text(&O::log_dir));
  add("log.fast", "outputs.fast.enabled", "write fast.log", Bool(&O::fast));
  add("log.fast-file", "outputs.fast.filename", "its name", Text(&O::fast_file));
  AddEveSettings(&s);
  add("eve.compat", "", "7 or 8: whose form where they differ", Integer(&O::compat, 7, 8));
  add("eve.sensor-name", "sensor-name", "written as host", Text(&O::sensor_name));
  add("eve.sensor-id", "sensor-id", "written as sensor_id", Integer(&O::sensor_id, 0, UINT32_MAX));
  add("eve.sensor-salt", "", "key of the digests in place of hidden values; unset: made from the machine's id", Text(&O::sensor_salt));
  add("log.rotate-size", "", "begin another file past this size, 0: never", Size(&O::log_rotate_bytes));
  add("log.rotate-keep", "", "old files kept, as file.1 and on", Integer(&O::log_rotate_keep, 0, 1000));
  add("log.queue-size", "", "live: bytes per worker that wait to be written; a full queue loses records", Size(&O::log_queue_bytes));
  add("stats.interval", "stats.interval", "seconds between stats events, 0: at the end only", Integer(&O::stats_interval, 0, 86400));
  add("files.hashes", "outputs.eve-log.types.files.force-hash", "hashes of files",
      {[](Options& o, const std::string& v) -> Result<void> {
         if (v == "md5") o.hash_md5 = true;
         else if (v == "sha1") o.hash_sha1 = true;
         else if (v == "sha256") o.hash_sha256 = true;
         else return Fail(Errc::kInvalidArgument, "{}: must be md5, sha1 or sha256", v);
         return {};
       },
       "list of md5, sha1, sha256", [](const Options&) { return std::string("[]"); }});
  AddFileStoreSettings(&s);
  AddEngineLogSettings(&s);
  AddPcapLogSettings(&s);
  add("files.magic", "outputs.eve-log.types.files.force-magic", "the kind of each file, as libmagic describes it", Bool(&O::file_magic));
  return s;
}

// Reading a file twice is reading it once.
template <typename T>
void AddOnce(T value, std::vector<T>* list) {
  if (std::ranges::find(*list, value) == list->end()) list->push_back(std::move(value));
}

// "<name>.enabled", "<name>.directory"
Result<bool> ApplyStore(Options& o, const std::string& key, const std::string& value) {
  const size_t dot = key.find('.');
  const std::string name = key.substr(0, dot), what = dot == key.npos ? "" : key.substr(dot + 1);
  if (what == "directory") {
    o.value_stores[name].directory = value;
    return true;
  }
  if (what != "enabled") return false;
  const auto on = ParseBool(value);
  if (!on) return std::unexpected(on.error());
  o.value_stores[name].enabled = *on;
  return true;
}

// "<name>-store.enabled", "<name>-store.<what it holds>-log-dir"
Result<bool> ApplyOldStore(Options& o, const std::string& key, const std::string& value) {
  constexpr std::string_view kStore = "-store.", kDirectory = "-log-dir";
  const size_t at = key.find(kStore);
  if (at == key.npos || key.find('.') != at + kStore.size() - 1) return false;
  std::string what = key.substr(at + kStore.size());
  if (what.ends_with(kDirectory)) what = "directory";
  return ApplyStore(o, key.substr(0, at) + "." + what, value);
}

// Settings whose last part is the user's own name.
struct Prefix {
  std::string_view name, suricata;
  // False: it does not know the key.
  Result<bool> (*apply)(Options&, const std::string& key, const std::string& value);
  bool list = false;  // several values of one name
};
constexpr std::string_view kNoPrefix = " ";  // no key begins so
const Prefix kPrefixes[] = {
    {"host-os-policy.", "host-os-policy.",
     [](Options& o, const std::string& key, const std::string& value) -> Result<bool> {
       AddOnce(Options::HostOs{key, value}, &o.host_os);
       return true;
     },
     true},
    {"vars.addresses.", "vars.address-groups.",
     [](Options& o, const std::string& key, const std::string& value) -> Result<bool> {
       o.address_vars[key] = value;
       return true;
     }},
    {"vars.ports.", "vars.port-groups.",
     [](Options& o, const std::string& key, const std::string& value) -> Result<bool> {
       o.port_vars[key] = value;
       return true;
     }},
    // plugins.<name>.<key>, app-layer.protocols.<name>.<key>
    {"plugins.", "app-layer.protocols.",
     [](Options& o, const std::string& key, const std::string& value) -> Result<bool> {
       const size_t dot = key.find('.');
       if (dot == key.npos) return true;
       o.plugin_options[key.substr(0, dot)][key.substr(dot + 1)] = value;
       return true;
     }},
    // eve.records.<name>.<key>
    {"eve.records.", "outputs.eve-log.types.",
     [](Options& o, const std::string& key, const std::string& value) -> Result<bool> {
       const size_t dot = key.find('.');
       if (dot == key.npos) return false;
       const std::string what = key.substr(dot + 1);
       if (what.find('.') != what.npos || value.empty()) return false;
       auto& values = o.eve_logs.back().records[key.substr(0, dot)][what];
       if (ParseBool(value) || what == "compat") values.clear();
       AddOnce(value, &values);
       return true;
     },
     true},
    {"stores.", kNoPrefix, ApplyStore},
    {kNoPrefix, "outputs.", ApplyOldStore},
};

}  // namespace

const std::vector<Setting>& Settings() {
  static const std::vector<Setting> settings = MakeSettings();
  return settings;
}

const Setting* FindSetting(std::string_view name, bool suricata) {
  for (const Setting& setting : Settings()) {
    if ((suricata ? setting.suricata_name : setting.name) == name) return &setting;
  }
  return nullptr;
}

bool TakesList(std::string_view name) {
  return FindSetting(name, false) != nullptr ||
         std::ranges::any_of(kPrefixes, [&](const Prefix& p) { return p.list && name.starts_with(p.name); });
}

Result<bool> ApplyScalar(Options* options, const std::string& name, const std::string& value,
                         bool suricata) {
  if (const Setting* setting = FindSetting(name, suricata)) {
    if (auto ok = setting->apply(*options, value); !ok) return std::unexpected(ok.error());
    return true;
  }
  for (const Prefix& prefix : kPrefixes) {
    const std::string_view start = suricata ? prefix.suricata : prefix.name;
    if (!name.starts_with(start)) continue;
    return prefix.apply(*options, name.substr(start.size()), value);
  }
  return false;
}

std::vector<SettingInfo> AllSettings() {
  const Options defaults = DefaultOptions();
  std::vector<SettingInfo> all;
  for (const Setting& s : Settings()) {
    all.push_back({s.name, s.suricata_name, s.help, s.show ? s.show(defaults) : "", s.range});
  }
  return all;
}

Options DefaultOptions() {
  Options o;
  o.cache_dir = DefaultCacheDirectory();
  o.address_vars = {{"HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"},
                    {"EXTERNAL_NET", "!$HOME_NET"},
                    {"HTTP_SERVERS", "$HOME_NET"}, {"SMTP_SERVERS", "$HOME_NET"},
                    {"SQL_SERVERS", "$HOME_NET"},  {"DNS_SERVERS", "$HOME_NET"},
                    {"TELNET_SERVERS", "$HOME_NET"}, {"AIM_SERVERS", "$EXTERNAL_NET"},
                    {"DC_SERVERS", "$HOME_NET"},   {"DNP3_SERVER", "$HOME_NET"},
                    {"DNP3_CLIENT", "$HOME_NET"},  {"MODBUS_CLIENT", "$HOME_NET"},
                    {"MODBUS_SERVER", "$HOME_NET"}, {"ENIP_CLIENT", "$HOME_NET"},
                    {"ENIP_SERVER", "$HOME_NET"}};
  o.host_os = {{"windows", "0.0.0.0/0"}};
  o.port_vars = {{"HTTP_PORTS", "80"}, {"SHELLCODE_PORTS", "!80"}, {"ORACLE_PORTS", "1521"},
                 {"SSH_PORTS", "22"}, {"DNP3_PORTS", "20000"}, {"MODBUS_PORTS", "502"},
                 {"FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"}, {"FTP_PORTS", "21"},
                 {"GENEVE_PORTS", "6081"}, {"VXLAN_PORTS", "4789"}, {"TEREDO_PORTS", "3544"}};
  return o;
}

Result<bool> ParseBool(const std::string& text) {
  const std::string t = Lower(text);
  if (t == "yes" || t == "true" || t == "on" || t == "1") return true;
  if (t == "no" || t == "false" || t == "off" || t == "0") return false;
  return Fail(Errc::kInvalidArgument, "{}: must be true or false", text);
}

Result<uint64_t> ParseSize(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit = Lower(std::string(end, text.data() + text.size()));
  std::erase(unit, ' ');
  static const std::map<std::string, uint64_t> kUnits = {
      {"", 1}, {"b", 1}, {"kb", 1u << 10}, {"kib", 1u << 10}, {"k", 1u << 10}, {"mb", 1u << 20},
      {"mib", 1u << 20}, {"m", 1u << 20}, {"gb", 1u << 30}, {"gib", 1u << 30}, {"g", 1u << 30}};
  const auto it = kUnits.find(unit);
  if (error != std::errc() || it == kUnits.end() || value > UINT64_MAX / it->second) {
    return Fail(Errc::kInvalidArgument, "{}: must be a size such as 4096, 64kb or 1mb", text);
  }
  return value * it->second;
}

Result<Nanos> ParseDuration(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  static const std::map<std::string, Nanos> kUnits = {
      {"", std::chrono::seconds{1}}, {"ms", std::chrono::milliseconds{1}},
      {"s", std::chrono::seconds{1}}, {"m", std::chrono::minutes{1}},
      {"h", std::chrono::hours{1}},   {"d", std::chrono::hours{24}}};
  const auto it = kUnits.find(unit);
  if (error != std::errc() || it == kUnits.end() || value < 0 ||
      value > Nanos::max() / it->second) {
    return Fail(Errc::kInvalidArgument, "{}: must be a duration such as 30s, 10m or 1h", text);
  }
  return it->second * value;
}

Result<void> LoadConfig(const std::string& path, Options* options) {
  const auto text = ReadFile(path, "configuration");
  if (!text) return std::unexpected(text.error());
  return ReadConfig(*text, path, options);
}

Result<void> ReadConfig(std::string_view text, const std::string& path, Options* options) {
  if (path.ends_with(".yaml") || path.ends_with(".yml")) return ReadYaml(text, path, options);
  if (path.ends_with(".toml")) return ReadToml(text, path, options);
  return Fail(Errc::kInvalidArgument, "{}: the configuration must end in .toml, .yaml or .yml", path);
}

Result<void> ApplySetting(const std::string& setting, Options* options) {
  const size_t equal = setting.find('=');
  if (equal == setting.npos) {
    return Fail(Errc::kInvalidArgument, "--set {}: write --set key=value", setting);
  }
  const std::string key = setting.substr(0, equal), value = setting.substr(equal + 1);
  // Suricata's "outputs.1.eve-log" names an element of a list by its number.
  std::string plain;
  for (size_t at = 0; at <= key.size();) {
    const size_t dot = std::min(key.find('.', at), key.size());
    const std::string part = key.substr(at, dot - at);
    if (!std::ranges::all_of(part, [](unsigned char c) { return std::isdigit(c); })) {
      plain += (plain.empty() ? "" : ".") + part;
    }
    at = dot + 1;
  }
  for (const bool suricata : {true, false}) {
    const auto done = ApplyScalar(options, plain, value, suricata);
    if (!done) return Fail(Errc::kInvalidArgument, "--set {}: {}", key, done.error().message);
    if (*done) return {};
  }
  options->ignored.push_back(key);
  return {};
}

}  // namespace sluice
