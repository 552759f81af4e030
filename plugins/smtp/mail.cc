// SPDX-License-Identifier: Apache-2.0
#include "mail.h"

#include <algorithm>
#include <utility>

namespace smtp {

using sluice::Flow;

void Mail::BeginHeaders() {
  where_ = Where::kHeaders;
  part_ = {};
  in_header_ = skip_line_ = false;
  name_.clear();
  value_.clear();
}

void Mail::Line(Flow flow, const MailLine& line) {
  if (!std::exchange(opened_, true)) flow.Open(tx_, kEmail);
  if (line.starts && line.text.size() > kMaxLine) Raise(kMimeLongLine);
  if (line.starts && line.text.starts_with("--") && Boundary(flow, line.text)) return;
  switch (where_) {
    case Where::kHeaders: return HeaderLine(flow, line);
    case Where::kBody: return Body(flow, line);
    case Where::kSkipped: return;
  }
}

// ---- headers

void Mail::HeaderLine(Flow flow, const MailLine& line) {
  if (!line.starts && skip_line_) return;
  if (line.starts) skip_line_ = false;
  if (line.starts && line.text.empty()) {
    EndHeader(flow);
    return EndHeaders(flow);
  }
  const bool folded = line.starts && (line.text[0] == ' ' || line.text[0] == '\t');
  if (!line.starts || (folded && in_header_)) {
    const View more = line.starts ? Trim(line.text) : line.text;
    const size_t room = kMaxHeaderValue - std::min(kMaxHeaderValue, value_.size());
    if (more.size() + folded > room) Raise(kMimeLongHeaderValue);
    if (folded && room > 0) value_ += ' ';
    value_.append(more.substr(0, room - (folded && room > 0)));
    return;
  }
  EndHeader(flow);
  const size_t colon = line.text.find(':');
  if (colon == View::npos || colon == 0) {
    Raise(kMimeMalformed);
    skip_line_ = true;
    return;
  }
  const View name = Trim(line.text.substr(0, colon)), value = Trim(line.text.substr(colon + 1));
  if (name.size() > kMaxHeaderName) Raise(kMimeLongHeaderName);
  if (value.size() > kMaxHeaderValue) Raise(kMimeLongHeaderValue);
  name_ = name.substr(0, kMaxHeaderName);
  value_ = value.substr(0, kMaxHeaderValue);
  in_header_ = true;
}

void Mail::EndHeader(Flow flow) {
  if (!std::exchange(in_header_, false)) return;
  if (++num_headers_ > kMaxHeaders) return Raise(kMimeTooManyHeaders);
  const View value = Trim(value_);
  PartHeader(name_, value);
  if (top_) TopHeader(flow, name_, value);
}

void Mail::SetAddresses(Flow flow, Field whole, Field each, View value) {
  flow.Set(tx_, whole, value);
  for (const View one : Addresses(value)) flow.Set(tx_, each, one);
}

void Mail::TopHeader(Flow flow, View name, View value) {
  if (EqualsNoCase(name, "from")) {
    flow.Set(tx_, kFrom, value);
    flow.Set(tx_, kFromLog, value);
  } else if (EqualsNoCase(name, "to")) {
    SetAddresses(flow, kTo, kToLog, value);
  } else if (EqualsNoCase(name, "cc")) {
    SetAddresses(flow, kCc, kCcLog, value);
  } else {
    static constexpr std::pair<View, Field> kPlain[] = {{"subject", kSubject}, {"date", kDate}, {"message-id", kMessageId},
                                                        {"x-mailer", kXMailer}, {"received", kReceived}};
    for (const auto& [known, field] : kPlain) {
      if (EqualsNoCase(name, known)) flow.Set(tx_, field, value);
    }
  }
}

void Mail::PartHeader(View name, View value) {
  const View kind = Trim(value.substr(0, value.find(';')));
  if (EqualsNoCase(name, "content-transfer-encoding")) {
    part_.encoding = EqualsNoCase(kind, "base64")             ? Encoding::kBase64
                     : EqualsNoCase(kind, "quoted-printable") ? Encoding::kQuotedPrintable
                                                              : Encoding::kNone;
  } else if (EqualsNoCase(name, "content-type")) {
    part_.multipart = StartsWithNoCase(kind, "multipart/");
    part_.text = StartsWithNoCase(kind, "text/");
    part_.message = EqualsNoCase(kind, "message/rfc822");
    part_.boundary = Parameter(value, "boundary");
    if (part_.filename.empty()) part_.filename = Parameter(value, "name");
  } else if (EqualsNoCase(name, "content-disposition")) {
    part_.attachment = EqualsNoCase(kind, "attachment");
    if (std::string filename = Parameter(value, "filename"); !filename.empty()) part_.filename = std::move(filename);
  }
}

void Mail::EndHeaders(Flow flow) {
  top_ = false;
  where_ = Where::kBody;
  eol_.clear();
  base64_ = {};
  quoted_ = {};
  if (part_.multipart && !part_.boundary.empty()) {
    if (part_.boundary.size() > kMaxBoundary) Raise(kMimeLongBoundary);
    where_ = Where::kSkipped;  // what stands before the first boundary
    if (boundaries_.size() == kMaxDepth) return Raise(kMimeTooDeep);
    boundaries_.push_back(part_.boundary.substr(0, kMaxBoundary));
    return;
  }
  // RFC 2046 section 5.2.1: not encoded but 7bit, 8bit or binary.  Who says so all the same
  // hides what plain readers see: the first line tells.
  if (part_.message && part_.encoding == Encoding::kNone) return BeginHeaders();
  message_undecided_ = part_.message;
  if (!part_.message) OpenFile(flow);
}

void Mail::OpenFile(Flow flow) {
  if (part_.filename.empty() && !part_.attachment) {
    in_text_ = part_.text && flow.Wanted(kUrl);
    if (!in_text_ && part_.encoding == Encoding::kNone) where_ = Where::kSkipped;
    return;
  }
  if (part_.filename.size() > kMaxFilename) Raise(kMimeLongFilename);
  const View name = View(part_.filename).substr(0, kMaxFilename);
  if (!name.empty()) flow.Set(tx_, kAttachment, name);
  file_ = flow.FileOpen(tx_, SLUICE_TO_SERVER, name);
}

// ---- parts

// Whether the line parts the parts of one of the open multiparts, the innermost first.
bool Mail::Boundary(Flow flow, View text) {
  text.remove_prefix(2);
  for (size_t depth = boundaries_.size(); depth-- > 0;) {
    const View boundary = boundaries_[depth];
    if (!text.starts_with(boundary)) continue;
    const View behind = Trim(text.substr(boundary.size()));
    if (!behind.empty() && behind != "--") continue;
    EndHeader(flow);
    EndPart(flow, true);
    boundaries_.resize(depth + (behind.empty() ? 1 : 0));
    where_ = Where::kSkipped;
    if (behind.empty()) BeginHeaders();
    return true;
  }
  return false;
}

void Mail::Body(Flow flow, const MailLine& line) {
  if (std::exchange(message_undecided_, false)) {
    if (line.text.find(':') != View::npos) {
      BeginHeaders();
      return HeaderLine(flow, line);
    }
    OpenFile(flow);
  }
  decoded_.clear();
  switch (part_.encoding) {
    case Encoding::kNone:
      decoded_.append(eol_).append(line.text);
      eol_ = line.eol;
      break;
    case Encoding::kBase64:
      if (line.starts && line.text.size() > kMaxEncodedLine) Raise(kMimeLongEncLine);
      base64_.Decode(line.text, &decoded_);
      if (base64_.invalid()) Raise(kMimeInvalidBase64);
      break;
    case Encoding::kQuotedPrintable:
      if (line.starts && line.text.size() > kMaxEncodedLine) Raise(kMimeLongEncLine);
      decoded_.append(eol_);
      eol_.clear();
      quoted_.Decode(line.text, {}, &decoded_);
      if (!line.eol.empty()) quoted_.Decode({}, line.eol, &eol_);
      if (quoted_.invalid()) Raise(kMimeInvalidQp);
      break;
  }
  ToFile(flow, decoded_);
}

void Mail::ToFile(Flow flow, View bytes) {
  if (file_ > 0 && !bytes.empty()) flow.FileData(file_, bytes);
  if (in_text_) ToText(flow, bytes);
}

// Line by line: a web address does not go over a line's end.
void Mail::ToText(Flow flow, View bytes) {
  while (!bytes.empty() && num_urls_ <= kMaxUrls) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    text_.append(bytes.substr(0, end));
    const bool whole = end < bytes.size();
    bytes.remove_prefix(whole ? end + 1 : end);
    if (!whole && text_.size() < kMaxText) return;
    for (const View url : WebAddresses(text_)) {
      if (num_urls_++ == kMaxUrls) {
        Raise(kMimeTooManyUrls);
        break;
      }
      flow.Set(tx_, kUrl, url.substr(0, kMaxUrl));
    }
    text_.clear();
  }
}

void Mail::EndPart(Flow flow, bool complete) {
  if (where_ == Where::kBody && part_.encoding == Encoding::kBase64) {
    decoded_.clear();
    base64_.End(&decoded_);
    ToFile(flow, decoded_);
  }
  if (in_text_) ToText(flow, "\n");
  in_text_ = false;
  if (file_ > 0) flow.FileClose(file_, complete ? SLUICE_FILE_COMPLETE : SLUICE_FILE_TRUNCATED);
  file_ = 0;
  eol_.clear();
}

void Mail::Lost(Flow flow, uint64_t bytes) {
  if (file_ > 0) flow.FileGap(file_, bytes);
  skip_line_ = true;
}

void Mail::End(Flow flow, bool complete) {
  if (!opened_) return;
  EndHeader(flow);
  if (complete && where_ == Where::kHeaders && !top_) Raise(kMimeParseFailed);
  EndPart(flow, complete);
  flow.Set(tx_, kStatus, complete ? "PARSE_DONE" : where_ == Where::kHeaders ? "HEADER_STARTED" : "BODY_STARTED");
  flow.Close(tx_);
}

}  // namespace smtp
