// What a worker does about a match: verdicts, drop records, counters.
#include "engine/app/worker.h"

#include <map>

#include "engine/output/pcap_log.h"
#include "tests/engine/app/lab.h"

namespace sluice::testing {
namespace {

Frame Udp(const std::string& payload) { return {.protocol = 17, .payload = payload}; }

// The server's answer is the first that is seen: it says whose it is.
TEST(Midstream, WhoSpeaksLikeAServerIsOne) {
  WorkerOptions options;
  options.stream.midstream = true;
  Lab lab("alert line any any -> any any (line.verb; content:\"do\"; sid:1;)", options);
  const Frame client{.payload = "do it\n"};
  Frame server = Reverse(client);
  server.payload = "200\n";
  Frame bare = server;
  bare.payload.clear();
  lab.Send(bare);
  lab.Send(server);
  Frame request = client;
  request.ack += 4;
  lab.Send(request);
  bare.seq += 4;
  bare.ack += 6;
  lab.Send(bare);
  lab.Shutdown();
  const auto flows = lab.Records("flow");
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0]["dest_port"], 80);
  EXPECT_EQ(flows[0]["app_proto"], "line");
  EXPECT_EQ(flows[0]["flow"]["pkts_toserver"], 1);
  EXPECT_EQ(flows[0]["flow"]["pkts_toclient"], 3);
  ASSERT_EQ(lab.Records("alert").size(), 1u);
}

TEST(Verdict, PacketRuleDropsItsPacketAlone) {
  Lab lab("drop udp any any -> any any (content:\"evil\"; sid:1;)");
  lab.Send(Udp("evil"));
  lab.Send(Udp("good"));
  lab.Send(Udp("evil"));
  const auto drops = lab.Records("drop");
  ASSERT_EQ(drops.size(), 2u) << "each rule's drop has its record";
  EXPECT_EQ(drops[0]["drop"]["reason"], "rules");
  EXPECT_EQ(drops[0]["alert"]["signature_id"], 1);
  EXPECT_EQ(drops[0]["direction"], "to_server");
  EXPECT_EQ(lab.Counter("ips.blocked"), 2u);
  EXPECT_EQ(lab.Counter("ips.accepted"), 1u);
  EXPECT_EQ(lab.Counter("ips.drop_reason.rules"), 2u);
}

TEST(Verdict, AddressRuleDropsTheFlowWithOneRecordEachWay) {
  Lab lab("drop udp any any -> any 80 (sid:1;)");
  for (int i = 0; i < 3; ++i) {
    lab.Send(Udp("x"));
    lab.Send(Reverse(Udp("x")));
  }
  lab.Shutdown();
  const auto drops = lab.Records("drop");
  ASSERT_EQ(drops.size(), 2u);
  EXPECT_EQ(drops[0]["drop"]["reason"], "rules");
  EXPECT_EQ(drops[1]["drop"]["reason"], "flow drop");
  EXPECT_EQ(drops[1]["direction"], "to_client");
  EXPECT_EQ(lab.Counter("ips.blocked"), 6u);
  EXPECT_EQ(lab.Counter("ips.drop_reason.flow_drop"), 5u);
  const auto flows = lab.Records("flow");
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0]["flow"]["action"], "drop");
  EXPECT_EQ(flows[0]["flow"]["pkts_toserver"], 3) << "dropped packets are counted";
}

TEST(Verdict, EveryDroppedPacketHasARecordIfAskedFor) {
  WorkerOptions options = Lab::Ips();
  options.eve.emplace_back().drop_all = true;
  Lab lab("drop udp any any -> any 80 (sid:1;)", options);
  for (int i = 0; i < 3; ++i) lab.Send(Udp("x"));
  EXPECT_EQ(lab.Records("drop").size(), 3u);
}

TEST(Verdict, TheFirstVerdictOnAFlowStays) {
  Lab lab("pass udp any any -> any 80 (sid:1;)\ndrop udp any any -> any any (content:\"evil\"; sid:2;)");
  lab.Send(Udp("hello"));
  lab.Send(Udp("evil"));
  lab.Shutdown();
  EXPECT_TRUE(lab.Records("drop").empty());
  EXPECT_EQ(lab.Records("flow")[0]["flow"]["action"], "pass");
  EXPECT_EQ(lab.Counter("ips.accepted"), 2u);
}

TEST(Verdict, WhatADroppedPacketCompletesIsNotLogged) {
  Lab lab("drop line any any -> any any (line.argument; content:\"rm\"; sid:1;)");
  const Frame client;
  lab.Connect(client);
  Frame request = client;
  request.payload = "do rm\n";
  lab.Send(request);
  Frame answer = Reverse(client);
  answer.ack += 6;
  answer.payload = "200\n";
  lab.Send(answer);
  lab.Shutdown();
  EXPECT_EQ(lab.Records("alert").size(), 1u);
  EXPECT_EQ(lab.Records("drop").size(), 2u) << "the request, and the answer's direction";
  EXPECT_TRUE(lab.Records("line").empty());
}

TEST(Verdict, RejectIsCountedAndSaysToWhomAndHow) {
  Lab lab("rejectboth udp any any -> any any (content:\"evil\"; sid:1;)");
  lab.Send(Udp("evil"));
  const auto alerts = lab.Records("alert");
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0]["verdict"]["action"], "drop");
  EXPECT_EQ(alerts[0]["verdict"]["reject-target"], "both");
  EXPECT_EQ(alerts[0]["verdict"]["reject"], (nlohmann::json{"icmp-prohib"}));
  EXPECT_EQ(alerts[0]["alert"]["action"], "blocked");
  EXPECT_EQ(lab.Counter("ips.rejected"), 1u);
  EXPECT_EQ(lab.Counter("ips.blocked"), 0u);
}

TEST(Verdict, AWatchedWireDropsNothing) {
  Lab lab("drop udp any any -> any 80 (sid:1;)\nreject udp any any -> any any (content:\"evil\"; sid:2;)",
          WorkerOptions{});
  lab.Send(Udp("evil"));
  lab.Shutdown();
  EXPECT_TRUE(lab.Records("drop").empty());
  const auto alerts = lab.Records("alert");
  ASSERT_EQ(alerts.size(), 2u);
  EXPECT_EQ(alerts[0]["alert"]["action"], "allowed");
  EXPECT_EQ(alerts[1]["alert"]["action"], "blocked") << "a reset is sent in any mode";
  EXPECT_EQ(alerts[0]["verdict"]["action"], "alert");
  EXPECT_FALSE(lab.Records("flow")[0]["flow"].contains("action"));
  ASSERT_EQ(lab.fast.records.size(), 2u);
  EXPECT_NE(lab.fast.records[0].find("[wDrop] "), std::string::npos);
}

TEST(Records, AFlowsMacsAreThoseOfItsSides) {
  WorkerOptions options = Lab::Ips();
  options.eve.emplace_back().ethernet = true;
  Lab lab("", options);
  Bytes frame = Build(Udp("x"));
  frame[5] = 1;   // destination
  frame[11] = 7;  // source
  lab.Send(frame);
  lab.Shutdown();
  const auto flow = lab.Records("flow").at(0);
  EXPECT_EQ(flow["ether"]["src_macs"], (nlohmann::json{"02:02:02:02:02:07"}));
  EXPECT_EQ(flow["ether"]["dest_macs"], (nlohmann::json{"02:02:02:02:02:01"}));
}

TEST(Records, FlowbitsOfTrafficStandInAnObjectOfTheirOwn) {
  Lab lab("alert udp any any -> any any (content:\"x\"; flowbits:set,traffic/id/web; flowbits:set,seen; sid:1;)");
  lab.Send(Udp("x"));
  const auto alert = lab.Records("alert").at(0);
  EXPECT_EQ(alert["traffic"]["id"], (nlohmann::json{"web"}));
  EXPECT_EQ(alert["metadata"]["flowbits"], (nlohmann::json{"seen"}));
}

// In both spellings; a flow's stay for what comes, a packet's go with it.  Without a match, nothing.
TEST(Records, WhatExpressionsCaptureStandsInTheMetadata) {
  Lab lab("alert tcp-pkt any any -> any any (content:\"user\"; pcre:\"/user=(\\w+) pass=(\\w+)/, flow:user, pkt:pass\"; sid:1;)\n"
          "alert tcp-pkt any any -> any any (content:\"host\"; pcre:\"/host=(?P<flow_host>[^ ]+) /\"; sid:2;)\n"
          "alert tcp-pkt any any -> any any (content:\"user\"; pcre:\"/user=(\\w+)/, flow:never\"; content:\"absent\"; sid:3;)\n"
          "alert tcp-pkt any any -> any any (content:\"last\"; sid:4;)");
  lab.Connect({});
  lab.Send({.payload = "user=alice pass=secret"});
  lab.Send({.seq = 1022, .payload = "host=a\x01" "b user=\xff "});
  lab.Send({.seq = 1037, .payload = "last"});
  lab.Shutdown();
  const auto alerts = lab.Records("alert");
  ASSERT_EQ(alerts.size(), 3u);
  using Json = nlohmann::json;
  EXPECT_EQ(alerts[0]["metadata"]["flowvars"], Json::parse(R"([{"user": "alice"}])"));
  EXPECT_EQ(alerts[0]["metadata"]["pktvars"], Json::parse(R"([{"pass": "secret"}])"));
  EXPECT_EQ(alerts[2]["metadata"]["flowvars"], Json::parse(R"([{"user": "alice"}, {"host": "a.b"}])"));
  EXPECT_FALSE(alerts[2]["metadata"].contains("pktvars"));
  EXPECT_EQ(lab.Records("flow").at(0)["metadata"]["flowvars"], alerts[2]["metadata"]["flowvars"]);
}

// A group that names itself is found wherever it stands; a rule that fails keeps nothing, nor
// does another one in its place.
TEST(Records, WhatIsCapturedIsTheGroupsOfTheRuleThatMatched) {
  Lab lab("alert tcp-pkt any any -> any any (content:\"id\"; pcre:\"/([(]?)(?:x|id)=(\\w)\\(?(?P<flow_id>\\w+)/\"; sid:1;)\n"
          "alert tcp-pkt any any -> any any (content:\"id\"; pcre:\"/(id)/, flow:never\"; content:\"absent\"; distance:0; sid:2;)\n"
          "alert tcp any any -> any any (msg:\"addresses alone\"; sid:3;)");
  lab.Connect({});
  lab.Send({.payload = "id=abc"});
  lab.Shutdown();
  EXPECT_EQ(lab.Records("flow").at(0)["metadata"]["flowvars"], nlohmann::json::parse(R"([{"id": "bc"}])"));
}

TEST(Records, NoMoreIsCapturedThanHasRoom) {
  std::string rules;
  for (int i = 0; i < 20; ++i) {
    rules += fmt::format("alert tcp any any -> any any (content:\"x\"; pcre:\"/(x+)/, flow:v{}\"; sid:{};)\n", i, i + 1);
  }
  Lab lab(rules);
  lab.Connect({});
  lab.Send({.payload = std::string(1000, 'x')});
  lab.Shutdown();
  const auto vars = lab.Records("flow").at(0)["metadata"]["flowvars"];
  EXPECT_EQ(vars.size(), 16u);
  for (const auto& var : vars) EXPECT_EQ(var.begin()->get<std::string>().size(), 256u);
  EXPECT_EQ(lab.Counter("detect.flow_vars_full"), 4u);
}

TEST(Records, EachLogHasItsOwnTypesAndForm) {
  WorkerOptions options = Lab::Ips();
  options.eve.resize(2);
  options.eve[0].all_types = false;
  options.eve[0].types = {"alert"};
  options.eve[1].all_types = false;
  options.eve[1].types = {"flow"};
  Lab lab("alert udp any any -> any any (content:\"x\"; sid:1;)", options);
  // The lab has one sink: the second log has none, and that is no harm.
  lab.Send(Udp("x"));
  lab.Shutdown();
  EXPECT_EQ(lab.Records("alert").size(), 1u);
  EXPECT_TRUE(lab.Records("flow").empty());
}

// Passive: nobody acknowledges what the server sent last.  Rules look at it all the same.
TEST(Records, AnEarlyOneIsWrittenBeforeTheOtherSidesLastBytesAreRead) {
  Lab lab("alert tcp any any -> any any (line.code:201; sid:1;)", WorkerOptions{});
  const std::string lines = "do x\nearly y\n";
  lab.Connect({});
  lab.Send({.payload = lines});
  lab.Send(Reverse({.seq = 1000 + static_cast<uint32_t>(lines.size()), .payload = "200\n201\n"}));
  lab.Shutdown();
  const auto records = lab.Records("line");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["line"]["argument"], "y");
  EXPECT_FALSE(records[0]["line"].contains("code"));
  EXPECT_EQ(records[1]["line"]["code"], 200);
  EXPECT_EQ(lab.Records("alert").size(), 1u);
}

// Passive: the packet carries the bytes, its acknowledgement brings them into the stream.
TEST(Streams, AStreamRuleOnAPlaceLooksAtTheStreamAlone) {
  WorkerOptions options;
  Lab lab(
      "alert tcp-stream any any -> any any (content:\"evil\"; depth:4; sid:1;)\n"
      "alert tcp any any -> any any (content:\"evil\"; depth:4; sid:2;)\n"
      "alert tcp any any -> any any (stream_size:client,>,1; content:\"evil\"; sid:3;)",
      options);
  lab.Connect({});
  lab.Send({.payload = "evil"});
  lab.Send(Reverse({.seq = 1004}));
  lab.Shutdown();
  std::map<int, int> alerts;
  for (const auto& alert : lab.Records("alert")) ++alerts[alert["alert"]["signature_id"].get<int>()];
  EXPECT_EQ(alerts, (std::map<int, int>{{1, 1}, {2, 2}, {3, 1}}));
}

TEST(Streams, WhatStandsBeforeAGapIsLookedAtToo) {
  WorkerOptions options;
  options.eve.emplace_back().payload_printable = true;
  Lab lab(
      "alert tcp-stream any any -> any any (content:\"before\"; sid:1;)\n"
      "alert tcp-stream any any -> any any (content:\"behind\"; sid:2;)\n"
      "alert tcp-stream any any -> any any (content:\"before\"; content:\"behind\"; sid:3;)",
      options);
  lab.Connect({});
  lab.Send({.payload = "before"});
  lab.Send({.seq = 1010, .payload = "behind"});
  lab.Send(Reverse({.seq = 1016}));  // acknowledges both
  lab.Shutdown();
  const auto alerts = lab.Records("alert");
  ASSERT_EQ(alerts.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(alerts[i]["alert"]["signature_id"], i + 1);
    EXPECT_EQ(alerts[i]["payload_printable"], "before[4 bytes missing]behind");
  }
}

// The packet that a transaction's alert is on may carry nothing of it.
TEST(Streams, AnAlertOnATransactionShowsTheStream) {
  WorkerOptions options;
  options.eve.emplace_back().payload_printable = true;
  Lab lab("alert tcp any any -> any any (line.verb; content:\"do\"; sid:1;)", options);
  lab.Connect({});
  lab.Send({.payload = "do x\n"});
  lab.Send(Reverse({.seq = 1005}));  // acknowledges it
  lab.Send(Frame{.seq = 1006});
  lab.Shutdown();
  const auto alerts = lab.Records("alert");
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0]["payload_printable"], "do x\n");
}

// Seen from aside, the packet that the alert is on waits for its acknowledgement.
TEST(Streams, AnAlertShowsWhatWaitsToo) {
  WorkerOptions options;
  options.eve.resize(1);
  options.eve[0].payload_printable = true;
  Lab lab("alert tcp any any -> any any (content:\"needle\"; sid:1;)", options);
  Frame client;
  lab.Connect(client);
  client.payload = "first ";
  lab.Send(client);
  client.seq += 6 + 10;
  client.payload = "a needle";
  lab.Send(client);
  Frame answer = Reverse(client);
  answer.payload.clear();
  answer.ack += 8;
  lab.Send(answer);
  client.seq += 8 + 3;
  client.payload = " and more";
  lab.Send(client);
  ASSERT_EQ(lab.Records("alert").size(), 1u);
  EXPECT_EQ(lab.Records("alert")[0]["payload_printable"], "first [10 bytes missing]a needle[3 bytes missing] and more");
}

TEST(Streams, OfMoreGapsThanItKeepsRunsTheWorkerSaysSo) {
  WorkerOptions options;
  Lab lab("alert tcp-stream any any -> any any (content:\"never\"; sid:1;)", options);
  lab.Connect({});
  for (uint32_t i = 0; i < 7; ++i) lab.Send({.seq = 1000 + 10 * i, .payload = "piece"});
  lab.Send(Reverse({.seq = 1065}));
  EXPECT_EQ(lab.Counter("detect.stream_bytes_lost"), 10u);
}

// 60 bytes of headers and 40 of payload within two seconds make an elephant of its direction.
TEST(Flows, AnElephantIsKnownToRulesAndInItsRecord) {
  WorkerOptions options;
  options.elephant = {250, 2};
  Lab lab("alert tcp any any -> any any (flow.elephant:toserver; threshold:type limit, track by_src, count 1, seconds 60; sid:1;)\n"
          "alert tcp any any -> any any (flow.elephant:toclient; sid:2;)\n"
          "alert tcp any any -> any any (flow.elephant:both; sid:3;)",
          options);
  const std::string payload(40, 'x');
  lab.Connect({});
  lab.Send({.payload = payload});
  lab.Pass(std::chrono::seconds{3});
  lab.Send({.seq = 1040, .payload = payload});
  EXPECT_EQ(lab.Records("alert").size(), 0u) << "slow enough";
  lab.Send({.seq = 1080, .payload = payload});
  lab.Send({.seq = 1120, .payload = payload});
  lab.Shutdown();
  ASSERT_EQ(lab.Records("alert").size(), 1u);
  EXPECT_EQ(lab.Records("alert")[0]["alert"]["signature_id"], 1);
  const auto flow = lab.Records("flow").at(0)["flow"];
  EXPECT_EQ(flow["elephant"], true);
  EXPECT_EQ(flow["elephant_direction"], nlohmann::json({"toserver"}));
  EXPECT_EQ(lab.Counter("flow.elephant"), 1u);
}

TEST(Flows, AFullTableIsAnEmergencyUntilThereIsRoom) {
  WorkerOptions options;
  options.flow.capacity = 16;
  Lab lab("", options);
  Frame query;
  query.protocol = 17;
  query.payload = "x";
  for (query.sport = 1; query.sport <= 40; ++query.sport) lab.Send(query);
  EXPECT_EQ(lab.Counter("flow.emerg_mode_over"), 0u);
  for (int i = 0; i < 4; ++i) {
    lab.Pass(std::chrono::hours{1});
    lab.Send(query);
  }
  EXPECT_EQ(lab.Counter("flow.emerg_mode_entered"), 1u);
  EXPECT_EQ(lab.Counter("flow.emerg_mode_over"), 1u);
}

// RFC 792: the error counts with the flow that it is about, whose server has still said nothing.
TEST(Flows, AnIcmpErrorIsNoAnswer) {
  Lab lab("alert udp any any -> any any (flow:established; sid:1;)");
  Frame query;
  query.protocol = 17;
  query.payload = "hello";
  const Bytes sent = Build(query);
  Frame error = Reverse(query);
  error.protocol = 1;
  error.payload = std::string("\x03\x03\0\0\0\0\0\0", 8) + std::string(sent.begin() + 14, sent.end());
  for (int i = 0; i < 2; ++i) {
    lab.Send(query);
    lab.Send(error);
  }
  lab.Shutdown();
  EXPECT_TRUE(lab.Records("alert").empty());
  ASSERT_EQ(lab.Records("flow").size(), 1u);
  const auto flow = lab.Records("flow")[0]["flow"];
  EXPECT_EQ(flow["state"], "new");
  EXPECT_EQ(flow["pkts_toserver"], 2);
  EXPECT_EQ(flow["pkts_toclient"], 2);
}

// RFC 4301 §4.1: a security association is one way, and known by its SPI.
TEST(Flows, AnEspFlowIsASecurityAssociation) {
  Lab lab("");
  Frame there;
  there.protocol = 50;
  there.payload = std::string("\0\0\0\1\0\0\0\1", 8) + "encrypted";
  Frame back = Reverse(there);
  back.payload[3] = 2;
  for (int i = 0; i < 2; ++i) {
    lab.Send(there);
    lab.Send(back);
  }
  lab.Shutdown();
  ASSERT_EQ(lab.Records("flow").size(), 2u);
  for (const auto& record : lab.Records("flow")) {
    EXPECT_EQ(record["flow"]["pkts_toserver"], 2);
    EXPECT_EQ(record["flow"]["state"], "new");
    EXPECT_FALSE(record.contains("src_port"));
  }
}

// A service that comes up between two attempts of one connect().
TEST(Flows, ARefusedConnectionTriedAgainIsOneFlow) {
  Lab lab("alert tcp any any -> any any (flow:established; content:\"hello\"; sid:1;)");
  Frame syn;
  syn.flags = kSyn;
  syn.seq = 999;
  syn.ack = 0;
  Frame refusal = Reverse(syn);
  refusal.flags = kRst | kAck;
  refusal.seq = 0;
  refusal.ack = 1000;
  for (int i = 0; i < 2; ++i) {
    lab.Send(syn);
    lab.Send(refusal);
  }
  lab.Connect({.payload = "hello"});
  lab.Shutdown();
  EXPECT_EQ(lab.Records("alert").size(), 1u);
  ASSERT_EQ(lab.Records("flow").size(), 1u);
  EXPECT_EQ(lab.Records("flow")[0]["flow"]["state"], "established");
}

TEST(Flows, NetflowIsARecordForEachDirectionIfAskedFor) {
  for (const bool asked : {false, true}) {
    WorkerOptions options;
    if (asked) options.eve.emplace_back().types = {"netflow"};
    Lab lab("", options);
    lab.Connect({});
    lab.Send({.payload = "hello"});
    lab.Shutdown();
    const auto records = lab.Records("netflow");
    ASSERT_EQ(records.size(), asked ? 2u : 0u);
    if (!asked) continue;
    EXPECT_EQ(records[0]["netflow"]["pkts"], 3);
    EXPECT_EQ(records[0]["netflow"]["min_ttl"], 64);
    EXPECT_EQ(records[0]["netflow"]["max_ttl"], 64);
    EXPECT_EQ(records[0]["netflow"]["age"], 0);
    EXPECT_EQ(records[0]["tcp"]["tcp_flags"], "12");
    EXPECT_EQ(records[1]["netflow"]["pkts"], 1);
    EXPECT_EQ(records[1]["src_ip"], records[0]["dest_ip"]);
    EXPECT_EQ(records[1]["src_port"], records[0]["dest_port"]);
    EXPECT_EQ(records[1]["tcp"], nlohmann::json({{"tcp_flags", "12"}, {"syn", true}, {"ack", true}}));
    EXPECT_EQ(records[1]["flow_id"], records[0]["flow_id"]);
  }
}

// Which frames of a conversation go into the packet log.
struct PacketLogCase {
  const char* name;
  PacketLogOptions::Which which;
  const char* rule;
  std::vector<std::string> written;  // payloads; "": a packet without
};
class WorkerPacketLog : public ::testing::TestWithParam<PacketLogCase> {};
TEST_P(WorkerPacketLog, WritesWhatItsConditionAsksFor) {
  WorkerOptions options;
  options.packet_log.which = GetParam().which;
  options.packet_log.held_bytes = 64u << 10;
  Lab lab(GetParam().rule, options);
  lab.Connect({});                                         // three packets
  lab.Send({.payload = "do a\n"});
  lab.Send(Reverse({.seq = 1005}));                         // acknowledges it
  lab.Send({.seq = 1006, .payload = "do b\n"});
  lab.Send(Frame{.source = "10.9.9.9", .protocol = 17, .payload = "other"});  // another flow
  lab.Shutdown();
  std::vector<std::string> written;
  for (const std::string& record : lab.packets.records) {
    Packet packet;
    const std::string_view frame = std::string_view(record).substr(sizeof(PcapLogHeader));
    DecodeOptions decode;
    decode.verify_checksums = false;
    Decode(LinkType::kEthernet, AsSlice(frame), decode, &packet);
    written.emplace_back(AsText(packet.payload));
  }
  EXPECT_EQ(written, GetParam().written);
}
using Which = PacketLogOptions::Which;
const PacketLogCase kPacketLogCases[] = {
    {"All", Which::kAll, "", {"", "", "", "do a\n", "", "do b\n", "other"}},
    {"NoneWithoutAnAlert", Which::kAlerts, "", {}},
    {"FromTheFlowsDataOn", Which::kAlerts, "alert tcp any any -> any any (line.argument; content:\"a\"; sid:1;)", {"do a\n", "do b\n"}},
    {"OfTheAlertedFlowAlone", Which::kAlerts, "alert udp any any -> any any (content:\"other\"; sid:1;)", {"other"}},
    {"NoneThatNoTagAsksFor", Which::kTagged, "alert tcp any any -> any any (line.argument; content:\"a\"; sid:1;)", {}},
    {"WhatATagAsksFor", Which::kTagged, "alert tcp any any -> any any (line.argument; content:\"a\"; tag:session; sid:1;)", {"do a\n", "do b\n"}},
};
INSTANTIATE_TEST_SUITE_P(Conditions, WorkerPacketLog, ::testing::ValuesIn(kPacketLogCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sluice::testing
