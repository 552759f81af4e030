// engine/dissect/outcome.h
// How a transaction went and how long its answer took, from what its dissector
// declared: the SLUICE_OUTCOME field and the stage times.
// Threads: any that may read the transaction.
#pragma once

#include <optional>

#include "engine/dissect/transaction.h"

namespace sluice {

enum class TxOutcome : uint8_t { kSuccess, kClientError, kServerError };
inline constexpr size_t kNumOutcomes = 3;
const char* OutcomeName(TxOutcome outcome) noexcept;  // "client_error"

// Of the last value of an OUTCOME field: an ENUM says it by its names (an outcome's
// name, or one that ends in it), a BOOL true for success, a number as HTTP's status does.  Nothing
// if there is no value, or one that says nothing.
std::optional<TxOutcome> OutcomeOf(const Transaction& tx);
bool HasOutcome(const Schema& schema);

// From the end of the request to the first sign of the answer; 0 if that came
// first.  Nothing unless both sides were seen.
std::optional<Nanos> LatencyOf(const Transaction& tx);

}  // namespace sluice
