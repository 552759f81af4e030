// SPDX-License-Identifier: Apache-2.0
// plugins/http/normalise.h - what a server makes of a request target.
#pragma once

#include <string>
#include <string_view>

namespace http {

// Percent-decoding, backslashes as slashes, "//" as "/", "." and ".." removed
// (RFC 3986 §6.2.2) on the path; the query is decoded but keeps its shape.
void NormaliseUri(std::string_view raw, std::string* out);

// The host of a Host header or authority: lower case, without port and final dot.
void NormaliseHost(std::string_view raw, std::string* out);

}  // namespace http
