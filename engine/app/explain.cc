#include "engine/app/explain.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/app/keywords.h"
#include "engine/app/runtime.h"
#include "engine/rules/problem.h"
#include "engine/tap/pcap_tap.h"

namespace sluice {
namespace {

using Outcome = RuleLook::Outcome;
constexpr size_t kExcerpt = 64;  // bytes of a buffer shown in a line

std::string Text(const Address& address) {
  char out[INET6_ADDRSTRLEN] = "?";
  if (address.version == 0) return out;
  inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.bytes.data(), out, sizeof(out));
  return out;
}

std::string_view TransportName(const Packet& packet) {
  switch (packet.l4) {
    case L4::kTcp: return "tcp";
    case L4::kUdp: return "udp";
    case L4::kIcmp: return "icmp";
    case L4::kIcmp6: return "icmpv6";
    case L4::kSctp: return "sctp";
    default: return "ip";
  }
}

std::string_view Name(Direction direction) {
  return direction == Direction::kToServer ? "to_server" : "to_client";
}

std::string Ends(const Packet& p) {
  const bool ports = p.l4 == L4::kTcp || p.l4 == L4::kUdp || p.l4 == L4::kSctp;
  const auto end = [ports](const Address& address, uint16_t port) {
    if (!ports) return Text(address);
    return fmt::format(fmt::runtime(address.version == 6 ? "[{}]:{}" : "{}:{}"), Text(address), port);
  };
  return fmt::format("{} {} -> {}", TransportName(p), end(p.source, p.source_port),
                     end(p.destination, p.destination_port));
}

// At most kExcerpt bytes of `bytes` with [begin, end) in view.
void Show(const std::vector<uint8_t>& bytes, size_t begin, size_t end, Explanation::Line* line) {
  begin = std::min(begin, bytes.size());
  end = std::clamp(end, begin, bytes.size());
  const size_t lead = std::min<size_t>(begin, kExcerpt / 4);
  const size_t from = begin - lead;
  const size_t to = std::min(bytes.size(), from + kExcerpt);
  if (from > 0) line->excerpt = "...";
  line->mark_begin = line->excerpt.size() + lead;
  for (size_t i = from; i < to; ++i) {
    const uint8_t b = bytes[i];
    line->excerpt += b >= 0x20 && b < 0x7f ? static_cast<char>(b) : '.';
  }
  line->mark_end = line->mark_begin + std::min(end, to) - begin;
  if (to < bytes.size()) line->excerpt += "...";
}

// One test of a buffer.
Explanation::Line TestLine(const RulePrinter& printer, const Rule& rule, const BufferTest& test,
                           const BufferLook& look, size_t index) {
  const ConfirmTrace::Test& t = look.trace.tests[index];
  Explanation::Line line;
  line.detail = true;
  line.what = printer.Test(rule, test);
  if (index > look.trace.failed_at) {
    line.outcome = Outcome::kNotReached;
    return line;
  }
  line.outcome = t.passed ? Outcome::kHolds : Outcome::kFails;
  const bool searches = std::holds_alternative<ContentTest>(test) || std::holds_alternative<PcreTest>(test);
  if (t.has_value) line.found = fmt::format("read {} (0x{:x})", t.value, t.value);
  if (t.passed && searches && t.end > t.begin) {
    line.found = fmt::format("at {}..{}", t.begin, t.end);
    Show(look.bytes, t.begin, t.end, &line);
  } else if (!t.passed) {
    if (t.has_place && t.from < t.to) {
      line.found = fmt::format("not as asked in bytes {}..{}", t.from, t.to);
      Show(look.bytes, t.from, t.from, &line);
    } else if (t.has_place) {
      line.found = "has no room there";
    } else if (!t.has_value) {
      line.found = "does not hold";
    }
    if (t.attempts > 1) line.found += fmt::format(", {} attempts", t.attempts);
  }
  return line;
}

void AddBuffers(const RulePrinter& printer, const Rule& rule, const Inspection& inspection,
                const RuleLook::Step& step, Explanation* out) {
  Explanation::Line head;
  head.outcome = step.outcome;
  head.what = printer.Buffer(inspection);
  if (step.buffers.empty()) {
    head.found = step.outcome == Outcome::kWaits ? "not there yet" : "not there";
    out->lines.push_back(std::move(head));
    return;
  }
  // Of several values: the one that matched, else the one that came furthest.
  const auto best = std::ranges::max_element(step.buffers, {}, [](const BufferLook& b) {
    return std::pair(b.matched, b.trace.failed_at);
  });
  head.found = fmt::format("{} bytes{}", best->size, best->growing ? " so far" : "");
  if (step.buffers.size() > 1) {
    head.found += fmt::format(", value {} of {}", best - step.buffers.begin() + 1, step.buffers.size());
  }
  if (best->trace.gave_up) head.found += ", given up at a limit";
  if (!inspection.transforms.empty()) head.found += " behind its transforms";
  Show(best->bytes, 0, 0, &head);
  out->lines.push_back(std::move(head));
  for (size_t i = 0; i < best->trace.tests.size() && i < inspection.tests.size(); ++i) {
    out->lines.push_back(TestLine(printer, rule, inspection.tests[i], *best, i));
  }
}

std::string StateOf(const PacketContext& context) {
  if (context.flow == nullptr) return "the packet belongs to no flow";
  return fmt::format("{}, {}", context.flow->established ? "established" : "not established",
                     Name(context.direction));
}

}  // namespace

Explanation ExplanationCollector::Explain(const PacketContext& context, const RuleLook& look) const {
  const Packet& p = *context.packet;
  const Rule& rule = *look.rule;
  Explanation out;
  out.matched = look.matched;
  out.reported = look.reported;
  out.held = look.held();
  out.steps = look.steps.size();
  out.packet = p.number;
  out.ends = Ends(p);
  switch (look.where) {
    case RuleLook::Where::kPacket: out.where = fmt::format("packet {}", Name(look.direction)); break;
    case RuleLook::Where::kStream: out.where = fmt::format("stream {}", Name(look.direction)); break;
    case RuleLook::Where::kTransaction:
      out.where = fmt::format("{} transaction {}, {}", look.tx->schema->name, look.tx->number,
                              Name(look.direction));
  }
  for (const RuleLook::Step& step : look.steps) {
    if (const auto* inspection = std::get_if<const Inspection*>(&step.about)) {
      AddBuffers(printer_, rule, **inspection, step, &out);
    } else {
      Explanation::Line line;
      line.outcome = step.outcome;
      if (std::holds_alternative<RuleLook::Protocol>(step.about)) {
        line.what = rule.header.protocol_text;
        line.found = TransportName(p);
      } else if (std::holds_alternative<RuleLook::Addresses>(step.about)) {
        line.what = "addresses";
        line.found = fmt::format("{} -> {}", Text(p.source), Text(p.destination));
      } else if (std::holds_alternative<RuleLook::Ports>(step.about)) {
        line.what = "ports";
        line.found = fmt::format("{} -> {}", p.source_port, p.destination_port);
      } else if (std::holds_alternative<RuleLook::Application>(step.about)) {
        line.what = "protocol " + rule.header.app_protocol;
        const bool known = context.flow != nullptr && context.flow->app != nullptr;
        line.found = known ? std::string(context.flow->app->name) : "not recognised";
      } else if (std::holds_alternative<RuleLook::OneFile>(step.about)) {
        line.what = "one file has all of this";
        for (const FileTest& test : rule.file_tests) line.what += "; " + printer_.File(test);
      } else if (const auto* fast = std::get_if<RuleLook::FastPattern>(&step.about)) {
        line.what = "fast pattern";
        line.found = fmt::format("{} {}", step.outcome == Outcome::kHolds ? "found in" : "not found in",
                                 printer_.Buffer(*fast->inspection));
      } else if (const auto* condition = std::get_if<const FlowCondition*>(&step.about)) {
        line.what = printer_.Condition(**condition);
        if (std::holds_alternative<FlowTest>(**condition)) line.found = StateOf(context);
      } else if (const auto* test = std::get_if<const PacketTest*>(&step.about)) {
        line.what = printer_.Packet(**test);
      } else if (const auto* number = std::get_if<const NumberInspection*>(&step.about)) {
        line.what = printer_.Number(**number);
        for (const uint64_t value : step.numbers) {
          line.found += fmt::format("{}{}", line.found.empty() ? "is " : ", ", value);
        }
        if (step.numbers.empty()) line.found = "not there";
      }
      out.lines.push_back(std::move(line));
    }
    if (out.failed.empty() && step.outcome == Outcome::kFails) {
      for (auto line = out.lines.rbegin(); line != out.lines.rend(); ++line) {
        if (line->detail) continue;
        out.failed = line->what;
        break;
      }
    }
  }
  return out;
}

void ExplanationCollector::OnLook(const PacketContext& context, const RuleLook& look) {
  ++looks_;
  Explanation now = Explain(context, look);
  if (!now.matched) ++failures_[now.failed.empty() ? "waiting for more" : now.failed];
  const uint64_t flow = context.flow != nullptr ? context.flow->id : 0;
  const Key key{flow != 0 ? flow : context.packet->number, look.tx != nullptr ? look.tx->number : 0,
                static_cast<size_t>(look.where)};
  const auto it = kept_.find(key);
  if (it == kept_.end()) {
    if (kept_.size() >= kMostKept) {
      ++not_kept_;
      return;
    }
    kept_.emplace(key, std::move(now));
  } else if (std::pair(now.matched, now.held) > std::pair(it->second.matched, it->second.held)) {
    it->second = std::move(now);
  }
}

std::vector<const Explanation*> ExplanationCollector::Nearest() const {
  std::vector<const Explanation*> out;
  for (const auto& [key, explanation] : kept_) out.push_back(&explanation);
  std::ranges::stable_sort(out, std::greater{}, [](const Explanation* e) {
    return std::pair(e->matched, e->held);
  });
  return out;
}

namespace {

// Colours only for a person at a terminal, never with NO_COLOR.
class Painter {
 public:
  Painter() : on_(isatty(STDOUT_FILENO) && std::getenv("NO_COLOR") == nullptr) {}
  std::string Mark(Outcome outcome) const {
    switch (outcome) {
      case Outcome::kHolds: return Paint("yes", 32);
      case Outcome::kFails: return Paint("NO ", 31);
      case Outcome::kWaits: return Paint("...", 33);
      case Outcome::kNotReached: return Paint(" - ", 90);
    }
    return "";
  }
  std::string Bold(std::string_view text) const { return Paint(text, 1); }

 private:
  std::string Paint(std::string_view text, int code) const {
    return on_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
  }
  const bool on_;
};

void Print(const Explanation& e, const Painter& paint) {
  fmt::print("\n{}  {}  {}\n",
             e.packet != 0 ? fmt::format("packet {}", e.packet) : std::string("end of flow"), e.ends, e.where);
  fmt::print("{}\n", paint.Bold(e.matched ? (e.reported ? "matches, alert written"
                                                        : "matches, no alert: noalert, a threshold or a pass rule")
                                          : fmt::format("{} of {} parts hold", e.held, e.steps)));
  for (const Explanation::Line& line : e.lines) {
    const int indent = line.detail ? 4 : 0;
    fmt::print("  {:{}}{}  {:<{}}  {}\n", "", indent, paint.Mark(line.outcome), line.what, 40 - indent, line.found);
    if (line.excerpt.empty()) continue;
    fmt::print("  {:{}}     | {}\n", "", indent, line.excerpt);
    if (line.mark_end > line.mark_begin) {
      fmt::print("  {:{}}     | {:{}}{}\n", "", indent, "", line.mark_begin,
                 std::string(line.mark_end - line.mark_begin, '^'));
    }
  }
}

nlohmann::ordered_json ToJson(const Explanation& e) {
  static constexpr const char* kOutcomes[] = {"holds", "fails", "waits", "not_reached"};
  nlohmann::ordered_json out = {{"packet", e.packet}, {"ends", e.ends}, {"where", e.where},
                                {"matched", e.matched}, {"reported", e.reported},
                                {"held", e.held}, {"parts", e.steps}};
  for (const Explanation::Line& line : e.lines) {
    nlohmann::ordered_json step = {{"outcome", kOutcomes[static_cast<size_t>(line.outcome)]},
                                   {"what", line.what}, {"found", line.found}};
    if (!line.excerpt.empty()) {
      step["excerpt"] = line.excerpt;
      step["mark"] = {line.mark_begin, line.mark_end};
    }
    if (line.detail && !out["steps"].empty()) {
      out["steps"].back()["tests"].push_back(std::move(step));
    } else {
      out["steps"].push_back(std::move(step));
    }
  }
  return out;
}

void PrintAll(const Rule& rule, const ExplanationCollector& collector, size_t most) {
  const Painter paint;
  const auto nearest = collector.Nearest();
  const auto matches = std::ranges::count_if(nearest, [](const Explanation* e) { return e->matched; });
  fmt::print("{}\n{}:{}: {}\n\n{} looks in {} flows and transactions, {} matched\n",
             paint.Bold(fmt::format("sid {}  {}", rule.sid, rule.message)), rule.place.file,
             rule.place.line, rule.text, collector.looks(), nearest.size() + collector.not_kept(), matches);
  std::vector<std::pair<uint64_t, std::string>> failures;
  for (const auto& [what, n] : collector.failures()) failures.emplace_back(n, what);
  std::ranges::sort(failures, std::greater{});
  for (size_t i = 0; i < failures.size() && i < most; ++i) {
    fmt::print("  {:>8} x first stopped at {}\n", failures[i].first, failures[i].second);
  }
  for (size_t i = 0; i < nearest.size() && i < most; ++i) Print(*nearest[i], paint);
  if (nearest.size() > most) {
    fmt::print("\n... and {} that came less near; --most shows more\n", nearest.size() - most);
  }
}

void PrintJson(const Rule& rule, const ExplanationCollector& collector, size_t most) {
  nlohmann::ordered_json out = {{"sid", rule.sid}, {"gid", rule.gid}, {"rule", rule.text},
                                {"looks", collector.looks()}, {"failures", collector.failures()},
                                {"explanations", nlohmann::ordered_json::array()}};
  const auto nearest = collector.Nearest();
  for (size_t i = 0; i < nearest.size() && i < most; ++i) out["explanations"].push_back(ToJson(*nearest[i]));
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

int RunExplain(const CommandLine& line) {
  auto created = Runtime::Create(line, false);
  if (!created) return Complain(created.error());
  Runtime& runtime = **created;
  const RuleSet& rules = runtime.rules.program->rules();
  const auto rule = std::ranges::find_if(rules.rules, [&](const Rule& r) { return r.sid == line.sid; });
  if (rule == rules.rules.end()) {
    for (const RuleProblem& problem : runtime.rules.problems) {
      if (problem.sid == line.sid) return Complain({Errc::kNotFound, FormatProblem(problem)});
    }
    return Complain({Errc::kNotFound, fmt::format("sid {}: no rule that is loaded has it; see sluice check", line.sid)});
  }
  auto tap = PcapTap::Open(line.capture, line.bpf_filter);
  if (!tap) return Complain(tap.error());
  auto worker = Worker::Create(MakeWorkerOptions(runtime.options), *runtime.catalog,
                               runtime.rules.program, {}, nullptr);
  if (!worker) return Complain(worker.error());
  const CatalogKeywords keywords(*runtime.catalog);
  const RuleOptions no_names;
  const RulePrinter printer(rules, no_names, keywords);
  ExplanationCollector collector(printer);
  (*worker)->Watch(*rule, &collector);
  int code = 0;
  PcapTap::Frame frame;
  while (true) {
    const auto more = (*tap)->Next(&frame);
    if (!more) code = Complain(more.error());
    if (!more || !*more) break;
    (*worker)->Process(frame.link, frame.bytes, frame.time, frame.number, frame.wire_len);
  }
  (*worker)->Shutdown();
  line.json ? PrintJson(*rule, collector, line.most) : PrintAll(*rule, collector, line.most);
  return code;
}

}  // namespace sluice
