#include "plugins/dns/message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/plugins/dns/wire.h"

namespace sluice::testing::dns {
namespace {

using sluice::dns::NameReader;
using sluice::dns::Shape;
using sluice::dns::View;

Shape WalkOf(View message) {
  sluice::dns::Header header;
  return sluice::dns::ReadHeader(message, &header) ? sluice::dns::Walk(message, header) : Shape{};
}

struct NameCase {
  const char* name;
  std::string bytes;
  size_t at;
  bool holds;
  std::string text = "";
  size_t behind = 0;
  unsigned oddities = 0;
};
class NameOf : public ::testing::TestWithParam<NameCase> {};
TEST_P(NameOf, Reads) {
  const NameCase& c = GetParam();
  NameReader names(c.bytes);
  size_t at = c.at;
  std::string text;
  ASSERT_EQ(names.Read(&at, c.bytes.size(), &text), c.holds);
  EXPECT_EQ(names.oddities(), c.oddities);
  if (!c.holds) return;
  EXPECT_EQ(text, c.text);
  EXPECT_EQ(at, c.behind);
  // Only walked, it ends at the same place and is as odd.
  NameReader walker(c.bytes);
  size_t walked = c.at;
  EXPECT_TRUE(walker.Read(&walked, c.bytes.size(), nullptr));
  EXPECT_EQ(walked, at);
  EXPECT_EQ(walker.oddities(), c.oddities);
}
std::string Labels(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += Label("a");
  return out;
}
std::string Long(size_t labels) {
  std::string out;
  for (size_t i = 0; i < labels; ++i) out += Label(std::string(63, 'x'));
  return out;
}
std::string LongText() {
  std::string out;
  for (int i = 0; i < 17; ++i) out += std::string(63, 'x') + ".";
  return out.substr(0, 1025);
}
const NameCase kNames[] = {
    {"Plain", Name("www.example.com"), 0, true, "www.example.com", 17},
    {"Root", std::string(1, '\0'), 0, true, "", 1},
    {"PointerEndsIt", Name("b.c") + Label("a") + Pointer(0), 5, true, "a.b.c", 9},
    {"PointerToAPointer", Name("c") + Pointer(0) + Label("a") + Pointer(3), 5, true, "a.c", 9},
    {"EndOfMessageEndsIt", Label("abc"), 0, true, "abc", 4},
    {"PointerToTheEnd", Label("a") + Pointer(4), 0, true, "a", 4},
    {"LabelPastTheEnd", "\x05" "abc", 0, false},
    {"HalfAPointer", "\xc0", 0, false},
    {"PointerPastTheEnd", Pointer(9), 0, false},
    {"ReservedLabel", "\x80" "abc", 0, false},
    {"PointerToItself", Pointer(0), 0, false, "", 0, sluice::dns::kLoop},
    {"LabelThenPointerToItself", Label("a") + Pointer(2), 0, false, "", 0, sluice::dns::kLoop},
    {"PointerBackToItsLabel", Label("a") + Pointer(0), 0, true,
     [] { std::string s = "a"; for (int i = 1; i < 128; ++i) s += ".a"; return s; }(), 4,
     sluice::dns::kTooManyLabels | sluice::dns::kTooLong},
    {"TwoHundredFiftyFiveLabels", Labels(255) + '\0', 0, true,
     [] { std::string s = "a"; for (int i = 1; i < 255; ++i) s += ".a"; return s; }(), 511},
    {"OneLabelMore", Labels(256) + '\0', 0, false, "", 0, sluice::dns::kTooManyLabels},
    {"LongerThanMayBeIsCut", Long(20) + '\0', 0, true, LongText(), 20 * 64 + 1, sluice::dns::kTooLong},
};
INSTANTIATE_TEST_SUITE_P(Rfc1035, NameOf, ::testing::ValuesIn(kNames),
                         [](const auto& info) { return info.param.name; });

struct PlausibleCase {
  const char* name;
  std::string header;
  size_t size;
  bool plausible;
};
class HeaderOf : public ::testing::TestWithParam<PlausibleCase> {};
TEST_P(HeaderOf, IsPlausible) {
  sluice::dns::Header header;
  ASSERT_TRUE(sluice::dns::ReadHeader(GetParam().header, &header));
  EXPECT_EQ(sluice::dns::IsPlausible(header, GetParam().size), GetParam().plausible);
}
const PlausibleCase kHeaders[] = {
    {"Query", Header(kAsks, 1), 30, true},
    {"QueryWithoutAQuestion", Header(kAsks, 0, 1), 30, false},
    {"AnswerWithoutAQuestion", Header(kAnswers, 0, 1), 30, true},
    {"HeaderAlone", Header(kAnswers, 0), 12, true},
    {"NothingCountedYetBytes", Header(kAnswers, 0), 13, false},
    {"NoRoomForWhatItCounts", Header(kAnswers, 8, 8), 31, false},
    {"RoomForIt", Header(kAnswers, 8, 8), 32, true},
};
INSTANTIATE_TEST_SUITE_P(Dns, HeaderOf, ::testing::ValuesIn(kHeaders),
                         [](const auto& info) { return info.param.name; });

struct DataCase {
  const char* name;
  unsigned type;
  std::string data;
  bool holds;
};
class DataOf : public ::testing::TestWithParam<DataCase> {};
TEST_P(DataOf, HoldsInAnAnswer) {
  const auto& [name, type, data, holds] = GetParam();
  EXPECT_EQ(WalkOf(Header(kAnswers, 1, 1) + Question("a") + Record(kFirstName, type, data)).holds, holds);
}
// The same elsewhere leaves the answers as they are.
TEST_P(DataOf, HoldsElsewhereByItself) {
  const auto& [name, type, data, holds] = GetParam();
  const Shape shape = WalkOf(Header(kAnswers, 1, 0, 1, 1) + Question("a") + Record(kFirstName, type, data) +
                             Record(kFirstName, 1, "1234"));
  EXPECT_TRUE(shape.holds);
  EXPECT_EQ(shape.read[sluice::dns::kAuthorities], holds);
  EXPECT_EQ(shape.read[sluice::dns::kAdditionals], holds);
}
const DataCase kData[] = {
    {"AddressOfAnySize", 1, "123", true},
    {"EmptyName", 5, "", true},
    {"Name", 5, Name("x"), true},
    {"NamePastItsData", 5, "\x09" "abc", false},
    {"MailWithoutPreference", 15, "x", false},
    {"Mail", 15, U16(10) + Name("mx"), true},
    {"Service", 33, U16(1) + U16(2) + U16(3) + Name("x"), true},
    {"ServiceTooShort", 33, "12345", false},
    {"Authority", 6, Name("a") + Name("b") + std::string(20, '\1'), true},
    {"AuthorityTooShort", 6, Name("a") + Name("b") + std::string(19, '\1'), false},
    {"Texts", 16, "\3abc" + std::string(1, '\0'), true},
    {"NoText", 16, "", true},
    {"TextPastItsData", 16, "\4abc", false},
    {"Fingerprint", 44, "\1\2xyz", true},
    {"FingerprintTooShort", 44, "\1", false},
    {"Options", 41, U16(10) + U16(2) + "ab" + U16(3) + U16(0), true},
    {"NoOptions", 41, "", true},
    {"OptionPastItsData", 41, U16(10) + U16(3) + "ab", false},
    {"UnknownTypeWhateverItHolds", 4711, "\xff\xff", true},
};
INSTANTIATE_TEST_SUITE_P(Dns, DataOf, ::testing::ValuesIn(kData),
                         [](const auto& info) { return info.param.name; });

// Names that point at each other must not cost more than their message is worth.
TEST(Dns, LabelsBehindPointersAreBoundedByTheMessage) {
  std::string message = Header(kAnswers, 1, 5000) + Labels(250) + '\0' + U16(1) + U16(1);
  while (message.size() < 60'000) message += Record(kFirstName, 5, kFirstName);
  const Shape shape = WalkOf(message);
  EXPECT_TRUE(shape.oddities & sluice::dns::kTooManyLabels);
}

TEST(Dns, AnyBytesAreWalkedToAnEnd) {
  std::mt19937 random(1);
  for (int i = 0; i < 200'000; ++i) {
    std::string bytes = Header(random() & 1 ? kAsks : kAnswers, random() % 3, random() % 3, random() % 3, random() % 3);
    for (unsigned n = random() % 80; n > 0; --n) {
      bytes += random() % 4 == 0 ? static_cast<char>(0xc0) : static_cast<char>(random() % 40);
    }
    const Shape shape = WalkOf(bytes);
    EXPECT_TRUE(!shape.holds || shape.begin[sluice::dns::kAuthorities] <= bytes.size());
  }
}

}  // namespace
}  // namespace sluice::testing::dns
