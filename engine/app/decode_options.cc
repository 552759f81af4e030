#include "engine/app/decode_options.h"

#include <algorithm>

#include "engine/rules/sets.h"
#include "engine/tap/drop_maps.h"

namespace sluice {
namespace {

// Novak's and Suricata's assignment of systems to policies.
struct OsPolicy {
  std::string_view os;
  FragmentPolicy policy;
};
constexpr OsPolicy kOsPolicies[] = {
    {"windows", FragmentPolicy::kWindows}, {"vista", FragmentPolicy::kWindows},
    {"windows2k3", FragmentPolicy::kWindows}, {"linux", FragmentPolicy::kLinux},
    {"old-linux", FragmentPolicy::kLinux}, {"bsd", FragmentPolicy::kBsd},
    {"hpux10", FragmentPolicy::kBsd}, {"irix", FragmentPolicy::kBsd},
    {"bsd-right", FragmentPolicy::kBsdRight}, {"solaris", FragmentPolicy::kSolaris},
    {"old-solaris", FragmentPolicy::kFirst}, {"hpux11", FragmentPolicy::kFirst},
    {"macos", FragmentPolicy::kFirst}, {"first", FragmentPolicy::kFirst},
    {"last", FragmentPolicy::kLast}};

Result<HostPolicy> ParseHostPolicy(const Options::HostOs& host) {
  const auto it = std::ranges::find(kOsPolicies, host.os, &OsPolicy::os);
  if (it == std::end(kOsPolicies)) {
    return Fail(Errc::kInvalidArgument,
                "host-os-policy.{}: not a known system; windows, linux, bsd, solaris, macos, first "
                "and last are",
                host.os);
  }
  const auto network = ParsePrefix(host.network);
  if (!network) {
    return Fail(Errc::kInvalidArgument, "host-os-policy.{}: {}", host.os, network.error().message);
  }
  return HostPolicy{network->address, network->length, it->policy};
}

Result<TunnelPorts> ParseTunnelPorts(std::string_view name, const Options::Tunnel& tunnel,
                                     const RuleVariables& variables) {
  TunnelPorts out;
  out.enabled = tunnel.enabled;
  out.any = tunnel.ports == "any";
  if (out.any) return out;
  const auto ports = ParsePortSet(tunnel.ports, variables);
  if (!ports) {
    return Fail(Errc::kInvalidArgument, "decode.{}-ports: {}", name, ports.error().message);
  }
  for (uint32_t port = 1; port <= UINT16_MAX; ++port) {
    if (!ports->Contains(static_cast<uint16_t>(port))) continue;
    if (out.count == TunnelPorts::kMax) {
      return Fail(Errc::kInvalidArgument, "decode.{}-ports: {}: at most {} ports, or any", name,
                  tunnel.ports, TunnelPorts::kMax);
    }
    out.ports[out.count++] = static_cast<uint16_t>(port);
  }
  return out;
}

}  // namespace

Result<void> SetDecodeOptions(const Options& o, WorkerOptions* w) {
  w->decode.verify_checksums = o.verify_checksums;
  w->decode.report_ether_type = o.compat >= 8;
  w->decode.max_layers = static_cast<uint8_t>(o.max_layers);
  w->track_recursion = o.track_recursion;
  const struct {
    std::string_view name;
    const Options::Tunnel& tunnel;
    TunnelPorts* out;
  } tunnels[] = {{"teredo", o.teredo, &w->decode.teredo},
                 {"vxlan", o.vxlan, &w->decode.vxlan},
                 {"geneve", o.geneve, &w->decode.geneve}};
  for (const auto& t : tunnels) {
    auto ports = ParseTunnelPorts(t.name, t.tunnel, o.port_vars);
    if (!ports) return std::unexpected(ports.error());
    *t.out = *ports;
  }
  w->defrag.memcap = o.defrag_memcap;
  w->defrag.max_trackers = o.defrag_trackers;
  w->defrag.max_fragments = o.defrag_fragments;
  w->defrag.timeout = std::chrono::seconds{static_cast<int64_t>(o.defrag_timeout)};
  for (const Options::HostOs& host : o.host_os) {
    auto policy = ParseHostPolicy(host);
    if (!policy) return std::unexpected(policy.error());
    w->defrag.host_policies.push_back(*policy);
  }
  return {};
}

}  // namespace sluice
