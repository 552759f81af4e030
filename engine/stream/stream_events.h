// engine/stream/stream_events.h
// What is odd about a TCP segment, under the names that rules (stream-event), EVE
// (anomaly) and counters (stream.<name>) use.
// Threads: constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

// X(enumerator, name): of the handshake, of the connection, of its end, of any state, of
// the bytes.
#define SLUICE_STREAM_EVENTS(X)                                                    \
  X(k3whsAckInWrongDir, "3whs_ack_in_wrong_dir")                                   \
  X(k3whsAsyncWrongSeq, "3whs_async_wrong_seq")                                    \
  X(k3whsRightSeqWrongAck, "3whs_right_seq_wrong_ack_evasion")                     \
  X(k3whsWrongSeqWrongAck, "3whs_wrong_seq_wrong_ack")                             \
  X(k3whsSynackInWrongDirection, "3whs_synack_in_wrong_direction")                 \
  X(k3whsSynackResendDifferentAck, "3whs_synack_resend_with_different_ack")        \
  X(k3whsSynackResendDifferentSeq, "3whs_synack_resend_with_diff_seq")             \
  X(k3whsSynackToServer, "3whs_synack_toserver_on_syn_recv")                       \
  X(k3whsSynackWrongAck, "3whs_synack_with_wrong_ack")                             \
  X(k3whsSynackFlood, "3whs_synack_flood")                                         \
  X(k3whsSynResendDifferentSeq, "3whs_syn_resend_diff_seq_on_syn_recv")            \
  X(k3whsSynToClient, "3whs_syn_toclient_on_syn_recv")                             \
  X(k3whsSynFlood, "3whs_syn_flood")                                               \
  X(k3whsSynackTfoDataIgnored, "3whs_synack_tfo_data_ignored")                     \
  X(k3whsAckDataInject, "3whs_ack_data_inject")                                    \
  X(k4whsSynackWrongAck, "4whs_synack_with_wrong_ack")                             \
  X(k4whsSynackWrongSyn, "4whs_synack_with_wrong_syn")                             \
  X(k4whsWrongSeq, "4whs_wrong_seq")                                               \
  X(k4whsInvalidAck, "4whs_invalid_ack")                                           \
  X(kEstPacketOutOfWindow, "est_packet_out_of_window")                             \
  X(kEstPktBeforeLastAck, "est_pkt_before_last_ack")                               \
  X(kEstSynackResend, "est_synack_resend")                                         \
  X(kEstSynackResendDifferentAck, "est_synack_resend_with_different_ack")          \
  X(kEstSynackResendDifferentSeq, "est_synack_resend_with_diff_seq")               \
  X(kEstSynackToServer, "est_synack_toserver")                                     \
  X(kEstSynResend, "est_syn_resend")                                               \
  X(kEstSynResendDifferentSeq, "est_syn_resend_diff_seq")                          \
  X(kEstSynToClient, "est_syn_toclient")                                           \
  X(kEstInvalidAck, "est_invalid_ack")                                             \
  X(kFinInvalidAck, "fin_invalid_ack")                                             \
  X(kFinOutOfWindow, "fin_out_of_window")                                          \
  X(kFinSyn, "fin_syn")                                                            \
  X(kFin1AckWrongSeq, "fin1_ack_wrong_seq")                                        \
  X(kFin1FinWrongSeq, "fin1_fin_wrong_seq")                                        \
  X(kFin1InvalidAck, "fin1_invalid_ack")                                           \
  X(kFin2AckWrongSeq, "fin2_ack_wrong_seq")                                        \
  X(kFin2FinWrongSeq, "fin2_fin_wrong_seq")                                        \
  X(kFin2InvalidAck, "fin2_invalid_ack")                                           \
  X(kCloseWaitAckOutOfWindow, "closewait_ack_out_of_window")                       \
  X(kCloseWaitFinOutOfWindow, "closewait_fin_out_of_window")                       \
  X(kCloseWaitPktBeforeLastAck, "closewait_pkt_before_last_ack")                   \
  X(kCloseWaitInvalidAck, "closewait_invalid_ack")                                 \
  X(kClosingAckWrongSeq, "closing_ack_wrong_seq")                                  \
  X(kClosingInvalidAck, "closing_invalid_ack")                                     \
  X(kLastAckAckWrongSeq, "lastack_ack_wrong_seq")                                  \
  X(kLastAckInvalidAck, "lastack_invalid_ack")                                     \
  X(kTimeWaitAckWrongSeq, "timewait_ack_wrong_seq")                                \
  X(kTimeWaitInvalidAck, "timewait_invalid_ack")                                   \
  X(kShutdownSynResend, "shutdown_syn_resend")                                     \
  X(kFinButNoSession, "fin_but_no_session")                                        \
  X(kRstButNoSession, "rst_but_no_session")                                        \
  X(kRstInvalidAck, "rst_invalid_ack")                                             \
  X(kSuspectedRstInject, "suspected_rst_inject")                                   \
  X(kPktInvalidTimestamp, "pkt_invalid_timestamp")                                 \
  X(kPktInvalidAck, "pkt_invalid_ack")                                             \
  X(kPktBrokenAck, "pkt_broken_ack")                                               \
  X(kPktBadWindowUpdate, "pkt_bad_window_update")                                  \
  X(kPktRetransmission, "pkt_retransmission")                                      \
  X(kPktSpuriousRetransmission, "pkt_spurious_retransmission")                     \
  X(kReassemblySegmentBeforeBaseSeq, "reassembly_segment_before_base_seq")         \
  X(kReassemblySeqGap, "reassembly_seq_gap")                                       \
  X(kReassemblyOverlapDifferentData, "reassembly_overlap_different_data")          \
  X(kReassemblyDepthReached, "reassembly_depth_reached")                           \
  X(kReassemblyInsertMemcap, "reassembly_insert_memcap")                           \
  X(kReassemblyInsertLimit, "reassembly_insert_limit")                             \
  X(kReassemblyUrgentOobLimitReached, "reassembly_urgent_oob_limit_reached")

enum class StreamEvent : uint8_t {
#define SLUICE_STREAM_EVENT(enumerator, name) enumerator,
  SLUICE_STREAM_EVENTS(SLUICE_STREAM_EVENT)
#undef SLUICE_STREAM_EVENT
  kMax,
};
inline constexpr size_t kNumStreamEvents = static_cast<size_t>(StreamEvent::kMax);

const char* StreamEventName(StreamEvent event) noexcept;

}  // namespace sluice
