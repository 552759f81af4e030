// SPDX-License-Identifier: Apache-2.0
// plugins/http/http.cc - HTTP/1.0 and 1.1 (RFC 9110, RFC 9112).
//
// One transaction per exchange: the n-th response belongs to the n-th request.
// Each direction is a state machine over lines and bodies; a body is handed on in
// the pieces it comes in and never collected here.
#include <zlib.h>

#include <sluice/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "normalise.h"

namespace {

using sluice::Flow;
using sluice::ParseResult;
using sluice::View;

constexpr size_t kMaxLine = 65536;        // bytes of one line
constexpr size_t kMaxHeaderBytes = 256 * 1024;  // of one message
constexpr unsigned kMaxHeaders = 1024;    // of one message
constexpr uint64_t kMaxInflated = 4u << 20;  // bytes of one body after decoding
constexpr uint64_t kMaxRatio = 2048;      // inflated / compressed bytes
constexpr size_t kMaxOpen = 512;          // requests without an answer

enum Field : uint32_t {
  kMethod, kUri, kUriRaw, kUrl, kRequestLine, kProtocol, kProtocolReply, kHost, kHostRaw, kHostLog,
  kPort, kUserAgent, kReferer, kCookie, kSetCookie, kContentType, kContentTypeReply,
  kContentTypeLog, kContentLen, kContentLenReply, kAccept, kAcceptEnc, kAcceptLang, kConnection,
  kConnectionReply, kHeader, kHeaderReply, kHeaderRaw, kHeaderRawReply, kHeaderNames,
  kHeaderNamesReply, kStart, kStartReply, kRequestHeader, kResponseHeader, kRequestBody,
  kResponseBody, kStatCode, kStatMsg, kResponseLine, kServer, kLocation, kStatus, kLength,
  kRedirect, kXff, kRangeRaw, kRangeStart, kRangeEnd, kRangeSize, kStatusString, kNumFields
};
enum Event : uint32_t {
  kMissingHost, kHeaderTooLong, kTooManyHeaders, kInvalidRequestLine, kInvalidResponseLine,
  kInvalidContentLength, kDuplicateContentLength, kInvalidChunkLength, kUnmatchedResponse,
  kDecompressionFailed, kDecompressionBomb, kRequestFieldMissingColon, kResponseFieldMissingColon,
  kTooManyRequests, kAmbiguousHost
};
enum Stage : uint32_t { kStarted, kLine, kHeaders, kBody, kTrailer, kComplete };

constexpr uint32_t kReq = SLUICE_DIR_TO_SERVER, kRes = SLUICE_DIR_TO_CLIENT;
#define ROW(keyword, aliases, modifiers, log, help, type, flags, dir, stage) \
  {keyword, aliases, modifiers, log, help, type, flags, dir, stage, nullptr, nullptr}
constexpr sluice_field kFields[] = {
    ROW("http.method", nullptr, "http_method pcre_M", "http_method", "request method", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kLine),
    ROW("http.uri", nullptr, "http_uri uricontent_field pcre_U urilen_norm", nullptr, "request target, normalised", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.uri.raw", nullptr, "http_raw_uri pcre_I urilen_raw", nullptr, "request target as sent", SLUICE_BYTES, 0, kReq, kLine),
    ROW(nullptr, nullptr, nullptr, "url", "request target as sent", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.request_line", "http_request_line", nullptr, nullptr, "the whole request line", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.protocol", "http_protocol", nullptr, "protocol", "version in the request line", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.protocol", nullptr, nullptr, nullptr, "version in the status line", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.host", nullptr, "http_host pcre_W", nullptr, "host name, lower case, no port", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kHeaders),
    ROW("http.host.raw", nullptr, "http_raw_host pcre_Z", nullptr, "host name as sent", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "hostname", "host name", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "http_port", "port of the Host header", SLUICE_UINT, 0, kReq, kHeaders),
    ROW("http.user_agent", nullptr, "http_user_agent pcre_V", "http_user_agent", "User-Agent", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kHeaders),
    ROW("http.referer", "http_referer", nullptr, "http_refer", "Referer", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.cookie", nullptr, "http_cookie pcre_C", nullptr, "Cookie", SLUICE_BYTES, SLUICE_SECRET, kReq, kHeaders),
    ROW("http.cookie", nullptr, nullptr, nullptr, "Set-Cookie", SLUICE_BYTES, SLUICE_SECRET, kRes, kHeaders),
    ROW("http.content_type", "http_content_type", nullptr, nullptr, "Content-Type of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.content_type", nullptr, nullptr, nullptr, "Content-Type of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "http_content_type", "Content-Type of the response without parameters", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.content_len", "http_content_len", nullptr, nullptr, "Content-Length of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.content_len", nullptr, nullptr, nullptr, "Content-Length of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.accept", "http_accept", nullptr, nullptr, "Accept", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.accept_enc", "http_accept_enc", nullptr, nullptr, "Accept-Encoding", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.accept_lang", "http_accept_lang", nullptr, nullptr, "Accept-Language", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.connection", "http_connection", nullptr, nullptr, "Connection of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.connection", nullptr, nullptr, nullptr, "Connection of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.header", nullptr, "http_header pcre_H", nullptr, "request headers, normalised, without cookies", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header", nullptr, nullptr, nullptr, "response headers, normalised, without cookies", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.header.raw", nullptr, "http_raw_header pcre_D", nullptr, "request headers as sent", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header.raw", nullptr, nullptr, nullptr, "response headers as sent", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.header_names", "http_header_names", nullptr, nullptr, "names of the request headers", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header_names", nullptr, nullptr, nullptr, "names of the response headers", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.start", "http_start", nullptr, nullptr, "request line and headers", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.start", nullptr, nullptr, nullptr, "status line and headers", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.request_header", nullptr, nullptr, nullptr, "each request header, name: value", SLUICE_BYTES, SLUICE_REPEATED, kReq, kHeaders),
    ROW("http.response_header", nullptr, nullptr, nullptr, "each response header, name: value", SLUICE_BYTES, SLUICE_REPEATED, kRes, kHeaders),
    ROW("http.request_body", nullptr, "http_client_body pcre_P", nullptr, "body of the request", SLUICE_CHUNKS, 0, kReq, kBody),
    ROW("http.response_body", nullptr, "http_server_body pcre_Q", nullptr, "body of the response, decoded", SLUICE_CHUNKS, 0, kRes, kBody),
    ROW("http.stat_code", nullptr, "http_stat_code pcre_S", nullptr, "status code", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.stat_msg", nullptr, "http_stat_msg pcre_Y", nullptr, "reason phrase", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.response_line", "http_response_line", nullptr, nullptr, "the whole status line", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.server", nullptr, nullptr, nullptr, "Server", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.location", nullptr, nullptr, nullptr, "Location", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "status", "status code", SLUICE_UINT, SLUICE_OUTCOME, kRes, kLine),
    ROW(nullptr, nullptr, nullptr, "length", "body bytes of the response", SLUICE_UINT, SLUICE_MEASURE, kRes, kComplete),
    ROW(nullptr, nullptr, nullptr, "redirect", "Location of a 3xx", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "xff", "X-Forwarded-For", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.raw", "Content-Range", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.start", "first byte", SLUICE_UINT, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.end", "last byte", SLUICE_UINT, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.size", "size of the whole", SLUICE_UINT, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "status_string", "status that is no number", SLUICE_BYTES, 0, kRes, kLine),
};
#undef ROW
static_assert(std::size(kFields) == kNumFields);

constexpr sluice_event kEvents[] = {
    {"missing_host_header", "an HTTP/1.1 request without Host"},
    {"request_field_too_long", "headers are longer than the limit"},
    {"request_too_many_headers", "more headers than the limit"},
    {"request_line_invalid", "not a request line"},
    {"response_line_invalid", "not a status line"},
    {"invalid_content_length_field_in_request", "Content-Length is no number"},
    {"duplicate_content_length_field_in_request", "Content-Lengths that differ"},
    {"invalid_request_chunk_len", "a chunk size that is no number"},
    {"unable_to_match_response_to_request", "a response without a request"},
    {"gzip_decompression_failed", "the body is not what Content-Encoding says"},
    {"compression_bomb", "the body grows beyond the limit when decoded"},
    {"request_field_missing_colon", "a request header without a colon"},
    {"response_field_missing_colon", "a response header without a colon"},
    {"too_many_requests", "more unanswered requests than the limit"},
    {"host_header_ambiguous", "Host headers that differ"},
};
constexpr const char* kRequestStages[] = {"request_started", "request_line",    "request_headers",
                                          "request_body",    "request_trailer", "request_complete"};
constexpr const char* kResponseStages[] = {"response_started", "response_line",    "response_headers",
                                           "response_body",    "response_trailer", "response_complete"};

bool SameName(View a, View b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? x | 32 : x) == y;
         });
}
bool ContainsToken(View value, View token) {
  for (size_t at = 0; at + token.size() <= value.size(); ++at) {
    if (SameName(value.substr(at, token.size()), token)) return true;
  }
  return false;
}
View Trim(View text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}
bool ToNumber(View text, uint64_t* out) {
  if (text.empty() || text.size() > 18) return false;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  *out = value;
  return true;
}

constexpr std::array<View, 16> kMethods = {"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ",
                                           "CONNECT ", "PATCH ", "TRACE ", "PROPFIND ", "SEARCH ",
                                           "REPORT ", "MKCOL ", "NOTIFY ", "SUBSCRIBE ", "M-SEARCH "};

// gzip or deflate of one body, with a cap on what comes out.
class Inflater {
 public:
  ~Inflater() { End(); }
  void Begin(bool gzip) {
    End();
    stream_ = {};
    // 47: zlib or gzip by its header; raw deflate as servers also send it is tried on failure.
    active_ = inflateInit2(&stream_, gzip ? 47 : 47) == Z_OK;
    out_total_ = in_total_ = 0;
    first_ = true;
  }
  void End() {
    if (active_) inflateEnd(&stream_);
    active_ = false;
  }
  bool active() const { return active_; }

  enum class Outcome { kOk, kBroken, kBomb };
  template <typename Sink>
  Outcome Feed(View in, Sink&& sink) {
    in_total_ += in.size();
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    while (stream_.avail_in > 0) {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_DATA_ERROR && first_) {  // deflate without the zlib header
        inflateEnd(&stream_);
        stream_ = {};
        if (inflateInit2(&stream_, -15) != Z_OK) {
          active_ = false;
          return Outcome::kBroken;
        }
        first_ = false;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
        stream_.avail_in = static_cast<uInt>(in.size());
        continue;
      }
      first_ = false;
      const size_t made = buffer_.size() - stream_.avail_out;
      out_total_ += made;
      if (made > 0) sink(View(buffer_.data(), made));
      if (out_total_ > kMaxInflated || out_total_ > (in_total_ + 64) * kMaxRatio) return Outcome::kBomb;
      if (status == Z_STREAM_END) return Outcome::kOk;
      if (status != Z_OK && status != Z_BUF_ERROR) return Outcome::kBroken;
      if (status == Z_BUF_ERROR && made == 0) break;
    }
    return Outcome::kOk;
  }

 private:
  z_stream stream_{};
  bool active_ = false, first_ = true;
  uint64_t out_total_ = 0, in_total_ = 0;
  std::array<char, 16384> buffer_;
};

enum class State : uint8_t {
  kStartLine, kHeaderLines, kBodyLength, kBodyClose, kChunkSize, kChunkData, kChunkEnd, kTrailers, kOpaque
};

// One direction's message in progress.
struct Side {
  State state = State::kStartLine;
  uint64_t tx = SLUICE_NO_TX;
  uint64_t left = 0;        // bytes of the body or chunk
  uint64_t body_bytes = 0;
  bool chunked = false, has_length = false, ignore_body = false;
  uint64_t length = 0;
  unsigned num_headers = 0;
  int64_t file = 0;
  bool body_open = false;
  Inflater* inflater = nullptr;
  std::string start, raw, headers, names, content_type, encoding, disposition, pending_line;

  void Reset() {
    state = State::kStartLine;
    tx = SLUICE_NO_TX;
    left = body_bytes = length = 0;
    chunked = has_length = ignore_body = body_open = false;
    num_headers = 0;
    file = 0;
    for (std::string* s : {&start, &raw, &headers, &names, &content_type, &encoding, &disposition, &pending_line}) s->clear();
  }
};

class Http {
 public:
  explicit Http(Flow) {}
  ~Http() { delete inflater_; }

  static int32_t Probe(const sluice_probe_input& input) {
    View head = sluice::ToView(input.head);
    while (!head.empty() && (head[0] == '\r' || head[0] == '\n')) head.remove_prefix(1);
    if (head.empty()) return SLUICE_PROBE_MAYBE;
    if (input.direction == SLUICE_TO_CLIENT) {
      constexpr View kReply = "HTTP/1.";
      if (head.starts_with(kReply)) return SLUICE_PROBE_YES;
      return kReply.starts_with(head) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
    }
    for (const View method : kMethods) {
      if (head.starts_with(method)) return SLUICE_PROBE_YES;
      if (method.starts_with(head)) return SLUICE_PROBE_MAYBE;
    }
    // Another word, a target, and the version at the end of the line.
    size_t word = 0;
    while (word < head.size() && ((head[word] >= 'A' && head[word] <= 'Z') || head[word] == '_' || head[word] == '-')) ++word;
    if (word == 0 || word > 32) return SLUICE_PROBE_NO;
    if (word == head.size()) return SLUICE_PROBE_MAYBE;
    if (head[word] != ' ') return SLUICE_PROBE_NO;
    const size_t end = head.find('\n');
    if (end == View::npos) return head.size() < 2048 ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
    return head.substr(0, end).find(" HTTP/1.") != View::npos ? SLUICE_PROBE_YES : SLUICE_PROBE_NO;
  }

  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    size_t used = 0;
    while (used < in.size()) {
      Side& side = side_[direction];
      const View rest = in.substr(used);
      switch (side.state) {
        case State::kOpaque: return sluice::Ok(in.size());
        case State::kBodyLength:
        case State::kChunkData: {
          const size_t n = static_cast<size_t>(std::min<uint64_t>(side.left, rest.size()));
          Body(flow, direction, rest.substr(0, n));
          side.left -= n;
          used += n;
          if (side.left == 0) {
            if (side.state == State::kChunkData) side.state = State::kChunkEnd;
            else Finish(flow, direction);
          }
          break;
        }
        case State::kBodyClose:
          Body(flow, direction, rest);
          used = in.size();
          break;
        default: {
          const size_t end = rest.find('\n');
          if (end == View::npos) {
            if (rest.size() > kMaxLine) {
              flow.Event(side.tx == SLUICE_NO_TX ? SLUICE_NO_TX : side.tx, kHeaderTooLong);
              return sluice::ParseError();
            }
            return sluice::More(used, rest.size() + 1);
          }
          if (!Line(flow, direction, rest.substr(0, end + 1))) return sluice::ParseError();
          used += end + 1;
          if (handed_over_) return sluice::Ok(used);
        }
      }
    }
    return sluice::Ok(used);
  }

  bool Gap(Flow flow, uint32_t direction, uint64_t bytes) {
    Side& side = side_[direction];
    // Within a body of known length the place of the next message is known.
    if (side.state == State::kBodyClose) return Lost(flow, direction);
    if ((side.state == State::kBodyLength || side.state == State::kChunkData) && bytes <= side.left) {
      Lost(flow, direction);
      side.left -= bytes;
      side.body_bytes += bytes;
      if (side.left == 0) {
        if (side.state == State::kChunkData) side.state = State::kChunkEnd;
        else Finish(flow, direction);
      }
      return true;
    }
    return false;
  }

  void End(Flow flow, uint32_t direction, View) {
    Side& side = side_[direction];
    if (side.tx == SLUICE_NO_TX || side.state == State::kStartLine || side.state == State::kOpaque) return;
    if (side.state == State::kBodyClose) {
      Finish(flow, direction);
      return;
    }
    if (side.file > 0) flow.FileClose(side.file, SLUICE_FILE_TRUNCATED);
    side.file = 0;
    if (direction == SLUICE_TO_CLIENT) flow.SetUint(side.tx, kLength, side.body_bytes);
    CloseBody(flow, direction);
  }

 private:
  // A file with a hole is not the file any more.
  bool Lost(Flow flow, uint32_t direction) {
    Side& side = side_[direction];
    if (side.file > 0) flow.FileClose(side.file, SLUICE_FILE_TRUNCATED);
    side.file = 0;
    if (direction == SLUICE_TO_CLIENT && inflater_ != nullptr) inflater_->End();
    return true;
  }

  // One line with its end; false: not HTTP any more.
  bool Line(Flow flow, uint32_t direction, View line) {
    Side& side = side_[direction];
    View text = line.substr(0, line.size() - 1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    switch (side.state) {
      case State::kStartLine:
        if (text.empty()) return true;  // RFC 9112 §2.2: empty lines before are ignored
        return direction == SLUICE_TO_SERVER ? RequestLine(flow, text, line) : StatusLine(flow, text, line);
      case State::kHeaderLines: return HeaderLine(flow, direction, text, line);
      case State::kChunkSize: return ChunkSize(flow, direction, text);
      case State::kChunkEnd:
        side.state = State::kChunkSize;
        return text.empty() || ChunkSize(flow, direction, text);
      case State::kTrailers:
        if (text.empty()) Finish(flow, direction);
        return true;
      default: return true;
    }
  }

  bool RequestLine(Flow flow, View text, View line) {
    Side& side = side_[SLUICE_TO_SERVER];
    if (next_request_ - next_response_ >= kMaxOpen) {
      flow.Event(SLUICE_NO_TX, kTooManyRequests);
      return false;
    }
    side.Reset();
    side.tx = TxOf(flow, next_request_++);
    const size_t first = text.find_first_of(" \t");
    const View method = text.substr(0, first);
    View target = first == View::npos ? View() : Trim(text.substr(first));
    View protocol;
    if (const size_t last = target.find_last_of(" \t"); last != View::npos && target.substr(last + 1).starts_with("HTTP/")) {
      protocol = target.substr(last + 1);
      target = Trim(target.substr(0, last));
    }
    if (protocol.empty()) flow.Event(side.tx, kInvalidRequestLine);
    flow.Set(side.tx, kMethod, method);
    flow.Set(side.tx, kUriRaw, target);
    flow.Set(side.tx, kUrl, target);
    http::NormaliseUri(target, &scratch_);
    flow.Set(side.tx, kUri, scratch_);
    if (!protocol.empty()) flow.Set(side.tx, kProtocol, protocol);
    flow.Set(side.tx, kRequestLine, text);
    Remember(method, scratch_);
    http11_ = protocol == "HTTP/1.1";
    host_.clear();
    side.start.assign(line);
    side.state = State::kHeaderLines;
    flow.Stage(side.tx, SLUICE_TO_SERVER, kLine);
    if (protocol.empty() && method == "GET") {  // HTTP/0.9: a line, and that is all
      Finish(flow, SLUICE_TO_SERVER);
    }
    return true;
  }

  bool StatusLine(Flow flow, View text, View line) {
    Side& side = side_[SLUICE_TO_CLIENT];
    if (!text.starts_with("HTTP/")) {
      if (next_response_ == 0) flow.Event(SLUICE_NO_TX, kInvalidResponseLine);
      return false;
    }
    side.Reset();
    const bool matched = next_response_ < next_request_;
    side.tx = TxOf(flow, next_response_++);
    if (!matched) {
      next_request_ = next_response_;
      Remember("", "/request_not_seen");
      flow.Event(side.tx, kUnmatchedResponse);
    }
    const size_t blank = text.find(' ');
    const View rest = blank == View::npos ? View() : Trim(text.substr(blank));
    const View code = rest.substr(0, rest.find(' '));
    const View message = code.size() < rest.size() ? Trim(rest.substr(code.size())) : View();
    flow.Set(side.tx, kProtocolReply, text.substr(0, blank));
    flow.Set(side.tx, kStatCode, code);
    flow.Set(side.tx, kStatMsg, message);
    flow.Set(side.tx, kResponseLine, text);
    status_ = 0;
    if (ToNumber(code, &status_) && status_ >= 100 && status_ <= 999) flow.SetUint(side.tx, kStatus, status_);
    else flow.Set(side.tx, kStatusString, code);
    side.start.assign(line);
    side.state = State::kHeaderLines;
    flow.Stage(side.tx, SLUICE_TO_CLIENT, kLine);
    return true;
  }

  bool HeaderLine(Flow flow, uint32_t direction, View text, View line) {
    Side& side = side_[direction];
    if (side.raw.size() + line.size() > kMaxHeaderBytes) {
      flow.Event(side.tx, kHeaderTooLong);
      return false;
    }
    side.raw.append(line);
    if (!text.empty() && (text[0] == ' ' || text[0] == '\t') && !side.pending_line.empty()) {
      side.pending_line += ' ';  // obsolete folding, RFC 9112 §5.2
      side.pending_line += Trim(text);
      return true;
    }
    if (!side.pending_line.empty()) {
      Header(flow, direction, side.pending_line);
      side.pending_line.clear();
    }
    if (text.empty()) {
      EndOfHeaders(flow, direction);
      return true;
    }
    if (++side.num_headers > kMaxHeaders) {
      flow.Event(side.tx, kTooManyHeaders);
      return false;
    }
    side.pending_line.assign(text);
    return true;
  }

  void Header(Flow flow, uint32_t direction, View text) {
    Side& side = side_[direction];
    const bool request = direction == SLUICE_TO_SERVER;
    const size_t colon = text.find(':');
    if (colon == View::npos) {
      flow.Event(side.tx, request ? kRequestFieldMissingColon : kResponseFieldMissingColon);
    }
    const View name = Trim(text.substr(0, colon));
    const View value = colon == View::npos ? View() : Trim(text.substr(colon + 1));
    side.names += side.names.empty() ? "\r\n" : "";
    side.names.append(name).append("\r\n");
    const bool cookie = SameName(name, request ? View("cookie") : View("set-cookie"));
    if (!cookie) side.headers.append(name).append(": ").append(value).append("\r\n");
    if (const uint32_t repeated = request ? kRequestHeader : kResponseHeader; flow.Wanted(repeated)) {
      scratch_.assign(name).append(": ").append(value);
      flow.Set(side.tx, repeated, scratch_);
    }
    if (cookie) flow.Set(side.tx, request ? kCookie : kSetCookie, value);
    else if (SameName(name, "content-length")) Length(flow, direction, value);
    else if (SameName(name, "transfer-encoding")) side.chunked = ContainsToken(value, "chunked");
    else if (SameName(name, "content-type")) {
      side.content_type = value;
      flow.Set(side.tx, request ? kContentType : kContentTypeReply, value);
      if (!request) flow.Set(side.tx, kContentTypeLog, Trim(value.substr(0, value.find(';'))));
    } else if (SameName(name, "content-encoding")) side.encoding = value;
    else if (SameName(name, "content-disposition")) side.disposition = value;
    else if (SameName(name, "connection")) flow.Set(side.tx, request ? kConnection : kConnectionReply, value);
    else if (request) RequestHeader(flow, side.tx, name, value);
    else ResponseHeader(flow, side.tx, name, value);
  }

  void RequestHeader(Flow flow, uint64_t tx, View name, View value) {
    if (SameName(name, "host")) {
      if (!host_.empty()) {
        if (host_ != value) flow.Event(tx, kAmbiguousHost);
        return;
      }
      host_ = value;
      flow.Set(tx, kHostRaw, value);
      http::NormaliseHost(value, &scratch_);
      flow.Set(tx, kHost, scratch_);
      flow.Set(tx, kHostLog, View(scratch_));
      uint64_t port = 0;
      const size_t colon = value.rfind(':');
      if (colon != View::npos && value.find(']', colon) == View::npos && ToNumber(value.substr(colon + 1), &port) && port <= 65535) {
        flow.SetUint(tx, kPort, port);
      }
    } else if (SameName(name, "user-agent")) flow.Set(tx, kUserAgent, value);
    else if (SameName(name, "referer")) flow.Set(tx, kReferer, value);
    else if (SameName(name, "accept")) flow.Set(tx, kAccept, value);
    else if (SameName(name, "accept-encoding")) flow.Set(tx, kAcceptEnc, value);
    else if (SameName(name, "accept-language")) flow.Set(tx, kAcceptLang, value);
    else if (SameName(name, "x-forwarded-for")) flow.Set(tx, kXff, value);
  }

  void ResponseHeader(Flow flow, uint64_t tx, View name, View value) {
    if (SameName(name, "server")) flow.Set(tx, kServer, value);
    else if (SameName(name, "location")) {
      flow.Set(tx, kLocation, value);
      if (status_ >= 300 && status_ < 400) flow.Set(tx, kRedirect, value);
    } else if (SameName(name, "content-range")) {
      flow.Set(tx, kRangeRaw, value);
      const size_t blank = value.find(' '), dash = value.find('-'), slash = value.find('/');
      uint64_t number = 0;
      if (blank == View::npos || slash == View::npos) return;
      if (dash != View::npos && dash < slash) {
        if (ToNumber(value.substr(blank + 1, dash - blank - 1), &number)) flow.SetUint(tx, kRangeStart, number);
        if (ToNumber(value.substr(dash + 1, slash - dash - 1), &number)) flow.SetUint(tx, kRangeEnd, number);
      }
      if (ToNumber(value.substr(slash + 1), &number)) flow.SetUint(tx, kRangeSize, number);
    }
  }

  void Length(Flow flow, uint32_t direction, View value) {
    Side& side = side_[direction];
    flow.Set(side.tx, direction == SLUICE_TO_SERVER ? kContentLen : kContentLenReply, value);
    uint64_t length = 0;
    if (!ToNumber(value, &length)) {
      flow.Event(side.tx, kInvalidContentLength);
      return;
    }
    if (side.has_length && side.length != length) flow.Event(side.tx, kDuplicateContentLength);
    if (!side.has_length) side.length = length;
    side.has_length = true;
  }

  void EndOfHeaders(Flow flow, uint32_t direction) {
    Side& side = side_[direction];
    const bool request = direction == SLUICE_TO_SERVER;
    side.names += side.names.empty() ? "\r\n\r\n" : "\r\n";
    flow.Set(side.tx, request ? kHeaderNames : kHeaderNamesReply, side.names);
    flow.Set(side.tx, request ? kHeader : kHeaderReply, side.headers);
    flow.Set(side.tx, request ? kHeaderRaw : kHeaderRawReply, side.raw);
    side.start += side.raw;
    flow.Set(side.tx, request ? kStart : kStartReply, side.start);
    if (request && http11_ && host_.empty()) flow.Event(side.tx, kMissingHost);
    if (!request && status_ >= 100 && status_ < 200 && status_ != 101) {  // an interim response
      const uint64_t tx = next_response_ - 1;
      next_response_ = tx;
      side.state = State::kStartLine;
      return;
    }
    flow.Stage(side.tx, direction, kHeaders);
    request ? StartRequestBody(flow) : StartResponseBody(flow);
  }

  void StartRequestBody(Flow flow) {
    Side& side = side_[SLUICE_TO_SERVER];
    if (method_of(next_request_ - 1) == "CONNECT") {
      side.state = State::kOpaque;  // until the answer says what follows
      flow.Stage(side.tx, SLUICE_TO_SERVER, kComplete);
      return;
    }
    if (side.chunked) side.state = State::kChunkSize;
    else if (side.has_length && side.length > 0) side.state = State::kBodyLength, side.left = side.length;
    else Finish(flow, SLUICE_TO_SERVER);
  }

  void StartResponseBody(Flow flow) {
    Side& side = side_[SLUICE_TO_CLIENT];
    const View method = method_of(next_response_ - 1);
    const bool tunnel = method == "CONNECT" && status_ >= 200 && status_ < 300;
    if (status_ == 101 || tunnel) {
      Finish(flow, SLUICE_TO_CLIENT);
      handed_over_ = true;
      flow.Handover("");
      return;
    }
    if (method == "CONNECT") side_[SLUICE_TO_SERVER].state = State::kStartLine;
    if (!side.encoding.empty() && (ContainsToken(side.encoding, "gzip") || ContainsToken(side.encoding, "deflate"))) {
      if (inflater_ == nullptr) inflater_ = new Inflater;
      inflater_->Begin(true);
    } else if (inflater_ != nullptr) {
      inflater_->End();
    }
    // RFC 9112 §6.3: which responses have no body.
    if (method == "HEAD" || status_ == 204 || status_ == 304) Finish(flow, SLUICE_TO_CLIENT);
    else if (side.chunked) side.state = State::kChunkSize;
    else if (side.has_length && side.length == 0) Finish(flow, SLUICE_TO_CLIENT);
    else if (side.has_length) side.state = State::kBodyLength, side.left = side.length;
    else side.state = State::kBodyClose;
  }

  bool ChunkSize(Flow flow, uint32_t direction, View text) {
    Side& side = side_[direction];
    text = Trim(text.substr(0, text.find(';')));
    uint64_t size = 0;
    bool good = !text.empty() && text.size() <= 12;
    for (const char c : text) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
      good = good && digit >= 0;
      size = size * 16 + static_cast<uint64_t>(std::max(digit, 0));
    }
    if (!good) {
      flow.Event(side.tx, kInvalidChunkLength);
      return false;
    }
    side.left = size;
    side.state = size == 0 ? State::kTrailers : State::kChunkData;
    return true;
  }

  void Body(Flow flow, uint32_t direction, View bytes) {
    Side& side = side_[direction];
    if (bytes.empty()) return;
    if (!side.body_open) OpenBody(flow, direction);
    side.body_bytes += bytes.size();
    if (direction == SLUICE_TO_SERVER || inflater_ == nullptr || !inflater_->active()) {
      return Deliver(flow, direction, bytes);
    }
    const auto outcome = inflater_->Feed(bytes, [&](View piece) { Deliver(flow, direction, piece); });
    if (outcome == Inflater::Outcome::kOk) return;
    flow.Event(side.tx, outcome == Inflater::Outcome::kBomb ? kDecompressionBomb : kDecompressionFailed);
    inflater_->End();
    side.ignore_body = true;  // what follows is noise
  }

  void Deliver(Flow flow, uint32_t direction, View bytes) {
    Side& side = side_[direction];
    if (side.ignore_body) return;
    flow.Chunk(side.tx, direction == SLUICE_TO_SERVER ? kRequestBody : kResponseBody, bytes);
    if (side.file > 0) flow.FileData(side.file, bytes);
  }

  void OpenBody(Flow flow, uint32_t direction) {
    Side& side = side_[direction];
    side.body_open = true;
    flow.Stage(side.tx, direction, kBody);
    // The name: from Content-Disposition, else the path of the target.
    View name;
    if (const size_t at = side.disposition.find("filename="); at != std::string::npos) {
      name = View(side.disposition).substr(at + 9);
      if (name.starts_with('"')) name = name.substr(1, name.find('"', 1) - 1);
      else name = Trim(name.substr(0, name.find(';')));
    } else {
      const View uri = uri_of(direction == SLUICE_TO_SERVER ? next_request_ - 1 : next_response_ - 1);
      name = uri.substr(0, uri.find('?'));
    }
    side.file = flow.FileOpen(side.tx, direction, name);
  }

  void CloseBody(Flow flow, uint32_t direction) {
    Side& side = side_[direction];
    if (side.body_open && !side.ignore_body) {
      flow.Chunk(side.tx, direction == SLUICE_TO_SERVER ? kRequestBody : kResponseBody, View(), true);
    }
    side.body_open = false;
  }

  void Finish(Flow flow, uint32_t direction) {
    Side& side = side_[direction];
    if (direction == SLUICE_TO_CLIENT) flow.SetUint(side.tx, kLength, side.body_bytes);
    CloseBody(flow, direction);
    if (side.file > 0) flow.FileClose(side.file, SLUICE_FILE_COMPLETE);
    side.file = 0;
    flow.Stage(side.tx, direction, kComplete);
    side.state = State::kStartLine;
  }

  // The n-th exchange's transaction; requests and responses both may come first.
  uint64_t TxOf(Flow flow, uint64_t exchange) {
    while (next_tx_ <= exchange) {
      const uint64_t tx = flow.Begin();
      first_tx_ = next_tx_ == 0 ? tx : first_tx_;
      ++next_tx_;
    }
    return first_tx_ + exchange;
  }

  // What a response must know of its request, for the last few exchanges.
  struct Request {
    std::string method, uri;
  };
  void Remember(View method, View uri) {
    Request& request = requests_[(next_request_ - 1) % requests_.size()];
    request.method = method;
    request.uri = uri;
  }
  View method_of(uint64_t exchange) const { return requests_[exchange % requests_.size()].method; }
  View uri_of(uint64_t exchange) const { return requests_[exchange % requests_.size()].uri; }

  Side side_[2];
  std::array<Request, 16> requests_;
  uint64_t next_request_ = 0, next_response_ = 0, next_tx_ = 0, first_tx_ = 0;
  uint64_t status_ = 0;
  bool http11_ = false, handed_over_ = false;
  Inflater* inflater_ = nullptr;  // made for the first encoded body
  std::string host_, scratch_;
};

constexpr sluice_plugin Plugin() {
  sluice_plugin plugin = sluice::MakePlugin<Http>("http", "Hypertext Transfer Protocol 1.0 and 1.1");
  plugin.version = "1.0";
  plugin.aliases = "http1";
  plugin.ports = "tcp/80 tcp/8080";
  plugin.fields = kFields;
  plugin.num_fields = std::size(kFields);
  plugin.events = kEvents;
  plugin.num_events = std::size(kEvents);
  plugin.stages[0] = kRequestStages;
  plugin.num_stages[0] = std::size(kRequestStages);
  plugin.stages[1] = kResponseStages;
  plugin.num_stages[1] = std::size(kResponseStages);
  return plugin;
}

}  // namespace

extern "C" const sluice_plugin sluice_plugin_v1 = Plugin();
