// Rules on the fields of a transaction: scan, candidates, confirm.
#include "engine/match/detector_impl.h"

#include <algorithm>
#include <chrono>

#include "engine/rules/text.h"

namespace sluice {

bool Detector::Impl::Due(Growing& g, size_t size, bool whole, size_t i) const {
  if (g.final) return false;
  if (!whole && (g.scanned == 0 ? size < options.min_chunk[i] : size < 2u * g.scanned))
    return false;
  g.scanned = static_cast<uint32_t>(size);
  g.final = whole;
  return true;
}

bool Detector::Impl::Ready(const InspectionState& st, uint32_t owner) {
  return std::any_of(st.growing.begin(), st.growing.end(), [owner](const Growing& g) {
    return g.owner == owner && (g.scanned || g.final);
  });
}

void Detector::Impl::ScanField(KeywordId keyword, size_t i, Slice bytes) {
  if (keyword < rp->groups_of[i].size()) ScanGroups(rp->groups_of[i][keyword], bytes);
}

void Detector::Impl::ScanGroups(const std::vector<uint16_t>& groups, Slice bytes) {
  for (uint16_t id : groups) {
    const FieldGroup& group = rp->field_groups[id];
    Scan(group.literals, group.chain ? rp->chains[group.chain].Apply(bytes, transform) : bytes);
  }
}

bool Detector::Impl::ScanTransaction(Transaction& tx, size_t i) {
  InspectionState& st = tx.inspection;
  for (uint32_t& v = st.num_scanned[i]; v < tx.values.size(); ++v) {
    const FieldValue& value = tx.values[v];
    if (Index(value.direction) != i || value.keyword == kNoKeyword) continue;
    if (value.type == FieldType::kChunks)
      st.growing.push_back({.owner = v});
    else if (value.type == FieldType::kBytes || value.type == FieldType::kAddress)
      ScanField(value.keyword, i, value.bytes);
  }
  for (uint32_t& f = st.num_files[i]; f < tx.files.size(); ++f) {
    if (Index(tx.files[f].direction) != i) continue;
    st.growing.push_back({.owner = f | Growing::kFile});
    ScanNewFile(tx.files[f], i);
  }
  bool grown = false;
  for (Growing& g : st.growing) {
    if (g.owner & Growing::kFile) {
      const FileInfo& file = tx.files[g.owner & ~Growing::kFile];
      if (Index(file.direction) != i || !ScanGrowingFile(g, file, i)) continue;
    } else {
      const FieldValue& value = tx.values[g.owner];
      if (Index(value.direction) != i || !Due(g, value.bytes.size(), value.complete, i)) continue;
      ScanField(value.keyword, i, value.bytes);
    }
    grown = true;
  }
  return grown;
}

uint64_t Detector::Impl::Fingerprint(const Transaction& tx, size_t i) {
  uint64_t h = 1;
  for (uint64_t part :
       {uint64_t{tx.values.size()}, uint64_t{tx.events.size()}, uint64_t{tx.files.size()},
        uint64_t{tx.stage[i]}, uint64_t{tx.complete[i]}}) {
    h = (h ^ part) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  return h | 1;
}

void Detector::Impl::InspectTransaction(Transaction& tx, Direction direction) {
  const size_t i = Index(direction);
  if (!tx.schema || !(tx.directions & 1 << i)) return;
  InspectionState& st = tx.inspection;
  StartHits();
  const bool grown = ScanTransaction(tx, i);
  const uint64_t now_seen = Fingerprint(tx, i);
  const bool first = st.seen[i] == 0;
  const bool again = !stream_window[i].empty() && !st.candidates.empty();
  if (!grown && now_seen == st.seen[i] && !again) return;
  if (first) {
    if (tx.schema->id < rp->always_fields[i].size()) {
      for (uint32_t rank : rp->always_fields[i][tx.schema->id]) Hit(rank);
    }
    for (uint32_t rank : rp->always_files[i]) Hit(rank);
  }
  if (!tx.events.empty()) {
    for (uint32_t rank : rp->event_rules) Hit(rank);
  }
  st.seen[i] = now_seen;
  AddCandidates(st, tx, i);
  if (watcher) [[unlikely]] LookAtUntriedTransaction(tx, direction);
  EvaluateCandidates(tx, direction);
}

void Detector::Impl::AddCandidates(InspectionState& st, const Transaction& tx, size_t i) {
  if (hits.empty()) return;
  for (uint32_t rank : hits) {
    const CompiledRule& r = rp->compiled[rank];
    // A transactional rule's header names the client as source.
    const size_t source = (r.transactional ? 0 : i) == d() ? 0 : 1;
    if (!(r.directions & 1 << i) || !HeaderMatches(r, source)) continue;
    if (!r.any_app && !IsOf(r, *tx.schema)) continue;
    ++stats.candidates;
    st.candidates.push_back(rank << 1 | static_cast<uint32_t>(i));
  }
  std::sort(st.candidates.begin(), st.candidates.end());
  st.candidates.erase(std::unique(st.candidates.begin(), st.candidates.end()),
                      st.candidates.end());
}

void Detector::Impl::EvaluateCandidates(Transaction& tx, Direction direction) {
  InspectionState& st = tx.inspection;
  current_tx = &tx;
  size_t kept = 0;
  for (size_t c = 0; c < st.candidates.size(); ++c) {
    const uint32_t candidate = st.candidates[c], rank = candidate >> 1;
    const CompiledRule& r = rp->compiled[rank];
    Look look = Look::kWait;
    if ((candidate & 1) == Index(direction) || r.transactional) {
      const uint32_t once = Once(r, direction);
      const bool done = HasMatched(st, once, 0);
      const bool watch = !done && Watches(rank);
      if (watch) [[unlikely]] LookAtTransaction(tx, direction, true);
      look = done ? Look::kNever : Costed(rank, [&] { return TryFieldRule(r, tx, direction); });
      const bool matched = look == Look::kMatch;
      if (matched) look = FireOnTransaction(r, once, tx, direction);
      if (watch) [[unlikely]] EndLook(matched);
    }
    if (look == Look::kWait) st.candidates[kept++] = candidate;
  }
  st.candidates.resize(kept);
  current_tx = nullptr;
}

bool Detector::Impl::HasMatched(const InspectionState& st, uint32_t once, uint32_t file) {
  return std::ranges::find(st.matched, uint64_t{file} << 32 | once) != st.matched.end();
}

// kWait: further files may match too.
Look Detector::Impl::FireOnTransaction(const CompiledRule& r, uint32_t once, Transaction& tx,
                                       Direction direction) {
  Fire(once >> 1, &tx, direction, false);
  if (!r.on_files) {
    tx.inspection.matched.push_back(once);
    return Look::kMatch;
  }
  for (const uint32_t f : file_hits) tx.inspection.matched.push_back(uint64_t{f + 1} << 32 | once);
  if (r.rule->file_keep) KeepFiles(r, tx, direction);
  return tx.complete[Index(direction)] && !r.transactional ? Look::kMatch : Look::kWait;
}

Look Detector::Impl::TryFieldRule(const CompiledRule& r, const Transaction& tx, Direction direction) {
  const size_t i = Index(direction);
  ++stats.confirms;
  confirm.Begin();
  if (r.has_event && !EventsSet(r, tx)) return Look::kWait;
  if (r.has_state && !StateHolds(r, tx, i)) return Look::kWait;
  const uint8_t side = static_cast<uint8_t>(1 << i);
  Look all = Look::kMatch;
  for (const NumberInspection& n : r.rule->numbers) {
    const Look look = TryNumber(n, tx, r.transactional ? DirectionsOf(n.keyword) : side);
    if (look == Look::kNever) return look;
    if (look == Look::kWait) all = look;
  }
  for (const CompiledInspection& f : r.fields) {
    const bool of_file = IsFileBuffer(f.kind);
    if (of_file && r.on_files) continue;  // below, of one file
    const uint8_t sides = r.transactional ? f.directions : side;
    const Look look = of_file ? TryFiles(f, tx, sides) : TryField(f, tx, sides);
    if (look == Look::kNever) return look;
    if (look == Look::kWait) all = look;
  }
  if (r.on_files) {
    const Look look = TryEachFile(r, Once(r, direction), tx, r.transactional ? uint8_t{3} : side);
    if (look != Look::kMatch) return look;
  }
  if (all != Look::kMatch) return all;
  if (!ConditionsHold(r, direction) || !PacketTestsHold(r)) return Look::kWait;
  if (!r.payload.empty()) {
    const Slice bytes = !stream_window[i].empty() ? stream_window[i]
                        : i == d()                ? context.packet->payload
                                                  : Slice{};
    if (!PayloadMatches(r, bytes)) return Look::kWait;
  }
  return Look::kMatch;
}

bool Detector::Impl::HasBegun(const Transaction& tx, size_t i) const {
  return tx.stage[i] > 0 || tx.complete[i] || (context.flow && context.flow->app_sides[i]);
}

bool Detector::Impl::StateHolds(const CompiledRule& r, const Transaction& tx, size_t i) const {
  if (!HasBegun(tx, i)) return false;
  if (r.rule->header.hook && tx.stage[i] < r.rule->header.hook->stage) return false;
  return std::all_of(r.rule->flow_conditions.begin(), r.rule->flow_conditions.end(), [&](const FlowCondition& c) {
    const auto* state = std::get_if<AppStateTest>(&c);
    return !state || state->test.Matches(tx.stage[i]);
  });
}

// Of either direction: a rule to_server may ask for what the answer brought to light.
bool Detector::Impl::EventsSet(const CompiledRule& r, const Transaction& tx) {
  for (const FlowCondition& condition : r.rule->flow_conditions) {
    const auto* want = std::get_if<AppEventTest>(&condition);
    if (!want) continue;
    if (!tx.schema->Answers(want->protocol)) return false;
    const bool set =
        std::any_of(tx.events.begin(), tx.events.end(), [&](const TransactionEvent& e) {
          return e.index < tx.schema->events.size() && tx.schema->events[e.index].Answers(want->event);
        });
    if (!set) return false;
  }
  return true;
}

uint8_t Detector::Impl::DirectionsOf(KeywordId keyword) const {
  return keyword < rp->keyword_directions.size() ? rp->keyword_directions[keyword] : 3;
}

bool Detector::Impl::Complete(const Transaction& tx, uint8_t sides) {
  return (!(sides & 1) || tx.complete[0]) && (!(sides & 2) || tx.complete[1]);
}

bool Detector::Impl::IsOver(const Transaction& tx, KeywordId keyword, uint8_t sides) const {
  for (size_t i = 0; i < 2; ++i) {
    const bool passed = keyword < rp->keyword_stage[i].size() &&
                        tx.stage[i] >= rp->keyword_stage[i][keyword];
    if ((sides & 1 << i) && !tx.complete[i] && !passed) return false;
  }
  return true;
}

namespace {

// As number tests see it: signed values moved so that they order as unsigned
// ones, times in seconds since the epoch.
uint64_t Comparable(const FieldValue& value) {
  const auto number = static_cast<int64_t>(value.number);
  switch (value.type) {
    case FieldType::kInt:
      return SignedOrder(number);
    case FieldType::kTime:
      return SignedOrder(std::chrono::floor<std::chrono::seconds>(Nanos{number}).count());
    default:
      return value.number;
  }
}

}  // namespace

namespace {

// Whether a place, the last values counted as -1 and so on, is that of value `i` of `count`.
bool IsPlace(int32_t place, int64_t i, int64_t count) { return i == (place < 0 ? count + place : place); }

bool InSlice(const WhichNumbers& w, int64_t i, int64_t count) {
  if (!w.sliced) return true;
  const int64_t first = w.first < 0 ? count + w.first : w.first, last = w.last < 0 ? count + w.last : w.last;
  const bool inside = first >= 0 && last >= 0 && first <= count && last <= count;
  return inside && i >= first && i < last;
}

bool IsOut(int32_t place, int64_t count) { return place < 0 ? -int64_t{place} > count : place >= count; }

}  // namespace

// All values are there.
bool Detector::Impl::NumbersMatch(const NumberInspection& n, const Transaction& tx, uint8_t sides) {
  using Kind = WhichNumbers::Kind;
  const WhichNumbers& w = n.which;
  const auto counts = [&](const FieldValue& value) { return value.keyword == n.keyword && Counts(sides, value.direction); };
  const int64_t total = std::ranges::count_if(tx.values, counts);
  int64_t at = 0, inside = 0, passed = 0;
  bool at_place = false;
  for (const FieldValue& value : tx.values) {
    if (!counts(value)) continue;
    const int64_t i = at++;
    if (!InSlice(w, i, total)) continue;
    ++inside;
    const bool holds = n.test.Matches(Comparable(value));
    passed += holds;
    at_place |= holds && IsPlace(w.index, i, total);
  }
  switch (w.kind) {
    case Kind::kAny: return passed > 0;
    case Kind::kAnyOrNone: return passed > 0 || inside == 0;
    case Kind::kAll: return inside > 0 && passed == inside;
    case Kind::kAllOrNone: return passed == inside;
    case Kind::kTimes: return w.times.Matches(static_cast<uint64_t>(passed));
    case Kind::kIndex: return at_place;
    case Kind::kIndexOrOut: return at_place || IsOut(w.index, total);
    case Kind::kCount: return w.times.Matches(static_cast<uint64_t>(total));
  }
  return false;
}

Look Detector::Impl::TryNumber(const NumberInspection& n, const Transaction& tx, uint8_t sides) const {
  if (n.which.kind != WhichNumbers::Kind::kAny || n.which.sliced) {
    if (!Complete(tx, sides)) return Look::kWait;
    return NumbersMatch(n, tx, sides) ? Look::kMatch : Look::kNever;
  }
  for (const FieldValue& value : tx.values) {
    if (value.keyword == n.keyword && Counts(sides, value.direction) &&
        n.test.Matches(Comparable(value)))
      return Look::kMatch;
  }
  return IsOver(tx, n.keyword, sides) ? Look::kNever : Look::kWait;
}

Look Detector::Impl::WhenAbsent(const CompiledInspection& inspection, bool seen, bool over) {
  if (!over) return Look::kWait;
  const bool matches = !seen && inspection.absent != Inspection::Absent::kMismatches;
  return matches ? Look::kMatch : Look::kNever;
}

Look Detector::Impl::TryField(const CompiledInspection& inspection, const Transaction& tx, uint8_t sides) {
  bool growing = false, seen = false;
  for (uint32_t v = 0; v < tx.values.size(); ++v) {
    const FieldValue& value = tx.values[v];
    if (value.keyword != inspection.keyword || !Counts(sides, value.direction)) continue;
    if (inspection.absent == Inspection::Absent::kMatches) return Look::kNever;
    seen = true;
    if (value.type == FieldType::kChunks && !value.complete) {
      growing = true;
      if (inspection.confirm.needs_end || !Ready(tx.inspection, v)) continue;
    }
    if (BufferMatches(inspection, value.bytes)) return Look::kMatch;
  }
  return WhenAbsent(inspection, seen, !growing && IsOver(tx, inspection.keyword, sides));
}

namespace {

bool IsEvent(const FlowEvent& event, const AppEventTest& want) {
  if (!event.schema) {
    return want.protocol.empty() && want.event == RecognitionEventName(static_cast<RecognitionEvent>(event.index));
  }
  return event.schema->Answers(want.protocol) && event.schema->events[event.index].Answers(want.event);
}

}  // namespace

void Detector::Impl::InspectFlowEvents(std::span<const FlowEvent> events) {
  for (const FlowEvent& event : events) {
    if (event.schema && event.index >= event.schema->events.size()) continue;
    for (uint32_t rank : rp->event_rules) {
      const CompiledRule& r = rp->compiled[rank];
      if (!r.fields.empty() || !r.rule->numbers.empty() || fired[rank] == packet_no) continue;
      const bool asked =
          std::all_of(r.rule->flow_conditions.begin(), r.rule->flow_conditions.end(),
                      [&](const FlowCondition& c) {
                        const auto* want = std::get_if<AppEventTest>(&c);
                        return !want || IsEvent(event, *want);
                      });
      const size_t source = event.direction == context.direction ? 0 : 1;
      if (!asked || !(r.directions & 1 << Index(event.direction)) || !HeaderMatches(r, source))
        continue;
      if (ConditionsHold(r, event.direction) && PacketTestsHold(r))
        Fire(rank, nullptr, event.direction, false);
    }
  }
}

}  // namespace sluice
