// The line dissector apart: plugin.hpp and the engine both have a Flow.
#include "tests/support/line_plugin.h"

namespace sluice::testing {

sluice_plugin MakeLinePlugin() { return LinePlugin(); }

}  // namespace sluice::testing
