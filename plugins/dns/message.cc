// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include <algorithm>

namespace sluice::dns {

namespace {

constexpr size_t kSoaNumbers = 20, kMxPreference = 2, kSrvNumbers = 6, kSshfpNumbers = 2;
constexpr size_t kQuestionTail = 4, kRecordTail = 10;  // bytes behind the name

// Strings of a length byte each (RFC 1035 section 3.3.14).
bool AreStrings(View data) {
  for (size_t at = 0; at < data.size();) {
    at += 1u + static_cast<uint8_t>(data[at]);
    if (at > data.size()) return false;
  }
  return true;
}

// Options of a code and a length each (RFC 6891 section 6.1.2).
bool AreOptions(View data) {
  for (size_t at = 0; at < data.size();) {
    if (data.size() - at < 4) return false;
    at += 4u + Be16(data, at + 2);
    if (at > data.size()) return false;
  }
  return true;
}

}  // namespace

bool ReadHeader(View message, Header* out) {
  if (message.size() < kHeaderSize) return false;
  out->id = Be16(message, 0);
  out->flags = Be16(message, 2);
  for (unsigned i = 0; i < kNumSections; ++i) out->count[i] = Be16(message, 4 + 2 * i);
  return true;
}

bool IsPlausible(const Header& header, size_t size) {
  size_t counted = 0;
  for (const uint16_t count : header.count) counted += count;
  if (2 * counted > size || (counted == 0 && size > kHeaderSize)) return false;
  return header.response() || header.count[kQuestions] > 0;
}

// RFC 1035 section 4.1.4
bool NameReader::Read(size_t* at, size_t end, std::string* text) {
  size_t here = *at, length = 0;  // of the text
  bool jumped = false;
  cut_ = false;
  if (text != nullptr) text->clear();
  for (unsigned labels = 0; here < end;) {
    const auto len = static_cast<uint8_t>(message_[here]);
    if (len == 0) {
      ++here;
      break;
    }
    if ((len & 0xc0) == 0xc0) {
      if (here + 2 > end) return false;
      const size_t target = Be16(message_, here) & 0x3fff;
      if (target > message_.size()) return false;
      if (target == here && end == message_.size()) {
        oddities_ |= kLoop;
        if (!jumped) return false;
        break;
      }
      if (!jumped) *at = here + 2;
      jumped = true;
      here = target;
      end = message_.size();
    } else if (len & 0xc0) {
      return false;  // reserved
    } else {
      if (here + 1 + len > end) return false;
      if (!cut_) {
        length += len + (length > 0 ? 1u : 0u);
        if (text != nullptr) (text->empty() ? *text : *text += '.').append(message_, here + 1, len);
      }
      here += 1u + len;
    }
    if (jumped && hops_left_ > 0) --hops_left_;
    if (++labels > kMaxLabels || hops_left_ == 0) {
      oddities_ |= kTooManyLabels;
      if (!jumped) return false;
      cut_ = true;
      break;
    }
    if (length > kMaxNameText) {
      cut_ = true;
      length = kMaxNameText;
      if (jumped) break;
    }
  }
  if (text != nullptr && text->size() > kMaxNameText) text->resize(kMaxNameText);
  if (cut_) oddities_ |= kTooLong;
  if (!jumped) *at = here;
  return true;
}

bool ReadQuestion(NameReader* names, size_t* at, std::string* name, uint16_t* type) {
  const View message = names->message();
  if (!names->Read(at, message.size(), name) || message.size() - *at < kQuestionTail) return false;
  *type = Be16(message, *at);
  *at += kQuestionTail;
  return true;
}

bool ReadRecord(NameReader* names, size_t* at, std::string* name, Record* out) {
  const View message = names->message();
  if (!names->Read(at, message.size(), name) || message.size() - *at < kRecordTail) return false;
  out->type = Be16(message, *at);
  out->ttl = Be32(message, *at + 4);
  out->data = *at + kRecordTail;
  out->end = out->data + Be16(message, *at + 8);
  *at = out->end;
  return out->end <= message.size();
}

bool IsWellFormed(NameReader* names, const Record& record) {
  size_t at = record.data;
  const auto skip = [&](size_t bytes) { return record.end - at >= bytes && (at += bytes, true); };
  const auto name = [&] { return names->Read(&at, record.end, nullptr); };
  const View data = names->message().substr(record.data, record.size());
  switch (record.type) {
    case kNs: case kCname: case kPtr: return name();
    case kMx: return skip(kMxPreference) && name();
    case kSrv: return skip(kSrvNumbers) && name();
    case kSoa: return name() && name() && skip(kSoaNumbers);
    case kSshfp: return skip(kSshfpNumbers);
    case kTxt: return AreStrings(data);
    case kOpt: return AreOptions(data);
    default: return true;
  }
}

Shape Walk(View message, const Header& header) {
  Shape shape;
  NameReader names(message);
  size_t at = kHeaderSize;
  const auto section = [&](Section which) {
    shape.begin[which] = at;
    for (unsigned i = 0; i < header.count[which]; ++i) {
      uint16_t type;
      Record record;
      const bool good = which == kQuestions
                            ? ReadQuestion(&names, &at, nullptr, &type)
                            : ReadRecord(&names, &at, nullptr, &record) && IsWellFormed(&names, record);
      if (!good) return false;
    }
    return shape.read[which] = true;
  };
  shape.holds = section(kQuestions) && section(kAnswers);
  if (shape.holds && section(kAuthorities)) section(kAdditionals);
  shape.oddities = names.oddities();
  return shape;
}

}  // namespace sluice::dns
