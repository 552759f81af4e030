// Watching a rule: every part of it evaluated on its own, whatever the parts before
// it say, so that all reasons of a failure are seen.
#include "engine/match/explain.h"

#include <algorithm>

#include "engine/match/detector_impl.h"

namespace sluice {

using Outcome = RuleLook::Outcome;

size_t RuleLook::held() const {
  return static_cast<size_t>(
      std::ranges::count(steps, Outcome::kHolds, [](const Step& s) { return s.outcome; }));
}

namespace {

Outcome If(bool holds) { return holds ? Outcome::kHolds : Outcome::kFails; }

void Add(RuleLook* look, RuleLook::About about, Outcome outcome) {
  look->steps.push_back({about, outcome, {}, {}});
}

Slice Cut(Slice bytes) { return bytes.first(std::min(bytes.size(), kMostExplainedBytes)); }

// The parts that do not depend on where the rule looks.
void AddHeader(RuleLook* look, Detector::Impl& impl, const CompiledRule& r, size_t source) {
  const bool both = r.rule->header.bidirectional;
  const auto either = [&](auto&& holds) { return holds(source) || (both && holds(1 - source)); };
  Add(look, RuleLook::Protocol{}, If(impl.ProtocolMatches(r)));
  Add(look, RuleLook::Addresses{}, If(either([&](size_t s) { return impl.AddressesMatch(r, s); })));
  Add(look, RuleLook::Ports{}, If(either([&](size_t s) { return impl.PortsMatch(r, s); })));
  for (const FlowCondition& condition : r.rule->flow_conditions) {
    if (std::holds_alternative<AppEventTest>(condition)) continue;
    Add(look, &condition, If(impl.ConditionHolds(condition, look->direction)));
  }
  for (const PacketTest& test : r.rule->packet_tests) {
    const auto* decode = std::get_if<DecodeEventTest>(&test);
    const auto* stream = std::get_if<StreamEventTest>(&test);
    bool holds = impl.PacketTestHolds(test);
    if (decode || stream) {
      const auto id = impl.rp->event_ids.find(decode ? decode->name : stream->name);
      const auto& events = impl.context.events;
      holds = id != impl.rp->event_ids.end() && std::ranges::find(events, id->second) != events.end();
    }
    Add(look, &test, If(holds));
  }
}

// The tests of `inspection` on `bytes`, as a copy that can be shown.
BufferLook LookAtBuffer(Detector::Impl& impl, const CompiledInspection& inspection, Slice bytes,
                        bool growing) {
  if (inspection.chain) bytes = impl.rp->chains[inspection.chain].Apply(bytes, impl.transform);
  BufferLook out;
  out.size = bytes.size();
  out.growing = growing;
  // A view of what was transformed dies with the next one.
  const Slice shown = Cut(bytes);
  out.bytes.assign(shown.begin(), shown.end());
  out.matched = inspection.confirm.Explain(bytes, impl.confirm, &out.trace);
  return out;
}

void AddPayload(RuleLook* look, Detector::Impl& impl, const CompiledRule& r, Slice buffer) {
  for (const CompiledInspection& inspection : r.payload) {
    const Slice bytes = inspection.kind == BufferKind::kHeader
                            ? HeaderOf(*impl.context.packet, inspection.header)
                            : buffer;
    RuleLook::Step step{inspection.inspection, Outcome::kFails, {}, {}};
    if (!bytes.empty()) step.buffers.push_back(LookAtBuffer(impl, inspection, bytes, false));
    step.outcome = If(!step.buffers.empty() && step.buffers.front().matched);
    look->steps.push_back(std::move(step));
  }
}

// A look that the header spared was never in the prefilter's hits: search again.
void FindFastPattern(RuleLook* look, const CompiledRule& r) {
  for (RuleLook::Step& fast : look->steps) {
    if (!std::holds_alternative<RuleLook::FastPattern>(fast.about)) continue;
    for (const RuleLook::Step& step : look->steps) {
      const auto* inspection = std::get_if<const Inspection*>(&step.about);
      if (inspection == nullptr || *inspection != r.fast_in) continue;
      for (const BufferLook& buffer : step.buffers) {
        if (FindBytes(buffer.bytes, 0, r.fast_pattern, r.fast_nocase) != kNotFound)
          fast.outcome = Outcome::kHolds;
      }
    }
  }
}

Outcome FromLook(Look look) {
  return look == Look::kMatch ? Outcome::kHolds : look == Look::kWait ? Outcome::kWaits : Outcome::kFails;
}

void AddFields(RuleLook* look, Detector::Impl& impl, const CompiledRule& r, const Transaction& tx) {
  const uint8_t side = static_cast<uint8_t>(1 << Index(look->direction));
  for (const FlowCondition& condition : r.rule->flow_conditions) {
    if (!std::holds_alternative<AppEventTest>(condition)) continue;
    Add(look, &condition, If(Detector::Impl::EventsSet(r, tx)));
  }
  for (const NumberInspection& n : r.rule->numbers) {
    const uint8_t sides = r.transactional ? impl.DirectionsOf(n.keyword) : side;
    RuleLook::Step step{&n, FromLook(impl.TryNumber(n, tx, sides)), {}, {}};
    for (const FieldValue& value : tx.values) {
      if (value.keyword == n.keyword && Detector::Impl::Counts(sides, value.direction))
        step.numbers.push_back(value.number);
    }
    look->steps.push_back(std::move(step));
  }
  for (const CompiledInspection& f : r.fields) {
    const uint8_t sides = r.transactional ? f.directions : side;
    const bool files = IsFileBuffer(f.kind);
    RuleLook::Step step{f.inspection, Outcome::kFails, {}, {}};
    if (files) {
      for (const FileInfo& file : tx.files) {
        if (f.kind == BufferKind::kFileMagic) impl.FindMagic(file);
        if (Detector::Impl::Counts(sides, file.direction))
          step.buffers.push_back(LookAtBuffer(impl, f, Detector::Impl::FileBuffer(file, f.kind),
                                              !Detector::Impl::FileBufferIsWhole(file, f.kind)));
      }
    } else {
      for (const FieldValue& value : tx.values) {
        if (value.keyword == f.keyword && Detector::Impl::Counts(sides, value.direction))
          step.buffers.push_back(LookAtBuffer(impl, f, value.bytes, !value.complete));
      }
    }
    step.outcome = FromLook(files ? impl.TryFiles(f, tx, sides) : impl.TryField(f, tx, sides));
    look->steps.push_back(std::move(step));
  }
  if (r.on_files) {
    Add(look, RuleLook::OneFile{},
        FromLook(impl.TryEachFile(r, impl.Once(r, look->direction), tx, r.transactional ? uint8_t{3} : side)));
  }
}

}  // namespace

void Detector::Impl::LookAtPacket(Slice buffer, RuleLook::Where where, Direction direction,
                                  bool hit) {
  const CompiledRule& r = rp->compiled[watched];
  RuleLook& look = looks.emplace_back();
  look.rule = r.rule;
  look.where = where;
  look.direction = direction;
  AddHeader(&look, *this, r, direction == context.direction ? 0 : 1);
  if (!r.any_app) Add(&look, RuleLook::Application{}, If(AppMatches(r)));
  if (!r.fast_pattern.empty()) Add(&look, RuleLook::FastPattern{r.fast_in}, If(hit));
  AddPayload(&look, *this, r, buffer);
  FindFastPattern(&look, r);
}

void Detector::Impl::LookAtTransaction(const Transaction& tx, Direction direction, bool hit) {
  const CompiledRule& r = rp->compiled[watched];
  RuleLook& look = looks.emplace_back();
  look.rule = r.rule;
  look.where = RuleLook::Where::kTransaction;
  look.direction = direction;
  look.tx = &tx;
  const size_t sender = r.transactional ? 0 : Index(direction);
  AddHeader(&look, *this, r, sender == d() ? 0 : 1);
  if (!r.any_app)
    Add(&look, RuleLook::Application{}, If(IsOf(r, *tx.schema) || AppMatches(r)));
  if (!r.fast_pattern.empty()) Add(&look, RuleLook::FastPattern{r.fast_in}, If(hit));
  AddFields(&look, *this, r, tx);
  const size_t i = Index(direction);
  AddPayload(&look, *this, r, !stream_window[i].empty() ? stream_window[i]
                              : i == d()                ? context.packet->payload
                                                        : Slice{});
  FindFastPattern(&look, r);
}

void Detector::Impl::LookAtUntriedPacket() {
  const CompiledRule& r = rp->compiled[watched];
  if (!looks.empty() || r.kind == RuleClass::kFields) return;
  const bool stream = r.on_stream && r.has_payload && !stream_window[d()].empty();
  LookAtPacket(stream ? stream_window[d()] : context.packet->payload,
               stream ? RuleLook::Where::kStream : RuleLook::Where::kPacket, context.direction, false);
}

// Once, when the direction is over: until then the fast pattern may still come.
void Detector::Impl::LookAtUntriedTransaction(const Transaction& tx, Direction direction) {
  const CompiledRule& r = rp->compiled[watched];
  const InspectionState& st = tx.inspection;
  if (r.kind != RuleClass::kFields || !tx.complete[Index(direction)] ||
      !(r.directions & 1 << Index(direction))) {
    return;
  }
  const auto is_watched = [this](uint32_t candidate) { return candidate >> 1 == watched; };
  if (std::ranges::any_of(st.candidates, is_watched) ||
      std::ranges::find(st.matched, watched) != st.matched.end()) {
    return;
  }
  LookAtTransaction(tx, direction, false);
}

void Detector::Impl::TellWatcher() {
  LookAtUntriedPacket();
  for (RuleLook& look : looks) {
    look.reported = look.matched && std::ranges::any_of(alerts, [&](const Alert& alert) {
      return alert.rule == look.rule && alert.tx == look.tx;
    });
    watcher->OnLook(context, look);
  }
  looks.clear();
}

}  // namespace sluice
