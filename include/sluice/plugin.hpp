// SPDX-License-Identifier: Apache-2.0
// include/sluice/plugin.hpp - a thin C++20 shell over plugin.h.
//
// Write a class with the members below, and export what MakePlugin() makes of it:
//
//   class Memcached {
//    public:
//     explicit Memcached(sluice::Flow flow);
//     static int32_t Probe(const sluice_probe_input& input);  // SLUICE_PROBE_*
//     sluice::ParseResult Parse(sluice::Flow flow, uint32_t direction, sluice::View in);
//     bool Gap(sluice::Flow flow, uint32_t direction, uint64_t bytes);     // optional
//     void End(sluice::Flow flow, uint32_t direction, sluice::View rest);  // optional
//     static int32_t Init();                                               // optional
//     void Restart(sluice::Flow flow);                                     // optional
//   };
//
// With Restart(), which makes of any state that of a new flow, up to 256 states a thread are
// kept for later flows, with the room that their strings and tables have grown to.
//
// Exceptions are turned into SLUICE_PARSE_ERROR, a null flow, or "stop".
// Threads, lifetimes and units: see plugin.h.
#pragma once

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include <sluice/plugin.h>

namespace sluice {

using View = std::string_view;  // borrowed bytes; dies with the call
using ParseResult = sluice_parse_result;

inline View ToView(sluice_slice s) { return {reinterpret_cast<const char*>(s.data), s.len}; }
inline sluice_slice ToSlice(View v) {
  return {reinterpret_cast<const uint8_t*>(v.data()), v.size()};
}

inline ParseResult Ok(size_t consumed) {
  return {SLUICE_PARSE_OK, static_cast<uint32_t>(consumed), 0};
}
// `needed` bytes after `consumed` must be there before the next call helps.
inline ParseResult More(size_t consumed, size_t needed) {
  return {SLUICE_PARSE_MORE, static_cast<uint32_t>(consumed), static_cast<uint32_t>(needed)};
}
inline ParseResult ParseError() { return {SLUICE_PARSE_ERROR, 0, 0}; }

// The host, set once before any flow exists.
inline const sluice_host* host = nullptr;

// A flow handle with typed calls.  A copyable pointer.
class Flow {
 public:
  explicit Flow(sluice_flow* flow) : flow_(flow) {}
  sluice_flow* get() const { return flow_; }

  bool Wanted(uint32_t field) const { return host->wanted(flow_)[field] != 0; }
  uint64_t Begin(uint32_t flags = 0) const { return host->tx_begin(flow_, flags); }
  void Set(uint64_t tx, uint32_t field, View value) const {
    host->set_bytes(flow_, tx, field, ToSlice(value));
  }
  void SetUint(uint64_t tx, uint32_t field, uint64_t value) const {
    host->set_uint(flow_, tx, field, value);
  }
  void SetInt(uint64_t tx, uint32_t field, int64_t value) const {
    host->set_int(flow_, tx, field, value);
  }
  void Chunk(uint64_t tx, uint32_t field, View value, bool last = false) const {
    host->set_chunk(flow_, tx, field, ToSlice(value), last);
  }
  void Open(uint64_t tx, uint32_t group) const { host->log_open(flow_, tx, group); }
  void Close(uint64_t tx) const { host->log_close(flow_, tx); }
  void Stage(uint64_t tx, uint32_t direction, uint32_t stage) const {
    host->tx_stage(flow_, tx, direction, stage);
  }
  void Event(uint64_t tx, uint32_t index) const { host->event(flow_, tx, index); }
  int64_t FileOpen(uint64_t tx, uint32_t direction, View name) const {
    return host->file_open(flow_, tx, direction, ToSlice(name));
  }
  // True if all of the file is wanted, see plugin.h.
  bool FileData(int64_t file, View data) const {
    return host->file_data(flow_, file, ToSlice(data)) > 0;
  }
  void FileGap(int64_t file, uint64_t bytes) const {
    if (SLUICE_HAS(sluice_host, host, file_gap)) host->file_gap(flow_, file, bytes);
  }
  void FileClose(int64_t file, uint32_t flags) const { host->file_close(flow_, file, flags); }
  void Handover(const char* protocol) const { host->handover(flow_, protocol); }
  void Handover(const char* protocol, View context) const {
    if (!SLUICE_HAS(sluice_host, host, handover_with)) return Handover(protocol);
    host->handover_with(flow_, protocol, ToSlice(context));
  }
  void FilePart(int64_t file, View identity, uint64_t offset, uint64_t total) const {
    if (SLUICE_HAS(sluice_host, host, file_part)) host->file_part(flow_, file, ToSlice(identity), offset, total);
  }
  void Encrypted() const {
    if (SLUICE_HAS(sluice_host, host, encrypted)) host->encrypted(flow_);
  }
  void Budget(uint32_t direction, uint32_t mode, uint64_t bytes = 0) const {
    host->budget(flow_, direction, mode, bytes);
  }
  uint64_t Now() const { return host->now(flow_); }
  void Log(uint64_t tx) const { host->tx_log(flow_, tx); }
  // False if nobody will recognise the flow by it, see plugin.h.
  bool Expect(sluice_expectation flow) const {
    flow.struct_size = sizeof(flow);
    return SLUICE_HAS(sluice_host, host, expect) && host->expect(flow_, &flow) == 0;
  }
  // What the flow was announced, or is being handed over with; data() is null if it was not.
  View Context() const { return ToView(Info().context); }
  sluice_flow_info Info() const {
    sluice_flow_info info{};
    info.struct_size = sizeof(info);
    host->flow_info(flow_, &info);
    return info;
  }

 private:
  sluice_flow* flow_;
};

namespace internal {

template <typename T>
int32_t InitThunk(const sluice_host* given) noexcept {
  host = given;
  try {
    if constexpr (requires { T::Init(); }) return T::Init();
    return 0;
  } catch (...) {
    return -EFAULT;
  }
}
template <typename T>
int32_t ProbeThunk(const sluice_probe_input* input) noexcept {
  try {
    return T::Probe(*input);
  } catch (...) {
    return SLUICE_PROBE_NO;
  }
}
template <typename T>
concept Restartable = requires(T t, Flow flow) { t.Restart(flow); };
// States of ended flows, for later ones; the calls of a flow all come from one thread.
template <typename T>
std::vector<std::unique_ptr<T>>& SpareStates() {
  thread_local std::vector<std::unique_ptr<T>> spare;
  return spare;
}
template <typename T>
T* NewState(Flow flow) {
  if constexpr (Restartable<T>) {
    auto& spare = SpareStates<T>();
    if (!spare.empty()) {
      std::unique_ptr<T> state = std::move(spare.back());
      spare.pop_back();
      state->Restart(flow);
      return state.release();
    }
  }
  return new T(flow);
}
template <typename T>
void* NewThunk(sluice_flow* flow) noexcept {
  try {
    return NewState<T>(Flow(flow));
  } catch (...) {
    return nullptr;
  }
}
template <typename T>
void FreeThunk(void* state) noexcept {
  std::unique_ptr<T> owned(static_cast<T*>(state));
  if constexpr (Restartable<T>) {
    constexpr size_t kMostSpare = 256;
    try {
      auto& spare = SpareStates<T>();
      if (spare.size() < kMostSpare) spare.push_back(std::move(owned));
    } catch (...) {  // then it is freed
    }
  }
}
template <typename T>
sluice_parse_result ParseThunk(void* state, sluice_flow* flow, uint32_t direction,
                               sluice_slice in) noexcept {
  try {
    return static_cast<T*>(state)->Parse(Flow(flow), direction, ToView(in));
  } catch (...) {
    return ParseError();
  }
}
template <typename T>
int32_t GapThunk(void* state, sluice_flow* flow, uint32_t direction, uint64_t bytes) noexcept {
  try {
    if constexpr (requires(T t) { t.Gap(Flow(flow), direction, bytes); }) {
      return static_cast<T*>(state)->Gap(Flow(flow), direction, bytes) ? 0 : -1;
    }
  } catch (...) {
  }
  return -1;
}
template <typename T>
void EndThunk(void* state, sluice_flow* flow, uint32_t direction, sluice_slice rest) noexcept {
  try {
    if constexpr (requires(T t) { t.End(Flow(flow), direction, View()); }) {
      static_cast<T*>(state)->End(Flow(flow), direction, ToView(rest));
    }
  } catch (...) {
  }
}

}  // namespace internal

// A plug-in struct whose names and tables are told one by one: see MakePlugin().
struct PluginDescription : sluice_plugin {
  constexpr PluginDescription& Version(const char* text) { return version = text, *this; }
  constexpr PluginDescription& Transports(uint32_t set) { return transports = set, *this; }
  constexpr PluginDescription& LogSource(uint32_t whom) { return log_source = whom, *this; }
  constexpr PluginDescription& Ports(const char* list) { return ports = list, *this; }
  constexpr PluginDescription& Aliases(const char* list) { return aliases = list, *this; }
  constexpr PluginDescription& LogName(const char* text) { return log_name = text, *this; }
  constexpr PluginDescription& RecordTypes(const char* list) { return record_types = list, *this; }
  template <size_t N>
  constexpr PluginDescription& Fields(const sluice_field (&table)[N]) {
    return fields = table, num_fields = N, *this;
  }
  template <size_t N>
  constexpr PluginDescription& Events(const sluice_event (&table)[N]) {
    return events = table, num_events = N, *this;
  }
  template <size_t N>
  constexpr PluginDescription& Forms(const sluice_field_form (&table)[N]) {
    return forms = table, num_forms = N, *this;
  }
  template <size_t N, size_t M>
  constexpr PluginDescription& Stages(const char* const (&to_server)[N],
                                      const char* const (&to_client)[M]) {
    return stages[0] = to_server, num_stages[0] = N, stages[1] = to_client, num_stages[1] = M, *this;
  }
  template <size_t N>
  constexpr PluginDescription& Stages(const char* const (&both)[N]) {
    return Stages(both, both);
  }
};

// The plug-in struct of class T, a TCP dissector without fields yet:
//
//   extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
//       sluice::MakePlugin<Memcached>("memcached", "memcached text protocol")
//           .Version("1.0").Ports("tcp/11211").Fields(kFields).Events(kEvents).Stages(kStages);
template <typename T>
constexpr PluginDescription MakePlugin(const char* name, const char* help) {
  PluginDescription plugin{};
  plugin.struct_size = sizeof(sluice_plugin);
  plugin.abi_minor = SLUICE_ABI_MINOR;
  plugin.name = name;
  plugin.help = help;
  plugin.version = "";
  plugin.transports = SLUICE_TCP;
  plugin.field_size = sizeof(sluice_field);
  plugin.event_size = sizeof(sluice_event);
  plugin.form_size = sizeof(sluice_field_form);
  plugin.init = internal::InitThunk<T>;
  plugin.probe = internal::ProbeThunk<T>;
  plugin.flow_new = internal::NewThunk<T>;
  plugin.flow_free = internal::FreeThunk<T>;
  plugin.parse = internal::ParseThunk<T>;
  plugin.gap = internal::GapThunk<T>;
  plugin.end = internal::EndThunk<T>;
  return plugin;
}

}  // namespace sluice
