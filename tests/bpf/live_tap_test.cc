// The tap on a veth pair between namespaces: real skbs, real TCP, real crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <map>
#include <set>

#include "engine/stream/tcp_session.h"
#include "tests/bpf/bpf_fixture.h"
#include "tests/bpf/namespaces.h"

namespace sluice::testing {
namespace {

sockaddr_in6 EndpointAt(const std::string& text, uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  inet_pton(AF_INET6, text.c_str(), &address.sin6_addr);
  return address;
}

sockaddr_in6 Endpoint(bool v6, int host, uint16_t port) {
  return EndpointAt(v6 ? fmt::format("fd09::{}", host) : fmt::format("::ffff:10.9.0.{}", host), port);
}

// Bytes that TCP sent again, told by the processes that own the sockets.
struct Retransmitted {
  uint64_t up = 0, down = 0;
};
uint64_t BytesSentAgain(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_bytes_retrans;
}

// Listens in this thread's namespace, so that no client comes too early.
int Listen(uint16_t port) {
  const int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (bind(listener, reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) return -1;
  return listen(listener, 64) == 0 ? listener : -1;
}

uint8_t Pattern(size_t at, bool to_client) {
  return static_cast<uint8_t>((at * 2654435761u >> 13) ^ (to_client ? 0x5a : 0));
}

bool SendPattern(int fd, size_t bytes, bool to_client) {
  Bytes data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = Pattern(i, to_client);
  for (size_t at = 0; at < bytes;) {
    const ssize_t sent = send(fd, data.data() + at, bytes - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<size_t>(sent);
  }
  return true;
}

bool ReceiveBytes(int fd, size_t bytes) {
  Bytes buffer(1 << 16);
  while (bytes > 0) {
    const ssize_t got = recv(fd, buffer.data(), std::min(bytes, buffer.size()), 0);
    if (got <= 0) return false;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

// Takes `connections` connections one after the other: reads `up` bytes, answers with `down`.
int Serve(int listener, int connections, size_t up, size_t down, Retransmitted* again = nullptr) {
  for (int i = 0; i < connections; ++i) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0 || !ReceiveBytes(fd, up) || !SendPattern(fd, down, true)) return 3;
    char end = 0;
    (void)!recv(fd, &end, 1, 0);  // the client closes when it has all
    if (again != nullptr) again->down += BytesSentAgain(fd);
    close(fd);
  }
  return 0;
}

int Ask(const sockaddr_in6& server, int connections, size_t up, size_t down,
        Retransmitted* again = nullptr) {
  for (int i = 0; i < connections; ++i) {
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof(server)) != 0) return 5;
    if (!SendPattern(fd, up, false) || !ReceiveBytes(fd, down)) return 4;
    if (again != nullptr) again->up += BytesSentAgain(fd);
    close(fd);
  }
  return 0;
}

// Datagrams from the client's namespace; the kernel of the other side need not want them.
int SendDatagrams(const sockaddr_in6& to, int count) {
  const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
  for (int i = 0; i < count; ++i) {
    sendto(fd, "datagram", 8, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  }
  return 0;
}

uint32_t Sequence(const Record& record, bool v6) {
  const size_t l4 = v6 ? 54 : 14 + (record.data[14] & 15) * 4u;
  const uint8_t* at = record.data.data() + l4 + 4;
  return uint32_t{at[0]} << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

// Datagrams that came in; the ICMP errors that answer them quote them, going out.
size_t NumDatagrams(const std::vector<Record>& records) {
  size_t found = 0;
  for (const Record& record : records) {
    const std::string text(record.data.begin(), record.data.end());
    found += record.header.direction == TAP_INGRESS && text.ends_with("datagram");
  }
  return found;
}

class LiveTapTest : public BpfTest {
 protected:
  void SetUp() override {
    BpfTest::SetUp();
    if (IsSkipped()) return;
    pair_ = std::make_unique<VethPair>();
    if (!pair_->Up()) {
      std::printf("SLUICE-SKIPPED: no network namespaces or veth here\n");
      GTEST_SKIP();
    }
  }
  LiveTapOptions LiveOptions() {
    auto options = Options();
    options.interfaces = {"s0"};
    return options;
  }
  void OpenLive(const LiveTapOptions& options) {
    pair_->server.Inside([&] { Open(options); });
  }
  void OpenLive() { OpenLive(LiveOptions()); }
  // Real TCP through the tap: `connections` times `up` bytes there and `down` bytes back.
  Retransmitted Talk(bool v6, int connections, size_t up, size_t down) {
    constexpr uint16_t kPort = 8000;
    void* shared = mmap(nullptr, sizeof(Retransmitted), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* again = new (shared) Retransmitted;
    int listener = -1;
    pair_->server.Inside([&] { listener = Listen(kPort); });
    const pid_t server =
        pair_->server.Fork([&] { return Serve(listener, connections, up, down, again); });
    const pid_t client = pair_->client.Fork(
        [&] { return Ask(Endpoint(v6, 2, kPort), connections, up, down, again); });
    EXPECT_EQ(ExitOf(client), 0);
    EXPECT_EQ(ExitOf(server), 0);
    close(listener);
    const Retransmitted result = *again;
    munmap(shared, sizeof(Retransmitted));
    return result;
  }

  std::unique_ptr<VethPair> pair_;
};

class Bulk : public LiveTapTest, public ::testing::WithParamInterface<bool> {};

TEST_P(Bulk, EveryPayloadByteArrivesExactlyOnce) {
  const bool v6 = GetParam();
  constexpr size_t kUp = 24u << 20, kDown = 2u << 20;
  auto options = LiveOptions();
  options.ring_bytes = 64u << 20;  // holds all: no reader needed meanwhile
  OpenLive(options);
  const Retransmitted again = Talk(v6, 1, kUp, kDown);

  ASSERT_EQ(Delta(TAP_LOST_RECORDS), 0u);
  ASSERT_EQ(Delta(TAP_LOST_UNSPLIT_BYTES), 0u);
  std::vector<uint8_t> seen[2] = {std::vector<uint8_t>(kUp), std::vector<uint8_t>(kDown)};
  uint32_t first[2] = {0, 0};
  bool have_first[2] = {false, false};
  size_t pieces = 0, wrong = 0;
  for (const Record& record : Records()) {
    if (record.header.type != TAP_RECORD_PACKET) continue;
    const size_t port_at = record.header.direction == TAP_INGRESS ? 2 : 0;
    const size_t l4 = v6 ? 54 : 14 + (record.data[14] & 15) * 4u;
    const uint8_t protocol = v6 ? record.data[20] : record.data[23];
    if (protocol != 6 || (record.data[l4 + port_at] << 8 | record.data[l4 + port_at + 1]) != 8000) {
      continue;
    }
    const int direction = record.header.direction == TAP_INGRESS ? 0 : 1;
    ASSERT_EQ(record.header.side != record.header.initiator, direction == 1);
    if (record.data[l4 + 13] & kSyn) {
      first[direction] = Sequence(record, v6) + 1;
      have_first[direction] = true;
      continue;
    }
    ASSERT_TRUE(have_first[direction]);
    pieces += (record.header.flags & TAP_REC_PIECE) != 0;
    size_t at = Sequence(record, v6) - first[direction];
    for (size_t i = record.header.payload_offset; i < record.data.size(); ++i, ++at) {
      ASSERT_LT(at, seen[direction].size());
      ++seen[direction][at];
      wrong += record.data[i] != Pattern(at, direction == 1);
    }
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(pieces, 0u) << "no GSO packet was split: the test proves less than it should";
  for (const int direction : {0, 1}) {
    size_t missing = 0, extra = 0;
    for (const uint8_t times : seen[direction]) {
      missing += times == 0;
      extra += times > 1 ? times - 1u : 0;
    }
    EXPECT_EQ(missing, 0u);
    EXPECT_LE(extra, direction == 0 ? again.up : again.down);  // what TCP itself sent again
  }
}
INSTANTIATE_TEST_SUITE_P(Ip, Bulk, ::testing::Bool(),
                         [](const auto& c) { return c.param ? "V6" : "V4"; });

// What the engine's TCP makes of the records.
struct StreamSink final : TcpSession::Sink {
  void OnData(Direction direction, Slice bytes, uint64_t offset) override {
    for (size_t i = 0; i < bytes.size(); ++i) {
      wrong += bytes[i] != Pattern(offset + i, direction == Direction::kToClient);
    }
    if (!gap[Index(direction)]) in_order[Index(direction)] += bytes.size();
  }
  void OnGap(Direction direction, uint64_t, uint64_t) override { gap[Index(direction)] = true; }
  void OnEnd(Direction direction) override { end[Index(direction)] = true; }
  void OnStreamEvent(StreamEvent) override { ++events; }
  uint64_t in_order[2] = {0, 0};
  bool gap[2] = {false, false}, end[2] = {false, false};
  size_t wrong = 0, events = 0;
};

struct BudgetCase {
  const char* name;
  uint64_t to_server, to_client;  // bytes
  bool v6;
};
class Streams : public LiveTapTest, public ::testing::WithParamInterface<BudgetCase> {};

// Reassembly gets all that the budget allows, in order, and nothing that is wrong.
TEST_P(Streams, AreReassembledUpToTheBudget) {
  constexpr size_t kUp = 900000, kDown = 700000;
  auto options = LiveOptions();
  options.ring_bytes = 16u << 20;
  options.policies = {{.kind = TapPolicy::Kind::kPort, .ip_protocol = 6, .value = 8000,
                       .budget_to_server = GetParam().to_server,
                       .budget_to_client = GetParam().to_client}};
  OpenLive(options);
  Talk(GetParam().v6, 1, kUp, kDown);
  // As sluice run has it: the kernel leaves acknowledgements out, so a window is not known.
  const StreamOptions stream_options{.inline_mode = true, .depth = 0};
  SegmentPool pool(stream_options.memcap);
  StreamStats stats;
  StreamSink sink;
  TcpSession session;
  for (const Record& record : Records()) {
    Packet packet;
    Decode(LinkTypeOf(record.header), record.data, {.verify_checksums = false}, &packet);
    if (record.header.type != TAP_RECORD_PACKET || packet.l4 != L4::kTcp) continue;
    const Direction direction = record.header.side == record.header.initiator
                                    ? Direction::kToServer : Direction::kToClient;
    session.OnPacket(packet, direction, stream_options, pool, stats, sink);
  }
  EXPECT_EQ(sink.wrong, 0u);
  EXPECT_EQ(sink.in_order[0], std::min<uint64_t>(kUp, GetParam().to_server));
  EXPECT_EQ(sink.in_order[1], std::min<uint64_t>(kDown, GetParam().to_client));
  if (GetParam().to_server > kUp && GetParam().to_client > kDown) {
    EXPECT_FALSE(sink.gap[0] || sink.gap[1]);
    EXPECT_TRUE(sink.end[0] && sink.end[1]);
  }
  session.Reset(pool);
}
constexpr uint64_t kAllBytes = TAP_BUDGET_ALL;
const BudgetCase kBudgets[] = {
    {"Everything", kAllBytes, kAllBytes, false},
    {"EverythingV6", kAllBytes, kAllBytes, true},
    {"FirstBytesOfBoth", 4096, 4096, false},
    {"ToServerOnly", kAllBytes, 0, false},
    {"ToClientOnly", 0, 100001, true},
    {"MoreThanOnePiece", 50000, 50000, true},
};
INSTANTIATE_TEST_SUITE_P(Budget, Streams, ::testing::ValuesIn(kBudgets),
                         [](const auto& c) { return c.param.name; });

// A tun device: its packets have no link header.  What is written comes in on it.
class Tun {
 public:
  explicit Tun(const Namespace& space) {
    space.Inside([&] {
      fd_ = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
      ifreq request{};
      std::strncpy(request.ifr_name, "tun0", IFNAMSIZ - 1);
      request.ifr_flags = IFF_TUN | IFF_NO_PI;
      if (fd_ >= 0 && ioctl(fd_, TUNSETIFF, &request) != 0) fd_ = -1;
    });
    up_ = fd_ >= 0 && space.Shell("ip addr add 10.8.0.2/24 dev tun0") &&
          space.Shell("ip addr add fd08::2/64 dev tun0 nodad") && space.Shell("ip link set tun0 up");
  }
  ~Tun() { close(fd_); }
  bool up() const { return up_; }
  void Receive(const Frame& frame) {
    const Bytes bytes = Build(frame);
    constexpr size_t kEthernet = 14;
    EXPECT_GT(write(fd_, bytes.data() + kEthernet, bytes.size() - kEthernet), 0);
  }

 private:
  int fd_ = -1;
  bool up_ = false;
};

class RawIp : public LiveTapTest, public ::testing::WithParamInterface<bool> {};

TEST_P(RawIp, PacketsWithoutALinkHeaderAreSeenInBothDirectionsAndDropped) {
  Tun tun(pair_->server);
  ASSERT_TRUE(tun.up());
  auto options = LiveOptions();
  options.interfaces = {"tun0"};
  options.force_clsact = GetParam();
  OpenLive(options);
  EXPECT_TRUE(tap_->interfaces()[0].raw);
  for (const bool v6 : {false, true}) {
    const char* peer = v6 ? "fd08::1" : "10.8.0.1";
    const Frame question{.source = peer, .destination = v6 ? "fd08::2" : "10.8.0.2", .dport = 7000,
                         .protocol = 17, .payload = "question"};
    ResetDelta();
    tun.Receive(question);
    pair_->server.Inside([&] { SendDatagrams(EndpointAt(v6 ? peer : "::ffff:10.8.0.1", 7000), 1); });
    const std::vector<Record> records = Records();
    ASSERT_GE(records.size(), 2u);
    Packet packet;
    Decode(LinkTypeOf(records[0].header), records[0].data, {.verify_checksums = false}, &packet);
    EXPECT_EQ(AsText(packet.payload), "question");
    EXPECT_EQ(packet.source, MakeAddress(peer));
    EXPECT_EQ(records[0].header.direction, TAP_INGRESS);
    EXPECT_EQ(records.back().header.direction, TAP_EGRESS);
    EXPECT_EQ(records[0].header.wire_len, records[0].data.size());
    ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix(peer), {}));
    ResetDelta();
    tun.Receive(question);
    EXPECT_EQ(Exit(), "EXIT_DROP_SOURCE");
  }
}
INSTANTIATE_TEST_SUITE_P(Attach, RawIp, ::testing::Bool(),
                         [](const auto& c) { return c.param ? "Clsact" : "Tcx"; });

TEST_F(LiveTapTest, AnInterfaceOfAnotherLinkTypeIsRefusedByName) {
  ASSERT_TRUE(pair_->server.Shell("ip tuntap add dev ppp0 mode tun"));
  pair_->server.Inside([&] {
    // A tun device says whatever type it is told.
    const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    ifreq request{};
    std::strncpy(request.ifr_name, "ppp0", IFNAMSIZ - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    ASSERT_EQ(ioctl(fd, TUNSETIFF, &request), 0);
    constexpr unsigned long kPpp = 512;  // ARPHRD_PPP
    ASSERT_EQ(ioctl(fd, TUNSETLINK, kPpp), 0);
    auto options = LiveOptions();
    options.interfaces = {"ppp0"};
    const auto tap = LiveTap::Create(options);
    ASSERT_FALSE(tap);
    EXPECT_EQ(tap.error().message, "ppp0: link type 512 is not supported; Ethernet and IP without a link header are");
    close(fd);
  });
}

TEST_F(LiveTapTest, TwoRingsKeepEachConnectionTogether) {
  auto options = LiveOptions();
  options.num_workers = 2;
  OpenLive(options);
  constexpr int kConnections = 40;
  Talk(false, kConnections, 100, 100);
  std::map<uint16_t, std::set<uint32_t>> rings_of;  // by client port
  std::map<uint16_t, std::set<int>> directions_of;
  for (uint32_t ring = 0; ring < 2; ++ring) {
    for (const Record& record : Records(ring)) {
      if (record.header.type != TAP_RECORD_PACKET || record.data[12] != 8 || record.data[23] != 6) {
        continue;
      }
      EXPECT_EQ(record.header.hash % 2, ring);
      const size_t at = record.header.direction == TAP_INGRESS ? 34 : 36;
      const uint16_t port = static_cast<uint16_t>(record.data[at] << 8 | record.data[at + 1]);
      rings_of[port].insert(ring);
      directions_of[port].insert(record.header.direction);
    }
  }
  EXPECT_EQ(rings_of.size(), size_t{kConnections});
  size_t per_ring[2] = {0, 0};
  for (const auto& [port, rings] : rings_of) {
    EXPECT_EQ(rings.size(), 1u) << port;
    EXPECT_EQ(directions_of[port].size(), 2u);
    ++per_ring[*rings.begin()];
  }
  EXPECT_GT(per_ring[0], 5u);
  EXPECT_GT(per_ring[1], 5u);
}

class Crash : public LiveTapTest, public ::testing::WithParamInterface<bool> {};

TEST_P(Crash, DropsStayEnforcedAfterKillAndTheNextRunAdopts) {
  const bool v6 = GetParam();
  const char* const attacker = v6 ? "fd09::1" : "10.9.0.1";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t engine = pair_->server.Fork([&] {
    auto crashing = LiveOptions();
    crashing.heartbeat_timeout = Nanos{1};
    auto tap = LiveTap::Create(crashing);
    if (!tap || !(*tap)->drops().AddSource(*ParsePrefix(attacker), {.sid = 77})) return 1;
    (void)!write(ready[1], "y", 1);
    for (;;) pause();
  });
  char answer = 'n';
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  close(ready[0]);
  close(ready[1]);
  ASSERT_EQ(kill(engine, SIGKILL), 0);
  ExitOf(engine);

  const auto before = ReadPinnedCounters(pins_.path());
  ASSERT_TRUE(before) << before.error().message;
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(v6, 2, 9000), 20); }));
  // The other family is not blocked: its records wait in the ring.
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(!v6, 2, 9001), 5); }));
  const auto after = ReadPinnedCounters(pins_.path());
  ASSERT_TRUE(after);
  EXPECT_GE((*after)[TAP_EXIT_DROP_SOURCE] - (*before)[TAP_EXIT_DROP_SOURCE], 20u);

  pair_->server.Inside([&] {
    const auto status = ReadPinnedStatus(pins_.path());
    ASSERT_TRUE(status) << status.error().message;
    ASSERT_EQ(status->interfaces.size(), 1u);
    EXPECT_EQ(status->interfaces[0].name, "s0");
    EXPECT_EQ(status->num_workers, 1u);
    EXPECT_GT(status->heartbeat_age, Nanos{0});
    EXPECT_FALSE(status->engine_alive);
  });

  OpenLive();
  ASSERT_EQ(tap_->interfaces().size(), 1u);
  EXPECT_TRUE(tap_->interfaces()[0].tcx);
  EXPECT_TRUE(tap_->interfaces()[0].adopted);
  EXPECT_EQ(NumDatagrams(Records()), 5u);
  const auto list = tap_->drops().List();
  ASSERT_TRUE(list && list->size() == 1);
  EXPECT_EQ(list->front().sid, 77u);
  EXPECT_GE(list->front().packets, 20u);
  ASSERT_TRUE(*tap_->drops().DeleteSource(*ParsePrefix(attacker)));
  ResetDelta();
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(v6, 2, 9002), 3); }));
  EXPECT_EQ(Delta(TAP_EXIT_DROP_SOURCE), 0u);
  EXPECT_EQ(NumDatagrams(Records()), 3u);
}
INSTANTIATE_TEST_SUITE_P(Ip, Crash, ::testing::Bool(),
                         [](const auto& c) { return c.param ? "V6" : "V4"; });

TEST_F(LiveTapTest, AnotherNumberOfWorkersReplacesTheTapAndKeepsTheDrops) {
  OpenLive();
  ASSERT_TRUE(tap_->drops().AddSource(*ParsePrefix("10.9.0.1"), {.sid = 5}));
  const std::string old_path = tap_->pin_path();
  ASSERT_TRUE(tap_->Close(LiveTap::OnClose::kKeep));
  tap_.reset();
  auto options = LiveOptions();
  options.num_workers = 2;
  OpenLive(options);
  EXPECT_NE(tap_->pin_path(), old_path);
  EXPECT_FALSE(std::filesystem::exists(old_path));
  EXPECT_FALSE(tap_->interfaces()[0].adopted);
  EXPECT_EQ(tap_->drops().List()->size(), 1u);
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(false, 2, 9000), 4); }));
  EXPECT_EQ(Delta(TAP_EXIT_DROP_SOURCE), 4u);  // once each: the old program is gone
}

TEST_F(LiveTapTest, WhatDoesNotFitTheRingIsCountedToTheByte) {
  constexpr size_t kUp = 4u << 20;
  auto options = LiveOptions();
  options.ring_bytes = 256u << 10;  // and nobody reads
  OpenLive(options);
  const Retransmitted again = Talk(false, 1, kUp, 1);
  const uint64_t lost = Delta(TAP_LOST_BYTES);
  EXPECT_GT(lost, 0u);
  uint64_t read = 0;
  for (const Record& record : Records()) {
    if (record.header.wire_len > 54) read += record.data.size() - record.header.payload_offset;
  }
  EXPECT_GE(read + lost, kUp + 1);
  constexpr uint64_t kNeighbours = 1000;  // the kernel's own multicast reports
  EXPECT_LE(read + lost, kUp + 1 + again.up + again.down + kNeighbours);
  EXPECT_EQ(Delta(TAP_LOST_UNSPLIT_BYTES), 0u);
}

TEST_F(LiveTapTest, LoopbackPacketsAreSeenOnce) {
  auto options = LiveOptions();
  options.interfaces = {"lo"};
  OpenLive(options);
  EXPECT_TRUE(tap_->interfaces()[0].loopback);
  ExitOf(pair_->server.Fork([&] { return SendDatagrams(Endpoint(false, 2, 9000), 4); }));  // to itself
  EXPECT_EQ(NumDatagrams(Records()), 8u);  // with the four errors that quote them
}

// An echo larger than a record, which only TCP and UDP can be split into.
TEST_F(LiveTapTest, WhatFitsNoRecordIsCountedAsLost) {
  auto options = LiveOptions();
  options.interfaces = {"lo"};
  options.policies = {{.kind = TapPolicy::Kind::kDefault, .action = TapPolicy::Action::kInspect}};
  OpenLive(options);
  const auto send = [&](size_t bytes) {
    pair_->server.Inside([&] {
      const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const Bytes echo_reply(bytes);
      EXPECT_GT(sendto(fd, echo_reply.data(), bytes, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
      close(fd);
    });
  };
  send(30000);
  EXPECT_EQ(Delta(TAP_EXIT_LOST_SIZE), 1u);
  EXPECT_GT(Delta(TAP_LOST_UNSPLIT_BYTES), 29000u);
  EXPECT_TRUE(Records().empty());
  send(100);
  const auto records = Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].header.lost_slices, 1u) << "the flow knows of it";
}

TEST_F(LiveTapTest, DetachLeavesNothingRunning) {
  OpenLive();
  const std::string path = tap_->pin_path();
  ASSERT_TRUE(tap_->Close(LiveTap::OnClose::kDetach));
  EXPECT_FALSE(std::filesystem::exists(path));
  ResetDelta();
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(false, 2, 9000), 4); }));
  EXPECT_EQ(Exit(), "none");
}

TEST_F(LiveTapTest, ClsactServesKernelsWithoutTcx) {
  auto options = LiveOptions();
  options.force_clsact = true;
  OpenLive(options);
  EXPECT_FALSE(tap_->interfaces()[0].tcx);
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(false, 2, 9000), 4); }));
  EXPECT_EQ(NumDatagrams(Records()), 4u);
  pair_->server.Inside([&] { ASSERT_TRUE(tap_->Close(LiveTap::OnClose::kDetach)); });
  ResetDelta();
  ExitOf(pair_->client.Fork([&] { return SendDatagrams(Endpoint(false, 2, 9000), 4); }));
  EXPECT_EQ(Exit(), "none");
}

// The kernel takes a tag off the frame before the program sees it; the record has it back.
TEST_F(LiveTapTest, AHardwareVlanTagIsPutBackIntoTheRecord) {
  OpenLive();
  const Frame frame{.source = "10.9.0.1", .destination = "10.9.0.2", .protocol = 17,
                    .payload = "tagged-datagram", .vlans = {0x6123}};  // priority 3, id 0x123
  const Bytes bytes = Build(frame);
  ExitOf(pair_->client.Fork([&] {
    const int fd = socket(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(if_nametoindex("c0"));
    sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    return 0;
  }));
  size_t found = 0;
  for (const Record& record : Records()) {
    const std::string text(record.data.begin(), record.data.end());
    if (!text.ends_with("tagged-datagram")) continue;
    ++found;
    EXPECT_EQ(record.data, bytes);
    EXPECT_EQ(record.header.wire_len, bytes.size());
    EXPECT_EQ(record.header.payload_offset, 46);
  }
  EXPECT_EQ(found, 1u);
  Frame key = frame;
  key.vlans = {0x123};
  EXPECT_TRUE(tap_->Flow(MakeFlowKey(TupleOfFrame(key)).key));
}

TEST_F(LiveTapTest, ASleepingReaderIsWokenOnce) {
  auto options = LiveOptions();
  options.poll_mode = PollMode::kNap;
  OpenLive(options);
  Records();
  // Naps until it would sleep; neighbour discovery may interrupt.
  const auto ignore = [](const tap_record&) {};
  for (int i = 0; i < 60; ++i) tap_->reader(0).Poll(std::chrono::milliseconds{2}, ignore);
  ResetDelta();
  const pid_t client = pair_->client.Fork([&] {
    usleep(50000);  // lets the reader fall asleep
    return SendDatagrams(Endpoint(false, 2, 9000), 3);
  });
  size_t got = 0;
  for (int i = 0; i < 500 && got < 3; ++i) {
    tap_->reader(0).Poll(std::chrono::seconds{1}, [&](const tap_record& record) {
      got += record.cap_len == 50 && record.direction == TAP_INGRESS;
    });
  }
  ExitOf(client);
  EXPECT_EQ(got, 3u);
  EXPECT_GE(Delta(TAP_WAKEUPS), 1u);
  EXPECT_EQ(tap_->reader(0).Backlog(), 0u);
}

TEST_F(LiveTapTest, AMissingInterfaceIsNamed) {
  auto options = LiveOptions();
  options.interfaces = {"nosuch0"};
  pair_->server.Inside([&] {
    const auto tap = LiveTap::Create(options);
    ASSERT_FALSE(tap);
    EXPECT_EQ(tap.error().code, Errc::kNotFound);
    EXPECT_THAT(tap.error().message, ::testing::HasSubstr("nosuch0"));
  });
  EXPECT_FALSE(std::filesystem::exists(pins_.path()));
}

TEST(LiveTapOptionsTest, OutOfRangeIsRefusedByName) {
  LiveTapOptions options;
  options.num_workers = 0;
  EXPECT_THAT(LiveTap::Create(options).error().message, ::testing::HasSubstr("num_workers"));
  options = {};
  options.ring_bytes = 100000;
  EXPECT_THAT(LiveTap::Create(options).error().message, ::testing::HasSubstr("ring_bytes"));
  options = {};
  options.pin_dir = "relative";
  EXPECT_THAT(LiveTap::Create(options).error().message, ::testing::HasSubstr("pin_dir"));
}

}  // namespace
}  // namespace sluice::testing
