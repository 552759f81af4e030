#include "engine/tap/drop_maps.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "bpf/shared/tap_abi.h"
#include "engine/tap/bpffs.h"
#include "engine/tap/flow_key.h"

namespace sluice {
namespace {

constexpr uint32_t kMappedBits = 96;  // an IPv4 /n is a mapped /(96 + n)
constexpr size_t kMaxListed = 1u << 22;  // a list of a map that changes must end

tap_prefix ToKey(const Prefix& prefix) {
  tap_prefix key{};
  ToMapped(prefix.address, key.address);
  key.prefix_len = prefix.length + (prefix.address.version == 4 ? kMappedBits : 0);
  return key;
}

Prefix FromKey(const tap_prefix& key) {
  Prefix prefix;
  prefix.address = FromMapped(key.address);
  if (prefix.address.version == 4 && key.prefix_len >= kMappedBits) {
    prefix.length = static_cast<uint8_t>(key.prefix_len - kMappedBits);
  } else {
    prefix.address.version = 6;
    std::memcpy(prefix.address.bytes.data(), key.address, 16);
    prefix.length = static_cast<uint8_t>(key.prefix_len);
  }
  return prefix;
}

// Clears the bits behind the first `length`.
Address Network(const Address& address, unsigned length) {
  Address network = address;
  for (unsigned bit = length; bit < (address.version == 4 ? 32u : 128u); ++bit) {
    network.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> bit % 8));
  }
  return network;
}

std::string AddressText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
  return text;
}

tap_drop ToValue(const DropOptions& options, uint32_t prefix_len) {
  const auto now = static_cast<uint64_t>(MonotonicNow().count());
  tap_drop value{};
  value.added_ns = now;
  value.expires_ns = options.ttl > Nanos{} ? now + static_cast<uint64_t>(options.ttl.count()) : 0;
  value.sid = options.sid;
  value.origin = static_cast<uint32_t>(options.origin);
  value.rate = options.rate;
  value.action = options.rate != 0 ? TAP_DROP_ABOVE_RATE : TAP_DROP_ALL;
  value.prefix_len = static_cast<uint8_t>(prefix_len);
  return value;
}

DropEntry FromValue(DropScope scope, const tap_drop& value, Nanos now) {
  DropEntry entry;
  entry.scope = scope;
  entry.sid = value.sid;
  entry.origin = static_cast<DropOrigin>(value.origin);
  entry.rate = value.rate;
  if (value.expires_ns != 0) entry.remaining = Nanos{static_cast<int64_t>(value.expires_ns)} - now;
  entry.age = now - Nanos{static_cast<int64_t>(value.added_ns)};
  entry.packets = value.packets;
  entry.bytes = value.bytes;
  if (value.last_hit_ns != 0) {
    entry.last_hit_ago = now - Nanos{static_cast<int64_t>(value.last_hit_ns)};
  }
  return entry;
}

// Calls visit(key, value) for each entry.  A key that vanishes meanwhile restarts the kernel's
// iteration, so entries may come twice; kMaxListed ends it in any case.
template <typename Key, typename Value, typename Visit>
Result<void> ForEach(int fd, const char* name, Visit&& visit) {
  Key key{}, next{};
  const Key* at = nullptr;
  for (size_t i = 0; i < kMaxListed; ++i) {
    if (bpf_map_get_next_key(fd, at, &next) != 0) {
      if (errno == ENOENT) return {};
      return Fail(ErrnoCode(errno), "{}: cannot be listed: {}", name, ErrnoText(errno));
    }
    key = next;
    at = &key;
    Value value{};
    if (bpf_map_lookup_elem(fd, &key, &value) == 0) visit(key, value);
  }
  return {};
}

}  // namespace

Result<Prefix> ParsePrefix(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Prefix prefix;
  if (inet_pton(AF_INET, host.c_str(), prefix.address.bytes.data()) == 1) {
    prefix.address.version = 4;
  } else if (inet_pton(AF_INET6, host.c_str(), prefix.address.bytes.data()) == 1) {
    prefix.address.version = 6;
  } else {
    return Fail(Errc::kInvalidArgument, "{}: not an IPv4 or IPv6 address or network", text);
  }
  const unsigned bits = prefix.address.version == 4 ? 32 : 128;
  unsigned length = bits;
  if (slash != std::string_view::npos) {
    const char* begin = text.data() + slash + 1;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, length);
    if (error != std::errc{} || stop != end || length > bits) {
      return Fail(Errc::kInvalidArgument, "{}: the prefix length must be 0 .. {}", text, bits);
    }
  }
  const Address network = Network(prefix.address, length);
  if (network != prefix.address) {
    return Fail(Errc::kInvalidArgument, "{}: has host bits set; write {}/{}", text,
                AddressText(network), length);
  }
  prefix.length = static_cast<uint8_t>(length);
  return prefix;
}

std::string FormatPrefix(const Prefix& prefix) {
  const unsigned bits = prefix.address.version == 4 ? 32 : 128;
  const std::string address = AddressText(prefix.address);
  return prefix.length == bits ? address : fmt::format("{}/{}", address, prefix.length);
}

struct DropMaps::Impl {
  FileDescriptor flows, sources, destinations, never, control_fd;
  Mapping control_map;

  // Running flows look the drop maps up again at their next packet.
  void Bump() {
    auto* control = static_cast<tap_drop_control*>(control_map.data());
    __atomic_add_fetch(&control->generation, 1, __ATOMIC_SEQ_CST);
  }

  template <typename Key, typename Value>
  Result<void> Put(const FileDescriptor& map, const Key& key, const Value& value,
                   const char* name, const char* option) {
    if (bpf_map_update_elem(map.get(), &key, &value, BPF_ANY) != 0) {
      if (errno == E2BIG || errno == ENOSPC) {
        return Fail(Errc::kOutOfMemory, "{}: full; raise {} or delete entries", name, option);
      }
      return Fail(ErrnoCode(errno), "{}: entry not added: {}", name, ErrnoText(errno));
    }
    Bump();
    return {};
  }

  template <typename Key>
  Result<bool> Erase(const FileDescriptor& map, const Key& key, const char* name) {
    if (bpf_map_delete_elem(map.get(), &key) != 0) {
      if (errno == ENOENT) return false;
      return Fail(ErrnoCode(errno), "{}: entry not deleted: {}", name, ErrnoText(errno));
    }
    Bump();
    return true;
  }

  Result<std::optional<DropEntry>> FindPrefix(const FileDescriptor& map, const char* name,
                                              DropScope scope, const Prefix& prefix) const {
    const tap_prefix key = ToKey(prefix);
    tap_drop value{};
    if (bpf_map_lookup_elem(map.get(), &key, &value) != 0) {
      if (errno == ENOENT) return std::nullopt;
      return Fail(ErrnoCode(errno), "{}: cannot be read: {}", name, ErrnoText(errno));
    }
    if (value.prefix_len != key.prefix_len) return std::nullopt;  // a larger network's
    DropEntry entry = FromValue(scope, value, MonotonicNow());
    entry.prefix = prefix;
    return entry;
  }

  // Deletes entries for which which(key, value) holds.
  template <typename Key, typename Which>
  Result<size_t> EraseIf(const FileDescriptor& map, const char* name, Which&& which) {
    std::vector<Key> keys;
    auto listed = ForEach<Key, tap_drop>(map.get(), name, [&](const Key& key, const tap_drop& v) {
      if (which(key, v)) keys.push_back(key);
    });
    if (!listed) return std::unexpected(listed.error());
    size_t erased = 0;
    for (const Key& key : keys) erased += bpf_map_delete_elem(map.get(), &key) == 0;
    if (erased != 0) Bump();
    return erased;
  }

};

Result<DropMaps> DropMaps::Open(const std::string& pin_dir) {
  auto impl = std::make_unique<Impl>();
  const std::pair<FileDescriptor*, const char*> maps[] = {
      {&impl->flows, "drop_flows"},
      {&impl->sources, "drop_sources"},
      {&impl->destinations, "drop_destinations"},
      {&impl->never, "never_block"},
      {&impl->control_fd, "drop_control"},
  };
  for (const auto& [fd, name] : maps) {
    const std::string path = DropsPath(pin_dir) + "/" + name;
    *fd = FileDescriptor(bpf_obj_get(path.c_str()));
    if (!*fd) {
      const int error = errno;
      return Fail(ErrnoCode(error), "{}: cannot be opened: {}{}", path, ErrnoText(error),
                  error == ENOENT ? "; has the engine run with this pin directory?" : "");
    }
  }
  auto mapped = Mapping::Map(impl->control_fd.get(), sizeof(tap_drop_control), true, 0,
                             "drop_control");
  if (!mapped) return std::unexpected(mapped.error());
  impl->control_map = std::move(*mapped);
  return DropMaps(impl.release());
}

DropMaps::DropMaps(DropMaps&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
DropMaps& DropMaps::operator=(DropMaps&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
DropMaps::~DropMaps() { delete impl_; }

Result<void> DropMaps::AddFlow(const Tuple& flow, const DropOptions& options) {
  return impl_->Put(impl_->flows, MakeFlowKey(flow).key, ToValue(options, 0), "drop_flows",
                    "max_flow_drops");
}
Result<void> DropMaps::AddSource(const Prefix& source, const DropOptions& options) {
  const tap_prefix key = ToKey(source);
  return impl_->Put(impl_->sources, key, ToValue(options, key.prefix_len), "drop_sources",
                    "max_prefix_drops");
}
Result<void> DropMaps::AddDestination(const Prefix& destination, const DropOptions& options) {
  const tap_prefix key = ToKey(destination);
  return impl_->Put(impl_->destinations, key, ToValue(options, key.prefix_len),
                    "drop_destinations", "max_prefix_drops");
}

Result<bool> DropMaps::DeleteFlow(const Tuple& flow) {
  return impl_->Erase(impl_->flows, MakeFlowKey(flow).key, "drop_flows");
}
Result<bool> DropMaps::DeleteSource(const Prefix& source) {
  return impl_->Erase(impl_->sources, ToKey(source), "drop_sources");
}
Result<bool> DropMaps::DeleteDestination(const Prefix& destination) {
  return impl_->Erase(impl_->destinations, ToKey(destination), "drop_destinations");
}

Result<std::vector<DropEntry>> DropMaps::List() const {
  const Nanos now = MonotonicNow();
  std::vector<DropEntry> entries;
  auto listed = ForEach<tap_flow_key, tap_drop>(
      impl_->flows.get(), "drop_flows", [&](const tap_flow_key& key, const tap_drop& value) {
        entries.push_back(FromValue(DropScope::kFlow, value, now));
        entries.back().flow = TupleOf(key, 0);
      });
  if (!listed) return std::unexpected(listed.error());
  const auto list_prefixes = [&](const FileDescriptor& map, const char* name, DropScope scope) {
    return ForEach<tap_prefix, tap_drop>(
        map.get(), name, [&](const tap_prefix& key, const tap_drop& value) {
          entries.push_back(FromValue(scope, value, now));
          entries.back().prefix = FromKey(key);
        });
  };
  listed = list_prefixes(impl_->sources, "drop_sources", DropScope::kSource);
  if (!listed) return std::unexpected(listed.error());
  listed = list_prefixes(impl_->destinations, "drop_destinations", DropScope::kDestination);
  if (!listed) return std::unexpected(listed.error());
  return entries;
}

Result<size_t> DropMaps::Flush() {
  const auto all = [](const auto&, const tap_drop&) { return true; };
  const auto flows = impl_->EraseIf<tap_flow_key>(impl_->flows, "drop_flows", all);
  if (!flows) return flows;
  const auto sources = impl_->EraseIf<tap_prefix>(impl_->sources, "drop_sources", all);
  if (!sources) return sources;
  const auto destinations = impl_->EraseIf<tap_prefix>(impl_->destinations, "drop_destinations", all);
  if (!destinations) return destinations;
  return *flows + *sources + *destinations;
}

Result<DropSweep> DropMaps::Sweep(const std::function<void(const DropEntry&)>& on_expired) {
  const auto now = MonotonicNow();
  const auto expired = [now](const tap_drop& value) {
    return value.expires_ns != 0 && value.expires_ns <= static_cast<uint64_t>(now.count());
  };
  DropSweep sweep;
  const auto prefixes = [&](const FileDescriptor& map, const char* name, DropScope scope) {
    return impl_->EraseIf<tap_prefix>(map, name, [&](const tap_prefix& key, const tap_drop& value) {
      if (!expired(value)) {
        sweep.hosts_by_rule += value.origin == TAP_ORIGIN_RULE;
        return false;
      }
      DropEntry entry = FromValue(scope, value, now);
      entry.prefix = FromKey(key);
      if (on_expired) on_expired(entry);
      return true;
    });
  };
  const auto flows = impl_->EraseIf<tap_flow_key>(
      impl_->flows, "drop_flows", [&](const tap_flow_key& key, const tap_drop& value) {
        if (!expired(value)) return false;
        DropEntry entry = FromValue(DropScope::kFlow, value, now);
        entry.flow = TupleOf(key, 0);
        if (on_expired) on_expired(entry);
        return true;
      });
  if (!flows) return std::unexpected(flows.error());
  const auto sources = prefixes(impl_->sources, "drop_sources", DropScope::kSource);
  if (!sources) return std::unexpected(sources.error());
  const auto destinations = prefixes(impl_->destinations, "drop_destinations", DropScope::kDestination);
  if (!destinations) return std::unexpected(destinations.error());
  sweep.removed = *flows + *sources + *destinations;
  return sweep;
}

Result<std::optional<DropEntry>> DropMaps::FindSource(const Prefix& source) const {
  return impl_->FindPrefix(impl_->sources, "drop_sources", DropScope::kSource, source);
}
Result<std::optional<DropEntry>> DropMaps::FindDestination(const Prefix& destination) const {
  return impl_->FindPrefix(impl_->destinations, "drop_destinations", DropScope::kDestination, destination);
}

Result<void> DropMaps::AddNeverBlock(const Prefix& prefix) {
  auto put = impl_->Put(impl_->never, ToKey(prefix), uint32_t{1}, "never_block", "");
  if (!put && put.error().code == Errc::kOutOfMemory) {
    return Fail(Errc::kOutOfMemory, "never_block: 4096 entries is all it holds; name larger networks");
  }
  return put;
}
Result<bool> DropMaps::DeleteNeverBlock(const Prefix& prefix) {
  return impl_->Erase(impl_->never, ToKey(prefix), "never_block");
}

Result<std::vector<Prefix>> DropMaps::ListNeverBlock() const {
  std::vector<Prefix> prefixes;
  auto listed = ForEach<tap_prefix, uint32_t>(
      impl_->never.get(), "never_block",
      [&](const tap_prefix& key, uint32_t) { prefixes.push_back(FromKey(key)); });
  if (!listed) return std::unexpected(listed.error());
  return prefixes;
}

Result<bool> DropMaps::NeverBlocked(const Address& address) const {
  tap_prefix key{};
  key.prefix_len = 128;
  ToMapped(address, key.address);
  uint32_t value = 0;
  if (bpf_map_lookup_elem(impl_->never.get(), &key, &value) == 0) return true;
  if (errno == ENOENT) return false;
  return Fail(ErrnoCode(errno), "never_block: cannot be read: {}", ErrnoText(errno));
}

}  // namespace sluice
