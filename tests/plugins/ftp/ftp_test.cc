// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Strings = std::vector<std::string>;

const Turns kSession = {{kS, "220 (vsFTPd 3.0.3)\r\n"},
                        {kC, "USER anonymous\r\n"},
                        {kS, "331 Please specify the password.\r\n"},
                        {kC, "pass me@example.test\r\n"},
                        {kS, "230-Welcome\r\n to this server\r\n230-230 is in it\r\n230 Login successful.\r\n"},
                        {kC, "EPSV\r\n"},
                        {kS, "229 Entering Extended Passive Mode (|||6446|)\r\n"},
                        {kC, "RETR temp.txt\r\n"},
                        {kS, "150 Opening BINARY mode data connection for temp.txt (1164 bytes).\r\n"},
                        {kS, "226 Transfer complete.\r\n"},
                        {kC, "QUIT\r\n"},
                        {kS, "221 Goodbye.\r\n"}};

class Talk : public Conversation {
 public:
  explicit Talk(const Turns& turns = {}) : Conversation(SLUICE_TCP, 21) {
    for (const auto& [direction, bytes] : turns) Send(direction, bytes);
  }
  bool Has(std::string_view event) const {
    const auto events = Events();
    return std::ranges::find(events, event) != events.end();
  }
};

TEST(Ftp, EachCommandAndItsRepliesAreOneTransaction) {
  const Talk c(kSession);
  ASSERT_EQ(c.num_transactions(), 6u);
  for (size_t i = 0; i < 6; ++i) EXPECT_TRUE(c.tx(i).done()) << i;
  EXPECT_EQ(c.Values(0, "ftp.completion_code", kS), Strings{"220"});
  EXPECT_EQ(c.Value(0, "ftp.command"), "(absent)");
  EXPECT_EQ(c.Value(1, "ftp.command"), "USER");
  EXPECT_EQ(c.Value(1, "ftp.command_data"), "anonymous");
  EXPECT_EQ(c.Value(2, "ftp.command"), "PASS");
  EXPECT_EQ(c.Values(2, "ftp.completion_code", kS), (Strings{"230", "230", "230"}));
  EXPECT_EQ(c.Values(2, "ftp.reply", kS), (Strings{"Welcome", " to this server", "230 is in it", "Login successful."}));
  EXPECT_EQ(c.Value(4, "ftp.command_data"), "temp.txt");
  EXPECT_EQ(c.Values(4, "ftp.completion_code", kS), (Strings{"150", "226"}));
  EXPECT_EQ(c.Value(5, "ftp.command_data"), "(absent)");
  EXPECT_TRUE(c.Events().empty());
}

TEST(Ftp, EveryCutGivesTheSame) {
  const std::string whole = RunTurns(kSession, SIZE_MAX, 0, 21);
  for (size_t t = 0; t < kSession.size(); ++t) {
    for (size_t cut = 1; cut < kSession[t].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(kSession, t, cut, 21), whole) << t << " " << cut;
    }
  }
}

struct PortCase {
  const char* name;
  std::string command, reply;
  uint64_t port;  // UINT64_MAX: none
  uint64_t mode;  // 1 active, 0 passive
};
class FtpPort : public ::testing::TestWithParam<PortCase> {};
TEST_P(FtpPort, IsTold) {
  Talk c({{kS, "220 (x)\r\n"}, {kC, GetParam().command}, {kS, GetParam().reply}});
  EXPECT_EQ(c.Number(1, "dynamic_port"), GetParam().port);
  EXPECT_EQ(c.Number(1, "mode"), GetParam().mode);
}
constexpr uint64_t kNone = UINT64_MAX;
const PortCase kPorts[] = {
    {"Port", "PORT 192,168,0,13,234,10\r\n", "200 ok\r\n", 59914, 1},
    {"PortOfLaterWords", "PORT 1,2,3,4,0,80 x\r\n", "200 ok\r\n", 80, 1},
    {"PortOfZeroIsNone", "PORT 1,2,3,4,0,0\r\n", "200 ok\r\n", kNone, kNone},
    {"PortOver255IsNone", "PORT 1,2,3,4,256,0\r\n", "501 no\r\n", kNone, kNone},
    {"PortOfFiveNumbersIsNone", "PORT 1,2,3,4,5\r\n", "501 no\r\n", kNone, kNone},
    {"Eprt4", "EPRT |1|192.0.2.1|6275|\r\n", "200 ok\r\n", 6275, 1},
    {"Eprt6", "EPRT |2|2001:db8::1|5282|\r\n", "200 ok\r\n", 5282, 1},
    {"EprtOtherDelimiter", "EPRT !2!::1!1!\r\n", "200 ok\r\n", 1, 1},
    {"EprtUnknownFamilyIsNone", "EPRT |3|::1|1|\r\n", "522 no\r\n", kNone, kNone},
    {"EprtBadAddressIsNone", "EPRT |1|1.2.3|1|\r\n", "501 no\r\n", kNone, kNone},
    {"Pasv", "PASV\r\n", "227 Entering Passive Mode (192,0,2,1,195,80).\r\n", 50000, 0},
    {"PasvWithoutBrackets", "PASV\r\n", "227 Entering Passive Mode 192,0,2,1,195,80\r\n", 50000, 0},
    {"PasvRefused", "PASV\r\n", "425 no 1,2,3,4,5,6\r\n", kNone, kNone},
    {"PasvWithoutNumbers", "PASV\r\n", "227 1,2,3 4,5,6\r\n", kNone, kNone},
    {"Epsv", "EPSV\r\n", "229 ok (|||6446|)\r\n", 6446, 0},
    {"EpsvTooBigIsNone", "EPSV\r\n", "229 ok (|||66446|)\r\n", kNone, kNone},
    {"EpsvCutIsNone", "EPSV\r\n", "229 ok (|||\r\n", kNone, kNone},
};
INSTANTIATE_TEST_SUITE_P(Rfc2428, FtpPort, ::testing::ValuesIn(kPorts), [](const auto& c) { return c.param.name; });

TEST(Ftp, AnotherHostsAddressIsABounce) {
  const auto bounces = [](const std::string& command) {
    Talk c({{kC, command}});  // the client's address is 0.0.0.0
    return c.tx(0).values.size() > 1 && std::ranges::any_of(c.tx(0).values, [&](const FieldValue& v) {
      return v.keyword == c.catalog().FindKeyword("ftpbounce").id;
    });
  };
  EXPECT_TRUE(bounces("PORT 10,0,0,1,4,1\r\n"));
  EXPECT_FALSE(bounces("PORT 0,0,0,0,4,1\r\n"));
}

TEST(Ftp, PipelinedCommandsGetTheirReplies) {
  Talk c({{kC, "USER a\r\nPWD\r\nNOOP\r\n"}, {kS, "331 p\r\n257 d\r\n200 n\r\n"}});
  ASSERT_EQ(c.num_transactions(), 3u);
  EXPECT_EQ(c.Value(1, "ftp.reply", kS), "d");
  EXPECT_EQ(c.Value(2, "ftp.reply", kS), "n");
}

TEST(Ftp, WordsToNothingAreNoReply) {
  Talk c({{kC, "USER a\r\n"}, {kS, "331 p\r\n:irc.test NOTICE\r\n:irc.test NOTICE\r\n"}});
  EXPECT_EQ(c.num_transactions(), 1u);
}

TEST(Ftp, TooManyWaitingEndTheOldest) {
  std::string commands = "USER a\r\n";
  for (int i = 0; i < 64; ++i) commands += "NOOP\r\n";
  Talk c({{kC, commands}});
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_FALSE(c.tx(1).done());
  EXPECT_TRUE(c.Has("too_many_transactions"));
}

TEST(Ftp, BehindTheReplyToAuthTlsItIsTls) {
  Talk c({{kS, "220 (x)\r\n"}, {kC, "AUTH TLS\r\n"}});
  c.Client("\x16\x03\x01");  // waits for the reply
  EXPECT_EQ(c.num_transactions(), 2u);
  c.Server("234 go\r\n\x16");
  EXPECT_NE(c.flow().original_schema(), nullptr);
  EXPECT_TRUE(c.tx(1).done());
}

TEST(Ftp, ARefusedAuthTlsLeavesItFtp) {
  Talk c({{kS, "220 (x)\r\n"}, {kC, "AUTH TLS\r\n"}, {kS, "502 no\r\n"}, {kC, "USER a\r\n"}});
  EXPECT_EQ(c.flow().original_schema(), nullptr);
  EXPECT_EQ(c.num_transactions(), 3u);
}

TEST(Ftp, LongLinesAreCutAndReported) {
  Talk c({{kC, "USER " + std::string(5000, 'a') + "\r\nNOOP\r\n"}, {kS, "331 " + std::string(5000, 'b') + "\r\n200 ok\r\n"}});
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_EQ(c.Value(0, "ftp.command_data").size(), 4096u - 5);
  EXPECT_EQ(c.Number(0, "command_truncated"), 1u);
  EXPECT_EQ(c.Value(0, "ftp.reply", kS).size(), 4096u - 4);
  EXPECT_EQ(c.Number(0, "reply_truncated"), 1u);
  EXPECT_EQ(c.Number(1, "reply_truncated"), 0u);
  EXPECT_TRUE(c.Has("request_command_too_long"));
  EXPECT_TRUE(c.Has("response_command_too_long"));
}

TEST(Ftp, ALossEndsWhatIsOpenAndTheNextLineIsRead) {
  Talk c({{kC, "USER a\r\nPA"}});
  c.Gap(kC, 10).Client("rest of a line\r\nNOOP\r\n").Server("200 ok\r\n");
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_EQ(c.Number(0, "reply_received"), 0u);
  EXPECT_EQ(c.Value(1, "ftp.command"), "NOOP");
  EXPECT_EQ(c.Number(1, "reply_received"), 1u);
}

TEST(Ftp, AnUnansweredCommandSaysSo) {
  Talk c({{kC, "USER a\r\n"}});
  c.Finish();
  EXPECT_EQ(c.Number(0, "reply_received"), 0u);
  EXPECT_TRUE(c.tx(0).done());
}

TEST(Ftp, WhateverIsSaidTheContractHolds) {
  const std::vector<std::string> pieces[2] = {
      {"USER a\r\n", "PASS b\r\n", "PORT 1,2,3,4,5,6\r\n", "PASV\r\n", "RETR a\r\n", "AUTH TLS\r\n", "\x16\x03\x01", "NOOP\r\nNOOP\r\n", "x"},
      {"220 (x)\r\n", "200 ok\r\n", "150 go\r\n", "226 done\r\n", "230-a\r\n", "230 b\r\n", "227 1,2,3,4,5,6\r\n", "500 no\r\n", "y"}};
  SayAnything(pieces, 21, 3000);
}

struct ProbeCase {
  const char* name;
  uint32_t direction;
  uint16_t port;
  std::string head;
  int32_t answer;
};
class FtpProbe : public ::testing::TestWithParam<ProbeCase> {};
TEST_P(FtpProbe, Answers) {
  sluice_probe_input input{};
  input.direction = GetParam().direction;
  input.port[1] = GetParam().port;
  const std::string& head = GetParam().head;
  input.head = {reinterpret_cast<const uint8_t*>(head.data()), head.size()};
  EXPECT_EQ(sluice_plugin_v1.probe(&input), GetParam().answer);
}
const ProbeCase kProbes[] = {
    {"User", SLUICE_TO_SERVER, 9999, "USER a", SLUICE_PROBE_YES},
    {"LowerCase", SLUICE_TO_SERVER, 9999, "user a", SLUICE_PROBE_YES},
    {"Cut", SLUICE_TO_SERVER, 9999, "USE", SLUICE_PROBE_MAYBE},
    {"Feat", SLUICE_TO_SERVER, 9999, "FEAT\r\n", SLUICE_PROBE_YES},
    {"AuthElsewhereCouldBeOthers", SLUICE_TO_SERVER, 110, "AUTH TLS\r\n", SLUICE_PROBE_NO},
    {"AuthOnItsPort", SLUICE_TO_SERVER, 21, "AUTH TLS\r\n", SLUICE_PROBE_YES},
    {"Http", SLUICE_TO_SERVER, 21, "GET / HTTP/1.1", SLUICE_PROBE_NO},
    {"Greeting", SLUICE_TO_CLIENT, 9999, "220 (vsFTPd", SLUICE_PROBE_YES},
    {"GreetingOfMail", SLUICE_TO_CLIENT, 9999, "220 mail", SLUICE_PROBE_NO},
};
INSTANTIATE_TEST_SUITE_P(Heads, FtpProbe, ::testing::ValuesIn(kProbes), [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace sluice::testing
