// When stream rules look, and at what: passive, as the acknowledged bytes add up.
#include "tests/engine/app/lab.h"

namespace sluice::testing {
namespace {

WorkerOptions Passive() {
  WorkerOptions options;
  options.raw_chunk[0] = options.raw_chunk[1] = 2560;
  return options;
}

// A connection whose sides speak in turn; what no dissector knows.
class Talk {
 public:
  explicit Talk(const std::string& rules, WorkerOptions options = Passive()) : lab(rules, options) {
    client_.dport = 9999;
    client_.seq = 1000;
    client_.ack = 5000;
    lab.Connect(client_);
  }
  void Client(const std::string& text) {  // and the server takes it
    client_.payload = text;
    lab.Send(client_);
    client_.payload.clear();
    client_.seq += static_cast<uint32_t>(text.size());
    lab.Send(Reverse(client_));
  }
  void ClientAck() { lab.Send(client_); }
  void ClientFin() {
    client_.flags = kFin | kAck;
    lab.Send(client_);
  }
  size_t alerts() const { return lab.Records("alert").size(); }
  int packet() const { return lab.Records("alert").back()["pcap_cnt"]; }

  Lab lab;

 private:
  Frame client_;
};

const char kEvil[] = "alert tcp any any -> any any (content:\"evil\"; sid:1;)";
const char kHead[] =
    "alert tcp any any -> any any (flow:only_stream; content:\"evil\"; depth:4; sid:1;)";

TEST(StreamLook, WaitsForAChunk) {
  Talk talk(kEvil);
  talk.Client("evil");                     // packets 4, 5
  talk.Client(std::string(2555, 'x'));     // 6, 7
  talk.ClientAck();
  EXPECT_EQ(talk.alerts(), 0u);
  talk.Client("x");                        // 9, 10: 2,560 are acknowledged
  talk.ClientAck();
  ASSERT_EQ(talk.alerts(), 1u);
  EXPECT_EQ(talk.packet(), 11);
}

TEST(StreamLook, ComesWhenTheConnectionCloses) {
  Talk talk(kEvil);
  talk.Client("evil");
  talk.ClientFin();
  ASSERT_EQ(talk.alerts(), 1u);
  EXPECT_EQ(talk.packet(), 6);
}

TEST(StreamLook, ComesAtTheLatestWhenTheFlowEnds) {
  Talk talk(kEvil);
  talk.Client("evil");
  EXPECT_EQ(talk.alerts(), 0u);
  talk.lab.Shutdown();
  EXPECT_EQ(talk.alerts(), 1u);
}

TEST(StreamLook, IsImmediateInline) {
  Talk talk(kEvil, Lab::Ips());
  talk.Client("evil");
  ASSERT_EQ(talk.alerts(), 1u);
  EXPECT_EQ(talk.packet(), 4);
}

TEST(StreamLook, SeesAMatchThatStraddlesTwoChunks) {
  Talk talk(kEvil);
  talk.Client(std::string(2558, 'x') + "ev");
  talk.Client("il" + std::string(2558, 'x'));
  talk.ClientAck();
  EXPECT_EQ(talk.alerts(), 1u);
}

// Rules read the whole run, before any of it is let go.
TEST(StreamLook, ReadsARunLongerThanTheOverlap) {
  Talk talk("alert tcp any any -> any any (content:\"begin\"; content:\"end\"; distance:6000; sid:1;)");
  talk.Client("begin" + std::string(6000, 'x') + "end");
  talk.ClientAck();
  EXPECT_EQ(talk.alerts(), 1u);
}

TEST(StreamLook, DepthCountsFromEachChunk) {
  Talk talk(kHead);
  talk.Client("evil" + std::string(2560, 'x'));
  talk.Client("evil" + std::string(2560, 'x'));
  talk.Client("xevil" + std::string(2560, 'x'));
  talk.ClientAck();
  EXPECT_EQ(talk.alerts(), 2u);
}

TEST(StreamLook, DepthCountsFromTheStreamsStartInline) {
  Talk talk(kHead, Lab::Ips());
  talk.Client("evil");
  talk.Client("evil");
  EXPECT_EQ(talk.alerts(), 1u);
}

// A dissector says so; rules without a pattern still look at packets.
TEST(StreamLook, EndsWhereTheEncryptedBegins) {
  constexpr char kRules[] = R"(
alert tcp any any -> any any (content:"evil"; sid:1;)
alert tcp any any -> any any (dsize:8; content:"evil"; sid:2;)
alert tcp any any -> any any (dsize:8; sid:3;))";
  for (const WorkerOptions& options : {Passive(), Lab::Ips()}) {
    Talk talk(kRules, options);
    talk.Client("do evil\n");
    talk.Client("encrypted\n");
    talk.Client("do evil\n");
    talk.ClientFin();
    talk.lab.Shutdown();
    int fired[4] = {0, 0, 0, 0};
    for (const auto& record : talk.lab.Records("alert")) ++fired[record["alert"]["signature_id"].get<int>()];
    EXPECT_EQ(fired[1], 1);
    EXPECT_EQ(fired[2], 1);
    EXPECT_EQ(fired[3], 2);
    EXPECT_EQ(talk.lab.Records("line").size(), 3u) << "it is dissected all the same";
  }
}

}  // namespace
}  // namespace sluice::testing
