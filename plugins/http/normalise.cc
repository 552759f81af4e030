// SPDX-License-Identifier: Apache-2.0
#include "normalise.h"

#include <arpa/inet.h>

namespace http {
namespace {

// One character of a path or query; a broken escape stays as it is.
struct Decoded {
  char byte;
  size_t used;
};

// A code point as the single byte that servers with a best-fit table take it for.
char BestFit(uint32_t code) {
  if (code < 0x100) return static_cast<char>(code);
  if (code >= 0xff01 && code <= 0xff5e) return static_cast<char>(code - 0xff01 + 0x21);  // full width
  switch (code) {
    case 0x2018: case 0x2019: case 0x2032: return '\'';
    case 0x201c: case 0x201d: case 0x2033: return '"';
    case 0x2010: case 0x2011: case 0x2013: case 0x2014: case 0x2212: return '-';
    case 0x2024: return '.';
    case 0x2044: case 0x2215: return '/';
    case 0x2216: return '\\';
    case 0x2329: case 0x3008: return '<';
    case 0x232a: case 0x3009: return '>';
    case 0x3000: return ' ';
    default: return '?';
  }
}

// Four hex digits of %uXXXX; -1 if there are none.
int32_t FourHex(View in) {
  if (in.size() < 4) return -1;
  int32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    if (Hex(in[static_cast<size_t>(i)]) < 0) return -1;
    value = value * 16 + Hex(in[static_cast<size_t>(i)]);
  }
  return value;
}

Decoded DecodeOne(View in) {
  if (in[0] != '%' || in.size() < 3) return {in[0], 1};
  if (Hex(in[1]) >= 0 && Hex(in[2]) >= 0) return {static_cast<char>(Hex(in[1]) * 16 + Hex(in[2])), 3};
  if (Lower(in[1]) == 'u') {
    if (const int32_t code = FourHex(in.substr(2)); code >= 0) {
      return {BestFit(static_cast<uint32_t>(code)), 6};
    }
  }
  return {in[0], 1};
}

void DecodePath(View in, std::string* out) {
  for (size_t i = 0; i < in.size();) {
    auto [c, used] = DecodeOne(in.substr(i));
    i += used;
    if (c == '\\') c = '/';
    if (c == '/' && !out->empty() && out->back() == '/') continue;
    *out += c;
  }
}

void DecodeQuery(View in, std::string* out) {
  for (size_t i = 0; i < in.size();) {
    const auto [c, used] = DecodeOne(in.substr(i));
    i += used;
    *out += c;
  }
}

// Length of the UTF-8 sequence at the front and its code point; 0 if it is not one.
size_t Utf8(View in, uint32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(in[i]); };
  const size_t length = byte(0) >= 0xc0 && byte(0) < 0xe0 ? 2 : byte(0) >= 0xe0 && byte(0) < 0xf0 ? 3
                        : byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4 : 0;
  if (length == 0 || in.size() < length) return 0;
  *code = byte(0) & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    *code = *code << 6 | (byte(i) & 0x3f);
  }
  return length;
}

// A path that is UTF-8 throughout becomes single bytes, in place; overlong forms too,
// which is what they are sent for.  Anything else stays.
void FitUtf8(std::string* path) {
  bool multi = false;
  uint32_t code = 0;
  for (size_t i = 0; i < path->size();) {
    if (static_cast<unsigned char>((*path)[i]) < 0x80) {
      ++i;
      continue;
    }
    const size_t n = Utf8(View(*path).substr(i), &code);
    if (n == 0) return;
    multi = true;
    i += n;
  }
  if (!multi) return;
  size_t to = 0;
  for (size_t i = 0; i < path->size();) {
    const size_t n = static_cast<unsigned char>((*path)[i]) < 0x80 ? 0 : Utf8(View(*path).substr(i), &code);
    (*path)[to++] = n == 0 ? (*path)[i] : BestFit(code);
    i += std::max<size_t>(n, 1);
  }
  path->resize(to);
}

// RFC 3986 §5.2.4, in place.
void RemoveDots(std::string* path) {
  size_t to = 0;
  for (size_t from = 0; from < path->size();) {
    const View rest = View(*path).substr(from);
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

bool HasEscape(View text) {
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] == '%' && Hex(text[i + 1]) >= 0 && Hex(text[i + 2]) >= 0) return true;
  }
  return false;
}

// Host and port of an authority; what is left is the path.
void SplitAuthority(View* rest, Target* out) {
  if (const size_t at = rest->substr(0, rest->find_first_of("/?#")).find('@'); at != View::npos) {
    rest->remove_prefix(at + 1);
  }
  size_t end = rest->find_first_of(rest->starts_with('[') ? "]/?#" : ":/?#");
  if (end != View::npos && (*rest)[end] == ']') ++end;
  out->has_authority = true;
  out->host = Trim(rest->substr(0, end));
  rest->remove_prefix(std::min(end, rest->size()));
  if (!rest->starts_with(':')) return;
  rest->remove_prefix(1);
  end = rest->find_first_of("/?#");
  out->port = Trim(rest->substr(0, end));
  rest->remove_prefix(std::min(end, rest->size()));
}

}  // namespace

Target SplitTarget(View raw, bool authority_form) {
  Target out;
  if (authority_form) {
    const View whole = raw;
    SplitAuthority(&raw, &out);
    if (out.host.empty()) out.host = whole;  // whatever it is, it stands where the host should
    return out;
  }
  if (!raw.starts_with('/')) {
    const size_t colon = raw.find(':');
    if (colon != View::npos) {
      out.scheme = raw.substr(0, colon);
      raw.remove_prefix(colon + 1);
      if (raw.starts_with("//") && !raw.starts_with("///")) {
        raw.remove_prefix(2);
        SplitAuthority(&raw, &out);
      }
    }
  }
  const size_t end = raw.find_first_of("?#");
  out.path = raw.substr(0, end);
  if (end == View::npos) return out;
  raw.remove_prefix(end);
  if (raw[0] == '?') {
    const size_t hash = raw.find('#');
    out.has_query = true;
    out.query = raw.substr(1, hash == View::npos ? View::npos : hash - 1);
    if (hash == View::npos) return out;
    raw.remove_prefix(hash);
  }
  out.has_fragment = true;
  out.fragment = raw.substr(1);
  return out;
}

void NormalisePath(View path, NormaliseOptions options, std::string* out) {
  out->clear();
  DecodePath(path, out);
  if (options.double_decode_path && HasEscape(*out)) {
    const std::string once = *out;
    out->clear();
    DecodePath(once, out);
  }
  FitUtf8(out);
  RemoveDots(out);
}

bool NormaliseTarget(const Target& target, NormaliseOptions options, std::string* out) {
  NormalisePath(target.path, options, out);
  bool again = HasEscape(*out);
  if (target.has_query) {
    *out += '?';
    const size_t from = out->size();
    DecodeQuery(target.query, out);
    again |= HasEscape(View(*out).substr(from));
    if (options.double_decode_query && HasEscape(View(*out).substr(from))) {
      const std::string once = out->substr(from);
      out->resize(from);
      DecodeQuery(once, out);
    }
  }
  if (target.has_fragment) out->append("#").append(target.fragment);
  return again;
}

HostPort SplitHostPort(View raw) {
  HostPort out;
  raw = Trim(raw);
  size_t end = raw.find_first_of(raw.starts_with('[') ? "]/?#" : ":/?#");
  if (end != View::npos && raw[end] == ']') ++end;
  out.host = Trim(raw.substr(0, end));
  out.valid = ValidHost(out.host);
  if (end == View::npos || end == raw.size()) return out;
  View rest = raw.substr(end);
  if (!rest.starts_with(':')) {
    out.valid = false;
    return out;
  }
  rest.remove_prefix(1);
  out.port = Trim(rest.substr(0, rest.find_first_of("/?#")));
  uint64_t number = 0;
  if (ToNumber(out.port, &number) && number > 0 && number <= 65535) {
    out.number = static_cast<uint32_t>(number);
  } else {
    out.valid = false;
  }
  return out;
}

bool ValidHost(View host) {
  if (host.empty() || host.size() > 255) return false;
  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.size() > 64) return false;
    const std::string address(host.substr(1, host.size() - 2));
    in6_addr parsed;
    return inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
  }
  if (host.front() == '.' || host.find("..") != View::npos) return false;
  size_t label = 0;
  for (const char c : host) {
    label = c == '.' ? 0 : label + 1;
    const bool letter = IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'z');
    if (label > 63 || (c != '.' && c != '-' && c != '_' && !letter)) return false;
  }
  return true;
}

void LowerHost(View host, std::string* out) {
  out->clear();
  for (const char c : host) *out += Lower(c);
}

void NameResource(View host, View path, View query, std::string* out) {
  out->assign(host).append("\n").append(path).append("\n").append(query);
}

}  // namespace http
