// The law: whatever the rule and the bytes, prefilter plus confirm programs
// say what the oracle says.
#include <gtest/gtest.h>

#include <random>

#include "engine/match/explain.h"
#include "tests/engine/match/oracle.h"
#include "tests/engine/match/support.h"

namespace sluice::testing {
namespace {

constexpr int kPrograms = 60, kRulesEach = 60, kBuffersEach = 30;  // 108,000 cases

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int Below(int n) { return static_cast<int>(engine_() % static_cast<uint32_t>(n)); }
  bool Chance(int percent) { return Below(100) < percent; }
  // Few letters, so that things repeat and overlap; digits and small bytes for byte_*.
  char Letter() {
    static const char kLetters[] = {'a', 'b', 'a',  'A',  'B',  'c',  '1',
                                    '2', ' ', '\n', '\0', '\1', '\3', '\xe9'};
    return kLetters[Below(sizeof(kLetters))];
  }
  std::string Text(int least, int most) {
    std::string s(static_cast<size_t>(least + Below(most - least + 1)), 0);
    for (char& c : s) c = Letter();
    return s;
  }

 private:
  std::mt19937 engine_;
};

ContentTest RandomContent(Random& r, int variables) {
  ContentTest t = Content(r.Text(1, r.Chance(70) ? 2 : 6));
  t.nocase = r.Chance(30);
  if (t.nocase) {
    for (char& c : t.bytes) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  t.negated = r.Chance(20);
  const auto number = [&](int least, int most) {
    return variables > 0 && r.Chance(20) ? Var(r.Below(variables))
                                         : Num(least + r.Below(most - least + 1));
  };
  const int length = static_cast<int>(t.bytes.size());
  if (r.Chance(45)) {
    if (r.Chance(70)) t.distance = number(-4, 5);
    if (r.Chance(50) || !t.distance) t.within = number(length, length + 6);
    t.relative = true;
  } else {
    if (r.Chance(30)) t.offset = number(0, 6);
    if (r.Chance(30)) t.depth = number(length, length + 8);
    if (!t.offset && !t.depth && r.Chance(10)) t.starts_with = true;
  }
  if (r.Chance(10)) t.ends_with = true;
  return t;
}

std::string RandomPattern(Random& r, int depth) {
  static const char* kAtoms[] = {"a",   "b",   "c",      "A",    ".",     "\\d",
                                 "\\w", "\\s", "[ab]",   "[^a]", "\\x01", "1",
                                 "\\n", "\\W", "[\\s1]", "\\S",  "[^\\d]"};
  std::string p;
  const int parts = 1 + r.Below(3);
  for (int i = 0; i < parts; ++i) {
    std::string atom = depth > 0 && r.Chance(25)
                           ? (r.Chance(50) ? "(?:" : "(") + RandomPattern(r, depth - 1) + ")"
                           : kAtoms[r.Below(17)];
    static const char* kRepeats[] = {"", "", "", "*", "+", "?", "{2}", "{1,3}", "*?", "+?", "++"};
    p += atom + kRepeats[r.Below(11)];
    if (r.Chance(15)) p += "|";
  }
  if (depth == 2) {
    if (r.Chance(15)) p = "^" + p;
    if (r.Chance(15)) p += "$";
    if (r.Chance(8)) p = "(?=" + p + ")a";
    if (r.Chance(5)) p = "\\b" + p;
    if (r.Chance(5)) p = "(a|b)\\1" + p;
  }
  return p;
}

PcreTest RandomPcre(Random& r) {
  PcreTest t;
  t.pattern = RandomPattern(r, 2);
  t.relative = r.Chance(40);
  t.negated = r.Chance(15);
  t.caseless = r.Chance(25);
  t.dot_all = r.Chance(30);
  t.multi_line = r.Chance(20);
  t.anchored = r.Chance(5);
  return t;
}

std::vector<BufferTest> RandomTests(Random& r) {
  std::vector<BufferTest> tests;
  int variables = 0;
  const int count = 1 + r.Below(5);
  const auto offset = [&] {
    return variables > 0 && r.Chance(20) ? Var(r.Below(variables))
                                         : Num(r.Below(8) - (r.Chance(20) ? 3 : 0));
  };
  const auto base = [&] {
    return r.Chance(70)   ? NumberBase::kBinary
           : r.Chance(50) ? NumberBase::kDecimal
                          : NumberBase::kHex;
  };
  const auto endian = [&] { return r.Chance(50) ? Endian::kBig : Endian::kLittle; };
  for (int i = 0; i < count; ++i) {
    const int kind = r.Below(100);
    if (kind < 55) {
      tests.emplace_back(RandomContent(r, variables));
    } else if (kind < 70) {
      tests.emplace_back(RandomPcre(r));
    } else if (kind < 76) {
      IsDataAtTest t;
      t.offset = offset();
      t.relative = r.Chance(60);
      t.negated = r.Chance(40);
      tests.emplace_back(t);
    } else if (kind < 83) {
      ByteTest t;
      t.num_bytes = Num(1 + r.Below(2));
      t.op = static_cast<ByteTest::Op>(r.Below(7));
      t.value = variables > 0 && r.Chance(30) ? Var(r.Below(variables)) : Num(r.Below(120));
      t.offset = offset();
      t.relative = r.Chance(50);
      t.negated = r.Chance(20);
      t.endian = endian();
      t.base = base();
      if (r.Chance(20)) t.bitmask = static_cast<uint32_t>(1 + r.Below(255));
      tests.emplace_back(t);
    } else if (kind < 89) {
      ByteJump t;
      t.num_bytes = Num(r.Chance(10) ? 0 : 1);
      t.offset = offset();
      t.relative = r.Chance(50);
      t.align = r.Chance(20);
      t.from_beginning = r.Chance(20);
      t.from_end = !t.from_beginning && r.Chance(10);
      t.endian = endian();
      t.base = base();
      if (r.Chance(20)) t.multiplier = 2;
      if (r.Chance(20)) t.bitmask = 3;
      if (r.Chance(30)) t.post_offset = r.Below(9) - 5;
      tests.emplace_back(t);
    } else if (kind < 95 && variables < 4) {
      ByteExtract t;
      t.num_bytes = 1;
      t.offset = offset();
      t.relative = r.Chance(50);
      t.base = base();
      t.endian = endian();
      if (r.Chance(20)) t.multiplier = 2;
      if (r.Chance(20)) t.align = r.Chance(50) ? 2 : 4;
      if (r.Chance(40)) t.bitmask = 7;
      t.variable = static_cast<uint32_t>(variables++);
      tests.emplace_back(t);
    } else if (kind < 97 && variables < 4) {
      ByteMath t;
      t.num_bytes = Num(1);
      t.offset = offset();
      t.rvalue = variables > 0 && r.Chance(30) ? Var(r.Below(variables)) : Num(r.Below(5));
      t.op = static_cast<ByteMath::Op>(r.Below(6));
      t.relative = r.Chance(50);
      t.base = base();
      t.variable = static_cast<uint32_t>(variables++);
      tests.emplace_back(t);
    } else if (kind == 97) {
      EntropyTest t;
      t.bytes = r.Chance(50) ? 0 : static_cast<uint32_t>(r.Below(6));
      t.offset = static_cast<uint32_t>(r.Below(4));
      t.test.op = static_cast<FloatTest::Op>(r.Below(6));
      t.test.value = r.Below(12) * 0.25 + 0.1;  // between what few letters can give
      tests.emplace_back(t);
    } else if (kind == 98) {
      Asn1Test t;
      t.bitstring_overflow = r.Chance(50);
      if (!t.bitstring_overflow || r.Chance(30)) t.oversize_length = static_cast<uint32_t>(r.Below(3));
      t.offset = Num(r.Below(6) - 2);
      t.relative = r.Chance(50);
      tests.emplace_back(t);
    } else {
      SizeTest t;
      t.test.op = static_cast<CompareOp>(r.Below(6));
      t.test.a = static_cast<uint64_t>(r.Below(20));
      tests.emplace_back(t);
    }
  }
  return tests;
}

bool Engine(const std::vector<BufferTest>& tests, const std::string& buffer) {
  CompileOptions no_limits;
  no_limits.pcre_match_limit = no_limits.pcre_depth_limit = 1u << 30;
  auto program = CompileRules({PayloadRule(1, tests)}, no_limits);
  DetectorOptions options;
  options.max_recursion = 1u << 30;
  Bench bench(program, options);
  return !bench.Send(buffer).empty();
}

std::string Escape(const std::string& s) {
  std::string out;
  for (unsigned char c : s)
    out += c >= 32 && c < 127 ? std::string(1, static_cast<char>(c)) : fmt::format("|{:02x}|", c);
  return out;
}
std::string Show(const Number& n) {
  return n.variable >= 0 ? fmt::format("var{}", n.variable) : fmt::format("{}", n.value);
}
std::string Show(const BufferTest& test) {
  if (const auto* t = std::get_if<ContentTest>(&test)) {
    std::string s = fmt::format("content:{}\"{}\"{}{}{}", t->negated ? "!" : "", Escape(t->bytes),
                                t->nocase ? " nocase" : "", t->starts_with ? " startswith" : "",
                                t->ends_with ? " endswith" : "");
    if (t->offset) s += " offset " + Show(*t->offset);
    if (t->depth) s += " depth " + Show(*t->depth);
    if (t->distance) s += " distance " + Show(*t->distance);
    if (t->within) s += " within " + Show(*t->within);
    return s;
  }
  if (const auto* t = std::get_if<PcreTest>(&test)) {
    return fmt::format("pcre:{}/{}/{}{}{}{}{}", t->negated ? "!" : "", t->pattern,
                       t->caseless ? "i" : "", t->dot_all ? "s" : "", t->multi_line ? "m" : "",
                       t->relative ? "R" : "", t->anchored ? "A" : "");
  }
  if (const auto* t = std::get_if<ByteTest>(&test)) {
    return fmt::format("byte_test {} op {} {} at {} relative {} negated {} mask {} base {}",
                       Show(t->num_bytes), static_cast<int>(t->op), Show(t->value), Show(t->offset),
                       t->relative, t->negated, t->bitmask, static_cast<int>(t->base));
  }
  if (const auto* t = std::get_if<ByteJump>(&test)) {
    return fmt::format(
        "byte_jump {} at {} relative {} align {} begin {} end {} x{} mask {} post {} base {}",
        Show(t->num_bytes), Show(t->offset), t->relative, t->align, t->from_beginning, t->from_end,
        t->multiplier, t->bitmask, t->post_offset, static_cast<int>(t->base));
  }
  if (const auto* t = std::get_if<IsDataAtTest>(&test))
    return fmt::format("isdataat:{}{} relative {}", t->negated ? "!" : "", Show(t->offset),
                       t->relative);
  if (const auto* t = std::get_if<SizeTest>(&test))
    return fmt::format("bsize op {} {}", static_cast<int>(t->test.op), t->test.a);
  return fmt::format("test kind {}", test.index());
}

// Drops tests and bytes as long as the two still disagree.
void Shrink(std::vector<BufferTest>* tests, std::string* buffer) {
  const auto differ = [](const std::vector<BufferTest>& t, const std::string& b) {
    if (t.empty() || b.empty()) return false;
    Oracle oracle(t, b);
    const bool says = oracle.Matches();
    return !oracle.gave_up() && Engine(t, b) != says;
  };
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < tests->size(); ++i) {
      auto fewer = *tests;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      if (differ(fewer, *buffer)) *tests = fewer, again = true;
    }
    for (size_t i = 0; i < buffer->size(); ++i) {
      std::string shorter = *buffer;
      shorter.erase(i, 1);
      if (differ(*tests, shorter)) *buffer = shorter, again = true;
    }
  }
}

TEST(MatchLaw, EngineAgreesWithTheOracle) {
  size_t matched = 0, cases = 0;
  uint32_t engines[4] = {};
  for (int n = 0; n < kPrograms; ++n) {
    Random r(static_cast<uint32_t>(n) + 1);
    std::vector<Rule> rules;
    for (int i = 0; i < kRulesEach; ++i)
      rules.push_back(PayloadRule(static_cast<uint32_t>(i + 1), RandomTests(r)));
    CompileOptions no_limits;
    no_limits.pcre_match_limit = no_limits.pcre_depth_limit = 1u << 30;
    auto program = CompileRules(rules, no_limits);
    ASSERT_TRUE(program);
    ASSERT_TRUE(program->problems().empty()) << program->problems()[0].message;
    engines[1] += program->summary().regex_hyperscan;
    engines[2] += program->summary().regex_re2;
    engines[3] += program->summary().regex_pcre2;
    DetectorOptions options;
    options.max_recursion = 1u << 30;
    options.max_alerts = 255;
    Bench bench(program, options);
    for (int b = 0; b < kBuffersEach; ++b) {
      const std::string buffer = r.Text(1, 20);
      const Sids sids = bench.Send(buffer);
      for (const Rule& rule : rules) {
        std::vector<BufferTest> tests = rule.inspections[0].tests;
        const bool engine = std::find(sids.begin(), sids.end(), rule.sid) != sids.end();
        Oracle obvious(tests, buffer);
        const bool oracle = obvious.Matches();
        if (obvious.gave_up()) continue;
        ++cases;
        matched += oracle;
        if (engine == oracle) continue;
        std::string shrunk = buffer;
        Shrink(&tests, &shrunk);
        std::string text;
        for (const BufferTest& t : tests) text += "\n  " + Show(t);
        FAIL() << "program " << n << " sid " << rule.sid << ": engine says " << engine
               << ", oracle " << oracle << "; on \"" << Escape(shrunk) << "\":" << text;
      }
    }
  }
  // The law is empty if nothing ever matches, or one engine is never asked.
  EXPECT_GE(cases, 20000u);
  EXPECT_GT(matched, cases / 100);
  EXPECT_LT(matched, cases / 2);
  for (int e = 1; e < 4; ++e) EXPECT_GT(engines[e], 20u) << e;
}

// A repeated field matches if one of its values does, in whichever calls they come.
TEST(MatchLaw, RepeatedFieldIsAnyOfItsValues) {
  TestProtocol p;
  size_t matched = 0, cases = 0;
  for (uint32_t n = 0; n < 20; ++n) {
    Random r(1000 + n);
    std::vector<Rule> rules;
    for (uint32_t i = 0; i < 40; ++i) {
      rules.push_back(FieldRule(i + 1, 1, RandomTests(r)));
      rules.back().num_variables = 4;
    }
    CompileOptions options = p.options();
    options.pcre_match_limit = options.pcre_depth_limit = 1u << 30;
    DetectorOptions detector;
    detector.max_recursion = 1u << 30;
    detector.max_alerts = 255;
    Bench bench(CompileRules(rules, options), detector);
    for (int b = 0; b < 30; ++b) {
      TestTransaction t(p);
      std::vector<std::string> values;
      Sids sids;
      for (int v = 1 + r.Below(3); v > 0; --v) {
        values.push_back(r.Text(1, 16));
        t.Add(1, values.back());
        if (v > 1 && r.Chance(50)) continue;
        for (uint32_t sid : bench.Look(t.tx)) sids.push_back(sid);
      }
      for (const Rule& rule : rules) {
        bool any = false, gave_up = false;
        for (const std::string& value : values) {
          Oracle oracle(rule.inspections[0].tests, value);
          any |= oracle.Matches();
          gave_up |= oracle.gave_up();
        }
        if (gave_up) continue;
        ++cases;
        matched += any;
        EXPECT_EQ(std::count(sids.begin(), sids.end(), rule.sid), any ? 1 : 0)
            << "program " << n << " sid " << rule.sid << " " << Show(rule.inspections[0].tests[0]);
      }
    }
  }
  EXPECT_GE(cases, 20000u);
  EXPECT_GT(matched, cases / 100);
}

// What is explained is what happened: a rule matches exactly when each of its steps
// holds, and watching changes nothing.
class KeepLooks : public RuleWatcher {
 public:
  void OnLook(const PacketContext&, const RuleLook& look) override {
    ++looks;
    matched = look.matched;
    all_hold = look.held() == look.steps.size();
    for (const RuleLook::Step& step : look.steps) {
      for (const BufferLook& buffer : step.buffers) {
        EXPECT_EQ(buffer.matched, buffer.trace.failed_at == buffer.trace.tests.size());
        for (size_t t = 0; t < buffer.trace.failed_at; ++t) EXPECT_TRUE(buffer.trace.tests[t].passed);
      }
    }
  }
  size_t looks = 0;
  bool matched = false, all_hold = false;
};

TEST(MatchLaw, AnExplanationSaysWhatHappened) {
  size_t matched = 0, cases = 0;
  for (uint32_t n = 0; n < 40; ++n) {
    Random r(5000 + n);
    const std::vector<BufferTest> tests = RandomTests(r);
    CompileOptions no_limits;
    no_limits.pcre_match_limit = no_limits.pcre_depth_limit = 1u << 30;
    const auto program = CompileRules({PayloadRule(1, tests)}, no_limits);
    DetectorOptions options;
    options.max_recursion = 1u << 30;
    Bench watched(program, options), alone(program, options);
    KeepLooks watcher;
    watched.detector.Watch(program->rules().rules[0], &watcher);
    for (int b = 0; b < 200; ++b) {
      const std::string buffer = r.Text(1, 20);
      const bool fires = !watched.Send(buffer).empty();
      ASSERT_EQ(fires, !alone.Send(buffer).empty());
      ++cases;
      matched += fires;
      ASSERT_EQ(watcher.looks, static_cast<size_t>(b) + 1);
      ASSERT_EQ(watcher.matched, fires);
      ASSERT_EQ(watcher.all_hold, fires) << "program " << n << " on \"" << Escape(buffer) << "\"";
    }
  }
  EXPECT_GT(matched, cases / 100);
}

}  // namespace
}  // namespace sluice::testing
