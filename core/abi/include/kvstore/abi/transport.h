#ifndef KVS_ABI_TRANSPORT_H
#define KVS_ABI_TRANSPORT_H
#include "host.h"
KVS_BEGIN
#define KVS_TRANSPORT_ID "kvstore.transport/1"
typedef struct kvs_transport kvs_transport;
typedef struct kvs_tx_stream kvs_tx_stream; /* outbound bulk stream */

/* Lanes isolate latency-critical traffic from bulk: FIFO within a lane only. */
enum { KVS_LANE_CONTROL = 0, KVS_LANE_LOG = 1, KVS_LANE_CLIENT = 2 /* forwarded requests */, KVS_LANE_COUNT = 3 };

typedef struct kvs_tx_message { /* FROZEN: used in arrays */
  const kvs_slice *parts; /* gather list; concatenated on the wire */
  uint32_t part_count;
  uint32_t flags;
  /* If accepted, the transport owns one reference and calls release(owner)
   * exactly once when it no longer reads `parts`.  If not accepted: untouched. */
  void *owner;
  void (*release)(void *owner) KVS_NOEXCEPT;
} kvs_tx_message;

typedef struct kvs_rx_message { /* FROZEN: used in arrays */
  kvs_node_id from;
  uint32_t lane;
  uint32_t flags;
  kvs_buf payload; /* ownership moves to the host */
} kvs_rx_message;

enum { KVS_PEER_CONNECTED = 1, KVS_PEER_DISCONNECTED = 2, KVS_PEER_WRITABLE = 3,
       KVS_PEER_REJECTED = 4 /* cluster id / node id / version mismatch */ };
typedef struct kvs_peer_event {
  uint32_t struct_size;
  uint32_t kind;
  kvs_node_id peer;
  uint64_t session; /* grows with every reconnect */
  kvs_status why;
  uint32_t lane; /* for WRITABLE */
  kvs_slice message; /* for REJECTED: the reason that the other side or on_hello gave; borrowed */
} kvs_peer_event;

typedef struct kvs_stream_info {
  uint32_t struct_size;
  uint32_t flags;
  kvs_node_id from;
  uint64_t total_bytes; /* 0: unknown */
  kvs_slice header;     /* opaque core blob (snapshot meta) */
} kvs_stream_info;

/* Host-side receiver of one bulk stream.  write() may block: that IS the
 * back-pressure.  Exactly one of finish/abort is called, then ctx is dead. */
typedef struct kvs_rx_stream {
  void *ctx;
  kvs_status (*write)(void *ctx, const kvs_slice *chunk) KVS_NOEXCEPT;
  kvs_status (*finish)(void *ctx) KVS_NOEXCEPT; /* status is sent to the peer */
  void (*abort)(void *ctx, kvs_status why) KVS_NOEXCEPT;
} kvs_rx_stream;

/* First thing on every connection, both ways.  The HOST judges: not OK closes the connection, the
 * reason (err->message) is told to the other side, and the dialling side's host gets REJECTED with it.
 * Incoming: *peer must be set to the id under which messages of this connection are reported.
 * Dialled: *peer arrives equal to `dialed` and must stay so.  When only an address is known the host
 * dials a provisional id (top bit set) to exchange hellos, and then removes it and sets the real one. */
typedef struct kvs_hello {
  uint32_t struct_size;
  uint32_t incoming;        /* 1: the other side dialled */
  kvs_node_id dialed;       /* 0 when incoming */
  kvs_slice remote;         /* the other side's opaque hello, <= 4 KiB */
  kvs_slice remote_address;
} kvs_hello;

/* Host callbacks.  [plugin-threads], concurrent; all but the rx_stream
 * functions return promptly and never call back into the transport. */
typedef struct kvs_transport_events {
  uint32_t struct_size;
  uint32_t reserved;
  void *ctx;
  void (*on_messages)(void *ctx, const kvs_rx_message *m, uint32_t n) KVS_NOEXCEPT;
  void (*on_peer)(void *ctx, const kvs_peer_event *e) KVS_NOEXCEPT;
  kvs_status (*on_hello)(void *ctx, const kvs_hello *h, kvs_node_id *peer, kvs_error *err) KVS_NOEXCEPT;
  kvs_status (*on_stream)(void *ctx, const kvs_stream_info *info, kvs_rx_stream *out) KVS_NOEXCEPT;
} kvs_transport_events;

typedef struct kvs_transport_options {
  uint32_t struct_size;
  uint32_t flags;
  kvs_slice hello;          /* ours, opaque: cluster, id, name, addresses, wire min..max, plugins */
  kvs_slice listen_address;
  kvs_slice config_json;
  uint64_t lane_queue_bytes_max; /* per peer and lane */
  uint64_t message_bytes_max;
  const kvs_transport_events *events; /* valid until close() */
} kvs_transport_options;

typedef struct kvs_peer {
  uint32_t struct_size;
  uint32_t flags;
  kvs_node_id id;
  kvs_slice address; /* opaque to the core, e.g. "10.0.0.7:7000" */
} kvs_peer;

typedef struct kvs_transport_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* [main] */
  kvs_status (*open)(const kvs_host *host, const kvs_transport_options *opt,
                     kvs_transport **out, kvs_error *err) KVS_NOEXCEPT;
  kvs_status (*start)(kvs_transport *t, kvs_error *err) KVS_NOEXCEPT;
  void (*stop)(kvs_transport *t) KVS_NOEXCEPT; /* joins threads; no event after */
  void (*close)(kvs_transport *t) KVS_NOEXCEPT;
  const void *(*get_extension)(kvs_transport *t, const char *id) KVS_NOEXCEPT;
  kvs_status (*set_hello)(kvs_transport *t, const kvs_slice *hello) KVS_NOEXCEPT; /* for later connections */
  kvs_status (*bound_address)(kvs_transport *t, kvs_slice_sink sink, void *ctx) KVS_NOEXCEPT;
  kvs_status (*stats)(kvs_transport *t, kvs_slice_sink json, void *ctx) KVS_NOEXCEPT;
  /* [any-thread], idempotent */
  kvs_status (*peer_set)(kvs_transport *t, const kvs_peer *p, kvs_error *err) KVS_NOEXCEPT;
  kvs_status (*peer_remove)(kvs_transport *t, kvs_node_id id, kvs_error *err) KVS_NOEXCEPT;
  /* [raft-thread] NEVER blocks, never calls back.  All messages go to one peer
   * and lane.  *accepted leading messages were taken; when that is fewer than
   * n the result says why: BUSY, UNREACHABLE, INVALID, CLOSED. */
  kvs_status (*send)(kvs_transport *t, kvs_node_id to, uint32_t lane,
                     const kvs_tx_message *m, uint32_t n, uint32_t *accepted,
                     kvs_error *err) KVS_NOEXCEPT;
  /* bulk streams [snapshot-thread], may block up to timeout_ms */
  kvs_status (*stream_open)(kvs_transport *t, kvs_node_id to, const kvs_slice *header,
                            uint64_t total_bytes, uint32_t timeout_ms,
                            kvs_tx_stream **out, kvs_error *err) KVS_NOEXCEPT;
  kvs_status (*stream_write)(kvs_tx_stream *st, const kvs_slice *chunk,
                             uint32_t timeout_ms, kvs_error *err) KVS_NOEXCEPT;
  /* OK only after the peer's host accepted finish(); frees st in every case */
  kvs_status (*stream_finish)(kvs_tx_stream *st, uint32_t timeout_ms, kvs_error *err) KVS_NOEXCEPT;
  void (*stream_abort)(kvs_tx_stream *st) KVS_NOEXCEPT;
} kvs_transport_api;
KVS_END
#endif
