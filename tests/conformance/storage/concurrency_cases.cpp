// Cases with several threads on one instance, as the host uses it.  Method: a writer and readers
// run until the writer is done; each reader checks what it sees against what had been written
// before it looked.
#include <atomic>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "log_driver.hpp"
#include "plugin_file.hpp"
#include "state_driver.hpp"

namespace kvstore::conformance {
namespace {

constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();

kvs_status ignore_slice(void*, const kvs_slice*) noexcept {
  return KVS_OK;
}

// Threads that work until the case is done, whatever way it ends; their first failure fails it.
class Crew {
 public:
  ~Crew() { join(); }
  bool done() const { return done_.load(); }
  void run(std::function<void()> work) {
    threads_.emplace_back([this, work = std::move(work)] {
      try {
        work();
      } catch (...) {
        std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
      }
    });
  }
  void join() {
    done_.store(true);
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }
  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::atomic<bool> done_{false};
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

void log_reads_beside_writes(Context& c) {
  MirroredLog log(c);
  std::atomic<uint64_t> written{0};
  Crew crew;
  for (int reader = 0; reader < 2; ++reader) {
    crew.run([&, reader] {
      std::vector<Entry> got;
      uint64_t first = 1;
      while (!crew.done()) {
        const uint64_t seen = written.load();
        const kvs_status status =
            log.driver.read(first, 50 + static_cast<uint64_t>(reader) * 500, kAll, &got);
        if (status == KVS_E_COMPACTED) {
          first = log.driver.state().base.index + 1;
          continue;
        }
        KIT_CHECK(status == KVS_OK || status == KVS_E_END);
        if (status == KVS_E_END) KIT_CHECK_MSG(seen < first, "a written entry is not seen");
        for (const Entry& e : got) KIT_CHECK(e == make_entry(e.id.term, e.id.index, 20));
        if (status == KVS_OK) first = got.back().id.index + 1;
        if (first > 300) first -= 250;
        uint64_t term = 0;
        const kvs_log_state s = log.driver.state();
        KIT_CHECK(s.last.index >= seen && s.base.index <= s.last.index);
        const kvs_status t =
            log.driver.api().term(log.driver.handle(), s.last.index, &term, nullptr);
        KIT_CHECK(t == KVS_OK || t == KVS_E_COMPACTED);
      }
    });
  }
  for (int i = 0; i < 150; ++i) {
    log.append(10, 1 + static_cast<uint64_t>(i) / 20, 20, i % 8 == 0);
    written.store(log.model.last().index);
    if (i % 15 == 14) log.compact(log.model.last().index - 100);
  }
  crew.finish();
  log.check_after_reopen();
}

void log_reads_beside_truncation(Context& c) {
  MirroredLog log(c);
  log.append(100, 1);
  Crew crew;
  crew.run([&] {
    std::vector<Entry> got;
    while (!crew.done()) {
      const kvs_status status = log.driver.read(40, kAll, kAll, &got);
      KIT_CHECK(status == KVS_OK || status == KVS_E_END);
      // One consistent moment: indexes are contiguous and terms do not go back.
      for (size_t i = 1; i < got.size(); ++i) {
        KIT_CHECK(got[i].id.index == got[i - 1].id.index + 1 &&
                  got[i].id.term >= got[i - 1].id.term);
      }
      uint64_t term = 0;
      const kvs_status t = log.driver.api().term(log.driver.handle(), 80, &term, nullptr);
      KIT_CHECK(t == KVS_OK || t == KVS_E_END);
    }
  });
  for (uint64_t term = 2; term < 120; ++term) log.truncate(30 + term % 60, 5 + term % 65, term);
  crew.finish();
  log.check_after_reopen();
}

// Each write puts the same counter under every key, so that a torn view shows.
void views_beside_writes(Context& c) {
  StateDriver state(c);
  std::atomic<uint64_t> written{0};
  Crew crew;
  for (int reader = 0; reader < 2; ++reader) {
    crew.run([&] {
      while (!crew.done()) {
        const uint64_t seen = written.load();
        ViewDriver view(state.api(), state.handle());
        kvs_log_id at{};
        KIT_STATUS(KVS_OK,
                   state.api().view_applied(view.handle(), &at, ignore_slice, nullptr, nullptr));
        KIT_CHECK_MSG(at.index >= seen, "a view misses a write that returned before it");
        for (const auto& [key, value] : view.scan({})) KIT_CHECK(value == std::to_string(at.index));
        if (at.index > 0) KIT_CHECK(view.get("k3") == std::to_string(at.index));
      }
    });
  }
  crew.run([&] {
    while (!crew.done()) {
      const uint64_t seen = written.load();
      KIT_CHECK(state.sync().index >= seen);
    }
  });
  for (uint64_t i = 1; i <= 300; ++i) {
    Batch batch{{}, {1, i}, "", i % 50 == 0};
    for (int k = 0; k < 20; ++k)
      batch.ops.push_back(put("k" + std::to_string(k), std::to_string(i)));
    KIT_STATUS(KVS_OK, state.write(batch));
    KIT_CHECK(state.get_many({"k7"})[0] == std::to_string(i));
    written.store(i);
  }
  crew.finish();
}

// Many views are held on another thread, up to the plugin's bound if it has one.
void the_writer_always_gets_a_view(Context& c) {
  StateDriver state(c);
  KIT_STATUS(KVS_OK, state.write({{put("k", "1")}, {1, 1}, "", false}));
  std::vector<kvs_view*> held;
  std::thread holder([&] {
    kvs_view* view = nullptr;
    while (held.size() < 200 && state.api().view_open(state.handle(), &view, nullptr) == KVS_OK) {
      held.push_back(view);
    }
  });
  holder.join();
  KIT_STATUS(KVS_OK, state.write({{put("k", "2")}, {1, 2}, "", false}));
  {
    kvs_view* own = nullptr;
    const kvs_status status = state.api().view_open(state.handle(), &own, nullptr);
    if (status == KVS_OK) state.api().view_close(own);
    for (kvs_view* view : held) state.api().view_close(view);
    KIT_STATUS(KVS_OK, status);
  }
  KIT_CHECK(!held.empty());
}

void restore_beside_everything(Context& c) {
  StateDriver state(c);
  KIT_STATUS(KVS_OK, state.write({{put("k", "0")}, {1, 1}, "", false}));
  Crew crew;
  crew.run([&] {
    while (!crew.done()) {
      ViewDriver view(state.api(), state.handle());
      const Pairs a = view.scan({});
      KIT_CHECK(!a.empty());
      KIT_CHECK(a == view.scan({}));
    }
  });
  crew.run([&] {
    while (!crew.done()) (void)state.sync();
  });
  uint64_t index = 1;
  for (int round = 0; round < 8; ++round) {
    RestoreDriver restore(state);
    std::thread stager([&] {
      for (int i = 0; i < 50; ++i) restore.put(0, {{"r" + std::to_string(i), "x"}});
    });
    for (int i = 0; i < 20; ++i) {
      const Batch batch{{put("k", std::to_string(++index))}, {1, index}, "", false};
      KIT_STATUS(KVS_OK, state.write(batch));
    }
    stager.join();
    index += 100;
    KIT_STATUS(KVS_OK, restore.commit({1, index}, "m"));
  }
  crew.finish();
  KIT_CHECK(state.contents().spaces[0].size() == 50);
}

}  // namespace

std::vector<Case> concurrency_cases() {
  return {
      {"log-reads-beside-writes", "Readers see every entry whose write returned, while it grows.",
       Needs::kLog, false, log_reads_beside_writes},
      {"log-reads-beside-truncation",
       "Readers see one consistent moment while the tail is replaced.", Needs::kLog, false,
       log_reads_beside_truncation},
      {"state-views-beside-writes", "Views opened beside a writer are never torn or stale.",
       Needs::kState, false, views_beside_writes},
      {"state-writer-always-gets-a-view",
       "However many views are open, the thread that writes may open one more.", Needs::kState,
       false, the_writer_always_gets_a_view},
      {"restore-beside-everything", "Restores, writes, syncs and views at the same time.",
       Needs::kState, false, restore_beside_everything},
  };
}

}  // namespace kvstore::conformance
