#include "engine/match/evaluation_order.h"

#include <algorithm>

namespace sluice {
namespace {

// Writers of a variable come before those that read and write, those before
// readers, and rules without it last.
int VariableRank(bool reads, bool writes) { return writes ? (reads ? 1 : 0) : (reads ? 2 : 3); }

int ActionRank(Action action, const std::array<Action, 4>& order) {
  if (action == Action::kRejectSource || action == Action::kRejectDestination ||
      action == Action::kRejectBoth) {
    action = Action::kReject;
  }
  return static_cast<int>(std::find(order.begin(), order.end(), action) - order.begin());
}

}  // namespace

EvaluationOrder OrderOf(const Rule& rule, const std::array<Action, 4>& actions) {
  bool bit_reads = false, bit_writes = false, int_reads = false, int_writes = false,
       x_reads = false, x_writes = false;
  const auto bit = [](FlowbitTest::Op op, bool* reads, bool* writes) {
    if (op == FlowbitTest::Op::kUnset) return;  // behind all who ask
    const bool is_read = op == FlowbitTest::Op::kIsSet || op == FlowbitTest::Op::kIsNotSet;
    (is_read ? *reads : *writes) = true;
  };
  for (const FlowCondition& c : rule.flow_conditions) {
    if (const auto* t = std::get_if<FlowbitTest>(&c)) bit(t->op, &bit_reads, &bit_writes);
    if (const auto* t = std::get_if<XbitTest>(&c)) bit(t->op, &x_reads, &x_writes);
    if (const auto* t = std::get_if<FlowintTest>(&c)) {
      const bool is_write = t->op == FlowintTest::Op::kSet || t->op == FlowintTest::Op::kAdd ||
                            t->op == FlowintTest::Op::kSubtract;
      (is_write ? int_writes : int_reads) = true;
    }
  }
  return {ActionRank(rule.action, actions),
          VariableRank(bit_reads, bit_writes),
          VariableRank(int_reads, int_writes),
          VariableRank(x_reads, x_writes),
          rule.priority,
          rule.gid,
          rule.sid,
          rule.index};
}

}  // namespace sluice
