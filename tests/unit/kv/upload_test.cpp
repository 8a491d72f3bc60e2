// Goal: large values go in as parts that nobody sees before their transaction, stay as long as a
// revision that shows them, and leave nothing behind when they are given up or forgotten.
// Method: one case per rule; the store's spaces are counted after each step.
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

constexpr uint64_t kTwoParts = kPartBytes + 7;

void upload(Machine& m, uint64_t id) {
  auto r = m.apply(std::vector<Command>{upload_part(id, 0, kPartBytes), upload_part(id, 1, 7)});
  REQUIRE(r[0].code == Code::kOk);
  REQUIRE(r[1].code == Code::kOk);
}

// What remains in the store besides user keys and the machine record.
size_t leftovers(Machine& m) {
  return m.space_size(kSpaceParts) + m.space_size(kSpaceSystem) - 1;
}

}  // namespace

TEST_CASE("parts are stored and counted but invisible") {
  Machine m;
  upload(m, 5);
  CHECK(m.machine->revision() == 0);
  CHECK(m.machine->open_uploads() == 1);
  CHECK(m.machine->oldest_upload_ms() == 1000);
  CHECK(m.stored_parts(5) == 2);
  CHECK(m.space_size(kSpaceUser) == 0);
}

TEST_CASE("a transaction turns an upload into a value") {
  Machine m;
  upload(m, 5);
  CommandResult r = m.apply({put_upload("big", 5, kTwoParts), get("big")});
  CHECK(r.code == Code::kOk);
  CHECK(r.revision == 1);
  CHECK(r.ops[1].items == std::vector<Item>{{"big", "", 1, 1, 1, 0, kTwoParts}});
  CHECK(m.machine->open_uploads() == 0);
  CHECK(m.machine->oldest_upload_ms() == 0);
  CHECK(m.stored_parts(5) == 2);
  CHECK(leftovers(m) == 2);
}

TEST_CASE("a repeated part is harmless, a gap and a wrong size are refused") {
  Machine m;
  CHECK(m.apply(upload_part(5, 1, 7)).code == Code::kInvalid);
  upload(m, 5);
  MemoryData before = m.store.data();
  CHECK(m.apply(upload_part(5, 1, 7)).code == Code::kOk);
  CHECK(m.apply(upload_part(5, 0, kPartBytes)).code == Code::kOk);
  CommandResult r = m.apply(upload_part(5, 3, 7));
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message == "part 3 of upload 0000000000000005 came before part 2");
  r = m.apply(upload_part(5, 2, 7));
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message == "part 2 of upload 0000000000000005 follows its last one");
  CHECK(m.apply(upload_part(6, 0, kPartBytes + 1)).code == Code::kInvalid);
  CHECK(m.apply(UploadPart{6, 0, ""}).code == Code::kInvalid);
  CHECK(m.apply(UploadPart{0, 0, "x"}).code == Code::kInvalid);
  CHECK(m.store.data().contents() == before.contents());
}

TEST_CASE("a transaction naming a missing or incomplete upload has no effect but removes it") {
  Machine m;
  upload(m, 5);
  CommandResult r = m.apply({put("a", "1"), put_upload("big", 5, kTwoParts + 1)});
  CHECK(r.code == Code::kNotFound);
  CHECK(r.message == "upload 0000000000000005 holds 1048583 of 1048584 bytes");
  CHECK(r.revision == 0);
  CHECK_FALSE(m.has("a"));
  CHECK(leftovers(m) == 0);
  CHECK(m.machine->open_uploads() == 0);
  r = m.apply({put_upload("big", 6, 10)});
  CHECK(r.code == Code::kNotFound);
  CHECK(r.message == "there is no upload 0000000000000006");
}

TEST_CASE("an upload can be used once") {
  Machine m;
  upload(m, 5);
  m.apply({put_upload("one", 5, kTwoParts)});
  CommandResult r = m.apply({put_upload("two", 5, kTwoParts)});
  CHECK(r.code == Code::kNotFound);
  CHECK(m.has("one"));
  CHECK(m.stored_parts(5) == 2);
}

TEST_CASE("uploads of the branch that did not run are removed") {
  Machine m;
  upload(m, 5);
  upload(m, 6);
  auto version = Compare::Target::kVersion;
  CommandResult r = m.apply(txn({compare(version, Compare::Op::kGt, key_range("a"), 0)},
                                {put_upload("a", 5, kTwoParts)}, {put_upload("b", 6, kTwoParts)}));
  CHECK(r.code == Code::kOk);
  CHECK_FALSE(r.succeeded);
  CHECK(m.stored_parts(5) == 0);
  CHECK(m.stored_parts(6) == 2);
  CHECK(leftovers(m) == 2);
}

TEST_CASE("a refused transaction removes the uploads it names") {
  Machine m;
  upload(m, 5);
  upload(m, 6);
  CHECK(m.apply({put_upload("a", 5, kTwoParts), put_upload("b", 5, kTwoParts)}).code ==
        Code::kInvalid);
  CHECK(leftovers(m) == 3);
  std::string big(kPartBytes, 'x');
  m.apply({put("v1", big), put("v2", big), put("v3", big), put("v4", big)});
  CHECK(m.apply({put_upload("a", 6, kTwoParts), get(all())}).code == Code::kInvalid);
  CHECK(leftovers(m) == 0);
  CHECK_FALSE(m.has("a"));
}

TEST_CASE("parts of a large value go with the last revision that shows it") {
  Machine m;
  for (uint64_t id = 1; id <= 4; id++) upload(m, id);
  m.apply({put_upload("a", 1, kTwoParts), put_upload("b", 2, kTwoParts),
           put_upload("c", 3, kTwoParts)});
  m.apply({put("a", "small")});              // 2
  m.apply({put_upload("b", 4, kTwoParts)});  // 3
  m.apply({del("b")});                       // 4
  m.apply({del(prefix("c"))});               // 5
  CHECK(leftovers(m) == 8);
  auto compact = [&](uint64_t revision) {
    m.store.write_marks.clear();
    CHECK(m.apply(Compact{revision, 100}).code == Code::kOk);
    CHECK(m.store.write_marks.size() == 1);
    return std::vector{m.stored_parts(1), m.stored_parts(2), m.stored_parts(3), m.stored_parts(4)};
  };
  CHECK(compact(1) == std::vector<size_t>{2, 2, 2, 2});
  CHECK(compact(2) == std::vector<size_t>{0, 2, 2, 2});
  CHECK(compact(3) == std::vector<size_t>{0, 0, 2, 2});
  CHECK(compact(4) == std::vector<size_t>{0, 0, 2, 0});
  CHECK(compact(5) == std::vector<size_t>{0, 0, 0, 0});
  CHECK(leftovers(m) == 0);
}

TEST_CASE("a large value put and deleted in one transaction leaves nothing") {
  Machine m;
  upload(m, 5);
  m.apply({put_upload("a", 5, kTwoParts), del("a")});
  CHECK(leftovers(m) == 0);
  upload(m, 6);
  m.apply({put_upload("a", 6, kTwoParts), del(all())});
  CHECK(leftovers(m) == 0);
  CHECK(m.machine->open_uploads() == 0);
}

TEST_CASE("the upload with the largest id is removed whole") {
  Machine m;
  upload(m, UINT64_MAX);
  m.apply({put_upload("a", UINT64_MAX, kTwoParts)});
  m.apply({del("a")});
  m.apply(Compact{2, 100});
  CHECK(leftovers(m) == 0);
}

TEST_CASE("a rolled back transaction keeps the large values it would have replaced") {
  Machine m;
  upload(m, 5);
  m.apply({put_upload("a", 5, kTwoParts)});
  std::string big(kPartBytes, 'x');
  m.apply({put("v1", big), put("v2", big), put("v3", big), put("v4", big)});
  CHECK(m.apply({put("a", "1"), del(prefix("a")), get(all())}).code == Code::kInvalid);
  CHECK(m.stored_parts(5) == 2);
  CHECK(m.item("a").value_bytes == kTwoParts);
}

TEST_CASE("a late first part never reopens an upload that became a value") {
  Machine m;
  upload(m, 5);
  m.apply({put_upload("a", 5, kTwoParts)});
  CommandResult r = m.apply(upload_part(5, 0, kPartBytes));
  CHECK(r.code == Code::kConflict);
  CHECK(r.message == "the parts of upload 0000000000000005 belong to a value");
  m.apply(SweepUploads{UINT64_MAX});
  CHECK(m.stored_parts(5) == 2);
  auto same_batch = m.apply(std::vector<Command>{
      upload_part(6, 0, 7), txn({put_upload("b", 6, 7)}), upload_part(6, 0, 7), txn({del("b")}),
      upload_part(6, 0, 7), Compact{3, 100}, upload_part(6, 0, 7)});
  CHECK(same_batch[2].code == Code::kConflict);
  CHECK(same_batch[4].code == Code::kConflict);  // the value that is no more can still be read
  CHECK(same_batch[6].code == Code::kOk);
  CHECK(m.machine->open_uploads() == 1);
}

TEST_CASE("an abort removes an upload; one of an unknown upload is harmless") {
  Machine m;
  upload(m, 5);
  CHECK(m.apply(UploadAbort{5}).code == Code::kOk);
  CHECK(leftovers(m) == 0);
  CHECK(m.apply(UploadAbort{5}).code == Code::kOk);
  upload(m, 6);
  m.apply({put_upload("a", 6, kTwoParts)});
  m.apply(UploadAbort{6});
  CHECK(m.stored_parts(6) == 2);
}

TEST_CASE("a sweep removes the uploads whose newest part is older") {
  Machine m;
  m.time_ms = 100;
  upload(m, 1);
  m.time_ms = 200;
  upload(m, 2);
  m.time_ms = 300;
  m.apply(upload_part(1, 0, kPartBytes));  // a repeat does not count as progress
  CHECK(m.machine->oldest_upload_ms() == 100);
  m.apply(SweepUploads{100});
  CHECK(m.machine->open_uploads() == 2);
  m.apply(SweepUploads{200});
  CHECK(m.machine->open_uploads() == 1);
  CHECK(m.machine->oldest_upload_ms() == 200);
  CHECK(m.stored_parts(1) == 0);
  CHECK(m.stored_parts(2) == 2);
}

TEST_CASE("uploads survive a restart") {
  Machine m;
  upload(m, 5);
  m.reopen();
  CHECK(m.machine->open_uploads() == 1);
  CHECK(m.machine->oldest_upload_ms() == 1000);
  CHECK(m.apply({put_upload("big", 5, kTwoParts)}).code == Code::kOk);
}

TEST_CASE("open uploads are bounded") {
  Machine m;
  std::vector<Command> parts;
  for (uint64_t id = 1; id <= kOpenUploadsMax; id++) parts.push_back(upload_part(id, 0, 1));
  m.apply(parts);
  CHECK(m.machine->open_uploads() == kOpenUploadsMax);
  CHECK(m.apply(upload_part(1u << 20, 0, 1)).code == Code::kBusy);
  m.apply(UploadAbort{1});
  CHECK(m.apply(upload_part(1u << 20, 0, 1)).code == Code::kOk);
}

}  // namespace kvstore::kv::test
