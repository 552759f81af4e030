#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "plugins/http/normalise.h"
#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;

bool Has(const Conversation& c, std::string_view event) {
  const auto events = c.Events();
  return std::ranges::find(events, event) != events.end();
}

std::string Gzip(const std::string& text) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

TEST(Http, RequestAndResponseAreOneTransaction) {
  Conversation c;
  c.Client("GET /a%20b?x=1 HTTP/1.1\r\nHost: Example.COM:8080\r\nUser-Agent: curl\r\nCookie: s=1\r\n\r\n");
  c.Server("HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Type: text/html; charset=x\r\nContent-Length: 4\r\n\r\nbody");
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
  EXPECT_EQ(c.Value(0, "http.method"), "GET");
  EXPECT_EQ(c.Value(0, "http.uri"), "/a b?x=1");
  EXPECT_EQ(c.Value(0, "http.uri.raw"), "/a%20b?x=1");
  EXPECT_EQ(c.Value(0, "http.host"), "example.com");
  EXPECT_EQ(c.Value(0, "http.host.raw"), "Example.COM:8080");
  EXPECT_EQ(c.Number(0, "http_port"), 8080u);
  EXPECT_EQ(c.Value(0, "http.user_agent"), "curl");
  EXPECT_EQ(c.Value(0, "http.cookie"), "s=1");
  EXPECT_EQ(c.Value(0, "http.header"), "Host: Example.COM:8080\r\nUser-Agent: curl\r\n");
  EXPECT_EQ(c.Value(0, "http.header_names"), "\r\nHost\r\nUser-Agent\r\nCookie\r\n\r\n");
  EXPECT_EQ(c.Value(0, "http.stat_code", kS), "404");
  EXPECT_EQ(c.Value(0, "http.stat_msg", kS), "Not Found");
  EXPECT_EQ(c.Value(0, "http.response_body", kS), "body");
  EXPECT_EQ(c.Number(0, "status"), 404u);
  EXPECT_EQ(c.Number(0, "length"), 4u);
}

TEST(Http, PipelinedRequestsMeetTheirResponses) {
  Conversation c;
  c.Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
  c.Server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 204 No\r\n\r\n");
  ASSERT_EQ(c.num_transactions(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(c.tx(i).done()) << i;
  EXPECT_EQ(c.Value(1, "http.uri"), "/2");
  EXPECT_EQ(c.Number(1, "length"), 0u);
  EXPECT_EQ(c.Value(2, "http.stat_code", kS), "204");
}

TEST(Http, ChunkedBodiesAreJoined) {
  Conversation c;
  c.Client("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n");
  EXPECT_EQ(c.Value(0, "http.request_body"), "abcde");
  EXPECT_TRUE(c.tx(0).complete[0]);
  ASSERT_EQ(c.tx(0).files.size(), 1u);
  EXPECT_EQ(AsText(c.tx(0).files[0].name), "/p");
  EXPECT_EQ(c.tx(0).files[0].size, 5u);
}

TEST(Http, BodyUntilCloseEndsWithTheFlow) {
  Conversation c;
  c.Client("GET / HTTP/1.0\r\n\r\n").Server("HTTP/1.0 200 OK\r\n\r\nall of").Server(" this").Finish();
  EXPECT_EQ(c.Value(0, "http.response_body", kS), "all of this");
  EXPECT_EQ(c.Number(0, "length"), 11u);
  EXPECT_TRUE(c.tx(0).files[0].closed);
}

TEST(Http, GzipIsDecodedAndCountedAsSent) {
  const std::string body = Gzip("hello hello hello hello");
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  c.Server(fmt::format("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.size()) + body);
  EXPECT_EQ(c.Value(0, "http.response_body", kS), "hello hello hello hello");
  EXPECT_EQ(c.Number(0, "length"), body.size());
}

TEST(Http, ACompressionBombIsCutAndReported) {
  const std::string body = Gzip(std::string(32 << 20, 'a'));
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  c.Server(fmt::format("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.size()) + body);
  EXPECT_TRUE(Has(c, "compression_bomb"));
  EXPECT_TRUE(c.tx(0).done());
}

TEST(Http, GapInABodyIsStepped0ver) {
  Conversation c;
  c.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").Gap(kC, 5).Client("ijGET /n HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(c.num_transactions(), 2u);
  EXPECT_EQ(c.Value(1, "http.uri"), "/n");
  EXPECT_TRUE(c.tx(0).files[0].truncated);
}

// A response around a hole of any place and size: what was read is a part of what was sent,
// and the messages behind it are there or not at all.
TEST(Http, AGapAnywhereRecoversOrGivesUpAndInventsNothing) {
  const std::string heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nabcdefghijkl",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n7\r\nfghijkl\r\n0\r\n\r\n"};
  for (const std::string& head : heads) {
    const std::string all = head + "HTTP/1.1 201 Next\r\nContent-Length: 0\r\n\r\n";
    for (size_t at = 0; at < all.size(); ++at) {
      for (size_t n = 1; at + n <= all.size(); ++n) {
        Conversation c;
        c.Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        c.Server(all.substr(0, at)).Gap(kS, n).Server(all.substr(at + n)).Finish();
        ASSERT_EQ(c.num_transactions(), 2u);
        const std::string code = c.Value(0, "http.stat_code", kS), next = c.Value(1, "http.stat_code", kS);
        EXPECT_TRUE((code == "200" || code == "(absent)") && (next == "201" || next == "(absent)")) << at << "+" << n;
        std::string body = c.Value(0, "http.response_body", kS);
        for (const char sent : std::string("abcdefghijkl")) {
          if (body.starts_with(sent)) body.erase(0, 1);
        }
        EXPECT_TRUE(body.empty() || body == "(absent)") << at << "+" << n << " " << body;
        for (const FileInfo& file : c.tx(0).files) EXPECT_TRUE(!file.has_gap || file.md5.empty());
      }
    }
  }
}

// One exchange after the other: what is lost of the second is not told of the others.
TEST(Http, AGapBetweenMessagesLosesThoseInItAlone) {
  const auto request = [](int n) { return fmt::format("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", n); };
  const auto response = [](int n) { return fmt::format("HTTP/1.1 20{} OK\r\nContent-Length: 1\r\n\r\nx", n); };
  for (const bool answer_lost : {false, true}) {
    Conversation c;
    c.Client(request(1)).Server(response(1)).Gap(kC, request(2).size());
    answer_lost ? c.Gap(kS, response(2).size()) : c.Server(response(2));
    c.Client(request(3)).Server(response(3)).Finish();
    std::vector<std::string> seen;
    for (size_t i = 0; i < c.num_transactions(); ++i) {
      const std::string uri = c.Value(i, "http.uri");
      seen.push_back((uri.starts_with("/") && uri.size() == 2 ? uri : "?") + " " + c.Value(i, "http.stat_code", kS));
    }
    const std::vector<std::string> all = {"/1 201", "? 202", "/3 203"}, some = {"/1 201", "/3 203"};
    EXPECT_EQ(seen, answer_lost ? some : all);
  }
}

TEST(Http, AGapInRequestsRecoversOrGivesUpAndInventsNothing) {
  const std::string all = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nGET /x z" "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t at = 0; at < all.size(); ++at) {
    for (size_t n = 1; at + n <= all.size(); ++n) {
      Conversation c;
      c.Client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").Server("HTTP/1.1 204 No\r\n\r\n");
      c.Client(all.substr(0, at)).Gap(kC, n).Client(all.substr(at + n)).Finish();
      for (size_t i = 0; i < c.num_transactions(); ++i) {
        const std::string uri = c.Value(i, "http.uri");
        EXPECT_TRUE(uri == "/1" || uri == "/2" || uri == "/3" || uri == "(absent)") << at << "+" << n << " " << uri;
      }
    }
  }
}

TEST(Http, LostBytesOfABodyCountInItsFile) {
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").Gap(kS, 5).Server("ij");
  const FileInfo& file = c.tx(0).files[0];
  EXPECT_TRUE(c.tx(0).done() && file.closed && file.truncated && file.has_gap);
  EXPECT_EQ(file.size, 10u);
  EXPECT_EQ(c.Number(0, "length"), 10u);
  EXPECT_EQ(c.Value(0, "http.response_body", kS), "abcij");
}

TEST(Http, AFileThatNobodyKeepsIsCutAtTheLimit) {
  for (const size_t over : {0u, 1u, 5000u}) {
    Conversation c;
    const std::string body(100 * 1024 + over, 'x');
    c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    c.Server(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.size()) + body);
    EXPECT_EQ(c.tx(0).files[0].size, 100u * 1024);
    EXPECT_EQ(c.tx(0).files[0].truncated, over > 0);
    EXPECT_EQ(c.Number(0, "length"), body.size());
  }
}

TEST(Http, ABodyThatTheConnectionEndsIsAllThereIs) {
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Server("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\npart").Finish();
  EXPECT_TRUE(c.tx(0).files[0].closed && !c.tx(0).files[0].truncated);
}

// However the stream is cut, coded and ended, its events are those that a browser dispatches.
TEST(Http, EventsOfAStreamAreCounted) {
  struct Case {
    const char *type, *body;
    uint64_t events;
  };
  const Case cases[] = {
      {"text/event-stream", "data: a\n\ndata: b\n\n", 2},
      {"text/event-stream; charset=utf-8", ": comment\r\n\r\nevent: x\r\ndata: a\r\ndata: b\r\n\r\n", 1},
      {"text/event-stream", "data\r\rid: 1\r\rdata:c\r\r", 2},
      {"text/event-stream", "data: unfinished\n", 0},
      {"text/event-stream", "dat: a\n\ndatabase: a\n\n", 0},
      {"application/x-ndjson", "{}\n\n  \n[1]\n{\"last\":1}", 3},
  };
  for (const Case& one : cases) {
    const std::string body = one.body;
    for (size_t cut = 0; cut < body.size(); ++cut) {
      Conversation c;
      c.Client("GET /e HTTP/1.1\r\nHost: a\r\n\r\n").Server(fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\n\r\n", one.type));
      c.Server(body.substr(0, cut)).Server(body.substr(cut)).Finish();
      EXPECT_EQ(c.Number(0, "stream.events"), one.events) << body << " cut " << cut;
    }
  }
  Conversation plain;
  plain.Client("GET /e HTTP/1.1\r\nHost: a\r\n\r\n").Server("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\ndata: a\n\n").Finish();
  EXPECT_EQ(plain.Number(0, "stream.events"), UINT64_MAX);
}

TEST(Http, GapInHeadersEndsTheDirectionAndInventsNothing) {
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n").Gap(kC, 5).Client("Z: y\r\n\r\n");
  EXPECT_EQ(c.num_transactions(), 1u);
  EXPECT_EQ(c.Value(0, "http.header"), "Host: a\r\n") << "what was seen of them";
  EXPECT_EQ(c.Value(0, "http.host"), "a");
}

// Parts in any order, over two connections: each is a file, and with the last one the whole.
TEST(Http, HeadersBeforeTheEndOfAllAreSeen) {
  const std::string head = "GET /i HTTP/1.1\r\nHost: a.test\r\nUser-Agent: curl/8\r\n";
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "n" + std::to_string(i) + ": v\r\n";
  for (const std::string& rest : {"X-Large: " + std::string(600'000, 'x') + "\r\n\r\n", many + "\r\n", std::string("X-Cut: v\r\n"), std::string()}) {
    Conversation c;
    c.Client(head + rest).Finish();
    ASSERT_EQ(c.num_transactions(), 1u);
    EXPECT_EQ(c.Value(0, "http.user_agent"), "curl/8") << rest.substr(0, 20);
    EXPECT_EQ(c.Value(0, "http.host"), "a.test") << rest.substr(0, 20);
  }
}

TEST(Http, PartsOfOneFileAreAlsoTheWhole) {
  const std::string file = "the quick brown fox jumps over the lazy dog";
  const auto part = [&](Conversation& c, std::string_view target, size_t from, size_t to, std::string_view more = "") {
    c.Client(fmt::format("GET {} HTTP/1.1\r\nHost: Parts.test:8080\r\n\r\n", target));
    c.Server(fmt::format("HTTP/1.1 206 Partial\r\nContent-Range: bytes {}-{}/{}\r\n{}Content-Length: {}\r\n\r\n", from, to - 1,
                         file.size(), more, to - from) + file.substr(from, to - from));
  };
  for (size_t cut = 1; cut < file.size(); ++cut) {
    Conversation back, front;
    const std::string target = fmt::format("/f{}", cut);
    part(back, target, cut, file.size());
    EXPECT_EQ(back.tx(0).files.size(), 1u);
    part(front, target + "?other", 0, cut);
    EXPECT_EQ(front.tx(0).files.size(), 1u) << "another target";
    part(front, target, 0, cut);
    ASSERT_EQ(front.tx(1).files.size(), 2u) << cut;
    EXPECT_EQ(AsText(front.tx(1).files[1].data), file);
    EXPECT_EQ(AsText(front.tx(1).files[1].name), target);
    EXPECT_TRUE(front.tx(1).files[1].closed && !front.tx(1).files[1].truncated);
  }
  Conversation coded;  // what is coded is no part of what is not
  part(coded, "/c", 0, 20, "Content-Encoding: gzip\r\n");
  part(coded, "/c", 20, file.size());
  EXPECT_EQ(coded.tx(1).files.size(), 1u);
}

TEST(Http, ASwitchToWhatNobodyAskedForIsAnEvent) {
  struct Case {
    const char *asked, *answered;
    bool event;
  };
  for (const Case& one : {Case{"Upgrade: websocket\r\n", "Upgrade: websocket\r\n", false},
                          {"Upgrade: foo, WebSocket\r\n", "Upgrade: websocket, foo\r\n", false},
                          {"Upgrade: websocket\r\n", "", true},
                          {"", "Upgrade: websocket\r\n", true},
                          {"Upgrade: h2c\r\n", "Upgrade: websocket\r\n", true}}) {
    Conversation c;
    c.Client(fmt::format("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", one.asked));
    c.Server(fmt::format("HTTP/1.1 101 Switching\r\n{}\r\n", one.answered));
    const auto events = c.Events();
    EXPECT_EQ(std::ranges::find(events, "failed_protocol_change") != events.end(), one.event) << one.asked << one.answered;
  }
}

TEST(Http, EventsOfAConnectionHaveAnEnd) {
  Conversation c;
  size_t told = 0, last = 0;
  for (size_t i = 0; i < 600; ++i) {
    c.Client("GET / HTTP/1.1\r\n\r\n").Server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");  // missing_host
    for (const LiveTransaction* live : c.flow().transactions()) {
      for (const TransactionEvent& e : live->tx.events) last += live->tx.schema->events[e.index].name == "too_many_warnings";
      told += live->tx.events.size();
    }
    c.Retire();
  }
  EXPECT_EQ(last, 1u);
  EXPECT_EQ(told, 513u);
}

TEST(Http, ConnectAndUpgradeHandTheRestOver) {
  Conversation c;
  c.Client("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n").Server("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_NE(c.flow().original_schema(), nullptr);
  EXPECT_TRUE(c.tx(0).done());
  Conversation u;
  u.Client("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n").Server("HTTP/1.1 101 Switching\r\n\r\n\x81\x02hi");
  EXPECT_NE(u.flow().original_schema(), nullptr);
}

TEST(Http, ContinueIsNotTheAnswer) {
  Conversation c;
  c.Client("PUT /f HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  c.Server("HTTP/1.1 100 Continue\r\n\r\n").Client("ok").Server("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(c.num_transactions(), 1u);
  EXPECT_TRUE(c.tx(0).done());
}

struct EventCase {
  const char* name;
  std::string request, event;
};
class HttpEvent : public ::testing::TestWithParam<EventCase> {};
TEST_P(HttpEvent, IsReported) {
  Conversation c;
  c.Client(GetParam().request).Finish();
  EXPECT_TRUE(Has(c, GetParam().event)) << c.Snapshot();
}
const EventCase kEvents[] = {
    {"MissingHost", "GET / HTTP/1.1\r\n\r\n", "missing_host_header"},
    {"HostsThatDiffer", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "host_header_ambiguous"},
    {"NoColon", "GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", "request_field_missing_colon"},
    {"LengthThatIsNoNumber", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
     "invalid_content_length_field_in_request"},
    {"LengthsThatDiffer", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     "duplicate_content_length_field_in_request"},
    {"HeadersBehindALineWithoutAProtocol", "GET /\r\nHost: a\r\n\r\n", "request_line_missing_protocol"},
    {"PortOfTheHostIsNone", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "invalid_server_port_in_request"},
    {"LineCutByTheEnd", "GET /ind", "request_line_incomplete"},
    {"FileNameTooLong", "PUT /" + std::string(5000, 'x') + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\ny", "file_name_too_long"},
    {"ChunkThatIsNoNumber", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
     "invalid_request_chunk_len"},
    {"ManyHeaders", "GET / HTTP/1.1\r\n" + [] { std::string h; for (int i = 0; i < 1100; ++i) h += fmt::format("a{}: b\r\n", i); return h; }() + "\r\n",
     "request_too_many_headers"},
    {"HeadersTooLong", "GET / HTTP/1.1\r\n" + [] { std::string h; for (int i = 0; i < 10; ++i) h += "a: " + std::string(60000, 'x') + "\r\n"; return h; }() + "\r\n",
     "request_field_too_long"},
};
INSTANTIATE_TEST_SUITE_P(Rfc9112, HttpEvent, ::testing::ValuesIn(kEvents),
                         [](const auto& info) { return info.param.name; });

class HttpResponseEvent : public ::testing::TestWithParam<EventCase> {};  // request: the response
TEST_P(HttpResponseEvent, IsReported) {
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Server(GetParam().request).Finish();
  EXPECT_TRUE(Has(c, GetParam().event)) << c.Snapshot();
}
const EventCase kResponseEvents[] = {
    {"CodingWithoutChunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "invalid_transfer_encoding_value_in_response"},
    {"SeveralRanges", "HTTP/1.1 206 Some\r\nContent-Type: multipart/byteranges; boundary=x\r\n\r\n", "response_multipart_byteranges"},
    {"BehindTheBody", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", "response_body_unexpected"},
};
INSTANTIATE_TEST_SUITE_P(Rfc9112, HttpResponseEvent, ::testing::ValuesIn(kResponseEvents),
                         [](const auto& info) { return info.param.name; });

struct UriCase {
  const char* name;
  std::string raw, normal;
};
class HttpUri : public ::testing::TestWithParam<UriCase> {};
TEST_P(HttpUri, IsNormalised) {
  std::string out;
  ::http::NormaliseTarget(::http::SplitTarget(GetParam().raw, false), {}, &out);
  EXPECT_EQ(out, GetParam().normal);
}
const UriCase kUris[] = {
    {"Plain", "/a/b", "/a/b"},
    {"Escapes", "/%61%2Fb", "/a/b"},
    {"BrokenEscapeStays", "/%zz%4", "/%zz%4"},
    {"DoubleSlash", "//a///b", "/a/b"},
    {"Backslash", "/a\\b", "/a/b"},
    {"Dots", "/a/./b/../c", "/a/c"},
    {"DotsBeyondTheRoot", "/../../etc/passwd", "/etc/passwd"},
    {"EscapedDots", "/a/%2e%2e/b", "/b"},
    {"TrailingDots", "/a/b/..", "/a/"},
    {"QueryKeepsItsShape", "/a?x=../%41//b", "/a?x=../A//b"},
    {"AbsoluteTarget", "http://h:80/a/../b", "/b"},
    {"Unicode", "/%u0041%uff0f..%u2215b", "/b"},
    {"OverlongUtf8", "/a/%c0%ae%c0%ae/b", "/b"},
    {"Utf8BecomesLatin", "/%c3%a9", "/\xe9"},
    {"BrokenUtf8Stays", "/\xc3(", "/\xc3("},
    {"Fragment", "/a?b#c", "/a?b#c"},
    {"Empty", "", ""},
    {"Star", "*", "*"},
};
INSTANTIATE_TEST_SUITE_P(Rfc3986, HttpUri, ::testing::ValuesIn(kUris),
                         [](const auto& info) { return info.param.name; });

// A response that a browser shows as "shown", however its bytes are dressed up.
struct ShownCase {
  const char* name;
  std::string response;
};
class HttpShown : public ::testing::TestWithParam<ShownCase> {};
TEST_P(HttpShown, BodyReachesTheRules) {
  Conversation c;
  c.Client("GET /f HTTP/1.1\r\nHost: a\r\n\r\n").Server(GetParam().response).Finish();
  ASSERT_EQ(c.num_transactions(), 1u) << c.Snapshot();
  EXPECT_EQ(c.Value(0, "http.response_body", kS), "shown") << c.Snapshot();
  EXPECT_TRUE(c.tx(0).done());
}
TEST_P(HttpShown, EveryCutGivesTheSame) {
  const Turns turns = {{kC, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n"}, {kS, GetParam().response}};
  const std::string whole = RunTurns(turns);
  for (size_t cut = 1; cut < turns[1].second.size(); ++cut) EXPECT_EQ(RunTurns(turns, 1, cut), whole) << cut;
}
std::string Chunked(const std::string& head) { return head + "2\r\nsh\r\n3\r\nown\r\n0\r\n\r\n"; }
const std::string kGzipped = Gzip("shown");
std::string Coded(const std::string& coding, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
const ShownCase kShown[] = {
    {"LfOnly", "HTTP/1.1 200 OK\nContent-Length: 5\n\nshown"},
    {"CrOnly", "HTTP/1.1 200 OK\rContent-Length: 5\r\rshown"},
    {"LfCr", "HTTP/1.1 200 OK\n\rContent-Length: 5\n\r\n\rshown"},
    {"CrInTheStatusLine", Chunked("HTTP/1.1\rTransfer-Encoding:chunked\r\n\r\n")},
    {"BlankLineOfCrs", Chunked("HTTP/1.1 200 OK\r\nA: b\r\n\r\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"FoldThatIsAHeader", Chunked("HTTP/1.1 200 OK\r\nA: b\r\n Transfer-Encoding: chunked\r\n\r\n")},
    {"FoldedValue", Chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n")},
    {"FoldedName", Chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding\r\n : chunked\r\n\r\n")},
    {"FirstHeaderIsIndented", Chunked("HTTP/1.1 200 OK\r\n\tTransfer-Encoding: chunked\r\n\r\n")},
    {"NulInAName", Chunked(std::string("HTTP/1.1 200 OK\r\nTransfer") + '\0' + "-Encoding: chunked\r\n\r\n")},
    {"VerticalTabBehindAName", Chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding\v: chunked\r\n\r\n")},
    {"TwoColons", Chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding: : chunked\r\n\r\n")},
    {"ChunkedIn10", Chunked("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"ChunkedWithLength", Chunked("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"NotReallyChunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nshown"},
    {"ChunkSizesInJunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n \f02;x=y\r\nshjunk\r\n3 x\nown\n0\n\n"},
    {"LengthInJunk", "HTTP/1.1 200 OK\r\nContent-Length: x5y\r\n\r\nshown"},
    {"LengthInDoubt", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n 5\r\n\r\nshown"},
    {"LengthsThatDiffer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nshown"},
    {"LengthThatIsNone", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nshown"},
    {"NoStatusLine", "shown"},
    {"JunkBeforeTheStatusLine", "junk\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshown"},
    {"InterimsFirst", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshown"},
    {"ABodyOf304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nshown"},
    {"Gzip", Coded("gzip", kGzipped)},
    {"GzipInJunk", Coded("x gzip", kGzipped)},
    {"DeflateWithoutAHeader", Coded("deflate", kGzipped.substr(10))},
    {"DeflateThatIsGzip", Coded("deflate", kGzipped)},
    {"GzipThatIsPlain", Coded("gzip", "shown")},
    {"OneByteOfGzipIsPlain", Coded("gzip, identity", "shown")},
    {"TwoLayers", Coded("gzip, gzip", Gzip(kGzipped))},
    {"TwoLayersOneApplied", Coded("gzip, gzip", kGzipped)},
    {"GzipWithoutItsTrailer", Coded("gzip", kGzipped.substr(0, kGzipped.size() - 8))},
    {"GzipWithReservedFlags", Coded("gzip", std::string(kGzipped).replace(3, 1, "\x80"))},
    {"GzipWithJunkBehind", Coded("gzip", kGzipped + "junk")},
};
INSTANTIATE_TEST_SUITE_P(Browsers, HttpShown, ::testing::ValuesIn(kShown),
                         [](const auto& info) { return info.param.name; });

TEST(Http, ALayerTooManyStays) {
  Conversation c;
  const std::string body = Gzip(Gzip(kGzipped));
  c.Client("GET /f HTTP/1.1\r\nHost: a\r\n\r\n").Server(Coded("gzip, gzip, gzip", body)).Finish();
  EXPECT_TRUE(Has(c, "too_many_encoding_layers"));
  EXPECT_EQ(c.Value(0, "http.response_body", kS), kGzipped);
}

TEST(Http, StrayBytesAreMatchedButNotLogged) {
  Conversation c;
  c.Client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxlogin=foo\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").Finish();
  ASSERT_EQ(c.num_transactions(), 3u);
  EXPECT_EQ(c.Value(1, "http.request_body"), "login=foo\r\n");
  EXPECT_TRUE(c.tx(1).no_log);
  EXPECT_EQ(c.Value(2, "http.uri"), "/2");
  EXPECT_TRUE(Has(c, "request_body_unexpected"));
}

TEST(Http, HundredsOfPipelinedRequestsMeetTheirResponses) {
  Conversation c;
  std::string requests, responses;
  for (int i = 0; i < 300; ++i) requests += fmt::format("{} /{} HTTP/1.1\r\nHost: a\r\n\r\n", i % 3 == 0 ? "HEAD" : "GET", i);
  for (int i = 0; i < 300; ++i) responses += fmt::format("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", i % 3 == 0 ? "" : "x");
  c.Client(requests).Server(responses);
  ASSERT_EQ(c.num_transactions(), 300u);
  for (size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(c.Value(i, "http.uri"), fmt::format("/{}", i));
    EXPECT_TRUE(c.tx(i).done()) << i;
  }
  EXPECT_FALSE(Has(c, "too_many_requests"));
}

TEST(Http, RequestsBeyondTheLimitAreReportedOnceAndGoOn) {
  Conversation c;
  for (int i = 0; i < 520; ++i) c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto events = c.Events();
  EXPECT_EQ(std::ranges::count(events, "too_many_requests"), 1);
  EXPECT_EQ(c.num_transactions(), 520u);
}

TEST(Http, FilesOfAMultipartBodyAreTakenOut) {
  const std::string body =
      "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\ntext\r\n"
      "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a \\\"b\\\".txt\"\r\nContent-Type: text/plain\r\n\r\none\r\n--\r\n-b\r\n"
      "--b\r\ncontent-disposition: form-data; name=g; filename=c.bin\r\n\r\n\r\n--b--\r\n";
  const Turns turns = {{kC, fmt::format("POST /u HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n", body.size()) + body}};
  Conversation c;
  c.Client(turns[0].second).Finish();
  ASSERT_EQ(c.tx(0).files.size(), 2u);
  EXPECT_EQ(AsText(c.tx(0).files[0].name), "a \"b\".txt");
  EXPECT_EQ(AsText(c.tx(0).files[0].data), "one\r\n--\r\n-b");
  EXPECT_EQ(AsText(c.tx(0).files[1].name), "c.bin");
  EXPECT_EQ(c.tx(0).files[1].size, 0u);
  EXPECT_TRUE(Has(c, "multipart_no_filedata"));
  EXPECT_EQ(c.Value(0, "http.request_body"), body);
  const std::string whole = RunTurns(turns);
  for (size_t cut = 1; cut < turns[0].second.size(); ++cut) EXPECT_EQ(RunTurns(turns, 0, cut), whole) << cut;
}

TEST(Http, RepeatedHeadersAreOne) {
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nCookie: c\r\n\r\n");
  EXPECT_EQ(c.Value(0, "http.header"), "Host: a\r\nX: 1, 2\r\n");
  EXPECT_EQ(c.Value(0, "http.header_names"), "\r\nHost\r\nX\r\nCookie\r\n\r\n");
  EXPECT_EQ(c.Value(0, "http.start"), "GET / HTTP/1.1\r\nHost: a\r\nX: 1, 2\r\nCookie: c\r\n\r\n");
  EXPECT_TRUE(Has(c, "request_header_repetition"));
}

TEST(Http, ContentRangeIsTakenApart) {
  Conversation c;
  c.Client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").Server("HTTP/1.1 206 P\r\nContent-Range: bytes 5-9/20\r\nContent-Length: 5\r\n\r\n56789");
  EXPECT_EQ(c.Number(0, "content_range.start"), 5u);
  EXPECT_EQ(c.Number(0, "content_range.end"), 9u);
  EXPECT_EQ(c.Number(0, "content_range.size"), 20u);
}

TEST(Http, EveryCutGivesTheSame) {
  const Turns turns = {
      {kC, "\r\nPOST /x?a=%41 HTTP/1.1\r\nHost: h\r\nX-Long: a\r\n  folded\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {kS, "HTTP/1.1 200 OK\r\nSet-Cookie: k=v\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 302 Found\r\nLocation: /z\r\nContent-Length: 0\r\n\r\n"}};
  const std::string whole = RunTurns(turns);
  for (size_t t = 0; t < turns.size(); ++t) {
    for (size_t cut = 1; cut < turns[t].second.size(); ++cut) {
      EXPECT_EQ(RunTurns(turns, t, cut), whole) << "turn " << t << " cut " << cut;
    }
  }
}

}  // namespace
}  // namespace sluice::testing
