/* SPDX-License-Identifier: Apache-2.0
 * include/sluice/plugin.h - the ABI between the engine and a dissector plug-in.
 * Pure C11 with no sluice includes: any language that exports C can use it.
 *
 * IDEA     A dissector declares its typed fields once, as a table.  From that
 *          table the engine derives rule keywords, EVE logs and metrics.
 * VERSION  The symbol name carries the major.  A plug-in loads if its abi_minor
 *          is not newer than the engine's.  A minor appends fields; it never
 *          reorders, resizes or reuses one.
 * SIZE     Growable structs begin with struct_size, set by the side that fills
 *          them in; rows of tables have their size in the plug-in struct.
 *          Fields newer than 1.0 are read under SLUICE_HAS only.
 * LIFETIME Pointers handed to a callback die when it returns: copy to keep.
 *          Values handed to the host are copied before the call returns.
 *          Tables and strings of the plug-in struct have static storage.
 * OWNERS   Who allocates, frees.  Flow state belongs to the plug-in.
 * THREADS  init and fini run alone on the main thread.  All calls for one flow
 *          come from one worker; calls for different flows run concurrently.
 * ERRORS   Return a status.  No exception, longjmp, exit or abort may escape.
 * UNITS    Lengths in bytes, times in ns since the epoch, host byte order.
 */
#ifndef SLUICE_PLUGIN_H
#define SLUICE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_ABI_MINOR 1u
#define SLUICE_EXPORT __attribute__((visibility("default")))
#define SLUICE_HAS(type, p, field) \
  ((p)->struct_size >= offsetof(type, field) + sizeof((p)->field))

/* Direction: relative to the flow's initiator; an index, never a flag. */
enum { SLUICE_TO_SERVER = 0, SLUICE_TO_CLIENT = 1 };
/* Where a set of directions is meant. */
enum { SLUICE_DIR_TO_SERVER = 1, SLUICE_DIR_TO_CLIENT = 2, SLUICE_DIR_BOTH = 3 };
/* Transports a dissector serves, as a set. */
enum { SLUICE_TCP = 1, SLUICE_UDP = 2 };

typedef struct sluice_slice { /* borrowed [data, data + len); frozen */
  const uint8_t *data;        /* may be NULL when len is 0 */
  size_t len;
} sluice_slice;

/* ------------------------------------------------------------- the schema */

/* What a field's value is. */
enum {
  SLUICE_BYTES = 1,   /* set_bytes */
  SLUICE_UINT = 2,    /* set_uint */
  SLUICE_INT = 3,     /* set_int */
  SLUICE_BOOL = 4,    /* set_uint with 0 or 1 */
  SLUICE_ENUM = 5,    /* set_uint; the names are declared with the field */
  SLUICE_ADDRESS = 6, /* set_bytes with 4 or 16 bytes, network order */
  SLUICE_TIME = 7,    /* set_int, ns since the epoch */
  SLUICE_CHUNKS = 8,  /* set_chunk: a long value in pieces (a body) */
  SLUICE_GROUP = 9,   /* log_open / log_close: an object of the log */
};

/* Field flags. */
enum {
  SLUICE_REPEATED = 1u << 0,  /* many values in one transaction: an array in the
                                 log, a repeated buffer for rules */
  SLUICE_SECRET = 1u << 1,    /* matched, never logged, masked in dumps */
  SLUICE_DIMENSION = 1u << 2, /* metrics may be grouped by it */
  SLUICE_MEASURE = 1u << 3,   /* metrics may add it up */
  SLUICE_OUTCOME = 1u << 4,   /* HTTP-like: 1xx-3xx success, 4xx client error,
                                 5xx server error; an ENUM says it by names */
  SLUICE_HEX = 1u << 5,       /* BYTES logged as lower-case hex */
  SLUICE_BASE64 = 1u << 6,    /* BYTES logged as base64 */
  SLUICE_LOG_V7 = 1u << 7,    /* logged only under eve.compat 7 */
  SLUICE_LOG_V8 = 1u << 8,    /* logged only under eve.compat 8 */
  SLUICE_LOG_FALSE = 1u << 9, /* BOOL: logged also when false */
  SLUICE_ALERT_ONLY = 1u << 10, /* logged inside alerts only */
  SLUICE_LOWERCASE = 1u << 11,  /* BYTES: rules see it in lower case */
  SLUICE_LOG_LAST = 1u << 12,   /* set twice: the last value is logged, not the first; of
                                   a number without keyword only the last is kept */
  SLUICE_OPTIONAL = 1u << 13,   /* logged only when the user asks for it by name */
  SLUICE_FORWARDED = 1u << 14,  /* BYTES: addresses of the client that a proxy speaks for,
                                   "a, b, c"; alerts may name it as their source */
  SLUICE_FRAME = 1u << 24,      /* BYTES, CHUNKS: a stretch of the flow as it was sent, not a
                                   value in it; its keyword is the frame's name ("dns.pdu"),
                                   which rules look into as frame:dns.pdu */
  SLUICE_EXTENDED = 1u << 21,   /* not logged where the user wants short records */
  SLUICE_ON_DEMAND = 1u << 15,  /* costly: logged where it was set, yet the log alone does
                                   not make it wanted; a rule or the user's asking does,
                                   or the plug-in sets it all the same */
  SLUICE_DATE = 1u << 16,       /* INT of seconds since the epoch: rules compare it with
                                   dates (">2015-01-31"), logged as 2015-01-31T00:00:00 */
  SLUICE_BITS = 1u << 17,       /* ENUM whose values are single bits: rules may list names
                                   ("a,b" any of them, "!a" none of them) */
  SLUICE_CONTENT_LOWER = 1u << 18, /* BYTES always in lower (upper) case: so are the */
  SLUICE_CONTENT_UPPER = 1u << 19, /* contents that rules look for in it */
  SLUICE_STORE = 1u << 20,      /* BYTES: its keyword takes no value and asks that the values
                                   of a direction be written to a file when the rule matches;
                                   beside it go the fields of that direction and stage */
  SLUICE_RECORD_ONLY = 1u << 22,   /* not logged inside alerts */
  SLUICE_RECORD_EACH = 1u << 23,   /* GROUP: each has a record of its own, whose object its
                                      members stand in; inside alerts a group like others */
  SLUICE_BESIDE = 1u << 25,        /* GROUP, in no other one, not REPEATED: its object stands
                                      beside the dissector's own.  Since 1.1 */
};

typedef struct sluice_enum_name { /* frozen; a table ends with name NULL */
  uint64_t value;
  const char *name;
} sluice_enum_name;

/* One field.  Its id is its index in the table. */
typedef struct sluice_field {
  const char *keyword;  /* "http.uri": rules match it by this name; NULL: they
                           cannot.  Fields may share a keyword: request and
                           response side of one name */
  const char *aliases;  /* old names, blank-separated, used like the keyword
                           ("dns_query"); NULL: none */
  const char *modifiers;/* old names that follow a content ("http_uri"); NULL */
  const char *log;      /* key in the innermost open group, or in the object of
                           the event; "a.b" makes an object on the way; NULL:
                           not logged; "": a GROUP without an object, whose members
                           are shown or not together */
  const char *help;     /* one line, never NULL */
  uint32_t type;        /* SLUICE_BYTES ... */
  uint32_t flags;
  uint32_t directions;  /* SLUICE_DIR_*: whose packets carry it */
  uint32_t stage;       /* index into the stage names: rules look at it as soon
                           as its direction has reached this stage */
  const sluice_enum_name *names; /* ENUM; optional for UINT (rules may use them): where
                                    they are multiples of 2^32 they tell what the low 32
                                    bits are, and rules say "NAME" or "NAME>5" */
  const char *transform; /* a transform applied before rules look ("strip_whitespace"); NULL */
} sluice_field;

/* What few fields need, in a table of its own. */
typedef struct sluice_field_form {
  uint32_t field;               /* index into the fields */
  uint32_t reserved;            /* zero */
  const char *log_name;         /* by which users ask for the field in their lists of what
                                   is logged; several fields may share it; "": always
                                   logged; NULL: its log key */
  const char *content_keywords; /* old keywords whose value is the content, blank-separated
                                   ("tls.subject:\"CN=x\""); NULL */
  const char *content_pattern;  /* regular expression that a content on the field must
                                   match as a whole; NULL: any */
  const char *store_suffix;     /* STORE: how names of the files end ("pem"); NULL */
  const char *list;             /* users may list what is logged, as
                                   eve.records.<plug-in>.<list>: of an ENUM its names: groups
                                   with another value and records without a listed one are
                                   left out; of other fields their log names: fields of that
                                   list that are not in it are left out.  Alerts show
                                   everything.  NULL: no list */
} sluice_field_form;

/* A protocol anomaly: "app-layer-event:<plugin>.<name>" and EVE `anomaly`. */
typedef struct sluice_event {
  const char *name; /* behind a blank, old names that rules may use too */
  const char *help;
} sluice_event;

/* --------------------------------------------------------------- the host */

typedef struct sluice_flow sluice_flow; /* opaque, engine-owned */
#define SLUICE_NO_TX UINT64_MAX

/* tx_begin flags. */
enum {
  SLUICE_TX_TO_SERVER = 1, /* has only this direction: complete when it is */
  SLUICE_TX_TO_CLIENT = 2,
  SLUICE_TX_NO_LOG = 4,    /* for rules and metrics, writes no event; see tx_log */
  SLUICE_TX_SESSION = 8,   /* the flow itself, not one exchange of many: its event has no
                              tx_id and it does not count as a transaction */
  SLUICE_TX_LOG_EARLY = 16, /* where the connection ends before it is complete, its event is
                               written once one side has ended: what the other sent, and
                               nobody acknowledged, is for rules alone */
};

/* file_close flags. */
enum { SLUICE_FILE_COMPLETE = 0, SLUICE_FILE_TRUNCATED = 1 };

/* budget modes: what of a direction the engine (and the kernel) still sends. */
enum {
  SLUICE_BUDGET_ALL = 0,     /* everything (the default) */
  SLUICE_BUDGET_NONE = 1,    /* no more of this direction */
  SLUICE_BUDGET_BYTES = 2,   /* the next n bytes */
  SLUICE_BUDGET_NEXT_TX = 3, /* skip n bytes, then everything again */
};

typedef struct sluice_flow_info { /* filled by the host */
  uint32_t struct_size;
  uint32_t transport;         /* SLUICE_TCP or SLUICE_UDP */
  uint32_t ip_version;        /* 4 or 6 */
  uint16_t port[2];           /* [0] the initiator's, [1] the responder's */
  uint8_t address[2][16];     /* likewise; IPv4 in the first 4 bytes */
  const char *from_protocol;  /* the dissector that handed the flow over; NULL: none */
  /* ABI 1.1 */
  sluice_slice context;       /* what it said with handover_with(), or the flow that announced
                                 this one with expect(), in the speaker's form; of a hand-over
                                 there during flow_new, of an announcement until flow_free.
                                 data NULL: nothing was said */
} sluice_flow_info;

/* A flow that is about to begin, as one that is there already tells: a data connection. */
typedef struct sluice_expectation { /* since 1.1 */
  uint32_t struct_size;    /* sizeof(sluice_expectation), as the plug-in was built */
  uint32_t transport;      /* SLUICE_TCP or SLUICE_UDP */
  uint32_t ip_version;     /* 4 or 6 */
  uint16_t port[2];        /* [0] the initiator's, 0: any; [1] the responder's, never 0 */
  uint8_t address[2][16];  /* likewise, IPv4 in the first 4 bytes; the initiator's of zeros: any */
  uint64_t lifetime;       /* ns from now, at most 5 minutes; 0: 30 seconds */
  const char *protocol;    /* the dissector that gets the flow, without being asked */
  sluice_slice context;    /* what it is to know of it: see sluice_flow_info; at most 1 KiB */
} sluice_expectation;

/* The engine's calls.  Valid from init until fini returns.  All but option()
 * and log() are for flow callbacks of the same flow.  A negative answer is
 * -errno: -ENOSPC at a memory cap (rules then see the value as absent, and it
 * is counted), -EINVAL for an id, type or transaction that does not exist. */
typedef struct sluice_host {
  uint32_t struct_size;
  uint32_t abi_minor;

  /* The user's setting plugins.<name>.<key>, or NULL.  init only.  "log-<key>" are those
   * of its events, eve.records.<name>.<key>; "log-compat" is there always: "7" or "8". */
  const char *(*option)(const char *key);
  /* One line for the log; level 0 error, 1 warn, 2 info.  init and fini only. */
  void (*log)(uint32_t level, const char *text);
  /* wanted[id] is 0 for a field that no rule, log or metric wants: it need not
   * be computed.  May change between callbacks.  Length: the plug-in's fields. */
  const uint8_t *(*wanted)(sluice_flow *);

  /* Starts a transaction; numbers run from 0 in each flow.  Never fails: past
   * the flow's limit of live transactions the oldest is completed and counted. */
  uint64_t (*tx_begin)(sluice_flow *, uint32_t flags);
  int32_t (*set_bytes)(sluice_flow *, uint64_t tx, uint32_t field, sluice_slice);
  int32_t (*set_uint)(sluice_flow *, uint64_t tx, uint32_t field, uint64_t value);
  int32_t (*set_int)(sluice_flow *, uint64_t tx, uint32_t field, int64_t value);
  /* Appends to a CHUNKS field; last ends it. */
  int32_t (*set_chunk)(sluice_flow *, uint64_t tx, uint32_t field, sluice_slice,
                       uint32_t last);
  /* Opens / closes a GROUP: fields set in between are logged in it.  A REPEATED
   * group makes an array of objects. */
  int32_t (*log_open)(sluice_flow *, uint64_t tx, uint32_t group);
  int32_t (*log_close)(sluice_flow *, uint64_t tx);
  /* The direction of tx has reached `stage`; stages only grow.  The last stage
   * of each direction completes it: rules have their last look, it is logged. */
  int32_t (*tx_stage)(sluice_flow *, uint64_t tx, uint32_t direction, uint32_t stage);
  /* Reports events[index] on a transaction, or on the flow with SLUICE_NO_TX. */
  int32_t (*event)(sluice_flow *, uint64_t tx, uint32_t index);

  /* A file carried in a direction of a transaction: name may be empty.  The
   * engine computes size and hashes.  Returns a handle > 0, or -errno. */
  int64_t (*file_open)(sluice_flow *, uint64_t tx, uint32_t direction, sluice_slice name);
  /* Also answers 1 if the file is being kept, or rules look at all of it: then a limit
   * of the dissector's own does not apply to it. */
  int32_t (*file_data)(sluice_flow *, int64_t file, sluice_slice);
  int32_t (*file_close)(sluice_flow *, int64_t file, uint32_t flags);

  /* After this callback the unconsumed bytes and all later ones, of both
   * directions, are `protocol`: a dissector's name; "" to probe anew; NULL when
   * they are opaque (encrypted): nothing more is dissected. */
  int32_t (*handover)(sluice_flow *, const char *protocol);
  int32_t (*budget)(sluice_flow *, uint32_t direction, uint32_t mode, uint64_t bytes);

  /* Packet time, ns since the epoch. */
  uint64_t (*now)(sluice_flow *);
  void (*flow_info)(sluice_flow *, sluice_flow_info *out); /* set out->struct_size */
  /* A transaction begun with SLUICE_TX_NO_LOG is to be logged after all. */
  int32_t (*tx_log)(sluice_flow *, uint64_t tx);
  /* `bytes` of a file were lost: they count in its size, and it has a gap.  In gap(),
   * it says which files the loss is of; where it is not called, every open file of the
   * direction, and every one that is closed there, has a gap. */
  int32_t (*file_gap)(sluice_flow *, int64_t file, uint64_t bytes);

  /* ABI 1.1 */
  /* handover(), with what the next dissector should know of what came before: copied, and
   * there for its flow_new in sluice_flow_info.  -ENOSPC: it was too much (64 KiB); handed
   * over all the same, without it. */
  int32_t (*handover_with)(sluice_flow *, const char *protocol, sluice_slice context);
  /* An open file without data yet is a part of a larger one, from `offset` on of `total`
   * bytes.  Parts with the same identity and total belong together, whichever flow brought
   * them; once all bytes are there, the whole is another file of the transaction of the last
   * part.  Name and identity are the first part's.  -ENOSPC: a limit; the part stays a file
   * of its own. */
  int32_t (*file_part)(sluice_flow *, int64_t file, sluice_slice identity, uint64_t offset,
                       uint64_t total);
  /* All bytes of the flow behind those that were parsed are encrypted: rules look no more for
   * patterns in its packets and stream.  Fields that are still set are looked at. */
  int32_t (*encrypted)(sluice_flow *);
  /* Announces a flow: the first that fits, on whichever worker, from its next
   * bytes on, is taken by the dissector named, before any is asked.  A newer word about the
   * same ends replaces the older.  -ENOENT: that dissector is not loaded; -ENOSPC: no room. */
  int32_t (*expect)(sluice_flow *, const sluice_expectation *);
} sluice_host;

/* ------------------------------------------------------------ the plug-in */

enum { SLUICE_PROBE_NO = 0, SLUICE_PROBE_MAYBE = 1, SLUICE_PROBE_YES = 2 };
typedef struct sluice_probe_input {
  uint32_t struct_size;
  uint32_t transport;  /* SLUICE_TCP or SLUICE_UDP */
  uint32_t direction;  /* of head */
  uint16_t port[2];    /* [0] the initiator's, [1] the responder's: a hint only */
  sluice_slice head;   /* the first bytes of the direction, or one datagram */
} sluice_probe_input;

enum { SLUICE_PARSE_OK = 0, SLUICE_PARSE_MORE = 1, SLUICE_PARSE_ERROR = -1 };
typedef struct sluice_parse_result { /* frozen */
  int32_t status;    /* ERROR: this direction is not parsed again */
  uint32_t consumed; /* <= input length; the rest is presented again */
  uint32_t needed;   /* MORE only: consumed + needed > input length */
} sluice_parse_result;

/* Whom EVE names as source of a transaction's event. */
enum {
  SLUICE_LOG_CLIENT = 0,    /* the flow's initiator, always */
  SLUICE_LOG_SENDER = 1,    /* the sender of a one-directional transaction */
  SLUICE_LOG_SENDER_V8 = 2, /* the sender under eve.compat 8, else the initiator */
  SLUICE_LOG_PACKET = 3,    /* the sender of the packet that made it known; where bytes
                               count once acknowledged, that is the receiver */
  SLUICE_LOG_UPPER_EVENTS = 16 /* a flag beside them: EVE has the events' names in upper
                                  case, as for some old protocols it always had */
};

typedef struct sluice_plugin {
  uint32_t struct_size; /* sizeof(sluice_plugin), as the plug-in was built */
  uint32_t abi_minor;   /* SLUICE_ABI_MINOR, as the plug-in was built */
  const char *name;     /* [a-z0-9_-]+, unique: app_proto, event_type, object */
  const char *help;     /* one line */
  const char *version;  /* of the plug-in, free text */
  uint32_t transports;  /* set of SLUICE_TCP, SLUICE_UDP */
  uint32_t log_source;  /* one of SLUICE_LOG_*, and flags */
  const char *ports;    /* usual ports, "tcp/80 tcp/8080 udp/53": seeds the
                           kernel's policy, never the decision; NULL */

  const sluice_field *fields; /* num_fields rows of field_size bytes each */
  uint32_t num_fields;
  uint32_t field_size;
  const sluice_event *events;
  uint32_t num_events;
  uint32_t event_size;
  /* Names of the stages per direction, index 0 first; at least one each; the
   * last one means complete. */
  const char *const *stages[2];
  uint32_t num_stages[2];

  int32_t (*init)(const sluice_host *); /* 0, or -errno: not loaded */
  void (*fini)(void);                   /* once, after the last flow_free */
  /* Whether the first bytes of a direction are this protocol: SLUICE_PROBE_*.
   * Pure: same bytes, same answer.  MAYBE asks again with more bytes. */
  int32_t (*probe)(const sluice_probe_input *);
  void *(*flow_new)(sluice_flow *); /* NULL: leave the flow undissected */
  void (*flow_free)(void *state);   /* once per non-NULL flow_new */
  /* In-order bytes of one direction, 1 B .. 1 MiB; needing more is an ERROR.
   * UDP: one whole datagram; what is not consumed is dropped. */
  sluice_parse_result (*parse)(void *state, sluice_flow *, uint32_t direction, sluice_slice);
  /* `bytes` were lost before the next parse; bytes not yet consumed are gone.
   * 0 to go on; else the direction is not parsed again.  NULL: stop at the
   * first gap. */
  int32_t (*gap)(void *state, sluice_flow *, uint32_t direction, uint64_t bytes);
  /* The direction has ended (FIN, RST, expiry); called at most once each, before
   * flow_free.  `rest` are the bytes never consumed.  NULL: not interested. */
  void (*end)(void *state, sluice_flow *, uint32_t direction, sluice_slice rest);
  /* Other names that rules may call the protocol by, blank-separated, [a-z0-9_-]+.
   * Plug-ins may share one: a rule for it applies to each of them.  A plug-in may
   * use the keywords of the plug-in whose name is among its aliases: with fields of
   * the same type and stage; rules for them then apply to both.  NULL: none. */
  const char *aliases;
  /* Event type and object of its logs.  NULL: name. */
  const char *log_name;
  const sluice_field_form *forms; /* num_forms rows of form_size bytes each */
  uint32_t num_forms;
  uint32_t form_size;
  /* Since 1.1.  Whose records its own come with, blank-separated: where users list event types,
   * one of these stands for it too (a data connection's, for its control connection's).  NULL. */
  const char *record_types;
} sluice_plugin;

SLUICE_EXPORT extern const sluice_plugin sluice_plugin_v1; /* the one export */

#ifdef __cplusplus
}
#endif
#endif /* SLUICE_PLUGIN_H */
