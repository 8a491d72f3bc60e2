// What travels between two nodes.  Each connection is one-way: the dialling side calls, the accepting
// side answers `hello` and the stream calls and otherwise only reads.  README.md tells the whole story.
namespace cpp kvstore.transport_thrift.wire

struct Hello {
  1: i32 protocol  // version of this file's protocol: kProtocolVersion
  2: i32 kind      // a lane (0 control, 1 log, 2 client), or 255 for one bulk stream
  3: binary hello  // the host's opaque hello, at most 4 KiB
}

struct Answer {
  1: i32 status      // kvs_status: 0 or a negative number
  2: string message  // why, when status is not 0
  3: binary hello    // in the answer to hello: the accepting host's hello
}

service PeerLink {
  // The first call on every connection.  Not OK: the accepting side closes.
  Answer hello(1: Hello hello)
  // The dialling host did not like the answer to its hello; the dialling side closes.
  oneway void refuse(1: i32 status, 2: string message)

  // Lanes only.  `batch` is a sequence of (u32 little endian length, bytes), at least one.
  oneway void deliver(1: binary batch)

  // Streams only: one stream per connection, in this order.
  Answer streamOpen(1: binary header, 2: i64 totalBytes)
  Answer streamChunk(1: binary data)
  Answer streamFinish()
  oneway void streamAbort()
}
