// Sets of values: what is in them, what their files say, many threads at once.
#include "engine/match/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice {
namespace {

using testing::HasSubstr;
using Type = DatasetSpec::Type;

DatasetSpec Spec(Type type = Type::kString) {
  DatasetSpec spec;
  spec.name = "set";
  spec.type = type;
  spec.has_type = true;
  return spec;
}

class Files : public testing::Test {
 protected:
  Files() : directory_(testing::TempDir() + "/dataset." + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~Files() override { std::filesystem::remove_all(directory_); }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(directory_ + "/" + name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  const std::string directory_;
};

TEST(Dataset, AddsOnceRemovesOnceAndTakesBack) {
  Dataset set(Spec());
  EXPECT_TRUE(set.Add(AsSlice("a")));
  EXPECT_FALSE(set.Add(AsSlice("a")));
  EXPECT_TRUE(set.Remove(AsSlice("a")));
  EXPECT_FALSE(set.Remove(AsSlice("a")));
  EXPECT_EQ(set.Find(AsSlice("a")), nullptr);
  EXPECT_TRUE(set.Add(AsSlice("a")));
  EXPECT_EQ(set.size(), 1u);
}

TEST(Dataset, AtItsMemcapRefusesAndCounts) {
  DatasetSpec spec = Spec();
  spec.memcap = 1000;
  Dataset set(spec);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += set.Add(AsSlice(std::to_string(i)));
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 20);
  EXPECT_EQ(set.refused(), 100u - static_cast<uint64_t>(taken));
}

// However threads meet, each value is added exactly once.
TEST(Dataset, ManyThreadsAddEachValueOnce) {
  DatasetSpec spec = Spec();
  spec.hash_size = 64;  // crowded
  Dataset set(spec);
  std::atomic<int> added{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) added += set.Add(AsSlice(std::to_string(i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(added, 5000);
  EXPECT_EQ(set.size(), 5000u);
}

TEST(Dataset, ParentIsAPartFromADotOn) {
  Dataset set(Spec());
  set.Add(AsSlice(".evil.com"));
  EXPECT_NE(set.FindParent(AsSlice(".www.evil.com")), nullptr);
  EXPECT_NE(set.FindParent(AsSlice(".evil.com")), nullptr);
  EXPECT_EQ(set.FindParent(AsSlice(".notevil.com")), nullptr);
}

struct TypeCase {
  const char* name;
  Type type;
  const char* line;
  const char* error;  // null: it loads, and is saved as it was
};
class Types : public Files, public testing::WithParamInterface<TypeCase> {};
TEST_P(Types, LoadWhatTheySaveOrNameTheLine) {
  Dataset set(Spec(GetParam().type));
  const auto ok = set.Load(Write("in", std::string("# comment\n") + GetParam().line + "\n"));
  if (GetParam().error != nullptr) {
    ASSERT_FALSE(ok);
    EXPECT_THAT(ok.error().message, HasSubstr("in:2: "));
    EXPECT_THAT(ok.error().message, HasSubstr(GetParam().error));
    return;
  }
  ASSERT_TRUE(ok) << ok.error().message;
  ASSERT_TRUE(set.Save(directory_ + "/out"));
  EXPECT_EQ(Read("out"), std::string(GetParam().line) + "\n");
}
INSTANTIATE_TEST_SUITE_P(
    Table, Types,
    testing::Values(TypeCase{"String", Type::kString, "Z29vZ2xlLmNvbQ==", nullptr},
                    TypeCase{"Reputation", Type::kString, "Z29vZ2xlLmNvbQ==,255", nullptr},
                    TypeCase{"NotBase64", Type::kString, "google.com", "not base64"},
                    TypeCase{"Md5", Type::kMd5, "d41d8cd98f00b204e9800998ecf8427e", nullptr},
                    TypeCase{"ShortMd5", Type::kMd5, "d41d8cd98f", "16 bytes in hex"},
                    TypeCase{"Ipv4", Type::kIpv4, "10.0.0.1", nullptr},
                    TypeCase{"NotIpv4", Type::kIpv4, "2001:db8::1", "not an IPv4 address"},
                    TypeCase{"BadReputation", Type::kIp, "10.0.0.1,high", "reputation"}),
    [](const auto& i) { return i.param.name; });

TEST_F(Files, LinesWithAndWithoutReputationDoNotMix) {
  Dataset set(Spec(Type::kIp));
  const auto ok = set.Load(Write("in", "10.0.0.1,5\n10.0.0.2\n"));
  ASSERT_FALSE(ok);
  EXPECT_THAT(ok.error().message, HasSubstr("give all or none"));
}

TEST_F(Files, JsonGivesContextWithoutTheKeyWhenAsked) {
  DatasetSpec spec = Spec();
  spec.format = DatasetSpec::Format::kJson;
  spec.array_key = "info.threat";
  spec.value_key = "ioc.host";
  spec.remove_key = true;
  Dataset set(spec);
  const auto ok = set.Load(Write(
      "in", R"({"info":{"threat":[{"ioc":{"host":"a.b"},"year":2005},{"other":1}]}})"));
  ASSERT_TRUE(ok) << ok.error().message;
  ASSERT_NE(set.Find(AsSlice("a.b")), nullptr);
  EXPECT_EQ(set.Find(AsSlice("a.b"))->context, R"({"ioc":{},"year":2005})");
}

TEST_F(Files, RulesWriteOnlyBelowTheDataDirectory) {
  DatasetRegistry registry({directory_, true, false});
  for (const char* name : {"/etc/passwd", "../up", "a/../../up"}) {
    DatasetSpec spec = Spec();
    spec.state = name;
    EXPECT_FALSE(registry.Open(spec, "")) << name;
  }
  DatasetRegistry read_only({directory_, false, false});
  DatasetSpec spec = Spec();
  spec.save = "kept";
  EXPECT_FALSE(read_only.Open(spec, ""));
}

TEST_F(Files, StateOutlivesTheRunAndAReload) {
  DatasetSpec spec = Spec();
  spec.state = "kept";
  {
    DatasetRegistry registry({directory_, true, false});
    registry.BeginGeneration();
    (*registry.Open(spec, ""))->Add(AsSlice("seen"));
    registry.BeginGeneration();
    EXPECT_NE((*registry.Open(spec, ""))->Find(AsSlice("seen")), nullptr);
    ASSERT_TRUE(registry.SaveAll());
  }
  DatasetRegistry later({directory_, true, false});
  EXPECT_NE((*later.Open(spec, ""))->Find(AsSlice("seen")), nullptr);
}

TEST_F(Files, AListIsReadAnewByAReload) {
  DatasetSpec spec = Spec(Type::kIp);
  spec.load = "list";
  DatasetRegistry registry({directory_, true, false});
  Write("list", "10.0.0.1\n");
  registry.BeginGeneration();
  EXPECT_EQ((*registry.Open(spec, directory_))->size(), 1u);
  Write("list", "10.0.0.1\n10.0.0.2\n");
  registry.BeginGeneration();
  EXPECT_EQ((*registry.Open(spec, directory_))->size(), 2u);
  EXPECT_EQ(*registry.Open(spec, directory_), *registry.Open(spec, directory_)) << "one set a name";
}

}  // namespace
}  // namespace sluice
