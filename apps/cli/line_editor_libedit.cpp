#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <filesystem>

#include <histedit.h>
#include <unistd.h>

#include "cli/folders.h"
#include "cli/line_editor.h"
#include "cli/signals.h"

namespace fourfold {
namespace {

constexpr int kHistoryLines = 1000;

// Characters beyond ASCII need a UTF-8 locale, whatever the environment says.
void use_utf8() {
  if (!std::setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

// Empty, after a note, when the history cannot be kept.
std::string usable_history_file(Context& context) {
  const std::string path = history_file();
  if (path.empty()) return path;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (!error) return path;
  context.note(fmt::format("{}: {} (lines are not remembered)", path, error.message()));
  return {};
}

class LibeditLineEditor : public LineEditor {
 public:
  explicit LibeditLineEditor(std::string history_path) : history_path_(std::move(history_path)) {
    use_utf8();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_path_.empty()) history(history_, &event, H_LOAD, history_path_.c_str());

    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &LibeditLineEditor::prompt_of);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_GETCFN, &LibeditLineEditor::read_character);
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(edit_, nullptr);  // ~/.editrc
  }
  ~LibeditLineEditor() override {
    el_end(edit_);
    history_end(history_);
  }
  LibeditLineEditor(const LibeditLineEditor&) = delete;
  LibeditLineEditor& operator=(const LibeditLineEditor&) = delete;

  Input read(const std::string& prompt) override {
    prompt_ = prompt;
    // libedit itself does this only after it has shown the prompt, and a Ctrl-D typed in between
    // would be taken by the terminal and lost.
    el_set(edit_, EL_PREP_TERM, 1);
    int n = 0;
    const char* text = el_gets(edit_, &n);
    if (is_interrupted()) {
      std::fputc('\n', stderr);
      el_reset(edit_);
      return {.event = Event::Interrupt, .line = {}};
    }
    if (!text || n <= 0) return {};
    std::string line(text, static_cast<std::size_t>(n));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    return {.event = Event::Line, .line = std::move(line)};
  }

  void remember(const std::string& line) override {
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    // At once: the program may be killed. libedit makes the file readable for its owner only.
    if (!history_path_.empty()) history(history_, &event, H_SAVE, history_path_.c_str());
  }

 private:
  static LibeditLineEditor* of(EditLine* edit) {
    void* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return static_cast<LibeditLineEditor*>(self);
  }

  static char* prompt_of(EditLine* edit) { return of(edit)->prompt_.data(); }

  // libedit's own reader goes on after a signal; this one ends the line when Ctrl-C was typed.
  static int read_character(EditLine* edit, wchar_t* out) {
    std::mbstate_t state{};
    while (true) {
      wait_for_input();
      if (is_interrupted()) return -1;
      if (take_redraw()) {
        redraw(edit);
        continue;
      }
      char byte = 0;
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return static_cast<int>(n);
      const std::size_t used = std::mbrtowc(out, &byte, 1, &state);
      if (used == static_cast<std::size_t>(-2)) continue;  // more bytes of this character follow
      if (used != static_cast<std::size_t>(-1)) return 1;
      state = {};
    }
  }

  static void redraw(EditLine* edit) {
    el_resize(edit);
    el_set(edit, EL_REFRESH);
  }

  std::string history_path_;  // empty: not kept
  std::string prompt_;
  History* history_ = history_init();
  // Standard output is for answers: what is typed shows on standard error.
  EditLine* edit_ = el_init("fourfold", stdin, stderr, stderr);
};

}  // namespace

std::unique_ptr<LineEditor> make_line_editor(Context& context) {
  if (!is_capable_terminal(STDERR_FILENO)) return make_plain_line_editor();
  return std::make_unique<LibeditLineEditor>(usable_history_file(context));
}

}  // namespace fourfold
