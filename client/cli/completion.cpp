// Completion scripts, written from the parser's own definitions: what is not defined is not
// completed, and what is defined is.
#include <algorithm>
#include <map>
#include <set>

#include "options_parser.hpp"

namespace kvstore::cli {
namespace {

struct Word {
  std::string text, description;
};

// What may stand somewhere on the command line.
struct Context {
  std::string path;  // "member add"; empty: no command yet
  std::vector<Word> words;
  bool files = false;  // and the names of files
};

struct Definitions {
  std::vector<Context> contexts;
  std::set<std::string> paths;                              // of all commands
  std::map<std::string, std::vector<std::string>> choices;  // of options that take a value
};

// Marks options whose value is a file.
const std::string kFile = "<file>";

// "NAME:{json,table}" gives json and table.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type == "PATH" || type == "FILE") return {kFile};
  const size_t open = type.find('{'), close = type.find('}');
  std::vector<std::string> out;
  if (open == std::string::npos || close == std::string::npos) return out;
  for (size_t begin = open + 1; begin < close;) {
    const size_t end = std::min(type.find(',', begin), close);
    out.push_back(type.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

void add_options(const CLI::App& app, Context* context, Definitions* definitions) {
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    if (option->get_positional()) {
      for (const auto& choice : choices_of(*option)) {
        if (choice == kFile) {
          context->files = true;
        } else {
          context->words.push_back({choice, ""});
        }
      }
      continue;
    }
    for (const std::string& name : option->get_lnames()) {
      context->words.push_back({"--" + name, option->get_description()});
      const bool takes_value = option->get_items_expected_max() > 0;
      if (takes_value) definitions->choices["--" + name] = choices_of(*option);
    }
  }
}

void collect(const CLI::App& app, const CLI::App* parent, const std::string& path,
             Definitions* out) {
  Context context{path, {}};
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands) {
    context.words.push_back({command->get_name(), command->get_description()});
  }
  add_options(app, &context, out);
  // The program's options may follow the command.
  if (parent != nullptr) add_options(*parent, &context, out);
  const auto has_text = [](const Word& a, const Word& b) { return a.text < b.text; };
  std::stable_sort(context.words.begin(), context.words.end(), has_text);
  const auto same = [](const Word& a, const Word& b) { return a.text == b.text; };
  context.words.erase(std::unique(context.words.begin(), context.words.end(), same),
                      context.words.end());
  out->contexts.push_back(std::move(context));
  if (!path.empty()) out->paths.insert(path);
  for (const CLI::App* command : commands) {
    const std::string below = (path.empty() ? "" : path + " ") + command->get_name();
    collect(*command, parent == nullptr ? &app : parent, below, out);
  }
}

// In single quotes for a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

template <typename Range, typename Text>
std::string joined(const Range& range, const char* separator, Text text) {
  std::string out;
  for (const auto& element : range) out += (out.empty() ? "" : separator) + text(element);
  return out;
}

std::string alternatives_of_paths(const Definitions& definitions) {
  return joined(definitions.paths, " | ", quoted);
}

std::string alternatives_of_options(const Definitions& definitions) {
  return joined(definitions.choices, " | ", [](const auto& entry) { return entry.first; });
}

// The same in both shells: which command stands there (`command`), and which option waits for its
// value (`expects`).
std::string scanner(const Definitions& definitions) {
  return R"(    [[ $word == '=' ]] && continue
    if [[ -n $expects ]]; then
      expects=''
      continue
    fi
    case $word in
      --) return 0 ;;
      )" +
         alternatives_of_options(definitions) +
         R"() expects=$word ;;
      -*) ;;
      *)
        case "${command:+$command }$word" in
          )" +
         alternatives_of_paths(definitions) + R"() command="${command:+$command }$word" ;;
        esac
        ;;
    esac
)";
}

std::string bash_script(const Definitions& definitions) {
  std::string out = R"(# bash completion, written by "kvstore-client completion bash".
_kvstore_client() {
  local cur=${COMP_WORDS[COMP_CWORD]} command='' expects='' candidates='' files='' word
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
)" + scanner(definitions) +
                    R"(  done
  [[ $cur == '=' ]] && cur=''
  case $expects in
)";
  for (const auto& [option, choices] : definitions.choices) {
    if (choices.empty()) continue;
    out += "    " + option + ") ";
    if (choices.front() == kFile) {
      out +=
          "compopt -o filenames 2>/dev/null || :; mapfile -t COMPREPLY < <(compgen -f -- "
          "\"$cur\"); "
          "return 0 ;;\n";
    } else {
      out += "candidates=" + quoted(joined(choices, " ", [](const std::string& c) { return c; })) +
             " ;;\n";
    }
  }
  out += R"(    ?*) return 0 ;;
    '')
      case $command in
)";
  for (const Context& context : definitions.contexts) {
    out += "        " + quoted(context.path) + ") candidates=" +
           quoted(joined(context.words, " ", [](const Word& w) { return w.text; })) +
           (context.files ? " files=1 ;;\n" : " ;;\n");
  }
  out += R"(      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur")
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null || :
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _kvstore_client kvstore-client
)";
  return out;
}

// "name:description" as _describe wants it.
std::string described(const Word& word) {
  return quoted(word.description.empty() ? word.text : word.text + ":" + word.description);
}

std::string zsh_script(const Definitions& definitions) {
  std::string out = R"(#compdef kvstore-client
# zsh completion, written by "kvstore-client completion zsh".
_kvstore_client() {
  local cur=${words[CURRENT]} command='' expects='' files='' word
  local -a candidates
  for word in "${(@)words[2,CURRENT-1]}"; do
)" + scanner(definitions) +
                    R"(  done
  if [[ -z $expects && $cur == --*=* ]]; then
    expects=${cur%%=*}
    compset -P '*='
  fi
  case $expects in
)";
  for (const auto& [option, choices] : definitions.choices) {
    if (choices.empty()) continue;
    out += "    " + option + ") ";
    out += choices.front() == kFile ? std::string("_files; return 0 ;;\n")
                                    : "candidates=(" + joined(choices, " ", quoted) + ") ;;\n";
  }
  out += R"(    ?*) return 0 ;;
    '')
      case $command in
)";
  for (const Context& context : definitions.contexts) {
    out += "        " + quoted(context.path) + ") candidates=(" +
           joined(context.words, " ", described) + (context.files ? ") files=1 ;;\n" : ") ;;\n");
  }
  out += R"(      esac
      ;;
  esac
  _describe -o argument candidates
  [[ -n $files ]] && _files
}
if [[ ${funcstack[1]} == _kvstore_client ]]; then
  _kvstore_client "$@"
elif (( $+functions[compdef] )); then
  compdef _kvstore_client kvstore-client
fi
)";
  return out;
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  Definitions definitions;
  collect(app, nullptr, "", &definitions);
  return shell == "zsh" ? zsh_script(definitions) : bash_script(definitions);
}

}  // namespace kvstore::cli
