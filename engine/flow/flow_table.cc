#include "engine/flow/flow_table.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "engine/base/cycles.h"
#include "engine/decode/ip_protocol.h"

namespace sluice {
namespace {

struct End {
  const Address* address;
  uint16_t port;
  bool operator<(const End& other) const {
    if (*address != *other.address) return *address < *other.address;
    return port < other.port;
  }
};

}  // namespace

Tuple Tuple::Reverse() const {
  Tuple out = *this;
  std::swap(out.source, out.destination);
  std::swap(out.source_port, out.destination_port);
  return out;
}

std::string_view FlowStateName(FlowState state) {
  constexpr std::string_view kNames[] = {"new", "established", "closed", "bypassed"};
  return kNames[static_cast<size_t>(state)];
}

std::string_view FlowEndReasonName(FlowEndReason reason) {
  constexpr std::string_view kNames[] = {"timeout", "forced", "shutdown", "tcp_reuse"};
  return kNames[static_cast<size_t>(reason)];
}

namespace {

// Of this process: nobody outside can choose tuples that share a bucket.
uint64_t Seed() noexcept {
  static const uint64_t seed = [] {
    uint64_t value = 0;
    if (getrandom(&value, sizeof(value), 0) != sizeof(value)) value = Cycles();
    return value;
  }();
  return seed;
}

uint64_t HashWithSeed(const Tuple& tuple, uint64_t seed) noexcept {
  End low{&tuple.source, tuple.source_port}, high{&tuple.destination, tuple.destination_port};
  if (high < low) std::swap(low, high);
  struct {
    uint8_t addresses[2][16];
    uint16_t ports[2];
    uint16_t vlan[3];
    uint8_t protocol, version, recursion;
    uint8_t zero[3];
  } key{};
  std::memcpy(key.addresses[0], low.address->bytes.data(), 16);
  std::memcpy(key.addresses[1], high.address->bytes.data(), 16);
  key.ports[0] = low.port;
  key.ports[1] = high.port;
  std::memcpy(key.vlan, tuple.vlan, sizeof(key.vlan));
  key.recursion = tuple.recursion;
  key.protocol = tuple.ip_protocol;
  key.version = tuple.source.version;
  return XXH3_64bits_withSeed(&key, sizeof(key), seed);
}

}  // namespace

uint64_t HashTuple(const Tuple& tuple) noexcept { return HashWithSeed(tuple, Seed()); }

// Slots of untouched pages cost no memory.
struct FlowTable::Slots {
  explicit Slots(uint32_t capacity) : bytes(size_t{capacity} * sizeof(Flow)) {
    void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    flows = map == MAP_FAILED ? nullptr : static_cast<Flow*>(map);
  }
  ~Slots() {
    if (flows != nullptr) munmap(flows, bytes);
  }
  size_t bytes;
  Flow* flows;
  uint32_t used = 0;            // slots ever used
  std::vector<uint32_t> free;
};
static_assert(std::is_trivially_destructible_v<Flow>);

FlowTable::FlowTable(const FlowTableOptions& options) : options_(options) {
  const FlowTimeouts* classes[] = {&options_.tcp, &options_.udp, &options_.icmp, &options_.other};
  for (size_t i = 0; i < kLists; ++i) timeouts_[i] = classes[i / 4]->by_state[i % 4];
}
FlowTable::FlowTable(FlowTable&&) noexcept = default;
FlowTable::~FlowTable() = default;

Result<FlowTable> FlowTable::Create(const FlowTableOptions& options) {
  if (options.capacity == 0 || options.capacity > (1u << 26)) {
    return Fail(Errc::kInvalidArgument, "flow.capacity: {}: must be 1 to {}", options.capacity,
                1u << 26);
  }
  FlowTable table(options);
  table.slots_ = std::make_unique<Slots>(options.capacity);
  if (table.slots_->flows == nullptr) {
    return Fail(Errc::kOutOfMemory, "flow.capacity: {} flows of {} bytes do not fit; lower it",
                options.capacity, sizeof(Flow));
  }
  table.slots_->free.reserve(options.capacity);
  table.buckets_.assign(std::bit_ceil(options.capacity), kNone);
  table.bucket_mask_ = static_cast<uint32_t>(table.buckets_.size() - 1);
  return table;
}

uint8_t FlowTable::ListOf(const Flow& flow) const noexcept {
  const uint8_t protocol = flow.tuple.ip_protocol;
  const uint8_t group = protocol == kTcp                           ? 0
                        : protocol == kUdp                         ? 1
                        : protocol == kIcmp || protocol == kIcmp6  ? 2
                                                                   : 3;
  return static_cast<uint8_t>(group * 4 + static_cast<uint8_t>(flow.state));
}

void FlowTable::Append(uint32_t slot, uint8_t list) noexcept {
  Flow* flows = slots_->flows;
  Flow& flow = flows[slot];
  flow.list = list;
  flow.newer = kNone;
  flow.older = lists_[list].newest;
  if (flow.older != kNone) {
    flows[flow.older].newer = slot;
  } else {
    lists_[list].oldest = slot;
  }
  lists_[list].newest = slot;
}

void FlowTable::Detach(uint32_t slot) noexcept {
  Flow* flows = slots_->flows;
  Flow& flow = flows[slot];
  List& list = lists_[flow.list];
  (flow.older != kNone ? flows[flow.older].newer : list.oldest) = flow.newer;
  (flow.newer != kNone ? flows[flow.newer].older : list.newest) = flow.older;
}

Flow* FlowTable::Find(const Tuple& tuple, Direction* direction) noexcept {
  const uint64_t hash = HashTuple(tuple);
  for (uint32_t slot = buckets_[hash & bucket_mask_]; slot != kNone;) {
    Flow& flow = slots_->flows[slot];
    if (flow.hash == hash) {
      if (flow.tuple == tuple) {
        *direction = Direction::kToServer;
        return &flow;
      }
      if (flow.tuple == tuple.Reverse()) {
        *direction = Direction::kToClient;
        return &flow;
      }
    }
    slot = flow.next_in_bucket;
  }
  return nullptr;
}

FlowTable::Hit FlowTable::Touch(const Tuple& tuple, Nanos now) noexcept {
  Direction direction = Direction::kToServer;
  if (Flow* flow = Find(tuple, &direction)) {
    const auto slot = static_cast<uint32_t>(flow - slots_->flows);
    if (lists_[flow->list].newest != slot) {
      Detach(slot);
      Append(slot, flow->list);
    }
    flow->last = std::max(flow->last, now);
    return {flow, direction, false};
  }
  if (size_ >= options_.capacity) {
    ++stats_.evicted;
    Remove(OldestSlot(), FlowEndReason::kForced);
  }
  uint32_t slot;
  if (slots_->free.empty()) {
    slot = slots_->used++;
  } else {
    slot = slots_->free.back();
    slots_->free.pop_back();
  }
  Flow* flow = new (&slots_->flows[slot]) Flow;
  flow->tuple = tuple;
  flow->hash = HashTuple(tuple);
  flow->start = flow->last = now;
  // The same in every run: 31 bits of an unseeded hash, and 20 of the start time so
  // that two flows of one tuple differ.
  const auto micros = static_cast<uint64_t>(now.count() / 1000);
  flow->id = std::max<uint64_t>(1, ((HashWithSeed(tuple, 0) >> 33) << 20 | (micros & 0xfffff)) & ((1ull << 51) - 1));
  uint32_t& bucket = buckets_[flow->hash & bucket_mask_];
  flow->next_in_bucket = bucket;
  bucket = slot;
  Append(slot, ListOf(*flow));
  ++size_;
  ++stats_.created;
  return {flow, Direction::kToServer, true};
}

void FlowTable::SetState(Flow& flow, FlowState state) noexcept {
  if (flow.state == state) return;
  flow.state = state;
  const auto slot = static_cast<uint32_t>(&flow - slots_->flows);
  Detach(slot);
  Append(slot, ListOf(flow));
}

void FlowTable::SwapDirections(Flow& flow) noexcept {
  flow.tuple = flow.tuple.Reverse();
  std::swap(flow.packets[0], flow.packets[1]);
  std::swap(flow.bytes[0], flow.bytes[1]);
  std::swap(flow.tcp_flags[0], flow.tcp_flags[1]);
  std::swap(flow.seen[0], flow.seen[1]);
  std::swap(flow.min_ttl[0], flow.min_ttl[1]);
  flow.elephant = static_cast<uint8_t>(flow.elephant >> 1 | (flow.elephant & 1) << 1);
  std::swap(flow.max_ttl[0], flow.max_ttl[1]);
}

// Over all lists: the one that has been idle longest.
uint32_t FlowTable::OldestSlot() const noexcept {
  uint32_t oldest = kNone;
  for (const List& list : lists_) {
    if (list.oldest == kNone) continue;
    if (oldest == kNone || slots_->flows[list.oldest].last < slots_->flows[oldest].last) {
      oldest = list.oldest;
    }
  }
  return oldest;
}

void FlowTable::Remove(uint32_t slot, FlowEndReason reason) noexcept {
  Flow& flow = slots_->flows[slot];
  if (on_end_) on_end_(flow, reason);
  Detach(slot);
  uint32_t* link = &buckets_[flow.hash & bucket_mask_];
  while (*link != slot) link = &slots_->flows[*link].next_in_bucket;
  *link = flow.next_in_bucket;
  slots_->free.push_back(slot);
  --size_;
}

void FlowTable::End(Flow& flow, FlowEndReason reason) noexcept {
  Remove(static_cast<uint32_t>(&flow - slots_->flows), reason);
}

size_t FlowTable::Expire(Nanos now, size_t budget) noexcept {
  size_t done = 0;
  for (size_t i = 0; i < kLists; ++i) {
    while (done < budget && lists_[i].oldest != kNone) {
      const uint32_t slot = lists_[i].oldest;
      if (now - slots_->flows[slot].last < timeouts_[i]) break;
      ++stats_.expired;
      ++done;
      Remove(slot, FlowEndReason::kTimeout);
    }
  }
  return done;
}

void FlowTable::EndAll(FlowEndReason reason) noexcept {
  while (size_ > 0) Remove(OldestSlot(), reason);
}

}  // namespace sluice
