#include "engine/app/reload.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <semaphore>

namespace sluice {
namespace {

// Builds wait until the test lets them go.
class Reload : public ::testing::Test {
 protected:
  void SetUp() override {
    auto reloader = Reloader::Create([this]() -> Result<LoadedRules> {
      go_.acquire();
      const uint32_t n = ++builds_;
      if (n == fails_) return Fail(Errc::kInvalidArgument, "bad rules");
      LoadedRules rules;
      rules.num_skipped = n;
      return rules;
    });
    ASSERT_TRUE(reloader);
    reloader_ = std::move(*reloader);
  }
  Reloader::Done Wait() {
    pollfd fd{reloader_->ready_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&fd, 1, 10'000), 1);
    auto done = reloader_->Take();
    EXPECT_TRUE(done);
    return std::move(*done);
  }

  std::counting_semaphore<> go_{0};
  std::atomic<uint32_t> builds_{0};
  uint32_t fails_ = 0;
  std::unique_ptr<Reloader> reloader_;
};

TEST_F(Reload, NothingIsTakenBeforeItIsDone) {
  EXPECT_FALSE(reloader_->Take());
  EXPECT_EQ(reloader_->Request(), 1u);
  EXPECT_FALSE(reloader_->Take());
  go_.release();
  const auto done = Wait();
  EXPECT_EQ(done.number, 1u);
  EXPECT_EQ(done.rules->num_skipped, 1u);
  EXPECT_FALSE(reloader_->running());
}

TEST_F(Reload, RequestsDuringABuildShareOneMore) {
  EXPECT_EQ(reloader_->Request(), 1u);
  EXPECT_EQ(reloader_->Request(), 2u);
  EXPECT_EQ(reloader_->Request(), 2u);
  go_.release(5);
  EXPECT_EQ(Wait().number, 1u);
  EXPECT_FALSE(reloader_->running()) << "what was built is not in its place yet";
  reloader_->StartNext();
  EXPECT_TRUE(reloader_->running());
  EXPECT_EQ(Wait().number, 2u);
  reloader_->StartNext();
  EXPECT_FALSE(reloader_->running());
  EXPECT_EQ(builds_, 2u);
}

TEST_F(Reload, AFailedBuildSaysWhyAndTheNextOneRuns) {
  fails_ = 1;
  reloader_->Request();
  reloader_->Request();
  go_.release(2);
  const auto failed = Wait();
  ASSERT_FALSE(failed.rules);
  EXPECT_EQ(failed.rules.error().message, "bad rules");
  reloader_->StartNext();
  EXPECT_TRUE(Wait().rules);
}

TEST_F(Reload, TheEndWaitsForABuild) {
  reloader_->Request();
  go_.release();
  reloader_.reset();
  EXPECT_EQ(builds_, 1u);
}

TEST(CheckMemory, ALimitBelowWhatWeHaveIsNamed) {
  const auto refused = CheckMemory(1, 0);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("rules.memory-limit"), std::string::npos);
  EXPECT_TRUE(CheckMemory(0, 0));
  EXPECT_FALSE(CheckMemory(0, UINT64_MAX / 16));
}

}  // namespace
}  // namespace sluice
