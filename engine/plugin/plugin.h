// engine/plugin/plugin.h
// One loaded dissector: the only code that calls through the C ABI.
//
// Load() checks the file's trust, the ABI version and every table row; what it
// hands out is complete and within the contract, so that nobody else looks at
// struct_size.  Each call is timed and its answer checked: a plug-in that breaks
// the contract or overruns its time is reported as such and never trusted.
//
// Threads: Load, Init and Fini on the main thread; calls from any worker, which
//   brings the PluginStats that they are counted in.
// Memory: owns the dlopen handle; tables stay valid as long as the Plugin.
#pragma once

#include <sluice/plugin.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace sluice {

struct PluginLoadOptions {
  bool check_trust = true;  // refuse files that others than root or we can write
  Nanos call_budget = std::chrono::milliseconds{20};  // of one callback
};

// Why a call's answer cannot be used.  kNone: it can.
enum class Breach : uint8_t {
  kNone,
  kConsumedTooMuch,  // consumed > input length
  kBadNeeded,        // MORE without a need, or of more than 1 MiB
  kBadStatus,        // a status outside the closed set
  kTooSlow,          // call_budget overrun
  kTooManyCalls,     // asked for call after call without getting through its bytes
  kBadHostCall,      // an id, type or transaction that does not exist
};
inline constexpr size_t kNumBreaches = 7;
const char* BreachName(Breach breach) noexcept;  // as in the counters: "bad_needed"

struct PluginStats {  // one per worker and plug-in, written by the worker
  uint64_t calls = 0;
  uint64_t cycles = 0;
  std::array<uint64_t, kNumBreaches> breaches{};
  void Count(Breach breach) { ++breaches[static_cast<size_t>(breach)]; }
};

struct ParseAnswer {
  int32_t status = SLUICE_PARSE_OK;  // SLUICE_PARSE_*
  uint32_t consumed = 0;
  uint32_t needed = 0;
  Breach breach = Breach::kNone;  // then status is ERROR, unless it was only kTooSlow
};

class Plugin {
 public:
  // kPlugin with "file: fact; remedy" if the ABI is broken, kPermission if the
  // file or its directory is not trusted, kIo if it cannot be opened.
  static Result<std::unique_ptr<Plugin>> Load(const std::string& path,
                                              const PluginLoadOptions& options);
  // The same checks on a struct in this process (tests).
  static Result<std::unique_ptr<Plugin>> FromStruct(const sluice_plugin& exported,
                                                    const std::string& origin,
                                                    const PluginLoadOptions& options);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Calls init; an error names the plug-in and its errno.
  Result<void> Init(const sluice_host& host);
  void Fini() noexcept;

  const sluice_plugin& info() const { return plugin_; }  // every pointer usable
  const std::vector<sluice_field>& fields() const { return fields_; }
  const std::vector<sluice_event>& events() const { return events_; }
  const std::vector<sluice_field_form>& forms() const { return forms_; }
  const std::string& origin() const { return origin_; }

  struct ProbeAnswer {
    int32_t answer = SLUICE_PROBE_NO;  // an answer outside the set is NO
    bool slow = false;                 // it stands all the same
  };
  ProbeAnswer Probe(const sluice_probe_input& input, PluginStats& stats) const noexcept;
  void* NewFlow(sluice_flow* flow, PluginStats& stats) const noexcept;
  void FreeFlow(void* state, PluginStats& stats) const noexcept;
  ParseAnswer Parse(void* state, sluice_flow* flow, Direction direction, Slice in,
                    PluginStats& stats) const noexcept;
  struct GapAnswer {
    bool goes_on = false;
    bool slow = false;
  };
  GapAnswer Gap(void* state, sluice_flow* flow, Direction direction, uint64_t bytes,
                PluginStats& stats) const noexcept;
  void End(void* state, sluice_flow* flow, Direction direction, Slice rest,
           PluginStats& stats) const noexcept;

 private:
  Plugin() = default;
  bool Account(uint64_t start, PluginStats& stats) const noexcept;  // true: too slow

  std::string origin_;
  void* handle_ = nullptr;
  sluice_plugin plugin_{};
  std::vector<sluice_field> fields_;
  std::vector<sluice_event> events_;
  std::vector<sluice_field_form> forms_;
  uint64_t budget_cycles_ = 0;
  bool initialised_ = false;
};

// Every *.so of a directory in name order.  A missing directory is an error; a
// broken plug-in is one message in `problems` and the others load.
Result<std::vector<std::unique_ptr<Plugin>>> LoadPluginDirectory(
    const std::string& directory, const PluginLoadOptions& options, std::vector<Error>* problems);

inline constexpr uint32_t kMaxParseBytes = 1u << 20;  // ABI: parse gets at most this much

}  // namespace sluice
