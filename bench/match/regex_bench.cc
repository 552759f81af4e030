// What workers that share one RE2 object cost each other: RE2 takes a reader's lock on the
// cache of its automaton for each search.
#include <benchmark/benchmark.h>
#include <re2/re2.h>

#include <string>

namespace {

const char kExpression[] = "(?:id|user|token)=[0-9a-f]{16,}&";

// What a rule's expression sees behind its content: some hundred bytes.
std::string Subject() {
  std::string text;
  while (text.size() < 400) text += "name=value&other=0123456789&";
  return text + "token=0123456789abcdef0123&";
}

void Search(benchmark::State& state, const RE2& expression) {
  const std::string subject = Subject();
  for (auto _ : state) benchmark::DoNotOptimize(RE2::PartialMatch(subject, expression));
}

void BM_SharedExpression(benchmark::State& state) {
  static const RE2 kShared(kExpression);
  Search(state, kShared);
}
BENCHMARK(BM_SharedExpression)->Threads(1)->Threads(2)->UseRealTime();

void BM_OwnExpression(benchmark::State& state) {
  const RE2 own(kExpression);
  Search(state, own);
}
BENCHMARK(BM_OwnExpression)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
