// The file store by its messages: what is complete gets its name, nothing else does.
#include "engine/output/file_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/base/file.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using Op = StoreMessage::Op;

const std::string kHash = "0a" + std::string(62, '1'), kOther = "0a" + std::string(62, '2');

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "/store" + std::to_string(getpid());
    fs::remove_all(directory_);
    Open({});
  }
  void TearDown() override { fs::remove_all(directory_); }
  void Open(FileStoreOptions options) {
    options.directory = directory_;
    auto store = FileStore::Open(options);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  void Send(const StoreMessage& message, std::string_view bytes = {}) {
    std::string text;
    message.AppendTo(bytes, &text);
    store_->Write(text);
  }
  void Data(uint64_t id, uint64_t offset, std::string_view bytes) {
    Send({.op = Op::kData, .id = id, .offset = offset}, bytes);
  }
  void Keep(uint64_t id, uint64_t size, const std::string& hash, const std::string& record = "") {
    Send({.op = Op::kKeep, .seconds = 9, .id = id, .offset = size}, hash + record);
  }
  std::string Content(const std::string& hash) {
    return ReadFile(directory_ + "/" + hash.substr(0, 2) + "/" + hash, "file").value_or("not there");
  }
  size_t NumFiles() {
    size_t n = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory_)) n += entry.is_regular_file();
    return n;
  }
  std::string directory_;
  std::unique_ptr<FileStore> store_;
};

TEST_F(StoreTest, AWholeFileGetsItsName) {
  Data(1, 0, "hello ");
  Data(1, 6, "world");
  EXPECT_EQ(Content(kHash), "not there");
  Keep(1, 11, kHash, "{}\n");
  EXPECT_EQ(Content(kHash), "hello world");
  EXPECT_EQ(ReadFile(directory_ + "/0a/" + kHash + ".9.1.json", "record").value_or(""), "{}\n");
  EXPECT_EQ(NumFiles(), 2u);
  EXPECT_EQ(store_->stats().open_files, 0u);
}

TEST_F(StoreTest, AnEmptyFileIsOneToo) {
  Keep(1, 0, kHash);
  EXPECT_EQ(Content(kHash), "");
}

TEST_F(StoreTest, ContentThatIsThereStays) {
  for (const uint64_t id : {1, 2}) {
    Data(id, 0, "x");
    Keep(id, 1, kHash);
  }
  EXPECT_EQ(store_->stats().stored, 1u);
  EXPECT_EQ(store_->stats().known, 1u);
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(StoreTest, WhatIsNotWantedLeavesNothing) {
  Data(1, 0, "x");
  Send({.op = Op::kDrop, .id = 1});
  EXPECT_EQ(NumFiles(), 0u);
  EXPECT_EQ(store_->stats().dropped, 1u);
}

// Any lost message: no file, and it is counted.
TEST_F(StoreTest, ALostPieceCostsTheFile) {
  for (uint64_t lost = 0; lost < 3; ++lost) {
    for (uint64_t piece = 0; piece < 3; ++piece) {
      if (piece != lost) Data(10 + lost, piece, "x");
    }
    Keep(10 + lost, 3, kHash);
  }
  EXPECT_EQ(store_->stats().incomplete, 3u);
  EXPECT_EQ(NumFiles(), 0u);
}

TEST_F(StoreTest, ANameThatIsNoHashIsRefused) {
  Data(1, 0, "x");
  Keep(1, 1, "../../" + std::string(58, 'a'));
  EXPECT_EQ(store_->stats().incomplete, 1u);
  EXPECT_EQ(NumFiles(), 0u);
}

TEST_F(StoreTest, FewDescriptorsServeManyFiles) {
  Open({.max_files = 100, .max_open_files = 2});
  for (uint64_t at = 0; at < 3; ++at) {
    for (uint64_t id = 1; id <= 9; ++id) Data(id, at, std::string(1, static_cast<char>('0' + id)));
  }
  EXPECT_EQ(store_->stats().open_files, 2u);
  EXPECT_GT(store_->stats().open_files_max_hit, 0u);
  Keep(5, 3, kHash);
  EXPECT_EQ(Content(kHash), "555");
}

TEST_F(StoreTest, PastItsLimitTheLongestIdleIsGivenUp) {
  Open({.max_files = 2});
  Data(1, 0, "1");
  Data(2, 0, "2");
  Data(1, 1, "1");
  Data(3, 0, "3");
  EXPECT_EQ(store_->stats().evicted, 1u);
  Keep(1, 2, kHash);
  Keep(2, 1, kOther);
  EXPECT_EQ(Content(kHash), "11");
  EXPECT_EQ(Content(kOther), "not there");
  EXPECT_EQ(store_->stats().incomplete, 1u);
}

TEST_F(StoreTest, WhatACrashLeftIsRemovedAtTheNextStart) {
  std::ofstream(directory_ + "/tmp/7") << "half";
  Open({});
  EXPECT_EQ(NumFiles(), 0u);
}

// The directory is gone: nothing can be written.
TEST_F(StoreTest, WhatCannotBeWrittenCostsTheFileAndIsCounted) {
  fs::remove_all(directory_ + "/tmp");
  Data(1, 0, "x");
  Keep(1, 1, kHash);
  EXPECT_GE(store_->stats().fs_errors, 1u);
  EXPECT_EQ(store_->stats().incomplete, 1u);
  EXPECT_EQ(Content(kHash), "not there");
}

TEST_F(StoreTest, NoiseIsNoMessage) {
  store_->Write("");
  store_->Write("short");
  Send({.op = static_cast<Op>(77), .id = 1}, "x");
  EXPECT_EQ(NumFiles(), 0u);
}

TEST(Store, ADirectoryThatCannotBeUsedIsNamed) {
  const auto store = FileStore::Open({.directory = "/proc/none"});
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("/proc/none"), std::string::npos);
}

}  // namespace
}  // namespace sluice
