#include "tensor/dtype.h"

#include <algorithm>
#include <array>

namespace fourfold {
namespace {

// In the order of the enumerators.
constexpr std::array<DTypeTraits, kDTypeCount> kTraits = {{
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"BF16", 1, 2},
    {"Q4_0", 32, 18, 32},
    {"Q4_1", 32, 20, 32, true},
    {"Q5_0", 32, 22, 32},
    {"Q5_1", 32, 24, 32, true},
    {"Q8_0", 32, 34, 32},
    {"Q2_K", 256, 84, 16, true},
    {"Q3_K", 256, 110, 16},
    {"Q4_K", 256, 144, 32, true},
    {"Q5_K", 256, 176, 32, true},
    {"Q6_K", 256, 210, 16},
    {"IQ4_NL", 32, 18, 32},
    {"IQ4_XS", 256, 136, 32},
    {"IQ3_S", 256, 110, 32},
    {"IQ3_XXS", 256, 98, 32},
    {"IQ2_S", 256, 82, 16},
    {"IQ2_XS", 256, 74, 16},
    {"IQ2_XXS", 256, 66, 32},
    {"IQ1_S", 256, 50, 32},
    {"IQ1_M", 256, 56, 16},
    {"MXFP4", 32, 17, 32},
    {"NVFP4", 64, 36, 16},
    {"TQ1_0", 256, 54, 32},
    {"TQ2_0", 256, 66, 32},
    {"Q1_0", 128, 18, 32},
    {"Q2_0", 64, 18, 32},
    {"I8", 1, 1},
    {"I16", 1, 2},
    {"I32", 1, 4},
    {"I64", 1, 8},
    {"U8", 1, 1},
    {"U16", 1, 2},
    {"U32", 1, 4},
    {"U64", 1, 8},
    {"F64", 1, 8},
    {"BOOL", 1, 1},
    {"F8_E4M3", 1, 1},
    {"F8_E5M2", 1, 1},
    {"F8_E8M0", 1, 1},
}};
static_assert(kTraits[static_cast<int>(DType::Q2_0)].name == "Q2_0");
static_assert(kTraits[static_cast<int>(DType::F8_E8M0)].name == "F8_E8M0");

struct GgufNumber {
  std::uint32_t number;
  DType type;
};

constexpr GgufNumber kGgufNumbers[] = {
    {0, DType::F32},      {1, DType::F16},     {2, DType::Q4_0},     {3, DType::Q4_1},
    {6, DType::Q5_0},     {7, DType::Q5_1},    {8, DType::Q8_0},     {10, DType::Q2_K},
    {11, DType::Q3_K},    {12, DType::Q4_K},   {13, DType::Q5_K},    {14, DType::Q6_K},
    {16, DType::IQ2_XXS}, {17, DType::IQ2_XS}, {18, DType::IQ3_XXS}, {19, DType::IQ1_S},
    {20, DType::IQ4_NL},  {21, DType::IQ3_S},  {22, DType::IQ2_S},   {23, DType::IQ4_XS},
    {24, DType::I8},      {25, DType::I16},    {26, DType::I32},     {27, DType::I64},
    {28, DType::F64},     {29, DType::IQ1_M},  {30, DType::BF16},    {34, DType::TQ1_0},
    {35, DType::TQ2_0},   {39, DType::MXFP4},  {40, DType::NVFP4},   {41, DType::Q1_0},
    {42, DType::Q2_0},
};

}  // namespace

const DTypeTraits& traits(DType type) { return kTraits[static_cast<std::size_t>(type)]; }

std::optional<DType> dtype_from_gguf(std::uint32_t number) {
  const auto* entry = std::ranges::find(kGgufNumbers, number, &GgufNumber::number);
  if (entry == std::end(kGgufNumbers)) return std::nullopt;
  return entry->type;
}

std::optional<std::uint32_t> gguf_number(DType type) {
  const auto* entry = std::ranges::find(kGgufNumbers, type, &GgufNumber::type);
  if (entry == std::end(kGgufNumbers)) return std::nullopt;
  return entry->number;
}

bool is_weight_type(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16 ||
         traits(type).quantised();
}

}  // namespace fourfold
