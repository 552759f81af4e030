#include "engine/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice {
namespace {

class ReadFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-file-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string Path() const { return directory_ + "/file"; }

  std::string directory_;
};

TEST_F(ReadFileTest, GivesEveryByteWhateverTheSize) {
  for (const size_t size : {0u, 1u, 4096u, 65535u, 65536u, 65537u, 300'000u}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31);
    std::ofstream(Path(), std::ios::binary) << bytes;
    const auto read = ReadFile(Path(), "test file");
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, bytes) << size;
  }
}

TEST_F(ReadFileTest, ReadsAPipeToItsEnd) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  const std::string bytes(200'000, 'x');
  std::thread writer([&] { std::ofstream(Path(), std::ios::binary) << bytes; });
  const auto read = ReadFile(Path(), "test file");
  writer.join();
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, bytes);
}

TEST_F(ReadFileTest, AMissingFileIsNamedWithWhatItWasFor) {
  const auto read = ReadFile(Path(), "rule file");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message,
            Path() + ": the rule file cannot be read: No such file or directory; check its path and rights");
}

TEST_F(ReadFileTest, ADirectoryIsAnErrorNotEmptyRules) {
  EXPECT_FALSE(ReadFile(directory_, "rule file"));
}

TEST_F(ReadFileTest, AnEndlessFileIsRefusedAtTheLimit) {
  const auto read = ReadFile("/dev/zero", "rule file", 1 << 20);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("larger than 1048576 bytes"), std::string::npos);
}

}  // namespace
}  // namespace sluice
