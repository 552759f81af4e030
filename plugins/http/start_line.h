// SPDX-License-Identifier: Apache-2.0
// plugins/http/start_line.h - request lines and status lines (RFC 9112 §3, §4).
//
// Views point into the line given.  Nothing is refused: what is odd is named.
#pragma once

#include <cstdint>

#include "text.h"

namespace http {

enum class Method : uint8_t { kUnknown, kGet, kHead, kPost, kPut, kConnect, kOther };
Method MethodOf(View name);  // case-sensitive, as servers have it

// 9, 10, 11 for HTTP/0.9, 1.0, 1.1; 0 for anything else.
unsigned VersionOf(View protocol);

struct RequestLine {
  View method, target, protocol;  // protocol "": none, HTTP/0.9
  Method known = Method::kUnknown;
  unsigned version = 0;
  bool blank_before = false;       // before the method
  bool odd_method_end = false;     // another blank than a space behind the method
  bool odd_target_end = false;     // the same within or behind the target
};
RequestLine ParseRequestLine(View line);

// Whether a line in place of a request can be one: a method we know, or a protocol.
bool LooksLikeRequest(View line);

struct StatusLine {
  View protocol, code, reason;
  unsigned version = 0;
  unsigned status = 0;  // 100 .. 999; 0 if the code is no such number
};
StatusLine ParseStatusLine(View line);

// Browsers take anything that starts with "http" for a status line and the rest for a body.
bool LooksLikeResponse(View line);

// Strictly: behind lost bytes, where anything may stand.
bool IsRequestLine(View line);
bool IsStatusLine(View line);

// A line that only separates messages.
bool IsEmptyLine(View line);

}  // namespace http
