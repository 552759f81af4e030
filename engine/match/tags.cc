#include "engine/match/tags.h"

#include <algorithm>

namespace sluice {
namespace {

// A rule that alerts on and on starts its count anew so often, then it ends.
constexpr uint32_t kMostRenewals = 10;

HostKey FlowKey(uint64_t flow) { return {.what = 1, .first = {}, .second = {}, .flow = flow}; }
HostKey KeyOfHost(const Address& host) { return {.what = 2, .first = host, .second = {}, .flow = 0}; }

uint32_t LengthOf(const Packet& packet) {
  return packet.wire_len != 0 ? packet.wire_len : static_cast<uint32_t>(packet.frame.size());
}

}  // namespace

void TagTable::Set(const Rule& rule, const Tag& tag, const Packet& packet, uint64_t flow, Nanos now) noexcept {
  const bool of_flow = tag.of == Tag::Of::kFlow;
  if (of_flow && flow == 0) return;
  bool created = false;
  Marks& marks = table_.Touch(
      of_flow ? FlowKey(flow) : KeyOfHost(tag.of == Tag::Of::kSource ? packet.source : packet.destination),
      &created);
  any_ = true;
  const uint64_t id = uint64_t{rule.gid} << 32 | rule.sid;
  const auto end = marks.list.begin() + marks.count;
  const auto known = std::find_if(marks.list.begin(), end, [id](const Mark& mark) { return mark.rule == id; });
  const Mark fresh{.rule = id, .unit = tag.unit, .fresh = true, .left = tag.count,
                   .until = now + std::chrono::seconds{tag.count}};
  if (known != end) {
    if (known->renewed >= kMostRenewals) return;
    const uint32_t renewed = known->renewed + 1;
    *known = fresh;
    known->renewed = renewed;
    known->fresh = false;  // only a tag's first alert leaves its own packet out
    return;
  }
  if (marks.count == kMarks) {
    std::rotate(marks.list.begin(), marks.list.begin() + 1, marks.list.end());
    --marks.count;
  }
  marks.list[marks.count++] = fresh;
}

bool TagTable::Count(Marks& marks, uint32_t bytes, Nanos now) noexcept {
  bool logged = false;
  size_t kept = 0;
  for (size_t i = 0; i < marks.count; ++i) {
    Mark mark = marks.list[i];
    const uint32_t cost = mark.unit == Tag::Unit::kPackets ? 1 : mark.unit == Tag::Unit::kBytes ? bytes : 0;
    const bool over = mark.unit == Tag::Unit::kSeconds ? now > mark.until : cost > mark.left;
    if (over && !mark.fresh) continue;
    mark.left -= std::min(cost, mark.left);
    logged |= !mark.fresh;
    mark.fresh = false;
    marks.list[kept++] = mark;
  }
  marks.count = static_cast<uint32_t>(kept);
  return logged;
}

bool TagTable::Look(const HostKey& key, uint32_t bytes, Nanos now) noexcept {
  Marks* marks = table_.Find(key);
  if (marks == nullptr) return false;
  const bool logged = Count(*marks, bytes, now);
  if (marks->count == 0) table_.Erase(key);
  return logged;
}

bool TagTable::Follow(const Packet& packet, uint64_t flow, Nanos now) noexcept {
  if (!any_ || packet.origin == PacketOrigin::kFlowTimeout) return false;
  const uint32_t bytes = LengthOf(packet);
  bool logged = flow != 0 && Look(FlowKey(flow), bytes, now);
  logged |= Look(KeyOfHost(packet.source), bytes, now);
  if (packet.destination != packet.source) logged |= Look(KeyOfHost(packet.destination), bytes, now);
  return logged;
}

}  // namespace sluice
