#include "engine/app/runtime.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "engine/app/decode_options.h"
#include "engine/app/keywords.h"
#include "engine/app/plugins.h"
#include "engine/app/reload.h"
#include "engine/match/database_cache.h"
#include "engine/match/reputation.h"
#include "engine/rules/parser.h"
#include "engine/rules/text.h"
#include "engine/rules/threshold_config.h"

#ifndef SLUICE_DATA_DIR
#define SLUICE_DATA_DIR "/usr/local/share/sluice"
#endif

namespace sluice {
namespace {

// The shipped file of that name: beside the source tree's build, or installed.
std::string ShippedFile(const std::string& name) {
  std::error_code failure;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (!failure) {
    const auto beside = self.parent_path() / "rules" / name;
    if (std::filesystem::exists(beside, failure)) return beside.string();
  }
  return std::string(SLUICE_DATA_DIR "/rules/") + name;
}

OverlapPolicy ParseOverlap(const std::string& name) {
  if (name == "first") return OverlapPolicy::kFirst;
  if (name == "last") return OverlapPolicy::kLast;
  if (name == "linux") return OverlapPolicy::kLinux;
  if (name == "solaris") return OverlapPolicy::kSolaris;
  return OverlapPolicy::kBsd;
}

UrgentPolicy ParseUrgent(const std::string& name) {
  if (name == "inline") return UrgentPolicy::kInline;
  if (name == "gap") return UrgentPolicy::kGap;
  if (name == "drop") return UrgentPolicy::kDrop;
  return UrgentPolicy::kOutOfBand;
}

// SURICATA_EVE_<TYPE>_VERSION=2 asks for that record's form before version 8, where the
// configuration does not say.
void TakeFormsFromEnvironment(Options* options) {
  static constexpr std::string_view kStart = "SURICATA_EVE_", kEnd = "_VERSION=2";
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.size() <= kStart.size() + kEnd.size() || !text.starts_with(kStart) || !text.ends_with(kEnd)) continue;
    const std::string_view type = text.substr(kStart.size(), text.size() - kStart.size() - kEnd.size());
    for (EveLogOption& eve : options->eve_logs) {
      eve.records[Lower(type)].try_emplace("compat", std::vector<std::string>{"7"});
    }
  }
}

// Null where there is none: rules are then compiled at each start.
std::unique_ptr<DatabaseCache> OpenCache(const Options& options) {
  if (options.cache_dir.empty()) return nullptr;
  DatabaseCacheOptions cache_options;
  cache_options.directory = options.cache_dir;
  cache_options.max_bytes = options.cache_bytes;
  auto cache = DatabaseCache::Open(cache_options);
  if (cache) return std::move(*cache);
  spdlog::warn("cache: {}", cache.error().message);
  return nullptr;
}

Result<std::array<Action, 4>> ActionOrder(const std::vector<std::string>& names) {
  std::array<Action, 4> order = CompileOptions{}.action_order;
  if (names.empty()) return order;
  static constexpr std::pair<std::string_view, Action> kActions[] = {
      {"pass", Action::kPass}, {"drop", Action::kDrop}, {"reject", Action::kReject}, {"alert", Action::kAlert}};
  std::vector<std::string_view> seen(names.begin(), names.end());
  std::ranges::sort(seen);
  static constexpr std::string_view kAll[] = {"alert", "drop", "pass", "reject"};
  if (!std::ranges::equal(seen, kAll)) {
    return Fail(Errc::kInvalidArgument, "rules.action-order: name pass, drop, reject and alert once each");
  }
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = std::ranges::find(kActions, names[i], &std::pair<std::string_view, Action>::first)->second;
  }
  return order;
}

// On a live host connections are there before the engine: unless it was told to fail
// closed, auto leaves them alone.
ExceptionSettings ExceptionsOf(const Options& o) {
  const bool live = !o.interfaces.empty();
  return {.master = o.exception_policy,
          .own = {o.defrag_memcap_policy, o.flow_memcap_policy, o.stream_memcap_policy,
                  o.reassembly_memcap_policy, o.midstream_policy, o.app_layer_error_policy},
          .verdicts = o.simulate_ips || live,
          .closed = o.simulate_ips || (live && o.fail_closed),
          .midstream = o.midstream};
}

std::shared_ptr<const Reputation> LoadReputation(const Options& options, std::vector<RuleProblem>* problems) {
  if (options.reputation_files.empty()) return nullptr;
  auto reputation = std::make_shared<Reputation>();
  for (const std::string& file : options.reputation_files) {
    reputation->Load(std::filesystem::path(options.reputation_path) / file, problems);
  }
  reputation->Finish();
  return reputation;
}

Nanos Seconds(uint64_t n) { return std::chrono::seconds{static_cast<int64_t>(n)}; }

}  // namespace

int Complain(const Error& error, int code) {
  fmt::print(stderr, "sluice: {}\n", error.message);
  return code;
}

Result<Options> BuildOptions(const CommandLine& line) {
  Options options = DefaultOptions();
  const bool yaml = line.config.ends_with(".yaml") || line.config.ends_with(".yml");
  // Settings first too: strictness decides how the file itself is read.
  for (const std::string& setting : line.settings) {
    if (setting.starts_with("engine.init-failure-fatal") || setting.starts_with("rules.strict")) {
      if (auto ok = ApplySetting(setting, &options); !ok) return std::unexpected(ok.error());
    }
  }
  if (yaml) options.fast = false;  // what such a file does not list is off
  if (!line.config.empty()) {
    if (auto ok = LoadConfig(line.config, &options); !ok) return std::unexpected(ok.error());
  }
  for (const std::string& setting : line.settings) {
    if (auto ok = ApplySetting(setting, &options); !ok) return std::unexpected(ok.error());
  }
  TakeFormsFromEnvironment(&options);
  if (line.rules_exclusive) options.rule_files.clear();
  options.rule_files.insert(options.rule_files.end(), line.rules.begin(), line.rules.end());
  for (const std::string& directory : line.plugin_dirs) options.plugin_dirs.push_back(directory);
  if (!line.interfaces.empty()) options.interfaces = line.interfaces;
  if (!line.data_dir.empty()) options.data_dir = line.data_dir;
  if (!line.log_dir.empty()) options.log_dir = line.log_dir;
  if (line.checksum_mode == "none") options.verify_checksums = false;
  if (line.checksum_mode == "all") options.verify_checksums = true;
  if (line.workers != 0) options.workers = line.workers;
  if (line.simulate_ips) options.simulate_ips = options.stream_inline = true;
  if (options.classification_file.empty()) {
    options.classification_file = ShippedFile("classification.config");
  }
  if (options.reference_file.empty()) options.reference_file = ShippedFile("reference.config");
  WorkerOptions unused;
  if (auto ok = SetDecodeOptions(options, &unused); !ok) return std::unexpected(ok.error());
  if (auto ok = ResolveExceptionPolicies(ExceptionsOf(options)); !ok) return std::unexpected(ok.error());
  // What is no field may mean something to the dissector.
  for (const EveLogOption& eve : options.eve_logs) {
    for (const auto& [name, switches] : eve.records) {
      for (const auto& [key, values] : switches) {
        options.plugin_options[name].try_emplace("log-" + key, values.back());
      }
    }
  }
  options.plugin_options[std::string(kAllPlugins)]["log-compat"] = std::to_string(options.compat);
  return options;
}

WorkerOptions MakeWorkerOptions(const Options& o) {
  WorkerOptions w;
  [[maybe_unused]] const auto checked = SetDecodeOptions(o, &w);  // by BuildOptions()
  w.elephant = {o.elephant_bytes, static_cast<uint32_t>(o.elephant_seconds)};
  w.flow.capacity = static_cast<uint32_t>(o.flow_capacity);
  w.flow.tcp = {{Seconds(o.tcp_new), Seconds(o.tcp_established), Seconds(o.tcp_closed), Seconds(100)}};
  w.flow.udp = {{Seconds(o.udp_new), Seconds(o.udp_established), Seconds(o.udp_established), Seconds(100)}};
  w.flow.icmp = {{Seconds(o.icmp_new), Seconds(o.icmp_established), Seconds(o.icmp_established), Seconds(100)}};
  w.stream.inline_mode = w.detect.inline_stream = o.stream_inline;
  w.guess_transaction = o.guess_transaction;
  w.stream.midstream = o.midstream;
  w.stream.async_oneside = o.async_oneside;
  w.stream.depth = o.stream_depth;
  w.raw_chunk[0] = o.stream_chunk_to_server;
  w.raw_chunk[1] = o.stream_chunk_to_client;
  w.stream.memcap = o.stream_memcap;
  w.stream.overlap = ParseOverlap(o.overlap_policy);
  w.stream.urgent = ParseUrgent(o.urgent_policy);
  w.stream.drops_packets = o.simulate_ips;
  w.stream.urgent_past_limit = ParseUrgent(o.urgent_past_limit);
  w.dissect.files = {.md5 = o.hash_md5, .sha1 = o.hash_sha1, .sha256 = o.hash_sha256, .magic = o.file_magic};
  w.dissect.parts = {.memcap = o.parts_memcap, .max_file_bytes = o.parts_max_file, .timeout = o.parts_timeout};
  w.detect.max_alerts = o.max_alerts;
  w.eve = Logs::MakeEveOptions(o);
  w.stream_bypass = o.stream_bypass;
  w.keep_files.all = o.file_store.all;
  w.keep_files.write_records = o.file_store.records;
  if (!w.eve.empty()) w.keep_files.eve = w.eve.front();
  w.packet_log.which = o.pcap_log.conditional == "alerts" ? PacketLogOptions::Which::kAlerts
                       : o.pcap_log.conditional == "tag"  ? PacketLogOptions::Which::kTagged
                                                          : PacketLogOptions::Which::kAll;
  w.packet_log.honor_pass = o.pcap_log.honor_pass;
  w.packet_log.held_bytes = std::clamp<uint64_t>(o.pcap_log.held_bytes & ~uint64_t{7}, 64u << 10, 1u << 30);
  w.keep_depth = o.file_store.depth == UINT64_MAX ? o.stream_depth : o.file_store.depth;
  for (const auto& [name, store] : o.value_stores) {
    if (store.enabled) w.keep_values_of.insert(name);
  }
  w.inline_verdicts = o.simulate_ips;
  w.exceptions = ResolveExceptionPolicies(ExceptionsOf(o)).value_or(ExceptionPolicies{});  // checked by BuildOptions()
  return w;
}

Result<LoadedRules> LoadRules(const Options& options, const Catalog& catalog,
                              DatasetRegistry* datasets, const RuleProgram* before) {
  const uint64_t resident = ResidentBytes();
  RuleOptions rule_options;
  rule_options.addresses = options.address_vars;
  rule_options.ports = options.port_vars;
  std::vector<RuleProblem> problems;
  if (auto ok = ReadClassifications(options.classification_file, &rule_options, &problems); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = ReadReferences(options.reference_file, &rule_options, &problems); !ok) {
    return std::unexpected(ok.error());
  }
  if (!options.reputation_categories.empty()) {
    const auto ok = ReadReputationCategories(options.reputation_categories, &rule_options, &problems);
    if (!ok) return std::unexpected(ok.error());
  }
  auto set = LoadRuleFiles(options.rule_files, rule_options, CatalogKeywords(catalog),
                           before == nullptr ? nullptr : &before->rules());
  if (!set) return std::unexpected(set.error());
  if (!options.threshold_file.empty()) {
    if (auto ok = ReadThresholds(options.threshold_file, rule_options, &*set); !ok) {
      return std::unexpected(ok.error());
    }
  }
  LoadedRules loaded;
  CompileOptions compile;
  compile.reputation = LoadReputation(options, &problems);
  compile.geo_database = options.geo_database;
  loaded.problems = std::move(problems);
  loaded.problems.insert(loaded.problems.end(), set->problems.begin(), set->problems.end());
  loaded.num_failed = set->num_failed;
  loaded.num_inactive = set->num_inactive;
  loaded.num_skipped = set->num_skipped;
  compile.keywords = catalog.keywords();
  compile.datasets = datasets;
  compile.data_dir = options.data_dir;
  const auto order = ActionOrder(options.action_order);
  if (!order) return std::unexpected(order.error());
  compile.action_order = *order;
  datasets->BeginGeneration();
  for (const auto& schema : catalog.schemas()) {
    auto& names = compile.schemas.emplace_back(1, schema->name);
    names.insert(names.end(), schema->aliases.begin(), schema->aliases.end());
  }
  const auto cache = OpenCache(options);
  compile.cache = cache.get();
  auto program = RuleProgram::Compile(std::move(*set), compile);
  if (!program) return std::unexpected(program.error());
  if (cache) {
    if (auto ok = cache->Commit(); !ok) spdlog::warn("cache: {}", ok.error().message);
    const DatabaseCacheStats& s = cache->stats();
    spdlog::debug("cache hits={} misses={} refused={} damaged={} evicted={}", s.hits, s.misses,
                  s.refused, s.damaged, s.evicted);
    if (s.damaged > 0) spdlog::warn("cache: {} databases in {} were damaged", s.damaged, options.cache_dir);
  }
  loaded.program = std::move(*program);
  for (const RuleProblem& problem : loaded.program->problems()) {
    loaded.problems.push_back(problem);
    loaded.num_failed += problem.severity == RuleProblem::Severity::kError;
  }
  loaded.loaded = std::chrono::system_clock::now().time_since_epoch();
  loaded.bytes = ResidentBytes() - std::min(ResidentBytes(), resident);
  return loaded;
}

void LoadedRules::CollectCounters(NamedCounters* out) const {
  out->emplace_back("detect.engines[].id", program->generation() - 1);
  out->emplace_back("detect.engines[].last_reload", loaded.count());
  out->emplace_back("detect.engines[].rules_loaded", program->num_ranks());
  out->emplace_back("detect.engines[].rules_failed", num_failed);
  out->emplace_back("detect.engines[].rules_skipped", num_skipped);
}

void Runtime::LogProblems() const {
  if (engine_log == nullptr) return;
  for (const RuleProblem& problem : rules.problems) {
    if (problem.severity == RuleProblem::Severity::kError) engine_log->Problem(problem);
  }
}

Result<std::unique_ptr<Runtime>> Runtime::Create(const CommandLine& line, bool logs) {
  auto runtime = std::make_unique<Runtime>();
  auto options = BuildOptions(line);
  if (!options) return std::unexpected(options.error());
  runtime->options = std::move(*options);
  const Options& o = runtime->options;
  if (logs && o.engine_log.enabled) {
    auto log = OpenEngineLog(o);
    if (!log) return std::unexpected(log.error());
    runtime->engine_log = std::move(*log);
  }
  auto catalog = LoadCatalog(o.plugin_dirs, o.plugin_options, &runtime->plugin_problems);
  if (!catalog) return std::unexpected(catalog.error());
  runtime->catalog = std::move(*catalog);
  runtime->datasets = std::make_unique<DatasetRegistry>(
      DatasetOptions{o.data_dir, o.datasets_allow_write, o.datasets_allow_absolute});
  auto rules = LoadRules(o, *runtime->catalog, runtime->datasets.get());
  if (!rules) return std::unexpected(rules.error());
  runtime->rules = std::move(*rules);
  runtime->LogProblems();
  runtime->UpdateWanted();
  if (!logs) return runtime;
  auto opened = Logs::Open(o);
  if (!opened) return std::unexpected(opened.error());
  runtime->logs = std::move(*opened);
  return runtime;
}

void Runtime::UpdateWanted() {
  const std::vector<EveOptions> all = Logs::MakeEveOptions(options);
  std::vector<std::vector<bool>> logged(catalog->schemas().size());
  for (const auto& schema : catalog->schemas()) {
    for (const FieldInfo& field : schema->fields) {
      logged[schema->id].push_back(std::ranges::any_of(all, [&](const EveOptions& eve) {
        const bool written = eve.Wants(*schema) || eve.Wants("alert") || eve.Wants("fileinfo");
        return written && FieldIsWanted(eve, *schema, field);
      }));
    }
  }
  catalog->SetWanted(rules.program->WantedKeywords(catalog->keywords().size()), logged);
}

}  // namespace sluice
