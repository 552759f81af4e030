// SPDX-License-Identifier: Apache-2.0
// plugins/dns/message.h - a DNS message as it lies on the wire (RFC 1035 section 4): its
// header, names, records, and whether it holds together.
//
// What is accepted is what Suricata accepts, so that both see the same messages: names of
// up to 255 labels and pointers, data that ends without a final zero label, sections behind
// the answers that do not hold.
// Threads, memory: pure functions over borrowed bytes; nothing is allocated but the text
//   of a name, in the caller's string.  Units: offsets and lengths in bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::dns {

using View = std::string_view;

inline constexpr size_t kHeaderSize = 12;      // RFC 1035 section 4.1.1
inline constexpr size_t kMaxNameText = 1025;   // of a name, with dots; what follows is cut
inline constexpr unsigned kMaxLabels = 255;    // labels and pointers of one name

// Big-endian; the caller has checked the bounds.
inline uint16_t Be16(View m, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(m[at]) << 8 | static_cast<uint8_t>(m[at + 1]));
}
inline uint32_t Be32(View m, size_t at) { return uint32_t{Be16(m, at)} << 16 | Be16(m, at + 2); }

enum Type : uint16_t {
  kA = 1, kNs = 2, kCname = 5, kSoa = 6, kNull = 10, kPtr = 12, kMx = 15, kTxt = 16,
  kAaaa = 28, kSrv = 33, kOpt = 41, kSshfp = 44,
};
enum Section : unsigned { kQuestions, kAnswers, kAuthorities, kAdditionals, kNumSections };

struct Header {
  uint16_t id = 0, flags = 0;
  uint16_t count[kNumSections] = {};
  bool response() const { return flags & 0x8000; }
  bool z() const { return flags & 0x0040; }
  unsigned opcode() const { return (flags >> 11) & 15; }
  unsigned rcode() const { return flags & 15; }
};
// False if the bytes are fewer than a header.
bool ReadHeader(View message, Header* out);
// Whether a message of `size` bytes may have this header: room for what it counts (as many
// as two bytes each), something counted unless it is the header alone, a question if it asks.
bool IsPlausible(const Header& header, size_t size);

// What was odd about names; bits.
enum Oddity : uint8_t { kTooLong = 1, kLoop = 2, kTooManyLabels = 4 };

// Reads the names of one message.  Labels behind pointers cost no bytes of their own, so
// their number is bounded by the message's size: further ones end the name they are in.
class NameReader {
 public:
  explicit NameReader(View message) : message_(message), hops_left_(1024 + 4 * message.size()) {}

  // The name at *at, in a field that ends at `end`; moves behind it.  False if it does not
  // hold: *at and *text are then of no use.  `text` null: only walked.
  bool Read(size_t* at, size_t end, std::string* text);
  bool cut() const { return cut_; }              // whether the last one was too long
  uint8_t oddities() const { return oddities_; }  // of all read so far
  View message() const { return message_; }

 private:
  View message_;
  size_t hops_left_;
  uint8_t oddities_ = 0;
  bool cut_ = false;
};

struct Record {
  uint16_t type = 0;
  uint32_t ttl = 0;
  size_t data = 0, end = 0;  // where its data begins and ends
  size_t size() const { return end - data; }
};
// The question at *at: a name, a type and a class.
bool ReadQuestion(NameReader* names, size_t* at, std::string* name, uint16_t* type);
// The record at *at, its data unread.
bool ReadRecord(NameReader* names, size_t* at, std::string* name, Record* out);
// Whether its data has the form of its type.
bool IsWellFormed(NameReader* names, const Record& record);

// A walk over the whole message.
struct Shape {
  bool holds = false;  // header, questions and answers
  // Whether the section was read; those behind an unreadable one are not tried.
  bool read[kNumSections] = {};
  size_t begin[kNumSections] = {};  // offsets of those read
  uint8_t oddities = 0;
};
Shape Walk(View message, const Header& header);

}  // namespace sluice::dns
