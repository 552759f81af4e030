#include "engine/output/log_writer.h"

#include <spdlog/spdlog.h>

#include <bit>
#include <chrono>
#include <cstring>

namespace sluice {

RecordQueue::RecordQueue(size_t bytes, size_t num_types)
    : size_(std::bit_ceil(bytes)), mask_(size_ - 1), data_(new char[size_]), lost_(num_types) {}

RecordQueue::Header RecordQueue::HeaderAt(uint64_t at) const {
  Header header;
  std::memcpy(&header, data_.get() + (at & mask_), sizeof(header));
  return header;
}
void RecordQueue::PutHeader(uint64_t at, const Header& header) {
  std::memcpy(data_.get() + (at & mask_), &header, sizeof(header));
}

bool RecordQueue::Push(uint16_t output, RecordType type, std::string_view record) noexcept {
  const uint64_t need = Rounded(record.size());
  uint64_t at = written_.load(std::memory_order_relaxed);
  // A record lies in one piece: where the ring's end is too near, it is skipped.
  const uint64_t to_end = size_ - (at & mask_);
  const uint64_t skip = need <= to_end ? 0 : to_end;
  const auto fits = [&] { return at + skip + need - read_seen_ <= size_; };
  if (!fits()) read_seen_ = read_.load(std::memory_order_acquire);
  if (record.size() > UINT32_MAX || !fits()) {
    lost_[static_cast<size_t>(type)].fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (skip != 0) {
    PutHeader(at, {static_cast<uint32_t>(skip - sizeof(Header)), kSkip, 0});
    at += skip;
  }
  PutHeader(at, {static_cast<uint32_t>(record.size()), output, 0});
  std::memcpy(data_.get() + (at & mask_) + sizeof(Header), record.data(), record.size());
  written_.store(at + need, std::memory_order_release);
  return true;
}

LogWriter::LogWriter(std::vector<LogOutput*> outputs, std::vector<RecordQueue*> queues)
    : outputs_(std::move(outputs)), queues_(std::move(queues)), thread_([this] { Run(); }) {}

void LogWriter::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true, std::memory_order_release);
  thread_.join();
}

size_t LogWriter::Take() {
  size_t count = 0;
  for (RecordQueue* queue : queues_) {
    count += queue->Drain(
        [this](uint16_t output, std::string_view record) { outputs_[output]->Write(record); });
  }
  return count;
}

void LogWriter::Run() {
  using Clock = std::chrono::steady_clock;
  constexpr auto kIdle = std::chrono::milliseconds{10}, kFlush = std::chrono::milliseconds{500};
  auto next_flush = Clock::now() + kFlush;
  while (true) {
    const bool last = stop_.load(std::memory_order_acquire);
    const size_t count = Take();
    if (last || Clock::now() >= next_flush) {
      next_flush = Clock::now() + kFlush;
      for (LogOutput* output : outputs_) output->Flush();
    }
    if (last) return;
    if (reopen_.exchange(false, std::memory_order_relaxed)) {
      for (LogOutput* output : outputs_) {
        if (auto ok = output->Reopen(); !ok) spdlog::error("{}", ok.error().message);
      }
    }
    if (count == 0) std::this_thread::sleep_for(kIdle);
  }
}

}  // namespace sluice
