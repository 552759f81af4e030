// What a rule is likely to cost, told from its text alone.
#include <algorithm>

#include "engine/match/program.h"

namespace sluice {
namespace {

// Chance that a byte of traffic is this one: text and padding are common, the rest is not.
// Rough on purpose: it ranks patterns, which needs no more.
double ByteChance(uint8_t b) {
  if (b == 0) return 0.1;
  if (b == ' ' || b == 0xff || b == '\r' || b == '\n') return 0.03;
  if ((b | 32) >= 'a' && (b | 32) <= 'z') return 0.02;
  if (b >= '0' && b <= '9') return 0.015;
  return b >= 0x20 && b < 0x7f ? 0.008 : 0.003;
}

double ExpectedHits(const CompiledRule& r, double bytes) {
  if (r.fast_pattern.empty()) return 1;  // tried on each packet or transaction
  double chance = 1;
  for (const char c : r.fast_pattern) chance *= ByteChance(static_cast<uint8_t>(c)) * (r.fast_nocase ? 2 : 1);
  if (r.fast_head > 0) bytes = std::min(bytes, static_cast<double>(r.fast_head));
  // Bytes are not independent: long words come up more often than their letters say.
  return std::max(chance * bytes, 1e-5 / static_cast<double>(r.fast_pattern.size()));
}

double ConfirmNanos(const CompiledInspection& inspection) {
  double nanos = 20 + (inspection.chain != 0 ? 300 : 0);
  for (const Op& op : inspection.confirm.ops) {
    const RegexEngine engine = op.regex != nullptr ? op.regex->engine() : RegexEngine::kNone;
    nanos += engine == RegexEngine::kPcre2 ? 3000 : engine == RegexEngine::kRe2 ? 800 : engine == RegexEngine::kHyperscan ? 300 : 40;
  }
  return nanos;
}

}  // namespace

double RuleProgram::PredictedCost(const Rule& rule) const {
  const uint32_t rank = impl_->rank_of[rule.index];
  if (rank == UINT32_MAX) return 0;
  const CompiledRule& r = impl_->compiled[rank];
  if (r.kind == RuleClass::kAddress || r.kind == RuleClass::kProtocol) return 1;  // once a flow
  double nanos = 30;  // header and conditions
  for (const auto* list : {&r.payload, &r.fields}) {
    for (const CompiledInspection& inspection : *list) nanos += ConfirmNanos(inspection);
  }
  const bool ports = !rule.header.source_ports.any || !rule.header.destination_ports.any;
  // A field is some tens of bytes, the payload all of them; ports leave a part of the traffic.
  const double bytes = r.kind == RuleClass::kFields ? 64 : 1024;
  return ExpectedHits(r, bytes) * nanos * (ports ? 0.2 : 1);
}

}  // namespace sluice
