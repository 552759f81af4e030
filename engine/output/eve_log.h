// engine/output/eve_log.h
// All EVE logs of a worker: each takes the records it was asked for, in its form.
// Threads: one per worker.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/output/eve.h"

namespace sluice {

class EveLog {
 public:
  // One writer for each of `options`, into the sink at the same place.
  EveLog(const std::vector<EveOptions>& options, const std::vector<RecordSink*>& sinks) {
    for (size_t i = 0; i < std::min(options.size(), sinks.size()); ++i) {
      writers_.emplace_back(options[i], sinks[i]);
    }
  }

  // EveWriter's records, written to each log.
  template <typename... A>
  void Alert(const A&... a) { for (EveWriter& w : writers_) w.Alert(a...); }
  template <typename... A>
  void TaggedPacket(const A&... a) { for (EveWriter& w : writers_) w.TaggedPacket(a...); }
  template <typename... A>
  void Arp(const A&... a) { for (EveWriter& w : writers_) w.Arp(a...); }
  template <typename... A>
  void Drop(const A&... a) { for (EveWriter& w : writers_) w.Drop(a...); }
  template <typename... A>
  void TransactionRecord(const A&... a) { for (EveWriter& w : writers_) w.TransactionRecord(a...); }
  template <typename... A>
  void FileRecord(const A&... a) { for (EveWriter& w : writers_) w.FileRecord(a...); }
  template <typename... A>
  void Anomaly(const A&... a) { for (EveWriter& w : writers_) w.Anomaly(a...); }
  template <typename... A>
  void FlowRecord(const A&... a) { for (EveWriter& w : writers_) w.FlowRecord(a...); }
  template <typename... A>
  void NetflowRecords(const A&... a) { for (EveWriter& w : writers_) w.NetflowRecords(a...); }
  template <typename... A>
  void Enforcement(const A&... a) { for (EveWriter& w : writers_) w.Enforcement(a...); }
  template <typename... A>
  void Sensor(const A&... a) { for (EveWriter& w : writers_) w.Sensor(a...); }
  template <typename... A>
  void Stats(const A&... a) { for (EveWriter& w : writers_) w.Stats(a...); }
  template <typename... A>
  void RuleStats(const A&... a) { for (EveWriter& w : writers_) w.RuleStats(a...); }
  void set_interface(std::string_view name) { for (EveWriter& w : writers_) w.set_interface(name); }
  void set_capture(std::string_view path) { for (EveWriter& w : writers_) w.set_capture(path); }

  bool empty() const { return writers_.empty(); }

 private:
  std::vector<EveWriter> writers_;
};

}  // namespace sluice
