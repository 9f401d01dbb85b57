// For tests of a build without libav.
#include "media/made_film.h"

namespace fourfold {

std::optional<std::vector<std::byte>> make_film(const FilmRecipe&,
                                                const std::function<Picture(std::int64_t)>&) {
  return std::nullopt;
}

}  // namespace fourfold
