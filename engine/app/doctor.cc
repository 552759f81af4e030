// sluice doctor: what the machine has of what live inspection needs, each with its remedy.
#include <fmt/core.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/app/control.h"
#include "engine/app/process.h"
#include "engine/app/reload.h"
#include "engine/app/runtime.h"
#include "engine/tap/bpffs.h"
#include "engine/tap/live_tap.h"

namespace sluice {
namespace {

enum class Verdict { kOk, kWarning, kFailure };

struct Finding {
  std::string what;
  Verdict verdict = Verdict::kOk;
  std::string fact;
  std::string remedy = {};  // of warnings and failures
};
using Findings = std::vector<Finding>;

Finding Ok(std::string what, std::string fact) { return {std::move(what), Verdict::kOk, std::move(fact)}; }
Finding Warn(std::string what, std::string fact, std::string remedy) {
  return {std::move(what), Verdict::kWarning, std::move(fact), std::move(remedy)};
}
Finding Bad(std::string what, std::string fact, std::string remedy) {
  return {std::move(what), Verdict::kFailure, std::move(fact), std::move(remedy)};
}

std::string FirstWord(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word;
}

void CheckKernel(Findings* out) {
  utsname name{};
  uname(&name);
  unsigned major = 0, minor = 0;
  std::sscanf(name.release, "%u.%u", &major, &minor);
  const unsigned version = major * 1000 + minor;
  // 5.13 for_each over maps, 5.14 syscall programs; 5.15 is the first long-term one with both.
  out->push_back(version >= 5015 ? Ok("kernel", name.release)
                                 : Bad("kernel", name.release, "live inspection needs 5.15 or newer; replay works everywhere"));
  const bool btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  out->push_back(btf ? Ok("BTF", "/sys/kernel/btf/vmlinux")
                     : Warn("BTF", "the kernel brings none", "take a kernel built with CONFIG_DEBUG_INFO_BTF"));
  const std::string jit = FirstWord("/proc/sys/net/core/bpf_jit_enable");
  out->push_back(jit == "0" ? Warn("BPF JIT", "off: programs are interpreted", "sysctl net.core.bpf_jit_enable=1") : Ok("BPF JIT", "on"));
}

void CheckTcx(Findings* out) {
  const auto tcx = TcxAvailable();
  if (!tcx) {
    out->push_back(Warn("TCX", "cannot be asked: " + tcx.error().message, "ask again as root"));
  } else {
    out->push_back(*tcx ? Ok("TCX", "links: programs are swapped without a gap")
                        : Warn("TCX", "not there: clsact filters serve instead", "kernel 6.6 or newer has it"));
  }
}

void CheckCapabilities(Findings* out) {
  static constexpr std::pair<int, const char*> kNeeded[] = {
      {CAP_BPF, "CAP_BPF"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_PERFMON, "CAP_PERFMON"}, {CAP_NET_RAW, "CAP_NET_RAW"}};
  const uint64_t have = EffectiveCapabilities();
  std::string missing;
  for (const auto& [bit, name] : kNeeded) {
    if ((have >> bit & 1) == 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  out->push_back(missing.empty() ? Ok("capabilities", "all that loading needs; the engine drops them afterwards")
                                 : Bad("capabilities", missing + " missing", "start as root; run-as.user names who to be afterwards"));
}

void CheckPins(const Options& o, Findings* out) {
  if (IsBpffs(o.pin_dir)) {
    out->push_back(Ok("pins", o.pin_dir + " is a bpffs"));
  } else if (InOwnMountNamespace()) {
    out->push_back(Warn("pins", "this mount namespace is not the one we came from (ip netns exec makes one)",
                        "the engine mounts its bpffs in the outer one; if it may not, mount one at " + o.pin_dir));
  } else {
    out->push_back(Ok("pins", o.pin_dir + " will be made and a bpffs mounted"));
  }
}

void CheckInterfaces(const Options& o, Findings* out) {
  if (o.interfaces.empty()) {
    out->push_back(Warn("interfaces", "none configured", "give -i eth0, or interfaces in the configuration"));
  }
  for (const std::string& name : o.interfaces) {
    const std::string state = FirstWord("/sys/class/net/" + name + "/operstate");
    if (if_nametoindex(name.c_str()) == 0) {
      out->push_back(Bad("interface " + name, "there is none of that name here", "`ip link` lists them; a namespace has its own"));
    } else if (state == "down") {
      out->push_back(Warn("interface " + name, "down", "ip link set " + name + " up"));
    } else {
      out->push_back(Ok("interface " + name, state.empty() ? "there" : state));
    }
  }
}

void CheckResources(const Options& o, Findings* out) {
  const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  const std::string workers = fmt::format("{} on {} CPUs", o.workers, cpus);
  out->push_back(o.workers <= cpus ? Ok("workers", workers) : Warn("workers", workers, "more workers than CPUs only wait for each other"));
  const uint64_t need = o.workers * (o.ring_bytes + o.stream_memcap);
  const std::string fact = fmt::format("rings and stream memcap may take {} MiB", need >> 20);
  const auto fits = CheckMemory(0, need);
  out->push_back(fits ? Ok("memory", fact) : Warn("memory", fact + ", more than is free", "lower workers, tap.ring-bytes or stream.memcap"));
}

void CheckFiles(const Options& o, Findings* out) {
  std::error_code failure;
  const bool log = access(o.log_dir.c_str(), W_OK) == 0;
  out->push_back(log ? Ok("logs", o.log_dir)
                 : std::filesystem::exists(o.log_dir, failure)
                     ? Bad("logs", o.log_dir + " cannot be written", "give it to the engine's user")
                     : Ok("logs", o.log_dir + " will be made"));
  for (const std::string& file : o.rule_files) {
    if (access(file.c_str(), R_OK) != 0) out->push_back(Bad("rules", file + " cannot be read", "name an existing file in rules.files"));
  }
  if (o.rule_files.empty()) out->push_back(Warn("rules", "none configured: nothing alerts", "give -S FILE, or rules.files in the configuration"));
}

void CheckUser(const Options& o, Findings* out) {
  if (o.run_as_user.empty()) {
    if (geteuid() == 0) out->push_back(Warn("user", "root, without most capabilities", "run-as.user = \"sluice\" gives up the rest"));
    return;
  }
  const passwd* user = getpwnam(o.run_as_user.c_str());
  if (user == nullptr) {
    out->push_back(Bad("user", o.run_as_user + ": there is no such user", "useradd --system " + o.run_as_user));
    return;
  }
  struct stat log {};
  const bool owns = stat(o.log_dir.c_str(), &log) == 0 && log.st_uid == user->pw_uid;
  out->push_back(owns ? Ok("user", o.run_as_user)
                      : Warn("user", o.run_as_user + " does not own " + o.log_dir + ": logs cannot be reopened after a rotation",
                             "chown " + o.run_as_user + " " + o.log_dir));
}

void CheckEngine(const Options& o, Findings* out) {
  const bool answers = AskEngine(o.control_socket, "status").has_value();
  const auto pinned = ReadPinnedStatus(o.pin_dir);
  if (answers) {
    out->push_back(Ok("engine", "answers at " + o.control_socket));
  } else if (pinned && !pinned->engine_alive) {
    const bool closed = pinned->fail_mode == FailMode::kClosed;
    out->push_back(Warn("engine", std::string("dead, its programs are still attached; new flows ") + (closed ? "are blocked" : "pass"),
                        "start sluice run: it takes over what is there"));
  } else {
    out->push_back(Ok("engine", "none runs"));
  }
}

int Print(const Findings& findings, bool json) {
  static constexpr const char* kNames[] = {"ok", "warning", "failure"};
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  int failures = 0;
  for (const Finding& f : findings) {
    const char* name = kNames[static_cast<size_t>(f.verdict)];
    failures += f.verdict == Verdict::kFailure;
    if (json) {
      out.push_back({{"check", f.what}, {"result", name}, {"fact", f.fact}, {"remedy", f.remedy}});
      continue;
    }
    fmt::print("{:<8} {:<16} {}\n", name, f.what, f.fact);
    if (!f.remedy.empty()) fmt::print("{:<26}-> {}\n", "", f.remedy);
  }
  if (json) fmt::print("{}\n", out.dump(2));
  return failures == 0 ? 0 : 1;
}

}  // namespace

int RunDoctor(const CommandLine& line) {
  const auto options = BuildOptions(line);
  if (!options) return Complain(options.error());
  Findings findings;
  CheckKernel(&findings);
  CheckTcx(&findings);
  CheckCapabilities(&findings);
  CheckPins(*options, &findings);
  CheckInterfaces(*options, &findings);
  CheckResources(*options, &findings);
  CheckFiles(*options, &findings);
  CheckUser(*options, &findings);
  CheckEngine(*options, &findings);
  return Print(findings, line.json);
}

}  // namespace sluice
