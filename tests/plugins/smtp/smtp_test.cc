// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "plugins/smtp/mime_text.h"
#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;
using Strings = std::vector<std::string>;

const std::string kMail =
    "From: Ann <ann@a.test>\r\nTo: \"B, b\" <b@b.test>,\r\n c@c.test\r\nSubject: hello\r\n"
    "Content-Type: multipart/mixed; boundary=\"--b\"\r\n\r\npreamble\r\n"
    "----b\r\nContent-Type: text/plain\r\n\r\ntext\r\n"
    "----b\r\nContent-Disposition: attachment; filename=\"a.txt\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "aGVsbG8g\r\nd29ybGQ=\r\n"
    "----b\r\nContent-Type: application/x; name=b.bin\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "a=3Db=\r\nc\r\nd\r\n"
    "----b\r\nContent-Disposition: attachment; filename*0=c; filename*1=.txt\r\n\r\nas it\r\n..is\r\n"
    "----b--\r\nepilogue\r\n";

const Turns kSession = {{kS, "220 mail.test ESMTP\r\n"},
                        {kC, "EHLO client.test\r\n"},
                        {kS, "250-mail.test\r\n250-SIZE 1000\r\n250 HELP\r\n"},
                        {kC, "MAIL FROM:<ann@a.test> SIZE=100\r\n"},
                        {kS, "250 ok\r\n"},
                        {kC, "RCPT TO:<b@b.test>\r\nRCPT TO: <c@c.test>\r\n"},
                        {kS, "250 ok\r\n250 ok\r\n"},
                        {kC, "DATA\r\n"},
                        {kS, "354 go\r\n"},
                        {kC, kMail + ".\r\n"},
                        {kS, "250 queued\r\n"},
                        {kC, "QUIT\r\n"},
                        {kS, "221 bye\r\n"}};

class Talk : public Conversation {
 public:
  explicit Talk(const Turns& turns = {}) : Conversation(SLUICE_TCP, 25) {
    for (const auto& [direction, bytes] : turns) Send(direction, bytes);
  }
  bool Has(std::string_view event) const {
    const auto events = Events();
    return std::ranges::find(events, event) != events.end();
  }
  // "name=content" of each file.
  Strings Files(size_t i) const {
    Strings out;
    for (const FileInfo& f : tx(i).files) out.push_back(std::string(AsText(f.name)) + "=" + std::string(AsText(f.data)));
    return out;
  }
};
Turns Greeted(std::initializer_list<Turns::value_type> more) {
  Turns turns = {{kS, "220 x\r\n"}, {kC, "EHLO c\r\n"}, {kS, "250 x\r\n"}};
  turns.insert(turns.end(), more);
  return turns;
}
Turns Mailed(const std::string& mail) {
  return Greeted({{kC, "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n"}, {kS, "250 a\r\n250 b\r\n354 c\r\n"}, {kC, mail}});
}

TEST(Smtp, AMailIsOneTransaction) {
  const Talk c(kSession);
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Value(0, "smtp.helo"), "client.test");
  EXPECT_EQ(c.Value(0, "smtp.mail_from"), "<ann@a.test>");
  EXPECT_EQ(c.Values(0, "smtp.rcpt_to"), (Strings{"<b@b.test>", "<c@c.test>"}));
  EXPECT_EQ(c.Value(0, "email.from"), "Ann <ann@a.test>");
  EXPECT_EQ(c.Value(0, "email.to"), "\"B, b\" <b@b.test>, c@c.test");
  EXPECT_EQ(c.Value(0, "email.subject"), "hello");
  EXPECT_EQ(c.Files(0), (Strings{"a.txt=hello world", "b.bin=a=bc\r\nd", "c.txt=as it\r\n.is"}));
  for (const FileInfo& file : c.tx(0).files) EXPECT_TRUE(file.closed && !file.truncated);
  EXPECT_TRUE(c.Events().empty());
}

TEST(Smtp, EveryCutGivesTheSame) {
  const std::string whole = RunTurns(kSession, SIZE_MAX, 0, 25);
  for (size_t t = 0; t < kSession.size(); ++t) {
    for (size_t cut = 1; cut < kSession[t].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(kSession, t, cut, 25), whole) << t << " " << cut;
    }
  }
}

TEST(Smtp, TheNextMailHasTheClientsNameToo) {
  Turns turns(kSession.begin(), kSession.end() - 2);
  turns.insert(turns.end(), kSession.begin() + 3, kSession.end());
  const Talk c(turns);
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_EQ(c.Value(1, "smtp.helo"), "client.test");
  EXPECT_EQ(c.Values(1, "smtp.rcpt_to").size(), 2u);
  EXPECT_EQ(c.tx(1).files.size(), 3u);
}

TEST(Smtp, ChunksAreAMail) {  // RFC 3030; the first ends within a line
  const size_t half = kMail.find("aGVs") + 6;
  std::string unstuffed = kMail;
  unstuffed.replace(unstuffed.find("\r\n..is"), 6, "\r\n.is");
  const std::string first = unstuffed.substr(0, half), second = unstuffed.substr(half);
  Talk c(Greeted({{kC, "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nBDAT " + std::to_string(first.size()) + "\r\n" + first + "BDAT " +
                           std::to_string(second.size()) + " LAST\r\n" + second + "QUIT\r\n"},
                  {kS, "250 a\r\n250 b\r\n250 c\r\n250 d\r\n221 e\r\n"}}));
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_EQ(c.Files(0), (Strings{"a.txt=hello world", "b.bin=a=bc\r\nd", "c.txt=as it\r\n.is"}));
  EXPECT_TRUE(c.tx(0).done());
}

TEST(Smtp, HoweverChunksCutAMailItIsTheSame) {
  std::string mail = kMail;
  mail.replace(mail.find("\r\n..is"), 6, "\r\n.is");
  for (const size_t size : {1u, 2u, 3u, 7u, 50u, 1000u}) {
    std::string sent = "MAIL FROM:<a>\r\nRCPT TO:<b>\r\n";
    for (size_t at = 0; at < mail.size(); at += size) {
      const std::string chunk = mail.substr(at, size);
      sent += "BDAT " + std::to_string(chunk.size()) + (at + size >= mail.size() ? " LAST" : "") + "\r\n" + chunk;
    }
    Talk c(Greeted({{kC, sent}}));
    EXPECT_EQ(c.Files(0), (Strings{"a.txt=hello world", "b.bin=a=bc\r\nd", "c.txt=as it\r\n.is"})) << size;
    EXPECT_EQ(c.Value(0, "email.subject"), "hello") << size;
    EXPECT_TRUE(c.Events().empty()) << size;
  }
}

TEST(Smtp, LongCommandsAreReported) {
  Talk c(Greeted({{kC, "MAIL FROM:<" + std::string(5000, 'a')}}));
  EXPECT_TRUE(c.Has("truncated_line"));
  EXPECT_FALSE(c.Has("max_command_line_len_exceeded"));
  c.Client(std::string(70000, 'a'));
  EXPECT_TRUE(c.Has("max_command_line_len_exceeded"));
}

TEST(Smtp, AnEmptyLastChunkEndsTheMail) {
  Talk c(Greeted({{kC, "MAIL FROM:<a>\r\nBDAT 6\r\na: b\r\nBDAT 0 LAST\r\nNOOP\r\n"}, {kS, "250 a\r\n250 b\r\n250 c\r\n"}}));
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.tx(0).done());
}

TEST(Smtp, BehindTheReplyToStartTlsItIsTls) {
  Talk c(Greeted({{kC, "STARTTLS\r\n"}}));
  c.Client("\x16\x03\x01");
  EXPECT_EQ(c.flow().original_schema(), nullptr);
  c.Server("220 go\r\n");
  EXPECT_NE(c.flow().original_schema(), nullptr);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_TRUE(c.Events().empty());
}

struct EventCase {
  const char* name;
  Turns turns;
  const char* event;
};
class SmtpEvent : public ::testing::TestWithParam<EventCase> {};
TEST_P(SmtpEvent, IsRaised) {
  Talk c(GetParam().turns);
  EXPECT_TRUE(c.Has(GetParam().event));
  EXPECT_EQ(c.Events().size(), 1u);
}
std::string Part(const std::string& headers, const std::string& body) {
  return "Content-Type: x/y; name=f\r\n" + headers + "\r\n" + body + "\r\n.\r\n";
}
std::string Times(size_t times, std::string_view text) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}
std::string DeepParts(int depth) {
  std::string out;
  for (int i = 0; i < depth; ++i) out += fmt::format("Content-Type: multipart/x; boundary=b{0}x\r\n\r\n--b{0}x\r\n", i);
  return out;
}
const EventCase kEvents[] = {
    {"TlsRefused", Greeted({{kC, "STARTTLS\r\n"}, {kS, "454 no\r\n"}}), "tls_rejected"},
    {"CommandBehindStartTls", Greeted({{kC, "STARTTLS\r\nNOOP\r\n"}}), "invalid_pipelined_sequence"},
    {"DataRefused", Greeted({{kC, "DATA\r\n"}, {kS, "503 no\r\n"}}), "data_command_rejected"},
    {"SecondHelo", Greeted({{kC, "HELO c\r\n"}, {kS, "250 x\r\n"}}), "duplicate_fields"},
    {"SecondSender", Greeted({{kC, "MAIL FROM:<a>\r\nMAIL FROM:<b>\r\n"}}), "duplicate_fields"},
    {"NoGreeting", {{kC, "EHLO c\r\n"}}, "no_server_welcome_message"},
    {"OtherGreeting", {{kC, ""}, {kS, "554 no\r\n"}, {kC, "QUIT\r\n"}}, "invalid_reply"},
    {"ReplyWithoutACode", Greeted({{kC, "NOOP\r\n"}, {kS, "hello\r\n"}}), "invalid_reply"},
    {"ReplyToNothing", Greeted({{kS, "250 x\r\n"}}), "unable_to_match_reply_with_request"},
    {"BdatWithoutASize", Greeted({{kC, "BDAT\r\n"}}), "bdat_chunk_len_exceeded"},
    {"NoBase64", Mailed(Part("Content-Transfer-Encoding: base64\r\n", "aGVs!bG8=")), "mime_invalid_base64"},
    {"NoQuotedPrintable", Mailed(Part("Content-Transfer-Encoding: quoted-printable\r\n", "a=XX")), "mime_invalid_qp"},
    {"LongLine", Mailed(Part("", std::string(999, 'x'))), "mime_long_line"},
    {"LongEncodedLine", Mailed(Part("Content-Transfer-Encoding: base64\r\n", std::string(80, 'A'))), "mime_long_enc_line"},
    {"LongHeaderName", Mailed(std::string(76, 'n') + ": v\r\n\r\n.\r\n"), "mime_long_header_name"},
    {"LongHeaderValue", Mailed("a: " + std::string(900, 'v') + "\r\n " + std::string(900, 'v') + "\r\n " +
                               std::string(900, 'v') + "\r\n\r\n.\r\n"), "mime_long_header_value"},
    {"HeaderWithoutColon", Mailed("nothing\r\n\r\n.\r\n"), "mime_malformed_msg"},
    {"LongFilename", Mailed("Content-Type: x/y; name=" + std::string(300, 'n') + "\r\n\r\n.\r\n"), "mime_long_filename"},
    {"LongBoundary", Mailed("Content-Type: multipart/x; boundary=" + std::string(300, 'n') + "\r\n\r\n.\r\n"), "mime_long_boundary"},
    {"DeepParts", Mailed(DeepParts(17) + "\r\n.\r\n"), "mime_too_deep"},
    {"ManyHeaders", Mailed(Times(1025, "a: b\r\n") + "\r\n.\r\n"), "mime_too_many_headers"},
    {"ManyWebAddresses", Mailed("Content-Type: text/plain\r\n\r\n" + Times(65, "http://a.test/\r\n") + ".\r\n"), "mime_too_many_urls"},
    {"ManyCommandsWithoutAReply", Greeted({{kC, Times(513, "NOOP\r\n")}}), "too_many_commands"},
};
INSTANTIATE_TEST_SUITE_P(All, SmtpEvent, ::testing::ValuesIn(kEvents), [](const auto& c) { return c.param.name; });

TEST(Smtp, WebAddressesOfTextsAreFoundHoweverEncoded) {
  const std::string text = "see http://a.test/x?y=1, or <a href=\"HTTPS://b.test\">\r\nftp://no.test http:// \r\nhttp://c.test/";
  const auto urls = [](const std::string& headers, const std::string& body) {
    return Talk(Mailed(headers + "\r\n" + body + "\r\n.\r\n")).Values(0, "email.url");
  };
  const Strings expected = {"a.test/x?y=1,", "b.test", "c.test/"};
  EXPECT_EQ(urls("", text), expected);
  EXPECT_EQ(urls("Content-Type: text/html\r\n", text), expected);
  EXPECT_EQ(urls("Content-Type: image/png\r\n", text), Strings{});
  EXPECT_EQ(urls("Content-Type: text/plain; name=f\r\n", text), Strings{});
  EXPECT_EQ(urls("Content-Transfer-Encoding: quoted-printable\r\n", "http://a.te=\r\nst/=3D"), Strings{"a.test/="});
  EXPECT_EQ(urls("Content-Transfer-Encoding: base64\r\n", "aHR0cDovL2EudG\r\nVzdC94"), Strings{"a.test/x"});
  std::string many;
  for (int i = 0; i < 100; ++i) many += "http://a.test/\r\n";
  EXPECT_EQ(urls("", many).size(), 64u);
}

TEST(Smtp, ARefusedDataLeavesCommands) {
  Talk c(Greeted({{kC, "DATA\r\n"}, {kS, "503 no\r\n"}, {kC, "MAIL FROM:<a>\r\n"}, {kS, "250 x\r\n"}}));
  EXPECT_EQ(c.Value(0, "smtp.mail_from"), "<a>");
}

TEST(Smtp, ALineOfOneDotEndsTheMailAlone) {
  Talk c(Mailed(Part("", "a\r\n..\r\n.b")));
  EXPECT_EQ(c.Files(0), Strings{"f=a\r\n.\r\nb"});
  Talk bare(Mailed("Content-Type: x/y; name=f\n\na\n.\nNOOP\n"));
  EXPECT_EQ(bare.Files(0), Strings{"f=a"});
}

TEST(Smtp, AMailThatIsCutHasATruncatedFile) {
  Talk c(Mailed("Content-Type: x/y; name=f\r\n\r\nabc\r\nde"));
  c.Finish();
  ASSERT_EQ(c.tx(0).files.size(), 1u);
  EXPECT_TRUE(c.tx(0).files[0].truncated);
}

TEST(Smtp, AMailInAMailIsRead) {
  Talk c(Mailed("Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=i\r\n\r\n--i\r\n"
                "Content-Disposition: attachment; filename=in\r\n\r\nx\r\n--i--\r\n.\r\n"));
  EXPECT_EQ(c.Files(0), Strings{"in=x"});
}

TEST(Smtp, AMailInAMailThatSaysItIsEncodedIsReadIfItIsNot) {
  const std::string head = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n"
                           "Content-Disposition: attachment; filename=m\r\n\r\n";
  Talk plain(Mailed(head + "Content-Disposition: attachment; filename=in\r\n\r\nx\r\n.\r\n"));
  EXPECT_EQ(plain.Files(0), Strings{"in=x"});
  Talk coded(Mailed(head + "aGVsbG8=\r\n.\r\n"));
  EXPECT_EQ(coded.Files(0), Strings{"m=hello"});
}

TEST(Smtp, PartsDeeperThanAreReadAreOneFileAtMost) {
  Talk c(Mailed(DeepParts(100) + "Content-Type: a/b; name=f\r\n\r\nx\r\n.\r\n"));
  EXPECT_LE(c.tx(0).files.size(), 1u);
  EXPECT_TRUE(c.tx(0).complete[0]);
}

TEST(Smtp, ALossIsAGapOfTheFileAndTheMailGoesOn) {
  Talk c(Mailed("Content-Type: x/y; name=f\r\n\r\none\r\ntw"));
  c.Gap(kC, 10).Client("rest\r\nthree\r\n.\r\n").Server("250 ok\r\n");
  ASSERT_EQ(c.tx(0).files.size(), 1u);
  EXPECT_TRUE(c.tx(0).files[0].has_gap);
  EXPECT_TRUE(c.tx(0).complete[0]);
}

TEST(Smtp, AMailWhoseEndWasLostEndsWithItsReply) {
  Talk c(Mailed("Content-Type: x/y; name=f\r\n\r\none\r\n"));
  c.Gap(kC, 10).Server("250 ok\r\n").Client("rest\r\nMAIL FROM:<c>\r\n");
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.tx(0).files[0].truncated);
  EXPECT_EQ(c.Value(1, "smtp.mail_from"), "<c>");
}

TEST(Smtp, PipelinedBehindAMailBeginsTheNext) {
  Talk c(Mailed("a: b\r\n\r\n.\r\nMAIL FROM:<c>\r\nRSET\r\n"));
  c.Server("250 q\r\n250 c\r\n250 r\r\n");
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_TRUE(c.tx(1).done());
  EXPECT_EQ(c.Value(1, "smtp.mail_from"), "<c>");
}

TEST(Smtp, WhateverIsSaidTheContractHolds) {
  const std::vector<std::string> pieces[2] = {
      {"EHLO a\r\n", "MAIL FROM:<a>\r\n", "RCPT TO:<b>\r\n", "DATA\r\n", "BDAT 9\r\n", "BDAT 0 LAST\r\n", "BDAT 5 LAST\r\na: b\n",
       "STARTTLS\r\n", "RSET\r\n", "QUIT\r\n", ".\r\n", "Content-Type: multipart/x; boundary=b\r\n", "\r\n", "--b\r\n", "--b--\r\n",
       "Content-Disposition: attachment; filename=f\r\n", "Content-Transfer-Encoding: base64\r\n", "aGVs\r\n", "text", "\x16\x03"},
      {"220 x\r\n", "250 ok\r\n", "250-more\r\n", "354 go\r\n", "503 no\r\n", "421 bye\r\n", "x"}};
  SayAnything(pieces, 25, 5000);
}

TEST(Smtp, ALossAnywhereAddsNothing) {
  const std::string mail = "Content-Type: x/y; name=f\r\n\r\n0123456789\r\nabcdefghij\r\n.\r\n";
  for (size_t at = 0; at < mail.size(); ++at) {
    for (size_t n = 1; at + n <= mail.size(); n += 3) {
      Talk c(Mailed(mail.substr(0, at)));
      c.Gap(kC, n).Client(mail.substr(at + n)).Finish();
      for (const FileInfo& file : c.tx(0).files) {
        EXPECT_LE(file.size, mail.size()) << at << "+" << n;
        EXPECT_TRUE(file.closed || file.has_gap || at + n == mail.size()) << at << "+" << n;
      }
    }
  }
}

// ---- the languages of a mail

struct ParameterCase {
  const char* name;
  const char *header, *parameter, *value;
};
class MimeParameter : public ::testing::TestWithParam<ParameterCase> {};
TEST_P(MimeParameter, IsRead) {
  EXPECT_EQ(smtp::Parameter(GetParam().header, GetParam().parameter), GetParam().value);
}
const ParameterCase kParameters[] = {
    {"Token", "a/b; name=x", "name", "x"},
    {"Quoted", "a/b; name=\"x; y\"", "name", "x; y"},
    {"Escaped", "a/b; name=\"x\\\"y\"", "name", "x\"y"},
    {"Case", "a/b; NAME=x", "name", "x"},
    {"Second", "a/b; charset=u; name=x", "name", "x"},
    {"Missing", "a/b; charset=u", "name", ""},
    {"NoValue", "a/b; name", "name", ""},
    {"LongerName", "a/b; names=x", "name", ""},
    {"QuoteWithoutEnd", "a/b; name=\"x", "name", "x"},
    {"Sections", "a/b; name*0=x; name*1=y", "name", "xy"},
    {"Coded", "a/b; name*=utf-8''x%20y", "name", "x y"},
    {"CodedSections", "a/b; name*0*=utf-8'en'x%20; name*1*=%41; name*2=%41", "name", "x A%41"},
    {"SectionMissing", "a/b; name*0=x; name*2=y", "name", "x"},
};
INSTANTIATE_TEST_SUITE_P(Rfc2231, MimeParameter, ::testing::ValuesIn(kParameters), [](const auto& c) { return c.param.name; });

TEST(MimeText, Base64InPiecesIsWhatItIsWhole) {
  const std::string text = "aGVs\r\nbG8g\r\nd29ybGQh\r\nIQ==";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    smtp::Base64Decoder decoder;
    std::string out;
    decoder.Decode(View(text).substr(0, cut), &out);
    decoder.Decode(View(text).substr(cut), &out);
    decoder.End(&out);
    EXPECT_EQ(out, "hello world!!") << cut;
    EXPECT_FALSE(decoder.invalid());
  }
}

TEST(MimeText, Addresses) {
  const auto all = smtp::Addresses("a@a, \"x, y\" <b@b>,, <c,c@c>");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1], "\"x, y\" <b@b>");
  EXPECT_EQ(all[2], "<c,c@c>");
}

}  // namespace
}  // namespace sluice::testing
