#include "engine/decode/defrag.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace sluice {
namespace {

constexpr uint32_t kMaxPayload = 65535;

}  // namespace

void Defrag::Remove(Trackers::iterator it) {
  memory_ -= it->second.memory;
  ages_.erase(it->second.age);
  trackers_.erase(it);
}

Slice Defrag::Add(const Packet& packet, Nanos now) {
  const size_t family = packet.ip_version == 4 ? 0 : 1;
  ++stats_.fragments[family];
  while (!ages_.empty() && now - trackers_.find(ages_.front())->second.started > options_.timeout) {
    ++stats_.timeouts;
    Remove(trackers_.find(ages_.front()));
  }
  const Slice data = packet.ip_payload;
  const uint32_t offset = packet.fragment_offset;
  if (data.empty() || offset + data.size() > kMaxPayload) {
    ++stats_.refused;
    return {};
  }
  const Key key{packet.source, packet.destination, packet.fragment_id, packet.vlan[0],
                family == 0 ? packet.ip_protocol : uint8_t{0}};
  auto [it, fresh] = trackers_.try_emplace(key);
  Tracker& tracker = it->second;
  if (fresh) {
    tracker.started = now;
    tracker.age = ages_.insert(ages_.end(), key);
  }
  const bool last = !packet.more_fragments;
  const auto end = static_cast<uint32_t>(offset + data.size());
  if ((last && tracker.has_last && tracker.total != end) || (tracker.has_last && end > tracker.total) ||
      tracker.fragments.size() >= options_.max_fragments) {
    ++stats_.refused;
    return {};
  }
  if (last) {
    tracker.has_last = true;
    tracker.total = end;
  }
  if (offset == 0) {
    tracker.header.assign(packet.ip_header.begin(), packet.ip_header.end());
    tracker.protocol = packet.ip_protocol;
  }
  tracker.fragments.push_back({offset, {data.begin(), data.end()}});
  const size_t cost = data.size() + sizeof(Fragment);
  tracker.memory += cost;
  memory_ += cost;
  Slice whole;
  if (Complete(tracker)) {
    whole = Build(tracker, packet.ip_version == 4);
    ++stats_.reassembled[family];
    Remove(it);
  }
  while (memory_ > options_.memcap || trackers_.size() > options_.max_trackers) {
    ++stats_.evicted;
    Remove(trackers_.find(ages_.front()));
  }
  return whole;
}

bool Defrag::Complete(const Tracker& tracker) const {
  if (!tracker.has_last || tracker.header.empty()) return false;
  size_t seen = 0;
  for (const Fragment& f : tracker.fragments) seen += f.bytes.size();
  if (seen < tracker.total) return false;  // cheap: most calls end here
  std::vector<std::pair<uint32_t, uint32_t>> spans;
  for (const Fragment& f : tracker.fragments) {
    spans.emplace_back(f.offset, f.offset + static_cast<uint32_t>(f.bytes.size()));
  }
  std::ranges::sort(spans);
  uint32_t next = 0;
  for (const auto& [first, end] : spans) {
    if (first > next) return false;
    next = std::max(next, end);
  }
  return next >= tracker.total;
}

Slice Defrag::Build(const Tracker& tracker, bool v4) {
  const size_t header = tracker.header.size();
  whole_.assign(header + tracker.total, 0);
  std::memcpy(whole_.data(), tracker.header.data(), header);
  // The winner of a place is written last.
  std::vector<size_t> order(tracker.fragments.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    const Fragment &x = tracker.fragments[a], &y = tracker.fragments[b];
    return x.offset != y.offset ? x.offset > y.offset : a > b;
  });
  for (const size_t i : order) {
    const Fragment& f = tracker.fragments[i];
    const size_t n = std::min<size_t>(f.bytes.size(), tracker.total - std::min(tracker.total, f.offset));
    std::memcpy(whole_.data() + header + f.offset, f.bytes.data(), n);
  }
  uint8_t* p = whole_.data();
  const auto put16 = [p](size_t at, size_t value) {
    p[at] = static_cast<uint8_t>(value >> 8);
    p[at + 1] = static_cast<uint8_t>(value);
  };
  if (v4) {
    put16(2, std::min<size_t>(header + tracker.total, kMaxPayload));
    put16(6, 0);  // no fragment any more
    put16(10, 0);
    uint32_t sum = 0;
    for (size_t i = 0; i < header; i += 2) sum += uint32_t{p[i]} << 8 | p[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    put16(10, static_cast<uint16_t>(~sum));
  } else {
    put16(4, tracker.total);
    p[6] = tracker.protocol;  // only the first fragment's counts (RFC 8200 §4.5)
  }
  return whole_;
}

}  // namespace sluice
