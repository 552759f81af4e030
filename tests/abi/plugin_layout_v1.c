/* SPDX-License-Identifier: Apache-2.0
 * tests/abi/plugin_layout_v1.c - the layout of ABI 1.x on LP64; compiling it is the test.
 * A minor version may append rows; it never changes one. */
#include <sluice/plugin.h>

#define FIELD(type, name, offset, size)                                  \
  _Static_assert(offsetof(type, name) == (offset), #type "." #name);     \
  _Static_assert(sizeof(((type *)0)->name) == (size), #type "." #name)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

SIZE(sluice_slice, 16);
FIELD(sluice_slice, data, 0, 8);
FIELD(sluice_slice, len, 8, 8);
SIZE(sluice_enum_name, 16);
FIELD(sluice_enum_name, value, 0, 8);
FIELD(sluice_enum_name, name, 8, 8);
SIZE(sluice_field, 72);
FIELD(sluice_field, keyword, 0, 8);
FIELD(sluice_field, aliases, 8, 8);
FIELD(sluice_field, modifiers, 16, 8);
FIELD(sluice_field, log, 24, 8);
FIELD(sluice_field, help, 32, 8);
FIELD(sluice_field, type, 40, 4);
FIELD(sluice_field, flags, 44, 4);
FIELD(sluice_field, directions, 48, 4);
FIELD(sluice_field, stage, 52, 4);
FIELD(sluice_field, names, 56, 8);
FIELD(sluice_field, transform, 64, 8);
SIZE(sluice_event, 16);
FIELD(sluice_event, name, 0, 8);
FIELD(sluice_event, help, 8, 8);
SIZE(sluice_flow_info, 72);
FIELD(sluice_flow_info, struct_size, 0, 4);
FIELD(sluice_flow_info, transport, 4, 4);
FIELD(sluice_flow_info, ip_version, 8, 4);
FIELD(sluice_flow_info, port, 12, 4);
FIELD(sluice_flow_info, address, 16, 32);
FIELD(sluice_flow_info, from_protocol, 48, 8);
FIELD(sluice_flow_info, context, 56, 16); /* 1.1 */
SIZE(sluice_host, 208);
FIELD(sluice_host, struct_size, 0, 4);
FIELD(sluice_host, abi_minor, 4, 4);
FIELD(sluice_host, option, 8, 8);
FIELD(sluice_host, log, 16, 8);
FIELD(sluice_host, wanted, 24, 8);
FIELD(sluice_host, tx_begin, 32, 8);
FIELD(sluice_host, set_bytes, 40, 8);
FIELD(sluice_host, set_uint, 48, 8);
FIELD(sluice_host, set_int, 56, 8);
FIELD(sluice_host, set_chunk, 64, 8);
FIELD(sluice_host, log_open, 72, 8);
FIELD(sluice_host, log_close, 80, 8);
FIELD(sluice_host, tx_stage, 88, 8);
FIELD(sluice_host, event, 96, 8);
FIELD(sluice_host, file_open, 104, 8);
FIELD(sluice_host, file_data, 112, 8);
FIELD(sluice_host, file_close, 120, 8);
FIELD(sluice_host, handover, 128, 8);
FIELD(sluice_host, budget, 136, 8);
FIELD(sluice_host, now, 144, 8);
FIELD(sluice_host, flow_info, 152, 8);
FIELD(sluice_host, tx_log, 160, 8);
FIELD(sluice_host, file_gap, 168, 8);
FIELD(sluice_host, handover_with, 176, 8); /* 1.1 */
FIELD(sluice_host, file_part, 184, 8);     /* 1.1 */
FIELD(sluice_host, encrypted, 192, 8);     /* 1.1 */
FIELD(sluice_host, expect, 200, 8);        /* 1.1 */
SIZE(sluice_expectation, 80);
FIELD(sluice_expectation, struct_size, 0, 4);
FIELD(sluice_expectation, transport, 4, 4);
FIELD(sluice_expectation, ip_version, 8, 4);
FIELD(sluice_expectation, port, 12, 4);
FIELD(sluice_expectation, address, 16, 32);
FIELD(sluice_expectation, lifetime, 48, 8);
FIELD(sluice_expectation, protocol, 56, 8);
FIELD(sluice_expectation, context, 64, 16);
SIZE(sluice_field_form, 48);
FIELD(sluice_field_form, field, 0, 4);
FIELD(sluice_field_form, reserved, 4, 4);
FIELD(sluice_field_form, log_name, 8, 8);
FIELD(sluice_field_form, content_keywords, 16, 8);
FIELD(sluice_field_form, content_pattern, 24, 8);
FIELD(sluice_field_form, store_suffix, 32, 8);
FIELD(sluice_field_form, list, 40, 8);
SIZE(sluice_probe_input, 32);
FIELD(sluice_probe_input, struct_size, 0, 4);
FIELD(sluice_probe_input, transport, 4, 4);
FIELD(sluice_probe_input, direction, 8, 4);
FIELD(sluice_probe_input, port, 12, 4);
FIELD(sluice_probe_input, head, 16, 16);
SIZE(sluice_parse_result, 12);
FIELD(sluice_parse_result, status, 0, 4);
FIELD(sluice_parse_result, consumed, 4, 4);
FIELD(sluice_parse_result, needed, 8, 4);
SIZE(sluice_plugin, 208);
FIELD(sluice_plugin, struct_size, 0, 4);
FIELD(sluice_plugin, abi_minor, 4, 4);
FIELD(sluice_plugin, name, 8, 8);
FIELD(sluice_plugin, help, 16, 8);
FIELD(sluice_plugin, version, 24, 8);
FIELD(sluice_plugin, transports, 32, 4);
FIELD(sluice_plugin, log_source, 36, 4);
FIELD(sluice_plugin, ports, 40, 8);
FIELD(sluice_plugin, fields, 48, 8);
FIELD(sluice_plugin, num_fields, 56, 4);
FIELD(sluice_plugin, field_size, 60, 4);
FIELD(sluice_plugin, events, 64, 8);
FIELD(sluice_plugin, num_events, 72, 4);
FIELD(sluice_plugin, event_size, 76, 4);
FIELD(sluice_plugin, stages, 80, 16);
FIELD(sluice_plugin, num_stages, 96, 8);
FIELD(sluice_plugin, init, 104, 8);
FIELD(sluice_plugin, fini, 112, 8);
FIELD(sluice_plugin, probe, 120, 8);
FIELD(sluice_plugin, flow_new, 128, 8);
FIELD(sluice_plugin, flow_free, 136, 8);
FIELD(sluice_plugin, parse, 144, 8);
FIELD(sluice_plugin, gap, 152, 8);
FIELD(sluice_plugin, end, 160, 8);
FIELD(sluice_plugin, aliases, 168, 8);
FIELD(sluice_plugin, log_name, 176, 8);
FIELD(sluice_plugin, forms, 184, 8);
FIELD(sluice_plugin, num_forms, 192, 4);
FIELD(sluice_plugin, form_size, 196, 4);
FIELD(sluice_plugin, record_types, 200, 8);

int main(void) { return 0; }
