#include "engine/dissect/host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/dissect/dissector.h"

namespace sluice {
namespace {

struct InitContext {
  const PluginOptions* options = nullptr;
  std::string plugin;
};
InitContext* init_context = nullptr;  // main thread only, see HostOptions

}  // namespace

HostOptions::HostOptions(const PluginOptions& options, std::string plugin) {
  init_context = new InitContext{.options = &options, .plugin = std::move(plugin)};
}
HostOptions::~HostOptions() {
  delete init_context;
  init_context = nullptr;
}

// Friend of FlowDissection and Dissector: the bodies of the host's calls.
struct HostCalls {
  static void Refuse(FlowDissection& flow) {
    ++flow.owner_->stats_.memcap;
    ++flow.refusals_;
  }

  static FlowDissection& Self(sluice_flow* flow) {
    return *reinterpret_cast<FlowDissection*>(flow);
  }

  static int32_t Bad(FlowDissection& flow) {
    ++flow.owner_->stats_.bad_calls;
    flow.owner_->StatsOf(flow).Count(Breach::kBadHostCall);
    return -EINVAL;
  }

  // Of a transaction past the limit its dissector knows nothing: that is no breach.
  static int32_t NoTx(FlowDissection& flow, uint64_t tx) {
    return tx >= flow.first_lost_ && tx < flow.end_lost_ ? -ENOSPC : Bad(flow);
  }

  static LiveTransaction* Find(FlowDissection& flow, uint64_t tx) {
    const auto it = std::ranges::lower_bound(flow.live_, tx, {},
                                             [](const LiveTransaction* t) { return t->tx.number; });
    return it != flow.live_.end() && (*it)->tx.number == tx ? *it : nullptr;
  }

  // Charges the flow; false at its memory cap.
  static bool Charge(FlowDissection& flow, LiveTransaction& live, size_t bytes) {
    const size_t cap = flow.owner_->options_.flow_memcap;
    if (flow.memory_ > cap || bytes > cap - flow.memory_) {
      Refuse(flow);
      return false;
    }
    flow.memory_ += bytes;
    live.memory += bytes;
    flow.owner_->memory_[live.tx.schema->id] += bytes;
    return true;
  }

  // A new value of `field`, or null with *status set: 0 when nobody wants it.
  static FieldValue* Add(FlowDissection& flow, uint64_t tx, LiveTransaction* live, uint32_t field,
                         uint32_t types, int32_t* status) {
    *status = 0;
    if (live == nullptr) {
      *status = NoTx(flow, tx);
      return nullptr;
    }
    if (field >= live->tx.schema->fields.size()) {
      *status = Bad(flow);
      return nullptr;
    }
    const FieldInfo& info = live->tx.schema->fields[field];
    if (!(types & (1u << static_cast<uint32_t>(info.type)))) {
      *status = Bad(flow);
      return nullptr;
    }
    const bool wanted = (*flow.owner_->wanted_)[live->tx.schema->id][field];
    if (!wanted && !(info.flags & SLUICE_ON_DEMAND)) return nullptr;
    if (live->tx.values.size() >= flow.owner_->options_.max_values) {
      Refuse(flow);
      *status = -ENOSPC;
      return nullptr;
    }
    FieldValue& value = live->tx.values.emplace_back();
    value.field = static_cast<uint16_t>(field);
    value.keyword = info.keyword_id;
    value.type = info.type;
    value.direction = info.directions == SLUICE_DIR_BOTH        ? flow.current_
                      : info.directions == SLUICE_DIR_TO_SERVER ? Direction::kToServer
                                                                : Direction::kToClient;
    flow.changed_ = true;
    return &value;
  }

  static constexpr uint32_t Mask(FieldType type) { return 1u << static_cast<uint32_t>(type); }

  static int32_t SetBytes(FlowDissection& flow, uint64_t tx, uint32_t field, Slice bytes) {
    LiveTransaction* live = Find(flow, tx);
    int32_t status;
    FieldValue* value = Add(flow, tx, live, field, Mask(FieldType::kBytes) | Mask(FieldType::kAddress),
                            &status);
    if (value == nullptr) return status;
    if (value->type == FieldType::kAddress && bytes.size() != 4 && bytes.size() != 16) {
      live->tx.values.pop_back();
      return Bad(flow);
    }
    if (!Charge(flow, *live, bytes.size() + sizeof(FieldValue))) {
      live->tx.values.pop_back();
      return -ENOSPC;
    }
    value->bytes = *live->arena.Copy(bytes, flow.owner_->blocks_);
    value->total = bytes.size();
    return 0;
  }

  // The value of a number that is only logged, and only its last: replaced in place, so
  // that a dissector may keep a count current.  Null if it has none yet.
  static FieldValue* RunningNumber(LiveTransaction* live, uint32_t field, uint32_t types) {
    if (live == nullptr || field >= live->tx.schema->fields.size()) return nullptr;
    const FieldInfo& info = live->tx.schema->fields[field];
    if (!(info.flags & SLUICE_LOG_LAST) || info.keyword_id != kNoKeyword || !(types & Mask(info.type))) return nullptr;
    for (FieldValue& value : live->tx.values) {
      if (value.field == field) return &value;
    }
    return nullptr;
  }

  static int32_t SetNumber(FlowDissection& flow, uint64_t tx, uint32_t field, uint32_t types,
                           uint64_t number) {
    LiveTransaction* live = Find(flow, tx);
    if (FieldValue* running = RunningNumber(live, field, types); running != nullptr) {
      running->number = number;
      return 0;
    }
    int32_t status;
    FieldValue* value = Add(flow, tx, live, field, types, &status);
    if (value == nullptr) return status;
    if (!Charge(flow, *live, sizeof(FieldValue))) {
      live->tx.values.pop_back();
      return -ENOSPC;
    }
    value->number = number;
    return 0;
  }

  static LiveTransaction::Window& NewWindow(LiveTransaction& live, uint32_t owner, bool file) {
    if (live.num_windows == live.windows.size()) live.windows.emplace_back();
    LiveTransaction::Window& window = live.windows[live.num_windows++];
    window.owner = owner;
    window.file = file;
    window.bytes.clear();
    return window;
  }

  static LiveTransaction::Window* FindWindow(LiveTransaction& live, uint32_t owner, bool file) {
    for (uint32_t i = 0; i < live.num_windows; ++i) {
      LiveTransaction::Window& window = live.windows[i];
      if (window.owner == owner && window.file == file) return &window;
    }
    return nullptr;
  }

  // Appends to the kept first bytes; returns false if some did not fit.
  static bool Keep(FlowDissection& flow, LiveTransaction& live, LiveTransaction::Window& window,
                   Slice bytes) {
    const size_t room = flow.owner_->options_.chunk_window - window.bytes.size();
    const size_t kept = std::min(room, bytes.size());
    if (kept > 0 && !Charge(flow, live, kept)) return false;
    window.bytes.insert(window.bytes.end(), bytes.begin(), bytes.begin() + static_cast<long>(kept));
    return kept == bytes.size();
  }

  static int32_t SetChunk(FlowDissection& flow, uint64_t tx, uint32_t field, Slice bytes,
                          bool last) {
    LiveTransaction* live = Find(flow, tx);
    uint32_t index = UINT32_MAX;
    if (live != nullptr) {
      for (size_t i = live->tx.values.size(); i-- > 0 && index == UINT32_MAX;) {
        const FieldValue& value = live->tx.values[i];
        if (value.field == field && value.type == FieldType::kChunks && !value.complete) {
          index = static_cast<uint32_t>(i);
        }
      }
    }
    LiveTransaction::Window* window;
    if (index == UINT32_MAX) {
      int32_t status;
      FieldValue* value = Add(flow, tx, live, field, Mask(FieldType::kChunks), &status);
      if (value == nullptr) return status;
      value->complete = false;
      index = static_cast<uint32_t>(live->tx.values.size() - 1);
      window = &NewWindow(*live, index, false);
    } else {
      window = FindWindow(*live, index, false);
    }
    FieldValue& value = live->tx.values[index];
    if (!Keep(flow, *live, *window, bytes)) value.cut = true;
    value.bytes = window->bytes;
    value.total += bytes.size();
    value.complete = last;
    flow.changed_ = true;
    return 0;
  }

  static uint64_t TxBegin(FlowDissection& flow, uint32_t flags) {
    Dissector& owner = *flow.owner_;
    const uint64_t number = flow.next_tx_++;
    ++owner.stats_.transactions;
    flow.changed_ = true;
    if (flow.live_.size() >= owner.options_.max_kept_transactions ||
        flow.memory_ + sizeof(LiveTransaction) > owner.options_.flow_memcap) {
      ++owner.stats_.transactions_lost;
      if (flow.end_lost_ == 0) flow.first_lost_ = number;
      flow.end_lost_ = number + 1;
      return number;
    }
    if (flow.live_.size() >= owner.options_.max_live_transactions) ForceOldest(flow);
    LiveTransaction* live = owner.NewTransaction(flow, flags);
    live->memory = sizeof(LiveTransaction);
    owner.memory_[live->tx.schema->id] += sizeof(LiveTransaction);
    flow.memory_ += sizeof(LiveTransaction);
    return number;
  }

  static void ForceOldest(FlowDissection& flow) {
    // Those before oldest_open_ are done: many forced ones must not cost their square.
    for (; flow.oldest_open_ < flow.live_.size(); ++flow.oldest_open_) {
      Transaction& tx = flow.live_[flow.oldest_open_]->tx;
      if (tx.done()) continue;
      for (int d = 0; d < 2; ++d) {
        tx.complete[d] = true;
        tx.stage[d] = tx.schema->last_stage(static_cast<Direction>(d));
      }
      tx.ended = flow.now_;
      ++flow.owner_->stats_.transactions_forced;
      return;
    }
  }

  static int32_t TxStage(FlowDissection& flow, uint64_t number, uint32_t direction,
                         uint32_t stage) {
    LiveTransaction* live = Find(flow, number);
    if (live == nullptr) return NoTx(flow, number);
    if (direction > 1) return Bad(flow);
    Transaction& tx = live->tx;
    const auto d = static_cast<Direction>(direction);
    if (stage >= tx.schema->stages[direction].size() || stage < tx.stage[direction]) {
      return Bad(flow);
    }
    if (tx.complete[direction]) return 0;
    tx.stage[direction] = static_cast<uint8_t>(stage);
    tx.stage_time[direction] = flow.now_;
    tx.complete[direction] = stage == tx.schema->last_stage(d);
    if (d == Direction::kToServer && tx.complete[0]) tx.request_end = flow.now_;
    if (d == Direction::kToClient && tx.answer_start == Nanos{}) tx.answer_start = flow.now_;
    if (tx.done()) tx.ended = flow.now_;
    flow.changed_ = true;
    return 0;
  }

  static int32_t LogOpen(FlowDissection& flow, uint64_t tx, uint32_t group) {
    LiveTransaction* live = Find(flow, tx);
    int32_t status;
    if (live != nullptr && live->open_groups >= flow.owner_->options_.max_group_depth) {
      Refuse(flow);
      ++live->refused_groups;
      return -ENOSPC;
    }
    FieldValue* value = Add(flow, tx, live, group, Mask(FieldType::kGroup), &status);
    if (value == nullptr) {
      if (live != nullptr && status == -ENOSPC) ++live->refused_groups;
      return status;
    }
    value->number = 1;
    ++live->open_groups;
    return 0;
  }

  static int32_t LogClose(FlowDissection& flow, uint64_t tx) {
    LiveTransaction* live = Find(flow, tx);
    if (live == nullptr) return NoTx(flow, tx);
    if (live->refused_groups > 0) {
      --live->refused_groups;
      return 0;
    }
    if (live->open_groups == 0) return Bad(flow);
    --live->open_groups;
    FieldValue& value = live->tx.values.emplace_back();  // at most one per open: bounded
    value.field = UINT16_MAX;  // of no field
    value.type = FieldType::kGroup;
    value.number = 0;
    return 0;
  }

  static int32_t Event(FlowDissection& flow, uint64_t tx, uint32_t index) {
    const size_t limit = flow.owner_->options_.max_events;
    if (tx == SLUICE_NO_TX) {
      if (index >= flow.schema_->events.size()) return Bad(flow);
      if (flow.events_.size() >= limit) {
        ++flow.owner_->stats_.events_lost;
        return -ENOSPC;
      }
      flow.events_.push_back({flow.schema_, static_cast<uint16_t>(index), flow.current_});
    } else {
      LiveTransaction* live = Find(flow, tx);
      if (live == nullptr) return NoTx(flow, tx);
      if (index >= live->tx.schema->events.size()) return Bad(flow);
      if (live->tx.events.size() >= limit) {
        ++flow.owner_->stats_.events_lost;
        return -ENOSPC;
      }
      live->tx.events.push_back({static_cast<uint16_t>(index), flow.current_});
    }
    flow.changed_ = true;
    return 0;
  }

  // ---- files

  static constexpr int64_t kFileBits = 12;

  static int64_t FileOpen(FlowDissection& flow, uint64_t number, uint32_t direction, Slice name) {
    LiveTransaction* live = Find(flow, number);
    if (live == nullptr) return NoTx(flow, number);
    if (direction > 1) return Bad(flow);
    const DissectOptions& options = flow.owner_->options_;
    if (live->tx.files.size() >= options.max_files ||
        !Charge(flow, *live, sizeof(FileInfo) + name.size())) {
      Refuse(flow);
      return -ENOSPC;
    }
    const auto index = static_cast<uint32_t>(live->tx.files.size());
    FileInfo& file = live->tx.files.emplace_back();
    file.direction = static_cast<Direction>(direction);
    file.name = *live->arena.Copy(name, flow.owner_->blocks_);
    file.keep = (flow.keep_files_ | live->tx.keep_files) & 1u << direction;
    StartDigests(flow.owner_->file_wants_, NewWindow(*live, index, true));
    flow.changed_ = true;
    return static_cast<int64_t>(((number + 1) << kFileBits) | index);
  }

  static void StartDigests(const FileWants& wants, LiveTransaction::Window& window) {
    const bool wanted[3] = {wants.md5, wants.sha1, wants.sha256};
    window.magic = wants.magic;
    for (size_t i = 0; i < window.digests.size(); ++i) {
      window.digests[i].reset();
      if (wanted[i]) window.digests[i].emplace(static_cast<DigestKind>(i));
    }
  }

  static FileInfo* FindFile(FlowDissection& flow, int64_t handle, LiveTransaction** live,
                            LiveTransaction::Window** window) {
    if (handle <= 0) return nullptr;
    const uint64_t number = (static_cast<uint64_t>(handle) >> kFileBits) - 1;
    const auto index = static_cast<uint32_t>(handle & ((1 << kFileBits) - 1));
    *live = Find(flow, number);
    if (*live == nullptr || index >= (*live)->tx.files.size()) return nullptr;
    FileInfo* file = &(*live)->tx.files[index];
    if (file->closed) return nullptr;
    *window = FindWindow(**live, index, true);
    return file;
  }

  static int32_t FileData(FlowDissection& flow, int64_t handle, Slice bytes) {
    LiveTransaction* live;
    LiveTransaction::Window* window;
    FileInfo* file = FindFile(flow, handle, &live, &window);
    if (file == nullptr) return Bad(flow);
    Spill(flow, *window, *file, bytes);
    Keep(flow, *live, *window, bytes);
    file->data = window->bytes;
    file->size += bytes.size();
    for (std::optional<Digest>& digest : window->digests) {
      if (digest) digest->Add(bytes);
    }
    flow.owner_->FindMagic(*window, *file);
    flow.changed_ = true;
    const bool all = file->keep || file->store_id != 0 || flow.owner_->rules_want_files_;
    if (file->whole != 0) WritePart(flow, *live, *file, bytes);  // no look at *file behind it
    return all;
  }

  static int32_t FilePart(FlowDissection& flow, int64_t handle, Slice identity, uint64_t offset, uint64_t total) {
    LiveTransaction* live;
    LiveTransaction::Window* window;
    FileInfo* file = FindFile(flow, handle, &live, &window);
    if (file == nullptr || file->size > 0 || file->whole != 0) return Bad(flow);
    file->whole = flow.owner_->parts_.Begin(identity, file->name, offset, total, flow.now_);
    file->whole_at = offset;
    return file->whole == 0 ? -ENOSPC : 0;
  }

  static void WritePart(FlowDissection& flow, LiveTransaction& live, const FileInfo& part, Slice bytes) {
    FileParts& parts = flow.owner_->parts_;
    const uint64_t whole = part.whole, done = part.size - bytes.size();
    if (done > UINT64_MAX - part.whole_at) return;
    if (!parts.Write(whole, part.whole_at + done, bytes, flow.now_)) return;
    const bool itself = part.whole_at == 0 && part.missing == 0 && part.size >= parts.size(whole);
    if (!itself) AddWhole(flow, live, part.direction, whole);
    parts.Forget(whole);
  }

  // A file of the transaction, whose bytes are there at once.
  static void AddWhole(FlowDissection& flow, LiveTransaction& live, Direction direction, uint64_t whole) {
    const FileParts& parts = flow.owner_->parts_;
    const int64_t handle = FileOpen(flow, live.tx.number, static_cast<uint32_t>(direction), parts.name(whole));
    if (handle <= 0) return;  // counted there
    for (uint64_t at = 0; at < parts.size(whole);) {
      const Slice bytes = parts.At(whole, at);
      FileData(flow, handle, bytes);
      at += bytes.size();
    }
    FileClose(flow, handle, SLUICE_FILE_COMPLETE);
  }

  // Hands the store the bytes that come behind those in the window: of files that are to
  // be kept, and where rules may still ask for them, of those that outgrow their window.
  static void Spill(FlowDissection& flow, LiveTransaction::Window& window, FileInfo& file, Slice bytes) {
    Dissector& owner = *flow.owner_;
    if (owner.file_sink_ == nullptr || file.unstorable) return;
    if (file.store_id == 0) {
      const bool outgrows = window.bytes.size() + bytes.size() > owner.options_.chunk_window;
      if (!file.keep && !(owner.file_wants_.keep && outgrows)) return;
      if (!owner.BeginStoring(file, window.bytes)) return;
    }
    if (!owner.file_sink_->Data(file.store_id, file.size - file.missing, bytes)) file.unstorable = true;
  }

  static int32_t FileClose(FlowDissection& flow, int64_t handle, uint32_t flags) {
    LiveTransaction* live;
    LiveTransaction::Window* window;
    FileInfo* file = FindFile(flow, handle, &live, &window);
    if (file == nullptr) return Bad(flow);
    file->has_gap |= flow.in_gap_ && !flow.gap_told_ && file->direction == flow.current_;
    flow.owner_->CloseFile(*window, *file, flags & SLUICE_FILE_TRUNCATED);
    flow.changed_ = true;
    return 0;
  }

  static int32_t FileGap(FlowDissection& flow, int64_t handle, uint64_t bytes) {
    LiveTransaction* live;
    LiveTransaction::Window* window;
    FileInfo* file = FindFile(flow, handle, &live, &window);
    if (file == nullptr) return Bad(flow);
    file->has_gap = true;
    file->size += bytes;
    file->missing += bytes;
    flow.gap_told_ = true;
    flow.changed_ = true;
    return 0;
  }

  static int32_t Handover(FlowDissection& flow, const char* protocol) {
    const size_t len = protocol == nullptr ? 0 : strnlen(protocol, flow.handover_name_.size());
    if (len >= flow.handover_name_.size()) return Bad(flow);
    flow.handover_ = true;
    flow.context_.clear();
    flow.handover_to_ = nullptr;
    if (protocol == nullptr) return 0;
    std::memcpy(flow.handover_name_.data(), protocol, len + 1);
    flow.handover_to_ = flow.handover_name_.data();
    return 0;
  }

  static int32_t HandoverWith(FlowDissection& flow, const char* protocol, Slice context) {
    if (const int32_t status = Handover(flow, protocol); status != 0) return status;
    if (context.size() > flow.owner_->options_.max_context) {
      Refuse(flow);
      return -ENOSPC;
    }
    flow.context_.assign(context.begin(), context.end());
    return 0;
  }

  static int32_t Encrypted(FlowDissection& flow) {
    flow.encrypted_ = true;
    return 0;
  }

  static int32_t Budget(FlowDissection& flow, uint32_t direction, uint32_t mode, uint64_t bytes) {
    if (direction > 1 || mode > SLUICE_BUDGET_NEXT_TX) return Bad(flow);
    flow.skip_[direction] = mode == SLUICE_BUDGET_NEXT_TX ? bytes : 0;
    flow.allowed_[direction] = mode == SLUICE_BUDGET_NONE    ? 0
                               : mode == SLUICE_BUDGET_BYTES ? bytes
                                                             : UINT64_MAX;
    flow.budget_fresh_[direction] = static_cast<Direction>(direction) == flow.current_;
    flow.budgets_[direction] = BudgetRequest{mode, bytes};
    return 0;
  }

  static void Info(FlowDissection& flow, sluice_flow_info* out) {
    sluice_flow_info info{};
    info.struct_size = sizeof(info);
    info.transport = flow.facts_.transport;
    info.ip_version = flow.facts_.ip_version;
    info.port[0] = flow.facts_.client_port;
    info.port[1] = flow.facts_.server_port;
    const Slice addresses[2] = {flow.facts_.client_address, flow.facts_.server_address};
    for (int i = 0; i < 2; ++i) {
      std::ranges::copy(addresses[i].first(std::min<size_t>(16, addresses[i].size())), info.address[i]);
    }
    if (flow.from_ != nullptr) info.from_protocol = flow.from_->name.data();
    static constexpr uint8_t kNothing = 0;  // announced without a word
    if (flow.expected_ || !flow.context_.empty()) {
      info.context = {flow.context_.empty() ? &kNothing : flow.context_.data(), flow.context_.size()};
    }
    const uint32_t size = std::min<uint32_t>(out->struct_size, sizeof(info));
    std::memcpy(out, &info, size);
    out->struct_size = size;
  }

  static int32_t Expect(FlowDissection& flow, const sluice_expectation* of) {
    if (of == nullptr || !SLUICE_HAS(sluice_expectation, of, context)) return Bad(flow);
    const Slice context{of->context.data, of->context.data == nullptr ? 0 : of->context.len};
    if ((of->transport != SLUICE_TCP && of->transport != SLUICE_UDP) || (of->ip_version != 4 && of->ip_version != 6) ||
        of->port[1] == 0 || of->protocol == nullptr || context.size() > Expectations::kMaxContext) {
      return Bad(flow);
    }
    Dissector& owner = *flow.owner_;
    const Schema* schema = owner.catalog_.FindSchema(of->protocol);
    if (schema == nullptr) return -ENOENT;
    ExpectedEnds ends{.transport = of->transport, .ip_version = of->ip_version};
    const size_t length = of->ip_version == 4 ? 4 : 16;
    std::copy_n(of->address[0], length, ends.initiator.begin());
    std::copy_n(of->address[1], length, ends.responder.begin());
    ends.initiator_port = of->port[0];
    ends.responder_port = of->port[1];
    const auto longest = static_cast<uint64_t>(Expectations::kLongestLife.count());
    const Nanos life = of->lifetime == 0 ? Expectations::kDefaultLife
                                         : Nanos{static_cast<int64_t>(std::min(of->lifetime, longest))};
    const auto how = owner.catalog_.expectations().Add(ends, {schema->id, flow.facts_.id}, context, flow.now_, life);
    owner.stats_.expectations += how != Expectations::Added::kRefused;
    owner.stats_.expectations_evicted += how == Expectations::Added::kEvicted;
    owner.stats_.expectations_lost += how == Expectations::Added::kRefused;
    return how == Expectations::Added::kRefused ? -ENOSPC : 0;
  }

  static int32_t TxLog(FlowDissection& flow, uint64_t tx) {
    LiveTransaction* live = Find(flow, tx);
    if (live == nullptr) return NoTx(flow, tx);
    live->tx.no_log = false;
    return 0;
  }

  static uint64_t Now(const FlowDissection& flow) {
    return static_cast<uint64_t>(flow.now_.count());
  }
  static const uint8_t* Wanted(const FlowDissection& flow) {
    return (*flow.owner_->wanted_)[flow.schema_->id].data();
  }
};

namespace {

Slice From(sluice_slice slice) { return {slice.data, slice.data == nullptr ? 0 : slice.len}; }

const char* GetOption(const char* key) {
  if (init_context == nullptr || key == nullptr) return nullptr;
  for (const std::string_view of : {std::string_view(init_context->plugin), kAllPlugins}) {
    const auto plugin = init_context->options->find(of);
    if (plugin == init_context->options->end()) continue;
    const auto value = plugin->second.find(key);
    if (value != plugin->second.end()) return value->second.c_str();
  }
  return nullptr;
}

void LogLine(uint32_t level, const char* text) {
  const auto to = level == 0   ? spdlog::level::err
                  : level == 1 ? spdlog::level::warn
                               : spdlog::level::info;
  spdlog::log(to, "plugin={} {}", init_context ? init_context->plugin : "", text ? text : "");
}

constexpr uint32_t kUnsigned = HostCalls::Mask(FieldType::kUint) |
                               HostCalls::Mask(FieldType::kBool) |
                               HostCalls::Mask(FieldType::kEnum);
constexpr uint32_t kSigned = HostCalls::Mask(FieldType::kInt) | HostCalls::Mask(FieldType::kTime);

sluice_host MakeTable() {
  using H = HostCalls;
  sluice_host host{};
  host.struct_size = sizeof(host);
  host.abi_minor = SLUICE_ABI_MINOR;
  host.option = GetOption;
  host.log = LogLine;
  host.wanted = [](sluice_flow* f) { return H::Wanted(H::Self(f)); };
  host.tx_begin = [](sluice_flow* f, uint32_t flags) { return H::TxBegin(H::Self(f), flags); };
  host.set_bytes = [](sluice_flow* f, uint64_t tx, uint32_t field, sluice_slice value) {
    return H::SetBytes(H::Self(f), tx, field, From(value));
  };
  host.set_uint = [](sluice_flow* f, uint64_t tx, uint32_t field, uint64_t value) {
    return H::SetNumber(H::Self(f), tx, field, kUnsigned, value);
  };
  host.set_int = [](sluice_flow* f, uint64_t tx, uint32_t field, int64_t value) {
    return H::SetNumber(H::Self(f), tx, field, kSigned, static_cast<uint64_t>(value));
  };
  host.set_chunk = [](sluice_flow* f, uint64_t tx, uint32_t field, sluice_slice value,
                      uint32_t last) {
    return H::SetChunk(H::Self(f), tx, field, From(value), last != 0);
  };
  host.log_open = [](sluice_flow* f, uint64_t tx, uint32_t group) {
    return H::LogOpen(H::Self(f), tx, group);
  };
  host.log_close = [](sluice_flow* f, uint64_t tx) { return H::LogClose(H::Self(f), tx); };
  host.tx_stage = [](sluice_flow* f, uint64_t tx, uint32_t direction, uint32_t stage) {
    return H::TxStage(H::Self(f), tx, direction, stage);
  };
  host.event = [](sluice_flow* f, uint64_t tx, uint32_t index) {
    return H::Event(H::Self(f), tx, index);
  };
  host.file_open = [](sluice_flow* f, uint64_t tx, uint32_t direction, sluice_slice name) {
    return H::FileOpen(H::Self(f), tx, direction, From(name));
  };
  host.file_data = [](sluice_flow* f, int64_t file, sluice_slice data) {
    return H::FileData(H::Self(f), file, From(data));
  };
  host.file_close = [](sluice_flow* f, int64_t file, uint32_t flags) {
    return H::FileClose(H::Self(f), file, flags);
  };
  host.handover = [](sluice_flow* f, const char* protocol) {
    return H::Handover(H::Self(f), protocol);
  };
  host.budget = [](sluice_flow* f, uint32_t direction, uint32_t mode, uint64_t bytes) {
    return H::Budget(H::Self(f), direction, mode, bytes);
  };
  host.now = [](sluice_flow* f) { return H::Now(H::Self(f)); };
  host.flow_info = [](sluice_flow* f, sluice_flow_info* out) { H::Info(H::Self(f), out); };
  host.tx_log = [](sluice_flow* f, uint64_t tx) { return H::TxLog(H::Self(f), tx); };
  host.file_gap = [](sluice_flow* f, int64_t file, uint64_t bytes) {
    return H::FileGap(H::Self(f), file, bytes);
  };
  host.handover_with = [](sluice_flow* f, const char* protocol, sluice_slice context) {
    return H::HandoverWith(H::Self(f), protocol, From(context));
  };
  host.file_part = [](sluice_flow* f, int64_t file, sluice_slice identity, uint64_t offset, uint64_t total) {
    return H::FilePart(H::Self(f), file, From(identity), offset, total);
  };
  host.encrypted = [](sluice_flow* f) { return H::Encrypted(H::Self(f)); };
  host.expect = [](sluice_flow* f, const sluice_expectation* of) { return H::Expect(H::Self(f), of); };
  return host;
}

}  // namespace

const sluice_host& HostTable() {
  static const sluice_host table = MakeTable();
  return table;
}

}  // namespace sluice
