// SPDX-License-Identifier: Apache-2.0
// plugins/smtp/mail.h - one mail on its way (RFC 5322, 2045, 2046, 2183): headers, parts, attached
// files; line by line, to the fields and files of its transaction.
//
// Threads: confined to the flow's worker.  Memory: kMaxDepth boundaries, one header; file bytes
// go through.  Bad input: reported as events; what is no part is passed over.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sluice/plugin.hpp>

#include "fields.h"
#include "mime_text.h"

namespace smtp {

// A line of a mail, or a piece of one that is longer than is read at once.
struct MailLine {
  View text;
  View eol;      // as sent; empty if the line goes on, or ends without one
  bool starts = true;
};

class Mail {
 public:
  static constexpr size_t kMaxDepth = 16;           // parts within parts
  static constexpr size_t kMaxHeaderName = 75, kMaxBoundary = 254, kMaxFilename = 255;
  static constexpr size_t kMaxHeaderValue = 2000;   // bytes read of a header's value
  static constexpr size_t kMaxHeaders = 1024;       // of all parts together
  static constexpr size_t kMaxUrls = 64, kMaxUrl = 2048;  // of a mail; bytes of one
  static constexpr size_t kMaxText = 8 * 1024;      // bytes of a decoded line that are searched at once
  static constexpr size_t kMaxLine = 998, kMaxEncodedLine = 76;  // RFC 5322 section 2.1.1, RFC 2045 section 6.7

  explicit Mail(uint64_t tx) : tx_(tx) {}

  void Line(sluice::Flow flow, const MailLine& line);
  // Bytes of the body were lost.
  void Lost(sluice::Flow flow, uint64_t bytes);
  void End(sluice::Flow flow, bool complete);

  // A set of 1 << Event since the last call.
  uint32_t TakeEvents() { return std::exchange(events_, 0); }

 private:
  enum class Where : uint8_t { kHeaders, kBody, kSkipped };
  enum class Encoding : uint8_t { kNone, kBase64, kQuotedPrintable };
  struct Part {  // what the headers of the present part say
    bool multipart = false, message = false, attachment = false, text = true;
    Encoding encoding = Encoding::kNone;
    std::string boundary, filename;
  };

  void Raise(Event event) { events_ |= 1u << event; }
  void HeaderLine(sluice::Flow flow, const MailLine& line);
  void EndHeader(sluice::Flow flow);
  void TopHeader(sluice::Flow flow, View name, View value);
  void PartHeader(View name, View value);
  void SetAddresses(sluice::Flow flow, Field whole, Field each, View value);
  void EndHeaders(sluice::Flow flow);
  void OpenFile(sluice::Flow flow);
  bool Boundary(sluice::Flow flow, View text);
  void Body(sluice::Flow flow, const MailLine& line);
  void ToFile(sluice::Flow flow, View bytes);
  void ToText(sluice::Flow flow, View bytes);
  void EndPart(sluice::Flow flow, bool complete);
  void BeginHeaders();

  const uint64_t tx_;
  uint32_t events_ = 0;
  bool opened_ = false;         // its object in the log
  Where where_ = Where::kHeaders;
  bool top_ = true;             // the mail's own headers
  uint32_t num_headers_ = 0;
  std::string name_, value_;    // of the header that is being read
  bool in_header_ = false, skip_line_ = false;
  Part part_;
  bool message_undecided_ = false;  // a mail in an encoding that it may not have
  std::vector<std::string> boundaries_;  // outermost first
  Base64Decoder base64_;
  QuotedPrintableDecoder quoted_;
  std::string decoded_, eol_;   // eol_: of the last line, the boundary's if one follows
  bool in_text_ = false;        // a part to be read, not a file
  std::string text_;            // its present line, decoded
  size_t num_urls_ = 0;
  int64_t file_ = 0;            // not above 0: no file is open
};

}  // namespace smtp
