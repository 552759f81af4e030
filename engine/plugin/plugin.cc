#include "engine/plugin/plugin.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "engine/base/cycles.h"
#include "engine/plugin/check.h"

namespace sluice {
namespace {

constexpr const char* kSymbol = "sluice_plugin_v1";

// Only root and the engine's own user may be able to change what we execute.
Result<void> CheckTrust(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  for (const std::string& name : {path, directory.empty() ? std::string(".") : directory}) {
    struct stat info {};
    if (stat(name.c_str(), &info) != 0) {
      return Fail(Errc::kIo, "{}: {}", name, std::strerror(errno));
    }
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
      return Fail(Errc::kPermission, "{}: owned by uid {}; a plug-in must belong to root or to us",
                  name, info.st_uid);
    }
    if (info.st_mode & (S_IWGRP | S_IWOTH)) {
      return Fail(Errc::kPermission, "{}: others can write it; run: chmod go-w {}", name, name);
    }
  }
  return {};
}

// dlopen() maps what the headers promise: reading past the end of a file that was
// cut short would end the process (SIGBUS).
Result<void> CheckWhole(const std::string& path) {
  std::error_code failure;
  const uint64_t size = std::filesystem::file_size(path, failure);
  std::ifstream file(path, std::ios::binary);
  if (failure || !file) return Fail(Errc::kIo, "{}: cannot be read", path);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) {
    return Fail(Errc::kPlugin, "{}: is no shared library of this system", path);
  }
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    file.read(reinterpret_cast<char*>(&segment), sizeof(segment));
    if (!file || segment.p_offset > size || segment.p_filesz > size - segment.p_offset) {
      return Fail(Errc::kPlugin, "{}: is cut short; copy it again", path);
    }
  }
  return {};
}

}  // namespace

const char* BreachName(Breach breach) noexcept {
  switch (breach) {
    case Breach::kNone: return "none";
    case Breach::kConsumedTooMuch: return "consumed_too_much";
    case Breach::kBadNeeded: return "bad_needed";
    case Breach::kBadStatus: return "bad_status";
    case Breach::kTooSlow: return "too_slow";
    case Breach::kTooManyCalls: return "too_many_calls";
    case Breach::kBadHostCall: return "bad_host_call";
  }
  return "unknown";
}

Result<std::unique_ptr<Plugin>> Plugin::FromStruct(const sluice_plugin& exported,
                                                   const std::string& origin,
                                                   const PluginLoadOptions& options) {
  auto checked = CheckPlugin(exported, origin);
  if (!checked) return std::unexpected(checked.error());
  std::unique_ptr<Plugin> plugin(new Plugin);
  plugin->origin_ = origin;
  plugin->plugin_ = checked->plugin;
  plugin->fields_ = std::move(checked->fields);
  plugin->events_ = std::move(checked->events);
  plugin->forms_ = std::move(checked->forms);
  const auto budget = std::chrono::duration_cast<std::chrono::microseconds>(options.call_budget);
  plugin->budget_cycles_ = static_cast<uint64_t>(budget.count()) * CyclesPerMicrosecond();
  return plugin;
}

Result<std::unique_ptr<Plugin>> Plugin::Load(const std::string& path,
                                             const PluginLoadOptions& options) {
  if (options.check_trust) {
    if (auto ok = CheckTrust(path); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = CheckWhole(path); !ok) return std::unexpected(ok.error());
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return Fail(Errc::kIo, "{}: {}", path, dlerror());
  const auto* exported = static_cast<const sluice_plugin*>(dlsym(handle, kSymbol));
  if (exported == nullptr) {
    dlclose(handle);
    return Fail(Errc::kPlugin, "{}: exports no {}; it is not a plug-in of ABI 1", path, kSymbol);
  }
  auto plugin = FromStruct(*exported, path, options);
  if (!plugin) {
    dlclose(handle);
    return plugin;
  }
  (*plugin)->handle_ = handle;
  return plugin;
}

Plugin::~Plugin() {
  Fini();
  if (handle_ != nullptr) dlclose(handle_);
}

Result<void> Plugin::Init(const sluice_host& host) {
  if (plugin_.init != nullptr) {
    if (const int32_t status = plugin_.init(&host); status != 0) {
      return Fail(Errc::kPlugin, "{}: init of {} failed: {}", origin_, plugin_.name,
                  std::strerror(status < 0 ? -status : status));
    }
  }
  initialised_ = true;
  return {};
}

void Plugin::Fini() noexcept {
  if (initialised_ && plugin_.fini != nullptr) plugin_.fini();
  initialised_ = false;
}

bool Plugin::Account(uint64_t start, PluginStats& stats) const noexcept {
  const uint64_t spent = Cycles() - start;
  ++stats.calls;
  stats.cycles += spent;
  if (spent <= budget_cycles_) return false;
  stats.Count(Breach::kTooSlow);
  return true;
}

Plugin::ProbeAnswer Plugin::Probe(const sluice_probe_input& input,
                                  PluginStats& stats) const noexcept {
  const uint64_t start = Cycles();
  const int32_t answer = plugin_.probe(&input);
  const bool known = answer == SLUICE_PROBE_YES || answer == SLUICE_PROBE_MAYBE;
  return {.answer = known ? answer : SLUICE_PROBE_NO, .slow = Account(start, stats)};
}

void* Plugin::NewFlow(sluice_flow* flow, PluginStats& stats) const noexcept {
  const uint64_t start = Cycles();
  void* state = plugin_.flow_new(flow);
  Account(start, stats);
  return state;
}

void Plugin::FreeFlow(void* state, PluginStats& stats) const noexcept {
  const uint64_t start = Cycles();
  plugin_.flow_free(state);
  Account(start, stats);
}

namespace {

// What of the contract an answer to `len` bytes breaks.
Breach Check(const sluice_parse_result& result, size_t len) {
  if (result.consumed > len) return Breach::kConsumedTooMuch;
  switch (result.status) {
    case SLUICE_PARSE_OK:
    case SLUICE_PARSE_ERROR:
      return Breach::kNone;
    case SLUICE_PARSE_MORE:
      return uint64_t{result.consumed} + result.needed <= len || result.needed > kMaxParseBytes
                 ? Breach::kBadNeeded
                 : Breach::kNone;
    default:
      return Breach::kBadStatus;
  }
}

}  // namespace

ParseAnswer Plugin::Parse(void* state, sluice_flow* flow, Direction direction, Slice in,
                          PluginStats& stats) const noexcept {
  const uint64_t start = Cycles();
  const sluice_parse_result result =
      plugin_.parse(state, flow, static_cast<uint32_t>(direction), {in.data(), in.size()});
  const bool slow = Account(start, stats);
  if (const Breach breach = Check(result, in.size()); breach != Breach::kNone) {
    stats.Count(breach);
    return {.status = SLUICE_PARSE_ERROR, .breach = breach};
  }
  return {.status = result.status, .consumed = result.consumed, .needed = result.needed,
          .breach = slow ? Breach::kTooSlow : Breach::kNone};
}

Plugin::GapAnswer Plugin::Gap(void* state, sluice_flow* flow, Direction direction, uint64_t bytes,
                              PluginStats& stats) const noexcept {
  if (plugin_.gap == nullptr) return {};
  const uint64_t start = Cycles();
  const bool goes_on = plugin_.gap(state, flow, static_cast<uint32_t>(direction), bytes) == 0;
  return {.goes_on = goes_on, .slow = Account(start, stats)};
}

void Plugin::End(void* state, sluice_flow* flow, Direction direction, Slice rest,
                 PluginStats& stats) const noexcept {
  if (plugin_.end == nullptr) return;
  const uint64_t start = Cycles();
  plugin_.end(state, flow, static_cast<uint32_t>(direction), {rest.data(), rest.size()});
  Account(start, stats);
}

Result<std::vector<std::unique_ptr<Plugin>>> LoadPluginDirectory(
    const std::string& directory, const PluginLoadOptions& options, std::vector<Error>* problems) {
  std::error_code failure;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
    if (entry.path().extension() == ".so") paths.push_back(entry.path().string());
  }
  if (failure) {
    return Fail(Errc::kIo, "{}: cannot read the plug-in directory: {}", directory,
                failure.message());
  }
  std::ranges::sort(paths);
  std::vector<std::unique_ptr<Plugin>> plugins;
  for (const std::string& path : paths) {
    auto plugin = Plugin::Load(path, options);
    if (plugin) {
      plugins.push_back(std::move(*plugin));
    } else {
      problems->push_back(plugin.error());
    }
  }
  return plugins;
}

}  // namespace sluice
