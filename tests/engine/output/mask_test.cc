#include "engine/output/mask.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

std::string Masked(std::string_view secret, std::string text) {
  MaskSecret(AsSlice(secret), std::span(reinterpret_cast<uint8_t*>(text.data()), text.size()));
  return text;
}

struct MaskCase {
  const char* name;
  const char* secret;
  const char* text;
  const char* masked;
};
class Mask : public ::testing::TestWithParam<MaskCase> {};
TEST_P(Mask, HidesTheSecret) {
  EXPECT_EQ(Masked(GetParam().secret, GetParam().text), GetParam().masked);
}
const MaskCase kCases[] = {
    {"WhereItStands", "hunter2", "pass hunter2\n", "pass xxxxxxx\n"},
    {"EachTime", "hunter2", "hunter2 hunter2", "xxxxxxx xxxxxxx"},
    {"ItsBeginningAtTheEnd", "hunter2", "pass hunt", "pass xxxx"},
    {"ItsEndAtTheStart", "hunter2", "ter2\nok", "xxxx\nok"},
    {"APieceOfIt", "hunter2", "unter", "xxxxx"},
    {"NothingElse", "hunter2", "nothing here", "nothing here"},
    {"TwoBytesOfItAreNoPart", "hunter2", "bath hu", "bath hu"},
    {"AnEmptySecretHidesNothing", "", "text", "text"},
    {"ATextOfNothing", "hunter2", "", ""},
};
INSTANTIATE_TEST_SUITE_P(Secrets, Mask, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

// However packets cut a conversation, no three bytes of the secret are left in a row.
TEST(MaskLaw, NoCutLeavesAPartOfTheSecret) {
  const std::string secret = "0123456789", text = "user " + secret + " bye";
  for (size_t a = 0; a <= text.size(); ++a) {
    for (size_t b = a; b <= text.size(); ++b) {
      const std::string left = Masked(secret, text.substr(a, b - a));
      EXPECT_EQ(left.size(), b - a);
      for (size_t i = 0; i + kLeastPart <= secret.size(); ++i) {
        EXPECT_EQ(left.find(secret.substr(i, kLeastPart)), std::string::npos) << a << ".." << b;
      }
    }
  }
}

}  // namespace
}  // namespace sluice
