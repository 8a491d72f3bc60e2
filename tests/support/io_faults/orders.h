/* What a test orders from the io_faults library inside another process: a file of this layout that
 * both map.  The library reads it at every call, so that faults come and go while the process runs.
 * Values are read and written one by one, without a lock: set the details first, what switches them
 * on last.  All zero: no fault. */
#ifndef KVS_TESTS_IO_FAULTS_ORDERS_H
#define KVS_TESTS_IO_FAULTS_ORDERS_H

#include <stdint.h>

/* Environment variable that names the file; without it the library does nothing. */
#define KVS_IO_FAULTS_ENV "KVS_IO_FAULTS"

enum { KVS_IO_FAULTS_PATH_MAX = 256 };

typedef struct kvs_io_faults {
  /* Only files whose absolute path contains this text; empty: none at all. */
  char path_part[KVS_IO_FAULTS_PATH_MAX];

  /* errno of write, pwrite, writev, pwritev, ftruncate and posix_fallocate; 0: they work. */
  int32_t write_errno;
  /* errno of fsync, fdatasync and sync_file_range; 0: they work. */
  int32_t sync_errno;
  /* How many calls still fail, each of the two kinds; below 0: all. */
  int64_t write_failures_left;
  int64_t sync_failures_left;

  /* Microseconds that each call waits first. */
  uint32_t write_delay_us;
  uint32_t sync_delay_us;
  /* While not 0, writes and syncs do not return: a disk that stalls. */
  int32_t stalled;
  /* Not 0: the process is killed (SIGKILL) instead of its so many-th sync from now on; counts down
   * to 0, and nothing more happens. */
  int64_t syncs_until_kill;
  /* Not 0: a sync reports success and does nothing.  For controls that have to lose data. */
  int32_t pretend_sync;
  /* Not 0: every write of more than one byte is cut to half of it, as POSIX allows. */
  int32_t short_writes;

  /* Nanoseconds added to CLOCK_REALTIME, whatever the path. */
  int64_t wall_offset_ns;
  /* Speed of CLOCK_MONOTONIC and CLOCK_BOOTTIME in thousandths; 0: as they are.  Runs from the two
   * bases, so that a change of speed is no jump: base_real_ns is the true time of the change and
   * base_shown_ns what the process saw then.  Read together: clock_changes is odd meanwhile. */
  uint32_t clock_changes;
  int64_t monotonic_permille;
  int64_t base_real_ns, base_shown_ns;

  /* What happened so far. */
  uint64_t failed_writes, failed_syncs, delayed, pretended, shortened;
  /* Calls inside a stall at this moment. */
  int32_t waiting;
} kvs_io_faults;

#endif
