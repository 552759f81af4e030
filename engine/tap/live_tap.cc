#include "engine/tap/live_tap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <linux/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "engine/decode/ip_protocol.h"
#include "engine/tap/bpffs.h"
#include "engine/tap/tap_impl.h"

// The skeleton's structs use the kernel's short names.
using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
#include "tap.skel.h"

namespace sluice {
namespace {

// linux/bpf.h of Debian 12 has no TCX yet.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr uint32_t kClsactHandle = 0x736c;  // "sl": ours among the filters of others
constexpr uint32_t kClsactPriority = 0x736c;
constexpr uint32_t kMaxWorkers = 256;
constexpr uint64_t kOtherProtocolBudget = 4096;  // bytes per direction

const char* const kDropMaps[] = {"drop_flows", "drop_sources", "drop_destinations", "never_block",
                                 "drop_control"};
const char* const kTapMaps[] = {"tap_config",    "tap_counters", "tap_flows",   "tap_policies",
                                "tap_fragments", "tap_rings",    "tap_sleepers"};

struct SkeletonDeleter {
  void operator()(tap_bpf* skeleton) const { tap_bpf__destroy(skeleton); }
};

// Covers everything that makes maps of an earlier run unfit for adoption.
std::string LayoutName(const LiveTapOptions& options) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const uint32_t value : {options.num_workers, options.ring_bytes, options.max_flows,
                               uint32_t{TAP_COUNTER_MAX}, uint32_t{sizeof(tap_flow)}}) {
    for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (value >> shift & 0xff)) * 16777619u;
  }
  return fmt::format("tap-v{}-{:08x}", TAP_ABI_VERSION, hash);
}

Result<void> CheckOptions(const LiveTapOptions& options) {
  if (options.num_workers < 1 || options.num_workers > kMaxWorkers) {
    return Fail(Errc::kInvalidArgument, "num_workers: {}: must be 1 .. {}", options.num_workers,
                kMaxWorkers);
  }
  if (!std::has_single_bit(options.ring_bytes) || options.ring_bytes < (64u << 10) ||
      options.ring_bytes > (1u << 30)) {
    return Fail(Errc::kInvalidArgument,
                "ring_bytes: {}: must be a power of two, 64 KiB .. 1 GiB", options.ring_bytes);
  }
  if (options.max_flows < 64) {
    return Fail(Errc::kInvalidArgument, "max_flows: {}: must be 64 or more", options.max_flows);
  }
  if (options.pin_dir.empty() || options.pin_dir[0] != '/') {
    return Fail(Errc::kInvalidArgument, "pin_dir: '{}': must be an absolute path",
                options.pin_dir);
  }
  return {};
}

int Quiet(libbpf_print_level level, const char* format, va_list args) {
  if (level != LIBBPF_WARN || std::getenv("SLUICE_BPF_DEBUG") == nullptr) return 0;
  return std::vfprintf(stderr, format, args);
}

// The size of an existing pin wins: drops outlast a change of the option.
void AdoptSize(bpf_map* map, const std::string& path) {
  const FileDescriptor pinned(bpf_obj_get(path.c_str()));
  if (!pinned) return;
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(pinned.get(), &info, &size) == 0) {
    bpf_map__set_max_entries(map, info.max_entries);
  }
}

// Fills in what the interface is; an error if its packets begin with what the programs do not know.
Result<void> ReadLinkType(InterfaceStatus& status) {
  const FileDescriptor socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, status.name.c_str(), IFNAMSIZ - 1);
  if (ioctl(socket_fd.get(), SIOCGIFHWADDR, &request) != 0) {
    return Fail(ErrnoCode(errno), "{}: its link type cannot be read: {}", status.name, ErrnoText(errno));
  }
  const unsigned type = request.ifr_hwaddr.sa_family;
  constexpr unsigned kRaw[] = {ARPHRD_NONE, ARPHRD_RAWIP, ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE};
  status.loopback = type == ARPHRD_LOOPBACK;
  status.raw = std::ranges::find(kRaw, type) != std::end(kRaw);
  if (type == ARPHRD_ETHER || status.loopback || status.raw) return {};
  return Fail(Errc::kInvalidArgument, "{}: link type {} is not supported; Ethernet and IP without a link header are",
              status.name, type);
}

uint32_t IfIndex(const std::string& name) { return if_nametoindex(name.c_str()); }

// What bpf_prog_test_run needs for a SEC("syscall") program.
template <typename Context>
int RunProgram(const bpf_program* program, Context& context) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &context, .ctx_size_in = sizeof(context));
  return bpf_prog_test_run_opts(bpf_program__fd(program), &options);
}

Result<TapCounters> SumCounters(int fd) {
  const int num_cpus = libbpf_num_possible_cpus();
  if (num_cpus <= 0) return Fail(Errc::kIo, "tap_counters: number of CPUs unknown");
  std::vector<uint64_t> values(static_cast<size_t>(num_cpus));
  TapCounters counters{};
  for (uint32_t i = 0; i < TAP_COUNTER_MAX; ++i) {
    if (bpf_map_lookup_elem(fd, &i, values.data()) != 0) {
      return Fail(ErrnoCode(errno), "tap_counters: cannot be read: {}", ErrnoText(errno));
    }
    for (const uint64_t value : values) counters[i] += value;
  }
  return counters;
}

void DetachClsact(uint32_t ifindex) {
  for (const auto point : {BPF_TC_INGRESS, BPF_TC_EGRESS}) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = point);
    LIBBPF_OPTS(bpf_tc_opts, which, .handle = kClsactHandle, .priority = kClsactPriority);
    bpf_tc_detach(&hook, &which);
  }
}

// Names of our clsact filters are not pinned: look at every interface of this namespace.
void DetachClsactEverywhere() {
  struct if_nameindex* all = if_nameindex();
  if (all == nullptr) return;
  for (const struct if_nameindex* at = all; at->if_index != 0; ++at) DetachClsact(at->if_index);
  if_freenameindex(all);
}

// Detaches at once: a mere unlink lets the program run on until a kernel worker gets to it.
void RemoveLink(const std::string& pin) {
  const FileDescriptor link(bpf_obj_get(pin.c_str()));
  if (link) bpf_link_detach(link.get());
  unlink(pin.c_str());
}

Result<void> RemoveTapDirectory(const std::string& path) {
  for (const std::string& name : ListDirectory(path, "link_")) RemoveLink(path + "/" + name);
  return RemovePinDirectory(path);
}

Result<std::string> FindTapDirectory(const std::string& pin_dir) {
  const auto names = ListDirectory(pin_dir, fmt::format("tap-v{}-", TAP_ABI_VERSION));
  if (names.empty()) return Fail(Errc::kNotFound, "{}: no tap is pinned here", pin_dir);
  return pin_dir + "/" + names.front();
}

}  // namespace

std::vector<TapPolicy> DefaultTapPolicies() {
  using Kind = TapPolicy::Kind;
  using Action = TapPolicy::Action;
  return {
      {.kind = Kind::kPort, .ip_protocol = kTcp, .value = 0, .action = Action::kInspect},
      {.kind = Kind::kPort, .ip_protocol = kUdp, .value = 0, .action = Action::kInspect},
      {.kind = Kind::kDefault, .action = Action::kInspect,
       .budget_to_server = kOtherProtocolBudget, .budget_to_client = kOtherProtocolBudget},
  };
}

struct LiveTap::Impl {
  LiveTapOptions options;
  std::string path;  // of this layout's pins
  std::unique_ptr<tap_bpf, SkeletonDeleter> skeleton;
  Mapping config_map, sleepers_map, requests_map;
  std::vector<RingReader> readers;
  std::vector<FlowControl> controls;
  std::optional<DropMaps> drops;
  std::vector<InterfaceStatus> interfaces;
  std::vector<std::pair<uint32_t, FileDescriptor>> links;  // attached by us: ifindex
  bool closed = false;

  tap_config& config() const { return *static_cast<tap_config*>(config_map.data()); }
  Result<void> Open();
  Result<void> PinMaps();
  Result<void> Configure();
  Result<void> OpenRings();
  Result<FileDescriptor> OpenRing(uint32_t index);
  Result<void> SetPolicies(const std::vector<TapPolicy>& policies);
  Result<void> Attach();
  Result<void> AttachOne(const std::string& name);
  Result<bool> AttachTcx(InterfaceStatus& status, bool egress);
  Result<void> AttachClsact(const InterfaceStatus& status);
  void RemoveStale();
  void UndoAttach();
  bpf_program* program(bool egress, bool raw) const {
    const auto& all = skeleton->progs;
    if (raw) return egress ? all.tap_raw_egress : all.tap_raw_ingress;
    return egress ? all.tap_egress : all.tap_ingress;
  }
};

// Sizes first, then pins: libbpf adopts what is pinned, if its parameters agree.
Result<void> LiveTap::Impl::PinMaps() {
  auto& maps = skeleton->maps;
  bpf_map__set_max_entries(maps.tap_flows, options.max_flows);
  bpf_map__set_max_entries(maps.tap_rings, options.num_workers);
  bpf_map__set_max_entries(maps.tap_sleepers, options.num_workers);
  bpf_map__set_max_entries(maps.tap_requests, options.num_workers * TAP_BATCH);
  bpf_map__set_max_entries(maps.drop_flows, options.max_flow_drops);
  bpf_map__set_max_entries(maps.drop_sources, options.max_prefix_drops);
  bpf_map__set_max_entries(maps.drop_destinations, options.max_prefix_drops);
  const std::string drops_path = DropsPath(options.pin_dir);
  for (const std::string& dir : {drops_path, path}) {
    if (auto made = MakeDirectory(dir); !made) return made;
  }
  for (const char* name : kDropMaps) {
    bpf_map* map = bpf_object__find_map_by_name(skeleton->obj, name);
    const std::string pin = drops_path + "/" + name;
    AdoptSize(map, pin);
    bpf_map__set_pin_path(map, pin.c_str());
  }
  for (const char* name : kTapMaps) {
    bpf_map* map = bpf_object__find_map_by_name(skeleton->obj, name);
    bpf_map__set_pin_path(map, (path + "/" + name).c_str());
  }
  return {};
}

Result<void> LiveTap::Impl::Open() {
  libbpf_set_print(Quiet);
  if (auto mounted = EnsureBpffs(options.pin_dir); !mounted) return mounted;
  path = options.pin_dir + "/" + LayoutName(options);
  skeleton.reset(tap_bpf__open());
  if (!skeleton) return Fail(ErrnoCode(errno), "tap: object refused: {}", ErrnoText(errno));
  if (auto pinned = PinMaps(); !pinned) return pinned;
  if (const int error = tap_bpf__load(skeleton.get()); error != 0) {
    return Fail(ErrnoCode(-error),
                "tap: the kernel refused the programs: {}; SLUICE_BPF_DEBUG=1 shows why",
                ErrnoText(-error));
  }
  return {};
}

Result<void> LiveTap::Impl::SetPolicies(const std::vector<TapPolicy>& policies) {
  const int fd = bpf_map__fd(skeleton->maps.tap_policies);
  std::vector<uint32_t> wanted;
  for (const TapPolicy& policy : policies) {
    tap_policy_key key{.kind = static_cast<uint8_t>(policy.kind), .protocol = policy.ip_protocol,
                       .value = policy.value};
    if (policy.kind != TapPolicy::Kind::kPort) key.protocol = 0;
    if (policy.kind == TapPolicy::Kind::kDefault) key.value = 0;
    tap_policy value{};
    value.budget[0] = policy.budget_to_server;
    value.budget[1] = policy.budget_to_client;
    value.action = static_cast<uint32_t>(policy.action);
    if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) != 0) {
      return Fail(ErrnoCode(errno), "tap_policies: entry not added: {}", ErrnoText(errno));
    }
    wanted.push_back(std::bit_cast<uint32_t>(key));
  }
  uint32_t key = 0, next = 0;
  std::vector<uint32_t> stale;
  for (const uint32_t* at = nullptr; bpf_map_get_next_key(fd, at, &next) == 0; at = &key) {
    key = next;
    if (std::find(wanted.begin(), wanted.end(), key) == wanted.end()) stale.push_back(key);
  }
  for (const uint32_t old : stale) bpf_map_delete_elem(fd, &old);
  __atomic_add_fetch(&config().generation, 1, __ATOMIC_SEQ_CST);
  return {};
}

// Maps what is shared with the kernel, and configures before anything is attached.
Result<void> LiveTap::Impl::Configure() {
  const auto map = [](bpf_map* which, size_t bytes, Mapping& into) -> Result<void> {
    auto mapped = Mapping::Map(bpf_map__fd(which), bytes, true, 0, bpf_map__name(which));
    if (!mapped) return std::unexpected(mapped.error());
    into = std::move(*mapped);
    return {};
  };
  const auto& maps = skeleton->maps;
  if (auto ok = map(maps.tap_config, sizeof(tap_config), config_map); !ok) return ok;
  if (auto ok = map(maps.tap_sleepers, options.num_workers * sizeof(tap_sleeping), sleepers_map);
      !ok) {
    return ok;
  }
  if (auto ok = map(maps.tap_requests, size_t{options.num_workers} * TAP_BATCH * sizeof(tap_request),
                    requests_map);
      !ok) {
    return ok;
  }
  tap_config& shared = config();
  shared.heartbeat_timeout_ns = static_cast<uint64_t>(options.heartbeat_timeout.count());
  shared.fail_mode = static_cast<uint32_t>(options.fail_mode);
  shared.bypass_mark = options.bypass_mark;
  shared.flags = options.ignore_vlan ? TAP_CONFIG_IGNORE_VLAN : 0;
  __atomic_store_n(&shared.heartbeat_ns, static_cast<uint64_t>(MonotonicNow().count()),
                   __ATOMIC_SEQ_CST);
  return SetPolicies(options.policies);
}

Result<FileDescriptor> LiveTap::Impl::OpenRing(uint32_t index) {
  const std::string pin = fmt::format("{}/ring_{}", path, index);
  FileDescriptor ring(bpf_obj_get(pin.c_str()));
  if (ring) return ring;
  ring = FileDescriptor(
      bpf_map_create(BPF_MAP_TYPE_RINGBUF, "tap_ring", 0, 0, options.ring_bytes, nullptr));
  if (!ring) {
    return Fail(ErrnoCode(errno), "ring {}: cannot be made: {}; lower ring_bytes", index,
                ErrnoText(errno));
  }
  const int fd = ring.get();
  if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.tap_rings), &index, &fd, BPF_ANY) != 0 ||
      bpf_obj_pin(fd, pin.c_str()) != 0) {
    return Fail(ErrnoCode(errno), "{}: cannot be pinned: {}", pin, ErrnoText(errno));
  }
  return ring;
}

Result<void> LiveTap::Impl::OpenRings() {
  auto* sleepers = static_cast<tap_sleeping*>(sleepers_map.data());
  auto* requests = static_cast<tap_request*>(requests_map.data());
  for (uint32_t i = 0; i < options.num_workers; ++i) {
    auto ring = OpenRing(i);
    if (!ring) return std::unexpected(ring.error());
    auto reader = RingReader::Impl::Open(std::move(*ring), options.ring_bytes, &sleepers[i].value,
                                         options.poll_mode);
    if (!reader) return std::unexpected(reader.error());
    readers.push_back(RingReader(std::move(*reader)));
    auto control = std::make_unique<FlowControl::Impl>();
    control->apply_fd = bpf_program__fd(skeleton->progs.tap_apply);
    control->first = i * TAP_BATCH;
    control->requests = requests + control->first;
    controls.push_back(FlowControl(std::move(control)));
  }
  // Rings before packets: the program passes everything while there are none.
  __atomic_store_n(&config().num_rings, options.num_workers, __ATOMIC_SEQ_CST);
  return {};
}

// False: this kernel has no TCX.
Result<bool> LiveTap::Impl::AttachTcx(InterfaceStatus& status, bool egress) {
  const uint32_t ifindex = status.ifindex;
  const std::string pin = fmt::format("{}/link_{}_{}", path, ifindex, egress ? "egress" : "ingress");
  const int prog = bpf_program__fd(program(egress, status.raw));
  FileDescriptor link(bpf_obj_get(pin.c_str()));
  if (link) {
    if (bpf_link_update(link.get(), prog, nullptr) == 0) {
      status.adopted = true;
      links.emplace_back(ifindex, std::move(link));
      return true;
    }
    unlink(pin.c_str());  // its interface is gone; another has the number now
  }
  link = FileDescriptor(bpf_link_create(prog, static_cast<int>(ifindex),
                                        egress ? kTcxEgress : kTcxIngress, nullptr));
  if (!link) {
    if (errno == EINVAL || errno == EOPNOTSUPP) return false;
    return Fail(ErrnoCode(errno), "interface {}: TCX attach failed: {}", ifindex,
                ErrnoText(errno));
  }
  if (bpf_obj_pin(link.get(), pin.c_str()) != 0) {
    return Fail(ErrnoCode(errno), "{}: cannot be pinned: {}", pin, ErrnoText(errno));
  }
  links.emplace_back(ifindex, std::move(link));
  return true;
}

Result<void> LiveTap::Impl::AttachClsact(const InterfaceStatus& status) {
  const std::string& name = status.name;
  for (const bool egress : {false, true}) {
    if (egress && status.loopback) continue;
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(status.ifindex),
                .attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
    const int created = bpf_tc_hook_create(&hook);
    if (created != 0 && created != -EEXIST) {
      return Fail(ErrnoCode(-created), "{}: clsact cannot be made: {}", name, ErrnoText(-created));
    }
    hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
    LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = bpf_program__fd(program(egress, status.raw)),
                .flags = BPF_TC_F_REPLACE, .handle = kClsactHandle, .priority = kClsactPriority);
    if (const int error = bpf_tc_attach(&hook, &filter); error != 0) {
      return Fail(ErrnoCode(-error), "{}: clsact attach failed: {}", name, ErrnoText(-error));
    }
  }
  return {};
}

Result<void> LiveTap::Impl::AttachOne(const std::string& name) {
  InterfaceStatus status;
  status.name = name;
  status.ifindex = IfIndex(name);
  if (status.ifindex == 0) {
    return Fail(Errc::kNotFound, "{}: no such interface; `ip link` lists them", name);
  }
  if (auto known = ReadLinkType(status); !known) return known;
  if (!options.force_clsact) {
    auto ingress = AttachTcx(status, false);
    if (!ingress) return std::unexpected(ingress.error());
    status.tcx = *ingress;
    if (*ingress && !status.loopback) {
      auto egress = AttachTcx(status, true);
      if (!egress) return std::unexpected(egress.error());
      status.tcx = *egress;
    }
  }
  if (!status.tcx) {
    if (auto attached = AttachClsact(status); !attached) return attached;
  }
  interfaces.push_back(status);
  return {};
}

Result<void> LiveTap::Impl::Attach() {
  for (const std::string& name : options.interfaces) {
    if (auto attached = AttachOne(name); !attached) return attached;
  }
  RemoveStale();
  return {};
}

// Only now that ours are in place: taps of another layout, and links of interfaces no longer asked
// for.  In between both run; the worst of it is a packet counted twice.
void LiveTap::Impl::RemoveStale() {
  const std::string own = path.substr(path.rfind('/') + 1);
  for (const std::string& name : ListDirectory(options.pin_dir, "tap-v")) {
    if (name != own) (void)RemoveTapDirectory(options.pin_dir + "/" + name);
  }
  for (const std::string& name : ListDirectory(path, "link_")) {
    const bool wanted = std::any_of(interfaces.begin(), interfaces.end(), [&](const auto& status) {
      return status.tcx && name.starts_with(fmt::format("link_{}_", status.ifindex));
    });
    if (!wanted) RemoveLink(path + "/" + name);
  }
}

// After a failed start: what ran before us goes on running, what we attached does not.
void LiveTap::Impl::UndoAttach() {
  bool adopted = false;
  for (const InterfaceStatus& status : interfaces) {
    adopted = adopted || status.adopted;
    if (!status.tcx) DetachClsact(status.ifindex);
  }
  if (!adopted) (void)RemoveTapDirectory(path);
}

LiveTap::LiveTap(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

LiveTap::~LiveTap() { (void)Close(OnClose::kKeep); }

Result<std::unique_ptr<LiveTap>> LiveTap::Create(const LiveTapOptions& options) {
  if (auto checked = CheckOptions(options); !checked) return std::unexpected(checked.error());
  for (const std::string& name : options.interfaces) {  // before anything is made
    if (IfIndex(name) == 0) {
      return Fail(Errc::kNotFound, "{}: no such interface; `ip link` lists them", name);
    }
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->readers.reserve(options.num_workers);
  impl->controls.reserve(options.num_workers);
  if (auto ok = impl->Open(); !ok) return std::unexpected(ok.error());
  if (auto ok = impl->Configure(); !ok) return std::unexpected(ok.error());
  if (auto ok = impl->OpenRings(); !ok) return std::unexpected(ok.error());
  auto drops = DropMaps::Open(options.pin_dir);
  if (!drops) return std::unexpected(drops.error());
  impl->drops = std::move(*drops);
  if (auto ok = impl->Attach(); !ok) {
    impl->UndoAttach();
    return std::unexpected(ok.error());
  }
  return std::unique_ptr<LiveTap>(new LiveTap(std::move(impl)));
}

RingReader& LiveTap::reader(uint32_t worker) noexcept { return impl_->readers[worker]; }
FlowControl& LiveTap::flow_control(uint32_t worker) noexcept { return impl_->controls[worker]; }
DropMaps& LiveTap::drops() noexcept { return *impl_->drops; }

void LiveTap::Heartbeat() noexcept {
  __atomic_store_n(&impl_->config().heartbeat_ns, static_cast<uint64_t>(MonotonicNow().count()),
                   __ATOMIC_RELAXED);
}

Result<TapCounters> LiveTap::Counters() const {
  return SumCounters(bpf_map__fd(impl_->skeleton->maps.tap_counters));
}

Result<void> LiveTap::SetPolicies(const std::vector<TapPolicy>& policies) {
  return impl_->SetPolicies(policies);
}

Result<SweepStats> LiveTap::Sweep(const SweepOptions& options) {
  tap_sweep_run run{};
  run.now_ns = static_cast<uint64_t>(MonotonicNow().count());
  run.idle_tcp_ns = static_cast<uint64_t>(options.idle_tcp.count());
  run.idle_other_ns = static_cast<uint64_t>(options.idle_other.count());
  run.closed_ns = static_cast<uint64_t>(options.closed.count());
  run.all = options.all;
  if (RunProgram(impl_->skeleton->progs.tap_sweep, run) != 0) {
    return Fail(ErrnoCode(errno), "tap_sweep: did not run: {}", ErrnoText(errno));
  }
  return SweepStats{run.seen, run.ended, run.kept, run.drops_expired};
}

Result<tap_flow> LiveTap::Flow(const tap_flow_key& key) const {
  tap_flow flow{};
  if (bpf_map_lookup_elem(bpf_map__fd(impl_->skeleton->maps.tap_flows), &key, &flow) != 0) {
    return Fail(ErrnoCode(errno), "tap_flows: no such flow");
  }
  return flow;
}

const std::vector<InterfaceStatus>& LiveTap::interfaces() const noexcept {
  return impl_->interfaces;
}
int LiveTap::program_fd(int direction) const noexcept {
  return bpf_program__fd(impl_->program(direction == TAP_EGRESS, false));
}
const std::string& LiveTap::pin_path() const noexcept { return impl_->path; }

Result<void> LiveTap::Close(OnClose on_close) {
  if (impl_->closed) return {};
  impl_->closed = true;
  if (on_close == OnClose::kKeep) return {};
  for (const InterfaceStatus& status : impl_->interfaces) {
    if (!status.tcx) DetachClsact(status.ifindex);
  }
  return RemoveTapDirectory(impl_->path);
}

Result<bool> TcxAvailable() {
  uint32_t count = 0, flags = 0;
  if (bpf_prog_query(static_cast<int>(IfIndex("lo")), kTcxIngress, 0, &flags, nullptr, &count) == 0) return true;
  if (errno == EINVAL) return false;
  return Fail(ErrnoCode(errno), "{}", ErrnoText(errno));
}

LinkType LinkTypeOf(const tap_record& record) noexcept {
  return record.flags & TAP_REC_RAW ? LinkType::kRawIp : LinkType::kEthernet;
}

const char* TapCounterName(tap_counter counter) noexcept {
  switch (counter) {
#define TAP_COUNTER_NAME(name, help) \
  case TAP_##name:                   \
    return #name;
    TAP_COUNTERS(TAP_COUNTER_NAME)
#undef TAP_COUNTER_NAME
    default:
      return "?";
  }
}

const char* TapCounterHelp(tap_counter counter) noexcept {
  switch (counter) {
#define TAP_COUNTER_HELP(name, help) \
  case TAP_##name:                   \
    return help;
    TAP_COUNTERS(TAP_COUNTER_HELP)
#undef TAP_COUNTER_HELP
    default:
      return "?";
  }
}

Result<TapCounters> ReadPinnedCounters(const std::string& pin_dir) {
  auto path = FindTapDirectory(pin_dir);
  if (!path) return std::unexpected(path.error());
  const FileDescriptor fd(bpf_obj_get((*path + "/tap_counters").c_str()));
  if (!fd) return Fail(ErrnoCode(errno), "{}: no counters: {}", *path, ErrnoText(errno));
  return SumCounters(fd.get());
}

Result<PinnedStatus> ReadPinnedStatus(const std::string& pin_dir) {
  auto path = FindTapDirectory(pin_dir);
  if (!path) return std::unexpected(path.error());
  auto counters = ReadPinnedCounters(pin_dir);
  if (!counters) return std::unexpected(counters.error());
  PinnedStatus status;
  status.counters = *counters;
  const FileDescriptor fd(bpf_obj_get((*path + "/tap_config").c_str()));
  tap_config config{};
  const uint32_t zero = 0;
  if (!fd || bpf_map_lookup_elem(fd.get(), &zero, &config) != 0) {
    return Fail(ErrnoCode(errno), "{}: no configuration: {}", *path, ErrnoText(errno));
  }
  status.num_workers = config.num_rings;
  status.fail_mode = static_cast<FailMode>(config.fail_mode);
  status.heartbeat_age = MonotonicNow() - Nanos{static_cast<int64_t>(config.heartbeat_ns)};
  status.engine_alive =
      status.heartbeat_age <= Nanos{static_cast<int64_t>(config.heartbeat_timeout_ns)};
  for (const std::string& name : ListDirectory(*path, "link_")) {
    InterfaceStatus one;
    if (std::sscanf(name.c_str(), "link_%u_ingress", &one.ifindex) != 1 ||
        !name.ends_with("_ingress")) {
      continue;
    }
    char text[IF_NAMESIZE] = "";
    if (if_indextoname(one.ifindex, text) != nullptr) one.name = text;
    one.tcx = one.adopted = true;
    status.interfaces.push_back(one);
  }
  return status;
}

Result<void> RemoveAllPins(const std::string& pin_dir) {
  DetachClsactEverywhere();
  for (const char* prefix : {"tap-v", "drops-v"}) {
    for (const std::string& name : ListDirectory(pin_dir, prefix)) {
      if (auto removed = RemoveTapDirectory(pin_dir + "/" + name); !removed) return removed;
    }
  }
  return {};
}

}  // namespace sluice
