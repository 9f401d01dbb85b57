#include "engine/film_windows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "media/frame_choice.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

constexpr int kPartOfContext = 2;

std::int64_t total_tokens(const std::vector<FilmSegment>& segments) {
  std::int64_t n = 0;
  for (const FilmSegment& segment : segments) n += segment.tokens;
  return n;
}

std::string stamp(double seconds) {
  return frame_stamp(static_cast<std::int64_t>(std::floor(seconds)), 1.0);
}

std::string span_of(const FilmsToWatch::Film& film, const FilmWindow& window) {
  const auto& segments = film.look.seen.segments;
  return fmt::format("{} to {}", stamp(segments[window.first].from_s),
                     stamp(segments[window.last - 1].to_s));
}

Part text_part(std::string text) {
  Part part;
  part.kind = Part::Kind::Text;
  part.text = std::move(text);
  return part;
}

using Place = FilmsToWatch::Place;

Part& part_at(Conversation& conversation, const Place& place) {
  Message& message = conversation.messages[place.message];
  return place.result ? message.results[*place.result].media[place.part]
                      : message.parts[place.part];
}

bool is_film(const FilmsToWatch& all, const Place& place) {
  return std::ranges::any_of(all.films, [&](const auto& film) { return film.place == place; });
}

// What the user wants to know: the texts of the newest message of theirs.
std::string question_of(const FilmsToWatch& all) {
  const auto& messages = all.request.conversation.messages;
  std::size_t m = messages.size();
  while (m > 0 && messages[m - 1].role != Role::User) --m;
  if (m-- == 0) return {};
  std::string question;
  for (std::size_t p = 0; p < messages[m].parts.size(); ++p) {
    const Part& part = messages[m].parts[p];
    if (part.kind != Part::Kind::Text || is_film(all, {.message = m, .part = p})) continue;
    if (!question.empty()) question += '\n';
    question += part.text;
  }
  return std::string(trim(question));
}

std::string instruction(const FilmsToWatch::Film& film, const FilmWindow& window,
                        const std::string& question) {
  std::string text = fmt::format(
      "This is {} of a film that lasts {}. Note in at most {} tokens what happens, with the time "
      "(mm:ss) of each event",
      span_of(film, window), stamp(film.look.seen.duration_s), kNoteTokens);
  if (question.empty()) return text + '.';
  return text + fmt::format(", and what bears on this question: {}", question);
}

// The end of a text, cut between two tokens.
std::string last_tokens(const Tokenizer& tokenizer, const std::string& text, std::int64_t n) {
  const auto ids = tokenizer.encode(text, Trust::Untrusted);
  if (static_cast<std::int64_t>(ids.size()) <= n) return text;
  return decode(tokenizer, std::span(ids).last(static_cast<std::size_t>(n)), {});
}

// Notes of one film.
class Notes {
 public:
  void add(const std::string& span, std::string_view note) {
    const auto text = trim(note);
    text_ += fmt::format("{}: {}\n", span, text.empty() ? "nothing noted" : text);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The window as a medium of its own. Its rows are new ones, without values: what was encoded for a
// window is let go of with its turn, but for the encoder's cache.
MediaLook window_look(const FilmsToWatch::Film& film, const FilmWindow& window) {
  const MediaLook& whole = film.look;
  const std::size_t first = whole.seen.segments[window.first].first_piece;
  const std::size_t last = whole.seen.segments[window.last - 1].last_piece;
  std::map<const SoftRows*, const MediaSource::Block*> block_of;
  for (const auto& block : whole.source.blocks) block_of[block.rows.get()] = &block;

  MediaLook look;
  look.source.kind = whole.source.kind;
  look.source.where = whole.source.where;
  look.source.bytes = whole.source.bytes;
  look.source.target = whole.source.target;
  for (std::size_t i = first; i < last; ++i) {
    MediaPiece piece = whole.pieces[i];
    if (piece.rows) {
      piece.rows = without_values(*piece.rows);
      MediaSource::Block block = *block_of[whole.pieces[i].rows.get()];
      block.rows = piece.rows;
      look.source.blocks.push_back(std::move(block));
    } else if (i == first && piece.text.starts_with(' ')) {
      piece.text.erase(0, 1);  // what joins it to the window before
    }
    look.pieces.push_back(std::move(piece));
  }
  return look;
}

// System text, notes so far, the window, what to do. Prompts trim their texts, so brackets part
// them.
ChatRequest window_request(const FilmsToWatch& all, const FilmsToWatch::Film& film,
                           const FilmWindow& window, const MediaLook& look,
                           const std::string& notes_so_far) {
  ChatRequest turn;
  for (const Message& message : all.request.conversation.messages) {
    if (message.role != Role::System && message.role != Role::Developer) break;
    turn.conversation.messages.push_back(message);
  }
  Message user = Message::of(Role::User, "");
  user.is_part_list = true;
  user.parts.clear();
  if (!notes_so_far.empty()) {
    user.parts.push_back(text_part(fmt::format("[Notes so far:\n{}\n]", trim(notes_so_far))));
  }
  Part part;
  part.kind = Part::Kind::Video;
  part.where = look.source.where;
  part.pieces = look.pieces;
  user.parts.push_back(std::move(part));
  user.parts.push_back(text_part(instruction(film, window, question_of(all))));
  turn.conversation.messages.push_back(std::move(user));
  turn.sampling.temperature = 0.0f;
  turn.sampling.seed = 0;
  turn.sampling.max_tokens = kNoteTokens;
  return turn;
}

// Its rows go with the turn; what tells them apart stays.
FilmTurn begin_turn(const FilmsToWatch::Film& film, const FilmWindow& window,
                    const Prompt& prompt) {
  const auto& segments = film.look.seen.segments;
  FilmTurn turn{.where = film.look.source.where,
                .window = static_cast<int>(&window - film.windows.data()),
                .n_windows = static_cast<int>(film.windows.size()),
                .from_s = segments[window.first].from_s,
                .to_s = segments[window.last - 1].to_s,
                .prompt = prompt,
                .notes = {}};
  for (SoftSpan& span : turn.prompt.soft) span.rows = without_values(*span.rows);
  return turn;
}

void add_turn(FilmTurn turn, FilmNotes said, PreparedChat::Watched& watched) {
  turn.notes = std::move(said.text);
  turn.prompt_tokens = said.prompt_tokens;
  turn.cached_tokens = said.cached_tokens;
  turn.answer_tokens = said.answer_tokens;
  watched.prompt_tokens += said.prompt_tokens;
  watched.cached_tokens += said.cached_tokens;
  watched.answer_tokens += said.answer_tokens;
  watched.turns.push_back(std::move(turn));
}

std::string notes_text(const FilmsToWatch::Film& film, const Notes& notes) {
  return fmt::format("[A film of {}, seen in {} parts. Notes taken while it was seen:\n{}]",
                     stamp(film.look.seen.duration_s), film.windows.size(), notes.text());
}

}  // namespace

std::vector<FilmWindow> cut_windows(const std::vector<FilmSegment>& segments, std::int64_t most) {
  std::vector<FilmWindow> windows;
  std::int64_t n_tokens = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (windows.empty() || n_tokens + segments[i].tokens > most) {
      windows.push_back({.first = i, .last = i});
      n_tokens = 0;
    }
    windows.back().last = i + 1;
    n_tokens += segments[i].tokens;
  }
  return windows;
}

std::vector<FilmsToWatch::Film> take_long_films(Conversation& conversation,
                                                std::vector<MediaLook>& looks,
                                                std::int64_t context) {
  std::vector<FilmsToWatch::Film> films;
  std::size_t next = 0;  // looks are in the order of the media
  const auto take = [&](Part& part, const Place& place) {
    if (part.pieces.empty()) return false;
    MediaLook& look = looks[next++];
    const std::int64_t most = context / kPartOfContext;
    if (part.kind != Part::Kind::Video || total_tokens(look.seen.segments) <= most) return false;
    FilmsToWatch::Film film{
        .place = place, .look = look, .windows = cut_windows(look.seen.segments, most)};
    look.seen.windows = static_cast<int>(film.windows.size());
    look.source = {};
    look.pieces.clear();
    part = text_part(notes_text(film, {}));
    films.push_back(std::move(film));
    return true;
  };
  for (std::size_t m = 0; m < conversation.messages.size(); ++m) {
    auto& message = conversation.messages[m];
    for (std::size_t p = 0; p < message.parts.size(); ++p) {
      if (take(message.parts[p], {.message = m, .part = p})) message.is_part_list = true;
    }
    for (std::size_t r = 0; r < message.results.size(); ++r) {
      auto& media = message.results[r].media;
      for (std::size_t p = 0; p < media.size(); ++p) {
        take(media[p], {.message = m, .part = p, .result = r});
      }
    }
  }
  return films;
}

Status watch_films(const ChatPreparer& preparer, PreparedChat& prepared, const RunFilmTurn& run,
                   const OnFilmWindow& on_window) {
  const auto all = std::exchange(prepared.films, nullptr);
  if (!all) return {};
  int n_windows = 0, n_seen = 0;
  for (const auto& film : all->films) n_windows += static_cast<int>(film.windows.size());

  ChatRequest last = all->request;
  for (const auto& film : all->films) {
    Notes notes;
    for (const FilmWindow& window : film.windows) {
      const auto& segments = film.look.seen.segments;
      if (on_window) {
        on_window(n_seen, n_windows, segments[window.first].from_s, segments[window.last - 1].to_s);
      }
      ++n_seen;
      MediaLook look = window_look(film, window);
      const auto carried = last_tokens(preparer.tokenizer(), notes.text(), kCarriedTokens);
      const auto request = window_request(*all, film, window, look, carried);
      std::vector<MediaLook> looks;
      looks.push_back(std::move(look));
      auto turn =
          TRY_IN(film.look.source.where, preparer.prepare_looked(request, std::move(looks)));
      turn.rules.may_think = false;
      FilmTurn seen = begin_turn(film, window, turn.prompt);
      FilmNotes said = TRY(run(std::move(turn)));
      notes.add(span_of(film, window), said.text);
      add_turn(std::move(seen), std::move(said), prepared.watched);
    }
    part_at(last.conversation, film.place) = text_part(notes_text(film, notes));
  }

  // What else was settled for the request stays.
  auto complete = TRY(preparer.prepare_looked(last, all->looks));
  prepared.prompt = std::move(complete.prompt);
  prepared.max_tokens = complete.max_tokens;
  prepared.limit_is_context = complete.limit_is_context;
  prepared.rules.thought_is_open = complete.rules.thought_is_open;
  prepared.rules.thought_budget = complete.rules.thought_budget;
  prepared.branch_points = std::move(complete.branch_points);
  prepared.media_sources = std::move(complete.media_sources);
  return {};
}

}  // namespace fourfold
