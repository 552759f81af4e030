/* A dissector that breaks the contract in one way, chosen by HOSTILE_<CASE>: the
 * default is a well-behaved one.  It takes streams that begin with "HOSTILE".
 * Pure C: what the header asks of any language. */
#define _POSIX_C_SOURCE 199309L
#include <sluice/plugin.h>

#include <string.h>
#include <time.h>

enum { NOTE, COUNT, BODY, GROUP, NUM_FIELDS };
enum { STARTED, COMPLETE };

#ifdef HOSTILE_TAKEN_KEYWORD
#define KEYWORD "http.uri"
#else
#define KEYWORD "hostile.note"
#endif
#ifdef HOSTILE_UNKNOWN_TYPE
#define NOTE_TYPE 77
#else
#define NOTE_TYPE SLUICE_BYTES
#endif

/* Rows as a newer header might have them: the stride is told by field_size. */
typedef struct wide_field {
	sluice_field field;
	const char *newer[4];
} wide_field;
#define ROW(keyword, log, type)                                                              \
	{                                                                                    \
		{ keyword, NULL, NULL, log, "a field", type, 0, SLUICE_DIR_BOTH, COMPLETE, NULL, NULL }, \
		{ "junk", "junk", "junk", "junk" }                                           \
	}
static const wide_field fields[NUM_FIELDS] = {
	ROW(KEYWORD, "note", NOTE_TYPE),
	ROW("hostile.count", "count", SLUICE_UINT),
	ROW("hostile.body", NULL, SLUICE_CHUNKS),
	ROW(NULL, "group", SLUICE_GROUP),
};
static const sluice_event events[] = { { "odd", "an event" } };
static const char *const stages[] = { "started", "complete" };

static const sluice_host *host;
static int state; /* flow_new needs something to point to */

static void sleep_ms(long ms)
{
	struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

static int32_t init(const sluice_host *given)
{
	host = given;
	host->log(2, "loaded");
#ifdef HOSTILE_INIT_FAILS
	return -13; /* -EACCES */
#endif
	return host->option("no-such-option") == NULL ? 0 : -1;
}

static int32_t probe(const sluice_probe_input *in)
{
	const size_t len = in->head.len < 7 ? in->head.len : 7;

	if (memcmp(in->head.data, "HOSTILE", len) != 0)
		return SLUICE_PROBE_NO;
#ifdef HOSTILE_PROBE_NEVER_DECIDES
	return SLUICE_PROBE_MAYBE;
#elif defined(HOSTILE_PROBE_ODD_ANSWER)
	return 42;
#elif defined(HOSTILE_PROBE_SLOW)
	sleep_ms(30);
	return SLUICE_PROBE_MAYBE;
#endif
	return len == 7 ? SLUICE_PROBE_YES : SLUICE_PROBE_MAYBE;
}

static void *flow_new(sluice_flow *flow)
{
	(void)flow;
#ifdef HOSTILE_NO_STATE
	return NULL;
#endif
	return &state;
}

static void flow_free(void *s)
{
	(void)s;
}

#ifdef HOSTILE_BAD_CALLS
/* Each of these is refused with -EINVAL; a wrong answer is noted in the log. */
static void bad_calls(sluice_flow *flow, uint64_t tx)
{
	const sluice_slice text = { (const uint8_t *)"text", 4 };
	char name[65];
	int refused = 0;

	memset(name, 'n', sizeof(name));
	name[64] = '\0';
	refused += host->set_bytes(flow, tx, NUM_FIELDS, text) == -22;
	refused += host->set_bytes(flow, tx, UINT32_MAX, text) == -22;
	refused += host->set_bytes(flow, tx, COUNT, text) == -22;
	refused += host->set_bytes(flow, tx + 1000, NOTE, text) == -22;
	refused += host->set_bytes(flow, SLUICE_NO_TX, NOTE, text) == -22;
	refused += host->set_uint(flow, tx, NOTE, 1) == -22;
	refused += host->set_int(flow, tx, COUNT, 1) == -22;
	refused += host->set_chunk(flow, tx, NOTE, text, 1) == -22;
	refused += host->log_open(flow, tx, NOTE) == -22;
	refused += host->log_close(flow, tx) == -22;
	refused += host->tx_stage(flow, tx, 2, COMPLETE) == -22;
	refused += host->tx_stage(flow, tx, SLUICE_TO_SERVER, 2) == -22;
	refused += host->event(flow, tx, 1) == -22;
	refused += host->event(flow, SLUICE_NO_TX, UINT32_MAX) == -22;
	refused += host->file_open(flow, tx, 2, text) == -22;
	refused += host->file_data(flow, 0, text) == -22;
	refused += host->file_data(flow, INT64_MIN, text) == -22;
	refused += host->file_close(flow, 4097, 0) == -22;
	refused += host->budget(flow, 2, SLUICE_BUDGET_NONE, 0) == -22;
	refused += host->budget(flow, SLUICE_TO_SERVER, 4, 0) == -22;
	refused += host->handover(flow, name) == -22;
	host->set_uint(flow, tx, COUNT, (uint64_t)refused);
}
#endif

#ifdef HOSTILE_FLOODS
/* More of everything than a flow may have. */
static void flood(sluice_flow *flow, uint64_t tx)
{
	const sluice_slice huge = { (const uint8_t *)"x", SIZE_MAX }, one = { (const uint8_t *)"x", 1 };

	for (int i = 0; i < 10000; ++i) {
		host->set_bytes(flow, tx, NOTE, one);
		host->log_open(flow, tx, GROUP);
		host->event(flow, tx, 0);
		host->event(flow, SLUICE_NO_TX, 0);
		host->file_open(flow, tx, SLUICE_TO_SERVER, one);
		host->budget(flow, SLUICE_TO_CLIENT, SLUICE_BUDGET_BYTES, 1 << 20);
	}
	host->set_bytes(flow, tx, NOTE, huge);
	for (int i = 0; i < 10000; ++i)
		host->tx_begin(flow, 0);
}
#endif

/* One transaction per call; then what the case is about. */
static sluice_parse_result parse(void *s, sluice_flow *flow, uint32_t direction, sluice_slice in)
{
	const uint32_t len = (uint32_t)in.len;
	sluice_parse_result result = { SLUICE_PARSE_OK, len, 0 };
	const uint64_t tx = host->tx_begin(flow, direction == SLUICE_TO_SERVER ? SLUICE_TX_TO_SERVER : SLUICE_TX_TO_CLIENT);

	(void)s;
	host->set_bytes(flow, tx, NOTE, (sluice_slice){ in.data, len < 16 ? len : 16 });
#if defined(HOSTILE_CONSUMED_TOO_MUCH)
	result.consumed = len + 1;
#elif defined(HOSTILE_NEEDED_ZERO)
	result = (sluice_parse_result){ SLUICE_PARSE_MORE, 0, 0 };
#elif defined(HOSTILE_NEEDED_HUGE)
	result = (sluice_parse_result){ SLUICE_PARSE_MORE, len, UINT32_MAX };
#elif defined(HOSTILE_BAD_STATUS)
	result.status = 42;
#elif defined(HOSTILE_TOO_SLOW)
	sleep_ms(30);
#elif defined(HOSTILE_NEVER_CONSUMES)
	result.consumed = 0;
#elif defined(HOSTILE_ONE_BYTE_A_CALL)
	if (len < 5000 && state == 0)
		result = (sluice_parse_result){ SLUICE_PARSE_MORE, 0, 5000 };
	else
		result.consumed = (uint32_t)(state = 1);
#elif defined(HOSTILE_HANDOVER_TO_ITSELF)
	result.consumed = 0;
	host->handover(flow, "hostile");
#elif defined(HOSTILE_HANDOVER_TO_NOBODY)
	host->handover(flow, "nobody");
#elif defined(HOSTILE_BAD_CALLS)
	bad_calls(flow, tx);
#elif defined(HOSTILE_FLOODS)
	flood(flow, tx);
#endif
	host->tx_stage(flow, tx, direction, COMPLETE);
	return result;
}

#define PLUGIN_MEMBERS                                                                       \
	.struct_size = STRUCT_SIZE, .abi_minor = MINOR, .name = NAME, .help = "breaks the contract", \
	.version = "1", .transports = SLUICE_TCP, .fields = (const sluice_field *)fields,     \
	.num_fields = NUM_FIELDS, .field_size = FIELD_SIZE, .events = events, .num_events = 1, \
	.event_size = EVENT_SIZE, .stages = { stages, stages }, .num_stages = { 2, 2 },       \
	.init = INIT, .probe = PROBE, .flow_new = FLOW_NEW, .flow_free = FLOW_FREE, .parse = PARSE, \
	.aliases = ALIASES

#ifdef HOSTILE_NO_NAME
#define NAME NULL
#elif defined(HOSTILE_TAKEN_NAME)
#define NAME "http"
#else
#define NAME "hostile"
#endif
#ifdef HOSTILE_NEWER_MINOR
#define MINOR (SLUICE_ABI_MINOR + 1)
#else
#define MINOR SLUICE_ABI_MINOR
#endif
#if defined(HOSTILE_STRUCT_TOO_SMALL)
#define STRUCT_SIZE 8
#elif defined(HOSTILE_OLDER_STRUCT) /* ends before aliases: the pointer is not to be followed */
#define STRUCT_SIZE offsetof(sluice_plugin, aliases)
#define ALIASES ((const char *)1)
#elif defined(HOSTILE_NEWER_STRUCT)
#define STRUCT_SIZE sizeof(struct newer_plugin)
#else
#define STRUCT_SIZE sizeof(sluice_plugin)
#endif
#ifndef ALIASES
#define ALIASES NULL
#endif
#ifdef HOSTILE_FIELD_ROWS_TOO_SMALL
#define FIELD_SIZE 8
#else
#define FIELD_SIZE sizeof(wide_field)
#endif
#ifdef HOSTILE_EVENT_ROWS_TOO_BIG
#define EVENT_SIZE 1000000
#else
#define EVENT_SIZE sizeof(sluice_event)
#endif
#ifdef HOSTILE_NULL_INIT
#define INIT NULL
#else
#define INIT init
#endif
#ifdef HOSTILE_NULL_PROBE
#define PROBE NULL
#else
#define PROBE probe
#endif
#ifdef HOSTILE_NULL_FLOW_NEW
#define FLOW_NEW NULL
#else
#define FLOW_NEW flow_new
#endif
#ifdef HOSTILE_NULL_FLOW_FREE
#define FLOW_FREE NULL
#else
#define FLOW_FREE flow_free
#endif
#ifdef HOSTILE_NULL_PARSE
#define PARSE NULL
#else
#define PARSE parse
#endif

#if defined(HOSTILE_NO_SYMBOL)
SLUICE_EXPORT extern const int sluice_plugin_v2;
const int sluice_plugin_v2 = 2;
#elif defined(HOSTILE_NEWER_STRUCT)
struct newer_plugin {
	sluice_plugin known;
	void (*newer[8])(void);
};
SLUICE_EXPORT extern const struct newer_plugin newer __asm__("sluice_plugin_v1");
const struct newer_plugin newer = { .known = { PLUGIN_MEMBERS } };
#else
const sluice_plugin sluice_plugin_v1 = { PLUGIN_MEMBERS };
#endif
