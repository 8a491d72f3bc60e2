/* kvstore/abi/transport.h - kvstore.transport/1: messages and bulk streams between the nodes of
 * a cluster.
 *
 * Messages are opaque bytes, addressed to one peer and lane, best effort: they arrive in the
 * order sent within (sender, lane) and one session, may be lost, and are never corrupted and
 * never duplicated within a session.  Accepted is not delivered: the core relies on its own
 * acknowledgements only.  A lane must not wait behind another one; one connection per lane is
 * the simple way.
 *
 * Bulk streams carry snapshots.  They block on both sides, in threads of their own: that is the
 * back-pressure, end to end, and it bounds the memory to one chunk.
 *
 * Who may talk is the host's business: the first thing on each connection, both ways, is an
 * opaque hello that the other side's host judges (on_hello).  A transport needs no notion of
 * identity.
 *
 * Every function is mandatory. */
#ifndef KVS_ABI_TRANSPORT_H
#define KVS_ABI_TRANSPORT_H
#include "host.h"
KVS_BEGIN

#define KVS_TRANSPORT_ID "kvstore.transport/1"

typedef struct kvs_transport kvs_transport; /* one open transport */
typedef struct kvs_tx_stream kvs_tx_stream; /* an outgoing bulk stream */

enum {
  KVS_LANE_CONTROL = 0, /* votes, heartbeats, acknowledgements, read rounds: small and urgent */
  KVS_LANE_LOG = 1,     /* log entries */
  KVS_LANE_CLIENT = 2,  /* forwarded requests of clients */
  KVS_LANE_COUNT = 3
};

/* FROZEN.  One message to send: the parts are joined on the wire.
 * Owns: while the message is not accepted it stays the caller's, untouched.  An accepted one
 * hands over one reference: parts and their bytes stay valid until the transport calls
 * release(owner), exactly once, on any thread, when it needs them no more (sent, dropped or
 * stopped).  release does not block and does not call back.  So the core encodes a batch once
 * and sends it to every peer without copying. */
typedef struct kvs_tx_message {
  const kvs_slice* parts;
  uint32_t part_count;
  uint32_t flags;
  void* owner;
  void (*release)(void* owner) KVS_NOEXCEPT; /* never NULL */
} kvs_tx_message;

/* FROZEN.  One received message, whole.  Owns: the payload moves to the host. */
typedef struct kvs_rx_message {
  kvs_node_id from; /* as on_hello said */
  uint32_t lane;
  uint32_t flags;
  kvs_buf payload;
} kvs_rx_message;

enum {
  KVS_PEER_CONNECTED = 1,    /* all lanes are usable */
  KVS_PEER_DISCONNECTED = 2, /* what was under way may be lost; reconnects by itself */
  KVS_PEER_WRITABLE = 3, /* once after a send() was refused as BUSY, when the lane has room again */
  KVS_PEER_REJECTED = 4  /* one of the two hosts did not like the other's hello; retried later */
};
typedef struct kvs_peer_event {
  uint32_t struct_size;
  uint32_t kind; /* KVS_PEER_* */
  kvs_node_id peer;
  uint64_t session; /* grows with each reconnect; the host ignores events of an older one */
  kvs_status why;
  uint32_t lane;     /* for WRITABLE */
  kvs_slice message; /* for REJECTED: the reason that the other side or on_hello gave; borrowed */
} kvs_peer_event;

/* The beginning of an incoming bulk stream. */
typedef struct kvs_stream_info {
  uint32_t struct_size;
  uint32_t flags;
  kvs_node_id from;
  uint64_t total_bytes; /* 0: unknown */
  kvs_slice header;     /* the opaque blob given to stream_open(), at most 4 KiB */
} kvs_stream_info;

/* The host's receiver of one incoming bulk stream.
 * Threads: one thread of the plugin per stream; write and finish may block for long.
 * Owns: ctx is the host's; exactly one of finish and abort is called, then it is dead. */
typedef struct kvs_rx_stream {
  void* ctx;
  /* A status other than OK ends the stream: abort() follows and the sender gets that status. */
  kvs_status (*write)(void* ctx, const kvs_slice* chunk) KVS_NOEXCEPT;
  /* The sender called stream_finish(); the status goes back to it. */
  kvs_status (*finish)(void* ctx) KVS_NOEXCEPT;
  /* The stream broke, was given up by the sender, or the transport stops. */
  void (*abort)(void* ctx, kvs_status why) KVS_NOEXCEPT;
} kvs_rx_stream;

/* What on_hello has to judge. */
typedef struct kvs_hello {
  uint32_t struct_size;
  uint32_t incoming;        /* 1: the other side dialled, 0: this one did */
  kvs_node_id dialed;       /* the peer that this side dialled; 0 when incoming */
  kvs_slice remote;         /* the other side's hello, at most 4 KiB */
  kvs_slice remote_address; /* for messages */
} kvs_hello;

/* The host's callbacks.
 * Threads: [plugin-threads], concurrent with each other, only between start() and the return of
 * stop().  All but the functions of an rx_stream return promptly and never call back into the
 * transport. */
typedef struct kvs_transport_events {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;

  /* n (> 0) messages in the order received; several at once save wake-ups.
   * Owns: the array is borrowed, the payloads are the host's. */
  void (*on_messages)(void* ctx, const kvs_rx_message* m, uint32_t n) KVS_NOEXCEPT;

  /* Something happened to a peer.  May still come for a peer until peer_remove() has returned. */
  void (*on_peer)(void* ctx, const kvs_peer_event* e) KVS_NOEXCEPT;

  /* Judges the other side of each new connection before anything else is delivered from it.
   * Incoming: *peer is to be set to the id under which this connection's messages are reported.
   * Dialled: *peer arrives equal to `dialed` and stays so.  A status other than OK closes the
   * connection; the message in `err` is told to the other side, and the host that dialled gets
   * REJECTED with it.  When only an address is known the host dials a provisional id (top bit
   * set) to exchange hellos, then removes it and sets the real one. */
  kvs_status (*on_hello)(void* ctx, const kvs_hello* h, kvs_node_id* peer,
                         kvs_error* err) KVS_NOEXCEPT;

  /* Accepts an incoming stream by filling *out, or refuses it with a status that goes to the
   * sender. */
  kvs_status (*on_stream)(void* ctx, const kvs_stream_info* info, kvs_rx_stream* out) KVS_NOEXCEPT;
} kvs_transport_events;

/* The callee copies what it keeps, except for the events. */
typedef struct kvs_transport_options {
  uint32_t struct_size;
  uint32_t flags;
  kvs_slice hello;               /* this node's, opaque, at most 4 KiB */
  kvs_slice listen_address;      /* "host:port"; port 0: any free one */
  kvs_slice config_json;         /* the plugin's "options", as in storage.h */
  uint64_t lane_queue_bytes_max; /* accepted but not yet sent, per peer and lane; then BUSY */
  uint64_t message_bytes_max;    /* above it: INVALID to send, ends the connection on receipt */
  const kvs_transport_events* events; /* valid until close() returned */
} kvs_transport_options;

typedef struct kvs_peer {
  uint32_t struct_size;
  uint32_t flags;
  kvs_node_id id;
  kvs_slice address; /* opaque to the core, e.g. "10.0.0.7:7000" or a DNS name */
} kvs_peer;

typedef struct kvs_transport_api {
  uint32_t struct_size;
  uint32_t reserved;

  /* Checks the options; neither listens nor dials.
   * Threads: [main].  Owns: *out is the host's until close(); untouched on failure.
   * Errors: INVALID for an option or address (the message names it). */
  kvs_status (*open)(const kvs_host* host, const kvs_transport_options* opt, kvs_transport** out,
                     kvs_error* err) KVS_NOEXCEPT;

  /* Listens, and dials the peers set so far.  After a failure only close() follows.
   * Threads: [main], once.
   * Errors: IO when the address cannot be bound (the message names it); INVALID for one that
   * cannot be resolved. */
  kvs_status (*start)(kvs_transport* t, kvs_error* err) KVS_NOEXCEPT;

  /* Ends everything: connections are closed, incoming streams aborted, outgoing ones fail with
   * CLOSED, queued messages are released, threads joined.  Events may come until it returns,
   * none after.
   * Threads: [main], once after a successful start(); concurrent with [any-thread] calls, which
   * get CLOSED. */
  void (*stop)(kvs_transport* t) KVS_NOEXCEPT;

  /* Frees the transport.  Threads: [main], after stop() if it was started; no stream is left. */
  void (*close)(kvs_transport* t) KVS_NOEXCEPT;

  /* An optional table of this instance by its exact id, or NULL.  Threads: [any-thread]. */
  const void* (*get_extension)(kvs_transport* t, const char* id) KVS_NOEXCEPT;

  /* Replaces this node's hello for later connections; the present ones stay.
   * Threads: [any-thread]. */
  kvs_status (*set_hello)(kvs_transport* t, const kvs_slice* hello) KVS_NOEXCEPT;

  /* The real listen address after start(), in one call of `sink`.  Threads: [any-thread]. */
  kvs_status (*bound_address)(kvs_transport* t, kvs_slice_sink sink, void* ctx) KVS_NOEXCEPT;

  /* Delivers a JSON object of figures per peer and lane; its keys are the plugin's own.
   * Threads: [any-thread]. */
  kvs_status (*stats)(kvs_transport* t, kvs_slice_sink json, void* ctx) KVS_NOEXCEPT;

  /* Adds a peer, or gives it another address and reconnects; the same address again changes
   * nothing.
   * Called when the membership changes.
   * Threads: [any-thread].  Errors: INVALID for an address. */
  kvs_status (*peer_set)(kvs_transport* t, const kvs_peer* p, kvs_error* err) KVS_NOEXCEPT;

  /* Forgets a peer: its queues are dropped (messages released), its connections closed.  An
   * unknown one is fine.
   * Threads: [any-thread]. */
  kvs_status (*peer_remove)(kvs_transport* t, kvs_node_id id, kvs_error* err) KVS_NOEXCEPT;

  /* Queues messages for one peer and lane.  *accepted is how many leading ones were taken; OK
   * when all, and otherwise why not.  Never blocks, whatever the peer does, and never calls
   * back.
   * Called for everything the core sends.
   * Threads: [raft-thread], also [any-thread]; concurrent calls for one lane are ordered by the
   * plugin.
   * Owns: see kvs_tx_message.
   * Errors: BUSY when the lane's queue is full (one WRITABLE follows); UNREACHABLE when the
   * peer is unknown or not connected (nothing is taken); INVALID for a message above the limit;
   * CLOSED after stop(). */
  kvs_status (*send)(kvs_transport* t, kvs_node_id to, uint32_t lane, const kvs_tx_message* m,
                     uint32_t n, uint32_t* accepted, kvs_error* err) KVS_NOEXCEPT;

  /* ---- outgoing bulk streams: each used by one thread, every call blocks at most about
   * timeout_ms ---- */

  /* Asks the peer's host whether it takes a stream (on_stream).
   * Called to send a snapshot.
   * Threads: [snapshot-thread].
   * Owns: *out is the host's until stream_finish() or stream_abort().
   * Errors: UNREACHABLE, TIMEOUT, CLOSED, or the other host's refusal. */
  kvs_status (*stream_open)(kvs_transport* t, kvs_node_id to, const kvs_slice* header,
                            uint64_t total_bytes, uint32_t timeout_ms, kvs_tx_stream** out,
                            kvs_error* err) KVS_NOEXCEPT;

  /* Sends one chunk, at most 1 MiB + 64 KiB.  After a failure only stream_abort() follows. */
  kvs_status (*stream_write)(kvs_tx_stream* st, const kvs_slice* chunk, uint32_t timeout_ms,
                             kvs_error* err) KVS_NOEXCEPT;

  /* Ends the stream; OK only after the other host's finish() said OK.
   * Owns: frees `st` in every case. */
  kvs_status (*stream_finish)(kvs_tx_stream* st, uint32_t timeout_ms, kvs_error* err) KVS_NOEXCEPT;

  /* Gives up; the other host's abort() is called.  Owns: frees `st`. */
  void (*stream_abort)(kvs_tx_stream* st) KVS_NOEXCEPT;
} kvs_transport_api;

KVS_END
#endif
