// SPDX-License-Identifier: Apache-2.0
// plugins/http2/connection.h - one HTTP/2 connection (RFC 9113), header blocks by
// nghttp2's inflater (RFC 7541).
//
// A stream is a transaction; so is each frame of stream 0.  DATA is handed on in the
// pieces it comes in; header blocks are decoded as they come, over any frames.
//
// Threads: confined to the flow's worker.  Memory: the inflaters' tables, the headers of
// one block per direction, the open streams; bounded by the limits below.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "../http/content_coding.h"
#include "../http/framing.h"
#include "fields.h"
#include "upgrade.h"

namespace http2 {

using sluice::Flow;
using sluice::View;

inline constexpr uint32_t kMaxStreams = 512;         // open at a time
inline constexpr uint32_t kMaxBlockFrames = 128;     // CONTINUATIONs of one header block
inline constexpr size_t kMaxBlockBytes = 256 * 1024; // decoded, of one header block
inline constexpr size_t kMaxBlockHeaders = 1024;
inline constexpr uint32_t kMaxControl = 65536;       // bytes of a frame that is collected
inline constexpr uint64_t kMaxDnsMessage = 65535;    // bytes (RFC 8484 §6)
inline constexpr uint32_t kRapidResets = 100;        // unanswered resets, then an event
inline constexpr size_t kMaxResetOpen = 16;          // streams that the client has reset and the server not ended

class Connection {
 public:
  explicit Connection(Flow flow);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  static int32_t Probe(const sluice_probe_input& input);
  sluice::ParseResult Parse(Flow flow, uint32_t direction, View in);
  bool Gap(Flow flow, uint32_t direction, uint64_t bytes);
  void End(Flow flow, uint32_t direction, View rest);

 private:
  class Sink;
  struct Frame {
    uint32_t length = 0, stream = 0;
    uint8_t type = 0, flags = 0;
  };
  struct Half {  // one direction of a stream
    bool headers = false, ended = false, body_open = false, drop_rest = false;
    bool weighted = false;  // it was given a weight
    bool dns = false;  // DNS over HTTPS (RFC 8484)
    int64_t file = 0;
    uint64_t bytes = 0;  // of the body, as sent
    bool partial = false;      // 206: the body is `range` of something larger
    http::ContentRange range;
    std::string disposition, encoding, content_type;
    std::unique_ptr<http::ContentDecoder> decoder;
    void Clear() {  // keeps the room of its strings
      headers = ended = body_open = drop_rest = weighted = dns = partial = false;
      range = {};
      file = 0;
      bytes = 0;
      for (std::string* text : {&disposition, &encoding, &content_type}) text->clear();
      decoder.reset();
    }
  };
  struct Stream {
    uint32_t id = 0;
    uint64_t tx = SLUICE_NO_TX;
    std::string path;
    std::string host, query;  // with the path: what a part is a part of
    Half half[2];
    bool reset = false;  // by the client, while its response may be under way
  };
  struct Header {
    std::string name, value;
  };
  struct SizeUpdate {  // at the front of a header block, perhaps cut by a segment
    bool within = false, over = false;
    uint32_t shift = 0;
    uint64_t value = 0;
  };
  struct Side {
    enum class Part : uint8_t { kMagic, kFrame, kPrefix, kBlock, kData, kControl, kSkip };
    Part part = Part::kFrame;
    Frame frame;
    uint32_t left = 0, pad = 0;         // of the payload; of what is skipped behind it
    nghttp2_hd_inflater* inflater = nullptr;
    // The header block in progress; stream 0: none.
    uint32_t block_stream = 0, block_frames = 0;
    size_t block_bytes = 0, num_headers = 0;
    SizeUpdate size_update;
    uint32_t max_table = 4096;          // what the other side's settings allow
    bool block_ends_stream = false, block_is_request = true;
    std::vector<Header> headers;        // num_headers in use
    uint32_t last_stream = 0;           // highest opened by this side
  };
  static constexpr size_t kMore = SIZE_MAX, kError = SIZE_MAX - 1;

  size_t Step(Flow flow, uint32_t d, View in);
  size_t Magic(Flow flow, uint32_t d, View in);
  size_t FrameHeader(Flow flow, uint32_t d, View in);
  size_t Prefix(Flow flow, uint32_t d, View in);
  size_t Block(Flow flow, uint32_t d, View in);
  void SizeUpdates(Flow flow, uint32_t d, View in);
  size_t Control(Flow flow, uint32_t d, View in);
  void Payload(Flow flow, uint32_t d, uint32_t prefix, uint32_t pad);
  void EndOfFrame(Flow flow, uint32_t d);
  bool Inflate(Flow flow, uint32_t d, View in, bool final);
  bool AddHeader(Side& side, const nghttp2_nv& nv);
  void EndOfBlock(Flow flow, uint32_t d);
  void Settings(Flow flow, uint32_t d, uint64_t tx, View payload);
  void Weigh(Flow flow, uint32_t d, uint64_t tx, uint32_t weight);

  void BeginUpgraded(Flow flow, const UpgradeRequest& request);
  Stream* Find(uint32_t id);
  Stream* Open(Flow flow, uint32_t id);
  uint64_t TxFor(Flow flow, uint32_t d, const Frame& frame);
  uint64_t BeginTx(Flow flow, uint32_t id, uint32_t flags);
  void EmitHeaders(Flow flow, Stream& stream, bool request, const Side& side);
  void EmitLine(Flow flow, uint64_t tx, bool request, const Side& side);
  void EmitPseudo(Flow flow, Stream& stream, const Header& header);
  void EmitHosts(Flow flow, Stream& stream, const Side& side);
  void Data(Flow flow, uint32_t d, View bytes);
  void OpenBody(Flow flow, uint32_t d, Stream& stream);
  void EndHalf(Flow flow, uint32_t d, Stream& stream, bool complete);
  void Reset(Flow flow, uint32_t d, Stream& stream);
  void Forget(uint32_t id);

  Side side_[2];
  std::vector<std::unique_ptr<Stream>> streams_, spare_;
  uint32_t resets_ = 0;
  bool too_many_ = false;
  std::string scratch_, names_;
};

}  // namespace http2
