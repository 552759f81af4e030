// SPDX-License-Identifier: Apache-2.0
// plugins/http/normalise.h - what a server makes of a request target and a host.
#pragma once

#include <cstdint>
#include <string>

#include "text.h"

namespace http {

// A target's parts as sent, RFC 3986 §3.  Views point into the target.
struct Target {
  View scheme, host, port, path, query, fragment;
  bool has_authority = false, has_query = false, has_fragment = false;
};
// `authority_form`: the target of a CONNECT, host and port alone.
Target SplitTarget(View raw, bool authority_form);

struct NormaliseOptions {
  bool double_decode_path = false, double_decode_query = false;
};
// Path, query and fragment as the most permissive servers see them.  Of the path:
// %XX and %uXXXX decoded, backslashes as slashes, "//" as "/", UTF-8 as the nearest
// single byte, "." and ".." removed (RFC 3986 §5.2.4).  The query is decoded and keeps its shape.
// Returns whether decoding once more would change it.
bool NormaliseTarget(const Target& target, NormaliseOptions options, std::string* out);
void NormalisePath(View path, NormaliseOptions options, std::string* out);

// A Host header or an authority.
struct HostPort {
  View host, port;         // as sent, without brackets removed
  uint32_t number = 0;     // of the port; 0: none, or not valid
  bool valid = false;      // both
};
HostPort SplitHostPort(View raw);
bool ValidHost(View host);

// The host in lower case.
void LowerHost(View host, std::string* out);

// What parts of one file have in common, over HTTP's versions: host in lower case, normalised
// path, query.
void NameResource(View host, View path, View query, std::string* out);

}  // namespace http
