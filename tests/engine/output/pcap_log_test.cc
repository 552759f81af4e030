// The packet log: what libpcap reads of its files is what was written, in files of a size and
// a number that are bounded.
#include "engine/output/pcap_log.h"

#include <gtest/gtest.h>
#include <pcap/pcap.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

namespace sluice {
namespace {

namespace fs = std::filesystem;

struct Read {
  uint32_t seconds, microseconds, wire_len;
  std::string bytes;
  bool operator==(const Read&) const = default;
};

class PcapLogTest : public ::testing::Test {
 protected:
  PcapLogTest() {
    std::string name = ::testing::TempDir() + "/sluice-pcap-XXXXXX";
    directory = mkdtemp(name.data());
  }
  ~PcapLogTest() override { fs::remove_all(directory); }

  PcapLogOptions In(const std::string& name) const { return {.path = (directory / name).string()}; }
  static std::string Record(const Read& packet, uint16_t worker = 0, LinkType link = LinkType::kEthernet) {
    const PcapLogHeader header{packet.seconds, packet.microseconds, packet.wire_len, worker, link};
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + packet.bytes;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(directory)) out.push_back(entry.path().filename());
    std::ranges::sort(out);
    return out;
  }
  std::vector<Read> Packets(const std::string& name) const {
    char error[PCAP_ERRBUF_SIZE];
    std::vector<Read> out;
    pcap_t* file = pcap_open_offline((directory / name).c_str(), error);
    if (file == nullptr) return out;
    const uint8_t* bytes;
    for (pcap_pkthdr* header; pcap_next_ex(file, &header, &bytes) == 1;) {
      out.push_back({static_cast<uint32_t>(header->ts.tv_sec), static_cast<uint32_t>(header->ts.tv_usec), header->len,
                     std::string(reinterpret_cast<const char*>(bytes), header->caplen)});
    }
    pcap_close(file);
    return out;
  }
  fs::path directory;
};

Read Packet(uint32_t n) { return {1000 + n, n, 100 + n, std::string(1 + n * 37 % 200, static_cast<char>(n))}; }

TEST_F(PcapLogTest, WhatIsWrittenIsReadBack) {
  std::vector<Read> sent;
  {
    auto log = PcapLog::Open(In("log.pcap"));
    ASSERT_TRUE(log);
    for (uint32_t i = 0; i < 5000; ++i) {
      sent.push_back(Packet(i));
      (*log)->Write(Record(sent.back()));
    }
    (*log)->Flush();
    EXPECT_EQ((*log)->lines(), 5000u);
  }
  EXPECT_EQ(Names(), std::vector<std::string>{"log.pcap.1000"});
  EXPECT_EQ(Packets("log.pcap.1000"), sent);
}

TEST_F(PcapLogTest, FilesAreOfTheSizeAndTheNumberAskedForAndNoPacketIsInTwo) {
  PcapLogOptions options = In("log.pcap");
  options.file_bytes = 2000;
  options.max_files = 3;
  auto log = *PcapLog::Open(options);
  for (uint32_t i = 0; i < 200; ++i) log->Write(Record(Packet(i)));
  log->Flush();
  const auto names = Names();
  EXPECT_EQ(names.size(), 3u);
  std::vector<Read> kept;
  for (const std::string& name : names) {
    EXPECT_LE(fs::file_size(directory / name), 2000u);
    for (Read& packet : Packets(name)) kept.push_back(std::move(packet));
  }
  std::vector<Read> last;
  for (uint32_t i = static_cast<uint32_t>(200 - kept.size()); i < 200; ++i) last.push_back(Packet(i));
  EXPECT_EQ(kept, last);
}

TEST_F(PcapLogTest, FilesOfAnEarlierRunCount) {
  PcapLogOptions options = In("log.pcap");
  options.max_files = 2;
  for (uint32_t run = 0; run < 4; ++run) {
    auto log = *PcapLog::Open(options);
    log->Write(Record(Packet(run)));
  }
  EXPECT_EQ(Names(), (std::vector<std::string>{"log.pcap.1002", "log.pcap.1003"}));
}

TEST_F(PcapLogTest, FilesThatBeginInOneSecondDoNotOverwriteEachOther) {
  PcapLogOptions options = In("log.pcap");
  options.file_bytes = 1;
  auto log = *PcapLog::Open(options);
  for (uint32_t i = 0; i < 5; ++i) log->Write(Record({7, i, 1, "x"}));
  log->Flush();
  EXPECT_EQ(Names().size(), 5u);
}

TEST_F(PcapLogTest, WorkersAndLinksHaveFilesOfTheirOwn) {
  PcapLogOptions options = In("p.%n.%t");
  options.per_worker = true;
  auto log = *PcapLog::Open(options);
  log->Write(Record({5, 0, 1, "a"}, 0));
  log->Write(Record({6, 0, 1, "b"}, 2));
  log->Write(Record({7, 0, 1, "c"}, 0, LinkType::kRawIp));
  log->Flush();
  EXPECT_EQ(Names(), (std::vector<std::string>{"p.1.5", "p.1.7", "p.3.6"}));
  options.path = (directory / "log.pcap").string();
  EXPECT_FALSE(PcapLog::Open(options));
}

// As on a full disk: what is there stays readable, what is not is counted.
TEST_F(PcapLogTest, WhenWritingFailsTheFileEndsWithAWholePacketAndTheRestIsCounted) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  auto log = *PcapLog::Open(In("log.pcap"));
  for (uint32_t i = 0; i < 10; ++i) log->Write(Record(Packet(i)));
  log->Flush();
  rlimit limit = before;
  limit.rlim_cur = fs::file_size(directory / "log.pcap.1000") + 100;
  setrlimit(RLIMIT_FSIZE, &limit);
  for (uint32_t i = 10; i < 30; ++i) log->Write(Record(Packet(i)));
  log->Flush();
  setrlimit(RLIMIT_FSIZE, &before);
  log->Write(Record(Packet(30)));
  log->Flush();
  EXPECT_EQ(log->lines(), 11u);
  EXPECT_EQ(log->lines_lost(), 20u);
  EXPECT_EQ(Packets("log.pcap.1000").size(), 11u);
}

}  // namespace
}  // namespace sluice
