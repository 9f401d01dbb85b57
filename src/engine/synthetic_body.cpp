#include "engine/synthetic_body.h"

#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/random.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

constexpr std::int64_t kVocab = 262'144;
constexpr int kGlobalDim = 512, kSlidingDim = 256;

// text-model.md 1.2.
struct Body {
  std::string_view name;
  int n_layers, width, ffn, n_heads, kv_sliding, kv_global;
  int period;  // every so many layers one is global
  int window;
  int context;
  bool k_eq_v;
  int n_shared;      // layers that share K/V
  bool double_wide;  // these have an FFN twice as wide
  int per_layer_width;
  int n_experts, n_experts_used, expert_ffn;
};
constexpr Body kBodies[] = {
    {"e2b", 35, 1536, 6144, 8, 1, 1, 5, 512, 131'072, false, 20, true, 256, 0, 0, 0},
    {"e4b", 42, 2560, 10'240, 8, 2, 2, 6, 512, 131'072, false, 18, false, 256, 0, 0, 0},
    {"12b", 48, 3840, 15'360, 16, 8, 1, 6, 1024, 262'144, true, 0, false, 0, 0, 0, 0},
    {"26b", 30, 2816, 2112, 16, 8, 2, 6, 1024, 262'144, true, 0, false, 0, 128, 8, 704},
    {"31b", 60, 5376, 21'504, 32, 16, 4, 6, 1024, 262'144, true, 0, false, 0, 0, 0, 0},
};

struct Quant {
  std::string_view name;
  DType matrices;
  DType embeddings;  // the tied head and the per-layer table
  DType projection;  // per_layer_model_proj
};
constexpr Quant kQuants[] = {
    {"q4_0", DType::Q4_0, DType::Q6_K, DType::BF16},
    {"q8_0", DType::Q8_0, DType::Q8_0, DType::BF16},
    {"q4_k", DType::Q4_K, DType::Q6_K, DType::BF16},
    {"q6_k", DType::Q6_K, DType::Q6_K, DType::BF16},
    {"bf16", DType::BF16, DType::BF16, DType::BF16},
};

template <class Entry, std::size_t n>
std::vector<std::string_view> names_of(const Entry (&entries)[n]) {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  return names;
}

template <class Entry, std::size_t n>
Result<Entry> find_entry(const Entry (&entries)[n], std::string_view name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) return entry;
  }
  return invalid_argument("\"{}\" (expected {})", name, fmt::join(names_of(entries), ", "));
}

// Rows that are no multiple of 256 cannot have a K type.
DType fitting_type(DType type, std::int64_t n_cols) {
  if (n_cols % traits(type).block == 0) return type;
  return type == DType::Q4_K ? DType::Q5_0 : DType::Q8_0;
}

class Layout {
 public:
  Layout(const Body& body, const Quant& quant) : body_(body), quant_(quant) {}

  GgufWriter build() {
    add_keys();
    add_model();
    for (int i = 0; i < body_.n_layers; ++i) add_layer(i);
    return std::move(writer_);
  }

 private:
  bool is_sliding(int layer) const { return (layer + 1) % body_.period != 0; }
  bool is_shared(int layer) const { return layer >= body_.n_layers - body_.n_shared; }
  int kv_heads(int layer) const { return is_sliding(layer) ? body_.kv_sliding : body_.kv_global; }
  int ffn_width(int layer) const {
    return body_.double_wide && is_shared(layer) ? 2 * body_.ffn : body_.ffn;
  }

  template <class Of>
  std::vector<std::int32_t> per_layer(Of of) const {
    std::vector<std::int32_t> values;
    for (int i = 0; i < body_.n_layers; ++i) values.push_back(of(i));
    return values;
  }

  void add_number(std::string_view key, std::int64_t value) {
    writer_.add_u32(fmt::format("gemma4.{}", key), static_cast<std::uint32_t>(value));
  }

  void add_keys() {
    constexpr std::uint32_t kQuantizationVersion = 2;
    writer_.add_string("general.architecture", "gemma4");
    writer_.add_string("general.name", fmt::format("synthetic {}", body_.name));
    writer_.add_u32("general.quantization_version", kQuantizationVersion);
    add_number("block_count", body_.n_layers);
    add_number("context_length", body_.context);
    add_number("embedding_length", body_.width);
    writer_.add_ints("gemma4.feed_forward_length", per_layer([&](int i) { return ffn_width(i); }));
    add_number("attention.head_count", body_.n_heads);
    writer_.add_ints("gemma4.attention.head_count_kv",
                     per_layer([&](int i) { return kv_heads(i); }));
    add_number("attention.key_length", kGlobalDim);
    add_number("attention.value_length", kGlobalDim);
    add_number("attention.key_length_swa", kSlidingDim);
    add_number("attention.value_length_swa", kSlidingDim);
    writer_.add_f32("gemma4.attention.layer_norm_rms_epsilon", 1e-6f);
    add_number("attention.sliding_window", body_.window);
    std::vector<bool> pattern;
    for (int i = 0; i < body_.n_layers; ++i) pattern.push_back(is_sliding(i));
    writer_.add_bools("gemma4.attention.sliding_window_pattern", pattern);
    add_number("attention.shared_kv_layers", body_.n_shared);
    add_number("embedding_length_per_layer_input", body_.per_layer_width);
    writer_.add_f32("gemma4.rope.freq_base", 1e6f);
    writer_.add_f32("gemma4.rope.freq_base_swa", 1e4f);
    writer_.add_f32("gemma4.final_logit_softcapping", 30.0f);
    if (body_.n_experts == 0) return;
    add_number("expert_count", body_.n_experts);
    add_number("expert_used_count", body_.n_experts_used);
    add_number("expert_feed_forward_length", body_.expert_ffn);
  }

  void vector(const std::string& name, std::int64_t n) {
    writer_.add_tensor(name, DType::F32, {n});
  }
  void matrix(const std::string& name, DType type, std::vector<std::int64_t> shape) {
    const DType fitting = fitting_type(type, shape.back());
    writer_.add_tensor(name, fitting, std::move(shape));
  }
  void matrix(const std::string& name, std::vector<std::int64_t> shape) {
    matrix(name, quant_.matrices, std::move(shape));
  }

  void add_model() {
    const std::int64_t D = body_.width;
    matrix("token_embd.weight", quant_.embeddings, {kVocab, D});
    vector("output_norm.weight", D);
    vector("rope_freqs.weight", kGlobalDim / 2);
    if (body_.per_layer_width == 0) return;
    const std::int64_t row = std::int64_t{body_.n_layers} * body_.per_layer_width;
    matrix("per_layer_token_embd.weight", quant_.embeddings, {kVocab, row});
    matrix("per_layer_model_proj.weight", quant_.projection, {row, D});
    vector("per_layer_proj_norm.weight", body_.per_layer_width);
  }

  // Half of attn_v and ffn_down have more bits in the Q4_K_M mixture.
  DType mixed_type(int layer) const {
    const int n = body_.n_layers;
    const bool more = layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    return quant_.matrices == DType::Q4_K && more ? DType::Q6_K : quant_.matrices;
  }

  void add_layer(int i) {
    const std::string at = fmt::format("blk.{}.", i);
    const std::int64_t D = body_.width;
    add_attention(i, at);
    vector(at + "ffn_norm.weight", D);
    matrix(at + "ffn_gate.weight", {ffn_width(i), D});
    matrix(at + "ffn_up.weight", {ffn_width(i), D});
    matrix(at + "ffn_down.weight", mixed_type(i), {D, ffn_width(i)});
    vector(at + "post_ffw_norm.weight", D);
    vector(at + "layer_output_scale.weight", 1);
    if (body_.n_experts > 0) add_experts(at);
    if (body_.per_layer_width == 0) return;
    matrix(at + "inp_gate.weight", {body_.per_layer_width, D});
    matrix(at + "proj.weight", {D, body_.per_layer_width});
    vector(at + "post_norm.weight", D);
  }

  void add_attention(int i, const std::string& at) {
    const std::int64_t D = body_.width;
    const int C = is_sliding(i) ? kSlidingDim : kGlobalDim;
    const std::int64_t heads = std::int64_t{body_.n_heads} * C;
    const std::int64_t kv = std::int64_t{kv_heads(i)} * C;
    vector(at + "attn_norm.weight", D);
    matrix(at + "attn_q.weight", {heads, D});
    vector(at + "attn_q_norm.weight", C);
    if (!is_shared(i)) {
      matrix(at + "attn_k.weight", {kv, D});
      vector(at + "attn_k_norm.weight", C);
      if (!body_.k_eq_v || is_sliding(i)) matrix(at + "attn_v.weight", mixed_type(i), {kv, D});
    }
    matrix(at + "attn_output.weight", {D, heads});
    vector(at + "post_attention_norm.weight", D);
  }

  void add_experts(const std::string& at) {
    const std::int64_t D = body_.width, E = body_.n_experts, F = body_.expert_ffn;
    matrix(at + "ffn_gate_inp.weight", DType::F32, {E, D});
    vector(at + "ffn_gate_inp.scale", D);
    matrix(at + "ffn_gate_up_exps.weight", {E, 2 * F, D});
    matrix(at + "ffn_down_exps.weight", {E, D, F});
    vector(at + "ffn_down_exps.scale", E);
    for (const char* name : {"post_ffw_norm_1", "pre_ffw_norm_2", "post_ffw_norm_2"}) {
      vector(fmt::format("{}{}.weight", at, name), D);
    }
  }

  const Body& body_;
  const Quant& quant_;
  GgufWriter writer_;
};

// Where a block keeps its f16 scales (formats.md 2.2); all its other bytes may be anything.
std::vector<int> scale_offsets(DType type) {
  switch (type) {
    case DType::Q4_0:
    case DType::Q5_0:
    case DType::Q8_0: return {0};
    case DType::Q4_K: return {0, 2};  // d, dmin
    case DType::Q6_K: return {208};
    default: return {};
  }
}

void put_u16(std::byte* at, std::uint16_t value) { std::memcpy(at, &value, sizeof value); }

// Random weights of a size that keeps every activation finite.
void fill_random(DType type, std::uint32_t key, std::span<std::byte> bytes) {
  constexpr float kScale = 0.01f;
  constexpr std::size_t kDraw = 16;
  for (std::size_t i = 0; i < bytes.size(); i += kDraw) {
    const auto draw = philox4x32({static_cast<std::uint32_t>(i / kDraw), 0, 0, 0}, {key, 0});
    std::memcpy(bytes.data() + i, draw.data(), std::min(kDraw, bytes.size() - i));
  }
  const auto uniform = [](std::uint32_t bits) {
    return kScale * (static_cast<float>(static_cast<std::int32_t>(bits)) * 0x1p-31f);
  };
  if (type == DType::F32) {
    for (std::size_t i = 0; i + sizeof(float) <= bytes.size(); i += sizeof(float)) {
      std::uint32_t bits;
      std::memcpy(&bits, bytes.data() + i, sizeof bits);
      const float value = uniform(bits);
      std::memcpy(bytes.data() + i, &value, sizeof value);
    }
  } else if (type == DType::BF16) {
    for (std::size_t i = 0; i + 2 <= bytes.size(); i += 2) {
      std::uint16_t bits;
      std::memcpy(&bits, bytes.data() + i, sizeof bits);
      put_u16(bytes.data() + i, f32_to_bf16(uniform(std::uint32_t{bits} << 16)));
    }
  } else {
    const auto block = static_cast<std::size_t>(traits(type).block_bytes);
    for (std::size_t i = 0; i + block <= bytes.size(); i += block) {
      for (const int offset : scale_offsets(type)) {
        put_u16(bytes.data() + i + offset, f32_to_f16(kScale));
      }
    }
  }
}

// The same values over and over; a prime number of blocks, so that no two rows are equal.
Status write_repeated(const GgufWriter::Tensor& tensor, const GgufWriter::Sink& sink) {
  constexpr std::size_t kBlocks = 16'411;
  const auto block = static_cast<std::size_t>(traits(tensor.dtype).block_bytes);
  std::vector<std::byte> pattern(std::min<std::uint64_t>(kBlocks * block, tensor.size_bytes));
  fill_random(tensor.dtype, static_cast<std::uint32_t>(tensor.offset / 32), pattern);
  for (std::uint64_t done = 0; done < tensor.size_bytes; done += pattern.size()) {
    const auto n = std::min<std::uint64_t>(pattern.size(), tensor.size_bytes - done);
    TRY(sink(std::span(pattern).first(n)));
  }
  return {};
}

Status write_floats(std::span<const float> values, const GgufWriter::Sink& sink) {
  return sink(std::as_bytes(values));
}

std::uint64_t n_floats(const GgufWriter::Tensor& tensor) {
  return tensor.size_bytes / sizeof(float);
}

}  // namespace

const std::vector<std::string_view>& synthetic_bodies() {
  static const auto names = names_of(kBodies);
  return names;
}

const std::vector<std::string_view>& synthetic_quants() {
  static const auto names = names_of(kQuants);
  return names;
}

Result<GgufWriter> synthetic_layout(const SyntheticOptions& options) {
  const Body body = TRY_IN("body", find_entry(kBodies, options.body));
  const Quant quant = TRY_IN("quant", find_entry(kQuants, options.quant));
  return Layout(body, quant).build();
}

Status write_synthetic_tensor(const GgufWriter::Tensor& tensor, const GgufWriter::Sink& sink) {
  if (tensor.name == "rope_freqs.weight") {  // a quarter of the pairs rotates
    std::vector<float> divisors(n_floats(tensor), 1e30f);
    std::fill_n(divisors.begin(), divisors.size() / 4, 1.0f);
    return write_floats(divisors, sink);
  }
  if (tensor.shape.size() == 1) {  // norms and scales
    return write_floats(std::vector<float>(n_floats(tensor), 1.0f), sink);
  }
  if (tensor.dtype != DType::F32) return write_repeated(tensor, sink);
  std::vector<std::byte> bytes(tensor.size_bytes);
  fill_random(tensor.dtype, static_cast<std::uint32_t>(tensor.offset / 32), bytes);
  return sink(bytes);
}

Result<SyntheticBody> SyntheticBody::make(const SyntheticOptions& options,
                                          const MemoryBudget& budget) {
  const GgufWriter layout = TRY(synthetic_layout(options));
  return make(fmt::format("{} in {}", options.body, options.quant), layout, write_synthetic_tensor,
              budget);
}

Result<SyntheticBody> SyntheticBody::make(std::string_view name, const GgufWriter& layout,
                                          const GgufWriter::Source& source,
                                          const MemoryBudget& budget) {
  const std::uint64_t size_bytes = layout.size_bytes();
  if (size_bytes > budget.size_bytes) {
    return resource_exhausted("{}: its weights need {}, the memory budget is {} ({})", name,
                              format_size(size_bytes), format_size(budget.size_bytes),
                              budget.reason);
  }
  const int fd = ::memfd_create("fourfold-bench", MFD_CLOEXEC);
  if (fd < 0) return Error{Code::Unknown, fmt::format("{}: {}", name, std::strerror(errno))};
  SyntheticBody body(fd, size_bytes);
  TRY_IN(name, layout.write(fd, source));
  return body;
}

SyntheticBody::SyntheticBody(int fd, std::uint64_t size_bytes)
    : fd_(fd), path_(fmt::format("/proc/self/fd/{}", fd)), size_bytes_(size_bytes) {}

SyntheticBody::SyntheticBody(SyntheticBody&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      size_bytes_(other.size_bytes_) {}

SyntheticBody::~SyntheticBody() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fourfold
