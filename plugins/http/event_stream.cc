// SPDX-License-Identifier: Apache-2.0
#include "event_stream.h"

namespace http {
namespace {

constexpr View kData = "data:";
constexpr View kJsonTypes[] = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
                               "application/json-seq", "application/stream+json"};

}  // namespace

void EventStream::Begin(View content_type) {
  *this = {};
  const View type = Trim(content_type.substr(0, content_type.find(';')));
  if (SameName(type, "text/event-stream")) kind_ = Kind::kServerSent;
  for (const View json : kJsonTypes) {
    if (SameName(type, json)) kind_ = Kind::kJsonLines;
  }
}

uint64_t EventStream::Feed(View bytes) {
  uint64_t events = 0;
  for (const char c : bytes) {
    const bool same_end = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (c == '\n' || c == '\r') {
      if (!same_end) events += EndOfLine();
      continue;
    }
    if (kind_ == Kind::kJsonLines && IsSpace(c)) continue;
    if (in_line_ == matched_ && matched_ < kData.size() && c == kData[matched_]) ++matched_;
    ++in_line_;
  }
  return events;
}

// A blank line ends an event that has data; "data" without a colon is data too.
bool EventStream::EndOfLine() {
  const bool blank = in_line_ == 0;
  const bool data_line = matched_ == kData.size() || (matched_ == kData.size() - 1 && in_line_ == matched_);
  in_line_ = matched_ = 0;
  if (kind_ == Kind::kJsonLines) return !blank;
  data_ |= data_line;
  const bool event = blank && data_;
  if (event) data_ = false;
  return event;
}

uint64_t EventStream::Finish() { return kind_ == Kind::kJsonLines && in_line_ > 0 && EndOfLine(); }

}  // namespace http
