// bench/bpf/tap_bench.cc
// Nanoseconds per packet of the classifier, by BPF_PROG_TEST_RUN on one core: medians over rounds in
// which the cases take turns, so that a noisy machine hits all of them alike.
//
//   tap_bench [--json]
//
// Caches are hot and skbs linear; what a real path adds (cold flows, skb allocation) is not in here.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/tap/live_tap.h"
#include "tests/support/packets.h"

namespace sluice {
namespace {

using testing::Build;
using testing::Bytes;

constexpr int kRounds = 41;
constexpr uint32_t kRepeat = 2000;  // packets per run: their records fit the ring

struct Case {
  const char* name;
  int program = -1;
  Bytes frame;
  std::vector<uint32_t> samples = {};  // ns per packet
};

int EmptyProgram() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = -1},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", instructions, 2, nullptr);
}

bool RunOnce(Case& which) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = which.frame.data(),
              .data_size_in = static_cast<uint32_t>(which.frame.size()), .repeat = kRepeat);
  if (bpf_prog_test_run_opts(which.program, &options) != 0) return false;
  which.samples.push_back(options.duration);
  return true;
}

uint32_t Median(std::vector<uint32_t> samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<long>(samples.size() / 2), samples.end());
  return samples[samples.size() / 2];
}

std::vector<TapPolicy> Policies() {
  using Kind = TapPolicy::Kind;
  using Action = TapPolicy::Action;
  return {{.kind = Kind::kPort, .ip_protocol = 6, .value = 443, .action = Action::kIgnore},
          {.kind = Kind::kPort, .ip_protocol = 17, .value = 443, .action = Action::kIgnore},
          {.kind = Kind::kPort, .ip_protocol = 6, .value = 80},
          {.kind = Kind::kPort, .ip_protocol = 6, .value = 81, .budget_to_server = 0,
           .budget_to_client = 0}};
}

int Bench(const std::string& pin_dir, bool json) {
  LiveTapOptions options;
  options.pin_dir = pin_dir;
  options.ring_bytes = 8u << 20;
  options.max_flows = 1u << 16;
  options.poll_mode = PollMode::kBusy;
  options.policies = Policies();
  options.heartbeat_timeout = std::chrono::hours{1};
  auto tap = LiveTap::Create(options);
  if (!tap) {
    std::fprintf(stderr, "tap_bench: %s\n", tap.error().message.c_str());
    return 1;
  }
  const auto blocked = ParsePrefix("10.66.0.1");
  if (!(*tap)->drops().AddSource(*blocked, {})) return 1;
  testing::Frame flow{.sport = 7, .dport = 80, .payload = std::string(64, 'x')};
  Tuple tuple;
  tuple.source = ParsePrefix("10.0.0.1")->address;
  tuple.destination = ParsePrefix("10.0.0.2")->address;
  tuple.source_port = 7;
  tuple.destination_port = 80;
  tuple.ip_protocol = 6;
  if (!(*tap)->drops().AddFlow(tuple, {})) return 1;

  const int classify = (*tap)->program_fd(TAP_INGRESS);
  const std::string small(64, 'x'), full(1460, 'x');
  std::vector<Case> cases = {
      {"empty program", EmptyProgram(), Build({.payload = small})},
      {"not IP", classify, Bytes(60, 0)},
      {"bypass, TCP", classify, Build({.dport = 443, .payload = full})},
      {"bypass, UDP", classify, Build({.dport = 443, .protocol = 17, .payload = full})},
      {"bypass, TCP over IPv6",
       classify, Build({.source = "fd00::1", .destination = "fd00::2", .dport = 443, .payload = full})},
      {"past budget, TCP", classify, Build({.dport = 81, .payload = full})},
      {"drop by flow", classify, Build(flow)},
      {"drop by source", classify, Build({.source = "10.66.0.1", .payload = full})},
      {"inspect, 64 B", classify, Build({.sport = 8, .payload = small})},
      {"inspect, 1460 B", classify, Build({.sport = 9, .payload = full})},
  };
  const auto drain = [&] {
    while ((*tap)->reader(0).Poll(Nanos{0}, [](const tap_record&) {}) != 0) {
    }
  };
  for (int round = 0; round < kRounds; ++round) {
    for (Case& which : cases) {
      if (!RunOnce(which)) {
        std::fprintf(stderr, "tap_bench: %s: %s\n", which.name, std::strerror(errno));
        return 1;
      }
      drain();
    }
  }
  const auto counters = (*tap)->Counters();
  if (json) std::printf("{\n");
  if (!json) std::printf("%-24s %10s %10s\n", "ns per packet (median)", "total", "net");
  const uint32_t empty = Median(cases[0].samples);
  for (size_t i = 0; i < cases.size(); ++i) {
    const uint32_t total = Median(cases[i].samples);
    if (json) {
      std::printf("  \"%s\": %u%s\n", cases[i].name, total, i + 1 < cases.size() ? "," : "");
    } else {
      std::printf("%-24s %10u %10u\n", cases[i].name, total, total - std::min(total, empty));
    }
  }
  if (json) std::printf("}\n");
  if (counters && (*counters)[TAP_LOST_RECORDS] != 0) {
    std::fprintf(stderr, "tap_bench: records were lost, the inspect figures are too low\n");
  }
  (void)(*tap)->Close(LiveTap::OnClose::kDetach);
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  const std::string pin_dir = "/tmp/sluice-bench-" + std::to_string(getpid());
  const int result = sluice::Bench(pin_dir, json);
  (void)sluice::RemoveAllPins(pin_dir);
  umount2(pin_dir.c_str(), MNT_DETACH);
  std::error_code ignored;
  std::filesystem::remove(pin_dir, ignored);
  return result;
}
