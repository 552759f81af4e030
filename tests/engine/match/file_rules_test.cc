// Rules on files: timing by table, and the law that a rule fires for the files that an
// obvious reading of it names, each once, however their end is cut into looks.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/engine/match/oracle.h"
#include "tests/engine/match/support.h"

namespace sluice::testing {
namespace {

Inspection FileBuffer(BufferKind kind, std::vector<BufferTest> tests) {
  Inspection i;
  i.kind = kind;
  i.tests = std::move(tests);
  return i;
}
Rule OnFiles(uint32_t sid, std::vector<Inspection> buffers, std::vector<FileTest> tests) {
  Rule rule = MakeRule(sid, "ip");
  rule.inspections = std::move(buffers);
  rule.file_tests = std::move(tests);
  rule.file_keep = FileKeep{};
  return rule;
}
FileSizeTest Size(CompareOp op, uint64_t a) { return {{op, a, 0}}; }

// Lists of the two hashes that the tests know.
const HexDigest kHashA(Digest::Of(DigestKind::kMd5, AsSlice("a"))), kHashB(Digest::Of(DigestKind::kMd5, AsSlice("b")));
class FileRules : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "/file_rules";
    std::error_code failure;
    std::filesystem::create_directories(directory_, failure);
    std::ofstream(directory_ + "/a.md5") << std::string_view(kHashA) << "\n";
  }
  std::shared_ptr<const RuleProgram> Compile(std::vector<Rule> rules) {
    for (Rule& rule : rules) rule.place.file = directory_ + "/test.rules";
    return CompileRules(std::move(rules), protocol_.options());
  }
  static FileInfo& Add(TestTransaction& t, const std::string& name, const std::string& data) {
    FileInfo& file = t.tx.files.emplace_back();
    t.kept.push_back(name);
    file.name = AsSlice(t.kept.back());
    t.kept.push_back(data);
    file.data = AsSlice(t.kept.back());
    file.size = data.size();
    return file;
  }
  TestProtocol protocol_;
  std::string directory_;
};

TEST_F(FileRules, ANameIsKnownFromTheStart) {
  Bench bench(Compile({OnFiles(1, {FileBuffer(BufferKind::kFileName, {Content("exe")})}, {})}));
  TestTransaction t(protocol_);
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  Add(t, "setup.exe", "");
  EXPECT_EQ(bench.Look(t.tx), Sids{1});
  EXPECT_TRUE(t.tx.files[0].keep);
  EXPECT_EQ(t.tx.files[0].sids[0], 1u);
  Add(t, "readme.txt", "");
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  Add(t, "other.exe", "");
  EXPECT_EQ(bench.Look(t.tx), Sids{1});
  EXPECT_FALSE(t.tx.files[1].keep);
}

TEST_F(FileRules, SizeAndHashWaitForTheEnd) {
  Bench bench(Compile({OnFiles(1, {}, {Size(CompareOp::kGreater, 3)}),
                       OnFiles(2, {}, {FileHashTest{FileHash::kMd5, false, "a.md5"}}),
                       OnFiles(3, {}, {FileHashTest{FileHash::kMd5, true, "a.md5"}})}));
  TestTransaction t(protocol_);
  Add(t, "x", "12345");
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  t.tx.files[0].closed = true;
  t.tx.files[0].md5 = kHashA;
  EXPECT_EQ(bench.Look(t.tx), (Sids{1, 2}));
  EXPECT_EQ(bench.Look(t.tx), Sids{});
}

TEST_F(FileRules, APartHasASizeAtLeastAndNoHash) {
  Bench bench(Compile({OnFiles(1, {}, {Size(CompareOp::kGreater, 3)}),
                       OnFiles(2, {}, {Size(CompareOp::kLess, 9)}),
                       OnFiles(3, {}, {FileHashTest{FileHash::kMd5, true, "a.md5"}})}));
  TestTransaction t(protocol_);
  FileInfo& file = Add(t, "x", "12345");
  file.closed = file.truncated = true;
  file.md5 = kHashB;
  EXPECT_EQ(bench.Look(t.tx), Sids{1});
}

TEST_F(FileRules, MagicIsLookedAtOnceItIsKnown) {
  Bench bench(Compile({OnFiles(1, {FileBuffer(BufferKind::kFileMagic, {Content("PDF")})}, {})}));
  TestTransaction t(protocol_);
  Add(t, "x", "%PDF");
  EXPECT_EQ(bench.Look(t.tx), Sids{});
  t.tx.files[0].magic = "PDF document";
  EXPECT_EQ(bench.Look(t.tx), Sids{1});
}

TEST_F(FileRules, ScopeSaysWhatIsKept) {
  struct Row { FileKeep::Side side; FileKeep::Scope scope; bool kept[3]; uint8_t tx, flow; };
  using Side = FileKeep::Side;
  using Scope = FileKeep::Scope;
  const Row rows[] = {  // files: to_server that matches, to_server other, to_client
      {Side::kRule, Scope::kFile, {true, false, false}, 0, 0},
      {Side::kToClient, Scope::kFile, {false, false, false}, 0, 0},
      {Side::kToServer, Scope::kTransaction, {true, true, false}, 1, 0},
      {Side::kBoth, Scope::kTransaction, {true, true, true}, 3, 0},
      {Side::kToClient, Scope::kFlow, {false, false, true}, 2, 2},
      {Side::kBoth, Scope::kFlow, {true, true, true}, 3, 3}};
  for (const Row& row : rows) {
    Rule rule = OnFiles(1, {FileBuffer(BufferKind::kFileName, {Content("exe")})}, {});
    rule.file_keep = FileKeep{row.side, row.scope};
    Bench bench(Compile({rule}));
    TestTransaction t(protocol_);
    Add(t, "a.exe", "");
    Add(t, "a.txt", "");
    Add(t, "b.txt", "").direction = Direction::kToClient;
    EXPECT_EQ(bench.Look(t.tx), Sids{1});
    for (size_t f = 0; f < 3; ++f) EXPECT_EQ(t.tx.files[f].keep, row.kept[f]) << &row - rows << " file " << f;
    EXPECT_EQ(t.tx.keep_files, row.tx);
    EXPECT_EQ(bench.flow.keep_files, row.flow);
  }
}

// libmagic costs more than all else: it is asked where the rule's other pattern is in the file.
TEST_F(FileRules, WhatAFileLooksLikeIsFoundOutOnceARuleAsks) {
  const auto rule = [](uint32_t sid, std::string data) {
    return OnFiles(sid, {FileBuffer(BufferKind::kFileMagic, {Content("ASCII text, which is long")}), FileBuffer(BufferKind::kFileData, {Content(data)})}, {});
  };
  const auto program = Compile({rule(1, "plain"), OnFiles(2, {FileBuffer(BufferKind::kFileMagic, {Content("ASCII")}), FileBuffer(BufferKind::kFileData, {Content("plain")})}, {})});
  EXPECT_FALSE(program->wants_of_files().magic) << "not of every file";
  EXPECT_TRUE(Compile({OnFiles(1, {FileBuffer(BufferKind::kFileMagic, {Content("PDF")})}, {})})->wants_of_files().magic);
  Bench bench(program);
  for (const bool asked : {false, true}) {
    TestTransaction t(protocol_);
    FileInfo& file = Add(t, "a", asked ? "plain words\n" : "some words\n");
    file.closed = t.tx.complete[0] = true;
    EXPECT_EQ(bench.Look(t.tx), asked ? Sids{2} : Sids{});
    EXPECT_EQ(t.tx.files[0].magic, asked ? "ASCII text" : "");
  }
}

TEST_F(FileRules, AListThatIsNotThereIsAProblemOfItsRule) {
  const auto program = Compile({OnFiles(1, {}, {FileHashTest{FileHash::kSha1, false, "none.sha1"}}),
                                OnFiles(2, {}, {Size(CompareOp::kEqual, 0)})});
  ASSERT_EQ(program->problems().size(), 1u);
  EXPECT_EQ(program->problems()[0].sid, 1u);
  EXPECT_NE(program->problems()[0].message.find("none.sha1"), std::string::npos);
}

// What the rule says, read plainly.
bool Holds(const Rule& rule, const FileInfo& file) {
  for (const Inspection& i : rule.inspections) {
    const std::string bytes(i.kind == BufferKind::kFileName    ? AsText(file.name)
                            : i.kind == BufferKind::kFileMagic ? std::string_view(file.magic)
                                                               : AsText(file.data));
    if (bytes.empty() || !Oracle(i.tests, bytes).Matches()) return false;
  }
  for (const FileTest& test : rule.file_tests) {
    if (const auto* size = std::get_if<FileSizeTest>(&test)) {
      const bool more = size->test.op == CompareOp::kGreater;
      if ((file.truncated && !more) || !size->test.Matches(file.size)) return false;
    } else {
      const auto& hash = std::get<FileHashTest>(test);
      if (file.truncated || (file.md5 == std::string_view(kHashA)) == hash.negated) return false;
    }
  }
  return true;
}

TEST_F(FileRules, LawEachFileThatTheRuleNamesOnce) {
  std::mt19937 engine(7);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(engine() % n); };
  const auto text = [&](uint32_t most) {
    std::string s(below(most), 'a');
    for (char& c : s) c = static_cast<char>('a' + below(3));
    return s;
  };
  size_t fired = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<Rule> rules;
    for (uint32_t sid = 1; sid <= 20; ++sid) {
      std::vector<Inspection> buffers;
      for (const BufferKind kind : {BufferKind::kFileName, BufferKind::kFileMagic, BufferKind::kFileData}) {
        if (below(3) != 0) continue;
        ContentTest content = Content("a" + text(2));
        content.negated = below(3) == 0;
        content.ends_with = below(4) == 0;
        buffers.push_back(FileBuffer(kind, {content}));
      }
      std::vector<FileTest> tests;
      if (below(2) == 0) tests.push_back(Size(below(2) == 0 ? CompareOp::kGreater : CompareOp::kLess, below(8)));
      if (below(3) == 0) tests.push_back(FileHashTest{FileHash::kMd5, below(2) == 0, "a.md5"});
      rules.push_back(OnFiles(sid, std::move(buffers), std::move(tests)));
    }
    DetectorOptions options;
    options.max_alerts = 255;
    Bench bench(Compile(rules), options);
    TestTransaction t(protocol_);
    const auto look = [&] {
      if (below(2) == 0) bench.Look(t.tx);
    };
    for (uint32_t n = 1 + below(4); n > 0; --n) {
      const size_t f = t.tx.files.size();
      const std::string data = text(9);
      Add(t, text(6), data);
      t.tx.files[f].magic = "m" + text(5);  // unknown, a rule that asks would find it out
      look();
      look();
      t.tx.files[f].closed = true;
      t.tx.files[f].truncated = below(4) == 0;
      t.tx.files[f].md5 = below(2) == 0 ? kHashA : kHashB;
      look();
    }
    t.tx.complete[0] = true;
    bench.Look(t.tx);
    for (const FileInfo& file : t.tx.files) {
      std::vector<uint32_t> want;
      for (const Rule& rule : rules) {
        if (Holds(rule, file) && want.size() < FileInfo::kMaxSids) want.push_back(rule.sid);
      }
      std::vector<uint32_t> have(file.sids.begin(), file.sids.begin() + file.num_sids);
      if (have.size() == FileInfo::kMaxSids) continue;  // which of them depends on the looks
      std::ranges::sort(have);
      EXPECT_EQ(have, want) << "round " << round;
      fired += have.size();
    }
  }
  EXPECT_GT(fired, 200u);
}

}  // namespace
}  // namespace sluice::testing
