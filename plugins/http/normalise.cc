// SPDX-License-Identifier: Apache-2.0
#include "normalise.h"

#include <cctype>

namespace http {
namespace {

int Hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

// %XX; a broken escape stays as it is.
void Decode(std::string_view in, bool path, std::string* out) {
  for (size_t i = 0; i < in.size(); ++i) {
    char c = in[i];
    if (c == '%' && i + 2 < in.size() && Hex(in[i + 1]) >= 0 && Hex(in[i + 2]) >= 0) {
      c = static_cast<char>(Hex(in[i + 1]) * 16 + Hex(in[i + 2]));
      i += 2;
    }
    if (path && c == '\\') c = '/';
    if (path && c == '/' && !out->empty() && out->back() == '/') continue;
    *out += c;
  }
}

// RFC 3986 §5.2.4, in place.
void RemoveDots(std::string* path) {
  size_t to = 0;
  for (size_t from = 0; from < path->size();) {
    const std::string_view rest = std::string_view(*path).substr(from);
    if (rest.starts_with("/./") || rest == "/.") {
      from += 2;
      if (from == path->size()) (*path)[to++] = '/';
    } else if (rest.starts_with("/../") || rest == "/..") {
      from += 3;
      while (to > 0 && (*path)[--to] != '/') {
      }
      if (from == path->size()) (*path)[to++] = '/';
    } else {
      do {
        (*path)[to++] = (*path)[from++];
      } while (from < path->size() && (*path)[from] != '/');
    }
  }
  path->resize(to);
}

}  // namespace

void NormaliseUri(std::string_view raw, std::string* out) {
  out->clear();
  // An absolute target is kept as a whole: proxies are asked so (RFC 9112 §3.2.2).
  if (const size_t scheme = raw.find("://"); scheme != raw.npos && scheme < 8) {
    const size_t slash = raw.find('/', scheme + 3);
    if (slash == raw.npos) {
      out->assign(raw);
      return;
    }
    std::string rest;
    NormaliseUri(raw.substr(slash), &rest);
    out->assign(raw.substr(0, slash));
    *out += rest;
    return;
  }
  const size_t query = raw.find('?');
  Decode(raw.substr(0, query), true, out);
  RemoveDots(out);
  if (query != raw.npos) Decode(raw.substr(query), false, out);
}

void NormaliseHost(std::string_view raw, std::string* out) {
  if (raw.starts_with('[')) {
    raw = raw.substr(0, raw.find(']') + 1);
  } else {
    raw = raw.substr(0, raw.find(':'));
  }
  out->clear();
  for (const char c : raw) *out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

}  // namespace http
