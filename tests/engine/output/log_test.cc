// Where records end: files, sockets, and the queue between a worker and them.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "engine/output/log_file.h"
#include "engine/output/log_writer.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    std::string name = ::testing::TempDir() + "/sluice-log-XXXXXX";
    directory = mkdtemp(name.data());
  }
  ~LogTest() override { fs::remove_all(directory); }
  LogSpec File(const std::string& name, bool append = false) const {
    LogSpec spec;
    spec.path = (directory / name).string();
    spec.append = append;
    return spec;
  }
  std::vector<std::string> Lines(const std::string& name) const {
    std::ifstream in(directory / name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  fs::path directory;
};

using LogFileTest = LogTest;

TEST_F(LogFileTest, FullDiskLosesLinesAndCountsThem) {
  LogSpec spec;
  spec.path = "/dev/full";
  auto file = *LogFile::Open(spec);
  for (int i = 0; i < 100; ++i) file->Write("line\n");
  file->Flush();
  EXPECT_EQ(file->lines_lost(), 100u);
  EXPECT_EQ(file->lines(), 0u);
}
TEST_F(LogFileTest, UnwritablePlaceIsAnErrorWithTheRemedy) {
  LogSpec spec;
  spec.path = "/nonexistent/dir/eve.json";
  const auto file = LogFile::Open(spec);
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().message.find("choose another directory"), std::string::npos);
}
TEST_F(LogFileTest, ReopenWritesToTheNewFile) {
  auto file = *LogFile::Open(File("a.log"));
  file->Write("one\n");
  file->Flush();
  fs::rename(directory / "a.log", directory / "moved.log");
  ASSERT_TRUE(file->Reopen().has_value());
  file->Write("two\n");
  file->Flush();
  EXPECT_EQ(Lines("moved.log"), std::vector<std::string>{"one"});
  EXPECT_EQ(Lines("a.log"), std::vector<std::string>{"two"});
}
// Whatever the limit, no line is lost, torn or out of order, and no file but
// that of a single line is larger.
TEST_F(LogFileTest, RotationKeepsEveryLineWhole) {
  std::mt19937 random(7);
  for (const uint64_t limit : {1u, 50u, 1000u, 100'000u}) {
    fs::remove_all(directory);
    fs::create_directory(directory);
    LogSpec spec = File("r.log");
    spec.rotate_bytes = limit;
    spec.rotate_keep = 300;
    {
      auto file = *LogFile::Open(spec);
      for (int i = 0; i < 300; ++i) {
        file->Write(std::to_string(i) + std::string(random() % 60, '.') + "\n");
      }
    }
    std::vector<fs::path> files;
    for (int i = 300; i > 0; --i) {
      const fs::path old = directory / ("r.log." + std::to_string(i));
      if (fs::exists(old)) files.push_back(old);
    }
    files.push_back(directory / "r.log");
    int next = 0;
    for (const fs::path& path : files) {
      const auto lines = Lines(path.filename());
      if (lines.size() > 1) {
        EXPECT_LE(fs::file_size(path), limit);
      }
      for (const std::string& line : lines) ASSERT_EQ(std::stoi(line), next++);
    }
    EXPECT_EQ(next, 300) << "limit=" << limit;
  }
}
TEST_F(LogFileTest, RotationForgetsTheOldest) {
  LogSpec spec = File("k.log");
  spec.rotate_bytes = 2;
  spec.rotate_keep = 2;
  {
    auto file = *LogFile::Open(spec);
    for (const char* line : {"a\n", "b\n", "c\n", "d\n"}) file->Write(line);
  }
  EXPECT_EQ(Lines("k.log"), std::vector<std::string>{"d"});
  EXPECT_EQ(Lines("k.log.1"), std::vector<std::string>{"c"});
  EXPECT_EQ(Lines("k.log.2"), std::vector<std::string>{"b"});
  EXPECT_FALSE(fs::exists(directory / "k.log.3"));
}
TEST_F(LogFileTest, AppendedFileCountsWhatItHeld) {
  { (*LogFile::Open(File("s.log")))->Write("12345678\n"); }
  LogSpec spec = File("s.log", true);
  spec.rotate_bytes = 10;
  { (*LogFile::Open(spec))->Write("x\n"); }
  EXPECT_EQ(Lines("s.log.1"), std::vector<std::string>{"12345678"});
}

class Listener {
 public:
  Listener(const std::string& path, int type) : fd_(socket(AF_UNIX, type, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(listen(fd_, 1), 0);
    }
  }
  ~Listener() { close(fd_); }
  int Accept() const { return accept(fd_, nullptr, nullptr); }
  int fd() const { return fd_; }

 private:
  int fd_;
};
std::string ReadSome(int fd) {
  char buffer[4096];
  const ssize_t n = read(fd, buffer, sizeof(buffer));
  return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
}

TEST_F(LogTest, StreamSocketTakesLines) {
  LogSpec spec = File("socket");
  spec.kind = LogSpec::Kind::kUnixStream;
  const Listener listener(spec.path, SOCK_STREAM);
  auto log = *OpenLog(spec);
  log->Write("one\n");
  log->Write("two\n");
  const int fd = listener.Accept();
  EXPECT_EQ(ReadSome(fd), "one\ntwo\n");
  close(fd);
}
TEST_F(LogTest, DatagramSocketTakesALineEach) {
  LogSpec spec = File("socket");
  spec.kind = LogSpec::Kind::kUnixDatagram;
  const Listener listener(spec.path, SOCK_DGRAM);
  auto log = *OpenLog(spec);
  log->Write("one\n");
  log->Write("two\n");
  EXPECT_EQ(ReadSome(listener.fd()), "one\n");
  EXPECT_EQ(ReadSome(listener.fd()), "two\n");
}
TEST_F(LogTest, ReaderThatIsAwayLosesLinesUntilItComesBack) {
  LogSpec spec = File("socket");
  spec.kind = LogSpec::Kind::kUnixStream;
  auto log = *OpenLog(spec);
  log->Write("lost\n");
  EXPECT_EQ(log->lines_lost(), 1u);
  const Listener listener(spec.path, SOCK_STREAM);
  uint64_t sent = 0;
  while (log->lines() == 0 && sent < 1000) log->Write(std::to_string(sent++) + "\n");
  EXPECT_LE(sent, 64u);
  EXPECT_EQ(log->lines_lost(), sent) << "all but the last";
}
TEST_F(LogTest, SlowReaderLosesLinesAndNeverStopsUs) {
  LogSpec spec = File("socket");
  spec.kind = LogSpec::Kind::kUnixDatagram;
  const Listener listener(spec.path, SOCK_DGRAM);
  auto log = *OpenLog(spec);
  for (int i = 0; i < 10'000; ++i) log->Write(std::string(1000, 'x') + "\n");
  EXPECT_GT(log->lines_lost(), 0u);
  EXPECT_EQ(log->lines() + log->lines_lost(), 10'000u);
}

// What goes in comes out, whole and in order, or is counted by its type.
TEST(RecordQueue, EveryRecordIsTakenOrCounted) {
  std::mt19937 random(3);
  for (const size_t size : {64u, 256u, 4096u}) {
    RecordQueue queue(size, 3);
    std::vector<std::string> expected, taken;
    uint64_t lost[3] = {0, 0, 0};
    for (int i = 0; i < 20'000; ++i) {
      const std::string record(random() % (size / 2), static_cast<char>('a' + i % 26));
      const size_t type = random() % 3;
      if (queue.Push(static_cast<uint16_t>(type), static_cast<RecordType>(type), record)) {
        expected.push_back(std::to_string(type) + record);
      } else {
        ++lost[type];
      }
      if (random() % 4 == 0) {
        queue.Drain([&](uint16_t output, std::string_view r) {
          taken.push_back(std::to_string(output) + std::string(r));
        });
      }
    }
    queue.Drain([&](uint16_t output, std::string_view r) {
      taken.push_back(std::to_string(output) + std::string(r));
    });
    EXPECT_EQ(taken, expected);
    for (size_t type = 0; type < 3; ++type) EXPECT_EQ(queue.lost(type), lost[type]);
    EXPECT_GT(lost[0], 0u) << "the limit was reached";
  }
}
TEST(RecordQueue, RecordLargerThanTheQueueIsLost) {
  RecordQueue queue(64, 1);
  EXPECT_FALSE(queue.Push(0, RecordType::kAlert, std::string(64, 'x')));
  EXPECT_EQ(queue.lost(0), 1u);
  EXPECT_TRUE(queue.Push(0, RecordType::kAlert, std::string(56, 'x')));
}

TEST_F(LogTest, WriterTakesFromAllQueuesWithoutTearing) {
  constexpr int kLines = 20'000;
  auto file = *LogFile::Open(File("all.log"));
  std::vector<std::unique_ptr<RecordQueue>> queues;
  std::vector<RecordQueue*> borrowed;
  for (int i = 0; i < 3; ++i) {
    queues.push_back(std::make_unique<RecordQueue>(4096, 1));
    borrowed.push_back(queues.back().get());
  }
  uint64_t lost = 0;
  {
    LogWriter writer({file.get()}, borrowed);
    std::vector<std::thread> producers;
    for (size_t i = 0; i < queues.size(); ++i) {
      producers.emplace_back([&queue = *queues[i], i] {
        QueueSink sink(&queue, 0);
        for (int n = 0; n < kLines; ++n) {
          sink.Put(RecordType::kAlert, std::string(static_cast<size_t>(1 + n % 90), static_cast<char>('a' + i)) + "\n");
        }
      });
    }
    for (std::thread& t : producers) t.join();
    writer.Stop();
  }
  for (const auto& queue : queues) lost += queue->lost(0);
  file->Flush();
  const auto lines = Lines("all.log");
  for (const std::string& line : lines) ASSERT_EQ(line.find_first_not_of(line[0]), line.npos);
  EXPECT_EQ(lines.size() + lost, 3u * kLines);
  EXPECT_EQ(file->lines(), lines.size());
}

TEST(Syslog, UnknownFacilityIsAnError) {
  LogSpec spec;
  spec.kind = LogSpec::Kind::kSyslog;
  spec.facility = "nowhere";
  EXPECT_FALSE(OpenLog(spec).has_value());
}

}  // namespace
}  // namespace sluice
