#include "engine/app/drop_audit.h"

#include <algorithm>
#include <utility>

namespace sluice {

std::string DropAudit::KeyOf(const DropEntry& entry) {
  return (entry.scope == DropScope::kSource ? "s" : "d") + FormatPrefix(entry.prefix);
}

// The entry with what it dropped since that was told; an entry that was set anew counts from 0.
DropEntry DropAudit::Since(const Known& known) {
  DropEntry entry = known.entry;
  entry.packets -= std::min(entry.packets, known.packets);
  entry.bytes -= std::min(entry.bytes, known.bytes);
  return entry;
}

void DropAudit::Look(Nanos now, std::span<const DropEntry> entries, const Tell& tell) {
  const bool first = looks_++ == 0, summary = !first && now >= next_summary_;
  if (first || summary) next_summary_ = now + kSummary;
  for (const DropEntry& entry : entries) {
    if (entry.scope == DropScope::kFlow) continue;  // as short as its flow: the worker has told of it
    const auto [it, added] = known_.try_emplace(KeyOf(entry));
    Known& known = it->second;
    if (entry.packets < known.packets) known.packets = known.bytes = 0;
    known.entry = entry;
    known.look = looks_;
    if (added && !first && entry.origin == DropOrigin::kOperator) tell("add", Since(known));
    if (!summary || entry.packets == known.packets) continue;
    tell("hit_summary", Since(known));
    known.packets = entry.packets;
    known.bytes = entry.bytes;
  }
  std::erase_if(known_, [&](const auto& item) {
    if (item.second.look == looks_) return false;
    tell("remove", item.second.entry);
    return true;
  });
}

void DropAudit::Expired(const DropEntry& entry) {
  if (entry.scope != DropScope::kFlow) known_.erase(KeyOf(entry));
}

}  // namespace sluice
