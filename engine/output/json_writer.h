// engine/output/json_writer.h
// Appends JSON to a reusable buffer.  Strings come out as valid UTF-8 whatever
// goes in (docs/eve.md).
//
// Threads: one writer per worker.  Memory: the buffer keeps its capacity.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/types.h"
#include "engine/decode/address.h"

namespace sluice {

class JsonWriter {
 public:
  void Clear() {
    out_.clear();
    comma_ = false;
  }
  std::string_view text() const { return out_; }

  void OpenObject() { Open('{'); }
  void CloseObject() { Close('}'); }
  void OpenArray() { Open('['); }
  void CloseArray() { Close(']'); }
  // The name of the next value in an object.  Names are ours: not escaped.
  void Key(std::string_view name) {
    Comma();
    out_ += '"';
    out_ += name;
    out_ += "\":";
    comma_ = false;
  }
  // The same for a name that comes from outside.
  void UserKey(std::string_view name) {
    String(name);
    out_ += ':';
    comma_ = false;
  }
  void OpenObject(std::string_view key) {
    Key(key);
    OpenObject();
  }
  void OpenArray(std::string_view key) {
    Key(key);
    OpenArray();
  }

  void String(std::string_view text);
  void Number(uint64_t value);
  void SignedNumber(int64_t value);
  void Decimal(double value);  // with two digits; finite
  void Bool(bool value) {
    Comma();
    out_ += value ? "true" : "false";
    comma_ = true;
  }
  void Base64(Slice bytes);
  void Hex(Slice bytes);
  // "2026-11-24T10:00:00.123456+0000", in the process's local zone.
  void Time(Nanos time);
  // "2026-11-24T10:00:00" of seconds since the epoch, UTC.
  void Date(int64_t seconds);
  void Ip(const Address& address);
  // IPv6 addresses in the short form from now on.
  void set_short_ipv6(bool on) { short_ipv6_ = on; }
  void Raw(std::string_view json) {  // a complete value
    Comma();
    out_ += json;
    comma_ = true;
  }

  void Field(std::string_view key, std::string_view value) { Key(key), String(value); }
  void Field(std::string_view key, uint64_t value) { Key(key), Number(value); }
  void FlagField(std::string_view key, bool value) { Key(key), Bool(value); }

 private:
  void Bytes(std::string_view bytes);
  void Comma() {
    if (comma_) out_ += ',';
  }
  void Open(char c) {
    Comma();
    out_ += c;
    comma_ = false;
  }
  void Close(char c) {
    out_ += c;
    comma_ = true;
  }

  std::string out_;
  bool comma_ = false;  // a value precedes on this level
  bool short_ipv6_ = false;
  int64_t zone_second_ = INT64_MIN;  // of the cached prefix
  char zone_prefix_[20] = {};        // "2026-11-24T10:00:00."
  char zone_suffix_[6] = {};         // "+0000"
};

// Base64 with padding (RFC 4648 §4), appended.
void AppendBase64(Slice bytes, std::string* out);
// Text with each byte outside 0x20..0x7e replaced by '.', CR and LF kept.
void AppendPrintable(Slice bytes, std::string* out);
// "10.0.0.1", "fe80:0000:...": all eight groups, as consumers compare strings.
void AppendAddress(const Address& address, std::string* out);
// "fe80::1" (RFC 5952 §4).
void AppendShortIpv6(const Address& address, std::string* out);

}  // namespace sluice
