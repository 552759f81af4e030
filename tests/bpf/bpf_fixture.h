// tests/bpf/bpf_fixture.h
// A tap with pins of its own, attached to nothing: packets are run through its programs.
// Threads: one test at a time.
#pragma once

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/decode/decode.h"
#include "engine/tap/flow_key.h"
#include "engine/tap/live_tap.h"
#include "tests/support/packets.h"

namespace sluice::testing {

// Why BPF tests cannot run here, or "".
inline std::string WhyNoBpf() {
  if (geteuid() != 0) return "not root";
  const int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "probe", 0, 0, 4096, nullptr);
  if (fd < 0) return "the kernel or the container does not allow BPF";
  close(fd);
  return "";
}

#define SLUICE_SKIP_WITHOUT_BPF()                                       \
  if (const std::string why = ::sluice::testing::WhyNoBpf(); !why.empty()) { \
    std::printf("SLUICE-SKIPPED: %s\n", why.c_str());                   \
    GTEST_SKIP() << why;                                                \
  }

// A bpffs for one test, unmounted with the object.  What a crashed test left behind is removed by the
// next: the name carries the owner's process id.
class PinDirectory {
 public:
  PinDirectory() {
    for (const auto& entry : std::filesystem::directory_iterator("/tmp")) {
      const std::string name = entry.path().filename();
      int owner = 0;
      if (std::sscanf(name.c_str(), "sluice-pins-%d-", &owner) == 1 && kill(owner, 0) != 0) {
        Remove(entry.path());
      }
    }
    static int count = 0;
    path_ = fmt::format("/tmp/sluice-pins-{}-{}", getpid(), count++);
  }
  ~PinDirectory() {
    if (owner_ == getpid()) Remove(path_);
  }
  const std::string& path() const { return path_; }

 private:
  static void Remove(const std::string& path) {
    (void)RemoveAllPins(path);
    umount2(path.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
  std::string path_;
  pid_t owner_ = getpid();  // a forked child does not clean up
};

struct Record {
  tap_record header;
  Bytes data;
};

class BpfTest : public ::testing::Test {
 protected:
  void SetUp() override { SLUICE_SKIP_WITHOUT_BPF(); }

  LiveTapOptions Options() {
    LiveTapOptions options;
    options.pin_dir = pins_.path();
    options.max_flows = 4096;
    options.max_flow_drops = 1024;
    options.max_prefix_drops = 1024;
    options.ring_bytes = 1u << 20;
    options.poll_mode = PollMode::kBusy;
    options.heartbeat_timeout = std::chrono::hours{1};
    return options;
  }
  void Open(const LiveTapOptions& options) {
    auto tap = LiveTap::Create(options);
    ASSERT_TRUE(tap) << tap.error().message;
    tap_ = std::move(*tap);
    before_ = *tap_->Counters();
  }
  void Open() { Open(Options()); }

  // Runs one packet; returns the program's answer, or -1000 if the kernel refuses the packet.
  int Run(const Bytes& frame, int direction = TAP_INGRESS, const __sk_buff* context = nullptr) {
    __sk_buff skb = context != nullptr ? *context : __sk_buff{};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .ctx_in = &skb,
                .ctx_size_in = sizeof(skb));
    if (bpf_prog_test_run_opts(tap_->program_fd(direction), &options) != 0) return -1000;
    return static_cast<int>(options.retval);
  }
  int Run(const Frame& frame) { return Run(Build(frame)); }
  int Send(const Frame& frame) { return Run(Build(frame)); }

  std::vector<Record> Records(uint32_t worker = 0) {
    std::vector<Record> records;
    while (tap_->reader(worker).Poll(Nanos{0}, [&](const tap_record& record) {
      const uint8_t* data = tap_record_data(&record);
      records.push_back({record, Bytes(data, data + record.cap_len)});
      if (record.type == TAP_RECORD_PACKET && decodable_) ExpectDecodes(records.back());
    }) != 0) {
    }
    return records;
  }
  // Whatever was cut or split: user space finds a well-formed packet.
  static void ExpectDecodes(const Record& record) {
    Packet packet;
    Decode(LinkTypeOf(record.header), record.data, {.verify_checksums = false}, &packet);
    EXPECT_FALSE(packet.stopped);
    EXPECT_EQ(packet.payload.size(), record.data.size() - record.header.payload_offset);
    EXPECT_LE(record.header.cap_len, record.header.wire_len);
  }
  // Counts since Open() or the last call.
  uint64_t Delta(tap_counter counter) {
    return (*tap_->Counters())[counter] - before_[counter];
  }
  void ResetDelta() { before_ = *tap_->Counters(); }
  // The one exit counter that moved since, by name; "none" or "several" otherwise.
  std::string Exit() {
    const TapCounters now = *tap_->Counters();
    std::string found = "none";
    for (int i = 0; i <= TAP_EXIT_DROP_FAIL_CLOSED; ++i) {
      if (now[i] == before_[i]) continue;
      if (found != "none" || now[i] != before_[i] + 1) found = "several";
      else found = TapCounterName(static_cast<tap_counter>(i));
    }
    before_ = now;
    return found;
  }

  PinDirectory pins_;
  std::unique_ptr<LiveTap> tap_;
  TapCounters before_{};
  bool decodable_ = true;  // false: the test sends what the decoder refuses
};

inline Address MakeAddress(const std::string& text) { return ParsePrefix(text)->address; }

inline Tuple TupleOfFrame(const Frame& frame) {
  Tuple tuple;
  tuple.source = MakeAddress(frame.source);
  tuple.destination = MakeAddress(frame.destination);
  tuple.source_port = frame.sport;
  tuple.destination_port = frame.dport;
  tuple.ip_protocol = frame.protocol;
  for (size_t i = 0; i < frame.vlans.size() && i < 2; ++i) tuple.vlan[i] = frame.vlans[i];
  return tuple;
}

}  // namespace sluice::testing
