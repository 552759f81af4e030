// SPDX-License-Identifier: Apache-2.0
// plugins/http/fields.h - what HTTP/1 transactions consist of: the plug-in's one table.
//
// Names of keywords, log keys and events are those of Suricata 7 and 8.
#pragma once

#include <iterator>

#include <sluice/plugin.h>

namespace http {

enum Field : uint32_t {
  kMethod, kUri, kUriRaw, kUrl, kRequestLine, kProtocol, kProtocolReply, kHost, kHostRaw, kHostLog,
  kPort, kUserAgent, kReferer, kCookie, kSetCookie, kContentType, kContentTypeReply,
  kContentTypeLog, kContentLen, kContentLenReply, kAccept, kAcceptEnc, kAcceptLang, kConnection,
  kConnectionReply, kHeader, kHeaderReply, kHeaderRaw, kHeaderRawReply, kHeaderNames,
  kHeaderNamesReply, kStart, kStartReply, kRequestHeader, kResponseHeader, kRequestBody,
  kResponseBody, kStatCode, kStatMsg, kResponseLine, kServer, kLocation, kStatus, kStatusString,
  kLength, kRedirect, kXff, kRangeRaw, kRangeStart, kRangeEnd, kRangeSize,
  kRequestHeadersLog, kResponseHeadersLog, kHeaderNameLog, kHeaderValueLog, kRequestFrame, kResponseFrame,
  kStreamType, kStreamEvents, kStreamFirstByte, kStreamFirstEvent, kNumFields
};

enum Stage : uint32_t { kStarted, kLine, kHeaders, kBody, kTrailer, kComplete };

inline constexpr uint32_t kReq = SLUICE_DIR_TO_SERVER, kRes = SLUICE_DIR_TO_CLIENT;
#define ROW(keyword, aliases, modifiers, log, help, type, flags, dir, stage) \
  {keyword, aliases, modifiers, log, help, type, flags, dir, stage, nullptr, nullptr}
inline constexpr sluice_field kFields[] = {
    ROW("http.method", nullptr, "http_method pcre_M", "http_method", "request method", SLUICE_BYTES, SLUICE_DIMENSION | SLUICE_EXTENDED, kReq, kLine),
    ROW("http.uri", nullptr, "http_uri uricontent_field pcre_U urilen_norm", nullptr, "request target, normalised", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.uri.raw", nullptr, "http_raw_uri pcre_I urilen_raw", nullptr, "request target as sent", SLUICE_BYTES, 0, kReq, kLine),
    ROW(nullptr, nullptr, nullptr, "url", "request target as sent", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.request_line", "http_request_line", nullptr, nullptr, "the whole request line", SLUICE_BYTES, 0, kReq, kLine),
    ROW("http.protocol", "http_protocol", nullptr, "protocol", "version in the request line", SLUICE_BYTES, SLUICE_EXTENDED, kReq, kLine),
    ROW("http.protocol", nullptr, nullptr, nullptr, "version in the status line", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.host", nullptr, "http_host pcre_W", nullptr, "host name, lower case, no port", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kHeaders),
    ROW("http.host.raw", nullptr, "http_raw_host pcre_Z", nullptr, "host name as sent", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "hostname", "host name", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "http_port", "port of the Host header or the target", SLUICE_UINT, 0, kReq, kHeaders),
    ROW("http.user_agent", nullptr, "http_user_agent pcre_V", "http_user_agent", "User-Agent", SLUICE_BYTES, SLUICE_DIMENSION, kReq, kHeaders),
    ROW("http.referer", "http_referer", nullptr, "http_refer", "Referer", SLUICE_BYTES, SLUICE_EXTENDED, kReq, kHeaders),
    ROW("http.cookie", nullptr, "http_cookie pcre_C", nullptr, "Cookie", SLUICE_BYTES, SLUICE_SECRET, kReq, kHeaders),
    ROW("http.cookie", nullptr, nullptr, nullptr, "Set-Cookie", SLUICE_BYTES, SLUICE_SECRET, kRes, kHeaders),
    ROW("http.content_type", "http_content_type", nullptr, nullptr, "Content-Type of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.content_type", nullptr, nullptr, nullptr, "Content-Type of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "http_content_type", "Content-Type of the response without parameters", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.content_len", "http_content_len", nullptr, nullptr, "Content-Length of the request", SLUICE_BYTES, 0, kReq, kHeaders),
    ROW("http.content_len", nullptr, nullptr, nullptr, "Content-Length of the response", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW("http.accept", "http_accept", nullptr, "accept", "Accept", SLUICE_BYTES, SLUICE_OPTIONAL, kReq, kHeaders),
    ROW("http.accept_enc", "http_accept_enc", nullptr, "accept_encoding", "Accept-Encoding", SLUICE_BYTES, SLUICE_OPTIONAL, kReq, kHeaders),
    ROW("http.accept_lang", "http_accept_lang", nullptr, "accept_language", "Accept-Language", SLUICE_BYTES, SLUICE_OPTIONAL, kReq, kHeaders),
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
    ROW("http.request_body", nullptr, "http_client_body pcre_P", "http_request_body", "body of the request, decoded", SLUICE_CHUNKS, SLUICE_ALERT_ONLY | SLUICE_OPTIONAL, kReq, kBody),
    ROW("http.response_body", nullptr, "http_server_body pcre_Q", "http_response_body", "body of the response, decoded", SLUICE_CHUNKS, SLUICE_ALERT_ONLY | SLUICE_OPTIONAL, kRes, kBody),
    ROW("http.stat_code", nullptr, "http_stat_code pcre_S", nullptr, "status code", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.stat_msg", nullptr, "http_stat_msg pcre_Y", nullptr, "reason phrase", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.response_line", "http_response_line", nullptr, nullptr, "the whole status line", SLUICE_BYTES, 0, kRes, kLine),
    ROW("http.server", nullptr, nullptr, "server", "Server", SLUICE_BYTES, SLUICE_OPTIONAL, kRes, kHeaders),
    ROW("http.location", nullptr, nullptr, "location", "Location", SLUICE_BYTES, SLUICE_OPTIONAL, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "status", "status code", SLUICE_UINT, SLUICE_OUTCOME | SLUICE_EXTENDED, kRes, kLine),
    ROW(nullptr, nullptr, nullptr, "status_string", "status that is no number", SLUICE_BYTES, SLUICE_EXTENDED, kRes, kLine),
    ROW(nullptr, nullptr, nullptr, "length", "body bytes of the response", SLUICE_UINT, SLUICE_MEASURE | SLUICE_LOG_LAST | SLUICE_EXTENDED, kRes, kComplete),
    ROW(nullptr, nullptr, nullptr, "redirect", "Location of a 3xx", SLUICE_BYTES, SLUICE_EXTENDED, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "xff", "X-Forwarded-For", SLUICE_BYTES, SLUICE_FORWARDED, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.raw", "Content-Range", SLUICE_BYTES, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.start", "first byte", SLUICE_UINT, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.end", "last byte", SLUICE_UINT, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "content_range.size", "size of the whole", SLUICE_UINT, 0, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "request_headers", "all request headers", SLUICE_GROUP, SLUICE_REPEATED | SLUICE_OPTIONAL, kReq, kHeaders),
    ROW(nullptr, nullptr, nullptr, "response_headers", "all response headers", SLUICE_GROUP, SLUICE_REPEATED | SLUICE_OPTIONAL, kRes, kHeaders),
    ROW(nullptr, nullptr, nullptr, "name", "name of a header", SLUICE_BYTES, 0, SLUICE_DIR_BOTH, kHeaders),
    ROW(nullptr, nullptr, nullptr, "value", "value of a header", SLUICE_BYTES, 0, SLUICE_DIR_BOTH, kHeaders),
    ROW("http1.request", "http.request", nullptr, nullptr, "a request as it was sent", SLUICE_CHUNKS, SLUICE_FRAME, kReq, kComplete),
    ROW("http1.response", "http.response", nullptr, nullptr, "a response as it was sent", SLUICE_CHUNKS, SLUICE_FRAME, kRes, kComplete),
    ROW(nullptr, nullptr, nullptr, "stream.type", "sse or ndjson: a response that is a stream of events", SLUICE_BYTES, SLUICE_DIMENSION, kRes, kBody),
    ROW(nullptr, nullptr, nullptr, "stream.events", "events of the stream so far", SLUICE_UINT, SLUICE_MEASURE | SLUICE_LOG_LAST, kRes, kBody),
    ROW(nullptr, nullptr, nullptr, "stream.first_byte_us", "from the request's end to the stream's first byte, microseconds", SLUICE_UINT, SLUICE_MEASURE, kRes, kBody),
    ROW(nullptr, nullptr, nullptr, "stream.first_event_us", "... to the end of its first event", SLUICE_UINT, SLUICE_MEASURE, kRes, kBody),
};
#undef ROW
static_assert(std::size(kFields) == kNumFields);

// One line per event: identifier, name, help.
#define HTTP_EVENTS(X) \
  X(UnknownError, "unknown_error", "an error without a name of its own: never, all have one") \
  X(DecompressionFailed, "gzip_decompression_failed", "the body is not what Content-Encoding says") \
  X(RequestNoColon, "request_field_missing_colon", "a request header without a colon") \
  X(ResponseNoColon, "response_field_missing_colon", "a response header without a colon") \
  X(RequestChunkLength, "invalid_request_chunk_len", "a chunk size that is no number") \
  X(ResponseChunkLength, "invalid_response_chunk_len", "a chunk size that is no number") \
  X(RequestTransferCoding, "invalid_transfer_encoding_value_in_request", "a Transfer-Encoding without chunked") \
  X(ResponseTransferCoding, "invalid_transfer_encoding_value_in_response", "a Transfer-Encoding without chunked") \
  X(RequestContentLength, "invalid_content_length_field_in_request", "Content-Length is no number") \
  X(ResponseContentLength, "invalid_content_length_field_in_response", "Content-Length is no number") \
  X(RequestTwoLengths, "duplicate_content_length_field_in_request", "Content-Lengths that differ") \
  X(ResponseTwoLengths, "duplicate_content_length_field_in_response", "Content-Lengths that differ") \
  X(ContinueTwice, "100_continue_already_seen", "a second 100 Continue for one request") \
  X(UnmatchedResponse, "unable_to_match_response_to_request", "a response without a request") \
  X(ServerPort, "invalid_server_port_in_request", "the server's port is not valid") \
  X(AuthorityPort, "invalid_authority_port", "the port in the target is not valid") \
  X(RequestHeaderInvalid, "request_header_invalid", "a request header with an invalid name") \
  X(ResponseHeaderInvalid, "response_header_invalid", "a response header with an invalid name") \
  X(MissingHost, "missing_host_header", "an HTTP/1.1 request without Host") \
  X(AmbiguousHost, "host_header_ambiguous", "Host headers that differ, or differ from the target") \
  X(RequestFolding, "invalid_request_field_folding", "a request header that begins with a blank") \
  X(ResponseFolding, "invalid_response_field_folding", "a response header that begins with a blank") \
  X(RequestTooLong, "request_field_too_long", "a line or the headers are longer than the limit") \
  X(ResponseTooLong, "response_field_too_long", "a line or the headers are longer than the limit") \
  X(FileNameTooLong, "file_name_too_long", "a file name longer than the limit") \
  X(LineInvalid, "request_line_invalid", "not a request line") \
  X(BodyUnexpected, "request_body_unexpected", "bytes behind a request that are none") \
  X(ServerPortMismatch, "request_server_port_tcp_port_mismatch", "the target's port is not the connection's") \
  X(UriHostInvalid, "request_uri_host_invalid", "the host in the target is not valid") \
  X(HostInvalid, "request_header_host_invalid", "the Host header is not valid") \
  X(AuthUnrecognized, "request_auth_unrecognized", "an Authorization scheme nobody defines") \
  X(RequestRepetition, "request_header_repetition", "a request header that occurs twice") \
  X(ResponseRepetition, "response_header_repetition", "a response header that occurs twice") \
  X(ByteRanges, "response_multipart_byteranges", "a body of several ranges") \
  X(AbnormalTransferCoding, "response_abnormal_transfer_encoding", "a Transfer-Encoding that is more than chunked") \
  X(ChunkedOldProtocol, "response_chunked_old_proto", "chunked before HTTP/1.1") \
  X(ResponseProtocol, "response_invalid_protocol", "a status line without a version we know") \
  X(ResponseStatus, "response_invalid_status", "a status that is no number of 100 to 999") \
  X(LineIncomplete, "request_line_incomplete", "the request ends within its line") \
  X(DoubleEncoded, "double_encoded_uri", "a path that is encoded twice") \
  X(LzmaMemory, "lzma_memlimit_reached", "a decoder's memory limit") \
  X(Bomb, "compression_bomb", "the body grows beyond the limit when decoded") \
  X(RangeInvalid, "range_invalid", "a Content-Range that is none") \
  X(RequestChunkExtension, "request_chunk_extension", "a chunk size with an extension") \
  X(ResponseChunkExtension, "response_chunk_extension", "a chunk size with an extension") \
  X(LineNoProtocol, "request_line_missing_protocol", "headers follow a line without a version") \
  X(RequestManyHeaders, "request_too_many_headers", "more headers than the limit") \
  X(ResponseManyHeaders, "response_too_many_headers", "more headers than the limit") \
  X(MultipartError, "multipart_generic_error", "a multipart body without a boundary") \
  X(MultipartNoData, "multipart_no_filedata", "a multipart file without data") \
  X(MultipartHeader, "multipart_invalid_header", "a part with a broken header") \
  X(TooManyWarnings, "too_many_warnings", "more events in a connection than are told: 512") \
  X(MethodDelimiter, "method_delim_non_compliant", "another blank than a space behind the method") \
  X(UriDelimiter, "uri_delim_non_compliant", "another blank than a space behind the target") \
  X(LineLeadingBlank, "request_line_leading_whitespace", "blanks before the method") \
  X(TooManyLayers, "too_many_encoding_layers", "more content codings than the limit") \
  X(AbnormalCoding, "abnormal_ce_header", "a Content-Encoding nobody defines") \
  X(ProtocolChangeFailed, "failed_protocol_change", "101 with another protocol than was asked for, or with none") \
  X(ResponseBodyUnexpected, "response_body_unexpected", "bytes behind a response that are none") \
  X(SwitchWithLength, "switching_protocol_with_content_length", "101 with a body") \
  X(TooManyRequests, "too_many_requests", "more unanswered requests than the limit")

#define X(id, name, help) kEvent##id,
enum Event : uint32_t { HTTP_EVENTS(X) kNumEvents };
#undef X
#define X(id, name, help) {name, help},
inline constexpr sluice_event kEvents[] = {HTTP_EVENTS(X)};
#undef X
#undef HTTP_EVENTS

inline constexpr const char* kRequestStages[] = {"request_started", "request_line",    "request_headers",
                                                 "request_body",    "request_trailer", "request_complete"};
inline constexpr const char* kResponseStages[] = {"response_started", "response_line",    "response_headers",
                                                  "response_body",    "response_trailer", "response_complete"};

}  // namespace http
