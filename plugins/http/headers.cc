// SPDX-License-Identifier: Apache-2.0
#include "headers.h"

namespace http {
namespace {

constexpr int kMaxFolds = 128;  // of one value; the next line is a field of its own
constexpr size_t kUnknown = SIZE_MAX;  // depends on bytes not there yet

bool IsFold(char c) { return IsBlank(c) || c == '\0'; }

// A position in bytes that may continue later.
struct Reader {
  View in;
  bool response, last;
  bool lf_cr;  // lines of this block end so

  // The byte at `at`; -1 past the end; -2 if it may still come.
  int At(size_t at) const {
    return at < in.size() ? static_cast<unsigned char>(in[at]) : last ? -1 : -2;
  }

  // Length of the plain line end at `at`: 0 if there is none, kUnknown if open.
  size_t PlainEol(size_t at) const {
    const int first = At(at), second = At(at + 1);
    if (first == -2) return kUnknown;
    if (first == '\r') {
      if (second == -2) return kUnknown;
      return second == '\n' ? 2 : response ? 1 : 0;
    }
    if (first != '\n') return 0;
    if (!response) return 1;
    if (second == -2) return kUnknown;
    if (second != '\r') return 1;
    if (lf_cr) return 2;
    const int third = At(at + 2);  // LF CR LF: the CR LF is a line of its own
    return third == -2 ? kUnknown : third == '\n' ? 1 : 2;
  }

  // Line ends that browsers read as one although they hold an empty line.
  size_t OddEol(size_t at) const {
    if (At(at) == '\n' && At(at + 1) == '\r') return LfCrEol(at);
    if (response && At(at) == '\r' && At(at + 1) == '\n') return BlankLineEol(at);
    return 0;
  }

 private:
  // LF CR CR LF before another line end; in requests also LF CR before CR LF.
  size_t LfCrEol(size_t at) const {
    const int third = At(at + 2), fourth = At(at + 3);
    if (third == -2) return kUnknown;
    if (third != '\r') return 0;
    if (fourth == -2) return kUnknown;
    if (fourth != '\n') return 0;
    const int fifth = At(at + 4), sixth = At(at + 5);
    if (fifth == -2 || (fifth == '\r' && sixth == -2)) return kUnknown;
    if (fifth == '\n' || (fifth == '\r' && sixth == '\n')) return 4;
    return response ? 0 : 2;
  }
  // CR LF CR, then CRs and blanks, then maybe LF; no empty line behind it.
  size_t BlankLineEol(size_t at) const {
    const auto filler = [](int c) { return c == '\r' || c == ' ' || c == '\t'; };
    if (At(at + 2) == -2) return kUnknown;
    if (At(at + 2) != '\r') return 0;
    size_t end = at + 3;
    while (filler(At(end))) ++end;
    if (At(end) == -2) return kUnknown;
    if (end == at + 3) return 0;
    if (At(end) == '\n') ++end;
    const int next = At(end), after = At(end + 1);
    if (next == -2 || (next == '\r' && after == -2)) return kUnknown;
    return next == '\n' || (next == '\r' && after == '\n') ? 0 : end - at;
  }
};

// Where a value's line ends: the EOL, and whether the next line continues it.
struct LineEnd {
  size_t at = 0, length = 0;
  bool fold = false, known = false;
};

LineEnd FindLineEnd(const Reader& r, size_t from) {
  LineEnd out;
  out.at = r.response ? FindLineBreak(r.in, from) : r.in.find('\n', from);
  if (out.at == View::npos) {
    out.at = r.in.size();
    out.known = r.last;
    return out;
  }
  if (!r.response && out.at > from && r.in[out.at - 1] == '\r') --out.at;
  // A fold has precedence: an odd line end never hides a continuation in responses.
  const size_t plain = r.PlainEol(out.at);
  if (plain == kUnknown) return out;
  const int next = r.At(out.at + plain);
  if (next == -2) return out;
  if (next >= 0 && IsFold(static_cast<char>(next))) {
    out.length = plain;
    out.fold = out.known = true;
    return out;
  }
  const size_t odd = r.OddEol(out.at);
  if (odd == kUnknown) return out;
  out.length = odd != 0 ? odd : plain;
  const int after = r.At(out.at + out.length);
  if (after == -2) return out;
  out.fold = odd != 0 && !r.response && after >= 0 && IsFold(static_cast<char>(after));
  out.known = true;
  return out;
}

// Whether a folded line of a response is a field itself: " Name: ...". -2: open.
int LooksLikeField(const Reader& r, size_t at) {
  while (r.At(at) >= 0 && IsBlank(r.in[at])) ++at;
  const size_t name = at;
  while (r.At(at) >= 0 && IsToken(r.in[at])) ++at;
  if (r.At(at) == -2) return -2;
  if (at == name) return 0;
  while (r.At(at) >= 0 && IsBlank(r.in[at])) ++at;
  return r.At(at) == -2 ? -2 : r.At(at) == ':';
}

// The value from `at` on with its folds; returns the index behind its line end, or kUnknown.
size_t ReadValue(const Reader& r, size_t at, std::string* value) {
  LineEnd line = FindLineEnd(r, at);
  if (!line.known) return kUnknown;
  value->assign(r.in.substr(at, line.at - at));
  size_t behind = line.at + line.length + line.fold;
  for (int folds = 0; line.fold && folds < kMaxFolds; ++folds) {
    const size_t next = line.at + line.length + 1;
    const char blank = r.in[next - 1];
    if (r.response) {
      const int field = LooksLikeField(r, next);
      if (field == -2) return kUnknown;
      if (field == 1) return next;
    }
    line = FindLineEnd(r, next);
    if (!line.known) return kUnknown;
    if (!value->empty()) *value += blank;
    const size_t end = line.at + line.length + line.fold;
    // "LF blank LF" may be the end of the block: that line end is left in place.
    if (line.at > next || line.length > 1 || (line.length == 1 && r.At(end) == '\n')) {
      value->append(r.in.substr(next, line.at - next));
      behind = end;
    }
  }
  return behind;
}

// Index of the colon behind a name at 0, npos if the line has none, kUnknown - 1 if open.
constexpr size_t kOpenName = SIZE_MAX - 1;
size_t FindColon(const Reader& r) {
  char ended = 0;  // the line end just seen; a blank behind it continues the name
  for (size_t i = 0; i < r.in.size(); ++i) {
    const char c = r.in[i];
    if (ended == 0) {
      if (c == ':') return i;
      if (c == '\n' || (r.response && c == '\r')) ended = c;
    } else if (c == ' ') {
      ended = 0;
    } else if (c == '\n' && ended == '\r') {
      ended = c;
    } else {
      return View::npos;
    }
  }
  return r.last ? View::npos : kOpenName;
}

uint32_t NameFlags(View name) {
  if (name.empty()) return kEmptyName;
  uint32_t flags = 0;
  if (IsSpace(name.front())) flags |= kNameBlankBefore;
  if (IsSpace(name.back())) flags |= kNameBlankAfter;
  const View core = Trim(name);
  if (!std::all_of(core.begin(), core.end(), IsToken)) flags |= kNameNotToken;
  return flags;
}

}  // namespace

HeaderResult HeaderParser::Next(View in, bool response, bool last, std::string* name,
                                std::string* value) {
  const Reader r{in, response, last, lf_cr_};
  if (in.empty()) return {last ? HeaderStep::kEnd : HeaderStep::kMore, 0, 0};
  if (in[0] == '\n' || (in[0] == '\r' && (response || r.At(1) == '\n'))) {
    if (in[0] == '\r' && r.At(1) == -2) return {};
    if (in[0] == '\n' && lf_cr_ && r.At(1) == -2) return {};
    // The status line ended in LF CR.
    if (first_ && in[0] == '\r' && r.At(1) >= 0 && r.At(1) != '\n') {
      lf_cr_ = true;
      return {HeaderStep::kBlank, 1, 0};
    }
    const bool two = in[0] == '\r' ? r.At(1) == '\n' : lf_cr_ && r.At(1) == '\r';
    return {HeaderStep::kEnd, two ? 2u : 1u, 0};
  }
  if (in == "\r" && !last) return {};
  const size_t colon = FindColon(r);
  if (colon == kOpenName) return {};
  HeaderResult out{HeaderStep::kHeader, 0, 0};
  size_t from = 0;
  if (colon == View::npos) {
    out.flags = kMissingColon;
    name->clear();
  } else {
    out.flags = NameFlags(in.substr(0, colon));
    name->assign(Trim(in.substr(0, colon)));
    from = colon + 1;
    while (from < in.size() && IsBlank(in[from])) ++from;
  }
  out.used = ReadValue(r, from, value);
  if (out.used == kUnknown) return {};
  value->erase(0, value->size() - TrimLeft(*value).size());
  value->resize(Trim(*value).size());
  first_ = false;
  lf_cr_ |= response && out.used >= 2 && in[out.used - 2] == '\n' && in[out.used - 1] == '\r';
  return out;
}

HeaderTable::Added HeaderTable::Add(View name, View value, uint32_t flags, size_t limit) {
  for (size_t i = 0; i < size_; ++i) {
    Header& header = headers_[i];
    if (header.name.size() != name.size() ||
        !std::equal(name.begin(), name.end(), header.name.begin(),
                    [](char a, char b) { return Lower(a) == Lower(b); })) {
      continue;
    }
    const bool second = !header.repeated;
    header.repeated = true;
    if (!second && ++repetitions_ > kMaxRepetitions) return Added::kFurther;
    // Of lengths the first counts; the caller compares.
    if (!SameName(name, "content-length")) header.value.append(", ").append(value);
    return second ? Added::kSecond : Added::kFurther;
  }
  if (size_ >= limit) return Added::kTooMany;
  if (size_ == headers_.size()) headers_.emplace_back();
  Header& header = headers_[size_++];
  header.name.assign(name);
  header.value.assign(value);
  header.flags = flags;
  header.repeated = false;
  return Added::kNew;
}

void HeaderTable::ClearTo(size_t most) {
  Clear();
  size_t room = 0;
  for (const Header& header : headers_) room += sizeof(header) + header.name.capacity() + header.value.capacity();
  if (room > most) headers_ = {};
}

const Header* HeaderTable::Find(View lower) const {
  for (const Header& header : all()) {
    if (SameNameSkippingNul(header.name, lower)) return &header;
  }
  return nullptr;
}

View HeaderTable::Value(View lower) const {
  const Header* header = Find(lower);
  return header == nullptr ? View() : View(header->value);
}

}  // namespace http
