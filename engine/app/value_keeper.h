// engine/app/value_keeper.h
// A worker's hand on the value store: sends the values that rules ask to keep, with what
// else is known of their transaction.
//
// Threads: its worker's.  Memory: two buffers.
// Errors: a full queue costs the value; counted.
#pragma once

#include <set>
#include <string>

#include "engine/decode/packet.h"
#include "engine/dissect/transaction.h"
#include "engine/output/value_store.h"

namespace sluice {

class ValueKeeper {
 public:
  // `names`: dissectors whose values are kept.  `sink` null: none are.
  ValueKeeper(std::set<std::string, std::less<>> names, RecordSink* sink)
      : names_(std::move(names)), sink_(sink) {}

  bool enabled() const { return sink_ != nullptr; }
  // Sends what tx.keep_values asks for and is there.
  void Keep(const Packet& packet, Transaction& tx);

  uint64_t kept() const { return kept_; }
  uint64_t lost_queue() const { return lost_queue_; }

 private:
  void KeepSide(const Packet& packet, Transaction& tx, Direction direction);
  void AppendMeta(const Packet& packet, const Transaction& tx, const FieldInfo& stored);

  const std::set<std::string, std::less<>> names_;
  RecordSink* const sink_;
  std::string value_, meta_, message_;  // scratch
  uint64_t kept_ = 0, lost_queue_ = 0;
};

}  // namespace sluice
