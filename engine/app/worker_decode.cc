// The worker's first steps: decode, put together, unwrap; the packet inside goes first.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "engine/app/anomaly_names.h"
#include "engine/app/worker_state.h"

namespace sluice {
namespace {

constexpr Nanos kExpiryInterval = std::chrono::milliseconds{100};  // packet time

std::string_view AnomalyName(DecodeEvent event) {
  static const auto kNames = AnomalyNames<DecodeEvent>("decoder", DecodeEventName);
  return kNames[static_cast<size_t>(event)];
}

}  // namespace

void Worker::Process(LinkType link, Slice frame, Nanos time, uint64_t number, uint32_t wire_len) {
  Packet packet;
  packet.time = time;
  packet.number = number;
  packet.wire_len = wire_len;
  Decode(link, frame, options_.decode, &packet);
  now_ = std::max(now_, time);
  fate_ = {};
  ++stats_.packets;
  stats_.bytes += wire_len;
  stats_.max_packet = std::max<uint64_t>(stats_.max_packet, wire_len);
  stats_.invalid += packet.invalid;
  if (now_ - last_expiry_ >= kExpiryInterval) Expire(now_);
  ProcessPacket(packet);
  CountVerdict();
  if (packet_log_.enabled()) LogPacket(packet);
}

void Worker::CountLayers(const Packet& packet) {
  for (uint64_t layers = packet.layers; layers != 0; layers &= layers - 1) {
    ++stats_.layers[static_cast<size_t>(std::countr_zero(layers))];
  }
}

// Once a frame, and once for each packet that comes out of one: nested no deeper than
// DecodeOptions::max_layers and Defrag::kMaxNesting allow.
void Worker::ProcessPacket(Packet& packet) {
  CountLayers(packet);
  if (!packet.inner.bytes.empty()) ProcessInner(packet);
  const bool no_room = packet.is_fragment && !ProcessFragment(packet);
  exempt_ = false;
  if (packet.num_events > 0 || !packet_events_.empty()) ReportEvents(packet);
  if (!packet.arp.empty()) eve_writer_.Arp(packet);
  if (no_room) OnException(ExceptionTarget::kDefragMemcap, packet, nullptr, nullptr, Direction::kToServer);
  packet.HasFlow() ? ProcessInFlow(packet) : ProcessWithoutFlow(packet);
  if (packet.num_events > 0 && decode_anomalies_) LogDecodeAnomalies(packet);
}

void Worker::ReportEvents(const Packet& packet) {
  packet_events_.clear();
  stats_.decode_events_lost += packet.events_lost;
  for (uint8_t i = 0; i < packet.num_events; ++i) {
    ++stats_.decode_events[static_cast<size_t>(packet.events[i])];
    const char* name = DecodeEventName(packet.events[i]);
    if (const int id = detector_.program().EventId(name); id >= 0) {
      packet_events_.push_back(static_cast<uint16_t>(id));
    }
  }
}

// Behind the packet's way through its flow, which they name.
void Worker::LogDecodeAnomalies(const Packet& packet) {
  AnomalyView anomaly;
  Flow* flow = packet.HasFlow() ? table_.Find(TupleOf(packet, options_.track_recursion), &anomaly.direction) : nullptr;
  const FlowView view = flow == nullptr ? FlowView{} : ViewOf(*flow, StateOf(*flow));
  for (uint8_t i = 0; i < packet.num_events; ++i) {
    anomaly.event = AnomalyName(packet.events[i]);
    eve_writer_.Anomaly(packet, view, anomaly);
  }
}

// What the tunnel carries is a packet of its own.  One that only looked like Teredo is
// none.
void Worker::ProcessInner(const Packet& outer) {
  Packet inner;
  DecodeInner(outer, options_.decode, &inner);
  if (inner.origin == PacketOrigin::kTeredo && inner.invalid) return;
  // The flow of the tunnel begins before those in it: they name it.
  const Flow* parent = outer.HasFlow() ? FindFlow(outer).flow : nullptr;
  parent_id_ = parent == nullptr ? 0 : parent->id;
  ProcessPacket(inner);
  parent_id_ = 0;
}

// A fragment has no ports: rules see it alone, and the whole once it is there.  False if
// there was no room for it.
bool Worker::ProcessFragment(Packet& fragment) {
  const uint64_t refused = defrag_.stats().no_room;
  const Slice frame = defrag_.Add(&fragment, now_);
  if (frame.empty()) return defrag_.stats().no_room == refused;
  Packet whole;
  DecodeWhole(fragment, frame, options_.decode, &whole);
  ProcessPacket(whole);
  return true;
}

void Worker::CollectDecoderCounters(NamedCounters* out) const {
  const auto add = [out](std::string name, uint64_t value) {
    out->emplace_back(std::move(name), value);
  };
  const WorkerStats& s = stats_;
  add("decoder.pkts", s.packets);
  add("decoder.bytes", s.bytes);
  add("decoder.invalid", s.invalid);
  for (size_t i = 0; i < s.layers.size(); ++i) {
    add(fmt::format("decoder.{}", LayerName(static_cast<Layer>(i))), s.layers[i]);
  }
  add("decoder.avg_pkt_size", s.packets == 0 ? 0 : s.bytes / s.packets);
  add("decoder.max_pkt_size", s.max_packet);
  for (size_t i = 0; i < s.decode_events.size(); ++i) {
    add(fmt::format("decoder.event.{}", DecodeEventName(static_cast<DecodeEvent>(i))),
        s.decode_events[i]);
  }
  add("decoder.events_lost", s.decode_events_lost);
  const DefragStats& f = defrag_.stats();
  add("defrag.ipv4.fragments", f.fragments[0]);
  add("defrag.ipv4.reassembled", f.reassembled[0]);
  add("defrag.ipv6.fragments", f.fragments[1]);
  add("defrag.ipv6.reassembled", f.reassembled[1]);
  add("defrag.timeouts", f.timeouts);
  add("defrag.max_trackers_reached", f.trackers_full);
  add("defrag.memcap", f.memcap);
  add("defrag.max_frags_reached", f.memcap);  // its name elsewhere
  add("defrag.refused", f.refused);
  add("defrag.overlaps", f.overlaps);
  add("defrag.memuse", defrag_.memory());
}

}  // namespace sluice
