// The whole packet path, decode to output, allocates nothing once it has run: the
// shipped dissectors, rules of each kind, a mixed conversation played again and again.
// What a plug-in allocates for a flow's state is its own; it is bounded here.
#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/engine/app/lab.h"
#include "tests/plugins/tls/wire.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_NO_HOOK 1  // the sanitizer has malloc for itself
#endif

namespace {

std::atomic<bool> g_counting{false};
uint64_t g_engine = 0, g_plugins = 0;  // allocations, by whose code asks

// Whose code the caller is: the innermost frame that is the engine's (this
// executable) or a plug-in's; libraries work for who calls them.
bool IsPlugin(void* const* frames, int count) {
  for (int i = 2; i < count; ++i) {  // behind Note() and malloc()
    Dl_info info;
    if (dladdr(frames[i], &info) == 0 || info.dli_fname == nullptr) continue;
    if (std::strstr(info.dli_fname, "/plugins/") != nullptr) return true;
    if (std::strstr(info.dli_fname, "worker_alloc_test") != nullptr) return false;
  }
  return false;
}

void Note() {
  if (!g_counting.load(std::memory_order_relaxed)) return;
  g_counting = false;  // what looks is not looked at
  void* frames[24];
  const int count = backtrace(frames, 24);
  const bool plugin = IsPlugin(frames, count);
  if (++(plugin ? g_plugins : g_engine) <= 3 && !plugin) {
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    (void)!write(STDERR_FILENO, "--\n", 3);
  }
  g_counting = true;
}

}  // namespace

#ifndef SLUICE_NO_HOOK
// malloc itself: operator new, OpenSSL, Hyperscan and the plug-ins all end here.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) { return Note(), __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return Note(), __libc_calloc(count, size); }
void* realloc(void* p, size_t size) { return Note(), __libc_realloc(p, size); }
void* memalign(size_t alignment, size_t size) { return Note(), __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out != nullptr ? 0 : ENOMEM;
}
}
#endif

namespace sluice::testing {
namespace {

constexpr char kRules[] = R"(
alert ip any any -> any any (msg:"ends"; sid:1;)
alert tcp any any -> any 80 (msg:"stream"; flow:established,to_server; content:"jndi"; flowbits:set,seen; sid:2;)
alert http any any -> any any (msg:"uri"; http.uri; content:"/login"; http.user_agent; content:"curl"; metadata:a b; sid:3;)
alert http any any -> any any (msg:"body"; flow:to_client; file.data; content:"secret"; sid:4;)
alert dns any any -> any any (msg:"name"; dns.query; content:"evil"; nocase; sid:5;)
alert ssh any any -> any any (msg:"software"; ssh.software; content:"OpenSSH"; threshold:type limit, track by_src, count 1, seconds 60; sid:6;)
alert tcp any any -> any any (msg:"expression"; content:"Host"; pcre:"/Host: [a-z.]+/"; sid:7;)
)";

// One connection, told as what each side says; segments of at most `mss` bytes.
class Talk {
 public:
  Talk(Lab& lab, Frame client) : lab_(lab), client_(client) { lab_.Connect(client_); }
  void Say(bool from_client, const std::string& text, size_t mss = 1000) {
    for (size_t at = 0; at < text.size(); at += mss) Segment(from_client, text.substr(at, mss));
  }
  // The second half first.
  void SayOutOfOrder(bool from_client, const std::string& text) {
    const size_t half = text.size() / 2;
    const Frame frame = Next(from_client);
    Frame late = frame;
    late.seq += static_cast<uint32_t>(half);
    late.payload = text.substr(half);
    lab_.Send(late);
    Segment(from_client, text.substr(0, half));
    said_[from_client] += static_cast<uint32_t>(text.size() - half);
  }
  void Close() {
    for (const bool from_client : {true, false}) {
      Frame frame = Next(from_client);
      frame.flags = kFin | kAck;
      lab_.Send(frame);
      ++said_[from_client];
    }
    lab_.Send(Next(true));
  }

 private:
  Frame Next(bool from_client) const {
    Frame frame = from_client ? client_ : Reverse(client_);
    frame.seq += said_[from_client];
    frame.ack += said_[!from_client];
    return frame;
  }
  void Segment(bool from_client, const std::string& text) {
    Frame frame = Next(from_client);
    frame.flags = kAck | kPsh;
    frame.payload = text;
    lab_.Send(frame);
    said_[from_client] += static_cast<uint32_t>(text.size());
  }
  Lab& lab_;
  const Frame client_;
  uint32_t said_[2] = {0, 0};
};

std::string DnsMessage(uint16_t id, bool answer) {
  std::string m = {static_cast<char>(id >> 8), static_cast<char>(id), static_cast<char>(answer ? 0x81 : 1), static_cast<char>(answer ? 0x80 : 0), 0, 1, 0, static_cast<char>(answer), 0, 0, 0, 0};
  m += std::string("\x04" "evil\x07" "example\x03" "com\0", 18) + std::string("\0\1\0\1", 4);
  if (answer) m += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3", 16);
  return m;
}

std::string SshKexInit() {
  std::string lists;
  for (const char* list : {"curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""}) {
    const std::string text = list;
    lists += std::string("\0\0\0", 3) + static_cast<char>(text.size()) + text;
  }
  std::string body = "\x14" + std::string(16, 'c') + lists + std::string(5, '\0');
  const size_t pad = 8 - (body.size() + 5) % 8 + 4;
  const size_t len = body.size() + 1 + pad;
  return std::string("\0\0", 2) + static_cast<char>(len >> 8) + static_cast<char>(len) + static_cast<char>(pad) + body + std::string(pad, '\0');
}

// All of it once, with ports of its own.
void Round(Lab& lab, uint16_t n) {
  Frame client;
  client.sport = static_cast<uint16_t>(20000 + n);
  const std::string get = "GET /login?q=${jndi:x} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8\r\nCookie: a=b\r\n\r\n";
  // Waiting bytes past 4 KiB are given back at a flow's end, on purpose: stay below.
  const std::string body(600, 's');
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 612\r\n\r\na secret is " + body.substr(1);
  {
    Talk http(lab, client);
    for (int i = 0; i < 3; ++i) {
      i == 1 ? http.SayOutOfOrder(true, get) : http.Say(true, get, 17);
      http.Say(false, ok);
    }
    http.Close();
  }
  {
    Frame six = client;
    six.source = "fd00::1";
    six.destination = "fd00::2";
    six.dport = 22;
    Talk ssh(lab, six);
    ssh.Say(true, "SSH-2.0-OpenSSH_9.6\r\n");
    ssh.Say(false, "SSH-2.0-OpenSSH_9.2p1 Debian\r\n");
    ssh.Say(true, SshKexInit());
    ssh.Say(false, SshKexInit());
    ssh.Close();
  }
  {
    Frame secure = client;
    secure.dport = 443;
    Talk tls(lab, secure);
    for (const auto& [direction, bytes] : Session12()) tls.Say(direction == Direction::kToServer, bytes);
    tls.Close();
  }
  {
    Frame control = client;
    control.dport = 21;
    Talk ftp(lab, control);
    ftp.Say(false, "220 ready\r\n");
    ftp.Say(true, "USER a\r\n", 3);
    ftp.Say(false, "230-hello\r\n230 in\r\n");
    ftp.Say(true, "PASV\r\n");
    ftp.Say(false, "227 ok (10,0,0,2,19,136)\r\n");
    ftp.Say(true, "RETR secret.txt\r\n");
    ftp.Say(false, "150 coming\r\n");
    Frame file = client;
    file.dport = 5000;
    Talk data(lab, file);
    data.Say(false, body);
    data.Close();
    ftp.Say(false, "226 done\r\n");
    ftp.Close();
  }
  {
    Frame sender = client;
    sender.dport = 25;
    Talk smtp(lab, sender);
    smtp.Say(false, "220 ready\r\n");
    smtp.Say(true, "EHLO a\r\n");
    smtp.Say(false, "250 b\r\n");
    smtp.Say(true, "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n");
    smtp.Say(false, "250 a\r\n250 b\r\n354 c\r\n");
    smtp.Say(true, "From: a\r\nContent-Type: text/plain; name=f\r\n\r\na secret\r\n.\r\n", 11);
    smtp.Say(false, "250 d\r\n");
    smtp.Close();
  }
  Frame dns = client;
  dns.protocol = 17;
  dns.dport = 53;
  dns.payload = DnsMessage(n, false);
  lab.Send(dns);
  dns = Reverse(dns);
  dns.payload = DnsMessage(n, true);
  lab.Send(dns);
  Frame ping;
  ping.protocol = 1;
  ping.payload = std::string("\x08\0\0\0\0\1\0\1", 8) + "ping";
  lab.Send(ping);
  Bytes cut = Build(client);
  cut.resize(30);
  lab.Send(cut);  // an anomaly of headers
  lab.Pass(std::chrono::hours{1});  // all flows end before the next round
}

TEST(Allocation, NoneInSteadyStateOfTheWholePath) {
#ifdef SLUICE_NO_HOOK
  GTEST_SKIP() << "SLUICE-SKIPPED: the sanitizer has malloc for itself";
#endif
  WorkerOptions options;
  options.eve.resize(1);
  EveOptions& eve = options.eve[0];
  eve.ethernet = eve.payload = eve.payload_printable = eve.packet = eve.raw_rule = true;
  options.dissect.files = {.md5 = true, .sha1 = true, .sha256 = true};
  Lab lab(kRules, options, SLUICE_PLUGINS);
  constexpr uint16_t kWarmUp = 60, kMeasured = 40;
  // A mail: itself, and a long header.
  constexpr uint64_t kPluginsPerRound = 2;
  for (uint16_t n = 0; n < kWarmUp; ++n) Round(lab, n);
  for (const char* type : {"alert", "http", "dns", "ssh", "tls", "ftp", "ftp_data", "smtp", "fileinfo", "flow", "anomaly"}) {
    EXPECT_GT(lab.Records(type).size(), 0u) << type << ": the path is not exercised";
  }
  lab.eve.keep = lab.fast.keep = lab.packets.keep = false;
  // Frames are made beforehand: building them allocates.
  std::vector<std::pair<Bytes, Nanos>> frames;
  lab.Record(&frames);
  for (uint16_t n = 0; n < kMeasured; ++n) Round(lab, n);
  lab.Record(nullptr);
  const uint64_t before = lab.eve.count;
  g_counting = true;
  lab.Play(frames);
  g_counting = false;
  EXPECT_EQ(g_engine, 0u) << "in " << frames.size() << " packets";
  // Eight flows a round with a dissector, twelve transactions in them.  A certificate that was
  // not seen lately alone would cost OpenSSL 1,200.
  EXPECT_LE(g_plugins, kMeasured * kPluginsPerRound);
  RecordProperty("plugins_per_round", static_cast<int>(g_plugins / kMeasured));
  EXPECT_GT(lab.eve.count - before, 40u * 10) << "and records are still written";
}

}  // namespace
}  // namespace sluice::testing
