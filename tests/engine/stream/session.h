// tests/engine/stream/session.h
// A session that segments are sent through, and what it hands on as text.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/stream/tcp_session.h"

namespace sluice::testing {

inline constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;

struct SessionRecorder final : TcpSession::Sink {
  void OnData(Direction d, Slice bytes, uint64_t) override { data[Index(d)].append(AsText(bytes)); }
  void OnGap(Direction d, uint64_t, uint64_t n) override { data[Index(d)] += "<" + std::to_string(n) + ">"; }
  void OnEnd(Direction d) override { ended[Index(d)] = true; }
  void OnHole(Direction d, uint64_t, uint64_t n) override { data[Index(d)] += "{" + std::to_string(n) + "}"; }
  void OnUnread(Direction d, Slice bytes, uint64_t) override { data[Index(d)].append(AsText(bytes)); }
  void OnFirstEnd(Direction d) override {
    first_end = d;
    read_by_then = data[0] + data[1];
  }
  void OnRestart(Direction d) override { data[Index(d)] += "|"; }
  void OnStreamEvent(StreamEvent event) override { events.push_back(event); }
  std::string data[2];
  bool ended[2] = {false, false};
  std::optional<Direction> first_end;
  std::string read_by_then;
  std::vector<StreamEvent> events;
};

class Session : public ::testing::Test {
 protected:
  TcpSession::Outcome Send(Direction d, uint8_t flags, uint32_t seq, uint32_t ack,
                           std::string_view payload = "", uint16_t window = 65535) {
    Packet packet;
    packet.l4 = L4::kTcp;
    packet.tcp.flags = flags;
    packet.tcp.seq = seq;
    packet.tcp.ack = ack;
    packet.tcp.window = window;
    packet.payload = AsSlice(payload);
    return SendPacket(packet, d);
  }
  // `pointer`: just behind the urgent byte, from the payload's start.
  TcpSession::Outcome SendUrgent(Direction d, uint32_t seq, uint32_t ack, std::string_view payload, uint16_t pointer) {
    Packet packet;
    packet.l4 = L4::kTcp;
    packet.tcp.flags = kTcpAck | kTcpUrg;
    packet.tcp.seq = seq;
    packet.tcp.ack = ack;
    packet.tcp.window = 65535;
    packet.tcp.urgent = pointer;
    packet.payload = AsSlice(payload);
    return SendPacket(packet, d);
  }
  TcpSession::Outcome SendPacket(const Packet& packet, Direction d) {
    return session.OnPacket(packet, d, options, pool, stats, to);
  }
  void Handshake(uint32_t client = 1000, uint32_t server = 5000) {
    Send(kC, kTcpSyn, client, 0);
    Send(kS, kTcpSyn | kTcpAck, server, client + 1);
    Send(kC, kTcpAck, client + 1, server + 1);
  }
  void Flush() { session.Flush(options, pool, stats, to); }
  ~Session() override { session.Reset(pool); }

  StreamOptions options;
  SegmentPool pool{1 << 20};
  StreamStats stats;
  TcpSession session;
  SessionRecorder to;
};

}  // namespace sluice::testing
