#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/tap/tap_impl.h"

namespace sluice {
namespace {

constexpr Nanos kNap = std::chrono::microseconds{50};
constexpr int kNapsBeforeSleep = 40;       // about 2 ms
constexpr unsigned long kTimerSlack = 1000;  // ns; the default of 50 us doubles every nap
constexpr int kBusySpins = 256;

void Nap(Nanos duration) {
  const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(duration.count())};
  nanosleep(&time, nullptr);
}

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// One pass over the ring, as linux/bpf.h lays records out: a 32-bit length with two flag bits, 32
// bits for the kernel, the data, padded to 8.
size_t Consume(RingReader::Impl& ring, void (*callback)(void*, const tap_record&), void* context) {
  auto* consumer_at = static_cast<uint64_t*>(ring.consumer_page.data());
  const auto* producer_at = static_cast<const uint64_t*>(ring.producer_pages.data());
  const auto* data = static_cast<const uint8_t*>(ring.producer_pages.data()) +
                     static_cast<size_t>(sysconf(_SC_PAGESIZE));
  uint64_t consumer = __atomic_load_n(consumer_at, __ATOMIC_RELAXED);
  // Pairs with the kernel's release; also orders the sleeping flag before this look.
  const uint64_t producer = __atomic_load_n(producer_at, __ATOMIC_ACQUIRE);
  size_t records = 0;
  while (consumer < producer && records < RingReader::kMaxRecords) {
    const uint8_t* header = data + (consumer & ring.mask);
    const uint32_t length =
        __atomic_load_n(reinterpret_cast<const uint32_t*>(header), __ATOMIC_ACQUIRE);
    if ((length & BPF_RINGBUF_BUSY_BIT) != 0) break;  // still being written
    if ((length & BPF_RINGBUF_DISCARD_BIT) == 0) {
      callback(context, *reinterpret_cast<const tap_record*>(header + BPF_RINGBUF_HDR_SZ));
      ++records;
    }
    const uint64_t bytes = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    consumer += (bytes + BPF_RINGBUF_HDR_SZ + 7) & ~uint64_t{7};
    __atomic_store_n(consumer_at, consumer, __ATOMIC_RELEASE);
  }
  return records;
}

}  // namespace

Result<std::unique_ptr<RingReader::Impl>> RingReader::Impl::Open(FileDescriptor ring,
                                                                 uint32_t ring_bytes,
                                                                 uint32_t* sleeping,
                                                                 PollMode mode) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto impl = std::make_unique<Impl>();
  auto consumer = Mapping::Map(ring.get(), page, true, 0, "ring");
  if (!consumer) return std::unexpected(consumer.error());
  auto producer = Mapping::Map(ring.get(), page + 2 * size_t{ring_bytes}, false, page, "ring");
  if (!producer) return std::unexpected(producer.error());
  impl->epoll = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  if (!impl->epoll || epoll_ctl(impl->epoll.get(), EPOLL_CTL_ADD, ring.get(), &event) != 0) {
    return Fail(ErrnoCode(errno), "ring: cannot be waited for: {}", ErrnoText(errno));
  }
  impl->ring = std::move(ring);
  impl->consumer_page = std::move(*consumer);
  impl->producer_pages = std::move(*producer);
  impl->mask = ring_bytes - 1;
  impl->sleeping = sleeping;
  impl->mode = mode;
  return impl;
}

RingReader::RingReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RingReader::RingReader(RingReader&&) noexcept = default;
RingReader& RingReader::operator=(RingReader&&) noexcept = default;
RingReader::~RingReader() = default;

uint64_t RingReader::Backlog() const noexcept {
  const auto* consumer = static_cast<const uint64_t*>(impl_->consumer_page.data());
  const auto* producer = static_cast<const uint64_t*>(impl_->producer_pages.data());
  return __atomic_load_n(producer, __ATOMIC_ACQUIRE) - __atomic_load_n(consumer, __ATOMIC_RELAXED);
}

size_t RingReader::PollWith(Nanos max_wait, Callback callback, void* context) {
  Impl& ring = *impl_;
  size_t records = Consume(ring, callback, context);
  if (records != 0 || max_wait <= Nanos{}) {
    if (records != 0) ring.empty_naps = 0;
    return records;
  }
  if (ring.mode == PollMode::kBusy) {
    for (int i = 0; i < kBusySpins && records == 0; ++i) {
      Relax();
      records = Consume(ring, callback, context);
    }
    return records;
  }
  if (!ring.slack_set) {  // of this thread, which is the worker
    prctl(PR_SET_TIMERSLACK, kTimerSlack, 0, 0, 0);
    ring.slack_set = true;
  }
  if (ring.empty_naps < kNapsBeforeSleep) {
    ++ring.empty_naps;
    Nap(std::min(max_wait, kNap));
    records = Consume(ring, callback, context);
  } else {
    // The flag first, then one more look: what comes in between wakes us.
    __atomic_store_n(ring.sleeping, 1u, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    records = Consume(ring, callback, context);
    if (records == 0) {
      epoll_event event{};
      const auto wait = std::chrono::ceil<std::chrono::milliseconds>(max_wait);
      epoll_wait(ring.epoll.get(), &event, 1, static_cast<int>(std::min<int64_t>(wait.count(), 1000)));
      records = Consume(ring, callback, context);
    }
    __atomic_store_n(ring.sleeping, 0u, __ATOMIC_SEQ_CST);
  }
  if (records != 0) ring.empty_naps = 0;
  return records;
}

Nanos MonotonicToWall() noexcept {
  timespec wall{};
  const Nanos before = MonotonicNow();
  clock_gettime(CLOCK_REALTIME, &wall);
  const Nanos after = MonotonicNow();
  return std::chrono::seconds{wall.tv_sec} + Nanos{wall.tv_nsec} - (before + after) / 2;
}

}  // namespace sluice
