// engine/output/log_writer.h
// Live logs: each worker puts its records into a bounded queue, one thread takes
// them out and writes.  A worker never waits; a full queue loses whole records,
// counted by type.
//
// Threads: RecordQueue has one producer and one consumer; its counters may be
//   read from any.  LogWriter is used by the thread that made it.
// Memory: each queue's bytes, allocated once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/output/log_output.h"

namespace sluice {

class RecordQueue {
 public:
  // bytes: rounded up to a power of two.  num_types: records are 0 .. num_types - 1.
  RecordQueue(size_t bytes, size_t num_types);

  // Producer.  False: there was no room for it.
  bool Push(uint16_t output, RecordType type, std::string_view record) noexcept;
  // Consumer: f(output, record) for each that is there; how many there were.
  template <typename F>
  size_t Drain(F&& f) {
    const uint64_t end = written_.load(std::memory_order_acquire);
    uint64_t at = read_.load(std::memory_order_relaxed);
    size_t count = 0;
    while (at != end) {
      const Header header = HeaderAt(at);
      if (header.output != kSkip) {
        f(header.output, std::string_view(data_.get() + (at & mask_) + sizeof(Header), header.len));
        ++count;
      }
      at += Rounded(header.len);
    }
    read_.store(at, std::memory_order_release);
    return count;
  }

  uint64_t lost(size_t type) const { return lost_[type].load(std::memory_order_relaxed); }
  size_t num_types() const { return lost_.size(); }

 private:
  struct Header {
    uint32_t len;
    uint16_t output;
    uint16_t zero;
  };
  static constexpr uint16_t kSkip = UINT16_MAX;  // the rest of the ring is empty
  static uint64_t Rounded(uint64_t len) { return (sizeof(Header) + len + 7) & ~uint64_t{7}; }
  Header HeaderAt(uint64_t at) const;
  void PutHeader(uint64_t at, const Header& header);

  const size_t size_, mask_;
  std::unique_ptr<char[]> data_;
  std::vector<std::atomic<uint64_t>> lost_;  // by RecordType
  alignas(64) std::atomic<uint64_t> written_{0};  // bytes ever; the producer's
  uint64_t read_seen_ = 0;                        // the producer's copy of read_
  alignas(64) std::atomic<uint64_t> read_{0};     // bytes ever; the consumer's
};

// A producer's hold of one output.
class QueueSink final : public RecordSink {
 public:
  QueueSink(RecordQueue* queue, uint16_t output) : queue_(queue), output_(output) {}
  bool Put(RecordType type, std::string_view record) override { return queue_->Push(output_, type, record); }

 private:
  RecordQueue* queue_;
  uint16_t output_;
};

class LogWriter {
 public:
  // `outputs` are the writer thread's own from here until Stop(); their index is
  // what queues call them by.
  LogWriter(std::vector<LogOutput*> outputs, std::vector<RecordQueue*> queues);
  ~LogWriter() { Stop(); }
  void Reopen() { reopen_.store(true, std::memory_order_relaxed); }
  // Writes what is queued, then ends.  Producers have stopped.
  void Stop();

 private:
  void Run();
  size_t Take();

  const std::vector<LogOutput*> outputs_;
  const std::vector<RecordQueue*> queues_;
  std::atomic<bool> stop_{false}, reopen_{false};
  std::thread thread_;
};

}  // namespace sluice
