// Files, laws first: wherever the stream is cut and whenever a rule asks for the file, size,
// hashes and what the store gets are those of the whole; a gap is counted in its size.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <map>
#include <string>

#include "engine/dissect/dissector.h"
#include "tests/support/line_plugin.h"

namespace sluice {
namespace {

// All that the client sends is one file; '!' as last byte ends it, else the stream does.
// What begins with '+' is a file of its own, left open.
class OneFile {
 public:
  explicit OneFile(sluice::Flow) {}
  static int32_t Probe(const sluice_probe_input&) { return SLUICE_PROBE_YES; }
  ParseResult Parse(sluice::Flow flow, uint32_t direction, View in) {
    if (direction != SLUICE_TO_SERVER) return Ok(in.size());
    if (file_ == 0 && in.starts_with("part ")) return Part(flow, in.substr(5));
    if (file_ == 0) file_ = flow.FileOpen(tx_ = flow.Begin(), direction, "name");
    if (in.starts_with('+')) {
      flow.FileData(flow.FileOpen(tx_, direction, "other"), in.substr(1));
      return Ok(in.size());
    }
    flow.FileData(file_, in);
    if (in.ends_with('!')) {
      flow.FileClose(file_, SLUICE_FILE_COMPLETE);
      flow.Stage(tx_, SLUICE_TO_SERVER, 1);
    }
    return Ok(in.size());
  }
  bool Gap(sluice::Flow flow, uint32_t, uint64_t bytes) {
    flow.FileGap(file_, bytes);
    return true;
  }
  // "part OFFSET TOTAL\n"; the rest is the part.
  ParseResult Part(sluice::Flow flow, View in) {
    const size_t blank = in.find(' '), end = in.find('\n');
    file_ = flow.FileOpen(tx_ = flow.Begin(), SLUICE_TO_SERVER, "part");
    flow.FilePart(file_, "identity", std::stoul(std::string(in.substr(0, blank))), std::stoul(std::string(in.substr(blank))));
    return Ok(5 + end + 1);
  }

 private:
  uint64_t tx_ = 0;
  int64_t file_ = 0;
};

sluice_plugin FilePlugin() {
  static constexpr const char* kStages[] = {"started", "complete"};
  return MakePlugin<OneFile>("file", "one file")
      .Transports(SLUICE_TCP).Stages(kStages);
}

struct Sink final : FileSink {
  uint64_t Begin() override { return ++last; }
  bool Data(uint64_t id, uint64_t offset, Slice bytes) override {
    EXPECT_EQ(offset, content[id].size());
    if (refuse) return false;
    content[id] += AsText(bytes);
    return true;
  }
  void GiveUp(uint64_t id, KeepFailure why) override { given_up[id] = why; }
  uint64_t last = 0;
  bool refuse = false;
  std::map<uint64_t, std::string> content;
  std::map<uint64_t, KeepFailure> given_up;
};

std::string Hash(const EVP_MD* kind, std::string_view bytes) {
  uint8_t out[EVP_MAX_MD_SIZE];
  unsigned int len = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &len, kind, nullptr);
  std::string hex;
  for (unsigned int i = 0; i < len; ++i) hex += fmt::format("{:02x}", out[i]);
  return hex;
}

constexpr uint32_t kWindow = 16;
class FilesTest : public ::testing::Test {
 protected:
  FilesTest() {
    std::vector<std::unique_ptr<Plugin>> plugins;
    plugins.push_back(*Plugin::FromStruct(FilePlugin(), "test", {}));
    std::vector<Error> problems;
    catalog = Catalog::Create(std::move(plugins), {}, &problems);
    Make({.md5 = true, .sha1 = true, .sha256 = true});
  }
  void Make(const FileWants& wants) {
    dissector = std::make_unique<Dissector>(*catalog, DissectOptions{.chunk_window = kWindow, .files = wants}, &sink);
  }
  FlowDissection* Open() {
    FlowFacts facts;
    return dissector->Open(facts);
  }
  void Send(FlowDissection* flow, std::string_view bytes) {
    if (!bytes.empty()) dissector->Data(*flow, Direction::kToServer, AsSlice(bytes), Nanos{1});
  }
  static FileInfo& FileOf(FlowDissection* flow) { return flow->transactions()[0]->tx.files[0]; }
  std::unique_ptr<Catalog> catalog;
  Sink sink;
  std::unique_ptr<Dissector> dissector;
};

const std::string kContent = "the quick brown fox jumps over the lazy dog!";

TEST_F(FilesTest, AnyCutGivesTheSameSizeAndHashes) {
  for (size_t cut = 0; cut < kContent.size(); ++cut) {
    FlowDissection* flow = Open();
    Send(flow, kContent.substr(0, cut));
    Send(flow, kContent.substr(cut));
    const FileInfo& file = FileOf(flow);
    EXPECT_TRUE(file.closed && !file.truncated) << cut;
    EXPECT_EQ(file.size, kContent.size());
    EXPECT_EQ(file.md5, Hash(EVP_md5(), kContent));
    EXPECT_EQ(file.sha1, Hash(EVP_sha1(), kContent));
    EXPECT_EQ(file.sha256, Hash(EVP_sha256(), kContent));
    dissector->Close(flow);
  }
  EXPECT_TRUE(sink.content.empty());  // nobody asked for it
}

// ... whenever it is asked for, as long as rules may ask.
TEST_F(FilesTest, AskedForAtAnyTimeTheStoreGetsAllOfIt) {
  Make({.sha256 = true, .keep = true});
  for (size_t step = 1; step < 20; ++step) {
    for (size_t asked = 0; asked <= kContent.size(); asked += step) {
      FlowDissection* flow = Open();
      for (size_t at = 0; at < kContent.size(); at += step) {
        Send(flow, kContent.substr(at, step));
        FileInfo& file = FileOf(flow);
        file.keep |= at + step > asked || file.closed;
        EXPECT_EQ(dissector->StoreFiles(*flow), file.keep);
      }
      const FileInfo& file = FileOf(flow);
      EXPECT_FALSE(file.unstorable);
      EXPECT_EQ(sink.content[file.store_id], kContent) << "step " << step << " asked at " << asked;
      dissector->Close(flow);
    }
  }
}

// Nothing is written of a file that fits its window until it is asked for.
TEST_F(FilesTest, ASmallFileCostsTheStoreNothing) {
  Make({.sha256 = true, .keep = true});
  FlowDissection* flow = Open();
  Send(flow, "small");
  EXPECT_EQ(sink.last, 0u);
  Send(flow, " but growing too large");
  EXPECT_EQ(sink.content[1], "small but growing too large");
  dissector->Close(flow);
  EXPECT_EQ(sink.given_up.at(1), KeepFailure::kFlow);
}

TEST_F(FilesTest, TooLateIsSaid) {
  Make({.sha256 = true});  // no rule could have asked
  FlowDissection* flow = Open();
  Send(flow, kContent);
  FileOf(flow).keep = true;
  dissector->StoreFiles(*flow);
  EXPECT_TRUE(FileOf(flow).unstorable);
  EXPECT_EQ(sink.given_up.at(0), KeepFailure::kWindow);
  EXPECT_TRUE(sink.content.empty());
  dissector->Close(flow);
}

// ... and no hash but the one of what is stored: what was seen of it.
TEST_F(FilesTest, AGapAnywhereIsTruncatedAndCountsInTheSize) {
  for (size_t at = 1; at < kContent.size(); ++at) {
    for (const bool keep : {false, true}) {
      FlowDissection* flow = Open();
      if (keep) flow->KeepFiles(1);
      Send(flow, kContent.substr(0, at));
      dissector->Gap(*flow, Direction::kToServer, 7, Nanos{1});
      Send(flow, kContent.substr(at));
      const FileInfo& file = FileOf(flow);
      EXPECT_TRUE(file.closed && file.truncated && file.has_gap) << at;
      EXPECT_EQ(file.size, kContent.size() + 7);
      EXPECT_TRUE(file.md5.empty() && file.sha1.empty());
      EXPECT_EQ(file.sha256, Hash(EVP_sha256(), kContent));
      EXPECT_EQ(sink.content[file.store_id], keep ? kContent : "") << at;
      dissector->Close(flow);
    }
  }
}

TEST_F(FilesTest, AGapThatIsToldOfOneFileLeavesTheOthersWhole) {
  FlowDissection* flow = Open();
  Send(flow, "first");
  Send(flow, "+second!");  // a file of its own
  dissector->Gap(*flow, Direction::kToServer, 7, Nanos{1});
  Send(flow, "!");
  const auto& files = flow->transactions()[0]->tx.files;
  ASSERT_EQ(files.size(), 2u);
  EXPECT_TRUE(files[0].has_gap && files[0].truncated);
  EXPECT_FALSE(files[1].has_gap);
  dissector->Close(flow);
}

TEST_F(FilesTest, LeftOpenItIsAPartAndStoredByItsOwnHash) {
  FlowDissection* flow = Open();
  Send(flow, "part");
  FileOf(flow).keep = true;
  dissector->StoreFiles(*flow);
  dissector->Finish(*flow, Nanos{2});
  dissector->CloseFiles(*flow->transactions()[0]);
  const FileInfo& file = FileOf(flow);
  EXPECT_TRUE(file.closed && file.truncated);
  EXPECT_TRUE(file.md5.empty());
  EXPECT_EQ(file.sha256, Hash(EVP_sha256(), "part"));
  EXPECT_EQ(sink.content[1], "part");
  dissector->Close(flow);
}

TEST_F(FilesTest, WhatTheStoreRefusesIsGivenUp) {
  sink.refuse = true;
  FlowDissection* flow = Open();
  flow->KeepFiles(1);
  Send(flow, kContent);
  EXPECT_TRUE(FileOf(flow).keep && FileOf(flow).unstorable);
  dissector->Close(flow);
}

TEST_F(FilesTest, MagicIsKnownAtTheEndOrOnceThereIsEnough) {
  Make({.magic = true});
  FlowDissection* flow = Open();
  Send(flow, "%PDF-1.5\n");
  EXPECT_EQ(FileOf(flow).magic, "");
  Send(flow, "!");
  EXPECT_TRUE(FileOf(flow).magic.starts_with("PDF document")) << FileOf(flow).magic;
  dissector->Close(flow);
}

// The whole is a file of the transaction whose part was the last; the parts are files, too.
TEST_F(FilesTest, PartsOfSeveralFlowsAreAlsoOneFile) {
  for (size_t cut = 1; cut + 1 < kContent.size(); ++cut) {
    FlowDissection *back = Open(), *front = Open();
    Send(back, fmt::format("part {} {}\n{}", cut, kContent.size(), kContent.substr(cut)));
    EXPECT_EQ(back->transactions()[0]->tx.files.size(), 1u);
    Send(front, fmt::format("part 0 {}\n{}", kContent.size(), kContent.substr(0, cut)));
    const auto& files = front->transactions()[0]->tx.files;
    ASSERT_EQ(files.size(), 2u) << cut;
    EXPECT_EQ(files[0].size, cut);
    EXPECT_TRUE(files[1].closed && !files[1].truncated);
    EXPECT_EQ(files[1].md5, Hash(EVP_md5(), kContent));
    EXPECT_EQ(AsText(files[1].name), "part");
    dissector->Close(back);
    dissector->Close(front);
  }
  EXPECT_EQ(dissector->part_stats().whole, kContent.size() - 2);
}

TEST_F(FilesTest, APartThatIsTheWholeIsOneFile) {
  FlowDissection* flow = Open();
  Send(flow, fmt::format("part 0 {}\n{}", kContent.size(), kContent));
  EXPECT_EQ(flow->transactions()[0]->tx.files.size(), 1u);
  dissector->Close(flow);
}

TEST_F(FilesTest, LostBytesOfAPartLeaveAHoleInTheWhole) {
  FlowDissection *flow = Open(), *other = Open();
  Send(flow, "part 0 6\nab");
  dissector->Gap(*flow, Direction::kToServer, 2, Nanos{1});
  Send(flow, "ef");
  EXPECT_EQ(flow->transactions()[0]->tx.files.size(), 1u);
  Send(other, "part 2 6\ncd");
  ASSERT_EQ(other->transactions()[0]->tx.files.size(), 2u);
  EXPECT_EQ(other->transactions()[0]->tx.files[1].md5, Hash(EVP_md5(), "abcdef"));
  dissector->Close(flow);
  dissector->Close(other);
}

}  // namespace
}  // namespace sluice
