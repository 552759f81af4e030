#include "engine/dissect/dissector.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

sluice_flow* Handle(FlowDissection& flow) { return reinterpret_cast<sluice_flow*>(&flow); }
uint32_t Bit(Direction direction) { return 1u << Index(direction); }

void Complete(Transaction& tx, Direction direction, Nanos now) {
  const size_t d = Index(direction);
  if (tx.complete[d]) return;
  tx.complete[d] = true;
  tx.stage[d] = tx.schema->last_stage(direction);
  tx.stage_time[d] = now;
  if (tx.done()) tx.ended = now;
}

}  // namespace

std::string_view RecognitionEventName(RecognitionEvent event) {
  static constexpr std::string_view kNames[] = {"applayer_mismatch_protocol_both_directions"};
  return kNames[static_cast<size_t>(event)];
}

// ------------------------------------------------------------------ memory

Arena::Block BlockPool::Take(uint32_t least) {
  if (least <= kBlockBytes && !free_.empty()) {
    Arena::Block block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  const uint32_t capacity = std::max(least, kBlockBytes);
  return {.bytes = std::make_unique_for_overwrite<uint8_t[]>(capacity), .capacity = capacity};
}

void BlockPool::Give(Arena::Block block) {
  if (block.capacity != kBlockBytes) return;  // an outsize block: freed
  block.used = 0;
  free_.push_back(std::move(block));
}

std::optional<Slice> Arena::Copy(Slice bytes, BlockPool& pool) {
  const auto len = static_cast<uint32_t>(bytes.size());
  if (blocks_.empty() || blocks_.back().capacity - blocks_.back().used < len) {
    blocks_.push_back(pool.Take(len));
    size_ += blocks_.back().capacity;
  }
  Block& block = blocks_.back();
  uint8_t* copy = block.bytes.get() + block.used;
  if (len > 0) std::memcpy(copy, bytes.data(), len);
  block.used += len;
  return Slice(copy, len);
}

void Arena::Release(BlockPool& pool) noexcept {
  for (Block& block : blocks_) pool.Give(std::move(block));
  blocks_.clear();
  size_ = 0;
}

Dissector::Dissector(const Catalog& catalog, const DissectOptions& options, FileSink* sink)
    : catalog_(catalog),
      options_(options),
      plugin_stats_(catalog.schemas().size()),
      memory_(catalog.schemas().size()),
      parts_(options.parts),
      file_sink_(sink) {
  TakeWanted();
  WantOfFiles({});
}
Dissector::~Dissector() = default;

FlowDissection* Dissector::Open(const FlowFacts& facts) {
  std::unique_ptr<FlowDissection> flow;
  if (free_flows_.empty()) {
    flow = std::make_unique<FlowDissection>();
  } else {
    flow = std::move(free_flows_.back());
    free_flows_.pop_back();
  }
  flow->owner_ = this;
  flow->facts_ = facts;
  return flow.release();
}

void Dissector::Close(FlowDissection* flow) {
  std::unique_ptr<FlowDissection> owned(flow);
  Unbind(*flow);
  for (LiveTransaction* live : flow->live_) Free(live);
  if (free_flows_.size() >= options_.pooled_flows) return;
  // A fresh state, keeping the capacity of its buffers.
  FlowDissection clean;
  for (int d = 0; d < 2; ++d) {
    flow->pending_[d].clear();
    if (flow->pending_[d].capacity() <= BlockPool::kBlockBytes) {
      clean.pending_[d] = std::move(flow->pending_[d]);
    }
  }
  flow->live_.clear();
  flow->events_.clear();
  flow->context_.clear();
  if (flow->context_.capacity() <= BlockPool::kBlockBytes) clean.context_ = std::move(flow->context_);
  clean.live_ = std::move(flow->live_);
  clean.events_ = std::move(flow->events_);
  *owned = std::move(clean);
  free_flows_.push_back(std::move(owned));
}

LiveTransaction* Dissector::NewTransaction(FlowDissection& flow, uint32_t flags) {
  std::unique_ptr<LiveTransaction> live;
  if (free_transactions_.empty()) {
    live = std::make_unique<LiveTransaction>();
  } else {
    live = std::move(free_transactions_.back());
    free_transactions_.pop_back();
  }
  Transaction& tx = live->tx;
  tx.number = flow.next_tx_ - 1;
  tx.id = tx.number - flow.first_tx_;
  tx.schema = flow.schema_;
  const uint32_t only = flags & (SLUICE_TX_TO_SERVER | SLUICE_TX_TO_CLIENT);
  tx.directions = static_cast<uint8_t>(only == 0 ? uint32_t{SLUICE_DIR_BOTH} : only);
  tx.no_log = flags & SLUICE_TX_NO_LOG;
  tx.session = flags & SLUICE_TX_SESSION;
  tx.log_early = flags & SLUICE_TX_LOG_EARLY;
  tx.started = flow.now_;
  for (Direction d : {Direction::kToServer, Direction::kToClient}) {
    if (!(tx.directions & Bit(d))) Complete(tx, d, flow.now_);
  }
  flow.live_.push_back(live.get());
  return live.release();
}

void Dissector::Free(LiveTransaction* live) {
  std::unique_ptr<LiveTransaction> owned(live);
  for (const FileInfo& file : live->tx.files) {
    if (file.store_id != 0 && !file.logged) file_sink_->GiveUp(file.store_id, KeepFailure::kFlow);
  }
  live->arena.Release(blocks_);
  for (uint32_t i = 0; i < live->num_windows; ++i) live->windows[i].bytes.clear();
  live->num_windows = 0;
  live->open_groups = live->refused_groups = 0;
  memory_[live->tx.schema->id] -= live->memory;
  live->memory = 0;
  Transaction& tx = live->tx;
  tx.values.clear();
  tx.events.clear();
  tx.files.clear();
  tx.inspection.Clear();
  tx.number = tx.id = 0;
  tx.schema = nullptr;
  tx.no_log = tx.quiet = tx.logged = tx.session = tx.log_early = false;
  tx.keep_files = tx.keep_values = tx.values_kept = 0;
  tx.num_events_logged = 0;
  for (int d = 0; d < 2; ++d) {
    tx.stage[d] = 0;
    tx.complete[d] = tx.inspected[d] = false;
    tx.stage_time[d] = Nanos{};
  }
  tx.started = tx.ended = tx.request_end = tx.answer_start = Nanos{};
  free_transactions_.push_back(std::move(owned));
}

// ---------------------------------------------------------------- life cycle

void Dissector::ForgetContext(FlowDissection& flow) {
  flow.context_.clear();
  if (flow.context_.capacity() > BlockPool::kBlockBytes) flow.context_ = {};
}

void Dissector::Bind(FlowDissection& flow, uint16_t schema) {
  flow.schema_ = catalog_.schemas()[schema].get();
  flow.plugin_ = &catalog_.plugin(schema);
  flow.state_ = flow.plugin_->NewFlow(Handle(flow), StatsOf(flow));
  // What an announcement says is short and stays; 64 KiB of a hand-over for each flow would not be.
  if (!flow.expected_) ForgetContext(flow);
  ++stats_.flows;
  if (flow.state_ == nullptr) GiveUp(flow);
}

void Dissector::Unbind(FlowDissection& flow) {
  if (flow.state_ != nullptr) flow.plugin_->FreeFlow(flow.state_, StatsOf(flow));
  flow.state_ = nullptr;
  flow.plugin_ = nullptr;
}

// The flow keeps its name and what was found; nothing more is dissected.
void Dissector::GiveUp(FlowDissection& flow) {
  flow.opaque_ = true;
  for (auto& pending : flow.pending_) pending.clear();
  CompleteAll(flow);
}

void Dissector::Breached(FlowDissection& flow) {
  flow.breached_ = true;
  ++stats_.breaches;
  GiveUp(flow);
}

// Counts a slow call; true if it was one too many and the flow is given up.
bool Dissector::TooSlow(FlowDissection& flow) {
  ++stats_.slow_calls;
  if (++flow.slow_calls_ < options_.max_slow_calls) return false;
  Breached(flow);
  return true;
}

void Dissector::Stop(FlowDissection& flow, Direction direction) {
  flow.stopped_[Index(direction)] = true;
  flow.pending_[Index(direction)].clear();
}

void Dissector::CompleteAll(FlowDissection& flow) {
  for (LiveTransaction* live : flow.live_) {
    for (FieldValue& value : live->tx.values) value.complete = true;  // rules wait for no more of it
    Complete(live->tx, Direction::kToServer, flow.now_);
    Complete(live->tx, Direction::kToClient, flow.now_);
  }
  if (!flow.live_.empty()) flow.changed_ = true;
}

void Dissector::Retire(FlowDissection& flow) {
  std::erase_if(flow.live_, [&](LiveTransaction* live) {
    const Transaction& tx = live->tx;
    if (!tx.logged || !tx.inspected[0] || !tx.inspected[1]) return false;
    flow.memory_ -= std::min(flow.memory_, live->memory);
    Free(live);
    return true;
  });
  flow.oldest_open_ = 0;
  flow.events_.clear();
  for (auto& budget : flow.budgets_) budget.reset();
  flow.changed_ = false;
}

void Dissector::End(FlowDissection& flow, Direction direction, Nanos now) {
  const size_t d = Index(direction);
  if (flow.ended_[d]) return;
  flow.ended_[d] = true;
  flow.now_ = now;
  flow.current_ = direction;
  if (flow.state_ != nullptr && !flow.opaque_ && !flow.stopped_[d]) {
    flow.plugin_->End(flow.state_, Handle(flow), direction, flow.pending_[d], StatsOf(flow));
    ApplyHandover(flow);
  }
  flow.pending_[d].clear();
  if (flow.plugin_ == nullptr && !flow.opaque_) flow.probed_no_[d] = true;
}

// The dissector is not told of an end: what it has open stays incomplete.
void Dissector::Cut(FlowDissection& flow, Direction direction) {
  flow.ended_[Index(direction)] = true;
  flow.pending_[Index(direction)].clear();
  if (flow.plugin_ == nullptr && !flow.opaque_) flow.probed_no_[Index(direction)] = true;
}

void Dissector::Finish(FlowDissection& flow, Nanos now) {
  flow.now_ = now;
  End(flow, Direction::kToServer, now);
  End(flow, Direction::kToClient, now);
  CompleteAll(flow);
}

// -------------------------------------------------------------------- input

void Dissector::Data(FlowDissection& flow, Direction direction, Slice bytes, Nanos now) {
  const size_t d = Index(direction);
  if (flow.opaque_ || flow.failed_ || flow.stopped_[d] || bytes.empty()) return;
  flow.now_ = now;
  flow.current_ = direction;
  if (flow.facts_.transport == SLUICE_UDP) {
    ParseDatagram(flow, direction, bytes);
  } else {
    Feed(flow, direction, bytes);
  }
}

void Dissector::Gap(FlowDissection& flow, Direction direction, uint64_t bytes, Nanos now) {
  const size_t d = Index(direction);
  if (flow.opaque_ || flow.failed_ || flow.stopped_[d] || bytes == 0) return;
  flow.now_ = now;
  flow.current_ = direction;
  const uint64_t skipped = std::min(flow.skip_[d], bytes);
  flow.skip_[d] -= skipped;
  bytes -= skipped;
  if (bytes == 0) return;
  if (flow.allowed_[d] == 0) return Withhold(flow, direction, bytes);
  if (flow.allowed_[d] != UINT64_MAX) {
    flow.allowed_[d] -= std::min(flow.allowed_[d], flow.pending_[d].size() + bytes);
  }
  if (flow.plugin_ == nullptr) {  // the start is lost: this side cannot be probed
    flow.pending_[d].clear();
    flow.probed_no_[d] = true;
    return;
  }
  TellGap(flow, direction, bytes + std::exchange(flow.withheld_[d], 0));
}

// Returns whether the dissector goes on.
bool Dissector::TellGap(FlowDissection& flow, Direction direction, uint64_t bytes) {
  const size_t d = Index(direction);
  flow.pending_[d].clear();
  flow.needed_[d] = 0;
  ++stats_.gaps;
  flow.in_gap_ = true;
  flow.gap_told_ = false;
  const Plugin::GapAnswer answer =
      flow.plugin_->Gap(flow.state_, Handle(flow), direction, bytes, StatsOf(flow));
  flow.in_gap_ = false;
  if (!flow.gap_told_) MarkGaps(flow, direction);
  flow.changed_ = true;
  if (answer.slow && TooSlow(flow)) return false;
  if (answer.goes_on) return true;
  ++stats_.gap_stops;
  ++flow.gap_stops_;
  Stop(flow, direction);
  return false;
}

void Dissector::Withhold(FlowDissection& flow, Direction direction, uint64_t bytes) {
  flow.withheld_[Index(direction)] += bytes;
  stats_.bytes_withheld += bytes;
}

void Dissector::Feed(FlowDissection& flow, Direction direction, Slice bytes) {
  const size_t d = Index(direction);
  if (flow.skip_[d] > 0) {
    const auto skipped = static_cast<size_t>(std::min<uint64_t>(flow.skip_[d], bytes.size()));
    flow.skip_[d] -= skipped;
    bytes = bytes.subspan(skipped);
    if (bytes.empty()) return;
  }
  std::vector<uint8_t>& pending = flow.pending_[d];
  if (flow.plugin_ == nullptr) {
    if (!flow.first_) flow.first_ = direction;
    if (TakeExpected(flow)) return FeedExpected(flow, direction, bytes);
    if (flow.probed_no_[d]) return KeepUnknown(flow, direction, bytes);
    KeepPending(flow, direction, bytes);
    if (Probe(flow, direction, pending)) return StartParsing(flow);
    if (flow.probed_no_[d]) KeepUnknown(flow, direction, {});  // within its bound
    return;
  }
  if (flow.sides_[d] == nullptr) CheckSide(flow, direction, bytes);
  if (flow.allowed_[d] == 0) return Withhold(flow, direction, bytes.size());
  if (flow.withheld_[d] > 0 &&
      !TellGap(flow, direction, std::exchange(flow.withheld_[d], 0))) {
    return;
  }
  if (pending.empty()) {
    const size_t used = Parse(flow, direction, bytes);
    if (used < bytes.size()) KeepPending(flow, direction, bytes.subspan(used));
  } else {
    KeepPending(flow, direction, bytes);
    if (pending.size() < flow.needed_[d]) return;
    ParsePending(flow, direction);
  }
  if (ApplyHandover(flow)) StartParsing(flow);
}

// The flow has its dissector: what was kept is read with this.
void Dissector::FeedExpected(FlowDissection& flow, Direction direction, Slice bytes) {
  if (flow.opaque_) return;
  const size_t d = Index(direction);
  if (flow.withheld_[d] > 0 && !TellGap(flow, direction, std::exchange(flow.withheld_[d], 0))) return;
  KeepPending(flow, direction, bytes);
  StartParsing(flow);
}

// Bytes are moved out while the dissector reads them: a hand-over may look at
// them again.
void Dissector::ParsePending(FlowDissection& flow, Direction direction) {
  const size_t d = Index(direction);
  work_.clear();
  work_.swap(flow.pending_[d]);
  const size_t used = Parse(flow, direction, work_);
  if (used < work_.size()) KeepPending(flow, direction, Slice(work_).subspan(used));
}

// Bytes that wait for more, within the budget, the flow's memory and the ABI's 1 MiB.
void Dissector::KeepPending(FlowDissection& flow, Direction direction, Slice rest) {
  const size_t d = Index(direction);
  if (flow.stopped_[d] || flow.opaque_) return;
  std::vector<uint8_t>& pending = flow.pending_[d];
  const uint64_t room = flow.allowed_[d] - std::min<uint64_t>(flow.allowed_[d], pending.size());
  if (rest.size() > room) {
    Withhold(flow, direction, rest.size() - room);
    rest = rest.first(static_cast<size_t>(room));
  }
  if (pending.size() + rest.size() > kMaxParseBytes ||
      flow.memory_ + pending.size() + rest.size() > options_.flow_memcap) {
    ++stats_.pending_overflow;
    Stop(flow, direction);
    return;
  }
  pending.insert(pending.end(), rest.begin(), rest.end());
}

// Of a side that no dissector knows by its first bytes: the other side's may tell whose they
// are.  More than a probe may ask for is not kept, nor what did not begin the stream.
void Dissector::KeepUnknown(FlowDissection& flow, Direction direction, Slice bytes) {
  const size_t d = Index(direction);
  std::vector<uint8_t>& pending = flow.pending_[d];
  if (flow.failed_) return;
  if (flow.facts_.midstream) return pending.clear();  // half a message would be read as a whole one
  if (flow.withheld_[d] == 0 && pending.size() + bytes.size() <= options_.max_probe_bytes) {
    return KeepPending(flow, direction, bytes);
  }
  flow.withheld_[d] += pending.size() + bytes.size();  // a gap, should it come to parsing
  pending.clear();
}

// After a dissector was found: what both directions have kept, first who spoke first.
void Dissector::StartParsing(FlowDissection& flow) {
  const Direction first = flow.first_.value_or(Direction::kToServer);
  for (int round = 0; round < 4; ++round) {  // hand-over chains are bounded
    bool again = false;
    for (Direction direction : {first, Opposite(first)}) {
      const size_t d = Index(direction);
      if (flow.opaque_ || flow.stopped_[d] || flow.pending_[d].empty()) continue;
      flow.current_ = direction;
      if (flow.plugin_ == nullptr) {
        if (!Probe(flow, direction, flow.pending_[d])) continue;
      }
      if (flow.sides_[d] == nullptr) CheckSide(flow, direction, flow.pending_[d]);
      ParsePending(flow, direction);
      again |= ApplyHandover(flow);
    }
    if (!again) return;
  }
}

sluice_probe_input Dissector::ProbeInput(const FlowFacts& facts, Direction direction, Slice head) {
  sluice_probe_input input{};
  input.struct_size = sizeof(input);
  input.transport = facts.transport;
  input.direction = static_cast<uint32_t>(direction);
  input.port[0] = facts.client_port;
  input.port[1] = facts.server_port;
  input.head = {head.data(), head.size()};
  return input;
}

bool Dissector::SpeaksAsOther(const FlowFacts& facts, Direction direction, Slice head) {
  const sluice_probe_input as_seen = ProbeInput(facts, direction, head);
  sluice_probe_input turned = ProbeInput(facts, Opposite(direction), head);
  std::swap(turned.port[0], turned.port[1]);
  bool other = false;
  for (const auto& schema : catalog_.schemas()) {
    const Plugin& plugin = catalog_.plugin(schema->id);
    if (!(plugin.info().transports & facts.transport)) continue;
    if (plugin.Probe(as_seen, plugin_stats_[schema->id]).answer == SLUICE_PROBE_YES) return false;
    other = other || plugin.Probe(turned, plugin_stats_[schema->id]).answer == SLUICE_PROBE_YES;
  }
  return other;
}

// The flow has its dissector, by the other direction's bytes.  It stays: yet rules may
// ask what this one begins with, and two protocols in one flow are odd.
void Dissector::CheckSide(FlowDissection& flow, Direction direction, Slice head) {
  const size_t d = Index(direction);
  flow.sides_[d] = flow.schema_;
  const sluice_probe_input input = ProbeInput(flow.facts_, direction, head);
  const auto says = [&](const Schema& schema) {
    return catalog_.plugin(schema.id).Probe(input, plugin_stats_[schema.id]).answer;
  };
  if (says(*flow.schema_) != SLUICE_PROBE_NO) return;
  for (const auto& schema : catalog_.schemas()) {
    if (schema.get() == flow.schema_ || says(*schema) != SLUICE_PROBE_YES) continue;
    if (!(catalog_.plugin(schema->id).info().transports & input.transport)) continue;
    flow.sides_[d] = schema.get();
    flow.events_.push_back({nullptr, static_cast<uint16_t>(RecognitionEvent::kSidesDiffer), direction});
    flow.changed_ = true;
    return;
  }
}

bool Dissector::TakeExpected(FlowDissection& flow) {
  Expectations& expectations = catalog_.expectations();
  if (expectations.size() == 0) return false;
  const FlowFacts& facts = flow.facts_;
  ExpectedEnds ends{.transport = facts.transport, .ip_version = facts.ip_version};
  std::ranges::copy(facts.client_address.first(std::min<size_t>(16, facts.client_address.size())),
                    ends.initiator.begin());
  std::ranges::copy(facts.server_address.first(std::min<size_t>(16, facts.server_address.size())),
                    ends.responder.begin());
  ends.initiator_port = facts.client_port;
  ends.responder_port = facts.server_port;
  Expectations::What what;
  if (!expectations.Take(ends, flow.now_, &what, &flow.context_)) return false;
  ++stats_.expectations_found;
  flow.expected_ = true;
  flow.parent_ = what.parent;
  Bind(flow, what.schema);
  flow.sides_[0] = flow.sides_[1] = flow.schema_;
  return true;
}

bool Dissector::Probe(FlowDissection& flow, Direction direction, Slice head) {
  const size_t d = Index(direction);
  const sluice_probe_input input = ProbeInput(flow.facts_, direction, head);
  bool undecided = false;
  for (const auto& schema : catalog_.schemas()) {
    const Plugin& plugin = catalog_.plugin(schema->id);
    if (!(plugin.info().transports & input.transport)) continue;
    const auto [answer, slow] = plugin.Probe(input, plugin_stats_[schema->id]);
    if (slow) {
      ++stats_.slow_calls;
      if (++flow.slow_calls_ >= options_.max_slow_calls) continue;  // it does not get this flow
    }
    if (answer == SLUICE_PROBE_YES) {
      Bind(flow, schema->id);
      flow.sides_[d] = flow.schema_;
      return !flow.opaque_;
    }
    undecided |= answer == SLUICE_PROBE_MAYBE;
  }
  if (undecided && head.size() < options_.max_probe_bytes &&
      flow.facts_.transport == SLUICE_TCP) {
    return false;
  }
  if (undecided) ++stats_.probe_undecided;
  flow.probed_no_[d] = true;
  if (flow.probed_no_[0] && flow.probed_no_[1]) {
    flow.pending_[0].clear();
    flow.pending_[1].clear();
    flow.failed_ = true;
    ++stats_.undissected;
  }
  return false;
}

void Dissector::ParseDatagram(FlowDissection& flow, Direction direction, Slice bytes) {
  const size_t d = Index(direction);
  const auto skipped = static_cast<size_t>(std::min<uint64_t>(flow.skip_[d], bytes.size()));
  flow.skip_[d] -= skipped;
  bytes = bytes.subspan(skipped);
  if (bytes.empty()) return;
  if (flow.allowed_[d] == 0) return Withhold(flow, direction, bytes.size());
  if (flow.plugin_ == nullptr) {
    if (TakeExpected(flow)) {
      if (flow.opaque_) return;
    } else if (flow.probed_no_[d] || !Probe(flow, direction, bytes)) {
      return;
    }
  }
  flow.budget_fresh_[d] = false;
  const ParseAnswer answer =
      flow.plugin_->Parse(flow.state_, Handle(flow), direction, bytes, StatsOf(flow));
  flow.changed_ = true;
  Spend(flow, direction, bytes.size());
  if (answer.breach == Breach::kTooSlow) {
    if (TooSlow(flow)) return;
  } else if (answer.breach != Breach::kNone) {
    return Breached(flow);
  }
  if (answer.status == SLUICE_PARSE_ERROR) {
    ++stats_.parse_errors;
    ++flow.parse_errors_;
    Stop(flow, direction);
  }
  ApplyHandover(flow);
}

// Takes bytes that are done with off the direction's budget.
void Dissector::Spend(FlowDissection& flow, Direction direction, uint64_t bytes) {
  uint64_t& allowed = flow.allowed_[Index(direction)];
  const bool fresh = std::exchange(flow.budget_fresh_[Index(direction)], false);
  if (!fresh && allowed != UINT64_MAX) allowed -= std::min(allowed, bytes);
}

// Returns how many bytes are done with.
size_t Dissector::Parse(FlowDissection& flow, Direction direction, Slice bytes) {
  const size_t d = Index(direction);
  flow.needed_[d] = 0;
  flow.changed_ = true;
  size_t used = 0;
  for (uint32_t calls = 0; used < bytes.size(); ++calls) {
    if (calls >= options_.max_calls_per_packet) {
      StatsOf(flow).Count(Breach::kTooManyCalls);
      Breached(flow);
      return bytes.size();
    }
    if (flow.allowed_[d] == 0) return used;
    const auto most = static_cast<size_t>(std::min<uint64_t>(flow.allowed_[d], kMaxParseBytes));
    const Slice in = bytes.subspan(used, std::min(bytes.size() - used, most));
    flow.budget_fresh_[d] = false;
    const ParseAnswer answer =
        flow.plugin_->Parse(flow.state_, Handle(flow), direction, in, StatsOf(flow));
    if (answer.breach == Breach::kTooSlow) {
      if (TooSlow(flow)) return bytes.size();
    } else if (answer.breach != Breach::kNone) {
      Breached(flow);
      return bytes.size();
    }
    if (answer.status == SLUICE_PARSE_ERROR) {
      ++stats_.parse_errors;
      ++flow.parse_errors_;
      if (!flow.handover_) Stop(flow, direction);
      return bytes.size();
    }
    used += answer.consumed;
    Spend(flow, direction, answer.consumed);
    if (flow.handover_) return used;
    if (flow.skip_[d] > 0) {
      const auto skip = static_cast<size_t>(std::min<uint64_t>(flow.skip_[d], bytes.size() - used));
      flow.skip_[d] -= skip;
      used += skip;
    }
    if (answer.status == SLUICE_PARSE_MORE) {
      flow.needed_[d] = answer.needed;
      return used;
    }
    if (answer.consumed == 0) return used;  // waits for more
  }
  return used;
}

// True if another dissector now has the flow and may have bytes waiting.
bool Dissector::ApplyHandover(FlowDissection& flow) {
  if (!flow.handover_ || flow.plugin_ == nullptr) return false;
  flow.handover_ = false;
  flow.first_tx_ = flow.next_tx_;
  const char* to = flow.handover_to_;
  if (flow.original_ == nullptr) flow.original_ = flow.schema_;
  flow.from_ = flow.schema_;
  CompleteAll(flow);
  if (to == nullptr) {
    GiveUp(flow);
    return false;
  }
  Unbind(flow);
  for (int d = 0; d < 2; ++d) {
    flow.stopped_[d] = false;
    flow.needed_[d] = 0;
    flow.skip_[d] = 0;
    flow.allowed_[d] = UINT64_MAX;
    flow.probed_no_[d] = false;
  }
  if (*to == '\0') return true;
  const Schema* next = catalog_.FindSchema(to);
  if (next == nullptr) {  // nobody here dissects it
    GiveUp(flow);
    return false;
  }
  Bind(flow, next->id);
  flow.sides_[0] = flow.sides_[1] = flow.schema_;
  return !flow.opaque_;
}

}  // namespace sluice
