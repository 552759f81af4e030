#include "engine/app/packet_log.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/output/pcap_log.h"

namespace sluice {

PacketLog::PacketLog(const PacketLogOptions& options, RecordSink* sink) : options_(options), sink_(sink) {
  if (holds()) ring_ = std::make_unique_for_overwrite<uint8_t[]>(options_.held_bytes);
}

void PacketLog::Compose(const Packet& packet) {
  using std::chrono::seconds, std::chrono::microseconds;
  const auto whole = std::chrono::floor<seconds>(packet.time);
  PcapLogHeader header;
  header.seconds = static_cast<uint32_t>(whole.count());
  header.microseconds = static_cast<uint32_t>(std::chrono::floor<microseconds>(packet.time - whole).count());
  header.wire_len = packet.wire_len;
  header.worker = options_.worker;
  header.link = packet.link;
  record_.assign(reinterpret_cast<const char*>(&header), sizeof(header));
  record_ += AsText(packet.frame);
}

void PacketLog::Put(std::string_view record) {
  const bool taken = sink_->Put(RecordType::kCapture, record);
  stats_.packets += taken;
  stats_.lost += !taken;
}

void PacketLog::Write(const Packet& packet) {
  Compose(packet);
  Put(record_);
}

void PacketLog::Hold(const Packet& packet, Chain* chain) {
  Compose(packet);
  const size_t need = (sizeof(Held) + record_.size() + 7) & ~size_t{7};
  const uint64_t size = options_.held_bytes;
  if (need > size / 2) return;
  if (end_ % size + need > size) end_ += size - end_ % size;
  const Held held{*chain, record_.size()};
  uint8_t* at = ring_.get() + end_ % size;
  std::memcpy(at, &held, sizeof(held));
  std::memcpy(at + sizeof(held), record_.data(), record_.size());
  *chain = end_;
  end_ += need;
}

void PacketLog::WriteHeld(Chain* chain) {
  const uint64_t size = options_.held_bytes;
  order_.clear();
  Chain at = *chain;
  for (Held held; at != 0 && at + size >= end_; at = held.previous) {
    std::memcpy(&held, ring_.get() + at % size, sizeof(held));
    order_.push_back(at);
  }
  stats_.held_lost += at != 0;
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    Held held;
    const uint8_t* bytes = ring_.get() + *it % size;
    std::memcpy(&held, bytes, sizeof(held));
    Put({reinterpret_cast<const char*>(bytes + sizeof(held)), held.bytes});
  }
  *chain = 0;
}

}  // namespace sluice
