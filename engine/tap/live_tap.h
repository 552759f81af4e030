// engine/tap/live_tap.h
// The live tap: loads the TC programs or adopts running ones, attaches them to interfaces, and
// reads the rings.
//
// Threads: Create, Close, Sweep, SetPolicies and Counters on one control thread.  A RingReader and a
//   FlowControl belong to one worker each.  Heartbeat() from any thread.
// Memory: Create() makes every map and ring; later nothing is allocated.
// Privileges: Create() needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; afterwards nothing does but
//   Close(kDetach) and a mount of bpffs.
// Pins: everything stays under pin_dir (a bpffs of its own is mounted there if need be):
//   drops-v<N>/     drop maps and never-block list, see drop_maps.h
//   tap-v<N>-<hash>/ flows, rings, policy, counters, links; <hash> covers number and size of maps
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "bpf/shared/tap_abi.h"
#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/decode/packet.h"
#include "engine/tap/drop_maps.h"
#include "engine/tap/flow_control.h"

namespace sluice {

// What the kernel does with new flows.  The most specific entry decides: the guess of the protocol
// once it is known, the destination port, the source port, any port of the IP protocol, the default.
struct TapPolicy {
  enum class Kind : uint8_t { kPort, kGuess, kDefault };       // enum tap_policy_kind
  enum class Action : uint8_t { kIgnore, kInspect, kDrop };    // enum tap_policy_action

  Kind kind = Kind::kDefault;
  uint8_t ip_protocol = 0;  // kPort
  uint16_t value = 0;       // kPort: port or 0 for any; kGuess: enum tap_guess
  Action action = Action::kInspect;
  uint64_t budget_to_server = TAP_BUDGET_ALL;  // payload bytes, kInspect
  uint64_t budget_to_client = TAP_BUDGET_ALL;
};
// Everything inspected: TCP and UDP without limit, other IP protocols 4 KiB per direction and peer.
std::vector<TapPolicy> DefaultTapPolicies();

enum class FailMode : uint8_t { kOpen, kClosed };  // enum tap_fail_mode
enum class PollMode : uint8_t {
  kNap,   // 50 us naps while busy, asleep after about 2 ms without traffic
  kBusy,  // never sleeps: a core per worker, lowest latency
};

struct LiveTapOptions {
  std::vector<std::string> interfaces;
  uint32_t num_workers = 1;              // 1 .. 256
  uint32_t ring_bytes = 8u << 20;        // per worker; power of two, 64 KiB .. 1 GiB
  uint32_t max_flows = 1u << 18;         // kernel flow entries, about 300 B each
  uint32_t max_flow_drops = 1u << 16;
  uint32_t max_prefix_drops = 1u << 17;  // sources and destinations, each
  std::string pin_dir = "/run/sluice/bpf";
  std::vector<TapPolicy> policies = DefaultTapPolicies();
  FailMode fail_mode = FailMode::kOpen;
  Nanos heartbeat_timeout = std::chrono::milliseconds{1000};
  PollMode poll_mode = PollMode::kNap;
  uint32_t bypass_mark = TAP_DEFAULT_MARK;  // SO_MARK of packets we inject ourselves
  bool ignore_vlan = false;                 // VLAN ids do not separate flows
  bool force_clsact = false;                // for tests: as on a kernel without TCX
};

using TapCounters = std::array<uint64_t, TAP_COUNTER_MAX>;  // indexed by enum tap_counter

struct InterfaceStatus {
  std::string name;
  uint32_t ifindex = 0;
  bool tcx = false;      // else clsact
  bool adopted = false;  // the link was there before us
  bool loopback = false; // ingress only: each packet passes twice there
  bool raw = false;      // no link header: tun, WireGuard, IP tunnels
};

// How the data of a packet's record begins.
LinkType LinkTypeOf(const tap_record& record) noexcept;

// Reads one ring.  Records are delivered in the kernel's order, at least once: after a crash those
// not yet consumed come again.
class RingReader {
 public:
  static constexpr size_t kMaxRecords = 256;  // per Poll()

  RingReader(RingReader&&) noexcept;
  RingReader& operator=(RingReader&&) noexcept;
  ~RingReader();

  // Hands up to kMaxRecords records to `on_record(const tap_record&)` and returns how many.  With
  // none there waits, at most `max_wait`, as poll_mode says.  A record lives as long as its call.
  template <typename OnRecord>
  size_t Poll(Nanos max_wait, OnRecord&& on_record) {
    return PollWith(
        max_wait, [](void* context, const tap_record& record) {
          (*static_cast<std::remove_reference_t<OnRecord>*>(context))(record);
        },
        const_cast<void*>(static_cast<const void*>(std::addressof(on_record))));
  }
  // Bytes waiting in the ring.
  uint64_t Backlog() const noexcept;

  struct Impl;  // private to engine/tap

 private:
  friend class LiveTap;
  using Callback = void (*)(void* context, const tap_record& record);
  explicit RingReader(std::unique_ptr<Impl> impl);
  size_t PollWith(Nanos max_wait, Callback callback, void* context);
  std::unique_ptr<Impl> impl_;
};

// What to add to tap_record.time_ns to get time since the epoch.  Reads two clocks: once a second,
// outside the packet path.
Nanos MonotonicToWall() noexcept;

struct SweepOptions {
  Nanos idle_tcp = std::chrono::seconds{300};
  Nanos idle_other = std::chrono::seconds{60};
  Nanos closed = std::chrono::seconds{5};  // after RST or both FINs
  bool all = false;                        // end every flow now
};
struct SweepStats {
  uint32_t seen = 0, ended = 0, kept = 0, drops_expired = 0;
};

class LiveTap {
 public:
  enum class OnClose { kDetach, kKeep };

  // Loads, pins and attaches; adopts what an earlier run left if number and size of maps agree, else
  // replaces it (drop maps are kept in any case).  Errors name interface or option and the remedy.
  static Result<std::unique_ptr<LiveTap>> Create(const LiveTapOptions& options);
  ~LiveTap();  // Close(kKeep) unless closed

  RingReader& reader(uint32_t worker) noexcept;
  FlowControl& flow_control(uint32_t worker) noexcept;
  DropMaps& drops() noexcept;

  // Tells the kernel that the engine lives; at least twice per heartbeat_timeout.
  void Heartbeat() noexcept;
  Result<TapCounters> Counters() const;
  // Replaces the policy; running flows look again at their next packet.
  Result<void> SetPolicies(const std::vector<TapPolicy>& policies);
  // Ends idle and closed flows: each is reported in its ring as TAP_RECORD_FLOW_END.
  Result<SweepStats> Sweep(const SweepOptions& options);
  // The kernel's state of a flow, as a copy; kNotFound if it has none.
  Result<tap_flow> Flow(const tap_flow_key& key) const;

  const std::vector<InterfaceStatus>& interfaces() const noexcept;
  // The classifier of a direction (TAP_INGRESS, TAP_EGRESS), to run it on packets of one's own.
  int program_fd(int direction) const noexcept;
  // Directory of this layout's pins.
  const std::string& pin_path() const noexcept;
  // kDetach removes programs and pins of this tap (the drop maps' pins stay, without effect);
  // kKeep leaves all running: drops stay enforced, records wait in the rings.
  Result<void> Close(OnClose on_close);

 private:
  struct Impl;
  explicit LiveTap(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Name and help of a counter, for status and metrics.
const char* TapCounterName(tap_counter counter) noexcept;
const char* TapCounterHelp(tap_counter counter) noexcept;

// Whether this kernel attaches TCX links; kPermission without CAP_NET_ADMIN.
Result<bool> TcxAvailable();

// For `status` without an engine: counters of whichever tap is pinned below pin_dir.
Result<TapCounters> ReadPinnedCounters(const std::string& pin_dir);
// What runs in the kernel, engine or not; bpftool and tc do not list TCX programs.
struct PinnedStatus {
  TapCounters counters{};
  std::vector<InterfaceStatus> interfaces;  // by TCX link; empty name: the interface is gone
  uint32_t num_workers = 0;
  FailMode fail_mode = FailMode::kOpen;
  Nanos heartbeat_age{};                    // since the engine's last sign of life
  bool engine_alive = false;                // heartbeat_age is within the time-out
};
Result<PinnedStatus> ReadPinnedStatus(const std::string& pin_dir);
// Detaches and removes every pin below pin_dir, drop maps included.  For `uninstall` and tests.
Result<void> RemoveAllPins(const std::string& pin_dir);

}  // namespace sluice
