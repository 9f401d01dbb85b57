// Films that take more than half of the context are seen in windows: each is a turn of its own that
// ends in notes, and the last turn has all notes in the place of the film (vision-video.md 8.6).
//
//   auto prepared = TRY(preparer.prepare(request));
//   if (prepared.films) TRY(watch_films(preparer, prepared, run_turn, on_window));
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/prepare_chat.h"

namespace fourfold {

inline constexpr std::int64_t kNoteTokens = 200;     // of one window, at most
inline constexpr std::int64_t kCarriedTokens = 512;  // of all notes so far, the last ones

// Consecutive segments of a film.
struct FilmWindow {
  std::size_t first = 0, last = 0;  // segments [first, last)
};

// As few as possible, none above `most` tokens unless it is one segment alone.
std::vector<FilmWindow> cut_windows(const std::vector<FilmSegment>& segments, std::int64_t most);

// What remains to be done before a prompt with such films is complete.
struct FilmsToWatch {
  // Of a part in the conversation: of a message, or of a result of a tool in it.
  struct Place {
    std::size_t message = 0, part = 0;
    std::optional<std::size_t> result = {};

    bool operator==(const Place&) const = default;
  };
  struct Film {
    Place place;  // where its notes will stand
    MediaLook look;
    std::vector<FilmWindow> windows;
  };

  ChatRequest request;           // its media were looked at
  std::vector<MediaLook> looks;  // those of the last turn; of the films only what was seen
  std::vector<Film> films;
};

// Takes the films above half of the context out of the conversation; a text stands in their place,
// in the result of a tool too.
// Their looks keep what was seen, the number of windows too.
std::vector<FilmsToWatch::Film> take_long_films(Conversation& conversation,
                                                std::vector<MediaLook>& looks,
                                                std::int64_t context);

// What a turn said.
struct FilmNotes {
  std::string text;
  std::int64_t prompt_tokens = 0, cached_tokens = 0, answer_tokens = 0;
};
// Encodes the media of the turn and runs it to its end.
using RunFilmTurn = std::function<Result<FilmNotes>(PreparedChat turn)>;
// Window `index` of `count` comes next.
using OnFilmWindow = std::function<void(int index, int count, double from_s, double to_s)>;

// Runs a turn for each window, and completes the prompt. The turns and what they cost are in
// prepared.watched.
Status watch_films(const ChatPreparer& preparer, PreparedChat& prepared, const RunFilmTurn& run,
                   const OnFilmWindow& on_window = {});

}  // namespace fourfold
