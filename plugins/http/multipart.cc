// SPDX-License-Identifier: Apache-2.0
#include "multipart.h"

namespace http {
namespace {

constexpr size_t kMaxBoundary = 200;  // RFC 2046 allows 70; peers take more

// The value of `name=` in a header's parameters, quoted or not.  False if absent.
bool Parameter(View value, View name, std::string* out) {
  for (size_t at = 0; (at = value.find_first_of(";, \t", at)) != View::npos;) {
    at = value.find_first_not_of(";, \t\r\n", at);
    if (at == View::npos) return false;
    if (!StartsWithNoCase(value.substr(at), name)) continue;
    View rest = TrimLeft(value.substr(at + name.size()));
    if (!rest.starts_with('=')) continue;
    rest = TrimLeft(rest.substr(1));
    out->clear();
    if (!rest.starts_with('"')) {
      out->assign(Trim(rest.substr(0, rest.find_first_of(";\r\n"))));
      return true;
    }
    for (size_t i = 1; i < rest.size() && rest[i] != '"'; ++i) {
      if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) ++i;
      *out += rest[i];
    }
    return true;
  }
  return false;
}

}  // namespace

bool DispositionFileName(View value, std::string* out) {
  if (Parameter(value, "filename", out)) return true;
  if (!Parameter(value, "filename*", out)) return false;
  // RFC 8187: charset'language'percent-encoded.
  const std::string extended = *out;
  const size_t quote = extended.find('\'', extended.find('\'') + 1);
  View rest = quote == std::string::npos ? View(extended) : View(extended).substr(quote + 1);
  out->clear();
  while (!rest.empty()) {
    const bool escape = rest[0] == '%' && rest.size() > 2 && Hex(rest[1]) >= 0 && Hex(rest[2]) >= 0;
    *out += escape ? static_cast<char>(Hex(rest[1]) * 16 + Hex(rest[2])) : rest[0];
    rest.remove_prefix(escape ? 3 : 1);
  }
  return true;
}

bool Multipart::Begin(View content_type, MultipartSink* sink) {
  state_ = State::kOff;
  if (!ContainsNoCase(content_type, "multipart/form-data")) return false;
  if (!Parameter(content_type, "boundary", &held_) || held_.empty() || held_.size() > kMaxBoundary) {
    sink->PartProblem(MultipartSink::Problem::kNoBoundary);
    return false;
  }
  delimiter_.assign("\r\n--").append(held_);
  ImplyLineEnd();
  state_ = State::kPreamble;
  file_ = data_seen_ = line_cut_ = false;
  return true;
}

void Multipart::Feed(View in, MultipartSink* sink) {
  while (!in.empty()) {
    switch (state_) {
      case State::kOff:
      case State::kOver: return;
      case State::kPreamble:
      case State::kData: in.remove_prefix(Data(in, sink)); break;
      case State::kDelimiterEnd: in.remove_prefix(DelimiterEnd(in)); break;
      case State::kHeaders: in.remove_prefix(HeaderLine(in, sink)); break;
    }
  }
}

void Multipart::Finish(MultipartSink* sink) {
  if (state_ == State::kData || state_ == State::kHeaders) {
    if (state_ == State::kData) Pass(View(held_).substr(implied_ ? 2 : 0), sink);
    if (file_) sink->PartEnd(false);
    sink->PartProblem(data_seen_ ? MultipartSink::Problem::kHeader : MultipartSink::Problem::kNoData);
  }
  state_ = State::kOff;
}

void Multipart::Pass(View bytes, MultipartSink* sink) {
  if (bytes.empty() || state_ != State::kData) return;
  data_seen_ = true;
  if (file_) sink->PartData(bytes);
}

// A delimiter may stand at the very start of the body, and of a part's data.
void Multipart::ImplyLineEnd() {
  held_.assign("\r\n");
  implied_ = true;
}

// Part data up to a delimiter.  held_ is always a prefix of the delimiter.
size_t Multipart::Data(View in, MultipartSink* sink) {
  size_t used = 0;
  while (used < in.size()) {
    if (held_.empty()) {
      const size_t start = in.find('\r', used);
      Pass(in.substr(used, start == View::npos ? View::npos : start - used), sink);
      if (start == View::npos) return in.size();
      used = start;
    }
    if (in[used] == delimiter_[held_.size()]) {
      held_ += in[used++];
      if (held_.size() < delimiter_.size()) continue;
      held_.clear();
      implied_ = false;
      if (state_ == State::kData && file_) {
        if (!data_seen_) sink->PartProblem(MultipartSink::Problem::kNoData);
        sink->PartEnd(true);
      }
      file_ = false;
      state_ = State::kDelimiterEnd;
      return used;
    }
    // No delimiter.  CR stands only at its start, so a new one can begin here at the earliest.
    Pass(View(held_).substr(implied_ ? 2 : 0), sink);
    held_.clear();
    implied_ = false;
    if (in[used] != '\r') Pass(in.substr(used, 1), sink), ++used;
  }
  return used;
}

// Behind a delimiter: "--" ends the body, a line end begins a part.
size_t Multipart::DelimiterEnd(View in) {
  held_ += in[0];
  if (held_ == "--") {
    state_ = State::kOver;
    held_.clear();
  } else if (held_.back() == '\n' || held_.size() > kMaxLine) {
    state_ = State::kHeaders;
    held_.clear();
    data_seen_ = line_cut_ = false;
  }
  return 1;
}

size_t Multipart::HeaderLine(View in, MultipartSink* sink) {
  const size_t end = in.find('\n');
  const size_t taken = end == View::npos ? in.size() : end + 1;
  const size_t room = kMaxLine - held_.size();
  held_.append(in.substr(0, std::min(taken, room)));
  if (taken > room && !line_cut_) {
    line_cut_ = true;
    sink->PartProblem(MultipartSink::Problem::kHeader);
  }
  if (end == View::npos) return taken;
  const View line = Chomp(held_);
  if (line.empty()) {
    state_ = State::kData;
    ImplyLineEnd();
  } else {
    Header(line, sink);
    held_.clear();
  }
  line_cut_ = false;
  return taken;
}

void Multipart::Header(View line, MultipartSink* sink) {
  const size_t colon = line.find(':');
  if (colon == View::npos) {
    sink->PartProblem(MultipartSink::Problem::kHeader);
    return;
  }
  if (file_ || !SameName(Trim(line.substr(0, colon)), "content-disposition")) return;
  std::string name;
  if (!DispositionFileName(line.substr(colon + 1), &name)) return;
  file_ = true;
  sink->PartFile(name);
}

}  // namespace http
