// Any GGUF file is refused or gives a configuration within the bounds that sizes may rely on.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "formats/model_config.h"

namespace {

void check_bounds(const fourfold::TextConfig& text) {
  CHECK(text.n_layers >= 1 && text.n_layers <= 1024);
  CHECK(text.layers.size() == static_cast<std::size_t>(text.n_layers));
  CHECK(text.width >= 1 && text.vocab_size >= 1 && text.sliding_window >= 1);
  CHECK(text.n_experts_used <= text.n_experts);
  for (const auto& layer : text.layers) {
    CHECK(layer.kv_source >= 0 && layer.kv_source < text.n_layers);
    CHECK(layer.n_kv_heads >= 1 && text.n_heads % layer.n_kv_heads == 0);
    CHECK(layer.head_dim >= 2 && layer.ffn_width >= 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
  CHECK(fd >= 0 && ::write(fd, data, size) == static_cast<ssize_t>(size));
  const auto checkpoint = Checkpoint::open(fmt::format("/proc/self/fd/{}", fd));
  ::close(fd);
  if (!checkpoint) return 0;
  const auto config = load_model_config(*checkpoint);
  if (config) {
    check_bounds(config->text);
  } else {
    CHECK(!config.error().message.empty());
  }
  return 0;
}
