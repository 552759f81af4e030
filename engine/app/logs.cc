#include "engine/app/logs.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>

#include "engine/output/pcap_log.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

std::string PathOf(const Options& options, const std::string& file) {
  return file.starts_with('/') ? file : options.log_dir + "/" + file;
}

LogSpec BaseSpec(const Options& options, const std::string& file) {
  LogSpec spec;
  spec.path = PathOf(options, file);
  spec.rotate_bytes = options.log_rotate_bytes;
  spec.rotate_keep = options.log_rotate_keep;
  return spec;
}

PcapLogOptions PacketSpec(const Options& options) {
  const Options::PcapLog& o = options.pcap_log;
  return {.path = BaseSpec(options, o.filename).path,
          .file_bytes = o.file_bytes,
          .max_files = static_cast<uint32_t>(std::min<uint64_t>(o.max_files, UINT32_MAX)),
          .per_worker = o.mode == "multi",
          .microseconds = o.ts_format == "usec"};
}

LogSpec SpecOf(const Options& options, const EveLogOption& eve) {
  LogSpec spec = BaseSpec(options, eve.file);
  spec.kind = eve.filetype == "unix_stream"  ? LogSpec::Kind::kUnixStream
              : eve.filetype == "unix_dgram" ? LogSpec::Kind::kUnixDatagram
              : eve.filetype == "syslog"     ? LogSpec::Kind::kSyslog
                                             : LogSpec::Kind::kFile;
  spec.identity = eve.syslog_identity;
  spec.facility = eve.syslog_facility;
  spec.level = eve.syslog_level;
  return spec;
}

void SetRecord(const std::string& key, const std::vector<std::string>& values, RecordOptions* record) {
  const auto on = ParseBool(values.back());
  if (key == "custom") {
    record->custom.insert(values.begin(), values.end());
  } else if (key == "compat") {
    record->compat = values.back() == "7" ? 7 : 8;
  } else if (!on) {
    auto& list = record->lists[key];
    for (const std::string& value : values) list.insert(Lower(value));
  } else if (key == "extended") {
    record->extended = *on;
  } else if (key == "requests") {
    record->requests = *on;
  } else if (key == "responses") {
    record->responses = *on;
  } else {
    record->switches[key] = *on;
  }
}

std::map<std::string, RecordOptions, std::less<>> RecordsOf(const EveLogOption& o) {
  std::map<std::string, RecordOptions, std::less<>> out;
  for (const auto& [name, settings] : o.records) {
    for (const auto& [key, values] : settings) SetRecord(key, values, &out[name]);
  }
  return out;
}

// The same on this host from run to run, and on no other.
std::string MachineSalt() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  file >> id;
  return "sluice" + id;
}

EveOptions MakeOne(const Options& o, const EveLogOption& eve) {
  EveOptions e;
  e.compat = o.compat;
  e.host = o.sensor_name;
  e.sensor_id = o.sensor_id;
  e.types = eve.types;
  e.all_types = eve.all_types;
  e.community_id = eve.community_id;
  e.community_id_seed = static_cast<uint16_t>(eve.community_id_seed);
  e.metadata = eve.metadata;
  e.ethernet = eve.ethernet;
  e.pcap_file = eve.pcap_file;
  e.optional_fields = eve.optional_fields;
  e.short_ipv6 = eve.ipv6 == "compressed";
  e.redacted = eve.redacted;
  e.salt = o.sensor_salt.empty() ? MachineSalt() : o.sensor_salt;
  e.records = RecordsOf(eve);
  e.payload = eve.payload;
  e.payload_printable = eve.payload_printable;
  e.payload_length = eve.payload_length;
  e.payload_limit = static_cast<uint32_t>(std::min<uint64_t>(eve.payload_limit, 1u << 20));
  e.packet = eve.packet;
  e.tagged_packets = eve.tagged_packets;
  e.bodies = eve.bodies;
  e.bodies_printable = eve.bodies_printable;
  e.verdict = eve.verdict;
  e.app_layer = eve.app_layer;
  e.xff = eve.xff;
  e.xff_overwrite = eve.xff_mode == "overwrite";
  e.xff_forward = eve.xff_deployment == "forward";
  e.flow = eve.flow;
  e.rule_metadata = eve.rule_metadata;
  e.raw_rule = eve.raw_rule;
  e.references = eve.references;
  e.drop_all = eve.drop_all;
  e.drop_alerts = eve.drop_alerts;
  e.drop_verdict = eve.drop_verdict;
  e.anomaly_decode = eve.anomaly_decode;
  e.anomaly_stream = eve.anomaly_stream;
  e.anomaly_applayer = eve.anomaly_applayer;
  e.stats_totals = eve.stats_totals;
  e.stats_threads = eve.stats_threads;
  e.stats_deltas = eve.stats_deltas;
  e.stats_zero = eve.stats_zero;
  e.exception_policy = eve.exception_policy;
  return e;
}

}  // namespace

std::vector<EveOptions> Logs::MakeEveOptions(const Options& options) {
  std::vector<EveOptions> all;
  for (const EveLogOption& eve : options.eve_logs) {
    if (eve.enabled) all.push_back(MakeOne(options, eve));
  }
  return all;
}

Result<std::shared_ptr<EngineLog>> OpenEngineLog(const Options& options) {
  std::error_code failure;  // shows when the log cannot be opened
  std::filesystem::create_directories(options.log_dir, failure);
  const Options::EngineLog& o = options.engine_log;
  auto log = EngineLog::Open(PathOf(options, o.file), o.type == "json");
  if (!log) return log;
  (*log)->set_level(o.level == "error"     ? spdlog::level::err
                    : o.level == "warning" ? spdlog::level::warn
                    : o.level == "notice" || o.level == "info" ? spdlog::level::info
                                                               : spdlog::level::debug);
  (*log)->set_pattern("%Y-%m-%dT%H:%M:%S.%e level=%l %v");
  spdlog::default_logger()->sinks().push_back(*log);
  return log;
}

Result<Logs> Logs::Open(const Options& options) {
  std::error_code failure;  // shows when a log cannot be opened
  std::filesystem::create_directories(options.log_dir, failure);
  std::vector<LogSpec> specs;
  for (const EveLogOption& eve : options.eve_logs) {
    if (eve.enabled) specs.push_back(SpecOf(options, eve));
  }
  if (options.fast) specs.push_back(BaseSpec(options, options.fast_file));
  Logs logs;
  logs.has_fast_ = options.fast;
  for (const LogSpec& spec : specs) {
    auto output = OpenLog(spec);
    if (!output) return std::unexpected(output.error());
    logs.outputs_.push_back(std::move(*output));
  }
  if (auto ok = logs.OpenStores(options); !ok) return std::unexpected(ok.error());
  logs.has_packets_ = options.pcap_log.enabled;
  if (!logs.has_packets_) return logs;
  auto opened = PcapLog::Open(PacketSpec(options));
  if (!opened) return std::unexpected(opened.error());
  logs.outputs_.push_back(std::move(*opened));
  return logs;
}

Result<void> Logs::OpenStores(const Options& options) {
  ValueStoreOptions values;
  for (const auto& [name, store] : options.value_stores) {
    if (store.enabled) values.directories[name] = BaseSpec(options, store.directory).path;
  }
  if (!values.directories.empty()) {
    auto opened = ValueStore::Open(values);
    if (!opened) return std::unexpected(opened.error());
    values_ = opened->get();
    outputs_.push_back(std::move(*opened));
  }
  if (!options.file_store.enabled) return {};
  FileStoreOptions store;
  store.directory = BaseSpec(options, options.file_store.directory).path;
  store.max_open_files = options.file_store.max_open_files;
  auto opened = FileStore::Open(store);
  if (!opened) return std::unexpected(opened.error());
  store_ = opened->get();
  outputs_.push_back(std::move(*opened));
  return {};
}

WorkerSinks Logs::SinksOf(const std::vector<RecordSink*>& all) const {
  WorkerSinks sinks;
  sinks.eve = all;
  const auto take = [&sinks] {
    RecordSink* last = sinks.eve.back();
    sinks.eve.pop_back();
    return last;
  };
  if (has_packets_) sinks.packets = take();
  if (store_ != nullptr) sinks.store = take();
  if (values_ != nullptr) sinks.values = take();
  if (has_fast_) sinks.fast = take();
  return sinks;
}

WorkerSinks Logs::Direct() const {
  std::vector<RecordSink*> all;
  for (const auto& output : outputs_) all.push_back(output.get());
  return SinksOf(all);
}

void Logs::StartWriter(size_t producers, size_t queue_bytes, const Catalog& catalog) {
  const size_t types = static_cast<size_t>(RecordType::kProtocol) + catalog.schemas().size();
  std::vector<RecordQueue*> queues;
  for (size_t i = 0; i < producers; ++i) {
    Producer& producer = producers_.emplace_back();
    producer.queue = std::make_unique<RecordQueue>(queue_bytes, types);
    for (size_t output = 0; output < outputs_.size(); ++output) {
      producer.sinks.push_back(
          std::make_unique<QueueSink>(producer.queue.get(), static_cast<uint16_t>(output)));
    }
    queues.push_back(producer.queue.get());
  }
  std::vector<LogOutput*> outputs;
  for (const auto& output : outputs_) outputs.push_back(output.get());
  writer_ = std::make_unique<LogWriter>(std::move(outputs), std::move(queues));
}

WorkerSinks Logs::Queued(size_t producer) const {
  std::vector<RecordSink*> all;
  for (const auto& sink : producers_[producer].sinks) all.push_back(sink.get());
  return SinksOf(all);
}

void Logs::Reopen() {
  if (writer_) return writer_->Reopen();
  for (const auto& output : outputs_) {
    if (auto ok = output->Reopen(); !ok) spdlog::error("{}", ok.error().message);
  }
}

void Logs::Finish() {
  if (writer_) writer_->Stop();
  for (const auto& output : outputs_) output->Flush();
}

void Logs::CollectStoreCounters(NamedCounters* out) const {
  const FileStoreStats& s = store_->stats();
  for (const auto& [name, value] :
       {std::pair{"stored", &s.stored}, {"known", &s.known}, {"dropped", &s.dropped},
        {"incomplete", &s.incomplete}, {"evicted", &s.evicted}, {"fs_errors", &s.fs_errors},
        {"open_files", &s.open_files}, {"open_files_max_hit", &s.open_files_max_hit}}) {
    out->emplace_back(fmt::format("file_store.{}", name), value->load(std::memory_order_relaxed));
  }
}

void Logs::CollectValueCounters(NamedCounters* out) const {
  const ValueStoreStats& s = values_->stats();
  for (const auto& [name, value] : {std::pair{"written", &s.written}, {"bytes", &s.bytes},
                                    {"limited", &s.limited}, {"fs_errors", &s.fs_errors}}) {
    out->emplace_back(fmt::format("value_store.{}", name), value->load(std::memory_order_relaxed));
  }
}

void Logs::CollectCounters(const Catalog& catalog, NamedCounters* out) const {
  uint64_t lines = 0, lost = 0;
  for (const auto& output : outputs_) {
    lines += output->lines();
    lost += output->lines_lost();
  }
  out->emplace_back("log.lines", lines);
  out->emplace_back("log.lines_lost", lost);
  if (store_ != nullptr) CollectStoreCounters(out);
  if (store_ == nullptr) out->emplace_back("file_store.open_files", 0);
  if (values_ != nullptr) CollectValueCounters(out);
  if (producers_.empty()) return;
  for (size_t type = 0; type < producers_[0].queue->num_types(); ++type) {
    const size_t protocol = type - static_cast<size_t>(RecordType::kProtocol);
    const std::string_view name = RecordTypeName(static_cast<RecordType>(type));
    uint64_t sum = 0;
    for (const Producer& producer : producers_) sum += producer.queue->lost(type);
    out->emplace_back(
        fmt::format("log.queue_lost.{}", name.empty() ? catalog.schemas()[protocol]->name : name), sum);
  }
}

}  // namespace sluice
