// SPDX-License-Identifier: Apache-2.0
// plugins/ftp-data/ftp_data.cc - FTP's data connections (RFC 959 section 3): one file each, of the
// name and in the direction that the control connection told.
//
// Threads: confined to the flow's worker.  Memory: a few words per flow; bytes go through.
// Bad input: any bytes are a file; those of the other direction are passed by.
#include <cstdint>
#include <iterator>

#include "plugins/lib/ftp_transfer.h"

namespace {

using sluice::Flow;
using sluice::FtpTransfer;
using sluice::View;

enum Field : uint32_t { kFilename, kCommandName, kCommand, kNumFields };
enum Stage : uint32_t { kStarted, kComplete };

constexpr uint32_t kAny = SLUICE_DIR_BOTH;
constexpr sluice_enum_name kCommands[] = {{FtpTransfer::kRetrieve, "retr"}, {FtpTransfer::kStore, "stor"}, {0, nullptr}};
constexpr sluice_field kFields[] = {
    {nullptr, nullptr, nullptr, "filename", "name of the file, as the command gave it", SLUICE_BYTES, 0, kAny, kStarted,
     nullptr, nullptr},
    {nullptr, nullptr, nullptr, "command", "RETR or STOR", SLUICE_BYTES, 0, kAny, kStarted, nullptr, nullptr},
    {"ftpdata_command", nullptr, nullptr, nullptr, "whether the client gets the file (retr) or sends it (stor)",
     SLUICE_ENUM, 0, kAny, kStarted, kCommands, nullptr},
};
static_assert(std::size(kFields) == kNumFields);
constexpr const char* kStages[] = {"started", "complete"};

class Transfer {
 public:
  explicit Transfer(Flow flow) {
    const auto told = FtpTransfer::Unpack(flow.Context());
    if (told) direction_ = told->direction;
  }
  void Restart(Flow flow) { *this = Transfer(flow); }
  // Its first bytes could be anything: the control connection announces the flow.
  static int32_t Probe(const sluice_probe_input&) { return SLUICE_PROBE_NO; }

  sluice::ParseResult Parse(Flow flow, uint32_t direction, View in) {
    if (direction == direction_) {
      if (!begun_) Begin(flow);
      if (file_ > 0) flow.FileData(file_, in);
    }
    return sluice::Ok(in.size());
  }

  bool Gap(Flow flow, uint32_t direction, uint64_t bytes) {
    if (direction != direction_) return true;
    if (!begun_) Begin(flow);
    if (file_ > 0) flow.FileGap(file_, bytes);
    return true;
  }

  void End(Flow flow, uint32_t direction, View) {
    if (direction != direction_ || !begun_) return;
    if (file_ > 0) flow.FileClose(file_, SLUICE_FILE_COMPLETE);
    flow.Stage(tx_, direction_, kComplete);
  }

 private:
  void Begin(Flow flow) {
    begun_ = true;
    const auto told = FtpTransfer::Unpack(flow.Context());
    tx_ = flow.Begin(direction_ == SLUICE_TO_SERVER ? uint32_t{SLUICE_TX_TO_SERVER} : uint32_t{SLUICE_TX_TO_CLIENT});
    if (told) {
      flow.Set(tx_, kFilename, told->name);
      flow.Set(tx_, kCommandName, told->command == FtpTransfer::kRetrieve ? "RETR" : "STOR");
      flow.SetUint(tx_, kCommand, told->command);
    }
    file_ = flow.FileOpen(tx_, direction_, told ? told->name : View());
  }

  uint32_t direction_ = SLUICE_TO_SERVER;  // of the file
  bool begun_ = false;
  uint64_t tx_ = SLUICE_NO_TX;
  int64_t file_ = 0;  // not above 0: none, at a limit
};

}  // namespace

extern "C" SLUICE_EXPORT constexpr sluice_plugin sluice_plugin_v1 =
    sluice::MakePlugin<Transfer>("ftp-data", "File Transfer Protocol: data connections")
        .Version("1.0").LogName("ftp_data").RecordTypes("ftp ftp_data").Fields(kFields).Stages(kStages);
