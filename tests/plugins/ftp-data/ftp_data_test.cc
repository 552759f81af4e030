// SPDX-License-Identifier: Apache-2.0
// What a data connection does without and with an announcement of its own making.
#include <gtest/gtest.h>

#include "plugins/lib/ftp_transfer.h"
#include "tests/plugins/conversation.h"

namespace sluice::testing {
namespace {

constexpr Direction kC = Direction::kToServer, kS = Direction::kToClient;

// A flow to port 5000 that was announced with `context`.
class Announced {
 public:
  explicit Announced(const std::string& context) {
    ExpectedEnds ends{.transport = SLUICE_TCP, .ip_version = 4};
    ends.responder_port = 5000;
    Conversation::catalog().expectations().Add(ends, {}, AsSlice(context), Nanos{1}, Expectations::kDefaultLife);
    talk_ = std::make_unique<Conversation>(SLUICE_TCP, 5000);
  }
  Conversation& operator*() { return *talk_; }
  Conversation* operator->() { return talk_.get(); }

 private:
  std::unique_ptr<Conversation> talk_;
};

std::string Context(FtpTransfer::Command command, uint32_t direction, View name) {
  return FtpTransfer{command, direction, name}.Pack();
}

TEST(FtpData, TheFileHasTheNameAndDirectionThatWereTold) {
  Announced c(Context(FtpTransfer::kRetrieve, SLUICE_TO_CLIENT, "dir/a.txt"));
  c->Server("hello ").Client("noise").Server("world").Finish();
  ASSERT_EQ(c->num_transactions(), 1u);
  const Transaction& tx = c->tx(0);
  ASSERT_EQ(tx.files.size(), 1u);
  EXPECT_EQ(AsText(tx.files[0].name), "dir/a.txt");
  EXPECT_EQ(tx.files[0].direction, kS);
  EXPECT_EQ(AsText(tx.files[0].data), "hello world");
  EXPECT_TRUE(tx.files[0].closed);
  EXPECT_FALSE(tx.files[0].truncated);
  EXPECT_TRUE(tx.done());
  EXPECT_EQ(c->Number(0, "filename"), UINT64_MAX);
  EXPECT_EQ(AsText(tx.values[0].bytes), "dir/a.txt");
  EXPECT_EQ(AsText(tx.values[1].bytes), "RETR");
}

TEST(FtpData, ALossIsAGapOfTheFile) {
  Announced c(Context(FtpTransfer::kStore, SLUICE_TO_SERVER, "b"));
  c->Client("one").Gap(kC, 10).Client("two").Finish();
  const FileInfo& file = c->tx(0).files[0];
  EXPECT_EQ(file.size, 16u);
  EXPECT_EQ(file.missing, 10u);
  EXPECT_TRUE(file.truncated);
}

TEST(FtpData, EveryCutGivesTheSameFile) {
  const std::string bytes = "USER a\r\n220 (x)";
  std::string whole;
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    Announced c(Context(FtpTransfer::kStore, SLUICE_TO_SERVER, "b"));
    c->Client(bytes.substr(0, cut)).Client(bytes.substr(cut)).Finish();
    if (whole.empty()) whole = c->Snapshot();
    EXPECT_EQ(c->Snapshot(), whole);
  }
}

TEST(FtpData, AContextThatIsNoneLeavesAFileWithoutAName) {
  for (const std::string& context : {std::string(), std::string("R"), std::string("R\2name"), std::string("X\0name", 6)}) {
    Announced c(context);
    c->Client("x").Finish();
    ASSERT_EQ(c->num_transactions(), 1u);
    EXPECT_EQ(c->tx(0).files[0].name.size(), 0u);
  }
}

TEST(FtpData, TheContextComesBackAsItWas) {
  const std::string name(2000, 'n');
  const std::string packed = Context(FtpTransfer::kStore, 1, name);
  EXPECT_LE(packed.size(), Expectations::kMaxContext);
  const auto read = FtpTransfer::Unpack(packed);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->command, FtpTransfer::kStore);
  EXPECT_EQ(read->direction, 1u);
  EXPECT_EQ(read->name, View(name).substr(0, FtpTransfer::kMaxName));
}

}  // namespace
}  // namespace sluice::testing
