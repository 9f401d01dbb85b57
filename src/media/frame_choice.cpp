#include "media/frame_choice.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <queue>

#include "base/check.h"

namespace fourfold {
namespace {

constexpr int kTileWidth = 8, kTileHeight = 6;
constexpr int kLeastCut = 12;      // a difference that can be a cut
constexpr int kCutOverMedian = 3;  // and that stands out of its neighbours
constexpr int kNeighbours = 8;     // on each side
constexpr int kLeastShot = 2;      // thumbnails between two cuts: 1 s
constexpr double kThumbnailsPerSecond = 2.0;

// Frames [first, last) of the source.
struct Stretch {
  std::int64_t first = 0, last = 0;

  std::int64_t size() const { return last - first; }
};

// The first frame at or after this time. What a decimal number of seconds loses as a double must
// not cost a frame.
std::int64_t frame_at(double seconds, double fps) {
  constexpr double kSlack = 1e-6;
  return static_cast<std::int64_t>(std::ceil(seconds * fps - kSlack));
}

Status check(const FrameRequest& request, const VideoInfo& info) {
  if (request.fps && request.n_frames) {
    return invalid_argument("fps and num_frames exclude each other, both are given");
  }
  if (request.fps && !(*request.fps > 0.0 && std::isfinite(*request.fps))) {
    return invalid_argument("fps: {}, expected a number above 0", *request.fps);
  }
  if (request.n_frames && *request.n_frames < 1) {
    return invalid_argument("num_frames: {}, expected at least 1", *request.n_frames);
  }
  if (!(request.from_s >= 0.0 && request.from_s < info.duration_s)) {
    return invalid_argument(
        "start offset: {:g} s, expected 0 to less than the {:.3f} s of the film", request.from_s,
        info.duration_s);
  }
  if (request.to_s && !(*request.to_s > request.from_s)) {
    return invalid_argument("end offset: {:g} s, expected more than the start offset of {:g} s",
                            *request.to_s, request.from_s);
  }
  return {};
}

// What the offsets leave: at least one frame.
Stretch cut(const FrameRequest& request, const VideoInfo& info) {
  const std::int64_t total = info.n_frames;
  Stretch stretch = {.first = 0, .last = total};
  stretch.first = std::clamp<std::int64_t>(frame_at(request.from_s, info.fps), 0, total - 1);
  if (request.to_s && *request.to_s < info.duration_s) {
    stretch.last = std::clamp(frame_at(*request.to_s, info.fps), stretch.first + 1, total);
  }
  return stretch;
}

// n of "fps", as the reference counts it.
std::int64_t frames_by_fps(const Stretch& stretch, double native_fps, double fps) {
  const double n = static_cast<double>(stretch.size()) / native_fps * fps;
  if (n >= static_cast<double>(stretch.size())) return stretch.size();  // of any size
  return std::max<std::int64_t>(static_cast<std::int64_t>(n), 1);
}

// Source frames of the thumbnails, two a second; a slower film gives each of its frames once.
std::vector<std::int64_t> thumbnail_frames(const Stretch& stretch, double fps) {
  std::vector<std::int64_t> frames;
  for (std::int64_t k = 0;; ++k) {
    const double offset = std::floor(static_cast<double>(k) * fps / kThumbnailsPerSecond);
    if (offset >= static_cast<double>(stretch.size())) break;
    const std::int64_t frame = stretch.first + static_cast<std::int64_t>(offset);
    if (frames.empty() || frame != frames.back()) frames.push_back(frame);
  }
  return frames;
}

// The pass over the film. Thumbnails are compared as they come: three are kept.
Result<FilmChanges> watch(VideoReader& video, std::span<const std::int64_t> frames) {
  FilmChanges changes;
  std::array<Thumbnail, 2> before = {};  // the one before, and the one before that
  TRY(video.frames(frames, [&](std::int64_t, const Picture& picture) {
    const Thumbnail now = make_thumbnail(picture);
    const std::size_t n_seen = changes.by_one.size();
    changes.by_one.push_back(n_seen < 1 ? 0 : thumbnail_difference(before[0], now));
    changes.by_two.push_back(n_seen < 2 ? 0 : thumbnail_difference(before[1], now));
    before[1] = before[0];
    before[0] = now;
    return true;
  }));
  if (changes.by_one.size() != frames.size()) {
    return internal_error("{} of {} thumbnails were read", changes.by_one.size(), frames.size());
  }
  return changes;
}

// Of the differences within kNeighbours of k, without its own.
int median_around(const std::vector<int>& differences, int k) {
  const int n = static_cast<int>(differences.size());
  std::vector<int> others;
  for (int j = std::max(k - kNeighbours, 1); j <= std::min(k + kNeighbours, n - 1); ++j) {
    if (j != k) others.push_back(differences[static_cast<std::size_t>(j)]);
  }
  if (others.empty()) return 0;
  std::sort(others.begin(), others.end());
  const std::size_t half = others.size() / 2;
  return others.size() % 2 == 1 ? others[half] : (others[half - 1] + others[half]) / 2;
}

// Of two cuts that are too close the larger one stays, the first one where they are equal.
std::vector<int> keep_apart(std::vector<int> cuts, const std::vector<int>& differences) {
  const auto difference = [&](int k) { return differences[static_cast<std::size_t>(k)]; };
  std::stable_sort(cuts.begin(), cuts.end(),
                   [&](int a, int b) { return difference(a) > difference(b); });
  std::vector<bool> is_kept(differences.size());
  std::vector<int> kept;
  for (const int cut : cuts) {
    bool is_free = true;
    for (int d = 1 - kLeastShot; d < kLeastShot; ++d) {
      const int k = cut + d;
      if (k >= 0 && k < static_cast<int>(is_kept.size()) && is_kept[static_cast<std::size_t>(k)]) {
        is_free = false;
      }
    }
    if (!is_free) continue;
    is_kept[static_cast<std::size_t>(cut)] = true;
    kept.push_back(cut);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

// A thumbnail that must be seen, and how much it is worth.
struct Wanted {
  int thumbnail = 0;
  int difference = 0;
};

// One of each shot, nearest to its middle, and the events.
std::vector<Wanted> wanted_thumbnails(const FilmChanges& changes, const Shots& shots) {
  const auto n = static_cast<int>(changes.by_one.size());
  // The first shot has no cut; it goes last.
  std::vector<Wanted> wanted;
  int begin = 0, difference = std::numeric_limits<int>::max();
  const auto add_shot = [&](int end) {
    wanted.push_back({.thumbnail = (begin + end) / 2, .difference = difference});
  };
  for (const int cut : shots.cuts) {
    add_shot(cut);
    begin = cut;
    difference = changes.by_one[static_cast<std::size_t>(cut)];
  }
  add_shot(n);
  for (const int event : shots.events) {
    wanted.push_back(
        {.thumbnail = event, .difference = changes.by_one[static_cast<std::size_t>(event)]});
  }

  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return a.thumbnail != b.thumbnail ? a.thumbnail < b.thumbnail : a.difference > b.difference;
  });
  const auto is_same = [](const Wanted& a, const Wanted& b) { return a.thumbnail == b.thumbnail; };
  wanted.erase(std::unique(wanted.begin(), wanted.end(), is_same), wanted.end());
  return wanted;
}

// Between two thumbnails that are chosen; 'begin' is −1 before the first one, where the film itself
// begins.
struct Gap {
  int begin = 0, end = 0;  // both are seen, or are the ends of the film
  bool has_begin = true;   // `begin` itself was chosen

  int size() const { return end - begin; }
  // The thumbnail nearest to its middle; none is left in a gap where this is its begin.
  int middle() const { return (begin + end) / 2; }
  bool is_closed() const { return size() < 1 || (has_begin && middle() == begin); }

  friend bool operator<(const Gap& a, const Gap& b) {  // of a queue that gives the largest first
    return a.size() != b.size() ? a.size() < b.size() : a.begin > b.begin;
  }
};

// Adds thumbnails in the longest gaps until there are n.
void fill_gaps(std::vector<int>& chosen, int n_thumbnails, int n) {
  std::priority_queue<Gap> gaps;
  const auto add_gap = [&](Gap gap) {
    if (!gap.is_closed()) gaps.push(gap);
  };
  for (std::size_t i = 0; i <= chosen.size(); ++i) {
    add_gap({.begin = i == 0 ? 0 : chosen[i - 1],
             .end = i == chosen.size() ? n_thumbnails : chosen[i],
             .has_begin = i > 0});
  }
  while (static_cast<int>(chosen.size()) < n && !gaps.empty()) {
    const Gap gap = gaps.top();
    gaps.pop();
    chosen.push_back(gap.middle());
    add_gap({.begin = gap.begin, .end = gap.middle(), .has_begin = gap.has_begin});
    add_gap({.begin = gap.middle(), .end = gap.end, .has_begin = true});
  }
  std::sort(chosen.begin(), chosen.end());
}

double largest_gap(const FrameChoice& choice, double fps) {
  double before_s = choice.from_s, largest_s = 0.0;
  for (const std::int64_t index : choice.indices) {
    const double at_s = static_cast<double>(index) / fps;
    largest_s = std::max(largest_s, at_s - before_s);
    before_s = at_s;
  }
  return std::max(largest_s, choice.to_s - before_s);
}

// Of cell `index` when `size` things are shared out to `n_cells` cells, in units of 1/n_cells of a
// thing: cell [begin, end), thing i [i · n_cells, (i + 1) · n_cells). All means over areas are
// exact in these units.
struct Cell {
  std::int64_t begin = 0, end = 0, unit = 0;

  Cell(std::int64_t index, std::int64_t size, std::int64_t n_cells)
      : begin(index * size), end(begin + size), unit(n_cells) {}
  std::int64_t first() const { return begin / unit; }
  std::int64_t last() const { return (end - 1) / unit; }
  // How much of thing i lies in the cell.
  std::uint32_t share(std::int64_t i) const {
    return static_cast<std::uint32_t>(std::min((i + 1) * unit, end) - std::max(i * unit, begin));
  }
};

// The rows of a cell, weighted by their share in it.
void add_rows(const Picture& picture, const Cell& rows, std::vector<std::uint32_t>& sums) {
  std::fill(sums.begin(), sums.end(), 0u);
  for (std::int64_t y = rows.first(); y <= rows.last(); ++y) {
    const std::uint8_t* row = picture.rgb.data() + static_cast<std::size_t>(y) * sums.size();
    const std::uint32_t share = rows.share(y);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += share * row[i];
  }
}

}  // namespace

std::string_view name(FrameRule rule) {
  switch (rule) {
    case FrameRule::Uniform: return "uniform";
    case FrameRule::Fps: return "fps";
    case FrameRule::Shots: return "shots";
  }
  return "";
}

std::vector<std::int64_t> uniform_frames(std::int64_t total, std::int64_t n) {
  n = std::min(n, total);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < n; ++i) indices.push_back(i * total / n);
  return indices;
}

std::string frame_stamp(std::int64_t index, double fps) {
  const auto seconds = static_cast<std::int64_t>(std::floor(static_cast<double>(index) / fps));
  return fmt::format("{:02}:{:02}", seconds / 60, seconds % 60);
}

Thumbnail make_thumbnail(const Picture& picture) {
  CHECK(picture.width > 0 && picture.height > 0);
  const auto area =
      static_cast<std::uint64_t>(picture.width) * static_cast<std::uint64_t>(picture.height);
  Thumbnail thumbnail;
  std::size_t n = 0;
  std::vector<std::uint32_t> row_sums(static_cast<std::size_t>(picture.width) * 3);
  for (int y = 0; y < kThumbnailHeight; ++y) {
    add_rows(picture, Cell(y, picture.height, kThumbnailHeight), row_sums);
    for (int x = 0; x < kThumbnailWidth; ++x) {
      const Cell columns(x, picture.width, kThumbnailWidth);
      std::array<std::uint64_t, 3> sums = {};
      for (std::int64_t column = columns.first(); column <= columns.last(); ++column) {
        const std::uint32_t* pixel = row_sums.data() + column * 3;
        const std::uint64_t share = columns.share(column);
        for (std::size_t c = 0; c < 3; ++c) sums[c] += share * pixel[c];
      }
      for (const std::uint64_t sum : sums) {
        thumbnail[n++] = static_cast<std::uint8_t>(sum / area);
      }
    }
  }
  return thumbnail;
}

int thumbnail_difference(const Thumbnail& a, const Thumbnail& b) {
  constexpr int kColumns = kThumbnailWidth / kTileWidth, kRows = kThumbnailHeight / kTileHeight;
  std::array<int, kColumns* kRows> tiles = {};
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int x = static_cast<int>(i / 3) % kThumbnailWidth;
    const int y = static_cast<int>(i / 3) / kThumbnailWidth;
    tiles[static_cast<std::size_t>(y / kTileHeight * kColumns + x / kTileWidth)] +=
        std::abs(int{a[i]} - int{b[i]});
  }
  int total = 0, largest = 0;
  for (const int tile : tiles) {
    total += tile;
    largest = std::max(largest, tile);
  }
  constexpr int kTileValues = kTileWidth * kTileHeight * 3;
  return std::max(total / static_cast<int>(a.size()), largest / kTileValues / 2);
}

Shots find_shots(const FilmChanges& changes) {
  const auto n = static_cast<int>(changes.by_one.size());
  const auto is_cut = [&](int k) {
    const int difference = changes.by_one[static_cast<std::size_t>(k)];
    return difference >= kLeastCut &&
           difference >= kCutOverMedian * median_around(changes.by_one, k);
  };
  Shots shots;
  std::vector<int> cuts;
  for (int k = 1; k < n; ++k) {
    if (!is_cut(k)) continue;
    if (k + 1 < n && changes.by_two[static_cast<std::size_t>(k + 1)] < kLeastCut) {
      shots.events.push_back(k);
      ++k;  // what comes back after a flash is no cut either
    } else {
      cuts.push_back(k);
    }
  }
  shots.cuts = keep_apart(std::move(cuts), changes.by_one);
  return shots;
}

std::vector<int> choose_thumbnails(const FilmChanges& changes, const Shots& shots, int n) {
  auto wanted = wanted_thumbnails(changes, shots);
  // The least worth go first, of equal ones the last.
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const Wanted& a, const Wanted& b) { return a.difference > b.difference; });
  if (static_cast<int>(wanted.size()) > n) wanted.resize(static_cast<std::size_t>(n));

  std::vector<int> chosen;
  for (const Wanted& entry : wanted) chosen.push_back(entry.thumbnail);
  std::sort(chosen.begin(), chosen.end());
  fill_gaps(chosen, static_cast<int>(changes.by_one.size()), n);
  return chosen;
}

Result<FrameChoice> choose_frames(VideoReader& video, const FrameRequest& request) {
  const VideoInfo& info = video.info();
  TRY(check(request, info));
  const Stretch stretch = cut(request, info);

  FrameChoice choice;
  choice.from_s = static_cast<double>(stretch.first) / info.fps;
  choice.to_s = static_cast<double>(stretch.last) / info.fps;
  const bool is_long = choice.to_s - choice.from_s > kLongFilmSeconds;
  if (request.n_frames || request.fps || !is_long) {
    std::int64_t n = request.n_frames.value_or(kDefaultFrames);
    if (request.fps) n = frames_by_fps(stretch, info.fps, *request.fps);
    choice.rule = request.fps ? FrameRule::Fps : FrameRule::Uniform;
    choice.indices = uniform_frames(stretch.size(), n);
    for (auto& index : choice.indices) index += stretch.first;
  } else {
    const auto frames = thumbnail_frames(stretch, info.fps);
    const auto changes = TRY(watch(video, frames));
    const Shots shots = find_shots(changes);
    const std::int64_t n = request.video_tokens / (request.frame_tokens + kStampTokens);
    const int n_chosen =
        static_cast<int>(std::clamp<std::int64_t>(n, 1, static_cast<std::int64_t>(frames.size())));
    choice.rule = FrameRule::Shots;
    choice.n_shots = static_cast<int>(shots.cuts.size()) + 1;
    for (const int k : shots.cuts) {
      choice.cuts_s.push_back(static_cast<double>(frames[static_cast<std::size_t>(k)]) / info.fps);
    }
    for (const int k : choose_thumbnails(changes, shots, n_chosen)) {
      choice.indices.push_back(frames[static_cast<std::size_t>(k)]);
    }
  }
  choice.largest_gap_s = largest_gap(choice, info.fps);
  return choice;
}

}  // namespace fourfold
