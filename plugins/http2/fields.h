// SPDX-License-Identifier: Apache-2.0
// plugins/http2/fields.h - what HTTP/2 transactions consist of: the plug-in's one table.
//
// A transaction is a stream, or one frame of the connection (stream 0).  Its http.*
// keywords are those of the http plug-in, with the same types and stages, so that one rule
// serves both; the http2.* ones are its own.
#pragma once

#include <iterator>

#include <sluice/plugin.h>

namespace http2 {

enum Field : uint32_t {
  kMethod, kUri, kUriRaw, kUrl, kRequestLine, kResponseLine, kStatMsg, kProtocol, kProtocolReply, kHost, kHostRaw, kHostLog, kHostnameLog, kUserAgent,
  kUserAgentLog,
  kReferer, kCookie, kSetCookie, kContentType, kContentTypeReply, kContentTypeLog, kContentLen,
  kContentLenReply, kAccept, kAcceptEnc, kAcceptLang, kHeader, kHeaderReply, kHeaderRaw,
  kHeaderRawReply, kHeaderNames, kHeaderNamesReply, kRequestHeader, kResponseHeader, kRequestBody,
  kResponseBody, kStatCode, kServer, kLocation, kStatus, kLength, kXff, kVersion, kRequestHeadersLog,
  kResponseHeadersLog, kHeaderNameLog, kHeaderValueLog, kHeaderName, kHeaderNameReply, kFrameType, kErrorCode,
  kPriority, kWindow, kSettings, kSettingsReply, kSizeUpdate, kStreamId, kRequestPriority, kResponsePriority,
  kRequestMultiple, kResponseMultiple, kRequestError, kResponseError, kRequestSettings, kResponseSettings, kSettingsId, kSettingsValue,
  kNumFields
};

enum Stage : uint32_t { kStarted, kLine, kHeaders, kBody, kTrailer, kComplete };

// Written as in RFC 9113, and as rules of Suricata have them.
inline constexpr sluice_enum_name kFrameTypes[] = {
    {0, "DATA"}, {1, "HEADERS"}, {2, "PRIORITY"}, {3, "RSTSTREAM"}, {3, "RST_STREAM"}, {4, "SETTINGS"},
    {5, "PUSHPROMISE"}, {5, "PUSH_PROMISE"}, {6, "PING"}, {7, "GOAWAY"}, {8, "WINDOWUPDATE"},
    {8, "WINDOW_UPDATE"}, {9, "CONTINUATION"}, {0, nullptr}};
inline constexpr sluice_enum_name kErrorCodes[] = {
    {0, "NO_ERROR"}, {1, "PROTOCOL_ERROR"}, {2, "INTERNAL_ERROR"}, {3, "FLOW_CONTROL_ERROR"},
    {4, "SETTINGS_TIMEOUT"}, {5, "STREAM_CLOSED"}, {6, "FRAME_SIZE_ERROR"}, {7, "REFUSED_STREAM"},
    {8, "CANCEL"}, {9, "COMPRESSION_ERROR"}, {10, "CONNECT_ERROR"}, {11, "ENHANCE_YOUR_CALM"},
    {12, "INADEQUATE_SECURITY"}, {13, "HTTP_1_1_REQUIRED"}, {0, nullptr}};
inline constexpr sluice_enum_name kErrorCodesLog[] = {
    {0, "NOERROR"}, {1, "PROTOCOLERROR"}, {2, "INTERNALERROR"}, {3, "FLOWCONTROLERROR"},
    {4, "SETTINGSTIMEOUT"}, {5, "STREAMCLOSED"}, {6, "FRAMESIZEERROR"}, {7, "REFUSEDSTREAM"},
    {8, "CANCEL"}, {9, "COMPRESSIONERROR"}, {10, "CONNECTERROR"}, {11, "ENHANCEYOURCALM"},
    {12, "INADEQUATESECURITY"}, {13, "HTTP11REQUIRED"}, {0, nullptr}};
// Of http2.settings: the setting in the upper, its value in the lower 32 bits.
inline constexpr sluice_enum_name kSettingsNames[] = {
    {1ull << 32, "SETTINGS_HEADER_TABLE_SIZE"}, {2ull << 32, "SETTINGS_ENABLE_PUSH"},
    {3ull << 32, "SETTINGS_MAX_CONCURRENT_STREAMS"}, {4ull << 32, "SETTINGS_INITIAL_WINDOW_SIZE"},
    {5ull << 32, "SETTINGS_MAX_FRAME_SIZE"}, {6ull << 32, "SETTINGS_MAX_HEADER_LIST_SIZE"}, {0, nullptr}};
inline constexpr sluice_enum_name kSettingsLog[] = {
    {1, "SETTINGSHEADERTABLESIZE"}, {2, "SETTINGSENABLEPUSH"}, {3, "SETTINGSMAXCONCURRENTSTREAMS"},
    {4, "SETTINGSINITIALWINDOWSIZE"}, {5, "SETTINGSMAXFRAMESIZE"}, {6, "SETTINGSMAXHEADERLISTSIZE"},
    {0, nullptr}};

inline constexpr uint32_t kReq = SLUICE_DIR_TO_SERVER, kRes = SLUICE_DIR_TO_CLIENT, kBoth = SLUICE_DIR_BOTH;
#define ROW(keyword, log, help, type, flags, dir, stage) \
  {keyword, nullptr, nullptr, log, help, type, flags, dir, stage, nullptr, nullptr}
#define NAMED(keyword, log, help, type, flags, dir, stage, names) \
  {keyword, nullptr, nullptr, log, help, type, flags, dir, stage, names, nullptr}
inline constexpr sluice_field kFields[] = {
    ROW("http.method", "http_method", "request method", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kLine),
    ROW("http.uri", nullptr, "request target, normalised", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.uri.raw", nullptr, "request target as sent", SLUICE_BYTES, 0, kReq, kLine),
    ROW(nullptr, "url", "request target as sent", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.request_line", nullptr, "method, target and version as HTTP/1 would have them", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.response_line", nullptr, "version and status, with the line's end", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.stat_msg", nullptr, "empty: HTTP/2 has none", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.protocol", nullptr, "HTTP/2", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.protocol", nullptr, "HTTP/2", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.host", nullptr, "host name, lower case, no port", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kHeaders),
    ROW("http.host.raw", nullptr, "host name as sent", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW(nullptr, "hostname", "the Host header", SLUICE_BYTES, SLUICE_LOG_V7, kReq, kHeaders),
    ROW(nullptr, "hostname", "host name", SLUICE_BYTES, SLUICE_LOG_V8, kReq, kHeaders),
    ROW("http.user_agent", nullptr, "User-Agent", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kHeaders),
    ROW(nullptr, "http_user_agent", "User-Agent", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.referer", nullptr, "Referer", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.cookie", nullptr, "Cookie", SLUICE_BYTES, SLUICE_SECRET, kReq, kHeaders),
    ROW("http.cookie", nullptr, "Set-Cookie", SLUICE_BYTES, SLUICE_SECRET, kRes, kHeaders),
    ROW("http.content_type", nullptr, "Content-Type of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.content_type", nullptr, "Content-Type of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, "http_content_type", "Content-Type of the response without parameters", SLUICE_BYTES, SLUICE_LOG_V8, kRes, kHeaders),
    ROW("http.content_len", nullptr, "Content-Length of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.content_len", nullptr, "Content-Length of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.accept", nullptr, "Accept", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.accept_enc", nullptr, "Accept-Encoding", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.accept_lang", nullptr, "Accept-Language", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header", nullptr, "request headers without cookies", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header", nullptr, "response headers without cookies", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.header.raw", nullptr, "request headers", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header.raw", nullptr, "response headers", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.header_names", nullptr, "names of the request headers", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.header_names", nullptr, "names of the response headers", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.request_header", nullptr, "each request header, name: value", SLUICE_BYTES, SLUICE_REPEATED, kReq, kHeaders),
    ROW("http.response_header", nullptr, "each response header, name: value", SLUICE_BYTES, SLUICE_REPEATED, kRes, kHeaders),
    ROW("http.request_body", "http_request_body", "body of the request, decoded", SLUICE_CHUNKS, SLUICE_ALERT_ONLY | SLUICE_OPTIONAL, kReq, kBody),
    ROW("http.response_body", "http_response_body", "body of the response, decoded", SLUICE_CHUNKS, SLUICE_ALERT_ONLY | SLUICE_OPTIONAL, kRes, kBody),
    ROW("http.stat_code", nullptr, "status code", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.server", nullptr, "Server", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.location", nullptr, "Location", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, "status", "status code", SLUICE_UINT, SLUICE_OUTCOME, kRes, kLine),
    ROW(nullptr, "length", "Content-Length of the response", SLUICE_UINT, SLUICE_LOG_LAST, kBoth, kHeaders),
    ROW(nullptr, "xff", "X-Forwarded-For", SLUICE_BYTES, SLUICE_FORWARDED, kReq, kHeaders),
    ROW(nullptr, "version", "2", SLUICE_BYTES, 0, kBoth, kStarted),
    ROW(nullptr, "request_headers", "all request headers", SLUICE_GROUP, SLUICE_REPEATED, kReq, kHeaders),
    ROW(nullptr, "response_headers", "all response headers", SLUICE_GROUP, SLUICE_REPEATED, kRes, kHeaders),
    ROW(nullptr, "name", "name of a header", SLUICE_BYTES, 0, kBoth, kHeaders),
    ROW(nullptr, "value", "value of a header", SLUICE_BYTES, 0, kBoth, kHeaders),
    ROW("http2.header_name", nullptr, "name of each header", SLUICE_BYTES, SLUICE_REPEATED, kReq, kHeaders),
    ROW("http2.header_name", nullptr, "name of each header", SLUICE_BYTES, SLUICE_REPEATED, kRes, kHeaders),
    NAMED("http2.frametype", nullptr, "types of the frames", SLUICE_ENUM, SLUICE_REPEATED, kBoth, kStarted, kFrameTypes),
    NAMED("http2.errorcode", nullptr, "error of RST_STREAM or GOAWAY", SLUICE_ENUM, SLUICE_REPEATED, kBoth, kStarted, kErrorCodes),
    ROW("http2.priority", nullptr, "weight of HEADERS or PRIORITY", SLUICE_UINT, SLUICE_REPEATED, kBoth, kStarted),
    ROW("http2.window", nullptr, "increment of WINDOW_UPDATE", SLUICE_UINT, SLUICE_REPEATED, kBoth, kStarted),
    NAMED("http2.settings", nullptr, "settings with their values", SLUICE_UINT, SLUICE_REPEATED, kReq, kStarted, kSettingsNames),
    NAMED("http2.settings", nullptr, "settings with their values", SLUICE_UINT, SLUICE_REPEATED, kRes, kStarted, kSettingsNames),
    ROW("http2.size_update", nullptr, "new size of the header table", SLUICE_UINT, SLUICE_REPEATED, kBoth, kHeaders),
    ROW(nullptr, "http2.stream_id", "number of the stream, 0: the connection", SLUICE_UINT, 0, kBoth, kStarted),
    ROW(nullptr, "http2.request.priority", "weight", SLUICE_UINT, 0, kReq, kStarted),
    ROW(nullptr, "http2.response.priority", "weight", SLUICE_UINT, 0, kRes, kStarted),
    ROW(nullptr, "http2.request.has_multiple", "what occurred more than once", SLUICE_BYTES, 0, kReq, kStarted),
    ROW(nullptr, "http2.response.has_multiple", "what occurred more than once", SLUICE_BYTES, 0, kRes, kStarted),
    NAMED(nullptr, "http2.request.error_code", "error", SLUICE_ENUM, 0, kReq, kStarted, kErrorCodesLog),
    NAMED(nullptr, "http2.response.error_code", "error", SLUICE_ENUM, 0, kRes, kStarted, kErrorCodesLog),
    ROW(nullptr, "http2.request.settings", "settings", SLUICE_GROUP, SLUICE_REPEATED, kReq, kStarted),
    ROW(nullptr, "http2.response.settings", "settings", SLUICE_GROUP, SLUICE_REPEATED, kRes, kStarted),
    NAMED(nullptr, "settings_id", "which", SLUICE_ENUM, 0, kBoth, kStarted, kSettingsLog),
    ROW(nullptr, "settings_value", "its value", SLUICE_UINT, 0, kBoth, kStarted),
};
#undef ROW
#undef NAMED
static_assert(std::size(kFields) == kNumFields);

#define HTTP2_EVENTS(X) \
  X(FrameHeader, "invalid_frame_header", "not a frame header") \
  X(ClientMagic, "invalid_client_magic", "the client's preface is not that of HTTP/2") \
  X(FrameData, "invalid_frame_data", "a frame whose padding is longer than itself") \
  X(HeaderInvalid, "invalid_header", "a header block that does not decode") \
  X(FrameLength, "invalid_frame_length", "a length that its type does not have") \
  X(ExtraHeaderData, "extra_header_data", "bytes behind a header block") \
  X(LongFrame, "long_frame_data", "a control frame longer than the limit") \
  X(StreamReuse, "stream_id_reuse", "headers on a stream that has ended") \
  X(Http1Settings, "invalid_http1_settings", "HTTP2-Settings that do not decode") \
  X(Decompression, "failed_decompression", "the body is not what content-encoding says") \
  X(Range, "invalid_range", "a content-range that is none") \
  X(IntegerOverflow, "header_integer_overflow", "a number in a header block is too large") \
  X(TooManyStreams, "too_many_streams", "more open streams than the limit") \
  X(AuthorityMismatch, "authority_host_mismatch", ":authority and host differ") \
  X(UserInfo, "userinfo_in_uri", ":authority with a user name") \
  X(ReassemblyLimit, "reassembly_limit_reached", "a header block over too many frames or bytes") \
  X(DataStreamZero, "data_stream_zero", "DATA on stream 0") \
  X(TooManyFrames, "too_many_frames", "more frames in a transaction than are kept") \
  X(DnsRequestTooLong, "dns_request_too_long", "a DNS request over HTTP/2 longer than the limit") \
  X(DnsResponseTooLong, "dns_response_too_long", "a DNS response over HTTP/2 longer than the limit") \
  X(RapidReset, "rapid_reset", "many streams opened and reset at once") \
  X(Bomb, "compression_bomb", "the body grows beyond the limit when decoded")

#define X(id, name, help) kEvent##id,
enum Event : uint32_t { HTTP2_EVENTS(X) kNumEvents };
#undef X
#define X(id, name, help) {name, help},
inline constexpr sluice_event kEvents[] = {HTTP2_EVENTS(X)};
#undef X
#undef HTTP2_EVENTS

inline constexpr const char* kRequestStages[] = {"request_started", "request_line",    "request_headers",
                                                 "request_body",    "request_trailer", "request_complete"};
inline constexpr const char* kResponseStages[] = {"response_started", "response_line",    "response_headers",
                                                  "response_body",    "response_trailer", "response_complete"};

}  // namespace http2
