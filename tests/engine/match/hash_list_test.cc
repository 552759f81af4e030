#include "engine/match/hash_list.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

const std::string kEmptyMd5 = "d41d8cd98f00b204e9800998ecf8427e";
const std::string kOther = "0123456789ABCDEF0123456789abcdef";

struct Case {
  const char* name;  // states the expectation
  std::string text;
  size_t size;       // hashes; SIZE_MAX: an error
};
class HashLists : public ::testing::TestWithParam<Case> {};
TEST_P(HashLists, Parses) {
  const auto list = HashList::Parse(GetParam().text, "list", FileHash::kMd5);
  ASSERT_EQ(list.has_value(), GetParam().size != SIZE_MAX);
  if (list) {
    EXPECT_EQ(list->size(), GetParam().size);
  } else {
    EXPECT_TRUE(list.error().message.starts_with("list:")) << list.error().message;
  }
}
const Case kCases[] = {
    {"Nothing", "", 0},
    {"OneWithoutLineEnd", kEmptyMd5, 1},
    {"CrLf", kEmptyMd5 + "\r\n" + kOther + "\r\n", 2},
    {"TwiceCountsOnce", kEmptyMd5 + "\n" + kEmptyMd5 + "\n", 1},
    {"WhatStandsBehindIsIgnored", kEmptyMd5 + "  setup.exe\n", 1},
    {"CommentsAndEmptyLines", "# list\n\n \n" + kEmptyMd5 + "\n", 1},
    {"ShortHashIsAnError", kEmptyMd5.substr(1), SIZE_MAX},
    {"HashOfAnotherKindIsAnError", kEmptyMd5 + "00000000", SIZE_MAX},
    {"NotHexIsAnError", std::string(32, 'g'), SIZE_MAX},
};
INSTANTIATE_TEST_SUITE_P(Table, HashLists, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

TEST(HashList, FindsInAnyCaseAndNoOther) {
  const auto list = HashList::Parse(kOther, "list", FileHash::kMd5);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->Contains("0123456789abcdef0123456789abcdef"));
  EXPECT_FALSE(list->Contains(kEmptyMd5));
  EXPECT_FALSE(list->Contains(""));
  EXPECT_FALSE(list->Contains("0123456789abcdef0123456789abcdef00000000"));
}

}  // namespace
}  // namespace sluice
