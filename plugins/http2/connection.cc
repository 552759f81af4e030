// SPDX-License-Identifier: Apache-2.0
#include "connection.h"

#include <algorithm>
#include <utility>

#include "../http/framing.h"
#include "../http/multipart.h"
#include "../http/normalise.h"
#include "memory.h"

namespace http2 {
namespace {

constexpr View kMagicText = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum FrameType : uint8_t {
  kDataFrame, kHeadersFrame, kPriorityFrame, kResetFrame, kSettingsFrame, kPushFrame, kPingFrame,
  kGoAwayFrame, kWindowFrame, kContinuationFrame
};
enum FrameFlag : uint8_t { kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kHasPriority = 32 };
constexpr uint32_t kBodyField[2] = {kRequestBody, kResponseBody};
const http::CodingLimits kCoding;

uint32_t Number(View bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

struct HeaderField {
  View name;
  uint32_t field;
};
constexpr HeaderField kRequestFields[] = {
    {"user-agent", kUserAgent},     {"referer", kReferer},           {"cookie", kCookie},
    {"content-type", kContentType}, {"content-length", kContentLen}, {"accept", kAccept},
    {"accept-encoding", kAcceptEnc}, {"accept-language", kAcceptLang}, {"x-forwarded-for", kXff},
    {"host", kHostLog}};
constexpr HeaderField kResponseFields[] = {
    {"set-cookie", kSetCookie}, {"content-type", kContentTypeReply}, {"content-length", kContentLenReply},
    {"server", kServer},        {"location", kLocation}};

}  // namespace

Connection::Connection(Flow flow) {
  side_[SLUICE_TO_SERVER].part = Side::Part::kMagic;
  for (Side& side : side_) {
    if (nghttp2_hd_inflate_new2(&side.inflater, PooledMemory()) != 0) throw std::bad_alloc();
  }
  const sluice_flow_info info = flow.Info();
  if (info.from_protocol == nullptr || View(info.from_protocol) != "http") return;
  if (const auto request = ParseUpgradeRequest(sluice::ToView(info.context))) BeginUpgraded(flow, *request);
}

// The request is stream 1, and the client has said all of it (RFC 7540 §3.2).  Names stay as
// they were sent: rules have seen the request's headers where it was HTTP/1.
void Connection::BeginUpgraded(Flow flow, const UpgradeRequest& request) {
  constexpr uint32_t d = SLUICE_TO_SERVER;
  Side& side = side_[d];
  Stream* stream = Open(flow, 1);
  side.last_stream = 1;
  side.headers.resize(2);
  side.headers[0] = {":method", request.method};
  side.headers[1] = {":path", request.target};
  for (const UpgradeRequest::Field& field : request.fields) side.headers.push_back({field.name, field.value});
  side.num_headers = side.headers.size();
  EmitHeaders(flow, *stream, true, side);
  side.num_headers = 0;
  if (const std::string* settings = request.settings(); settings != nullptr) {
    std::string payload;
    if (DecodeBase64Url(*settings, &payload) && payload.size() % 6 == 0) Settings(flow, d, stream->tx, payload);
    else flow.Event(stream->tx, kEventHttp1Settings);
  }
  EndHalf(flow, d, *stream, true);
}

Connection::~Connection() {
  for (Side& side : side_) nghttp2_hd_inflate_del(side.inflater);
}

// ------------------------------------------------------------------- frames

int32_t Connection::Probe(const sluice_probe_input& input) {
  const View head = sluice::ToView(input.head);
  if (input.direction == SLUICE_TO_SERVER) {
    if (head.starts_with(kMagicText)) return SLUICE_PROBE_YES;
    return kMagicText.starts_with(head) ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
  }
  // The server's first frame is SETTINGS on stream 0 (RFC 9113 §3.4): no proof, but worth
  // waiting for the client's preface.
  constexpr View kZero("\0\0\0\0\0", 5);
  if (!head.empty() && head[0] != 0) return SLUICE_PROBE_NO;
  if (head.size() < 9) {
    return head.size() < 4 || head[3] == kSettingsFrame ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
  }
  const bool settings = head[3] == kSettingsFrame && head.substr(4, 5) == kZero && Number(head, 0, 3) % 6 == 0 &&
                        Number(head, 0, 3) <= 600;
  return settings ? SLUICE_PROBE_MAYBE : SLUICE_PROBE_NO;
}

sluice::ParseResult Connection::Parse(Flow flow, uint32_t d, View in) {
  size_t used = 0;
  while (used < in.size()) {
    const size_t step = Step(flow, d, in.substr(used));
    if (step == kError) return sluice::ParseError();
    if (step == kMore) return sluice::More(used, in.size() - used + 1);
    used += step;
  }
  return sluice::Ok(used);
}

size_t Connection::Step(Flow flow, uint32_t d, View in) {
  Side& side = side_[d];
  switch (side.part) {
    case Side::Part::kMagic: return Magic(flow, d, in);
    case Side::Part::kFrame: return FrameHeader(flow, d, in);
    case Side::Part::kPrefix: return Prefix(flow, d, in);
    case Side::Part::kControl: return Control(flow, d, in);
    case Side::Part::kBlock: return Block(flow, d, in);
    case Side::Part::kData:
    case Side::Part::kSkip: break;
  }
  const size_t n = std::min<size_t>(side.left, in.size());
  if (side.part == Side::Part::kData) Data(flow, d, in.substr(0, n));
  side.left -= static_cast<uint32_t>(n);
  if (side.left == 0) EndOfFrame(flow, d);
  return n;
}

size_t Connection::Magic(Flow flow, uint32_t d, View in) {
  side_[d].part = Side::Part::kFrame;
  if (in.starts_with(kMagicText)) return kMagicText.size();
  if (kMagicText.starts_with(in)) {
    side_[d].part = Side::Part::kMagic;
    return kMore;
  }
  flow.Event(SLUICE_NO_TX, kEventClientMagic);
  return 0;
}

size_t Connection::FrameHeader(Flow flow, uint32_t d, View in) {
  Side& side = side_[d];
  if (in.size() < 9) return kMore;
  side.frame = {Number(in, 0, 3), Number(in, 5, 4) & 0x7fffffff, static_cast<uint8_t>(in[3]), static_cast<uint8_t>(in[4])};
  const Frame& frame = side.frame;
  side.left = frame.length;
  side.pad = 0;
  // A header block may not be interrupted (RFC 9113 §4.3).
  if (side.block_stream != 0 && (frame.type != kContinuationFrame || frame.stream != side.block_stream)) {
    flow.Event(SLUICE_NO_TX, kEventFrameHeader);
    return kError;
  }
  switch (frame.type) {
    case kDataFrame:
    case kHeadersFrame:
    case kPushFrame:
      if (frame.stream == 0) {
        flow.Event(SLUICE_NO_TX, frame.type == kDataFrame ? kEventDataStreamZero : kEventFrameHeader);
        side.part = Side::Part::kSkip;
      } else {
        side.part = Side::Part::kPrefix;
      }
      break;
    case kContinuationFrame:
      side.part = Side::Part::kBlock;
      if (side.block_stream == 0) {
        flow.Event(SLUICE_NO_TX, kEventFrameHeader);
        side.part = Side::Part::kSkip;
      } else if (++side.block_frames > kMaxBlockFrames) {
        flow.Event(SLUICE_NO_TX, kEventReassemblyLimit);
        return kError;
      }
      break;
    default:
      side.part = frame.type <= kWindowFrame ? Side::Part::kControl : Side::Part::kSkip;
      if (side.part == Side::Part::kControl && frame.length > kMaxControl) {
        flow.Event(SLUICE_NO_TX, kEventLongFrame);
        side.part = Side::Part::kSkip;
      }
  }
  if (side.left == 0 && side.part != Side::Part::kPrefix && side.part != Side::Part::kControl) {
    if (side.part == Side::Part::kBlock) Block(flow, d, View());
    else EndOfFrame(flow, d);
  } else if (side.left == 0 && side.part == Side::Part::kPrefix) {
    Prefix(flow, d, View());
  } else if (side.left == 0) {
    Control(flow, d, View());
  }
  return 9;
}

// What stands before the data or header block: pad length, priority, promised stream.
size_t Connection::Prefix(Flow flow, uint32_t d, View in) {
  Side& side = side_[d];
  const Frame& frame = side.frame;
  const bool padded = frame.flags & kPadded, weighted = frame.type == kHeadersFrame && frame.flags & kHasPriority;
  const bool promise = frame.type == kPushFrame;
  const uint32_t prefix = (padded ? 1u : 0u) + (weighted ? 5u : 0u) + (promise ? 4u : 0u);
  if (frame.length < prefix) {
    flow.Event(SLUICE_NO_TX, kEventFrameLength);
    side.part = Side::Part::kSkip;
    if (side.left == 0) EndOfFrame(flow, d);
    return 0;
  }
  if (in.size() < prefix) return kMore;
  const uint32_t pad = padded ? Number(in, 0, 1) : 0;
  if (prefix + pad > frame.length) {
    flow.Event(SLUICE_NO_TX, kEventFrameData);
    side.part = Side::Part::kSkip;
    return 0;
  }
  if (frame.type != kDataFrame) {
    side.block_stream = promise ? Number(in, padded, 4) & 0x7fffffff : frame.stream;
    if (side.block_stream == 0) side.block_stream = frame.stream;
    side.block_frames = 0;
    side.block_bytes = side.num_headers = 0;
    side.size_update = {};
    side.block_ends_stream = frame.type == kHeadersFrame && frame.flags & kEndStream;
    side.block_is_request = promise || d == SLUICE_TO_SERVER;
  }
  const uint64_t tx = TxFor(flow, d, frame);
  if (tx != SLUICE_NO_TX) {
    flow.SetUint(tx, kFrameType, frame.type);
    if (weighted) Weigh(flow, d, tx, Number(in, prefix - 1, 1));
  }
  Payload(flow, d, prefix, pad);
  return prefix;
}

void Connection::Payload(Flow flow, uint32_t d, uint32_t prefix, uint32_t pad) {
  Side& side = side_[d];
  side.part = side.frame.type == kDataFrame ? Side::Part::kData : Side::Part::kBlock;
  side.left = side.frame.length - prefix - pad;
  side.pad = pad;
  if (side.left > 0) return;
  if (side.part == Side::Part::kBlock) Block(flow, d, View());
  else EndOfFrame(flow, d);
}

// The payload is done with; the padding behind it is skipped.
void Connection::EndOfFrame(Flow flow, uint32_t d) {
  Side& side = side_[d];
  const bool data = side.part == Side::Part::kData;
  if (data && side.frame.flags & kEndStream) {
    if (Stream* stream = Find(side.frame.stream); stream != nullptr) EndHalf(flow, d, *stream, true);
  }
  side.part = side.pad > 0 ? Side::Part::kSkip : Side::Part::kFrame;
  side.left = side.pad;
  side.pad = 0;
}

size_t Connection::Block(Flow flow, uint32_t d, View in) {
  Side& side = side_[d];
  const size_t n = std::min<size_t>(side.left, in.size());
  side.left -= static_cast<uint32_t>(n);
  SizeUpdates(flow, d, in.substr(0, n));
  const bool frame_done = side.left == 0, final = frame_done && side.frame.flags & kEndHeaders;
  if (!Inflate(flow, d, in.substr(0, n), final)) return kError;
  if (final) EndOfBlock(flow, d);
  if (frame_done) EndOfFrame(flow, d);
  return n;
}

// New sizes of the header table, at the front of a block and nowhere else (RFC 7541 §4.2, §6.3).
void Connection::SizeUpdates(Flow flow, uint32_t d, View in) {
  SizeUpdate& update = side_[d].size_update;
  const Stream* stream = Find(side_[d].block_stream);
  for (const char c : in) {
    if (update.over) return;
    const auto byte = static_cast<uint8_t>(c);
    if (!update.within) {
      update.over = (byte & 0xe0) != 0x20;
      if (update.over) return;
      update.value = byte & 0x1f;
      update.shift = 0;
      update.within = update.value == 0x1f;
    } else {
      update.value += uint64_t{byte & 0x7fu} << update.shift;
      update.shift += 7;
      update.within = byte & 0x80;
    }
    update.over = update.value > side_[d].max_table || update.shift > 28;  // the inflater will say so
    if (!update.within && !update.over && stream != nullptr) flow.SetUint(stream->tx, kSizeUpdate, update.value);
  }
}

// Frames that are looked at as a whole.
size_t Connection::Control(Flow flow, uint32_t d, View in) {
  Side& side = side_[d];
  const Frame frame = side.frame;
  if (in.size() < frame.length) return kMore;
  const View payload = in.substr(0, frame.length);
  side.part = Side::Part::kFrame;
  side.left = 0;
  const bool request = d == SLUICE_TO_SERVER;
  static constexpr uint32_t kLengths[] = {0, 0, 5, 4, 0, 0, 8, 8, 4};  // by type; 0: any
  const uint32_t want = kLengths[frame.type];
  const bool fits = frame.type == kGoAwayFrame     ? frame.length >= want
                    : frame.type == kSettingsFrame ? frame.length % 6 == 0
                                                   : frame.length == want;
  const uint64_t tx = TxFor(flow, d, frame);
  if (!fits) {
    flow.Event(tx, kEventFrameLength);
  } else if (tx != SLUICE_NO_TX) {
    flow.SetUint(tx, kFrameType, frame.type);
    if (frame.type == kSettingsFrame && !(frame.flags & kAck)) Settings(flow, d, tx, payload);
    if (frame.type == kWindowFrame) flow.SetUint(tx, kWindow, Number(payload, 0, 4) & 0x7fffffff);
    if (frame.type == kPriorityFrame) Weigh(flow, d, tx, Number(payload, 4, 1));
    if (frame.type == kResetFrame || frame.type == kGoAwayFrame) {
      const uint32_t error = Number(payload, frame.type == kGoAwayFrame ? 4 : 0, 4);
      flow.SetUint(tx, kErrorCode, error);
      flow.SetUint(tx, request ? kRequestError : kResponseError, error);
    }
  }
  if (frame.stream == 0) {
    flow.Stage(tx, d, kComplete);
  } else if (frame.type == kResetFrame) {
    if (Stream* stream = Find(frame.stream); stream != nullptr) Reset(flow, d, *stream);
  }
  return frame.length;
}

// The record has a stream's first weight, and says if there were more.
void Connection::Weigh(Flow flow, uint32_t d, uint64_t tx, uint32_t weight) {
  const bool request = d == SLUICE_TO_SERVER;
  flow.SetUint(tx, kPriority, weight);
  flow.SetUint(tx, request ? kRequestPriority : kResponsePriority, weight);
  Stream* stream = Find(side_[d].frame.stream);
  if (stream == nullptr || !std::exchange(stream->half[d].weighted, true)) return;
  flow.Set(tx, request ? kRequestMultiple : kResponseMultiple, "priority");
}

void Connection::Settings(Flow flow, uint32_t d, uint64_t tx, View payload) {
  constexpr size_t kMostSettings = 64;  // of one frame; RFC 9113 defines six
  for (size_t at = 0; at + 6 <= std::min(payload.size(), 6 * kMostSettings); at += 6) {
    const uint32_t id = Number(payload, at, 2), value = Number(payload, at + 2, 4);
    flow.SetUint(tx, d == SLUICE_TO_SERVER ? kSettings : kSettingsReply, uint64_t{id} << 32 | value);
    flow.Open(tx, d == SLUICE_TO_SERVER ? kRequestSettings : kResponseSettings);
    flow.SetUint(tx, kSettingsId, id);
    flow.SetUint(tx, kSettingsValue, value);
    flow.Close(tx);
    // The other side's encoder may use this much.
    if (id != 1) continue;
    Side& encoder = side_[1 - d];
    encoder.max_table = std::min<uint32_t>(value, 65536);
    nghttp2_hd_inflate_change_table_size(encoder.inflater, encoder.max_table);
  }
}

// ------------------------------------------------------------------ streams

Connection::Stream* Connection::Find(uint32_t id) {
  for (size_t i = streams_.size(); i-- > 0;) {
    if (streams_[i]->id == id) return streams_[i].get();
  }
  return nullptr;
}

Connection::Stream* Connection::Open(Flow flow, uint32_t id) {
  if (Stream* known = Find(id); known != nullptr) return known;
  if (streams_.size() >= kMaxStreams) {
    if (!too_many_) flow.Event(SLUICE_NO_TX, kEventTooManyStreams);
    too_many_ = true;
    return nullptr;
  }
  if (spare_.empty()) spare_.push_back(std::make_unique<Stream>());
  std::unique_ptr<Stream> stream = std::move(spare_.back());
  spare_.pop_back();
  for (std::string* text : {&stream->path, &stream->host, &stream->query}) text->clear();
  for (Half& half : stream->half) half.Clear();
  stream->reset = false;
  stream->id = id;
  stream->tx = BeginTx(flow, id, 0);
  streams_.push_back(std::move(stream));
  return streams_.back().get();
}

uint64_t Connection::BeginTx(Flow flow, uint32_t id, uint32_t flags) {
  const uint64_t tx = flow.Begin(flags);
  flow.Set(tx, kVersion, "2");
  flow.SetUint(tx, kStreamId, id);
  return tx;
}

// The transaction that a frame belongs to; SLUICE_NO_TX if its stream is not open.
uint64_t Connection::TxFor(Flow flow, uint32_t d, const Frame& frame) {
  if (frame.stream == 0) {
    const bool shown = frame.type == kGoAwayFrame || (frame.type == kSettingsFrame && frame.length > 0);
    uint32_t flags = d == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT;
    if (!shown) flags |= SLUICE_TX_NO_LOG;
    return BeginTx(flow, 0, flags);
  }
  const bool opens = frame.type == kHeadersFrame || frame.type == kPriorityFrame;
  Stream* stream = Find(frame.stream);
  if (stream != nullptr && stream->reset && d == SLUICE_TO_SERVER && frame.type == kHeadersFrame) {
    EndHalf(flow, SLUICE_TO_CLIENT, *stream, false);  // the client begins it anew: that is not allowed
    stream = nullptr;
  }
  if (stream == nullptr && opens) {
    Side& side = side_[d];
    if (frame.type == kHeadersFrame && frame.stream <= side.last_stream && d == SLUICE_TO_SERVER) {
      flow.Event(SLUICE_NO_TX, kEventStreamReuse);
    }
    side.last_stream = std::max(side.last_stream, frame.stream);
    stream = Open(flow, frame.stream);
  }
  return stream == nullptr ? SLUICE_NO_TX : stream->tx;
}

void Connection::Forget(uint32_t id) {
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (streams_[i]->id != id) continue;
    spare_.push_back(std::move(streams_[i]));
    streams_.erase(streams_.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
}

// The stream is over both ways; yet what a server has sent before it knows still comes
// (RFC 9113 §5.1, closed), and is the response.  Streams that are reset before any answer are what a
// rapid-reset flood consists of (CVE-2023-44487).
void Connection::Reset(Flow flow, uint32_t d, Stream& stream) {
  if (d == SLUICE_TO_SERVER && !stream.half[SLUICE_TO_CLIENT].headers && ++resets_ == kRapidResets) {
    flow.Event(stream.tx, kEventRapidReset);
  }
  if (d == SLUICE_TO_SERVER && !stream.half[SLUICE_TO_CLIENT].ended) {
    stream.reset = true;
    EndHalf(flow, d, stream, false);
    const auto is_reset = [](const auto& one) { return one->reset; };
    if (std::ranges::count_if(streams_, is_reset) <= static_cast<ptrdiff_t>(kMaxResetOpen)) return;
    return EndHalf(flow, SLUICE_TO_CLIENT, **std::ranges::find_if(streams_, is_reset), false);
  }
  const uint32_t id = stream.id;
  EndHalf(flow, 1 - d, stream, false);
  if (Stream* left = Find(id); left != nullptr) EndHalf(flow, d, *left, false);
}


// ------------------------------------------------------------------ headers

bool Connection::Inflate(Flow flow, uint32_t d, View in, bool final) {
  Side& side = side_[d];
  auto* at = reinterpret_cast<const uint8_t*>(in.data());
  size_t left = in.size();
  for (;;) {
    nghttp2_nv nv;
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(side.inflater, &nv, &flags, at, left, final);
    if (used < 0) {
      flow.Event(SLUICE_NO_TX, kEventHeaderInvalid);
      return false;
    }
    at += used;
    left -= static_cast<size_t>(used);
    if (flags & NGHTTP2_HD_INFLATE_EMIT && !AddHeader(side, nv)) {
      flow.Event(SLUICE_NO_TX, kEventReassemblyLimit);
      return false;
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) {
      nghttp2_hd_inflate_end_headers(side.inflater);
      if (left > 0) flow.Event(SLUICE_NO_TX, kEventExtraHeaderData);
      return true;
    }
    if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && left == 0) return true;
  }
}

bool Connection::AddHeader(Side& side, const nghttp2_nv& nv) {
  side.block_bytes += nv.namelen + nv.valuelen;
  if (side.block_bytes > kMaxBlockBytes || side.num_headers >= kMaxBlockHeaders) return false;
  if (side.num_headers == side.headers.size()) side.headers.emplace_back();
  Header& header = side.headers[side.num_headers++];
  header.name.assign(reinterpret_cast<const char*>(nv.name), nv.namelen);
  header.value.assign(reinterpret_cast<const char*>(nv.value), nv.valuelen);
  return true;
}

void Connection::EndOfBlock(Flow flow, uint32_t d) {
  Side& side = side_[d];
  const uint32_t id = side.block_stream;
  side.block_stream = 0;
  Stream* stream = Open(flow, id);
  if (stream == nullptr) return;
  const bool request = side.block_is_request;
  const uint32_t as = request ? SLUICE_TO_SERVER : SLUICE_TO_CLIENT;
  EmitHeaders(flow, *stream, request, side);
  const bool promised = request && d == SLUICE_TO_CLIENT;
  if (side.block_ends_stream || promised) EndHalf(flow, as, *stream, true);
}

void Connection::EmitHeaders(Flow flow, Stream& stream, bool request, const Side& side) {
  const uint32_t d = request ? SLUICE_TO_SERVER : SLUICE_TO_CLIENT;
  const uint64_t tx = stream.tx;
  const bool interim = !request && side.num_headers > 0 && side.headers[0].name == ":status" &&
                       side.headers[0].value.starts_with('1');
  Half& half = stream.half[d];
  const bool trailers = half.headers;
  half.headers |= !interim;
  names_ = "\r\n";
  scratch_.clear();
  for (size_t i = 0; i < side.num_headers; ++i) {
    const Header& header = side.headers[i];
    names_.append(header.name).append("\r\n");
    if (header.name != (request ? "cookie" : "set-cookie")) {
      scratch_.append(header.name).append(": ").append(header.value).append("\r\n");
    }
  }
  names_.append("\r\n");
  if (!trailers && !interim) {
    flow.Set(tx, request ? kProtocol : kProtocolReply, "HTTP/2");
    flow.Set(tx, request ? kHeaderNames : kHeaderNamesReply, names_);
    flow.Set(tx, request ? kHeader : kHeaderReply, scratch_);
    flow.Set(tx, request ? kHeaderRaw : kHeaderRawReply, scratch_);
  }
  for (size_t i = 0; i < side.num_headers; ++i) {
    const Header& header = side.headers[i];
    flow.Set(tx, request ? kHeaderName : kHeaderNameReply, header.name);
    scratch_.assign(header.name).append(": ").append(header.value);
    flow.Set(tx, request ? kRequestHeader : kResponseHeader, scratch_);
    flow.Open(tx, request ? kRequestHeadersLog : kResponseHeadersLog);
    flow.Set(tx, kHeaderNameLog, header.name);
    flow.Set(tx, kHeaderValueLog, header.value);
    flow.Close(tx);
    if (interim || trailers) continue;
    if (header.name.starts_with(':')) EmitPseudo(flow, stream, header);
    if (header.name == "content-disposition") half.disposition = header.value;
    if (header.name == "content-encoding") half.encoding = header.value;
    if (header.name == "content-type") half.content_type = header.value;
    uint64_t length = 0;
    if (header.name == "content-length" && http::ToNumber(header.value, &length)) flow.SetUint(tx, kLength, length);
    if (header.name == "content-range") {
      if (!http::ParseContentRange(header.value, &half.range)) flow.Event(tx, kEventRange);
    }
    if (request && http::SameName(header.name, "user-agent")) flow.Set(tx, kUserAgentLog, header.value);
    if (!request && header.name == "content-type") {
      flow.Set(tx, kContentTypeLog, http::Trim(View(header.value).substr(0, header.value.find(';'))));
    }
    const auto set = [&](const HeaderField& known) {
      if (header.name == known.name) flow.Set(tx, known.field, header.value);
    };
    if (request) std::for_each(std::begin(kRequestFields), std::end(kRequestFields), set);
    else std::for_each(std::begin(kResponseFields), std::end(kResponseFields), set);
  }
  if (interim || trailers) return;
  EmitLine(flow, tx, request, side);
  if (request) EmitHosts(flow, stream, side);
  flow.Stage(tx, d, kHeaders);
}

// The first line that the message would have in HTTP/1, for rules on it.
void Connection::EmitLine(Flow flow, uint64_t tx, bool request, const Side& side) {
  if (!request) flow.Set(tx, kStatMsg, View());
  if (!flow.Wanted(request ? kRequestLine : kResponseLine)) return;
  View method, target, status;
  for (size_t i = 0; i < side.num_headers; ++i) {
    const Header& header = side.headers[i];
    if (header.name == ":method") method = header.value;
    if (header.name == ":path") target = header.value;
    if (header.name == ":status") status = header.value;
  }
  if (request) {
    scratch_.assign(method).append(" ").append(target).append(" HTTP/2");
    return flow.Set(tx, kRequestLine, scratch_);
  }
  scratch_.assign("HTTP/2 ").append(status).append("\r\n");
  flow.Set(tx, kResponseLine, scratch_);
}

void Connection::EmitPseudo(Flow flow, Stream& stream, const Header& header) {
  const uint64_t tx = stream.tx;
  if (header.name == ":method") flow.Set(tx, kMethod, header.value);
  if (header.name == ":path") {
    const http::Target target = http::SplitTarget(header.value, false);
    flow.Set(tx, kUriRaw, header.value);
    flow.Set(tx, kUrl, header.value);
    http::NormaliseTarget(target, {}, &scratch_);
    flow.Set(tx, kUri, scratch_);
    http::NormalisePath(target.path, {}, &stream.path);
    stream.query.assign(target.query);
  }
  if (header.name == ":status") {
    uint64_t status = 0;
    flow.Set(tx, kStatCode, header.value);
    if (http::ToNumber(header.value, &status) && status >= 100 && status <= 999) flow.SetUint(tx, kStatus, status);
    stream.half[SLUICE_TO_CLIENT].partial = status == 206;
  }
}

// :authority, else host.
void Connection::EmitHosts(Flow flow, Stream& stream, const Side& side) {
  View authority, host;
  for (size_t i = 0; i < side.num_headers; ++i) {
    if (side.headers[i].name == ":authority") authority = side.headers[i].value;
    if (http::SameName(side.headers[i].name, "host")) host = side.headers[i].value;
  }
  View chosen = authority.empty() ? host : authority;
  if (chosen.empty()) return;
  if (authority.find('@') != View::npos) flow.Event(stream.tx, kEventUserInfo);
  if (const size_t at = chosen.rfind('@'); at != View::npos) chosen.remove_prefix(at + 1);
  flow.Set(stream.tx, kHostRaw, chosen);
  http::LowerHost(http::SplitHostPort(chosen).host, &scratch_);
  flow.Set(stream.tx, kHost, scratch_);
  flow.Set(stream.tx, kHostnameLog, scratch_);
  stream.host = scratch_;
  if (authority.empty() || host.empty()) return;
  if (!http::SameName(http::SplitHostPort(host).host, scratch_)) flow.Event(stream.tx, kEventAuthorityMismatch);
}

// ----------------------------------------------------------------- contents

class Connection::Sink : public http::BodySink {
 public:
  Sink(Flow flow, uint32_t d, Stream& stream) : flow_(flow), d_(d), stream_(stream) {}
  void Body(View bytes) override {
    flow_.Chunk(stream_.tx, kBodyField[d_], bytes);
    if (stream_.half[d_].file > 0) flow_.FileData(stream_.half[d_].file, bytes);
  }
  void Decoded(http::ContentDecoder::Outcome outcome) {
    using Outcome = http::ContentDecoder::Outcome;
    if (outcome == Outcome::kOk) return;
    stream_.half[d_].drop_rest = true;
    flow_.Event(stream_.tx, outcome == Outcome::kBomb ? kEventBomb : kEventDecompression);
  }

 private:
  Flow flow_;
  const uint32_t d_;
  Stream& stream_;
};

void Connection::Data(Flow flow, uint32_t d, View bytes) {
  Stream* stream = Find(side_[d].frame.stream);
  if (stream == nullptr || bytes.empty() || stream->half[d].ended) return;
  Half& half = stream->half[d];
  if (!half.body_open) OpenBody(flow, d, *stream);
  if (half.drop_rest) return;
  half.bytes += bytes.size();
  if (half.dns && half.bytes > kMaxDnsMessage) {
    flow.Event(stream->tx, d == SLUICE_TO_SERVER ? kEventDnsRequestTooLong : kEventDnsResponseTooLong);
    half.dns = false;
  }
  Sink sink(flow, d, *stream);
  if (half.decoder != nullptr) sink.Decoded(half.decoder->Feed(bytes, &sink));
  else sink.Body(bytes);
}

void Connection::OpenBody(Flow flow, uint32_t d, Stream& stream) {
  Half& half = stream.half[d];
  half.body_open = true;
  flow.Stage(stream.tx, d, kBody);
  half.dns = http::StartsWithNoCase(half.content_type, "application/dns-message");
  const http::CodingPlan plan = http::PlanCodings(half.encoding, kCoding);
  if (plan.count > 0) {
    half.decoder = std::make_unique<http::ContentDecoder>();
    half.decoder->Begin(plan, kCoding);
  }
  View name = stream.path;
  if (!half.disposition.empty() && http::DispositionFileName(half.disposition, &scratch_)) name = scratch_;
  half.file = flow.FileOpen(stream.tx, d, name);
  if (half.file <= 0 || !half.partial || plan.count > 0 || !half.range.has_range || !half.range.has_size) return;
  http::NameResource(stream.host, stream.path, stream.query, &scratch_);
  flow.FilePart(half.file, scratch_, half.range.start, half.range.size);
}

// Frees the stream with its second half.
void Connection::EndHalf(Flow flow, uint32_t d, Stream& stream, bool complete) {
  Half& half = stream.half[d];
  if (half.ended) return;
  half.ended = true;
  if (half.body_open) {
    Sink sink(flow, d, stream);
    if (half.decoder != nullptr && !half.drop_rest) sink.Decoded(half.decoder->Finish(&sink));
    flow.Chunk(stream.tx, kBodyField[d], View(), true);
    if (half.file > 0) flow.FileClose(half.file, complete ? SLUICE_FILE_COMPLETE : SLUICE_FILE_TRUNCATED);
  }
  flow.Stage(stream.tx, d, kComplete);
  if (stream.half[0].ended && stream.half[1].ended) Forget(stream.id);
}

bool Connection::Gap(Flow flow, uint32_t d, uint64_t bytes) {
  Side& side = side_[d];
  // Only within DATA is the place of the next frame known and no header state lost.
  if ((side.part != Side::Part::kData && side.part != Side::Part::kSkip) || bytes > side.left) return false;
  Stream* stream = side.part == Side::Part::kData ? Find(side.frame.stream) : nullptr;
  if (stream != nullptr) {
    Half& half = stream->half[d];
    if (!half.body_open) OpenBody(flow, d, *stream);
    half.drop_rest |= half.decoder != nullptr;  // nothing can be decoded behind it
    if (half.file > 0) flow.FileGap(half.file, half.decoder == nullptr ? bytes : 0);
    if (half.file > 0 && half.drop_rest) flow.FileClose(std::exchange(half.file, 0), SLUICE_FILE_TRUNCATED);
  }
  side.left -= static_cast<uint32_t>(bytes);
  if (side.left == 0) EndOfFrame(flow, d);
  return true;
}

void Connection::End(Flow flow, uint32_t d, View) {
  for (size_t i = streams_.size(); i-- > 0;) EndHalf(flow, d, *streams_[i], false);
}

}  // namespace http2
