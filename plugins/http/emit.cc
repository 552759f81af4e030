// SPDX-License-Identifier: Apache-2.0
#include "emit.h"

#include "framing.h"

namespace http {
namespace {

struct HeaderField {
  View name;  // lower case
  uint32_t field;
};
constexpr HeaderField kRequestFields[] = {
    {"user-agent", kUserAgent},      {"referer", kReferer},           {"cookie", kCookie},
    {"content-type", kContentType},  {"content-length", kContentLen}, {"accept", kAccept},
    {"accept-encoding", kAcceptEnc}, {"accept-language", kAcceptLang}, {"connection", kConnection},
    {"x-forwarded-for", kXff}};
constexpr HeaderField kResponseFields[] = {
    {"set-cookie", kSetCookie},           {"content-type", kContentTypeReply},
    {"content-length", kContentLenReply}, {"connection", kConnectionReply},
    {"server", kServer},                  {"location", kLocation}};

template <size_t N>
void EmitSingles(const Emitter& to, const HeaderTable& headers, const HeaderField (&fields)[N]) {
  for (const Header& header : headers.all()) {
    for (const HeaderField& known : fields) {
      if (!SameNameSkippingNul(header.name, known.name)) continue;
      to.Set(known.field, header.value);
      break;
    }
  }
}

// Host of the target, else of the Host header (RFC 9112 §3.2.2).
void EmitHost(const Emitter& to, View host, View raw, uint32_t port) {
  if (host.empty()) return;
  to.Set(kHostRaw, raw);
  LowerHost(host, &to.scratch);
  to.Set(kHost, to.scratch);
  to.Set(kHostLog, to.scratch);
  if (port != 0) to.flow.SetUint(to.tx, kPort, port);
}

void EmitHosts(const Emitter& to, const HeaderTable& headers, const Target& target, unsigned version,
               uint16_t server_port) {
  const Header* header = headers.Find("host");
  if (header == nullptr && version == 11) to.Event(kEventMissingHost);
  const HostPort named = SplitHostPort(header == nullptr ? View() : View(header->value));
  if (header != nullptr && !named.valid) to.Event(kEventHostInvalid);
  if (!named.port.empty() && named.number == 0) to.Event(kEventServerPort);
  if (header != nullptr && header->repeated) to.Event(kEventAmbiguousHost);
  if (!target.has_authority) {
    if (header != nullptr) EmitHost(to, named.host, header->value, named.number);
    if (named.number != 0 && named.number != server_port) to.Event(kEventServerPortMismatch);
    return;
  }
  uint64_t port = 0;
  const bool good = ToNumber(target.port, &port) && port > 0 && port <= 65535;
  if (!target.port.empty() && !good) to.Event(kEventAuthorityPort);
  if (!ValidHost(target.host)) to.Event(kEventUriHostInvalid);
  EmitHost(to, target.host, target.host, good ? static_cast<uint32_t>(port) : 0);
  LowerHost(target.host, &to.scratch);
  if (header != nullptr && !SameName(named.host, to.scratch)) to.Event(kEventAmbiguousHost);
}

void CheckAuthorization(const Emitter& to, const HeaderTable& headers) {
  const Header* header = headers.Find("authorization");
  if (header == nullptr) return;
  constexpr View kSchemes[] = {"basic", "digest", "bearer", "negotiate", "ntlm"};
  for (const View scheme : kSchemes) {
    if (StartsWithNoCase(header->value, scheme)) return;
  }
  to.Event(kEventAuthUnrecognized);
}

void EmitRange(const Emitter& to, const HeaderTable& headers) {
  const Header* header = headers.Find("content-range");
  if (header == nullptr) return;
  ContentRange range;
  to.Set(kRangeRaw, header->value);
  if (!ParseContentRange(header->value, &range)) {
    to.Event(kEventRangeInvalid);
    return;
  }
  if (range.has_range) {
    to.flow.SetUint(to.tx, kRangeStart, range.start);
    to.flow.SetUint(to.tx, kRangeEnd, range.end);
  }
  if (range.has_size) to.flow.SetUint(to.tx, kRangeSize, range.size);
}

}  // namespace

void EmitRequestLine(const Emitter& to, View text, const RequestLine& line, const Target& target,
                     NormaliseOptions options) {
  to.Set(kMethod, line.method);
  if (!line.target.empty()) {
    to.Set(kUriRaw, line.target);
    to.Set(kUrl, line.target);
  }
  const bool again = NormaliseTarget(target, options, &to.scratch);
  if (!to.scratch.empty()) to.Set(kUri, to.scratch);
  if (again && (options.double_decode_path || options.double_decode_query)) to.Event(kEventDoubleEncoded);
  if (!line.protocol.empty()) to.Set(kProtocol, line.protocol);
  to.Set(kRequestLine, text);
  if (line.blank_before) to.Event(kEventLineLeadingBlank);
  if (line.odd_method_end) to.Event(kEventMethodDelimiter);
  if (line.odd_target_end) to.Event(kEventUriDelimiter);
  if (line.known == Method::kUnknown && line.version < 10) to.Event(kEventLineInvalid);
}

void EmitStatusLine(const Emitter& to, View text, const StatusLine& line) {
  to.Set(kProtocolReply, line.protocol);
  if (!line.code.empty()) to.Set(kStatCode, line.code);
  if (!line.reason.empty()) to.Set(kStatMsg, line.reason);
  to.Set(kResponseLine, text);
  if (line.status != 0) to.flow.SetUint(to.tx, kStatus, line.status);
  else if (!line.code.empty()) to.Set(kStatusString, line.code);
  if (line.version == 0) to.Event(kEventResponseProtocol);
  if (line.status == 0) to.Event(kEventResponseStatus);
}

void EmitHeaderBuffers(const Emitter& to, uint32_t direction, const HeaderTable& headers, View start, View raw) {
  const bool request = direction == SLUICE_TO_SERVER;
  const auto all = headers.all();
  std::string& text = to.scratch;
  if (to.flow.Wanted(request ? kHeaderNames : kHeaderNamesReply) && !all.empty()) {
    text.assign("\r\n");
    for (const Header& header : all) text.append(header.name).append("\r\n");
    text.append("\r\n");
    to.Set(request ? kHeaderNames : kHeaderNamesReply, text);
  }
  if (to.flow.Wanted(request ? kHeader : kHeaderReply)) {
    text.clear();
    for (const Header& header : all) {
      if (SameName(header.name, request ? "cookie" : "set-cookie")) continue;
      text.append(header.name).append(": ").append(header.value).append("\r\n");
    }
    if (!text.empty()) to.Set(request ? kHeader : kHeaderReply, text);
  }
  if (!raw.empty()) to.Set(request ? kHeaderRaw : kHeaderRawReply, raw);
  if (to.flow.Wanted(request ? kStart : kStartReply) && !start.empty()) {
    text.assign(start).append("\r\n");
    for (const Header& header : all) text.append(header.name).append(": ").append(header.value).append("\r\n");
    text.append("\r\n");
    to.Set(request ? kStart : kStartReply, text);
  }
}

void EmitEachHeader(const Emitter& to, uint32_t direction, const HeaderTable& headers) {
  const bool request = direction == SLUICE_TO_SERVER;
  const auto all = headers.all();
  std::string& text = to.scratch;
  if (const uint32_t each = request ? kRequestHeader : kResponseHeader; to.flow.Wanted(each)) {
    for (const Header& header : all) {
      text.assign(header.name).append(": ").append(header.value);
      to.Set(each, text);
    }
  }
  if (const uint32_t group = request ? kRequestHeadersLog : kResponseHeadersLog; to.flow.Wanted(group)) {
    for (const Header& header : all) {
      to.flow.Open(to.tx, group);
      to.flow.Set(to.tx, kHeaderNameLog, header.name);
      to.flow.Set(to.tx, kHeaderValueLog, header.value);
      to.flow.Close(to.tx);
    }
  }
}

void EmitRequestHeaders(const Emitter& to, const HeaderTable& headers, const Target& target,
                        unsigned version, uint16_t server_port) {
  EmitSingles(to, headers, kRequestFields);
  EmitHosts(to, headers, target, version, server_port);
  CheckAuthorization(to, headers);
}

void EmitResponseHeaders(const Emitter& to, const HeaderTable& headers, unsigned status) {
  EmitSingles(to, headers, kResponseFields);
  if (const View type = headers.Value("content-type"); !type.empty()) {
    if (StartsWithNoCase(type, "multipart/byteranges")) to.Event(kEventByteRanges);
    to.Set(kContentTypeLog, Trim(type.substr(0, type.find(';'))));
  }
  if (const Header* location = headers.Find("location"); location != nullptr && status >= 300 && status < 400) {
    to.Set(kRedirect, location->value);
  }
  EmitRange(to, headers);
}

void EmitHeaderFlags(const Emitter& to, uint32_t direction, uint32_t flags) {
  if (flags == 0) return;
  const bool request = direction == SLUICE_TO_SERVER;
  if (flags & kMissingColon) to.Event(request ? kEventRequestNoColon : kEventResponseNoColon);
  if (flags & (kEmptyName | kNameBlankAfter | kNameNotToken)) {
    to.Event(request ? kEventRequestHeaderInvalid : kEventResponseHeaderInvalid);
  }
  if (flags & kNameBlankBefore) to.Event(request ? kEventRequestFolding : kEventResponseFolding);
}

}  // namespace http
