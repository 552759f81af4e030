// engine/app/explain.h
// `sluice rules explain`: why one rule did or did not match a capture.
//
// Collects the looks at a rule (engine/match/explain.h) and keeps, per flow and
// transaction, the one that came nearest.
// Threads: main thread.  Memory: at most kMostKept explanations; further flows are
//   counted only.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/match/explain.h"
#include "engine/rules/print.h"

namespace sluice {

// One look as lines that stand on their own.
struct Explanation {
  struct Line {
    RuleLook::Outcome outcome = RuleLook::Outcome::kFails;
    bool detail = false;   // belongs to the line above
    std::string what;      // the part of the rule
    std::string found;     // what was there
    std::string excerpt;   // bytes, printable; mark_begin .. mark_end underlined
    size_t mark_begin = 0, mark_end = 0;
  };
  bool matched = false, reported = false;
  size_t held = 0, steps = 0;
  uint64_t packet = 0;    // number in the capture; 0: made at the end of a flow
  std::string ends;       // "tcp 10.0.0.1:1234 -> 10.0.0.2:80"
  std::string where;      // "packet", "stream to_server", "http transaction 0, to_server"
  std::string failed;     // the first part that does not hold; empty: none
  std::vector<Line> lines;
};

class ExplanationCollector final : public RuleWatcher {
 public:
  static constexpr size_t kMostKept = 10'000;

  explicit ExplanationCollector(const RulePrinter& printer) : printer_(printer) {}
  void OnLook(const PacketContext& context, const RuleLook& look) override;

  // Matches first, then by nearness.
  std::vector<const Explanation*> Nearest() const;
  uint64_t looks() const { return looks_; }
  uint64_t not_kept() const { return not_kept_; }
  // How often each part was the first not to hold, over all looks.
  const std::map<std::string, uint64_t>& failures() const { return failures_; }

 private:
  Explanation Explain(const PacketContext& context, const RuleLook& look) const;

  const RulePrinter& printer_;
  using Key = std::tuple<uint64_t, uint64_t, size_t>;  // flow, transaction, Where
  std::map<Key, Explanation> kept_;
  std::map<std::string, uint64_t> failures_;
  uint64_t looks_ = 0, not_kept_ = 0;
};

}  // namespace sluice
