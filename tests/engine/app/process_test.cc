#include "engine/app/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

std::string TempPath(const std::string& name) {
  return (std::filesystem::temp_directory_path() / (name + std::to_string(getpid()))).string();
}
std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(PidFile, HoldsOurIdAndGoesWithUs) {
  const std::string path = TempPath("sluice-pid-");
  {
    const auto file = PidFile::Create(path);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(ReadFile(path), std::to_string(getpid()) + "\n");
    const auto second = PidFile::Create(path);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("a running engine holds it"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(PidFile, AStaleOneIsOverwritten) {
  const std::string path = TempPath("sluice-stale-");
  std::ofstream(path) << "1234567890\n";
  const auto file = PidFile::Create(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(ReadFile(path), std::to_string(getpid()) + "\n");
}

// Runs `child` behind Fork(); returns what the parent would exit with.
int InBackground(void (*child)(Background&)) {
  const pid_t runner = fork();
  if (runner == 0) {
    int code = 0;
    if (const auto background = Background::Fork(&code)) {
      child(*background);
      _exit(7);
    }
    _exit(code);
  }
  int status = 0;
  waitpid(runner, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Background, TheParentEndsWellOnceTheChildIsReady) {
  EXPECT_EQ(InBackground([](Background& b) { b.Ready(); }), 0);
}
TEST(Background, AStartThatFailsIsTheParentsFailure) {
  EXPECT_EQ(InBackground([](Background&) { _exit(1); }), 1);
}
TEST(Background, AChildThatIsKilledIsAFailure) {
  EXPECT_EQ(InBackground([](Background&) { raise(SIGKILL); }), 1);
}

TEST(DropPrivileges, AnUnknownUserIsNamed) {
  PrivilegeOptions options;
  options.user = "nobody-of-that-name";
  const auto dropped = DropPrivileges(options);
  ASSERT_FALSE(dropped);
  EXPECT_NE(dropped.error().message.find("run-as.user: nobody-of-that-name"), std::string::npos);
}

}  // namespace
}  // namespace sluice
