// engine/match/explain.h
// How one rule fared, look by look: what `rules explain` prints.
//
// A Detector that watches a rule reports every look at it, also those where the
// rule never became a candidate.  Nothing is watched unless Detector::Watch() is
// called; then one comparison a candidate is all it costs.
// Threads: the Detector's worker.  Memory: buffers are copied, at most
//   kMostExplainedBytes each.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/types.h"
#include "engine/match/match.h"

namespace sluice {

// What became of the tests of one buffer.  With several attempts (an occurrence
// whose followers failed), the one that went furthest is kept.
struct ConfirmTrace {
  struct Test {
    bool passed = false;
    size_t begin = 0, end = 0;  // what a passed content or expression covers
    size_t from = 0, to = 0;    // where it may lie, of contents
    bool has_place = false;     // from and to are known
    bool has_value = false;
    uint64_t value = 0;         // read by byte_test, byte_jump, byte_extract, byte_math
    uint32_t attempts = 0;
  };
  std::vector<Test> tests;  // by position in the inspection; those behind failed_at were not reached
  size_t failed_at = 0;     // tests.size(): all passed
  bool gave_up = false;     // at a limit
};

inline constexpr size_t kMostExplainedBytes = 64 * 1024;

// One buffer that an inspection looked at.
struct BufferLook {
  std::vector<uint8_t> bytes;  // behind its transforms
  uint64_t size = 0;           // of the buffer; more than bytes.size(): cut here
  bool growing = false;        // more of it may come
  bool matched = false;
  ConfirmTrace trace;
};

struct RuleLook {
  enum class Where : uint8_t { kPacket, kStream, kTransaction };
  enum class Outcome : uint8_t { kHolds, kFails, kWaits, kNotReached };
  // What a step is about; the parts of a rule are borrowed from the program.
  struct Protocol {};
  struct Addresses {};
  struct Ports {};
  struct Application {};
  struct OneFile {};  // some file has all that the rule says of files
  struct FastPattern {
    const Inspection* inspection = nullptr;
  };
  using About = std::variant<Protocol, Addresses, Ports, Application, OneFile, FastPattern,
                             const FlowCondition*, const PacketTest*, const NumberInspection*,
                             const Inspection*>;
  struct Step {
    About about;
    Outcome outcome = Outcome::kFails;
    std::vector<BufferLook> buffers;  // of inspections
    std::vector<uint64_t> numbers;    // of number inspections: the values seen
  };

  const Rule* rule = nullptr;
  Where where = Where::kPacket;
  Direction direction = Direction::kToServer;
  const Transaction* tx = nullptr;  // kTransaction
  std::vector<Step> steps;
  bool matched = false;
  bool reported = false;  // an alert was written; else a threshold, noalert or a pass held it back

  size_t held() const;  // steps that hold: how near it came
};

class RuleWatcher {
 public:
  virtual ~RuleWatcher() = default;
  // Valid for the call.  context.packet is the packet at hand, or a pseudo packet.
  virtual void OnLook(const PacketContext& context, const RuleLook& look) = 0;
};

}  // namespace sluice
