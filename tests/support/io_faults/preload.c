/* A library for LD_PRELOAD that makes files fail, wait or lie, and clocks run wrong, as the file
 * named by KVS_IO_FAULTS orders (orders.h).  It stands between the program and the C library, so it
 * sees LevelDB and SQLite as well as the program's own calls; the kernel and the data stay
 * untouched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "orders.h"

static kvs_io_faults* g_orders;

__attribute__((constructor)) static void map_orders(void) {
  const char* path = getenv(KVS_IO_FAULTS_ENV);
  if (path == NULL) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  void* mapped = fd < 0
                     ? MAP_FAILED
                     : mmap(NULL, sizeof(kvs_io_faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) {
    fprintf(stderr, "io_faults: cannot map %s: %s\n", path, strerror(errno));
    _exit(125); /* a fault that cannot be ordered must not look like one that was survived */
  }
  close(fd);
  g_orders = mapped;
}

#define LOAD(field) __atomic_load_n(&g_orders->field, __ATOMIC_ACQUIRE)
#define COUNT(field) (void)__atomic_add_fetch(&g_orders->field, 1, __ATOMIC_RELAXED)

/* The next definition of a function in the order of libraries; looked up once. */
#define NEXT(name)                              \
  static __typeof__(&name) next;                \
  if (next == NULL) {                           \
    *(void**)(&next) = dlsym(RTLD_NEXT, #name); \
  }

/* One nap of a stall; not usleep, which a program might replace as well. */
static void nap(long us) {
  const struct timespec time = {us / 1000000, us % 1000000 * 1000};
  (void)syscall(SYS_nanosleep, &time, NULL);
}

static bool is_concerned(int fd) {
  if (g_orders == NULL || LOAD(path_part[0]) == '\0') return false;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const int saved = errno;
  const ssize_t bytes = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (bytes <= 0 || path[0] != '/') return false;
  path[bytes] = '\0';
  return strstr(path, g_orders->path_part) != NULL;
}

static bool any_order(void) {
  return g_orders != NULL &&
         (LOAD(write_errno) != 0 || LOAD(sync_errno) != 0 || LOAD(write_delay_us) != 0 ||
          LOAD(sync_delay_us) != 0 || LOAD(stalled) != 0 || LOAD(pretend_sync) != 0 ||
          LOAD(short_writes) != 0 || LOAD(syncs_until_kill) != 0);
}

static void wait_as_ordered(uint32_t delay_us) {
  if (delay_us != 0) {
    COUNT(delayed);
    nap(delay_us);
  }
  if (LOAD(stalled) == 0) return;
  COUNT(waiting);
  while (LOAD(stalled) != 0) nap(2000);
  (void)__atomic_sub_fetch(&g_orders->waiting, 1, __ATOMIC_RELAXED);
}

static bool takes_failure(int64_t* left) {
  int64_t now = __atomic_load_n(left, __ATOMIC_ACQUIRE);
  while (now > 0 && !__atomic_compare_exchange_n(left, &now, now - 1, false, __ATOMIC_ACQ_REL,
                                                 __ATOMIC_ACQUIRE)) {
  }
  return now != 0;
}

/* True when the write has to fail; errno is set. */
static bool write_fails(int fd) {
  if (!any_order() || !is_concerned(fd)) return false;
  wait_as_ordered(LOAD(write_delay_us));
  const int code = LOAD(write_errno);
  if (code == 0 || !takes_failure(&g_orders->write_failures_left)) return false;
  COUNT(failed_writes);
  errno = code;
  return true;
}

enum sync_fate { SYNC_REAL, SYNC_FAILS, SYNC_PRETENDED };

static enum sync_fate fate_of_sync(int fd) {
  if (!any_order() || !is_concerned(fd)) return SYNC_REAL;
  wait_as_ordered(LOAD(sync_delay_us));
  if (LOAD(syncs_until_kill) > 0 &&
      __atomic_sub_fetch(&g_orders->syncs_until_kill, 1, __ATOMIC_ACQ_REL) == 0) {
    (void)kill(getpid(), SIGKILL);
  }
  const int code = LOAD(sync_errno);
  if (code != 0 && takes_failure(&g_orders->sync_failures_left)) {
    COUNT(failed_syncs);
    errno = code;
    return SYNC_FAILS;
  }
  if (LOAD(pretend_sync) == 0) return SYNC_REAL;
  COUNT(pretended);
  return SYNC_PRETENDED;
}

static size_t shortened(int fd, size_t bytes) {
  if (g_orders == NULL || LOAD(short_writes) == 0 || bytes < 2 || !is_concerned(fd)) return bytes;
  COUNT(shortened);
  return bytes / 2;
}

ssize_t write(int fd, const void* data, size_t bytes) {
  NEXT(write)
  return write_fails(fd) ? -1 : next(fd, data, shortened(fd, bytes));
}

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  NEXT(pwrite)
  return write_fails(fd) ? -1 : next(fd, data, shortened(fd, bytes), offset);
}

ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t offset) {
  NEXT(pwrite64)
  return write_fails(fd) ? -1 : next(fd, data, shortened(fd, bytes), offset);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  NEXT(writev)
  return write_fails(fd) ? -1 : next(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  NEXT(pwritev)
  return write_fails(fd) ? -1 : next(fd, parts, count, offset);
}

int ftruncate(int fd, off_t bytes) {
  NEXT(ftruncate)
  return write_fails(fd) ? -1 : next(fd, bytes);
}

int ftruncate64(int fd, off64_t bytes) {
  NEXT(ftruncate64)
  return write_fails(fd) ? -1 : next(fd, bytes);
}

int posix_fallocate(int fd, off_t offset, off_t bytes) {
  NEXT(posix_fallocate)
  return write_fails(fd) ? errno : next(fd, offset, bytes);
}

int fsync(int fd) {
  NEXT(fsync)
  const enum sync_fate fate = fate_of_sync(fd);
  return fate == SYNC_REAL ? next(fd) : fate == SYNC_FAILS ? -1 : 0;
}

int fdatasync(int fd) {
  NEXT(fdatasync)
  const enum sync_fate fate = fate_of_sync(fd);
  return fate == SYNC_REAL ? next(fd) : fate == SYNC_FAILS ? -1 : 0;
}

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
  NEXT(sync_file_range)
  const enum sync_fate fate = fate_of_sync(fd);
  return fate == SYNC_REAL ? next(fd, offset, bytes, flags) : fate == SYNC_FAILS ? -1 : 0;
}

static int64_t in_ns(const struct timespec* time) {
  return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static void show(struct timespec* time, int64_t ns) {
  time->tv_sec = (time_t)(ns / 1000000000);
  time->tv_nsec = (long)(ns % 1000000000);
}

/* The monotonic time that the orders show instead of `real`. */
static int64_t shown_time(int64_t real) {
  while (true) {
    const uint32_t before = LOAD(clock_changes);
    const int64_t permille = LOAD(monotonic_permille);
    const int64_t base_real = LOAD(base_real_ns), base_shown = LOAD(base_shown_ns);
    if (before % 2 != 0 || LOAD(clock_changes) != before) continue;
    return permille == 0 ? real : base_shown + (real - base_real) / 1000 * permille;
  }
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  NEXT(clock_gettime)
  const int result = next(clock, time);
  if (result != 0 || g_orders == NULL) return result;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
    const int64_t offset = LOAD(wall_offset_ns);
    if (offset != 0) show(time, in_ns(time) + offset);
  } else if (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
             clock == CLOCK_MONOTONIC_COARSE) {
    if (LOAD(monotonic_permille) != 0) show(time, shown_time(in_ns(time)));
  }
  return result;
}

int gettimeofday(struct timeval* time, void* zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
