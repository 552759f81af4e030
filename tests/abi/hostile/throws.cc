// A dissector of plugin.hpp that throws in one callback, chosen by HOSTILE_<CASE>.
// It takes streams that begin with "HOSTILE".
#include <sluice/plugin.hpp>

#include <stdexcept>

namespace {

using namespace sluice;

void Throw() { throw std::runtime_error("as a dissector must not"); }

constexpr sluice_field kFields[] = {{"hostile.note", nullptr, nullptr, "note", "what was sent",
                                     SLUICE_BYTES, 0, SLUICE_DIR_BOTH, 1, nullptr, nullptr}};
constexpr const char* kStages[] = {"started", "complete"};

class Throws {
 public:
  static int32_t Init() {
#ifdef HOSTILE_THROWS_IN_INIT
    Throw();
#endif
    return 0;
  }
  explicit Throws(Flow) {
#ifdef HOSTILE_THROWS_IN_FLOW_NEW
    Throw();
#endif
  }
  static int32_t Probe(const sluice_probe_input& input) {
    if (!ToView(input.head).starts_with("HOSTILE")) return SLUICE_PROBE_NO;
#ifdef HOSTILE_THROWS_IN_PROBE
    Throw();
#endif
    return SLUICE_PROBE_YES;
  }
  ParseResult Parse(Flow flow, uint32_t direction, View in) {
    const uint64_t tx = flow.Begin(1u << direction);
    flow.Set(tx, 0, in.substr(0, 16));
    flow.Stage(tx, direction, 1);
#ifdef HOSTILE_THROWS_IN_PARSE
    Throw();
#endif
    return Ok(in.size());
  }
  bool Gap(Flow, uint32_t, uint64_t) {
#ifdef HOSTILE_THROWS_IN_GAP
    Throw();
#endif
    return true;
  }
  void End(Flow, uint32_t, View) {
#ifdef HOSTILE_THROWS_IN_END
    Throw();
#endif
  }
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Throws>("hostile", "throws")
        .Fields(kFields).Stages(kStages);
