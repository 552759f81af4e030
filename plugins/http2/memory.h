// SPDX-License-Identifier: Apache-2.0
// plugins/http2/memory.h - memory for nghttp2's inflaters: each string of a header is a block.
//
// Blocks of up to 1 KiB are kept for the next one, 64 of each size a thread; larger ones come
// from malloc and go back.
// Threads: a block is given back in the thread that took it, as a flow's calls all are.
#pragma once

#include <nghttp2/nghttp2.h>

namespace http2 {

nghttp2_mem* PooledMemory();

}  // namespace http2
