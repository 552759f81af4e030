// engine/config/options.h
// Everything a user can set, checked; and where it may be set.
//
// Sources, later ones win: built-in defaults, the file (sluice.toml, or a
// suricata.yaml that is imported as far as it is understood), --set, the command
// line.  In sluice.toml an unknown key is an error; in an imported YAML file it
// is ignored and listed.
// Threads: main thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace sluice {

struct PolicyOption {
  std::string match;   // "tcp/80", "udp/*", "default"
  std::string action;  // "inspect", "ignore", "drop"
  uint64_t budget = UINT64_MAX;  // payload bytes per direction
  bool operator==(const PolicyOption&) const = default;
};

// One EVE log: where to, which records, what is in them.
struct EveLogOption {
  bool enabled = true;
  std::string file = "eve.json";
  std::string filetype = "regular";  // unix_stream, unix_dgram, syslog
  std::string syslog_identity = "sluice", syslog_facility = "local5", syslog_level = "info";
  std::set<std::string, std::less<>> types;  // unless all_types
  bool all_types = true;
  bool community_id = true, metadata = true, ethernet = false, pcap_file = false;
  uint64_t community_id_seed = 0;
  std::vector<std::string> optional_fields;  // "protocol.key"
  std::string ipv6 = "full";  // or "compressed"
  // Names of headers and the like whose values records show as a digest.
  std::set<std::string, std::less<>> redacted = {"api-key", "authorization", "cookie", "proxy-authorization",
                                                 "set-cookie", "x-api-key", "x-goog-api-key"};
  // What the records of a dissector show: eve.records.<name>.<key>.  Keys: "compat" (7 or 8,
  // whose form), "requests", "responses" (of transactions with one direction), "extended",
  // a field's name (all true or false); "custom" (a list of fields), a list of the dissector's.
  std::map<std::string, std::map<std::string, std::vector<std::string>>, std::less<>> records;
  // In alerts.
  bool payload = false, payload_printable = false, payload_length = false, packet = false;
  bool bodies = false, bodies_printable = false;
  bool verdict = true, app_layer = true, flow = true;
  bool xff = false;  // the client that a proxy speaks for
  std::string xff_mode = "extra-data", xff_deployment = "reverse";
  bool rule_metadata = true, raw_rule = false, references = false;
  uint64_t payload_limit = 4096;  // bytes
  bool tagged_packets = true;     // packets behind an alert that its rule tags
  // In other records.
  bool drop_all = false, drop_alerts = true, drop_verdict = false;
  bool anomaly_decode = false, anomaly_stream = false, anomaly_applayer = true;
  bool stats_totals = true, stats_threads = false, stats_deltas = false, stats_zero = true;
  bool exception_policy = false;
  bool operator==(const EveLogOption&) const = default;
};

struct Options {
  // What is inspected.
  std::vector<std::string> interfaces;
  uint32_t workers = 1;
  uint64_t ring_bytes = 8u << 20;
  std::string pin_dir = "/run/sluice/bpf";
  std::string control_socket = "/run/sluice/control.sock";
  bool fail_closed = false;
  bool keep_on_exit = false;
  bool busy_poll = false;
  std::vector<PolicyOption> policies;
  std::vector<std::string> never_block;
  std::string attach = "auto";
  Nanos heartbeat_timeout = std::chrono::seconds{1};
  Nanos drop_ttl = std::chrono::minutes{10};
  Nanos block_max_ttl = std::chrono::hours{24};  // guard rails, see engine/verdict/guard.h
  uint32_t block_max = 50'000, block_percent = 10, block_always = 16;
  std::string run_as_user, run_as_group;

  // Rules and dissectors.
  std::vector<std::string> rule_files;
  std::vector<std::string> plugin_dirs;
  std::map<std::string, std::map<std::string, std::string>, std::less<>> plugin_options;
  std::map<std::string, std::string, std::less<>> address_vars, port_vars;
  std::string classification_file, reference_file, threshold_file;
  std::string reputation_categories;          // "": none
  std::vector<std::string> reputation_files;  // below reputation_path, if they are relative
  std::string reputation_path, geo_database;
  bool failure_fatal = false;  // a bad rule or setting ends the start
  uint64_t rules_memory_limit = 0;  // bytes resident while a reload has both; 0: what is free
  uint32_t max_alerts = 15;    // per packet
  std::vector<std::string> action_order;  // pass, drop, reject, alert; empty: in this order
  std::string data_dir = "/var/lib/sluice";  // state that outlives a run
  std::string cache_dir;  // compiled databases; "": none
  uint64_t cache_bytes = 512u << 20;
  bool datasets_allow_write = true, datasets_allow_absolute = false;

  // Flows and streams.
  uint64_t flow_capacity = 1u << 18;
  uint64_t elephant_bytes = 0, elephant_seconds = 10;  // 0 bytes: no flow is one
  uint64_t tcp_new = 60, tcp_established = 600, tcp_closed = 60;  // seconds idle
  uint64_t udp_new = 30, udp_established = 300;
  uint64_t icmp_new = 30, icmp_established = 300;
  bool guess_transaction = false;
  bool midstream = false, async_oneside = false, stream_inline = false;
  uint64_t stream_depth = 1u << 20, stream_memcap = 256u << 20;
  uint64_t stream_chunk_to_server = 2560, stream_chunk_to_client = 2560;
  bool verify_checksums = true;
  bool stream_bypass = false;
  // What to do about what cannot be looked into; "" as exception_policy says.
  std::string exception_policy, midstream_policy, stream_memcap_policy, reassembly_memcap_policy;
  std::string flow_memcap_policy, defrag_memcap_policy, app_layer_error_policy;

  // Decoding and reassembly of fragments.
  struct Tunnel {
    bool enabled = true;
    std::string ports;  // "4789", "[1024,2048]", "$VXLAN_PORTS", "any"
    bool operator==(const Tunnel&) const = default;
  };
  Tunnel teredo{.ports = "$TEREDO_PORTS"}, vxlan{.ports = "$VXLAN_PORTS"}, geneve{.ports = "$GENEVE_PORTS"};
  uint32_t max_layers = 16;
  bool track_recursion = true;
  uint64_t defrag_memcap = 32u << 20;
  uint32_t defrag_trackers = 8192, defrag_fragments = 1024;
  uint64_t defrag_timeout = 60;  // seconds
  struct HostOs {
    std::string os, network;  // "linux", "10.0.0.0/8"
    bool operator==(const HostOs&) const = default;
  };
  std::vector<HostOs> host_os;  // overlap policy by receiver
  std::string overlap_policy = "windows";
  std::string urgent_policy = "oob", urgent_past_limit = "drop";

  // Logs.
  std::string log_dir = ".";
  struct EngineLog {
    bool enabled = false;
    std::string file = "sluice.log";  // below log_dir
    std::string type = "text", level = "debug";  // no more than -v lets through
    bool operator==(const EngineLog&) const = default;
  };
  EngineLog engine_log;
  std::vector<EveLogOption> eve_logs = {EveLogOption{}};  // settings go to the last one
  bool fast = true;
  std::string fast_file = "fast.log";
  uint64_t log_rotate_bytes = 0;   // begin another file past this; 0: never
  uint32_t log_rotate_keep = 5;    // old ones kept
  uint64_t log_queue_bytes = 8u << 20;  // live: records of a worker that wait to be written
  int compat = 8;
  std::string sensor_name;
  uint64_t sensor_id = 0;
  std::string sensor_salt;  // key of those digests; "": the machine's own
  uint64_t stats_interval = 0;  // seconds; 0: only at the end
  uint64_t parts_memcap = 64u << 20, parts_max_file = 16u << 20;  // of files in parts: bytes
  Nanos parts_timeout = std::chrono::seconds{60};
  bool hash_md5 = false, hash_sha1 = false, hash_sha256 = false;  // of files
  bool file_magic = false;
  struct FileStore {
    bool enabled = false, all = false, records = false;
    std::string directory = "filestore";  // below log_dir
    uint64_t depth = UINT64_MAX;          // of streams whose files are kept; 0: all; max: as others
    uint32_t max_open_files = 128;
    bool operator==(const FileStore&) const = default;
  } file_store;
  struct PcapLog {
    bool enabled = false, honor_pass = false;
    std::string filename = "log.pcap";    // below log_dir
    uint64_t file_bytes = 100u << 20, max_files = 0, held_bytes = 16u << 20;
    std::string mode = "normal", conditional = "all", ts_format = "sec";
    bool operator==(const PcapLog&) const = default;
  } pcap_log;
  struct ValueStore {
    bool enabled = false;
    std::string directory = "certs";  // below log_dir
    bool operator==(const ValueStore&) const = default;
  };
  std::map<std::string, ValueStore> value_stores;  // by dissector

  bool simulate_ips = false;
  std::vector<std::string> ignored;  // keys of an imported file that mean nothing here
  bool operator==(const Options&) const = default;
};

// The defaults, with Suricata's usual variables.
Options DefaultOptions();

// Reads `path` by its ending (.toml, .yaml, .yml).  Errors: "file:line: key:
// value: remedy".
Result<void> LoadConfig(const std::string& path, Options* options);
// The same for text that has been read from `path`.
Result<void> ReadConfig(std::string_view text, const std::string& path, Options* options);
// "key=value" in either naming.
Result<void> ApplySetting(const std::string& setting, Options* options);

// For --list-settings, docs and tests.
struct SettingInfo {
  std::string name, suricata_name, help, default_value, range;
};
std::vector<SettingInfo> AllSettings();

// "1024", "64kb", "1mb", "2 GiB"; "10m", "30s", "1h".
Result<bool> ParseBool(const std::string& text);  // yes, true, on, 1; no, false, off, 0
Result<uint64_t> ParseSize(const std::string& text);
Result<Nanos> ParseDuration(const std::string& text);

}  // namespace sluice
