#include "engine/app/value_keeper.h"

#include <sluice/plugin.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include <fmt/format.h>

#include "engine/output/json_writer.h"
#include "engine/output/fast_log.h"

namespace sluice {
namespace {

constexpr size_t kMaxText = 4096;  // bytes of a value among the facts
constexpr size_t kColumn = 19;     // where values begin

std::string Upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::toupper(c); });
  return out;
}

// One line, whatever the value.
template <typename Text>
void Line(const std::string& key, const Text& value, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{:<{}}{}\n", key + ":", kColumn, value);
}
std::string Escaped(std::string_view text) {
  std::string out;
  for (const unsigned char c : text.substr(0, kMaxText)) {
    if (c < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

// A fact of the value: of its direction and stage, one, and logged without being asked for.
bool IsFact(const FieldInfo& field, const FieldInfo& stored) {
  constexpr uint32_t kNot = SLUICE_REPEATED | SLUICE_OPTIONAL | SLUICE_STORE | SLUICE_SECRET;
  return field.type == FieldType::kBytes && !field.log.empty() && !(field.flags & kNot) &&
         field.directions == stored.directions && field.stage == stored.stage;
}

}  // namespace

void ValueKeeper::Keep(const Packet& packet, Transaction& tx) {
  for (const Direction d : {Direction::kToServer, Direction::kToClient}) {
    const auto bit = static_cast<uint8_t>(1u << Index(d));
    if (tx.keep_values & ~tx.values_kept & bit) KeepSide(packet, tx, d);
  }
}

void ValueKeeper::KeepSide(const Packet& packet, Transaction& tx, Direction direction) {
  const FieldInfo* stored = nullptr;
  value_.clear();
  for (const FieldValue& value : tx.values) {
    if (value.field >= tx.schema->fields.size() || value.direction != direction) continue;
    const FieldInfo& field = tx.schema->fields[value.field];
    if (!(field.flags & SLUICE_STORE)) continue;
    stored = &field;
    value_ += AsText(value.bytes);
  }
  if (stored == nullptr) return;
  tx.values_kept |= static_cast<uint8_t>(1u << Index(direction));
  if (!names_.contains(tx.schema->name)) return;
  AppendMeta(packet, tx, *stored);
  ValueMessage message;
  message.micros = static_cast<uint64_t>(std::chrono::floor<std::chrono::microseconds>(packet.time).count());
  message.name = tx.schema->name;
  message.suffix = stored->store_suffix;
  message.value = value_;
  message.meta = meta_;
  message_.clear();
  message.AppendTo(&message_);
  ++(sink_->Put(RecordType::kStored, message_) ? kept_ : lost_queue_);
}

void ValueKeeper::AppendMeta(const Packet& packet, const Transaction& tx, const FieldInfo& stored) {
  meta_.clear();
  std::string text;
  AppendLogTime(packet.time, &text);
  Line("TIME", text, &meta_);
  if (packet.number != 0) Line("PCAP PKT NUM", packet.number, &meta_);
  for (const auto& [key, address] : {std::pair{"SRC IP", &packet.source}, std::pair{"DST IP", &packet.destination}}) {
    text.clear();
    AppendAddress(*address, &text);
    Line(key, text, &meta_);
  }
  Line("PROTO", packet.ip_protocol, &meta_);
  Line("SRC PORT", packet.source_port, &meta_);
  Line("DST PORT", packet.destination_port, &meta_);
  for (const FieldValue& value : tx.values) {
    if (value.field >= tx.schema->fields.size()) continue;
    const FieldInfo& field = tx.schema->fields[value.field];
    if (!IsFact(field, stored)) continue;
    const std::string_view key = field.log.substr(field.log.rfind('.') + 1);
    Line(Upper(tx.schema->name) + " " + Upper(key), Escaped(AsText(value.bytes)), &meta_);
  }
}

}  // namespace sluice
