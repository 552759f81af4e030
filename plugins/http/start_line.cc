// SPDX-License-Identifier: Apache-2.0
#include "start_line.h"

#include <array>

namespace http {
namespace {

// Methods beyond those with a meaning of their own here (IANA registry, WebDAV, UPnP, Microsoft).
constexpr View kOtherMethods[] = {
    "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK",
    "UNLOCK", "VERSION-CONTROL", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT",
    "MKWORKSPACE", "MKACTIVITY", "BASELINE-CONTROL", "MERGE", "INVALID", "SEARCH", "NOTIFY",
    "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH", "BIND", "UNBIND", "REBIND", "ACL", "MKCALENDAR", "POLL",
    "BPROPFIND", "BPROPPATCH", "BCOPY", "BDELETE", "BMOVE", "RPC_IN_DATA", "RPC_OUT_DATA", "CCM_POST",
    "SSTP_DUPLEX_POST", "PRI", "SOURCE", "PURGE", "LINK", "UNLINK", "ORDERPATCH", "QUERY"};

template <typename Pred>
View TakeWhile(View* text, Pred pred) {
  size_t n = 0;
  while (n < text->size() && pred((*text)[n])) ++n;
  const View taken = text->substr(0, n);
  text->remove_prefix(n);
  return taken;
}
// "RTSP/1.0": upper-case letters and a version; HTTP's relatives are read like it.
bool NamesProtocol(View text) {
  const size_t slash = text.find('/');
  if (slash == 0 || slash == View::npos || slash + 1 == text.size() || !IsDigit(text[slash + 1])) return false;
  const View name = text.substr(0, slash);
  return std::all_of(name.begin(), name.end(), [](char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; });
}
bool NotSpace(char c) { return !IsSpace(c); }

}  // namespace

Method MethodOf(View name) {
  if (name == "GET") return Method::kGet;
  if (name == "POST") return Method::kPost;
  if (name == "HEAD") return Method::kHead;
  if (name == "PUT") return Method::kPut;
  if (name == "CONNECT") return Method::kConnect;
  for (const View other : kOtherMethods) {
    if (name == other) return Method::kOther;
  }
  return Method::kUnknown;
}

// "HTTP / 01.1" is accepted too: blanks and zeros around the slash, as servers do.
unsigned VersionOf(View protocol) {
  protocol = Trim(protocol);
  if (!StartsWithNoCase(protocol, "http")) return 0;
  protocol = TrimLeft(protocol.substr(4));
  if (!protocol.starts_with('/')) return 0;
  protocol.remove_prefix(1);
  TakeWhile(&protocol, [](char c) { return IsSpace(c) || c == '0'; });
  return protocol == "1.1" ? 11 : protocol == "1.0" ? 10 : protocol == ".9" ? 9 : 0;
}

RequestLine ParseRequestLine(View line) {
  RequestLine out;
  out.blank_before = !TakeWhile(&line, IsSpace).empty();
  out.method = TakeWhile(&line, NotSpace);
  out.known = MethodOf(out.method);
  const View gap = TakeWhile(&line, IsSpace);
  out.odd_method_end = std::any_of(gap.begin(), gap.end(), [](char c) { return c != ' '; });
  const View rest = Trim(line);
  // The protocol is behind the last space, so a target may hold spaces.
  size_t split = rest.rfind(' ');
  const auto odd = [](char c) { return IsSpace(c) && c != ' '; };
  const View before = rest.substr(0, split);
  if (std::any_of(before.begin(), before.end(), odd)) {
    out.odd_target_end = true;
    if (split == View::npos) split = rest.find_last_of("\t\r\n\v\f");
  }
  out.target = Trim(rest.substr(0, split));
  if (split != View::npos) out.protocol = Trim(rest.substr(split));
  out.version = out.protocol.empty() ? 9 : VersionOf(out.protocol);
  return out;
}

bool LooksLikeRequest(View line) {
  View rest = TrimLeft(line);
  if (MethodOf(TakeWhile(&rest, NotSpace)) != Method::kUnknown) return true;
  return NamesProtocol(ParseRequestLine(Chomp(line)).protocol);
}

StatusLine ParseStatusLine(View line) {
  StatusLine out;
  TakeWhile(&line, [](char c) { return IsSpace(c) || c == '\0'; });
  out.protocol = TakeWhile(&line, NotSpace);
  out.version = VersionOf(out.protocol);
  TakeWhile(&line, IsSpace);
  out.code = TakeWhile(&line, NotSpace);
  TakeWhile(&line, IsSpace);
  out.reason = line;
  uint64_t status = 0;
  if (ToNumber(out.code, &status) && status >= 100 && status <= 999) out.status = static_cast<unsigned>(status);
  return out;
}

bool LooksLikeResponse(View line) {
  TakeWhile(&line, [](char c) { return IsSpace(c) || c == '\0'; });
  return StartsWithNoCase(line, "http");
}

bool IsRequestLine(View line) {
  View rest = Chomp(line);
  const bool method = MethodOf(TakeWhile(&rest, NotSpace)) != Method::kUnknown;
  const bool three = rest.starts_with(' ') && std::ranges::count(rest, ' ') == 2;
  return method && three && NamesProtocol(rest.substr(rest.rfind(' ') + 1));
}

bool IsStatusLine(View line) {
  const StatusLine parsed = ParseStatusLine(Chomp(line));
  return NamesProtocol(parsed.protocol) && parsed.status != 0;
}

bool IsEmptyLine(View line) { return Chomp(line).empty(); }

}  // namespace http
