#include "kernels/kv_view.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"

namespace fourfold {
namespace {

// Rows of q8_0 whose width is no multiple of 32 are padded with zeros.
constexpr int kMaxPadded = 32;

void encode(const Kernels& kernels, KvType type, const float* x, int n, std::byte* out) {
  switch (type) {
    case KvType::F32: std::memcpy(out, x, static_cast<std::size_t>(n) * 4); return;
    case KvType::BF16: kernels.bf16_for_dots(x, n, reinterpret_cast<std::uint16_t*>(out)); return;
    case KvType::F16: kernels.f16_from_f32(x, n, reinterpret_cast<std::uint16_t*>(out)); return;
    case KvType::Q8_0: {
      const int whole = n / 32 * 32;
      kernels.q8_0_from_f32(x, whole, reinterpret_cast<std::uint8_t*>(out));
      if (whole < n) {
        float rest[kMaxPadded] = {};
        for (int i = whole; i < n; ++i) rest[i - whole] = x[i];
        kernels.q8_0_from_f32(rest, 32, reinterpret_cast<std::uint8_t*>(out) + whole / 32 * 34);
      }
      return;
    }
  }
}

void decode(const Kernels& kernels, KvType type, const std::byte* x, int n, float* out) {
  switch (type) {
    case KvType::F32: std::memcpy(out, x, static_cast<std::size_t>(n) * 4); return;
    case KvType::BF16:
      kernels.f32_from_bf16(reinterpret_cast<const std::uint16_t*>(x), n, out);
      return;
    case KvType::F16:
      kernels.f32_from_f16(reinterpret_cast<const std::uint16_t*>(x), n, out);
      return;
    case KvType::Q8_0: {
      const int whole = n / 32 * 32;
      kernels.f32_from_q8_0(reinterpret_cast<const std::uint8_t*>(x), whole, out);
      if (whole < n) {
        float rest[kMaxPadded];
        kernels.f32_from_q8_0(reinterpret_cast<const std::uint8_t*>(x) + whole / 32 * 34, 32, rest);
        for (int i = whole; i < n; ++i) out[i] = rest[i - whole];
      }
      return;
    }
  }
}

std::byte* head_start(const KvView& view, std::int64_t block, int head) {
  return view.block(block) + head * view.layout.head_bytes();
}

// 64 rows of `width` values of a bf16 or q8_0 cache; the latter are converted into `memory`.
const std::uint16_t* bf16_rows(const Kernels& kernels, KvType type, const std::byte* rows,
                               int width, int first, int last, std::uint16_t* memory) {
  if (type == KvType::BF16) return reinterpret_cast<const std::uint16_t*>(rows);
  constexpr int kStretch = 256;
  const std::int64_t row_bytes = kv_bytes(type, width);
  for (int j = first; j < last; ++j) {
    const auto* row = reinterpret_cast<const std::uint8_t*>(rows + j * row_bytes);
    for (int c = 0; c < width; c += kStretch) {
      float values[kStretch];
      const int n = std::min(kStretch, width - c);
      kernels.f32_from_q8_0(row + kv_bytes(type, c), n, values);
      kernels.bf16_for_dots(values, n, memory + std::int64_t{j} * width + c);
    }
  }
  return memory;
}

}  // namespace

std::optional<KvType> kv_type_from_name(std::string_view name) {
  if (name == "f32") return KvType::F32;
  if (name == "bf16") return KvType::BF16;
  if (name == "f16") return KvType::F16;
  if (name == "q8_0") return KvType::Q8_0;
  return std::nullopt;
}

std::string_view name(KvType type) {
  switch (type) {
    case KvType::F32: return "f32";
    case KvType::BF16: return "bf16";
    case KvType::F16: return "f16";
    case KvType::Q8_0: return "q8_0";
  }
  return "?";
}

std::int64_t kv_bytes(KvType type, std::int64_t n) {
  switch (type) {
    case KvType::F32: return 4 * n;
    case KvType::BF16:
    case KvType::F16: return 2 * n;
    case KvType::Q8_0: return round_up(n, 32) / 32 * 34;
  }
  return 0;
}

void store_kv(const Kernels& kernels, const KvView& view, std::int64_t position, const float* k,
              const float* v) {
  const KvLayout& layout = view.layout;
  const std::int64_t row = position % kKeyBlock;
  const int pairs = layout.n_folded_pairs;
  for (int h = 0; h < layout.n_heads; ++h, k += layout.channels, v += layout.channels) {
    std::byte* k_rows = head_start(view, position / kKeyBlock, h);
    std::byte* v_rows = k_rows + kKeyBlock * layout.k_row_bytes();
    std::byte* k_out = k_rows + row * layout.k_row_bytes();
    if (layout.folded()) {
      float rotated[2 * kMaxFoldedPairs];
      std::memcpy(rotated, k, sizeof(float) * static_cast<std::size_t>(pairs));
      std::memcpy(rotated + pairs, k + layout.channels / 2,
                  sizeof(float) * static_cast<std::size_t>(pairs));
      encode(kernels, layout.type, rotated, 2 * pairs, k_out);
    } else {
      encode(kernels, layout.type, k, layout.channels, k_out);
    }
    encode(kernels, layout.type, v, layout.channels, v_rows + row * layout.v_row_bytes());
  }
}

void load_kv(const Kernels& kernels, const KvView& view, int head, std::int64_t block, int first,
             int last, float* k, float* v) {
  const KvLayout& layout = view.layout;
  const std::byte* k_rows = head_start(view, block, head);
  const std::byte* v_rows = k_rows + kKeyBlock * layout.k_row_bytes();
  const int channels = layout.channels;
  const auto pairs = static_cast<std::size_t>(layout.n_folded_pairs);
  for (int j = first; j < last; ++j) {
    float* k_out = k + static_cast<std::int64_t>(j) * channels;
    float* v_out = v + static_cast<std::int64_t>(j) * channels;
    const std::byte* k_row = k_rows + j * layout.k_row_bytes();
    decode(kernels, layout.type, v_rows + j * layout.v_row_bytes(), channels, v_out);
    if (layout.folded()) {
      float rotated[2 * kMaxFoldedPairs];
      decode(kernels, layout.type, k_row, layout.stored_k_channels(), rotated);
      std::memcpy(k_out, v_out, sizeof(float) * static_cast<std::size_t>(channels));
      std::memcpy(k_out, rotated, sizeof(float) * pairs);
      std::memcpy(k_out + channels / 2, rotated + pairs, sizeof(float) * pairs);
    } else {
      decode(kernels, layout.type, k_row, channels, k_out);
    }
  }
}

const std::uint16_t* Bf16Block::keys_in_place(const KvView& view, int head, std::int64_t block) {
  if (view.layout.type != KvType::BF16) return nullptr;
  if (view.layout.folded()) return values_in_place(view, head, block);
  return reinterpret_cast<const std::uint16_t*>(head_start(view, block, head));
}

const std::uint16_t* Bf16Block::values_in_place(const KvView& view, int head, std::int64_t block) {
  if (view.layout.type != KvType::BF16) return nullptr;
  return reinterpret_cast<const std::uint16_t*>(head_start(view, block, head) +
                                                kKeyBlock * view.layout.k_row_bytes());
}

void Bf16Block::read_keys(const Kernels& kernels, const KvView& view, int head, std::int64_t block,
                          int first, int last) {
  const KvLayout& layout = view.layout;
  const int width = layout.stored_k_channels();
  const std::uint16_t* k =
      bf16_rows(kernels, layout.type, head_start(view, block, head), width, first, last, k_memory);
  n_parts = 0;
  const auto add = [this](const std::uint16_t* rows, int stride, int channels) {
    if (channels > 0) parts[n_parts++] = {rows, stride, channels};
  };
  if (!layout.folded()) {
    add(k, width, width);
    return;
  }
  read_values(kernels, view, head, block, first, last);
  const int pairs = layout.n_folded_pairs;
  const int half = layout.channels / 2;
  add(k, width, pairs);
  add(v + pairs, layout.channels, half - pairs);
  add(k + pairs, width, pairs);
  add(v + half + pairs, layout.channels, half - pairs);
}

void Bf16Block::read_values(const Kernels& kernels, const KvView& view, int head,
                            std::int64_t block, int first, int last) {
  const KvLayout& layout = view.layout;
  const std::byte* rows = head_start(view, block, head) + kKeyBlock * layout.k_row_bytes();
  v = bf16_rows(kernels, layout.type, rows, layout.channels, first, last, v_memory);
}

}  // namespace fourfold
