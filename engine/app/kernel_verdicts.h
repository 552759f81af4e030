// engine/app/kernel_verdicts.h
// Verdicts of one worker into the kernel: drops, budgets, resets, within the guard rails.
// Each entry, and each that a guard rail refused, is an `enforcement` record.
//
// Threads: the worker's.  The guard is shared.
// Errors: counted; the flow's own drop does not depend on the host's.
#pragma once

#include <memory>
#include <string_view>

#include "engine/app/worker.h"
#include "engine/output/eve_log.h"
#include "engine/tap/live_tap.h"
#include "engine/verdict/guard.h"
#include "engine/verdict/reset.h"

namespace sluice {

struct VerdictStats {  // totals since start
  uint64_t flows_dropped = 0;    // requests; FlowControlStats says what became of them
  uint64_t hosts_blocked = 0, hosts_refreshed = 0;
  uint64_t never_block = 0;      // refused: on the never-block list
  uint64_t operator_entry = 0;   // left alone: an operator's entry is there
  uint64_t failed = 0;           // the map is full, or the kernel refused
  uint64_t resets_sent = 0, resets_failed = 0;
};

class KernelVerdicts final : public VerdictSink {
 public:
  struct Parts {  // all outlive the object
    FlowControl* control = nullptr;
    DropMaps* drops = nullptr;
    BlockGuard* guard = nullptr;
  };
  // `ttl`: of drops whose rule names none.
  KernelVerdicts(const Parts& parts, EveLog log, std::unique_ptr<ResetSender> resets, Nanos ttl);

  void OnVerdict(const Rule& rule, Action action, const Packet& packet, const Flow& flow,
                 Direction direction, const NextSeq& next_seq) override;
  void OnException(ExceptionTarget target, bool reset, const Packet& packet, const Flow& flow,
                   Direction direction, const NextSeq& next_seq) override;
  void OnBudget(const Flow& flow, Direction direction, uint32_t mode, uint64_t bytes) override;
  void OnFlow(const Flow& flow) override { parts_.guard->Seen(flow.tuple.source); }

  // Sends what is queued to the kernel; once per batch of packets.
  void Flush() { parts_.control->Flush(); }
  void CollectCounters(NamedCounters* out) const;

 private:
  struct Cause;
  void DropFlow(const Cause& cause);
  void BlockHost(const Cause& cause, bool source);
  std::string_view Refusal(const Address& host, bool exists);
  void Reset(const Packet& packet, const Flow& flow, Direction direction, const NextSeq& next_seq);
  void Send(const std::vector<uint8_t>& packet, const Address& to);
  void Record(const Cause& cause, EnforcementView what);

  const Parts parts_;
  EveLog log_;
  std::unique_ptr<ResetSender> resets_;
  const Nanos ttl_;
  VerdictStats stats_;
};

// A record of an entry that no worker has just made: "add", "remove", "expire", "hit_summary".
void RecordDrop(EveLog& log, Nanos now, std::string_view op, const DropEntry& entry);
// "source", "203.0.113.7", "rule": how entries read in lists.
const char* DropScopeName(DropScope scope);
const char* DropOriginName(DropOrigin origin);
std::string DropValue(const DropEntry& entry);

}  // namespace sluice
