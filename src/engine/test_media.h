// For tests: a projector file of the form without towers (12B) for a text body of any width, with
// random weights, and media in memory.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"
#include "chat/conversation.h"
#include "formats/byte_writer.h"
#include "formats/gguf_writer.h"
#include "media/test_sound.h"

namespace fourfold::test_media {

struct ProjectorOptions {
  bool vision = true, audio = true;
  std::string without_tensor = {};  // is left out
  std::uint64_t seed = 1;
};

inline Status make_projector(const std::string& path, int text_width,
                             const ProjectorOptions& options = {}) {
  constexpr std::int64_t kWidth = 16, kPatch = 48 * 48 * 3, kLength = 1120, kFrame = 640;
  const auto T = static_cast<std::uint32_t>(text_width);
  GgufWriter writer;
  writer.add_string("general.architecture", "clip");
  const auto add = [&](std::string_view name, std::vector<std::int64_t> shape) {
    if (name != options.without_tensor) writer.add_tensor(name, DType::F32, std::move(shape));
  };
  if (options.vision) {
    writer.add_bool("clip.has_vision_encoder", true);
    writer.add_string("clip.vision.projector_type", "gemma4uv");
    writer.add_u32("clip.vision.embedding_length", kWidth);
    writer.add_u32("clip.vision.projection_dim", T);
    writer.add_u32("clip.vision.patch_size", 16);
    writer.add_f32("clip.vision.attention.layer_norm_epsilon", 1e-6f);
    add("v.patch_embd.weight", {kWidth, kPatch});
    add("v.patch_embd.bias", {kWidth});
    add("v.patch_norm.1.weight", {kPatch});
    add("v.patch_norm.1.bias", {kPatch});
    for (const char* number : {"2", "3"}) {
      add(std::string("v.patch_norm.") + number + ".weight", {kWidth});
      add(std::string("v.patch_norm.") + number + ".bias", {kWidth});
    }
    add("v.position_embd.weight", {2, kLength, kWidth});
    add("mm.input_projection.weight", {text_width, kWidth});
  }
  if (options.audio) {
    writer.add_bool("clip.has_audio_encoder", true);
    writer.add_string("clip.audio.projector_type", "gemma4ua");
    writer.add_u32("clip.audio.embedding_length", kFrame);
    writer.add_u32("clip.audio.projection_dim", T);
    add("mm.a.input_projection.weight", {text_width, kFrame});
  }
  std::uint64_t n_written = 0;
  return writer.write_file(path,
                           [&](const GgufWriter::Tensor& tensor, const GgufWriter::Sink& sink) {
                             std::vector<float> values(tensor.size_bytes / sizeof(float));
                             for (float& value : values) {
                               value = static_cast<float>(uniform(options.seed, n_written++) - 0.5);
                             }
                             return sink(std::as_bytes(std::span<const float>(values)));
                           });
}

inline void write_projector(const std::string& path, int text_width,
                            const ProjectorOptions& options = {}) {
  const auto status = make_projector(path, text_width, options);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

inline std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A BMP of noise; `seed` makes the picture.
inline std::string picture(int width, int height, std::uint64_t seed) {
  const int stride = (3 * width + 3) / 4 * 4;
  ByteWriter out;
  out.raw("BM").number<std::uint32_t>(static_cast<std::uint32_t>(54 + stride * height));
  out.number<std::uint32_t>(0).number<std::uint32_t>(54).number<std::uint32_t>(40);
  out.number<std::int32_t>(width).number<std::int32_t>(height);
  out.number<std::uint16_t>(1).number<std::uint16_t>(24);
  for (int i = 0; i < 6; ++i) out.number<std::uint32_t>(0);
  std::uint64_t n = 0;
  for (int i = 0; i < stride * height; ++i) {
    out.number<std::uint8_t>(static_cast<std::uint8_t>(255.0 * uniform(seed, n++)));
  }
  return text_of(out.bytes);
}

inline std::string sound(const std::vector<float>& samples) {
  return text_of(test_sound::make_wav(samples));
}

inline Part part(Part::Kind kind, SharedBytes bytes, std::string where = {}) {
  Part part;
  part.kind = kind;
  part.bytes = std::move(bytes);
  part.where = std::move(where);
  return part;
}

}  // namespace fourfold::test_media
