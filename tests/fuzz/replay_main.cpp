// Runs stored inputs, and mutations of them made from a seed, without libFuzzer: with any compiler
// and any sanitizer.  An input that fails is written to the working directory.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

#include <fcntl.h>
#include <unistd.h>

#include "target.hpp"

namespace kvstore::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr size_t kInputBytesMax = 4096;  // of mutations
constexpr const char* kUsage =
    "Usage: fuzz_replay --list\n"
    "       fuzz_replay --write-seeds DIR\n"
    "       fuzz_replay TARGET [--mutations N] [--seed N] [FILE|DIR]...\n"
    "Without a file the target's own seeds are run.\n";

const std::string* running = nullptr;  // the input under test, for save_failure()
char failure_path[64];

// Async-signal-safe.
void save_failure() {
  if (running == nullptr) return;
  const int fd = ::open(failure_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  static_cast<void>(!::write(fd, running->data(), running->size()));
  ::close(fd);
  constexpr Bytes kText = "fuzz_replay: the input that failed is in ";
  static_cast<void>(!::write(2, kText.data(), kText.size()));
  static_cast<void>(!::write(2, failure_path, std::char_traits<char>::length(failure_path)));
  static_cast<void>(!::write(2, "\n", 1));
}

void on_signal(int number) {
  save_failure();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void run(const Target& target, const std::string& input) {
  running = &input;
  // An exact copy on the heap, so that AddressSanitizer sees a read behind its end.
  const std::vector<char> copy(input.begin(), input.end());
  target.run(Bytes(copy.data(), copy.size()));
  running = nullptr;
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Seeds load(const fs::path& path) {
  Seeds out;
  if (!fs::is_directory(path)) return {read_file(path)};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) out.push_back(read_file(file));
  return out;
}

// A small mutator: what libFuzzer's most common mutations do, without its feedback.
class Mutator {
 public:
  Mutator(uint64_t seed, const Seeds& corpus) : random_(seed), corpus_(corpus) {}

  std::string next() {
    std::string text = pick();
    for (size_t n = 1 + below(4); n > 0; --n) mutate(&text);
    if (text.size() > kInputBytesMax) text.resize(kInputBytesMax);
    return text;
  }

 private:
  size_t below(size_t n) { return n == 0 ? 0 : random_() % n; }
  const std::string& pick() { return corpus_[below(corpus_.size())]; }

  void mutate(std::string* text) {
    const size_t at = below(text->size() + 1);
    const bool inside = at < text->size();
    switch (below(8)) {
      case 0:
        if (inside) (*text)[at] = static_cast<char>((*text)[at] ^ (1 << below(8)));
        break;
      case 1:
        if (inside) (*text)[at] = kTelling[below(std::size(kTelling))];
        break;
      case 2:
        text->insert(at, 1 + below(4), kTelling[below(std::size(kTelling))]);
        break;
      case 3:
        text->erase(at, 1 + below(8));
        break;
      case 4:
        text->insert(at, text->substr(below(text->size() + 1), below(16)));
        break;
      case 5:
        text->resize(at);
        break;
      case 6:
        if (inside) (*text)[at] = static_cast<char>((*text)[at] + (below(2) == 0 ? 1 : -1));
        break;
      default: {
        const std::string& other = pick();
        *text = text->substr(0, at) + other.substr(below(other.size() + 1));
        break;
      }
    }
  }

  static constexpr char kTelling[] = {'\0', '\1', '\x7f', '\x80', '\xff', '\r', '\n',   ' ',
                                      '"',  ',',  ':',    '%',    '/',    '=',  '\\',   '0',
                                      '9',  'A',  '{',    '}',    '[',    ']',  '-',    '.',
                                      '?',  '&',  '*',    ';',    '\t',   '\v', '\xc0', '\xed'};
  std::mt19937_64 random_;
  const Seeds& corpus_;
};

struct Arguments {
  const Target* target = nullptr;
  uint64_t mutations = 0;
  uint64_t seed = 1;
  std::vector<std::string> paths;
};

bool parse(int argc, char** argv, Arguments* out) {
  out->target = find_target(argv[1]);
  if (out->target == nullptr) return false;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--mutations" || word == "--seed") {
      if (++i == argc) return false;
      (word == "--seed" ? out->seed : out->mutations) = std::strtoull(argv[i], nullptr, 10);
    } else {
      out->paths.push_back(word);
    }
  }
  return true;
}

int replay(const Arguments& arguments) {
  const Target& target = *arguments.target;
  std::snprintf(failure_path, sizeof failure_path, "fuzz-failure-%s", target.name);
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    std::signal(number, on_signal);
  Seeds corpus;
  target.seeds(&corpus);
  for (const std::string& path : arguments.paths) {
    const Seeds more = load(path);
    corpus.insert(corpus.end(), more.begin(), more.end());
  }
  if (corpus.empty()) {
    std::cerr << "fuzz_replay: " << target.name << " has no inputs\n";
    return 1;
  }
  run(target, "");
  for (const std::string& input : corpus) run(target, input);
  Mutator mutator(arguments.seed, corpus);
  for (uint64_t i = 0; i < arguments.mutations; ++i) run(target, mutator.next());
  std::cout << target.name << ": " << corpus.size() << " inputs and " << arguments.mutations
            << " mutations of them (seed " << arguments.seed << ")\n";
  return 0;
}

int write_seeds(const fs::path& dir) {
  for (const Target& target : all_targets()) {
    Seeds seeds;
    target.seeds(&seeds);
    fs::create_directories(dir / target.name);
    for (size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(dir / target.name / ("seed-" + std::to_string(i)), std::ios::binary)
          << seeds[i];
    }
  }
  return 0;
}

int run_program(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "--list") {
    for (const Target& target : all_targets()) std::cout << target.name << "\n";
    return 0;
  }
  if (first == "--write-seeds" && argc == 3) return write_seeds(argv[2]);
  Arguments arguments;
  if (argc < 2 || !parse(argc, argv, &arguments)) {
    std::cerr << kUsage;
    return 2;
  }
  return replay(arguments);
}

}  // namespace
}  // namespace kvstore::fuzz

// Sanitizers end the process without a signal; they offer this instead.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

int main(int argc, char** argv) {
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(kvstore::fuzz::save_failure);
  }
  return kvstore::fuzz::run_program(argc, argv);
}
