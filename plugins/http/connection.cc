// SPDX-License-Identifier: Apache-2.0
#include "connection.h"

#include <algorithm>

#include "framing.h"

namespace http {

using sluice::Flow;
using sluice::ParseResult;

namespace {

constexpr uint32_t kBodyField[2] = {kRequestBody, kResponseBody};

// The line at the front with its end: to LF, in responses also to a lone CR.
// 0: not there yet, or a CR that may be the first half of an end.
size_t LineLength(View in, bool request, bool last) {
  const size_t end = request ? in.find('\n') : FindLineBreak(in);
  if (end == View::npos) return last ? in.size() : 0;
  if (in[end] == '\n') return end + 1;
  if (end + 1 == in.size()) return last ? in.size() : 0;
  return in[end + 1] == '\n' ? end + 2 : end + 1;
}

}  // namespace

Limits Connection::limits_;

Connection::Connection(Flow flow) : server_port_(flow.Info().port[1]) {}

void Connection::Restart(Flow flow) {
  for (Message& side : side_) side.Restart();
  stray_tx_[0] = stray_tx_[1] = SLUICE_NO_TX;
  exchanges_.Restart();
  next_request_ = next_response_ = 0;
  handed_over_ = too_many_ = false;
  num_events_ = 0;
  server_port_ = flow.Info().port[1];
}

// -------------------------------------------------------------------- input

ParseResult Connection::Parse(Flow flow, uint32_t d, View in) {
  size_t used = 0;
  while (used < in.size()) {
    if (side_[d].state == State::kWait) return sluice::Ok(used);
    const uint64_t before = side_[d].tx;
    const bool within = side_[d].state != State::kStartLine;
    const size_t step = Step(flow, d, in.substr(used), false);
    if (step == kError) return sluice::ParseError();
    if (step == kMore) return sluice::More(used, in.size() - used + 1);
    if (within || side_[d].tx != before) Frame(flow, d, in.substr(used, step));
    used += step;
    if (handed_over_) return sluice::Ok(used);
  }
  return sluice::Ok(used);
}

// Bytes of a message as they were sent; the last ones, if it is over.
void Connection::Frame(Flow flow, uint32_t d, View bytes) {
  const uint32_t field = d == SLUICE_TO_SERVER ? kRequestFrame : kResponseFrame;
  if (flow.Wanted(field)) flow.Chunk(side_[d].tx, field, bytes, side_[d].state == State::kStartLine);
}

void Connection::End(Flow flow, uint32_t d, View rest) {
  Message& side = side_[d];
  const bool line_cut = d == SLUICE_TO_SERVER && side.state == State::kStartLine && !rest.empty();
  while (!rest.empty() && !handed_over_ && side.state != State::kWait) {
    const size_t step = Step(flow, d, rest, true);
    if (step == kError || step == kMore) break;
    rest.remove_prefix(step);
  }
  CloseUnexpected(flow, d);
  if (line_cut && side.state == State::kHeaders) To(flow, side.tx).Event(kEventLineIncomplete);
  if (side.tx == SLUICE_NO_TX || side.state == State::kStartLine || side.state == State::kWait) return;
  if (side.state != State::kHeaders) return Finish(flow, d);  // all of it that there will be
  EmitHeaders(flow, d);
  if (d == SLUICE_TO_CLIENT) EmitStatus(flow);
  CloseBody(flow, d, false);
}

size_t Connection::Step(Flow flow, uint32_t d, View in, bool last) {
  Message& side = side_[d];
  switch (side.state) {
    case State::kStartLine:
    case State::kBareBody:
    case State::kTail: return StartLine(flow, d, in, last);
    case State::kHeaders:
    case State::kTrailers: return Headers(flow, d, in, last);
    case State::kChunkSize:
    case State::kChunkEnd: return Chunks(flow, d, in, last);
    case State::kBodyClose: side.wire_bytes += in.size(); Body(flow, d, in); return in.size();
    case State::kBodyLength:
    case State::kChunkData: break;
    case State::kWait: return in.size();
  }
  const auto n = static_cast<size_t>(std::min<uint64_t>(side.left, in.size()));
  side.left -= n;
  side.wire_bytes += n;
  Body(flow, d, in.substr(0, n));
  if (side.left == 0) EndOfPiece(flow, d);
  return n;
}

// All bytes of a chunk or of a body of known length are there.
void Connection::EndOfPiece(Flow flow, uint32_t d) {
  Message& side = side_[d];
  if (side.state == State::kChunkData) side.state = State::kChunkEnd;
  else if (side.length_in_doubt) side.state = State::kTail;
  else Finish(flow, d);
}

bool Connection::Gap(Flow flow, uint32_t d, uint64_t bytes) {
  Message& side = side_[d];
  if (side.state == State::kBodyClose) {
    Lost(flow, d, bytes);
    return true;
  }
  // Between messages the next may follow.  With one question open the answer behind the gap is taken for
  // its, for nobody has asked again; with several, whose is lost nobody knows.
  const uint64_t most_open = d == SLUICE_TO_CLIENT ? 1 : 0;
  if (side.state == State::kStartLine && next_response_ + most_open >= next_request_) {
    side.behind_gap = true;
    return true;
  }
  // Within a body of known length the place of the next message is known.
  if (side.state != State::kBodyLength && side.state != State::kChunkData) {
    if (side.state != State::kStartLine) StopInHeaders(flow, d);
    return false;
  }
  const uint64_t lost = std::min(bytes, side.left);
  Lost(flow, d, lost);
  side.left -= lost;
  if (side.left > 0) return true;
  if (lost == bytes || side.state == State::kBodyLength) EndOfPiece(flow, d);
  else CloseBody(flow, d, false);
  Frame(flow, d, View());
  return lost == bytes;  // else the start of what follows is lost
}

// Bytes of a body are lost.  Nothing can be decoded behind them, nor parts told apart.
void Connection::Lost(Flow flow, uint32_t d, uint64_t bytes) {
  Message& side = side_[d];
  if (!side.body_open) OpenBody(flow, d);
  side.wire_bytes += bytes;
  if (d == SLUICE_TO_CLIENT) flow.SetUint(side.tx, kLength, side.wire_bytes);
  const bool coded = side.decoder != nullptr && side.decoder->active();
  if (coded) side.decoder->End();
  side.drop_rest |= coded;
  const bool whole = !coded && !side.multipart.active();  // the file is the body
  if (side.file > 0) flow.FileGap(side.file, whole ? bytes : 0);
  if (!whole) CloseFile(flow, d, false);
  side.multipart = {};
}

size_t Connection::TooLong(Flow flow, uint32_t d) {
  To(flow, side_[d].tx).Event(d == SLUICE_TO_SERVER ? kEventRequestTooLong : kEventResponseTooLong);
  return StopInHeaders(flow, d);
}

// -------------------------------------------------------------- start lines

size_t Connection::StartLine(Flow flow, uint32_t d, View in, bool last) {
  const bool request = d == SLUICE_TO_SERVER;
  Message& side = side_[d];
  size_t length = LineLength(in, request, last);
  if (length == 0 && in.size() <= limits_.line_bytes) return kMore;
  const bool cut = length == 0 || length > limits_.line_bytes;
  if (cut) length = static_cast<size_t>(limits_.line_bytes);
  const View line = in.substr(0, length);
  if (side.behind_gap && !(request ? IsRequestLine(line) : IsStatusLine(line))) return kError;
  side.behind_gap = false;
  const bool fresh = !side.skip_line_rest && side.state == State::kStartLine;
  const bool start = request ? next_request_ == 0 || LooksLikeRequest(line) : LooksLikeResponse(line);
  if (!side.skip_line_rest && start) {
    if (cut) return TooLong(flow, d);
    if (IsEmptyLine(line)) return length;
    CloseUnexpected(flow, d);
    if (request) {
      StartRequest(flow, line);
    } else {
      StartResponse(flow, line);
    }
    return length;
  }
  if (fresh && IsEmptyLine(line)) return length;
  side.skip_line_rest = cut;
  return Bare(flow, d, line, in.substr(length), last);
}

// A line that starts no message.
size_t Connection::Bare(Flow flow, uint32_t d, View line, View behind, bool last) {
  Message& side = side_[d];
  const bool between = side.state == State::kStartLine;
  if (between && (d == SLUICE_TO_SERVER || next_response_ >= next_request_)) {
    Unexpected(flow, d, line);
    return line.size();
  }
  if (between) {  // in place of a response: browsers show it, but skip it before a status line
    if (behind.empty() && !last) return kMore;
    if ((!behind.empty() && behind[0] == 'H') || Chomp(line).size() <= 2) return line.size();
    EnsureResponse(flow);
    side.state = State::kBareBody;
  }
  side.wire_bytes += line.size();
  Body(flow, d, line);
  return line.size();
}

void Connection::StartRequest(Flow flow, View line) {
  Message& side = side_[SLUICE_TO_SERVER];
  if (next_request_ - next_response_ >= limits_.open_exchanges) {
    if (!too_many_) flow.Event(SLUICE_NO_TX, kEventTooManyRequests);
    too_many_ = true;
    ++next_response_;  // the oldest will not be answered any more
  }
  Exchange& exchange = exchanges_.Start(next_request_, next_response_ == 0 ? 0 : next_response_ - 1);
  ++next_request_;
  exchange.tx = flow.Begin();
  side.Begin(exchange.tx);
  side.line.assign(Chomp(line));
  const RequestLine parsed = ParseRequestLine(side.line);
  const Target target = SplitTarget(parsed.target, parsed.known == Method::kConnect);
  exchange.method = parsed.known;
  NormalisePath(target.path, limits_.normalise, &exchange.path);
  side.version = parsed.version;
  flow.SetUint(side.tx, kLength, 0);  // until there is a body
  EmitRequestLine(To(flow, side.tx), side.line, parsed, target, limits_.normalise);
  flow.Stage(side.tx, SLUICE_TO_SERVER, kLine);
}

// The exchange of the next response, if need be one whose request was not seen.
void Connection::EnsureResponse(Flow flow) {
  Message& side = side_[SLUICE_TO_CLIENT];
  if (next_response_ == next_request_) {
    Exchange& exchange = exchanges_.Start(next_request_++, next_response_);
    exchange.tx = flow.Begin();
    exchange.path.assign("/libhtp::request_uri_not_seen");  // the name that consumers know
    flow.Set(exchange.tx, kUrl, exchange.path);
    To(flow, exchange.tx).Event(kEventUnmatchedResponse);
    flow.Stage(exchange.tx, SLUICE_TO_SERVER, kComplete);
  }
  side.Begin(exchanges_.at(next_response_++).tx);
}

void Connection::StartResponse(Flow flow, View line) {
  Message& side = side_[SLUICE_TO_CLIENT];
  if (side.state == State::kTail) Finish(flow, SLUICE_TO_CLIENT);
  if (side.state != State::kBareBody) EnsureResponse(flow);
  side.state = State::kHeaders;
  side.line.assign(Chomp(line));
  const StatusLine parsed = ParseStatusLine(side.line);
  side.version = parsed.version;
  side.status = parsed.status;
  // An interim response is not the answer; it counts only if nothing follows it.
  if (side.status < 100 || side.status >= 200) EmitStatus(flow);
}

void Connection::EmitStatus(Flow flow) {
  Message& side = side_[SLUICE_TO_CLIENT];
  EmitStatusLine(To(flow, side.tx), side.line, ParseStatusLine(side.line));
  Reach(flow, SLUICE_TO_CLIENT, kLine);
}

// A response whose body began before its status line is past these stages.
void Connection::Reach(Flow flow, uint32_t d, uint32_t stage) {
  if (!side_[d].body_open) flow.Stage(side_[d].tx, d, stage);
}

// ------------------------------------------------------------------ headers

size_t Connection::Headers(Flow flow, uint32_t d, View in, bool last) {
  Message& side = side_[d];
  const HeaderResult result = side.parser.Next(in, d == SLUICE_TO_CLIENT, last, &side.name, &side.value);
  if (result.step == HeaderStep::kMore) return in.size() > limits_.line_bytes ? TooLong(flow, d) : kMore;
  side.header_bytes += result.used;
  if (result.used > limits_.line_bytes || side.header_bytes > limits_.header_bytes) return TooLong(flow, d);
  side.raw.append(in.substr(0, result.used));
  if (result.step == HeaderStep::kBlank) return result.used;
  if (result.step == HeaderStep::kHeader) {
    return AddHeader(flow, d, result.flags) ? result.used : StopInHeaders(flow, d);
  }
  if (side.state == State::kTrailers) Finish(flow, d);
  else EndOfHeaders(flow, d);
  return result.used;
}

// False at the limit of headers.
bool Connection::AddHeader(Flow flow, uint32_t d, uint32_t flags) {
  Message& side = side_[d];
  const bool request = d == SLUICE_TO_SERVER;
  const Emitter to = To(flow, side.tx);
  EmitHeaderFlags(to, d, flags & ~side.flags_seen);
  side.flags_seen |= flags;
  switch (side.headers.Add(side.name, side.value, flags, limits_.headers)) {
    case HeaderTable::Added::kTooMany:
      to.Event(request ? kEventRequestManyHeaders : kEventResponseManyHeaders);
      return false;
    case HeaderTable::Added::kNew: return true;
    case HeaderTable::Added::kSecond:
    case HeaderTable::Added::kFurther: break;
  }
  if (!side.repetition_seen) to.Event(request ? kEventRequestRepetition : kEventResponseRepetition);
  side.repetition_seen = true;
  if (!SameName(side.name, "content-length")) return true;
  uint64_t first = 0, second = 0;
  const bool same = ContentLength(side.headers.Value("content-length"), &first) &&
                    ContentLength(side.value, &second) && first == second;
  side.lengths_differ |= !same;
  if (!same) to.Event(request ? kEventRequestTwoLengths : kEventResponseTwoLengths);
  return true;
}

void Connection::EndOfHeaders(Flow flow, uint32_t d) {
  Message& side = side_[d];
  const Emitter to = To(flow, side.tx);
  if (d == SLUICE_TO_CLIENT && Interim(flow)) return;
  EmitHeaders(flow, d);
  if (d == SLUICE_TO_SERVER) {
    const RequestLine line = ParseRequestLine(side.line);
    KeepResource(SplitTarget(line.target, line.known == Method::kConnect));
    if (line.protocol.empty() && !side.headers.all().empty()) to.Event(kEventLineNoProtocol);
    Reach(flow, d, kHeaders);
    StartRequestBody(flow);
  } else {
    Reach(flow, d, kHeaders);
    StartResponseBody(flow);
  }
}

void Connection::EmitHeaders(Flow flow, uint32_t d) {
  Message& side = side_[d];
  const Emitter to = To(flow, side.tx);
  EmitHeaderBuffers(to, d, side.headers, side.line, side.raw);
  if (d == SLUICE_TO_SERVER) {
    const RequestLine line = ParseRequestLine(side.line);
    const Target target = SplitTarget(line.target, line.known == Method::kConnect);
    EmitRequestHeaders(to, side.headers, target, side.version, server_port_);
  } else {
    EmitResponseHeaders(to, side.headers, side.status);
  }
  EmitEachHeader(to, d, side.headers);
}

// A header past a limit does not hide those before it.
size_t Connection::StopInHeaders(Flow flow, uint32_t d) {
  if (side_[d].state == State::kHeaders) EmitHeaders(flow, d);
  CloseBody(flow, d, false);
  return kError;
}

// 1xx but 101 without a body: the real response follows (RFC 9110 §15.2).
bool Connection::Interim(Flow flow) {
  Message& side = side_[SLUICE_TO_CLIENT];
  if (side.status < 100 || side.status >= 200) return false;
  uint64_t length = 0;
  const bool body = side.headers.Find("transfer-encoding") != nullptr ||
                    (ContentLength(side.headers.Value("content-length"), &length) && length > 0);
  if (side.status == 101 || body) {
    EmitStatus(flow);
    return false;
  }
  Exchange& exchange = ResponseExchange();
  if (side.status == 100 && exchange.seen_continue) To(flow, side.tx).Event(kEventContinueTwice);
  exchange.seen_continue |= side.status == 100;
  --next_response_;
  side.state = State::kStartLine;
  return true;
}

// ------------------------------------------------------------------- bodies

void Connection::PlanDecoder(Flow flow, uint32_t d) {
  Message& side = side_[d];
  if (side.decoder != nullptr) side.decoder->End();
  const View header = side.headers.Value("content-encoding");
  if (header.empty()) return;
  const CodingPlan plan = PlanCodings(header, limits_.coding);
  if (plan.abnormal) To(flow, side.tx).Event(kEventAbnormalCoding);
  if (plan.too_many) To(flow, side.tx).Event(kEventTooManyLayers);
  if (plan.count == 0) return;
  if (side.decoder == nullptr) side.decoder = std::make_unique<ContentDecoder>();
  side.decoder->Begin(plan, limits_.coding);
}

void Connection::StartRequestBody(Flow flow) {
  Message& side = side_[SLUICE_TO_SERVER];
  const Emitter to = To(flow, side.tx);
  Exchange& exchange = RequestExchange();
  if (exchange.method == Method::kConnect) {
    side.state = State::kWait;
    flow.Stage(side.tx, SLUICE_TO_SERVER, kComplete);
    return;
  }
  exchange.expects_continue = ContainsNoCase(side.headers.Value("expect"), "100-continue");
  PlanDecoder(flow, SLUICE_TO_SERVER);
  if (const Header* coding = side.headers.Find("transfer-encoding"); coding != nullptr) {
    if (ContainsNoCase(coding->value, "chunked")) {
      side.state = State::kChunkSize;
      return;
    }
    to.Event(kEventRequestTransferCoding);
  }
  const Header* length = side.headers.Find("content-length");
  if (length != nullptr && !ContentLength(length->value, &side.left)) {
    to.Event(kEventRequestContentLength);
    side.left = 0;
  }
  if (side.left > 0) side.state = State::kBodyLength;
  else Finish(flow, SLUICE_TO_SERVER);
}

// RFC 9112 §6.3, and where browsers differ: a length or coding announces a body for
// every status; chunked counts in every version and next to other words.
void Connection::StartResponseBody(Flow flow) {
  constexpr uint32_t d = SLUICE_TO_CLIENT;
  Message& side = side_[d];
  const Emitter to = To(flow, side.tx);
  if (Switches(flow)) return;
  const Exchange& exchange = ResponseExchange();
  Message& request = side_[SLUICE_TO_SERVER];
  if (request.state == State::kBodyLength && request.tx == side.tx && exchange.expects_continue &&
      side.status >= 400 && side.status < 500 && request.wire_bytes == 0) {
    Finish(flow, SLUICE_TO_SERVER);  // the body will not be sent
  }
  PlanDecoder(flow, d);
  const Header* coding = side.headers.Find("transfer-encoding");
  const Header* length = side.headers.Find("content-length");
  const bool bodiless = side.status < 200 || side.status == 204 || side.status == 304;
  if (exchange.method == Method::kHead || (bodiless && side.status != 0 && coding == nullptr && length == nullptr)) {
    return Finish(flow, d);
  }
  if (bodiless && side.status != 0) to.Event(kEventResponseBodyUnexpected);
  if (coding != nullptr && ContainsNoCase(coding->value, "chunked")) {
    if (!SameName(coding->value, "chunked")) to.Event(kEventAbnormalTransferCoding);
    if (side.version < 11) to.Event(kEventChunkedOldProtocol);
    side.state = State::kChunkSize;
    return;
  }
  if (coding != nullptr) to.Event(kEventResponseTransferCoding);
  side.state = State::kBodyClose;
  if (length == nullptr) return;
  uint64_t plain = 0;
  side.length_in_doubt = side.lengths_differ || !ToNumber(length->value, &plain);
  if (!ContentLength(length->value, &side.left)) {
    to.Event(kEventResponseContentLength);
  } else if (side.left == 0) {
    Finish(flow, d);
  } else {
    side.state = State::kBodyLength;
  }
}

// CONNECT that succeeded, or 101: from here on it is another protocol.
bool Connection::Switches(Flow flow) {
  Message& side = side_[SLUICE_TO_CLIENT];
  const bool connect = ResponseExchange().method == Method::kConnect;
  const bool tunnel = connect && side.status >= 200 && side.status < 300;
  bool upgrade = side.status == 101;
  if (upgrade && (side.headers.Find("content-length") || side.headers.Find("transfer-encoding"))) {
    To(flow, side.tx).Event(kEventSwitchWithLength);
    upgrade = false;
  }
  if (connect && !tunnel && side_[SLUICE_TO_SERVER].state == State::kWait) {
    side_[SLUICE_TO_SERVER].state = State::kStartLine;
  }
  if (!tunnel && !upgrade) return false;
  const View to = side.headers.Value("upgrade");
  if (upgrade && !WasAskedFor(to)) To(flow, side.tx).Event(kEventProtocolChangeFailed);
  const bool h2c = upgrade && ContainsNoCase(to, "h2c");
  const bool websocket = upgrade && ContainsNoCase(to, "websocket");
  Finish(flow, SLUICE_TO_CLIENT);
  handed_over_ = true;
  flow.Handover(h2c ? "http2" : websocket ? "websocket" : "", RequestHead());
  return true;
}

// RFC 9110 §7.8: a server names in its 101 one of the protocols that the request did.  True where
// the next request has taken the place of that one.
bool Connection::WasAskedFor(View protocol) {
  const Message& request = side_[SLUICE_TO_SERVER];
  if (request.tx != side_[SLUICE_TO_CLIENT].tx) return true;
  scratch_.assign(Trim(protocol.substr(0, protocol.find(','))));
  for (char& c : scratch_) c = Lower(c);
  return !scratch_.empty() && ContainsNoCase(request.headers.Value("upgrade"), scratch_);
}

// Of the request that the response at hand answers: its line and headers as sent; empty where
// the next request has taken their place.
View Connection::RequestHead() {
  const Message& request = side_[SLUICE_TO_SERVER];
  if (request.tx != side_[SLUICE_TO_CLIENT].tx) return {};
  scratch_.assign(request.line).append("\r\n").append(request.raw);
  return scratch_;
}

size_t Connection::Chunks(Flow flow, uint32_t d, View in, bool last) {
  Message& side = side_[d];
  const size_t end = in.find('\n');
  if (side.state == State::kChunkEnd) {  // whatever stands behind the data, to the line's end
    const size_t used = end == View::npos ? in.size() : end + 1;
    side.wire_bytes += used;
    if (end != View::npos) side.state = State::kChunkSize;
    return used;
  }
  if (end == View::npos) {
    if (!MayBeChunkSize(in) || in.size() > limits_.line_bytes) {
      NoChunks(flow, d);
      return d == SLUICE_TO_SERVER ? kError : 0;
    }
    return last ? in.size() : kMore;
  }
  const View line = in.substr(0, end + 1);
  const ChunkSize parsed = ParseChunkSize(line);
  if (parsed.kind == ChunkSize::Kind::kInvalid) {
    NoChunks(flow, d);
    return d == SLUICE_TO_SERVER ? kError : 0;
  }
  side.wire_bytes += line.size();
  if (parsed.kind == ChunkSize::Kind::kBlank) return line.size();
  if (parsed.extension) {
    To(flow, side.tx).Event(d == SLUICE_TO_SERVER ? kEventRequestChunkExtension : kEventResponseChunkExtension);
  }
  side.left = parsed.size;
  side.state = parsed.size == 0 ? State::kTrailers : State::kChunkData;
  if (parsed.size == 0) side.parser.Reset();
  return line.size();
}

// Not chunked after all.  Browsers take the rest of a response as it is.
void Connection::NoChunks(Flow flow, uint32_t d) {
  const bool request = d == SLUICE_TO_SERVER;
  To(flow, side_[d].tx).Event(request ? kEventRequestChunkLength : kEventResponseChunkLength);
  if (request) CloseBody(flow, d, false);
  else side_[d].state = State::kBodyClose;
}

// ----------------------------------------------------------------- contents

// Where the decoded bytes of one piece go: the body field, and the files in it.
class Connection::Sink : public BodySink, public MultipartSink {
 public:
  Sink(Connection& connection, Flow flow, uint32_t d) : connection_(connection), flow_(flow), d_(d) {}

  void Body(View bytes) override {
    Message& side = connection_.side_[d_];
    flow_.Chunk(side.tx, kBodyField[d_], bytes);
    if (side.stream.kind() != EventStream::Kind::kNone) connection_.CountEvents(flow_, side.stream.Feed(bytes));
    if (side.multipart.active()) side.multipart.Feed(bytes, this);
    else connection_.FileBytes(flow_, d_, bytes);
  }
  void PartFile(View name) override {
    connection_.OpenFile(flow_, d_, name);
  }
  void PartData(View bytes) override {
    connection_.FileBytes(flow_, d_, bytes);
  }
  void PartEnd(bool complete) override {
    connection_.CloseFile(flow_, d_, complete);
  }
  void PartProblem(Problem problem) override {
    connection_.To(flow_, connection_.side_[d_].tx)
        .Event(problem == Problem::kNoBoundary ? kEventMultipartError
               : problem == Problem::kHeader   ? kEventMultipartHeader
                                               : kEventMultipartNoData);
  }
  void Decoded(ContentDecoder::Outcome outcome) {
    using Outcome = ContentDecoder::Outcome;
    if (outcome == Outcome::kOk) return;
    Message& side = connection_.side_[d_];
    side.drop_rest = true;
    connection_.To(flow_, side.tx)
        .Event(outcome == Outcome::kBomb     ? kEventBomb
               : outcome == Outcome::kMemory ? kEventLzmaMemory
                                             : kEventDecompressionFailed);
  }

 private:
  Connection& connection_;
  Flow flow_;
  const uint32_t d_;
};

void Connection::Body(Flow flow, uint32_t d, View bytes) {
  Message& side = side_[d];
  if (bytes.empty()) return;
  if (!side.body_open) OpenBody(flow, d);
  if (d == SLUICE_TO_CLIENT) flow.SetUint(side.tx, kLength, side.wire_bytes);  // so far
  if (side.drop_rest) return;
  Sink sink(*this, flow, d);
  if (side.decoder != nullptr && side.decoder->active()) sink.Decoded(side.decoder->Feed(bytes, &sink));
  else sink.Body(bytes);
}

// A body's first byte: the file is named by Content-Disposition, else by the path.
void Connection::OpenBody(Flow flow, uint32_t d) {
  Message& side = side_[d];
  const bool request = d == SLUICE_TO_SERVER;
  const Exchange& exchange = request ? RequestExchange() : ResponseExchange();
  side.body_open = true;
  flow.Stage(side.tx, d, kBody);
  View name = exchange.path;
  if (request) {
    if (exchange.method != Method::kPost && exchange.method != Method::kPut) return;
    Sink sink(*this, flow, d);
    if (side.multipart.Begin(side.headers.Value("content-type"), &sink)) return;
  } else {
    StartStream(flow);
    const View value = side.headers.Value("content-disposition");
    if (!value.empty() && DispositionFileName(value, &scratch_)) name = scratch_;
  }
  if (!name.empty()) OpenFile(flow, d, name);
  if (!request && side.status == 206) NamePart(flow);
}

void Connection::KeepResource(const Target& target) {
  const Message& side = side_[SLUICE_TO_SERVER];
  Exchange& exchange = RequestExchange();
  const View host = target.has_authority ? target.host : SplitHostPort(side.headers.Value("host")).host;
  LowerHost(host, &scratch_);
  NameResource(scratch_, exchange.path, target.query, &exchange.resource);
}

// A range of something larger (RFC 9110 §14.4, §15.3.7): of what was asked for, whoever else
// has other ranges of it.  What is coded begins with the first range alone.
void Connection::NamePart(Flow flow) {
  const Message& side = side_[SLUICE_TO_CLIENT];
  ContentRange range;
  if (side.file <= 0 || (side.decoder != nullptr && side.decoder->active())) return;
  if (!ParseContentRange(side.headers.Value("content-range"), &range) || !range.has_range || !range.has_size) return;
  flow.FilePart(side.file, ResponseExchange().resource, range.start, range.size);
}

// A response that may go on for hours: how fast it began to talk, and how much it says.
void Connection::StartStream(Flow flow) {
  Message& side = side_[SLUICE_TO_CLIENT];
  side.stream.Begin(side.headers.Value("content-type"));
  if (side.stream.kind() == EventStream::Kind::kNone) return;
  flow.Set(side.tx, kStreamType, side.stream.name());
  flow.SetUint(side.tx, kStreamEvents, 0);
  flow.SetUint(side.tx, kStreamFirstByte, SinceRequest(flow));
}

void Connection::CountEvents(Flow flow, uint64_t events) {
  Message& side = side_[SLUICE_TO_CLIENT];
  if (events == 0) return;
  if (side.stream_events == 0) flow.SetUint(side.tx, kStreamFirstEvent, SinceRequest(flow));
  side.stream_events += events;
  flow.SetUint(side.tx, kStreamEvents, side.stream_events);
}

// Microseconds; 0 where the request's end was not seen, or came later.
uint64_t Connection::SinceRequest(Flow flow) {
  const uint64_t requested = ResponseExchange().requested, now = flow.Now();
  return requested == 0 || now < requested ? 0 : (now - requested) / 1000;
}

void Connection::OpenFile(Flow flow, uint32_t d, View name) {
  Message& side = side_[d];
  if (name.size() > kMaxFileName) To(flow, side.tx).Event(kEventFileNameTooLong);
  side.file = flow.FileOpen(side.tx, d, name.substr(0, kMaxFileName));
}

// A file that nobody keeps is cut at the limit.
void Connection::FileBytes(Flow flow, uint32_t d, View bytes) {
  Message& side = side_[d];
  if (side.file <= 0) return;
  if (side.file_cut) return CloseFile(flow, d, false);
  const uint64_t limit = limits_.file_bytes[d];
  const uint64_t room = limit == 0 ? UINT64_MAX : limit - std::min(limit, side.file_bytes);
  const View fits = bytes.substr(0, room);
  side.file_bytes += bytes.size();
  const bool wanted = flow.FileData(side.file, fits);
  if (fits.size() == bytes.size()) return;
  if (wanted) flow.FileData(side.file, bytes.substr(fits.size()));
  else side.file_cut = true;
}

void Connection::CloseFile(Flow flow, uint32_t d, bool complete) {
  Message& side = side_[d];
  const bool whole = complete && !side.file_cut;
  if (side.file > 0) flow.FileClose(side.file, whole ? SLUICE_FILE_COMPLETE : SLUICE_FILE_TRUNCATED);
  side.file = 0;
  side.file_cut = false;
}

void Connection::CloseBody(Flow flow, uint32_t d, bool complete) {
  Message& side = side_[d];
  Sink sink(*this, flow, d);
  if (side.body_open) {
    if (side.decoder != nullptr && side.decoder->active() && !side.drop_rest) sink.Decoded(side.decoder->Finish(&sink));
    if (side.multipart.active()) side.multipart.Finish(&sink);
    if (d == SLUICE_TO_CLIENT && complete) CountEvents(flow, side.stream.Finish());
    flow.Chunk(side.tx, kBodyField[d], View(), true);
  }
  CloseFile(flow, d, complete);
  side.body_open = false;
  if (d == SLUICE_TO_CLIENT && side.wire_bytes > 0) flow.SetUint(side.tx, kLength, side.wire_bytes);
}

void Connection::Finish(Flow flow, uint32_t d) {
  Message& side = side_[d];
  CloseBody(flow, d, true);
  if (d == SLUICE_TO_SERVER) RequestExchange().requested = flow.Now();
  flow.Stage(side.tx, d, kComplete);
  side.state = State::kStartLine;
  side.skip_line_rest = false;
}

// Bytes between messages are matched like a body, in a transaction of their own.
void Connection::Unexpected(Flow flow, uint32_t d, View bytes) {
  uint64_t& tx = stray_tx_[d];
  if (tx == SLUICE_NO_TX) {
    tx = flow.Begin((d == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT) | SLUICE_TX_NO_LOG);
    flow.Stage(tx, d, kBody);
    To(flow, tx).Event(d == SLUICE_TO_SERVER ? kEventBodyUnexpected : kEventResponseBodyUnexpected);
  }
  flow.Chunk(tx, kBodyField[d], bytes);
}

void Connection::CloseUnexpected(Flow flow, uint32_t d) {
  uint64_t& tx = stray_tx_[d];
  if (tx == SLUICE_NO_TX) return;
  flow.Chunk(tx, kBodyField[d], View(), true);
  flow.Stage(tx, d, kComplete);
  tx = SLUICE_NO_TX;
}

}  // namespace http
