// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Strings = std::vector<std::string>;

std::string U32(size_t v) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift);
  return out;
}
std::string Packet(char type, const std::string& body, size_t padding = 4) {
  return U32(2 + body.size() + padding) + static_cast<char>(padding) + type + body +
         std::string(padding, '\0');
}
// The lists that HASSH reads are told apart by direction.
std::string KexInit(const std::string& kex = "kex") {
  std::string body(16, 'c');
  for (const std::string& list : Strings{kex, "key", "ec", "es", "mc", "ms", "cc", "cs", "", ""}) {
    body += U32(list.size()) + list;
  }
  return Packet(20, body + std::string(5, '\0'));
}
const std::string kNewKeys = Packet(21, "");
const std::string kBanner = "SSH-2.0-x\r\n";

const Turns kSession = {{kS, "hello\r\nSSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"},
                        {kC, "SSH-2.0-Go\n"},
                        {kC, KexInit() + kNewKeys},
                        {kS, KexInit() + kNewKeys + "\xff\xff\xff\xff sealed"}};

TEST(Ssh, BothSidesAreOneTransaction) {
  Conversation c(SLUICE_TCP, 22);
  for (const auto& [direction, bytes] : kSession) c.Send(direction, bytes);
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Value(0, "ssh.proto", kC), "2.0");
  EXPECT_EQ(c.Value(0, "ssh.proto", kS), "2.0");
  EXPECT_EQ(c.Value(0, "ssh.software", kC), "Go");
  EXPECT_EQ(c.Value(0, "ssh.software", kS), "OpenSSH_9.2p1");
  EXPECT_EQ(c.Value(0, "ssh.hassh.string", kC), "kex;ec;mc;cc");
  EXPECT_EQ(c.Value(0, "ssh.hassh.server.string", kS), "kex;es;ms;cs");
  EXPECT_EQ(c.Value(0, "ssh.hassh", kC), "5000640c853ce49e8eaac3056671edcc");
  EXPECT_EQ(c.Value(0, "ssh.hassh.server", kS), "dbb3db7d054c58a5fe758104bfd45e7c");
  EXPECT_TRUE(c.flow().opaque());
  EXPECT_TRUE(c.Events().empty());
}

// The log alone does not want it.
TEST(Ssh, WithoutHasshAllIsSaidOnceBothBannersAreThere) {
  std::vector<std::unique_ptr<Plugin>> plugins;
  plugins.push_back(*Plugin::FromStruct(sluice_plugin_v1, "static", {}));
  std::vector<Error> problems;
  const auto catalog = Catalog::Create(std::move(plugins), {}, &problems);
  const auto& fields = catalog->schemas()[0]->fields;
  std::vector<bool> logged;
  for (const FieldInfo& field : fields) logged.push_back(!(field.flags & SLUICE_ON_DEMAND));
  catalog->SetWanted(std::vector<bool>(catalog->keywords().size(), false), {logged});
  Dissector dissector(*catalog, {});
  FlowFacts facts;
  facts.transport = SLUICE_TCP;
  facts.server_port = 22;
  FlowDissection* flow = dissector.Open(facts);
  dissector.Data(*flow, kS, AsSlice(kSession[0].second), Nanos{1});
  ASSERT_EQ(flow->transactions().size(), 1u);
  EXPECT_FALSE(flow->transactions()[0]->tx.done());
  dissector.Data(*flow, kC, AsSlice(kSession[1].second), Nanos{1});
  EXPECT_TRUE(flow->transactions()[0]->tx.done());
  dissector.Data(*flow, kC, AsSlice(kSession[2].second), Nanos{1});
  for (const FieldValue& value : flow->transactions()[0]->tx.values) {
    EXPECT_FALSE(fields[value.field].keyword.starts_with("ssh.hassh"));
  }
  dissector.Close(flow);
}

TEST(Ssh, EveryCutGivesTheSameValues) {
  const std::string whole = RunTurns(kSession, SIZE_MAX, 0, 22);
  for (size_t turn = 0; turn < kSession.size(); ++turn) {
    for (size_t cut = 1; cut < kSession[turn].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(kSession, turn, cut, 22), whole) << turn << "," << cut;
    }
  }
}

TEST(Ssh, OneByteAtATimeGivesTheSameValues) {
  Conversation c(SLUICE_TCP, 22);
  for (const auto& [direction, bytes] : kSession) {
    for (const char byte : bytes) c.Send(direction, {&byte, 1});
  }
  EXPECT_EQ(c.Finish().Snapshot(), RunTurns(kSession, SIZE_MAX, 0, 22));
}

TEST(Ssh, SoftwareIsThereAtTheBannerStage) {
  Conversation c;
  c.Client("SSH-2.0-libssh-scanner\r\n");
  EXPECT_EQ(c.Value(0, "ssh.software"), "libssh-scanner");
  EXPECT_FALSE(c.tx(0).done());
  EXPECT_TRUE(c.Finish().tx(0).done());
}

TEST(Ssh, OldNamesOfKeywordsMeanTheSame) {
  const Catalog& catalog = Conversation::catalog();
  for (const char* name : {"ssh_software", "ssh.softwareversion"}) {
    EXPECT_EQ(catalog.FindKeyword(name).id, catalog.FindKeyword("ssh.software").id) << name;
  }
  EXPECT_EQ(catalog.FindKeyword("ssh_proto").id, catalog.FindKeyword("ssh.proto").id);
}

struct BannerCase {
  const char* name;
  std::string bytes, proto, software;
  Strings events;
};
TEST(Ssh, Banners) {
  const BannerCase cases[] = {
      {"a bare LF ends it", "SSH-2.0-a\n", "2.0", "a", {}},
      {"a comment is no part of the software", "SSH-2.0-a b c\r\n", "2.0", "a", {}},
      {"only the first dash splits", "SSH-2.0-a-b\r\n", "2.0", "a-b", {}},
      {"1.99 is a version", "SSH-1.99-a\r\n", "1.99", "a", {}},
      {"the software may be empty", "SSH-2.0-\r\n", "2.0", "", {}},
      {"255 bytes are allowed", "SSH-2.0-" + std::string(245, 'x') + "\r\n", "2.0", std::string(245, 'x'), {}},
      {"256 bytes are too long", "SSH-2.0-" + std::string(246, 'x') + "\r\n", "2.0",
       std::string(246, 'x'), {"long_banner"}},
      {"without a software part it is invalid", "SSH-2.0\r\n", "(absent)", "(absent)", {"invalid_banner"}},
      {"without a version it is invalid", "SSH--a\r\n", "(absent)", "(absent)", {"invalid_banner"}},
  };
  for (const BannerCase& test : cases) {
    Conversation c;
    c.Client(test.bytes);
    ASSERT_EQ(c.num_transactions(), 1u) << test.name;
    EXPECT_EQ(c.Value(0, "ssh.proto"), test.proto) << test.name;
    EXPECT_EQ(c.Value(0, "ssh.software"), test.software) << test.name;
    EXPECT_EQ(c.Events(), test.events) << test.name;
  }
}

TEST(Ssh, AServersLinesBeforeItsBannerAreWaitedForOnTheUsualPortOnly) {
  for (const uint16_t port : {22, 2222}) {
    Conversation c(SLUICE_TCP, port);
    c.Server("no banner yet\r\n");
    EXPECT_EQ(c.flow().schema(), nullptr);
    c.Server(kBanner);
    EXPECT_EQ(c.flow().schema() != nullptr, port == 22);
  }
  Conversation c(SLUICE_TCP, 22);
  c.Server(std::string("\0\1\2\r\n", 5) + kBanner);
  EXPECT_EQ(c.flow().schema(), nullptr);
}

TEST(Ssh, OnAnotherPortTheClientTellsWhatTheServersLinesAre) {
  Conversation c(SLUICE_TCP, 2222);
  c.Server("Welcome\r\nSecond line\r\n").Client("SSH-2.0-client\r\n").Server("SSH-2.0-dropbear_2022.83\r\n");
  ASSERT_NE(c.flow().schema(), nullptr);
  EXPECT_EQ(c.Value(0, "ssh.software", Direction::kToServer), "client");
  EXPECT_EQ(c.Value(0, "ssh.software", Direction::kToClient), "dropbear_2022.83");
  EXPECT_TRUE(c.Events().empty());
}

TEST(Ssh, OnlyAServerMaySendLinesBeforeItsBanner) {
  Conversation server;
  server.Client(kBanner).Server("one\r\ntwo\r\n" + kBanner);
  EXPECT_EQ(server.Value(0, "ssh.software", kS), "x");
  EXPECT_TRUE(server.Events().empty());
  Conversation client;
  client.Server(kBanner).Client("one\r\n" + kBanner);
  EXPECT_EQ(client.Events(), Strings{"invalid_banner"});
}

TEST(Ssh, AServersLinesBeforeItsBannerAreBounded) {
  Conversation c;
  c.Client(kBanner);
  for (int i = 0; i < 64; ++i) c.Server("line\r\n");
  EXPECT_TRUE(c.Events().empty());
  c.Server("line\r\n");
  EXPECT_EQ(c.Events(), Strings{"invalid_banner"});
}

struct PacketCase {
  const char* name;
  std::string bytes;
  Strings events;
};
TEST(Ssh, Packets) {
  const std::string bad_list = Packet(20, std::string(16, 'c') + U32(1000) + "kex");
  const PacketCase cases[] = {
      {"KEXINIT is read", KexInit(), {}},
      {"packets before KEXINIT are skipped", Packet(2, "ignore me") + KexInit(), {}},
      {"a length beyond any packet", "\xff\xff\xff\xff\x04\x14", {"invalid_record"}},
      {"padding longer than the packet", U32(6) + "\x0a\x14" + "abcd", {"invalid_record"}},
      {"a list longer than its packet", bad_list, {"invalid_record"}},
      {"a KEXINIT of more than 32 KiB", KexInit(std::string(33 * 1024, 'k')), {"long_kex_record"}},
      {"a KEXINIT without lists", Packet(20, ""), {"invalid_record"}},
  };
  for (const PacketCase& test : cases) {
    Conversation c;
    c.Client(kBanner + test.bytes);
    EXPECT_EQ(c.Events(), test.events) << test.name;
    EXPECT_EQ(c.Value(0, "ssh.hassh.string") == "kex;ec;mc;cc", test.events.empty()) << test.name;
  }
}

TEST(Ssh, NothingIsReadBehindNewKeysOfOneSide) {
  Conversation c;
  c.Client(kBanner + KexInit() + kNewKeys + "\xff\xff\xff\xff\xff\xff");
  EXPECT_TRUE(c.Events().empty());
  EXPECT_FALSE(c.flow().opaque());
  c.Server(kBanner + KexInit());
  EXPECT_EQ(c.Value(0, "ssh.hassh.server.string", kS), "kex;es;ms;cs");
  c.Server(kNewKeys);
  EXPECT_TRUE(c.flow().opaque());
}

TEST(Ssh, ALossInsideASkippedPacketIsSurvived) {
  Conversation c;
  const std::string skipped = Packet(2, std::string(100, 'i'));
  c.Client(kBanner + skipped.substr(0, 20)).Gap(kC, 50).Client(skipped.substr(70) + KexInit());
  EXPECT_EQ(c.Value(0, "ssh.hassh.string"), "kex;ec;mc;cc");
}

TEST(Ssh, ALossInsideTheListsLeavesThemAbsent) {
  Conversation c;
  c.Client(kBanner + KexInit().substr(0, 30)).Gap(kC, 10).Client(KexInit());
  EXPECT_EQ(c.Value(0, "ssh.hassh.string"), "(absent)");
  EXPECT_EQ(c.Value(0, "ssh.software"), "x");
}

TEST(Ssh, OtherProtocolsAreNotTaken) {
  for (const char* text : {"GET / HTTP/1.1\r\n", "SSH 2.0\r\n", "ssh-2.0-x\r\n"}) {
    Conversation c(SLUICE_TCP, 22);
    c.Client(text);
    EXPECT_EQ(c.flow().schema(), nullptr) << text;
  }
}

}  // namespace
}  // namespace sluice::testing
