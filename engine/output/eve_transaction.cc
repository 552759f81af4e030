// Records of dissectors: what stands in them comes from the schema alone.
#include <sluice/plugin.h>

#include <algorithm>

#include "engine/decode/decode.h"
#include "engine/output/eve.h"
#include "engine/rules/text.h"

namespace sluice {
namespace {

// The values of one level, without those inside groups; calls f(index).
// Returns the index behind a group opened at `i`.
size_t GroupEnd(std::span<const FieldValue> values, size_t i) {
  int depth = 0;
  for (; i < values.size(); ++i) {
    if (values[i].type != FieldType::kGroup) continue;
    depth += values[i].number == 1 ? 1 : -1;
    if (depth == 0) return i + 1;
  }
  return values.size();
}

// What stands in the group opened at `i`.
std::span<const FieldValue> Members(std::span<const FieldValue> values, size_t i) {
  const size_t end = GroupEnd(values, i);
  const bool closed = end > i + 1 && values[end - 1].field == UINT16_MAX;
  return values.subspan(i + 1, end - i - (closed ? 2 : 1));
}

std::string_view Component(std::string_view path) { return path.substr(0, path.find('.')); }

// Where a field is shown; whether users chose among its values.
constexpr uint8_t kInRecord = 1, kInAlert = 2, kListed = 4;

const RecordOptions* FindRecord(const EveOptions& options, const Schema& schema) {
  const auto found = options.records.find(schema.name);
  return found == options.records.end() ? nullptr : &found->second;
}

// A growing value that its dissector has in alerts alone: EveOptions::bodies.
bool IsBody(const FieldInfo& field) {
  return field.type == FieldType::kChunks && (field.flags & SLUICE_ALERT_ONLY);
}

// What the user's list of this field names; null: there is none.
const std::set<std::string, std::less<>>* FindList(const RecordOptions* record, const FieldInfo& field) {
  if (record == nullptr || field.list.empty()) return nullptr;
  const auto found = record->lists.find(field.list);
  return found == record->lists.end() ? nullptr : &found->second;
}

// In whose form records (or alerts) show the dissector's fields.
int FormOf(const EveOptions& options, const RecordOptions* record, bool in_alert) {
  return in_alert || record == nullptr || record->compat == 0 ? options.compat : record->compat;
}
}  // namespace

bool FieldIsLogged(const EveOptions& options, const Schema& schema, const FieldInfo& field,
                   bool in_alert) {
  if ((field.log.empty() && !field.merged) || (field.flags & SLUICE_SECRET)) return false;
  const RecordOptions* const record = FindRecord(options, schema);
  const int form = FormOf(options, record, in_alert);
  if ((field.flags & SLUICE_LOG_V7) && form >= 8) return false;
  if ((field.flags & SLUICE_LOG_V8) && form < 8) return false;
  if ((field.flags & SLUICE_ALERT_ONLY) && !in_alert) return false;
  if ((field.flags & SLUICE_RECORD_ONLY) && in_alert) return false;
  if (in_alert && IsBody(field) && (options.bodies || options.bodies_printable)) return true;
  const bool optional = field.flags & SLUICE_OPTIONAL;
  if (optional && std::ranges::find(options.optional_fields,
                                    fmt::format("{}.{}", schema.name, field.log)) !=
                      options.optional_fields.end()) {
    return true;
  }
  if (field.log_name.empty() || record == nullptr) return !optional;
  const auto* const list = field.type == FieldType::kEnum ? nullptr : FindList(record, field);
  if (list != nullptr && !in_alert && !list->contains(Lower(field.log_name))) return false;
  if (const auto it = record->switches.find(field.log_name); it != record->switches.end()) {
    return it->second;
  }
  if (!in_alert && record->custom.contains(field.log_name)) return true;
  const bool extended = record->extended && record->custom.empty();
  return !optional && (in_alert || extended || !(field.flags & SLUICE_EXTENDED));
}

bool FieldIsWanted(const EveOptions& options, const Schema& schema, const FieldInfo& field) {
  if (!FieldIsLogged(options, schema, field, false) && !FieldIsLogged(options, schema, field, true)) {
    return false;
  }
  if (!(field.flags & SLUICE_ON_DEMAND)) return true;
  const RecordOptions* const record = FindRecord(options, schema);
  return record != nullptr &&
         (record->switches.contains(field.log_name) || record->custom.contains(field.log_name));
}

EveWriter::Plan& EveWriter::PlanOf(const Schema& schema) {
  if (plans_.size() <= schema.id) plans_.resize(schema.id + 1u);
  Plan& plan = plans_[schema.id];
  if (plan.made) return plan;
  plan.made = true;
  plan.wanted = options_.Wants(schema);
  plan.options = FindRecord(options_, schema);
  plan.compat = FormOf(options_, plan.options, false);
  plan.values.resize(schema.fields.size());
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const FieldInfo& info = schema.fields[i];
    uint8_t shown = static_cast<uint8_t>((FieldIsLogged(options_, schema, info, false) ? kInRecord : 0) |
                                         (FieldIsLogged(options_, schema, info, true) ? kInAlert : 0));
    const auto* const list = info.type == FieldType::kEnum ? FindList(plan.options, info) : nullptr;
    if (list != nullptr) {
      plan.listed = true;
      shown |= kListed;
      for (const auto& [value, name] : info.names) {
        if (list->contains(Lower(name))) plan.values[i].push_back(value);
      }
    }
    plan.splits |= (info.flags & SLUICE_RECORD_EACH) && (shown & kInRecord);
    plan.shown.push_back(shown);
    const bool text = info.type == FieldType::kBytes;
    plan.names.push_back(text && info.log == "name");
    plan.values_of_names.push_back(text && info.log == "value");
  }
  return plan;
}

// Whether the members of a group stand in the object around it.
bool EveWriter::IsMerged(const FieldInfo& info, const FieldValue& group, uint8_t shown) const {
  if (info.merged) return true;
  return shown == kInRecord && &group == record_group_;
}

// Whether users chose none of the values of a group itself, not of those in it.
bool EveWriter::IsRefused(const Plan& plan, std::span<const FieldValue> values) const {
  for (size_t i = 0; i < values.size(); i = values[i].type == FieldType::kGroup ? GroupEnd(values, i) : i + 1) {
    const FieldValue& value = values[i];
    if (value.type == FieldType::kEnum && (plan.shown[value.field] & kListed) &&
        !std::ranges::binary_search(plan.values[value.field], value.number)) {
      return true;
    }
  }
  return false;
}

// Whether the transaction has a value that users chose; if they chose none, it does.
bool EveWriter::IsChosen(const Plan& plan, const Transaction& tx) const {
  if (plan.options == nullptr) return true;
  if (tx.directions == SLUICE_DIR_TO_SERVER && !plan.options->requests) return false;
  if (tx.directions == SLUICE_DIR_TO_CLIENT && !plan.options->responses) return false;
  return !plan.listed || std::ranges::any_of(tx.values, [&](const FieldValue& value) {
    return value.type == FieldType::kEnum && (plan.shown[value.field] & kListed) &&
           std::ranges::binary_search(plan.values[value.field], value.number);
  });
}

void EveWriter::WriteValue(const FieldInfo& info, const FieldValue& value) {
  switch (value.type) {
    case FieldType::kBytes:
    case FieldType::kChunks:
      if (info.flags & SLUICE_HEX) return json_.Hex(value.bytes);
      if (info.flags & SLUICE_BASE64) return json_.Base64(value.bytes);
      return json_.String(AsText(value.bytes));
    case FieldType::kUint: return json_.Number(value.number);
    case FieldType::kInt:
      if (info.flags & SLUICE_DATE) return json_.Date(static_cast<int64_t>(value.number));
      return json_.SignedNumber(static_cast<int64_t>(value.number));
    case FieldType::kBool: return json_.Bool(value.number != 0);
    case FieldType::kEnum: {
      const std::string_view name = info.Name(value.number);
      if (!name.empty()) return json_.String(name);
      const fmt::format_int digits(value.number);  // text too: a key has one type
      return json_.String({digits.data(), digits.size()});
    }
    case FieldType::kAddress: {
      Address address;
      address.version = value.bytes.size() == 4 ? 4 : 6;
      std::memcpy(address.bytes.data(), value.bytes.data(), value.bytes.size());
      return json_.Ip(address);
    }
    case FieldType::kTime: return json_.Time(Nanos{static_cast<int64_t>(value.number)});
    case FieldType::kGroup: break;
  }
}

// Whether it is the value of a name that is not to be shown.
bool EveWriter::IsHidden(const Plan& plan, std::span<const FieldValue> level, const FieldValue& value) const {
  if (!plan.values_of_names[value.field]) return false;
  return std::ranges::any_of(level, [&](const FieldValue& other) {
    return other.field != UINT16_MAX && plan.names[other.field] && redactor_.Hides(other.bytes);
  });
}

// What is kept of it for rules, as far as alerts show payload.
void EveWriter::WriteBody(std::string_view key, Slice body) {
  if (body.empty()) return;
  const Slice shown = Masked(body.first(std::min<size_t>(body.size(), options_.payload_limit)), secrets_);
  if (options_.bodies) {
    json_.Key(key);
    json_.Base64(shown);
  }
  if (!options_.bodies_printable) return;
  scratch_.assign(key);
  scratch_ += "_printable";
  json_.Key(scratch_);
  scratch_.clear();
  AppendPrintable(shown, &scratch_);
  json_.String(scratch_);
}

void EveWriter::WriteHidden(Slice value) {
  scratch_.clear();
  redactor_.Append(value, &scratch_);
  json_.String(scratch_);
}

// One level of the object: every key once, in the order first set.  `prefix`
// is the part of dotted keys that the open objects stand for.
void EveWriter::WriteLevel(const Schema& schema, std::span<const FieldValue> values,
                           std::string_view prefix, uint8_t shown) {
  const Plan& plan = PlanOf(schema);
  // The log key below the prefix, or "" if the value is not of this level.
  const auto key_of = [&](const FieldValue& value) -> std::string_view {
    if (value.field == UINT16_MAX) return "";
    const FieldInfo& info = schema.fields[value.field];
    if (!(plan.shown[value.field] & shown) || !info.log.starts_with(prefix)) return "";
    if ((info.flags & SLUICE_RECORD_EACH) && shown == kInRecord) return "";
    if (info.flags & SLUICE_BESIDE) return "";
    return info.log.substr(prefix.size());
  };
  const auto next = [&](size_t i) {
    const FieldValue& value = values[i];
    if (value.type != FieldType::kGroup || value.field == UINT16_MAX) return i + 1;
    const bool merged = (plan.shown[value.field] & shown) && IsMerged(schema.fields[value.field], value, shown);
    return merged ? i + 1 : GroupEnd(values, i);
  };
  // First components of this level, a few dozen at most, lie behind those of the outer ones.
  const size_t base = written_.size();
  for (size_t i = 0; i < values.size(); i = next(i)) {
    const std::string_view key = key_of(values[i]);
    if (key.empty()) continue;
    const std::string_view name = Component(key);
    if (std::find(written_.begin() + static_cast<ptrdiff_t>(base), written_.end(), name) !=
        written_.end()) {
      continue;
    }
    const FieldInfo& info = schema.fields[values[i].field];
    if (values[i].type == FieldType::kBool && values[i].number == 0 &&
        !(info.flags & SLUICE_LOG_FALSE)) {
      continue;
    }
    written_.push_back(name);
    if (key.size() > name.size()) {  // "a.b": an object of all values below "a."
      json_.OpenObject(name);
      WriteLevel(schema, values, info.log.substr(0, prefix.size() + name.size() + 1), shown);
      json_.CloseObject();
      continue;
    }
    if (IsBody(info) && (options_.bodies || options_.bodies_printable)) {
      WriteBody(name, values[i].bytes);
      continue;
    }
    const bool array = info.flags & SLUICE_REPEATED;
    if (array) json_.OpenArray(name);
    if (!array) json_.Key(name);
    const FieldValue* last = &values[i];
    for (size_t j = i; j < values.size(); j = next(j)) {
      if (key_of(values[j]) != key) continue;
      if (values[j].type == FieldType::kGroup) {
        if (!array && j != i) break;  // only the first of a group that is no array
        const std::span<const FieldValue> members = Members(values, j);
        if (array && shown == kInRecord && plan.listed && IsRefused(plan, members)) continue;
        json_.OpenObject();
        WriteLevel(schema, members, "", shown);
        json_.CloseObject();
      } else if (array) {
        WriteValue(schema.fields[values[j].field], values[j]);
      } else {
        last = &values[j];
        if (!(info.flags & SLUICE_LOG_LAST)) break;
      }
    }
    if (array) {
      json_.CloseArray();
    } else if (values[i].type != FieldType::kGroup) {
      IsHidden(plan, values, *last) ? WriteHidden(last->bytes) : WriteValue(schema.fields[last->field], *last);
    }
  }
  written_.resize(base);
}

void EveWriter::ProtocolObject(const Transaction& tx, bool in_alert) {
  json_.OpenObject(tx.schema->log_name);
  const uint8_t shown = in_alert ? kInAlert : kInRecord;
  WriteLevel(*tx.schema, tx.values, "", shown);
  json_.CloseObject();
  const FieldInfo* before = nullptr;  // only the first of a group
  for (size_t i = 0; i < tx.values.size(); i = tx.values[i].type == FieldType::kGroup ? GroupEnd(tx.values, i) : i + 1) {
    if (tx.values[i].type != FieldType::kGroup || tx.values[i].field == UINT16_MAX) continue;
    const FieldInfo& info = tx.schema->fields[tx.values[i].field];
    if (!(info.flags & SLUICE_BESIDE) || &info == before || !(PlanOf(*tx.schema).shown[tx.values[i].field] & shown)) continue;
    before = &info;
    json_.OpenObject(info.log);
    WriteLevel(*tx.schema, Members(tx.values, i), "", shown);
    json_.CloseObject();
  }
}

// Whom the record of a transaction names as its source (sluice_plugin::log_source).
bool EveWriter::ServerIsSource(const Packet& packet, const Flow& flow, const Transaction& tx) {
  const bool from_server = tx.directions == SLUICE_DIR_TO_CLIENT;
  switch (tx.schema->log_source) {
    case SLUICE_LOG_SENDER:
      return from_server;
    case SLUICE_LOG_SENDER_V8:
      return from_server && PlanOf(*tx.schema).compat >= 8;
    case SLUICE_LOG_PACKET:
      return FromServer(packet, flow);
    default:
      return false;
  }
}

void EveWriter::TransactionRecord(const Packet& packet, const FlowView& flow,
                                  const Transaction& tx) {
  const Plan& plan = PlanOf(*tx.schema);
  if (!plan.wanted || !IsChosen(plan, tx)) return;
  bool split = false;
  for (size_t i = 0; plan.splits && i < tx.values.size(); ++i) {
    const FieldValue& value = tx.values[i];
    if (value.type != FieldType::kGroup || value.field == UINT16_MAX) continue;
    if (!(tx.schema->fields[value.field].flags & SLUICE_RECORD_EACH)) continue;
    if (!(plan.shown[value.field] & kInRecord)) continue;
    split = true;
    if (plan.listed && IsRefused(plan, Members(tx.values, i))) continue;
    record_group_ = &value;
    WriteTransaction(packet, flow, tx);
  }
  record_group_ = nullptr;
  if (!split) WriteTransaction(packet, flow, tx);
}

void EveWriter::WriteTransaction(const Packet& packet, const FlowView& flow, const Transaction& tx) {
  Begin(ProtocolRecord(tx.schema->id), tx.schema->log_name, packet.time, flow, &packet);
  const bool server_first = ServerIsSource(packet, *flow.flow, tx);
  FlowEnds(*flow.flow, server_first);
  if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  Tail(&packet, flow, server_first != FromServer(packet, *flow.flow));
  if (!tx.session) json_.Field("tx_id", tx.id);
  ProtocolObject(tx, false);
  End();
}


// Those that have had their own record are done with.
void EveWriter::AlertFiles(const Transaction& tx) {
  if (std::ranges::all_of(tx.files, &FileInfo::logged)) return;
  json_.OpenArray("files");
  for (const FileInfo& file : tx.files) {
    if (file.logged) continue;
    json_.OpenObject();
    FileObject(file, tx.id, true);
    json_.CloseObject();
  }
  json_.CloseArray();
}

void EveWriter::FileObject(const FileInfo& file, uint64_t tx_id, bool in_alert) {
  json_.Field("filename", AsText(file.name));
  json_.FlagField("gaps", file.has_gap);
  json_.Field("state", !file.closed       ? "UNKNOWN"
                       : file.truncated ? "TRUNCATED"
                                        : "CLOSED");
  if (!file.magic.empty()) json_.Field("magic", file.magic);
  if (!file.md5.empty()) json_.Field("md5", file.md5);
  if (!file.sha1.empty()) json_.Field("sha1", file.sha1);
  // A part has no hash, except as the name that it is stored by.
  if (!file.sha256.empty() && (!file.truncated || file.stored)) json_.Field("sha256", file.sha256);
  if (file.num_sids > 0) {
    json_.OpenArray("sid");
    for (size_t i = 0; i < file.num_sids; ++i) json_.Number(uint64_t{file.sids[i]});
    json_.CloseArray();
  }
  json_.FlagField("stored", file.stored);
  if (file.stored) json_.Field("file_id", file.store_id);
  if (in_alert) json_.FlagField("storing", file.keep && file.store_id != 0 && !file.unstorable);
  json_.Field("size", file.size);
  if (file.whole != 0 && file.size > 0) {  // which bytes of the larger one, both included
    json_.Field("start", file.whole_at);
    json_.Field("end", file.whole_at + file.size - 1);
  }
  json_.Field("tx_id", tx_id);
}

void EveWriter::FileRecord(const Packet& packet, const FlowView& flow, const Transaction& tx,
                           const FileInfo& file) {
  if (!Wants(RecordType::kFile)) return;
  Begin(RecordType::kFile, "fileinfo", packet.time, flow, &packet);
  // The sender of the file is the source.
  const bool from_server = file.direction == Direction::kToClient;
  FlowEnds(*flow.flow, from_server);
  if (packet.ip_version != 0) json_.Field("pkt_src", PacketOriginName(packet.origin));
  Tail(&packet, flow, from_server != FromServer(packet, *flow.flow));
  ProtocolObject(tx, false);
  AppProto(flow);
  json_.OpenObject("fileinfo");
  FileObject(file, tx.id, false);
  json_.CloseObject();
  End();
}

}  // namespace sluice
