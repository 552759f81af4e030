// The value store by its messages.
#include "engine/output/value_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "engine/base/file.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

class ValueStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "/values" + std::to_string(getpid());
    fs::remove_all(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }
  void Open(ValueStoreOptions options = {}) {
    options.directories = {{"line", directory_}};
    auto store = ValueStore::Open(options);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  void Send(std::string_view value, std::string_view name = "line") {
    std::string text;
    ValueMessage{.micros = 1'430'933'141'000'020, .name = name, .suffix = "txt", .value = value, .meta = "facts\n"}
        .AppendTo(&text);
    store_->Write(text);
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  std::string Read(const std::string& name) const { return *ReadFile(directory_ + "/" + name, "value"); }

  std::string directory_;
  std::unique_ptr<ValueStore> store_;
};

TEST_F(ValueStoreTest, AValueAndItsFactsHaveTheTimeForAName) {
  Open();
  Send("one");
  Send("two");
  EXPECT_EQ(Files(), (std::vector<std::string>{"1430933141.000020-1.meta", "1430933141.000020-1.txt",
                                               "1430933141.000020-2.meta", "1430933141.000020-2.txt"}));
  EXPECT_EQ(Read("1430933141.000020-2.txt"), "two");
  EXPECT_EQ(Read("1430933141.000020-1.meta"), "facts\n");
  EXPECT_EQ(store_->stats().written, 2u);
  EXPECT_EQ(store_->stats().bytes, 6u);
}

TEST_F(ValueStoreTest, AtMostSoManyAreWritten) {
  Open({.max_files = 1});
  Send("one");
  Send("two");
  EXPECT_EQ(Files().size(), 2u);
  EXPECT_EQ(store_->stats().limited, 1u);
}

TEST_F(ValueStoreTest, AtMostSoManyBytesAreWritten) {
  Open({.max_bytes = 5});
  Send("three");
  Send("x");
  EXPECT_EQ(store_->stats().written, 1u);
  EXPECT_EQ(store_->stats().limited, 1u);
}

TEST_F(ValueStoreTest, OfADissectorWithoutADirectoryNothingIsWritten) {
  Open();
  Send("one", "other");
  EXPECT_TRUE(Files().empty());
}

TEST_F(ValueStoreTest, WhatIsCutIsNoMessage) {
  std::string text;
  ValueMessage{.micros = 1, .name = "line", .suffix = "txt", .value = "value", .meta = ""}.AppendTo(&text);
  for (size_t size = 0; size < text.size(); ++size) {
    ValueMessage message;
    EXPECT_FALSE(message.Read(std::string_view(text).substr(0, size))) << size;
  }
}

TEST_F(ValueStoreTest, ALinkInTheWayIsNotFollowed) {
  Open();
  const std::string target = directory_ + "/target";
  fs::create_symlink(target, directory_ + "/1430933141.000020-1.txt");
  Send("one");
  EXPECT_FALSE(fs::exists(target));
  EXPECT_EQ(store_->stats().fs_errors, 1u);
  EXPECT_EQ(store_->stats().written, 0u);
}

TEST_F(ValueStoreTest, ADirectoryThatCannotBeIsSaidAtTheStart) {
  const auto store = ValueStore::Open({.directories = {{"line", "/proc/none"}}});
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("stores.line.directory"), std::string::npos);
}

}  // namespace
}  // namespace sluice
