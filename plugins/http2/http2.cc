// SPDX-License-Identifier: Apache-2.0
// plugins/http2/http2.cc - the plug-in: exported struct.  connection.h has the protocol,
// fields.h the schema.
#include <sluice/plugin.hpp>

#include "connection.h"

// rules for http mean both, and its keywords are shared
extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<http2::Connection>("http2", "Hypertext Transfer Protocol 2")
        .Version("1.0").Aliases("http").LogName("http").Ports("tcp/80 tcp/8080")
        .Fields(http2::kFields).Events(http2::kEvents)
        .Stages(http2::kRequestStages, http2::kResponseStages);
