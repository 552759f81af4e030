// The cache of compiled databases: what it gives back is what was put in, and
// nothing that somebody else, a crash or a disk has changed.
#include "engine/match/database_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice {
namespace {

namespace fs = std::filesystem;

struct DatabaseFree {
  void operator()(hs_database_t* db) const { hs_free_database(db); }
};
using Database = std::unique_ptr<hs_database_t, DatabaseFree>;

Database CompileText(const std::string& text) {
  hs_database_t* db = nullptr;
  hs_compile_error_t* error = nullptr;
  hs_compile(text.c_str(), 0, HS_MODE_BLOCK, nullptr, &db, &error);
  hs_free_compile_error(error);
  return Database(db);
}

std::string Serialised(const hs_database_t* db) {
  char* bytes = nullptr;
  size_t size = 0;
  EXPECT_EQ(hs_serialize_database(db, &bytes, &size), HS_SUCCESS);
  std::string out(bytes, size);
  free(bytes);
  return out;
}

DatabaseCache::Key KeyOf(const std::string& text) {
  return DatabaseCache::KeyBuilder().Add(text).Finish();
}

class DatabaseCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sluice-cache-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    options_.directory = pattern;
    options_.min_compile_ms = 0;
  }
  void TearDown() override { fs::remove_all(options_.directory); }

  std::unique_ptr<DatabaseCache> OpenCache() {
    auto cache = DatabaseCache::Open(options_);
    EXPECT_TRUE(cache) << cache.error().message;
    return cache ? std::move(*cache) : nullptr;
  }
  // As a start with these expressions would: load or compile each, then commit.
  DatabaseCacheStats Start(const std::vector<std::string>& texts) {
    auto cache = OpenCache();
    for (const std::string& text : texts) {
      Database db(cache->LoadOr(KeyOf(text), [&] { return CompileText(text).release(); }));
      EXPECT_EQ(Serialised(db.get()), Serialised(CompileText(text).get())) << text;
    }
    EXPECT_TRUE(cache->Commit());
    return cache->stats();
  }
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(options_.directory)) files.push_back(entry.path());
    return files;
  }
  fs::path OnlyPack() const {
    const auto files = Files();
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? fs::path() : files[0];
  }

  DatabaseCacheOptions options_;
};

TEST_F(DatabaseCacheTest, TheSecondStartCompilesNothing) {
  EXPECT_EQ(Start({"abc", "d.f"}).misses, 2u);
  const DatabaseCacheStats second = Start({"abc", "d.f"});
  EXPECT_EQ(second.hits, 2u);
  EXPECT_EQ(second.misses, 0u);
  OnlyPack();
}

TEST_F(DatabaseCacheTest, AChangedRuleSetFindsWhatItSharesWithAnOlderOne) {
  Start({"abc", "d.f"});
  const DatabaseCacheStats changed = Start({"abc", "new"});
  EXPECT_EQ(changed.hits, 1u);
  EXPECT_EQ(changed.misses, 1u);
  EXPECT_EQ(Start({"abc", "new"}).hits, 2u);
}

TEST_F(DatabaseCacheTest, PartsOfAKeyDoNotRunIntoEachOther) {
  using Builder = DatabaseCache::KeyBuilder;
  EXPECT_NE(Builder().Add("ab").Add("c").Finish(), Builder().Add("a").Add("bc").Finish());
  EXPECT_NE(Builder().Add("a").Add("").Finish(), Builder().Add("").Add("a").Finish());
}

TEST_F(DatabaseCacheTest, ACheapRuleSetWritesNoFile) {
  options_.min_compile_ms = 100'000;
  Start({"abc"});
  EXPECT_TRUE(Files().empty());
}

// Law: whichever byte of a pack is lost or changed, a start gives the databases
// that compiling gives.
TEST_F(DatabaseCacheTest, APackCutAnywhereIsAsGoodAsNone) {
  Start({"abc"});
  const fs::path pack = OnlyPack();
  const auto size = fs::file_size(pack);
  for (uintmax_t keep = 0; keep < size; keep += keep < 130 ? 1 : 97) {
    fs::resize_file(pack, keep);
    const DatabaseCacheStats after = Start({"abc"});
    ASSERT_EQ(after.refused, 1u) << "kept " << keep << " of " << size;
    ASSERT_EQ(after.misses, 1u);
    ASSERT_EQ(fs::file_size(pack), size);  // mended under the same name
  }
}

TEST_F(DatabaseCacheTest, APackWithAnyByteChangedIsNeverBelieved) {
  Start({"abc"});
  const fs::path pack = OnlyPack();
  const auto size = fs::file_size(pack);
  for (uintmax_t at = 0; at < size; at += at < 130 ? 1 : 61) {
    {
      std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(static_cast<std::streamoff>(at));
      const int byte = file.get();
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(byte ^ 0x40));
    }
    const DatabaseCacheStats after = Start({"abc"});
    ASSERT_EQ(after.refused + after.damaged, 1u) << "byte " << at;
    ASSERT_EQ(after.misses, 1u);
  }
}

TEST_F(DatabaseCacheTest, ADirectoryThatOthersCanWriteIsRefused) {
  chmod(options_.directory.c_str(), 0777);
  const auto cache = DatabaseCache::Open(options_);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, Errc::kPermission);
}

TEST_F(DatabaseCacheTest, APackThatOthersCanWriteIsNotRead) {
  Start({"abc"});
  chmod(OnlyPack().c_str(), 0666);
  EXPECT_EQ(Start({"abc"}).refused, 1u);
}

TEST_F(DatabaseCacheTest, APackOfAnotherUserIsNotRead) {
  if (geteuid() != 0) GTEST_SKIP() << "SLUICE-SKIPPED: needs root to give a file away";
  Start({"abc"});
  ASSERT_EQ(chown(OnlyPack().c_str(), 65534, 65534), 0);
  EXPECT_EQ(Start({"abc"}).refused, 1u);
}

TEST_F(DatabaseCacheTest, ALinkOrPipeInPlaceOfAPackIsNotFollowed) {
  fs::create_symlink("/dev/zero", options_.directory + "/a.hsdb");
  ASSERT_EQ(mkfifo((options_.directory + "/b.hsdb").c_str(), 0600), 0);
  EXPECT_EQ(Start({"abc"}).refused, 2u);
}

TEST_F(DatabaseCacheTest, TheLongestUnusedPackGoesAtTheLimit) {
  Start({"first"});
  const fs::path first = OnlyPack();
  fs::last_write_time(first, fs::file_time_type::clock::now() - std::chrono::hours{1});
  options_.max_bytes = 1;
  EXPECT_EQ(Start({"second"}).evicted, 1u);
  EXPECT_FALSE(fs::exists(first));
  OnlyPack();  // the one just written stays, whatever its size
}

TEST_F(DatabaseCacheTest, APackInUseStaysYoung) {
  Start({"first"});
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours{1};
  fs::last_write_time(OnlyPack(), old);
  Start({"first"});
  EXPECT_GT(fs::last_write_time(OnlyPack()), old + std::chrono::minutes{30});
}

TEST_F(DatabaseCacheTest, TwoStartsAtOnceLeaveAWholePack) {
  const auto start = [this] { Start({"abc", "d.f", "xyz"}); };
  std::thread other(start);
  start();
  other.join();
  EXPECT_EQ(Start({"abc", "d.f", "xyz"}).hits, 3u);
}

TEST_F(DatabaseCacheTest, AFullDiskIsAnErrorThatNamesTheFile) {
  auto cache = OpenCache();
  Database db(cache->LoadOr(KeyOf("abc"), [] { return CompileText("abc").release(); }));
  fs::remove_all(options_.directory);
  const auto done = cache->Commit();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find(options_.directory), std::string::npos);
}

}  // namespace
}  // namespace sluice
