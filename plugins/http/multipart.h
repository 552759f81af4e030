// SPDX-License-Identifier: Apache-2.0
// plugins/http/multipart.h - files in multipart bodies (RFC 2046 §5.1, RFC 7578).
//
// Streaming: a part's data is passed on as it comes, but for the bytes that may be
// the start of a delimiter.
// Memory: one header line of at most 4 KiB, and a delimiter; nothing else is kept.
// Threads: none of its own; confined to the flow's worker.
#pragma once

#include <string>

#include "text.h"

namespace http {

class MultipartSink {
 public:
  virtual void PartFile(View name) = 0;  // a part with a file name begins
  virtual void PartData(View bytes) = 0;
  virtual void PartEnd(bool complete) = 0;
  enum class Problem : uint8_t { kNoBoundary, kHeader, kNoData };
  virtual void PartProblem(Problem problem) = 0;

 protected:
  ~MultipartSink() = default;
};

class Multipart {
 public:
  // False if the content type is not multipart/form-data with a boundary.
  bool Begin(View content_type, MultipartSink* sink);
  bool active() const { return state_ != State::kOff; }
  void Feed(View bytes, MultipartSink* sink);
  void Finish(MultipartSink* sink);

 private:
  enum class State : uint8_t { kOff, kPreamble, kDelimiterEnd, kHeaders, kData, kOver };
  size_t Data(View in, MultipartSink* sink);
  size_t DelimiterEnd(View in);
  size_t HeaderLine(View in, MultipartSink* sink);
  void Header(View line, MultipartSink* sink);
  void Pass(View bytes, MultipartSink* sink);
  void ImplyLineEnd();

  static constexpr size_t kMaxLine = 4096;  // of a part's header
  State state_ = State::kOff;
  std::string delimiter_;  // "\r\n--boundary"
  std::string held_;       // start of a delimiter, or of a line
  bool implied_ = false;   // held_ begins with a line end that the body does not have
  bool file_ = false, data_seen_ = false, line_cut_ = false;
};

// filename* or filename of a Content-Disposition value; "" if there is none.
// `out` holds it unescaped.
bool DispositionFileName(View value, std::string* out);

}  // namespace http
