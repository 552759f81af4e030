#include "engine/dissect/outcome.h"

#include <sluice/plugin.h>

#include <algorithm>

namespace sluice {
namespace {

std::optional<TxOutcome> FromName(std::string_view name) {
  for (size_t i = 0; i < kNumOutcomes; ++i) {
    if (name.ends_with(OutcomeName(static_cast<TxOutcome>(i)))) return static_cast<TxOutcome>(i);
  }
  return std::nullopt;
}

// RFC 9110 §15: 1xx-3xx, 4xx, 5xx.
std::optional<TxOutcome> FromStatus(uint64_t status) {
  if (status < 100 || status > 599) return std::nullopt;
  return status < 400   ? TxOutcome::kSuccess
         : status < 500 ? TxOutcome::kClientError
                        : TxOutcome::kServerError;
}

}  // namespace

const char* OutcomeName(TxOutcome outcome) noexcept {
  switch (outcome) {
    case TxOutcome::kSuccess: return "success";
    case TxOutcome::kClientError: return "client_error";
    case TxOutcome::kServerError: return "server_error";
  }
  return "unknown";
}

bool HasOutcome(const Schema& schema) {
  return std::ranges::any_of(schema.fields,
                             [](const FieldInfo& f) { return (f.flags & SLUICE_OUTCOME) != 0; });
}

std::optional<TxOutcome> OutcomeOf(const Transaction& tx) {
  for (auto value = tx.values.rbegin(); value != tx.values.rend(); ++value) {
    if (value->field >= tx.schema->fields.size()) continue;  // the end of a group
    const FieldInfo& field = tx.schema->fields[value->field];
    if (!(field.flags & SLUICE_OUTCOME)) continue;
    switch (field.type) {
      case FieldType::kEnum: return FromName(field.Name(value->number));
      case FieldType::kBool: return value->number ? TxOutcome::kSuccess : TxOutcome::kServerError;
      case FieldType::kUint: return FromStatus(value->number);
      default: return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<Nanos> LatencyOf(const Transaction& tx) {
  if (tx.directions != SLUICE_DIR_BOTH || tx.request_end == Nanos{} || tx.answer_start == Nanos{}) {
    return std::nullopt;
  }
  return std::max(Nanos{}, tx.answer_start - tx.request_end);
}

}  // namespace sluice
